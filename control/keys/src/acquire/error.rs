//! Why there are no keys.

use crate::kid::Kid;
use crate::system::System;
use crate::{cpix, encrypted, speke};

/// Why there are no keys. Messages are for operators; they hold no key and no other secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// What was asked for.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The provider URL.
    #[error("the provider URL: {0}")]
    Url(#[from] speke::UrlError),
    /// No answer.
    #[error(transparent)]
    Exchange(#[from] speke::Error),
    /// An answer that cannot be read.
    #[error("the answer of the key server: {0}")]
    Document(#[from] cpix::Error),
    /// Encrypted keys.
    #[error("encrypted content keys: {0}")]
    Encrypted(#[from] encrypted::Error),
    /// Another content id or version.
    #[error("the key server answered for another {0}")]
    OtherDocument(&'static str),
    /// A key that was asked for and is not in the answer.
    #[error("the key server gave no key for {0}")]
    NoKey(Kid),
    /// A key that was not asked for.
    #[error("the key server answered the key identifier {0}, which was not asked for")]
    OtherKid(Kid),
    /// Several keys where one was asked for.
    #[error("the key server answered {0} keys where one was asked for")]
    KeyCount(usize),
    /// Another scheme.
    #[error("the key server answered the scheme {found:?} for {kid} instead of {wanted:?}")]
    Scheme {
        /// The key.
        kid: Kid,
        /// What was asked for.
        wanted: &'static str,
        /// What was answered; shortened.
        found: String,
    },
    /// A clear key where an encrypted one was asked for.
    #[error("the key server sent the key {0} in the clear although a certificate was sent")]
    NotEncrypted(Kid),
    /// An encrypted key without a certificate.
    #[error("the key server sent the key {0} encrypted although no certificate was sent")]
    Unreadable(Kid),
    /// Signalling that was asked for and is not in the answer.
    #[error("the key server left out {element} of {system:?} for {kid}")]
    Vanished {
        /// The key.
        kid: Kid,
        /// The system.
        system: System,
        /// The element.
        element: &'static str,
    },
    /// HLS lines that do not fit.
    #[error("the key server answered HLSSignalingData of {system:?} for {kid} with another {attribute}")]
    Hls {
        /// The key.
        kid: Kid,
        /// The system.
        system: System,
        /// The attribute of the tag.
        attribute: &'static str,
    },
    /// A key without a rule.
    #[error("the key server left out which tracks use {0}")]
    NoRule(Kid),
    /// A rule that differs from what was asked for.
    #[error("the key server changed which tracks use {0}")]
    Rule(Kid),
    /// A rule for another key period.
    #[error("the key server changed the key period of {0}")]
    Period(Kid),
    /// Two keys for the same tracks.
    #[error("the key server answered two keys for the same tracks: {0} and {1}")]
    TwoKeys(Kid, Kid),
}

/// What cannot be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The content id.
    #[error("a content id has 1 to 256 bytes without control characters")]
    ContentId,
    /// A system twice.
    #[error("{0:?} is asked for twice")]
    RepeatedSystem(System),
    /// Too many periods.
    #[error("too many key periods in one request: at most 100, and 1 with version 1.0")]
    Periods,
    /// A period twice.
    #[error("the key period {0} is asked for twice")]
    RepeatedPeriod(u64),
    /// Contract and version.
    #[error("version 1.0 has one key for all tracks")]
    Contract,
    /// More keys than a document has.
    #[error("more than 1000 keys in one request")]
    Keys,
    /// A document that could not be made.
    #[error("the request could not be written")]
    Document,
}

/// Result of asking for keys.
pub type Result<T> = core::result::Result<T, Error>;

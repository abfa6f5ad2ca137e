//! Why there was no answer.

/// Why a key server gave no document. Messages hold the URL without secrets, and of what the server answered only what cannot
/// be a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// TLS could not be set up.
    #[error("setting up TLS: {0}")]
    Tls(String),
    /// No connection.
    #[error("cannot reach the key server {url} ({attempts} attempts): {cause}")]
    Connect {
        /// The URL.
        url: String,
        /// How often it was tried.
        attempts: u32,
        /// The last cause.
        cause: String,
    },
    /// No answer in time.
    #[error("the key server {url} did not answer within {seconds} s ({attempts} attempts)")]
    Timeout {
        /// The URL.
        url: String,
        /// How often it was tried.
        attempts: u32,
        /// The time of one attempt.
        seconds: u64,
    },
    /// The answer broke off.
    #[error("the answer of the key server {url} could not be read: {cause}")]
    Broken {
        /// The URL.
        url: String,
        /// Why.
        cause: String,
    },
    /// Another status than 200.
    #[error("the key server {url} answered {status} ({attempts} attempts){}", said(text))]
    Status {
        /// The URL.
        url: String,
        /// How often it was tried.
        attempts: u32,
        /// The status.
        status: u16,
        /// The start of what it said.
        text: String,
    },
    /// An answer that is not XML.
    #[error("the key server {url} answered {content_type:?} instead of application/xml")]
    ContentType {
        /// The URL.
        url: String,
        /// What it said it was.
        content_type: String,
    },
    /// An answer of another version.
    #[error("the key server {url} answered X-Speke-Version {found:?} instead of {wanted:?}")]
    SpekeVersion {
        /// The URL.
        url: String,
        /// The version that was asked for.
        wanted: &'static str,
        /// The version of the answer.
        found: String,
    },
    /// An answer that is too long.
    #[error("the key server {url} answered more than 1 MiB")]
    TooLarge {
        /// The URL.
        url: String,
    },
}

fn said(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

/// Result of an exchange.
pub type Result<T> = core::result::Result<T, Error>;

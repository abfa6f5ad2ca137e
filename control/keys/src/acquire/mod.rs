//! Keys for a title: what is asked for, of whom, and what came back.

mod answer;
mod ask;
mod error;
mod fields;
mod server;

pub use error::{Error, RequestError, Result};
pub use fields::{FieldError, KeyServerFields};
pub use server::{BasicAuth, KeyEncryption, KeyServer, Shown};

use crate::contract::KeyUse;
use crate::cpix::Document;
use crate::encrypted::Recipient;
use crate::kid::Kid;
use crate::scheme::Scheme;
use crate::secret::ContentKeyBytes;
use crate::speke::{Client, Exchange};
use crate::system::System;

/// Asks a key server for the keys of a title. Every key of the contract is there and checked against the request, or there is
/// an error. It takes at most [`Settings`](crate::speke::Settings)' attempts and their time.
///
/// # Errors
/// When the request or the server's configuration is wrong, the server does not answer, or its answer is not what was asked
/// for. No error holds a key or another secret.
pub async fn acquire(client: &Client, server: &KeyServer, request: &Request) -> Result<Acquired> {
    let endpoint = server.endpoint()?;
    let encryption = server.encryption.as_ref();
    let recipient = encryption.map(|own| Recipient::new(&own.certificate, &own.private_key)).transpose()?;
    let asked = ask::Asked::new(server, request)?;
    let document = asked.document(request, recipient.as_ref())?;
    let exchange = Exchange { endpoint: &endpoint, version: server.version, document: &document };
    let body = client.exchange(exchange).await?;
    answer::acquired(&Document::read(&body)?, &asked, recipient.as_ref())
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The content, as the key server knows it: 1 to [`MAX_CONTENT_ID_BYTES`](crate::limits::MAX_CONTENT_ID_BYTES) bytes
    /// without control characters.
    pub content_id: String,
    /// The scheme of all keys.
    pub scheme: Scheme,
    /// The systems that signalling is wanted for, each once.
    pub systems: Vec<System>,
    /// Which manifests will carry the signalling.
    pub manifests: Manifests,
    /// The constant IV to be used with every key, when the operator chose one. A key server may answer another.
    pub explicit_iv: Option<[u8; 16]>,
    /// The key periods wanted, with keys of their own; none without rotation. SPEKE v1 takes at most one.
    pub periods: Vec<Period>,
}

/// Kinds of manifests. A key server is asked only for what they need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manifests {
    /// `ContentProtectionData`.
    pub dash: bool,
    /// `HLSSignalingData`, or `URIExtXKey` of SPEKE v1.
    pub hls: bool,
    /// `SmoothStreamingProtectionHeaderData`, or `ProtectionHeader` of SPEKE v1.
    pub smooth: bool,
}

/// A key period of live content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Period {
    /// Its number, counted up by one.
    pub index: u64,
    /// When it starts and ends (UTC, `xs:dateTime`); SPEKE v2.1 tells the server.
    pub time: Option<(String, String)>,
}

/// The answer of a key server: a key for each class of the contract, or for each class and period. It holds keys and so has no
/// `Debug`.
pub struct Acquired {
    /// By period, then in the order of [`Contract::classes`](crate::contract::Contract::classes).
    pub keys: Vec<AcquiredKey>,
}

/// A key and what players have to be told about it.
pub struct AcquiredKey {
    /// Its identifier. Servers of SPEKE v1 may choose another than was asked for; this is the one to use.
    pub kid: Kid,
    /// The key.
    pub key: ContentKeyBytes,
    /// The constant IV that the key server wants used with this key, if it told one.
    pub explicit_iv: Option<[u8; 16]>,
    /// [`TrackClass::name`](crate::contract::TrackClass::name).
    pub class: &'static str,
    /// The tracks it is for.
    pub key_use: KeyUse,
    /// The period it is for; `None` without rotation.
    pub period: Option<u64>,
    /// What the server told for each system, in the order of [`Request::systems`].
    pub systems: Vec<Signalling>,
}

/// What a key server told for one key and system. What it told wins over what we would make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signalling {
    /// The system.
    pub system: System,
    /// A whole `pssh` box.
    pub pssh: Option<Vec<u8>>,
    /// A PlayReady object (PRO), from `ProtectionHeader` of SPEKE v1 or `SmoothStreamingProtectionHeaderData` of v2.
    pub protection_header: Option<Vec<u8>>,
    /// XML elements to be put into the `ContentProtection` element of this system; well-formed, with all namespaces declared.
    pub content_protection: Option<String>,
    /// For HLS playlists.
    pub hls: Option<HlsSignalling>,
}

/// What HLS playlists say about one key and system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HlsSignalling {
    /// SPEKE v2: whole lines without a line end.
    Lines {
        /// For media playlists: lines of `#EXT-X-KEY:`.
        media: Vec<String>,
        /// For multivariant playlists: lines of `#EXT-X-SESSION-KEY:`.
        multivariant: Vec<String>,
    },
    /// SPEKE v1: values of attributes.
    Attributes {
        /// URI.
        uri: String,
        /// KEYFORMAT.
        key_format: Option<String>,
        /// KEYFORMATVERSIONS.
        key_format_versions: Option<String>,
    },
}

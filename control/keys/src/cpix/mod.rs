//! CPIX documents (DASH-IF CPIX 2.0, 2.3 and 2.4) as SPEKE uses them. Pure: text in, values out.
//!
//! Names are matched by namespace, never by prefix. There is no DTD and no entity but the five of XML. Errors name the
//! element or attribute and its byte; no error holds text of a key.

mod error;
mod pssh;
mod read;
mod request;
mod rules;
mod value;
pub mod xml;

pub use error::{Error, ErrorKind, Result};
pub use pssh::pssh_system;
pub use request::{Request, RequestedKey, RequestedPeriod, RequestedSystem};
pub use rules::{AudioFilter, KeyPeriod, UsageRule, VideoFilter};

use crate::kid::Kid;
use crate::secret::ContentKeyBytes;

/// Namespace of CPIX.
pub const CPIX: &str = "urn:dashif:org:cpix";
/// Namespace of PSKC (RFC 6030), which wraps keys.
pub const PSKC: &str = "urn:ietf:params:xml:ns:keyprov:pskc";
/// Namespace of the additions of SPEKE v1.
pub const SPEKE: &str = "urn:aws:amazon:com:speke";
/// Namespace of XML signatures, which wraps certificates.
pub const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
/// Namespace of XML encryption.
pub const ENC: &str = "http://www.w3.org/2001/04/xmlenc#";

/// Algorithm of content keys (XML Encryption, 5.2.2).
pub const AES_256_CBC: &str = "http://www.w3.org/2001/04/xmlenc#aes256-cbc";
/// Algorithm of document and MAC keys (XML Encryption, 5.4.2): OAEP with SHA-1 and MGF1 with SHA-1.
pub const RSA_OAEP: &str = "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p";
/// Algorithm of MACs.
pub const HMAC_SHA_512: &str = "http://www.w3.org/2001/04/xmldsig-more#hmac-sha512";

/// A document. It may hold keys and so has no `Debug`.
pub struct Document {
    /// `CPIX@contentId`, or `CPIX@id` of SPEKE v1.
    pub content_id: Option<String>,
    /// `CPIX@version`.
    pub version: Option<String>,
    /// Content keys, in the order of the document; no two have one identifier.
    pub keys: Vec<ContentKey>,
    /// What the systems say; no two are for one key and system.
    pub systems: Vec<DrmSystem>,
    /// Key periods.
    pub periods: Vec<KeyPeriod>,
    /// Which tracks use which key.
    pub rules: Vec<UsageRule>,
    /// Keys that encrypt content keys, one for each recipient.
    pub deliveries: Vec<Delivery>,
}

/// A content key.
pub struct ContentKey {
    /// Its identifier.
    pub kid: Kid,
    /// `@commonEncryptionScheme`.
    pub scheme: Option<String>,
    /// `@explicitIV`.
    pub explicit_iv: Option<[u8; 16]>,
    /// The key.
    pub data: KeyData,
}

/// A key in a document.
pub enum KeyData {
    /// None: the document asks for it.
    Absent,
    /// In the clear.
    Plain(ContentKeyBytes),
    /// Encrypted with the document key.
    Encrypted(EncryptedKey),
}

/// An encrypted content key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncryptedKey {
    /// IV (16 bytes) and ciphertext.
    pub cipher_value: Vec<u8>,
    /// HMAC-SHA512 of `cipher_value`.
    pub mac: Vec<u8>,
}

/// What a document says for one key and system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DrmSystem {
    /// The key.
    pub kid: Option<Kid>,
    /// The system's id.
    pub system: Option<Kid>,
    /// A whole `pssh` box of this system.
    pub pssh: Option<Vec<u8>>,
    /// XML elements for the MPD; well-formed, with all namespaces declared.
    pub content_protection: Option<String>,
    /// Lines of `#EXT-X-KEY:`.
    pub hls_media: Option<Vec<String>>,
    /// Lines of `#EXT-X-SESSION-KEY:`.
    pub hls_multivariant: Option<Vec<String>>,
    /// `URIExtXKey` of SPEKE v1, decoded.
    pub uri: Option<String>,
    /// `KeyFormat` of SPEKE v1, decoded.
    pub key_format: Option<String>,
    /// `KeyFormatVersions` of SPEKE v1, decoded.
    pub key_format_versions: Option<String>,
    /// `ProtectionHeader` of SPEKE v1: a PlayReady object.
    pub protection_header: Option<Vec<u8>>,
    /// `SmoothStreamingProtectionHeaderData`: a PlayReady object.
    pub smooth: Option<Vec<u8>>,
}

/// Keys for one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The recipient's certificate in DER.
    pub certificate: Option<Vec<u8>>,
    /// The document key, encrypted with the certificate.
    pub document_key: Option<Vec<u8>>,
    /// The MAC key, encrypted with the certificate.
    pub mac_key: Option<Vec<u8>>,
}

impl Document {
    /// Reads a document.
    ///
    /// # Errors
    /// When it is not well-formed, has a DTD or entities, passes a limit, or an element of CPIX is not what it should be.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        read::document(&xml::Element::read(bytes)?)
    }
}

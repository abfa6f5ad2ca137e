//! A document, and how documents travel to an edge.

use serde::{Deserialize, Serialize};

use super::{Asset, ContentKeys, Endpoint, HlsVersion, PackagingConfiguration, is_name, is_storage_path};
use crate::error::{Error, Result};
use crate::limits;

/// The layout of every document below. An edge refuses a document with another version.
pub const DOCUMENT_VERSION: u32 = 1;

/// Put before the body of a push when it is signed, so that a signature can serve no other purpose.
pub const SIGNATURE_CONTEXT: &[u8] = b"edgepack push v1\n";

/// What a document says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
pub enum Body {
    /// A packaging configuration.
    Configuration(PackagingConfiguration),
    /// An asset.
    Asset(Asset),
    /// The content keys of an asset under a configuration, or of an endpoint.
    Keys(ContentKeys),
    /// An endpoint of a live channel.
    Endpoint(Endpoint),
    /// What the key named is gone.
    Deleted,
}

/// One document as it is stored at an edge under its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// [`DOCUMENT_VERSION`].
    pub version: u32,
    /// See [`configuration_key`], [`asset_key`], [`endpoint_key`] and [`super::KeysOf::key`].
    pub key: String,
    /// Position in the control plane's sequence of changes; grows with every change of any document.
    pub revision: u64,
    /// What it says.
    pub body: Body,
}

/// Key of a configuration's document.
pub fn configuration_key(packaging_group: &str, configuration: &str) -> String {
    format!("configuration/{packaging_group}/{configuration}")
}

/// Key of the document with the content keys of an asset under a configuration.
pub fn keys_key(packaging_group: &str, asset: &str, configuration: &str) -> String {
    format!("keys/{packaging_group}/{asset}/{configuration}")
}

/// Key of the document with the content keys of an endpoint.
pub fn endpoint_keys_key(channel_group: &str, channel: &str, endpoint: &str) -> String {
    format!("endpoint-keys/{channel_group}/{channel}/{endpoint}")
}

/// Key of the document of an endpoint.
pub fn endpoint_key(channel_group: &str, channel: &str, endpoint: &str) -> String {
    format!("endpoint/{channel_group}/{channel}/{endpoint}")
}

/// Key of an asset's document.
pub fn asset_key(packaging_group: &str, asset: &str) -> String {
    format!("asset/{packaging_group}/{asset}")
}

impl Document {
    /// A document of the current version.
    pub fn new(key: String, revision: u64, body: Body) -> Self {
        Self { version: DOCUMENT_VERSION, key, revision, body }
    }

    /// Reads and checks a document.
    ///
    /// # Errors
    /// `BadSource` when it is not such a document, has another version, or breaks a limit.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let document: Self = serde_json::from_slice(json).map_err(|e| Error::bad_source(format!("document: {e}")))?;
        document.check()?;
        Ok(document)
    }

    /// The JSON form.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Checks what serde cannot.
    ///
    /// # Errors
    /// `BadSource`, with the field.
    pub fn check(&self) -> Result<()> {
        let bad = |what: &str| Err(Error::bad_source(format!("document {}: {what}", self.key)));
        if self.version != DOCUMENT_VERSION {
            return bad(&format!("version {} is not {DOCUMENT_VERSION}", self.version));
        }
        match &self.body {
            Body::Configuration(c) => {
                if self.key != configuration_key(&c.packaging_group, &c.name) {
                    return bad("the key names another configuration");
                }
                if !limits::SEGMENT_SECONDS.contains(&c.segment_duration_seconds) {
                    return bad("segment_duration_seconds is out of range");
                }
                if !is_name(&c.manifest_name) {
                    return bad("manifest_name is not a name");
                }
                if c.audio_separation && c.hls_version == HlsVersion::V3 {
                    return bad("audio_separation needs hls_version 4");
                }
                if let Some(Err((field, why))) = c.protection.as_ref().map(|p| p.check(c.package_type)) {
                    return bad(&format!("protection.{field}: {why}"));
                }
                c.access.check().or_else(|why| bad(&why))?;
            }
            Body::Endpoint(e) => {
                if self.key != endpoint_key(&e.channel_group, &e.channel, &e.name) {
                    return bad("the key names another endpoint");
                }
                e.check().or_else(|why| bad(&why))?;
            }
            Body::Asset(a) => {
                if self.key != asset_key(&a.packaging_group, &a.name) {
                    return bad("the key names another asset");
                }
                if a.sources.len() > limits::MAX_SOURCES {
                    return bad("too many sources");
                }
                let paths = a.sources.iter().map(|s| &s.path).chain([&a.index.path]);
                if let Some(path) = paths.into_iter().find(|p| !is_storage_path(p)) {
                    return bad(&format!("{path:?} is not a storage path"));
                }
                if a.index.head_bytes > a.index.bytes || a.index.head_bytes > limits::MAX_HEAD_BYTES {
                    return bad("index.head_bytes is out of range");
                }
                if a.index.digest.len() != 64 || !a.index.digest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
                {
                    return bad("index.digest is not 64 lower-case hexadecimal digits");
                }
            }
            Body::Keys(k) => {
                if self.key != k.of.key() {
                    return bad("the key names other keys");
                }
                k.check().or_else(|why| bad(&why))?;
            }
            Body::Deleted => {}
        }
        Ok(())
    }
}

/// Documents on their way to one edge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// [`DOCUMENT_VERSION`].
    pub version: u32,
    /// Name of the edge it is for, so that it cannot be replayed at another.
    pub edge: String,
    /// Greater than in every earlier batch for this edge.
    pub sequence: u64,
    /// When it was signed, milliseconds since 1970-01-01T00:00:00Z.
    pub issued_at: u64,
    /// The revision up to which the edge is complete once it has taken this batch.
    pub revision: u64,
    /// At most [`limits::MAX_BATCH_DOCUMENTS`].
    pub documents: Vec<Document>,
}

/// What an edge answers to a batch that it took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// Sequence of the batch.
    pub sequence: u64,
    /// Revision of the batch.
    pub revision: u64,
}

/// The bytes that are signed for a push with this body.
pub fn signed_message(body: &[u8]) -> Vec<u8> {
    [SIGNATURE_CONTEXT, body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Access, PackageType, StreamSelection, TextFormat};

    #[test]
    fn documents_survive_a_round_trip_and_are_checked() {
        let configuration = PackagingConfiguration {
            name: "hls".into(),
            packaging_group: "films".into(),
            package_type: PackageType::Cmaf,
            segment_duration_seconds: 6,
            manifest_name: "index".into(),
            stream_selection: StreamSelection::default(),
            audio_separation: false,
            hls_version: HlsVersion::V4,
            text_format: TextFormat::Wvtt,
            access: Access::default(),
            protection: None,
        };
        let key = configuration_key("films", "hls");
        let document = Document::new(key.clone(), 7, Body::Configuration(configuration.clone()));
        assert_eq!(Document::from_json(&document.to_json()).unwrap(), document);

        let other = Document::new(configuration_key("films", "dash"), 7, Body::Configuration(configuration.clone()));
        assert!(Document::from_json(&other.to_json()).unwrap_err().message().contains("another configuration"));

        let long = PackagingConfiguration { segment_duration_seconds: 31, ..configuration };
        let long = Document::new(key.clone(), 7, Body::Configuration(long));
        assert!(Document::from_json(&long.to_json()).unwrap_err().message().contains("segment_duration_seconds"));

        let future = Document { version: 2, ..document };
        assert!(Document::from_json(&future.to_json()).unwrap_err().message().contains("version 2"));
    }
}

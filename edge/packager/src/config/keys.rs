//! The content keys of an asset under one packaging configuration, or of a live endpoint, as they travel: sealed, with all
//! that players are told.

use serde::{Deserialize, Serialize};

use super::{Iv, Kid, Scheme, System, endpoint_keys_key, keys_key};
use crate::limits;

/// What content keys are for. An asset and an endpoint may have the same three names, but never the same keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum KeysOf {
    /// An asset under a packaging configuration.
    Asset {
        /// The packaging group.
        packaging_group: String,
        /// The asset.
        asset: String,
        /// The configuration.
        configuration: String,
    },
    /// An endpoint of a live channel.
    Endpoint {
        /// The channel group.
        channel_group: String,
        /// The channel.
        channel: String,
        /// The endpoint.
        endpoint: String,
    },
}

impl KeysOf {
    /// An asset under a packaging configuration.
    pub fn asset(packaging_group: &str, asset: &str, configuration: &str) -> Self {
        Self::Asset {
            packaging_group: packaging_group.to_owned(),
            asset: asset.to_owned(),
            configuration: configuration.to_owned(),
        }
    }

    /// An endpoint of a live channel.
    pub fn endpoint(channel_group: &str, channel: &str, endpoint: &str) -> Self {
        Self::Endpoint {
            channel_group: channel_group.to_owned(),
            channel: channel.to_owned(),
            endpoint: endpoint.to_owned(),
        }
    }

    /// The key of their document. Keys are sealed for it.
    pub fn key(&self) -> String {
        match self {
            Self::Asset { packaging_group, asset, configuration } => keys_key(packaging_group, asset, configuration),
            Self::Endpoint { channel_group, channel, endpoint } => endpoint_keys_key(channel_group, channel, endpoint),
        }
    }
}

/// The keys of one asset under one configuration, or of one endpoint, at an edge under [`KeysOf::key`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentKeys {
    /// What they are for.
    #[serde(flatten)]
    pub of: KeysOf,
    /// For which scheme they are.
    pub scheme: Scheme,
    /// At least one, at most [`limits::MAX_CONTENT_KEYS`].
    pub keys: Vec<SealedKey>,
    /// Whether video that no key is for is meant to be in the clear; else it is refused.
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub clear_video: bool,
    /// The same for audio.
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub clear_audio: bool,
}

/// A content key that only the edge it was sealed for can open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedKey {
    /// Its id.
    pub kid: Kid,
    /// What it protects.
    #[serde(default)]
    pub usage: KeyUse,
    /// From which second of the presentation on; of all keys for a track the latest holds. Keys of a title that does not
    /// change them have 0.
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub from_second: u32,
    /// The initialisation vector of everything under this key: always with cbcs and SAMPLE-AES, never with cenc; with
    /// AES-128 it is the segment's number when it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iv: Option<Iv>,
    /// Standard base64 of what [`crate::sealing::SealingKey::seal`] made.
    pub sealed: String,
    /// What players are told, one entry for each system.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signalling: Vec<Signalling>,
}

/// What a key protects. Bounds are inclusive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "media", rename_all = "snake_case")]
pub enum KeyUse {
    /// Everything.
    #[default]
    All,
    /// Video with a number of pixels in these bounds.
    Video {
        /// Least width times height.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min_pixels: Option<u64>,
        /// Most width times height.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_pixels: Option<u64>,
    },
    /// Audio with a number of channels in these bounds.
    Audio {
        /// Least channels.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min_channels: Option<u32>,
        /// Most channels.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_channels: Option<u32>,
    },
}

/// What players are told about a key for one system. Nothing of it is secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signalling {
    /// The system; `None` when the key itself is fetched (KEYFORMAT "identity").
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<System>,
    /// Standard base64 of a whole `pssh` box.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pssh: Option<String>,
    /// A whole `#EXT-X-KEY:` line of a media playlist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hls: Option<String>,
    /// A whole `#EXT-X-SESSION-KEY:` line of a multivariant playlist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hls_session: Option<String>,
    /// What stands inside of the `ContentProtection` element of the system: elements that declare their own namespaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dash: Option<String>,
}

impl ContentKeys {
    /// Checks what serde cannot.
    ///
    /// # Errors
    /// What is wrong.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.keys.is_empty() || self.keys.len() > limits::MAX_CONTENT_KEYS {
            return Err(format!("{} keys are not 1 to {}", self.keys.len(), limits::MAX_CONTENT_KEYS));
        }
        for key in &self.keys {
            let wrong = |what: &str| Err(format!("key {}: {what}", key.kid));
            if self.scheme.has_constant_iv() && key.iv.is_none() {
                return wrong("no iv");
            }
            if self.scheme == Scheme::Cenc && key.iv.is_some() {
                return wrong("an iv, which cenc does not have");
            }
            if key.signalling.len() > System::ALL.len() + 1 {
                return wrong("too many systems");
            }
            for signalling in &key.signalling {
                let line = |text: &Option<String>, tag: &str| {
                    text.as_ref().is_none_or(|t| t.starts_with(tag) && !t.chars().any(char::is_control))
                };
                if !line(&signalling.hls, "#EXT-X-KEY:") || !line(&signalling.hls_session, "#EXT-X-SESSION-KEY:") {
                    return wrong("signalling that is no line of a playlist");
                }
                let Signalling { pssh, hls, hls_session, dash, .. } = signalling;
                let longest = [pssh, hls, hls_session, dash].into_iter().flatten().map(String::len).max();
                if longest.unwrap_or(0) > limits::MAX_SIGNALLING_BYTES {
                    return wrong("signalling that is too long");
                }
            }
        }
        Ok(())
    }

    /// About how many bytes of memory it holds.
    pub fn memory(&self) -> usize {
        let key = |k: &SealedKey| {
            let texts = k.signalling.iter().flat_map(|s| [&s.pssh, &s.hls, &s.hls_session, &s.dash]);
            size_of::<SealedKey>() + k.sealed.len() + texts.flatten().map(String::len).sum::<usize>()
        };
        size_of::<Self>() + self.keys.iter().map(key).sum::<usize>()
    }
}

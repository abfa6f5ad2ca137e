//! What an operator says about the protection of a configuration, secrets included. It has no `Debug`; it is stored sealed,
//! and shown as a [`ProtectionView`](super::ProtectionView).

use packager::config;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroize as _;

use super::key_server::KeyServer;
use crate::api::extract::present;

/// A text that is not shown. Overwritten when dropped.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String)]
pub struct SecretText(String);

impl Drop for SecretText {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl SecretText {
    /// Takes the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// How media are encrypted: `cbcs` and `cenc` for CMAF segments, `aes-128` and `sample-aes` for transport streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// Common encryption in CBC mode over a pattern of blocks.
    Cbcs,
    /// Common encryption in counter mode.
    Cenc,
    /// Whole segments.
    #[serde(rename = "aes-128")]
    Aes128,
    /// Samples of transport streams.
    SampleAes,
}

impl From<Scheme> for config::Scheme {
    fn from(scheme: Scheme) -> Self {
        match scheme {
            Scheme::Cbcs => Self::Cbcs,
            Scheme::Cenc => Self::Cenc,
            Scheme::Aes128 => Self::Aes128,
            Scheme::SampleAes => Self::SampleAes,
        }
    }
}

/// A DRM system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum System {
    /// Google Widevine.
    Widevine,
    /// Microsoft PlayReady.
    Playready,
    /// Apple FairPlay Streaming.
    Fairplay,
    /// Clear Key of the W3C.
    Clearkey,
}

impl From<System> for config::System {
    fn from(system: System) -> Self {
        match system {
            System::Widevine => Self::Widevine,
            System::Playready => Self::Playready,
            System::Fairplay => Self::Fairplay,
            System::Clearkey => Self::ClearKey,
        }
    }
}

/// What players are told of licence servers, by system.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LicenceUrls {
    /// For Widevine, in DASH.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 512, nullable = false)]
    pub widevine: Option<String>,
    /// For PlayReady: `LA_URL` of its header, and in DASH.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 512, nullable = false)]
    pub playready: Option<String>,
    /// For FairPlay: the `skd://` URI of the key, in which `{kid}` stands for its id.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 512, nullable = false)]
    pub fairplay: Option<String>,
    /// For Clear Key; by default the control plane's own with `key_delivery`.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 512, nullable = false)]
    pub clearkey: Option<String>,
    /// Where the key itself is, of aes-128, of sample-aes without FairPlay, and of Clear Key in HLS; `{kid}` stands for its
    /// id. By default the control plane's own with `key_delivery`.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 512, nullable = false)]
    pub key: Option<String>,
}

/// Which tracks a key protects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum UsageMedia {
    /// Everything.
    #[default]
    All,
    /// Video.
    Video,
    /// Audio.
    Audio,
}

/// Which tracks a key protects. Bounds are inclusive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// Kind of tracks.
    #[serde(default)]
    pub media: UsageMedia,
    /// Of video: least width times height.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub min_pixels: Option<u64>,
    /// Of video: most width times height.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub max_pixels: Option<u64>,
    /// Of audio: least channels.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub min_channels: Option<u32>,
    /// Of audio: most channels.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub max_channels: Option<u32>,
}

impl From<Usage> for config::KeyUse {
    fn from(usage: Usage) -> Self {
        let Usage { media, min_pixels, max_pixels, min_channels, max_channels } = usage;
        match media {
            UsageMedia::All => Self::All,
            UsageMedia::Video => Self::Video { min_pixels, max_pixels },
            UsageMedia::Audio => Self::Audio { min_channels, max_channels },
        }
    }
}

/// A key that the operator chose.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StaticKey {
    /// Its id, a UUID; by default one that is made from the key and does not tell it.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}$", nullable = false)]
    pub kid: Option<String>,
    /// The key, 32 hexadecimal digits. It is never shown again.
    #[schema(value_type = String, pattern = "^[0-9a-fA-F]{32}$", write_only)]
    pub key: SecretText,
    /// Its initialisation vector, 32 hexadecimal digits; not with cenc.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-9a-fA-F]{32}$", nullable = false)]
    pub iv: Option<String>,
    /// Which tracks it protects; by default all.
    #[serde(default)]
    pub usage: Usage,
}

/// Who is given keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// Everybody.
    Open,
    /// Who has a token.
    Restricted,
}

/// How tokens are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum TokenAlgorithm {
    /// HMAC with SHA-256.
    #[serde(rename = "HS256")]
    Hs256,
    /// RSA with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
}

/// A key that tokens are checked with.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenKey {
    /// The one algorithm that tokens under this key may have.
    pub algorithm: TokenAlgorithm,
    /// Of HS256: the secret, 32 to 512 characters. It is never shown again.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, min_length = 32, max_length = 512, write_only, nullable = false)]
    pub secret: Option<SecretText>,
    /// Of RS256: the public key in PEM, RSA of 2048 bits or more.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 8192, nullable = false)]
    pub public_key: Option<String>,
}

/// Delivery of clear keys by the control plane: AES-128 keys and Clear Key licences.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyDelivery {
    /// Who is given keys.
    pub policy: Policy,
    /// What tokens are checked with; needed when restricted, and only then.
    #[serde(default)]
    #[schema(max_items = 8)]
    pub tokens: Vec<TokenKey>,
    /// The claim `iss` that tokens must have.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 256, nullable = false)]
    pub issuer: Option<String>,
    /// The claim `aud` that tokens must have.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 256, nullable = false)]
    pub audience: Option<String>,
}

/// How a configuration protects its output. Keys come from a key server or are static.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Protection {
    /// How media are encrypted.
    pub scheme: Scheme,
    /// The systems that players are told of: up to three with package type CMAF and two with DASH; none with aes-128, at most
    /// FairPlay with sample-aes.
    #[serde(default)]
    #[schema(max_items = 3)]
    pub systems: Vec<System>,
    /// The key server that is asked for the keys of each asset. Either this or `static_keys`.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub key_server: Option<KeyServer>,
    /// Keys of the operator, the same for all assets. Either this or `key_server`.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(min_items = 1, max_items = 16, nullable = false)]
    pub static_keys: Option<Vec<StaticKey>>,
    /// The initialisation vector of everything, 32 hexadecimal digits; by default made from the key. Not with cenc.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-9a-fA-F]{32}$", nullable = false)]
    pub constant_iv: Option<String>,
    /// How many segments at the start of a title stay in the clear.
    #[serde(default)]
    #[schema(maximum = 60, default = 0)]
    pub clear_lead_segments: u32,
    /// Whether init segments carry `pssh` boxes too, and not only manifests.
    #[serde(default)]
    #[schema(default = false)]
    pub pssh_in_moov: bool,
    /// Whether segments leave out the sample groups that name their key where keys change in a title.
    #[serde(default)]
    #[schema(default = false)]
    pub no_key_sample_groups: bool,
    /// What players are told of licence servers.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub licence_urls: Option<LicenceUrls>,
    /// Delivery of clear keys by the control plane; without it there is none.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub key_delivery: Option<KeyDelivery>,
}

impl Protection {
    /// The part of it that shows in the output.
    pub fn output(&self) -> config::Protection {
        config::Protection {
            scheme: self.scheme.into(),
            systems: self.systems.iter().copied().map(config::System::from).collect(),
            clear_lead_segments: self.clear_lead_segments,
            pssh_in_moov: self.pssh_in_moov,
            no_key_sample_groups: self.no_key_sample_groups,
        }
    }
}

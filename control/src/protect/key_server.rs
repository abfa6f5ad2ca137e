//! The key server of a configuration: its field, and what is asked of it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keys::acquire::{self, FieldError, HlsSignalling, KeyServerFields, Manifests, Request};
use keys::contract::{AudioPreset, Contract, Presets, VideoPreset};
use keys::speke::Client;
use keys::system::Version;
use packager::config::{Iv, KeyUse, Kid, PackageType};
use packager::sealing::ContentKey;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::key_set::{KeySet, StoredKey, Told};
use super::settings::{Protection, Scheme, SecretText, System};
use crate::api::extract::present;

/// The field `contract` in the OpenAPI document.
#[derive(ToSchema)]
#[schema(title = "Contract")]
#[serde(untagged)]
#[allow(dead_code, reason = "describes the type of another crate")]
pub enum ContractField {
    /// One key for everything.
    Shared(SharedField),
    /// Keys by class of tracks.
    PerClass(PresetsField),
}

/// One key for everything.
#[derive(ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(dead_code, reason = "describes the type of another crate")]
pub enum SharedField {
    /// The word itself.
    Shared,
}

/// Presets of the SPEKE v2 encryption contract.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "describes the type of another crate")]
pub struct PresetsField {
    /// `VIDEO-1` to `VIDEO-8`, or `UNENCRYPTED`.
    #[schema(pattern = "^(VIDEO-[1-8]|UNENCRYPTED)$")]
    video: String,
    /// `AUDIO-1` to `AUDIO-3`, or `UNENCRYPTED`.
    #[schema(pattern = "^(AUDIO-[1-3]|UNENCRYPTED)$")]
    audio: String,
}

/// A key server: SPEKE over CPIX.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = KeyServer)]
pub struct KeyServer {
    /// The provider URL: `{token}` in its path or query stands for a token, and headers may follow it as `-H "{key:value}"`.
    /// Users, values of queries and headers are never shown again.
    #[schema(value_type = String, min_length = 1, max_length = 512, example = "https://keys.example.com/speke/v2.0/copyProtection")]
    pub url: SecretText,
    /// Version of SPEKE.
    #[schema(value_type = String, pattern = "^(1\\.0|2\\.0|2\\.1)$")]
    pub version: Version,
    /// Which keys a title has: by default one key with version 1.0, which knows no other contract, and one each for video and
    /// audio with the others.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = ContractField, nullable = false)]
    pub contract: Option<Contract>,
    /// What stands in for each `{token}` of the URL; never shown again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, String>, write_only)]
    pub tokens: BTreeMap<String, SecretText>,
    /// User of Basic authentication.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 256, nullable = false)]
    pub user: Option<String>,
    /// Password of Basic authentication; never shown again.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, max_length = 256, write_only, nullable = false)]
    pub password: Option<SecretText>,
    /// X.509 certificate in PEM that content keys are to be encrypted to (RSA of 2048 bits or more).
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 16384, nullable = false)]
    pub certificate: Option<String>,
    /// Its private key, PKCS#8 in PEM; never shown again.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, max_length = 16384, write_only, nullable = false)]
    pub private_key: Option<SecretText>,
}

/// A key server, without anything secret.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct KeyServerView {
    /// The URL without user, password, values of tokens and of query parameters, and headers.
    pub url: String,
    /// Version of SPEKE.
    #[schema(value_type = String)]
    pub version: Version,
    /// Which keys a title has.
    #[schema(value_type = ContractField)]
    pub contract: Contract,
    /// Names of tokens.
    pub tokens: Vec<String>,
    /// User of Basic authentication.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub user: Option<String>,
    /// Always `null`: passwords are never shown.
    pub password: Option<String>,
    /// The certificate that content keys are encrypted to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub certificate: Option<String>,
    /// Always `null`: private keys are never shown.
    pub private_key: Option<String>,
}

impl KeyServer {
    /// The server, with everything checked.
    ///
    /// # Errors
    /// The field below this one that cannot be used.
    pub fn checked(&self) -> Result<acquire::KeyServer, FieldError> {
        let text = |secret: &Option<SecretText>| secret.as_ref().map(|secret| secret.reveal().to_owned());
        let fields = KeyServerFields {
            url: self.url.reveal().to_owned(),
            version: self.version,
            contract: self.contract,
            tokens: self.tokens.iter().map(|(name, token)| (name.clone(), token.reveal().to_owned())).collect(),
            user: self.user.clone(),
            password: text(&self.password),
            certificate: self.certificate.clone(),
            private_key: text(&self.private_key),
        };
        acquire::KeyServer::try_from(fields)
    }

    /// What may be shown of it; `None` for one that was not checked and cannot be used.
    pub fn view(&self) -> Option<KeyServerView> {
        let shown = self.checked().ok()?.shown();
        let acquire::Shown { url, version, contract, tokens, user, certificate } = shown;
        Some(KeyServerView { url, version, contract, tokens, user, password: None, certificate, private_key: None })
    }
}

/// What is asked of a key server for one asset.
pub struct Asking<'a> {
    /// What reaches it.
    pub client: &'a Client,
    /// The key server.
    pub server: &'a KeyServer,
    /// The protection that it belongs to.
    pub protection: &'a Protection,
    /// The output that keys are for.
    pub package_type: PackageType,
    /// The content.
    pub content_id: &'a str,
}

impl Asking<'_> {
    /// The keys.
    ///
    /// # Errors
    /// Why they cannot be had, for people; nothing of it is secret.
    pub async fn keys(&self) -> Result<KeySet, String> {
        let protection = self.protection;
        let server = self.server.checked().map_err(|error| format!("key_server: {error}"))?;
        let constant = protection.constant_iv.clone().map(Iv::try_from).transpose()?;
        let request = Request {
            content_id: self.content_id.to_owned(),
            scheme: scheme(protection.scheme),
            systems: systems(protection),
            manifests: Manifests {
                dash: self.package_type == PackageType::Dash,
                hls: self.package_type != PackageType::Dash,
                smooth: false,
            },
            explicit_iv: constant.map(|iv| iv.0),
            periods: Vec::new(),
        };
        let acquired = acquire::acquire(self.client, &server, &request).await.map_err(|error| error.to_string())?;
        let scheme = protection.scheme.into();
        let stored = |key: acquire::AcquiredKey| {
            let iv = match protection.scheme {
                Scheme::Cenc => None,
                _ => key.explicit_iv.map(Iv).or(constant),
            };
            let secret = ContentKey::new(*key.key.reveal());
            let mut stored = StoredKey::new(scheme, Kid(key.kid.0), &secret, usage(key.key_use), iv);
            // Where the control plane hands out keys itself, players are sent to it.
            let ours = |system: &acquire::Signalling| {
                use keys::system::System::{Aes128, ClearKey, SampleAes};
                protection.key_delivery.is_some() && matches!(system.system, Aes128 | SampleAes | ClearKey)
            };
            stored.told = key.systems.into_iter().filter(|system| !ours(system)).map(told).collect();
            stored
        };
        let (clear_video, clear_audio) = match server.contract {
            Contract::Shared(_) => (false, false),
            Contract::PerClass(Presets { video, audio }) => {
                (video == VideoPreset::Unencrypted, audio == AudioPreset::Unencrypted)
            }
        };
        Ok(KeySet { scheme, keys: acquired.keys.into_iter().map(stored).collect(), clear_video, clear_audio })
    }
}

fn scheme(scheme: Scheme) -> keys::scheme::Scheme {
    match scheme {
        Scheme::Cbcs => keys::scheme::Scheme::Cbcs,
        Scheme::Cenc => keys::scheme::Scheme::Cenc,
        Scheme::Aes128 => keys::scheme::Scheme::Aes128,
        Scheme::SampleAes => keys::scheme::Scheme::SampleAes,
    }
}

fn systems(protection: &Protection) -> Vec<keys::system::System> {
    use keys::system::System as Asked;
    if protection.systems.is_empty() {
        return vec![if protection.scheme == Scheme::Aes128 { Asked::Aes128 } else { Asked::SampleAes }];
    }
    let asked = |system: &System| match system {
        System::Widevine => Asked::Widevine,
        System::Playready => Asked::PlayReady,
        System::Fairplay => Asked::FairPlay,
        System::Clearkey => Asked::ClearKey,
    };
    protection.systems.iter().map(asked).collect()
}

fn usage(usage: keys::contract::KeyUse) -> KeyUse {
    use keys::contract::KeyUse as Theirs;
    match usage {
        Theirs::All => KeyUse::All,
        Theirs::Video { min_pixels, max_pixels } => KeyUse::Video { min_pixels, max_pixels },
        Theirs::Audio { min_channels, max_channels } => KeyUse::Audio { min_channels, max_channels },
    }
}

fn told(system: acquire::Signalling) -> Told {
    use keys::system::System as Theirs;
    let (hls, hls_session, uri) = match system.hls {
        None => (None, None, None),
        Some(HlsSignalling::Lines { media, multivariant }) => {
            (media.into_iter().next(), multivariant.into_iter().next(), None)
        }
        Some(HlsSignalling::Attributes { uri, .. }) => (None, None, Some(uri)),
    };
    Told {
        system: match system.system {
            Theirs::Widevine => Some(System::Widevine),
            Theirs::PlayReady => Some(System::Playready),
            Theirs::FairPlay => Some(System::Fairplay),
            Theirs::ClearKey => Some(System::Clearkey),
            Theirs::Aes128 | Theirs::SampleAes => None,
        },
        pssh: system.pssh.map(|bytes| STANDARD.encode(bytes)),
        playready: system.protection_header.map(|bytes| STANDARD.encode(bytes)),
        uri,
        hls,
        hls_session,
        dash: system.content_protection,
    }
}

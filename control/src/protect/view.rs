//! The protection of a configuration as it is shown: without anything secret.

use packager::config;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::key_server::{KeyServer, KeyServerView};
use super::settings::{KeyDelivery, LicenceUrls, Policy, Protection, Scheme, System, TokenAlgorithm, Usage};
use super::static_keys;

/// A static key, without the key.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct StaticKeyView {
    /// Its id.
    pub kid: String,
    /// Always `null`: keys are never shown.
    pub key: Option<String>,
    /// Its own initialisation vector.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub iv: Option<String>,
    /// Which tracks it protects.
    pub usage: Usage,
}

/// A key that tokens are checked with, without its secret.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct TokenKeyView {
    /// How tokens are signed.
    pub algorithm: TokenAlgorithm,
    /// Always `null`: secrets are never shown.
    pub secret: Option<String>,
    /// Of RS256: the public key in PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub public_key: Option<String>,
}

/// Delivery of clear keys, without secrets.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct KeyDeliveryView {
    /// Who is given keys.
    pub policy: Policy,
    /// What tokens are checked with.
    pub tokens: Vec<TokenKeyView>,
    /// The claim `iss` that tokens must have.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub issuer: Option<String>,
    /// The claim `aud` that tokens must have.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub audience: Option<String>,
}

/// How a configuration protects its output, without anything secret.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct ProtectionView {
    /// How media are encrypted.
    pub scheme: Scheme,
    /// The systems that players are told of.
    pub systems: Vec<System>,
    /// The key server.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub key_server: Option<KeyServerView>,
    /// Keys of the operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub static_keys: Option<Vec<StaticKeyView>>,
    /// The initialisation vector of everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub constant_iv: Option<String>,
    /// How many segments at the start of a title stay in the clear.
    pub clear_lead_segments: u32,
    /// Whether init segments carry `pssh` boxes too.
    pub pssh_in_moov: bool,
    /// Whether segments leave out the sample groups that name their key.
    pub no_key_sample_groups: bool,
    /// What players are told of licence servers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub licence_urls: Option<LicenceUrls>,
    /// Delivery of clear keys by the control plane.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub key_delivery: Option<KeyDeliveryView>,
}

impl From<&KeyDelivery> for KeyDeliveryView {
    fn from(delivery: &KeyDelivery) -> Self {
        let token = |token: &super::settings::TokenKey| TokenKeyView {
            algorithm: token.algorithm,
            secret: None,
            public_key: token.public_key.clone(),
        };
        Self {
            policy: delivery.policy,
            tokens: delivery.tokens.iter().map(token).collect(),
            issuer: delivery.issuer.clone(),
            audience: delivery.audience.clone(),
        }
    }
}

impl From<&Protection> for ProtectionView {
    fn from(protection: &Protection) -> Self {
        let key = |key: &super::settings::StaticKey| StaticKeyView {
            kid: static_keys::kid(key).map_or_else(|_| String::new(), |kid| kid.to_string()),
            key: None,
            iv: key.iv.clone(),
            usage: key.usage,
        };
        Self {
            scheme: protection.scheme,
            systems: protection.systems.clone(),
            key_server: protection.key_server.as_ref().and_then(KeyServer::view),
            static_keys: protection.static_keys.as_ref().map(|keys| keys.iter().map(key).collect()),
            constant_iv: protection.constant_iv.clone(),
            clear_lead_segments: protection.clear_lead_segments,
            pssh_in_moov: protection.pssh_in_moov,
            no_key_sample_groups: protection.no_key_sample_groups,
            licence_urls: protection.licence_urls.clone(),
            key_delivery: protection.key_delivery.as_ref().map(KeyDeliveryView::from),
        }
    }
}

impl ProtectionView {
    /// Reads what the database holds.
    ///
    /// # Errors
    /// When it holds something else.
    pub fn from_json(json: &str) -> sqlx::Result<Self> {
        serde_json::from_str(json).map_err(|e| sqlx::Error::Decode(format!("protection: {e}").into()))
    }

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

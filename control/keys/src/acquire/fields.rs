//! The field `key_server` of a packaging configuration.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::server::KeyServer;
use crate::contract::Contract;
use crate::secret::Secret;
use crate::system::Version;

/// A field that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct FieldError {
    /// Path of the field below `key_server`, parts divided by `/`.
    pub field: String,
    /// What to do. Secrets are not repeated.
    pub reason: String,
}

/// A key server in JSON. What is written from it holds secrets: it is for sealing, never for an answer; for those there is
/// [`shown`](Self::shown).
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyServerFields {
    /// The provider URL: at most 512 characters, with `{token}` in its path or query, and trailing `-H "{key:value}"`.
    pub url: String,
    /// `1.0`, `2.0` or `2.1`.
    pub version: Version,
    /// Which keys a title has; by default one key with version 1.0, which knows no other contract, and one each for video and
    /// audio with the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<Contract>,
    /// What stands in for each `{token}` of the URL.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tokens: BTreeMap<String, String>,
    /// User of Basic authentication, with `password`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Password of Basic authentication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// X.509 certificate in PEM that content keys are to be encrypted to (RSA of 2048 bits or more), with `private_key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// Its private key: PKCS#8 in PEM, not encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key: Option<String>,
}

impl KeyServerFields {
    /// The fields of a key server that was checked before.
    pub fn of(server: &KeyServer) -> Self {
        let secret = |secret: &Secret| secret.reveal().to_owned();
        Self {
            url: secret(&server.url),
            version: server.version,
            contract: Some(server.contract),
            tokens: server.tokens.iter().map(|(name, token)| (name.clone(), secret(token))).collect(),
            user: server.basic.as_ref().map(|basic| basic.user.clone()),
            password: server.basic.as_ref().map(|basic| secret(&basic.password)),
            certificate: server.encryption.as_ref().map(|encryption| encryption.certificate.clone()),
            private_key: server.encryption.as_ref().map(|encryption| secret(&encryption.private_key)),
        }
    }
}

//! The field `key_server` of a packaging configuration.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::server::{BasicAuth, KeyEncryption, KeyServer};
use crate::contract::Contract;
use crate::encrypted::{self, Recipient};
use crate::limits;
use crate::secret::Secret;
use crate::speke::{UrlError, is_token_name};
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

impl FieldError {
    fn new(field: impl Into<String>, reason: impl ToString) -> Self {
        Self { field: field.into(), reason: reason.to_string() }
    }
}

/// A key server in JSON. What is written from it holds secrets: it is for sealing, never for an answer; for those there is
/// [`shown`](KeyServer::shown).
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

impl From<&KeyServer> for KeyServerFields {
    fn from(server: &KeyServer) -> Self {
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

impl TryFrom<KeyServerFields> for KeyServer {
    type Error = FieldError;

    fn try_from(fields: KeyServerFields) -> Result<Self, FieldError> {
        let version = fields.version;
        let server = Self {
            url: Secret::new(fields.url),
            version,
            contract: fields.contract.unwrap_or(match version {
                Version::V1_0 => Contract::SHARED,
                Version::V2_0 | Version::V2_1 => Contract::SEPARATE,
            }),
            tokens: fields.tokens.into_iter().map(|(name, token)| (name, Secret::new(token))).collect(),
            basic: basic(fields.user, fields.password)?,
            encryption: encryption(fields.certificate, fields.private_key)?,
        };
        if version == Version::V1_0 && server.contract != Contract::SHARED {
            return Err(FieldError::new(
                "contract",
                "version 1.0 has one key for all tracks: leave it out or use SHARED",
            ));
        }
        if server.contract.classes().is_empty() {
            return Err(FieldError::new("contract", "at least one of video and audio has to be encrypted"));
        }
        if server.tokens.len() > limits::MAX_TOKENS {
            return Err(FieldError::new("tokens", format!("use at most {}", limits::MAX_TOKENS)));
        }
        for (name, token) in &server.tokens {
            if !is_token_name(name) {
                return Err(FieldError::new("tokens", "name a token with 1 to 64 of A-Z a-z 0-9 _ -"));
            }
            if !(1..=limits::MAX_TOKEN_BYTES).contains(&token.reveal().len()) {
                let reason = format!("use 1 to {} bytes", limits::MAX_TOKEN_BYTES);
                return Err(FieldError::new(format!("tokens/{name}"), reason));
            }
        }
        server.endpoint().map_err(|error| {
            let field = match &error {
                UrlError::Token(name) => format!("tokens/{name}"),
                _ => "url".into(),
            };
            FieldError::new(field, error)
        })?;
        Ok(server)
    }
}

fn basic(user: Option<String>, password: Option<String>) -> Result<Option<BasicAuth>, FieldError> {
    let (user, password) = match (user, password) {
        (None, None) => return Ok(None),
        (Some(user), password) => (user, password.unwrap_or_default()),
        (None, Some(_)) => return Err(FieldError::new("user", "a password needs a user")),
    };
    let long = |text: &str| text.len() > limits::MAX_CREDENTIAL_BYTES || text.chars().any(char::is_control);
    if user.is_empty() || long(&user) || user.contains(':') {
        return Err(FieldError::new("user", "use 1 to 256 bytes without colons and control characters"));
    }
    if long(&password) {
        return Err(FieldError::new("password", "use at most 256 bytes without control characters"));
    }
    Ok(Some(BasicAuth { user, password: Secret::new(password) }))
}

fn encryption(certificate: Option<String>, private_key: Option<String>) -> Result<Option<KeyEncryption>, FieldError> {
    let encryption = match (certificate, private_key) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => KeyEncryption { certificate, private_key: Secret::new(key) },
        (Some(_), None) => return Err(FieldError::new("private_key", "a certificate needs its private key")),
        (None, Some(_)) => return Err(FieldError::new("certificate", "a private key needs its certificate")),
    };
    Recipient::new(&encryption.certificate, &encryption.private_key).map_err(|error| {
        let field = match error {
            encrypted::Error::PrivateKey => "private_key",
            _ => "certificate",
        };
        FieldError::new(field, error)
    })?;
    Ok(Some(encryption))
}

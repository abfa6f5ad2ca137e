//! A key server, as an operator configures it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::contract::Contract;
use crate::secret::Secret;
use crate::speke::{Endpoint, UrlError};
use crate::system::Version;

/// A key server. It is made from [`KeyServerFields`](super::KeyServerFields), which check it. It holds secrets, also in its
/// URL, and so has no `Debug`.
#[derive(Clone)]
pub struct KeyServer {
    /// The provider URL with its tokens and headers, at most
    /// [`MAX_URL_CHARACTERS`](crate::limits::MAX_URL_CHARACTERS) characters.
    pub url: Secret,
    /// The protocol.
    pub version: Version,
    /// Which keys a title has.
    pub contract: Contract,
    /// What stands in for `{name}` in the URL.
    pub tokens: BTreeMap<String, Secret>,
    /// Basic authentication; `None` when the URL has it or there is none.
    pub basic: Option<BasicAuth>,
    /// How content keys are encrypted on their way to us; `None`: by TLS alone.
    pub encryption: Option<KeyEncryption>,
}

/// A user of Basic authentication.
#[derive(Clone)]
pub struct BasicAuth {
    /// Without a colon.
    pub user: String,
    /// The password.
    pub password: Secret,
}

/// The RSA key pair that content keys are encrypted to.
#[derive(Clone)]
pub struct KeyEncryption {
    /// The X.509 certificate in PEM.
    pub certificate: String,
    /// The private key, PKCS#8 in PEM.
    pub private_key: Secret,
}

impl KeyServer {
    /// Where requests go.
    ///
    /// # Errors
    /// When the URL cannot be used; one that came from [`KeyServerFields`](super::KeyServerFields) can.
    pub fn endpoint(&self) -> Result<Endpoint, UrlError> {
        let basic = self.basic.as_ref().map(|basic| (basic.user.as_str(), &basic.password));
        Endpoint::new(self.url.reveal(), &self.tokens, basic)
    }

    /// What may be shown of it in an answer of the REST interface.
    pub fn shown(&self) -> Shown {
        Shown {
            url: self.endpoint().map(|endpoint| endpoint.shown().to_owned()).unwrap_or_default(),
            version: self.version,
            contract: self.contract,
            tokens: self.tokens.keys().cloned().collect(),
            user: self.basic.as_ref().map(|basic| basic.user.clone()),
            certificate: self.encryption.as_ref().map(|encryption| encryption.certificate.clone()),
        }
    }
}

/// A key server without its secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// The URL without user, password, values of tokens and of query parameters, and headers.
    pub url: String,
    /// The protocol.
    pub version: Version,
    /// Which keys a title has.
    pub contract: Contract,
    /// Names of tokens.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<String>,
    /// User of Basic authentication.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
}

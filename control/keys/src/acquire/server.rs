//! A key server, as an operator configures it.

use std::collections::BTreeMap;

use crate::contract::Contract;
use crate::secret::Secret;
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

//! What players are told about a key: what the key server told, and for the rest what is made here.

use packager::config::{self, Scheme, Signalling};

use super::key_set::{Names, StoredKey};
use super::view::ProtectionView;

/// What signalling is made from, beside the key.
#[derive(Clone, Copy)]
pub struct Maker<'a> {
    /// Base URL of key delivery, without a slash at the end.
    pub keys_url: &'a str,
    /// The names of what the key is for.
    pub names: Names<'a>,
    /// What the configuration says.
    pub view: &'a ProtectionView,
    /// The scheme of the keys.
    pub scheme: Scheme,
}

impl Maker<'_> {
    /// The URL at which the control plane gives out a key as it is.
    pub fn key_url(&self, key: &StoredKey) -> String {
        let Names { packaging_group, asset, configuration } = self.names;
        format!("{}/keys/v1/aes-128/{packaging_group}/{asset}/{configuration}/{}", self.keys_url, key.kid)
    }

    /// The URL at which the control plane gives out Clear Key licences.
    pub fn licence_url(&self) -> String {
        let Names { packaging_group, asset, configuration } = self.names;
        format!("{}/keys/v1/clearkey/{packaging_group}/{asset}/{configuration}", self.keys_url)
    }

    /// What players are told about a key, one entry for each system.
    pub fn signalling(&self, key: &StoredKey) -> Vec<Signalling> {
        let identity = self.view.systems.is_empty().then(|| {
            let method = if self.scheme == Scheme::Aes128 { "AES-128" } else { "SAMPLE-AES" };
            let iv = key.iv.map_or_else(String::new, |iv| format!(",IV=0x{iv}"));
            let attributes = format!("METHOD={method},URI=\"{}\"{iv}", self.key_url(key));
            Signalling {
                hls: Some(format!("#EXT-X-KEY:{attributes}")),
                hls_session: Some(format!("#EXT-X-SESSION-KEY:{attributes}")),
                ..Signalling::default()
            }
        });
        let systems = self
            .view
            .systems
            .iter()
            .map(|system| Signalling { system: Some(config::System::from(*system)), ..Signalling::default() });
        identity.into_iter().chain(systems).collect()
    }
}

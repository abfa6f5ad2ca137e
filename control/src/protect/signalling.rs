//! What players are told about a key: what the key server told, and for the rest what is made here.

use packager::config::{self, KeysOf, Scheme, Signalling};
use packager::drm::{Returned, Subject, Urls, merge};

use super::key_set::StoredKey;
use super::target::Target;
use super::view::ProtectionView;

/// What signalling is made from, beside the key.
#[derive(Clone, Copy)]
pub struct Maker<'a> {
    /// Base URL of key delivery, without a slash at the end.
    pub keys_url: &'a str,
    /// What the key is for.
    pub target: &'a Target,
    /// What is said of its protection.
    pub view: &'a ProtectionView,
    /// The scheme of the keys.
    pub scheme: Scheme,
}

impl Maker<'_> {
    /// Where licences of a key and the key itself are.
    fn urls(&self, key: &StoredKey) -> Urls {
        let given = self.view.licence_urls.clone().unwrap_or_default();
        let kid = key.kid.to_string();
        let own = |path: &str, end: &str| {
            self.view.key_delivery.as_ref()?;
            let place = match &self.target.of {
                KeysOf::Asset { packaging_group, asset, configuration } => {
                    format!("{path}/{packaging_group}/{asset}/{configuration}")
                }
                KeysOf::Endpoint { channel_group, channel, endpoint } => {
                    format!("live/{path}/{channel_group}/{channel}/{endpoint}")
                }
            };
            Some(format!("{}/keys/v1/{place}{end}", self.keys_url))
        };
        let with_kid = |url: String| url.replace("{kid}", &kid);
        Urls {
            key: given.key.map(with_kid).or_else(|| own("aes-128", &format!("/{kid}"))),
            clear_key: given.clearkey.or_else(|| own("clearkey", "")),
            widevine: given.widevine,
            playready: given.playready,
            fairplay: given.fairplay.map(with_kid),
        }
    }

    /// What players are told about a key, one entry for each system.
    ///
    /// # Errors
    /// What cannot stand in a manifest, for people.
    pub fn signalling(&self, key: &StoredKey) -> Result<Vec<Signalling>, String> {
        let urls = self.urls(key);
        let secret = key.secret().map_err(|error| error.to_string())?;
        let systems: Vec<config::System> = self.view.systems.iter().copied().map(config::System::from).collect();
        let subject = Subject {
            kid: key.kid,
            iv: key.iv,
            key: Some(&secret),
            scheme: self.scheme,
            package_type: self.target.package_type,
            systems: &systems,
            urls: &urls,
            content_id: &self.target.content_id,
        };
        let returned: Vec<Returned> = key.told.iter().cloned().map(Returned::from).collect();
        merge(&subject, &returned).map_err(|error| error.message().to_owned())
    }
}

//! Where the keys of an asset come from.

use super::key_server::Asking;
use super::key_set::{KeySet, Names};
use super::settings::Protection;
use super::signalling::Maker;
use super::static_keys;
use super::view::ProtectionView;
use crate::context::Context;
use crate::db::assets::Asset;
use crate::db::configurations::Configuration;
use crate::push::documents::package_type;
use crate::vault::Purpose;

/// Where the keys of assets under a configuration, as it is now, come from.
pub struct Source<'a> {
    context: &'a Context,
    configuration: &'a Configuration,
    protection: Protection,
}

impl<'a> Source<'a> {
    /// Opens what a configuration says of its protection. `None` when it has none.
    ///
    /// # Errors
    /// When there is no vault or the secrets of the configuration do not open.
    pub fn open(context: &'a Context, configuration: &'a Configuration) -> anyhow::Result<Option<Self>> {
        let protection = protection(context, configuration)?;
        Ok(protection.map(|protection| Self { context, configuration, protection }))
    }

    /// The keys of an asset, with which signalling can be made.
    ///
    /// # Errors
    /// Why they cannot be had, for people; nothing of it is secret.
    pub async fn keys(&self, asset: &Asset) -> Result<KeySet, String> {
        let Some(content_id) = &asset.content_id else {
            return Err("the asset has no content_id, which content protection needs".to_owned());
        };
        let package_type = package_type(&self.configuration.package_type).map_err(|error| error.to_string())?;
        let protection = &self.protection;
        let keys = match (&protection.key_server, &protection.static_keys) {
            (Some(server), _) => {
                let client = &self.context.key_client;
                Asking { client, server, protection, package_type, content_id }.keys().await?
            }
            (None, Some(keys)) => static_keys::key_set(protection, keys)?,
            (None, None) => return Err("the configuration names no key server and no static keys".to_owned()),
        };
        let maker = Maker {
            keys_url: &self.context.keys_url,
            names: Names {
                packaging_group: &asset.packaging_group,
                asset: &asset.name,
                configuration: &self.configuration.name,
            },
            content_id,
            package_type,
            view: &ProtectionView::from(protection),
            scheme: keys.scheme,
        };
        keys.keys.iter().try_for_each(|key| maker.signalling(key).map(drop))?;
        Ok(keys)
    }
}

/// What a configuration says of its protection, secrets included. `None` when it has none.
///
/// # Errors
/// When there is no vault or what is stored does not open.
pub fn protection(context: &Context, configuration: &Configuration) -> anyhow::Result<Option<Protection>> {
    let Some(sealed) = &configuration.protection_sealed else { return Ok(None) };
    let vault = context.vault.as_ref().ok_or_else(|| anyhow::anyhow!("there is no master key"))?;
    let json = vault.open_secret(Purpose::Protection(configuration.id), sealed)?;
    // The error of JSON could repeat what it reads.
    let protection = serde_json::from_slice(&json).map_err(|_| anyhow::anyhow!("stored protection cannot be read"));
    protection.map(Some)
}

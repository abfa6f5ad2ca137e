//! Where the keys of an asset come from.

use super::key_set::KeySet;
use super::settings::Protection;
use super::static_keys;
use crate::context::Context;
use crate::db::assets::Asset;
use crate::db::configurations::Configuration;
use crate::vault::Purpose;

/// Keys are asked for a configuration as it is now.
pub struct Source {
    protection: Protection,
}

impl Source {
    /// Opens what a configuration says of its protection. `None` when it has none.
    ///
    /// # Errors
    /// When there is no vault or the secrets of the configuration do not open.
    pub fn open(context: &Context, configuration: &Configuration) -> anyhow::Result<Option<Self>> {
        let protection = protection(context, configuration)?;
        Ok(protection.map(|protection| Self { protection }))
    }

    /// The keys of an asset.
    ///
    /// # Errors
    /// Why they cannot be had, for people; nothing of it is secret.
    pub async fn keys(&self, asset: &Asset) -> Result<KeySet, String> {
        if asset.content_id.is_none() {
            return Err("the asset has no content_id, which content protection needs".to_owned());
        }
        match &self.protection.static_keys {
            Some(keys) => static_keys::key_set(&self.protection, keys),
            None => Err("the configuration names no key server and no static keys".to_owned()),
        }
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

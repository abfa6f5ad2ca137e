//! Where content keys come from.

use super::key_server::Asking;
use super::key_set::KeySet;
use super::settings::Protection;
use super::signalling::Maker;
use super::static_keys;
use super::target::{Stored, Target};
use super::view::ProtectionView;
use crate::context::Context;

/// Where keys come from under a protection, as it is now.
pub struct Source<'a> {
    context: &'a Context,
    protection: Protection,
}

impl<'a> Source<'a> {
    /// Opens what is stored of a protection. `None` when there is none.
    ///
    /// # Errors
    /// When there is no vault or its secrets do not open.
    pub fn open(context: &'a Context, stored: Stored<'_>) -> anyhow::Result<Option<Self>> {
        Ok(stored.settings(context)?.map(|protection| Self { context, protection }))
    }

    /// The keys of an output, with which signalling can be made.
    ///
    /// # Errors
    /// Why they cannot be had, for people; nothing of it is secret.
    pub async fn keys(&self, target: &Target) -> Result<KeySet, String> {
        if target.content_id.is_empty() {
            return Err("there is no content_id, which content protection needs".to_owned());
        }
        let protection = &self.protection;
        let keys = match (&protection.key_server, &protection.static_keys) {
            (Some(server), _) => {
                let Target { content_id, package_type, .. } = target;
                let client = &self.context.key_client;
                Asking { client, server, protection, package_type: *package_type, content_id }.keys().await?
            }
            (None, Some(keys)) => static_keys::key_set(protection, keys)?,
            (None, None) => return Err("the protection names no key server and no static keys".to_owned()),
        };
        let view = ProtectionView::from(protection);
        let maker = Maker { keys_url: &self.context.keys_url, target, view: &view, scheme: keys.scheme };
        keys.keys.iter().try_for_each(|key| maker.signalling(key).map(drop))?;
        Ok(keys)
    }
}

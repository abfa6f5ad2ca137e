//! What content keys are wanted for, and what is stored of the protection that wants them. Whether that is of a packaging
//! configuration or of a live endpoint makes no difference beyond this.

use packager::config::{KeysOf, PackageType};

use super::settings::Protection;
use super::view::ProtectionView;
use crate::context::Context;
use crate::db::asset_keys::Pair;
use crate::db::assets::Asset;
use crate::db::configurations::Configuration;
use crate::db::endpoints::Endpoint;
use crate::push::documents::{endpoint_package_type, package_type};
use crate::vault::Purpose;

/// An output that is protected.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its names in documents and URLs.
    pub of: KeysOf,
    /// What key servers call the content; empty when nobody said.
    pub content_id: String,
    /// Which output.
    pub package_type: PackageType,
}

impl Target {
    /// An asset under a configuration. Without a content id it is one that no keys can be asked for.
    ///
    /// # Errors
    /// When the database holds what cannot be.
    pub fn asset(asset: &Asset, configuration: &Configuration) -> sqlx::Result<Self> {
        Ok(Self {
            of: KeysOf::asset(&asset.packaging_group, &asset.name, &configuration.name),
            content_id: asset.content_id.clone().unwrap_or_default(),
            package_type: package_type(&configuration.package_type)?,
        })
    }
}

impl From<&Endpoint> for Target {
    fn from(row: &Endpoint) -> Self {
        Self {
            of: KeysOf::endpoint(&row.channel_group, &row.channel, &row.name),
            content_id: row.content_id.clone().unwrap_or_default(),
            package_type: endpoint_package_type(row.protocol),
        }
    }
}

/// What is stored of a protection.
#[derive(Clone, Copy)]
pub struct Stored<'a> {
    /// What it was sealed for.
    purpose: Purpose,
    /// JSON of what may be shown of it; `None` when there is none.
    view: Option<&'a str>,
    /// JSON of all of it, sealed.
    sealed: Option<&'a [u8]>,
}

impl<'a> From<&'a Configuration> for Stored<'a> {
    fn from(row: &'a Configuration) -> Self {
        Self {
            purpose: Purpose::Protection(row.id),
            view: row.protection.as_deref(),
            sealed: row.protection_sealed.as_deref(),
        }
    }
}

impl<'a> From<&'a Endpoint> for Stored<'a> {
    fn from(row: &'a Endpoint) -> Self {
        Self {
            purpose: Purpose::EndpointProtection(row.id),
            view: row.protection.as_deref(),
            sealed: row.protection_sealed.as_deref(),
        }
    }
}

impl Stored<'_> {
    /// What may be shown of it; `None` when there is no protection.
    ///
    /// # Errors
    /// When the database holds what cannot be.
    pub fn view(&self) -> sqlx::Result<Option<ProtectionView>> {
        self.view.map(ProtectionView::from_json).transpose()
    }

    /// All of it, secrets included; `None` when there is no protection.
    ///
    /// # Errors
    /// When there is no vault or what is stored does not open.
    pub fn settings(&self, context: &Context) -> anyhow::Result<Option<Protection>> {
        let Some(sealed) = self.sealed else { return Ok(None) };
        let vault = context.vault.as_ref().ok_or_else(|| anyhow::anyhow!("there is no master key"))?;
        let json = vault.open_secret(self.purpose, sealed)?;
        // The error of JSON could repeat what it reads.
        let protection = serde_json::from_slice(&json).map_err(|_| anyhow::anyhow!("stored protection cannot be read"));
        protection.map(Some)
    }
}

impl From<Pair> for Purpose {
    fn from(pair: Pair) -> Self {
        Self::AssetKeys { asset: pair.asset_id, configuration: pair.configuration_id }
    }
}

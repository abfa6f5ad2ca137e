//! Keys at the end of an ingest: before an asset is playable it has the keys of every configuration that protects it.

use packager::index::head::Head;
use sqlx::SqliteConnection;

use super::key_set::KeySet;
use super::source::Source;
use super::target::{Stored, Target};
use crate::context::Context;
use crate::db::asset_keys::{self, Pair};
use crate::db::assets::Asset;
use crate::db::configurations::{self, Configuration};
use crate::protect::job;

/// What was asked for under one configuration.
struct Asked {
    configuration: Configuration,
    /// The keys, or why they could not be had while the asset has older ones.
    result: Result<KeySet, String>,
}

/// The keys of an asset under all configurations that protect it, to be written when it becomes playable.
pub struct Keys {
    content_id: Option<String>,
    asked: Vec<Asked>,
}

/// Why there are none.
pub enum NoKeys {
    /// The asset cannot be played; the reason is for people.
    Failed(String),
    /// The database failed.
    Database(sqlx::Error),
}

impl From<sqlx::Error> for NoKeys {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

/// Asks for the keys of an asset whose index was made. What could not be had although older keys are there is a warning.
///
/// # Errors
/// See [`NoKeys`].
pub async fn acquire(
    context: &Context,
    asset: &Asset,
    head: &Head,
    warnings: &mut Vec<String>,
) -> Result<Keys, NoKeys> {
    let mut db = context.db.read().await?;
    let configurations = configurations::all(&mut db, asset.group_id).await?;
    drop(db);
    let mut asked = Vec::new();
    for configuration in configurations {
        let failed = |reason: String| NoKeys::Failed(format!("configuration {}: {reason}", configuration.name));
        let source =
            Source::open(context, Stored::from(&configuration)).map_err(|error| failed(format!("{error:#}")))?;
        let Some(source) = source else { continue };
        let result =
            source.keys(&Target::asset(asset, &configuration)?).await.and_then(|keys| keys.check(head).map(|()| keys));
        if let Err(reason) = &result {
            let pair = Pair { asset_id: asset.id, configuration_id: configuration.id };
            let kept = job::kept(context, pair, &configuration).await?;
            if kept.is_none_or(|kept| kept.check(head).is_err()) {
                return Err(failed(reason.clone()));
            }
            warnings.push(format!("configuration {}: the keys it had are kept: {reason}", configuration.name));
        }
        asked.push(Asked { configuration, result });
    }
    Ok(Keys { content_id: asset.content_id.clone(), asked })
}

impl Keys {
    /// Writes them, in the transaction that makes the asset playable. What was changed since they were asked for is left to
    /// the job that asks for keys.
    ///
    /// # Errors
    /// When the database fails or they cannot be sealed.
    pub async fn write(&self, context: &Context, db: &mut SqliteConnection, asset: &Asset) -> anyhow::Result<()> {
        asset_keys::expire_asset(db, asset.id).await?;
        if self.content_id == asset.content_id {
            for asked in &self.asked {
                job::write(context, db, asset, &asked.configuration, asked.result.as_ref()).await?;
            }
        }
        super::documents::put_asset(context, db, asset).await
    }
}

//! Keys as documents. They wait for edges sealed under a key of the vault, and are sealed anew for each edge that gets them.

use anyhow::{Context as _, Result};
use packager::config::{Body, ContentKeys, Document, SealedKey, endpoint_keys_key, keys_key};
use packager::sealing::{NONCE_BYTES, SealingKey};
use sqlx::SqliteConnection;

use super::key_set::KeySet;
use super::signalling::Maker;
use super::target::{Stored, Target};
use super::view::ProtectionView;
use crate::context::Context;
use crate::db::asset_keys::Pair;
use crate::db::assets::{Asset, Status};
use crate::db::configurations::Configuration;
use crate::db::endpoints::Endpoint;
use crate::db::{asset_keys, assets, configurations, documents, endpoint_keys, endpoints};
use crate::vault::Purpose;

/// Writes the document with the keys of an asset under a configuration, if the asset is playable, the configuration protects
/// and there are keys. A document that says the same already is left as it is.
///
/// # Errors
/// When the database fails, or what is stored does not open.
pub async fn put(
    context: &Context,
    db: &mut SqliteConnection,
    asset: &Asset,
    configuration: &Configuration,
) -> Result<()> {
    let (Some(vault), Some(view)) = (&context.vault, Stored::from(configuration).view()?) else { return Ok(()) };
    if asset.status != Status::Playable {
        return Ok(());
    }
    let pair = Pair { asset_id: asset.id, configuration_id: configuration.id };
    let Some(sealed) = asset_keys::find(db, pair).await?.and_then(|keys| keys.sealed) else { return Ok(()) };
    write(context, db, &Target::asset(asset, configuration)?, &view, &KeySet::open(vault, pair, &sealed)?).await
}

/// Writes the document with the keys of an endpoint, if it protects and there are keys. A document that says the same already
/// is left as it is.
///
/// # Errors
/// When the database fails, or what is stored does not open.
pub async fn put_endpoint(context: &Context, db: &mut SqliteConnection, row: &Endpoint) -> Result<()> {
    let (Some(vault), Some(view)) = (&context.vault, Stored::from(row).view()?) else { return Ok(()) };
    let Some(sealed) = endpoint_keys::find(db, row.id).await?.and_then(|keys| keys.sealed) else { return Ok(()) };
    let keys = KeySet::open(vault, Purpose::EndpointKeys(row.id), &sealed)?;
    write(context, db, &Target::from(row), &view, &keys).await
}

/// Writes the documents with the keys of all endpoints of a channel.
///
/// # Errors
/// See [`put_endpoint`].
pub async fn put_channel(context: &Context, db: &mut SqliteConnection, channel_id: i64) -> Result<()> {
    for endpoint in endpoints::of_channel(db, channel_id).await? {
        put_endpoint(context, db, &endpoint).await?;
    }
    Ok(())
}

/// Writes that the keys of an endpoint are gone, under the names that it has now.
///
/// # Errors
/// When the database fails.
pub async fn retract_endpoint(db: &mut SqliteConnection, row: &Endpoint) -> sqlx::Result<()> {
    let place = endpoint_keys_key(&row.channel_group, &row.channel, &row.name);
    // Edges hear only of what they may have.
    if documents::find(db, &place).await?.is_some() {
        documents::put(db, place, Body::Deleted).await?;
    }
    Ok(())
}

/// Writes that the keys of all endpoints of a channel are gone, under the names that channel and group have now.
///
/// # Errors
/// When the database fails.
pub async fn retract_channel(db: &mut SqliteConnection, channel_id: i64) -> sqlx::Result<()> {
    for endpoint in endpoints::of_channel(db, channel_id).await? {
        retract_endpoint(db, &endpoint).await?;
    }
    Ok(())
}

/// Writes the document with the keys of an output, if they are for the scheme that it has now. A document that says the same
/// already is left as it is.
async fn write(
    context: &Context,
    db: &mut SqliteConnection,
    target: &Target,
    view: &ProtectionView,
    keys: &KeySet,
) -> Result<()> {
    let Some(vault) = &context.vault else { return Ok(()) };
    if keys.scheme != view.scheme.into() {
        // They are of a time when the output had another scheme; others are being asked for.
        return Ok(());
    }
    let maker = Maker { keys_url: &context.keys_url, target, view, scheme: keys.scheme };
    let (sealing, place) = (vault.documents(), target.of.key());
    let document = match keys.document(target.of.clone(), &sealing, |key| maker.signalling(key)) {
        Ok(document) => document,
        Err(error) => {
            // So it is only between a change of the protection and the keys that are asked for because of it.
            tracing::warn!(place, %error, "keys wait for new ones");
            return Ok(());
        }
    };
    if let Some(json) = documents::find(db, &place).await? {
        let stored = Document::from_json(json.as_bytes()).map_err(|e| anyhow::anyhow!("{}", e.message()))?;
        if let Body::Keys(stored) = stored.body
            && is_same(&stored, &document, &place, &sealing)
        {
            return Ok(());
        }
    }
    documents::put(db, place, Body::Keys(document)).await?;
    Ok(())
}

/// Whether two documents for one place say the same: seals differ each time they are made.
fn is_same(a: &ContentKeys, b: &ContentKeys, place: &str, sealing: &SealingKey) -> bool {
    let bare = |keys: &ContentKeys| {
        let mut keys = keys.clone();
        keys.keys.iter_mut().for_each(|key| key.sealed.clear());
        keys
    };
    let open = |key: &SealedKey| sealing.open(place, key.kid, &key.sealed).ok();
    let same = |(a, b): (&SealedKey, &SealedKey)| matches!((open(a), open(b)), (Some(a), Some(b)) if a == b);
    bare(a) == bare(b) && a.keys.iter().zip(&b.keys).all(same)
}

/// Writes the documents with the keys of an asset under all configurations of its group.
///
/// # Errors
/// See [`put`].
pub async fn put_asset(context: &Context, db: &mut SqliteConnection, asset: &Asset) -> Result<()> {
    for configuration in configurations::all(db, asset.group_id).await? {
        put(context, db, asset, &configuration).await?;
    }
    Ok(())
}

/// Writes the documents with the keys of all assets under a configuration.
///
/// # Errors
/// See [`put`].
pub async fn put_configuration(
    context: &Context,
    db: &mut SqliteConnection,
    configuration: &Configuration,
) -> Result<()> {
    if configuration.protection.is_none() {
        return Ok(());
    }
    for asset in assets::of_group(db, configuration.group_id).await? {
        put(context, db, &asset, configuration).await?;
    }
    Ok(())
}

/// Writes that the keys of an asset are gone.
///
/// # Errors
/// When the database fails.
pub async fn retract_asset(db: &mut SqliteConnection, asset: &Asset) -> sqlx::Result<()> {
    let prefix = keys_key(&asset.packaging_group, &asset.name, "");
    for key in documents::live(db, &prefix).await? {
        documents::put(db, key, Body::Deleted).await?;
    }
    Ok(())
}

/// Writes that the keys of all assets under a configuration are gone.
///
/// # Errors
/// When the database fails.
pub async fn retract_configuration(db: &mut SqliteConnection, configuration: &Configuration) -> sqlx::Result<()> {
    let (prefix, end) = (format!("keys/{}/", configuration.packaging_group), format!("/{}", configuration.name));
    for key in documents::live(db, &prefix).await?.into_iter().filter(|key| key.ends_with(&end)) {
        documents::put(db, key, Body::Deleted).await?;
    }
    Ok(())
}

/// Brings all documents with keys up to date: what they say of the control plane changes with its options.
///
/// # Errors
/// See [`put`].
pub async fn refresh(context: &Context) -> Result<()> {
    if context.vault.is_none() {
        return Ok(());
    }
    for configuration in configurations::protected(&mut *context.db.read().await?).await? {
        let mut tx = context.db.write().await?;
        put_configuration(context, &mut tx, &configuration).await?;
        tx.commit().await?;
    }
    for endpoint in endpoints::protected(&mut *context.db.read().await?).await? {
        let mut tx = context.db.write().await?;
        put_endpoint(context, &mut tx, &endpoint).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// A document as the edge of this name gets it: keys are sealed for it, all else is as it is.
///
/// # Errors
/// When there is no vault, or what is stored does not open.
pub fn for_edge(context: &Context, edge: &str, mut document: Document) -> Result<Document> {
    if let Body::Keys(keys) = &mut document.body {
        let vault = context.vault.as_ref().context("there is no master key to open content keys with")?;
        let (from, to) = (vault.documents(), vault.edge(edge));
        for key in &mut keys.keys {
            let secret = from.open(&document.key, key.kid, &key.sealed);
            let secret = secret.map_err(|e| anyhow::anyhow!("a stored document: {}", e.message()))?;
            let nonce: [u8; NONCE_BYTES] = rand::random();
            let sealed = to.seal(&document.key, key.kid, &secret, nonce);
            key.sealed = sealed.map_err(|e| anyhow::anyhow!("{}", e.message()))?;
        }
    }
    Ok(document)
}

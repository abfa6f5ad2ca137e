//! The ingest of assets: takes what waits, indexes it, and makes it playable. All state is in the database, so that a run
//! that ends with the process is started again.

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::Result;
use bytes::Bytes;
use packager::index::head::Head;
use packager::ingest::IndexedAsset;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use super::playlist;
use super::reading::{self, Stopped};
use crate::archive::ObjectInfo;
use crate::clock;
use crate::context::Context;
use crate::db::assets::{Indexed, Run};
use crate::db::indexes::IndexObject;
use crate::db::{assets, folders, indexes, source_warnings, sources};
use crate::protect::ingest::{Keys, NoKeys, acquire};
use crate::push::documents;

/// Takes the asset that waits longest and indexes it. Answers whether there was one.
///
/// # Errors
/// When the database fails; the asset is then taken again at the next start.
pub async fn tick(context: &Context) -> Result<bool> {
    let mut tx = context.db.write().await?;
    let run = assets::claim(&mut tx).await?;
    tx.commit().await?;
    let Some(run) = run else { return Ok(false) };
    let start = Instant::now();
    let result = match ingest(context, run).await {
        Ok(()) => "playable",
        Err(Stopped::Unwanted) => "unwanted",
        Err(Stopped::Failed(reason)) => {
            let mut tx = context.db.write().await?;
            assets::set_failed(&mut tx, run, &reason).await?;
            tx.commit().await?;
            tracing::warn!(asset = run.id, reason, "an asset failed");
            "failed"
        }
        Err(Stopped::Database(error)) => {
            // Nothing is known to be wrong with the asset.
            let mut tx = context.db.write().await?;
            assets::unclaim(&mut tx, run).await?;
            tx.commit().await?;
            return Err(error.into());
        }
    };
    metrics::counter!("control_ingests_total", "result" => result).increment(1);
    metrics::histogram!("control_ingest_seconds").record(start.elapsed().as_secs_f64());
    Ok(true)
}

/// Runs until `stop` changes; a run that is under way is left, to be taken again at the next start.
pub async fn run(context: Context, mut stop: watch::Receiver<bool>) {
    /// Pause after a failure of the database.
    const PAUSE: std::time::Duration = std::time::Duration::from_secs(2);
    let mut wake = context.ingest_wake.listener();
    loop {
        let worked = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            worked = tick(&context) => worked,
        };
        match worked {
            Ok(true) => {}
            Ok(false) => tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                _ = wake.changed() => {}
            },
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "an ingest could not go on");
                tokio::select! {
                    _ = stop.wait_for(|stop| *stop) => return,
                    () = tokio::time::sleep(PAUSE) => {}
                }
            }
        }
    }
}

async fn ingest(context: &Context, run: Run) -> Result<(), Stopped> {
    let mut db = context.db.read().await?;
    let Some(asset) = assets::get(&mut db, run.id).await? else { return Err(Stopped::Unwanted) };
    let sources = sources::list(&mut db, run.id).await?;
    drop(db);
    tracing::info!(asset = asset.name, sources = sources.len(), "indexing");
    let mut found = match asset.playlist.clone() {
        Some(path) => {
            let playlist::Indexed { asset, folders } = playlist::index(context, run, path).await?;
            Found { asset, stored: Vec::new(), folders }
        }
        None => {
            let stored = reading::look_up(&context.media, &sources).await?;
            let asset = reading::index(context, run, &sources, &stored).await?;
            Found { asset, stored, folders: BTreeSet::new() }
        }
    };
    let keys = ask_for_keys(context, &asset, &mut found.asset).await?;
    let index = write_index(context, &found.asset).await?;
    finish(context, run, &found, &index, &keys).await?;
    context.keys_wake.wake();
    context.push_wake.wake();
    tracing::info!(asset = asset.name, index_bytes = index.bytes, "playable");
    Ok(())
}

/// The keys of the asset under every configuration that protects it: without them it is not playable.
async fn ask_for_keys(context: &Context, asset: &assets::Asset, indexed: &mut IndexedAsset) -> Result<Keys, Stopped> {
    let head_bytes = usize::try_from(indexed.head_bytes).unwrap_or(usize::MAX);
    let head = indexed.index.get(..head_bytes).unwrap_or(&indexed.index);
    let head = Head::read(head, indexed.index.len() as u64).map_err(|e| Stopped::Failed(e.message().to_owned()))?;
    let keys = acquire(context, asset, &head, &mut indexed.warnings).await;
    keys.map_err(|error| match error {
        NoKeys::Failed(reason) => Stopped::Failed(reason),
        NoKeys::Database(error) => Stopped::Database(error),
    })
}

/// What an ingest found.
struct Found {
    asset: IndexedAsset,
    /// For each source what the storage says about it.
    stored: Vec<ObjectInfo>,
    /// Where the objects lie that playlists name.
    folders: BTreeSet<String>,
}

/// Writes the index under a name of its own.
pub(crate) async fn write_index(context: &Context, indexed: &IndexedAsset) -> Result<IndexObject, Stopped> {
    let path = format!("{}.idx", uuid::Uuid::new_v4());
    let mut tx = context.db.write().await?;
    indexes::announce(&mut tx, &path, clock::now_ms()).await?;
    tx.commit().await?;
    let bytes = Bytes::from(indexed.index.clone());
    let digest = hex::encode(Sha256::digest(&bytes));
    let length = bytes.len();
    context.indexes.write(&path, bytes).await.map_err(|error| {
        tracing::error!(path, %error, "an index could not be written");
        Stopped::Failed("the index could not be written to its storage; the log of the control plane says why".into())
    })?;
    let number = |n: u64| i64::try_from(n).map_err(|_| Stopped::Failed("internal error: a length".into()));
    Ok(IndexObject { path, bytes: number(length as u64)?, head_bytes: number(indexed.head_bytes)?, digest })
}

/// Makes the asset playable: its row, its index and its document change together.
async fn finish(context: &Context, run: Run, found: &Found, index: &IndexObject, keys: &Keys) -> Result<(), Stopped> {
    let indexed = &found.asset;
    let json = |e: serde_json::Error| Stopped::Failed(format!("internal error: {e}"));
    let result = Indexed {
        warnings: serde_json::to_string(&indexed.warnings).map_err(json)?,
        duration_ms: i64::try_from(indexed.duration_ms).unwrap_or(i64::MAX),
        tracks: serde_json::to_string(&indexed.tracks).map_err(json)?,
    };
    let mut tx = context.db.write().await?;
    if !assets::set_playable(&mut tx, run, &result).await? {
        return Err(Stopped::Unwanted);
    }
    indexes::release(&mut tx, run.id, clock::now_ms()).await?;
    indexes::assign(&mut tx, run.id, index).await?;
    source_warnings::clear(&mut tx, run.id).await?;
    folders::clear(&mut tx, run.id).await?;
    for folder in &found.folders {
        folders::insert(&mut tx, run.id, folder).await?;
    }
    for (position, info) in (0_i64..).zip(&found.stored) {
        let bytes = i64::try_from(info.bytes).unwrap_or(i64::MAX);
        sources::set_stored(&mut tx, run.id, position, bytes, info.etag.as_deref()).await?;
    }
    if let Some(asset) = assets::get(&mut tx, run.id).await? {
        documents::put_asset(&mut tx, &asset).await?;
        keys.write(context, &mut tx, &asset).await.map_err(|error| {
            tracing::error!(asset = asset.name, error = format!("{error:#}"), "keys could not be written");
            Stopped::Failed("internal error: keys could not be written; the log of the control plane says why".into())
        })?;
    }
    tx.commit().await?;
    Ok(())
}

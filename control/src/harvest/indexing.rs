//! The first half of a task: an index over the objects of the channel, and the asset that is played by it.

use std::ops::Range;

use anyhow::Result;
use packager::index::Head;
use packager::ingest::IndexedAsset;
use packager::live::Harvested;
use packager::media::date;

use super::trouble::{Trouble, note};
use crate::clock;
use crate::context::Context;
use crate::db::assets::{Asset, Indexed, NewAsset, Status};
use crate::db::harvests::{self, Amount, Harvest, HarvestStatus};
use crate::db::timelines::{self, Edge};
use crate::db::{assets, indexes};
use crate::ingest::assets::write_index;
use crate::ingest::reading::off_thread;
use crate::live::Stored;
use crate::protect::ingest::{Keys, NoKeys, acquire};
use crate::push::documents;

/// How many positions after the end of a range the last media of it may come: one is being filled, one is waited for on the
/// other input, and one is under way.
const LATE_POSITIONS: i64 = 3;
/// What media may take beyond that, and how long is waited for a channel that has no media yet.
const LATE_MS: i64 = 10_000;

/// Takes the first task whose range is over and makes its asset. Answers whether there was one.
///
/// # Errors
/// When the database fails; the task is then taken again.
pub async fn tick(context: &Context) -> Result<bool> {
    let now = clock::now_ms();
    let mut db = context.db.read().await?;
    let mut ready = None;
    for task in harvests::to_index(&mut db, now).await? {
        let edge = timelines::edge(&mut db, task.channel_id).await?;
        if task.status == HarvestStatus::Indexing || is_over(&task, edge, now) {
            ready = Some((task, edge));
            break;
        }
    }
    drop(db);
    let Some((task, edge)) = ready else { return Ok(false) };
    let mut tx = context.db.write().await?;
    let wanted = harvests::set_indexing(&mut tx, task.id).await?;
    tx.commit().await?;
    if wanted && let Err(trouble) = make(context, &task, edge).await {
        note(context, &task, trouble).await?;
    }
    Ok(true)
}

/// Whether nothing of a range can come any more.
fn is_over(task: &Harvest, edge: Option<Edge>, now: i64) -> bool {
    let Some(edge) = edge else { return now >= task.end_ms.saturating_add(LATE_MS) };
    let late = edge.position_seconds.saturating_mul(1000 * LATE_POSITIONS).saturating_add(LATE_MS);
    edge.ended
        || edge.end_us / 1000 >= task.end_ms.saturating_sub(edge.epoch_ms)
        || now >= task.end_ms.saturating_add(late)
}

/// The range in presentation time, microseconds.
fn presented(task: &Harvest, epoch_ms: i64) -> Range<u64> {
    let time = |ms: i64| ms.saturating_sub(epoch_ms).saturating_mul(1000).max(0).unsigned_abs();
    time(task.start_ms)..time(task.end_ms)
}

async fn make(context: &Context, task: &Harvest, edge: Option<Edge>) -> Result<(), Trouble> {
    let nothing = || {
        let text = |ms: i64| date::format(ms.max(0).unsigned_abs());
        let (start, end) = (text(task.start_ms), text(task.end_ms));
        Trouble::Failed(format!("the channel has no media from {start} to {end}; make a task with another range"))
    };
    let range = presented(task, edge.ok_or_else(nothing)?.epoch_ms);
    if range.is_empty() {
        return Err(nothing());
    }
    let stored = Stored::read(context, task.channel_id, range.clone()).await.map_err(|error| {
        tracing::error!(task = task.id, error = format!("{error:#}"), "what a channel has stored could not be read");
        Trouble::Later("reading the archive of the channel failed; the log of the control plane says why".to_owned())
    })?;
    if stored.is_empty() {
        return Err(nothing());
    }
    let (mut indexed, total) = off_thread(move || {
        let Harvested { bytes, head_bytes, .. } = stored.index(range)?;
        let objects = packager::live::objects(&bytes, head_bytes)?;
        let bytes_total = objects.values().map(|o| o.bytes).fold(0, u64::saturating_add);
        let total = Amount { objects: objects.len() as i64, bytes: i64::try_from(bytes_total).unwrap_or(i64::MAX) };
        Ok((IndexedAsset::open(bytes, head_bytes)?, total))
    })
    .await?;
    let keys = ask_for_keys(context, task, &mut indexed).await?;
    let index = write_index(context, &indexed).await.map_err(not_written)?;
    finish(context, task, &indexed, &index, &keys, total).await?;
    context.keys_wake.wake();
    context.push_wake.wake();
    context.harvest_wake.wake();
    tracing::info!(task = task.id, asset = task.asset, objects = total.objects, "a range can be played");
    Ok(())
}

/// A storage that takes no index now may do so later.
pub(super) fn not_written(stopped: crate::ingest::reading::Stopped) -> Trouble {
    match stopped.into() {
        Trouble::Failed(reason) => Trouble::Later(reason),
        other => other,
    }
}

/// The keys of the asset under every configuration that protects it: without them it is not playable.
async fn ask_for_keys(context: &Context, task: &Harvest, indexed: &mut IndexedAsset) -> Result<Keys, Trouble> {
    let head = usize::try_from(indexed.head_bytes).ok().and_then(|length| indexed.index.get(..length));
    let head = Head::read(head.unwrap_or_default(), indexed.index.len() as u64)?;
    let keys = acquire(context, &planned(task), &head, &mut indexed.warnings).await;
    keys.map_err(|error| match error {
        NoKeys::Failed(reason) => Trouble::Later(reason),
        NoKeys::Database(error) => Trouble::Database(error),
    })
}

/// The asset as it will be; it has no row yet.
fn planned(task: &Harvest) -> Asset {
    Asset {
        id: 0,
        group_id: task.group_id,
        packaging_group: task.packaging_group.clone().unwrap_or_default(),
        name: task.asset.clone(),
        content_id: task.content_id.clone(),
        playlist: None,
        status: Status::Processing,
        generation: 1,
        progress: 0.0,
        segments_done: None,
        segments_total: None,
        failure: None,
        warnings: "[]".to_owned(),
        duration_ms: None,
        tracks: "[]".to_owned(),
        created_at: 0,
    }
}

/// Makes the asset: its row, its index, its document and the state of the task change together.
async fn finish(
    context: &Context,
    task: &Harvest,
    indexed: &IndexedAsset,
    index: &indexes::IndexObject,
    keys: &Keys,
    total: Amount,
) -> Result<(), Trouble> {
    let json = |e: serde_json::Error| Trouble::Failed(format!("internal error: {e}"));
    let result = Indexed {
        warnings: serde_json::to_string(&indexed.warnings).map_err(json)?,
        duration_ms: i64::try_from(indexed.duration_ms).unwrap_or(i64::MAX),
        tracks: serde_json::to_string(&indexed.tracks).map_err(json)?,
    };
    let mut tx = context.db.write().await?;
    if assets::find(&mut tx, &task.asset).await?.is_some() {
        let reason = format!("there is an asset {} already; make a task with another name", task.asset);
        return Err(Trouble::Failed(reason));
    }
    let new = NewAsset {
        group_id: task.group_id,
        name: &task.asset,
        content_id: task.content_id.as_deref(),
        playlist: None,
        now: clock::now_ms(),
    };
    let id = assets::insert_playable(&mut tx, new, &result).await?;
    indexes::assign(&mut tx, id, index).await?;
    if !harvests::set_copying(&mut tx, task.id, id, total).await? {
        return Err(Trouble::Unwanted);
    }
    if let Some(asset) = assets::get(&mut tx, id).await? {
        documents::put_asset(&mut tx, &asset).await?;
        keys.write(context, &mut tx, &asset).await.map_err(|error| {
            tracing::error!(asset = asset.name, error = format!("{error:#}"), "keys could not be written");
            Trouble::Later("keys could not be written; the log of the control plane says why".into())
        })?;
    }
    tx.commit().await?;
    Ok(())
}

//! The second half of a task: the media goes to a folder of the asset's own, and the asset with it. Copies of tasks that were
//! cancelled go away.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::Result;
use futures::StreamExt as _;
use object_store::Error as StorageError;
use packager::config::SourceObject;
use packager::ingest::IndexedAsset;

use super::COPIES;
use super::indexing::not_written;
use super::trouble::{Trouble, note};
use crate::archive::{ObjectInfo, Storage, is_full};
use crate::clock;
use crate::context::Context;
use crate::db::harvests::{self, Amount, Harvest};
use crate::db::indexes::IndexObject;
use crate::db::{assets, folders, indexes, source_warnings};
use crate::ingest::assets::write_index;
use crate::ingest::reading::{PROGRESS_INTERVAL, off_thread};
use crate::push::documents;

/// Removes copies that nobody needs, then takes the task that waits longest and copies its media. Answers whether there was
/// anything to do.
///
/// # Errors
/// When the database fails; the task is then taken again, and what is copied already is not copied again.
pub async fn tick(context: &Context) -> Result<bool> {
    let cleaned = clean(context).await?;
    let task = harvests::to_copy(&mut *context.db.read().await?, clock::now_ms()).await?;
    let Some(task) = task else { return Ok(cleaned) };
    if let Err(trouble) = make(context, &task).await {
        note(context, &task, trouble).await?;
    }
    Ok(true)
}

async fn clean(context: &Context) -> Result<bool> {
    let mut cleaned = false;
    for (task, folder) in harvests::to_clean(&mut *context.db.read().await?).await? {
        // The folder was empty when the task took it, and nothing else gets it as long as the task has it.
        match context.media.remove_below(&folder).await {
            Ok(count) => tracing::info!(task, count, "the copies of a cancelled collection task are removed"),
            Err(error) => {
                tracing::error!(task, folder, %error, "the copies of a cancelled collection task could not be removed");
                continue;
            }
        }
        let mut tx = context.db.write().await?;
        harvests::set_clean(&mut tx, task).await?;
        tx.commit().await?;
        cleaned = true;
    }
    Ok(cleaned)
}

async fn make(context: &Context, task: &Harvest) -> Result<(), Trouble> {
    let (Some(asset_id), Some(index)) = find(context, task).await? else {
        // The asset went away without its task hearing of it.
        let mut tx = context.db.write().await?;
        harvests::cancel(&mut tx, task.id, clock::now_ms()).await?;
        tx.commit().await?;
        return Err(Trouble::Unwanted);
    };
    let head_bytes = index.head_bytes.unsigned_abs();
    let bytes = context.indexes.read(&index.path, 0..index.bytes.unsigned_abs(), None).await.map_err(|error| {
        tracing::error!(task = task.id, path = index.path, %error, "the index of an asset could not be read");
        Trouble::Later("reading the index of the asset failed; the log of the control plane says why".to_owned())
    })?;
    let own = bytes.clone();
    let objects = off_thread(move || packager::live::objects(&own, head_bytes)).await?;
    let copies = copy_all(context, task, objects.into_values().collect()).await?;
    let prefix = format!("{}/", task.storage_path);
    let indexed = off_thread(move || {
        let copy = |object: &SourceObject| copies.get(&object.path).cloned().unwrap_or_default();
        let (bytes, head_bytes) = packager::live::relocate(&bytes, head_bytes, &prefix, copy)?;
        IndexedAsset::open(bytes, head_bytes)
    })
    .await?;
    let index = write_index(context, &indexed).await.map_err(not_written)?;
    finish(context, task, asset_id, &index).await?;
    context.push_wake.wake();
    metrics::counter!("control_harvests_total", "result" => "finished").increment(1);
    tracing::info!(task = task.id, asset = task.asset, folder = task.storage_path, "a range is copied");
    Ok(())
}

/// The asset of a task and its index.
async fn find(context: &Context, task: &Harvest) -> Result<(Option<i64>, Option<IndexObject>), Trouble> {
    let Some(asset_id) = task.asset_id else { return Ok((None, None)) };
    Ok((Some(asset_id), indexes::find(&mut *context.db.read().await?, asset_id).await?))
}

/// For each path of an object, path and entity tag of its copy.
type Copies = BTreeMap<String, (String, Option<String>)>;

/// Copies what is not there yet. Progress is noted now and then. Nothing is under way any more once this returns.
async fn copy_all(context: &Context, task: &Harvest, objects: Vec<Arc<SourceObject>>) -> Result<Copies, Trouble> {
    let copying = Copying {
        media: &context.media,
        from: format!("live/{}/media/", task.uid),
        to: &task.storage_path,
        begun: AtomicUsize::new(0),
        stopped: AtomicBool::new(false),
    };
    let mut copied = futures::stream::iter(objects).map(|object| copying.copy(object)).buffer_unordered(COPIES);
    let (mut copies, mut done, mut noted) = (Copies::new(), Amount::default(), Instant::now());
    let mut trouble = None;
    while let Some(result) = copied.next().await {
        let noting = match result {
            Ok((object, copy)) => {
                done.objects += 1;
                done.bytes = done.bytes.saturating_add(i64::try_from(object.bytes).unwrap_or(i64::MAX));
                copies.insert(object.path.clone(), copy);
                if noted.elapsed() >= PROGRESS_INTERVAL && trouble.is_none() {
                    noted = Instant::now();
                    progress(context, task, done).await
                } else {
                    Ok(())
                }
            }
            Err(trouble) => Err(trouble),
        };
        if let Err(why) = noting {
            // What is under way comes to its end, so that nothing appears in a folder that is being emptied.
            copying.stopped.store(true, Ordering::Relaxed);
            trouble.get_or_insert(why);
        }
    }
    match trouble {
        Some(trouble @ (Trouble::Unwanted | Trouble::Database(_))) => Err(trouble),
        trouble => {
            progress(context, task, done).await?;
            trouble.map_or(Ok(copies), Err)
        }
    }
}

async fn progress(context: &Context, task: &Harvest, done: Amount) -> Result<(), Trouble> {
    let mut tx = context.db.write().await?;
    let wanted = harvests::set_progress(&mut tx, task.id, done).await?;
    tx.commit().await?;
    if wanted { Ok(()) } else { Err(Trouble::Unwanted) }
}

/// Where objects are copied from and to.
struct Copying<'a> {
    media: &'a Storage,
    /// What comes before their names.
    from: String,
    /// The folder of the copies.
    to: &'a str,
    /// Copies that this run has begun.
    begun: AtomicUsize,
    /// No more are to be begun.
    stopped: AtomicBool,
}

impl Copying<'_> {
    /// Copies an object unless it is there with the same length. Answers path and entity tag of the copy.
    async fn copy(&self, object: Arc<SourceObject>) -> Result<(Arc<SourceObject>, (String, Option<String>)), Trouble> {
        if self.stopped.load(Ordering::Relaxed) {
            return Err(Trouble::Unwanted);
        }
        let name = object.path.strip_prefix(&self.from).unwrap_or(&object.path);
        let path = format!("{}/{name}", self.to);
        let info = match self.media.info(&path).await {
            Ok(info) if info.bytes == object.bytes => info,
            Ok(_) | Err(StorageError::NotFound { .. }) => self.write(&object, &path).await?,
            Err(error) => return Err(explain(&path, &error)),
        };
        Ok((object, (path, info.etag)))
    }

    async fn write(&self, object: &SourceObject, path: &str) -> Result<ObjectInfo, Trouble> {
        // What the end of a process cut off is among the first that are missing.
        if self.begun.fetch_add(1, Ordering::Relaxed) < COPIES {
            self.media.remove_unfinished(path).await.map_err(|error| explain(path, &error))?;
        }
        match self.media.copy(&object.path, path).await {
            Ok(()) => {}
            Err(error @ StorageError::NotFound { .. }) => {
                tracing::error!(path = object.path, %error, "media of a collection task is gone");
                let reason = format!(
                    "{}: the media storage has no such object any more; the asset cannot be played there, and a new task \
                     with a range without it can be made",
                    object.path
                );
                return Err(Trouble::Failed(reason));
            }
            Err(error) => return Err(explain(path, &error)),
        }
        let info = self.media.info(path).await.map_err(|error| explain(path, &error))?;
        if info.bytes != object.bytes {
            let reason = format!(
                "{path}: the copy has {} bytes, and {} had {} when it was indexed",
                info.bytes, object.path, object.bytes
            );
            return Err(Trouble::Failed(reason));
        }
        metrics::counter!("control_harvest_copied_bytes_total").increment(info.bytes);
        Ok(info)
    }
}

/// A failure of the storage for people. What the storage itself said is only logged: it may tell about our machine.
fn explain(path: &str, error: &StorageError) -> Trouble {
    tracing::error!(path, %error, "media could not be copied");
    let reason = match error {
        StorageError::PermissionDenied { .. } | StorageError::Unauthenticated { .. } => {
            "the media storage refuses to write it; check its permissions"
        }
        error if is_full(error) => "the media storage is full; make room",
        _ => "copying it failed; the log of the control plane says why",
    };
    Trouble::Later(format!("{path}: {reason}; it is tried again"))
}

/// The asset goes over to the copies: its index, its document and the state of the task change together.
async fn finish(context: &Context, task: &Harvest, asset_id: i64, index: &IndexObject) -> Result<(), Trouble> {
    let now = clock::now_ms();
    let mut tx = context.db.write().await?;
    if !harvests::set_finished(&mut tx, task.id, now).await? {
        return Err(Trouble::Unwanted);
    }
    indexes::release(&mut tx, asset_id, now).await?;
    indexes::assign(&mut tx, asset_id, index).await?;
    source_warnings::clear(&mut tx, asset_id).await?;
    folders::clear(&mut tx, asset_id).await?;
    folders::insert(&mut tx, asset_id, &task.storage_path).await?;
    if let Some(asset) = assets::get(&mut tx, asset_id).await? {
        documents::put_asset(&mut tx, &asset).await?;
    }
    tx.commit().await?;
    Ok(())
}

//! Reads what an [`Indexer`] asks for, and runs it where it may take its time.

use std::time::{Duration, Instant};

use packager::ErrorKind;
use packager::ingest::{Description, IndexedAsset, Indexer, IngestStep, SourceFile};

use crate::archive::{ObjectInfo, Storage};
use crate::context::Context;
use crate::db::assets::{self, Progress, Run};
use crate::db::sources::Source;

/// Progress is written at most this often.
pub(crate) const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);

/// Why an ingest ended without an index.
#[derive(Debug)]
pub enum Stopped {
    /// The asset cannot be played; the reason is for people.
    Failed(String),
    /// Nobody wants the result any more.
    Unwanted,
    /// The database failed, so nothing can be written about it.
    Database(sqlx::Error),
}

impl From<sqlx::Error> for Stopped {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

/// Asks the storage for length and tag of every source.
///
/// # Errors
/// `Failed`, naming the source that is not there or cannot be read.
pub async fn look_up(media: &Storage, sources: &[Source]) -> Result<Vec<ObjectInfo>, Stopped> {
    let mut stored = Vec::with_capacity(sources.len());
    for (position, source) in sources.iter().enumerate() {
        let info = media.info(&source.path).await;
        stored.push(info.map_err(|error| Stopped::Failed(explain(position, &source.path, &error)))?);
    }
    Ok(stored)
}

/// Indexes `sources` for `run`, whose progress is noted now and then.
///
/// # Errors
/// See [`Stopped`].
pub async fn index(
    context: &Context,
    run: Run,
    sources: &[Source],
    stored: &[ObjectInfo],
) -> Result<IndexedAsset, Stopped> {
    let files: Vec<SourceFile> = sources
        .iter()
        .zip(stored)
        .map(|(source, info)| SourceFile {
            path: source.path.clone(),
            bytes: info.bytes,
            description: Description {
                language: source.language.clone(),
                label: source.label.clone(),
                role: source.role.clone(),
                forced: source.forced,
                default: source.is_default,
            },
        })
        .collect();
    let mut indexer = off_thread(move || Indexer::new(files)).await?;
    let mut noted = Instant::now();
    let mut bytes = None;
    loop {
        let (step, back) = off_thread(move || {
            if let Some(bytes) = bytes.take() {
                indexer.supply(bytes)?;
            }
            let step = indexer.step()?;
            Ok((step, indexer))
        })
        .await?;
        indexer = back;
        let (source, range) = match step {
            IngestStep::Done(indexed) => return Ok(indexed),
            IngestStep::Read { source, range } => (source, range),
        };
        let (Some(file), Some(info)) = (sources.get(source), stored.get(source)) else {
            return Err(Stopped::Failed(format!("internal error: source {source} does not exist")));
        };
        if range.is_empty() || range.end > info.bytes {
            return Err(Stopped::Failed(format!("internal error: a read of {range:?} in {}", file.path)));
        }
        let length = range.end - range.start;
        let read = context.media.read(&file.path, range, info.etag.as_deref()).await;
        let read = read.map_err(|error| Stopped::Failed(explain(source, &file.path, &error)))?;
        if read.len() as u64 != length {
            return Err(Stopped::Failed(changed(source, &file.path)));
        }
        metrics::counter!("control_ingest_read_bytes_total").increment(length);
        bytes = Some(read);
        if noted.elapsed() >= PROGRESS_INTERVAL {
            noted = Instant::now();
            let progress = Progress { fraction: indexer.progress().clamp(0.0, 1.0), segments: None };
            if !note(context, run, progress).await? {
                return Err(Stopped::Unwanted);
            }
        }
    }
}

/// Notes progress and answers whether the run is still wanted.
pub(super) async fn note(context: &Context, run: Run, progress: Progress) -> sqlx::Result<bool> {
    let mut tx = context.db.write().await?;
    let wanted = assets::set_progress(&mut tx, run, progress).await?;
    tx.commit().await?;
    Ok(wanted)
}

/// Runs a piece of the core where it cannot hold up requests, and contains its panics.
pub(crate) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> packager::Result<T> + Send + 'static,
) -> Result<T, Stopped> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) if error.kind() == ErrorKind::Internal => {
            tracing::error!(error = error.message(), "the indexer failed");
            Err(Stopped::Failed(format!("internal error: {}", error.message())))
        }
        Ok(Err(error)) => Err(Stopped::Failed(error.message().to_owned())),
        Err(error) if error.is_panic() => {
            tracing::error!(%error, "the indexer panicked");
            Err(Stopped::Failed("internal error: the indexer stopped; please report this file".to_owned()))
        }
        Err(_) => Err(Stopped::Unwanted),
    }
}

/// A failure of the storage for people. What the storage itself said is only logged: it may tell about our machine.
fn explain(position: usize, path: &str, error: &object_store::Error) -> String {
    use object_store::Error as E;
    match error {
        E::NotFound { .. } => {
            format!("source {position} ({path}): the media storage has no such object; upload it or correct the path")
        }
        E::Precondition { .. } => changed(position, path),
        E::InvalidPath { .. } => format!("source {position} ({path}): the media storage cannot have such a path"),
        error => format!("source {position} ({path}): {}", unreadable(path, error)),
    }
}

/// A failure that says nothing about whether the object is there.
pub(super) fn unreadable(path: &str, error: &object_store::Error) -> &'static str {
    use object_store::Error as E;
    match error {
        E::PermissionDenied { .. } | E::Unauthenticated { .. } => {
            "the media storage refuses to read it; check its permissions"
        }
        error => {
            tracing::error!(path, %error, "media could not be read");
            "reading it failed; the log of the control plane says why"
        }
    }
}

fn changed(position: usize, path: &str) -> String {
    format!("source {position} ({path}): it changed while it was being indexed; ingest the asset again")
}

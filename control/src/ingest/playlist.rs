//! Reads what a [`PlaylistIndexer`] asks for: many objects at the same time, so that the latency of a storage hides.

use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use packager::ingest::IndexedAsset;
use packager::ingest::hls::{Answer, HlsStep, PlaylistIndexer, Read};

use super::reading::{PROGRESS_INTERVAL, Stopped, note, off_thread, unreadable};
use crate::archive::Storage;
use crate::context::Context;
use crate::db::assets::{Progress, Run};
use crate::db::folders::folder;

/// Reads that are under way for one asset at a time.
const CONCURRENT_READS: usize = 32;

/// A title that was indexed.
pub struct Indexed {
    /// What was found.
    pub asset: IndexedAsset,
    /// The folders that anything was read from.
    pub folders: BTreeSet<String>,
}

/// Indexes the title of the multivariant playlist at `path` for `run`, whose progress is noted now and then.
///
/// # Errors
/// See [`Stopped`].
pub async fn index(context: &Context, run: Run, path: String) -> Result<Indexed, Stopped> {
    let mut indexer = off_thread(move || PlaylistIndexer::new(path)).await?;
    let mut folders = BTreeSet::new();
    let mut waiting = VecDeque::new();
    let mut reads = FuturesUnordered::new();
    let mut answers = Vec::new();
    let mut noted = Instant::now();
    loop {
        let supplies = std::mem::take(&mut answers);
        let (step, back) = off_thread(move || {
            for (id, answer) in supplies {
                indexer.supply(id, answer)?;
            }
            let step = indexer.step()?;
            Ok((step, indexer))
        })
        .await?;
        indexer = back;
        match step {
            HlsStep::Done(asset) => return Ok(Indexed { asset, folders }),
            HlsStep::Read(list) => waiting.extend(list),
        }
        while reads.len() < CONCURRENT_READS
            && let Some(read) = waiting.pop_front()
        {
            if !folders.contains(folder(&read.path)) {
                folders.insert(folder(&read.path).to_owned());
            }
            reads.push(answer(&context.media, read));
        }
        let Some(first) = reads.next().await else {
            return Err(Stopped::Failed("internal error: the indexer waits for nothing".to_owned()));
        };
        answers.push(first?);
        // What has come in the meantime goes along.
        while let Some(Some(more)) = futures::FutureExt::now_or_never(reads.next()) {
            answers.push(more?);
        }
        if noted.elapsed() >= PROGRESS_INTERVAL {
            noted = Instant::now();
            let progress = indexer.progress();
            let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
            let segments = (number(progress.segments_done), number(progress.segments_total));
            let progress = Progress {
                fraction: progress.fraction.clamp(0.0, 1.0),
                segments: Some(segments).filter(|(_, total)| *total > 0),
            };
            if !note(context, run, progress).await? {
                return Err(Stopped::Unwanted);
            }
        }
    }
}

/// Reads one stretch of an object.
async fn answer(media: &Storage, read: Read) -> Result<(u32, Answer), Stopped> {
    use object_store::Error as E;
    let end = read.start.saturating_add(read.bytes);
    let answer = match media.read_some(&read.path, read.start..end, read.etag.as_deref()).await {
        Ok((info, bytes)) => {
            metrics::counter!("control_ingest_read_bytes_total").increment(bytes.len() as u64);
            Answer::Object { bytes, object_bytes: info.bytes, etag: info.etag }
        }
        Err(E::NotFound { .. } | E::InvalidPath { .. }) => Answer::NotFound,
        Err(E::Precondition { .. }) => Answer::Changed,
        Err(error) => return Err(Stopped::Failed(format!("{}: {}", read.path, unreadable(&read.path, &error)))),
    };
    Ok((read.id, answer))
}

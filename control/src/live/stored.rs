//! What is stored of a stretch of a channel, read back from the database and the storage: whoever follows the channel is not
//! asked.

use std::collections::BTreeSet;
use std::ops::Range;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use packager::config::{PartEntry, Timeline};
use packager::index::Head;
use packager::limits::{MAX_HEAD_BYTES, MAX_INDEX_BYTES};
use packager::live::{Harvested, Stretch};

use super::channel::read_head;
use super::state::State;
use crate::context::Context;
use crate::db::timelines;

/// Objects that are read at the same time.
const READS: usize = 8;

/// The parts and open positions of a stretch of a channel.
pub struct Stored {
    pieces: Vec<Piece>,
}

/// A part, or a position that is in no part yet.
struct Piece {
    head: Head,
    /// What comes before its blocks.
    head_bytes: usize,
    bytes: Bytes,
    begins_period: bool,
}

/// An object that a piece is in.
struct Place {
    first: u64,
    path: String,
    bytes: u64,
    /// The head, when it is not in the object.
    head: Option<Head>,
    head_bytes: u64,
}

impl Stored {
    /// Reads what a channel has in `range`, microseconds of presentation time.
    ///
    /// # Errors
    /// When the database or the storage fails. An object may go away between the two: a second call finds what is in its place.
    pub async fn read(context: &Context, channel_id: i64, range: Range<u64>) -> Result<Self> {
        let mut db = context.db.snapshot().await?;
        let Some(json) = timelines::state(&mut db, channel_id).await? else { return Ok(Self { pieces: Vec::new() }) };
        let state = State::from_json(&json)?;
        let rows = timelines::since(&mut db, channel_id, i64::try_from(state.open_first)?).await?;
        drop(db);
        let timeline = &state.timeline;
        let mut places = Vec::new();
        for part in parts(context, timeline, &range).await? {
            let (path, bytes) = (timeline.part_path(part.first), part.bytes);
            anyhow::ensure!(
                bytes <= MAX_INDEX_BYTES && part.head_bytes <= MAX_HEAD_BYTES.min(bytes),
                "{path}: its length"
            );
            places.push(Place { first: part.first, path, bytes, head: None, head_bytes: part.head_bytes });
        }
        for row in rows {
            let times = row.start_us.max(0).unsigned_abs()..row.end_us.max(0).unsigned_abs();
            if !overlap(&times, &range) {
                continue;
            }
            let head = read_head(row.head.as_deref().context("a position without its head")?)?;
            let first = row.number.unsigned_abs();
            let bytes = head.tracks.iter().flat_map(|t| &t.fragments).map(|f| u64::from(f.block_bytes)).sum();
            let path = timeline.blocks_path(first);
            places.push(Place { first, path, bytes, head: Some(head), head_bytes: 0 });
        }
        let periods: BTreeSet<u64> = timeline.periods.iter().map(|p| p.first).collect();
        let pieces = futures::stream::iter(places)
            .map(|place| read(context, place, &periods))
            .buffered(READS)
            .try_collect()
            .await?;
        Ok(Self { pieces })
    }

    /// Whether nothing is there.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Makes the index of a range of it. Takes its time.
    ///
    /// # Errors
    /// See [`packager::live::index`].
    pub fn index(&self, range: Range<u64>) -> packager::Result<Harvested> {
        let stretches: Vec<Stretch<'_>> = self
            .pieces
            .iter()
            .map(|piece| Stretch {
                head: &piece.head,
                blocks: piece.bytes.get(piece.head_bytes..).unwrap_or_default(),
                begins_period: piece.begins_period,
            })
            .collect();
        packager::live::index(&stretches, range)
    }
}

fn overlap(a: &Range<u64>, b: &Range<u64>) -> bool {
    a.start < b.end && b.start < a.end
}

/// The parts that have something of `range`, ascending.
async fn parts(context: &Context, timeline: &Timeline, range: &Range<u64>) -> Result<Vec<PartEntry>> {
    let mut found = Vec::new();
    for (at, listing) in timeline.listings.iter().enumerate() {
        let next = timeline.listings.get(at + 1).map(|l| l.start_us);
        let end = next.or(timeline.parts.first().map(|p| p.start_us)).unwrap_or(u64::MAX);
        if !overlap(&(listing.start_us..end), range) {
            continue;
        }
        let path = timeline.listing_path(listing.first);
        anyhow::ensure!(listing.bytes <= packager::limits::MAX_LISTING_BYTES, "{path} has {} bytes", listing.bytes);
        let bytes = context.indexes.read(&path, 0..listing.bytes, None).await?;
        let entries: Vec<PartEntry> = serde_json::from_slice(&bytes).with_context(|| path.clone())?;
        found.extend(entries);
    }
    found.extend(timeline.parts.iter().cloned());
    found.retain(|part| overlap(&(part.start_us..part.end_us), range));
    Ok(found)
}

async fn read(context: &Context, place: Place, periods: &BTreeSet<u64>) -> Result<Piece> {
    let Place { first, path, bytes, head, head_bytes } = place;
    let begins_period = periods.contains(&first);
    let read = match bytes {
        0 => Bytes::new(),
        bytes => context.indexes.read(&path, 0..bytes, None).await?,
    };
    let head_bytes = usize::try_from(head_bytes)?;
    let head = match head {
        Some(head) => head,
        None => {
            let own = read.get(..head_bytes).with_context(|| format!("{path} is shorter than its head"))?;
            Head::read(own, bytes).with_context(|| path.clone())?
        }
    };
    Ok(Piece { head, head_bytes, bytes: read, begins_period })
}

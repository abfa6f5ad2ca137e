//! The parts of a timeline: where each is, and what of them has been read.

use core::ops::Range;
use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::part::PartHead;
use crate::config::{PartEntry, Timeline};
use crate::error::{Error, Result};
use crate::limits;

/// What a job learnt of a timeline, worth keeping for the next one, of whichever endpoint of the channel. A job takes it at
/// any later revision of the timeline too: parts never change.
#[derive(Debug, Default)]
pub struct Prepared {
    id: String,
    revision: u64,
    open: Option<Arc<PartHead>>,
    parts: BTreeMap<u64, Arc<PartHead>>,
    listings: BTreeMap<u64, Arc<Vec<PartEntry>>>,
}

impl Prepared {
    /// Whether it was learnt of just this timeline: nothing is to be gained by keeping another one instead.
    pub fn is_of(&self, timeline: &Timeline) -> bool {
        self.id == timeline.id && self.revision == timeline.revision
    }

    /// About how many bytes of memory it holds.
    pub fn memory(&self) -> usize {
        let parts = self.parts.values().chain(&self.open).map(|part| part.memory());
        let listings = self.listings.values().map(|l| l.capacity() * (size_of::<PartEntry>() + 64));
        size_of::<Self>() + parts.sum::<usize>() + listings.sum::<usize>()
    }
}

/// Bytes of an object below [`crate::config::INDEX_PATH`] that a job wants. They never change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// To be given back to [`super::Job::supply`].
    pub id: u32,
    /// Path of the object below [`crate::config::INDEX_PATH`].
    pub path: String,
    /// Byte range in it.
    pub range: Range<u64>,
}

/// A wanted stretch of an object.
type Wanted = (String, u64, u64);

/// A timeline, with what has come of its parts so far. Every question is answered with `None` while something has to be
/// fetched for it; it is then among [`Archive::missing`].
#[derive(Debug)]
pub(super) struct Archive {
    pub timeline: Arc<Timeline>,
    open: Option<Arc<PartHead>>,
    parts: BTreeMap<u64, Arc<PartHead>>,
    listings: BTreeMap<u64, Arc<Vec<PartEntry>>>,
    /// For each thing that was asked for, where it is in `fetched`.
    asked: BTreeMap<Wanted, usize>,
    fetched: Vec<(Wanted, Option<Bytes>)>,
}

/// The part or the open part that a position is in.
#[derive(Clone, Debug)]
enum Where {
    Part(PartEntry),
    Open,
}

impl Archive {
    /// What is known before anything was fetched.
    ///
    /// # Errors
    /// `BadSource` when the open part breaks its format.
    pub fn new(timeline: Arc<Timeline>, prepared: Option<&Prepared>) -> Result<Self> {
        let prepared = prepared.filter(|p| p.id == timeline.id);
        let known = prepared.filter(|p| p.revision == timeline.revision).and_then(|p| p.open.clone());
        let open = match (&timeline.open, known) {
            (Some(_), Some(known)) => Some(known),
            (Some(open), None) => {
                let head = STANDARD.decode(&open.head);
                let head = head.map_err(|e| Error::bad_source(format!("timeline: the head of the open part: {e}")))?;
                let part = PartHead::open(open, &head)?;
                if part.positions().end != timeline.next {
                    let (end, next) = (part.positions().end, timeline.next);
                    return Err(Error::bad_source(format!("timeline: the open part ends with {end}, not with {next}")));
                }
                Some(Arc::new(part))
            }
            (None, _) => None,
        };
        let (parts, listings) = prepared.map(|p| (p.parts.clone(), p.listings.clone())).unwrap_or_default();
        Ok(Self { timeline, open, parts, listings, asked: BTreeMap::new(), fetched: Vec::new() })
    }

    /// What is worth keeping: the parts at the live edge.
    pub fn prepared(&self) -> Prepared {
        let mut parts = self.parts.clone();
        while parts.len() > limits::MAX_KEPT_PARTS {
            parts.pop_first();
        }
        let mut listings = self.listings.clone();
        while listings.len() > 1 {
            listings.pop_first();
        }
        let (id, revision) = (self.timeline.id.clone(), self.timeline.revision);
        Prepared { id, revision, open: self.open.clone(), parts, listings }
    }

    /// What was asked for and has not come.
    pub fn missing(&self) -> Vec<Fetch> {
        let fetched = (0u32..).zip(&self.fetched).filter(|(_, (_, bytes))| bytes.is_none());
        fetched.map(|(id, ((path, start, end), _))| Fetch { id, path: path.clone(), range: *start..*end }).collect()
    }

    /// Brings the bytes of a fetch.
    ///
    /// # Errors
    /// `Upstream` when the length is not what was asked for.
    pub fn supply(&mut self, id: u32, bytes: Bytes) -> Result<()> {
        let fetch = self.fetched.get_mut(id as usize);
        let ((path, start, end), slot) = fetch.ok_or_else(|| Error::internal(format!("no fetch has the id {id}")))?;
        if bytes.len() as u64 != *end - *start {
            let message = format!("{} bytes of {path} came for the range {start}..{end}", bytes.len());
            return Err(Error::upstream(message));
        }
        *slot = Some(bytes);
        Ok(())
    }

    /// A stretch of an object.
    pub fn bytes(&mut self, path: String, range: Range<u64>) -> Option<Bytes> {
        if range.is_empty() {
            return Some(Bytes::new());
        }
        let wanted = (path, range.start, range.end);
        if let Some(at) = self.asked.get(&wanted) {
            return self.fetched.get(*at).and_then(|(_, bytes)| bytes.clone());
        }
        self.asked.insert(wanted.clone(), self.fetched.len());
        self.fetched.push((wanted, None));
        None
    }

    /// The part that a position is in, the open one included.
    ///
    /// # Errors
    /// `NotFound` when no part has it, `BadSource` when the part breaks its format.
    pub fn part(&mut self, position: u64) -> Result<Option<Arc<PartHead>>> {
        match self.find(position)? {
            Some(Where::Open) => Ok(self.open.clone()),
            Some(Where::Part(entry)) => self.read(&entry),
            None => Ok(None),
        }
    }

    /// The parts that these positions are in, ascending.
    ///
    /// # Errors
    /// As [`Archive::part`].
    pub fn parts(&mut self, positions: Range<u64>) -> Result<Option<Vec<Arc<PartHead>>>> {
        let mut found = Vec::new();
        let mut complete = true;
        let mut next = positions.start;
        while next < positions.end {
            let part = match self.find(next)? {
                Some(Where::Part(entry)) => {
                    next = entry.first.saturating_add(entry.positions.into());
                    self.read(&entry)?
                }
                Some(Where::Open) => {
                    next = positions.end;
                    self.open.clone()
                }
                // A listing that has not come hides everything up to the next one.
                None => {
                    let listings = &self.timeline.listings;
                    let after = listings.get(listings.partition_point(|l| l.first <= next)).map(|l| l.first);
                    let after = after.or(self.timeline.parts.first().map(|p| p.first));
                    next = after.unwrap_or(positions.end).max(next.saturating_add(1));
                    None
                }
            };
            complete &= part.is_some();
            found.extend(part);
        }
        Ok(complete.then_some(found))
    }

    /// The last position that begins at or before a presentation time in microseconds; the first one when all begin later.
    ///
    /// # Errors
    /// As [`Archive::part`].
    pub fn position_at(&mut self, time: u64) -> Result<Option<u64>> {
        if let Some(open) = self.open.as_ref().filter(|open| open.start_us(open.positions().start) <= time) {
            return Ok(Some(open.position_at(time)));
        }
        let timeline = self.timeline.clone();
        let entry = match timeline.parts.partition_point(|p| p.start_us <= time).checked_sub(1) {
            Some(at) => timeline.parts.get(at).cloned(),
            None => match timeline.listings.partition_point(|l| l.start_us <= time).saturating_sub(1) {
                at if at < timeline.listings.len() => {
                    let Some(entries) = self.listing(at)? else { return Ok(None) };
                    let at = entries.partition_point(|p| p.start_us <= time).saturating_sub(1);
                    entries.get(at).cloned()
                }
                _ => timeline.parts.first().cloned(),
            },
        };
        match (entry, &self.open) {
            (Some(entry), _) => Ok(self.read(&entry)?.map(|part| part.position_at(time))),
            (None, Some(open)) => Ok(Some(open.position_at(time))),
            (None, None) => Err(Error::not_found("the channel has no media")),
        }
    }

    fn find(&mut self, position: u64) -> Result<Option<Where>> {
        if self.open.as_ref().is_some_and(|open| open.positions().contains(&position)) {
            return Ok(Some(Where::Open));
        }
        let timeline = self.timeline.clone();
        let within = |entries: &[PartEntry]| {
            let at = entries.partition_point(|p| p.first <= position).checked_sub(1)?;
            entries.get(at).filter(|p| position - p.first < u64::from(p.positions)).cloned()
        };
        let gone = || Error::not_found(format!("position {position} of the timeline is not stored"));
        if timeline.parts.first().is_some_and(|p| p.first <= position) {
            return within(&timeline.parts).map(Where::Part).map(Some).ok_or_else(gone);
        }
        let at = timeline.listings.partition_point(|l| l.first <= position).checked_sub(1).ok_or_else(gone)?;
        let Some(entries) = self.listing(at)? else { return Ok(None) };
        within(&entries).map(Where::Part).map(Some).ok_or_else(gone)
    }

    fn listing(&mut self, at: usize) -> Result<Option<Arc<Vec<PartEntry>>>> {
        let timeline = self.timeline.clone();
        let Some(entry) = timeline.listings.get(at) else { return Err(Error::internal("no such listing")) };
        if let Some(known) = self.listings.get(&entry.first) {
            return Ok(Some(known.clone()));
        }
        let path = timeline.listing_path(entry.first);
        if entry.bytes > limits::MAX_LISTING_BYTES {
            return Err(Error::limit(format!("{path} has {} bytes", entry.bytes)));
        }
        let Some(bytes) = self.bytes(path.clone(), 0..entry.bytes) else { return Ok(None) };
        let entries: Vec<PartEntry> =
            serde_json::from_slice(&bytes).map_err(|e| Error::bad_source(format!("{path}: {e}")))?;
        entries.iter().try_for_each(PartEntry::check).map_err(|why| Error::bad_source(format!("{path}: {why}")))?;
        let follow = |w: &[PartEntry]| {
            w.first().zip(w.get(1)).is_none_or(|(a, b)| a.first.saturating_add(a.positions.into()) <= b.first)
        };
        if entries.first().is_none_or(|p| p.first != entry.first) || !entries.windows(2).all(follow) {
            return Err(Error::bad_source(format!("{path}: its parts do not follow each other")));
        }
        let entries = Arc::new(entries);
        self.listings.insert(entry.first, entries.clone());
        Ok(Some(entries))
    }

    fn read(&mut self, entry: &PartEntry) -> Result<Option<Arc<PartHead>>> {
        if let Some(known) = self.parts.get(&entry.first) {
            return Ok(Some(known.clone()));
        }
        let path = self.timeline.part_path(entry.first);
        if entry.head_bytes > limits::MAX_HEAD_BYTES || entry.head_bytes > entry.bytes {
            return Err(Error::bad_source(format!("{path}: a head of {} bytes", entry.head_bytes)));
        }
        let Some(bytes) = self.bytes(path.clone(), 0..entry.head_bytes) else { return Ok(None) };
        let part = Arc::new(PartHead::read(entry, &bytes).map_err(|e| e.context(path))?);
        self.parts.insert(entry.first, part.clone());
        Ok(Some(part))
    }
}

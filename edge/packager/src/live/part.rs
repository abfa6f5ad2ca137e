//! The head of a part of a timeline.

use core::ops::Range;

use crate::config::{Counters, OpenPart, PartEntry};
use crate::error::{Error, Result};
use crate::index::Head;
use crate::index::head::Storage;
use crate::media::window::cut_us;

/// The head of a part, or of the open part.
#[derive(Debug)]
pub(super) struct PartHead {
    first: u64,
    /// For each position the cut that it begins with, and at last how many cuts there are.
    cuts: Vec<usize>,
    pub head: Head,
    /// What stands before it.
    pub counters: Counters,
    /// Whether its blocks are in an object for each position.
    pub is_open: bool,
}

impl PartHead {
    /// Reads the head of a part.
    ///
    /// # Errors
    /// `BadSource` when it breaks its format, or is of another part.
    pub fn read(entry: &PartEntry, head: &[u8]) -> Result<Self> {
        let part = Self::new(entry.first, Head::read(head, entry.bytes)?, entry.counters.clone(), false)?;
        if part.positions().end - entry.first != u64::from(entry.positions) {
            let message = format!("index: {} positions where {} should be", part.cuts.len() - 1, entry.positions);
            return Err(Error::bad_source(message));
        }
        Ok(part)
    }

    /// Reads the head of the open part.
    ///
    /// # Errors
    /// `BadSource` when it breaks its format.
    pub fn open(open: &OpenPart, head: &[u8]) -> Result<Self> {
        // Nothing says how long the blocks are but the head itself.
        Self::new(open.first, Head::read(head, u64::MAX)?, open.counters.clone(), true)
            .map_err(|e| e.context("timeline: the open part"))
    }

    fn new(first: u64, head: Head, counters: Counters, is_open: bool) -> Result<Self> {
        let bad = |what: &str| Err(Error::bad_source(format!("index: {what}")));
        if !head.alone {
            return bad("the fragments do not stand alone");
        }
        if head.tracks.iter().any(|t| matches!(t.storage, Storage::File(_))) {
            return bad("a track of a live channel lies in a file");
        }
        let mut cuts: Vec<usize> =
            head.cuts.iter().enumerate().filter(|(_, c)| c.source_segment).map(|(at, _)| at).collect();
        if cuts.first() != Some(&0) {
            return bad("the first cut begins no position");
        }
        cuts.push(head.cuts.len());
        if first.checked_add(cuts.len() as u64).is_none() {
            return bad("a position out of range");
        }
        Ok(Self { first, cuts, head, counters, is_open })
    }

    /// Its positions.
    pub fn positions(&self) -> Range<u64> {
        self.first..self.first + (self.cuts.len() as u64).saturating_sub(1)
    }

    /// The cuts of those of these positions that are in it.
    pub fn cuts(&self, positions: &Range<u64>) -> Range<usize> {
        self.cut(positions.start)..self.cut(positions.end)
    }

    /// The cut that a position begins with, or the number of cuts.
    fn cut(&self, position: u64) -> usize {
        let at = usize::try_from(position.saturating_sub(self.first)).unwrap_or(usize::MAX);
        self.cuts.get(at).copied().unwrap_or(self.head.cuts.len())
    }

    /// Presentation time at which a position begins, in microseconds.
    pub fn start_us(&self, position: u64) -> u64 {
        cut_us(&self.head, self.cut(position))
    }

    /// The last position that begins at or before a presentation time in microseconds, or the first.
    pub fn position_at(&self, time: u64) -> u64 {
        let positions = self.cuts.get(..self.cuts.len().saturating_sub(1)).unwrap_or_default();
        let passed = positions.partition_point(|cut| cut_us(&self.head, *cut) <= time);
        self.first + (passed as u64).saturating_sub(1)
    }

    /// About how many bytes of memory it holds.
    pub fn memory(&self) -> usize {
        size_of::<Self>() + self.head.memory() + self.cuts.capacity() * size_of::<usize>()
    }
}

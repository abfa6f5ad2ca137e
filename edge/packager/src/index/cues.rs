//! A block of a text track: all cues that are shown at some moment between two cuts.
//!
//! The header of the track (STYLE and REGION blocks) is in the head. Fragment k lasts from cut k to cut k + 1, the last one
//! to the end of time. A cue stands in the block of every fragment that it overlaps, so a segment needs the blocks of its
//! own fragments and no others. Cues of a track are numbered by start; in a block they are in that order.
//!
//! | field | type | meaning |
//! | --- | --- | --- |
//! | cues | varint | how many |
//! | cue | | as below, each |
//!
//! | field of a cue | type | meaning |
//! | --- | --- | --- |
//! | number | varint | of the first cue: its number; of the others: the distance from the one before, at least 1 |
//! | start | varint, ms | of the first cue: its start; of the others: minus the start of the one before |
//! | duration | varint, ms | at least 1 |
//! | identifier | text | may be empty |
//! | settings | text | may be empty |
//! | payload | text | lines separated by LF |
//!
//! A cue that a block shares with the one before has a number that is not above the highest of that block: whoever has
//! read that block has seen it. For if a cue begins no later than another one of the earlier fragment, and lasts into the
//! later fragment, then it overlaps the earlier fragment too.

use crate::bytes::Reader;
use crate::bytes::reader::ShortRead;
use crate::bytes::writer::Writer;
use crate::error::{Error, Result};
use crate::limits;
use crate::text::{Cue, CueRef};

/// Blocks of a text track, one for each cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blocks {
    /// All blocks, one after the other.
    pub bytes: Vec<u8>,
    /// Of each block: how many cues it has, and its length in bytes.
    pub fragments: Vec<BlockSize>,
}

/// What a block holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockSize {
    /// Cues in it.
    pub cues: u32,
    /// Its length in bytes.
    pub bytes: u64,
}

/// Writes the blocks of a track. `cues` are sorted by start; `cuts` are the beginnings of the fragments in milliseconds,
/// ascending. Cues that end by the first cut stand in no block.
///
/// # Errors
/// `Limit` when the blocks are too large together, or too many cues are shown at the same time; `Internal` when the cues
/// are not sorted or one has no duration.
pub fn write(cues: &[Cue], cuts: &[u64]) -> Result<Blocks> {
    if !cues.is_sorted_by_key(|cue| cue.start) || cues.iter().any(|cue| cue.end <= cue.start) {
        return Err(Error::internal("the cues of a text track are not in order"));
    }
    check_simultaneous(cues)?;
    let mut blocks = Blocks::default();
    let mut waiting = cues.iter().zip(0u32..).peekable();
    let mut shown: Vec<CueRef<'_>> = Vec::new();
    for (number, &start) in cuts.iter().enumerate() {
        let end = cuts.get(number + 1).copied().unwrap_or(u64::MAX);
        shown.retain(|cue| cue.end > start);
        while let Some((cue, ordinal)) = waiting.next_if(|(cue, _)| cue.start < end) {
            if cue.end > start {
                shown.push(cue.at(ordinal));
            }
        }
        let before = blocks.bytes.len();
        write_block(&shown, &mut blocks.bytes);
        if blocks.bytes.len() > limits::MAX_TEXT_INDEX_BYTES {
            return Err(Error::limit(format!(
                "the cues up to {start} ms need more than {} bytes of index, as each is stored for every cut it is shown across",
                limits::MAX_TEXT_INDEX_BYTES
            )));
        }
        let bytes = blocks.bytes.len().saturating_sub(before) as u64;
        blocks.fragments.push(BlockSize { cues: shown.len() as u32, bytes });
    }
    Ok(blocks)
}

/// Each moment's cues are repeated in one sample of a segment: a limit on them bounds its size.
fn check_simultaneous(cues: &[Cue]) -> Result<()> {
    let mut ends = std::collections::BinaryHeap::new();
    for cue in cues {
        while ends.peek().is_some_and(|core::cmp::Reverse(end)| *end <= cue.start) {
            ends.pop();
        }
        ends.push(core::cmp::Reverse(cue.end));
        if ends.len() > limits::MAX_SIMULTANEOUS_CUES {
            return Err(Error::limit(format!(
                "more than {} cues are shown at the same time, at {} ms",
                limits::MAX_SIMULTANEOUS_CUES,
                cue.start
            )));
        }
    }
    Ok(())
}

fn write_block(cues: &[CueRef<'_>], out: &mut Vec<u8>) {
    out.varint(cues.len() as u64);
    let mut before = (0, 0);
    for cue in cues {
        out.varint(u64::from(cue.ordinal.saturating_sub(before.0)));
        out.varint(cue.start.saturating_sub(before.1));
        out.varint(cue.end.saturating_sub(cue.start));
        [cue.identifier, cue.settings, cue.payload].iter().for_each(|text| out.blob(text.as_bytes()));
        before = (cue.ordinal, cue.start);
    }
}

/// Collects the cues of a segment from the blocks of its fragments, each cue once, in order.
#[derive(Debug, Default)]
pub struct CueReader<'a> {
    cues: Vec<CueRef<'a>>,
    next: u64,
}

impl<'a> CueReader<'a> {
    /// Starts a segment.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the next block; its first byte is byte `at` of the index.
    ///
    /// # Errors
    /// `BadSource` when the block breaks its format.
    pub fn read(&mut self, data: &'a [u8], at: u64) -> Result<()> {
        let bad = |what: &str| Error::bad_source(format!("index: the cues at byte {at} have {what}"));
        let short = |e: ShortRead| Error::bad_source(format!("index: the cues at byte {at} end too early, {e}"));
        let mut r = Reader::new(data, at);
        let count = r.varint().map_err(short)?;
        // A cue has at least six bytes, so this bounds what is reserved too.
        if count > r.left() as u64 / 6 {
            return Err(bad("a count that they cannot hold"));
        }
        self.cues.reserve(count as usize);
        let (mut ordinal, mut start) = (0u64, 0u64);
        for index in 0..count {
            let distance = r.varint().map_err(short)?;
            let later = r.varint().map_err(short)?;
            let duration = r.varint().map_err(short)?;
            let [identifier, settings, payload] = [text(&mut r), text(&mut r), text(&mut r)];
            ordinal = ordinal.checked_add(distance).ok_or_else(|| bad("a number out of range"))?;
            start = start.checked_add(later).ok_or_else(|| bad("a time out of range"))?;
            let end = start.checked_add(duration).ok_or_else(|| bad("a time out of range"))?;
            if duration == 0 || (index > 0 && distance == 0) {
                return Err(bad("no order"));
            }
            let texts = identifier.zip(settings).zip(payload);
            let ((identifier, settings), payload) = texts.ok_or_else(|| bad("a text that is cut off or not UTF-8"))?;
            if ordinal >= self.next {
                let ordinal = u32::try_from(ordinal).map_err(|_| bad("a number out of range"))?;
                self.cues.push(CueRef { ordinal, start, end, identifier, settings, payload });
                self.next = u64::from(ordinal) + 1;
            }
        }
        if r.left() > 0 {
            return Err(bad("bytes left over"));
        }
        Ok(())
    }

    /// The cues that were read.
    pub fn finish(self) -> Vec<CueRef<'a>> {
        self.cues
    }
}

fn text<'a>(r: &mut Reader<'a>) -> Option<&'a str> {
    let length = usize::try_from(r.varint().ok()?).ok()?;
    core::str::from_utf8(r.take(length).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn cue(start: u64, end: u64, payload: &str) -> Cue {
        Cue { start, end, identifier: format!("i{start}"), settings: "line:0".into(), payload: payload.into() }
    }

    /// Cues of the fragments `range`, with their ordinals.
    fn read(blocks: &Blocks, range: core::ops::Range<usize>) -> Vec<(u32, Cue)> {
        let mut reader = CueReader::new();
        for number in range {
            let start = blocks.fragments[..number].iter().map(|f| f.bytes as usize).sum::<usize>();
            let end = start + blocks.fragments[number].bytes as usize;
            reader.read(&blocks.bytes[start..end], start as u64).unwrap();
        }
        reader.finish().iter().map(|cue| (cue.ordinal, cue.to_cue())).collect()
    }

    #[test]
    fn a_block_has_what_is_shown_between_its_cuts() {
        let cues =
            [cue(0, 10, "a"), cue(500, 3500, "é"), cue(999, 1000, "c"), cue(1000, 2000, "d"), cue(9000, 9001, "e")];
        let blocks = write(&cues, &[0, 1000, 2000, 3000]).unwrap();
        assert_eq!(blocks.fragments.iter().map(|f| f.cues).collect::<Vec<_>>(), [3, 2, 1, 2]);
        let numbers = |range| read(&blocks, range).iter().map(|(n, _)| *n).collect::<Vec<_>>();
        assert_eq!(
            [numbers(0..1), numbers(1..2), numbers(2..3), numbers(3..4)],
            [vec![0, 1, 2], vec![1, 3], vec![1], vec![1, 4]]
        );
        assert_eq!(numbers(0..4), [0, 1, 2, 3, 4]);
        assert_eq!(numbers(2..4), [1, 4]);
        assert_eq!(read(&blocks, 0..4).into_iter().map(|(_, cue)| cue).collect::<Vec<_>>(), cues);
    }

    #[test]
    fn any_range_gives_each_cue_that_it_overlaps_once() {
        let cuts = (0..20).map(|k| k * 700).collect::<Vec<u64>>();
        let mut cues =
            (0..60).map(|n| cue(n * 211 % 14_000, n * 211 % 14_000 + 1 + n * n * 7, "x")).collect::<Vec<_>>();
        cues.sort_by_key(|cue| cue.start);
        let blocks = write(&cues, &cuts).unwrap();
        for first in 0..cuts.len() {
            for last in first + 1..=cuts.len() {
                let (start, end) = (cuts[first], cuts.get(last).copied().unwrap_or(u64::MAX));
                let wanted = cues.iter().filter(|cue| cue.at(0).overlaps(start, end)).cloned().collect::<Vec<_>>();
                let found = read(&blocks, first..last).into_iter().map(|(_, cue)| cue).collect::<Vec<_>>();
                assert_eq!(found, wanted, "{first}..{last}");
            }
        }
    }

    #[test]
    fn what_needs_too_much_room_is_refused() {
        let long = vec![cue(0, u64::MAX, &"x".repeat(limits::MAX_CUE_BYTES))];
        let cuts = (0..1000).map(|k| k * 1000).collect::<Vec<u64>>();
        assert_eq!(write(&long, &cuts).unwrap_err().kind(), ErrorKind::Limit);
        let many = vec![cue(0, 1000, ""); limits::MAX_SIMULTANEOUS_CUES + 1];
        let error = write(&many, &[0]).unwrap_err();
        assert_eq!(
            (error.kind(), error.message()),
            (ErrorKind::Limit, "more than 256 cues are shown at the same time, at 0 ms")
        );
        let after_each_other = (0..1000).map(|n| cue(n, n + 1, "")).collect::<Vec<_>>();
        assert!(write(&after_each_other, &[0]).is_ok());
        assert_eq!(write(&[cue(5, 6, ""), cue(0, 1, "")], &[0]).unwrap_err().kind(), ErrorKind::Internal);
        assert_eq!(write(&[cue(5, 5, "")], &[0]).unwrap_err().kind(), ErrorKind::Internal);
    }

    #[test]
    fn a_block_may_hold_anything() {
        let blocks = write(&[cue(0, 10, "a"), cue(5, 3500, "é")], &[0]).unwrap();
        for at in 0..blocks.bytes.len() {
            assert!(CueReader::new().read(&blocks.bytes[..at], 0).is_err());
            for value in [0, 1, 2, 0x7f, 0x80, 0xff] {
                let mut bad = blocks.bytes.clone();
                bad[at] = value;
                let mut reader = CueReader::new();
                if reader.read(&bad, 0).is_ok() {
                    assert!(reader.finish().iter().all(|cue| cue.start < cue.end));
                }
            }
        }
        let error = CueReader::new().read(&[5, 0], 700).unwrap_err();
        assert_eq!(error.message(), "index: the cues at byte 700 have a count that they cannot hold");
        assert!(CueReader::new().read(&[0, 0], 0).is_err());
    }
}

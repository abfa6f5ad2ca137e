//! Bytes of an elementary stream become NAL units (ITU-T H.264 annex B, ITU-T H.265 annex B).

use crate::error::{Error, Result};
use crate::limits::MAX_SAMPLE_BYTES;

/// Bytes that are done with are removed when there are this many, and more than of those that are not.
const COMPACT_BYTES: usize = 64 << 10;
/// `start_code_prefix_one_3bytes`.
const START_CODE_BYTES: usize = 3;

/// A NAL unit, as positions in the elementary stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    /// Where its start code begins.
    pub code: u64,
    /// Its first byte.
    pub start: u64,
    /// After its last byte; zero bytes at its end are not part of it.
    pub end: u64,
}

/// Finds NAL units.
#[derive(Clone, Debug, Default)]
pub(super) struct Splitter {
    data: Vec<u8>,
    /// Position of `data` in the elementary stream.
    base: u64,
    /// Up to where there is no start code that was not found.
    scanned: usize,
    /// Where the start code of the unit that is open begins.
    open: Option<usize>,
}

impl Splitter {
    /// Position of the next byte that is pushed.
    pub fn end(&self) -> u64 {
        self.base + self.data.len() as u64
    }

    /// Appends bytes. What is before `keep` is not asked for again.
    pub fn push(&mut self, bytes: &[u8], keep: u64) -> Result<()> {
        let pending = self.open.unwrap_or(self.scanned);
        let done = keep.saturating_sub(self.base).min(pending as u64) as usize;
        if done >= COMPACT_BYTES && done > self.data.len() - done {
            self.data.drain(..done);
            self.base += done as u64;
            self.scanned -= done;
            self.open = self.open.map(|at| at - done);
        }
        let pending = self.open.unwrap_or(self.scanned);
        if self.data.len() - pending > MAX_SAMPLE_BYTES as usize {
            return Err(Error::limit(format!("a NAL unit of more than {MAX_SAMPLE_BYTES} bytes")));
        }
        self.data.extend_from_slice(bytes);
        Ok(())
    }

    /// The bytes of a unit.
    pub fn bytes(&self, unit: &Unit) -> &[u8] {
        let range = (unit.start - self.base) as usize..(unit.end - self.base) as usize;
        self.data.get(range).unwrap_or_default()
    }

    /// The next unit whose end is known.
    pub fn next(&mut self) -> Option<Unit> {
        while let Some(found) = find_start_code(&self.data, self.scanned) {
            let before = self.open.replace(found);
            self.scanned = found + START_CODE_BYTES;
            if let Some(unit) = before.and_then(|open| self.unit(open, found)) {
                return Some(unit);
            }
        }
        self.scanned = self.scanned.max(self.data.len().saturating_sub(START_CODE_BYTES - 1));
        None
    }

    /// Ends the open unit where the data end, after [`Self::next`] has given all before it. What follows belongs to none
    /// until a start code comes.
    pub fn close(&mut self) -> Option<Unit> {
        let unit = self.open.take().and_then(|open| self.unit(open, self.data.len()));
        self.scanned = self.data.len();
        unit
    }

    /// Position of the first byte that may still be part of a unit.
    pub fn pending(&self) -> u64 {
        self.base + self.open.unwrap_or(self.scanned) as u64
    }

    fn unit(&self, code: usize, end: usize) -> Option<Unit> {
        let start = code + START_CODE_BYTES;
        let length = self.data.get(start..end)?.iter().rposition(|byte| *byte != 0)? + 1;
        let at = |index: usize| self.base + index as u64;
        Some(Unit { code: at(code), start: at(start), end: at(start + length) })
    }
}

/// The first 00 00 01 at or after `from`.
fn find_start_code(data: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    // The third byte says how far the next candidate is: above 1 three bytes, otherwise one.
    while let Some(&[first, second, third]) = data.get(at..).and_then(|rest| rest.first_chunk()) {
        match third {
            0 => at += 1,
            1 if first == 0 && second == 0 => return Some(at),
            _ => at += 3,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let (mut splitter, mut out) = (Splitter::default(), Vec::new());
        for chunk in chunks {
            splitter.push(chunk, u64::MAX).unwrap();
            while let Some(unit) = splitter.next() {
                out.push(splitter.bytes(&unit).to_vec());
            }
        }
        out.extend(splitter.close().map(|unit| splitter.bytes(&unit).to_vec()));
        out
    }

    #[test]
    fn any_chunking_gives_the_same_units() {
        let data = [9, 9, 0, 0, 0, 1, 1, 2, 0, 0, 1, 0, 0, 1, 3, 0, 0, 0, 0, 1, 0, 0, 3, 1, 4, 0, 0];
        let units: [&[u8]; 3] = [&[1, 2], &[3], &[0, 0, 3, 1, 4]];
        for size in 1..=data.len() {
            assert_eq!(split(&data.chunks(size).collect::<Vec<_>>()), units, "chunks of {size}");
        }
    }

    #[test]
    fn a_start_code_across_a_gap_is_none() {
        let mut splitter = Splitter::default();
        splitter.push(&[0, 0, 1, 7, 0, 0], 0).unwrap();
        assert_eq!(splitter.next(), None);
        assert_eq!(splitter.close(), Some(Unit { code: 0, start: 3, end: 4 }));
        splitter.push(&[1, 5, 5, 0, 0, 1, 6], 0).unwrap();
        assert_eq!(splitter.next(), None);
        assert_eq!(splitter.close(), Some(Unit { code: 9, start: 12, end: 13 }));
    }

    #[test]
    fn what_is_done_with_is_removed() {
        let mut splitter = Splitter::default();
        let mut unit = vec![0, 0, 1];
        unit.resize(1000, 7);
        for round in 0..1000u64 {
            let keep = splitter.pending();
            splitter.push(&unit, keep).unwrap();
            let found = splitter.next();
            assert_eq!(found.map(|u| (u.code, u.end)), round.checked_sub(1).map(|r| (r * 1000, r * 1000 + 1000)));
            assert!(splitter.data.len() < 2 * COMPACT_BYTES + 2000);
        }
    }
}

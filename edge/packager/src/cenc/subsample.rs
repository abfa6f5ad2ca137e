//! Subsamples (ISO/IEC 23001-7, 9.5): from the stretches of a sample to the entries of `senc`.

use crate::index::block::Stretch;

/// An entry of `senc`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subsample {
    /// BytesOfClearData.
    pub clear: u16,
    /// BytesOfProtectedData.
    pub protected: u32,
}

/// How long protected runs may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alignment {
    /// Any length, cbcs: clear bytes end where the slice header does, because Apple's players look for it there.
    Bytes,
    /// Whole blocks, cenc (9.5.2.2): what is left over goes to the clear bytes in front, so that a run ends with its slice,
    /// tile or frame.
    Blocks,
}

const BLOCK: u64 = 16;
/// Entries of one sample: `saiz` counts the bytes of its auxiliary information, an initialisation vector of 8 bytes, a
/// count of 2 and 6 for each entry, in one byte.
pub const MAX_SUBSAMPLES: usize = 40;

/// Calls `each` with the entries of a sample with these stretches.
///
/// A sample of more slices than entries fit has its last slices in the clear.
pub fn split(alignment: Alignment, stretches: &[Stretch], mut each: impl FnMut(Subsample)) {
    let entries_of_clear = |bytes: u64| bytes.div_ceil(u64::from(u16::MAX));
    let mut left: u64 = stretches.iter().map(|s| u64::from(s.clear) + u64::from(s.protected)).sum();
    let mut room = MAX_SUBSAMPLES as u64;
    let mut clear = 0u64;
    for stretch in stretches {
        let whole = u64::from(stretch.clear) + u64::from(stretch.protected);
        left = left.saturating_sub(whole);
        let over = match alignment {
            Alignment::Bytes => 0,
            Alignment::Blocks => u64::from(stretch.protected) % BLOCK,
        };
        let protected = u64::from(stretch.protected) - over;
        let in_front = clear + u64::from(stretch.clear) + over;
        let entries = entries_of_clear(in_front).max(1);
        if entries + entries_of_clear(left) > room {
            room = 0;
        }
        if protected == 0 || room == 0 {
            clear += whole;
            continue;
        }
        room -= entries;
        let last = emit_clear(in_front, false, &mut each);
        each(Subsample { clear: last, protected: protected as u32 });
        clear = 0;
    }
    emit_clear(clear, true, &mut each);
}

/// Entries of nothing but clear bytes for all but the rest that one entry holds; that rest, or 0 when it was `closed` by an
/// entry of its own.
fn emit_clear(mut bytes: u64, closed: bool, each: &mut impl FnMut(Subsample)) -> u16 {
    while bytes > u64::from(u16::MAX) {
        each(Subsample { clear: u16::MAX, protected: 0 });
        bytes -= u64::from(u16::MAX);
    }
    if closed && bytes > 0 {
        each(Subsample { clear: bytes as u16, protected: 0 });
        return 0;
    }
    bytes as u16
}

/// How many entries samples have whose stretches stand one after the other, `counts` of them for each.
pub fn count(alignment: Alignment, stretches: &[Stretch], counts: &[u32]) -> u32 {
    let mut entries = 0u32;
    let mut rest = stretches;
    for &count in counts {
        let (own, after) = rest.split_at_checked(count as usize).unwrap_or((rest, &[]));
        rest = after;
        split(alignment, own, |_| entries = entries.saturating_add(1));
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(alignment: Alignment, stretches: &[(u32, u32)]) -> Vec<(u16, u32)> {
        let stretches: Vec<Stretch> =
            stretches.iter().map(|&(clear, protected)| Stretch { clear, protected }).collect();
        let mut entries = Vec::new();
        split(alignment, &stretches, |s| entries.push((s.clear, s.protected)));
        let bytes = |entries: &[(u16, u32)]| entries.iter().map(|e| u64::from(e.0) + u64::from(e.1)).sum::<u64>();
        let wanted: u64 = stretches.iter().map(|s| u64::from(s.clear) + u64::from(s.protected)).sum();
        assert_eq!(bytes(&entries), wanted, "the entries cover the sample");
        assert_eq!(count(alignment, &stretches, &[stretches.len() as u32]) as usize, entries.len());
        entries
    }

    #[test]
    fn cbcs_keeps_slices_as_they_are() {
        assert_eq!(of(Alignment::Bytes, &[(30, 101), (9, 7)]), [(30, 101), (9, 7)]);
        assert_eq!(of(Alignment::Bytes, &[(30, 101), (5, 0)]), [(30, 101), (5, 0)]);
    }

    #[test]
    fn cenc_moves_what_is_over_to_the_front() {
        assert_eq!(of(Alignment::Blocks, &[(30, 101)]), [(35, 96)]);
        // A slice below a block stays clear and joins what follows.
        assert_eq!(of(Alignment::Blocks, &[(30, 96), (9, 15), (4, 32)]), [(30, 96), (28, 32)]);
        assert_eq!(of(Alignment::Blocks, &[(9, 15)]), [(24, 0)]);
    }

    #[test]
    fn long_clear_runs_take_several_entries() {
        assert_eq!(of(Alignment::Bytes, &[(65_535, 16)]), [(65_535, 16)]);
        assert_eq!(of(Alignment::Bytes, &[(65_536, 16)]), [(65_535, 0), (1, 16)]);
        assert_eq!(of(Alignment::Bytes, &[(131_070, 16)]), [(65_535, 0), (65_535, 16)]);
        assert_eq!(of(Alignment::Bytes, &[(131_071, 0)]), [(65_535, 0), (65_535, 0), (1, 0)]);
    }

    #[test]
    fn what_saiz_cannot_count_stays_clear() {
        let slices = vec![(10, 100); 60];
        let entries = of(Alignment::Bytes, &slices);
        assert_eq!(entries.len(), MAX_SUBSAMPLES);
        assert_eq!(entries[38], (10, 100));
        assert_eq!(entries[39], (21 * 110, 0));
        assert_eq!(of(Alignment::Bytes, &vec![(10, 100); 40]).len(), 40);
    }

    #[test]
    fn a_sample_without_bytes_has_no_entry() {
        assert!(of(Alignment::Bytes, &[]).is_empty());
        assert!(of(Alignment::Blocks, &[(0, 0)]).is_empty());
    }
}

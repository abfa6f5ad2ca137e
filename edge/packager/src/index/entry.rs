//! What a stored sample entry allows.

use super::Track;

/// Whether a `hev1` track can be called `hvc1`: video, sequence and picture parameter sets are all in `hvcC`
/// (ISO/IEC 14496-15, 8.3.3.1).
pub fn renames_to_hvc1(track: &Track) -> bool {
    let [entry] = track.sample_entries.as_slice() else { return false };
    entry.get(4..8) == Some(b"hev1") && has_all_parameter_sets(entry)
}

fn has_all_parameter_sets(entry: &[u8]) -> bool {
    let Some(start) = entry.windows(4).position(|w| w == b"hvcC") else { return false };
    // configuration record: 22 bytes, number of arrays, then type, count and units of each
    let Some((&arrays, mut rest)) = entry.get(start + 4 + 22..).and_then(<[u8]>::split_first) else { return false };
    let mut found = [false; 3];
    for _ in 0..arrays {
        let [kind, high, low, after @ ..] = rest else { return false };
        rest = after;
        let count = u16::from_be_bytes([*high, *low]);
        if let Some(slot) = (kind & 0x3f).checked_sub(32).and_then(|k| found.get_mut(usize::from(k))) {
            *slot |= count > 0;
        }
        for _ in 0..count {
            let [high, low, after @ ..] = rest else { return false };
            let Some(next) = after.get(usize::from(u16::from_be_bytes([*high, *low]))..) else { return false };
            rest = next;
        }
    }
    found == [true; 3]
}

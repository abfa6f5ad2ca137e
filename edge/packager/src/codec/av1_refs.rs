//! Which frames an AV1 frame refers to, by their order hints (AV1 specification clauses 5.9.3, 5.9.22 and 7.8).

/// Frames that are kept for reference.
pub(super) const SLOTS: usize = 8;
/// `REFS_PER_FRAME`.
pub(super) const REFS: usize = 7;

/// `get_relative_dist` with order hints of this many bits, at least one.
pub(super) fn distance(bits: u32, a: u32, b: u32) -> i32 {
    let m = 1i32 << (bits.clamp(1, 8) - 1);
    let difference = a as i32 - b as i32;
    (difference & (m - 1)) - (difference & m)
}

/// Slots that are still free, with their distance from the current frame.
struct Free {
    distances: [i32; SLOTS],
    used: [bool; SLOTS],
}

impl Free {
    fn take(&mut self, slot: usize) -> Option<usize> {
        *self.used.get_mut(slot)? = true;
        Some(slot)
    }

    fn backward(&self, backward: bool) -> impl Iterator<Item = (usize, i32)> + '_ {
        let free = self.distances.iter().copied().zip(self.used).enumerate();
        free.filter_map(move |(slot, (d, used))| (!used && (d >= 0) == backward).then_some((slot, d)))
    }

    /// Of equal ones the last.
    fn latest(&mut self, backward: bool) -> Option<usize> {
        let (slot, _) = self.backward(backward).max_by_key(|(_, d)| *d)?;
        self.take(slot)
    }

    /// Of equal ones the first.
    fn earliest_backward(&mut self) -> Option<usize> {
        let (slot, _) = self.backward(true).min_by_key(|(_, d)| *d)?;
        self.take(slot)
    }
}

/// The set frame refs process (clause 7.8): `ref_frame_idx` from the distances of the slots, and the slots of LAST_FRAME
/// and GOLDEN_FRAME.
pub(super) fn frame_refs(distances: [i32; SLOTS], last: usize, gold: usize) -> [usize; REFS] {
    let first = distances.iter().enumerate().min_by_key(|(_, d)| **d).map_or(0, |(slot, _)| slot);
    let mut free = Free { distances, used: [false; SLOTS] };
    let (last, gold) = (free.take(last), free.take(gold));
    let alternate = free.latest(true);
    let backward = free.earliest_backward();
    let alternate_2 = free.earliest_backward();
    let last_2 = free.latest(false);
    let last_3 = free.latest(false);
    let backward = backward.or_else(|| free.latest(false));
    let alternate_2 = alternate_2.or_else(|| free.latest(false));
    let alternate = alternate.or_else(|| free.latest(false));
    [last, last_2, last_3, gold, backward, alternate_2, alternate].map(|slot| slot.unwrap_or(first))
}

/// `skipModeAllowed` (clause 5.9.22) of a frame with compound references, from the order hints of its seven references.
pub(super) fn skip_mode_allowed(bits: u32, current: u32, hints: [u32; REFS]) -> bool {
    let latest_before = |limit: u32| {
        let before = hints.into_iter().filter(|hint| distance(bits, *hint, limit) < 0);
        before.reduce(|best, hint| if distance(bits, hint, best) > 0 { hint } else { best })
    };
    let Some(forward) = latest_before(current) else { return false };
    hints.into_iter().any(|hint| distance(bits, hint, current) > 0) || latest_before(forward).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_wrap() {
        assert_eq!(distance(7, 5, 3), 2);
        assert_eq!(distance(7, 1, 127), 2);
        assert_eq!(distance(7, 127, 1), -2);
    }

    #[test]
    fn references_of_a_pyramid() {
        // Slots before the frame: 0, 1, 2, 7; after it: 3 (far), 4 (near), 5 (middle); 6 is as far as 3.
        let refs = frame_refs([-1, -4, -8, 8, 1, 4, 8, -2], 0, 2);
        assert_eq!(refs, [0, 7, 1, 2, 4, 5, 6]);
        // All forward: what is left over is the earliest.
        assert_eq!(frame_refs([-1, -2, -3, -3, -3, -3, -3, -3], 0, 1), [0, 7, 6, 1, 5, 4, 3]);
        assert_eq!(frame_refs([-1; SLOTS], 9, 9), [0, 7, 6, 0, 5, 4, 3]);
    }

    #[test]
    fn skip_mode_needs_two_sides_or_two_before() {
        assert!(skip_mode_allowed(7, 10, [9, 9, 9, 9, 12, 12, 12]));
        assert!(skip_mode_allowed(7, 10, [9, 8, 9, 9, 9, 9, 9]));
        assert!(!skip_mode_allowed(7, 10, [9; REFS]));
        assert!(!skip_mode_allowed(7, 10, [12; REFS]));
    }
}

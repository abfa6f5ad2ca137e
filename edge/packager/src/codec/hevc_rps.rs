//! H.265 short-term reference picture sets (ITU-T H.265 clauses 7.3.7 and 7.4.8).

use crate::bytes::bits::{Bits, Error, Result};

/// `num_short_term_ref_pic_sets` at most.
pub(super) const MAX_SHORT_TERM_SETS: u32 = 64;
/// Pictures in a reference picture set at most (`sps_max_dec_pic_buffering_minus1` is below 16).
const MAX_REFERENCES: usize = 16;

/// The pictures that a short-term reference picture set names: differences of picture order count, and whether the
/// current picture uses them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ShortTermSet {
    pictures: [(i32, bool); MAX_REFERENCES],
    negative: usize,
    total: usize,
}

impl ShortTermSet {
    /// Reads `st_ref_pic_set(index)` (clause 7.3.7) and derives it (clause 7.4.8); `earlier` are the sets of the SPS that
    /// came before, and `in_slice` says that the set stands in a slice segment header.
    pub fn parse(r: &mut Bits<'_>, earlier: &[ShortTermSet], in_slice: bool) -> Result<Self> {
        let mut set = Self::default();
        if !earlier.is_empty() && r.flag()? {
            let back = if in_slice { r.ue_max(MAX_SHORT_TERM_SETS)? as usize + 1 } else { 1 };
            let reference = earlier.len().checked_sub(back).and_then(|i| earlier.get(i)).ok_or(Error::Range)?;
            let sign = r.flag()?;
            let absolute = r.ue_max(0x7fff)? as i32 + 1;
            set.predict(r, reference, if sign { -absolute } else { absolute })?;
            return Ok(set);
        }
        let negative = r.ue_max(MAX_REFERENCES as u32)? as usize;
        let positive = r.ue_max((MAX_REFERENCES - negative) as u32)? as usize;
        for (count, sign) in [(negative, -1), (positive, 1)] {
            let mut delta = 0i32;
            for _ in 0..count {
                delta = delta.saturating_add(sign * (r.ue_max(0x7fff)? as i32 + 1));
                set.push(delta, r.flag()?)?;
            }
        }
        Ok(set)
    }

    fn push(&mut self, delta: i32, used: bool) -> Result<()> {
        *self.pictures.get_mut(self.total).ok_or(Error::Range)? = (delta, used);
        self.total += 1;
        if delta < 0 {
            self.negative += 1;
        }
        Ok(())
    }

    fn predict(&mut self, r: &mut Bits<'_>, reference: &Self, delta_rps: i32) -> Result<()> {
        // (used_by_curr_pic_flag, use_delta_flag) for each picture of the reference set, and one for its own picture.
        let mut flags = [(false, true); MAX_REFERENCES + 1];
        for flag in flags.iter_mut().take(reference.total + 1) {
            flag.0 = r.flag()?;
            if !flag.0 {
                flag.1 = r.flag()?;
            }
        }
        let all = reference.pictures.iter().zip(&flags).take(reference.total);
        let own = flags.get(reference.total).map(|f| (delta_rps, f));
        let shifted = || all.clone().map(|((delta, _), f)| (delta.saturating_add(delta_rps), f));
        // Equations 7-61 and 7-62: the farther half backwards, the picture itself, the nearer half forwards.
        let first = reference.negative;
        let negatives = shifted().skip(first).rev().chain(own).chain(shifted().take(first));
        for (delta, &(used, keep)) in negatives.filter(|(delta, _)| *delta < 0) {
            if keep {
                self.push(delta, used)?;
            }
        }
        let positives = shifted().take(first).rev().chain(own).chain(shifted().skip(first));
        for (delta, &(used, keep)) in positives.filter(|(delta, _)| *delta > 0) {
            if keep {
                self.push(delta, used)?;
            }
        }
        Ok(())
    }

    /// How many of its pictures the current picture uses.
    pub fn used(&self) -> u32 {
        self.pictures.iter().take(self.total).filter(|(_, used)| *used).count() as u32
    }
}

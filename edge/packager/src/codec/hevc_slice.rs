//! H.265 slice segment headers (ITU-T H.265 clause 7.3.6).

use super::hevc::{MAX_LONG_TERM, ParameterSets, Pps, Sps};
use super::hevc_rps::ShortTermSet;
use crate::bytes::bits::{Bits, Error, Result, ceil_log2};

/// Entry points of one slice segment: the tiles times the coding tree block rows that level 6.2 allows, and room.
const MAX_ENTRY_POINTS: u32 = 1 << 16;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    B,
    P,
    I,
}

/// Length of the NAL unit header and the slice segment header, `byte_alignment()` included as clause 7.3.6.1 has it,
/// emulation prevention bytes counted.
pub(super) fn header_bytes(nal: &[u8], sets: &ParameterSets) -> Result<usize> {
    let mut r = Bits::nal(nal);
    let nal_type = (r.bits(16)? >> 9) & 63;
    let first = r.flag()?;
    if (16..=23).contains(&nal_type) {
        r.flag()?;
    }
    let (sps, pps) = sets.get(r.ue()?).ok_or(Error::Range)?;
    if pps.unreadable || sps.screen_content {
        return Err(Error::Range);
    }
    let mut dependent = false;
    if !first {
        dependent = pps.dependent_slice_segments && r.flag()?;
        r.bits(ceil_log2(sps.pic_size_in_ctbs))?;
    }
    if !dependent {
        independent(&mut r, sps, pps, nal_type)?;
    }
    if pps.entry_points {
        let count = r.ue_max(MAX_ENTRY_POINTS)?;
        if count > 0 {
            let bits = r.ue_max(31)? + 1;
            for _ in 0..count {
                r.bits(bits)?;
            }
        }
    }
    if pps.slice_header_extension {
        let bytes = r.ue_max(256)?;
        r.skip(8 * bytes)?;
    }
    if !r.flag()? {
        return Err(Error::Range);
    }
    Ok(r.touched())
}

/// What a dependent slice segment takes over from the one before it.
fn independent(r: &mut Bits<'_>, sps: &Sps, pps: &Pps, nal_type: u32) -> Result<()> {
    let chroma = sps.chroma_array_type() != 0;
    r.skip(pps.extra_slice_header_bits)?;
    let kind = match r.ue_max(2)? {
        0 => Kind::B,
        1 => Kind::P,
        _ => Kind::I,
    };
    if pps.output_flag_present {
        r.flag()?;
    }
    if sps.separate_colour_plane {
        r.skip(2)?;
    }
    let (mut references, mut temporal_mvp) = (0, false);
    if !matches!(nal_type, 19 | 20) {
        r.bits(sps.poc_lsb_bits)?;
        references = reference_pictures(r, sps)?;
        temporal_mvp = sps.temporal_mvp && r.flag()?;
    }
    let (mut sao_luma, mut sao_chroma) = (false, false);
    if sps.sample_adaptive_offset {
        sao_luma = r.flag()?;
        sao_chroma = chroma && r.flag()?;
    }
    if kind != Kind::I {
        inter(r, &Inter { pps, chroma, kind, references, temporal_mvp })?;
    }
    r.se()?;
    if pps.slice_chroma_qp_offsets {
        r.se()?;
        r.se()?;
    }
    if pps.chroma_qp_offset_list {
        r.flag()?;
    }
    let mut deblocking_disabled = pps.deblocking_disabled;
    if pps.deblocking_override && r.flag()? {
        deblocking_disabled = r.flag()?;
        if !deblocking_disabled {
            r.se()?;
            r.se()?;
        }
    }
    if pps.loop_filter_across_slices && (sao_luma || sao_chroma || !deblocking_disabled) {
        r.flag()?;
    }
    Ok(())
}

/// The reference picture sets of a slice; gives `NumPicTotalCurr`.
fn reference_pictures(r: &mut Bits<'_>, sps: &Sps) -> Result<u32> {
    let count = sps.short_term_sets.len();
    let mut used = if r.flag()? {
        let index = r.bits(ceil_log2(count as u32))?;
        sps.short_term_sets.get(index as usize).ok_or(Error::Range)?.used()
    } else {
        ShortTermSet::parse(r, &sps.short_term_sets, true)?.used()
    };
    if sps.long_term {
        let known = sps.long_term_used.len() as u32;
        let from_sps = if known > 0 { r.ue_max(known.min(MAX_LONG_TERM))? } else { 0 };
        let own = r.ue_max(MAX_LONG_TERM)?;
        for i in 0..from_sps + own {
            let in_use = if i < from_sps {
                let index = r.bits(ceil_log2(known))?;
                *sps.long_term_used.get(index as usize).ok_or(Error::Range)?
            } else {
                r.bits(sps.poc_lsb_bits)?;
                r.flag()?
            };
            used += u32::from(in_use);
            if r.flag()? {
                r.ue()?;
            }
        }
    }
    Ok(used)
}

struct Inter<'a> {
    pps: &'a Pps,
    chroma: bool,
    kind: Kind,
    references: u32,
    temporal_mvp: bool,
}

/// The part of P and B slices.
fn inter(r: &mut Bits<'_>, s: &Inter<'_>) -> Result<()> {
    let (pps, b) = (s.pps, s.kind == Kind::B);
    let mut active = pps.num_ref_idx;
    if r.flag()? {
        active[0] = r.ue_max(14)? + 1;
        if b {
            active[1] = r.ue_max(14)? + 1;
        }
    }
    let lists = if b { 2 } else { 1 };
    if pps.lists_modification && s.references > 1 {
        for &entries in active.iter().take(lists) {
            if r.flag()? {
                for _ in 0..entries {
                    r.bits(ceil_log2(s.references))?;
                }
            }
        }
    }
    if b {
        r.flag()?;
    }
    if pps.cabac_init_present {
        r.flag()?;
    }
    if s.temporal_mvp {
        let from_list_0 = !b || r.flag()?;
        let [first, second] = active;
        if (if from_list_0 { first } else { second }) > 1 {
            r.ue_max(14)?;
        }
    }
    if (pps.weighted_pred && !b) || (pps.weighted_bipred && b) {
        weights(r, s.chroma, active.iter().take(lists))?;
    }
    r.ue_max(4)?;
    Ok(())
}

/// `pred_weight_table` (clause 7.3.6.3).
fn weights<'a>(r: &mut Bits<'_>, chroma: bool, lists: impl Iterator<Item = &'a u32>) -> Result<()> {
    r.ue_max(7)?;
    if chroma {
        r.se()?;
    }
    for &entries in lists {
        let mut flags = [(false, false); 16];
        for flag in flags.iter_mut().take(entries as usize) {
            flag.0 = r.flag()?;
        }
        if chroma {
            for flag in flags.iter_mut().take(entries as usize) {
                flag.1 = r.flag()?;
            }
        }
        for (luma, chroma) in flags {
            for _ in 0..if luma { 2 } else { 0 } + if chroma { 4 } else { 0 } {
                r.se()?;
            }
        }
    }
    Ok(())
}

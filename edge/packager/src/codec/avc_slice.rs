//! H.264 slice headers (ITU-T H.264 clause 7.3.3).

use super::avc::{ParameterSets, Pps, Sps};
use crate::bytes::bits::{Bits, Error, Result, ceil_log2};

/// Commands of one reference list: two fields of sixteen frames, and the end.
const MAX_LIST_COMMANDS: usize = 67;
/// Memory management control operations of one slice: more than there are fields to name.
const MAX_MARKING_COMMANDS: usize = 130;

/// `slice_type` modulo 5.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    P,
    B,
    I,
    Sp,
    Si,
}

impl Kind {
    fn intra(self) -> bool {
        matches!(self, Self::I | Self::Si)
    }
}

/// Length of the NAL unit header and the slice header of a NAL unit of type 1 or 5, rounded up to bytes, emulation
/// prevention bytes included.
pub(super) fn header_bytes(nal: &[u8], sets: &ParameterSets) -> Result<usize> {
    let mut r = Bits::nal(nal);
    let nal_header = r.byte()?;
    let (reference, idr) = (nal_header & 0x60 != 0, nal_header & 31 == 5);
    r.ue()?;
    let kind = match r.ue_max(9)? % 5 {
        0 => Kind::P,
        1 => Kind::B,
        2 => Kind::I,
        3 => Kind::Sp,
        _ => Kind::Si,
    };
    let (sps, pps) = sets.get(r.ue()?).ok_or(Error::Range)?;
    picture(&mut r, sps, pps, idr)?;
    if kind == Kind::B {
        r.flag()?;
    }
    let mut active = pps.num_ref_idx;
    if !kind.intra() {
        if r.flag()? {
            active[0] = r.ue_max(31)? + 1;
            if kind == Kind::B {
                active[1] = r.ue_max(31)? + 1;
            }
        }
        list_modification(&mut r)?;
        if kind == Kind::B {
            list_modification(&mut r)?;
        }
    }
    let weighted = match kind {
        Kind::P | Kind::Sp => pps.weighted_pred,
        Kind::B => pps.weighted_bipred_idc == 1,
        _ => false,
    };
    if weighted {
        let lists = active.iter().take(if kind == Kind::B { 2 } else { 1 });
        weights(&mut r, sps.chroma_array_type() != 0, lists)?;
    }
    if reference {
        marking(&mut r, idr)?;
    }
    if pps.cabac && !kind.intra() {
        r.ue_max(2)?;
    }
    r.se()?;
    if kind == Kind::Sp {
        r.flag()?;
    }
    if matches!(kind, Kind::Sp | Kind::Si) {
        r.se()?;
    }
    if pps.deblocking_control && r.ue_max(2)? != 1 {
        r.se()?;
        r.se()?;
    }
    if let Some(rate) = pps.slice_group_change_rate {
        r.bits(ceil_log2(sps.pic_size_in_map_units.div_ceil(rate.max(1)).saturating_add(1)))?;
    }
    Ok(r.touched())
}

/// What tells one picture from the next, from the start of its first slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PictureId {
    pub frame_num: u32,
    /// For a field, whether it is the bottom one.
    pub bottom_field: Option<bool>,
    pub idr: bool,
}

impl PictureId {
    /// Reads the start of a slice header.
    pub fn parse(nal: &[u8], sets: &ParameterSets) -> Result<Self> {
        let mut r = Bits::nal(nal);
        let idr = r.byte()? & 31 == 5;
        r.ue()?;
        r.ue_max(9)?;
        let (sps, _) = sets.get(r.ue()?).ok_or(Error::Range)?;
        if sps.separate_colour_plane {
            r.skip(2)?;
        }
        let frame_num = r.bits(sps.frame_num_bits)?;
        let field = !sps.frame_mbs_only && r.flag()?;
        let bottom_field = if field { Some(r.flag()?) } else { None };
        Ok(Self { frame_num, bottom_field, idr })
    }

    /// Whether this is the second field of the frame whose first field is `first` (clause 3.30: complementary fields).
    pub fn completes(&self, first: &Self) -> bool {
        let opposite = matches!((self.bottom_field, first.bottom_field), (Some(a), Some(b)) if a != b);
        opposite && self.frame_num == first.frame_num && (first.idr || !self.idr)
    }
}

/// Whether a slice is of type I or SI.
pub(super) fn is_intra(nal: &[u8]) -> Result<bool> {
    let mut r = Bits::nal(nal);
    r.byte()?;
    r.ue()?;
    Ok(matches!(r.ue_max(9)? % 5, 2 | 4))
}

/// From `colour_plane_id` to `redundant_pic_cnt`.
fn picture(r: &mut Bits<'_>, sps: &Sps, pps: &Pps, idr: bool) -> Result<()> {
    if sps.separate_colour_plane {
        r.skip(2)?;
    }
    r.bits(sps.frame_num_bits)?;
    let field = !sps.frame_mbs_only && r.flag()?;
    if field {
        r.flag()?;
    }
    if idr {
        r.ue()?;
    }
    if sps.poc_type == 0 {
        r.bits(sps.poc_lsb_bits)?;
        if pps.bottom_field_pic_order && !field {
            r.se()?;
        }
    } else if sps.poc_type == 1 && !sps.delta_pic_order_always_zero {
        r.se()?;
        if pps.bottom_field_pic_order && !field {
            r.se()?;
        }
    }
    if pps.redundant_pic_cnt {
        r.ue()?;
    }
    Ok(())
}

/// One list of `ref_pic_list_modification` (clause 7.3.3.1).
fn list_modification(r: &mut Bits<'_>) -> Result<()> {
    if !r.flag()? {
        return Ok(());
    }
    for _ in 0..MAX_LIST_COMMANDS {
        if r.ue_max(3)? == 3 {
            return Ok(());
        }
        r.ue()?;
    }
    Err(Error::Range)
}

/// `pred_weight_table` (clause 7.3.3.2).
fn weights<'a>(r: &mut Bits<'_>, chroma: bool, lists: impl Iterator<Item = &'a u32>) -> Result<()> {
    r.ue_max(7)?;
    if chroma {
        r.ue_max(7)?;
    }
    for &entries in lists {
        for _ in 0..entries {
            if r.flag()? {
                r.se()?;
                r.se()?;
            }
            if chroma && r.flag()? {
                for _ in 0..4 {
                    r.se()?;
                }
            }
        }
    }
    Ok(())
}

/// `dec_ref_pic_marking` (clause 7.3.3.3).
fn marking(r: &mut Bits<'_>, idr: bool) -> Result<()> {
    if idr {
        r.flag()?;
        r.flag()?;
        return Ok(());
    }
    if !r.flag()? {
        return Ok(());
    }
    for _ in 0..MAX_MARKING_COMMANDS {
        match r.ue_max(6)? {
            0 => return Ok(()),
            3 => {
                r.ue()?;
                r.ue()?;
            }
            1 | 2 | 4 | 6 => {
                r.ue()?;
            }
            _ => {}
        }
    }
    Err(Error::Range)
}

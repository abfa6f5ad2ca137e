//! H.264: the configuration record (ISO/IEC 14496-15 clause 5.3.3) and parameter sets (ITU-T H.264 clauses 7.3.2.1 and
//! 7.3.2.2), as far as slice headers and manifests need them.

use super::parameter_sets::{self, Picture, Sequence};
use super::{Colour, Malformed};
use crate::bytes::bits::{Bits, Error, Result, ceil_log2};

/// Parameter set identifiers of sequence parameter sets are below this.
const MAX_SPS: usize = 32;
/// Parameter set identifiers of picture parameter sets are below this.
const MAX_PPS: usize = 256;

/// Profiles whose sequence parameter sets, and configuration records, say the chroma format and bit depths.
pub(super) const HIGH_PROFILES: [u8; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];
/// `aspect_ratio_idc` 1 to 16 (table E-1).
const PIXEL_ASPECTS: [(u32, u32); 16] = [
    (1, 1),
    (12, 11),
    (10, 11),
    (16, 11),
    (40, 33),
    (24, 11),
    (20, 11),
    (32, 11),
    (80, 33),
    (18, 11),
    (15, 11),
    (64, 33),
    (160, 99),
    (4, 3),
    (3, 2),
    (2, 1),
];
/// `aspect_ratio_idc` that is followed by the ratio.
const EXTENDED_SAR: u8 = 255;

/// A sequence parameter set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sps {
    pub id: u32,
    pub chroma_format_idc: u32,
    pub separate_colour_plane: bool,
    pub bit_depth: u8,
    pub bit_depth_chroma: u8,
    /// `profile_idc`, the constraint flags, `level_idc`.
    pub profile: [u8; 3],
    pub frame_num_bits: u32,
    pub poc_type: u32,
    pub poc_lsb_bits: u32,
    pub delta_pic_order_always_zero: bool,
    pub frame_mbs_only: bool,
    pub pic_size_in_map_units: u32,
    pub width: u32,
    pub height: u32,
    pub colour: Option<Colour>,
    /// Width and height of a sample, when they are said.
    pub pixel_aspect: Option<(u32, u32)>,
}

impl Sps {
    /// Reads a NAL unit of type 7, its header byte included.
    pub fn parse(nal: &[u8]) -> Result<Self> {
        let mut r = Bits::nal(nal);
        r.byte()?;
        let profile_idc = r.byte()?;
        let profile = [profile_idc, r.byte()?, r.byte()?];
        let id = r.ue_max(MAX_SPS as u32 - 1)?;
        let (mut chroma_format_idc, mut separate_colour_plane) = (1, false);
        let (mut bit_depth, mut bit_depth_chroma) = (8, 8);
        if HIGH_PROFILES.contains(&profile_idc) {
            chroma_format_idc = r.ue_max(3)?;
            if chroma_format_idc == 3 {
                separate_colour_plane = r.flag()?;
            }
            bit_depth = 8 + r.ue_max(6)? as u8;
            bit_depth_chroma = 8 + r.ue_max(6)? as u8;
            r.flag()?;
            if r.flag()? {
                for list in 0..if chroma_format_idc == 3 { 12 } else { 8 } {
                    if r.flag()? {
                        skip_scaling_list(&mut r, if list < 6 { 16 } else { 64 })?;
                    }
                }
            }
        }
        let frame_num_bits = r.ue_max(12)? + 4;
        let poc_type = r.ue_max(2)?;
        let (mut poc_lsb_bits, mut delta_pic_order_always_zero) = (0, false);
        if poc_type == 0 {
            poc_lsb_bits = r.ue_max(12)? + 4;
        } else if poc_type == 1 {
            delta_pic_order_always_zero = r.flag()?;
            r.se()?;
            r.se()?;
            for _ in 0..r.ue_max(255)? {
                r.se()?;
            }
        }
        r.ue()?;
        r.flag()?;
        // 16,384 macroblocks a side are four times the largest level.
        let width_mbs = r.ue_max(16_383)? + 1;
        let height_map_units = r.ue_max(16_383)? + 1;
        let frame_mbs_only = r.flag()?;
        if !frame_mbs_only {
            r.flag()?;
        }
        r.flag()?;
        let height_factor = if frame_mbs_only { 1 } else { 2 };
        let (mut width, mut height) = (width_mbs * 16, height_map_units * 16 * height_factor);
        if r.flag()? {
            let (left, right, top, bottom) = (r.ue()?, r.ue()?, r.ue()?, r.ue()?);
            let chroma = if separate_colour_plane { 0 } else { chroma_format_idc };
            let unit_x = if matches!(chroma, 1 | 2) { 2 } else { 1 };
            let unit_y = if chroma == 1 { 2 } else { 1 } * height_factor;
            width = width.checked_sub(left.saturating_add(right).saturating_mul(unit_x)).ok_or(Error::Range)?;
            height = height.checked_sub(top.saturating_add(bottom).saturating_mul(unit_y)).ok_or(Error::Range)?;
        }
        // What follows is optional for slices: a cut-off VUI is no reason to refuse.
        let Vui { colour, pixel_aspect } = vui(&mut r).unwrap_or_default();
        Ok(Self {
            id,
            chroma_format_idc,
            separate_colour_plane,
            bit_depth,
            bit_depth_chroma,
            profile,
            frame_num_bits,
            poc_type,
            poc_lsb_bits,
            delta_pic_order_always_zero,
            frame_mbs_only,
            pic_size_in_map_units: width_mbs * height_map_units,
            width,
            height,
            colour,
            pixel_aspect,
        })
    }

    /// `ChromaArrayType`.
    pub fn chroma_array_type(&self) -> u32 {
        if self.separate_colour_plane { 0 } else { self.chroma_format_idc }
    }
}

fn skip_scaling_list(r: &mut Bits<'_>, size: u32) -> Result<()> {
    let (mut last, mut next) = (8i32, 8i32);
    for _ in 0..size {
        if next != 0 {
            next = last.wrapping_add(r.se()?).rem_euclid(256);
        }
        if next != 0 {
            last = next;
        }
    }
    Ok(())
}

fn vui(r: &mut Bits<'_>) -> Result<Vui> {
    if r.flag()? { vui_start(r) } else { Ok(Vui::default()) }
}

/// What the start of a VUI says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Vui {
    pub colour: Option<Colour>,
    pub pixel_aspect: Option<(u32, u32)>,
}

/// The start of a VUI (clause E.1.1), the same in H.264 and H.265: aspect ratio, overscan and video signal type.
pub(super) fn vui_start(r: &mut Bits<'_>) -> Result<Vui> {
    let mut vui = Vui::default();
    if r.flag()? {
        let pixel_aspect = match r.byte()? {
            EXTENDED_SAR => (r.bits(16)?, r.bits(16)?),
            index => usize::from(index).checked_sub(1).and_then(|i| PIXEL_ASPECTS.get(i)).copied().unwrap_or((0, 0)),
        };
        vui.pixel_aspect = Some(pixel_aspect).filter(|(width, height)| *width > 0 && *height > 0);
    }
    // A signal type that is cut off leaves the rest as it is.
    vui.colour = signal_type(r).unwrap_or(None);
    Ok(vui)
}

fn signal_type(r: &mut Bits<'_>) -> Result<Option<Colour>> {
    if r.flag()? {
        r.flag()?;
    }
    if !r.flag()? {
        return Ok(None);
    }
    r.skip(3)?;
    let full_range = r.flag()?;
    if !r.flag()? {
        return Ok(Some(Colour { primaries: 2, transfer: 2, matrix: 2, full_range }));
    }
    Ok(Some(Colour { primaries: r.byte()?.into(), transfer: r.byte()?.into(), matrix: r.byte()?.into(), full_range }))
}

/// A picture parameter set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pps {
    pub id: u32,
    pub sps_id: u32,
    pub cabac: bool,
    pub bottom_field_pic_order: bool,
    /// `slice_group_change_rate_minus1 + 1` when slice groups of types 3 to 5 are used.
    pub slice_group_change_rate: Option<u32>,
    pub num_ref_idx: [u32; 2],
    pub weighted_pred: bool,
    pub weighted_bipred_idc: u32,
    pub deblocking_control: bool,
    pub redundant_pic_cnt: bool,
}

impl Pps {
    /// Reads a NAL unit of type 8, its header byte included.
    pub fn parse(nal: &[u8]) -> Result<Self> {
        let mut r = Bits::nal(nal);
        r.byte()?;
        let id = r.ue_max(MAX_PPS as u32 - 1)?;
        let sps_id = r.ue_max(MAX_SPS as u32 - 1)?;
        let cabac = r.flag()?;
        let bottom_field_pic_order = r.flag()?;
        let groups = r.ue_max(7)? + 1;
        let mut slice_group_change_rate = None;
        if groups > 1 {
            match r.ue_max(6)? {
                0 => {
                    for _ in 0..groups {
                        r.ue()?;
                    }
                }
                2 => {
                    for _ in 1..groups {
                        r.ue()?;
                        r.ue()?;
                    }
                }
                3..=5 => {
                    r.flag()?;
                    slice_group_change_rate = Some(r.ue()?.saturating_add(1));
                }
                6 => {
                    // The cursor ends with the data, so the loop is as long as the NAL unit at most.
                    for _ in 0..=r.ue()? {
                        r.bits(ceil_log2(groups))?;
                    }
                }
                _ => {}
            }
        }
        let num_ref_idx = [r.ue_max(31)? + 1, r.ue_max(31)? + 1];
        let weighted_pred = r.flag()?;
        let weighted_bipred_idc = r.bits(2)?;
        r.se()?;
        r.se()?;
        r.se()?;
        let deblocking_control = r.flag()?;
        r.flag()?;
        let redundant_pic_cnt = r.flag()?;
        Ok(Self {
            id,
            sps_id,
            cabac,
            bottom_field_pic_order,
            slice_group_change_rate,
            num_ref_idx,
            weighted_pred,
            weighted_bipred_idc,
            deblocking_control,
            redundant_pic_cnt,
        })
    }
}

impl Sequence for Sps {
    fn id(&self) -> u32 {
        self.id
    }
}

impl Picture for Pps {
    fn id(&self) -> u32 {
        self.id
    }

    fn sequence(&self) -> u32 {
        self.sps_id
    }
}

/// The parameter sets in force.
pub(super) type ParameterSets = parameter_sets::ParameterSets<Sps, Pps>;

/// What an `avcC` box says.
#[derive(Debug)]
pub(super) struct Record {
    pub profile: u8,
    pub compatibility: u8,
    pub level: u8,
    pub length_size: u8,
    pub sps: Option<Sps>,
    pub sets: ParameterSets,
}

/// Reads the payload of `avcC`. `in_band` says that parameter sets may come in the samples only (`avc3`).
pub(super) fn record(data: &[u8], in_band: bool) -> Result<Record, Malformed> {
    let mut r = Bits::new(data);
    let at = |r: &Bits<'_>| r.touched();
    let mut head = || -> Result<(u8, u8, u8, u8, u8, u8)> {
        Ok((r.byte()?, r.byte()?, r.byte()?, r.byte()?, r.byte()? & 3, r.byte()? & 31))
    };
    let (version, profile, compatibility, level, length_minus_one, sps_count) =
        head().map_err(|e| Malformed::new(data.len(), format!("AVCDecoderConfigurationRecord {e}")))?;
    if version != 1 {
        return Err(Malformed::new(0, format!("configurationVersion is {version}, not 1")));
    }
    if length_minus_one == 2 {
        return Err(Malformed::new(4, "lengthSizeMinusOne is 2"));
    }
    let mut sets = ParameterSets::default();
    let mut first = None;
    for _ in 0..sps_count {
        let start = at(&r) + 2;
        let nal = nal_16(&mut r).map_err(|e| Malformed::new(start, format!("sequenceParameterSetNALUnit {e}")))?;
        if nal.first().is_none_or(|b| b & 31 != 7) {
            return Err(Malformed::new(start, "sequenceParameterSetNALUnit is not of NAL unit type 7"));
        }
        let sps = Sps::parse(nal).map_err(|e| Malformed::new(start, format!("sequence parameter set {e}")))?;
        first.get_or_insert_with(|| sps.clone());
        sets.set_sps(sps);
    }
    if first.is_none() && !in_band {
        return Err(Malformed::new(5, "numOfSequenceParameterSets is 0"));
    }
    let pps_count = if in_band && r.rest().is_empty() {
        0
    } else {
        r.byte().map_err(|e| Malformed::new(at(&r), format!("numOfPictureParameterSets {e}")))?
    };
    for _ in 0..pps_count {
        let start = at(&r) + 2;
        let nal = nal_16(&mut r).map_err(|e| Malformed::new(start, format!("pictureParameterSetNALUnit {e}")))?;
        // A set that cannot be read costs only the slices that use it, and those are counted.
        if let Ok(pps) = Pps::parse(nal) {
            sets.set_pps(pps);
        }
    }
    Ok(Record { profile, compatibility, level, length_size: length_minus_one + 1, sps: first, sets })
}

/// A NAL unit after its 16-bit length.
pub(super) fn nal_16<'a>(r: &mut Bits<'a>) -> Result<&'a [u8]> {
    let length = r.bits(16)?;
    r.take(length as usize)
}

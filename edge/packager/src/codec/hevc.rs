//! H.265: the configuration record (ISO/IEC 14496-15 clause 8.3.3) and parameter sets (ITU-T H.265 clause 7.3.2), as far
//! as slice segment headers and manifests need them.

use super::avc::{Vui, nal_16, vui_start};
use super::hevc_rps::{MAX_SHORT_TERM_SETS, ShortTermSet};
use super::parameter_sets::{self, Picture, Sequence};
use super::{Colour, Malformed};
use crate::bytes::bits::{Bits, Error, Result};

const MAX_SPS: u32 = 16;
const MAX_PPS: u32 = 64;
/// `num_long_term_ref_pics_sps` at most.
pub(super) const MAX_LONG_TERM: u32 = 32;

/// A sequence parameter set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sps {
    pub id: u32,
    /// Screen content coding: slice segment headers have elements that are not read here.
    pub screen_content: bool,
    pub chroma_format_idc: u32,
    pub separate_colour_plane: bool,
    pub bit_depth: u8,
    pub bit_depth_chroma: u8,
    pub max_sub_layers: u8,
    pub temporal_id_nesting: bool,
    pub width: u32,
    pub height: u32,
    pub poc_lsb_bits: u32,
    pub pic_size_in_ctbs: u32,
    pub sample_adaptive_offset: bool,
    pub short_term_sets: Vec<ShortTermSet>,
    pub long_term: bool,
    /// `used_by_curr_pic_lt_sps_flag` of each.
    pub long_term_used: Vec<bool>,
    pub temporal_mvp: bool,
    pub colour: Option<Colour>,
    /// Width and height of a sample, when they are said.
    pub pixel_aspect: Option<(u32, u32)>,
}

impl Sps {
    /// Reads a NAL unit of type 33, its two header bytes included.
    pub fn parse(nal: &[u8]) -> Result<Self> {
        let mut r = Bits::nal(nal);
        r.skip(16 + 4)?;
        let max_sub_layers_minus1 = r.bits(3)?;
        let temporal_id_nesting = r.flag()?;
        let profile_idc = profile_tier_level(&mut r, max_sub_layers_minus1)?;
        let id = r.ue_max(MAX_SPS - 1)?;
        let chroma_format_idc = r.ue_max(3)?;
        let separate_colour_plane = chroma_format_idc == 3 && r.flag()?;
        let (coded_width, coded_height) = (r.ue_max(1 << 17)?, r.ue_max(1 << 17)?);
        let (mut width, mut height) = (coded_width, coded_height);
        if r.flag()? {
            let (left, right, top, bottom) = (r.ue()?, r.ue()?, r.ue()?, r.ue()?);
            let unit_x = if matches!(chroma_format_idc, 1 | 2) { 2 } else { 1 };
            let unit_y = if chroma_format_idc == 1 { 2 } else { 1 };
            width = width.checked_sub(left.saturating_add(right).saturating_mul(unit_x)).ok_or(Error::Range)?;
            height = height.checked_sub(top.saturating_add(bottom).saturating_mul(unit_y)).ok_or(Error::Range)?;
        }
        let bit_depth = 8 + r.ue_max(8)? as u8;
        let bit_depth_chroma = 8 + r.ue_max(8)? as u8;
        let poc_lsb_bits = r.ue_max(12)? + 4;
        let layers = if r.flag()? { max_sub_layers_minus1 + 1 } else { 1 };
        for _ in 0..layers {
            r.ue()?;
            r.ue()?;
            r.ue()?;
        }
        let min_cb = r.ue_max(3)? + 3;
        let ctb = min_cb + r.ue_max(3)?;
        for _ in 0..4 {
            r.ue()?;
        }
        if r.flag()? && r.flag()? {
            skip_scaling_list_data(&mut r)?;
        }
        r.flag()?;
        let sample_adaptive_offset = r.flag()?;
        if r.flag()? {
            r.skip(8)?;
            r.ue()?;
            r.ue()?;
            r.flag()?;
        }
        let mut short_term_sets = Vec::new();
        for _ in 0..r.ue_max(MAX_SHORT_TERM_SETS)? {
            let set = ShortTermSet::parse(&mut r, &short_term_sets, false)?;
            short_term_sets.push(set);
        }
        let long_term = r.flag()?;
        let mut long_term_used = Vec::new();
        if long_term {
            for _ in 0..r.ue_max(MAX_LONG_TERM)? {
                r.bits(poc_lsb_bits)?;
                long_term_used.push(r.flag()?);
            }
        }
        let temporal_mvp = r.flag()?;
        r.flag()?;
        // What follows is optional for slices: a cut-off VUI is no reason to refuse.
        let mut vui = || -> Result<Vui> { if r.flag()? { vui_start(&mut r) } else { Ok(Vui::default()) } };
        let Vui { colour, pixel_aspect } = vui().unwrap_or_default();
        let in_ctbs = |size: u32| (size + (1 << ctb) - 1) >> ctb;
        Ok(Self {
            id,
            screen_content: matches!(profile_idc, 9 | 11),
            chroma_format_idc,
            separate_colour_plane,
            bit_depth,
            bit_depth_chroma,
            max_sub_layers: max_sub_layers_minus1 as u8 + 1,
            temporal_id_nesting,
            width,
            height,
            poc_lsb_bits,
            pic_size_in_ctbs: in_ctbs(coded_width).saturating_mul(in_ctbs(coded_height)),
            sample_adaptive_offset,
            short_term_sets,
            long_term,
            long_term_used,
            temporal_mvp,
            colour,
            pixel_aspect,
        })
    }

    /// `ChromaArrayType`.
    pub fn chroma_array_type(&self) -> u32 {
        if self.separate_colour_plane { 0 } else { self.chroma_format_idc }
    }
}

/// Reads `profile_tier_level(1, ...)` and gives `general_profile_idc`.
fn profile_tier_level(r: &mut Bits<'_>, max_sub_layers_minus1: u32) -> Result<u32> {
    r.skip(3)?;
    let profile_idc = r.bits(5)?;
    r.skip(32 + 48 + 8)?;
    let mut present = [(false, false); 8];
    for flags in present.iter_mut().take(max_sub_layers_minus1 as usize) {
        *flags = (r.flag()?, r.flag()?);
    }
    if max_sub_layers_minus1 > 0 {
        r.skip(2 * 8u32.saturating_sub(max_sub_layers_minus1))?;
    }
    for (profile, level) in present {
        r.skip(if profile { 88 } else { 0 })?;
        r.skip(if level { 8 } else { 0 })?;
    }
    Ok(profile_idc)
}

fn skip_scaling_list_data(r: &mut Bits<'_>) -> Result<()> {
    for size in 0..4u32 {
        for _ in (0..6).step_by(if size == 3 { 3 } else { 1 }) {
            if !r.flag()? {
                r.ue()?;
                continue;
            }
            if size > 1 {
                r.se()?;
            }
            for _ in 0..64.min(1u32 << (4 + (size << 1))) {
                r.se()?;
            }
        }
    }
    Ok(())
}

/// A picture parameter set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pps {
    pub id: u32,
    pub sps_id: u32,
    pub dependent_slice_segments: bool,
    pub output_flag_present: bool,
    pub extra_slice_header_bits: u32,
    pub cabac_init_present: bool,
    pub num_ref_idx: [u32; 2],
    pub slice_chroma_qp_offsets: bool,
    pub weighted_pred: bool,
    pub weighted_bipred: bool,
    /// Tiles or wavefronts: slice segment headers carry entry points.
    pub entry_points: bool,
    pub loop_filter_across_slices: bool,
    pub deblocking_override: bool,
    pub deblocking_disabled: bool,
    pub lists_modification: bool,
    pub slice_header_extension: bool,
    pub chroma_qp_offset_list: bool,
    /// Extensions that change the slice segment header in ways that are not read here.
    pub unreadable: bool,
}

impl Pps {
    /// Reads a NAL unit of type 34, its two header bytes included.
    pub fn parse(nal: &[u8]) -> Result<Self> {
        let mut r = Bits::nal(nal);
        r.skip(16)?;
        let id = r.ue_max(MAX_PPS - 1)?;
        let sps_id = r.ue_max(MAX_SPS - 1)?;
        let dependent_slice_segments = r.flag()?;
        let output_flag_present = r.flag()?;
        let extra_slice_header_bits = r.bits(3)?;
        r.flag()?;
        let cabac_init_present = r.flag()?;
        let num_ref_idx = [r.ue_max(14)? + 1, r.ue_max(14)? + 1];
        r.se()?;
        r.flag()?;
        let transform_skip = r.flag()?;
        if r.flag()? {
            r.ue()?;
        }
        r.se()?;
        r.se()?;
        let slice_chroma_qp_offsets = r.flag()?;
        let weighted_pred = r.flag()?;
        let weighted_bipred = r.flag()?;
        r.flag()?;
        let tiles = r.flag()?;
        let wavefronts = r.flag()?;
        if tiles {
            let (columns, rows) = (r.ue_max(1 << 14)?, r.ue_max(1 << 14)?);
            if !r.flag()? {
                for _ in 0..columns + rows {
                    r.ue()?;
                }
            }
            r.flag()?;
        }
        let loop_filter_across_slices = r.flag()?;
        let (mut deblocking_override, mut deblocking_disabled) = (false, false);
        if r.flag()? {
            deblocking_override = r.flag()?;
            deblocking_disabled = r.flag()?;
            if !deblocking_disabled {
                r.se()?;
                r.se()?;
            }
        }
        if r.flag()? {
            skip_scaling_list_data(&mut r)?;
        }
        let lists_modification = r.flag()?;
        r.ue()?;
        let slice_header_extension = r.flag()?;
        let (mut chroma_qp_offset_list, mut unreadable) = (false, false);
        if r.flag()? {
            let range = r.flag()?;
            let others = r.bits(7)?;
            // Of the multilayer, 3D and screen content extensions only the last touches the base layer.
            unreadable = others & 0b001_0000 != 0;
            if range {
                if transform_skip {
                    r.ue()?;
                }
                r.flag()?;
                chroma_qp_offset_list = r.flag()?;
            }
        }
        Ok(Self {
            id,
            sps_id,
            dependent_slice_segments,
            output_flag_present,
            extra_slice_header_bits,
            cabac_init_present,
            num_ref_idx,
            slice_chroma_qp_offsets,
            weighted_pred,
            weighted_bipred,
            entry_points: tiles || wavefronts,
            loop_filter_across_slices,
            deblocking_override,
            deblocking_disabled,
            lists_modification,
            slice_header_extension,
            chroma_qp_offset_list,
            unreadable,
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

/// What an `hvcC` box says.
#[derive(Debug)]
pub(super) struct Record {
    pub profile_space: u8,
    pub tier: bool,
    pub profile_idc: u8,
    pub compatibility: u32,
    pub constraints: [u8; 6],
    pub level: u8,
    pub bit_depth: u8,
    pub length_size: u8,
    pub sps: Option<Sps>,
    pub sets: ParameterSets,
}

/// Reads the payload of `hvcC`. `in_band` says that parameter sets may come in the samples only (`hev1`).
pub(super) fn record(data: &[u8], in_band: bool) -> Result<Record, Malformed> {
    let mut r = Bits::new(data);
    let early = |e: Error| Malformed::new(data.len(), format!("HEVCDecoderConfigurationRecord {e}"));
    let version = r.byte().map_err(early)?;
    // Version 0 is what encoders wrote before the standard was final; the layout is the same.
    if version > 1 {
        return Err(Malformed::new(0, format!("configurationVersion is {version}, not 1")));
    }
    let mut head = || -> Result<Record> {
        let profile_space = r.bits(2)? as u8;
        let tier = r.flag()?;
        let profile_idc = r.bits(5)? as u8;
        let compatibility = r.bits(32)?;
        let mut constraints = [0; 6];
        constraints.copy_from_slice(r.take(6)?);
        let level = r.byte()?;
        r.skip(16 + 8 + 8 + 5)?;
        let bit_depth = 8 + r.bits(3)? as u8;
        r.skip(8 + 16 + 6)?;
        let length_size = r.bits(2)? as u8 + 1;
        let sets = ParameterSets::default();
        Ok(Record {
            profile_space,
            tier,
            profile_idc,
            compatibility,
            constraints,
            level,
            bit_depth,
            length_size,
            sps: None,
            sets,
        })
    };
    let mut record = head().map_err(early)?;
    if record.length_size == 3 {
        return Err(Malformed::new(21, "lengthSizeMinusOne is 2"));
    }
    for _ in 0..r.byte().map_err(early)? {
        let nal_type = r.byte().map_err(early)? & 63;
        for _ in 0..r.bits(16).map_err(early)? {
            let start = r.touched() + 2;
            let nal = nal_16(&mut r).map_err(|e| Malformed::new(start, format!("nalUnit of type {nal_type} {e}")))?;
            let header = nal.first().map(|b| (b >> 1) & 63);
            match nal_type {
                // Sets of enhancement layers (nuh_layer_id above 0) have another syntax and other slices.
                33 | 34 if layer_id(nal) != 0 => {}
                33 if header == Some(33) => {
                    let sps =
                        Sps::parse(nal).map_err(|e| Malformed::new(start, format!("sequence parameter set {e}")))?;
                    record.sps.get_or_insert_with(|| sps.clone());
                    record.sets.set_sps(sps);
                }
                33 => return Err(Malformed::new(start, "nalUnit in the array of type 33 is of another type")),
                // A set that cannot be read costs only the slices that use it, and those are counted.
                34 if header == Some(34) => {
                    if let Ok(pps) = Pps::parse(nal) {
                        record.sets.set_pps(pps);
                    }
                }
                _ => {}
            }
        }
    }
    if record.sps.is_none() && !in_band {
        return Err(Malformed::new(22, "there is no sequence parameter set"));
    }
    Ok(record)
}

/// `nuh_layer_id` of a NAL unit.
pub(crate) fn layer_id(nal: &[u8]) -> u8 {
    match nal {
        [a, b, ..] => ((a & 1) << 5) | (b >> 3),
        _ => 0,
    }
}

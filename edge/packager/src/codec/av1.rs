//! AV1: the configuration record (AV1 Codec ISO Media File Format Binding), open bitstream units and the sequence header
//! (AV1 Bitstream and Decoding Process Specification, clauses 5.3 and 5.5).

use super::{Colour, Malformed};
use crate::bytes::bits::{Bits, Error, Result};

/// `SELECT_SCREEN_CONTENT_TOOLS` and `SELECT_INTEGER_MV`: each frame says for itself.
pub(super) const SELECT: u32 = 2;
/// Open bitstream units in the configuration record that are looked at.
const MAX_CONFIG_UNITS: usize = 64;

/// `obu_type`s that matter here.
pub(super) mod unit_type {
    pub const SEQUENCE_HEADER: u8 = 1;
    pub const TEMPORAL_DELIMITER: u8 = 2;
    pub const FRAME_HEADER: u8 = 3;
    pub const TILE_GROUP: u8 = 4;
    pub const FRAME: u8 = 6;
    pub const REDUNDANT_FRAME_HEADER: u8 = 7;
}

/// An open bitstream unit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unit<'a> {
    pub kind: u8,
    /// `temporal_id` and `spatial_id` when the header has its extension.
    pub layer: Option<(u8, u8)>,
    /// Bytes of the header and the size field.
    pub header_bytes: usize,
    pub payload: &'a [u8],
}

impl<'a> Unit<'a> {
    /// Reads the unit at the start of `data`. One without a size field takes all of it.
    pub fn parse(data: &'a [u8]) -> Result<Self> {
        let mut r = Bits::new(data);
        if r.flag()? {
            return Err(Error::Range);
        }
        let kind = r.bits(4)? as u8;
        let (extension, has_size) = (r.flag()?, r.flag()?);
        r.flag()?;
        let mut layer = None;
        if extension {
            layer = Some((r.bits(3)? as u8, r.bits(2)? as u8));
            r.skip(3)?;
        }
        let size = if has_size { Some(leb128(&mut r)?) } else { None };
        let header_bytes = r.touched();
        let payload = match size {
            Some(size) => r.take(usize::try_from(size).map_err(|_| Error::Range)?)?,
            None => r.rest(),
        };
        Ok(Self { kind, layer, header_bytes, payload })
    }
}

fn leb128(r: &mut Bits<'_>) -> Result<u64> {
    let mut value = 0u64;
    for i in 0..8 {
        let byte = r.byte()?;
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return if value > u64::from(u32::MAX) { Err(Error::Range) } else { Ok(value) };
        }
    }
    Err(Error::Range)
}

/// What `operating_parameters_info` and the temporal point need in frame headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DecoderModel {
    pub buffer_removal_time_bits: u32,
    pub frame_presentation_time_bits: u32,
}

/// An operating point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OperatingPoint {
    pub idc: u32,
    pub decoder_model: bool,
}

/// A sequence header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sequence {
    pub profile: u32,
    pub reduced_still_picture: bool,
    pub equal_picture_interval: bool,
    pub decoder_model: Option<DecoderModel>,
    pub operating_points: Vec<OperatingPoint>,
    pub frame_width_bits: u32,
    pub frame_height_bits: u32,
    pub max_frame_width: u32,
    pub max_frame_height: u32,
    /// `delta_frame_id_length_minus_2 + 2` and `idLen`.
    pub frame_ids: Option<(u32, u32)>,
    pub use_128x128_superblock: bool,
    pub enable_warped_motion: bool,
    pub enable_ref_frame_mvs: bool,
    pub force_screen_content_tools: u32,
    pub force_integer_mv: u32,
    pub order_hint_bits: u32,
    pub enable_superres: bool,
    pub enable_cdef: bool,
    pub enable_restoration: bool,
    pub bit_depth: u8,
    pub monochrome: bool,
    pub subsampling: (bool, bool),
    pub chroma_sample_position: u32,
    pub separate_uv_delta_q: bool,
    pub film_grain_params_present: bool,
    pub colour: Colour,
}

impl Sequence {
    /// Reads `sequence_header_obu` (clause 5.5.1).
    pub fn parse(payload: &[u8]) -> Result<Self> {
        let mut r = Bits::new(payload);
        let profile = r.bits(3)?;
        if profile > 2 {
            return Err(Error::Range);
        }
        r.flag()?;
        let reduced = r.flag()?;
        let (mut equal_picture_interval, mut decoder_model) = (false, None);
        let mut operating_points = Vec::new();
        if reduced {
            r.skip(5)?;
            operating_points.push(OperatingPoint { idc: 0, decoder_model: false });
        } else {
            let mut delay_bits = 0;
            if r.flag()? {
                r.skip(64)?;
                equal_picture_interval = r.flag()?;
                if equal_picture_interval {
                    // uvlc() has the form of ue(v).
                    r.ue()?;
                }
                if r.flag()? {
                    delay_bits = r.bits(5)? + 1;
                    r.skip(32)?;
                    decoder_model = Some(DecoderModel {
                        buffer_removal_time_bits: r.bits(5)? + 1,
                        frame_presentation_time_bits: r.bits(5)? + 1,
                    });
                }
            }
            let initial_display_delay = r.flag()?;
            for _ in 0..=r.bits(5)? {
                let idc = r.bits(12)?;
                if r.bits(5)? > 7 {
                    r.flag()?;
                }
                let in_model = decoder_model.is_some() && r.flag()?;
                if in_model {
                    r.skip(2 * delay_bits + 1)?;
                }
                if initial_display_delay && r.flag()? {
                    r.skip(4)?;
                }
                operating_points.push(OperatingPoint { idc, decoder_model: in_model });
            }
        }
        let (frame_width_bits, frame_height_bits) = (r.bits(4)? + 1, r.bits(4)? + 1);
        let (max_frame_width, max_frame_height) = (r.bits(frame_width_bits)? + 1, r.bits(frame_height_bits)? + 1);
        let mut frame_ids = None;
        if !reduced && r.flag()? {
            let delta = r.bits(4)? + 2;
            frame_ids = Some((delta, r.bits(3)? + delta + 1));
        }
        let use_128x128_superblock = r.flag()?;
        r.skip(2)?;
        let (mut enable_warped_motion, mut enable_ref_frame_mvs, mut order_hint_bits) = (false, false, 0);
        let (mut force_screen_content_tools, mut force_integer_mv) = (SELECT, SELECT);
        if !reduced {
            r.skip(2)?;
            enable_warped_motion = r.flag()?;
            r.flag()?;
            let order_hint = r.flag()?;
            if order_hint {
                r.flag()?;
                enable_ref_frame_mvs = r.flag()?;
            }
            if !r.flag()? {
                force_screen_content_tools = r.bits(1)?;
            }
            if force_screen_content_tools > 0 && !r.flag()? {
                force_integer_mv = r.bits(1)?;
            }
            if order_hint {
                order_hint_bits = r.bits(3)? + 1;
            }
        }
        let (enable_superres, enable_cdef, enable_restoration) = (r.flag()?, r.flag()?, r.flag()?);
        let mut sequence = Self {
            profile,
            reduced_still_picture: reduced,
            equal_picture_interval,
            decoder_model,
            operating_points,
            frame_width_bits,
            frame_height_bits,
            max_frame_width,
            max_frame_height,
            frame_ids,
            use_128x128_superblock,
            enable_warped_motion,
            enable_ref_frame_mvs,
            force_screen_content_tools,
            force_integer_mv,
            order_hint_bits,
            enable_superres,
            enable_cdef,
            enable_restoration,
            bit_depth: 8,
            monochrome: false,
            subsampling: (true, true),
            chroma_sample_position: 0,
            separate_uv_delta_q: false,
            film_grain_params_present: false,
            colour: Colour { primaries: 2, transfer: 2, matrix: 2, full_range: false },
        };
        sequence.colour_config(&mut r)?;
        sequence.film_grain_params_present = r.flag()?;
        Ok(sequence)
    }

    /// Clause 5.5.2.
    fn colour_config(&mut self, r: &mut Bits<'_>) -> Result<()> {
        let high = r.flag()?;
        let twelve = self.profile == 2 && high && r.flag()?;
        self.bit_depth = if twelve { 12 } else { 8 + 2 * u8::from(high) };
        self.monochrome = self.profile != 1 && r.flag()?;
        if r.flag()? {
            self.colour.primaries = r.byte()?.into();
            self.colour.transfer = r.byte()?.into();
            self.colour.matrix = r.byte()?.into();
        }
        if self.monochrome {
            self.colour.full_range = r.flag()?;
            return Ok(());
        }
        if (self.colour.primaries, self.colour.transfer, self.colour.matrix) == (1, 13, 0) {
            self.colour.full_range = true;
            self.subsampling = (false, false);
        } else {
            self.colour.full_range = r.flag()?;
            self.subsampling = match self.profile {
                0 => (true, true),
                1 => (false, false),
                _ if twelve => {
                    let x = r.flag()?;
                    (x, x && r.flag()?)
                }
                _ => (true, false),
            };
            if self.subsampling == (true, true) {
                self.chroma_sample_position = r.bits(2)?;
            }
        }
        self.separate_uv_delta_q = r.flag()?;
        Ok(())
    }
}

/// What an `av1C` box says.
#[derive(Debug)]
pub(super) struct Record {
    pub profile: u32,
    pub level: u32,
    pub tier: bool,
    pub bit_depth: u8,
    pub monochrome: bool,
    pub chroma: [u32; 3],
    pub sequence: Option<Sequence>,
}

/// Reads the payload of `av1C`.
pub(super) fn record(data: &[u8]) -> Result<Record, Malformed> {
    let mut r = Bits::new(data);
    let mut head = || -> Result<Option<Record>> {
        if r.byte()? != 0x81 {
            return Ok(None);
        }
        let (profile, level, tier) = (r.bits(3)?, r.bits(5)?, r.flag()?);
        let (high, twelve, monochrome) = (r.flag()?, r.flag()?, r.flag()?);
        let chroma = [r.bits(1)?, r.bits(1)?, r.bits(2)?];
        let bit_depth = match (high, twelve) {
            (false, _) => 8,
            (true, false) => 10,
            (true, true) => 12,
        };
        r.byte()?;
        Ok(Some(Record { profile, level, tier, bit_depth, monochrome, chroma, sequence: None }))
    };
    let mut record = head()
        .map_err(|e| Malformed::new(data.len(), format!("AV1CodecConfigurationRecord {e}")))?
        .ok_or_else(|| Malformed::new(0, format!("marker and version are {:02x?}, not 81", data.first())))?;
    let mut rest = r.rest();
    for _ in 0..MAX_CONFIG_UNITS {
        if rest.is_empty() {
            break;
        }
        let offset = data.len() - rest.len();
        let unit = Unit::parse(rest).map_err(|e| Malformed::new(offset, format!("configOBUs: a unit {e}")))?;
        if unit.kind == unit_type::SEQUENCE_HEADER {
            let sequence = Sequence::parse(unit.payload)
                .map_err(|e| Malformed::new(offset, format!("configOBUs: the sequence header {e}")))?;
            record.sequence = Some(sequence);
        }
        rest = rest.get(unit.header_bytes + unit.payload.len()..).unwrap_or_default();
    }
    Ok(record)
}

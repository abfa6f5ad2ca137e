//! VP9: `VPCodecConfigurationRecord` (VP Codec ISO Media File Format Binding).

use super::{Colour, Malformed};
use crate::bytes::bits::{Bits, Result};

/// What a `vpcC` box says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub profile: u8,
    pub level: u8,
    pub bit_depth: u8,
    pub chroma_subsampling: u8,
    pub colour: Colour,
}

/// Reads the payload of `vpcC`.
pub(super) fn record(data: &[u8]) -> Result<Record, Malformed> {
    let version = data.first().copied();
    if version != Some(1) {
        // Version 0 was a draft with another layout.
        return Err(Malformed::new(0, format!("version is {version:?}, not 1")));
    }
    let mut r = Bits::new(data);
    let mut read = || -> Result<Record> {
        r.skip(32)?;
        let (profile, level) = (r.byte()?, r.byte()?);
        let (bit_depth, chroma_subsampling) = (r.bits(4)? as u8, r.bits(3)? as u8);
        let full_range = r.flag()?;
        let (primaries, transfer, matrix) = (r.byte()?.into(), r.byte()?.into(), r.byte()?.into());
        r.skip(16)?;
        let colour = Colour { primaries, transfer, matrix, full_range };
        Ok(Record { profile, level, bit_depth, chroma_subsampling, colour })
    };
    let record = read().map_err(|e| Malformed::new(data.len(), format!("VPCodecConfigurationRecord {e}")))?;
    if record.profile > 3 {
        return Err(Malformed::new(4, format!("profile is {}, not 0 to 3", record.profile)));
    }
    if !matches!(record.bit_depth, 8 | 10 | 12) {
        return Err(Malformed::new(6, format!("bitDepth is {}, not 8, 10 or 12", record.bit_depth)));
    }
    Ok(record)
}

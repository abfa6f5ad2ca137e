//! FLAC in ISO BMFF: `FLACSpecificBox` and the STREAMINFO block (RFC 9639 clause 8.2).

use crate::bytes::bits::{Bits, Error, Result};

/// What STREAMINFO says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StreamInfo {
    pub sample_rate: u32,
    pub channels: u32,
    pub bit_depth: u8,
    /// When all blocks but the last are equally long.
    pub block_size: Option<u32>,
}

/// Reads the payload of `dfLa`; STREAMINFO is its first block.
pub(super) fn stream_info(data: &[u8]) -> Result<StreamInfo> {
    let mut r = Bits::new(data);
    r.skip(32 + 1)?;
    if r.bits(7)? != 0 || r.bits(24)? < 34 {
        return Err(Error::Range);
    }
    let (least, most) = (r.bits(16)?, r.bits(16)?);
    r.skip(48)?;
    let sample_rate = r.bits(20)?;
    let channels = r.bits(3)? + 1;
    let bit_depth = r.bits(5)? as u8 + 1;
    r.take(20)?;
    if sample_rate == 0 {
        return Err(Error::Range);
    }
    Ok(StreamInfo { sample_rate, channels, bit_depth, block_size: (least == most).then_some(most) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stereo() {
        let mut data = vec![0, 0, 0, 0, 0x80, 0, 0, 34, 0x12, 0, 0x12, 0, 0, 0, 0, 0, 0, 0];
        data.extend([0x0b, 0xb8, 0x02, 0xf0, 0, 0, 0, 0]);
        data.extend([0; 16]);
        let info = StreamInfo { sample_rate: 48_000, channels: 2, bit_depth: 16, block_size: Some(4608) };
        assert_eq!(stream_info(&data), Ok(info));
        assert_eq!(stream_info(&data[..40]), Err(Error::End));
        data[4] = 4;
        assert_eq!(stream_info(&data), Err(Error::Range));
    }
}

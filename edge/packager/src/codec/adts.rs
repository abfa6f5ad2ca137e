//! ADTS frames (ISO/IEC 14496-3 clause 1.A.2.2).

use super::write::{Sound, esds};
use crate::bytes::bits::{Bits, Error, Result};

/// The header without `crc_check`.
const HEADER_BYTES: usize = 7;
/// Samples of a frame of the core coder.
const FRAME_SAMPLES: u32 = 1024;

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the frame with its header.
    pub bytes: usize,
    /// Bytes of the header.
    pub header: usize,
    /// `profile_ObjectType` plus 1: `audioObjectType`.
    pub object_type: u8,
    /// `sampling_frequency_index`.
    pub rate_index: u8,
    /// `channel_configuration`.
    pub channels: u8,
    /// `number_of_raw_data_blocks_in_frame` plus 1.
    pub blocks: u8,
}

impl Header {
    /// Reads a header.
    ///
    /// # Errors
    /// `End` when more bytes are needed, `Range` when this is none.
    pub fn parse(data: &[u8]) -> Result<Self> {
        let mut r = Bits::new(data);
        if r.byte()? != 0xff {
            return Err(Error::Range);
        }
        let second = r.byte()?;
        // Layer is always 0; ID says MPEG-2 or MPEG-4, which makes no difference.
        if second & 0xf6 != 0xf0 {
            return Err(Error::Range);
        }
        let object_type = r.bits(2)? as u8 + 1;
        let rate_index = r.bits(4)? as u8;
        r.flag()?;
        let channels = r.bits(3)? as u8;
        r.skip(4)?;
        let bytes = r.bits(13)? as usize;
        r.skip(11)?;
        let blocks = r.bits(2)? as u8 + 1;
        let header = HEADER_BYTES + if second & 1 == 0 { 2 } else { 0 };
        if bytes <= header || super::aac::sample_rate_of(rate_index).is_none() {
            return Err(Error::Range);
        }
        Ok(Self { bytes, header, object_type, rate_index, channels, blocks })
    }

    /// What stays the same while the configuration does.
    pub fn identity(&self) -> u64 {
        u64::from(self.object_type) << 16 | u64::from(self.rate_index) << 8 | u64::from(self.channels)
    }

    /// Samples at the rate of the header.
    pub fn samples(&self) -> u32 {
        FRAME_SAMPLES
    }

    /// AudioSpecificConfig.
    pub fn specific_config(&self) -> [u8; 2] {
        let value = u16::from(self.object_type) << 11 | u16::from(self.rate_index) << 7 | u16::from(self.channels) << 3;
        value.to_be_bytes()
    }

    /// The sample entry of such frames.
    pub fn sample_entry(&self) -> Vec<u8> {
        let channels = if self.channels == 7 { 8 } else { self.channels.into() };
        let sample_rate = super::aac::sample_rate_of(self.rate_index).unwrap_or(0);
        Sound { fourcc: *b"mp4a", channels, sample_rate }.write(|b| esds(b, 0x40, &self.specific_config()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header() {
        let data = [0xff, 0xf1, 0x4c, 0x80, 0x2e, 0x7f, 0xfc];
        let h = Header::parse(&data).unwrap();
        assert_eq!((h.bytes, h.header, h.object_type, h.rate_index, h.channels, h.blocks), (371, 7, 2, 3, 2, 1));
        assert_eq!(h.specific_config(), [0x11, 0x90]);
        let mut crc = data;
        crc[1] = 0xf0;
        assert_eq!(Header::parse(&crc).unwrap().header, 9);
        for end in 0..7 {
            assert_eq!(Header::parse(&data[..end]), Err(Error::End));
        }
        for (at, value) in [(0, 0xfe), (1, 0xf3), (2, 0x74)] {
            let mut bad = data;
            bad[at] = value;
            assert_eq!(Header::parse(&bad), Err(Error::Range), "byte {at}");
        }
    }
}

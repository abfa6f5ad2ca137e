//! Frames of MPEG-1 and MPEG-2 audio (ISO/IEC 11172-3 clause 2.4.1.3, ISO/IEC 13818-3).

use super::write::{Sound, esds};
use crate::bytes::bits::{Bits, Error, Result};

/// kbit/s of layer III by `bitrate_index`, for MPEG-1 and for MPEG-2 with its lower rates.
const LAYER_3: [[u32; 15]; 2] = [
    [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];
/// kbit/s of layer II.
const LAYER_2: [[u32; 15]; 2] = [
    [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
    [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];
/// kbit/s of layer I.
const LAYER_1: [[u32; 15]; 2] = [
    [0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
    [0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
];

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the frame with its header.
    pub bytes: usize,
    /// 1 to 3.
    pub layer: u8,
    /// MPEG-2 or MPEG-2.5: the low sampling rates.
    pub low_rate: bool,
    /// Hertz.
    pub sample_rate: u32,
    /// 1 or 2.
    pub channels: u8,
}

impl Header {
    /// Reads a header. Free format (no bit rate) is not understood.
    ///
    /// # Errors
    /// `End` when more bytes are needed, `Range` when this is none.
    pub fn parse(data: &[u8]) -> Result<Self> {
        let mut r = Bits::new(data);
        if r.byte()? != 0xff || r.bits(3)? != 7 {
            return Err(Error::Range);
        }
        let version = r.bits(2)?;
        let layer = 4 - r.bits(2)? as u8;
        r.flag()?;
        let rate_index = r.bits(4)?;
        let frequency = r.bits(2)?;
        let padding = r.bits(1)?;
        r.flag()?;
        let mono = r.bits(2)? == 3;
        r.bits(6)?;
        let base = match frequency {
            0 => 44_100,
            1 => 48_000,
            2 => 32_000,
            _ => return Err(Error::Range),
        };
        let sample_rate = match version {
            3 => base,
            2 => base / 2,
            0 => base / 4,
            _ => return Err(Error::Range),
        };
        let low_rate = version != 3;
        let table = match layer {
            1 => &LAYER_1,
            2 => &LAYER_2,
            3 => &LAYER_3,
            _ => return Err(Error::Range),
        };
        let [high, low] = table;
        let rates = if low_rate { low } else { high };
        let bit_rate = rates.get(rate_index as usize).copied().filter(|rate| *rate > 0).ok_or(Error::Range)? * 1000;
        let bytes = match layer {
            1 => (12 * bit_rate / sample_rate + padding) * 4,
            3 if low_rate => 72 * bit_rate / sample_rate + padding,
            _ => 144 * bit_rate / sample_rate + padding,
        };
        Ok(Self { bytes: bytes as usize, layer, low_rate, sample_rate, channels: if mono { 1 } else { 2 } })
    }

    /// What stays the same while the configuration does.
    pub fn identity(&self) -> u64 {
        u64::from(self.sample_rate) << 16 | u64::from(self.layer) << 8 | u64::from(self.channels)
    }

    /// Samples of the frame.
    pub fn samples(&self) -> u32 {
        match (self.layer, self.low_rate) {
            (1, _) => 384,
            (3, true) => 576,
            _ => 1152,
        }
    }

    /// The sample entry of such frames: `objectTypeIndication` 0x6b for MPEG-1, 0x69 for the low rates of MPEG-2.
    pub fn sample_entry(&self) -> Vec<u8> {
        let object_type = if self.low_rate { 0x69 } else { 0x6b };
        Sound { fourcc: *b"mp4a", channels: self.channels.into(), sample_rate: self.sample_rate }
            .write(|b| esds(b, object_type, &[]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        let h = Header::parse(&[0xff, 0xfb, 0x90, 0x64]).unwrap();
        assert_eq!((h.bytes, h.layer, h.sample_rate, h.channels, h.samples()), (417, 3, 44_100, 2, 1152));
        let h = Header::parse(&[0xff, 0xf3, 0x84, 0xc0]).unwrap();
        assert_eq!((h.bytes, h.layer, h.sample_rate, h.channels, h.samples()), (192, 3, 24_000, 1, 576));
        let h = Header::parse(&[0xff, 0xfd, 0xa4, 0x00]).unwrap();
        assert_eq!((h.bytes, h.layer, h.sample_rate, h.samples()), (576, 2, 48_000, 1152));
        for bad in [[0xff, 0xfb, 0x00, 0], [0xff, 0xfb, 0xf0, 0], [0xff, 0xfb, 0x9c, 0], [0xff, 0xeb, 0x90, 0]] {
            assert_eq!(Header::parse(&bad), Err(Error::Range));
        }
        assert_eq!(Header::parse(&[0xff, 0xfb]), Err(Error::End));
    }
}

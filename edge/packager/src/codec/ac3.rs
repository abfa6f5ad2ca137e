//! AC-3 and E-AC-3: `AC3SpecificBox` and `EC3SpecificBox` (ETSI TS 102 366 annex F), with the extension for joint object
//! coding (ETSI TS 103 420 annex C).

use crate::bytes::bits::{Bits, Error, Result};

/// Channel locations of ETSI TS 102 366 table E.1.4 that `acmod` stands for.
const MODES: [u16; 8] = [0xa000, 0x4000, 0xa000, 0xe000, 0xa100, 0xe100, 0xb800, 0xf800];
/// Locations that stand for two loudspeakers.
const PAIRS: u16 = 0x0674;
const LFE: u16 = 0x0001;
const LFE2: u16 = 0x0002;

/// What a `dac3` or `dec3` box says of its first independent substream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Specific {
    pub sample_rate: u32,
    pub channels: u32,
    /// Channel locations, ETSI TS 102 366 table E.1.4: bit 15 is Left, bit 0 is LFE.
    pub channel_map: u16,
    /// `complexity_index_type_a` when joint object coding is used.
    pub joc_complexity: Option<u8>,
}

pub(super) fn sample_rate(code: u32) -> Result<u32> {
    match code {
        0 => Ok(48_000),
        1 => Ok(44_100),
        2 => Ok(32_000),
        _ => Err(Error::Range),
    }
}

pub(super) fn channel_map(acmod: u32, lfe: bool) -> Result<u16> {
    let mode = MODES.get(acmod as usize).ok_or(Error::Range)?;
    Ok(mode | if lfe { LFE } else { 0 })
}

pub(super) fn channels(map: u16) -> u32 {
    map.count_ones() + (map & PAIRS).count_ones()
}

/// Reads the payload of `dac3`.
pub(super) fn dac3(data: &[u8]) -> Result<Specific> {
    let mut r = Bits::new(data);
    let rate = sample_rate(r.bits(2)?)?;
    r.skip(5 + 3)?;
    let channel_map = channel_map(r.bits(3)?, r.flag()?)?;
    // The whole box is there or it is not: bit_rate_code and five reserved bits.
    r.skip(10)?;
    Ok(Specific { sample_rate: rate, channels: channels(channel_map), channel_map, joc_complexity: None })
}

/// Reads the payload of `dec3`.
pub(super) fn dec3(data: &[u8]) -> Result<Specific> {
    let mut r = Bits::new(data);
    r.skip(13)?;
    let substreams = r.bits(3)? + 1;
    let mut first = None;
    for _ in 0..substreams {
        let rate = r.bits(2)?;
        r.skip(5 + 1 + 1 + 3)?;
        let mut map = channel_map(r.bits(3)?, r.flag()?)?;
        r.skip(3)?;
        if r.bits(4)? > 0 {
            let locations = r.bits(9)? as u16;
            // chan_loc counts from its least significant bit (Lc/Rc), the channel map from its most significant one.
            map |= u16::from((locations as u8).reverse_bits()) << 3;
            if locations & 0x100 != 0 {
                map |= LFE2;
            }
        } else {
            r.flag()?;
        }
        if first.is_none() {
            first = Some((sample_rate(rate)?, map));
        }
    }
    let (sample_rate, channel_map) = first.ok_or(Error::End)?;
    let mut extension = || -> Result<Option<u8>> {
        r.skip(7)?;
        if r.flag()? { Ok(Some(r.byte()?)) } else { Ok(None) }
    };
    let joc_complexity = extension().unwrap_or(None);
    Ok(Specific { sample_rate, channels: channels(channel_map), channel_map, joc_complexity })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_one() {
        // fscod 0, bsid 8, bsmod 0, acmod 7, lfeon 1, bit_rate_code 14.
        let s = dac3(&[0x10, 0x3d, 0xc0]).unwrap();
        assert_eq!((s.sample_rate, s.channels, s.channel_map), (48_000, 6, 0xf801));
        assert_eq!(dac3(&[0x10, 0x3d]), Err(Error::End));
        assert_eq!(dac3(&[0xd0, 0x3d, 0xc0]), Err(Error::Range));
    }

    #[test]
    fn enhanced_with_objects() {
        // 768 kbit/s, bsid 16, acmod 7, lfeon 1, no dependent substream; flag_ec3_extension_type_a, complexity 16.
        let s = dec3(&[0x18, 0x00, 0x20, 0x0f, 0x00, 0x01, 0x10]).unwrap();
        assert_eq!((s.channels, s.channel_map, s.joc_complexity), (6, 0xf801, Some(16)));
        assert_eq!(dec3(&[0x18, 0x00, 0x20, 0x0f, 0x00]).unwrap().joc_complexity, None);
    }

    #[test]
    fn seven_one_has_a_dependent_substream() {
        // num_dep_sub 1, chan_loc with bit 1: the rear surround pair.
        let s = dec3(&[0x18, 0x00, 0x20, 0x0f, 0x02, 0x02]).unwrap();
        assert_eq!((s.channels, s.channel_map), (8, 0xfa01));
    }
}

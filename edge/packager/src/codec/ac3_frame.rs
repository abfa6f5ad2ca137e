//! Sync frames of AC-3 (ETSI TS 102 366 clauses 4.3 and 4.4), and `dac3` made from them (annex F).

use super::ac3::{channel_map, channels, sample_rate};
use super::write::{BitWriter, Sound};
use crate::bytes::bits::{Bits, Error, Result};
use crate::bytes::writer::Writer;

/// kbit/s by `frmsizecod >> 1`.
const BIT_RATES: [usize; 19] = [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640];
const SYNC_WORD: u32 = 0x0b77;
/// Blocks of a frame, and samples of a block.
pub(super) const FRAME_BLOCKS: u32 = 6;
pub(super) const BLOCK_SAMPLES: u32 = 256;
/// `bsid` of AC-3 that every decoder reads; 9 and 10 are lower rates that the box cannot say.
const MAX_AC3_BSID: u8 = 8;

/// Header of an AC-3 sync frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ac3 {
    /// Bytes of the frame.
    pub bytes: usize,
    fscod: u8,
    bit_rate_code: u8,
    bsid: u8,
    bsmod: u8,
    acmod: u8,
    lfe: bool,
}

impl Ac3 {
    /// Reads a header.
    ///
    /// # Errors
    /// `End` when more bytes are needed, `Range` when this is none.
    pub fn parse(data: &[u8]) -> Result<Self> {
        let mut r = Bits::new(data);
        sync(&mut r)?;
        r.skip(16)?;
        let fscod = r.bits(2)? as u8;
        let size_code = r.bits(6)? as usize;
        let bsid = r.bits(5)? as u8;
        let bsmod = r.bits(3)? as u8;
        let acmod = r.bits(3)? as u8;
        if acmod & 1 == 1 && acmod != 1 {
            r.skip(2)?;
        }
        if acmod & 4 != 0 {
            r.skip(2)?;
        }
        if acmod == 2 {
            r.skip(2)?;
        }
        let lfe = r.flag()?;
        let bit_rate = *BIT_RATES.get(size_code >> 1).ok_or(Error::Range)?;
        let bytes = match fscod {
            0 => bit_rate * 4,
            1 => 2 * (bit_rate * 96_000 / 44_100 + (size_code & 1)),
            2 => bit_rate * 6,
            _ => return Err(Error::Range),
        };
        if bsid > MAX_AC3_BSID {
            return Err(Error::Range);
        }
        Ok(Self { bytes, fscod, bit_rate_code: (size_code >> 1) as u8, bsid, bsmod, acmod, lfe })
    }

    /// What stays the same while the configuration does; bit rates may change.
    pub fn identity(&self) -> u64 {
        [self.fscod, self.bsid, self.bsmod, self.acmod, u8::from(self.lfe)]
            .iter()
            .fold(0, |n, v| n << 8 | u64::from(*v))
    }

    /// Samples of a frame.
    pub fn samples(&self) -> u32 {
        FRAME_BLOCKS * BLOCK_SAMPLES
    }

    /// The sample entry of such frames, with `dac3`.
    ///
    /// # Errors
    /// `Range` for a channel layout or a rate that there is not.
    pub fn sample_entry(&self) -> Result<Vec<u8>> {
        let map = channel_map(self.acmod.into(), self.lfe)?;
        let sound = Sound { fourcc: *b"ac-3", channels: channels(map), sample_rate: sample_rate(self.fscod.into())? };
        let mut bits = BitWriter::default();
        for (value, count) in [(self.fscod, 2), (self.bsid, 5), (self.bsmod, 3), (self.acmod, 3)] {
            bits.put(value.into(), count);
        }
        bits.put(self.lfe.into(), 1);
        bits.put(self.bit_rate_code.into(), 5);
        bits.put(0, 5);
        Ok(sound.write(|b| b.boxed(b"dac3", |b| b.extend(bits.finish()))))
    }
}

/// `syncword`.
pub(super) fn sync(r: &mut Bits<'_>) -> Result<()> {
    if r.byte()? != (SYNC_WORD >> 8) as u8 || r.byte()? != SYNC_WORD as u8 {
        return Err(Error::Range);
    }
    Ok(())
}

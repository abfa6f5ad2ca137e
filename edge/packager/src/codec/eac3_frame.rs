//! Sync frames of E-AC-3 (ETSI TS 102 366 clause E.1.2), access units of them, and `dec3` made from them (annex F).

use super::ac3::{channel_map, channels, sample_rate};
use super::ac3_frame::{BLOCK_SAMPLES, FRAME_BLOCKS, sync};
use super::write::{BitWriter, Sound};
use crate::bytes::bits::{Bits, Error, Result};
use crate::bytes::writer::Writer;

/// Sync frames of one access unit: eight programs of sixteen substreams each, six times.
const MAX_UNIT_FRAMES: usize = 768;

/// `strmtyp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StreamType {
    Independent,
    Dependent,
    /// Independent, made from AC-3.
    Converted,
}

/// Header of an E-AC-3 sync frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Eac3 {
    /// Bytes of the frame.
    pub bytes: usize,
    stream_type: StreamType,
    substream: u8,
    fscod: u8,
    blocks: u32,
    acmod: u8,
    lfe: bool,
    bsid: u8,
}

/// What stands further on in `bsi`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct More {
    channel_map: u16,
    bsmod: u8,
    joc_complexity: Option<u8>,
}

impl Eac3 {
    /// Reads a header.
    ///
    /// # Errors
    /// `End` when more bytes are needed, `Range` when this is none.
    pub fn parse(data: &[u8]) -> Result<Self> {
        Self::read(&mut Bits::new(data)).map(|(header, _)| header)
    }

    /// Gives `numblkscod` too.
    fn read(r: &mut Bits<'_>) -> Result<(Self, u32)> {
        sync(r)?;
        let stream_type = match r.bits(2)? {
            0 => StreamType::Independent,
            1 => StreamType::Dependent,
            2 => StreamType::Converted,
            _ => return Err(Error::Range),
        };
        let substream = r.bits(3)? as u8;
        let bytes = (r.bits(11)? as usize + 1) * 2;
        let fscod = r.bits(2)? as u8;
        let code = r.bits(2)?;
        let numblkscod = if fscod == 3 { 3 } else { code };
        let blocks = [1, 2, 3, 6].get(numblkscod as usize).copied().ok_or(Error::Range)?;
        let acmod = r.bits(3)? as u8;
        let lfe = r.flag()?;
        let bsid = r.bits(5)? as u8;
        if !(11..=16).contains(&bsid) || (fscod == 3 && code == 3) || bytes < 8 {
            return Err(Error::Range);
        }
        Ok((Self { bytes, stream_type, substream, fscod, blocks, acmod, lfe, bsid }, numblkscod))
    }

    /// The first frame of its time: independent substream 0.
    fn leads(&self) -> bool {
        self.stream_type != StreamType::Dependent && self.substream == 0
    }

    /// The rest of `bsi` (clause E.1.2.2).
    fn more(data: &[u8]) -> Result<More> {
        let mut r = Bits::new(data);
        let (h, numblkscod) = Self::read(&mut r)?;
        let mut more = More::default();
        let dual = h.acmod == 0;
        for _ in 0..if dual { 2 } else { 1 } {
            r.skip(5)?;
            optional(&mut r, 8)?;
        }
        if h.stream_type == StreamType::Dependent && r.flag()? {
            more.channel_map = r.bits(16)? as u16;
        }
        if r.flag()? {
            h.mixing(&mut r, numblkscod)?;
        }
        if r.flag()? {
            more.bsmod = r.bits(3)? as u8;
            r.skip(2)?;
            if h.acmod == 2 {
                r.skip(4)?;
            }
            if h.acmod >= 6 {
                r.skip(2)?;
            }
            for _ in 0..if dual { 2 } else { 1 } {
                optional(&mut r, 8)?;
            }
            if h.fscod < 3 {
                r.flag()?;
            }
        }
        if h.stream_type == StreamType::Independent && numblkscod != 3 {
            r.flag()?;
        }
        if h.stream_type == StreamType::Converted && (numblkscod == 3 || r.flag()?) {
            r.skip(6)?;
        }
        if r.flag()? {
            // ETSI TS 103 420 clause 8.3: seven reserved bits, flag_ec3_extension_type_a, complexity_index_type_a.
            if r.bits(6)? >= 1 {
                r.skip(7)?;
                if r.flag()? {
                    more.joc_complexity = Some(r.byte()?);
                }
            }
        }
        Ok(more)
    }

    /// `mixmdate` and what it brings.
    fn mixing(&self, r: &mut Bits<'_>, numblkscod: u32) -> Result<()> {
        let dual = self.acmod == 0;
        if self.acmod > 2 {
            r.skip(2)?;
        }
        if self.acmod & 1 == 1 && self.acmod > 2 {
            r.skip(6)?;
        }
        if self.acmod & 4 != 0 {
            r.skip(6)?;
        }
        if self.lfe {
            optional(r, 5)?;
        }
        if self.stream_type != StreamType::Independent {
            return Ok(());
        }
        for _ in 0..if dual { 3 } else { 2 } {
            optional(r, 6)?;
        }
        match r.bits(2)? {
            1 => r.skip(5)?,
            2 => r.skip(12)?,
            3 => {
                let bytes = r.bits(5)? + 2;
                r.skip(8 * bytes)?;
            }
            _ => {}
        }
        if self.acmod < 2 {
            for _ in 0..if dual { 2 } else { 1 } {
                optional(r, 14)?;
            }
        }
        if r.flag()? {
            if numblkscod == 0 {
                r.skip(5)?;
            } else {
                for _ in 0..self.blocks {
                    optional(r, 5)?;
                }
            }
        }
        Ok(())
    }
}

/// A flag, and bits that follow when it is set.
fn optional(r: &mut Bits<'_>, bits: u32) -> Result<()> {
    if r.flag()? { r.skip(bits) } else { Ok(()) }
}

/// An access unit of E-AC-3: the sync frames of all substreams for six blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Eac3Unit {
    /// Bytes of all its frames.
    pub bytes: usize,
    /// Header of the first one.
    pub first: Eac3,
}

impl Eac3Unit {
    /// Finds the end of the unit that begins here. `end` says that no more data follow: what is there is then complete,
    /// if it has six blocks.
    ///
    /// # Errors
    /// `End` when more bytes are needed, `Range` when no unit begins here.
    pub fn parse(data: &[u8], end: bool) -> Result<Self> {
        let first = Eac3::parse(data)?;
        if !first.leads() {
            return Err(Error::Range);
        }
        let (mut bytes, mut blocks) = (0, 0);
        for _ in 0..MAX_UNIT_FRAMES {
            let rest = data.get(bytes..).unwrap_or_default();
            match Eac3::parse(rest) {
                Ok(next) if next.leads() => {
                    if blocks >= FRAME_BLOCKS {
                        return Ok(Self { bytes, first });
                    }
                    blocks += next.blocks;
                    bytes += next.bytes;
                }
                Ok(next) => bytes += next.bytes,
                // What follows is something else: the unit is over, whole or not.
                Err(error) => {
                    let over = blocks >= FRAME_BLOCKS && (end || error == Error::Range);
                    return if over { Ok(Self { bytes, first }) } else { Err(error) };
                }
            }
            if bytes > data.len() {
                return Err(Error::End);
            }
        }
        Err(Error::Range)
    }

    /// Samples of a unit.
    pub fn samples(&self) -> u32 {
        FRAME_BLOCKS * BLOCK_SAMPLES
    }

    /// What stays the same while the configuration does; bit rates may change. `data` is the whole unit.
    pub fn identity(data: &[u8]) -> u64 {
        let substreams = Substreams::read(data);
        let mut key = 0xcbf2_9ce4_8422_2325u64;
        for s in substreams.list() {
            let fields = [
                s.fscod,
                s.bsid,
                s.bsmod,
                s.acmod,
                s.lfe.into(),
                s.dependent,
                (s.locations >> 8) as u8,
                s.locations as u8,
            ];
            for field in fields.into_iter().chain([substreams.joc_complexity.map_or(0, |c| c.wrapping_add(1))]) {
                key = (key ^ u64::from(field)).wrapping_mul(0x100_0000_01b3);
            }
        }
        key
    }

    /// The sample entry of such units, with `dec3`. `data` is the whole unit.
    ///
    /// # Errors
    /// `Range` for a rate or a channel layout that the box cannot say.
    pub fn sample_entry(&self, data: &[u8]) -> Result<Vec<u8>> {
        let substreams = Substreams::read(data);
        let first = substreams.list().first().copied().ok_or(Error::Range)?;
        let rate = sample_rate(first.fscod.into())?;
        let map = channel_map(first.acmod.into(), first.lfe)? | first.channel_map();
        let sound = Sound { fourcc: *b"ec-3", channels: channels(map), sample_rate: rate };
        let bit_rate = data.len() as u64 * 8 * u64::from(rate) / u64::from(self.samples()) / 1000;
        let mut bits = BitWriter::default();
        bits.put(bit_rate.min(0x1fff) as u32, 13);
        bits.put((substreams.list().len() as u32).saturating_sub(1), 3);
        for s in substreams.list() {
            bits.put(s.fscod.into(), 2);
            bits.put(s.bsid.into(), 5);
            bits.put(0, 2);
            bits.put(s.bsmod.into(), 3);
            bits.put(s.acmod.into(), 3);
            bits.put(s.lfe.into(), 1);
            bits.put(0, 3);
            bits.put(s.dependent.into(), 4);
            if s.dependent > 0 {
                bits.put(s.locations.into(), 9);
            } else {
                bits.put(0, 1);
            }
        }
        if let Some(complexity) = substreams.joc_complexity {
            bits.put(1, 8);
            bits.put(complexity.into(), 8);
        }
        Ok(sound.write(|b| b.boxed(b"dec3", |b| b.extend(bits.finish()))))
    }
}

/// An independent substream with those that depend on it.
#[derive(Clone, Copy, Debug, Default)]
struct Substream {
    fscod: u8,
    bsid: u8,
    bsmod: u8,
    acmod: u8,
    lfe: bool,
    dependent: u8,
    /// `chan_loc`.
    locations: u16,
}

impl Substream {
    fn channel_map(&self) -> u16 {
        u16::from((self.locations as u8).reverse_bits()) << 3 | if self.locations & 0x100 != 0 { 2 } else { 0 }
    }
}

/// The substreams of a unit, each counted once.
struct Substreams {
    found: [Substream; 8],
    count: usize,
    joc_complexity: Option<u8>,
}

impl Substreams {
    fn list(&self) -> &[Substream] {
        self.found.get(..self.count).unwrap_or_default()
    }

    fn read(data: &[u8]) -> Self {
        let mut this = Self { found: [Substream::default(); 8], count: 0, joc_complexity: None };
        let (mut rest, mut started) = (data, false);
        while let Ok(h) = Eac3::parse(rest) {
            // The second time that substream 0 comes, blocks of the same substreams follow.
            if h.leads() && core::mem::replace(&mut started, true) {
                break;
            }
            let more = Eac3::more(rest).unwrap_or_default();
            this.joc_complexity = this.joc_complexity.or(more.joc_complexity);
            if h.stream_type == StreamType::Dependent {
                if let Some(s) = this.count.checked_sub(1).and_then(|last| this.found.get_mut(last)) {
                    s.dependent = s.dependent.saturating_add(1).min(15);
                    s.locations |= u16::from(((more.channel_map >> 3) as u8).reverse_bits());
                    s.locations |= if more.channel_map & 2 != 0 { 0x100 } else { 0 };
                }
            } else if let Some(place) = this.found.get_mut(this.count) {
                let Eac3 { fscod, bsid, acmod, lfe, .. } = h;
                *place = Substream { fscod, bsid, bsmod: more.bsmod, acmod, lfe, dependent: 0, locations: 0 };
                this.count += 1;
            }
            rest = rest.get(h.bytes..).unwrap_or_default();
        }
        this
    }
}

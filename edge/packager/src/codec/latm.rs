//! AAC in LOAS and LATM (ISO/IEC 14496-3 clause 1.7): AudioSyncStream, AudioMuxElement, StreamMuxConfig. One program with
//! one layer and one frame in each element is handled, which is what broadcasts have.

use super::aac::{Specific, specific, specific_bits};
use super::write::{Sound, esds};
use crate::bytes::bits::{Bits, Error, Result};

/// `syncword` of AudioSyncStream, eleven bits.
const SYNC: u32 = 0x2b7;
/// `syncword` and `audioMuxLengthBytes`.
pub const HEADER_BYTES: usize = 3;
/// An AudioSpecificConfig of more bytes is not one.
const MAX_SPECIFIC_BYTES: usize = 64;

/// Bytes of the whole AudioSyncStream element that begins here.
///
/// # Errors
/// `End` when more bytes are needed, `Range` when none begins here.
pub fn element_bytes(data: &[u8]) -> Result<usize> {
    let mut r = Bits::new(data);
    if r.byte()? != (SYNC >> 3) as u8 || r.bits(3)? != SYNC & 7 {
        return Err(Error::Range);
    }
    match r.bits(13)? as usize {
        0 => Err(Error::Range),
        bytes => Ok(HEADER_BYTES + bytes),
    }
}

/// A stretch of bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BitRange {
    /// From the start of the element.
    pub start: usize,
    /// How many.
    pub bits: usize,
}

impl BitRange {
    /// Appends the bits to `out`, the first one as the most significant; a last byte is filled with zeros.
    pub fn copy(&self, data: &[u8], out: &mut Vec<u8>) {
        let (first, shift) = (self.start / 8, self.start % 8);
        let bytes = self.bits.div_ceil(8);
        let from = data.get(first..).unwrap_or_default();
        let before = out.len();
        if shift == 0 {
            out.extend(from.iter().take(bytes));
        } else {
            let next = from.iter().skip(1).copied().chain([0]);
            out.extend(from.iter().zip(next).take(bytes).map(|(a, b)| a << shift | b >> (8 - shift)));
        }
        let spare = bytes * 8 - self.bits;
        if let Some(last) = out.get_mut(before..).and_then(<[u8]>::last_mut) {
            *last &= 0xff << spare;
        }
    }
}

/// What an element holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element {
    /// AudioSpecificConfig, when the element has a StreamMuxConfig.
    pub specific: Option<BitRange>,
    /// The raw AAC frame.
    pub frame: BitRange,
}

/// Why an element gives no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It breaks its format.
    Broken(Error),
    /// It is correct and not handled.
    Unsupported(&'static str),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Broken(error)
    }
}

/// Reads a whole element, its header included.
///
/// # Errors
/// Why there is no frame in it.
pub fn element(data: &[u8]) -> Result<Element, Fault> {
    let mut r = Bits::new(data);
    r.skip(8 * HEADER_BYTES as u32)?;
    let specific = if r.flag()? { None } else { Some(stream_mux_config(&mut r)?) };
    let mut bytes = 0usize;
    loop {
        let part = r.byte()?;
        bytes += usize::from(part);
        if part != 255 {
            break;
        }
    }
    let frame = BitRange { start: r.position(), bits: bytes * 8 };
    if bytes == 0 || frame.start + frame.bits > data.len() * 8 {
        return Err(Fault::Broken(Error::End));
    }
    Ok(Element { specific, frame })
}

fn stream_mux_config(r: &mut Bits<'_>) -> Result<BitRange, Fault> {
    let version = r.flag()?;
    if version && r.flag()? {
        return Err(Fault::Unsupported("audioMuxVersionA is 1"));
    }
    if version {
        value(r)?;
    }
    if !r.flag()? {
        return Err(Fault::Unsupported("allStreamsSameTimeFraming is 0"));
    }
    if r.bits(6)? != 0 {
        return Err(Fault::Unsupported("numSubFrames is not 0: several frames in an AudioMuxElement"));
    }
    if r.bits(4)? != 0 {
        return Err(Fault::Unsupported("numProgram is not 0: several programs"));
    }
    if r.bits(3)? != 0 {
        return Err(Fault::Unsupported("numLayer is not 0: several layers"));
    }
    let bits = if version { Some(value(r)? as usize) } else { None };
    let start = r.position();
    let bits = match bits {
        Some(bits) => {
            r.skip(bits as u32)?;
            bits
        }
        None => {
            specific_bits(r, false)?;
            r.position() - start
        }
    };
    if bits > MAX_SPECIFIC_BYTES * 8 {
        return Err(Fault::Broken(Error::Range));
    }
    if r.bits(3)? != 0 {
        return Err(Fault::Unsupported("frameLengthType is not 0"));
    }
    r.byte()?;
    if r.flag()? {
        if version {
            value(r)?;
        } else {
            while r.bits(9)? & 0x100 != 0 {}
        }
    }
    if r.flag()? {
        r.byte()?;
    }
    Ok(BitRange { start, bits })
}

/// `LatmGetValue`.
fn value(r: &mut Bits<'_>) -> Result<u32> {
    let bytes = r.bits(2)? + 1;
    r.bits(8 * bytes)
}

/// What stands in a sample entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The whole sample entry.
    pub sample_entry: Vec<u8>,
    /// Samples of a frame at the rate of what comes out of the decoder.
    pub samples: u32,
}

/// The sample entry for an AudioSpecificConfig.
///
/// # Errors
/// `Range` or `End` when it cannot be read.
pub fn config(asc: &[u8]) -> Result<Config> {
    let Specific { channels, sample_rate, samples_per_frame, .. } = specific(asc)?;
    let sample_entry = Sound { fourcc: *b"mp4a", channels, sample_rate }.write(|b| esds(b, 0x40, asc));
    Ok(Config { sample_entry, samples: samples_per_frame })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bits as text to bytes, behind the header of an element.
    fn element_of(bits: &str) -> Vec<u8> {
        let bits: Vec<u8> = bits.bytes().filter(|b| matches!(b, b'0' | b'1')).map(|b| b - b'0').collect();
        let body: Vec<u8> =
            bits.chunks(8).map(|c| c.iter().enumerate().fold(0, |n, (i, b)| n | b << (7 - i))).collect();
        let mut out = vec![0x56, 0xe0, body.len() as u8];
        out.extend(body);
        out
    }

    // AAC-LC, 48 kHz, stereo.
    const ASC: &str = "00010 0011 0010 000";

    #[test]
    fn a_frame_that_is_not_aligned() {
        let data = element_of(&format!("0 0 1 000000 0000 000 {ASC} 000 11111111 0 0 00000010 10100101 11000011 000"));
        assert_eq!(element_bytes(&data), Ok(data.len()));
        let e = element(&data).unwrap();
        let mut out = Vec::new();
        e.specific.unwrap().copy(&data, &mut out);
        e.frame.copy(&data, &mut out);
        assert_eq!(out, [0x11, 0x90, 0xa5, 0xc3]);
        let c = config(&out[..2]).unwrap();
        assert_eq!(c.samples, 1024);
        // The same configuration as before.
        let data = element_of("1 00000001 10000001");
        let e = element(&data).unwrap();
        assert_eq!((e.specific, e.frame), (None, BitRange { start: 33, bits: 8 }));
    }

    #[test]
    fn version_1_has_lengths() {
        let bits = format!("0 1 0 00 00000000 1 000000 0000 000 00 00010000 {ASC} 000 11111111 0 0 00000001 11111111");
        let data = element_of(&bits);
        let e = element(&data).map(|e| e.specific.map(|s| s.bits));
        assert_eq!(e, Ok(Some(16)));
    }

    #[test]
    fn what_is_not_handled_is_named() {
        assert!(matches!(element(&element_of("0 0 0 0000000")), Err(Fault::Unsupported(_))));
        assert!(matches!(element(&element_of("0 0 1 000001 0")), Err(Fault::Unsupported(_))));
        assert_eq!(element(&element_of("1 00000010 10000001")), Err(Fault::Broken(Error::End)));
        assert_eq!(element_bytes(&[0x56, 0xe0]), Err(Error::End));
        assert_eq!(element_bytes(&[0x56, 0xc0, 9]), Err(Error::Range));
    }
}

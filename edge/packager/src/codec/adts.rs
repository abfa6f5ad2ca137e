//! ADTS frames (ISO/IEC 14496-3 clause 1.A.2.2), and whether they have spectral band replication, of which their headers
//! say nothing.

use super::write::{BitWriter, Sound, esds};
use crate::bytes::bits::{Bits, Error, Result};

/// The header without `crc_check`.
const HEADER_BYTES: usize = 7;
/// Samples of a frame of the core coder.
const FRAME_SAMPLES: u32 = 1024;

/// `sampling_frequency_index` of 24 kHz and 8 kHz: SBR doubles these and what is between them.
const MIN_SBR_RATE_INDEX: u8 = 6;
const MAX_SBR_RATE_INDEX: u8 = 11;
/// `syncExtensionType` of SBR, and its `audioObjectType`.
const SYNC_EXTENSION: u32 = 0x2b7;
const OBJECT_SBR: u32 = 5;
/// `id_syn_ele`.
const ELEMENT_BITS: usize = 3;
const ID_FIL: u32 = 6;
const ID_END: u32 = 7;
/// `extension_type`.
const EXTENSION_FILL: u32 = 0;
const EXTENSION_FILL_DATA: u32 = 1;
const EXTENSION_SBR: u32 = 13;
const EXTENSION_SBR_CRC: u32 = 14;
/// Content of a fill element at most.
const MAX_FILL_BYTES: usize = 15 + 255 - 1;
/// Fill elements at the end of a block that are looked at.
const MAX_FILL_ELEMENTS: u32 = 4;

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

    /// Whether spectral band replication would double the rate to one that there is.
    pub fn may_have_sbr(&self) -> bool {
        (MIN_SBR_RATE_INDEX..=MAX_SBR_RATE_INDEX).contains(&self.rate_index)
    }

    /// AudioSpecificConfig, with SBR in the backward compatible form (clause 1.6.6.1).
    pub fn specific_config(&self, sbr: bool) -> Vec<u8> {
        let mut bits = BitWriter::default();
        bits.put(self.object_type.into(), 5);
        bits.put(self.rate_index.into(), 4);
        bits.put(self.channels.into(), 4);
        bits.put(0, 3);
        if sbr {
            bits.put(SYNC_EXTENSION, 11);
            bits.put(OBJECT_SBR, 5);
            bits.put(1, 1);
            // Three further on in the table is half the rate.
            bits.put(u32::from(self.rate_index).saturating_sub(3), 4);
        }
        bits.finish()
    }

    /// The sample entry of such frames.
    pub fn sample_entry(&self, sbr: bool) -> Vec<u8> {
        let channels = if self.channels == 7 { 8 } else { self.channels.into() };
        let sample_rate = super::aac::sample_rate_of(self.rate_index).unwrap_or(0);
        let sample_rate = if sbr { sample_rate * 2 } else { sample_rate };
        Sound { fourcc: *b"mp4a", channels, sample_rate }.write(|b| esds(b, 0x40, &self.specific_config(sbr)))
    }
}

/// Whether the last elements of a raw data block are SBR data in a fill element, with fill elements of padding after it and
/// the end (clauses 4.4.2.1 and 4.4.2.7). It is looked for from the end, because elements before it say their length only
/// to a decoder; one in about a hundred blocks without SBR looks as if it had it, so several are to be asked.
pub fn ends_with_sbr(block: &[u8]) -> bool {
    let Some(last) = block.last().filter(|last| **last != 0) else { return false };
    // The end is followed by zeros up to a whole byte.
    let end = block.len() * 8 - last.trailing_zeros() as usize;
    end.checked_sub(ELEMENT_BITS)
        .is_some_and(|end| peek(block, end, ELEMENT_BITS) == Some(ID_END) && sbr_before(block, end, MAX_FILL_ELEMENTS))
}

/// Whether a fill element that ends here has SBR data, or is padding behind such.
fn sbr_before(block: &[u8], end: usize, elements: u32) -> bool {
    (0..=MAX_FILL_BYTES).any(|count| {
        let (short, escape) = if count < 15 { (count, 0) } else { (15, 8) };
        let content = ELEMENT_BITS + 4 + escape;
        let Some(start) = end.checked_sub(content + 8 * count) else { return false };
        let counted = escape == 0 || peek(block, start + 7, 8) == Some(count as u32 - 14);
        let is_fill = peek(block, start, 7) == Some(ID_FIL << 4 | short as u32) && counted;
        is_fill
            && match peek(block, start + content, 4).filter(|_| count > 0) {
                Some(EXTENSION_SBR | EXTENSION_SBR_CRC) => true,
                Some(EXTENSION_FILL | EXTENSION_FILL_DATA) | None => {
                    elements > 1 && sbr_before(block, start, elements - 1)
                }
                Some(_) => false,
            }
    })
}

fn peek(data: &[u8], at: usize, bits: usize) -> Option<u32> {
    let mut r = Bits::new(data.get(at / 8..)?);
    r.skip((at % 8) as u32).ok()?;
    r.bits(bits as u32).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header() {
        let data = [0xff, 0xf1, 0x4c, 0x80, 0x2e, 0x7f, 0xfc];
        let h = Header::parse(&data).unwrap();
        assert_eq!((h.bytes, h.header, h.object_type, h.rate_index, h.channels, h.blocks), (371, 7, 2, 3, 2, 1));
        assert_eq!(h.specific_config(false), [0x11, 0x90]);
        let low = Header { rate_index: 6, ..h };
        assert!(low.may_have_sbr() && !h.may_have_sbr());
        assert_eq!(low.specific_config(true), [0x13, 0x10, 0x56, 0xe5, 0x98]);
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

    #[test]
    fn sbr_at_the_end() {
        let bits = |text: &str| -> Vec<u8> {
            let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
            let whole = format!("{text:0<0$}", text.len().div_ceil(8) * 8);
            whole.as_bytes().chunks(8).map(|b| b.iter().fold(0, |n, bit| n << 1 | (bit - b'0'))).collect()
        };
        // Some data, a fill element of 3 bytes.
        let sbr = "00100001 0001 110 0011 1101 01010101010101010101";
        let padding = "110 0010 0000 101001011010";
        assert!(ends_with_sbr(&bits(&format!("{sbr} 111"))));
        assert!(ends_with_sbr(&bits(&format!("{sbr} {padding} 111"))));
        assert!(ends_with_sbr(&bits(&format!("{sbr} 1100000 111"))));
        assert!(!ends_with_sbr(&bits(&format!("00100001 0001 {padding} 111"))));
        assert!(!ends_with_sbr(&[]) && !ends_with_sbr(&[0, 0]) && !ends_with_sbr(&[0xe0]));
        // 20 bytes: the count has an escape.
        let long = format!("0010 110 1111 00000110 1110 {} 111", "10".repeat(78));
        assert!(ends_with_sbr(&bits(&long)));
    }
}

//! Audio setup information: what SAMPLE-AES says of a stream of audio, since its frames cannot be read before they are
//! decrypted ("MPEG-2 Stream Encryption Format for HTTP Live Streaming").

use crate::bytes::bits::Bits;
use crate::codec::{Codec, Config, SampleEntry};

/// Type, priming, version, and the length of the rest.
const HEADER_BYTES: usize = 8;
/// Setup data in a program map, which has to fit into a packet with all else. Real ones have 2 to 40 bytes.
const MAX_DATA_BYTES: usize = 80;
/// Of AC-3 the setup data are the first bytes of a sync frame.
const AC3_BYTES: usize = 10;

/// Audio setup information.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioSetup {
    bytes: [u8; HEADER_BYTES + MAX_DATA_BYTES],
    length: usize,
}

impl AudioSetup {
    /// That of a sample entry; `None` for codecs that SAMPLE-AES has no form for, and for what is too long to be said.
    pub fn from_sample_entry(entry: &SampleEntry<'_>, config: &Config) -> Option<Self> {
        match config.codec {
            Codec::Aac => {
                let kind = match config.codecs.rsplit('.').next() {
                    Some("5") => b"zach",
                    Some("29") => b"zacp",
                    _ => b"zaac",
                };
                Self::new(kind, config.audio()?.specific_config.as_deref()?)
            }
            Codec::Ac3 => Self::new(b"zac3", &ac3_start(entry.child(b"dac3")?)?),
            Codec::Eac3 => Self::new(b"zec3", entry.child(b"dec3")?),
            _ => None,
        }
    }

    fn new(kind: &[u8; 4], data: &[u8]) -> Option<Self> {
        // No encoder's priming is known here; it is in the time stamps.
        const PRIMING: [u8; 2] = [0, 0];
        const VERSION: u8 = 1;
        let mut bytes = [0; HEADER_BYTES + MAX_DATA_BYTES];
        bytes.first_chunk_mut::<4>()?.copy_from_slice(kind);
        let length = u8::try_from(data.len()).ok()?;
        bytes.get_mut(4..HEADER_BYTES)?.copy_from_slice(&[PRIMING[0], PRIMING[1], VERSION, length]);
        bytes.get_mut(HEADER_BYTES..HEADER_BYTES + data.len())?.copy_from_slice(data);
        Some(Self { bytes, length: HEADER_BYTES + data.len() })
    }

    /// As it stands in a program map and in an ID3 tag.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// How sync frames of a stream of AC-3 begin (ETSI TS 102 366, 4.3 and 4.4), made from `dac3` (F.4) so that it is known before
/// a frame is: its check sum, mix levels and dialogue level, which no reader of it looks at, are left at their defaults.
fn ac3_start(dac3: &[u8]) -> Option<[u8; AC3_BYTES]> {
    const SYNC_WORD: u64 = 0x0b77;
    const DIALOGUE_LEVEL: u64 = 31;
    let mut r = Bits::new(dac3);
    let mut bits = |count| r.bits(count).ok().map(u64::from);
    let (rate, bsid, bsmod, acmod) = (bits(2)?, bits(5)?, bits(3)?, bits(3)?);
    let (lfe, bit_rate) = (bits(1)?, bits(5)?);
    let mut start = 0u128;
    let mut at = 128;
    let mut push = |value: u64, count: u32| {
        at -= count;
        start |= u128::from(value) << at;
    };
    push(SYNC_WORD, 16);
    push(0, 16);
    push(rate, 2);
    push(bit_rate << 1, 6);
    push(bsid, 5);
    push(bsmod, 3);
    push(acmod, 3);
    if acmod & 1 == 1 && acmod != 1 {
        push(0, 2);
    }
    if acmod & 4 != 0 {
        push(0, 2);
    }
    if acmod == 2 {
        push(0, 2);
    }
    push(lfe, 1);
    push(DIALOGUE_LEVEL, 5);
    start.to_be_bytes().first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::ac3_frame::Ac3;

    #[test]
    fn what_is_made_of_a_box_is_read_as_a_sync_frame() {
        // 48 kHz, bsid 8, 3/2 channels, LFE, 448 kbit/s; then 44.1 kHz stereo with 192 kbit/s
        for (dac3, bytes, channels) in [([0x10, 0x3d, 0xe0], 1792, 6), ([0x50, 0x11, 0x40], 835 / 2 * 2, 2)] {
            let start = ac3_start(&dac3).unwrap();
            let frame = Ac3::parse(&start).unwrap();
            assert_eq!(frame.bytes, bytes, "{dac3:x?}");
            let entry = frame.sample_entry().unwrap();
            assert!(entry.windows(3).any(|w| w == dac3), "{channels} channels: the box is the same again");
        }
        assert_eq!(ac3_start(&[0x10]), None);
    }

    #[test]
    fn what_is_too_long_is_not_there() {
        assert_eq!(AudioSetup::new(b"zaac", &[0x12, 0x10]).unwrap().bytes(), b"zaac\0\0\x01\x02\x12\x10");
        assert_eq!(AudioSetup::new(b"zec3", &[7; 80]).unwrap().bytes().len(), 88);
        assert_eq!(AudioSetup::new(b"zec3", &[7; 81]), None);
        assert_eq!(AudioSetup::new(b"zec3", &[7; 256]), None);
    }
}

//! A decrypter of AES-128 and SAMPLE-AES that shares nothing with the crate: it knows Apple's "MPEG-2 Stream Encryption Format
//! for HTTP Live Streaming" and has its block cipher from elsewhere.

use aes::Aes128;
use aes::cipher::{BlockCipherDecrypt, KeyInit};

use crate::check::{Pes, Stream};

/// A key and an initialisation vector.
#[derive(Clone, Copy)]
pub struct Secret {
    pub key: [u8; 16],
    pub iv: [u8; 16],
}

impl Secret {
    fn chain(&self, blocks: Vec<&mut [u8]>) {
        let cipher = Aes128::new(&self.key.into());
        let mut last = self.iv;
        for block in blocks {
            let encrypted: [u8; 16] = (&*block).try_into().expect("whole blocks");
            let mut clear = encrypted.into();
            cipher.decrypt_block(&mut clear);
            for ((out, clear), last) in block.iter_mut().zip(clear).zip(last) {
                *out = clear ^ last;
            }
            last = encrypted;
        }
    }

    /// A body under AES-128; `None` when the padding is wrong.
    pub fn body(&self, body: &[u8]) -> Option<Vec<u8>> {
        assert!(body.len().is_multiple_of(16) && !body.is_empty(), "whole blocks");
        let mut clear = body.to_vec();
        self.chain(clear.chunks_mut(16).collect());
        let padding = usize::from(*clear.last()?);
        let end = clear.len().checked_sub(padding).filter(|_| (1..=16).contains(&padding))?;
        clear[end..].iter().all(|b| usize::from(*b) == padding).then(|| clear[..end].to_vec())
    }

    /// A slice of H.264 as it lies in a stream.
    pub fn slice(&self, nal: &[u8]) -> Vec<u8> {
        if nal.len() <= 48 || !matches!(nal[0] & 31, 1 | 5) {
            return nal.to_vec();
        }
        let mut clear = Vec::new();
        let mut zeros = 0;
        for byte in nal {
            if zeros == 2 {
                assert!(*byte >= 3, "no start code in a slice");
                zeros = 0;
                if *byte == 3 {
                    continue;
                }
            }
            zeros = if *byte == 0 { zeros + 1 } else { 0 };
            clear.push(*byte);
        }
        let mut blocks = Vec::new();
        let mut rest = &mut clear[32..];
        while rest.len() > 16 {
            let (block, after) = rest.split_at_mut(16);
            blocks.push(block);
            let skip = after.len().min(144);
            rest = &mut after[skip..];
        }
        self.chain(blocks);
        clear
    }

    fn all_but(&self, start: usize, frame: &mut [u8]) {
        if let Some(rest) = frame.get_mut(start..) {
            let whole = rest.len() / 16 * 16;
            self.chain(rest[..whole].chunks_mut(16).collect());
        }
    }

    /// ADTS frames, one after the other.
    pub fn adts(&self, frames: &[u8]) -> Vec<u8> {
        let mut clear = frames.to_vec();
        let mut rest = &mut clear[..];
        while !rest.is_empty() {
            assert_eq!((rest[0], rest[1] & 0xf6), (0xff, 0xf0), "an ADTS header");
            let length = usize::from(rest[3] & 3) << 11 | usize::from(rest[4]) << 3 | usize::from(rest[5] >> 5);
            let header = if rest[1] & 1 == 1 { 7 } else { 9 };
            let (frame, after) = rest.split_at_mut(length);
            self.all_but(header + 16, frame);
            rest = after;
        }
        clear
    }

    /// Sync frames of AC-3 and E-AC-3, one after the other.
    pub fn sync_frames(&self, frames: &[u8]) -> Vec<u8> {
        const KBITS: [usize; 19] =
            [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640];
        let mut clear = frames.to_vec();
        let mut rest = &mut clear[..];
        while !rest.is_empty() {
            assert_eq!(rest[..2], [0x0b, 0x77], "a sync word");
            let length = if rest[5] >> 3 > 10 {
                2 * (1 + (usize::from(rest[2] & 7) << 8 | usize::from(rest[3])))
            } else {
                let kbits = KBITS[usize::from(rest[4] & 63) / 2];
                match rest[4] >> 6 {
                    0 => kbits * 4,
                    1 => 2 * (kbits * 320 / 147 + usize::from(rest[4] & 1)),
                    _ => kbits * 6,
                }
            };
            let (frame, after) = rest.split_at_mut(length);
            self.all_but(16, frame);
            rest = after;
        }
        clear
    }

    /// The payload of a PES packet of a stream.
    pub fn pes(&self, stream: &Stream, pes: &Pes) -> Vec<u8> {
        match stream.stream_type {
            0xdb => units(&pes.payload).iter().flat_map(|nal| [vec![0, 0, 0, 1], self.slice(nal)].concat()).collect(),
            0xcf => self.adts(&pes.payload),
            0xc1 | 0xc2 => self.sync_frames(&pes.payload),
            _ => pes.payload.clone(),
        }
    }
}

/// The NAL units between start codes of four bytes.
pub fn units(stream: &[u8]) -> Vec<&[u8]> {
    let codes: Vec<usize> =
        stream.windows(4).enumerate().filter(|(_, w)| *w == [0, 0, 0, 1]).map(|(at, _)| at).collect();
    assert_eq!(codes.first(), Some(&0));
    let ends = codes.iter().skip(1).copied().chain([stream.len()]);
    codes.iter().zip(ends).map(|(start, end)| &stream[start + 4..end]).collect()
}

//! The subsamples that a sample must have, from where ffmpeg says that headers end; by the test's own means.

use packager::codec::{Codec, Subsample};

use crate::ffmpeg::End;

/// Stretches of a sample.
#[derive(Default)]
struct Stretches(Vec<Subsample>, usize);

impl Stretches {
    fn add(&mut self, clear: usize, protected: usize) {
        self.1 += clear;
        if protected > 0 {
            self.0.push(Subsample { clear: self.1 as u32, protected: protected as u32 });
            self.1 = 0;
        }
    }

    fn finish(mut self) -> Vec<Subsample> {
        if self.1 > 0 {
            self.0.push(Subsample { clear: self.1 as u32, protected: 0 });
        }
        self.0
    }
}

/// What a scan of `sample` must give. `tiles` is how many tiles each tile group of an AV1 track has.
pub fn subsamples(sample: &[u8], codec: Codec, tiles: usize, ends: &[End]) -> Vec<Subsample> {
    let mut ends = ends.iter();
    let mut next = || *ends.next().expect("a unit more than ffmpeg has");
    let out = match codec {
        Codec::Av1 => av1(sample, tiles, &mut next),
        Codec::Vp9 => vp9(sample, &mut next),
        _ => nal_units(sample, codec, &mut next),
    };
    assert!(ends.next().is_none(), "a unit less than ffmpeg has");
    out
}

/// Raw bytes that hold the first `bits` of a NAL unit without its emulation prevention bytes.
fn raw_bytes(nal: &[u8], bits: usize) -> usize {
    let (mut zeros, mut plain) = (0, 0);
    for (index, &byte) in nal.iter().enumerate() {
        if plain * 8 >= bits {
            return index;
        }
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        plain += 1;
    }
    nal.len()
}

fn nal_units(sample: &[u8], codec: Codec, next: &mut impl FnMut() -> End) -> Vec<Subsample> {
    let (mut at, mut out) = (0, Stretches::default());
    while at < sample.len() {
        let length = u32::from_be_bytes(sample[at..at + 4].try_into().unwrap()) as usize;
        let nal = &sample[at + 4..at + 4 + length];
        at += 4 + length;
        let slice = match codec {
            Codec::Avc => matches!(nal[0] & 31, 1 | 5),
            _ => matches!((nal[0] >> 1) & 63, 0..=9 | 16..=21) && (nal[0] & 1) == 0 && (nal[1] >> 3) == 0,
        };
        let header = if slice { raw_bytes(nal, next().bits) } else { length };
        out.add(4 + header, length - header);
    }
    out.finish()
}

fn little_endian(bytes: &[u8]) -> usize {
    bytes.iter().rev().fold(0, |n, b| n << 8 | *b as usize)
}

fn av1(sample: &[u8], tiles: usize, next: &mut impl FnMut() -> End) -> Vec<Subsample> {
    let (mut at, mut out) = (0, Stretches::default());
    while at < sample.len() {
        let kind = sample[at] >> 3 & 15;
        let mut header = 1 + (sample[at] >> 2 & 1) as usize;
        let (mut size, mut shift) = (0, 0);
        loop {
            let byte = sample[at + header];
            size |= ((byte & 0x7f) as usize) << shift;
            (header, shift) = (header + 1, shift + 7);
            if byte & 0x80 == 0 {
                break;
            }
        }
        let unit = &sample[at..at + header + size];
        at += unit.len();
        if kind != 4 && kind != 6 {
            out.add(unit.len(), 0);
            continue;
        }
        let end = next();
        let mut position = end.bits.div_ceil(8);
        out.add(position, 0);
        for _ in 1..tiles {
            let tile = little_endian(&unit[position..position + end.size_bytes]) + 1;
            out.add(end.size_bytes, tile);
            position += end.size_bytes + tile;
        }
        out.add(0, unit.len() - position);
    }
    out.finish()
}

fn vp9(sample: &[u8], next: &mut impl FnMut() -> End) -> Vec<Subsample> {
    let mut out = Stretches::default();
    let marker = sample[sample.len() - 1];
    let (mut sizes, mut index) = (vec![sample.len()], 0);
    if marker & 0xe0 == 0xc0 {
        let (bytes, frames) = ((marker >> 3 & 3) as usize + 1, (marker & 7) as usize + 1);
        index = 2 + bytes * frames;
        let table = &sample[sample.len() - index + 1..sample.len() - 1];
        sizes = table.chunks(bytes).map(little_endian).collect();
    }
    let mut at = 0;
    for size in sizes {
        let bits = next().bits;
        // Bit 4 is show_existing_frame in profiles 0 to 2.
        let header = if sample[at] & 8 == 8 { size } else { bits.div_ceil(8) };
        out.add(header, size - header);
        at += size;
    }
    out.add(index, 0);
    out.finish()
}

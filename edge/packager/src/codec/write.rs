//! Sample entries made from what elementary streams say of themselves (ISO/IEC 14496-12 clause 12, ISO/IEC 14496-15,
//! ISO/IEC 14496-14, ETSI TS 102 366 annex F).

use super::{Colour, FourCc};
use crate::bytes::writer::Writer;

/// 72 dots per inch, as every writer has it.
const RESOLUTION: u32 = 0x0048_0000;
/// `depth`: colour without alpha.
const DEPTH: u16 = 0x0018;

/// The fixed fields of a VisualSampleEntry and the boxes that go with any codec.
pub(super) struct Visual {
    pub fourcc: FourCc,
    pub width: u32,
    pub height: u32,
    pub pixel_aspect: Option<(u32, u32)>,
    pub colour: Option<Colour>,
}

impl Visual {
    /// The whole box; `config` writes the box of the codec.
    pub fn write(&self, config: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        out.boxed(&self.fourcc, |b| {
            head(b);
            b.extend([0; 16]);
            for side in [self.width, self.height] {
                b.u16(side.min(u16::MAX.into()) as u16);
            }
            b.u32(RESOLUTION);
            b.u32(RESOLUTION);
            b.u32(0);
            b.u16(1);
            b.extend([0; 32]);
            b.u16(DEPTH);
            b.u16(0xffff);
            config(b);
            if let Some((horizontal, vertical)) = self.pixel_aspect.filter(|(h, v)| h != v) {
                b.boxed(b"pasp", |b| {
                    b.u32(horizontal);
                    b.u32(vertical);
                });
            }
            if let Some(c) = self.colour.filter(|c| c.primaries != 2 || c.transfer != 2 || c.matrix != 2) {
                b.boxed(b"colr", |b| {
                    b.extend(b"nclx");
                    for code in [c.primaries, c.transfer, c.matrix] {
                        b.u16(code);
                    }
                    b.push(u8::from(c.full_range) << 7);
                });
            }
        });
        out
    }
}

/// The fixed fields of an AudioSampleEntry.
pub(super) struct Sound {
    pub fourcc: FourCc,
    pub channels: u32,
    pub sample_rate: u32,
}

impl Sound {
    /// The whole box; `config` writes the box of the codec.
    pub fn write(&self, config: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        out.boxed(&self.fourcc, |b| {
            head(b);
            b.extend([0; 8]);
            b.u16(self.channels.min(u16::MAX.into()) as u16);
            b.u16(16);
            b.u32(0);
            // 16.16: rates that do not fit are in the codec's own configuration only.
            b.u32(u16::try_from(self.sample_rate).map_or(0, |rate| u32::from(rate) << 16));
            config(b);
        });
        out
    }
}

/// SampleEntry: six reserved bytes and data_reference_index.
fn head(b: &mut Vec<u8>) {
    b.extend([0; 6]);
    b.u16(1);
}

/// `esds` with an ES_Descriptor (ISO/IEC 14496-1 clause 7.2.6) for `objectTypeIndication` and DecoderSpecificInfo.
pub(super) fn esds(b: &mut Vec<u8>, object_type: u8, specific: &[u8]) {
    let mut decoder = vec![object_type];
    // streamType 5 is audio; bufferSizeDB, maxBitrate and avgBitrate are not known.
    decoder.push(5 << 2 | 1);
    decoder.extend([0; 11]);
    if !specific.is_empty() {
        descriptor(&mut decoder, 5, specific);
    }
    let mut stream = vec![0, 0, 0];
    descriptor(&mut stream, 4, &decoder);
    // SLConfigDescriptor, predefined 2: MP4.
    descriptor(&mut stream, 6, &[2]);
    b.full_box(b"esds", 0, 0, |b| descriptor(b, 3, &stream));
}

fn descriptor(out: &mut Vec<u8>, tag: u8, body: &[u8]) {
    out.push(tag);
    let length = body.len();
    if length >= 0x80 {
        out.push(0x80 | (length >> 7) as u8);
    }
    out.push((length & 0x7f) as u8);
    out.extend_from_slice(body);
}

/// Writes bits, the most significant first.
#[derive(Clone, Debug, Default)]
pub(super) struct BitWriter {
    out: Vec<u8>,
    filled: u32,
}

impl BitWriter {
    /// Appends the lowest `count` bits of `value`.
    pub fn put(&mut self, value: u32, count: u32) {
        for bit in (0..count).rev() {
            if self.filled == 0 {
                self.out.push(0);
            }
            if let Some(last) = self.out.last_mut() {
                *last |= ((value >> bit & 1) as u8) << (7 - self.filled);
            }
            self.filled = (self.filled + 1) % 8;
        }
    }

    /// The bytes; the last one is filled with zeros.
    pub fn finish(self) -> Vec<u8> {
        self.out
    }
}

//! Segments of a clip at a later time of the encoder's clock, so that a few seconds are enough for hours.

use super::clip::Clip;

impl Clip {
    /// A segment of a rendition whose clock is `seconds` further; of fragments (ISO/IEC 14496-12, 8.8.12 and 8.16.3).
    pub fn later(&self, rendition: usize, segment: usize, seconds: u64) -> Vec<u8> {
        let rendition = &self.renditions[rendition];
        let init = rendition.init.as_deref().expect("fragments have an initialization section");
        let mut tracks = Vec::new();
        walk(init, 0..init.len(), &mut |kind, at| match kind {
            b"tkhd" => tracks.push((number(init, at + if init[at] == 1 { 20 } else { 12 }), 0)),
            b"mdhd" => {
                tracks.last_mut().expect("tkhd comes first").1 = number(init, at + if init[at] == 1 { 20 } else { 12 });
            }
            _ => {}
        });
        let bytes = &rendition.segments[segment];
        let mut moved = bytes.clone();
        let mut timescale = 0;
        let mut add = |at: usize, version: u8, timescale: u32| {
            assert_eq!(version, 1, "times of 64 bits");
            let place = &mut moved[at..at + 8];
            let time = u64::from_be_bytes(place.try_into().expect("eight bytes")) + seconds * u64::from(timescale);
            place.copy_from_slice(&time.to_be_bytes());
        };
        walk(bytes, 0..bytes.len(), &mut |kind, at| match kind {
            b"tfhd" => {
                let track = number(bytes, at + 4);
                timescale = tracks.iter().find(|(id, _)| *id == track).expect("its track").1;
            }
            b"tfdt" => add(at + 4, bytes[at], timescale),
            b"sidx" => add(at + 12, bytes[at], number(bytes, at + 8)),
            _ => {}
        });
        moved
    }
}

/// Goes through boxes and those in them; `see` gets their types and where their contents begin.
fn walk(bytes: &[u8], range: std::ops::Range<usize>, see: &mut dyn FnMut(&[u8], usize)) {
    let mut at = range.start;
    while at + 8 <= range.end {
        let (size, kind) = (number(bytes, at) as usize, &bytes[at + 4..at + 8]);
        assert!(size >= 8 && at + size <= range.end, "a box of {size} bytes at {at}");
        see(kind, at + 8);
        if matches!(kind, b"moov" | b"trak" | b"mdia" | b"moof" | b"traf") {
            walk(bytes, at + 8..at + size, see);
        }
        at += size;
    }
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

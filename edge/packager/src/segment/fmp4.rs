//! CMAF segments (ISO/IEC 23000-19, 7.3.2): one `moof` and `mdat` for every fragment of video, one for all of audio.
//!
//! A segment of video with a fragment per group of pictures lets an I-frame playlist point at each key frame together with
//! the `moof` that describes it. The size of every box follows from the head of the index, before any block is read.

use core::ops::Range;

use bytes::Bytes;

use crate::bytes::writer::Writer;
use crate::error::{Error, Result};
use crate::index::block::{Block, Sample};
use crate::index::head::SyncLayout;
use crate::index::{Fragment, Track};
use crate::limits;
use crate::media::segmenter::Segment;
use crate::response::Part;
use crate::segment::init::TRACK_ID;

/// `styp` with the brands of a CMAF segment.
const STYP: &[u8; 24] = b"\0\0\0\x18stypmsdh\0\0\0\0msdhcmfs";
/// `mdat` has the short header: segments stay below 4 GiB.
const MDAT_HEADER: u64 = 8;

/// Sample flags (ISO/IEC 14496-12, 8.8.3.1) of a sample that depends on no other.
const SYNC_FLAGS: u32 = 0x0200_0000;
/// Sample flags of a sample that depends on others and is no sync sample.
const DEPENDENT_FLAGS: u32 = 0x0101_0000;

/// Which optional fields `tfhd` and `trun` have: the same in every fragment of a track.
#[derive(Clone, Copy, Debug)]
struct Layout {
    tfhd: u32,
    trun: u32,
}

impl Layout {
    fn of(track: &Track) -> Self {
        const DEFAULT_BASE_IS_MOOF: u32 = 0x02_0000;
        const DESCRIPTION: u32 = 0x2;
        const DEFAULT_DURATION: u32 = 0x8;
        const DEFAULT_FLAGS: u32 = 0x20;
        let mut layout = Self { tfhd: DEFAULT_BASE_IS_MOOF | DEFAULT_FLAGS, trun: DATA_OFFSET | SIZE };
        if track.sample_entries.len() > 1 {
            layout.tfhd |= DESCRIPTION;
        }
        match track.constant_duration {
            Some(_) => layout.tfhd |= DEFAULT_DURATION,
            None => layout.trun |= DURATION,
        }
        match track.sync {
            SyncLayout::All => {}
            SyncLayout::First => layout.trun |= FIRST_FLAGS,
            SyncLayout::Listed => layout.trun |= FLAGS,
        }
        if track.composition {
            layout.trun |= COMPOSITION;
        }
        layout
    }

    fn tfhd_bytes(self) -> u64 {
        16 + 4 * u64::from((self.tfhd & 0x3a).count_ones())
    }

    fn trun_bytes(self, samples: u64) -> u64 {
        16 + 4 * u64::from((self.trun & (DATA_OFFSET | FIRST_FLAGS)).count_ones()) + samples * self.entry_bytes()
    }

    fn entry_bytes(self) -> u64 {
        4 * u64::from((self.trun >> 8 & 0xf).count_ones())
    }

    /// `moof`: header, `mfhd`, `traf` header, `tfhd`, `tfdt`, `trun`.
    fn moof_bytes(self, samples: u64) -> u64 {
        8 + 16 + 8 + self.tfhd_bytes() + 20 + self.trun_bytes(samples)
    }
}

const DATA_OFFSET: u32 = 0x1;
const FIRST_FLAGS: u32 = 0x4;
const DURATION: u32 = 0x100;
const SIZE: u32 = 0x200;
const FLAGS: u32 = 0x400;
const COMPOSITION: u32 = 0x800;

/// The fragments of a segment that share one `moof`.
fn groups(track: &Track, segment: &Segment) -> impl Iterator<Item = Range<usize>> {
    let fragments = segment.fragments.clone();
    let step = if track.is_video() || track.sample_entries.len() > 1 { 1 } else { fragments.len().max(1) };
    fragments.clone().step_by(step).map(move |first| first..(first + step).min(fragments.end))
}

fn totals(fragments: &[Fragment]) -> (u64, u64) {
    fragments.iter().fold((0, 0), |(samples, bytes), f| (samples + u64::from(f.samples), bytes + f.bytes))
}

/// Length of a segment in bytes.
pub fn length(track: &Track, segment: &Segment) -> u64 {
    let layout = Layout::of(track);
    let groups = groups(track, segment).filter_map(|group| track.fragments.get(group));
    groups
        .map(totals)
        .filter(|(samples, _)| *samples > 0)
        .fold(STYP.len() as u64, |length, (samples, bytes)| length + layout.moof_bytes(samples) + MDAT_HEADER + bytes)
}

/// The byte ranges in a segment of video that hold a `moof` and the key frame it begins with, one per fragment, each with
/// the presentation time of the key frame in ticks.
pub fn iframes(track: &Track, segment: &Segment) -> Vec<(u64, Range<u64>)> {
    let layout = Layout::of(track);
    let mut at = STYP.len() as u64;
    let mut ranges = Vec::new();
    for number in segment.fragments.clone() {
        let Some(fragment) = track.fragments.get(number).filter(|f| f.samples > 0) else { continue };
        let media = at + layout.moof_bytes(u64::from(fragment.samples)) + MDAT_HEADER;
        ranges.push((track.start(number), at..media + u64::from(fragment.first_sample_bytes)));
        at = media + fragment.bytes;
    }
    ranges
}

/// Makes a segment. `blocks` are the bytes of the index from the block of the segment's first fragment on.
///
/// # Errors
/// `BadSource` when the blocks break their format, `Limit` when the segment is too large.
pub fn write(track: &Track, segment: &Segment, blocks: &[u8]) -> Result<Vec<Part>> {
    let layout = Layout::of(track);
    let wanted = length(track, segment);
    if wanted > limits::MAX_SEGMENT_BYTES {
        return Err(Error::limit(format!("the segment has {wanted} bytes, more than {}", limits::MAX_SEGMENT_BYTES)));
    }
    let base = track.blocks(segment.fragments.clone()).start;
    let mut parts = Vec::new();
    let mut block = Block::default();
    let mut header = Vec::from(STYP);
    for group in groups(track, segment) {
        let fragments = track.fragments.get(group.clone()).unwrap_or_default();
        let (samples, bytes) = totals(fragments);
        if samples == 0 {
            continue;
        }
        if samples > limits::MAX_SEGMENT_SAMPLES as u64 {
            return Err(Error::limit(format!(
                "a fragment has {samples} samples, more than {}",
                limits::MAX_SEGMENT_SAMPLES
            )));
        }
        let moof_bytes = layout.moof_bytes(samples);
        header.reserve((moof_bytes + MDAT_HEADER) as usize);
        write_moof_start(&mut header, track, layout, group.start, samples);
        let mut extents: Vec<Range<u64>> = Vec::new();
        for fragment in fragments {
            let start = usize::try_from(fragment.block_offset - base).unwrap_or(usize::MAX);
            let data = blocks.get(start..).and_then(|b| b.get(..fragment.block_bytes as usize));
            let data = data.ok_or_else(|| Error::internal("the blocks of a segment were not supplied whole"))?;
            block.read(track, fragment, data)?;
            for sample in &block.samples {
                write_entry(&mut header, layout, sample);
            }
            for extent in &block.extents {
                match extents.last_mut() {
                    Some(last) if last.end == extent.range.start => last.end = extent.range.end,
                    _ => extents.push(extent.range.clone()),
                }
            }
        }
        header.u32((MDAT_HEADER + bytes) as u32);
        header.extend_from_slice(b"mdat");
        parts.push(Part::Bytes(Bytes::from(core::mem::take(&mut header))));
        parts.extend(extents.into_iter().map(|range| Part::Source { source: track.source, range }));
        if parts.len() > limits::MAX_SEGMENT_EXTENTS {
            return Err(Error::limit(format!("the segment lies in more than {} pieces", limits::MAX_SEGMENT_EXTENTS)));
        }
    }
    Ok(parts)
}

/// Everything of a `moof` up to the entries of its `trun`.
fn write_moof_start(out: &mut Vec<u8>, track: &Track, layout: Layout, first: usize, samples: u64) {
    let moof_bytes = layout.moof_bytes(samples);
    let trun_bytes = layout.trun_bytes(samples);
    let fragment = track.fragments.get(first).copied().unwrap_or_default();
    out.u32(moof_bytes as u32);
    out.extend_from_slice(b"moof");
    // Sequence numbers count the cuts of the title, so that they ascend whatever the segment duration.
    out.full_box(b"mfhd", 0, 0, |b| b.u32(first as u32 + 1));
    out.u32((8 + layout.tfhd_bytes() + 20 + trun_bytes) as u32);
    out.extend_from_slice(b"traf");
    out.full_box(b"tfhd", 0, layout.tfhd, |b| {
        b.u32(TRACK_ID);
        if track.sample_entries.len() > 1 {
            b.u32(fragment.description);
        }
        if let Some(duration) = track.constant_duration {
            b.u32(duration);
        }
        b.u32(if track.sync == SyncLayout::All { SYNC_FLAGS } else { DEPENDENT_FLAGS });
    });
    out.full_box(b"tfdt", 1, 0, |b| b.u64(fragment.decode_time));
    out.u32(trun_bytes as u32);
    out.extend_from_slice(b"trun");
    out.u32(1 << 24 | layout.trun);
    out.u32(samples as u32);
    out.u32((moof_bytes + MDAT_HEADER) as u32);
    if layout.trun & FIRST_FLAGS != 0 {
        out.u32(SYNC_FLAGS);
    }
}

fn write_entry(out: &mut Vec<u8>, layout: Layout, sample: &Sample) {
    if layout.trun & DURATION != 0 {
        out.u32(sample.duration);
    }
    out.u32(sample.size);
    if layout.trun & FLAGS != 0 {
        out.u32(if sample.sync { SYNC_FLAGS } else { DEPENDENT_FLAGS });
    }
    if layout.trun & COMPOSITION != 0 {
        out.u32(sample.composition_offset as u32);
    }
}

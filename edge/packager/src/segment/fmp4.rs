//! CMAF segments (ISO/IEC 23000-19, 7.3.2): one `moof` and `mdat` for every fragment of video, one for all of audio.
//!
//! A segment of video with a fragment per group of pictures lets an I-frame playlist point at each key frame together with
//! the `moof` that describes it. The size of every box follows from the head of the index, before any block is read.

use core::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::auxiliary::{Auxiliary, Totals};
use super::gather::{Gathered, Stored, fragment_data};
use crate::bytes::writer::Writer;
use crate::error::{Error, Result};
use crate::index::block::{Block, Sample};
use crate::index::events::{self, Event};
use crate::index::head::{Storage, SyncLayout};
use crate::index::{Fragment, Track};
use crate::limits;
use crate::media::protection::SegmentProtection;
use crate::media::segmenter::Segment;
use crate::response::Part;
use crate::segment::auxiliary;
use crate::segment::emsg;
use crate::segment::init::{CLEAR_DESCRIPTION, TRACK_ID};
use crate::segment::recipe::{Program, Recipe, Section};

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
    auxiliary: Auxiliary,
}

impl Layout {
    fn of(carrier: &Carrier<'_>) -> Self {
        let track = carrier.track;
        const DEFAULT_BASE_IS_MOOF: u32 = 0x02_0000;
        const DEFAULT_DURATION: u32 = 0x8;
        const DEFAULT_FLAGS: u32 = 0x20;
        let auxiliary = carrier.protection.map_or(Auxiliary::NONE, |p| Auxiliary::of(track, p));
        let mut layout = Self { tfhd: DEFAULT_BASE_IS_MOOF | DEFAULT_FLAGS, trun: DATA_OFFSET | SIZE, auxiliary };
        if carrier.protection.is_some_and(|p| p.key.is_none()) {
            layout.tfhd |= SAMPLE_DESCRIPTION;
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

    /// `traf`: header, `tfhd`, `tfdt`, `trun`, and what tells of encryption.
    fn traf_bytes(self, totals: Totals) -> u64 {
        8 + self.tfhd_bytes() + 20 + self.trun_bytes(totals.samples) + self.auxiliary.bytes(totals)
    }

    /// `moof`: header, `mfhd`, `traf`.
    fn moof_bytes(self, totals: Totals) -> u64 {
        8 + 16 + self.traf_bytes(totals)
    }
}

const SAMPLE_DESCRIPTION: u32 = 0x2;
const DATA_OFFSET: u32 = 0x1;
const FIRST_FLAGS: u32 = 0x4;
const DURATION: u32 = 0x100;
const SIZE: u32 = 0x200;
const FLAGS: u32 = 0x400;
const COMPOSITION: u32 = 0x800;

/// The fragments of a segment that share one `moof`.
fn groups(track: &Track, segment: &Segment) -> impl Iterator<Item = Range<usize>> {
    let fragments = segment.fragments.clone();
    let step = if track.is_video() { 1 } else { fragments.len().max(1) };
    fragments.clone().step_by(step).map(move |first| first..(first + step).min(fragments.end))
}

fn totals(fragments: &[Fragment], auxiliary: Auxiliary) -> Totals {
    fragments.iter().fold(Totals::default(), |totals, f| Totals {
        samples: totals.samples + u64::from(f.samples),
        bytes: totals.bytes + f.bytes,
        subsamples: totals.subsamples + u64::from(auxiliary.subsamples_of(f)),
    })
}

/// A track, and the timed metadata that its segments carry too.
#[derive(Clone, Copy, Debug)]
pub struct Carrier<'a> {
    /// The track.
    pub track: &'a Track,
    /// Timed metadata, if this track carries them.
    pub events: Option<&'a Track>,
    /// How the segment is protected, if the track is.
    pub protection: Option<SegmentProtection<'a>>,
}

impl Carrier<'_> {
    /// Length of the event messages in front of a `moof` with these fragments.
    fn event_bytes(&self, group: Range<usize>) -> u64 {
        let fragments = self.events.and_then(|e| e.fragments.get(group)).unwrap_or_default();
        let totals = totals(fragments, Auxiliary::NONE);
        totals.samples * emsg::OVERHEAD + totals.bytes
    }

    /// Whether fragments are passed on as they are stored.
    fn passes_on(&self) -> bool {
        self.track.stored.is_some() && self.protection.is_none()
    }

    /// Length of everything that stands in front of the media of these fragments, from the event messages to the header of
    /// the `mdat`, and of the media; `None` when there are none.
    fn group_bytes(&self, layout: Layout, group: Range<usize>) -> Option<(u64, u64)> {
        let totals = totals(self.track.fragments.get(group.clone())?, layout.auxiliary);
        let head = self.event_bytes(group) + layout.moof_bytes(totals) + MDAT_HEADER;
        (totals.samples > 0).then_some((head, totals.bytes))
    }
}

/// Length of a segment in bytes.
pub fn length(carrier: Carrier<'_>, segment: &Segment) -> u64 {
    let track = carrier.track;
    if carrier.passes_on() {
        let stored = track.fragments.get(segment.fragments.clone()).unwrap_or_default().iter().map(|f| f.stored_bytes);
        return stored.fold(STYP.len() as u64, u64::saturating_add);
    }
    let layout = Layout::of(&carrier);
    groups(track, segment)
        .filter_map(|group| carrier.group_bytes(layout, group))
        .fold(STYP.len() as u64, |length, (head, media)| length + head + media)
}

/// The byte ranges in a segment of video that hold a `moof` and the key frame it begins with, one per fragment, each with
/// the presentation time of the key frame in ticks.
pub fn iframes(carrier: Carrier<'_>, segment: &Segment) -> Vec<(u64, Range<u64>)> {
    let track = carrier.track;
    let layout = Layout::of(&carrier);
    let mut at = STYP.len() as u64;
    let mut ranges = Vec::new();
    for number in segment.fragments.clone() {
        let Some(fragment) = track.fragments.get(number).filter(|f| f.samples > 0) else { continue };
        let first = u64::from(fragment.first_sample_bytes);
        if carrier.passes_on() {
            ranges.push((track.start(number), at..at + first));
            at += fragment.stored_bytes;
        } else if let Some((head, media)) = carrier.group_bytes(layout, number..number + 1) {
            ranges.push((track.start(number), at..at + head + first));
            at += head + media;
        }
    }
    ranges
}

/// What a segment is made of. The blocks of the track and of the events are the bytes of the index from the block of the
/// segment's first fragment on.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The track.
    pub track: Stored<'a>,
    /// Timed metadata, if this track carries them.
    pub events: Option<Stored<'a>>,
    /// How the segment is protected, if the track is.
    pub protection: Option<SegmentProtection<'a>>,
    /// Tells what was indexed apart from everything else; see [`crate::cenc::counter_base`].
    pub salt: &'a str,
    /// What stands before the first fragment of the track.
    pub before: Preceding,
}

/// What stands before the first fragment of a track; nothing in a title that is whole.
#[derive(Clone, Copy, Debug, Default)]
pub struct Preceding {
    /// As many sequence numbers of movie fragments are taken, modulo 2^32.
    pub cuts: u32,
    /// As many initialisation vectors are taken under cenc, modulo 2^64.
    pub samples: u64,
}

/// Makes a segment.
///
/// # Errors
/// `BadSource` when the blocks break their format, `Limit` when the segment is too large.
pub fn write(source: &Source<'_>, segment: &Segment) -> Result<Vec<Part>> {
    let Source { track, events, protection, salt, before } = *source;
    let carrier = Carrier { track: track.track, events: events.map(|e| e.track), protection };
    let layout = Layout::of(&carrier);
    let wanted = length(carrier, segment);
    if wanted > limits::MAX_SEGMENT_BYTES {
        return Err(Error::limit(format!("the segment has {wanted} bytes, more than {}", limits::MAX_SEGMENT_BYTES)));
    }
    let mut header = Vec::from(STYP);
    if carrier.passes_on() {
        return pass_on(track, segment, header);
    }
    let cipher =
        protection.map(|p| auxiliary::cipher(track.track, p, segment, (salt, before.samples))).transpose()?.flatten();
    let carriage = match track.track.storage {
        Storage::Transport { stream, .. } => Some(stream),
        _ => None,
    };
    let made = cipher.is_some() || carriage.is_some();
    let mut gathered = Gathered::default();
    gathered.alignment = layout.auxiliary.alignment();
    let mut parts = Vec::new();
    let mut sections = Vec::new();
    let mut at = 0;
    let mut found: Vec<Event> = Vec::new();
    for group in groups(track.track, segment) {
        let Some((head_bytes, media_bytes)) = carrier.group_bytes(layout, group.clone()) else { continue };
        let totals = totals(track.track.fragments.get(group.clone()).unwrap_or_default(), layout.auxiliary);
        if totals.samples > limits::MAX_SEGMENT_SAMPLES as u64 {
            return Err(Error::limit(format!(
                "a fragment has {} samples, more than {}",
                totals.samples,
                limits::MAX_SEGMENT_SAMPLES
            )));
        }
        header.reserve(head_bytes as usize);
        let start = header.len();
        if let Some(events) = events {
            found.clear();
            for fragment in group.clone() {
                events::read(events.track, fragment, fragment_data(events, segment, fragment)?, &mut found)?;
            }
            found.iter().for_each(|event| emsg::write(events.track, event, &mut header));
        }
        let sequence = before.cuts.wrapping_add(group.start as u32);
        write_moof_start(&mut header, track.track, layout, (group.start, sequence), totals);
        let share = gathered.add(track, segment, group, |sample| write_entry(&mut header, layout, sample))?;
        if let Some(cipher) = &cipher {
            let place = auxiliary::Place { totals, end: layout.moof_bytes(totals) };
            layout.auxiliary.write(&mut header, cipher, &gathered, share.samples.clone(), place)?;
        }
        header.u32((MDAT_HEADER + media_bytes) as u32);
        header.extend_from_slice(b"mdat");
        if (header.len() - start) as u64 != head_bytes {
            return Err(Error::bad_source("index: a fragment has another number of subsamples than its head says"));
        }
        let head = Bytes::from(core::mem::take(&mut header));
        if made {
            let length = head.len() as u64 + media_bytes;
            sections.push(Section { start: at, head, shares: vec![share] });
            at += length;
            continue;
        }
        parts.push(Part::Bytes(head));
        let reads = gathered.reads.drain(..);
        parts.extend(reads.map(|read| Part::Source { object: read.object, range: read.range }));
        if parts.len() > limits::MAX_SEGMENT_EXTENTS {
            return Err(Error::limit(format!("the segment lies in more than {} pieces", limits::MAX_SEGMENT_EXTENTS)));
        }
    }
    // A segment of a live channel in which the track has nothing: its type alone.
    if !header.is_empty() {
        parts.push(Part::Bytes(header.into()));
    } else if made {
        let program = cipher.map_or(Program::Plain, Program::Protected);
        let recipe = Recipe { streams: vec![gathered.stream(carriage)], program, sections, bytes: at, envelope: None };
        parts = vec![Part::Made { range: 0..recipe.bytes, recipe: Arc::new(recipe) }];
    }
    let length = parts.iter().map(Part::len).fold(0, u64::saturating_add);
    if length != wanted {
        return Err(Error::bad_source(format!("index: the segment has {length} bytes where {wanted} were counted")));
    }
    Ok(parts)
}

/// The fragments as they are stored.
fn pass_on(track: Stored<'_>, segment: &Segment, styp: Vec<u8>) -> Result<Vec<Part>> {
    let mut parts = vec![Part::Bytes(styp.into())];
    let mut block = Block::default();
    for number in segment.fragments.clone() {
        let Some(fragment) = track.track.fragments.get(number).filter(|f| f.stored_bytes > 0) else { continue };
        block.read(track.track, fragment, fragment_data(track, segment, number)?)?;
        let start = block.stored.unwrap_or(0);
        let end = start.checked_add(fragment.stored_bytes);
        let end = end.ok_or_else(|| Error::bad_source("index: a stored fragment is out of range"))?;
        let mut push = |object: &Arc<_>, range: Range<u64>| match parts.last_mut() {
            Some(Part::Source { object: last, range: before }) if last == object && before.end == range.start => {
                before.end = range.end;
            }
            _ => parts.push(Part::Source { object: object.clone(), range }),
        };
        block.locate(start..end, &mut push)?;
    }
    Ok(parts)
}

/// Everything of a `moof` up to the entries of its `trun`.
fn write_moof_start(out: &mut Vec<u8>, track: &Track, layout: Layout, (first, sequence): (usize, u32), totals: Totals) {
    let moof_bytes = layout.moof_bytes(totals);
    let trun_bytes = layout.trun_bytes(totals.samples);
    let fragment = track.fragments.get(first).copied().unwrap_or_default();
    out.u32(moof_bytes as u32);
    out.extend_from_slice(b"moof");
    // Sequence numbers count the cuts of the title, so that they ascend whatever the segment duration.
    out.full_box(b"mfhd", 0, 0, |b| b.u32(sequence.wrapping_add(1)));
    out.u32(layout.traf_bytes(totals) as u32);
    out.extend_from_slice(b"traf");
    out.full_box(b"tfhd", 0, layout.tfhd, |b| {
        b.u32(TRACK_ID);
        if layout.tfhd & SAMPLE_DESCRIPTION != 0 {
            b.u32(CLEAR_DESCRIPTION);
        }
        if let Some(duration) = track.constant_duration {
            b.u32(duration);
        }
        b.u32(if track.sync == SyncLayout::All { SYNC_FLAGS } else { DEPENDENT_FLAGS });
    });
    out.full_box(b"tfdt", 1, 0, |b| b.u64(fragment.decode_time));
    out.u32(trun_bytes as u32);
    out.extend_from_slice(b"trun");
    // Version 1: signed composition offsets.
    out.u32(1 << 24 | layout.trun);
    out.u32(totals.samples as u32);
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

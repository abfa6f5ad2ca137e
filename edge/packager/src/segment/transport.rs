//! Segments of transport streams and packed audio out of an index: what their packets are made from, and how many there are.

use core::ops::Range;

use crate::error::{Error, Result};
use crate::index::block::{Block, Sample};
use crate::index::{Head, Track};
use crate::media::segmenter::Segment;
use crate::media::time::rescale;
use crate::segment::packed;
use crate::segment::ts::{self, AudioStream, Unit, VideoStream};

/// The tracks of a transport stream.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// Video; it carries the clock.
    pub video: &'a Track,
    /// Audio that is multiplexed with it.
    pub audio: Option<&'a Track>,
    /// Timed metadata.
    pub events: Option<&'a Track>,
}

impl<'a> Program<'a> {
    /// All of its tracks.
    pub fn tracks(self) -> impl Iterator<Item = &'a Track> {
        [Some(self.video), self.audio, self.events].into_iter().flatten()
    }

    /// Packets of a fragment.
    fn packets(self, fragment: usize) -> u64 {
        let of = |track: &Track| {
            track.fragments.get(fragment).map_or(0, |f| u64::from(f.packets).saturating_add(u64::from(f.clocks)))
        };
        self.tracks().map(of).fold(0, u64::saturating_add)
    }
}

/// Length of a segment in bytes.
pub fn length(program: Program<'_>, segment: &Segment) -> u64 {
    let packets = segment.fragments.clone().map(|f| program.packets(f)).fold(0, u64::saturating_add);
    packets.saturating_mul(ts::PACKET).saturating_add(ts::PSI_BYTES)
}

/// The byte ranges in a segment that hold the packets of a key frame, one per fragment, each with the presentation time of
/// the key frame in ticks of the video. The tables at the start of a segment are not in them.
pub fn iframes(program: Program<'_>, segment: &Segment) -> Vec<(u64, Range<u64>)> {
    let mut at = ts::PSI_BYTES;
    let mut ranges = Vec::new();
    for number in segment.fragments.clone() {
        if let Some(fragment) = program.video.fragments.get(number).filter(|f| f.samples > 0) {
            let end = at.saturating_add(u64::from(fragment.first_sample_packets) * ts::PACKET);
            ranges.push((program.video.start(number), at..end));
        }
        at = at.saturating_add(program.packets(number).saturating_mul(ts::PACKET));
    }
    ranges
}

/// Length in bytes of a segment of packed audio.
pub fn packed_length(track: &Track, segment: &Segment) -> u64 {
    let fragments = track.fragments.get(segment.fragments.clone()).unwrap_or_default();
    let (frames, bytes) = fragments.iter().fold((0u64, 0u64), |(frames, bytes), f| {
        (frames.saturating_add(u64::from(f.samples)), bytes.saturating_add(f.bytes))
    });
    let stream = track.sample_entries.first().and_then(|entry| AudioStream::from_sample_entry(entry).ok());
    stream.map_or(0, |stream| packed::length(&stream, frames, bytes))
}

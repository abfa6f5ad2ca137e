//! Segments of a track under one packaging configuration, from the head of an index alone.

use core::ops::Range;

use super::cuts;
use crate::index::{Head, Track};

/// A segment: a run of fragments, and when it is presented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Which fragments of the track.
    pub fragments: Range<usize>,
    /// Presentation time of its start, in ticks of the track.
    pub start: u64,
    /// Presentation time at which the next one starts or the track ends.
    pub end: u64,
}

impl Segment {
    /// In ticks of the track.
    pub fn duration(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }
}

/// The segments of a track. Stretches in which it has no samples make no segment: audio may begin late or end early.
pub fn segments(track: &Track, boundaries: &[usize]) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::with_capacity(boundaries.len());
    for (number, &first) in boundaries.iter().enumerate() {
        let last = boundaries.get(number + 1).copied().unwrap_or(track.fragments.len());
        let own = track.fragments.get(first..last).unwrap_or_default();
        let Some(leading) = own.iter().position(|f| f.samples > 0) else { continue };
        let first = first + leading;
        let start = track.start(first);
        if let Some(previous) = segments.last_mut() {
            previous.end = start;
        }
        segments.push(Segment { fragments: first..last, start, end: track.end.max(start) });
    }
    segments
}

/// The segments of every track of `head` for a target duration in seconds.
pub fn ladder(head: &Head, target: u32) -> Vec<Vec<Segment>> {
    let boundaries = cuts::boundaries(&head.seconds, target);
    head.tracks.iter().map(|track| segments(track, &boundaries)).collect()
}

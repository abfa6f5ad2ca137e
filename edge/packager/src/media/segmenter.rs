//! Segments of a track under one packaging configuration, from the head of an index alone.

use core::ops::Range;

use super::cuts;
use crate::index::head::Storage;
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

/// The segments of a track. Stretches in which it has no samples make no segment, audio may begin late or end early; but
/// subtitles in the index are silent most of the time.
pub fn segments(track: &Track, boundaries: &[usize]) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::with_capacity(boundaries.len());
    for (number, &first) in boundaries.iter().enumerate() {
        let last = boundaries.get(number + 1).copied().unwrap_or(track.fragments.len());
        let own = track.fragments.get(first..last).unwrap_or_default();
        let silent = track.storage == Storage::Index && !own.is_empty();
        let leading = if silent { Some(0) } else { own.iter().position(|f| f.samples > 0) };
        let Some(leading) = leading else { continue };
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
    let boundaries = boundaries(head, target);
    head.tracks.iter().map(|track| segments(track, &boundaries)).collect()
}

/// At which cuts segments begin. A period always begins with a segment.
fn boundaries(head: &Head, target: u32) -> Vec<usize> {
    let periods: Vec<usize> = periods(head).collect();
    let ends = periods.iter().skip(1).copied().chain([head.cuts.len()]);
    let whole = head.cuts.iter().skip(1).any(|c| c.source_segment);
    let mut boundaries = Vec::new();
    for (&first, end) in periods.iter().zip(ends) {
        if whole {
            whole_segments(head, first..end, target, &mut boundaries);
        } else {
            let seconds: Vec<u32> = head.cuts.get(first..end).unwrap_or_default().iter().map(|c| c.second).collect();
            boundaries.extend(cuts::boundaries(&seconds, target).into_iter().map(|cut| first + cut));
        }
    }
    boundaries
}

/// The cuts at which periods begin.
pub fn periods(head: &Head) -> impl Iterator<Item = usize> {
    head.cuts.iter().enumerate().filter(|(number, cut)| *number == 0 || cut.period).map(|(number, _)| number)
}

/// Segments of whole source segments, the fewest that reach the target; a source segment that is longer is cut inside,
/// unless that leaves less than half of the target.
fn whole_segments(head: &Head, cuts: Range<usize>, target: u32, boundaries: &mut Vec<usize>) {
    let Some(reference) = head.tracks.iter().find(|t| t.is_video()).or(head.tracks.first()) else { return };
    let target = u64::from(target) * u64::from(reference.timescale);
    // Encoders whose frame rate does not divide the second stay below the round number.
    let enough = target - target / 10;
    let time = |cut: usize| if cut < cuts.end { reference.start(cut) } else { end_of(head, reference, cuts.end) };
    let mut first = cuts.start;
    while first < cuts.end {
        boundaries.push(first);
        let starts = |cut: &usize| *cut == cuts.end || head.cuts.get(*cut).is_some_and(|c| c.source_segment);
        let mut ends = (first + 1..=cuts.end).filter(starts);
        let next = ends.next().unwrap_or(cuts.end);
        if time(next).saturating_sub(time(first)) >= enough {
            let mut from = first;
            for cut in first + 1..next {
                let long = time(cut).saturating_sub(time(from)) >= target;
                if long && time(next).saturating_sub(time(cut)) * 2 >= target {
                    boundaries.push(cut);
                    from = cut;
                }
            }
            first = next;
        } else {
            first = ends.find(|cut| time(*cut).saturating_sub(time(first)) >= enough).unwrap_or(cuts.end);
        }
    }
}

fn end_of(head: &Head, reference: &Track, cut: usize) -> u64 {
    if cut < head.cuts.len() { reference.start(cut) } else { reference.end }
}

/// The segments of a list that end before a rendition begins, whose first fragment is `first`: its playlist has a gap for each.
pub fn before(listed: &[Segment], first: usize) -> &[Segment] {
    let gaps = listed.iter().take_while(|s| s.fragments.end <= first).count();
    listed.get(..gaps).unwrap_or_default()
}

//! One timeline from the parts of all renditions: what the source starts anew after a discontinuity follows what was before.

use super::stream::{PartId, Stream};
use crate::limits;
use crate::media::sample::Sample;
use crate::media::time::{Instant, rescale};
use crate::mp4::movie::Handler;

/// Ticks of a transport stream's clock after which it starts anew, at 90 kHz.
const WRAP: i64 = 1 << 33;
/// Ticks a second of a transport stream's clock.
const CLOCK: u32 = 90_000;
/// Times of transport streams may lie before those of the reference by less than a day; this keeps them positive.
const BIAS_SECONDS: i64 = 200_000;
/// Decoding times of video move by up to this part of a second so that they follow each other without a hole.
const MAX_DECODE_SHIFT: i64 = 2;

/// A part of the reference, and by how much it moves.
#[derive(Clone, Copy, Debug)]
struct Shift {
    id: PartId,
    /// Where the source has it.
    start: Instant,
    /// What is added.
    by: Instant,
}

/// How the parts of an asset move. All renditions begin a part at the same media time (RFC 8216, 6.2.4).
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    shifts: Vec<Shift>,
    bias: i64,
}

impl Timeline {
    /// Reads it off the streams: the first one of video, else the first one, is the reference.
    pub fn new(streams: &[&Stream]) -> Self {
        let streams: Vec<&Stream> = streams.iter().copied().filter(|s| s.media.handler != Handler::Text).collect();
        let Some(reference) = streams.iter().find(|s| s.is_video()).or(streams.first()) else { return Self::default() };
        let timescale = reference.media.timescale;
        let mut shifts: Vec<Shift> = Vec::new();
        let mut end: Option<i64> = None;
        for (number, part) in reference.parts.iter().enumerate() {
            let (first, last) = presented(reference, number);
            let before = shifts.last().map_or(0, |s| s.by.ticks);
            // Media that are lost leave a hole in some tracks; a clock that was set anew shows in all of them.
            let others = || streams.iter().filter(|s| !core::ptr::eq(**s, *reference) && !s.parts.is_empty());
            let forward = end.is_some_and(|end| first.saturating_add(before) >= end);
            let shared = others().all(|s| s.parts.binary_search_by_key(&part.id, |p| p.id).is_ok());
            let hole = part.id.untagged > 0 && forward && !shared;
            let by = match end {
                Some(end) if !hole => end.saturating_sub(first),
                _ => before,
            };
            let start = Instant { ticks: part.start, timescale };
            shifts.push(Shift { id: part.id, start, by: Instant { ticks: by, timescale } });
            end = Some(last.saturating_add(by).max(end.unwrap_or(i64::MIN)));
        }
        let bias = if streams.iter().any(|s| s.transport.is_some()) { BIAS_SECONDS } else { 0 };
        Self { shifts, bias }
    }

    /// The part that holds for what begins with `id`.
    fn shift(&self, id: PartId) -> Option<&Shift> {
        let after = self.shifts.partition_point(|s| s.id <= id);
        self.shifts.get(after.checked_sub(1)?).filter(|s| s.id.discontinuity == id.discontinuity)
    }

    /// A time of the source on the timeline of the asset, before its start is set to 0; `None` for a discontinuity that
    /// the reference does not have. `wraps`: the time is one of a clock of 33 bits.
    pub fn place(&self, id: PartId, time: Instant, wraps: bool) -> Option<i64> {
        let shift = self.shift(id)?;
        let mut ticks = time.ticks.saturating_add(shift.by.in_timescale(time.timescale));
        if wraps {
            let apart = time.in_timescale(CLOCK).saturating_sub(shift.start.in_timescale(CLOCK));
            let turns = apart.saturating_add(WRAP / 2).div_euclid(WRAP);
            ticks = ticks.saturating_sub(rescale(turns.saturating_mul(WRAP), CLOCK, time.timescale));
        }
        Some(ticks.saturating_add(self.bias.saturating_mul(i64::from(time.timescale))))
    }

    /// Joins the parts of a stream: sets durations, and the decoding time of the first sample.
    pub fn join(&self, stream: &mut Stream) {
        let timescale = stream.media.timescale;
        let parts = core::mem::take(&mut stream.parts);
        let samples = core::mem::take(&mut stream.media.samples);
        let mut joined = Joined::new(samples.len(), timescale, stream.is_video());
        let mut starts = stream.starts.iter_mut().peekable();
        let ends = parts.iter().skip(1).map(|p| p.first).chain([samples.len()]);
        for (part, part_end) in parts.iter().zip(ends) {
            let time = Instant { ticks: part.start, timescale };
            let wanted = self.place(part.id, time, stream.transport.is_some()).unwrap_or(joined.end).max(0);
            if joined.samples.is_empty() {
                stream.media.first_decode_time = wanted.unsigned_abs();
                (joined.begin, joined.end) = (wanted, wanted);
            }
            let composition = joined.make_room(wanted);
            while let Some(start) = starts.next_if(|s| s.sample < part_end) {
                start.sample = start.sample.saturating_sub(joined.dropped);
            }
            joined.append(samples.get(part.first..part_end).unwrap_or_default(), composition);
        }
        // A frame of sound that lasts longer than the pictures is what encoders leave at the end of a part.
        if joined.dropped > parts.len() && stream.warnings.len() < limits::MAX_WARNINGS {
            stream
                .warnings
                .push(format!("{} frames that overlap the next discontinuity were left out", joined.dropped));
        }
        stream.media.duration = joined.samples.iter().map(|s| u64::from(s.duration)).sum();
        stream.media.samples = joined.samples;
        stream.parts = parts;
    }
}

/// Samples on one timeline.
#[derive(Debug)]
struct Joined {
    samples: Vec<Sample>,
    video: bool,
    timescale: u32,
    /// When the last sample begins, and when it ends.
    begin: i64,
    end: i64,
    dropped: usize,
}

impl Joined {
    fn new(capacity: usize, timescale: u32, video: bool) -> Self {
        Self { samples: Vec::with_capacity(capacity), video, timescale, begin: 0, end: 0, dropped: 0 }
    }

    /// Prepares for samples that begin at `wanted`; answers what is to be added to their composition offsets.
    fn make_room(&mut self, wanted: i64) -> i32 {
        let gap = wanted.saturating_sub(self.end);
        let Some(last) = self.samples.last_mut() else { return 0 };
        let half = i64::from(last.duration / 2);
        let small = gap <= i64::from(self.timescale) / MAX_DECODE_SHIFT;
        if self.video && small {
            // Decoding goes on without a break; when pictures are presented stays as it is.
            return i32::try_from(gap).unwrap_or(0);
        }
        if gap > half {
            let duration = i64::from(last.duration).saturating_add(gap).min(i64::from(i32::MAX));
            last.duration = u32::try_from(duration).unwrap_or(last.duration);
            self.end = self.begin.saturating_add(i64::from(last.duration));
        } else if gap < -half {
            self.drop_from(wanted);
        }
        0
    }

    /// Drops what begins at `time` or later, and lets the rest end there, if that is more than half a frame away.
    fn drop_from(&mut self, time: i64) {
        while self.begin >= time && self.samples.len() > 1 {
            self.samples.pop();
            self.dropped += 1;
            self.begin = self.begin.saturating_sub(self.samples.last().map_or(0, |s| i64::from(s.duration)));
        }
        if let Some(last) = self.samples.last_mut() {
            let length = time.saturating_sub(self.begin);
            if length > 0 && length.abs_diff(i64::from(last.duration)) > u64::from(last.duration / 2) {
                last.duration = u32::try_from(length).unwrap_or(last.duration);
            }
            self.end = self.begin.saturating_add(i64::from(last.duration));
        }
    }

    fn append(&mut self, samples: &[Sample], composition: i32) {
        for sample in samples {
            let composition_offset = sample.composition_offset.saturating_add(composition);
            self.begin = self.end;
            self.end = self.end.saturating_add(i64::from(sample.duration));
            self.samples.push(Sample { composition_offset, ..*sample });
        }
    }
}

/// When the first picture of a part is presented, and when its last one ends, in ticks as the source has them.
fn presented(stream: &Stream, number: usize) -> (i64, i64) {
    let Some(part) = stream.parts.get(number) else { return (0, 0) };
    let end = stream.parts.get(number + 1).map_or(stream.media.samples.len(), |p| p.first);
    let mut time = part.start;
    let (mut first, mut last) = (i64::MAX, i64::MIN);
    for sample in stream.media.samples.get(part.first..end).unwrap_or_default() {
        let presented = time.saturating_add(i64::from(sample.composition_offset));
        first = first.min(presented);
        time = time.saturating_add(i64::from(sample.duration));
        last = last.max(presented.saturating_add(i64::from(sample.duration)));
    }
    if first > last { (part.start, part.start) } else { (first, last) }
}

//! In which order the tracks of a fragment are written: the key frame that it begins with, then everything by decoding time,
//! with the clock often enough.

use core::ops::Range;

use crate::segment::ts::{Fragment, Program, Unit};
use crate::ts::write::MAX_PES_BYTES;

/// The most ticks from one PCR to the next. The standard allows 100 ms (ISO/IEC 13818-1, 2.7.2).
pub(super) const CLOCK_TICKS: i64 = 8_100;
/// The most ticks of sound in a PES packet: with one PCR for each, the clock of audio alone is frequent enough.
const GROUP_TICKS: i64 = CLOCK_TICKS;
/// Ticks by which the distances of frames in one PES packet may differ: sources round to milliseconds.
const GROUP_JITTER: i64 = 90;
/// Payload of a PES packet of audio, so that its length can be said. One frame alone may be longer.
const MAX_GROUP_BYTES: usize = MAX_PES_BYTES - 14;

/// What is written next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// An access unit of video.
    Video {
        /// Which of the fragment's.
        unit: usize,
        /// Time that its PCR is made from, in ticks of 90 kHz.
        clock: i64,
    },
    /// Frames of audio that share a PES packet.
    Audio {
        /// Which of the fragment's.
        units: Range<usize>,
        /// Time that its PCR is made from, where audio carries the clock.
        clock: Option<i64>,
    },
    /// A tag of timed metadata, and which of the fragment's.
    Id3(usize),
    /// A packet that holds nothing but the PCR made from this time.
    Clock(i64),
}

/// Which track carries the PCR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carrier {
    Video,
    Audio,
    None,
}

/// How far the writing of one fragment has come. It holds no reference, so that it can wait for bytes.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    carrier: Carrier,
    header_bytes: usize,
    video: usize,
    audio: usize,
    id3: usize,
    /// Time of the last PCR.
    clock: Option<i64>,
}

impl Order {
    /// The start of a fragment of `program`.
    pub fn new(program: &Program) -> Self {
        let carrier = match (&program.video, &program.audio) {
            (Some(_), _) => Carrier::Video,
            (None, Some(_)) => Carrier::Audio,
            (None, None) => Carrier::None,
        };
        let header_bytes = program.audio.as_ref().map_or(0, |audio| audio.stream.header_bytes());
        Self { carrier, header_bytes, video: 0, audio: 0, id3: 0, clock: None }
    }

    /// What is written next, or nothing when the fragment is complete. `fragment` has to be the same every time.
    pub fn next(&mut self, fragment: &Fragment<'_>) -> Option<Next> {
        let carried = self.carried(fragment);
        let audio = match self.carrier {
            Carrier::Audio => None,
            Carrier::Video | Carrier::None => fragment.audio.get(self.audio).map(|unit| unit.pts),
        };
        let id3 = fragment.id3.get(self.id3).map(|tag| tag.pts);
        let at = |time: Option<i64>| time.unwrap_or(i64::MAX);
        let (first, second, third) = (carried.as_ref().map_or(i64::MAX, |(time, _)| *time), at(audio), at(id3));
        if let Some((_, next)) = carried
            && first <= second
            && first <= third
        {
            match &next {
                Next::Video { clock, .. } => {
                    self.video += 1;
                    self.clock = Some(*clock);
                }
                Next::Audio { units, clock } => {
                    self.audio = units.end;
                    self.clock = *clock;
                }
                Next::Clock(clock) => self.clock = Some(*clock),
                Next::Id3(_) => {}
            }
            return Some(next);
        }
        if audio.is_some() && second <= third {
            let units = self.group(fragment.audio);
            self.audio = units.end;
            return Some(Next::Audio { units, clock: None });
        }
        id3.map(|_| {
            self.id3 += 1;
            Next::Id3(self.id3 - 1)
        })
    }

    /// What the track that carries the clock writes next, and when.
    fn carried(&self, fragment: &Fragment<'_>) -> Option<(i64, Next)> {
        let time = match self.carrier {
            Carrier::Video => fragment.video.get(self.video).map(|unit| unit.dts),
            Carrier::Audio => fragment.audio.get(self.audio).map(|unit| unit.pts),
            Carrier::None => return None,
        };
        let Range { start, end } = fragment.span;
        match (self.clock, time) {
            // First of all, even where the span begins earlier: there the clock begins with it.
            (None, Some(time)) => Some((i64::MIN, self.unit(fragment, time.min(start)))),
            (None, None) if start < end => Some((i64::MIN, Next::Clock(start))),
            (None, None) => None,
            (Some(clock), time) => {
                let until = time.unwrap_or(end);
                if until.saturating_sub(clock) > CLOCK_TICKS {
                    let clock = clock.saturating_add(CLOCK_TICKS);
                    return Some((clock, Next::Clock(clock)));
                }
                time.map(|time| (time, self.unit(fragment, time)))
            }
        }
    }

    fn unit(&self, fragment: &Fragment<'_>, clock: i64) -> Next {
        match self.carrier {
            Carrier::Audio => Next::Audio { units: self.group(fragment.audio), clock: Some(clock) },
            Carrier::Video | Carrier::None => Next::Video { unit: self.video, clock },
        }
    }

    fn group(&self, audio: &[Unit]) -> Range<usize> {
        let group = Group::first(audio.get(self.audio..).unwrap_or_default(), self.header_bytes);
        self.audio..self.audio + group.frames
    }
}

/// How many packets with nothing but a PCR stand between one PCR and the next.
pub(super) fn clocks_between(from: i64, to: i64) -> u64 {
    let gap = to.saturating_sub(from).max(0) as u64;
    gap.div_ceil(CLOCK_TICKS as u64).saturating_sub(1)
}

/// Frames of audio that share a PES packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub frames: usize,
    /// With a header before each.
    pub bytes: usize,
}

impl Group {
    /// The frames at the start of `units`: those that follow each other evenly.
    pub fn first(units: &[Unit], header_bytes: usize) -> Self {
        let mut group = Self { frames: 0, bytes: 0 };
        let (mut last, mut even) = (0, None);
        for unit in units {
            let bytes = (unit.size as usize).saturating_add(header_bytes);
            if let Some(first) = units.first().filter(|_| group.frames > 0) {
                let step = unit.pts.saturating_sub(last);
                // A frame is taken to be as long as the one before it.
                let end = unit.pts.saturating_sub(first.pts).saturating_add(step);
                let even = *even.get_or_insert(step);
                if step < 0
                    || end > GROUP_TICKS
                    || step.abs_diff(even) > GROUP_JITTER as u64
                    || group.bytes.saturating_add(bytes) > MAX_GROUP_BYTES
                {
                    break;
                }
            }
            last = unit.pts;
            group.frames += 1;
            group.bytes = group.bytes.saturating_add(bytes);
        }
        group
    }
}

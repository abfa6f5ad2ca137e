//! Segments of movie fragments, gathered into tracks.

use super::content::Segment;
use super::layout::{StoredFragment, StoredFragments};
use super::stream::{NewSample, Stream};
use super::tags::{self, MessageTime, Room, Tag};
use crate::error::{Error, Result};
use crate::index::head::Stored;
use crate::ingest::entries::Refusal;
use crate::limits;
use crate::media::sample::Sample;
use crate::media::time::{Instant, rescale};
use crate::mp4::movie::{Edit, TrackExtends};
use crate::source::hls_cmaf::{Found, FragmentReader};
use crate::source::mp4::{OwnedEntry, SourceTrack};

/// The fragments of a rendition.
#[derive(Debug, Default)]
pub struct Fragments {
    reader: FragmentReader,
    /// The tracks, in the order of the first movie header.
    pub streams: Vec<Stream>,
    /// The tracks of the current movie header.
    current: Vec<Current>,
    segment: Option<Segment>,
    /// Timed ID3 tags.
    pub tags: Vec<Tag>,
    room: Room,
    /// Those of the current segment, until its first sample tells its time.
    messages: Vec<(MessageTime, Vec<u8>)>,
    /// What looks wrong, for people.
    pub warnings: Vec<String>,
}

/// A track of the current movie header.
#[derive(Debug)]
struct Current {
    track_id: u32,
    /// Position among the streams; `None` for a track that is left out.
    stream: Option<usize>,
    timescale: u32,
    entries: Vec<OwnedEntry>,
    /// For each entry its number in the stream; 0 until a sample uses it.
    numbers: Vec<u32>,
    /// Decoding time of the next sample, in ticks of this header.
    time: i64,
}

impl Fragments {
    /// A segment or an initialization section begins.
    pub fn begin(&mut self, segment: Segment) {
        self.reader.begin(segment.range.clone());
        if !segment.initialization {
            self.streams.iter_mut().for_each(|s| s.begin_segment(segment.number, segment.discontinuity));
        }
        self.segment = Some(segment);
    }

    /// Brings the next bytes.
    ///
    /// # Errors
    /// With box and byte offset: what cannot be read.
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        let Self { reader, streams, current, segment, tags, room, messages, warnings } = self;
        let Some(segment) = segment else { return Ok(()) };
        let mut gathering = Gathering { streams, current, segment, tags, room, messages, warnings };
        reader.push(bytes, &mut |found| gathering.take(found))
    }

    /// The segment is complete.
    ///
    /// # Errors
    /// `BadSource` when it is cut off, or has no initialization section.
    pub fn finish_segment(&mut self) -> Result<()> {
        self.reader.finish()?;
        if !self.reader.has_movie() {
            return Err(Error::bad_source("it has no moov box, so nothing says what is in the segments"));
        }
        Ok(())
    }
}

struct Gathering<'a> {
    streams: &'a mut Vec<Stream>,
    current: &'a mut Vec<Current>,
    segment: &'a Segment,
    tags: &'a mut Vec<Tag>,
    room: &'a mut Room,
    messages: &'a mut Vec<(MessageTime, Vec<u8>)>,
    warnings: &'a mut Vec<String>,
}

impl Gathering<'_> {
    fn take(&mut self, found: Found<'_>) -> Result<()> {
        match found {
            Found::Movie { tracks, extends, warnings } => {
                for warning in warnings {
                    self.warn(warning);
                }
                self.movie(tracks, &extends);
                Ok(())
            }
            Found::Fragment { track, decode_time, moof, movable } => {
                self.stored_fragment(track, moof, movable);
                if let Some(current) = self.current.iter_mut().find(|c| c.track_id == track)
                    && let Some(time) = decode_time
                {
                    current.time = i64::try_from(time).ok().filter(|t| *t <= i64::MAX / 4).ok_or_else(|| {
                        Error::bad_source(format!("track {track}: baseMediaDecodeTime {time} is out of range"))
                    })?;
                }
                Ok(())
            }
            Found::Data { moof, end } => {
                let base = self.segment.base;
                let fragments = self.streams.iter_mut().filter_map(|s| s.stored.as_mut()?.fragments.last_mut());
                for fragment in fragments.filter(|f| f.range.start == base + moof) {
                    fragment.range.end = base.saturating_add(end);
                }
                Ok(())
            }
            Found::Sample { track, sample, data } => self.sample(track, sample, data),
            Found::Message(whole) => {
                if let Some((time, tag)) = tags::read_message(whole)
                    && self.room.take(tag.len())
                {
                    self.messages.push((time, tag.to_vec()));
                }
                Ok(())
            }
        }
    }

    /// Places the messages that stood before a sample.
    fn place_messages(&mut self, stream: usize, time: i64) {
        let Some(stream) = self.streams.get(stream) else { return };
        let Some(part) = stream.parts.last().map(|p| p.id) else { return };
        let begin = Instant { ticks: time, timescale: stream.media.timescale };
        for (time, data) in self.messages.drain(..) {
            let time = match time {
                MessageTime::At(time) => time,
                MessageTime::After(after) => Instant {
                    ticks: begin.in_timescale(after.timescale).saturating_add(after.ticks),
                    timescale: after.timescale,
                },
            };
            self.tags.push(Tag { part, time, data });
        }
    }

    fn warn(&mut self, warning: String) {
        if self.warnings.len() < limits::MAX_WARNINGS && !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// Tracks keep their place when another initialization section begins: the first video is the first video again.
    fn movie(&mut self, tracks: Vec<SourceTrack>, extends: &[TrackExtends]) {
        let before = core::mem::take(self.current);
        let mut taken: Vec<usize> = Vec::new();
        for mut track in tracks {
            let entries = core::mem::take(&mut track.sample_entries);
            let (track_id, timescale) = (track.id, track.timescale);
            let same = |n: &usize| self.streams.get(*n).is_some_and(|s| s.media.handler == track.handler);
            let stream = (0..self.streams.len()).find(|n| !taken.contains(n) && same(n));
            let stream = stream.unwrap_or_else(|| {
                let number = self.streams.len();
                let edits = track.edits.drain(..).map(Edit::without_end).collect();
                let mut stream = Stream::new(SourceTrack { id: number as u32 + 1, edits, ..track });
                if !self.segment.initialization {
                    stream.begin_segment(self.segment.number, self.segment.discontinuity);
                }
                stream.stored = Some(StoredFragments { defaults: defaults(extends, track_id), fragments: Vec::new() });
                self.streams.push(stream);
                number
            });
            if let Some(stream) = self.streams.get_mut(stream)
                && let Some(stored) = &mut stream.stored
                && (stored.defaults != defaults(extends, track_id) || stream.media.timescale != timescale)
            {
                stored.defaults = None;
            }
            taken.push(stream);
            let numbers = vec![0; entries.len()];
            // Fragments without a decoding time go on where those before ended.
            let time = before.iter().find(|c| c.track_id == track_id).map_or(0, |c| c.time);
            self.current.push(Current { track_id, stream: Some(stream), timescale, entries, numbers, time });
        }
    }

    fn stored_fragment(&mut self, track: u32, moof: u64, movable: bool) {
        let current = self.current.iter().find(|c| c.track_id == track);
        let Some(stream) = current.and_then(|c| self.streams.get_mut(c.stream?)) else { return };
        let first = stream.media.samples.len();
        if let Some(stored) = &mut stream.stored {
            let start = self.segment.base.saturating_add(moof);
            stored.fragments.push(StoredFragment { first, range: start..start });
            if !movable {
                stored.defaults = None;
            }
        }
    }

    fn sample(&mut self, track: u32, sample: Sample, data: &[u8]) -> Result<()> {
        let Some(current) = self.current.iter_mut().find(|c| c.track_id == track) else { return Ok(()) };
        let Some(stream) = current.stream.and_then(|n| self.streams.get_mut(n)) else { return Ok(()) };
        let description = match current.number(stream, sample.description) {
            Ok(description) => description,
            Err(Refusal::Asset(error)) => return Err(error.context(format_args!("track {track}"))),
            Err(Refusal::Track(error)) => {
                current.stream = None;
                self.warn(format!("track {track} was left out: {error}"));
                return Ok(());
            }
        };
        let begin = current.time;
        current.time = begin.saturating_add(i64::from(sample.duration));
        let ticks = |time: i64| rescale(time, current.timescale, stream.media.timescale);
        let (time, end) = (ticks(begin), ticks(current.time));
        let sample = Sample {
            offset: sample.offset.saturating_add(self.segment.base),
            duration: u32::try_from(end.saturating_sub(time)).unwrap_or(u32::MAX),
            composition_offset: i32::try_from(ticks(i64::from(sample.composition_offset))).unwrap_or(0),
            description,
            ..sample
        };
        stream.push(NewSample { sample, time, data }).map_err(|e| e.context(format_args!("track {track}")))?;
        let presented = time.saturating_add(i64::from(sample.composition_offset));
        if let Some(number) = current.stream.filter(|_| !self.messages.is_empty()) {
            self.place_messages(number, presented);
        }
        Ok(())
    }
}

/// What an initialization section says of the fragments of a track.
fn defaults(extends: &[TrackExtends], track_id: u32) -> Option<Stored> {
    let found = extends.iter().find(|e| e.track_id == track_id)?;
    let TrackExtends { track_id, description, duration, size, flags } = *found;
    Some(Stored { track_id, description, duration, size, flags })
}

impl Current {
    /// The number in the stream of a sample entry of this header.
    fn number(&mut self, stream: &mut Stream, description: u32) -> Result<u32, Refusal> {
        let at = (description as usize).wrapping_sub(1);
        let (Some(entry), Some(number)) = (self.entries.get(at), self.numbers.get_mut(at)) else {
            return Err(Refusal::Asset(Error::bad_source(format!(
                "samples use sample entry {description} of stsd, which has {}",
                self.entries.len()
            ))));
        };
        if *number == 0 {
            *number = stream.entry(entry)?;
        }
        Ok(*number)
    }
}

impl Edit {
    /// In fragments a duration says nothing: more of them may come than when it was written.
    fn without_end(self) -> Self {
        if self.media_time.is_some() { Self { duration: 0, ..self } } else { self }
    }
}

//! Segments of transport streams, gathered into tracks.

use super::content::Segment;
use super::layout::{Place, Transport};
use super::stream::{NewSample, PartId, Stream};
use super::tags::{Room, Tag};
use crate::error::{Error, Result};
use crate::index::head::ElementaryStream;
use crate::media::sample::Sample;
use crate::media::time::{Instant, rescale};
use crate::mp4::boxes::FourCc;
use crate::mp4::movie::{Handler, IDENTITY_MATRIX};
use crate::source::mp4::{OwnedEntry, SourceTrack};
use crate::source::transport::{self, EsCodec, Frame, TransportReader};

/// Ticks a second of a transport stream's clock.
const CLOCK: u32 = 90_000;
/// Values that the clock takes.
const WRAP: i64 = 1 << 33;

/// The transport streams of a rendition.
#[derive(Debug, Default)]
pub struct Packets {
    reader: TransportReader,
    /// The tracks, in the order of their first frames.
    pub streams: Vec<Stream>,
    /// Timed ID3 tags.
    pub tags: Vec<Tag>,
    room: Room,
    /// What looks wrong, for people.
    pub warnings: Vec<String>,
    /// What is known of each elementary stream of the reader.
    tracks: Vec<Track>,
    spans: Vec<Span>,
    pushed: u64,
    gathered: Gathered,
    /// Media that are missing before the next segment, in microseconds.
    hole: u64,
    /// Frames that lie in objects that do not follow each other.
    torn: usize,
}

/// An elementary stream.
#[derive(Debug, Default)]
struct Track {
    /// Position among the streams, once it has a frame.
    stream: Option<usize>,
    /// The next span that it has not reached.
    next_span: usize,
    /// The last time without wraps, in ticks of 90 kHz.
    clock: Option<i64>,
    /// Run and shift of the last frame.
    last: Option<(u32, i64)>,
    /// It is no track of the asset.
    left_out: bool,
}

/// A segment among the bytes that were pushed.
#[derive(Clone, Copy, Debug)]
struct Span {
    /// Bytes pushed before it.
    pushed: u64,
    /// Position in the space of the objects minus `pushed`.
    shift: i64,
    number: usize,
    discontinuity: u32,
    /// Media that are missing before it, in microseconds.
    hole: u64,
}

/// Frames that came out of the reader, with their bytes one after the other.
#[derive(Debug, Default)]
struct Gathered {
    frames: Vec<Kept>,
    data: Vec<u8>,
}

#[derive(Debug)]
struct Kept {
    stream: usize,
    config: usize,
    pts: i64,
    dts: i64,
    offset_samples: u32,
    duration_samples: u32,
    sync: bool,
    bytes: usize,
    place: transport::Place,
}

impl Gathered {
    fn keep(&mut self, frame: &Frame<'_>) {
        self.data.extend_from_slice(frame.data);
        self.frames.push(Kept {
            stream: frame.stream,
            config: frame.config,
            pts: (frame.pts & (WRAP as u64 - 1)) as i64,
            dts: (frame.dts & (WRAP as u64 - 1)) as i64,
            offset_samples: frame.offset_samples,
            duration_samples: frame.duration_samples,
            sync: frame.sync,
            bytes: frame.data.len(),
            place: frame.place.clone(),
        });
    }
}

impl Packets {
    /// The segment before the next one is over.
    ///
    /// # Errors
    /// What is wrong at its end.
    pub fn end_segment(&mut self, discontinuity: bool) -> Result<()> {
        let gathered = &mut self.gathered;
        self.reader.segment(discontinuity, &mut |frame| gathered.keep(&frame))?;
        self.take_frames()
    }

    /// A segment begins.
    pub fn begin(&mut self, segment: &Segment) {
        let position = segment.base.saturating_add(segment.range.start);
        self.spans.push(Span {
            pushed: self.pushed,
            shift: position.wrapping_sub(self.pushed) as i64,
            number: segment.number,
            discontinuity: segment.discontinuity,
            hole: core::mem::take(&mut self.hole),
        });
    }

    /// Brings the next bytes.
    ///
    /// # Errors
    /// With packet and PID: what cannot be read.
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        let gathered = &mut self.gathered;
        self.reader.push(bytes, &mut |frame| gathered.keep(&frame))?;
        self.pushed = self.pushed.saturating_add(bytes.len() as u64);
        self.take_frames()
    }

    /// All segments have been read.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn finish(&mut self) -> Result<()> {
        let gathered = &mut self.gathered;
        self.reader.finish(&mut |frame| gathered.keep(&frame))?;
        self.take_frames()?;
        for (track, info) in self.tracks.iter().zip(self.reader.streams()) {
            if let Some(reason) = &info.left_out {
                self.warnings.push(format!("PID 0x{:x} was left out: {reason}", info.pid));
            }
            if let Some(stream) = track.stream.and_then(|n| self.streams.get_mut(n)) {
                update_entries(stream, info);
                stream.media.language.clone_from(&info.language);
                stream.audio_description = info.audio_description;
            }
        }
        self.warnings.extend(self.reader.warnings());
        if self.torn > 0 {
            self.warnings.push(format!("{} frames that end in a segment of another file were left out", self.torn));
        }
        Ok(())
    }

    /// Media of this many microseconds are missing before the next segment.
    pub fn expect_hole(&mut self, micros: u64) {
        self.hole = self.hole.saturating_add(micros);
    }

    fn take_frames(&mut self) -> Result<()> {
        let Gathered { frames, data } = core::mem::take(&mut self.gathered);
        let mut rest = data.as_slice();
        for frame in &frames {
            let (own, after) = rest.split_at_checked(frame.bytes).unwrap_or((rest, &[]));
            rest = after;
            self.frame(frame, own)?;
        }
        Ok(())
    }

    fn frame(&mut self, frame: &Kept, data: &[u8]) -> Result<()> {
        self.tracks.resize_with(self.tracks.len().max(frame.stream + 1), Track::default);
        let Self { reader, streams, tags, room, warnings, tracks, spans, torn, .. } = self;
        let (Some(track), Some(info)) = (tracks.get_mut(frame.stream), reader.streams().get(frame.stream)) else {
            return Ok(());
        };
        if info.codec == EsCodec::Id3 {
            let clock = nearest(frame.pts, streams.first().and_then(|s| s.clock));
            let discontinuity = spans.last().map_or(0, |s| s.discontinuity);
            let part = streams.first().and_then(|s| s.parts.last()).map(|p| p.id);
            let part = part.filter(|p| p.discontinuity == discontinuity);
            let part = part.unwrap_or(PartId { discontinuity, untagged: 0 });
            if room.take(data.len()) {
                let time = Instant { ticks: clock, timescale: CLOCK };
                tags.push(Tag { part, time, data: data.to_vec() });
            }
            return Ok(());
        }
        let number = match track.stream {
            Some(number) => number,
            None => {
                if info.codec.is_video() && streams.iter().any(Stream::is_video) {
                    if !core::mem::replace(&mut track.left_out, true) {
                        warnings.push(format!("PID 0x{:x} was left out: a second stream of pictures", info.pid));
                    }
                    return Ok(());
                }
                let Some(stream) = new_stream(info, streams.len()) else { return Ok(()) };
                streams.push(stream);
                track.stream = Some(streams.len() - 1);
                streams.len() - 1
            }
        };
        let Some(stream) = streams.get_mut(number) else { return Ok(()) };
        update_entries(stream, info);
        let shift = enter_spans(track, stream, spans, frame.place.packets.start);
        let end = spans.partition_point(|s| s.pushed < frame.place.packets.end);
        let last = end.checked_sub(1).and_then(|n| spans.get(n)).map_or(shift, |s| s.shift);
        if last != shift {
            *torn += 1;
            track.last = None;
            return Ok(());
        }
        if stream.is_fresh() {
            track.clock = None;
        }
        let place = Place {
            pid: frame.place.pid,
            packets: frame.place.packets.start.wrapping_add_signed(shift)
                ..frame.place.packets.end.wrapping_add_signed(shift),
            skip: frame.place.skip,
            follows: track.last == Some((frame.place.run, shift)),
        };
        track.last = Some((frame.place.run, shift));
        let (time, composition_offset, duration) = if info.codec.is_video() {
            let clock = nearest(frame.dts, track.clock);
            track.clock = Some(clock);
            let composition = (frame.pts - frame.dts + WRAP / 2).rem_euclid(WRAP) - WRAP / 2;
            (clock, i32::try_from(composition).unwrap_or(0), 0)
        } else {
            let clock = nearest(frame.pts, track.clock);
            track.clock = Some(clock);
            let rate = stream.config(frame.config as u32 + 1).and_then(|c| c.audio()).map_or(CLOCK, |a| a.sample_rate);
            let timescale = stream.media.timescale;
            let ticks = |samples: u32| rescale(i64::from(samples), rate, timescale);
            let time = rescale(clock, CLOCK, timescale).saturating_add(ticks(frame.offset_samples));
            let duration = u32::try_from(ticks(frame.duration_samples)).unwrap_or(0);
            // Times are rounded to 90 kHz and often to less: sound is counted, until it is half a frame off.
            let counted = stream.expected().filter(|e| e.abs_diff(time) <= u64::from(duration / 2));
            (counted.unwrap_or(time), 0, duration)
        };
        stream.clock = track.clock;
        let Some(transport) = &mut stream.transport else { return Ok(()) };
        let sample = Sample {
            offset: transport.places.len() as u64,
            size: u32::try_from(data.len()).map_err(|_| Error::limit("a frame of 4 GiB"))?,
            duration,
            composition_offset,
            sync: frame.sync,
            description: frame.config as u32 + 1,
        };
        transport.places.push(place);
        stream.push(NewSample { sample, time, data })
    }
}

/// The value of a clock of 33 bits that is nearest to the one before.
fn nearest(raw: i64, before: Option<i64>) -> i64 {
    let Some(before) = before else { return raw };
    before.saturating_add((raw - before + WRAP / 2).rem_euclid(WRAP) - WRAP / 2)
}

/// Tells a stream which segments have begun up to a position, and answers the shift of the one it is in.
fn enter_spans(track: &mut Track, stream: &mut Stream, spans: &[Span], position: u64) -> i64 {
    while let Some(span) = spans.get(track.next_span).filter(|s| s.pushed <= position) {
        stream.begin_segment(span.number, span.discontinuity);
        stream.expect_hole(span.hole);
        track.next_span += 1;
    }
    track.next_span.checked_sub(1).and_then(|n| spans.get(n)).map_or(0, |s| s.shift)
}

fn new_stream(info: &transport::ElementaryStream, number: usize) -> Option<Stream> {
    let (stream, handler) = match info.codec {
        EsCodec::Avc => (ElementaryStream::Avc, Handler::Video),
        EsCodec::Hevc => (ElementaryStream::Hevc, Handler::Video),
        EsCodec::AacAdts => (ElementaryStream::Adts, Handler::Audio),
        EsCodec::AacLatm => (ElementaryStream::Latm, Handler::Audio),
        EsCodec::Ac3 => (ElementaryStream::Ac3, Handler::Audio),
        EsCodec::Eac3 => (ElementaryStream::Eac3, Handler::Audio),
        EsCodec::Mp3 => (ElementaryStream::Mp3, Handler::Audio),
        EsCodec::Id3 => return None,
    };
    let rate = info.configs.first().and_then(|c| c.config.audio()).map(|a| a.sample_rate).filter(|r| *r > 0);
    let timescale = if handler == Handler::Video { CLOCK } else { rate.unwrap_or(CLOCK) };
    let mut created = Stream::new(SourceTrack {
        id: number as u32 + 1,
        handler,
        timescale,
        movie_timescale: timescale,
        language: info.language.clone(),
        name: None,
        matrix: IDENTITY_MATRIX,
        edits: Vec::new(),
        sample_entries: Vec::new(),
        samples: Vec::new(),
        first_decode_time: 0,
        fragmented: true,
        duration: 0,
    });
    created.transport = Some(Transport { stream, places: Vec::new() });
    Some(created)
}

/// Sample entries are made of headers in the stream, which may come late.
fn update_entries(stream: &mut Stream, info: &transport::ElementaryStream) {
    for (number, config) in info.configs.iter().enumerate() {
        let bytes = &config.sample_entry;
        let kind = FourCc(bytes.get(4..8).and_then(|k| k.try_into().ok()).unwrap_or_default());
        let entry = OwnedEntry { kind, bytes: bytes.clone(), header: 8, offset: 0 };
        stream.set_entry(number, entry, &config.config);
    }
}

//! Segments of transport streams and packed audio out of an index: what their packets are made from, and how many there are.

use core::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::index::block::{Block, Sample};
use crate::index::events::{self, Event};
use crate::index::head::{ElementaryStream, Media, Storage};
use crate::index::{Fragment, Head, Track};
use crate::limits;
use crate::media::segmenter::Segment;
use crate::media::time::rescale;
use crate::response::Part;
use crate::segment::gather::{Gathered, Stored, fragment_data};
use crate::segment::packed;
use crate::segment::recipe::{self, Recipe, Secret, Section, Transport};
use crate::segment::ts::{self, AudioStream, Before, Packets, Tag, Unit, VideoCodec, VideoStream};

/// The tracks of a transport stream.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// Video; it carries the clock.
    pub video: &'a Track,
    /// Audio that is multiplexed with it.
    pub audio: Option<&'a Track>,
    /// Timed metadata.
    pub events: Option<&'a Track>,
    /// The first fragment that is under SAMPLE-AES; [`usize::MAX`] when none is.
    pub sample_aes_from: usize,
}

/// How a segment is encrypted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Encryption {
    /// It is in the clear.
    #[default]
    Clear,
    /// METHOD=AES-128: as a whole.
    Segment(Secret),
    /// METHOD=SAMPLE-AES: its samples, as those of all fragments are from one on.
    Samples {
        /// With what.
        secret: Secret,
        /// The first fragment of the title that is.
        from: usize,
    },
}

impl Encryption {
    fn split(self) -> (Option<Secret>, Option<Secret>, usize) {
        match self {
            Self::Clear => (None, None, usize::MAX),
            Self::Segment(secret) => (Some(secret), None, usize::MAX),
            Self::Samples { secret, from } => (None, Some(secret), from),
        }
    }
}

impl<'a> Program<'a> {
    /// All of its tracks.
    pub fn tracks(self) -> impl Iterator<Item = &'a Track> {
        [Some(self.video), self.audio, self.events].into_iter().flatten()
    }

    /// Packets of a fragment.
    fn packets(self, fragment: usize) -> u64 {
        let clocks = |track: &Track| track.fragments.get(fragment).map_or(0, |f| u64::from(f.clocks));
        self.tracks().map(|t| self.payload(t, fragment).saturating_add(clocks(t))).fold(0, u64::saturating_add)
    }

    /// Packets with a payload that a track has in a fragment.
    fn payload(self, track: &Track, fragment: usize) -> u64 {
        let spare = |f: &Fragment| if fragment < self.sample_aes_from { 0 } else { f.sample_aes_packets };
        track.fragments.get(fragment).map_or(0, |f| u64::from(f.packets).saturating_add(spare(f).into()))
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
            let spare = if number < program.sample_aes_from { 0 } else { fragment.sample_aes_first_packets };
            let packets = u64::from(fragment.first_sample_packets).saturating_add(spare.into());
            let end = at.saturating_add(packets * ts::PACKET);
            ranges.push((program.video.start(number), at..end));
        }
        at = at.saturating_add(program.packets(number).saturating_mul(ts::PACKET));
    }
    ranges
}

/// The time of a title, in ticks of 90 kHz: from the first decoding time of any track to the end of the longest.
fn title(head: &Head) -> Range<i64> {
    let tracks = || head.tracks.iter().filter(|t| !matches!(t.media, Media::Text(_) | Media::Metadata));
    let start = tracks().map(|t| decoded(t, t.decode_time(0))).min().unwrap_or(0);
    let end = tracks().map(|t| clock(t, i64::try_from(t.end).unwrap_or(i64::MAX))).max().unwrap_or(0);
    start..end.max(start)
}

/// Ticks of the track in ticks of 90 kHz.
fn clock(track: &Track, ticks: i64) -> i64 {
    rescale(ticks, track.timescale, ts::TIMESCALE)
}

/// Decoding time in the transport stream, in ticks of 90 kHz, of what has this decoding time in the track.
fn decoded(track: &Track, time: u64) -> i64 {
    clock(track, shifted(track, time).saturating_sub(i64::from(track.reorder)))
}

/// A decoding time of the track from presentation time 0.
fn shifted(track: &Track, time: u64) -> i64 {
    i64::try_from(time).unwrap_or(i64::MAX).saturating_sub(i64::try_from(track.edit_media_time).unwrap_or(i64::MAX))
}

/// The time for which a fragment of `video` has the clock; `samples` are its own. `title` is `None` when it stands alone.
fn span(video: &Track, number: usize, samples: &[Sample], title: Option<&Range<i64>>) -> Range<i64> {
    let Some(title) = title else {
        let start = video.decode_time(number);
        let length = samples.iter().map(|s| u64::from(s.duration)).fold(0, u64::saturating_add);
        return decoded(video, start)..decoded(video, start.saturating_add(length));
    };
    let start = if number == 0 { title.start } else { decoded(video, video.decode_time(number)) };
    let last = number + 1 >= video.fragments.len();
    let end = if last { title.end } else { decoded(video, video.decode_time(number + 1)) };
    start..end
}

/// Appends the units of a fragment whose samples are given; `spare` is empty in the clear.
fn units(track: &Track, fragment: &Fragment, samples: &[Sample], annex_b: &[i32], spare: &[u32], out: &mut Vec<Unit>) {
    let mut time = shifted(track, fragment.decode_time);
    let (mut deltas, mut spare) = (annex_b.iter(), spare.iter());
    for sample in samples {
        let delta = deltas.next().copied().unwrap_or(0);
        out.push(Unit {
            size: sample.size.saturating_add_signed(delta),
            dts: clock(track, time.saturating_sub(i64::from(track.reorder))),
            pts: clock(track, time.saturating_add(i64::from(sample.composition_offset))),
            sync: sample.sync,
            spare: spare.next().copied().unwrap_or(0),
        });
        time = time.saturating_add(i64::from(sample.duration));
    }
}

/// The sample entry of a fragment.
fn entry<'a>(track: &'a Track, fragment: &Fragment) -> Result<&'a [u8]> {
    let entry = (fragment.description as usize).checked_sub(1).and_then(|n| track.sample_entries.get(n));
    entry
        .map(AsRef::as_ref)
        .ok_or_else(|| Error::bad_source(format!("index: track {} has no sample entry", track.name)))
}

/// Fills in how many packets the fragments of all tracks take, given all blocks of an index as they stand after its head.
///
/// # Errors
/// `Limit` when a fragment has more packets than can be counted.
pub fn count(head: &mut Head, blocks: &[u8]) -> Result<()> {
    let title = (!head.alone).then(|| title(head));
    let mut rest = blocks;
    let (mut block, mut own, mut events) = (Block::default(), Vec::new(), Vec::new());
    for track in &mut head.tracks {
        for number in 0..track.fragments.len() {
            let Some(fragment) = track.fragments.get(number).copied() else { break };
            let data = rest.split_at_checked(fragment.block_bytes as usize);
            let (data, after) = data.ok_or_else(|| Error::internal("blocks that end early"))?;
            rest = after;
            if !track.transport {
                continue;
            }
            let (mut packets, mut first) = (Packets::default(), 0);
            let (mut spare, mut first_spare) = (0, 0);
            if track.media == Media::Metadata {
                events.clear();
                events::read(track, number, data, &mut events)?;
                packets = events.iter().map(|e| ts::id3_packets(&tag(track, e))).fold(packets, |a, b| a + b);
            } else {
                block.read(track, &fragment, data)?;
                own.clear();
                units(track, &fragment, &block.samples, &block.annex_b, &[], &mut own);
                spare = block.sample_aes.iter().map(|n| u64::from(*n)).sum();
                first_spare = block.sample_aes.first().copied().unwrap_or(0);
                if track.is_video() {
                    packets = ts::video_packets(&own, &span(track, number, &block.samples, title.as_ref()));
                    first = own.first().map_or(0, ts::access_unit_packets);
                } else {
                    packets = ts::audio_packets(&AudioStream::from_sample_entry(entry(track, &fragment)?)?, &own, None);
                }
            }
            let small = |n: u64| {
                u32::try_from(n)
                    .map_err(|_| Error::limit(format!("track {} has {n} packets in a fragment", track.name)))
            };
            let counts = (small(packets.payload)?, small(packets.clock)?, small(first)?);
            let spare = small(spare)?;
            if let Some(fragment) = track.fragments.get_mut(number) {
                (fragment.packets, fragment.clocks, fragment.first_sample_packets) = counts;
                (fragment.sample_aes_packets, fragment.sample_aes_first_packets) = (spare, first_spare);
            }
        }
    }
    Ok(())
}

fn tag(track: &Track, event: &Event) -> Tag {
    let time = i64::try_from(event.time).unwrap_or(i64::MAX);
    Tag { size: u32::try_from(event.message.len()).unwrap_or(u32::MAX), pts: clock(track, time) }
}

/// What of the index a transport stream is made from: its tracks with their blocks.
#[derive(Clone, Copy, Debug)]
pub struct Blocks<'a> {
    /// Video.
    pub video: Stored<'a>,
    /// Audio that is multiplexed with it.
    pub audio: Option<Stored<'a>>,
    /// Timed metadata.
    pub events: Option<Stored<'a>>,
}

/// Makes a segment of a transport stream; `preceding` is what stands before the first fragment of `head`.
///
/// # Errors
/// `BadSource` when the blocks break their format, `Limit` when the segment is too large.
pub fn write(
    head: &Head,
    blocks: Blocks<'_>,
    segment: &Segment,
    preceding: Before,
    encryption: Encryption,
) -> Result<Part> {
    let (envelope, sample_aes, sample_aes_from) = encryption.split();
    let program = Program {
        sample_aes_from,
        video: blocks.video.track,
        audio: blocks.audio.map(|a| a.track),
        events: blocks.events.map(|e| e.track),
    };
    let bytes = length(program, segment);
    if bytes > limits::MAX_SEGMENT_BYTES {
        return Err(Error::limit(format!("the segment has {bytes} bytes, more than {}", limits::MAX_SEGMENT_BYTES)));
    }
    let title = (!head.alone).then(|| title(head));
    let mut before = before(program, segment, preceding);
    let mut transport = Transport {
        program: streams(program, segment, sample_aes.is_some())?,
        sample_aes,
        video: Vec::new(),
        audio: Vec::new(),
        tags: Vec::new(),
        messages: Vec::new(),
        fragments: Vec::with_capacity(segment.fragments.len()),
    };
    let (mut video, mut audio, mut found) = (Gathered::default(), Gathered::default(), Vec::new());
    let mut sections = Vec::with_capacity(segment.fragments.len());
    let mut start = 0u64;
    for at in segment.fragments.clone() {
        let spare = at >= program.sample_aes_from;
        let own = video.samples.len();
        let mut shares = vec![add(blocks.video, segment, at, spare, &mut video, &mut transport.video)?];
        let samples = video.samples.get(own..).unwrap_or_default();
        let span = span(program.video, at, samples, title.as_ref());
        if let Some(stored) = blocks.audio {
            shares.push(add(stored, segment, at, spare, &mut audio, &mut transport.audio)?);
        }
        let first = transport.tags.len();
        if let Some(stored) = blocks.events {
            found.clear();
            events::read(stored.track, at, fragment_data(stored, segment, at)?, &mut found)?;
            transport.tags.extend(found.iter().map(|event| tag(stored.track, event)));
            transport.messages.extend(found.drain(..).map(|event| event.message));
        }
        let tags = first..transport.tags.len();
        transport.fragments.push(recipe::Fragment { span, tags, before });
        sections.push(Section { start, head: Bytes::new(), shares });
        start = start.saturating_add(program.packets(at).saturating_mul(ts::PACKET));
        if at == segment.fragments.start {
            start = start.saturating_add(ts::PSI_BYTES);
        }
        before.video = before.video.saturating_add(program.payload(program.video, at));
        before.audio = before.audio.saturating_add(program.audio.map_or(0, |t| program.payload(t, at)));
        before.id3 = before.id3.saturating_add(program.events.map_or(0, |t| program.payload(t, at)));
    }
    if video.samples.len() + audio.samples.len() > limits::MAX_SEGMENT_SAMPLES {
        return Err(Error::limit(format!("a segment has more than {} samples", limits::MAX_SEGMENT_SAMPLES)));
    }
    let mut streams = vec![video.stream(carriage(program.video))];
    streams.extend(program.audio.map(|track| audio.stream(carriage(track))));
    let program = recipe::Program::Transport(Box::new(transport));
    let recipe = Recipe { streams, program, sections, bytes, envelope };
    Ok(Part::Made { range: 0..recipe.length(), recipe: Arc::new(recipe) })
}

fn carriage(track: &Track) -> Option<ElementaryStream> {
    match track.storage {
        Storage::Transport { stream, .. } => Some(stream),
        _ => None,
    }
}

/// Adds a fragment of a track to what was gathered, and its units.
fn add(
    stored: Stored<'_>,
    segment: &Segment,
    at: usize,
    spare: bool,
    gathered: &mut Gathered,
    out: &mut Vec<Unit>,
) -> Result<recipe::Share> {
    let share = gathered.add(stored, segment, at..at + 1, |_| {})?;
    if let Some(fragment) = stored.track.fragments.get(at) {
        let samples = gathered.samples.get(share.samples.clone()).unwrap_or_default();
        let annex_b = gathered.annex_b.get(share.samples.clone()).unwrap_or_default();
        let spare = gathered.sample_aes.get(share.samples.clone()).filter(|_| spare).unwrap_or_default();
        units(stored.track, fragment, samples, annex_b, spare, out);
    }
    Ok(share)
}

/// What stands before a segment, given what stands before the first fragment.
fn before(program: Program<'_>, segment: &Segment, preceding: Before) -> Before {
    let sum = |track: &Track| {
        let fragments = 0..segment.fragments.start.min(track.fragments.len());
        fragments.map(|at| program.payload(track, at)).fold(0, u64::saturating_add)
    };
    Before {
        segments: preceding.segments,
        video: preceding.video.saturating_add(sum(program.video)),
        audio: preceding.audio.saturating_add(program.audio.map_or(0, sum)),
        id3: preceding.id3.saturating_add(program.events.map_or(0, sum)),
    }
}

/// How the samples of a segment are written. Its sample entries are those of the period, whichever fragment has any.
fn streams(program: Program<'_>, segment: &Segment, sample_aes: bool) -> Result<ts::Program> {
    let described = |track: &Track| {
        let fragments = track.fragments.get(segment.fragments.clone()).unwrap_or_default();
        fragments.iter().find(|f| f.samples > 0).or(fragments.first()).copied().unwrap_or_default()
    };
    let video = VideoStream::from_sample_entry(entry(program.video, &described(program.video))?)?;
    if sample_aes && video.codec() != VideoCodec::Avc {
        return Err(no_form(program.video));
    }
    let audio = match program.audio {
        Some(track) => {
            let stream = AudioStream::from_sample_entry(entry(track, &described(track))?)?;
            if sample_aes && stream.setup().is_none() {
                return Err(no_form(track));
            }
            let language = Some(track.language_code).filter(|code| code != b"und");
            Some(ts::Audio { stream, language })
        }
        None => None,
    };
    Ok(ts::Program { video: Some(video), audio, id3: program.events.is_some() })
}

/// Why a segment is refused of which the index says wrongly that SAMPLE-AES has a form for it.
fn no_form(track: &Track) -> Error {
    Error::unsupported(format!("track {}: SAMPLE-AES has no form for {}", track.name, track.codec))
}

/// Length in bytes of a segment of packed audio, under SAMPLE-AES or not.
pub fn packed_length(track: &Track, segment: &Segment, sample_aes: bool) -> u64 {
    let fragments = track.fragments.get(segment.fragments.clone()).unwrap_or_default();
    let (frames, bytes) = fragments.iter().fold((0u64, 0u64), |(frames, bytes), f| {
        (frames.saturating_add(u64::from(f.samples)), bytes.saturating_add(f.bytes))
    });
    let stream = packed_stream(track, segment);
    stream.map_or(0, |stream| packed::length(&stream, frames, bytes, sample_aes))
}

fn packed_stream(track: &Track, segment: &Segment) -> Result<AudioStream> {
    let fragments = track.fragments.get(segment.fragments.clone()).unwrap_or_default();
    let described = fragments.iter().find(|f| f.samples > 0).copied().unwrap_or_default();
    AudioStream::from_sample_entry(entry(track, &described)?)
}

/// Makes a segment of packed audio.
///
/// # Errors
/// As [`write`].
pub fn write_packed(stored: Stored<'_>, segment: &Segment, encryption: Encryption) -> Result<Part> {
    let (envelope, sample_aes, _) = encryption.split();
    let bytes = packed_length(stored.track, segment, sample_aes.is_some());
    if bytes > limits::MAX_SEGMENT_BYTES {
        return Err(Error::limit(format!("the segment has {bytes} bytes, more than {}", limits::MAX_SEGMENT_BYTES)));
    }
    let mut gathered = Gathered::default();
    let share = gathered.add(stored, segment, segment.fragments.clone(), |_| {})?;
    if gathered.samples.len() > limits::MAX_SEGMENT_SAMPLES {
        return Err(Error::limit(format!("a segment has more than {} samples", limits::MAX_SEGMENT_SAMPLES)));
    }
    let first = stored.track.fragments.get(segment.fragments.start).map_or(0, |f| f.decode_time);
    let stream = packed_stream(stored.track, segment)?;
    let mut head = Vec::new();
    let setup = stream.setup().filter(|_| sample_aes.is_some());
    if sample_aes.is_some() && setup.is_none() {
        return Err(no_form(stored.track));
    }
    packed::tag(clock(stored.track, shifted(stored.track, first)), setup, &mut head);
    let sections = vec![Section { start: 0, head: head.into(), shares: vec![share] }];
    let streams = vec![gathered.stream(carriage(stored.track))];
    let program = recipe::Program::Packed { stream, sample_aes };
    let recipe = Recipe { streams, program, sections, bytes, envelope };
    Ok(Part::Made { range: 0..recipe.length(), recipe: Arc::new(recipe) })
}

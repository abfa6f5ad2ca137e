//! Segments of MPEG-2 transport streams (ISO/IEC 13818-1, RFC 8216 section 3.2).
//!
//! A segment is a PAT, a PMT, and then fragment by fragment (a fragment is what all tracks have from one cut to the next):
//! first the whole key frame of the video, then access units, groups of audio frames and tags by decoding time. The clock
//! stands in the first packet of every access unit and, where these are rare, in packets of its own, so that it never has
//! gaps above 90 ms.
//!
//! Sizes are counted in packets ([`Packets`]), per track and fragment, and do not depend on which other tracks or fragments
//! are in the segment: those of a segment are their sum and [`PSI_BYTES`]. All are known before a byte of media is.
//!
//! Continuity counters go on from segment to segment, as RFC 8216 section 3 wants it; they follow from the same sums
//! ([`Before`]). Nothing is marked as a discontinuity, because nothing is one.

use core::ops::Range;

use crate::error::{Error, Result};
pub use crate::segment::audio_setup::AudioSetup;
use crate::segment::sample_aes::SampleAes;
pub use crate::segment::ts_audio::{Adts, AudioCodec, AudioStream};
use crate::segment::ts_order::{Group, clocks_between};
pub use crate::segment::ts_order::{Next, Order};
use crate::segment::ts_program::{self, AUDIO_PID, ID3_PID, PAT_PID, PMT_PID, VIDEO_PID};
pub use crate::segment::ts_program::{Audio, Program};
pub use crate::segment::ts_video::{VideoCodec, VideoStream};
use crate::ts::write::{Clock, MAX_PES_BYTES, PACKET_BYTES, Pes, PesHeader, Pid, Times, packets};

/// Ticks a second of all times.
pub const TIMESCALE: u32 = 90_000;
/// Time stamp of presentation time 0: ten seconds, so that nothing becomes negative.
pub const TIME_OFFSET: i64 = 900_000;
/// How far the clock is behind the decoding times. It has to be more than the distance of two PCRs: then all bytes of an
/// access unit have arrived when it is decoded. As little as possible beyond that keeps decoder buffers of audio small.
pub const CLOCK_DELAY: i64 = 9_000;
/// Bytes of the PAT and the PMT at the start of a segment.
pub const PSI_BYTES: u64 = 2 * PACKET;
/// Bytes of a packet.
pub const PACKET: u64 = PACKET_BYTES as u64;

/// `stream_id` of the first video stream.
const VIDEO_STREAM_ID: u8 = 0xe0;
/// `stream_id` of the first MPEG audio stream.
const AUDIO_STREAM_ID: u8 = 0xc0;
/// `private_stream_1`: AC-3, E-AC-3, ID3.
const PRIVATE_STREAM_ID: u8 = 0xbd;

/// An access unit of video or a frame of audio. Times are ticks of 90 kHz from presentation time 0; they may be negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unit {
    /// Video: bytes of the access unit, [`VideoStream::access_unit_bytes`]. Audio: bytes of the frame as it is stored.
    pub size: u32,
    /// Decoding time. A track whose composition offsets are negative has to decode earlier by the greatest of them, in all
    /// of its segments: what is presented before it is decoded is written as if decoded when presented. Of audio it does not
    /// matter.
    pub dts: i64,
    /// Presentation time.
    pub pts: i64,
    /// Whether decoding can start here.
    pub sync: bool,
    /// Video under SAMPLE-AES: packets that it takes more; see [`sample_aes_packets`].
    pub spare: u32,
}

/// A tag of timed metadata.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tag {
    /// Bytes of the ID3 tag.
    pub size: u32,
    /// Presentation time in ticks of 90 kHz from presentation time 0.
    pub pts: i64,
}

/// What the tracks of a program have from one cut to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fragment<'a> {
    /// The time for which the fragment has the clock, in ticks of 90 kHz from presentation time 0. It begins with the first
    /// decoding time of the track that carries the clock (the fragment that a title begins with: with the earliest of any
    /// track), and ends where the next one begins (the last one: with the end of the longest track).
    pub span: Range<i64>,
    /// In decoding order; the first one is the key frame.
    pub video: &'a [Unit],
    /// In decoding order.
    pub audio: &'a [Unit],
    /// By time.
    pub id3: &'a [Tag],
}

/// How many packets something has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packets {
    /// Packets with a payload: those that continuity counters count.
    pub payload: u64,
    /// Packets with nothing but a PCR.
    pub clock: u64,
}

impl Packets {
    /// Bytes of all of them.
    pub fn bytes(self) -> u64 {
        self.payload.saturating_add(self.clock).saturating_mul(PACKET_BYTES as u64)
    }
}

impl core::ops::Add for Packets {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { payload: self.payload.saturating_add(other.payload), clock: self.clock.saturating_add(other.clock) }
    }
}

fn video_times(unit: &Unit) -> Times {
    Times {
        pts: unit.pts.saturating_add(TIME_OFFSET),
        dts: (unit.dts < unit.pts).then(|| unit.dts.saturating_add(TIME_OFFSET)),
    }
}

fn presented(pts: i64) -> Times {
    Times { pts: pts.saturating_add(TIME_OFFSET), dts: None }
}

/// Packets that an access unit of `size` bytes which may grow by `growth` bytes under SAMPLE-AES takes more than without, whatever
/// its time stamps are.
pub fn sample_aes_packets(size: u32, growth: u32) -> u32 {
    let more = |times: Times| {
        let clear = PesHeader::bytes(Some(times)).saturating_add(size as usize);
        packets(clear.saturating_add(growth as usize), true) - packets(clear, true)
    };
    let (alone, both) = (Times { pts: 0, dts: None }, Times { pts: 0, dts: Some(0) });
    u32::try_from(more(alone).max(more(both))).unwrap_or(u32::MAX)
}

/// Packets of an access unit of video. Those of the first one of a fragment are all that stands before the key frame's end:
/// a fragment begins with them.
pub fn access_unit_packets(unit: &Unit) -> u64 {
    let header = PesHeader::bytes(Some(video_times(unit)));
    (packets(header.saturating_add(unit.size as usize), true) as u64).saturating_add(unit.spare.into())
}

/// Packets of the video of a fragment with this [`Fragment::span`].
pub fn video_packets(units: &[Unit], span: &Range<i64>) -> Packets {
    let payload = units.iter().map(access_unit_packets).sum();
    Packets { payload, clock: clocks(units.iter().map(|unit| unit.dts), span) }
}

/// Packets of the audio of a fragment. `span` is given where audio carries the clock, that is in a program without video.
pub fn audio_packets(stream: &AudioStream, units: &[Unit], span: Option<&Range<i64>>) -> Packets {
    let mut payload = 0;
    let groups = || {
        let mut rest = units;
        core::iter::from_fn(move || {
            let group = Group::first(rest, stream.header_bytes());
            let first = rest.first()?;
            rest = rest.get(group.frames.max(1)..).unwrap_or_default();
            Some((first.pts, group))
        })
    };
    for (pts, group) in groups() {
        payload += packets(PesHeader::bytes(Some(presented(pts))).saturating_add(group.bytes), span.is_some()) as u64;
    }
    Packets { payload, clock: span.map_or(0, |span| clocks(groups().map(|(pts, _)| pts), span)) }
}

/// Packets that hold nothing but the clock, beside those of units that are decoded at `times`.
fn clocks(times: impl Iterator<Item = i64>, span: &Range<i64>) -> u64 {
    let mut last = None;
    let mut clocks = 0u64;
    for time in times {
        clocks = clocks.saturating_add(last.map_or(0, |last| clocks_between(last, time)));
        last = Some(last.map_or(time.min(span.start), |_| time));
    }
    match last {
        Some(last) => clocks.saturating_add(clocks_between(last, span.end)),
        None if span.start < span.end => 1 + clocks_between(span.start, span.end),
        None => 0,
    }
}

/// Bytes of a tag that fit into the PES packet with its time.
const ID3_FIRST: usize = MAX_PES_BYTES - 14;
/// Bytes of a tag that fit into each further one.
const ID3_NEXT: usize = MAX_PES_BYTES - 9;

/// Packets of a tag of timed metadata.
pub fn id3_packets(tag: &Tag) -> Packets {
    let size = tag.size as usize;
    let mut payload = packets(PesHeader::bytes(Some(presented(tag.pts))) + size.min(ID3_FIRST), false);
    let mut left = size.saturating_sub(ID3_FIRST);
    while left > 0 {
        payload += packets(PesHeader::bytes(None) + left.min(ID3_NEXT), false);
        left = left.saturating_sub(ID3_NEXT);
    }
    Packets { payload: payload as u64, clock: 0 }
}

/// What stands before a segment in its title: continuity counters go on from there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// Segments.
    pub segments: u64,
    /// Packets of the video with a payload: the sum of [`Packets::payload`] over all fragments before.
    pub video: u64,
    /// The same of the audio.
    pub audio: u64,
    /// The same of timed metadata.
    pub id3: u64,
}

/// Writes a segment piece by piece.
#[derive(Debug)]
pub struct Muxer {
    program: Program,
    sample_aes: Option<SampleAes>,
    pat: Pid,
    pmt: Pid,
    video: Pid,
    audio: Pid,
    id3: Pid,
}

impl Muxer {
    /// Begins a segment, in the clear or under SAMPLE-AES.
    pub fn new(program: Program, before: Before, sample_aes: Option<SampleAes>) -> Self {
        Self {
            program,
            sample_aes,
            pat: Pid::new(PAT_PID, before.segments),
            pmt: Pid::new(PMT_PID, before.segments),
            video: Pid::new(VIDEO_PID, before.video),
            audio: Pid::new(AUDIO_PID, before.audio),
            id3: Pid::new(ID3_PID, before.id3),
        }
    }

    /// What the segment carries.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Appends the PAT and the PMT, which a segment begins with.
    pub fn psi(&mut self, out: &mut Vec<u8>) {
        self.pat.section(0, &ts_program::association(), out);
        self.pmt.section(2, &ts_program::map(&self.program, self.sample_aes.is_some()), out);
    }

    /// Appends what `next`, an answer of [`Order::next`] for `fragment`, stands for. `bytes` are the sample (video), the
    /// frames one after the other (audio), or the tag, all as they are stored; nothing for a clock.
    ///
    /// # Errors
    /// `BadSource` when `bytes` do not have the size that was counted on, `Internal` when encryption makes them larger than was
    /// allowed for. Nothing is appended then.
    pub fn write(&mut self, next: &Next, fragment: &Fragment<'_>, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
        match next {
            Next::Video { unit, clock } => match fragment.video.get(*unit) {
                Some(unit) => self.video(unit, *clock, bytes, out),
                None => Err(Error::internal("an access unit that the fragment does not have")),
            },
            Next::Audio { units, clock } => match fragment.audio.get(units.clone()) {
                Some(units) => self.audio(units, *clock, bytes, out),
                None => Err(Error::internal("audio frames that the fragment does not have")),
            },
            Next::Id3(tag) => match fragment.id3.get(*tag) {
                Some(tag) => self.id3(tag, bytes, out),
                None => Err(Error::internal("a tag that the fragment does not have")),
            },
            Next::Clock(clock) => {
                self.clock(*clock, out);
                Ok(())
            }
        }
    }

    fn video(&mut self, unit: &Unit, clock: i64, sample: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let Some(stream) = &self.program.video else { return Err(Error::internal("video in a program without it")) };
        let bytes = stream.access_unit_bytes(sample, unit.sync);
        if bytes != unit.size {
            return Err(other_size("access unit", bytes.into(), unit.size.into()));
        }
        let times = Some(video_times(unit));
        let mut header = PesHeader { stream_id: VIDEO_STREAM_ID, times, payload: bytes as usize };
        let clock = Clock { pcr: reference(clock), random_access: unit.sync };
        let Some(sample_aes) = &mut self.sample_aes else {
            let mut pes = Pes::new(&mut self.video, &header, Some(clock), out);
            stream.access_unit(sample, unit.sync, |part| pes.put(part));
            return Ok(());
        };
        let written = sample_aes.access_unit(stream, sample, unit.sync)?;
        header.payload = written.len();
        let bytes = PesHeader::bytes(times) + written.len();
        let wanted = access_unit_packets(unit);
        if packets(bytes, true) as u64 > wanted {
            let message = format!("an access unit of {} bytes became {} under SAMPLE-AES", unit.size, written.len());
            return Err(Error::internal(message));
        }
        // No content asks for more than three times its size.
        if wanted > 4 + 4 * packets(bytes, true) as u64 {
            return Err(Error::bad_source(format!("index: {wanted} packets for an access unit of {bytes} bytes")));
        }
        Pes::spread(&mut self.video, &header, Some(clock), wanted as usize, out).put(written);
        Ok(())
    }

    fn audio(&mut self, units: &[Unit], clock: Option<i64>, frames: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let Some(audio) = &self.program.audio else { return Err(Error::internal("audio in a program without it")) };
        let stream = audio.stream;
        let wanted = units.iter().map(|unit| u64::from(unit.size)).sum();
        if frames.len() as u64 != wanted {
            return Err(other_size("group of audio frames", frames.len() as u64, wanted));
        }
        let Some(first) = units.first() else { return Ok(()) };
        let header = PesHeader {
            stream_id: match stream.codec() {
                AudioCodec::Aac(_) | AudioCodec::Mp3 { .. } => AUDIO_STREAM_ID,
                AudioCodec::Ac3 | AudioCodec::Eac3 => PRIVATE_STREAM_ID,
            },
            times: Some(presented(first.pts)),
            payload: frames.len() + units.len() * stream.header_bytes(),
        };
        let clock = clock.map(|clock| Clock { pcr: reference(clock), random_access: true });
        let mut rest = frames;
        let frames = units.iter().map(|unit| {
            let (frame, after) = rest.split_at_checked(unit.size as usize).unwrap_or((rest, &[]));
            rest = after;
            frame
        });
        match &mut self.sample_aes {
            None => {
                let mut pes = Pes::new(&mut self.audio, &header, clock, out);
                frames.for_each(|frame| stream.frame(frame, |part| pes.put(part)));
            }
            Some(sample_aes) => {
                sample_aes.begin();
                frames.for_each(|frame| sample_aes.frame(&stream, frame));
                Pes::new(&mut self.audio, &header, clock, out).put(sample_aes.end()?);
            }
        }
        Ok(())
    }

    fn id3(&mut self, tag: &Tag, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
        if bytes.len() as u64 != u64::from(tag.size) {
            return Err(other_size("tag", bytes.len() as u64, tag.size.into()));
        }
        let (first, rest) = bytes.split_at(bytes.len().min(ID3_FIRST));
        let parts =
            core::iter::once((first, Some(presented(tag.pts)))).chain(rest.chunks(ID3_NEXT).map(|part| (part, None)));
        for (part, times) in parts {
            let header = PesHeader { stream_id: PRIVATE_STREAM_ID, times, payload: part.len() };
            Pes::new(&mut self.id3, &header, None, out).put(part);
        }
        Ok(())
    }

    fn clock(&mut self, clock: i64, out: &mut Vec<u8>) {
        let pid = if self.program.video.is_some() { &mut self.video } else { &mut self.audio };
        pid.clock(reference(clock), out);
    }
}

fn reference(clock: i64) -> i64 {
    clock.saturating_add(TIME_OFFSET - CLOCK_DELAY)
}

fn other_size(what: &str, bytes: u64, wanted: u64) -> Error {
    Error::bad_source(format!("{what} of {bytes} bytes where the index has {wanted}"))
}

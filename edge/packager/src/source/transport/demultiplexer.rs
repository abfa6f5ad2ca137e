//! Packets go to the streams that the program map names.

use super::audio::Audio;
use super::depacketizer::{Depacketizer, Event};
use super::reader::Context;
use super::stream_type::{Kind, kind};
use super::video::Video;
use super::warnings::{Spot, Warnings};
use super::{ElementaryStream, EsCodec, Frame};
use crate::error::{Error, Result};
use crate::limits::MAX_TS_STREAMS;
use crate::ts::psi::{self, MapEntry, Program, ProgramMap, Sections};
use crate::ts::sync::Found;
use crate::ts::{PACKET_BYTES, Packet};

/// Scrambled packets in a row on the PID of a stream that make it encrypted; fewer may be damaged headers.
const SCRAMBLED_PACKETS: u32 = 8;
/// What one stream needs while it is read.
#[derive(Clone, Debug)]
struct Track {
    /// None when the program map does not list it.
    pid: Option<u16>,
    depacketizer: Depacketizer,
    carver: Carver,
    /// Scrambled packets in a row.
    scrambled: u32,
    /// The segment of its last packet.
    segment: u32,
}

#[derive(Clone, Debug)]
enum Carver {
    Video(Box<Video>),
    Audio(Box<Audio>),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Demultiplexer {
    /// Ordinal of the segment from 1; 0 before the first one.
    segment: u32,
    segment_start: u64,
    segment_packets: u64,
    /// The packet that is looked at, for messages.
    packet: u64,
    pid: Option<u16>,
    association: Sections,
    program: Option<Program>,
    map: Sections,
    applied: Option<ProgramMap>,
    tracks: Vec<Track>,
    streams: Vec<ElementaryStream>,
    warnings: Warnings,
}

impl Demultiplexer {
    /// Whether a segment has begun.
    pub fn has_begun(&self) -> bool {
        self.segment > 0
    }

    /// What comes before any segment is told of belongs to the first one.
    pub fn begin_first(&mut self) {
        self.segment = self.segment.max(1);
    }

    pub fn streams(&self) -> &[ElementaryStream] {
        &self.streams
    }

    pub fn warnings(&self) -> Vec<String> {
        self.warnings.lines()
    }

    /// Says why streams have no frames.
    pub fn leave_out_empty(&mut self) {
        let empty = |s: &&mut ElementaryStream| s.frames == 0 && s.left_out.is_none() && s.codec != EsCodec::Id3;
        for stream in self.streams.iter_mut().filter(empty) {
            stream.left_out = Some(if stream.codec.is_video() {
                "there is no picture with its parameter sets that decoding can start with".into()
            } else {
                "there is no frame in it".into()
            });
        }
    }

    fn spot(&self) -> Spot {
        Spot { segment: self.segment, packet: self.packet, pid: self.pid }
    }

    pub fn warn(&mut self, what: &str) {
        let spot = self.spot();
        self.warnings.add(what, 1, spot);
    }

    pub fn place(&self, error: Error) -> Error {
        if self.segment_packets == 0 {
            error.context(format_args!("segment {}", self.segment))
        } else {
            error.context(self.spot())
        }
    }

    pub fn begin_segment(&mut self, position: u64) {
        self.segment = self.segment.saturating_add(1);
        (self.segment_start, self.segment_packets, self.packet, self.pid) = (position, 0, 0, None);
    }

    pub fn end_segment(&mut self) -> Result<()> {
        if self.applied.is_some() {
            return Ok(());
        }
        let missing = if self.program.is_some() { "program map table" } else { "program association table" };
        let what = format!("no {missing} in {} packets", self.segment_packets);
        Err(Error::bad_source(what).context(format_args!("segment {}", self.segment)))
    }

    /// Frames that are not whole end here.
    pub fn reset(&mut self, other: bool, sink: &mut impl FnMut(Frame<'_>)) -> Result<()> {
        if other {
            self.association.reset();
            self.map.reset();
        }
        for number in 0..self.tracks.len() {
            self.reset_track(number, other, sink)?;
        }
        Ok(())
    }

    fn reset_track(&mut self, number: usize, other: bool, sink: &mut impl FnMut(Frame<'_>)) -> Result<()> {
        let spot = self.spot();
        let Self { tracks, streams, warnings, .. } = self;
        let (Some(track), Some(info)) = (tracks.get_mut(number), streams.get_mut(number)) else { return Ok(()) };
        track.depacketizer = Depacketizer::new(false);
        let pid = info.pid;
        let spot = Spot { pid: Some(pid), ..spot };
        let mut cx = Context { number, pid, info, warnings, spot, sink };
        match &mut track.carver {
            Carver::Video(video) => video.reset(other, &mut cx),
            Carver::Audio(audio) => audio.reset(&mut cx),
        }
    }

    pub fn found(&mut self, found: &Found<'_>, sink: &mut impl FnMut(Frame<'_>)) -> Result<()> {
        match *found {
            Found::Packet { bytes, at } => {
                self.packet = at.saturating_sub(self.segment_start) / PACKET_BYTES as u64;
                self.segment_packets += 1;
                self.packet(bytes, at, sink)
            }
            Found::Garbage { at, bytes } => {
                self.packet = at.saturating_sub(self.segment_start) / PACKET_BYTES as u64;
                self.pid = None;
                let spot = self.spot();
                self.warnings.add("bytes that belong to no packet were left out", bytes, spot);
                self.reset(false, sink)
            }
        }
    }

    fn packet(&mut self, bytes: &[u8; PACKET_BYTES], at: u64, sink: &mut impl FnMut(Frame<'_>)) -> Result<()> {
        let pid = Packet::peek_pid(bytes);
        self.pid = Some(pid);
        let packet = match Packet::parse(bytes) {
            Ok(packet) if !packet.error => packet,
            Ok(_) => {
                self.warn("a packet marked as damaged was left out");
                return Ok(());
            }
            Err(_) => {
                self.warn("a packet with a broken header was left out");
                return Ok(());
            }
        };
        if pid == 0 {
            self.programs(&packet);
        } else if self.program.is_some_and(|p| p.map_pid == pid) {
            self.map(&packet, sink)?;
        }
        match self.tracks.iter().position(|t| t.pid == Some(pid)) {
            Some(number) => self.stream(number, &packet, at, sink),
            None => Ok(()),
        }
    }

    fn programs(&mut self, packet: &Packet<'_>) {
        let Self { association, .. } = self;
        let mut found = None;
        let broken = association.push(packet, |section| found = psi::program_association(section).or(found.take()));
        if broken > 0 {
            self.warn("a broken program association table was left out");
        }
        let Some(programs) = found else { return };
        if programs.len() > 1 {
            self.warn("several programs; the first one is read");
        }
        if let Some(program) = programs.first().copied()
            && self.program != Some(program)
        {
            self.program = Some(program);
            self.map.reset();
        }
    }

    fn map(&mut self, packet: &Packet<'_>, sink: &mut impl FnMut(Frame<'_>)) -> Result<()> {
        let number = self.program.map(|p| p.number);
        let mut found = None;
        let broken = self.map.push(packet, |section| {
            let map = psi::program_map(section).filter(|map| Some(map.program) == number);
            found = map.or(found.take());
        });
        if broken > 0 {
            self.warn("a broken program map table was left out");
        }
        match found {
            Some(map) if self.applied.as_ref() != Some(&map) => self.apply(map, sink),
            _ => Ok(()),
        }
    }

    /// A program map comes into force.
    fn apply(&mut self, map: ProgramMap, sink: &mut impl FnMut(Frame<'_>)) -> Result<()> {
        // The n-th stream of a codec is the n-th one that there was.
        let mut assigned: Vec<(usize, &MapEntry)> = Vec::new();
        let mut counts: Vec<(EsCodec, usize)> = Vec::new();
        for entry in &map.streams {
            let codec = match kind(entry) {
                Kind::Read(codec) => codec,
                Kind::Data => continue,
                Kind::LeftOut(what) => {
                    self.leave_out(entry, what);
                    continue;
                }
                Kind::Encrypted => {
                    let what = format!("stream_type 0x{:02x}: encrypted (SAMPLE-AES)", entry.stream_type);
                    return Err(Error::unsupported(what));
                }
            };
            if assigned.iter().any(|(_, other)| other.pid == entry.pid) {
                continue;
            }
            let nth = match counts.iter_mut().find(|(known, _)| *known == codec) {
                Some((_, count)) => {
                    *count += 1;
                    *count - 1
                }
                None => {
                    counts.push((codec, 1));
                    0
                }
            };
            let same = self.streams.iter().enumerate().filter(|(_, s)| s.codec == codec).map(|(number, _)| number);
            let number = match same.clone().nth(nth) {
                Some(number) => number,
                None => self.add(codec, entry.pid)?,
            };
            assigned.push((number, entry));
        }
        for number in 0..self.tracks.len() {
            let entry = assigned.iter().find(|(assigned, _)| *assigned == number).map(|(_, entry)| *entry);
            let pid = entry.map(|e| e.pid);
            if self.tracks.get(number).is_some_and(|t| t.pid.is_some() && t.pid != pid) {
                self.reset_track(number, false, sink)?;
            }
            let (Some(track), Some(info)) = (self.tracks.get_mut(number), self.streams.get_mut(number)) else { break };
            track.pid = pid;
            if let Some(entry) = entry {
                describe(info, entry);
            }
        }
        self.applied = Some(map);
        Ok(())
    }

    fn leave_out(&mut self, entry: &MapEntry, what: &str) {
        let spot = Spot { pid: Some(entry.pid), ..self.spot() };
        self.warnings.add(&format!("stream_type 0x{:02x} was left out: {what}", entry.stream_type), 1, spot);
    }

    fn add(&mut self, codec: EsCodec, pid: u16) -> Result<usize> {
        if self.streams.len() >= MAX_TS_STREAMS {
            return Err(Error::limit(format!("more than {MAX_TS_STREAMS} elementary streams")));
        }
        self.streams.push(ElementaryStream {
            codec,
            pid,
            language: None,
            audio_description: false,
            configs: Vec::new(),
            frames: 0,
            left_out: None,
        });
        let carver = if codec.is_video() {
            Carver::Video(Box::new(Video::new(codec)))
        } else {
            Carver::Audio(Box::new(Audio::new(codec)))
        };
        self.tracks.push(Track { pid: None, depacketizer: Depacketizer::new(false), carver, scrambled: 0, segment: 0 });
        Ok(self.streams.len() - 1)
    }

    fn stream(&mut self, number: usize, packet: &Packet<'_>, at: u64, sink: &mut impl FnMut(Frame<'_>)) -> Result<()> {
        let spot = self.spot();
        let segment = self.segment;
        let Self { tracks, streams, warnings, .. } = self;
        let (Some(track), Some(info)) = (tracks.get_mut(number), streams.get_mut(number)) else { return Ok(()) };
        if packet.scrambling != 0 {
            track.scrambled += 1;
            warnings.add("a scrambled packet was left out", 1, spot);
            if track.scrambled >= SCRAMBLED_PACKETS {
                let what = format!("encrypted: transport_scrambling_control is {}", packet.scrambling);
                return Err(Error::unsupported(what));
            }
            return Ok(());
        }
        track.scrambled = 0;
        let Track { depacketizer, carver, segment: last, .. } = track;
        let mut cx = Context { number, pid: packet.pid, info, warnings, spot, sink };
        // Continuity counters may start anew with a segment, which loses nothing when a PES packet begins there.
        let starts = core::mem::replace(last, segment) != segment && packet.unit_start;
        depacketizer.packet(packet, at, &mut |event| match event {
            Event::Gap(packets) => {
                if !starts {
                    cx.warn("packets are missing (continuity_counter)");
                }
                match carver {
                    Carver::Video(video) => video.gap(&mut cx),
                    Carver::Audio(audio) => audio.gap(packets, &mut cx),
                }
            }
            Event::Broken(what) => {
                cx.warn(&format!("a PES header was left out: {what}"));
                match carver {
                    Carver::Video(video) => video.gap(&mut cx),
                    Carver::Audio(audio) => audio.gap(0, &mut cx),
                }
            }
            Event::Pes(header) => {
                if let (Some(pts), Some(dts)) = (header.pts, header.dts) {
                    match carver {
                        Carver::Video(video) => video.stamp(pts, dts),
                        Carver::Audio(audio) => audio.stamp(pts, dts),
                    }
                }
                Ok(())
            }
            Event::Data(data) => match carver {
                Carver::Video(video) => video.data(&data, &mut cx),
                Carver::Audio(audio) => audio.data(&data, &mut cx),
            },
        })
    }
}

fn describe(info: &mut ElementaryStream, entry: &MapEntry) {
    let descriptors = &entry.descriptors;
    info.pid = entry.pid;
    if let Some(code) = descriptors.language.filter(|code| code.iter().all(u8::is_ascii_alphabetic)) {
        info.language = Some(code.iter().map(|b| char::from(b.to_ascii_lowercase())).collect());
    }
    info.audio_description |= info.codec.is_audio() && (descriptors.audio_type == 3 || descriptors.visually_impaired);
}

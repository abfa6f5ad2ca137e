//! What is in PES packets: access units of video (ISO/IEC 14496-10, 23008-2 in 13818-1 2.14, 2.17), frames of audio, ID3.

use super::{Report, Stream, distance};

/// What a stream of a program carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// H.264, stream type 0x1b
    Avc,
    /// HEVC, stream type 0x24
    Hevc,
    /// AAC in ADTS, stream type 0x0f
    Adts,
    /// AAC in LATM, stream type 0x11
    Latm,
    /// MPEG audio, stream types 0x03 and 0x04
    Mpeg,
    /// AC-3: stream type 0x81, or 0x06 with a descriptor
    Ac3,
    /// E-AC-3: stream type 0x87, or 0x06 with a descriptor
    Eac3,
    /// Timed ID3, stream type 0x15
    Id3,
}

impl Stream {
    /// What it carries, if the tests know it.
    pub fn codec(&self) -> Option<Codec> {
        let described = |tag: u8, format: &[u8]| {
            let mut rest = &self.descriptors[..];
            while let [found, length, ..] = rest {
                let end = 2 + usize::from(*length);
                let body = rest.get(2..end).unwrap_or_default();
                if *found == tag || (*found == 0x05 && body.starts_with(format)) {
                    return true;
                }
                rest = rest.get(end..).unwrap_or_default();
            }
            false
        };
        match self.stream_type {
            0x1b => Some(Codec::Avc),
            0x24 => Some(Codec::Hevc),
            0x0f => Some(Codec::Adts),
            0x11 => Some(Codec::Latm),
            0x03 | 0x04 => Some(Codec::Mpeg),
            0x81 => Some(Codec::Ac3),
            0x87 => Some(Codec::Eac3),
            0x06 if described(0x6a, b"AC-3") => Some(Codec::Ac3),
            0x06 if described(0x7a, b"EAC3") => Some(Codec::Eac3),
            0x15 => Some(Codec::Id3),
            _ => None,
        }
    }
}

/// Checks what the PES packets carry.
pub fn check(report: &mut Report) {
    let mut problems = Vec::new();
    for (pid, stream) in &report.streams {
        let mut add = |what: String| problems.push(format!("PID {pid:#x}: {what}"));
        match stream.codec() {
            Some(Codec::Avc) => video(stream, &AVC, &mut add),
            Some(Codec::Hevc) => video(stream, &HEVC, &mut add),
            Some(Codec::Adts) => adts(stream, &mut add),
            Some(Codec::Latm) => begins(stream, "LATM", |bytes| bytes[0] == 0x56 && bytes[1] & 0xe0 == 0xe0, &mut add),
            Some(Codec::Mpeg) => {
                begins(stream, "MPEG audio", |bytes| bytes[0] == 0xff && bytes[1] & 0xe0 == 0xe0, &mut add)
            }
            Some(Codec::Ac3 | Codec::Eac3) => {
                begins(stream, "AC-3", |bytes| bytes.starts_with(&[0x0b, 0x77]), &mut add)
            }
            Some(Codec::Id3) => begins(stream, "ID3", |bytes| bytes.starts_with(b"ID3"), &mut add),
            None => add(format!("stream type {:#x}", stream.stream_type)),
        }
    }
    report.problems.extend(problems);
}

/// NAL unit types of a codec.
struct Nal {
    kind: fn(&[u8]) -> u8,
    delimiter: u8,
    parameter_sets: &'static [u8],
    is_slice: fn(u8) -> bool,
    is_key: fn(u8) -> bool,
}

const AVC: Nal = Nal {
    kind: |unit| unit.first().map_or(0, |byte| byte & 0x1f),
    delimiter: 9,
    parameter_sets: &[7, 8],
    is_slice: |kind| (1..=5).contains(&kind),
    is_key: |kind| kind == 5,
};

const HEVC: Nal = Nal {
    kind: |unit| unit.first().map_or(0, |byte| byte >> 1 & 0x3f),
    delimiter: 35,
    parameter_sets: &[32, 33, 34],
    is_slice: |kind| kind < 32,
    is_key: |kind| (16..=21).contains(&kind),
};

fn video(stream: &Stream, nal: &Nal, add: &mut impl FnMut(String)) {
    let mut segment = None;
    for unit in &stream.units {
        let at = format!("segment {}, the access unit that begins at packet {}", unit.segment, unit.packet);
        let kinds: Vec<u8> = nal_units(&unit.payload).into_iter().map(nal.kind).collect();
        if kinds.first() != Some(&nal.delimiter) || kinds[1..].contains(&nal.delimiter) {
            add(format!("{at}: no delimiter, or not one: {kinds:?}"));
        }
        let slice = kinds.iter().position(|kind| (nal.is_slice)(*kind));
        let Some(slice) = slice else {
            add(format!("{at}: no slice: {kinds:?}"));
            continue;
        };
        let sets = nal.parameter_sets.iter().all(|set| kinds[..slice].contains(set));
        let key = kinds.iter().any(|kind| (nal.is_key)(*kind));
        if key && !unit.random_access {
            add(format!("{at}: a key frame without random access indicator"));
        }
        if (key || unit.random_access) && !sets {
            add(format!("{at}: a key frame without parameter sets before it: {kinds:?}"));
        }
        if segment.replace(unit.segment) != Some(unit.segment) && !unit.random_access {
            add(format!("{at}: the segment does not begin with random access"));
        }
    }
}

/// NAL units of a byte stream (ISO/IEC 14496-10 Annex B), without start codes.
pub fn nal_units(bytes: &[u8]) -> Vec<&[u8]> {
    let mut starts = Vec::new();
    let mut at = 0;
    while let Some(found) = bytes.get(at..).and_then(|rest| rest.windows(3).position(|three| three == [0, 0, 1])) {
        starts.push(at + found + 3);
        at += found + 3;
    }
    let ends = starts.iter().skip(1).map(|start| start - 3).chain([bytes.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|(start, end)| {
            let unit = &bytes[*start..end];
            // trailing_zero_8bits, and the first byte of a start code of four.
            let kept = unit.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            &unit[..kept]
        })
        .collect()
}

/// Frames of one PES packet: how many, and the sample rate; `None` when it is not made of whole frames.
fn adts_frames(mut bytes: &[u8]) -> Option<(u64, u64)> {
    const RATES: [u64; 13] =
        [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];
    let mut frames = 0;
    let mut rate = None;
    while !bytes.is_empty() {
        let header = bytes.get(..7).filter(|header| header[0] == 0xff && header[1] & 0xf6 == 0xf0)?;
        let length = usize::from(header[3] & 3) << 11 | usize::from(header[4]) << 3 | usize::from(header[5] >> 5);
        let found = *RATES.get(usize::from(header[2] >> 2 & 15))?;
        if length < 7 || rate.is_some_and(|rate| rate != found) {
            return None;
        }
        rate = Some(found);
        frames += 1;
        bytes = bytes.get(length..)?;
    }
    Some((frames, rate?))
}

fn adts(stream: &Stream, add: &mut impl FnMut(String)) {
    let mut next: Option<(u64, u64)> = None;
    for unit in &stream.units {
        let at = format!("segment {}, the PES packet that begins at packet {}", unit.segment, unit.packet);
        let Some((frames, rate)) = adts_frames(&unit.payload) else {
            add(format!("{at}: not made of whole ADTS frames"));
            continue;
        };
        let samples = frames * 1024;
        // Times are rounded to ticks, each by itself.
        if let Some((pts, samples)) = next
            && distance(unit.pts, pts).abs_diff((samples * 90_000 / rate) as i64) > 2
        {
            add(format!("{at}: PTS {} is not {samples} samples after {pts}", unit.pts));
        }
        next = Some((unit.pts, samples));
    }
}

fn begins(stream: &Stream, name: &str, right: fn(&[u8]) -> bool, add: &mut impl FnMut(String)) {
    for unit in &stream.units {
        if unit.payload.len() < 2 || !right(&unit.payload) {
            add(format!("segment {}, packet {}: does not begin with {name}", unit.segment, unit.packet));
        }
    }
}

//! WebVTT in CMAF (ISO/IEC 23000-19 clause 11, ISO/IEC 14496-30 clause 6), in milliseconds.
//!
//! Samples cover a segment without a gap. Each holds all cues that are shown during it, and a new one begins wherever that
//! changes; `vsid` says which cue boxes are parts of the same cue, also across segments.

use core::ops::Range;

use bytes::Bytes;

use crate::bytes::writer::Writer;
use crate::error::{Error, Result};
use crate::limits;
use crate::segment::init::TRACK_ID;
use crate::text::time::Timestamp;
use crate::text::{CueRef, has_timestamps, payload_safe};

/// Ticks a second of all times.
pub const TIMESCALE: u32 = 1000;
/// RFC 6381 string.
pub const CODECS: &str = "wvtt";

const STYP: &[u8; 24] = b"\0\0\0\x18stypmsdh\0\0\0\0msdhcmfs";
/// Each sample stands by itself (ISO/IEC 14496-12, 8.8.3.1).
const SYNC_FLAGS: u32 = 0x0200_0000;
const DEFAULT_BASE_IS_MOOF: u32 = 0x02_0000;
const DEFAULT_FLAGS: u32 = 0x20;
const DATA_OFFSET: u32 = 0x1;
const DURATION: u32 = 0x100;
const SIZE: u32 = 0x200;
const BOX_HEADER: usize = 8;

/// What a sample entry says.
#[derive(Clone, Copy, Debug)]
pub struct Description<'a> {
    /// STYLE and REGION blocks.
    pub header: &'a str,
    /// Identifies the source of the cues among the tracks of a presentation.
    pub label: &'a str,
}

/// The `wvtt` sample entry, a whole box.
pub fn sample_entry(description: Description<'_>) -> Vec<u8> {
    let Description { header, label } = description;
    let mut out = Vec::with_capacity(64 + header.len() + label.len());
    out.boxed(b"wvtt", |b| {
        b.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 1]);
        b.boxed(b"vttC", |b| {
            b.extend_from_slice(b"WEBVTT");
            if !header.is_empty() && !header.contains("-->") {
                b.extend_from_slice(b"\n\n");
                b.extend_from_slice(header.trim_matches('\n').as_bytes());
                b.push(b'\n');
            }
        });
        // Only recommended, but there are readers that do without the track when it is missing.
        b.boxed(b"vlab", |b| b.extend_from_slice(label.as_bytes()));
    });
    out
}

/// A segment to be written.
#[derive(Clone, Debug)]
pub struct Segment<'a> {
    /// Its time, in milliseconds; not empty.
    pub time: Range<u64>,
    /// `sequence_number` of the `moof`.
    pub sequence: u32,
    /// The cues that are shown during it, by start.
    pub cues: &'a [CueRef<'a>],
}

/// Makes a segment: `styp`, `moof`, `mdat`.
///
/// # Errors
/// `Limit` when the samples are too large together; `Internal` when its time is empty or longer than 49 days.
pub fn segment(segment: &Segment<'_>) -> Result<Bytes> {
    let Range { start, end } = segment.time;
    if end <= start || u32::try_from(end - start).is_err() {
        return Err(Error::internal(format!("a text segment from {start} ms to {end} ms")));
    }
    let mut samples: Vec<(u32, u32)> = Vec::new();
    let mut media = Vec::new();
    let mut shown: Vec<&CueRef<'_>> = Vec::new();
    let mut waiting = segment.cues.iter().filter(|cue| cue.overlaps(start, end)).peekable();
    let mut at = start;
    while at < end {
        shown.retain(|cue| cue.end > at);
        while let Some(cue) = waiting.next_if(|cue| cue.start <= at) {
            shown.push(cue);
        }
        let first_end = shown.iter().map(|cue| cue.end).min().unwrap_or(end);
        let next_start = waiting.peek().map_or(end, |cue| cue.start);
        // Cues that are not in order could stand behind; time goes on in any case.
        let next = end.min(first_end).min(next_start).max(at + 1);
        let before = media.len();
        write_sample(&mut media, &shown, at);
        samples.push(((next - at) as u32, (media.len() - before) as u32));
        if media.len() > limits::MAX_TEXT_SEGMENT_BYTES {
            return Err(Error::limit(format!(
                "the text segment from {start} ms to {end} ms has more than {} bytes",
                limits::MAX_TEXT_SEGMENT_BYTES
            )));
        }
        at = next;
    }
    let mut out = Vec::with_capacity(STYP.len() + 128 + 8 * samples.len() + media.len());
    out.extend_from_slice(STYP);
    write_moof(&mut out, segment, &samples);
    out.boxed(b"mdat", |b| b.extend_from_slice(&media));
    Ok(out.into())
}

/// What is shown from `at` on.
fn write_sample(out: &mut Vec<u8>, shown: &[&CueRef<'_>], at: u64) {
    if shown.is_empty() {
        return out.boxed(b"vtte", |_| {});
    }
    for cue in shown {
        out.boxed(b"vttc", |b| {
            b.boxed(b"vsid", |b| b.u32(cue.ordinal));
            if !cue.identifier.is_empty() {
                b.boxed(b"iden", |b| b.extend_from_slice(cue.identifier.as_bytes()));
            }
            if has_timestamps(cue.payload) {
                b.boxed(b"ctim", |b| b.extend_from_slice(Timestamp(at).to_string().as_bytes()));
            }
            if !cue.settings.is_empty() {
                b.boxed(b"sttg", |b| b.extend_from_slice(cue.settings.as_bytes()));
            }
            b.boxed(b"payl", |b| b.extend_from_slice(payload_safe(cue.payload).as_bytes()));
        });
    }
}

fn write_moof(out: &mut Vec<u8>, segment: &Segment<'_>, samples: &[(u32, u32)]) {
    let start = out.len();
    let mut data_offset_at = 0;
    out.boxed(b"moof", |b| {
        b.full_box(b"mfhd", 0, 0, |b| b.u32(segment.sequence));
        b.boxed(b"traf", |b| {
            b.full_box(b"tfhd", 0, DEFAULT_BASE_IS_MOOF | DEFAULT_FLAGS, |b| {
                b.u32(TRACK_ID);
                b.u32(SYNC_FLAGS);
            });
            b.full_box(b"tfdt", 1, 0, |b| b.u64(segment.time.start));
            b.full_box(b"trun", 1, DATA_OFFSET | DURATION | SIZE, |b| {
                b.u32(samples.len() as u32);
                data_offset_at = b.len();
                b.u32(0);
                for (duration, size) in samples {
                    b.u32(*duration);
                    b.u32(*size);
                }
            });
        });
    });
    let data_offset = (out.len() - start + BOX_HEADER) as u32;
    if let Some(field) = out.get_mut(data_offset_at..data_offset_at + 4) {
        field.copy_from_slice(&data_offset.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::mp4::boxes::{Box, FourCc};
    use crate::text::{self, Cue, Entry, Sample, SampleReader};

    fn cue<'a>(ordinal: u32, start: u64, end: u64, payload: &'a str) -> CueRef<'a> {
        CueRef { ordinal, start, end, payload, ..CueRef::default() }
    }

    fn made(time: Range<u64>, cues: &[CueRef<'_>]) -> Bytes {
        segment(&Segment { time, sequence: 7, cues }).unwrap()
    }

    /// Start, duration and bytes of each sample.
    fn samples(segment: &[u8]) -> Vec<(u64, u64, &[u8])> {
        let file = Box::top(FourCc(*b"file"), 0, 0, segment);
        let traf = file.need(b"moof").unwrap().need(b"traf").unwrap();
        let mut at = traf.need(b"tfdt").unwrap().full().unwrap().2.u64().unwrap();
        let (_, _, mut trun) = traf.need(b"trun").unwrap().full().unwrap();
        let count = trun.u32().unwrap();
        let moof = file.need(b"moof").unwrap().offset as usize;
        let mut data = &segment[moof + trun.u32().unwrap() as usize..];
        let mut samples = Vec::new();
        for _ in 0..count {
            let (duration, size) = (u64::from(trun.u32().unwrap()), trun.u32().unwrap() as usize);
            samples.push((at, duration, &data[..size]));
            data = &data[size..];
            at += duration;
        }
        assert!(data.is_empty());
        samples
    }

    fn read(segments: &[Bytes]) -> Vec<Cue> {
        let mut reader = SampleReader::new(&Entry::Wvtt(text::wvtt::Entry::default())).unwrap();
        for (start, duration, data) in segments.iter().flat_map(|segment| samples(segment)) {
            reader.push(Sample { data, start, end: start + duration }).unwrap();
        }
        let document = reader.finish();
        assert_eq!(document.warnings, Vec::<String>::new());
        document.cues
    }

    #[test]
    fn samples_change_with_what_is_shown() {
        let cues = [cue(0, 0, 1500, "before"), cue(1, 1200, 2000, "a"), cue(2, 1800, 9000, "b")];
        let segment = made(1000..3000, &cues);
        let times = samples(&segment).iter().map(|s| (s.0, s.1)).collect::<Vec<_>>();
        assert_eq!(times, [(1000, 200), (1200, 300), (1500, 300), (1800, 200), (2000, 1000)]);
        assert_eq!(samples(&made(1000..3000, &[]))[0], (1000, 2000, &b"\0\0\0\x08vtte"[..]));
        let gap = made(0..1000, &[cue(0, 100, 200, "x"), cue(1, 100, 200, "y")]);
        assert_eq!(samples(&gap).iter().map(|s| s.1).collect::<Vec<_>>(), [100, 100, 800]);
    }

    #[test]
    fn cues_survive_segments_of_any_cut() {
        let cues = [
            cue(0, 0, 1500, "a"),
            CueRef { identifier: "id", settings: "line:0", ..cue(1, 1200, 2000, "a\nb") },
            cue(2, 1800, 9000, "x<00:00:02.500>y"),
            cue(3, 1800, 9000, "x<00:00:02.500>y"),
            cue(4, 9000, 9500, "x"),
            cue(5, 9500, 10_000, "x"),
        ];
        let wanted = cues.map(|cue| cue.to_cue());
        for length in [100, 999, 1000, 1800, 7000, 10_000] {
            let segments =
                (0..10_000u64).step_by(length).map(|s| made(s..s + length as u64, &cues)).collect::<Vec<_>>();
            assert_eq!(read(&segments), wanted, "{length}");
        }
    }

    #[test]
    fn the_sample_entry_holds_the_header() {
        for header in ["", "STYLE\n::cue {}\n\nREGION\nid:a"] {
            let entry = sample_entry(Description { header, label: "t0" });
            assert_eq!(entry.len(), u32::from_be_bytes(entry[..4].try_into().unwrap()) as usize);
            let read = Entry::read(*b"wvtt", &entry[8..]).unwrap();
            assert_eq!(read, Entry::Wvtt(text::wvtt::Entry { header: header.into() }));
        }
    }

    #[test]
    fn what_grows_too_large_is_refused() {
        let payload = "x".repeat(limits::MAX_CUE_BYTES);
        let cues = (0..200).map(|n| cue(n, u64::from(n), 1000, &payload)).collect::<Vec<_>>();
        let error = segment(&Segment { time: 0..1000, sequence: 1, cues: &cues }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit);
        let empty = segment(&Segment { time: 5..5, sequence: 1, cues: &[] }).unwrap_err();
        assert_eq!(empty.kind(), ErrorKind::Internal);
    }
}

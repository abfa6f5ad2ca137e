//! WebVTT in MP4 (ISO/IEC 14496-30, clause 6), reading.
//!
//! A sample holds all cues that are shown during it, so that a cue is repeated in each sample it lasts through; here they
//! are one cue again.

use super::cue::{Cue, Document};
use super::sample::Sample;
use super::{markup, time, webvtt};
use crate::bytes::Reader;
use crate::error::{Error, Result};
use crate::limits;
use crate::mp4::boxes::{Box, FourCc};

/// `SampleEntry`: reserved bytes and the data reference index.
const SAMPLE_ENTRY_BYTES: usize = 8;

/// What a `wvtt` sample entry says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// STYLE and REGION blocks of the configuration box `vttC`.
    pub header: String,
}

impl Entry {
    pub(super) fn read(data: &[u8]) -> Result<Self> {
        let mut r = Reader::new(data, 0);
        r.take(SAMPLE_ENTRY_BYTES).map_err(|e| Error::bad_source(format!("wvtt sample entry: {e}")))?;
        for child in Box::top(FourCc(*b"wvtt"), 0, 0, data).children_after(r) {
            let child = child?;
            if child.kind.0 == *b"vttC" {
                let header = match webvtt::header_of(&string(child.content)) {
                    Ok(document) => document.header,
                    Err(error) if error.kind() == crate::ErrorKind::Limit => return Err(error.context("vttC")),
                    // Some writers leave it empty.
                    Err(_) => String::new(),
                };
                return Ok(Self { header });
            }
        }
        Ok(Self::default())
    }
}

/// A string of a box: UTF-8, by some writers with a terminator.
fn string(data: &[u8]) -> String {
    String::from_utf8_lossy(data).trim_end_matches('\0').to_owned()
}

/// A cue box (`vttc`).
#[derive(Debug, Default)]
struct CueBox {
    source: Option<u32>,
    time: Option<u64>,
    identifier: String,
    settings: String,
    payload: String,
}

impl CueBox {
    fn read(vttc: &Box<'_>) -> Result<Self> {
        let mut cue = Self::default();
        for child in vttc.children() {
            let child = child?;
            match &child.kind.0 {
                b"vsid" => cue.source = child.reader().u32().ok(),
                b"iden" => cue.identifier = string(child.content),
                b"ctim" => cue.time = time::webvtt(&string(child.content)).map(|(ms, _)| ms),
                b"sttg" => cue.settings = string(child.content),
                b"payl" => cue.payload = string(child.content),
                _ => {}
            }
        }
        Ok(cue)
    }
}

/// The cues that lasted to the end of the sample before.
#[derive(Debug, Default)]
pub(super) struct Continued {
    /// Place in the document, and source id.
    cues: Vec<(usize, Option<u32>)>,
}

impl Continued {
    /// Reads a sample: `vttc` boxes, or one `vtte`, and additional text (`vtta`), which is notes.
    pub(super) fn push(
        &mut self,
        sample: Sample<'_>,
        document: &mut Document,
        place: impl Fn() -> String,
    ) -> Result<()> {
        let mut before = core::mem::take(&mut self.cues);
        for child in Box::top(FourCc(*b"wvtt"), 0, 0, sample.data).children() {
            let child = child?;
            if child.kind.0 != *b"vttc" {
                continue;
            }
            if self.cues.len() >= limits::MAX_SIMULTANEOUS_CUES {
                return Err(Error::limit(format!(
                    "{}: more than {} cues at the same time",
                    place(),
                    limits::MAX_SIMULTANEOUS_CUES
                )));
            }
            let CueBox { source, time, identifier, settings, mut payload } = CueBox::read(&child)?;
            if let Some(time) = time {
                // The time that inner timestamps are relative to is that of the sample.
                let by = i64::try_from(sample.start).unwrap_or(i64::MAX).saturating_sub_unsigned(time);
                payload = markup::move_timestamps(&payload, by).into_owned();
            }
            let mut cue = Cue { start: sample.start, end: sample.end, identifier, settings, payload };
            cue.make_safe();
            let same = before.iter().position(|(at, id)| {
                *id == source
                    && document.cues.get(*at).is_some_and(|old| old.end == sample.start && old.has_same_text(&cue))
            });
            let at = match same {
                Some(position) => before.remove(position).0,
                None => {
                    document.push(cue, &place)?;
                    document.cues.len().saturating_sub(1)
                }
            };
            if let Some(cue) = document.cues.get_mut(at) {
                cue.end = sample.end;
            }
            self.cues.push((at, source));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::writer::Writer;
    use crate::text::{self, SampleReader};

    fn vttc(out: &mut Vec<u8>, boxes: &[(&[u8; 4], &[u8])]) {
        out.boxed(b"vttc", |b| {
            boxes.iter().for_each(|(kind, content)| b.boxed(kind, |b| b.extend_from_slice(content)))
        });
    }

    fn read(samples: &[(u64, u64, Vec<u8>)]) -> Document {
        let mut reader = SampleReader::new(&text::Entry::Wvtt(Entry::default())).unwrap();
        for (start, end, data) in samples {
            reader.push(Sample { data, start: *start, end: *end }).unwrap();
        }
        reader.finish()
    }

    fn empty() -> Vec<u8> {
        let mut out = Vec::new();
        out.boxed(b"vtte", |_| {});
        out
    }

    fn sample(cues: &[&[(&[u8; 4], &[u8])]]) -> Vec<u8> {
        let mut out = Vec::new();
        cues.iter().for_each(|boxes| vttc(&mut out, boxes));
        out
    }

    fn times(document: &Document) -> Vec<(u64, u64, &str)> {
        document.cues.iter().map(|c| (c.start, c.end, c.payload.as_str())).collect()
    }

    #[test]
    fn the_configuration_is_a_header() {
        let entry = |config: Option<&[u8]>| {
            let mut data = vec![0, 0, 0, 0, 0, 0, 0, 1];
            if let Some(config) = config {
                data.boxed(b"vttC", |b| b.extend_from_slice(config));
                data.boxed(b"vlab", |b| b.extend_from_slice(b"label"));
            }
            Entry::read(&data).map(|entry| entry.header)
        };
        assert_eq!(entry(Some(b"WEBVTT")).unwrap(), "");
        assert_eq!(
            entry(Some(b"WEBVTT\n\nSTYLE\n::cue {}\n\nREGION\nid:a\0")).unwrap(),
            "STYLE\n::cue {}\n\nREGION\nid:a"
        );
        assert_eq!(entry(Some(b"")).unwrap(), "");
        assert_eq!(entry(None).unwrap(), "");
        assert!(Entry::read(&[0; 4]).is_err());
        assert!(Entry::read(&[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 99, b'v', b't', b't', b'C']).is_err());
    }

    #[test]
    fn a_cue_over_several_samples_is_one() {
        let a: &[(&[u8; 4], &[u8])] = &[(b"payl", b"a")];
        let b: &[(&[u8; 4], &[u8])] = &[(b"sttg", b"line:0"), (b"payl", b"b")];
        let document = read(&[
            (0, 1000, empty()),
            (1000, 2000, sample(&[a])),
            (2000, 3000, sample(&[b, a])),
            (3000, 4000, sample(&[b])),
            (4000, 5000, empty()),
            (5000, 6000, sample(&[b])),
        ]);
        assert_eq!(times(&document), [(1000, 3000, "a"), (2000, 4000, "b"), (5000, 6000, "b")]);
        assert_eq!(document.cues[1].settings, "line:0");
    }

    #[test]
    fn source_ids_tell_equal_cues_apart() {
        let one: &[(&[u8; 4], &[u8])] = &[(b"vsid", &[0, 0, 0, 1]), (b"payl", b"a")];
        let two: &[(&[u8; 4], &[u8])] = &[(b"vsid", &[0, 0, 0, 2]), (b"payl", b"a")];
        let document = read(&[(0, 10, sample(&[one])), (10, 20, sample(&[one, two])), (20, 30, sample(&[two]))]);
        assert_eq!(times(&document), [(0, 20, "a"), (10, 30, "a")]);
    }

    #[test]
    fn inner_timestamps_are_relative_to_the_current_time() {
        let first: &[(&[u8; 4], &[u8])] = &[(b"ctim", b"00:00:10.000"), (b"payl", b"a<00:00:10.500>b")];
        let second: &[(&[u8; 4], &[u8])] = &[(b"ctim", b"00:00:11.000"), (b"payl", b"a<00:00:10.500>b")];
        let document = read(&[(1000, 2000, sample(&[first])), (2000, 3000, sample(&[second]))]);
        assert_eq!(times(&document), [(1000, 3000, "a<00:00:01.500>b")]);
    }

    #[test]
    fn broken_samples_are_left_out_with_a_warning() {
        let a: &[(&[u8; 4], &[u8])] = &[(b"iden", b"1\n2"), (b"payl", b"a\n\nb --> c")];
        let document = read(&[(0, 10, vec![0, 0, 0, 99, b'v', b't', b't', b'c']), (10, 20, sample(&[a]))]);
        assert_eq!(times(&document), [(10, 20, "a\n \nb --&gt; c")]);
        assert_eq!(document.cues[0].identifier, "1 2");
        assert!(document.warnings.concat().starts_with("text sample 1 at 0 ms: wvtt/vttc at byte 0"), "{document:?}");
    }

    #[test]
    fn cues_at_the_same_time_have_a_limit() {
        let a: &[(&[u8; 4], &[u8])] = &[(b"payl", b"a")];
        let data = sample(&vec![a; limits::MAX_SIMULTANEOUS_CUES + 1]);
        let mut reader = SampleReader::new(&text::Entry::Wvtt(Entry::default())).unwrap();
        let error = reader.push(Sample { data: &data, start: 0, end: 10 }).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Limit);
    }
}

//! Samples of a text track become cues.

use super::cue::{Cue, Document, Warnings};
use super::entry::{Entry, Forced};
use super::{tx3g, wvtt};
use crate::error::{Error, Result};

/// A sample with its presentation time.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// Its bytes.
    pub data: &'a [u8],
    /// First moment, in milliseconds of the presentation.
    pub start: u64,
    /// End, in milliseconds; the start of the next sample, so that rounding leaves no gaps.
    pub end: u64,
}

/// Takes the samples of a track in order and gives its cues.
#[derive(Debug)]
pub struct SampleReader {
    format: Format,
    document: Document,
    warnings: Warnings,
    samples: usize,
    forced: usize,
    entry_forced: Forced,
}

#[derive(Debug)]
enum Format {
    Wvtt(wvtt::Continued),
    Tx3g(tx3g::Entry),
}

impl SampleReader {
    /// Starts a track.
    ///
    /// # Errors
    /// `Unsupported` for `stpp`, whose samples are documents of their own and are not converted.
    pub fn new(entry: &Entry) -> Result<Self> {
        let (format, header) = match entry {
            Entry::Wvtt(entry) => (Format::Wvtt(wvtt::Continued::default()), entry.header.clone()),
            Entry::Tx3g(entry) => (Format::Tx3g(entry.clone()), String::new()),
            Entry::Stpp(_) => return Err(Error::unsupported("TTML (stpp) is not converted to WebVTT")),
        };
        Ok(Self {
            format,
            document: Document { header, ..Document::default() },
            warnings: Warnings::default(),
            samples: 0,
            forced: 0,
            entry_forced: entry.forced(),
        })
    }

    /// Takes the next sample. A broken one is left out with a warning; so is one without duration.
    ///
    /// # Errors
    /// `Limit` when cues are too large or too many.
    pub fn push(&mut self, sample: Sample<'_>) -> Result<()> {
        self.samples += 1;
        let (number, start) = (self.samples, sample.start);
        let place = || format!("text sample {number} at {start} ms");
        if sample.end <= sample.start {
            return Ok(());
        }
        let added = match &mut self.format {
            Format::Wvtt(continued) => continued.push(sample, &mut self.document, place),
            Format::Tx3g(entry) => tx3g::read(entry, sample.data).and_then(|text| {
                self.forced += usize::from(text.forced);
                add(&mut self.document, sample, text.payload, place)
            }),
        };
        match added {
            Err(error) if error.kind() == crate::ErrorKind::BadSource => {
                self.warnings.push(|| format!("{}: {error}; it was left out", place()));
                Ok(())
            }
            other => other,
        }
    }

    /// The cues, sorted by start.
    pub fn finish(mut self) -> Document {
        if self.entry_forced != Forced::All && self.forced > 0 {
            let (forced, all) = (self.forced, self.document.cues.len());
            self.warnings.push(|| {
                format!("{forced} forced subtitles stand among {all} in one track; players choose whole tracks, so they are not marked")
            });
        }
        self.document.sort();
        self.document.warnings = self.warnings.finish();
        self.document
    }
}

/// Adds the text of a `tx3g` sample. Equal text that goes on without a gap was cut by a fragment boundary.
fn add(document: &mut Document, sample: Sample<'_>, payload: String, place: impl Fn() -> String) -> Result<()> {
    if payload.trim().is_empty() {
        return Ok(());
    }
    match document.cues.last_mut() {
        Some(last) if last.end == sample.start && last.payload == payload => {
            last.end = sample.end;
            Ok(())
        }
        _ => document.push(Cue { start: sample.start, end: sample.end, payload, ..Cue::default() }, place),
    }
}

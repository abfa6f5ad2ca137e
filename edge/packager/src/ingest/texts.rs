//! Text tracks of MP4: samples of WebVTT and 3GPP timed text become cues of the index, TTML stays where it is.

use core::ops::Range;

use bytes::Bytes;

use super::plan::{Plan, Track};
use super::subtitles::milliseconds;
use crate::error::{Error, Result};
use crate::limits;
use crate::media::time::Instant;
use crate::text::{Document, Entry, Forced, Sample, SampleReader};

/// How much is read at once.
const WINDOW_BYTES: u64 = 1 << 20;

/// What the samples of a text track became.
#[derive(Debug)]
pub enum Text {
    /// Cues, in presentation times.
    Cues {
        /// The cues.
        document: Document,
        /// Whether the track says that all of them are forced.
        forced: bool,
    },
    /// They stay in the source.
    Stored {
        /// RFC 6381.
        codec: String,
    },
}

/// Takes the samples of one track in order.
#[derive(Debug)]
pub struct TextReader {
    entry: Entry,
    reader: Option<SampleReader>,
    /// Start of each sample in milliseconds, and the end of the last one.
    times: Vec<u64>,
    bytes: u64,
    codec: Option<String>,
}

impl TextReader {
    /// Starts a track that has been planned; `None` when it is no text.
    pub fn new(track: &Track) -> Option<Self> {
        let entry = track.text()?.clone();
        let timescale = track.media.timescale;
        let end = Instant { ticks: track.end as i64, timescale };
        let starts = track.presented_times().map(|ticks| milliseconds(Instant { ticks, timescale }));
        let times = starts.chain([milliseconds(end)]).collect();
        Some(Self { reader: SampleReader::new(&entry).ok(), entry, times, bytes: 0, codec: None })
    }

    /// Whether it has to see this sample, counted from 0.
    pub fn wants(&self, sample: usize) -> bool {
        self.reader.is_some() || sample == 0
    }

    /// Brings a sample.
    ///
    /// # Errors
    /// `Limit` with too many or too large cues.
    pub fn push(&mut self, number: usize, data: &[u8]) -> Result<()> {
        if let Some(reader) = &mut self.reader {
            self.bytes = self.bytes.saturating_add(data.len() as u64);
            if self.bytes > limits::MAX_TEXT_TRACK_BYTES {
                let limit = limits::MAX_TEXT_TRACK_BYTES;
                return Err(Error::limit(format!("the samples of a text track have more than {limit} bytes")));
            }
            let start = self.times.get(number).copied().unwrap_or(0);
            let end = self.times.get(number + 1).copied().unwrap_or(start);
            return reader.push(Sample { data, start, end });
        }
        self.codec = Some(self.entry.codecs(Some(data)));
        Ok(())
    }

    /// All samples have been brought.
    pub fn finish(self) -> Text {
        match self.reader {
            Some(reader) => {
                let forced = self.entry.forced() == Forced::All;
                Text::Cues { document: reader.finish(), forced }
            }
            None => Text::Stored { codec: self.codec.unwrap_or_else(|| self.entry.codecs(None)) },
        }
    }
}

/// The pass over the text samples of all tracks.
#[derive(Debug)]
pub struct TextScan {
    track: usize,
    sample: usize,
    reader: Option<TextReader>,
    /// One for each track of the plan that was passed.
    texts: Vec<Option<Text>>,
}

impl TextScan {
    /// Starts with the first track.
    pub fn new(plan: &Plan) -> Self {
        let reader = plan.tracks.first().and_then(TextReader::new);
        Self { track: 0, sample: 0, reader, texts: Vec::new() }
    }

    /// What to read next: a source, and a range that holds whole samples.
    pub fn wanted(&mut self, plan: &Plan) -> Option<(usize, Range<u64>)> {
        loop {
            let track = plan.tracks.get(self.track)?;
            let rest = track.media.samples.get(self.sample..).unwrap_or_default();
            let reader = self.reader.as_ref();
            let Some(first) = rest.first().filter(|_| reader.is_some_and(|r| r.wants(self.sample))) else {
                self.texts.push(self.reader.take().map(TextReader::finish));
                self.track += 1;
                self.sample = 0;
                self.reader = plan.tracks.get(self.track).and_then(TextReader::new);
                continue;
            };
            let mut range = first.offset..first.offset + u64::from(first.size);
            for (number, sample) in (self.sample..).zip(rest).skip(1) {
                let end = sample.offset + u64::from(sample.size);
                let near = sample.offset >= range.end && sample.offset - range.end <= limits::MAX_READ_GAP;
                let wanted = reader.is_some_and(|r| r.wants(number));
                if !near || !wanted || end - range.start > WINDOW_BYTES {
                    break;
                }
                range.end = end;
            }
            if !range.is_empty() {
                return Some((track.source, range));
            }
            self.sample += 1;
        }
    }

    /// Brings the bytes of [`Self::wanted`].
    ///
    /// # Errors
    /// `Limit` with too many or too large cues.
    pub fn supply(&mut self, plan: &Plan, bytes: &Bytes) -> Result<()> {
        let (Some(track), Some(reader)) = (plan.tracks.get(self.track), &mut self.reader) else { return Ok(()) };
        let rest = track.media.samples.get(self.sample..).unwrap_or_default();
        let Some(start) = rest.first().map(|s| s.offset) else { return Ok(()) };
        for sample in rest {
            let own = sample.offset.checked_sub(start).and_then(|at| {
                let at = usize::try_from(at).ok()?;
                bytes.get(at..at.checked_add(sample.size as usize)?)
            });
            let Some(own) = own.filter(|_| reader.wants(self.sample)) else { break };
            reader.push(self.sample, own)?;
            self.sample += 1;
        }
        Ok(())
    }

    /// What became of the text of each track of the plan.
    pub fn finish(self) -> Vec<Option<Text>> {
        self.texts
    }
}

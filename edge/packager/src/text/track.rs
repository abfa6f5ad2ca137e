//! A text track in a file, read by ranges.

use core::ops::Range;

use super::cue::Document;
use super::entry::Entry;
use super::sample::{Sample, SampleReader};
use crate::error::{Error, Result};
use crate::limits;

/// How much is read at once; a sample larger than this is read whole.
const WINDOW_BYTES: u64 = 1 << 20;

/// A sample of a text track and where it is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoredSample {
    /// Position of its first byte in the file.
    pub offset: u64,
    /// Bytes.
    pub size: u32,
    /// First moment, in milliseconds of the presentation.
    pub start: u64,
    /// End, in milliseconds: the start of the next sample.
    pub end: u64,
}

impl StoredSample {
    fn range(&self) -> Range<u64> {
        self.offset..self.offset.saturating_add(u64::from(self.size))
    }
}

/// Reads the samples of a `wvtt` or `tx3g` track, a stretch of the file at a time.
#[derive(Debug)]
pub struct TrackReader {
    reader: SampleReader,
    samples: Vec<StoredSample>,
    next: usize,
}

impl TrackReader {
    /// Starts a track with its samples in order.
    ///
    /// # Errors
    /// `Unsupported` for `stpp`, `Limit` when the samples are too large together.
    pub fn new(entry: &Entry, samples: Vec<StoredSample>) -> Result<Self> {
        let bytes = samples.iter().fold(0u64, |sum, sample| sum.saturating_add(u64::from(sample.size)));
        if bytes > limits::MAX_TEXT_TRACK_BYTES {
            return Err(Error::limit(format!(
                "the text track has {bytes} bytes, more than {}",
                limits::MAX_TEXT_TRACK_BYTES
            )));
        }
        Ok(Self { reader: SampleReader::new(entry)?, samples, next: 0 })
    }

    /// The next range to read, never empty; `None` when all samples were read.
    ///
    /// # Errors
    /// `Limit` when there are too many cues.
    pub fn wanted(&mut self) -> Result<Option<Range<u64>>> {
        // Samples without bytes show nothing.
        while let Some(sample) = self.samples.get(self.next).filter(|sample| sample.size == 0) {
            self.reader.push(Sample { data: &[], start: sample.start, end: sample.end })?;
            self.next += 1;
        }
        let mut rest = self.samples.get(self.next..).unwrap_or_default().iter();
        let Some(mut range) = rest.next().map(StoredSample::range) else { return Ok(None) };
        for sample in rest {
            let own = sample.range();
            let near = own.start.checked_sub(range.end).is_some_and(|gap| gap <= limits::MAX_READ_GAP);
            if !near || own.end.saturating_sub(range.start) > WINDOW_BYTES {
                break;
            }
            range.end = own.end;
        }
        Ok(Some(range))
    }

    /// Brings the bytes of [`Self::wanted`].
    ///
    /// # Errors
    /// `Limit` when cues are too large or too many; `Internal` when these are not the bytes that were wanted.
    pub fn supply(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(range) = self.wanted()? else { return Ok(()) };
        if range.end.saturating_sub(range.start) != bytes.len() as u64 {
            return Err(Error::internal("other bytes of a text track than were wanted"));
        }
        while let Some(sample) = self.samples.get(self.next) {
            let own = sample.range();
            let at = own.start.checked_sub(range.start).and_then(|at| usize::try_from(at).ok());
            let data = at.and_then(|at| bytes.get(at..)?.get(..sample.size as usize));
            let Some(data) = data else { break };
            self.reader.push(Sample { data, start: sample.start, end: sample.end })?;
            self.next += 1;
        }
        Ok(())
    }

    /// How much is done, 0 to 1.
    pub fn progress(&self) -> f64 {
        if self.samples.is_empty() { 1.0 } else { self.next as f64 / self.samples.len() as f64 }
    }

    /// The cues, sorted by start.
    pub fn finish(self) -> Document {
        self.reader.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::writer::Writer;
    use crate::text;

    /// A file with a `wvtt` sample every `spacing` bytes, and the samples.
    fn file(spacing: usize) -> (Vec<u8>, Vec<StoredSample>) {
        let (mut file, mut samples) = (Vec::new(), Vec::new());
        for number in 0..20u64 {
            let offset = file.len() as u64;
            if number % 5 != 4 {
                file.boxed(b"vttc", |b| {
                    b.boxed(b"payl", |b| b.extend_from_slice(format!("cue {}", number / 2).as_bytes()))
                });
            }
            let size = file.len() as u32 - offset as u32;
            samples.push(StoredSample { offset, size, start: number * 1000, end: number * 1000 + 1000 });
            file.resize(file.len() + spacing, 0xee);
        }
        (file, samples)
    }

    fn read(file: &[u8], samples: &[StoredSample]) -> (Document, usize) {
        let entry = Entry::Wvtt(text::wvtt::Entry::default());
        let mut reader = TrackReader::new(&entry, samples.to_vec()).unwrap();
        let mut reads = 0;
        while let Some(range) = reader.wanted().unwrap() {
            assert!(!range.is_empty());
            reader.supply(&file[range.start as usize..range.end as usize]).unwrap();
            reads += 1;
        }
        assert!(reader.progress() >= 1.0);
        (reader.finish(), reads)
    }

    #[test]
    fn samples_are_read_wherever_they_are() {
        let (near, near_reads) = read(&file(0).0, &file(0).1);
        assert_eq!((near.cues.len(), near_reads), (10, 1));
        assert_eq!((near.cues[0].start, near.cues[0].end, near.cues[0].payload.as_str()), (0, 2000, "cue 0"));
        assert_eq!((near.cues[2].start, near.cues[2].end), (5000, 6000), "the sample before has no bytes");
        let spacing = limits::MAX_READ_GAP as usize + 1;
        let (far, far_reads) = read(&file(spacing).0, &file(spacing).1);
        assert_eq!((far, far_reads), (near.clone(), 16));
        let (file, mut samples) = file(0);
        // Stored backwards, as an editor may leave them.
        let places = samples.iter().map(|s| (s.offset, s.size)).rev().collect::<Vec<_>>();
        samples
            .iter_mut()
            .zip(places)
            .for_each(|(sample, (offset, size))| (sample.offset, sample.size) = (offset, size));
        assert_eq!(read(&file, &samples).0.cues.len(), near.cues.len());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let entry = Entry::Wvtt(text::wvtt::Entry::default());
        let large = StoredSample { size: u32::MAX, end: 1, ..StoredSample::default() };
        assert_eq!(TrackReader::new(&entry, vec![large]).unwrap_err().kind(), crate::ErrorKind::Limit);
        let stpp = Entry::Stpp(text::stpp::Entry::default());
        assert_eq!(TrackReader::new(&stpp, Vec::new()).unwrap_err().kind(), crate::ErrorKind::Unsupported);
        let (file, samples) = file(0);
        let mut reader = TrackReader::new(&entry, samples).unwrap();
        assert_eq!(reader.supply(&file[1..]).unwrap_err().kind(), crate::ErrorKind::Internal);
    }
}

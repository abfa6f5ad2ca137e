//! Reads the video samples of an asset once, for what only their bytes tell: slice headers and captions.

use core::ops::Range;

use bytes::Bytes;

use super::plan::Plan;
use crate::codec::{Scanner, Subsample};
use crate::error::{Error, Result};
use crate::index::block::Stretch;
use crate::limits;
use crate::segment::ts::VideoStream;

/// How much is read at once; a sample larger than this is read whole.
const WINDOW_BYTES: u64 = 8 << 20;

/// What the samples of one track told.
#[derive(Debug, Default)]
pub struct Scanned {
    /// The stretches of all samples, one sample after the other.
    pub stretches: Vec<Stretch>,
    /// How many of them belong to each sample.
    pub counts: Vec<u32>,
    /// Units whose headers could not be read; they count as clear.
    pub broken: u32,
    /// CEA-608 channels (1 to 4) that carry captions, ascending.
    pub cea608: Vec<u8>,
    /// CEA-708 services (1 to 63) that carry captions, ascending.
    pub cea708: Vec<u8>,
    /// Bytes that each sample has as an access unit of a transport stream; empty when the codec has no place there.
    pub access_units: Vec<u32>,
    /// The most bytes by which each of these grows under SAMPLE-AES; empty when that has no form for the codec.
    pub growths: Vec<u32>,
}

impl Scanned {
    /// Forgets the first samples, which turned out not to be presented.
    pub fn drop_first(&mut self, samples: usize) {
        let samples = samples.min(self.counts.len());
        let stretches = self.counts.drain(..samples).map(|c| c as usize).sum::<usize>();
        self.stretches.drain(..stretches.min(self.stretches.len()));
        self.access_units.drain(..samples.min(self.access_units.len()));
        self.growths.drain(..samples.min(self.growths.len()));
    }

    /// Notes a sample as an access unit of a transport stream.
    pub fn access_unit(&mut self, bytes: u32, growth: Option<u32>) {
        self.access_units.push(bytes);
        self.growths.extend(growth);
    }

    /// Takes over what the scanners of a track gathered over all of its samples.
    pub fn close(&mut self, scanners: &[Scanner]) {
        for scanner in scanners {
            let captions = scanner.captions();
            self.broken = self.broken.saturating_add(scanner.broken());
            self.cea608.extend(captions.channels());
            self.cea708.extend(captions.services());
        }
        for numbers in [&mut self.cea608, &mut self.cea708] {
            numbers.sort_unstable();
            numbers.dedup();
        }
    }
}

/// The pass over the samples.
#[derive(Debug)]
pub struct Scan {
    plan: Plan,
    /// One for each track; those of audio stay empty.
    scanned: Vec<Scanned>,
    track: usize,
    sample: usize,
    /// One for each sample entry of the current track.
    scanners: Vec<Scanner>,
    /// How samples are written into a transport stream, one for each sample entry; empty when they cannot be.
    streams: Vec<VideoStream>,
    subsamples: Vec<Subsample>,
    done: u64,
    total: u64,
}

impl Scan {
    /// Starts with the first video track.
    pub fn new(plan: Plan) -> Self {
        let videos = plan.tracks.iter().filter(|t| t.is_video());
        let total = videos.flat_map(|t| &t.media.samples).map(|s| u64::from(s.size)).sum();
        let scanned = plan.tracks.iter().map(|_| Scanned::default()).collect();
        let mut scan = Self {
            plan,
            scanned,
            track: 0,
            sample: 0,
            scanners: Vec::new(),
            streams: Vec::new(),
            subsamples: Vec::new(),
            done: 0,
            total,
        };
        scan.enter();
        scan
    }

    /// How much is done, 0 to 1.
    pub fn progress(&self) -> f64 {
        if self.total == 0 { 1.0 } else { self.done as f64 / self.total as f64 }
    }

    /// What to read next: a source, and a range that holds whole samples.
    pub fn wanted(&mut self) -> Option<(usize, Range<u64>)> {
        loop {
            let track = self.plan.tracks.get(self.track)?;
            let samples = track.media.samples.get(self.sample..).unwrap_or_default();
            let Some(first) = samples.first() else {
                self.leave();
                self.track += 1;
                self.sample = 0;
                self.enter();
                continue;
            };
            let mut range = first.offset..first.offset + u64::from(first.size);
            for sample in samples.iter().skip(1) {
                let end = sample.offset + u64::from(sample.size);
                let near = sample.offset >= range.end && sample.offset - range.end <= limits::MAX_READ_GAP;
                if !near || end - range.start > WINDOW_BYTES {
                    break;
                }
                range.end = end;
            }
            if !range.is_empty() {
                return Some((track.source, range));
            }
            // Samples without bytes, which editors leave behind.
            let (description, sync) = (first.description, first.sync);
            let scanned = self.scanned.get_mut(self.track)?;
            scanned.counts.push(0);
            if let Some(stream) = self.streams.get(description as usize - 1) {
                scanned.access_unit(stream.access_unit_bytes(&[], sync), stream.sample_aes_growth(&[]));
            }
            self.sample += 1;
        }
    }

    /// Brings the bytes of [`Self::wanted`].
    ///
    /// # Errors
    /// `Limit` for a sample that is too large.
    pub fn supply(&mut self, bytes: &Bytes) -> Result<()> {
        let Some((track, scanned)) = self.plan.tracks.get(self.track).zip(self.scanned.get_mut(self.track)) else {
            return Ok(());
        };
        let Some(start) = track.media.samples.get(self.sample).map(|s| s.offset) else { return Ok(()) };
        for sample in track.media.samples.get(self.sample..).unwrap_or_default() {
            let own = sample.offset.checked_sub(start).and_then(|at| {
                let at = usize::try_from(at).ok()?;
                bytes.get(at..at + sample.size as usize)
            });
            let Some(own) = own else { break };
            let scanner = self.scanners.get_mut(sample.description as usize - 1);
            let scanner = scanner.ok_or_else(|| Error::internal("a sample without a scanner"))?;
            scanner
                .scan(own, &mut self.subsamples)
                .map_err(|e| Error::limit(format!("sample {}: {e}", self.sample + 1)))?;
            scanned.counts.push(self.subsamples.len() as u32);
            if let Some(stream) = self.streams.get(sample.description as usize - 1) {
                scanned.access_unit(stream.access_unit_bytes(own, sample.sync), stream.sample_aes_growth(own));
            }
            scanned
                .stretches
                .extend(self.subsamples.iter().map(|s| Stretch { clear: s.clear, protected: s.protected }));
            self.sample += 1;
            self.done += u64::from(sample.size);
        }
        Ok(())
    }

    /// Ends the current track: what its scanners know now is all there is.
    fn leave(&mut self) {
        if let Some(scanned) = self.scanned.get_mut(self.track) {
            scanned.close(&self.scanners);
        }
    }

    /// The plan, and what the samples of each track told.
    pub fn finish(self) -> (Plan, Vec<Scanned>) {
        (self.plan, self.scanned)
    }

    /// Skips to the next video track from the current one on, and gets its scanners ready.
    fn enter(&mut self) {
        while self.plan.tracks.get(self.track).is_some_and(|t| !t.is_video()) {
            self.track += 1;
        }
        if let Some(track) = self.plan.tracks.get(self.track) {
            self.scanners = track.entries.iter().filter_map(|(_, format)| format.config().map(Scanner::new)).collect();
            let streams = track.entries.iter().map(|(entry, _)| VideoStream::from_sample_entry(&entry.bytes));
            self.streams = streams.collect::<Result<_>>().unwrap_or_default();
        }
    }
}

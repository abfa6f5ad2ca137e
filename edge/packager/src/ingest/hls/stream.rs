//! A track of a rendition while it is read: its samples one after the other, in parts of unbroken time.

use super::layout::{StoredFragments, Transport};
use crate::codec::{Config, Scanner, Subsample};
use crate::error::{Error, Result};
use crate::index::block::Stretch;
use crate::ingest::entries::{self, Format, Refusal};
use crate::ingest::scan::Scanned;
use crate::limits;
use crate::media::sample::Sample;
use crate::mp4::movie::Handler;
use crate::segment::ts::VideoStream;
use crate::source::mp4::{OwnedEntry, SourceTrack};

/// A stretch of a track in which time runs on; a discontinuity begins the next one.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Which one it is, in all renditions alike.
    pub id: PartId,
    /// Its first sample.
    pub first: usize,
    /// Decoding time of its first sample as the source has it, in ticks.
    pub start: i64,
}

/// A discontinuity as the playlist counts them, and the breaks of time since then that no tag announced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PartId {
    /// EXT-X-DISCONTINUITY tags so far.
    pub discontinuity: u32,
    /// Breaks without a tag since the last one.
    pub untagged: u32,
}

/// Where a segment of the source begins.
#[derive(Clone, Copy, Debug)]
pub struct SegmentStart {
    /// Its number among the segments.
    pub segment: usize,
    /// The first sample of the track in it.
    pub sample: usize,
}

/// A track while it is read.
#[derive(Debug)]
pub struct Stream {
    /// Everything but times across parts; the samples of each part follow each other.
    pub media: SourceTrack,
    /// What the sample entries of `media` say, in the same order.
    configs: Vec<Config>,
    scanners: Vec<Scanner>,
    /// Scanners of sample entries that have grown since.
    retired: Vec<Scanner>,
    /// How samples are written into a transport stream, as far as their sample entries have a place there.
    streams: Vec<Option<VideoStream>>,
    /// The samples before which parameter sets are written there.
    introduced: Vec<usize>,
    subsamples: Vec<Subsample>,
    /// What the samples told.
    pub scanned: Scanned,
    /// The samples themselves, of text.
    pub texts: Vec<Vec<u8>>,
    text_bytes: usize,
    /// In order.
    pub parts: Vec<Part>,
    /// In order; segments without a sample of the track have none.
    pub starts: Vec<SegmentStart>,
    /// How the samples lie in a transport stream, if they do; the offset of a sample is the number of its place then.
    pub transport: Option<Transport>,
    /// How its fragments are stored, if it is in fragments.
    pub stored: Option<StoredFragments>,
    /// The clock of a transport stream at the last sample, without wraps.
    pub clock: Option<i64>,
    /// Whether a transport stream says that it is an audio description.
    pub audio_description: bool,
    /// What looks wrong, for people.
    pub warnings: Vec<String>,
    repaired: usize,
    discontinuity: u32,
    /// The next sample begins a part, or follows a hole of this many ticks.
    fresh: bool,
    hole: i64,
    last_time: i64,
    segment: usize,
    segment_open: bool,
}

/// A sample to be added.
#[derive(Clone, Copy, Debug)]
pub struct NewSample<'a> {
    /// Its `duration` is the usual one, 0 when it is not known; `description` counts the sample entries of the stream.
    pub sample: Sample,
    /// Decoding time as the source has it, in ticks.
    pub time: i64,
    /// Its bytes.
    pub data: &'a [u8],
}

impl Stream {
    /// A track that has no sample yet; `media` says what it is.
    pub fn new(media: SourceTrack) -> Self {
        Self {
            media: SourceTrack { sample_entries: Vec::new(), ..media },
            configs: Vec::new(),
            scanners: Vec::new(),
            retired: Vec::new(),
            streams: Vec::new(),
            introduced: Vec::new(),
            subsamples: Vec::new(),
            scanned: Scanned::default(),
            texts: Vec::new(),
            text_bytes: 0,
            parts: Vec::new(),
            starts: Vec::new(),
            transport: None,
            stored: None,
            clock: None,
            audio_description: false,
            warnings: Vec::new(),
            repaired: 0,
            discontinuity: 0,
            fresh: true,
            hole: 0,
            last_time: 0,
            segment: 0,
            segment_open: false,
        }
    }

    /// Whether it is video.
    pub fn is_video(&self) -> bool {
        self.media.handler == Handler::Video
    }

    /// The number of a sample entry, from 1; a new one gets the next.
    ///
    /// # Errors
    /// What refuses the track: a codec that is not handled; or the asset: encryption, too many entries.
    pub fn entry(&mut self, entry: &OwnedEntry) -> Result<u32, Refusal> {
        let known = self.media.sample_entries.iter().position(|e| e.bytes == entry.bytes);
        if let Some(number) = known {
            return Ok(number as u32 + 1);
        }
        if self.media.sample_entries.len() >= limits::MAX_SAMPLE_ENTRIES {
            let message = format!("samples use more than {} sample entries", limits::MAX_SAMPLE_ENTRIES);
            return Err(Refusal::Asset(Error::limit(message)));
        }
        let config = match entries::read_entry(self.media.handler, entry)? {
            Format::Media(config) => *config,
            Format::Text(_) => {
                self.media.sample_entries.push(entry.clone());
                return Ok(self.media.sample_entries.len() as u32);
            }
        };
        self.scanners.push(Scanner::new(&config));
        self.streams.push(VideoStream::from_sample_entry(&entry.bytes).ok());
        self.configs.push(config);
        self.media.sample_entries.push(entry.clone());
        Ok(self.configs.len() as u32)
    }

    /// Sets a sample entry, counted from 0, to what it is now: a transport stream may complete it late.
    pub fn set_entry(&mut self, number: usize, entry: OwnedEntry, config: &Config) {
        match self.media.sample_entries.get_mut(number) {
            Some(known) if known.bytes == entry.bytes => return,
            Some(known) => *known = entry.clone(),
            None if number == self.configs.len() => {
                self.streams.push(VideoStream::from_sample_entry(&entry.bytes).ok());
                self.media.sample_entries.push(entry);
                self.configs.push(config.clone());
                self.scanners.push(Scanner::new(config));
                return;
            }
            None => return,
        }
        if let (Some(known), Some(scanner)) = (self.configs.get_mut(number), self.scanners.get_mut(number)) {
            *known = config.clone();
            self.retired.push(core::mem::replace(scanner, Scanner::new(config)));
        }
        if let Some(stream) = self.streams.get_mut(number) {
            *stream = VideoStream::from_sample_entry(&entry.bytes).ok();
        }
    }

    /// Whether the next sample begins a part.
    pub fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// When the next sample should begin, in ticks; `None` at the beginning of a part.
    pub fn expected(&self) -> Option<i64> {
        let usual = self.media.samples.last().map(|s| i64::from(s.duration))?;
        (!self.fresh).then(|| self.last_time.saturating_add(usual))
    }

    /// What a sample entry says, counted from 1.
    pub fn config(&self, description: u32) -> Option<&Config> {
        self.configs.get((description as usize).checked_sub(1)?)
    }

    /// A segment of the source begins; `discontinuity` counts the tags up to it.
    pub fn begin_segment(&mut self, segment: usize, discontinuity: u32) {
        self.segment = segment;
        self.segment_open = true;
        if discontinuity != self.discontinuity {
            self.discontinuity = discontinuity;
            self.fresh = true;
            self.hole = 0;
        }
    }

    /// The playlist says that media of this many microseconds are missing here.
    pub fn expect_hole(&mut self, micros: u64) {
        let ticks = u128::from(micros) * u128::from(self.media.timescale) / 1_000_000;
        self.hole = self.hole.saturating_add(i64::try_from(ticks).unwrap_or(i64::MAX));
    }

    /// Adds a sample.
    ///
    /// # Errors
    /// `Limit` with too many samples, or one that is too large.
    pub fn push(&mut self, new: NewSample<'_>) -> Result<()> {
        let number = self.media.samples.len();
        if number >= limits::MAX_TRACK_SAMPLES {
            return Err(Error::limit(format!("more than {} samples", limits::MAX_TRACK_SAMPLES)));
        }
        let mut sample = new.sample;
        let mut time = new.time;
        let second = i64::from(self.media.timescale);
        let usual = self.media.samples.last().map_or(0, |s| i64::from(s.duration));
        let gap = time.saturating_sub(self.last_time.saturating_add(usual));
        if self.fresh || gap.unsigned_abs() > second.saturating_add(self.hole).unsigned_abs() {
            self.begin_part(number, time, gap)?;
        } else if let Some(last) = self.media.samples.last_mut() {
            let step = time.saturating_sub(self.last_time);
            if step <= 0 {
                self.repaired += 1;
                time = self.last_time.saturating_add(1);
                let moved = i32::try_from(1 - step).unwrap_or(i32::MAX);
                sample.composition_offset = sample.composition_offset.saturating_sub(moved);
                last.duration = 1;
            } else {
                last.duration = u32::try_from(step).unwrap_or(u32::MAX);
            }
        }
        self.hole = 0;
        if self.segment_open {
            self.starts.push(SegmentStart { segment: self.segment, sample: number });
            self.segment_open = false;
        }
        self.last_time = time;
        if sample.duration == 0 && sample.size > 0 {
            // Until the next one comes.
            sample.duration = u32::try_from(usual).unwrap_or(0);
        }
        self.scan(&sample, new.data)?;
        self.media.samples.push(sample);
        Ok(())
    }

    fn begin_part(&mut self, first: usize, start: i64, gap: i64) -> Result<()> {
        if self.parts.len() >= limits::MAX_TIME_BREAKS {
            return Err(Error::limit(format!("time breaks more than {} times", limits::MAX_TIME_BREAKS)));
        }
        let tagged = self.fresh;
        let before = self.parts.last().map(|p| p.id).filter(|id| id.discontinuity == self.discontinuity);
        let untagged = before.map_or(0, |id| id.untagged + 1);
        self.fresh = false;
        if !tagged && self.warnings.len() < limits::MAX_WARNINGS {
            let milliseconds = i128::from(gap) * 1000 / i128::from(self.media.timescale.max(1));
            self.warnings
                .push(format!("time jumps by {milliseconds} ms at sample {} without EXT-X-DISCONTINUITY", first + 1));
        }
        self.parts.push(Part { id: PartId { discontinuity: self.discontinuity, untagged }, first, start });
        Ok(())
    }

    fn scan(&mut self, sample: &Sample, data: &[u8]) -> Result<()> {
        if self.media.handler == Handler::Text {
            self.text_bytes += data.len();
            if self.text_bytes > limits::MAX_TEXT_INDEX_BYTES {
                return Err(Error::limit(format!("more than {} bytes of text", limits::MAX_TEXT_INDEX_BYTES)));
            }
            self.texts.push(data.to_vec());
        }
        if !self.is_video() {
            return Ok(());
        }
        let Some(scanner) = (sample.description as usize).checked_sub(1).and_then(|n| self.scanners.get_mut(n)) else {
            return Err(Error::bad_source(format!(
                "a sample uses sample entry {}, of which there are {}",
                sample.description,
                self.scanners.len()
            )));
        };
        scanner
            .scan(data, &mut self.subsamples)
            .map_err(|e| Error::limit(format!("sample {}: {e}", self.media.samples.len() + 1)))?;
        self.scanned.counts.push(self.subsamples.len() as u32);
        if let Some(Some(stream)) = self.streams.get((sample.description as usize).saturating_sub(1)) {
            let plain = stream.access_unit_bytes(data, false);
            if sample.sync && stream.access_unit_bytes(data, true) != plain {
                self.introduced.push(self.scanned.access_units.len());
            }
            self.scanned.access_unit(plain, stream.sample_aes_growth(data));
        }
        self.scanned
            .stretches
            .extend(self.subsamples.iter().map(|s| Stretch { clear: s.clear, protected: s.protected }));
        Ok(())
    }

    /// Ends the track: what its scanners know now is all there is.
    pub fn finish(&mut self) {
        self.retired.append(&mut self.scanners);
        self.scanned.close(&self.retired);
        self.introduce();
        if self.repaired > 0 {
            self.warnings
                .push(format!("the decoding times of {} samples went back; they were repaired", self.repaired));
        }
        if self.is_video() && self.transport.is_some() {
            self.last_durations();
        }
    }

    /// Adds the parameter sets to the access units that they are written before: only now all of them are known.
    fn introduce(&mut self) {
        if self.scanned.access_units.len() != self.media.samples.len() {
            // Some sample entry has no place in a transport stream, and so the track has none.
            self.scanned.access_units.clear();
            self.scanned.growths.clear();
            return;
        }
        let bytes = |stream: &Option<VideoStream>| {
            stream.as_ref().map_or(0, |s| s.access_unit_bytes(&[], true) - s.access_unit_bytes(&[], false))
        };
        let sets: Vec<u32> = self.streams.iter().map(bytes).collect();
        for number in core::mem::take(&mut self.introduced) {
            let description = self.media.samples.get(number).map_or(0, |s| s.description as usize);
            let own = description.checked_sub(1).and_then(|n| sets.get(n)).copied().unwrap_or(0);
            if let Some(unit) = self.scanned.access_units.get_mut(number) {
                *unit = unit.saturating_add(own);
            }
        }
    }

    /// Gives the last sample of each part the usual duration: transport streams do not say how long a picture lasts.
    fn last_durations(&mut self) {
        let starts: Vec<usize> = self.parts.iter().map(|p| p.first).collect();
        let ends = starts.iter().skip(1).copied().chain([self.media.samples.len()]);
        for (first, end) in starts.iter().copied().zip(ends) {
            let Some(part) = self.media.samples.get_mut(first..end) else { continue };
            if let [rest @ .., last] = part
                && !rest.is_empty()
            {
                last.duration = usual_duration(rest);
            }
        }
    }
}

/// The duration in the middle of the last ones: a hole or a late frame does not change it.
fn usual_duration(samples: &[Sample]) -> u32 {
    let last = samples.get(samples.len().saturating_sub(9)..).unwrap_or_default();
    let mut durations: Vec<u32> = last.iter().map(|s| s.duration).collect();
    durations.sort_unstable();
    durations.get(durations.len() / 2).copied().unwrap_or(0)
}

//! A range of a live channel as the index of an asset, over the objects that are stored anyway.

use core::ops::Range;
use std::collections::BTreeMap;

use super::append::slice;
use crate::error::{Error, Result};
use crate::index::block::{self, Source};
use crate::index::head::{Cut, Media};
use crate::index::{Fragment, Head, Track};
use crate::limits;
use crate::media::window::{cut_us, ticks};
use crate::route::TrackName;
use crate::segment::transport;

/// Consecutive positions of one period.
#[derive(Clone, Copy, Debug)]
pub struct Stretch<'a> {
    /// The head of their index: that of a part, or of a position ([`split`]).
    pub head: &'a Head,
    /// Their blocks as they stand after a head: those of the first track, then those of the second, and so on.
    pub blocks: &'a [u8],
    /// Whether a period begins with them.
    pub begins_period: bool,
}

/// The index of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Harvested {
    /// The whole index.
    pub bytes: Vec<u8>,
    /// Length of its head.
    pub head_bytes: u64,
    /// From when to when it really is, presentation time of the timeline in microseconds.
    pub range: Range<u64>,
}

/// The head of each position of a head by itself: that of the open part, whose blocks are in an object for each position.
pub fn split(head: &Head) -> Vec<Head> {
    let starts = || head.cuts.iter().enumerate().filter(|(at, cut)| *at == 0 || cut.source_segment).map(|(at, _)| at);
    let ends = starts().skip(1).chain([head.cuts.len()]);
    starts().zip(ends).map(|(start, end)| slice(head, start..end)).collect()
}

/// Makes the index of what is presented in `range`, in microseconds of presentation time, whole groups of pictures. Its own
/// presentation time begins at 0, and runs on where a period begins, even when time went by in between or nothing was left of
/// the end of the period before.
///
/// # Errors
/// `NotFound` when nothing is there, `Unsupported` when tracks differ in a way that an index has no form for, `Limit` when it
/// would be too large, `BadSource` when blocks break their format.
pub fn index(stretches: &[Stretch<'_>], range: Range<u64>) -> Result<Harvested> {
    let mut harvest = Harvest::default();
    for stretch in stretches {
        let head = stretch.head;
        let end = |cut: usize| cut_us(head, cut + 1);
        let first = (0..head.cuts.len()).find(|cut| end(*cut) > range.start).unwrap_or(head.cuts.len());
        let last = (first..head.cuts.len()).find(|cut| cut_us(head, *cut) >= range.end).unwrap_or(head.cuts.len());
        // What was lost of all tracks ends a period, and a segment cannot last longer than its media.
        let last = (first..last).rev().find(|cut| has_samples(head, *cut)).map_or(first, |cut| cut + 1);
        if first < last {
            harvest.add(stretch, first..last)?;
        } else if stretch.begins_period {
            harvest.begins = true;
        }
    }
    harvest.finish()
}

/// Whether any track has anything in a cut.
fn has_samples(head: &Head, cut: usize) -> bool {
    head.tracks.iter().any(|track| track.fragments.get(cut).is_some_and(|fragment| fragment.samples > 0))
}

/// What was gathered so far.
#[derive(Debug, Default)]
struct Harvest {
    cuts: Vec<Cut>,
    tracks: Vec<Gathered>,
    names: BTreeMap<TrackName, usize>,
    /// How much earlier in the asset everything is than in the timeline, in microseconds.
    shift: u64,
    /// Where the last period ends in the asset, in microseconds.
    end: u64,
    /// A period begins with the next cut.
    begins: bool,
    range: Option<Range<u64>>,
}

/// A track that was gathered.
#[derive(Debug)]
struct Gathered {
    /// Decoding times are those of the timeline as long as `shift` is not taken from them.
    track: Track,
    blocks: Vec<u8>,
    /// For each fragment, how much earlier it is in the asset, in microseconds.
    shifts: Vec<u64>,
    /// The same for the end of the track.
    end_shift: u64,
}

impl Harvest {
    fn add(&mut self, stretch: &Stretch<'_>, cuts: Range<usize>) -> Result<()> {
        let head = stretch.head;
        if !head.alone {
            return Err(Error::bad_source("index: the fragments do not stand alone"));
        }
        let (start, end) = (cut_us(head, cuts.start), cut_us(head, cuts.end));
        let period = self.cuts.is_empty() || self.begins || stretch.begins_period;
        self.begins = false;
        if period {
            // What went by between two periods is left out.
            self.shift = start.saturating_sub(self.end);
        }
        if self.cuts.len() + cuts.len() > limits::MAX_CUTS {
            return Err(Error::limit(format!("the range has more than {} cuts", limits::MAX_CUTS)));
        }
        let known = self.cuts.len();
        for at in cuts.clone() {
            let whole = cut_us(head, at).saturating_sub(self.shift) / 1_000_000;
            let second = u32::try_from(whole).map_err(|_| Error::limit("the range is too long"))?;
            let source_segment = head.cuts.get(at).is_some_and(|c| c.source_segment);
            let second = if self.cuts.is_empty() { 0 } else { second };
            self.cuts.push(Cut { second, source_segment, period: period && at == cuts.start && known > 0 });
        }
        let mut offset = 0usize;
        for track in &head.tracks {
            let lengths = || track.fragments.iter().map(|f| f.block_bytes as usize);
            let first: usize = offset + lengths().take(cuts.start).sum::<usize>();
            let length: usize = lengths().skip(cuts.start).take(cuts.len()).sum();
            let blocks = stretch.blocks.get(first..first + length);
            let blocks =
                blocks.ok_or_else(|| Error::bad_source("the blocks of a part are shorter than its head says"))?;
            offset += lengths().sum::<usize>();
            let place = self.place(track, known)?;
            if let Some(own) = self.tracks.get_mut(place) {
                own.take(track, cuts.clone(), blocks, self.shift)?;
            }
        }
        for own in &mut self.tracks {
            own.fill(self.cuts.len(), start, self.shift);
        }
        self.end = end.saturating_sub(self.shift);
        self.range = Some(self.range.as_ref().map_or(start, |r| r.start)..end);
        Ok(())
    }

    /// Where a track is gathered; when it is new, it has nothing in the cuts before.
    fn place(&mut self, track: &Track, cuts: usize) -> Result<usize> {
        if let Some(place) = self.names.get(&track.name) {
            return Ok(*place);
        }
        if self.tracks.len() == limits::MAX_TRACKS {
            return Err(Error::limit(format!("the range has more than {} tracks", limits::MAX_TRACKS)));
        }
        let own =
            Track { fragments: Vec::new(), pieces: Vec::new(), sample_entries: Vec::new(), end: 0, ..track.clone() };
        let mut gathered = Gathered { track: own, blocks: Vec::new(), shifts: Vec::new(), end_shift: 0 };
        // Time 0 of the asset: where the first cut is.
        let start = self.range.as_ref().map_or(0, |r| r.start);
        gathered.fill(cuts, start, start);
        self.names.insert(track.name, self.tracks.len());
        self.tracks.push(gathered);
        Ok(self.tracks.len() - 1)
    }

    fn finish(self) -> Result<Harvested> {
        let Some(range) = self.range else {
            return Err(Error::not_found("nothing of the channel is there in this range"));
        };
        if range.end.saturating_sub(range.start) / 1_000_000 > limits::MAX_DURATION_SECONDS {
            let message = format!("the range is longer than {} seconds", limits::MAX_DURATION_SECONDS);
            return Err(Error::limit(message));
        }
        // Pictures that are decoded before time 0 move everything back.
        let lead = self.tracks.iter().filter(|own| own.track.is_video()).map(Gathered::lead).max().unwrap_or(0);
        let (tracks, blocks): (Vec<Track>, Vec<Vec<u8>>) = self.tracks.into_iter().map(|own| own.finish(lead)).unzip();
        let mut head = Head { alone: true, cuts: self.cuts, tracks };
        let blocks = blocks.concat();
        if blocks.len() as u64 > limits::MAX_INDEX_BYTES {
            return Err(Error::limit(format!(
                "the index of the range has more than {} bytes",
                limits::MAX_INDEX_BYTES
            )));
        }
        // Times are other ones, and with them where a clock is due.
        transport::count(&mut head, &blocks)?;
        let mut bytes = head.write();
        let head_bytes = bytes.len() as u64;
        if head_bytes > limits::MAX_HEAD_BYTES {
            return Err(Error::limit(format!("the head of the range has more than {} bytes", limits::MAX_HEAD_BYTES)));
        }
        bytes.extend_from_slice(&blocks);
        Ok(Harvested { bytes, head_bytes, range })
    }
}

impl Gathered {
    /// Takes some fragments of a track of the same name.
    fn take(&mut self, next: &Track, cuts: Range<usize>, blocks: &[u8], shift: u64) -> Result<()> {
        let own = &mut self.track;
        let name = own.name;
        let form = |t: &Track| {
            let numbers = (t.timescale, t.unit, t.edit_media_time, t.constant_duration, t.sync, t.stored);
            let marks = (t.composition, t.stretches, t.annex_b, t.transport, t.sample_aes);
            let kind = core::mem::discriminant::<Media>(&t.media);
            (numbers, marks, kind, t.storage.clone())
        };
        if form(own) != form(next) {
            let message = format!("track {name} becomes another kind of track in the range: make two ranges of it");
            return Err(Error::unsupported(message));
        }
        let mut numbers = Vec::with_capacity(next.sample_entries.len());
        for entry in &next.sample_entries {
            let known = own.sample_entries.iter().position(|e| e == entry);
            numbers.push(known.unwrap_or(own.sample_entries.len()) as u32 + 1);
            if known.is_none() {
                own.sample_entries.push(entry.clone());
            }
        }
        if own.sample_entries.len() > limits::MAX_SAMPLE_ENTRIES {
            let most = limits::MAX_SAMPLE_ENTRIES;
            return Err(Error::limit(format!("track {name} has more than {most} sample entries in the range")));
        }
        own.closed &= next.closed;
        own.reorder = own.reorder.max(next.reorder);
        for fragment in next.fragments.get(cuts.clone()).unwrap_or_default() {
            let number = (fragment.description as usize).checked_sub(1).and_then(|n| numbers.get(n));
            let description = number.copied().unwrap_or(1);
            own.fragments.push(Fragment { description, ..*fragment });
            self.shifts.push(shift);
        }
        own.end = if cuts.end < next.fragments.len() { next.start(cuts.end) } else { next.end };
        self.end_shift = shift;
        self.blocks.extend_from_slice(blocks);
        Ok(())
    }

    /// Adds fragments without samples, at `time` microseconds, until there are so many.
    fn fill(&mut self, fragments: usize, time: u64, shift: u64) {
        while self.track.fragments.len() < fragments {
            let start = self.blocks.len();
            block::write(&self.track, &Source::default(), &mut self.blocks);
            let block_bytes = (self.blocks.len() - start) as u32;
            let decode_time = ticks(time, self.track.timescale);
            self.track.fragments.push(Fragment { decode_time, description: 1, block_bytes, ..Fragment::default() });
            self.shifts.push(shift);
        }
    }

    /// How long before time 0 of the asset it is decoded first, in microseconds, rounded up.
    fn lead(&self) -> u64 {
        let first = self.track.fragments.first().map_or(0, |f| f.decode_time);
        let shift = self.shifts.first().copied().unwrap_or(0);
        let ticks = ticks(shift, self.track.timescale).saturating_sub(first);
        (ticks.saturating_mul(1_000_000)).div_ceil(u64::from(self.track.timescale.max(1)))
    }

    /// The track with the times of the asset, all of them `lead` microseconds later, and its blocks.
    fn finish(self, lead: u64) -> (Track, Vec<u8>) {
        let Self { mut track, blocks, shifts, end_shift } = self;
        let timescale = track.timescale;
        let moved = |time: u64, shift: u64| {
            let signed = |ticks: u64| i64::try_from(ticks).unwrap_or(i64::MAX);
            signed(time) - signed(ticks(shift.saturating_sub(lead), timescale))
        };
        let times = track.fragments.iter().zip(&shifts).map(|(f, shift)| moved(f.decode_time, *shift));
        let times: Vec<i64> = times.collect();
        if !track.is_video() {
            // Sound that begins before the first picture is hidden like the priming of an encoder.
            track.edit_media_time = times.iter().copied().min().unwrap_or(0).min(0).unsigned_abs();
        }
        // Where periods were put together, the next one may begin a little before the end of the one before it.
        let mut least = 0;
        for (fragment, time) in track.fragments.iter_mut().zip(times) {
            least = time.saturating_add_unsigned(track.edit_media_time).max(least);
            fragment.decode_time = least.unsigned_abs();
        }
        track.end = moved(track.end, end_shift).max(0).unsigned_abs();
        (track, blocks)
    }
}

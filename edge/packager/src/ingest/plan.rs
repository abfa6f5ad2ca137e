//! From the tracks of all files to a plan of the asset: which samples are kept, when they are presented, where they are
//! cut. `docs/time.md` explains the times.

use core::cmp::Ordering;

use super::SourceFile;
use super::cutting;
use super::entries::{Format, Refusal, read_entry};
use crate::error::{Error, Result};
use crate::index::head;
use crate::limits;
use crate::media::sample::Sample;
use crate::media::time::Instant;
use crate::mp4::movie::Handler;
use crate::route::{TrackKind, TrackName};
use crate::source::edit::{self, Placement};
use crate::source::mp4::{OwnedEntry, SourceTrack};
use crate::text;

mod text_track;

/// Frames of audio that may stand before the presentation starts so that the decoder is primed.
const PRIMING_FRAMES: usize = 8;

/// A track of the asset.
#[derive(Debug)]
pub struct Track {
    /// Its name in URLs.
    pub name: TrackName,
    /// Which source file it is in.
    pub source: usize,
    /// As the file has it; `samples` are those that are kept, with composition offsets as they will be written.
    pub media: SourceTrack,
    /// The sample entries that samples use, in the order of their new numbers.
    pub entries: Vec<(OwnedEntry, Format)>,
    /// Decoding time of the first sample in the output, in ticks.
    pub decode_time: u64,
    /// Media time of presentation time 0, in ticks; only audio has one.
    pub edit_media_time: u64,
    /// Presentation time of the end, in ticks.
    pub end: u64,
    /// Whether no group of pictures needs an earlier one.
    pub closed: bool,
    /// First sample of each cut.
    pub cuts: Vec<usize>,
    /// How many samples of the source were left out before the first one.
    pub dropped: usize,
    /// Composition offsets of video stay as they are stored, and the edit list says where the presentation begins.
    pub composition_as_stored: bool,
    placement: Placement,
}

/// The asset.
#[derive(Debug)]
pub struct Plan {
    /// Its tracks, in the order of the sources.
    pub tracks: Vec<Track>,
    /// Where they can be cut; periods are not marked yet.
    pub cuts: Vec<head::Cut>,
    /// When the cuts are presented.
    pub times: Vec<Instant>,
}

/// Makes the plan of an asset of media files.
///
/// # Errors
/// `Unsupported` when nothing is left to play or a track is encrypted, `BadSource` when the ladder cannot be cut.
pub fn make(files: &[SourceFile], media: Vec<(usize, SourceTrack)>, warnings: &mut Vec<String>) -> Result<Plan> {
    let mut tracks = present(files, media, None, warnings)?;
    let (seconds, times) = cutting::cut(&mut tracks, files, warnings)?;
    let cuts = seconds.into_iter().map(|second| head::Cut { second, ..head::Cut::default() });
    Plan { tracks, cuts: cuts.collect(), times }.finish(files)
}

/// The most sound before the first picture that counts as priming, in nanoseconds: what encoders leave there that write no
/// edit list, because pictures wait for those that are decoded before them. Two pictures at 25 a second, and a little.
const LEAD: i64 = 100_000_000;

/// The tracks that can be played, in their places on the timeline, not cut yet. `at` is when the first picture, or sound
/// where there is none, is presented; `None` for a title, which begins with itself.
///
/// # Errors
/// `Unsupported` when nothing is left to play or a track is encrypted.
pub fn present(
    files: &[SourceFile],
    media: Vec<(usize, SourceTrack)>,
    at: Option<Instant>,
    warnings: &mut Vec<String>,
) -> Result<Vec<Track>> {
    let mut tracks = Vec::new();
    let mut left_out = Vec::new();
    for (source, media) in media {
        let file = files.get(source).map_or("", |f| f.path.as_str());
        let place = format!("{file}: track {}", media.id);
        match Track::new(source, media) {
            Ok(mut track) => {
                let messages = track.trim();
                warnings.extend(messages.into_iter().map(|m| format!("{place}: {m}")));
                if track.media.samples.is_empty() {
                    left_out.push(format!("{place} was left out: it has no samples that can be played"));
                } else {
                    tracks.push(track);
                }
            }
            Err(Refusal::Track(error)) => left_out.push(format!("{place} was left out: {error}")),
            Err(Refusal::Asset(error)) => return Err(error.context(place)),
        }
    }
    if tracks.iter().all(Track::is_text) {
        if left_out.is_empty() || !tracks.is_empty() {
            left_out.insert(0, "the sources have no track of sound or picture".to_owned());
        }
        let reason = left_out.join("; ");
        return Err(Error::unsupported(format!("nothing can be played: {reason}")));
    }
    warnings.append(&mut left_out);
    if tracks.len() > limits::MAX_TRACKS {
        return Err(Error::limit(format!("{} tracks are more than {}", tracks.len(), limits::MAX_TRACKS)));
    }
    check_delays(&mut tracks, files, warnings);
    match at.and_then(|at| Some((at, tracks.iter().find(|t| t.is_video()).or(tracks.first())?.first_sample()))) {
        Some((at, first)) => {
            set_times(&mut tracks, |scale| first.in_timescale(scale).saturating_sub(at.in_timescale(scale)))
        }
        None => {
            if let Some(origin) = title_origin(&tracks) {
                set_times(&mut tracks, |scale| origin.in_timescale(scale));
            }
        }
    }
    text_track::place(&mut tracks, files, warnings);
    name(&mut tracks);
    let from = at.map_or(0, |at| at.nanoseconds() / 1_000_000_000).unsigned_abs();
    let lasts = |t: &Track| (t.end / u64::from(t.media.timescale)).saturating_sub(from);
    if let Some(long) = tracks.iter().find(|t| lasts(t) > limits::MAX_DURATION_SECONDS) {
        let seconds = lasts(long);
        return Err(Error::limit(format!(
            "{} lasts {seconds} s, more than {}",
            long.title(files),
            limits::MAX_DURATION_SECONDS
        )));
    }
    Ok(tracks)
}

fn name(tracks: &mut [Track]) {
    let (mut video, mut audio, mut text) = (0, 0, 0);
    for track in tracks {
        let counter = match track.name.kind {
            TrackKind::Video => &mut video,
            TrackKind::Audio => &mut audio,
            TrackKind::Text | TrackKind::Metadata => &mut text,
        };
        track.name.ordinal = *counter;
        *counter += 1;
    }
}

impl Track {
    fn new(source: usize, media: SourceTrack) -> Result<Self, Refusal> {
        let kind = match media.handler {
            Handler::Video => TrackKind::Video,
            Handler::Audio => TrackKind::Audio,
            Handler::Text => TrackKind::Text,
        };
        let mut track = Self {
            name: TrackName { kind, ordinal: 0 },
            source,
            media,
            entries: Vec::new(),
            decode_time: 0,
            edit_media_time: 0,
            end: 0,
            closed: true,
            cuts: Vec::new(),
            dropped: 0,
            composition_as_stored: false,
            placement: Placement::default(),
        };
        let read = track.read_entries();
        // A title is what its owner means without a text track that cannot be read, but not without a picture.
        read.map_err(|refusal| match refusal {
            Refusal::Asset(error) if kind == TrackKind::Text => Refusal::Track(error),
            refusal => refusal,
        })?;
        Ok(track)
    }

    /// Whether it is video.
    pub fn is_video(&self) -> bool {
        self.name.kind == TrackKind::Video
    }

    /// Whether it is text.
    pub fn is_text(&self) -> bool {
        self.name.kind == TrackKind::Text
    }

    /// What the sample entry of a text track says.
    pub fn text(&self) -> Option<&text::Entry> {
        match self.entries.first() {
            Some((_, Format::Text(entry))) => Some(entry),
            _ => None,
        }
    }

    /// File and track, for messages.
    pub fn title(&self, files: &[SourceFile]) -> String {
        let file = files.get(self.source).map_or("", |f| f.path.as_str());
        format!("{file} track {}", self.media.id)
    }

    /// Keeps the sample entries that samples use, numbered anew, and reads what they say.
    fn read_entries(&mut self) -> Result<(), Refusal> {
        // Encrypted media with a clear lead have an entry of either kind; what is clear of them is not the title.
        if let Some(entry) = self.media.sample_entries.iter().find(|e| matches!(&e.kind.0, b"encv" | b"enca")) {
            read_entry(self.media.handler, entry)?;
        }
        // Entries that are the same are one: going from one to the other changes nothing.
        let entries = &self.media.sample_entries;
        let first = |entry: &OwnedEntry| entries.iter().position(|e| e.bytes == entry.bytes).unwrap_or(0) as u32 + 1;
        let firsts: Vec<u32> = entries.iter().map(first).collect();
        let mut used: Vec<u32> = Vec::new();
        for sample in &mut self.media.samples {
            let same = (sample.description as usize).checked_sub(1).and_then(|n| firsts.get(n));
            sample.description = same.copied().unwrap_or(sample.description);
            let at = match used.last() {
                Some(last) if *last == sample.description => used.len() - 1,
                _ => used.iter().position(|d| *d == sample.description).unwrap_or(used.len()),
            };
            if at == used.len() {
                if used.len() >= limits::MAX_SAMPLE_ENTRIES {
                    let message = format!("samples use more than {} sample entries", limits::MAX_SAMPLE_ENTRIES);
                    return Err(Refusal::Asset(Error::limit(message)));
                }
                used.push(sample.description);
            }
            sample.description = at as u32 + 1;
        }
        for description in if used.is_empty() { &[1][..] } else { &used } {
            let entry = (*description as usize).checked_sub(1).and_then(|n| self.media.sample_entries.get(n));
            let entry = entry.ok_or_else(|| {
                let count = self.media.sample_entries.len();
                Refusal::Asset(Error::bad_source(format!(
                    "samples use sample entry {description} of stsd, which has {count}"
                )))
            })?;
            let format = read_entry(self.media.handler, entry)?;
            self.entries.push((entry.clone(), format));
        }
        Ok(())
    }

    /// Drops what is not presented: before the first sync sample, before the group of pictures that the edit list starts
    /// in, and after its end.
    fn trim(&mut self) -> Vec<String> {
        let mut warnings = Vec::new();
        let media = &mut self.media;
        let (placement, warning) = edit::place(&media.edits, media.movie_timescale, media.timescale);
        warnings.extend(warning);
        self.placement = placement;

        let mut first = 0;
        if media.handler == Handler::Video {
            let leading = media.samples.iter().position(|s| s.sync).unwrap_or(media.samples.len());
            if leading > 0 {
                warnings.push(format!("{leading} samples before the first sync sample were left out"));
            }
            first = leading;
            let mut time = i128::from(media.first_decode_time);
            for (number, sample) in media.samples.iter().enumerate() {
                let presented = time + i128::from(sample.composition_offset);
                if sample.sync && number > leading && presented <= i128::from(placement.media_time) {
                    first = number;
                }
                time += i128::from(sample.duration);
            }
        }
        if let Some(end) = placement.media_end {
            let mut time = i128::from(media.first_decode_time) + i128::from(media.duration);
            let mut kept = media.samples.len();
            for sample in media.samples.iter().rev() {
                time -= i128::from(sample.duration);
                if time + i128::from(sample.composition_offset) < i128::from(end) {
                    break;
                }
                kept -= 1;
            }
            if kept > first {
                let dropped = media.samples.drain(kept..).map(|s| u64::from(s.duration)).sum::<u64>();
                media.duration -= dropped;
            }
        }
        self.drop_first(first);
        warnings
    }

    fn drop_first(&mut self, count: usize) {
        let count = count.min(self.media.samples.len());
        let dropped = self.media.samples.drain(..count).map(|s| u64::from(s.duration)).sum::<u64>();
        self.media.first_decode_time += dropped;
        self.media.duration -= dropped;
        self.dropped += count;
    }

    /// Presentation time of a composition time as the edit list says it; may be negative.
    fn presented(&self, composition: i64) -> Instant {
        let shift = self.placement.delay.saturating_sub(self.placement.media_time);
        Instant { ticks: composition.saturating_add(shift), timescale: self.media.timescale }
    }

    /// Lets the track go on at `expected`, a decoding time in ticks. Pictures do if that is where they begin but for rounding, which
    /// may be a tenth of a millisecond. Sound always does, so that what was said of the end before it stays true: two encoders do
    /// not begin their frames at the same times, and one that has just started has none from before its first picture. Frames
    /// that are over by then are left out, what is within half a frame is taken for rounding, and over a hole the first frame lasts.
    pub fn go_on(&mut self, expected: u64) {
        const PICTURES: u32 = 10_000;
        if self.edit_media_time != 0 {
            return;
        }
        if self.is_video() {
            if self.decode_time.abs_diff(expected) <= u64::from(self.media.timescale / PICTURES) {
                self.move_to(expected);
            }
            return;
        }
        if self.decode_time.saturating_add(self.media.duration) <= expected {
            return;
        }
        let mut over = 0;
        for sample in &self.media.samples {
            let half = u64::from(sample.duration / 2);
            if self.decode_time + half >= expected {
                break;
            }
            self.decode_time += u64::from(sample.duration);
            over += 1;
        }
        self.drop_first(over);
        let hole = self.decode_time.saturating_sub(expected);
        let first = self.media.samples.first_mut();
        match first.map(|s| (hole > u64::from(s.duration / 2), s)) {
            Some((true, first)) => {
                let Ok(longer) = u32::try_from(hole) else { return };
                let Some(duration) = first.duration.checked_add(longer) else { return };
                first.duration = duration;
                self.media.duration = self.media.duration.saturating_add(hole);
                self.placement.delay = self.placement.delay.saturating_sub(i64::from(longer));
                self.decode_time = expected;
            }
            _ => self.move_to(expected),
        }
    }

    fn move_to(&mut self, decode_time: u64) {
        self.end = self.end.saturating_add(decode_time).saturating_sub(self.decode_time);
        self.decode_time = decode_time;
    }

    /// The time, as the edit list presents it, that is presentation time 0 of the asset.
    pub fn origin(&self) -> Instant {
        let first = self.timed().next().map_or(0, |(time, s)| time.saturating_add(i64::from(s.composition_offset)));
        let presented = self.decode_time as i64 - self.edit_media_time as i64;
        Instant { ticks: self.presented(first).ticks.saturating_sub(presented), timescale: self.media.timescale }
    }

    /// Decoding times and samples.
    pub(super) fn timed(&self) -> impl Iterator<Item = (i64, &Sample)> {
        let mut time = i64::try_from(self.media.first_decode_time).unwrap_or(i64::MAX);
        self.media.samples.iter().map(move |sample| {
            let own = time;
            time = time.saturating_add(i64::from(sample.duration));
            (own, sample)
        })
    }

    /// When the first sample is presented.
    fn first_sample(&self) -> Instant {
        self.presented(self.timed().next().map_or(0, |(time, s)| time.saturating_add(i64::from(s.composition_offset))))
    }

    /// When the first picture or sound is presented.
    fn first_presented(&self) -> Instant {
        if self.is_video() {
            let times = self.timed().map(|(time, s)| time.saturating_add(i64::from(s.composition_offset)));
            return self.presented(times.min().unwrap_or(0));
        }
        let start = self.presented(self.timed().next().map_or(0, |(time, s)| time + i64::from(s.composition_offset)));
        // What an edit list skips of audio is priming, not sound.
        let skipped = Instant { ticks: self.placement.delay, timescale: self.media.timescale };
        if self.placement.media_time > 0 && start.order(skipped) == Ordering::Less { skipped } else { start }
    }
}

/// An empty edit that lets a track begin after all the others have ended is a number that went wrong, not a wish.
fn check_delays(tracks: &mut [Track], files: &[SourceFile], warnings: &mut Vec<String>) {
    let end = |t: &Track| Instant {
        ticks: i64::try_from(t.media.duration).unwrap_or(i64::MAX),
        timescale: t.media.timescale,
    };
    let lasting = tracks.iter().enumerate().filter(|(_, t)| !t.is_text());
    let ends: Vec<(usize, Instant)> = lasting.map(|(number, t)| (number, end(t))).collect();
    for (number, track) in tracks.iter_mut().enumerate() {
        let delay = Instant { ticks: track.placement.delay, timescale: track.media.timescale };
        let mut others = ends.iter().filter(|(other, _)| *other != number).peekable();
        if delay.ticks > 0 && others.peek().is_some() && others.all(|(_, end)| end.order(delay) == Ordering::Less) {
            warnings.push(format!(
                "{}: its edit list lets it begin at {delay}, after all other tracks have ended; it begins with them",
                track.title(files)
            ));
            track.placement.delay = 0;
        }
    }
}

/// The time that is the asset's presentation time 0: when the first track of sound or picture starts, or the pictures when
/// sound begins less than [`LEAD`] before them. Some players find nothing at time 0 that a picture does not begin at, and others
/// take the first segment for as long as its pictures, which leaves a hole.
fn title_origin(tracks: &[Track]) -> Option<Instant> {
    let first =
        |of: &dyn Fn(&&Track) -> bool| tracks.iter().filter(of).map(Track::first_presented).min_by(|a, b| a.order(*b));
    let earliest = first(&|t| !t.is_text())?;
    let pictures = first(&|t| t.is_video());
    let near = pictures.filter(|p| p.nanoseconds().saturating_sub(earliest.nanoseconds()) < LEAD);
    Some(near.unwrap_or(earliest))
}

/// Puts the tracks of sound and picture in their places, given presentation time 0 in ticks of any timescale.
fn set_times(tracks: &mut [Track], origin: impl Fn(u32) -> i64) {
    for track in tracks.iter_mut().filter(|t| !t.is_text()) {
        let shift = -origin(track.media.timescale);
        let at = |track: &Track, composition: i64| track.presented(composition).ticks.saturating_add(shift);
        if !track.is_video() {
            // Frames that end before the presentation starts only prime the decoder; a few are enough for that.
            let before = track
                .timed()
                .take_while(|(time, s)| at(track, time.saturating_add(i64::from(s.duration))) <= 0)
                .count();
            track.drop_first(before.saturating_sub(PRIMING_FRAMES));
        }
        let composition = track.media.samples.first().map_or(0, |s| i64::from(s.composition_offset));
        let first = at(track, track.timed().next().map_or(0, |(time, _)| time).saturating_add(composition));
        track.decode_time = first.max(0).unsigned_abs();
        track.edit_media_time = (-first).max(0).unsigned_abs();
        let ends =
            track.timed().map(|(time, s)| time.saturating_add(i64::from(s.composition_offset)) + i64::from(s.duration));
        track.end = at(track, ends.max().unwrap_or(0)).max(0).unsigned_abs();
    }
}

impl Plan {
    /// Checks a plan whose tracks are cut, and makes composition offsets what they will be in the output.
    ///
    /// # Errors
    /// `Limit` or `Unsupported` for what an index cannot hold.
    pub fn finish(mut self, files: &[SourceFile]) -> Result<Self> {
        self.check(files)?;
        self.fold_composition();
        Ok(self)
    }

    /// Refuses what an index cannot hold.
    fn check(&self, files: &[SourceFile]) -> Result<()> {
        for track in &self.tracks {
            let ends = track.cuts.iter().skip(1).copied().chain([track.media.samples.len()]);
            for (&first, end) in track.cuts.iter().zip(ends) {
                let samples = track.media.samples.get(first..end).unwrap_or_default();
                if samples.len() > limits::MAX_SEGMENT_SAMPLES {
                    return Err(Error::limit(format!(
                        "{}: {} samples without a common sync sample, more than {}",
                        track.title(files),
                        samples.len(),
                        limits::MAX_SEGMENT_SAMPLES
                    )));
                }
                if samples.windows(2).any(|w| w[0].description != w[1].description) {
                    return Err(Error::unsupported(format!(
                        "{}: the sample entry changes between two common sync samples, at sample {}",
                        track.title(files),
                        first + 1
                    )));
                }
            }
        }
        Ok(())
    }

    /// Makes composition offsets relative to the first sample of the track, whose presentation time is its decoding time
    /// then: the edit list of video is folded away (CMAF brand `cmf2`). Audio has none.
    fn fold_composition(&mut self) {
        for track in self.tracks.iter_mut().filter(|t| !t.composition_as_stored) {
            let first = track.media.samples.first().map_or(0, |s| s.composition_offset);
            let video = track.is_video();
            for sample in &mut track.media.samples {
                sample.composition_offset = if video { sample.composition_offset.saturating_sub(first) } else { 0 };
            }
        }
    }
}

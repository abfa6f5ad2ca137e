//! Text tracks on the timeline of a title: they neither begin nor lengthen it, and nothing primes their decoder.

use super::{Format, SourceFile, Track};
use crate::media::time::Instant;
use crate::text;

/// The part of the timeline of the sources that is the title.
#[derive(Clone, Copy, Debug)]
struct Title {
    /// Where presentation time 0 is.
    origin: Instant,
    /// Presentation time of its end.
    end: Instant,
}

/// Puts the text tracks in their places once those of sound and picture have theirs. Those without text in the time of the
/// title are left out.
pub fn place(tracks: &mut Vec<Track>, files: &[SourceFile], warnings: &mut Vec<String>) {
    let media = || tracks.iter().filter(|t| !t.is_text());
    let ends = media().map(|t| Instant {
        ticks: i64::try_from(t.end).unwrap_or(i64::MAX),
        timescale: t.media.timescale,
    });
    let Some(origin) = media().next().map(Track::origin) else { return };
    let Some(end) = ends.max_by(|a, b| a.order(*b)) else { return };
    let title = Title { origin, end };
    for track in tracks.iter_mut().filter(|t| t.is_text()) {
        let shift = track.fit(title);
        let name = track.title(files);
        if track.media.samples.is_empty() {
            warnings.push(format!("{name} was left out: none of its samples is presented while the title plays"));
        } else if shift != 0 && matches!(track.entries.first(), Some((_, Format::Text(text::Entry::Stpp(_))))) {
            warnings.push(format!(
                "{name}: the title is presented {} ms {} than its media times say; times inside TTML documents are not changed",
                shift.unsigned_abs(),
                if shift < 0 { "earlier" } else { "later" }
            ));
        }
    }
    tracks.retain(|t| !t.media.samples.is_empty());
}

impl Track {
    /// Cuts the track to what is presented of it in the time of the title. Answers by how many milliseconds it moved.
    fn fit(&mut self, title: Title) -> i64 {
        let timescale = self.media.timescale;
        let shift = title.origin.in_timescale(timescale).saturating_neg();
        let presented = |track: &Self, composition: i64| track.presented(composition).ticks.saturating_add(shift);
        // What an edit list skips is not shown, at either end.
        let skipped = if self.placement.media_time > 0 { presented(self, self.placement.media_time) } else { 0 };
        let first = skipped.max(0);
        let end = title.end.in_timescale(timescale);
        let end = self.placement.media_end.map_or(end, |media_end| presented(self, media_end).min(end));

        let composition = |track: &Self| track.timed().next().map(|(t, s)| t.saturating_add(s.composition_offset.into()));
        let mut start = composition(self).map_or(0, |time| presented(self, time));
        let moved = start.saturating_sub(composition(self).unwrap_or(0));
        let mut over = 0;
        for sample in &self.media.samples {
            let next = start.saturating_add(sample.duration.into());
            if next > first {
                break;
            }
            start = next;
            over += 1;
        }
        self.drop_first(over);
        if let Some(sample) = self.media.samples.first_mut() {
            let early = u32::try_from(first.saturating_sub(start)).unwrap_or(0).min(sample.duration);
            sample.duration -= early;
            self.media.first_decode_time += u64::from(early);
            self.media.duration -= u64::from(early);
            start = start.saturating_add(early.into());
        }
        self.decode_time = start.max(0).unsigned_abs();
        self.edit_media_time = 0;
        let mut time = start;
        let mut kept = 0;
        for sample in &mut self.media.samples {
            if time >= end {
                break;
            }
            let room = u32::try_from(end.saturating_sub(time)).unwrap_or(u32::MAX);
            sample.duration = sample.duration.min(room);
            // Every sample can be shown without the one before it, whatever the flags of its fragment say.
            sample.sync = true;
            time = time.saturating_add(sample.duration.into());
            kept += 1;
        }
        self.media.samples.truncate(kept);
        self.media.duration = time.saturating_sub(start).max(0).unsigned_abs();
        self.end = time.max(0).unsigned_abs();
        Instant { ticks: moved, timescale }.in_timescale(1000)
    }
}

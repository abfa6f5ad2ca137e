//! A stretch of a live channel as one endpoint presents it: the snapshot that live manifests are made from.

use super::presentation::{Presentation, Rendition};
use super::time::rescale;
use crate::config::LiveManifest;
use crate::index::{Head, Track};
use crate::route::TrackName;

/// The snapshot.
#[derive(Debug)]
pub struct Window {
    /// When presentation time 0 was, milliseconds since 1970 UTC.
    pub epoch_ms: u64,
    /// When what is listed became known, milliseconds since 1970 UTC.
    pub published_ms: u64,
    /// By how many milliseconds it is behind the live edge on purpose.
    pub delay_ms: u64,
    /// No segment is longer, in seconds.
    pub target_seconds: u32,
    /// How far back players of DASH may go, in seconds.
    pub depth_seconds: u32,
    /// What manifests say beyond that.
    pub manifest: LiveManifest,
    /// How it moves on.
    pub kind: Kind,
    /// Whether nothing will be added.
    pub closed: bool,
    /// Of which something is listed, ascending; at least one.
    pub periods: Vec<Period>,
}

/// How a window moves on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Old segments leave it.
    Sliding,
    /// It only grows.
    Growing,
    /// It was whole from the beginning.
    Whole,
}

/// A period of a window. The segments of all its renditions are the same ones.
#[derive(Debug)]
pub struct Period {
    /// Its first position in the timeline, listed or not: its name for ever.
    pub first: u64,
    /// Presentation time at which it begins, listed or not, in microseconds.
    pub start_us: u64,
    /// Presentation time at which it ends or what is listed of it does, in microseconds.
    pub end_us: u64,
    /// Whether its clock or its sample entries are new.
    pub discontinuity: bool,
    /// The discontinuity sequence number of its segments.
    pub sequence: u64,
    /// The number of its first listed segment.
    pub number: u64,
    /// The first listed position.
    pub position: u64,
    /// For each listed position, the cut of the head that it begins with.
    pub positions: Vec<usize>,
    /// Its tracks, with what is listed of them.
    pub presentation: Presentation,
}

impl Window {
    /// A track in every period, `None` where it is not offered.
    pub fn track(&self, name: TrackName) -> impl DoubleEndedIterator<Item = (&Period, Option<(&Track, &Rendition)>)> {
        self.periods.iter().map(move |period| (period, period.track(name)))
    }

    /// The number of the first listed segment.
    pub fn number(&self) -> u64 {
        self.periods.first().map_or(0, |p| p.number)
    }
}

impl Window {
    /// The window without segments at the ends of its periods in which no track has anything; what is left of a period ends
    /// where they begin. DASH says nothing of what is lost for everybody (DASH-IF IOP, part 4); when media come back in the
    /// same period, it lists them after all.
    #[must_use]
    pub fn without_lost_ends(mut self) -> Self {
        self.periods.iter_mut().for_each(Period::cut_lost_end);
        if self.periods.iter().any(|p| !p.is_lost()) {
            self.periods.retain(|p| !p.is_lost());
        }
        self
    }
}

impl Period {
    /// Takes away the segments at the end in which no track has anything.
    fn cut_lost_end(&mut self) {
        let Presentation { head, renditions, .. } = &mut self.presentation;
        let full = |cut: usize| head.tracks.iter().any(|t| t.fragments.get(cut).is_some_and(|f| f.samples > 0));
        let Some(reference) = renditions.first() else { return };
        let lost = reference.segments.iter().rev().take_while(|s| !s.fragments.clone().any(full)).count();
        let kept = reference.segments.len() - lost;
        if let Some(first) = reference.segments.get(kept) {
            self.end_us = cut_us(head, first.fragments.start);
            renditions.iter_mut().for_each(|r| r.segments.truncate(kept));
        }
    }

    /// Whether nothing is left of it.
    fn is_lost(&self) -> bool {
        self.presentation.renditions.iter().all(|r| r.segments.is_empty())
    }

    /// A track that is offered.
    pub fn track(&self, name: TrackName) -> Option<(&Track, &Rendition)> {
        self.presentation.offered().find(|(track, _)| track.name == name)
    }

    /// The track that tells the times of segments in which another has nothing: video, or else the first.
    pub fn reference(&self) -> Option<(&Track, &Rendition)> {
        let mut offered = self.presentation.offered();
        offered.find(|(track, _)| track.is_video()).or_else(|| self.presentation.offered().next())
    }

    /// Presentation time at which a cut is, in microseconds; that of the end of what is listed after the last.
    pub fn cut_us(&self, cut: usize) -> u64 {
        let head = &self.presentation.head;
        if cut < head.cuts.len() { cut_us(head, cut) } else { self.end_us }
    }
}

/// Presentation time in microseconds at which a cut is: that of its first picture, or, where no video has any, of what is
/// first there. At the end of the cuts, that of the end of the first track.
pub fn cut_us(head: &Head, cut: usize) -> u64 {
    let full = |track: &&Track| track.fragments.get(cut).is_some_and(|f| f.samples > 0);
    let video = || head.tracks.iter().filter(|t| t.is_video()).find(full);
    let track = video().or_else(|| head.tracks.iter().find(full)).or(head.tracks.first());
    track.map_or(0, |track| micros(track.start(cut), track.timescale))
}

/// Ticks as microseconds.
pub fn micros(ticks: u64, timescale: u32) -> u64 {
    rescale(i64::try_from(ticks).unwrap_or(i64::MAX), timescale, 1_000_000).unsigned_abs()
}

/// Microseconds as ticks.
pub fn ticks(micros: u64, timescale: u32) -> u64 {
    rescale(i64::try_from(micros).unwrap_or(i64::MAX), 1_000_000, timescale).unsigned_abs()
}

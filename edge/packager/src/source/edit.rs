//! What an edit list does to a track (ISO/IEC 14496-12, 8.6.6), as one shift and a window.

use crate::mp4::movie::Edit;

use crate::media::time::rescale;

/// The part of a track's media that is presented, and when. All in ticks of the track.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// Presentation time at which the media begin: the empty edits before them.
    pub delay: i64,
    /// Composition time of the media that is presented at `delay`.
    pub media_time: i64,
    /// Composition time from which on nothing is presented.
    pub media_end: Option<i64>,
}

/// Reads the edits of a track. Empty edits before, and edits that continue each other, are honoured exactly. Anything else
/// (holes, repeats, other rates) is more than one shift can say: the media then play on from the first edit, with a warning.
pub fn place(edits: &[Edit], movie_timescale: u32, timescale: u32) -> (Placement, Option<String>) {
    let ticks = |duration: u64| rescale(i64::try_from(duration).unwrap_or(i64::MAX), movie_timescale, timescale);
    let mut placement = Placement::default();
    let mut rest = edits.iter().peekable();
    while let Some(empty) = rest.next_if(|e| e.media_time.is_none()) {
        placement.delay = placement.delay.saturating_add(ticks(empty.duration));
    }
    let Some(first) = rest.next() else { return (placement, None) };
    placement.media_time = i64::try_from(first.media_time.unwrap_or(0)).unwrap_or(i64::MAX);
    // Durations are in ticks of the movie, so edits that continue each other may be off by one of those.
    let slack = ticks(1).max(1);
    let mut end = placement.media_time.saturating_add(ticks(first.duration));
    let mut plain = first.normal_rate;
    for edit in rest {
        let start = edit.media_time.and_then(|t| i64::try_from(t).ok());
        plain &= edit.normal_rate && start.is_some_and(|s| s.abs_diff(end) <= slack.unsigned_abs());
        end = end.saturating_add(ticks(edit.duration));
    }
    if !plain {
        let count = edits.len();
        let warning =
            format!("its {count} edits are no single stretch at normal speed; the media play on from the first one");
        return (placement, Some(warning));
    }
    // A duration of 0 stands for all of the media: in fragmented files, and in files by careless writers.
    if first.duration != 0 {
        placement.media_end = Some(end);
    }
    (placement, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(duration: u64, media_time: Option<u64>) -> Edit {
        Edit { duration, media_time, normal_rate: true }
    }

    #[test]
    fn delay_and_skip() {
        let (placement, warning) = place(&[edit(500, None), edit(2000, Some(3000))], 1000, 90_000);
        assert_eq!(placement, Placement { delay: 45_000, media_time: 3000, media_end: Some(183_000) });
        assert_eq!(warning, None);
        assert_eq!(place(&[], 1000, 90_000).0, Placement::default());
        assert_eq!(place(&[edit(0, Some(1024))], 1000, 48_000).0.media_end, None);
    }

    #[test]
    fn edits_that_continue_each_other_are_one() {
        let (placement, warning) = place(&[edit(1000, Some(0)), edit(1000, Some(90_010))], 1000, 90_000);
        assert_eq!((placement.media_end, warning), (Some(180_000), None));
    }

    #[test]
    fn anything_else_is_said() {
        let (placement, warning) = place(&[edit(1000, Some(0)), edit(1000, Some(450_000))], 1000, 90_000);
        assert_eq!(placement.media_end, None);
        assert!(warning.unwrap().contains("2 edits"));
        let slow = Edit { normal_rate: false, ..edit(1000, Some(0)) };
        assert!(place(&[slow], 1000, 90_000).1.is_some());
    }
}

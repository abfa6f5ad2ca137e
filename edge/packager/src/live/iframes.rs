//! Where the key frames of a live channel are in its segments.

use core::ops::Range;

use super::renditions::timed;
use crate::index::Track;
use crate::manifest::hls::LiveIframe;
use crate::media::delivery::Delivery;
use crate::media::presentation::Rendition;
use crate::media::window::{Period, micros};
use crate::prepared::{carrier, program};
use crate::segment::{fmp4, transport};

/// For each listed position of a period, the key frame of a track that it begins with. Where the track is not offered,
/// another one tells the times.
pub(super) fn iframes(period: &Period, own: Option<(&Track, &Rendition)>) -> Vec<LiveIframe> {
    let Some((track, rendition)) = own.or_else(|| period.reference()) else { return Vec::new() };
    let head = &period.presentation.head;
    let ends = period.positions.iter().skip(1).copied().chain([head.cuts.len()]);
    let runs: Vec<Range<usize>> = period.positions.iter().copied().zip(ends).map(|(first, end)| first..end).collect();
    let mut frames: Vec<LiveIframe> = timed(track, &runs)
        .into_iter()
        .map(|own| LiveIframe {
            segment: rendition.segments.partition_point(|s| s.fragments.end <= own.fragments.start),
            range: None,
            time: micros(own.start, track.timescale)..micros(own.end, track.timescale),
        })
        .collect();
    if own.is_none() {
        return frames;
    }
    for (at, segment) in rendition.segments.iter().enumerate() {
        let ranges = match rendition.delivery {
            Delivery::Cmaf => fmp4::iframes(carrier(head, track, rendition, at), segment),
            Delivery::Transport { audio } => transport::iframes(program(head, track, rendition, audio), segment),
            _ => Vec::new(),
        };
        // There is one for each fragment that has any picture.
        let full = |fragment: &usize| track.fragments.get(*fragment).is_some_and(|f| f.samples > 0);
        for (fragment, (_, range)) in segment.fragments.clone().filter(full).zip(ranges) {
            if let Ok(position) = period.positions.binary_search(&fragment)
                && let Some(frame) = frames.get_mut(position)
            {
                frame.range = Some(range);
            }
        }
    }
    frames
}

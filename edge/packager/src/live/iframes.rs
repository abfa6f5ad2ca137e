//! Where the key frames of a live channel are in its segments.

use crate::index::Track;
use crate::manifest::hls::LiveIframe;
use crate::media::delivery::Delivery;
use crate::media::presentation::Rendition;
use crate::media::window::Period;
use crate::prepared::{carrier, program};
use crate::segment::{fmp4, transport};

/// For each listed position of a period, the key frame of a track that it begins with.
pub(super) fn iframes(period: &Period, own: Option<(&Track, &Rendition)>) -> Vec<LiveIframe> {
    let mut frames: Vec<LiveIframe> = vec![None; period.positions.len()];
    let Some((track, rendition)) = own else { return frames };
    let head = &period.presentation.head;
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
                *frame = Some((at, range));
            }
        }
    }
    frames
}

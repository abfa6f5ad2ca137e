//! A stretch of a period as an endpoint presents it: the segments of every track, and what they are.

use core::ops::Range;
use std::sync::Arc;

use crate::config::{PackagingConfiguration, Scheme};
use crate::error::{Error, Result};
use crate::index::{Head, Track};
use crate::media::delivery::{self, Delivery};
use crate::media::presentation::{Presentation, Rendition};
use crate::media::protection::{Keys, TrackProtection};
use crate::media::segmenter::Segment;

/// What all stretches of an endpoint share.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    /// The tag in URLs.
    pub tag: u64,
    /// The configuration by which an asset would be packaged in the same way.
    pub configuration: Arc<PackagingConfiguration>,
    /// The content keys, when the endpoint protects.
    pub keys: Option<Arc<Keys>>,
    /// As [`Presentation::query`].
    pub query: String,
}

/// Presents `head`, whose segments are these runs of cuts.
///
/// # Errors
/// `Unsupported` when no key is for a track.
pub(super) fn present(offer: &Offer, head: Head, segments: &[Range<usize>]) -> Result<Presentation> {
    let configuration = offer.configuration.clone();
    let deliveries = delivery::deliveries(&head, &configuration);
    let renditions = head.tracks.iter().zip(deliveries).map(|(track, delivery)| {
        let segments = timed(track, segments);
        let protection = protection(offer, &head, track, delivery, &segments)?;
        Ok(Rendition {
            delivery,
            segments,
            protection,
            // What the encoder announces does not change while the window moves. No key frame lasts longer than its segment.
            peak_bandwidth: track.peak_bitrate.max(1),
            average_bandwidth: track.average_bitrate,
            iframe_bandwidth: if track.is_video() { track.peak_bitrate } else { 0 },
        })
    });
    let renditions = renditions.collect::<Result<_>>()?;
    let (tag, keys, query) = (offer.tag, offer.keys.clone(), offer.query.clone());
    Ok(Presentation { tag, configuration, head, keys, renditions, query })
}

/// When the segments of a track are presented: each lasts until the next one begins. What is empty has times too.
pub(super) fn timed(track: &Track, runs: &[Range<usize>]) -> Vec<Segment> {
    let segments = runs.iter().map(|run| {
        let start = track.start(run.start);
        Segment { fragments: run.clone(), start, end: track.start(run.end).max(start) }
    });
    segments.collect()
}

/// How a track is protected: by one key for ever.
fn protection(
    offer: &Offer,
    head: &Head,
    track: &Track,
    delivery: Delivery,
    segments: &[Segment],
) -> Result<Option<TrackProtection>> {
    let wanted = offer.configuration.protection.as_ref().filter(|_| delivery != Delivery::Absent);
    let Some((wanted, keys)) = wanted.zip(offer.keys.as_ref()) else { return Ok(None) };
    if let Delivery::Transport { audio: Some(at) } = delivery
        && let Some(audio) = head.tracks.get(at)
    {
        let kid = |track| Ok(keys.of(track)?.and_then(|own| own.first().map(|key| key.kid)));
        if kid(track)? != kid(audio)? {
            return Err(Error::unsupported(format!(
                "tracks {} and {} share a transport stream but have different keys: use audio_separation, or one key for all",
                track.name, audio.name
            )));
        }
    }
    let Some(own) = keys.of(track)? else { return Ok(None) };
    let own = own.get(..1).unwrap_or_default();
    let protection = TrackProtection::new(wanted, own, track.timescale, segments)?;
    // Nothing of a channel is its beginning.
    Ok(Some(TrackProtection { clear_segments: 0, ..protection }))
}

/// Whether the samples of a track are under SAMPLE-AES.
pub(super) fn is_sample_aes(rendition: &Rendition) -> bool {
    rendition.protection.as_ref().is_some_and(|p| p.scheme == Scheme::SampleAes)
}

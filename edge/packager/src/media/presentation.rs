//! A title as one packaging configuration presents it: the snapshot that manifests are made from.

use core::cmp::Reverse;
use std::sync::Arc;

use super::delivery::Delivery;
use super::protection::{Keys, TrackProtection};
use super::segmenter::Segment;
use crate::config::{PackagingConfiguration, Scheme, StreamOrder};
use crate::error::{Error, Result};
use crate::index::head::{Audio, Media, Text, Video};
use crate::index::{Head, Track};

/// The snapshot.
#[derive(Debug)]
pub struct Presentation {
    /// Changes whenever a byte of a segment, an init segment or a media playlist would.
    pub tag: u64,
    /// The configuration.
    pub configuration: Arc<PackagingConfiguration>,
    /// What the index says.
    pub head: Head,
    /// The content keys, when the configuration protects.
    pub keys: Option<Arc<Keys>>,
    /// One for each track of the head.
    pub renditions: Vec<Rendition>,
    /// What stands after the URLs of playlists: nothing, or a question mark and a query.
    pub query: String,
}

/// What a configuration makes of a track.
#[derive(Debug, Default)]
pub struct Rendition {
    /// What its segments are.
    pub delivery: Delivery,
    /// In order; their numbers in URLs count from 1, those of live endpoints from the first one that is listed.
    pub segments: Vec<Segment>,
    /// How it is protected; `None` when it is in the clear.
    pub protection: Option<TrackProtection>,
    /// Most bits a second of a segment, boxes included.
    pub peak_bandwidth: u64,
    /// Bits a second over all segments, boxes included.
    pub average_bandwidth: u64,
    /// Most bits a second of what an I-frame playlist points at; 0 for audio.
    pub iframe_bandwidth: u64,
}

impl Rendition {
    /// Whether its key frames can be read by themselves: not out of segments that are encrypted as a whole.
    pub fn has_iframes(&self) -> bool {
        !self.protection.as_ref().is_some_and(TrackProtection::is_whole)
    }
}

/// Peak and average bits a second of segments, given their bytes.
///
/// A last segment shorter than half the target says nothing about the rate a player has to sustain, so it does not count
/// for the peak unless it is alone.
pub fn bandwidth(segments: &[Segment], bytes: impl Iterator<Item = u64>, timescale: u32, target: u32) -> (u64, u64) {
    let rate = |bytes: u64, ticks: u64| {
        let bits = u128::from(bytes) * 8 * u128::from(timescale);
        u64::try_from(bits.div_ceil(u128::from(ticks.max(1)))).unwrap_or(u64::MAX)
    };
    let (mut total, mut ticks, mut peak) = (0u64, 0u64, 0u64);
    for (number, (segment, bytes)) in segments.iter().zip(bytes).enumerate() {
        let duration = segment.duration();
        total = total.saturating_add(bytes);
        ticks = ticks.saturating_add(duration);
        let short = duration.saturating_mul(2) < u64::from(target) * u64::from(timescale);
        if number == 0 || number + 1 < segments.len() || !short {
            peak = peak.max(rate(bytes, duration));
        }
    }
    (peak, rate(total, ticks))
}

/// A track together with what the configuration makes of it.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a, M> {
    /// What the index says.
    pub track: &'a Track,
    /// What the configuration makes of it.
    pub rendition: &'a Rendition,
    /// The part that only its kind has.
    pub media: &'a M,
}

impl Presentation {
    /// All tracks that are offered.
    pub fn offered(&self) -> impl Iterator<Item = (&Track, &Rendition)> {
        let items = self.head.tracks.iter().zip(&self.renditions);
        items.filter(|(_, r)| r.delivery != Delivery::Absent && !r.segments.is_empty())
    }

    /// The video renditions that the stream selection keeps, in its order. Rates are the average rates of the stored media,
    /// which do not depend on the segment duration.
    ///
    /// # Errors
    /// `NotFound` when nothing is left of a title that has video.
    pub fn videos(&self) -> Result<Vec<Item<'_, Video>>> {
        let selection = &self.configuration.stream_selection;
        let low = selection.min_video_bitrate.unwrap_or(0);
        let high = selection.max_video_bitrate.unwrap_or(u64::MAX);
        let mut videos: Vec<_> = self
            .offered()
            .filter_map(|(track, rendition)| match &track.media {
                Media::Video(media) => Some(Item { track, rendition, media }),
                _ => None,
            })
            .filter(|v| (low..=high).contains(&v.track.average_bitrate))
            .collect();
        match selection.order {
            StreamOrder::Original => {}
            StreamOrder::Ascending => videos.sort_by_key(|v| v.track.average_bitrate),
            StreamOrder::Descending => videos.sort_by_key(|v| Reverse(v.track.average_bitrate)),
        }
        if !videos.is_empty() {
            return Ok(videos);
        }
        if !self.head.tracks.iter().any(Track::is_video) {
            let media = |track: &Track| matches!(track.media, Media::Audio(_));
            let none = self.head.tracks.iter().any(media) && !self.offered().any(|(track, _)| media(track));
            return if none { Err(Error::unsupported(self.no_audio())) } else { Ok(videos) };
        }
        let none = self.offered().all(|(track, _)| !track.is_video());
        let scheme = self.configuration.protection.as_ref().map(|p| p.scheme);
        Err(if none && scheme == Some(Scheme::SampleAes) {
            Error::unsupported(
                "no video of this asset has a codec that SAMPLE-AES has a form for in transport streams (H.264)",
            )
        } else if none {
            Error::unsupported("no video of this asset has a codec that MPEG-2 transport streams carry (H.264, H.265)")
        } else {
            Error::not_found("the stream selection of this configuration leaves no video rendition of this asset")
        })
    }

    /// Why no audio is offered of an asset that has some and no video.
    fn no_audio(&self) -> &'static str {
        match self.configuration.protection.as_ref().map(|p| p.scheme) {
            Some(Scheme::SampleAes) => {
                "no audio of this asset has a codec that SAMPLE-AES has a form for (AAC, AC-3, E-AC-3)"
            }
            _ => "no audio of this asset has a codec that HLS has packed audio for (AAC, AC-3, E-AC-3, MP3)",
        }
    }

    /// The audio renditions, in the order of the sources.
    pub fn audios(&self) -> Vec<Item<'_, Audio>> {
        let audios = self.offered().filter_map(|(track, rendition)| match &track.media {
            Media::Audio(media) => Some(Item { track, rendition, media }),
            _ => None,
        });
        audios.collect()
    }

    /// The subtitles, in the order of the sources.
    pub fn texts(&self) -> Vec<Item<'_, Text>> {
        let texts = self.offered().filter_map(|(track, rendition)| match &track.media {
            Media::Text(media) => Some(Item { track, rendition, media }),
            _ => None,
        });
        texts.collect()
    }

    /// Timed metadata, if there are any.
    pub fn events(&self) -> Option<&Track> {
        self.head.tracks.iter().find(|t| t.media == Media::Metadata)
    }

    /// About how many bytes of memory it holds.
    pub fn memory(&self) -> usize {
        let segments = self.renditions.iter().map(|r| r.segments.capacity() * size_of::<Segment>() + 64);
        self.head.memory() + segments.sum::<usize>()
    }
}

impl Item<'_, Video> {
    /// Width and height as shown: sample aspect ratio and quarter turns applied.
    pub fn shown(&self) -> (u32, u32) {
        let (across, down) = (u64::from(self.media.aspect.0.max(1)), u64::from(self.media.aspect.1.max(1)));
        let width = u32::try_from(u64::from(self.media.width) * across / down).unwrap_or(u32::MAX);
        let [a, b, _, c, d, ..] = self.media.matrix;
        if a == 0 && d == 0 && b != 0 && c != 0 { (self.media.height, width) } else { (width, self.media.height) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_last_segment_is_no_peak() {
        let segment = |start, end| Segment { fragments: 0..1, start, end };
        let segments = [segment(0, 6), segment(6, 12), segment(12, 13)];
        let (peak, average) = bandwidth(&segments, [600, 1200, 1000].into_iter(), 1, 6);
        assert_eq!((peak, average), (1600, 1724));
        assert_eq!(bandwidth(&segments[2..], [1000].into_iter(), 1, 6), (8000, 8000));
    }
}

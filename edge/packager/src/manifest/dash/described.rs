//! What the sample entry of a period says of a track: the index says of a track what the first one does, and a discontinuity
//! may bring another resolution, profile or sampling rate.

use super::Period;
use crate::codec::{Config, Handler, SampleEntry};
use crate::index::Track;
use crate::index::head::{Audio, Video};
use crate::media::presentation::Item;

/// A track in one period.
pub(super) struct Described<M> {
    /// RFC 6381.
    pub codecs: String,
    /// What only its kind has.
    pub media: M,
}

pub(super) fn video(item: &Item<'_, Video>, period: &Period) -> Described<Video> {
    let mut described = Described { codecs: item.track.codec.clone(), media: item.media.clone() };
    let config = other_config(item.track, period, Handler::Video);
    if let Some((config, video)) = config.as_ref().and_then(|c| Some((c, c.video()?))) {
        described.codecs.clone_from(&config.codecs);
        (described.media.width, described.media.height) = (video.width, video.height);
        described.media.aspect = video.pixel_aspect.filter(|(w, h)| *w > 0 && *h > 0).unwrap_or((1, 1));
    }
    described
}

pub(super) fn audio(item: &Item<'_, Audio>, period: &Period) -> Described<Audio> {
    let mut described = Described { codecs: item.track.codec.clone(), media: item.media.clone() };
    let config = other_config(item.track, period, Handler::Audio);
    if let Some((config, audio)) = config.as_ref().and_then(|c| Some((c, c.audio()?))) {
        described.codecs.clone_from(&config.codecs);
        described.media = Audio { sample_rate: audio.sample_rate, channels: audio.channels, joc: audio.joc_complexity };
    }
    described
}

/// The configuration in a period where it is not the first one of the track.
fn other_config(track: &Track, period: &Period, handler: Handler) -> Option<Config> {
    let mut fragments = track.fragments.iter().skip(period.cuts.start).take(period.cuts.len());
    let description = fragments.find(|f| f.samples > 0)?.description;
    let entry = track.sample_entries.get((description as usize).checked_sub(1).filter(|n| *n > 0)?)?;
    let (fourcc, data) = (entry.get(4..8)?.first_chunk()?, entry.get(8..)?);
    Config::parse(&SampleEntry { fourcc: *fourcc, handler, data }).ok()
}

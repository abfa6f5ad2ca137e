//! What a multivariant playlist says about each track, for the manifests.

use super::select::Wanted;
use crate::index::head::CaptionService;
use crate::ingest::Description;
use crate::ingest::plan::{Plan, Track};
use crate::m3u8::{InstreamId, Multivariant, Rendition, RenditionKind};
use crate::route::TrackKind;

/// A track for the manifests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// Language, label and role.
    pub description: Description,
    /// Whether manifests leave it out.
    pub hidden: bool,
    /// Of video: the ordinal of the audio that comes in the same segments.
    pub companion: Option<u16>,
    /// Of video: caption channels as the playlist names them.
    pub captions: Vec<CaptionService>,
}

/// CHARACTERISTICS of a description of the picture in words.
const DESCRIBES_VIDEO: &str = "public.accessibility.describes-video";
/// CHARACTERISTICS of subtitles for those who do not hear.
const TRANSCRIBES_DIALOG: &str = "public.accessibility.transcribes-spoken-dialog";
/// See [`TRANSCRIBES_DIALOG`].
const DESCRIBES_SOUND: &str = "public.accessibility.describes-music-and-sound";
/// Bit rates that differ by less than this, in hundredths, are those of one encoding.
const SAME_RATE_PERCENT: u128 = 15;

/// One for each track of the plan.
pub fn offers(multivariant: &Multivariant, wanted: &[Wanted], plan: &Plan) -> Vec<Offer> {
    let has_video = plan.tracks.iter().any(Track::is_video);
    let mut offers: Vec<Offer> = Vec::with_capacity(plan.tracks.len());
    for track in &plan.tracks {
        let Some(wanted) = wanted.get(track.source) else {
            offers.push(Offer::default());
            continue;
        };
        let offer = if track.name.kind == TrackKind::Text {
            let description = wanted.rendition(multivariant).map(subtitles).unwrap_or_default();
            Offer { description, ..Offer::default() }
        } else if track.is_video() {
            video(multivariant, wanted, plan, track.source)
        } else {
            let mut offer = audio(multivariant, wanted);
            // Sound alone as a variant is for lines too slow for pictures; others carry the same.
            let alone = wanted.rendition.is_none()
                && has_video
                && !plan.tracks.iter().any(|t| t.is_video() && t.source == track.source);
            let others =
                || plan.tracks.iter().zip(&offers).filter(|(t, o)| t.name.kind == TrackKind::Audio && !o.hidden);
            let language = |t: &Track, o: &Offer| o.description.language.clone().or_else(|| t.media.language.clone());
            let own = language(track, &offer);
            let copy =
                wanted.rendition.is_none() && others().any(|(t, o)| same_sound(t, track) && language(t, o) == own);
            offer.hidden |= copy || (alone && others().next().is_some());
            offer
        };
        offers.push(offer);
    }
    offers
}

fn video(multivariant: &Multivariant, wanted: &Wanted, plan: &Plan, source: usize) -> Offer {
    let variant = wanted.variant.and_then(|n| multivariant.variants.get(n));
    let group = variant.and_then(|v| v.closed_captions.as_deref());
    let captions = renditions(multivariant, RenditionKind::ClosedCaptions, group).filter_map(|r| {
        let channel = caption_channel(r.instream_id?);
        Some(CaptionService { channel, language: r.language.clone(), label: Some(r.name.clone()) })
    });
    let companion =
        plan.tracks.iter().find(|t| t.name.kind == TrackKind::Audio && t.source == source).map(|t| t.name.ordinal);
    Offer {
        captions: captions.collect(),
        companion: companion.filter(|_| !replaced(multivariant, wanted)),
        ..Offer::default()
    }
}

fn audio(multivariant: &Multivariant, wanted: &Wanted) -> Offer {
    let own = wanted.rendition(multivariant);
    let variant = wanted.variant.and_then(|n| multivariant.variants.get(n));
    let group = variant.and_then(|v| v.audio.as_deref());
    let described = own.or_else(|| renditions(multivariant, RenditionKind::Audio, group).find(|r| r.path.is_none()));
    let hidden = own.is_none() && replaced(multivariant, wanted);
    let Some(rendition) = described else { return Offer { hidden, ..Offer::default() } };
    let describes = rendition.characteristics.iter().any(|c| c == DESCRIBES_VIDEO);
    let description = Description {
        language: rendition.language.clone(),
        label: Some(rendition.name.clone()),
        role: describes.then(|| "description".to_owned()),
        default: rendition.default,
        ..Description::default()
    };
    Offer { description, hidden, ..Offer::default() }
}

/// What is said of a rendition of subtitles.
pub fn subtitles(rendition: &Rendition) -> Description {
    let has = |wanted: &str| rendition.characteristics.iter().any(|c| c == wanted);
    let hearing = has(TRANSCRIBES_DIALOG) || has(DESCRIBES_SOUND);
    let role = if rendition.forced {
        "forced-subtitle"
    } else if hearing {
        "caption"
    } else {
        "subtitle"
    };
    Description {
        language: rendition.language.clone(),
        label: Some(rendition.name.clone()),
        role: Some(role.to_owned()),
        forced: rendition.forced,
        default: rendition.default,
    }
}

/// Whether players replace the sound in the segments of a variant by renditions of its audio group: all of those have a
/// playlist of their own.
fn replaced(multivariant: &Multivariant, wanted: &Wanted) -> bool {
    let variant = wanted.variant.and_then(|n| multivariant.variants.get(n));
    let group = variant.and_then(|v| v.audio.as_deref());
    let mut members = renditions(multivariant, RenditionKind::Audio, group).peekable();
    members.peek().is_some() && members.all(|r| r.path.as_ref().is_some_and(|p| *p != wanted.path))
}

fn renditions<'a>(
    multivariant: &'a Multivariant,
    kind: RenditionKind,
    group: Option<&'a str>,
) -> impl Iterator<Item = &'a Rendition> {
    multivariant.renditions.iter().filter(move |r| r.kind == kind && Some(r.group.as_str()) == group)
}

/// Whether two tracks are the same sound in two variants.
fn same_sound(a: &Track, b: &Track) -> bool {
    let config = |t: &Track| {
        let config = t.entries.first()?.1.config()?;
        let audio = config.audio().map(|a| (a.channels, a.sample_rate));
        Some((config.codecs.clone(), audio))
    };
    let rate = |t: &Track| {
        let bytes = t.media.samples.iter().map(|s| u128::from(s.size)).sum::<u128>();
        bytes * u128::from(t.media.timescale) * 100 / u128::from(t.media.duration.max(1))
    };
    let (low, high) = (rate(a).min(rate(b)), rate(a).max(rate(b)));
    config(a) == config(b) && high * 100 <= low * (100 + SAME_RATE_PERCENT)
}

/// A caption channel as an index names it.
fn caption_channel(id: InstreamId) -> String {
    match id {
        InstreamId::Cea608(channel) => format!("CC{channel}"),
        InstreamId::Cea708(service) => format!("SERVICE{service}"),
    }
}

/// Whether a channel is among those whose captions were found.
pub fn is_found(channel: &str, cea608: &[u8], cea708: &[u8]) -> bool {
    let number = |prefix: &str| channel.strip_prefix(prefix).and_then(|n| n.parse::<u8>().ok());
    number("CC").is_some_and(|n| cea608.contains(&n)) || number("SERVICE").is_some_and(|n| cea708.contains(&n))
}

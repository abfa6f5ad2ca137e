//! What a request learns from the head of an index under one configuration, and what is worth keeping of it.

use std::sync::Arc;

use crate::aes::padded_bytes;
use crate::config::{Iv, Scheme, SourceObject};
use crate::error::{Error, Result};
use crate::index::head::{Media, Storage};
use crate::index::{Head, Track};
use crate::job::Documents;
use crate::manifest::hls::{self, Iframe};
use crate::media::delivery::{self, Delivery};
use crate::media::presentation::{Presentation, Rendition, bandwidth};
use crate::media::protection::TrackProtection;
use crate::media::segmenter::{self, Segment};
use crate::route::TrackName;
use crate::segment::fmp4::{self, Carrier};
use crate::segment::recipe::Secret;
use crate::segment::transport::{self, Encryption, Program};

/// What a job learns from the head of an index under one configuration; kept, it spares the next job that work.
/// It belongs to one pair of asset document and configuration document.
#[derive(Debug)]
pub struct Prepared {
    /// The title as the configuration presents it.
    pub(crate) presentation: Presentation,
    /// The source files of the asset.
    pub(crate) sources: Vec<Arc<SourceObject>>,
}

impl Prepared {
    /// About how many bytes of memory it holds.
    pub fn memory(&self) -> usize {
        self.presentation.memory()
    }

    /// Reads the head of the index of `documents`.
    ///
    /// # Errors
    /// `BadSource` when it breaks its format.
    pub(crate) fn new(documents: &Documents, tag: u64, head: &[u8]) -> Result<Self> {
        let head = Head::read(head, documents.asset.index.bytes)?;
        let sources: Vec<Arc<SourceObject>> = documents.asset.sources.iter().cloned().map(Arc::new).collect();
        for track in &head.tracks {
            if let Storage::File(source) = track.storage
                && usize::from(source) >= sources.len()
            {
                let message =
                    format!("index: track {} is in source {source}, the asset has {}", track.name, sources.len());
                return Err(Error::bad_source(message));
            }
        }
        let configuration = documents.configuration.clone();
        let target = configuration.segment_duration_seconds;
        let segments = segmenter::ladder(&head, target);
        let deliveries = delivery::deliveries(&head, &configuration);
        let tracks = head.tracks.iter().zip(segments).zip(deliveries);
        let renditions = tracks.map(|((track, mut segments), delivery)| {
            if let Delivery::Transport { .. } = delivery {
                reach(&mut segments, head.cuts.len());
            }
            let protection = protection(documents, track, delivery, &segments)?;
            one_key(documents, &head, track, delivery)?;
            let rendition = Rendition { delivery, segments, protection, ..Rendition::default() };
            Ok(measured(&head, track, rendition, target))
        });
        let renditions = renditions.collect::<Result<_>>()?;
        let keys = documents.keys.clone().filter(|_| configuration.protection.is_some());
        Ok(Self {
            presentation: Presentation { tag, configuration, head, keys, renditions, query: String::new() },
            sources,
        })
    }

    /// A track that is offered, and what the configuration makes of it.
    ///
    /// # Errors
    /// `NotFound` when there is none of this name.
    pub(crate) fn find(&self, name: TrackName) -> Result<(&Track, &Rendition)> {
        let mut offered = self.presentation.offered();
        let found = offered.find(|(track, _)| track.name == name);
        found.ok_or_else(|| Error::not_found(format!("this configuration offers no track {name} of the asset")))
    }

    /// The first video track, which audio playlists are aligned to.
    pub(crate) fn reference(&self) -> Option<(&Track, &Rendition)> {
        self.presentation.offered().find(|(track, _)| track.is_video())
    }
}

/// How a track is protected in this form; subtitles never are.
fn protection(
    documents: &Documents,
    track: &Track,
    delivery: Delivery,
    segments: &[Segment],
) -> Result<Option<TrackProtection>> {
    let protected = documents.configuration.protection.as_ref().filter(|_| delivery != Delivery::Absent);
    let Some((wanted, keys)) = protected.zip(documents.keys.as_ref()) else { return Ok(None) };
    let Some(own) = keys.of(track)? else { return Ok(None) };
    TrackProtection::new(wanted, &own, track.timescale, segments).map(Some)
}

/// Refuses a transport stream whose tracks have different keys: a player knows one for all of it.
fn one_key(documents: &Documents, head: &Head, video: &Track, delivery: Delivery) -> Result<()> {
    let Delivery::Transport { audio: Some(at) } = delivery else { return Ok(()) };
    let keys = documents.configuration.protection.as_ref().and(documents.keys.as_ref());
    let (Some(keys), Some(audio)) = (keys, head.tracks.get(at)) else { return Ok(()) };
    let ids = |track| Ok(keys.of(track)?.map(|own| own.iter().map(|k| (k.from_second, k.kid)).collect::<Vec<_>>()));
    if ids(video)? == ids(audio)? {
        return Ok(());
    }
    let (video, audio) = (video.name, audio.name);
    let remedy = "use audio_separation, or one key for all";
    Err(Error::unsupported(format!(
        "tracks {video} and {audio} share a transport stream but have different keys: {remedy}"
    )))
}

/// What is multiplexed with video has to be in some segment even where the video has nothing.
fn reach(segments: &mut [Segment], end: usize) {
    let mut next = end;
    for segment in segments.iter_mut().rev() {
        segment.fragments.end = next.max(segment.fragments.end);
        next = segment.fragments.start;
    }
}

/// The timed metadata that segments of `track` carry: those of video do, or of audio when there is no video.
pub(crate) fn events<'a>(head: &'a Head, track: &Track) -> Option<&'a Track> {
    let carries = match track.media {
        Media::Video(_) => true,
        Media::Audio(_) => !head.tracks.iter().any(Track::is_video),
        Media::Text(_) | Media::Metadata => false,
    };
    head.tracks.iter().find(|t| t.media == Media::Metadata && carries)
}

/// What CMAF segment `number`, counted from 0, of `track` is made of.
pub(crate) fn carrier<'a>(head: &'a Head, track: &'a Track, rendition: &'a Rendition, number: usize) -> Carrier<'a> {
    let protection = rendition.protection.as_ref().map(|p| p.segment(number));
    Carrier { track, events: events(head, track), protection }
}

/// What transport streams of `video` are made of.
pub(crate) fn program<'a>(
    head: &'a Head,
    video: &'a Track,
    rendition: &Rendition,
    audio: Option<usize>,
) -> Program<'a> {
    let audio = audio.and_then(|at| head.tracks.get(at));
    let sample_aes_from = sample_aes_from(rendition);
    Program { video, audio, events: events(head, video).filter(|e| e.transport), sample_aes_from }
}

/// The first fragment that is under SAMPLE-AES; the greatest number when none is.
fn sample_aes_from(rendition: &Rendition) -> usize {
    let protection = rendition.protection.as_ref().filter(|p| p.scheme == Scheme::SampleAes);
    let first = protection.and_then(|p| rendition.segments.get(p.clear_segments));
    first.map_or(usize::MAX, |segment| segment.fragments.start)
}

/// How a segment of a transport stream or of packed audio, counted from 0, is encrypted. `reference` is as for
/// [`Prepared::reference`].
///
/// # Errors
/// `Internal` for a key without an initialisation vector where one has to be.
pub(crate) fn encryption(
    rendition: &Rendition,
    segment: usize,
    reference: Option<(&Track, &Rendition)>,
) -> Result<Encryption> {
    let Some((protection, key)) = rendition.protection.as_ref().and_then(|p| Some((p, p.key(segment)?))) else {
        return Ok(Encryption::Clear);
    };
    let secret = |iv| Secret { key: key.clone(), iv };
    match (protection.scheme, key.iv) {
        (Scheme::Aes128, Some(iv)) => Ok(Encryption::Segment(secret(iv))),
        (Scheme::Aes128, None) => {
            let first = rendition.segments.first().map_or(0, |s| s.fragments.start);
            let gaps = reference.map_or(0, |(_, listed)| segmenter::before(&listed.segments, first).len());
            let number = hls::FIRST_SEQUENCE_NUMBER as u128 + gaps as u128 + segment as u128;
            Ok(Encryption::Segment(secret(Iv(number.to_be_bytes()))))
        }
        (Scheme::SampleAes, Some(iv)) => {
            Ok(Encryption::Samples { secret: secret(iv), from: sample_aes_from(rendition) })
        }
        (scheme, _) => Err(Error::internal(format!("a transport stream cannot have {}", scheme.as_str()))),
    }
}

/// Length in bytes of a segment, counted from 0; 0 where it is not known from the head.
fn length(head: &Head, track: &Track, rendition: &Rendition, number: usize, segment: &Segment) -> u64 {
    let protection = rendition.protection.as_ref().filter(|p| p.key(number).is_some());
    let sealed = |bytes| if protection.is_some_and(TrackProtection::is_whole) { padded_bytes(bytes) } else { bytes };
    match rendition.delivery {
        Delivery::Cmaf => fmp4::length(carrier(head, track, rendition, number), segment),
        Delivery::Transport { audio } => sealed(transport::length(program(head, track, rendition, audio), segment)),
        Delivery::Packed(_) => {
            let sample_aes = protection.is_some_and(|p| p.scheme == Scheme::SampleAes);
            sealed(transport::packed_length(track, segment, sample_aes))
        }
        // Text is small: its own bytes are near enough.
        Delivery::Webvtt | Delivery::Wvtt | Delivery::WebvttFile => {
            let fragments = track.fragments.get(segment.fragments.clone()).unwrap_or_default();
            fragments.iter().map(|f| f.bytes).fold(0, u64::saturating_add)
        }
        Delivery::Absent => 0,
    }
}

/// Fills in the bit rates.
fn measured(head: &Head, track: &Track, mut rendition: Rendition, target: u32) -> Rendition {
    let numbered = rendition.segments.iter().enumerate();
    let bytes = numbered.map(|(number, segment)| length(head, track, &rendition, number, segment));
    (rendition.peak_bandwidth, rendition.average_bandwidth) =
        bandwidth(&rendition.segments, bytes, track.timescale, target);
    if track.is_video() {
        let frames = iframes(head, track, &rendition);
        let ends = frames.iter().skip(1).map(|f| f.time).chain([track.end]);
        let rates = frames.iter().zip(ends).map(|(frame, end)| {
            let bits = u128::from(frame.range.end - frame.range.start) * 8 * u128::from(track.timescale);
            // A last group of pictures of a few frames would claim a rate that nobody has to sustain.
            let ticks = end.saturating_sub(frame.time).max(u64::from(track.timescale) / 2);
            u64::try_from(bits / u128::from(ticks.max(1))).unwrap_or(u64::MAX)
        });
        rendition.iframe_bandwidth = rates.max().unwrap_or(0);
    }
    rendition
}

/// The key frames of a video track, each with its segment and its byte range in it.
pub(crate) fn iframes(head: &Head, track: &Track, rendition: &Rendition) -> Vec<Iframe> {
    let numbered = (1u32..).zip(&rendition.segments);
    let frames = numbered.flat_map(|(number, segment)| {
        let frames = match rendition.delivery {
            Delivery::Cmaf => fmp4::iframes(carrier(head, track, rendition, number as usize - 1), segment),
            _ if !rendition.has_iframes() => Vec::new(),
            Delivery::Transport { audio } => transport::iframes(program(head, track, rendition, audio), segment),
            _ => Vec::new(),
        };
        frames.into_iter().map(move |(time, range)| Iframe { segment: number, time, range })
    });
    frames.collect()
}

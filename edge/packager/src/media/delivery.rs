//! In which form a packaging configuration offers each track of a title.

use crate::config::{HlsVersion, PackageType, PackagingConfiguration, Scheme, TextFormat};
use crate::index::head::{Media, TextFormat as StoredText};
use crate::index::{Head, Track};
use crate::route::SegmentFormat;

/// What the segments of a track are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// It is not offered.
    #[default]
    Absent,
    /// CMAF segments of media that are stored.
    Cmaf,
    /// A transport stream of this video and, multiplexed with it, of the audio track at this position of the head.
    Transport {
        /// Position among the tracks of the head.
        audio: Option<usize>,
    },
    /// Packed audio (RFC 8216bis, 3.1.4) in this format.
    Packed(SegmentFormat),
    /// WebVTT segments.
    Webvtt,
    /// CMAF segments of `wvtt` samples that are made from cues.
    Wvtt,
    /// One WebVTT file.
    WebvttFile,
}

impl Delivery {
    /// The format of the segments in URLs; `None` without segments.
    pub fn format(self) -> Option<SegmentFormat> {
        match self {
            Self::Absent | Self::WebvttFile => None,
            Self::Cmaf | Self::Wvtt => Some(SegmentFormat::Cmaf),
            Self::Transport { .. } => Some(SegmentFormat::Ts),
            Self::Packed(format) => Some(format),
            Self::Webvtt => Some(SegmentFormat::Webvtt),
        }
    }
}

/// The form of every track of `head`, in order.
pub fn deliveries(head: &Head, configuration: &PackagingConfiguration) -> Vec<Delivery> {
    let sample_aes = configuration.protection.as_ref().is_some_and(|p| p.scheme == Scheme::SampleAes);
    // What SAMPLE-AES has no form for would have to be in the clear, so it is not offered.
    let fits = |track: &Track| track.transport && (track.sample_aes || !sample_aes);
    let main = main_audio(head, fits);
    let of = |track: &Track| match configuration.package_type {
        PackageType::Cmaf | PackageType::Dash => cmaf(track, configuration),
        PackageType::Hls => hls(head, track, configuration, main, fits),
    };
    head.tracks.iter().map(of).collect()
}

fn cmaf(track: &Track, configuration: &PackagingConfiguration) -> Delivery {
    match &track.media {
        _ if track.hidden => Delivery::Absent,
        Media::Video(_) | Media::Audio(_) => Delivery::Cmaf,
        Media::Metadata => Delivery::Absent,
        Media::Text(text) => match (&text.format, configuration.package_type, configuration.text_format) {
            (StoredText::Stpp, ..) => Delivery::Cmaf,
            (_, PackageType::Dash, TextFormat::Wvtt) => Delivery::Wvtt,
            (_, PackageType::Dash, TextFormat::Webvtt) => Delivery::WebvttFile,
            _ => Delivery::Webvtt,
        },
    }
}

fn hls(
    head: &Head,
    track: &Track,
    configuration: &PackagingConfiguration,
    main: Option<usize>,
    fits: impl Fn(&Track) -> bool,
) -> Delivery {
    let v3 = configuration.hls_version == HlsVersion::V3;
    let has_video = head.tracks.iter().any(|t| t.is_video() && fits(t));
    match &track.media {
        Media::Video(_) if !fits(track) => Delivery::Absent,
        Media::Video(_) if configuration.audio_separation => Delivery::Transport { audio: None },
        Media::Video(_) => Delivery::Transport { audio: companion(head, track, &fits).or(main) },
        Media::Audio(_) if track.hidden || !fits(track) || (v3 && has_video) => Delivery::Absent,
        Media::Audio(_) => packed(track).map_or(Delivery::Absent, Delivery::Packed),
        Media::Text(text) => match text.format {
            StoredText::Webvtt { .. } if !v3 && !track.hidden => Delivery::Webvtt,
            _ => Delivery::Absent,
        },
        Media::Metadata => Delivery::Absent,
    }
}

fn packed(track: &Track) -> Option<SegmentFormat> {
    Some(match track.codec.as_str() {
        "mp4a.6B" | "mp4a.6b" | "mp4a.69" | "mp4a.40.34" => SegmentFormat::Mp3,
        "ac-3" => SegmentFormat::Ac3,
        "ec-3" => SegmentFormat::Eac3,
        codec if codec.starts_with("mp4a.40.") => SegmentFormat::Aac,
        _ => return None,
    })
}

/// The audio track that the source multiplexes with a video track.
fn companion(head: &Head, video: &Track, fits: impl Fn(&Track) -> bool) -> Option<usize> {
    let Media::Video(media) = &video.media else { return None };
    let ordinal = media.companion?;
    let is = |t: &Track| fits(t) && matches!(t.media, Media::Audio(_)) && t.name.ordinal == ordinal;
    head.tracks.iter().position(is)
}

/// Where the audio is that plays when the viewer has not chosen: the default one, else the main one, else the first that
/// is no extra; among those that `fits` lets in.
pub fn main_audio(head: &Head, fits: impl Fn(&Track) -> bool) -> Option<usize> {
    let audios = || {
        let tracks = head.tracks.iter().enumerate();
        tracks.filter(|(_, t)| matches!(t.media, Media::Audio(_)) && !t.hidden && fits(t))
    };
    let of_rank = |rank: u8| audios().find(|(_, t)| rank_of(t) == rank);
    (0..4).find_map(of_rank).map(|(at, _)| at)
}

/// How little a track is meant to play by itself: 0 the default one, 1 main, 2 plain, 3 an extra.
pub fn rank_of(track: &Track) -> u8 {
    match track.role.as_deref() {
        _ if track.default => 0,
        Some("main") => 1,
        Some("description" | "commentary" | "alternate") => 3,
        _ => 2,
    }
}

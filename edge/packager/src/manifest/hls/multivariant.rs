//! The multivariant playlist.

use core::fmt::Write;

use super::keys;
use super::renditions::{self, Group, SUBTITLES, url};
use crate::error::Result;
use crate::index::head::{Text, Video};
use crate::index::{Track, entry};
use crate::media::delivery::Delivery;
use crate::media::presentation::{Item, Presentation};
use crate::media::time::rescale;
use crate::route::TrackFile;

/// What all variants share.
struct Shared<'a> {
    presentation: &'a Presentation,
    /// Value of CLOSED-CAPTIONS.
    captions: &'a str,
    texts: &'a [Item<'a, Text>],
}

/// The multivariant playlist.
///
/// # Errors
/// `NotFound` when the selection leaves nothing of a title that has video, `Unsupported` when its codecs cannot be carried.
pub fn multivariant(presentation: &Presentation) -> Result<String> {
    let videos = presentation.videos()?;
    let listed = renditions::has_renditions(presentation);
    let groups = renditions::audio(presentation, &videos);
    let texts = presentation.texts();
    let channels = renditions::caption_channels(&videos);
    let service = listed && channels.iter().any(|c| c.starts_with("SERVICE"));
    let mut out = String::with_capacity(2048);
    let audible = groups.iter().filter(|g| videos.is_empty() || (listed && g.is_listed())).flat_map(Group::separate);
    let played = videos.iter().map(|v| v.rendition).chain(audible.map(|a| a.rendition));
    let (session_keys, session_version) = keys::session_keys(played)?;
    // The lowest version whose features are used: 7 for SERVICE instream ids, 4 for renditions (RFC 8216bis, 8).
    let version = match listed {
        _ if service => 7,
        true => session_version.max(4),
        false => session_version.max(3),
    };
    let _ = writeln!(out, "#EXTM3U\n#EXT-X-VERSION:{version}\n#EXT-X-INDEPENDENT-SEGMENTS");
    out.push_str(&session_keys);
    for group in groups.iter().filter(|g| listed && g.is_listed()) {
        renditions::write_audio(&mut out, presentation, group);
    }
    if listed {
        renditions::write_subtitles(&mut out, presentation, &texts);
        renditions::write_captions(&mut out, &videos, &channels);
    }
    let captions = match channels.is_empty() {
        true => ",CLOSED-CAPTIONS=NONE",
        false if listed => ",CLOSED-CAPTIONS=\"cc\"",
        false => "",
    };
    let shared = Shared { presentation, captions, texts: &texts };
    if videos.is_empty() {
        for group in &groups {
            write_audio_variant(&mut out, &shared, group);
        }
        return Ok(out);
    }
    let silent = Group::silent();
    let choices: Vec<&Group<'_>> = if groups.is_empty() { vec![&silent] } else { groups.iter().collect() };
    for group in choices {
        for video in &videos {
            write_variant(&mut out, &shared, video, group);
        }
    }
    for video in videos.iter().filter(|_| listed) {
        let _ = write!(out, "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH={}", video.rendition.iframe_bandwidth.max(1));
        let _ = write!(out, ",CODECS=\"{}\"", codec(video.track));
        write_picture(&mut out, video);
        let _ = writeln!(out, ",URI=\"{}\"", url(presentation, video.track, TrackFile::IframePlaylist));
    }
    Ok(out)
}

/// Codec string as HLS wants it: HEVC as `hvc1` when the init segment says so too.
fn codec(track: &Track) -> String {
    match track.codec.strip_prefix("hev1") {
        Some(rest) if entry::renames_to_hvc1(track) => format!("hvc1{rest}"),
        _ => track.codec.clone(),
    }
}

fn write_variant(out: &mut String, shared: &Shared<'_>, video: &Item<'_, Video>, group: &Group<'_>) {
    let (audio_peak, audio_average) = group.bandwidth();
    let _ = write!(
        out,
        "#EXT-X-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={},CODECS=\"{}",
        video.rendition.peak_bandwidth + audio_peak,
        video.rendition.average_bandwidth + audio_average,
        codec(video.track)
    );
    let within = match video.rendition.delivery {
        Delivery::Transport { audio } => audio.and_then(|at| shared.presentation.head.tracks.get(at)),
        _ => None,
    };
    let audio = within.map(|track| track.codec.as_str()).or((!group.members.is_empty()).then_some(group.codec));
    write_more_codecs(out, audio, shared.texts);
    if let Some(supplemental) = &video.track.supplemental_codec {
        let _ = write!(out, ",SUPPLEMENTAL-CODECS=\"{supplemental}\"");
    }
    write_picture(out, video);
    let (rate, scale) = video.media.frame_rate;
    let thousandths = rescale(i64::from(rate), scale, 1000);
    let _ = write!(out, ",FRAME-RATE={}.{:03}", thousandths / 1000, thousandths % 1000);
    if group.is_listed() {
        let _ = write!(out, ",AUDIO=\"{}\"", group.id);
    }
    if !shared.texts.is_empty() {
        let _ = write!(out, ",SUBTITLES=\"{SUBTITLES}\"");
    }
    let _ = writeln!(out, "{}\n{}", shared.captions, url(shared.presentation, video.track, TrackFile::Playlist));
}

/// The rest of CODECS: audio, and subtitles that are no WebVTT files.
fn write_more_codecs(out: &mut String, audio: Option<&str>, texts: &[Item<'_, Text>]) {
    if let Some(audio) = audio {
        let _ = write!(out, ",{audio}");
    }
    // Players take a text codec of CODECS for that of every member of the group, so it is named when it is.
    if let Some(first) = texts.first().filter(|_| texts.iter().all(|t| t.rendition.delivery == Delivery::Cmaf)) {
        let _ = write!(out, ",{}", first.track.codec);
    }
    out.push('"');
}

fn write_picture(out: &mut String, video: &Item<'_, Video>) {
    let (width, height) = video.shown();
    let _ = write!(out, ",RESOLUTION={width}x{height},VIDEO-RANGE={}", video.media.range.as_str());
}

/// A title without video: every group is a variant, played from its default member.
fn write_audio_variant(out: &mut String, shared: &Shared<'_>, group: &Group<'_>) {
    let Some(member) = group.members.get(group.default_member()) else { return };
    let (peak, average) = group.bandwidth();
    let _ = write!(out, "#EXT-X-STREAM-INF:BANDWIDTH={peak},AVERAGE-BANDWIDTH={average},CODECS=\"{}", group.codec);
    write_more_codecs(out, None, shared.texts);
    if renditions::has_renditions(shared.presentation) {
        let _ = write!(out, ",AUDIO=\"{}\"", group.id);
    }
    if !shared.texts.is_empty() {
        let _ = write!(out, ",SUBTITLES=\"{SUBTITLES}\"");
    }
    let _ = writeln!(out, "\n{}", url(shared.presentation, member.track, TrackFile::Playlist));
}

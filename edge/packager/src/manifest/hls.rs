//! HLS playlists (RFC 8216bis).

use core::fmt::Write;

use crate::config::StreamSelection;
use crate::error::{Error, Result};
use crate::index::head::{Audio, Video};
use crate::index::{Track, entry};
use crate::media::presentation::{Item, Presentation, Rendition};
use crate::media::time::rescale;
use crate::route::{Resource, SegmentFormat, TrackFile};

/// Media type of every playlist (RFC 8216bis, 4).
pub const CONTENT_TYPE: &str = "application/vnd.apple.mpegurl";

/// Audio renditions that a player may take in place of each other (4.4.6.1.1).
struct Group<'a> {
    id: String,
    codec: &'a str,
    channels: String,
    members: Vec<Item<'a, Audio>>,
}

/// The multivariant playlist.
///
/// # Errors
/// `NotFound` when the selection leaves nothing of a title that has video.
pub fn multivariant(presentation: &Presentation, selection: &StreamSelection) -> Result<String> {
    let videos = presentation.videos(selection);
    if videos.is_empty() && presentation.has_video() {
        return Err(Error::not_found(
            "the stream selection of this configuration leaves no video rendition of this asset",
        ));
    }
    let groups = group_audio(presentation.audios());
    let captions = captions(&videos);
    let service = captions.iter().any(|c| c.starts_with("SERVICE"));
    let mut out = String::with_capacity(2048);
    // The lowest version whose features are used: 7 for SERVICE instream ids, 4 for renditions (RFC 8216bis, 8).
    let _ = writeln!(out, "#EXTM3U\n#EXT-X-VERSION:{}\n#EXT-X-INDEPENDENT-SEGMENTS", if service { 7 } else { 4 });
    for group in &groups {
        write_group(&mut out, presentation, group);
    }
    for channel in &captions {
        let name =
            if let Some(n) = channel.strip_prefix("SERVICE") { format!("Captions {n}") } else { channel.clone() };
        let _ = writeln!(
            out,
            "#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID=\"cc\",NAME=\"{name}\",DEFAULT=NO,AUTOSELECT=YES,INSTREAM-ID=\"{channel}\""
        );
    }
    let captions = if captions.is_empty() { "NONE" } else { "\"cc\"" };
    if videos.is_empty() {
        for group in &groups {
            write_audio_variant(&mut out, presentation, group);
        }
        return Ok(out);
    }
    let silent = Group { id: String::new(), codec: "", channels: String::new(), members: Vec::new() };
    let choices: Vec<&Group<'_>> = if groups.is_empty() { vec![&silent] } else { groups.iter().collect() };
    for group in choices {
        for video in &videos {
            write_variant(&mut out, presentation, video, group, captions);
        }
    }
    for video in &videos {
        let _ = write!(out, "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH={}", video.rendition.iframe_bandwidth.max(1));
        let _ = write!(out, ",CODECS=\"{}\"", codec(video.track));
        write_picture(&mut out, video);
        let _ = writeln!(out, ",URI=\"{}\"", url(presentation, video.track, TrackFile::IframePlaylist));
    }
    Ok(out)
}

/// Relative to the multivariant playlist.
fn url(presentation: &Presentation, track: &Track, file: TrackFile) -> String {
    Resource::Tagged { tag: presentation.tag, track: track.name, file }.to_string()
}

/// Codec string as HLS wants it: HEVC as `hvc1` when the init segment says so too.
fn codec(track: &Track) -> String {
    match track.codec.strip_prefix("hev1") {
        Some(rest) if entry::renames_to_hvc1(track) => format!("hvc1{rest}"),
        _ => track.codec.clone(),
    }
}

/// Groups by codec and channels; within a group every language, label and role stands once, so a second bit rate of the
/// same audio begins a second group.
fn group_audio(audios: Vec<Item<'_, Audio>>) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for audio in audios {
        let channels = audio.media.hls_channels();
        let same = |t: &Track| {
            (&t.language, &t.label, &t.role) == (&audio.track.language, &audio.track.label, &audio.track.role)
        };
        let fitting = groups.iter_mut().find(|g| {
            g.codec == audio.track.codec && g.channels == channels && !g.members.iter().any(|m| same(m.track))
        });
        match fitting {
            Some(group) => group.members.push(audio),
            None => {
                let id = format!("audio{}", groups.len());
                groups.push(Group { id, codec: &audio.track.codec, channels, members: vec![audio] });
            }
        }
    }
    groups
}

impl Group<'_> {
    /// The member that plays when the viewer has not chosen: the main one, else the first that is no extra.
    fn default_member(&self) -> usize {
        let role = |m: &Item<'_, Audio>| m.track.role.clone().unwrap_or_default();
        let main = self.members.iter().position(|m| role(m) == "main");
        let plain = || {
            self.members.iter().position(|m| !matches!(role(m).as_str(), "description" | "commentary" | "alternate"))
        };
        main.or_else(plain).unwrap_or(0)
    }
}

fn write_group(out: &mut String, presentation: &Presentation, group: &Group<'_>) {
    let default = group.default_member();
    let mut names: Vec<String> = Vec::new();
    for (number, member) in group.members.iter().enumerate() {
        let track = member.track;
        let mut name = quotable(track.label.as_deref().or(track.language.as_deref()).unwrap_or("Audio"));
        if names.contains(&name) {
            // NAME must be unique in a group (4.4.6.1.1).
            name = format!("{name} ({})", number + 1);
        }
        let _ = write!(out, "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"{}\",NAME=\"{name}\"", group.id);
        names.push(name);
        if let Some(language) = &track.language {
            let _ = write!(out, ",LANGUAGE=\"{}\"", quotable(language));
        }
        let _ = write!(out, ",DEFAULT={},AUTOSELECT=YES", if number == default { "YES" } else { "NO" });
        if let Some(characteristics) = characteristics(track.role.as_deref()) {
            let _ = write!(out, ",CHARACTERISTICS=\"{characteristics}\"");
        }
        let _ =
            writeln!(out, ",CHANNELS=\"{}\",URI=\"{}\"", group.channels, url(presentation, track, TrackFile::Playlist));
    }
}

/// Media characteristic tags (4.4.6.1.1) of a DASH role.
fn characteristics(role: Option<&str>) -> Option<&'static str> {
    match role? {
        "description" => Some("public.accessibility.describes-video"),
        "enhanced-audio-intelligibility" => Some("public.accessibility.enhances-speech-intelligibility"),
        _ => None,
    }
}

/// A quoted string holds no quote and no line break (4.2).
fn quotable(text: &str) -> String {
    text.chars().map(|c| if c == '"' || c.is_control() { '\'' } else { c }).collect()
}

fn write_variant(
    out: &mut String,
    presentation: &Presentation,
    video: &Item<'_, Video>,
    group: &Group<'_>,
    captions: &str,
) {
    let audio_peak = group.members.iter().map(|m| m.rendition.peak_bandwidth).max().unwrap_or(0);
    let audio_average = group.members.iter().map(|m| m.rendition.average_bandwidth).max().unwrap_or(0);
    let _ = write!(
        out,
        "#EXT-X-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={},CODECS=\"{}",
        video.rendition.peak_bandwidth + audio_peak,
        video.rendition.average_bandwidth + audio_average,
        codec(video.track)
    );
    if !group.members.is_empty() {
        let _ = write!(out, ",{}", group.codec);
    }
    out.push('"');
    if let Some(supplemental) = &video.track.supplemental_codec {
        let _ = write!(out, ",SUPPLEMENTAL-CODECS=\"{supplemental}\"");
    }
    write_picture(out, video);
    let (rate, scale) = video.media.frame_rate;
    let thousandths = rescale(i64::from(rate), scale, 1000);
    let _ = write!(out, ",FRAME-RATE={}.{:03}", thousandths / 1000, thousandths % 1000);
    if !group.members.is_empty() {
        let _ = write!(out, ",AUDIO=\"{}\"", group.id);
    }
    let _ = writeln!(out, ",CLOSED-CAPTIONS={captions}\n{}", url(presentation, video.track, TrackFile::Playlist));
}

fn write_picture(out: &mut String, video: &Item<'_, Video>) {
    let (width, height) = video.shown();
    let _ = write!(out, ",RESOLUTION={width}x{height},VIDEO-RANGE={}", video.media.range.as_str());
}

/// A title without video: every group is a variant, played from its default member.
fn write_audio_variant(out: &mut String, presentation: &Presentation, group: &Group<'_>) {
    let Some(member) = group.members.get(group.default_member()) else { return };
    let peak = group.members.iter().map(|m| m.rendition.peak_bandwidth).max().unwrap_or(0);
    let average = group.members.iter().map(|m| m.rendition.average_bandwidth).max().unwrap_or(0);
    let _ = writeln!(
        out,
        "#EXT-X-STREAM-INF:BANDWIDTH={peak},AVERAGE-BANDWIDTH={average},CODECS=\"{}\",AUDIO=\"{}\"\n{}",
        group.codec,
        group.id,
        url(presentation, member.track, TrackFile::Playlist)
    );
}

/// INSTREAM-ID of every caption channel that any rendition carries.
fn captions(videos: &[Item<'_, Video>]) -> Vec<String> {
    let mut channels: Vec<(bool, u8)> = videos
        .iter()
        .flat_map(|v| v.media.cea608.iter().map(|c| (false, *c)).chain(v.media.cea708.iter().map(|s| (true, *s))))
        .collect();
    channels.sort_unstable();
    channels.dedup();
    channels.into_iter().map(|(service, n)| if service { format!("SERVICE{n}") } else { format!("CC{n}") }).collect()
}

/// Times of a media playlist in microseconds, so that rounding does not add up.
fn micros(ticks: u64, track: &Track) -> u64 {
    rescale(i64::try_from(ticks).unwrap_or(i64::MAX), track.timescale, 1_000_000).unsigned_abs()
}

fn write_extinf(out: &mut String, micros: u64) {
    let _ = writeln!(out, "#EXTINF:{}.{:06},", micros / 1_000_000, micros % 1_000_000);
}

/// The durations of all entries, rounded up to whole seconds the way 4.4.3.1 demands: to the nearest.
fn target_duration(durations: impl Iterator<Item = u64>) -> u64 {
    durations.map(|micros| (micros + 500_000) / 1_000_000).max().unwrap_or(0).max(1)
}

/// The media playlist of a track. `reference` is the first video track, which audio that begins late is aligned to.
pub fn media(track: &Track, rendition: &Rendition, reference: Option<(&Track, &Rendition)>) -> String {
    let mut gaps: Vec<u64> = Vec::new();
    let mut entries: Vec<u64> = Vec::with_capacity(rendition.segments.len());
    let first_fragment = rendition.segments.first().map_or(0, |s| s.fragments.start);
    for (number, segment) in rendition.segments.iter().enumerate() {
        let mut start = micros(segment.start, track);
        if number == 0 {
            // Audio lists cover the same time as video lists, even where there is no audio yet.
            start = match reference {
                Some((video, listed)) => {
                    let before = listed.segments.iter().take_while(|s| s.fragments.end <= first_fragment);
                    gaps.extend(before.map(|s| micros(s.end, video) - micros(s.start, video)));
                    let covering = listed.segments.get(gaps.len()).map_or(start, |s| micros(s.start, video));
                    covering.min(start)
                }
                None => 0,
            };
        }
        entries.push(micros(segment.end, track).saturating_sub(start));
    }
    let mut out = String::with_capacity(256 + entries.len() * 32);
    let target = target_duration(gaps.iter().chain(&entries).copied());
    // Version 6: EXT-X-MAP in a playlist that is not I-frames only. A gap asks for 8.
    let version = if gaps.is_empty() { 6 } else { 8 };
    let _ = writeln!(
        out,
        "#EXTM3U\n#EXT-X-VERSION:{version}\n#EXT-X-TARGETDURATION:{target}\n#EXT-X-MEDIA-SEQUENCE:1\n\
         #EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-MAP:URI=\"{}\"",
        TrackFile::Init(1)
    );
    for gap in gaps {
        out.push_str("#EXT-X-GAP\n");
        write_extinf(&mut out, gap);
        out.push_str("gap.m4s\n");
    }
    for (number, duration) in (1u32..).zip(entries) {
        write_extinf(&mut out, duration);
        let _ = writeln!(out, "{}", segment(number));
    }
    out.push_str("#EXT-X-ENDLIST\n");
    out
}

fn segment(number: u32) -> TrackFile {
    TrackFile::Segment { number, format: SegmentFormat::Cmaf }
}

/// A key frame in a segment: which segment, when, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Iframe {
    /// Number of the segment in URLs.
    pub segment: u32,
    /// Presentation time in ticks of the track.
    pub time: u64,
    /// Byte range in the segment: from its `moof` to its last byte.
    pub range: core::ops::Range<u64>,
}

/// The I-frame playlist of a video track (4.4.3.6).
pub fn iframes(track: &Track, frames: &[Iframe]) -> String {
    let ends = frames.iter().skip(1).map(|f| f.time).chain([track.end]);
    let durations: Vec<u64> =
        frames.iter().zip(ends).map(|(f, end)| micros(end.max(f.time), track) - micros(f.time, track)).collect();
    let mut out = String::with_capacity(256 + frames.len() * 64);
    let _ = writeln!(
        out,
        "#EXTM3U\n#EXT-X-VERSION:5\n#EXT-X-TARGETDURATION:{}\n#EXT-X-MEDIA-SEQUENCE:1\n\
         #EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-I-FRAMES-ONLY\n#EXT-X-MAP:URI=\"{}\"",
        target_duration(durations.iter().copied()),
        TrackFile::Init(1)
    );
    for (frame, duration) in frames.iter().zip(durations) {
        write_extinf(&mut out, duration);
        let length = frame.range.end - frame.range.start;
        let _ = writeln!(out, "#EXT-X-BYTERANGE:{length}@{}\n{}", frame.range.start, segment(frame.segment));
    }
    out.push_str("#EXT-X-ENDLIST\n");
    out
}

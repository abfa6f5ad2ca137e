//! Groups of renditions: EXT-X-MEDIA (RFC 8216bis, 4.4.6.1).

use core::fmt::Write;

use crate::config::{HlsVersion, PackageType};
use crate::index::Track;
use crate::index::head::{Audio, Media, Text, Video};
use crate::media::delivery::{Delivery, rank_of};
use crate::media::presentation::{Item, Presentation};
use crate::route::{Resource, TrackFile};

/// Audio renditions that a player may take in place of each other.
pub(super) struct Group<'a> {
    pub id: String,
    pub codec: &'a str,
    pub channels: String,
    pub members: Vec<Item<'a, Audio>>,
    /// Whether the default member is in the segments of the video.
    pub multiplexed: bool,
}

impl Group<'_> {
    /// Of variants without audio.
    pub fn silent() -> Self {
        Self { id: String::new(), codec: "", channels: String::new(), members: Vec::new(), multiplexed: false }
    }

    /// The member that plays when the viewer has not chosen.
    pub fn default_member(&self) -> usize {
        let ranked = self.members.iter().enumerate().map(|(at, member)| (rank_of(member.track), at));
        ranked.min().map_or(0, |(_, at)| at)
    }

    /// Whether the group has to be written down: a single member that is in the segments of the video does not.
    pub fn is_listed(&self) -> bool {
        self.members.len() > 1 || (!self.multiplexed && !self.members.is_empty())
    }

    /// The members that have segments of their own.
    pub fn separate(&self) -> impl Iterator<Item = &Item<'_, Audio>> {
        let members = self.members.iter().enumerate();
        members.filter(|(at, _)| !self.multiplexed || *at != self.default_member()).map(|(_, member)| member)
    }

    /// Most and average bits a second that a member adds to the video.
    pub fn bandwidth(&self) -> (u64, u64) {
        let of = |rate: fn(&Item<'_, Audio>) -> u64| self.separate().map(rate).max().unwrap_or(0);
        (of(|m| m.rendition.peak_bandwidth), of(|m| m.rendition.average_bandwidth))
    }
}

/// The groups of a presentation. Where audio is in the segments of the video, there is one, of the tracks that can take
/// its place.
pub(super) fn audio<'a>(presentation: &'a Presentation, videos: &[Item<'a, Video>]) -> Vec<Group<'a>> {
    let muxed = |v: &Item<'_, Video>| match v.rendition.delivery {
        Delivery::Transport { audio } => audio,
        _ => None,
    };
    let within: Vec<&Track> =
        videos.iter().filter_map(muxed).filter_map(|at| presentation.head.tracks.get(at)).collect();
    let audios = presentation.audios();
    let Some(main) = within.first() else { return group(audios) };
    let fits = |a: &Item<'_, Audio>| {
        let own = a.track.name == main.name;
        let same = a.track.codec == main.codec && main.media == Media::Audio(a.media.clone());
        own || (same && !within.iter().any(|w| w.name == a.track.name))
    };
    let mut groups = group(audios.into_iter().filter(fits).collect());
    groups.truncate(1);
    groups.iter_mut().for_each(|g| g.multiplexed = true);
    groups
}

/// Groups by codec and channels; within a group every language, label and role stands once, so a second bit rate of the
/// same audio begins a second group.
fn group(audios: Vec<Item<'_, Audio>>) -> Vec<Group<'_>> {
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
                let codec = &audio.track.codec;
                groups.push(Group { id, codec, channels, members: vec![audio], multiplexed: false });
            }
        }
    }
    groups
}

/// NAME must be unique in a group.
struct Names(Vec<String>);

impl Names {
    fn take(&mut self, track: &Track, otherwise: &str) -> String {
        let mut name = quotable(track.label.as_deref().or(track.language.as_deref()).unwrap_or(otherwise));
        if self.0.contains(&name) {
            name = format!("{name} ({})", self.0.len() + 1);
        }
        self.0.push(name.clone());
        name
    }
}

pub(super) fn write_audio(out: &mut String, presentation: &Presentation, group: &Group<'_>) {
    let default = group.default_member();
    let mut names = Names(Vec::new());
    for (number, member) in group.members.iter().enumerate() {
        let track = member.track;
        let name = names.take(track, "Audio");
        let _ = write!(out, "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"{}\",NAME=\"{name}\"", group.id);
        if let Some(language) = &track.language {
            let _ = write!(out, ",LANGUAGE=\"{}\"", quotable(language));
        }
        let _ = write!(out, ",DEFAULT={},AUTOSELECT=YES", if number == default { "YES" } else { "NO" });
        if let Some(characteristics) = audio_characteristics(track.role.as_deref()) {
            let _ = write!(out, ",CHARACTERISTICS=\"{characteristics}\"");
        }
        let _ = write!(out, ",CHANNELS=\"{}\"", group.channels);
        if group.multiplexed && number == default {
            out.push('\n');
        } else {
            let _ = writeln!(out, ",URI=\"{}\"", url(presentation, track, TrackFile::Playlist));
        }
    }
}

/// Media characteristic tags of a DASH role.
fn audio_characteristics(role: Option<&str>) -> Option<&'static str> {
    match role? {
        "description" => Some("public.accessibility.describes-video"),
        "enhanced-audio-intelligibility" => Some("public.accessibility.enhances-speech-intelligibility"),
        _ => None,
    }
}

/// Id of the one group of subtitles.
pub(super) const SUBTITLES: &str = "subs";

pub(super) fn write_subtitles(out: &mut String, presentation: &Presentation, texts: &[Item<'_, Text>]) {
    let mut names = Names(Vec::new());
    // At most one may be shown unasked; forced ones are shown without being chosen.
    let default = texts.iter().position(|t| t.track.default && !t.media.forced);
    for (number, text) in texts.iter().enumerate() {
        let track = text.track;
        let name = names.take(track, "Subtitles");
        let _ = write!(out, "#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"{SUBTITLES}\",NAME=\"{name}\"");
        if let Some(language) = &track.language {
            let _ = write!(out, ",LANGUAGE=\"{}\"", quotable(language));
        }
        let yes = |is: bool| if is { "YES" } else { "NO" };
        let _ = write!(out, ",DEFAULT={},AUTOSELECT=YES", yes(default == Some(number)));
        let _ = write!(out, ",FORCED={}", yes(text.media.forced));
        if track.role.as_deref() == Some("caption") {
            out.push_str(
                ",CHARACTERISTICS=\"public.accessibility.transcribes-spoken-dialog,\
                 public.accessibility.describes-music-and-sound\"",
            );
        }
        let _ = writeln!(out, ",URI=\"{}\"", url(presentation, track, TrackFile::Playlist));
    }
}

/// INSTREAM-ID of every caption channel that any rendition carries.
pub(super) fn caption_channels(videos: &[Item<'_, Video>]) -> Vec<String> {
    let mut channels: Vec<(bool, u8)> = videos
        .iter()
        .flat_map(|v| v.media.cea608.iter().map(|c| (false, *c)).chain(v.media.cea708.iter().map(|s| (true, *s))))
        .collect();
    channels.sort_unstable();
    channels.dedup();
    channels.into_iter().map(|(service, n)| if service { format!("SERVICE{n}") } else { format!("CC{n}") }).collect()
}

pub(super) fn write_captions(out: &mut String, videos: &[Item<'_, Video>], channels: &[String]) {
    for channel in channels {
        let known = videos.iter().flat_map(|v| &v.media.captions).find(|c| c.channel == *channel);
        let label = known.and_then(|k| k.label.as_deref());
        let name = match (label, channel.strip_prefix("SERVICE")) {
            (Some(label), _) => quotable(label),
            (None, Some(number)) => format!("Captions {number}"),
            (None, None) => channel.clone(),
        };
        let _ = write!(out, "#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID=\"cc\",NAME=\"{name}\"");
        if let Some(language) = known.and_then(|k| k.language.as_deref()) {
            let _ = write!(out, ",LANGUAGE=\"{}\"", quotable(language));
        }
        let _ = writeln!(out, ",DEFAULT=NO,AUTOSELECT=YES,INSTREAM-ID=\"{channel}\"");
    }
}

/// A quoted string holds no quote and no line break (4.2).
pub(super) fn quotable(text: &str) -> String {
    text.chars().map(|c| if c == '"' || c.is_control() { '\'' } else { c }).collect()
}

/// Of a playlist, relative to the multivariant playlist.
pub(super) fn url(presentation: &Presentation, track: &Track, file: TrackFile) -> String {
    let Presentation { tag, query, .. } = presentation;
    format!("{}{query}", Resource::Tagged { tag: *tag, track: track.name, file })
}

/// Whether the playlists may have renditions at all.
pub(super) fn has_renditions(presentation: &Presentation) -> bool {
    let configuration = &presentation.configuration;
    configuration.package_type != PackageType::Hls || configuration.hls_version == HlsVersion::V4
}

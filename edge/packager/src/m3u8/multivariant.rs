//! Multivariant playlists (RFC 8216, 4.3.4).

use m3u8_rs::ClosedCaptionGroupId;

use super::attributes::Attributes;
use super::line::{self, Line};
use super::{tag, uri};
use crate::error::{Error, Result};
use crate::limits;

/// What a multivariant playlist lists. I-frame playlists are not: they repeat what the variants hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Multivariant {
    /// Storage path of the playlist.
    pub path: String,
    /// In the order of the playlist, redundant ones included.
    pub variants: Vec<Variant>,
    /// In the order of the playlist.
    pub renditions: Vec<Rendition>,
}

/// EXT-X-STREAM-INF.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// Line of its URI, from 1.
    pub line: usize,
    /// Storage path of its media playlist.
    pub path: String,
    /// Bits a second.
    pub bandwidth: u64,
    /// RFC 6381, in any order.
    pub codecs: Option<String>,
    /// Group of its audio renditions.
    pub audio: Option<String>,
    /// Group of its video renditions.
    pub video: Option<String>,
    /// Group of its subtitles.
    pub subtitles: Option<String>,
    /// Group of its closed captions; `None` also stands for NONE.
    pub closed_captions: Option<String>,
}

/// The TYPE of EXT-X-MEDIA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenditionKind {
    /// AUDIO.
    Audio,
    /// VIDEO.
    Video,
    /// SUBTITLES.
    Subtitles,
    /// CLOSED-CAPTIONS.
    ClosedCaptions,
}

/// Where closed captions are in the video.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstreamId {
    /// A CEA-608 channel, 1 to 4.
    Cea608(u8),
    /// A CEA-708 service, 1 to 63.
    Cea708(u8),
}

/// EXT-X-MEDIA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendition {
    /// Line of the tag, from 1.
    pub line: usize,
    /// Its TYPE.
    pub kind: RenditionKind,
    /// GROUP-ID.
    pub group: String,
    /// NAME.
    pub name: String,
    /// LANGUAGE, as it stands.
    pub language: Option<String>,
    /// Storage path of its media playlist; `None` when the variants carry it.
    pub path: Option<String>,
    /// DEFAULT.
    pub default: bool,
    /// AUTOSELECT.
    pub autoselect: bool,
    /// FORCED.
    pub forced: bool,
    /// CHARACTERISTICS, taken apart.
    pub characteristics: Vec<String>,
    /// CHANNELS.
    pub channels: Option<String>,
    /// INSTREAM-ID.
    pub instream_id: Option<InstreamId>,
}

/// Tags that only media playlists have (RFC 8216, 4.3.2 and 4.3.3).
const MEDIA_TAGS: [&str; 6] = [
    "EXTINF",
    "EXT-X-TARGETDURATION",
    "EXT-X-MEDIA-SEQUENCE",
    "EXT-X-ENDLIST",
    "EXT-X-PLAYLIST-TYPE",
    "EXT-X-BYTERANGE",
];

impl Multivariant {
    /// Reads the playlist at `path`.
    ///
    /// # Errors
    /// `BadSource`, `Unsupported` or `Limit`, with path and line: for a media playlist, for encryption, for URIs that lead
    /// out of the storage, for anything that cannot be read.
    pub fn read(path: &str, bytes: &[u8]) -> Result<Self> {
        let lines = line::lines(path, bytes)?;
        let mut playlist = Self { path: path.to_owned(), ..Self::default() };
        let mut open: Option<Line<'_>> = None;
        for line in &lines {
            if let Some((name, value)) = line.tag() {
                match name {
                    "EXT-X-STREAM-INF" => {
                        if let Some(before) = open.replace(*line) {
                            return Err(before.bad("EXT-X-STREAM-INF has no URI after it"));
                        }
                    }
                    "EXT-X-MEDIA" => playlist.renditions.extend(Rendition::read(line, value)?),
                    "EXT-X-SESSION-KEY" => refuse_key(line, value)?,
                    name if MEDIA_TAGS.contains(&name) => {
                        return Err(line.bad(format_args!(
                            "{name} makes this a media playlist; the source has to be a multivariant playlist, which \
                             lists the renditions"
                        )));
                    }
                    _ => {}
                }
            } else if let Some(tag) = open.take() {
                playlist.variants.push(Variant::read(&tag, line)?);
            }
            if playlist.variants.len() + playlist.renditions.len() > limits::MAX_PLAYLIST_ENTRIES {
                return Err(
                    line.over_limit(format_args!("more than {} variants and renditions", limits::MAX_PLAYLIST_ENTRIES))
                );
            }
        }
        if let Some(tag) = open {
            return Err(tag.bad("EXT-X-STREAM-INF has no URI after it"));
        }
        if playlist.variants.is_empty() {
            return Err(Error::bad_source(format!("{path}: the playlist lists no variant (EXT-X-STREAM-INF)")));
        }
        Ok(playlist)
    }
}

/// Encrypted media are refused.
pub(super) fn refuse_key(line: &Line<'_>, value: &str) -> Result<()> {
    match Attributes::read(value).get("METHOD") {
        Some("NONE") => Ok(()),
        method => Err(line.unsupported(format_args!(
            "the media are encrypted (METHOD={}); only clear media can be packaged",
            method.unwrap_or("?")
        ))),
    }
}

impl Variant {
    fn read(tag: &Line<'_>, uri: &Line<'_>) -> Result<Self> {
        let attributes = Attributes::read(tag.tag().map_or("", |(_, value)| value));
        let stream = tag::variant(&attributes).ok_or_else(|| {
            let bandwidth = attributes.get("BANDWIDTH").unwrap_or_default();
            tag.bad(format_args!("EXT-X-STREAM-INF needs a BANDWIDTH that is a number, it is {bandwidth:?}"))
        })?;
        let path = uri::resolve(uri.playlist, uri.text).map_err(|reason| uri.bad(reason))?;
        Ok(Self {
            line: uri.number,
            path,
            bandwidth: stream.bandwidth,
            codecs: stream.codecs,
            audio: stream.audio,
            video: stream.video,
            subtitles: stream.subtitles,
            closed_captions: match stream.closed_captions {
                Some(ClosedCaptionGroupId::GroupId(group)) => Some(group),
                _ => None,
            },
        })
    }
}

impl Rendition {
    /// `None` for types that are not known.
    fn read(line: &Line<'_>, value: &str) -> Result<Option<Self>> {
        let attributes = Attributes::read(value);
        for name in ["TYPE", "GROUP-ID", "NAME"] {
            if attributes.get(name).is_none() {
                return Err(line.bad(format_args!("EXT-X-MEDIA has no {name}")));
            }
        }
        let kind = match attributes.get("TYPE") {
            Some("AUDIO") => RenditionKind::Audio,
            Some("VIDEO") => RenditionKind::Video,
            Some("SUBTITLES") => RenditionKind::Subtitles,
            Some("CLOSED-CAPTIONS") => RenditionKind::ClosedCaptions,
            _ => return Ok(None),
        };
        let media = tag::rendition(&attributes)
            .ok_or_else(|| line.bad("EXT-X-MEDIA cannot be read: a value in it has the wrong form"))?;
        let path = match &media.uri {
            Some(uri) => Some(uri::resolve(line.playlist, uri).map_err(|reason| line.bad(reason))?),
            None => None,
        };
        if kind == RenditionKind::Subtitles && path.is_none() {
            return Err(line.bad("EXT-X-MEDIA with TYPE=SUBTITLES has no URI"));
        }
        let instream_id = match media.instream_id {
            Some(m3u8_rs::InstreamId::CC(n @ 1..=4)) => Some(InstreamId::Cea608(n)),
            Some(m3u8_rs::InstreamId::Service(n @ 1..=63)) => Some(InstreamId::Cea708(n)),
            _ => None,
        };
        let characteristics = media.characteristics.unwrap_or_default();
        let characteristics = characteristics.split(',').map(str::trim).filter(|c| !c.is_empty());
        Ok(Some(Self {
            line: line.number,
            kind,
            group: media.group_id,
            name: media.name,
            language: media.language,
            path,
            default: media.default,
            autoselect: media.autoselect,
            forced: media.forced,
            characteristics: characteristics.map(str::to_owned).collect(),
            channels: media.channels,
            instream_id,
        }))
    }
}

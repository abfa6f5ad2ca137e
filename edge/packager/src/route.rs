//! The URL grammar, both ways: [`Route::parse`] reads a request path and `Display` writes it.
//!
//! ```text
//! /vod/v1/{packaging-group}/{asset}/{configuration}/{manifest}.m3u8 | .mpd
//! /vod/v1/{packaging-group}/{asset}/{configuration}/{tag}/{track}/playlist.m3u8
//! /vod/v1/{packaging-group}/{asset}/{configuration}/{tag}/{track}/iframes.m3u8
//! /vod/v1/{packaging-group}/{asset}/{configuration}/{tag}/{track}/init.mp4 | init2.mp4 | ...
//! /vod/v1/{packaging-group}/{asset}/{configuration}/{tag}/{track}/{number}.m4s | .ts | .aac | .ac3 | .ec3 | .mp3 | .vtt
//! /vod/v1/{packaging-group}/{asset}/{configuration}/{tag}/{track}/text.vtt
//! ```
//!
//! `{tag}` is sixteen hexadecimal digits that change whenever any byte below it would, so everything below it may be
//! cached for ever. `{track}` is `v`, `a` or `t` and a number counted from 0; segment numbers count from 1.

use core::fmt;
use core::str::FromStr;

use crate::config::{self, ManifestExtension};
use crate::error::{Error, Result};
use crate::limits;

mod live;

pub use live::{LiveFile, LiveResource, LiveRoute, TIME_PATH};

/// The kind of a track, as its name in a URL shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TrackKind {
    /// `v`
    Video,
    /// `a`
    Audio,
    /// `t`
    Text,
    /// `m`; never asked for by itself.
    Metadata,
}

/// A track of an asset: its kind and its place among the tracks of that kind, in the order of the sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackName {
    /// Which kind.
    pub kind: TrackKind,
    /// Counted from 0.
    pub ordinal: u16,
}

impl fmt::Display for TrackName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            TrackKind::Video => 'v',
            TrackKind::Audio => 'a',
            TrackKind::Text => 't',
            TrackKind::Metadata => 'm',
        };
        write!(f, "{kind}{}", self.ordinal)
    }
}

impl TrackName {
    fn parse(text: &str) -> Option<Self> {
        let kind = match text.bytes().next()? {
            b'v' => TrackKind::Video,
            b'a' => TrackKind::Audio,
            b't' => TrackKind::Text,
            _ => return None,
        };
        let ordinal = canonical_number(&text[1..])?;
        Some(Self { kind, ordinal })
    }
}

/// What of an asset is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// The manifest that players start from.
    Manifest {
        /// File name without extension.
        name: String,
        /// Its extension.
        extension: ManifestExtension,
    },
    /// Something below a tag.
    Tagged {
        /// See the module's text.
        tag: u64,
        /// Which track.
        track: TrackName,
        /// Which file of it.
        file: TrackFile,
    },
}

/// A file of one track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TrackFile {
    /// HLS media playlist.
    Playlist,
    /// HLS I-frame playlist.
    IframePlaylist,
    /// CMAF header of a period, counted from 1: a new one begins where the sample entry changes.
    Init(u32),
    /// A segment.
    Segment {
        /// Counted from 1.
        number: u32,
        /// By the extension.
        format: SegmentFormat,
    },
    /// All subtitles as one WebVTT file.
    Text,
}

/// What a segment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SegmentFormat {
    /// CMAF segment.
    Cmaf,
    /// MPEG-2 transport stream.
    Ts,
    /// Packed audio: AAC with ADTS headers.
    Aac,
    /// Packed audio: AC-3.
    Ac3,
    /// Packed audio: E-AC-3.
    Eac3,
    /// Packed audio: MPEG-1/2 layer III.
    Mp3,
    /// WebVTT.
    Webvtt,
}

impl SegmentFormat {
    const ALL: [Self; 7] = [Self::Cmaf, Self::Ts, Self::Aac, Self::Ac3, Self::Eac3, Self::Mp3, Self::Webvtt];

    /// Extension of the file name, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Cmaf => "m4s",
            Self::Ts => "ts",
            Self::Aac => "aac",
            Self::Ac3 => "ac3",
            Self::Eac3 => "ec3",
            Self::Mp3 => "mp3",
            Self::Webvtt => "vtt",
        }
    }
}

/// A request that this packager knows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    /// Name of the packaging group.
    pub packaging_group: String,
    /// Name of the asset.
    pub asset: String,
    /// Name of the packaging configuration.
    pub configuration: String,
    /// What of it.
    pub resource: Resource,
}

/// First part of every playback path of an asset.
const PREFIX: &str = "/vod/v1/";

impl Route {
    /// Reads a request path (without query).
    ///
    /// # Errors
    /// `NotFound` when the path is none of the forms above, `Limit` when it is too long.
    pub fn parse(path: &str) -> Result<Self> {
        if path.len() > limits::MAX_REQUEST_PATH_BYTES {
            return Err(Error::limit(format!("the path has more than {} bytes", limits::MAX_REQUEST_PATH_BYTES)));
        }
        Self::parse_known(path).ok_or_else(|| Error::not_found(format!("no resource has the path {path:?}")))
    }

    /// Key of the document of the configuration that this route needs.
    pub fn configuration_key(&self) -> String {
        config::configuration_key(&self.packaging_group, &self.configuration)
    }

    /// Key of the document of the asset that this route needs.
    pub fn asset_key(&self) -> String {
        config::asset_key(&self.packaging_group, &self.asset)
    }

    /// Key of the document of the content keys that this route needs when its configuration protects.
    pub fn keys_key(&self) -> String {
        config::keys_key(&self.packaging_group, &self.asset, &self.configuration)
    }

    fn parse_known(path: &str) -> Option<Self> {
        let mut parts = path.strip_prefix(PREFIX)?.split('/');
        let mut name = || parts.next().filter(|p| config::is_name(p)).map(str::to_owned);
        let (packaging_group, asset, configuration) = (name()?, name()?, name()?);
        let first = parts.next()?;
        let resource = match (parts.next(), parts.next(), parts.next()) {
            (None, ..) => {
                let (name, extension) = parse_manifest(first)?;
                Resource::Manifest { name, extension }
            }
            (Some(track), Some(file), None) => Resource::Tagged {
                tag: parse_tag(first)?,
                track: TrackName::parse(track)?,
                file: TrackFile::parse(file)?,
            },
            _ => return None,
        };
        Some(Self { packaging_group, asset, configuration, resource })
    }
}

impl TrackFile {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "playlist.m3u8" => Self::Playlist,
            "iframes.m3u8" => Self::IframePlaylist,
            "init.mp4" => Self::Init(1),
            "text.vtt" => Self::Text,
            _ => match text.strip_prefix("init") {
                Some(rest) => Self::Init(canonical_number(rest.strip_suffix(".mp4")?).filter(|n: &u32| *n > 1)?),
                None => {
                    let (number, format) = parse_segment(text)?;
                    Self::Segment { number: canonical_number(number).filter(|n: &u32| *n > 0)?, format }
                }
            },
        })
    }
}

impl fmt::Display for TrackFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Playlist => f.write_str("playlist.m3u8"),
            Self::IframePlaylist => f.write_str("iframes.m3u8"),
            Self::Init(0 | 1) => f.write_str("init.mp4"),
            Self::Init(period) => write!(f, "init{period}.mp4"),
            Self::Segment { number, format } => write!(f, "{number}.{}", format.extension()),
            Self::Text => f.write_str("text.vtt"),
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifest { name, extension } => write!(f, "{name}.{}", extension.as_str()),
            Self::Tagged { tag, track, file } => write!(f, "{tag:016x}/{track}/{file}"),
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}/{}/{}/{}", self.packaging_group, self.asset, self.configuration, self.resource)
    }
}

/// The name and the extension of a manifest.
fn parse_manifest(text: &str) -> Option<(String, ManifestExtension)> {
    let (name, extension) = text.rsplit_once('.')?;
    let extension = match extension {
        "m3u8" => ManifestExtension::M3u8,
        "mpd" => ManifestExtension::Mpd,
        _ => return None,
    };
    config::is_name(name).then(|| (name.to_owned(), extension))
}

/// The number of a segment, still as text, and what it is by its extension.
fn parse_segment(text: &str) -> Option<(&str, SegmentFormat)> {
    let (number, extension) = text.split_once('.')?;
    Some((number, SegmentFormat::ALL.into_iter().find(|f| f.extension() == extension)?))
}

fn parse_tag(text: &str) -> Option<u64> {
    let digits = text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    digits.then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

/// A decimal number with no sign and no leading zero, so that every resource has one URL.
fn canonical_number<T: FromStr>(text: &str) -> Option<T> {
    let canonical = text.bytes().all(|b| b.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
    canonical.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let tagged = |kind, ordinal, file| Resource::Tagged {
            tag: 0x0123_4567_89ab_cdef,
            track: TrackName { kind, ordinal },
            file,
        };
        for resource in [
            Resource::Manifest { name: "index".into(), extension: ManifestExtension::M3u8 },
            Resource::Manifest { name: "my-Film_1".into(), extension: ManifestExtension::Mpd },
            tagged(TrackKind::Video, 0, TrackFile::Playlist),
            tagged(TrackKind::Video, 65_535, TrackFile::IframePlaylist),
            tagged(TrackKind::Audio, 10, TrackFile::Init(1)),
            tagged(TrackKind::Video, 10, TrackFile::Init(2)),
            tagged(TrackKind::Audio, 0, TrackFile::Segment { number: u32::MAX, format: SegmentFormat::Cmaf }),
            tagged(TrackKind::Audio, 0, TrackFile::Segment { number: 1, format: SegmentFormat::Aac }),
            tagged(TrackKind::Video, 0, TrackFile::Segment { number: 1, format: SegmentFormat::Ts }),
            tagged(TrackKind::Text, 3, TrackFile::Segment { number: 1, format: SegmentFormat::Webvtt }),
            tagged(TrackKind::Text, 3, TrackFile::Text),
        ] {
            let route = Route { packaging_group: "g".into(), asset: "a".into(), configuration: "c".into(), resource };
            assert_eq!(Route::parse(&route.to_string()).unwrap(), route, "{route}");
        }
        let path = "/vod/v1/films/sintel/hls/0123456789abcdef/v0/17.m4s";
        assert_eq!(Route::parse(path).unwrap().to_string(), path);
    }

    #[test]
    fn a_resource_has_one_url() {
        for path in [
            "",
            "/",
            "/vod/v1/g/a/c",
            "/vod/v1/g/a/c/",
            "/vod/v1/g/a/c/index",
            "/vod/v1/g/a/c/index.m4s",
            "/vod/v1/g/a/c/.m3u8",
            "/vod/v1/g//c/index.m3u8",
            "/vod/v1/g/a/c/index.m3u8/",
            "/vod/v1/g/a/c/in dex.m3u8",
            "/vod/v1/g/a/c/%69ndex.m3u8",
            "/vod/v1/g/a/c/0123456789ABCDEF/v0/1.m4s",
            "/vod/v1/g/a/c/123456789abcdef/v0/1.m4s",
            "/vod/v1/g/a/c/0123456789abcdef/v00/1.m4s",
            "/vod/v1/g/a/c/0123456789abcdef/v/1.m4s",
            "/vod/v1/g/a/c/0123456789abcdef/v65536/1.m4s",
            "/vod/v1/g/a/c/0123456789abcdef/x0/1.m4s",
            "/vod/v1/g/a/c/0123456789abcdef/v0/0.m4s",
            "/vod/v1/g/a/c/0123456789abcdef/v0/01.m4s",
            "/vod/v1/g/a/c/0123456789abcdef/v0/+1.m4s",
            "/vod/v1/g/a/c/0123456789abcdef/v0/4294967296.m4s",
            "/vod/v1/g/a/c/0123456789abcdef/v0/1.m4s/x",
            "/vod/v1/g/a/c/0123456789abcdef/v0/init1.mp4",
            "/vod/v1/g/a/c/0123456789abcdef/v0/init02.mp4",
            "/vod/v1/g/a/c/0123456789abcdef/v0/1.",
            "/vod/v1/g/a/c/0123456789abcdef/v0/1.ts.ts",
            "/vod/v1/g/a/c/0123456789abcdef/\u{e9}0/1.m4s",
        ] {
            assert!(Route::parse(path).is_err(), "{path}");
        }
        assert_eq!(Route::parse(&"/x".repeat(2000)).unwrap_err().kind(), crate::ErrorKind::Limit);
    }
}

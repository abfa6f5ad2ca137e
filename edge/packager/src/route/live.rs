//! The URLs of live endpoints, both ways.
//!
//! ```text
//! /v1/{channel-group}/{channel}/{endpoint}/{manifest}.m3u8 | .mpd
//! /v1/{channel-group}/{channel}/{endpoint}/{tag}/{track}/playlist.m3u8 | iframes.m3u8
//! /v1/{channel-group}/{channel}/{endpoint}/{tag}/{track}/init{position}.mp4
//! /v1/{channel-group}/{channel}/{endpoint}/{tag}/{track}/{number}.m4s | .ts | .aac | .ac3 | .ec3 | .mp3 | .vtt
//! ```
//!
//! Segment numbers count from 0 over the whole timeline. The number of an init segment is the first position of its period.

use core::fmt;

use super::{SegmentFormat, TrackName, canonical_number, parse_manifest, parse_segment, parse_tag};
use crate::config::{self, ManifestExtension};
use crate::error::{Error, Result};
use crate::limits;

/// Path of an edge that answers its clock as an ISO 8601 date and time in UTC (`urn:mpeg:dash:utc:http-iso:2014`).
pub const TIME_PATH: &str = "/v1/time";

/// First part of every playback path of a live endpoint.
const PREFIX: &str = "/v1/";

/// A request for something of a live endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LiveRoute {
    /// Name of the channel group.
    pub channel_group: String,
    /// Name of the channel.
    pub channel: String,
    /// Name of the endpoint.
    pub endpoint: String,
    /// What of it.
    pub resource: LiveResource,
}

/// What of an endpoint is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LiveResource {
    /// The manifest that players start from.
    Manifest {
        /// File name without extension.
        name: String,
        /// Its extension.
        extension: ManifestExtension,
    },
    /// Something below a tag.
    Tagged {
        /// Sixteen hexadecimal digits in a URL; changes with everything that changes the bytes of segments.
        tag: u64,
        /// Which track.
        track: TrackName,
        /// Which file of it.
        file: LiveFile,
    },
}

/// A file of one track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LiveFile {
    /// HLS media playlist.
    Playlist,
    /// HLS I-frame playlist.
    IframePlaylist,
    /// CMAF header of the period that begins with this position.
    Init(u64),
    /// A segment.
    Segment {
        /// Counted from 0.
        number: u64,
        /// By the extension.
        format: SegmentFormat,
    },
}

impl LiveRoute {
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

    /// Key of the document of the endpoint that this route needs.
    pub fn endpoint_key(&self) -> String {
        config::endpoint_key(&self.channel_group, &self.channel, &self.endpoint)
    }

    /// Key of the document of the content keys that this route needs when its endpoint protects.
    pub fn keys_key(&self) -> String {
        config::endpoint_keys_key(&self.channel_group, &self.channel, &self.endpoint)
    }

    fn parse_known(path: &str) -> Option<Self> {
        let mut parts = path.strip_prefix(PREFIX)?.split('/');
        let mut name = || parts.next().filter(|p| config::is_name(p)).map(str::to_owned);
        let (channel_group, channel, endpoint) = (name()?, name()?, name()?);
        let first = parts.next()?;
        let resource = match (parts.next(), parts.next(), parts.next()) {
            (None, ..) => {
                let (name, extension) = parse_manifest(first)?;
                LiveResource::Manifest { name, extension }
            }
            (Some(track), Some(file), None) => LiveResource::Tagged {
                tag: parse_tag(first)?,
                track: TrackName::parse(track)?,
                file: LiveFile::parse(file)?,
            },
            _ => return None,
        };
        Some(Self { channel_group, channel, endpoint, resource })
    }
}

impl LiveFile {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "playlist.m3u8" => Self::Playlist,
            "iframes.m3u8" => Self::IframePlaylist,
            _ => match text.strip_prefix("init") {
                Some(rest) => Self::Init(canonical_number(rest.strip_suffix(".mp4")?)?),
                None => {
                    let (number, format) = parse_segment(text)?;
                    Self::Segment { number: canonical_number(number)?, format }
                }
            },
        })
    }
}

impl fmt::Display for LiveFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Playlist => f.write_str("playlist.m3u8"),
            Self::IframePlaylist => f.write_str("iframes.m3u8"),
            Self::Init(position) => write!(f, "init{position}.mp4"),
            Self::Segment { number, format } => write!(f, "{number}.{}", format.extension()),
        }
    }
}

impl fmt::Display for LiveResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifest { name, extension } => write!(f, "{name}.{}", extension.as_str()),
            Self::Tagged { tag, track, file } => write!(f, "{tag:016x}/{track}/{file}"),
        }
    }
}

impl fmt::Display for LiveRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}/{}/{}/{}", self.channel_group, self.channel, self.endpoint, self.resource)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::TrackKind;

    #[test]
    fn what_is_written_is_read_back() {
        let tagged = |kind, ordinal, file| LiveResource::Tagged {
            tag: 0x0123_4567_89ab_cdef,
            track: TrackName { kind, ordinal },
            file,
        };
        for resource in [
            LiveResource::Manifest { name: "manifest".into(), extension: ManifestExtension::M3u8 },
            LiveResource::Manifest { name: "my-Live_1".into(), extension: ManifestExtension::Mpd },
            tagged(TrackKind::Video, 0, LiveFile::Playlist),
            tagged(TrackKind::Video, 65_535, LiveFile::IframePlaylist),
            tagged(TrackKind::Audio, 10, LiveFile::Init(0)),
            tagged(TrackKind::Audio, 10, LiveFile::Init(u64::MAX)),
            tagged(TrackKind::Video, 0, LiveFile::Segment { number: 0, format: SegmentFormat::Ts }),
            tagged(TrackKind::Audio, 0, LiveFile::Segment { number: u64::MAX, format: SegmentFormat::Aac }),
            tagged(TrackKind::Text, 3, LiveFile::Segment { number: 1, format: SegmentFormat::Webvtt }),
        ] {
            let route = LiveRoute { channel_group: "g".into(), channel: "c".into(), endpoint: "e".into(), resource };
            assert_eq!(LiveRoute::parse(&route.to_string()).unwrap(), route, "{route}");
        }
        let path = "/v1/sport/one/hls/0123456789abcdef/v0/17.m4s";
        let route = LiveRoute::parse(path).unwrap();
        assert_eq!(route.to_string(), path);
        assert_eq!(route.endpoint_key(), "endpoint/sport/one/hls");
        assert_eq!(route.keys_key(), "endpoint-keys/sport/one/hls");
    }

    #[test]
    fn a_resource_has_one_url() {
        for path in [
            "",
            "/v1/",
            "/v1/time",
            "/v1/g/c/e",
            "/v1/g/c/e/",
            "/v1/g/c/e/index",
            "/v1/g/c/e/index.m4s",
            "/v1/g//e/index.m3u8",
            "/v1/g/c/e/index.m3u8/",
            "/v1/g/c/e/0123456789ABCDEF/v0/1.m4s",
            "/v1/g/c/e/0123456789abcdef/v0/01.m4s",
            "/v1/g/c/e/0123456789abcdef/v0/+1.m4s",
            "/v1/g/c/e/0123456789abcdef/v0/18446744073709551616.m4s",
            "/v1/g/c/e/0123456789abcdef/v0/init.mp4",
            "/v1/g/c/e/0123456789abcdef/v0/init00.mp4",
            "/v1/g/c/e/0123456789abcdef/v0/text.vtt",
            "/v1/g/c/e/0123456789abcdef/m0/1.m4s",
            "/vod/v1/g/a/c/index.m3u8",
        ] {
            assert!(LiveRoute::parse(path).is_err(), "{path}");
        }
        assert_eq!(LiveRoute::parse(&"/x".repeat(2000)).unwrap_err().kind(), crate::ErrorKind::Limit);
    }
}

//! The documents that the control plane writes and the edges read.
//!
//! A [`Document`] is one versioned JSON object with a revision; higher revisions replace lower ones. A [`Batch`] carries
//! documents to an edge under an Ed25519 signature over [`signed_message`].

use serde::{Deserialize, Serialize};

use crate::limits;

mod access;
mod document;
mod keys;
mod live;
mod protection;

pub use access::{Access, Network};
pub use document::{
    Acknowledgement, Batch, Body, DOCUMENT_VERSION, Document, SIGNATURE_CONTEXT, asset_key, configuration_key,
    endpoint_key, endpoint_keys_key, keys_key, signed_message,
};
pub use keys::{ContentKeys, KeyUse, KeysOf, SealedKey, Signalling};
pub use live::{
    Counters, Endpoint, LISTING_PARTS, LIVE_PATH, ListingEntry, LiveManifest, LivePeriod, MAX_GROUP, OpenPart,
    PART_POSITIONS, PartEntry, Removed, Timeline, group,
};
pub use protection::{Iv, Kid, Protection, Scheme, System};

/// Request header of a push: the standard base64 of the 64-byte Ed25519 signature of [`signed_message`].
pub const SIGNATURE_HEADER: &str = "edgepack-signature";

/// Path of an edge that takes a [`Batch`] by PUT.
pub const PUSH_PATH: &str = "/admin/v1/documents";

/// Path of the control plane, followed by a document's key, that answers a [`Document`].
pub const PULL_PATH: &str = "/origin/v1/documents/";

/// Path of the control plane, followed by a storage path, that answers bytes of media with Range.
pub const MEDIA_PATH: &str = "/origin/v1/media/";

/// Path of the control plane, followed by an index's name, that answers bytes of a sidecar index with Range.
pub const INDEX_PATH: &str = "/origin/v1/indexes/";

/// Request header of a read of media: the asset that it is for, as the part of [`asset_key`] after the kind. What is found
/// to be wrong with the object is then noted on it.
pub const ASSET_HEADER: &str = "edgepack-asset";

/// Request header of a pull of keys: the name of the edge that they are to be sealed for.
pub const EDGE_HEADER: &str = "edgepack-edge";

/// Request header of a read of media: the length in bytes that the object had when it was indexed.
pub const BYTES_HEADER: &str = "edgepack-bytes";

/// Which output a packaging configuration makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PackageType {
    /// HLS with MPEG-2 TS segments.
    Hls,
    /// HLS with CMAF segments.
    Cmaf,
    /// DASH with CMAF segments.
    Dash,
}

impl PackageType {
    /// The extension of the manifest, without the dot.
    pub fn manifest_extension(self) -> ManifestExtension {
        match self {
            Self::Hls | Self::Cmaf => ManifestExtension::M3u8,
            Self::Dash => ManifestExtension::Mpd,
        }
    }

    /// The name used in the REST interface.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hls => "HLS",
            Self::Cmaf => "CMAF",
            Self::Dash => "DASH",
        }
    }
}

/// The extension of a manifest's file name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ManifestExtension {
    /// A multivariant playlist of HLS.
    M3u8,
    /// A media presentation description of DASH.
    Mpd,
}

impl ManifestExtension {
    /// Without the dot.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::M3u8 => "m3u8",
            Self::Mpd => "mpd",
        }
    }
}

/// Which generation of players the playlists of [`PackageType::Hls`] are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum HlsVersion {
    /// No renditions and no I-frame playlists: each variant carries the main audio, and nothing else is offered.
    V3,
    /// With renditions (EXT-X-MEDIA) and I-frame playlists.
    #[default]
    V4,
}

impl TryFrom<u8> for HlsVersion {
    type Error = String;

    fn try_from(version: u8) -> core::result::Result<Self, String> {
        match version {
            3 => Ok(Self::V3),
            4 => Ok(Self::V4),
            other => Err(format!("{other} is not 3 or 4")),
        }
    }
}

impl From<HlsVersion> for u8 {
    fn from(version: HlsVersion) -> Self {
        match version {
            HlsVersion::V3 => 3,
            HlsVersion::V4 => 4,
        }
    }
}

/// How [`PackageType::Dash`] carries WebVTT subtitles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TextFormat {
    /// Segments of ISO/IEC 14496-30 `wvtt` samples.
    #[default]
    Wvtt,
    /// One WebVTT file for the whole title.
    Webvtt,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// In which order video renditions are listed. Players start with the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StreamOrder {
    /// As the sources were given.
    #[default]
    Original,
    /// Lowest average bit rate first.
    Ascending,
    /// Highest average bit rate first.
    Descending,
}

/// Which video renditions are offered, and in which order. Audio is never left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamSelection {
    /// Order of the video renditions.
    #[serde(default)]
    pub order: StreamOrder,
    /// Lowest average video bit rate to offer, bits a second, inclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_video_bitrate: Option<u64>,
    /// Highest average video bit rate to offer, bits a second, inclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_video_bitrate: Option<u64>,
}

/// How the assets of a packaging group are packaged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackagingConfiguration {
    /// Unique name, part of the playback URL.
    pub name: String,
    /// The packaging group it belongs to.
    pub packaging_group: String,
    /// Which output.
    pub package_type: PackageType,
    /// Target duration of a segment in seconds, [`limits::SEGMENT_SECONDS`].
    pub segment_duration_seconds: u32,
    /// File name of the manifest without extension.
    pub manifest_name: String,
    /// Which video renditions, in which order.
    #[serde(default)]
    pub stream_selection: StreamSelection,
    /// [`PackageType::Hls`]: audio in segments and renditions of its own instead of in the segments of the video.
    #[serde(default, skip_serializing_if = "is_default")]
    pub audio_separation: bool,
    /// [`PackageType::Hls`]: which form of playlist. With [`HlsVersion::V3`] there is no audio separation.
    #[serde(default, skip_serializing_if = "is_default")]
    pub hls_version: HlsVersion,
    /// [`PackageType::Dash`]: the form of subtitles.
    #[serde(default, skip_serializing_if = "is_default")]
    pub text_format: TextFormat,
    /// Who may play.
    #[serde(default, skip_serializing_if = "is_default")]
    pub access: Access,
    /// How it is protected; the keys of each asset are in a document of their own ([`ContentKeys`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protection: Option<Protection>,
}

/// Where the sidecar index of an asset is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexObject {
    /// Name below [`INDEX_PATH`]; never contains `..`, a scheme or a leading slash.
    pub path: String,
    /// Length of the whole index in bytes.
    pub bytes: u64,
    /// Length of its head in bytes: one read of `0..head_bytes` answers any manifest.
    pub head_bytes: u64,
    /// SHA-256 of the whole index, 64 lower-case hexadecimal digits.
    pub digest: String,
}

/// One stored media file of an asset, in the order the index counts them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceObject {
    /// Name below [`MEDIA_PATH`]; never contains `..`, a scheme or a leading slash.
    pub path: String,
    /// Length in bytes when it was indexed.
    pub bytes: u64,
    /// Entity tag of the storage when it was indexed, if it has one. A changed tag means that the index is stale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
}

impl SourceObject {
    /// About how many bytes of memory it holds.
    pub fn memory(&self) -> usize {
        size_of::<Self>() + self.path.len() + self.etag.as_ref().map_or(0, String::len)
    }
}

/// A playable asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asset {
    /// Unique name, part of the playback URL.
    pub name: String,
    /// The packaging group it belongs to.
    pub packaging_group: String,
    /// Its sidecar index.
    pub index: IndexObject,
    /// Its media files. Empty when the source is an HLS playlist: its many objects are in the index then.
    pub sources: Vec<SourceObject>,
}

/// Whether `name` may stand in a URL: 1 to [`limits::MAX_NAME_BYTES`] of `A-Z a-z 0-9 _ -`.
pub fn is_name(name: &str) -> bool {
    (1..=limits::MAX_NAME_BYTES).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// Whether `path` names an object below a storage root: relative, no empty, `.` or `..` part, no control character,
/// backslash, query or fragment, and no scheme.
pub fn is_storage_path(path: &str) -> bool {
    !path.is_empty()
        && path.len() <= limits::MAX_PATH_BYTES
        && !path.chars().any(|c| c.is_control() || matches!(c, '\\' | '?' | '#'))
        && !path.contains("://")
        && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storage_paths_cannot_leave_their_root() {
        for good in ["a.mp4", "shows/1/video 720p.mp4", "a..b/c", "ü.mp4"] {
            assert!(is_storage_path(good), "{good}");
        }
        for bad in ["", "/a", "a/", "a//b", "../a", "a/../b", "./a", "a\\b", "s3://a/b", "a?b", "a#b", "a\nb"] {
            assert!(!is_storage_path(bad), "{bad:?}");
        }
        assert!(!is_storage_path(&"a".repeat(limits::MAX_PATH_BYTES + 1)));
    }
}

//! From stored media to a sidecar index, once per asset: the sans-IO state machine that an ingest job drives.

use core::ops::Range;

use bytes::Bytes;

use crate::error::{Error, Result};

/// What an operator says about a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// BCP 47 tag; else what the media says.
    pub language: Option<String>,
    /// Name shown in a player's menu; else made from the language.
    pub label: Option<String>,
    /// A value of `urn:mpeg:dash:role:2011`, e.g. `main`, `alternate`, `commentary`, `dub`, `description`.
    pub role: Option<String>,
}

/// A stored media file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Name for messages.
    pub path: String,
    /// Length in bytes.
    pub bytes: u64,
    /// What the operator says about it.
    pub description: Description,
}

/// What to do next.
#[derive(Debug)]
pub enum IngestStep {
    /// Read this range and supply it.
    Read {
        /// Position among the source files.
        source: usize,
        /// Never empty, never past the end of the file.
        range: Range<u64>,
    },
    /// The index is made.
    Done(IndexedAsset),
}

/// A finished index and what it found.
#[derive(Debug)]
pub struct IndexedAsset {
    /// The sidecar index; see `docs/index.md`.
    pub index: Vec<u8>,
    /// Length of its head.
    pub head_bytes: u64,
    /// Presentation length in milliseconds.
    pub duration_ms: u64,
    /// The tracks, in the order of the index.
    pub tracks: Vec<TrackSummary>,
    /// What was left out or looks wrong, for people.
    pub warnings: Vec<String>,
}

/// A track, for people.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct TrackSummary {
    /// Name in URLs, `v0`, `a0`, ...
    pub name: String,
    /// Position of its source.
    pub source: usize,
    /// `video` or `audio`.
    pub kind: &'static str,
    /// RFC 6381 codec string.
    pub codec: String,
    /// Average bits a second.
    pub average_bitrate: u64,
    /// Most bits a second over one cut interval (about a second or a group of pictures).
    pub peak_bitrate: u64,
    /// Width and height in samples, for video.
    pub width: Option<u32>,
    /// See `width`.
    pub height: Option<u32>,
    /// Frames a second, for video.
    pub frame_rate: Option<f64>,
    /// `SDR`, `PQ` or `HLG`, for video.
    pub video_range: Option<&'static str>,
    /// For audio, as HLS writes it, e.g. `2`, `6`, `16/JOC`.
    pub channels: Option<String>,
    /// Samples a second, for audio.
    pub sample_rate: Option<u32>,
    /// BCP 47 tag.
    pub language: Option<String>,
    /// Name shown to viewers.
    pub label: Option<String>,
    /// Role.
    pub role: Option<String>,
    /// Number of samples (frames).
    pub samples: u64,
}

/// Indexes one asset: a ladder of source files, each with one or more tracks.
#[derive(Debug)]
pub struct Indexer {}

impl Indexer {
    /// Starts with all sources of the asset.
    ///
    /// # Errors
    /// `Limit` with too many sources, `BadSource` for an empty one.
    pub fn new(_sources: Vec<SourceFile>) -> Result<Self> {
        Err(Error::internal("being built"))
    }

    /// Says what to do next.
    ///
    /// # Errors
    /// `BadSource`, `Unsupported` or `Limit`, naming the file, box and byte offset.
    pub fn step(&mut self) -> Result<IngestStep> {
        Err(Error::internal("being built"))
    }

    /// Brings the bytes of the range that `step` asked for.
    ///
    /// # Errors
    /// As [`Self::step`]; `Upstream` when the length is not what was asked for.
    pub fn supply(&mut self, _bytes: Bytes) -> Result<()> {
        Err(Error::internal("being built"))
    }

    /// How much is done, 0 to 1.
    pub fn progress(&self) -> f64 {
        0.0
    }
}

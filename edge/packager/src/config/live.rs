//! Live channels: what an endpoint offers, and the timeline of a channel. `docs/live.md` tells how they go together.

use serde::{Deserialize, Serialize};

use super::{Access, PackageType, PackagingConfiguration, Protection, StreamSelection, is_default, is_name};
use crate::limits;

mod check;

/// Path of the control plane, followed by `{group}/{channel}`, that answers a [`Timeline`].
pub const LIVE_PATH: &str = "/origin/v1/live/";

/// Positions of a part that is full; the last part of a period may have fewer.
pub const PART_POSITIONS: u32 = 64;

/// Parts of a listing that is full; all but the parts since the last listing are in one.
pub const LISTING_PARTS: u32 = 64;

/// The most positions that one segment is made of: so many segments of a second make one of thirty.
pub const MAX_GROUP: u32 = 30;

/// An endpoint of a live channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Unique in its channel, part of the playback URL.
    pub name: String,
    /// The channel group, part of the playback URL.
    pub channel_group: String,
    /// The channel, part of the playback URL.
    pub channel: String,
    /// Which output: [`PackageType::Hls`], [`PackageType::Cmaf`] (`HLS_CMAF` in the REST interface) or
    /// [`PackageType::Dash`].
    pub package_type: PackageType,
    /// File name of the manifest without extension.
    pub manifest_name: String,
    /// Target duration of a segment in seconds, [`crate::limits::SEGMENT_SECONDS`].
    pub segment_duration_seconds: u32,
    /// [`PackageType::Hls`]: audio in segments and renditions of its own.
    #[serde(default, skip_serializing_if = "is_default")]
    pub audio_separation: bool,
    /// Which video renditions, in which order. The rates of live renditions are those that the encoder announces.
    #[serde(default)]
    pub stream_selection: StreamSelection,
    /// What manifests say beyond that.
    pub manifest: LiveManifest,
    /// How many seconds back a viewer may go; 0 when not at all.
    #[serde(default, skip_serializing_if = "is_default")]
    pub time_shift_seconds: u32,
    /// Who may play.
    #[serde(default, skip_serializing_if = "is_default")]
    pub access: Access,
    /// How it is protected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protection: Option<Protection>,
}

/// What the manifests of an endpoint say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum LiveManifest {
    /// HLS.
    Hls {
        /// How many segments a playlist has, 2 to 100.
        segments: u32,
        /// EXT-X-PROGRAM-DATE-TIME every so many seconds; 0 at every segment, `None` never.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        program_date_time_seconds: Option<u32>,
    },
    /// DASH.
    Dash {
        /// `MPD@minBufferTime`, seconds.
        min_buffer_seconds: u32,
        /// `MPD@minimumUpdatePeriod`, seconds.
        min_update_seconds: u32,
        /// `MPD@suggestedPresentationDelay`, seconds.
        presentation_delay_seconds: u32,
        /// `MPD@timeShiftBufferDepth`, seconds.
        window_seconds: u32,
    },
}

impl Endpoint {
    /// Checks what serde cannot.
    ///
    /// # Errors
    /// The field and why.
    pub fn check(&self) -> Result<(), String> {
        let within = |field: &str, value: u32, range: core::ops::RangeInclusive<u32>| match range.contains(&value) {
            true => Ok(()),
            false => Err(format!("{field}: {value} is not {} to {}", range.start(), range.end())),
        };
        if !is_name(&self.manifest_name) {
            return Err("manifest_name is not a name".to_owned());
        }
        within("segment_duration_seconds", self.segment_duration_seconds, limits::SEGMENT_SECONDS)?;
        within("time_shift_seconds", self.time_shift_seconds, 0..=limits::MAX_TIME_SHIFT_SECONDS)?;
        match (&self.manifest, self.package_type) {
            (LiveManifest::Hls { segments, program_date_time_seconds }, PackageType::Hls | PackageType::Cmaf) => {
                within("manifest.segments", *segments, limits::LIVE_SEGMENTS)?;
                let interval = program_date_time_seconds.unwrap_or(0);
                within("manifest.program_date_time_seconds", interval, 0..=3600)?;
            }
            (
                LiveManifest::Dash {
                    min_buffer_seconds,
                    min_update_seconds,
                    presentation_delay_seconds,
                    window_seconds,
                },
                PackageType::Dash,
            ) => {
                within("manifest.min_buffer_seconds", *min_buffer_seconds, 1..=60)?;
                within("manifest.min_update_seconds", *min_update_seconds, 1..=3600)?;
                within("manifest.presentation_delay_seconds", *presentation_delay_seconds, 1..=90)?;
                within("manifest.window_seconds", *window_seconds, 1..=3600)?;
            }
            _ => return Err("manifest is of another package type".to_owned()),
        }
        if self.audio_separation && self.package_type != PackageType::Hls {
            return Err("audio_separation is for HLS with transport streams".to_owned());
        }
        if let Some(Err((field, why))) = self.protection.as_ref().map(|p| p.check(self.package_type)) {
            return Err(format!("protection.{field}: {why}"));
        }
        self.access.check()
    }

    /// The configuration by which an asset would be packaged in the same way.
    pub fn configuration(&self) -> PackagingConfiguration {
        PackagingConfiguration {
            name: self.name.clone(),
            packaging_group: self.channel_group.clone(),
            package_type: self.package_type,
            segment_duration_seconds: self.segment_duration_seconds,
            manifest_name: self.manifest_name.clone(),
            stream_selection: self.stream_selection.clone(),
            audio_separation: self.audio_separation,
            hls_version: Default::default(),
            text_format: Default::default(),
            access: self.access.clone(),
            protection: self.protection.clone(),
        }
    }
}

/// What a channel has: everything that is still stored, in positions. A position is one segment of the source, in all
/// renditions; positions count from 0 and never get another number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// [`super::DOCUMENT_VERSION`].
    pub version: u32,
    /// The channel group.
    pub channel_group: String,
    /// The channel.
    pub channel: String,
    /// Sixteen lower-case hexadecimal digits; others when a channel of this name begins anew.
    pub id: String,
    /// Grows with every change.
    pub revision: u64,
    /// When this revision was made, milliseconds since 1970 UTC.
    pub published_ms: u64,
    /// When presentation time 0 was, milliseconds since 1970 UTC. Presentation time follows the wall clock; within a
    /// period it follows the clock of the encoder.
    pub epoch_ms: u64,
    /// How long a position is at most, in seconds: what the encoder announced when the timeline began.
    pub position_seconds: u32,
    /// Nothing more will come.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ended: bool,
    /// The first position that is still stored.
    pub first: u64,
    /// The number that the next position will have.
    pub next: u64,
    /// Those of which something is stored, ascending.
    pub periods: Vec<LivePeriod>,
    /// What the periods had that are no longer in `periods`.
    pub before: Removed,
    /// The listings, ascending.
    pub listings: Vec<ListingEntry>,
    /// The parts since the last listing, ascending.
    pub parts: Vec<PartEntry>,
    /// The positions since the last part.
    pub open: Option<OpenPart>,
}

/// A stretch of positions in which time runs on and no sample entry changes. All its positions have the same tracks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LivePeriod {
    /// Its first position; the first of the next period, or [`Timeline::next`], is the end.
    pub first: u64,
    /// Presentation time at which it begins, in microseconds; that of its first picture.
    pub start_us: u64,
    /// Presentation time at which it ends, in microseconds; that of the last period moves on.
    pub end_us: u64,
    /// Whether it begins with EXT-X-DISCONTINUITY. Not when only media are missing before it: DASH alone then needs a period.
    pub discontinuity: bool,
}

/// Periods that are gone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// How many discontinuities; with those of `periods` (that of the first aside) a discontinuity sequence.
    pub discontinuities: u64,
    /// For each number of positions in a segment, from 1 to [`MAX_GROUP`], how many segments they made: each
    /// period begins with a new segment.
    pub segments: Vec<u64>,
}

/// A part: an index (`docs/index.md`) of consecutive positions of one period, blocks included. Presentation times are those
/// of the timeline. It never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartEntry {
    /// Its first position.
    pub first: u64,
    /// How many positions.
    pub positions: u32,
    /// When it begins and ends, microseconds of presentation time.
    pub start_us: u64,
    /// See `start_us`.
    pub end_us: u64,
    /// Length of the whole in bytes.
    pub bytes: u64,
    /// Length of its head in bytes.
    pub head_bytes: u64,
    /// What stands before it.
    pub counters: Counters,
}

/// For each track of a head in its order, how many packets of a transport stream stand before it in the timeline, modulo 16:
/// what continuity counters go on from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// [`crate::index::Fragment::packets`].
    pub packets: Vec<u8>,
    /// [`crate::index::Fragment::sample_aes_packets`].
    pub sample_aes: Vec<u8>,
}

/// A listing: an object with a JSON array of [`LISTING_PARTS`] consecutive [`PartEntry`]. It never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListingEntry {
    /// The first position of its first part.
    pub first: u64,
    /// When its first part begins, microseconds of presentation time.
    pub start_us: u64,
    /// Its length in bytes.
    pub bytes: u64,
}

/// The positions since the last part, all of one period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenPart {
    /// Its first position.
    pub first: u64,
    /// Standard base64 of the head of an index of these positions. Its blocks are in an object for each position: for each
    /// track in the order of the head its one or more blocks.
    pub head: String,
    /// What stands before it.
    pub counters: Counters,
}

impl Timeline {
    /// Below [`super::INDEX_PATH`]: the part that begins with position `first`.
    pub fn part_path(&self, first: u64) -> String {
        format!("live/{}/parts/{first}.epix", self.id)
    }

    /// Below [`super::INDEX_PATH`]: the listing that begins with position `first`.
    pub fn listing_path(&self, first: u64) -> String {
        format!("live/{}/listings/{first}.json", self.id)
    }

    /// Below [`super::INDEX_PATH`]: the blocks of a position that is in no part yet; they stay for a while after that.
    pub fn blocks_path(&self, position: u64) -> String {
        format!("live/{}/blocks/{position}", self.id)
    }
}

/// How many positions make a segment: the fewest that reach `target` seconds, or nearly, when each has `position_seconds`.
pub fn group(target: u32, position_seconds: u32) -> u32 {
    // As for stored segments, a tenth less is enough.
    let enough = u64::from(target) * 9;
    let length = u64::from(position_seconds.max(1)) * 10;
    u32::try_from(enough.div_ceil(length)).unwrap_or(MAX_GROUP).clamp(1, MAX_GROUP)
}

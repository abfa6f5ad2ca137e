//! Endpoints of live channels.

use serde::{Deserialize, Serialize};
use sqlx::SqliteConnection;
use utoipa::ToSchema;

use super::Page;

/// Which output an endpoint has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[sqlx(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EndpointProtocol {
    /// HLS with TS segments.
    Hls,
    /// HLS with CMAF segments.
    HlsCmaf,
    /// DASH with CMAF segments.
    Dash,
}

impl EndpointProtocol {
    /// As it is written in the REST interface.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hls => "HLS",
            Self::HlsCmaf => "HLS_CMAF",
            Self::Dash => "DASH",
        }
    }
}

/// An endpoint. Fields of manifests that are `None` are what protocol and segment duration make of them.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Endpoint {
    /// Row.
    pub id: i64,
    /// Row of its channel.
    pub channel_id: i64,
    /// Name of the group of its channel.
    pub channel_group: String,
    /// Name of its channel.
    pub channel: String,
    /// Unique in its channel.
    pub name: String,
    /// Which output.
    pub protocol: EndpointProtocol,
    /// File name of the manifest without extension.
    pub manifest_name: String,
    /// How far back viewers may go.
    pub time_shift_days: i64,
    /// JSON of [`packager::config::Access`]: who may play.
    pub access: String,
    /// Target duration of a segment.
    pub segment_duration_seconds: i64,
    /// Of HLS: audio apart from video.
    pub audio_separation: bool,
    /// `ORIGINAL`, `ASCENDING` or `DESCENDING`.
    pub stream_order: String,
    /// Bits a second.
    pub min_video_bitrate: Option<i64>,
    /// Bits a second.
    pub max_video_bitrate: Option<i64>,
    /// Of HLS: segments of a playlist.
    pub segments: Option<i64>,
    /// Of HLS: interval of EXT-X-PROGRAM-DATE-TIME; none without one.
    pub program_date_time_seconds: Option<i64>,
    /// Of DASH.
    pub min_buffer_seconds: Option<i64>,
    /// Of DASH.
    pub min_update_seconds: Option<i64>,
    /// Of DASH.
    pub presentation_delay_seconds: Option<i64>,
    /// Of DASH.
    pub window_seconds: Option<i64>,
    /// What key servers call it.
    pub content_id: Option<String>,
    /// JSON of [`crate::protect::ProtectionView`], when it protects.
    pub protection: Option<String>,
    /// JSON of [`crate::protect::Protection`], sealed.
    pub protection_sealed: Option<Vec<u8>>,
    /// Grows whenever the protection changes.
    pub protection_revision: i64,
    /// Milliseconds since 1970.
    pub created_at: i64,
}

/// Adds an endpoint (its `id`, its protection, and the names of group and channel are not looked at) and answers its row.
pub async fn insert(db: &mut SqliteConnection, new: &Endpoint) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "INSERT INTO endpoints (channel_id, name, protocol, manifest_name, time_shift_days, access,
         segment_duration_seconds, audio_separation, stream_order, min_video_bitrate, max_video_bitrate, segments,
         program_date_time_seconds, min_buffer_seconds, min_update_seconds, presentation_delay_seconds, window_seconds,
         content_id, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
    )
    .bind(new.channel_id)
    .bind(&new.name)
    .bind(new.protocol)
    .bind(&new.manifest_name)
    .bind(new.time_shift_days)
    .bind(&new.access)
    .bind(new.segment_duration_seconds)
    .bind(new.audio_separation)
    .bind(&new.stream_order)
    .bind(new.min_video_bitrate)
    .bind(new.max_video_bitrate)
    .bind(new.segments)
    .bind(new.program_date_time_seconds)
    .bind(new.min_buffer_seconds)
    .bind(new.min_update_seconds)
    .bind(new.presentation_delay_seconds)
    .bind(new.window_seconds)
    .bind(&new.content_id)
    .bind(new.created_at)
    .fetch_one(db)
    .await
}

/// The endpoint with a name in a channel.
pub async fn find(db: &mut SqliteConnection, channel_id: i64, name: &str) -> sqlx::Result<Option<Endpoint>> {
    sqlx::query_as(
        "SELECT e.*, c.name AS channel, g.name AS channel_group FROM endpoints e
         JOIN channels c ON c.id = e.channel_id JOIN channel_groups g ON g.id = c.group_id
         WHERE e.channel_id = ? AND e.name = ?",
    )
    .bind(channel_id)
    .bind(name)
    .fetch_optional(db)
    .await
}

/// The endpoint with a row.
pub async fn get(db: &mut SqliteConnection, id: i64) -> sqlx::Result<Option<Endpoint>> {
    sqlx::query_as(
        "SELECT e.*, c.name AS channel, g.name AS channel_group FROM endpoints e
         JOIN channels c ON c.id = e.channel_id JOIN channel_groups g ON g.id = c.group_id
         WHERE e.id = ?",
    )
    .bind(id)
    .fetch_optional(db)
    .await
}

/// All endpoints that protect, of whichever channel.
pub async fn protected(db: &mut SqliteConnection) -> sqlx::Result<Vec<Endpoint>> {
    sqlx::query_as(
        "SELECT e.*, c.name AS channel, g.name AS channel_group FROM endpoints e
         JOIN channels c ON c.id = e.channel_id JOIN channel_groups g ON g.id = c.group_id
         WHERE e.protection IS NOT NULL ORDER BY e.id",
    )
    .fetch_all(db)
    .await
}

/// Writes the protection of an endpoint, which gets a new revision.
pub async fn set_protection(
    db: &mut SqliteConnection,
    id: i64,
    view: Option<&str>,
    sealed: Option<&[u8]>,
) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "UPDATE endpoints SET protection = ?, protection_sealed = ?, protection_revision = protection_revision + 1
         WHERE id = ? RETURNING protection_revision",
    )
    .bind(view)
    .bind(sealed)
    .bind(id)
    .fetch_one(db)
    .await
}

/// Endpoints of a channel in the order of their making.
pub async fn list(db: &mut SqliteConnection, channel_id: i64, page: Page) -> sqlx::Result<Vec<Endpoint>> {
    sqlx::query_as(
        "SELECT e.*, c.name AS channel, g.name AS channel_group FROM endpoints e
         JOIN channels c ON c.id = e.channel_id JOIN channel_groups g ON g.id = c.group_id
         WHERE e.channel_id = ? AND e.id > ? ORDER BY e.id LIMIT ?",
    )
    .bind(channel_id)
    .bind(page.after)
    .bind(page.limit)
    .fetch_all(db)
    .await
}

/// All endpoints of a channel.
pub async fn of_channel(db: &mut SqliteConnection, channel_id: i64) -> sqlx::Result<Vec<Endpoint>> {
    list(db, channel_id, Page { after: 0, limit: i64::MAX }).await
}

/// How many endpoints a channel has.
pub async fn count_of_channel(db: &mut SqliteConnection, channel_id: i64) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT count(*) FROM endpoints WHERE channel_id = ?").bind(channel_id).fetch_one(db).await
}

/// Writes all changeable fields but the protection of the endpoint with `changed.id`.
pub async fn update(db: &mut SqliteConnection, changed: &Endpoint) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE endpoints SET name = ?, protocol = ?, manifest_name = ?, time_shift_days = ?, access = ?,
         segment_duration_seconds = ?, audio_separation = ?, stream_order = ?, min_video_bitrate = ?,
         max_video_bitrate = ?, segments = ?, program_date_time_seconds = ?, min_buffer_seconds = ?,
         min_update_seconds = ?, presentation_delay_seconds = ?, window_seconds = ?, content_id = ?
         WHERE id = ?",
    )
    .bind(&changed.name)
    .bind(changed.protocol)
    .bind(&changed.manifest_name)
    .bind(changed.time_shift_days)
    .bind(&changed.access)
    .bind(changed.segment_duration_seconds)
    .bind(changed.audio_separation)
    .bind(&changed.stream_order)
    .bind(changed.min_video_bitrate)
    .bind(changed.max_video_bitrate)
    .bind(changed.segments)
    .bind(changed.program_date_time_seconds)
    .bind(changed.min_buffer_seconds)
    .bind(changed.min_update_seconds)
    .bind(changed.presentation_delay_seconds)
    .bind(changed.window_seconds)
    .bind(&changed.content_id)
    .bind(changed.id)
    .execute(db)
    .await
    .map(drop)
}

/// Removes an endpoint.
pub async fn delete(db: &mut SqliteConnection, id: i64) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM endpoints WHERE id = ?").bind(id).execute(db).await.map(drop)
}

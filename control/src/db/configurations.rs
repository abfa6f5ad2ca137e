//! Packaging configurations.

use sqlx::SqliteConnection;

use super::Page;

/// A packaging configuration.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Configuration {
    /// Row.
    pub id: i64,
    /// Row of its group.
    pub group_id: i64,
    /// Name of its group.
    pub packaging_group: String,
    /// Name, unique over all groups.
    pub name: String,
    /// `HLS`, `CMAF` or `DASH`.
    pub package_type: String,
    /// Target duration of a segment.
    pub segment_duration_seconds: i64,
    /// File name of the manifest without extension.
    pub manifest_name: String,
    /// `ORIGINAL`, `ASCENDING` or `DESCENDING`.
    pub stream_order: String,
    /// Bits a second.
    pub min_video_bitrate: Option<i64>,
    /// Bits a second.
    pub max_video_bitrate: Option<i64>,
    /// Of HLS: audio apart from video.
    pub audio_separation: bool,
    /// Of HLS: 3 or 4.
    pub hls_version: i64,
    /// Of DASH: `WVTT` or `WEBVTT`.
    pub text_format: String,
    /// JSON of [`packager::config::Access`]: who may play.
    pub access: String,
    /// JSON of [`crate::protect::ProtectionView`], when it protects.
    pub protection: Option<String>,
    /// JSON of [`crate::protect::Protection`], sealed.
    pub protection_sealed: Option<Vec<u8>>,
    /// Grows whenever the protection changes.
    pub protection_revision: i64,
    /// Milliseconds since 1970.
    pub created_at: i64,
}

/// Adds a configuration (its `id`, `packaging_group` and protection are not looked at) and answers its row.
pub async fn insert(db: &mut SqliteConnection, new: &Configuration) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "INSERT INTO configurations (group_id, name, package_type, segment_duration_seconds, manifest_name, stream_order,
         min_video_bitrate, max_video_bitrate, audio_separation, hls_version, text_format, access, created_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
    )
    .bind(new.group_id)
    .bind(&new.name)
    .bind(&new.package_type)
    .bind(new.segment_duration_seconds)
    .bind(&new.manifest_name)
    .bind(&new.stream_order)
    .bind(new.min_video_bitrate)
    .bind(new.max_video_bitrate)
    .bind(new.audio_separation)
    .bind(new.hls_version)
    .bind(&new.text_format)
    .bind(&new.access)
    .bind(new.created_at)
    .fetch_one(db)
    .await
}

/// The configuration with a name, in whichever group.
pub async fn find(db: &mut SqliteConnection, name: &str) -> sqlx::Result<Option<Configuration>> {
    sqlx::query_as(
        "SELECT c.*, g.name AS packaging_group FROM configurations c JOIN packaging_groups g ON g.id = c.group_id
         WHERE c.name = ?",
    )
    .bind(name)
    .fetch_optional(db)
    .await
}

/// The configuration with a row.
pub async fn get(db: &mut SqliteConnection, id: i64) -> sqlx::Result<Option<Configuration>> {
    sqlx::query_as(
        "SELECT c.*, g.name AS packaging_group FROM configurations c JOIN packaging_groups g ON g.id = c.group_id
         WHERE c.id = ?",
    )
    .bind(id)
    .fetch_optional(db)
    .await
}

/// All configurations that protect, in whichever group.
pub async fn protected(db: &mut SqliteConnection) -> sqlx::Result<Vec<Configuration>> {
    sqlx::query_as(
        "SELECT c.*, g.name AS packaging_group FROM configurations c JOIN packaging_groups g ON g.id = c.group_id
         WHERE c.protection IS NOT NULL ORDER BY c.id",
    )
    .fetch_all(db)
    .await
}

/// The name of a configuration of a group that protects, if there is one.
pub async fn any_protected(db: &mut SqliteConnection, group_id: i64) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar(
        "SELECT name FROM configurations WHERE group_id = ? AND protection IS NOT NULL ORDER BY id LIMIT 1",
    )
    .bind(group_id)
    .fetch_optional(db)
    .await
}

/// Configurations of a group in the order of their making.
pub async fn list(db: &mut SqliteConnection, group_id: i64, page: Page) -> sqlx::Result<Vec<Configuration>> {
    sqlx::query_as(
        "SELECT c.*, g.name AS packaging_group FROM configurations c JOIN packaging_groups g ON g.id = c.group_id
         WHERE c.group_id = ? AND c.id > ? ORDER BY c.id LIMIT ?",
    )
    .bind(group_id)
    .bind(page.after)
    .bind(page.limit)
    .fetch_all(db)
    .await
}

/// All configurations of a group.
pub async fn all(db: &mut SqliteConnection, group_id: i64) -> sqlx::Result<Vec<Configuration>> {
    list(db, group_id, Page { after: 0, limit: i64::MAX }).await
}

/// Writes the protection of a configuration, which gets a new revision.
pub async fn set_protection(
    db: &mut SqliteConnection,
    id: i64,
    view: Option<&str>,
    sealed: Option<&[u8]>,
) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "UPDATE configurations SET protection = ?, protection_sealed = ?, protection_revision = protection_revision + 1
         WHERE id = ? RETURNING protection_revision",
    )
    .bind(view)
    .bind(sealed)
    .bind(id)
    .fetch_one(db)
    .await
}

/// Writes all changeable fields but the protection of the configuration with `changed.id`.
pub async fn update(db: &mut SqliteConnection, changed: &Configuration) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE configurations SET name = ?, package_type = ?, segment_duration_seconds = ?, manifest_name = ?,
         stream_order = ?, min_video_bitrate = ?, max_video_bitrate = ?, audio_separation = ?, hls_version = ?,
         text_format = ?, access = ? WHERE id = ?",
    )
    .bind(&changed.name)
    .bind(&changed.package_type)
    .bind(changed.segment_duration_seconds)
    .bind(&changed.manifest_name)
    .bind(&changed.stream_order)
    .bind(changed.min_video_bitrate)
    .bind(changed.max_video_bitrate)
    .bind(changed.audio_separation)
    .bind(changed.hls_version)
    .bind(&changed.text_format)
    .bind(&changed.access)
    .bind(changed.id)
    .execute(db)
    .await
    .map(drop)
}

/// Removes a configuration.
pub async fn delete(db: &mut SqliteConnection, id: i64) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM configurations WHERE id = ?").bind(id).execute(db).await.map(drop)
}

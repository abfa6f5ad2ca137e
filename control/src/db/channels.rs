//! Live channels.

use serde::{Deserialize, Serialize};
use sqlx::SqliteConnection;
use utoipa::ToSchema;

use super::Page;

/// What the encoder of a channel pushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[sqlx(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ChannelProtocol {
    /// HLS with MPEG-2 TS segments.
    Hls,
    /// HLS with fragmented MP4 segments.
    HlsCmaf,
}

/// A channel.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Channel {
    /// Row.
    pub id: i64,
    /// Row of its group.
    pub group_id: i64,
    /// Name of its group.
    pub channel_group: String,
    /// Unique in its group.
    pub name: String,
    /// Sixteen lower-case hexadecimal digits, [`packager::config::Timeline::id`].
    pub uid: String,
    /// What is pushed.
    pub protocol: ChannelProtocol,
    /// How long a segment of the encoder should be.
    pub segment_duration_seconds: i64,
    /// How many segments a playlist of the encoder should have.
    pub segment_count: i64,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// Milliseconds since 1970.
    pub updated_at: i64,
}

/// Adds a channel (its `id` and `channel_group` are not looked at) and answers its row.
pub async fn insert(db: &mut SqliteConnection, new: &Channel) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "INSERT INTO channels (group_id, name, uid, protocol, segment_duration_seconds, segment_count, created_at, updated_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
    )
    .bind(new.group_id)
    .bind(&new.name)
    .bind(&new.uid)
    .bind(new.protocol)
    .bind(new.segment_duration_seconds)
    .bind(new.segment_count)
    .bind(new.created_at)
    .bind(new.updated_at)
    .fetch_one(db)
    .await
}

/// The channel with a name in a group.
pub async fn find(db: &mut SqliteConnection, group: &str, name: &str) -> sqlx::Result<Option<Channel>> {
    sqlx::query_as(
        "SELECT c.*, g.name AS channel_group FROM channels c JOIN channel_groups g ON g.id = c.group_id
         WHERE g.name = ? AND c.name = ?",
    )
    .bind(group)
    .bind(name)
    .fetch_optional(db)
    .await
}

/// The channel with a row.
pub async fn get(db: &mut SqliteConnection, id: i64) -> sqlx::Result<Option<Channel>> {
    sqlx::query_as(
        "SELECT c.*, g.name AS channel_group FROM channels c JOIN channel_groups g ON g.id = c.group_id WHERE c.id = ?",
    )
    .bind(id)
    .fetch_optional(db)
    .await
}

/// Channels of a group in the order of their making.
pub async fn list(db: &mut SqliteConnection, group_id: i64, page: Page) -> sqlx::Result<Vec<Channel>> {
    sqlx::query_as(
        "SELECT c.*, g.name AS channel_group FROM channels c JOIN channel_groups g ON g.id = c.group_id
         WHERE c.group_id = ? AND c.id > ? ORDER BY c.id LIMIT ?",
    )
    .bind(group_id)
    .bind(page.after)
    .bind(page.limit)
    .fetch_all(db)
    .await
}

/// All channels of a group.
pub async fn of_group(db: &mut SqliteConnection, group_id: i64) -> sqlx::Result<Vec<Channel>> {
    list(db, group_id, Page { after: 0, limit: i64::MAX }).await
}

/// How many channels a group has.
pub async fn count_of_group(db: &mut SqliteConnection, group_id: i64) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT count(*) FROM channels WHERE group_id = ?").bind(group_id).fetch_one(db).await
}

/// Whether there is a channel with this id, or one was removed and its objects are still there.
pub async fn has_objects(db: &mut SqliteConnection, uid: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM channels WHERE uid = ?1) OR EXISTS (SELECT 1 FROM channel_remains WHERE uid = ?1)",
    )
    .bind(uid)
    .fetch_one(db)
    .await
}

/// Writes all changeable fields of the channel with `changed.id`.
pub async fn update(db: &mut SqliteConnection, changed: &Channel) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE channels SET name = ?, protocol = ?, segment_duration_seconds = ?, segment_count = ?, updated_at = ?
         WHERE id = ?",
    )
    .bind(&changed.name)
    .bind(changed.protocol)
    .bind(changed.segment_duration_seconds)
    .bind(changed.segment_count)
    .bind(changed.updated_at)
    .bind(changed.id)
    .execute(db)
    .await
    .map(drop)
}

/// Removes a channel that has no endpoints; its inputs and uploads go with it. Its objects are to be removed later.
pub async fn delete(db: &mut SqliteConnection, row: &Channel, now: i64) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO channel_remains (uid, deleted_at) VALUES (?, ?)")
        .bind(&row.uid)
        .bind(now)
        .execute(&mut *db)
        .await?;
    sqlx::query("DELETE FROM channels WHERE id = ?").bind(row.id).execute(db).await.map(drop)
}

/// Ids of channels that were removed at `before` or earlier, and whose objects are still there.
pub async fn remains(db: &mut SqliteConnection, before: i64) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar("SELECT uid FROM channel_remains WHERE deleted_at <= ? ORDER BY uid")
        .bind(before)
        .fetch_all(db)
        .await
}

/// Notes that the objects of a channel are gone.
pub async fn forget(db: &mut SqliteConnection, uid: &str) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM channel_remains WHERE uid = ?").bind(uid).execute(db).await.map(drop)
}

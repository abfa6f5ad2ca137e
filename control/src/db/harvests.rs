//! Collection tasks: ranges of channels that become assets.

use serde::{Deserialize, Serialize};
use sqlx::SqliteConnection;
use utoipa::ToSchema;

use super::Page;

/// Where a collection task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[sqlx(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum HarvestStatus {
    /// Waits for the end of its range.
    Waiting,
    /// Its index is being made.
    Indexing,
    /// Its asset can be played, from the media of the channel; the media is being copied.
    Copying,
    /// Its asset can be played, from the copies.
    Finished,
    /// It cannot go on; `failure` says why.
    Failed,
    /// It was cancelled, or its asset was removed.
    Cancelled,
}

/// A collection task.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Harvest {
    /// Row.
    pub id: i64,
    /// Row of its channel.
    pub channel_id: i64,
    /// Name of the group of its channel.
    pub channel_group: String,
    /// Name of its channel.
    pub channel: String,
    /// [`packager::config::Timeline::id`] of its channel.
    pub uid: String,
    /// Name of the endpoint by whose time shift it was made.
    pub endpoint: String,
    /// The range, milliseconds since 1970.
    pub start_ms: i64,
    /// See `start_ms`.
    pub end_ms: i64,
    /// The folder of the copies.
    pub storage_path: String,
    /// Row of the packaging group of the asset.
    pub group_id: i64,
    /// Its name; `None` when it is gone.
    pub packaging_group: Option<String>,
    /// Name of the asset, as it is to be as long as there is none.
    pub asset: String,
    /// Row of the asset, while there is one.
    pub asset_id: Option<i64>,
    /// Id of the content at key servers.
    pub content_id: Option<String>,
    /// Where it is.
    pub status: HarvestStatus,
    /// Why it failed, or why it does not go on now.
    pub failure: Option<String>,
    /// Copied, and all of them.
    pub objects_done: i64,
    /// See `objects_done`.
    pub objects_total: i64,
    /// Copied, and all of them.
    pub bytes_done: i64,
    /// See `bytes_done`.
    pub bytes_total: i64,
    /// Copies that nobody needs may be there.
    pub files: bool,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// When it finished, failed or was cancelled, milliseconds since 1970.
    pub ended_at: Option<i64>,
}

/// A task to be added.
pub struct NewHarvest<'a> {
    /// Row of its channel.
    pub channel_id: i64,
    /// Name of the endpoint.
    pub endpoint: &'a str,
    /// The range, milliseconds since 1970.
    pub start_ms: i64,
    /// See `start_ms`.
    pub end_ms: i64,
    /// The folder of the copies.
    pub storage_path: &'a str,
    /// Row of the packaging group.
    pub group_id: i64,
    /// Name of the asset.
    pub asset: &'a str,
    /// Id of the content at key servers.
    pub content_id: Option<&'a str>,
    /// Milliseconds since 1970.
    pub now: i64,
}

/// How much of the media of a range is copied, or there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Objects.
    pub objects: i64,
    /// Bytes of them.
    pub bytes: i64,
}

/// Adds a task and answers its row.
pub async fn insert(db: &mut SqliteConnection, new: NewHarvest<'_>) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "INSERT INTO harvests (channel_id, endpoint, start_ms, end_ms, storage_path, group_id, asset, content_id, status,
         created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
    )
    .bind(new.channel_id)
    .bind(new.endpoint)
    .bind(new.start_ms)
    .bind(new.end_ms)
    .bind(new.storage_path)
    .bind(new.group_id)
    .bind(new.asset)
    .bind(new.content_id)
    .bind(HarvestStatus::Waiting)
    .bind(new.now)
    .fetch_one(db)
    .await
}

/// The task with a row.
pub async fn get(db: &mut SqliteConnection, id: i64) -> sqlx::Result<Option<Harvest>> {
    sqlx::query_as("SELECT * FROM harvests_named WHERE id = ?").bind(id).fetch_optional(db).await
}

/// Tasks in the order of their making, of one channel when given.
pub async fn list(db: &mut SqliteConnection, channel_id: Option<i64>, page: Page) -> sqlx::Result<Vec<Harvest>> {
    sqlx::query_as(
        "SELECT * FROM harvests_named WHERE (?1 IS NULL OR channel_id = ?1) AND id > ?2 ORDER BY id LIMIT ?3",
    )
    .bind(channel_id)
    .bind(page.after)
    .bind(page.limit)
    .fetch_all(db)
    .await
}

/// The task that has a folder, one above it or one below it for itself.
pub async fn with_folder(db: &mut SqliteConnection, folder: &str) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar(
        "SELECT id FROM harvests
         WHERE (status IN ('WAITING', 'INDEXING', 'COPYING', 'FINISHED') OR asset_id IS NOT NULL OR files = 1)
           AND (storage_path = ?1 OR substr(?1, 1, length(storage_path) + 1) = storage_path || '/'
                OR substr(storage_path, 1, length(?1) + 1) = ?1 || '/') ORDER BY id LIMIT 1",
    )
    .bind(folder)
    .fetch_optional(db)
    .await
}

/// An asset whose media lies in a folder or below it.
pub async fn asset_with_folder(db: &mut SqliteConnection, folder: &str) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar(
        "SELECT a.name FROM assets a WHERE a.id IN
             (SELECT asset_id FROM folders WHERE path = ?1 OR substr(path, 1, length(?1) + 1) = ?1 || '/'
              UNION SELECT asset_id FROM sources WHERE path = ?1 OR substr(path, 1, length(?1) + 1) = ?1 || '/'
              UNION SELECT id FROM assets WHERE playlist = ?1 OR substr(playlist, 1, length(?1) + 1) = ?1 || '/')
         ORDER BY a.id LIMIT 1",
    )
    .bind(folder)
    .fetch_optional(db)
    .await
}

/// The task that is going to make an asset of this name.
pub async fn with_asset_name(db: &mut SqliteConnection, name: &str) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar(
        "SELECT id FROM harvests WHERE asset = ? AND asset_id IS NULL AND status IN ('WAITING', 'INDEXING') LIMIT 1",
    )
    .bind(name)
    .fetch_optional(db)
    .await
}

/// How many tasks are going to make an asset in a packaging group.
pub async fn count_of_group(db: &mut SqliteConnection, group_id: i64) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "SELECT count(*) FROM harvests WHERE group_id = ? AND asset_id IS NULL AND status IN ('WAITING', 'INDEXING')",
    )
    .bind(group_id)
    .fetch_one(db)
    .await
}

/// How many tasks of a channel are under way, have an asset that is played from the media of the channel, or have copies that
/// are still to be removed.
pub async fn count_busy(db: &mut SqliteConnection, channel_id: i64) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "SELECT count(*) FROM harvests WHERE channel_id = ?
         AND (status IN ('WAITING', 'INDEXING', 'COPYING') OR (status <> 'FINISHED' AND asset_id IS NOT NULL) OR files = 1)",
    )
    .bind(channel_id)
    .fetch_one(db)
    .await
}

/// The earliest moment of a channel, milliseconds since 1970, whose media a task needs that has begun by `now`, or that an
/// asset is played from which a task made; also that of tasks that finished after `since`.
pub async fn floor(db: &mut SqliteConnection, channel_id: i64, now: i64, since: i64) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar(
        "SELECT min(start_ms) FROM harvests WHERE channel_id = ?1 AND start_ms <= ?2
         AND (status IN ('WAITING', 'INDEXING', 'COPYING')
              OR (asset_id IS NOT NULL AND (status <> 'FINISHED' OR ended_at > ?3)))",
    )
    .bind(channel_id)
    .bind(now)
    .bind(since)
    .fetch_one(db)
    .await
}

/// The tasks without an index whose range is over and that may be tried at `now`.
pub async fn to_index(db: &mut SqliteConnection, now: i64) -> sqlx::Result<Vec<Harvest>> {
    sqlx::query_as(
        "SELECT * FROM harvests_named WHERE status IN ('WAITING', 'INDEXING') AND end_ms <= ?1 AND attempt_at <= ?1
         ORDER BY id",
    )
    .bind(now)
    .fetch_all(db)
    .await
}

/// When the next task without an index is to be looked at.
pub async fn next_to_index(db: &mut SqliteConnection) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar("SELECT min(max(end_ms, attempt_at)) FROM harvests WHERE status IN ('WAITING', 'INDEXING')")
        .fetch_one(db)
        .await
}

/// When the next task whose media is to be copied may be tried.
pub async fn next_to_copy(db: &mut SqliteConnection) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar("SELECT min(attempt_at) FROM harvests WHERE status = 'COPYING'").fetch_one(db).await
}

/// The task whose media is to be copied next at `now`.
pub async fn to_copy(db: &mut SqliteConnection, now: i64) -> sqlx::Result<Option<Harvest>> {
    sqlx::query_as(
        "SELECT * FROM harvests_named WHERE status = 'COPYING' AND attempt_at <= ? ORDER BY attempt_at, id LIMIT 1",
    )
    .bind(now)
    .fetch_optional(db)
    .await
}

/// The tasks whose copies are to be removed, with their folders.
pub async fn to_clean(db: &mut SqliteConnection) -> sqlx::Result<Vec<(i64, String)>> {
    sqlx::query_as("SELECT id, storage_path FROM harvests WHERE files = 1 ORDER BY id").fetch_all(db).await
}

/// Begins to index. Answers whether the task is still wanted.
pub async fn set_indexing(db: &mut SqliteConnection, id: i64) -> sqlx::Result<bool> {
    sqlx::query("UPDATE harvests SET status = 'INDEXING' WHERE id = ? AND status IN ('WAITING', 'INDEXING')")
        .bind(id)
        .execute(db)
        .await
        .map(|done| done.rows_affected() > 0)
}

/// The asset is there; `total` is to be copied. Answers whether the task is still wanted.
pub async fn set_copying(db: &mut SqliteConnection, id: i64, asset_id: i64, total: Amount) -> sqlx::Result<bool> {
    sqlx::query(
        "UPDATE harvests SET status = 'COPYING', asset_id = ?, objects_total = ?, bytes_total = ?, failure = NULL,
         attempt_at = 0 WHERE id = ? AND status = 'INDEXING'",
    )
    .bind(asset_id)
    .bind(total.objects)
    .bind(total.bytes)
    .bind(id)
    .execute(db)
    .await
    .map(|done| done.rows_affected() > 0)
}

/// Notes how much is copied. Answers whether the task is still wanted.
pub async fn set_progress(db: &mut SqliteConnection, id: i64, done: Amount) -> sqlx::Result<bool> {
    sqlx::query("UPDATE harvests SET objects_done = ?, bytes_done = ? WHERE id = ? AND status = 'COPYING'")
        .bind(done.objects)
        .bind(done.bytes)
        .bind(id)
        .execute(db)
        .await
        .map(|done| done.rows_affected() > 0)
}

/// The asset is played from the copies. Answers whether the task was still wanted.
pub async fn set_finished(db: &mut SqliteConnection, id: i64, now: i64) -> sqlx::Result<bool> {
    sqlx::query(
        "UPDATE harvests SET status = 'FINISHED', objects_done = objects_total, bytes_done = bytes_total, failure = NULL,
         ended_at = ? WHERE id = ? AND status = 'COPYING' AND asset_id IS NOT NULL",
    )
    .bind(now)
    .bind(id)
    .execute(db)
    .await
    .map(|done| done.rows_affected() > 0)
}

/// It cannot go on. An asset that it made stays.
pub async fn set_failed(db: &mut SqliteConnection, id: i64, reason: &str, now: i64) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE harvests SET status = 'FAILED', failure = ?, ended_at = ?
         WHERE id = ? AND status IN ('WAITING', 'INDEXING', 'COPYING')",
    )
    .bind(reason)
    .bind(now)
    .bind(id)
    .execute(db)
    .await
    .map(drop)
}

/// It does not go on before `attempt_at`.
pub async fn set_delayed(db: &mut SqliteConnection, id: i64, reason: &str, attempt_at: i64) -> sqlx::Result<()> {
    sqlx::query("UPDATE harvests SET failure = ?, attempt_at = ? WHERE id = ? AND status IN ('INDEXING', 'COPYING')")
        .bind(reason)
        .bind(attempt_at)
        .bind(id)
        .execute(db)
        .await
        .map(drop)
}

/// Cancels a task that is not finished; its copies are to be removed.
pub async fn cancel(db: &mut SqliteConnection, id: i64, now: i64) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE harvests SET files = (objects_total > 0), status = 'CANCELLED', failure = NULL, asset_id = NULL, ended_at = ?
         WHERE id = ? AND status <> 'FINISHED'",
    )
    .bind(now)
    .bind(id)
    .execute(db)
    .await
    .map(drop)
}

/// An asset is removed or gets other sources: a task that copies media for it is cancelled. Copies that a finished task made
/// stay.
pub async fn release_asset(db: &mut SqliteConnection, asset_id: i64, now: i64) -> sqlx::Result<()> {
    let tasks: Vec<i64> = sqlx::query_scalar("SELECT id FROM harvests WHERE asset_id = ? AND status <> 'FINISHED'")
        .bind(asset_id)
        .fetch_all(&mut *db)
        .await?;
    for task in tasks {
        cancel(db, task, now).await?;
    }
    sqlx::query("UPDATE harvests SET asset_id = NULL WHERE asset_id = ?").bind(asset_id).execute(db).await.map(drop)
}

/// The copies of a task are gone.
pub async fn set_clean(db: &mut SqliteConnection, id: i64) -> sqlx::Result<()> {
    sqlx::query("UPDATE harvests SET files = 0 WHERE id = ?").bind(id).execute(db).await.map(drop)
}

/// Forgets a task.
pub async fn delete(db: &mut SqliteConnection, id: i64) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM harvests WHERE id = ?").bind(id).execute(db).await.map(drop)
}

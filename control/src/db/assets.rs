//! Assets and the state of their ingest.

use serde::{Deserialize, Serialize};
use sqlx::SqliteConnection;
use utoipa::ToSchema;

use super::Page;

/// Where an asset is on its way to be played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[sqlx(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Waits to be indexed.
    Queued,
    /// Is being indexed.
    Processing,
    /// Can be played.
    Playable,
    /// Cannot be played; `failure` says why.
    Failed,
}

/// An asset.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Asset {
    /// Row.
    pub id: i64,
    /// Row of its group.
    pub group_id: i64,
    /// Name of its group.
    pub packaging_group: String,
    /// Unique name.
    pub name: String,
    /// Id of the content at key servers.
    pub content_id: Option<String>,
    /// Path of the multivariant playlist, when that is its source.
    pub playlist: Option<String>,
    /// State of the ingest.
    pub status: Status,
    /// Grows whenever the sources change.
    pub generation: i64,
    /// 0 to 1.
    pub progress: f64,
    /// Segments of the playlists that were read, and all of them, while that is known.
    pub segments_done: Option<i64>,
    /// See `segments_done`.
    pub segments_total: Option<i64>,
    /// Why it failed.
    pub failure: Option<String>,
    /// JSON array of strings.
    pub warnings: String,
    /// Presentation length.
    pub duration_ms: Option<i64>,
    /// JSON array of [`packager::ingest::TrackSummary`].
    pub tracks: String,
    /// Milliseconds since 1970.
    pub created_at: i64,
}

/// An asset to be added.
pub struct NewAsset<'a> {
    /// Row of its group.
    pub group_id: i64,
    /// Unique name.
    pub name: &'a str,
    /// Id of the content at key servers.
    pub content_id: Option<&'a str>,
    /// Path of the multivariant playlist, when that is its source.
    pub playlist: Option<&'a str>,
    /// Milliseconds since 1970.
    pub now: i64,
}

/// What an ingest found.
pub struct Indexed {
    /// JSON array of strings.
    pub warnings: String,
    /// Presentation length.
    pub duration_ms: i64,
    /// JSON array of tracks.
    pub tracks: String,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Progress {
    /// 0 to 1.
    pub fraction: f64,
    /// Segments that were read, and all of them, of a playlist.
    pub segments: Option<(i64, i64)>,
}

/// One run of an ingest: an asset with the sources of one generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Run {
    /// Row of the asset.
    pub id: i64,
    /// Its generation.
    pub generation: i64,
}

/// Adds an asset that waits to be indexed and answers its row.
pub async fn insert(db: &mut SqliteConnection, new: NewAsset<'_>) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "INSERT INTO assets (group_id, name, content_id, playlist, status, queued_at, created_at)
         VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id",
    )
    .bind(new.group_id)
    .bind(new.name)
    .bind(new.content_id)
    .bind(new.playlist)
    .bind(Status::Queued)
    .bind(new.now)
    .bind(new.now)
    .fetch_one(db)
    .await
}

/// Adds an asset that can be played at once, and answers its row. Its index is given to it in the same transaction.
pub async fn insert_playable(db: &mut SqliteConnection, new: NewAsset<'_>, indexed: &Indexed) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "INSERT INTO assets (group_id, name, content_id, playlist, status, queued_at, created_at, progress, warnings,
         duration_ms, tracks) VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?) RETURNING id",
    )
    .bind(new.group_id)
    .bind(new.name)
    .bind(new.content_id)
    .bind(new.playlist)
    .bind(Status::Playable)
    .bind(new.now)
    .bind(new.now)
    .bind(&indexed.warnings)
    .bind(indexed.duration_ms)
    .bind(&indexed.tracks)
    .fetch_one(db)
    .await
}

/// The asset with a name.
pub async fn find(db: &mut SqliteConnection, name: &str) -> sqlx::Result<Option<Asset>> {
    sqlx::query_as(
        "SELECT a.*, g.name AS packaging_group FROM assets a JOIN packaging_groups g ON g.id = a.group_id
         WHERE a.name = ?",
    )
    .bind(name)
    .fetch_optional(db)
    .await
}

/// The asset with a row.
pub async fn get(db: &mut SqliteConnection, id: i64) -> sqlx::Result<Option<Asset>> {
    sqlx::query_as(
        "SELECT a.*, g.name AS packaging_group FROM assets a JOIN packaging_groups g ON g.id = a.group_id
         WHERE a.id = ?",
    )
    .bind(id)
    .fetch_optional(db)
    .await
}

/// Assets in the order of their making, of one group or status when given.
pub async fn list(
    db: &mut SqliteConnection,
    group: Option<&str>,
    status: Option<Status>,
    page: Page,
) -> sqlx::Result<Vec<Asset>> {
    sqlx::query_as(
        "SELECT a.*, g.name AS packaging_group FROM assets a JOIN packaging_groups g ON g.id = a.group_id
         WHERE (?1 IS NULL OR g.name = ?1) AND (?2 IS NULL OR a.status = ?2) AND a.id > ?3 ORDER BY a.id LIMIT ?4",
    )
    .bind(group)
    .bind(status)
    .bind(page.after)
    .bind(page.limit)
    .fetch_all(db)
    .await
}

/// All assets of a group.
pub async fn of_group(db: &mut SqliteConnection, group_id: i64) -> sqlx::Result<Vec<Asset>> {
    sqlx::query_as(
        "SELECT a.*, g.name AS packaging_group FROM assets a JOIN packaging_groups g ON g.id = a.group_id
         WHERE a.group_id = ? ORDER BY a.id",
    )
    .bind(group_id)
    .fetch_all(db)
    .await
}

/// Names of the first assets of a group that have no content id.
pub async fn without_content_id(db: &mut SqliteConnection, group_id: i64, limit: i64) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar("SELECT name FROM assets WHERE group_id = ? AND content_id IS NULL ORDER BY id LIMIT ?")
        .bind(group_id)
        .bind(limit)
        .fetch_all(db)
        .await
}

/// How many assets a group has.
pub async fn count_of_group(db: &mut SqliteConnection, group_id: i64) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT count(*) FROM assets WHERE group_id = ?").bind(group_id).fetch_one(db).await
}

/// How many assets there are of each status.
pub async fn count_by_status(db: &mut SqliteConnection) -> sqlx::Result<Vec<(String, i64)>> {
    sqlx::query_as("SELECT status, count(*) FROM assets GROUP BY status").fetch_all(db).await
}

/// Writes name, group, content id and playlist of an asset.
pub async fn update(db: &mut SqliteConnection, changed: &Asset) -> sqlx::Result<()> {
    sqlx::query("UPDATE assets SET name = ?, group_id = ?, content_id = ?, playlist = ? WHERE id = ?")
        .bind(&changed.name)
        .bind(changed.group_id)
        .bind(&changed.content_id)
        .bind(&changed.playlist)
        .bind(changed.id)
        .execute(db)
        .await
        .map(drop)
}

/// Puts an asset back in the queue because its sources changed; a run that is under way loses its claim.
pub async fn requeue(db: &mut SqliteConnection, id: i64, now: i64) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE assets SET status = ?, generation = generation + 1, queued_at = ?, progress = 0, segments_done = NULL,
         segments_total = NULL, failure = NULL, warnings = '[]', duration_ms = NULL, tracks = '[]' WHERE id = ?",
    )
    .bind(Status::Queued)
    .bind(now)
    .bind(id)
    .execute(db)
    .await
    .map(drop)
}

/// Puts every asset that was being indexed back in the queue: nobody works on it when a process starts.
pub async fn requeue_interrupted(db: &mut SqliteConnection) -> sqlx::Result<u64> {
    sqlx::query(
        "UPDATE assets SET status = ?, progress = 0, segments_done = NULL, segments_total = NULL WHERE status = ?",
    )
    .bind(Status::Queued)
    .bind(Status::Processing)
    .execute(db)
    .await
    .map(|done| done.rows_affected())
}

/// Takes the asset that waits longest.
pub async fn claim(db: &mut SqliteConnection) -> sqlx::Result<Option<Run>> {
    sqlx::query_as(
        "UPDATE assets SET status = ?1, progress = 0, segments_done = NULL, segments_total = NULL WHERE id =
         (SELECT id FROM assets WHERE status = ?2 ORDER BY queued_at, id LIMIT 1) RETURNING id, generation",
    )
    .bind(Status::Processing)
    .bind(Status::Queued)
    .fetch_optional(db)
    .await
}

/// Gives a claimed asset back, because the process stops.
pub async fn unclaim(db: &mut SqliteConnection, run: Run) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE assets SET status = ?, progress = 0, segments_done = NULL, segments_total = NULL
         WHERE id = ? AND generation = ? AND status = ?",
    )
    .bind(Status::Queued)
    .bind(run.id)
    .bind(run.generation)
    .bind(Status::Processing)
    .execute(db)
    .await
    .map(drop)
}

/// Notes progress. Answers whether the run is still wanted.
pub async fn set_progress(db: &mut SqliteConnection, run: Run, progress: Progress) -> sqlx::Result<bool> {
    sqlx::query(
        "UPDATE assets SET progress = ?, segments_done = ?, segments_total = ?
         WHERE id = ? AND generation = ? AND status = ?",
    )
    .bind(progress.fraction)
    .bind(progress.segments.map(|(done, _)| done))
    .bind(progress.segments.map(|(_, total)| total))
    .bind(run.id)
    .bind(run.generation)
    .bind(Status::Processing)
    .execute(db)
    .await
    .map(|done| done.rows_affected() > 0)
}

/// Ends a run with success. Answers whether the run was still wanted.
pub async fn set_playable(db: &mut SqliteConnection, run: Run, indexed: &Indexed) -> sqlx::Result<bool> {
    sqlx::query(
        "UPDATE assets SET status = ?, progress = 1, failure = NULL, warnings = ?, duration_ms = ?, tracks = ?
         WHERE id = ? AND generation = ? AND status = ?",
    )
    .bind(Status::Playable)
    .bind(&indexed.warnings)
    .bind(indexed.duration_ms)
    .bind(&indexed.tracks)
    .bind(run.id)
    .bind(run.generation)
    .bind(Status::Processing)
    .execute(db)
    .await
    .map(|done| done.rows_affected() > 0)
}

/// Ends a run with a failure. Answers whether the run was still wanted.
pub async fn set_failed(db: &mut SqliteConnection, run: Run, reason: &str) -> sqlx::Result<bool> {
    sqlx::query("UPDATE assets SET status = ?, failure = ? WHERE id = ? AND generation = ? AND status = ?")
        .bind(Status::Failed)
        .bind(reason)
        .bind(run.id)
        .bind(run.generation)
        .bind(Status::Processing)
        .execute(db)
        .await
        .map(|done| done.rows_affected() > 0)
}

/// Removes an asset and its sources.
pub async fn delete(db: &mut SqliteConnection, id: i64) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM assets WHERE id = ?").bind(id).execute(db).await.map(drop)
}

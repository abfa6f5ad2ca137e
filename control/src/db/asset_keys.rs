//! Content keys of assets, sealed, and the state of asking for them.

use serde::{Deserialize, Serialize};
use sqlx::SqliteConnection;
use utoipa::ToSchema;

/// Whether an output has the keys that its protection wants now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[sqlx(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum KeyState {
    /// They will be asked for.
    Pending,
    /// It has them.
    Ready,
    /// They could not be had; `reason` says why. It is tried again.
    Failed,
}

/// Row of an asset and of a configuration that protects it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, sqlx::FromRow)]
pub struct Pair {
    /// The asset.
    pub asset_id: i64,
    /// The configuration.
    pub configuration_id: i64,
}

/// What is known of the keys of one output.
#[derive(Clone, sqlx::FromRow)]
pub struct StoredKeys {
    /// Whether they are those that are wanted now.
    pub state: KeyState,
    /// Why they could not be had.
    pub reason: Option<String>,
    /// How often they were asked for in vain.
    pub attempts: i64,
    /// The last keys that were had.
    pub sealed: Option<Vec<u8>>,
}

/// What is known of the keys of a pair.
pub async fn find(db: &mut SqliteConnection, pair: Pair) -> sqlx::Result<Option<StoredKeys>> {
    sqlx::query_as("SELECT state, reason, attempts, sealed FROM asset_keys WHERE asset_id = ? AND configuration_id = ?")
        .bind(pair.asset_id)
        .bind(pair.configuration_id)
        .fetch_optional(db)
        .await
}

/// Writes keys that were had.
pub async fn set_ready(db: &mut SqliteConnection, pair: Pair, sealed: &[u8]) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO asset_keys (asset_id, configuration_id, state, sealed) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET state = ?3, sealed = ?4, reason = NULL, attempts = 0, next_attempt_at = 0",
    )
    .bind(pair.asset_id)
    .bind(pair.configuration_id)
    .bind(KeyState::Ready)
    .bind(sealed)
    .execute(db)
    .await
    .map(drop)
}

/// Notes that keys could not be had, and when to ask again.
pub async fn set_failed(db: &mut SqliteConnection, pair: Pair, reason: &str, next: i64) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO asset_keys (asset_id, configuration_id, state, reason, attempts, next_attempt_at)
         VALUES (?1, ?2, ?3, ?4, 1, ?5)
         ON CONFLICT DO UPDATE SET state = ?3, reason = ?4, attempts = attempts + 1, next_attempt_at = ?5",
    )
    .bind(pair.asset_id)
    .bind(pair.configuration_id)
    .bind(KeyState::Failed)
    .bind(reason)
    .bind(next)
    .execute(db)
    .await
    .map(drop)
}

/// Has the keys of all assets under a configuration asked for again, because it changed.
pub async fn expire_configuration(db: &mut SqliteConnection, configuration_id: i64) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE asset_keys SET state = ?, reason = NULL, attempts = 0, next_attempt_at = 0 WHERE configuration_id = ?",
    )
    .bind(KeyState::Pending)
    .bind(configuration_id)
    .execute(db)
    .await
    .map(drop)
}

/// Has the keys of an asset under all configurations asked for again, because it changed.
pub async fn expire_asset(db: &mut SqliteConnection, asset_id: i64) -> sqlx::Result<()> {
    sqlx::query("UPDATE asset_keys SET state = ?, reason = NULL, attempts = 0, next_attempt_at = 0 WHERE asset_id = ?")
        .bind(KeyState::Pending)
        .bind(asset_id)
        .execute(db)
        .await
        .map(drop)
}

/// Forgets the keys of all assets under a configuration.
pub async fn clear_configuration(db: &mut SqliteConnection, configuration_id: i64) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM asset_keys WHERE configuration_id = ?").bind(configuration_id).execute(db).await.map(drop)
}

/// Forgets the keys of an asset under all configurations.
pub async fn clear_asset(db: &mut SqliteConnection, asset_id: i64) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM asset_keys WHERE asset_id = ?").bind(asset_id).execute(db).await.map(drop)
}

/// Playable assets under configurations of their group that protect, whose keys are wanted and due at `now`; those that
/// wait longest first.
pub async fn due(db: &mut SqliteConnection, now: i64, limit: i64) -> sqlx::Result<Vec<Pair>> {
    sqlx::query_as(
        "SELECT a.id AS asset_id, c.id AS configuration_id
         FROM configurations c JOIN assets a ON a.group_id = c.group_id
         LEFT JOIN asset_keys k ON k.asset_id = a.id AND k.configuration_id = c.id
         WHERE c.protection IS NOT NULL AND a.status = 'PLAYABLE'
         AND (k.state IS NULL OR (k.state <> 'READY' AND k.next_attempt_at <= ?))
         ORDER BY coalesce(k.next_attempt_at, 0), a.id, c.id LIMIT ?",
    )
    .bind(now)
    .bind(limit)
    .fetch_all(db)
    .await
}

/// When the next keys are due, if any are wanted.
pub async fn next_due(db: &mut SqliteConnection) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar(
        "SELECT min(coalesce(k.next_attempt_at, 0))
         FROM configurations c JOIN assets a ON a.group_id = c.group_id
         LEFT JOIN asset_keys k ON k.asset_id = a.id AND k.configuration_id = c.id
         WHERE c.protection IS NOT NULL AND a.status = 'PLAYABLE' AND (k.state IS NULL OR k.state <> 'READY')",
    )
    .fetch_one(db)
    .await
}

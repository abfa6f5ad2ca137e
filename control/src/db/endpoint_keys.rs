//! Content keys of live endpoints, sealed, and the state of asking for them. An endpoint that protects has a row.

use sqlx::SqliteConnection;

use super::asset_keys::{KeyState, StoredKeys};

/// What is known of the keys of an endpoint.
pub async fn find(db: &mut SqliteConnection, endpoint_id: i64) -> sqlx::Result<Option<StoredKeys>> {
    sqlx::query_as("SELECT state, reason, attempts, sealed FROM endpoint_keys WHERE endpoint_id = ?")
        .bind(endpoint_id)
        .fetch_optional(db)
        .await
}

/// Has the keys of an endpoint asked for, or asked for again because its protection changed.
pub async fn expire(db: &mut SqliteConnection, endpoint_id: i64) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO endpoint_keys (endpoint_id, state) VALUES (?1, ?2)
         ON CONFLICT DO UPDATE SET state = ?2, reason = NULL, attempts = 0, next_attempt_at = 0",
    )
    .bind(endpoint_id)
    .bind(KeyState::Pending)
    .execute(db)
    .await
    .map(drop)
}

/// Writes keys that were had.
pub async fn set_ready(db: &mut SqliteConnection, endpoint_id: i64, sealed: &[u8]) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE endpoint_keys SET state = ?, sealed = ?, reason = NULL, attempts = 0, next_attempt_at = 0
         WHERE endpoint_id = ?",
    )
    .bind(KeyState::Ready)
    .bind(sealed)
    .bind(endpoint_id)
    .execute(db)
    .await
    .map(drop)
}

/// Notes that keys could not be had, and when to ask again.
pub async fn set_failed(db: &mut SqliteConnection, endpoint_id: i64, reason: &str, next: i64) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE endpoint_keys SET state = ?, reason = ?, attempts = attempts + 1, next_attempt_at = ?
         WHERE endpoint_id = ?",
    )
    .bind(KeyState::Failed)
    .bind(reason)
    .bind(next)
    .bind(endpoint_id)
    .execute(db)
    .await
    .map(drop)
}

/// Forgets the keys of an endpoint, which no longer protects.
pub async fn clear(db: &mut SqliteConnection, endpoint_id: i64) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM endpoint_keys WHERE endpoint_id = ?").bind(endpoint_id).execute(db).await.map(drop)
}

/// Endpoints whose keys are wanted and due at `now`; those that wait longest first.
pub async fn due(db: &mut SqliteConnection, now: i64, limit: i64) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar(
        "SELECT endpoint_id FROM endpoint_keys WHERE state <> 'READY' AND next_attempt_at <= ?
         ORDER BY next_attempt_at, endpoint_id LIMIT ?",
    )
    .bind(now)
    .bind(limit)
    .fetch_all(db)
    .await
}

/// When the next keys are due, if any are wanted.
pub async fn next_due(db: &mut SqliteConnection) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar("SELECT min(next_attempt_at) FROM endpoint_keys WHERE state <> 'READY'").fetch_one(db).await
}

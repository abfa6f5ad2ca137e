//! What edges found to be wrong with the media of playable assets.

use sqlx::SqliteConnection;

/// The texts for an asset, by path.
pub async fn list(db: &mut SqliteConnection, asset_id: i64) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar("SELECT text FROM source_warnings WHERE asset_id = ? ORDER BY path")
        .bind(asset_id)
        .fetch_all(db)
        .await
}

/// Whether a text for this object would be new to an asset that has fewer than `limit`.
pub async fn is_wanted(db: &mut SqliteConnection, asset_id: i64, path: &str, limit: i64) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM source_warnings WHERE asset_id = ?1) < ?3
         AND NOT EXISTS (SELECT 1 FROM source_warnings WHERE asset_id = ?1 AND path = ?2)",
    )
    .bind(asset_id)
    .bind(path)
    .bind(limit)
    .fetch_one(db)
    .await
}

/// Notes a text for an object, if it has none yet.
pub async fn insert(db: &mut SqliteConnection, asset_id: i64, path: &str, text: &str) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO source_warnings (asset_id, path, text) VALUES (?, ?, ?) ON CONFLICT DO NOTHING")
        .bind(asset_id)
        .bind(path)
        .bind(text)
        .execute(db)
        .await
        .map(drop)
}

/// Removes all texts for an asset.
pub async fn clear(db: &mut SqliteConnection, asset_id: i64) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM source_warnings WHERE asset_id = ?").bind(asset_id).execute(db).await.map(drop)
}

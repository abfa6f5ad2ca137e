//! Index objects: every one that may exist in storage, written here first.

use sqlx::SqliteConnection;

/// The index of an asset.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct IndexObject {
    /// Name in the storage of indexes.
    pub path: String,
    /// Length.
    pub bytes: i64,
    /// Length of the head.
    pub head_bytes: i64,
    /// SHA-256, lower-case hexadecimal digits.
    pub digest: String,
}

/// Notes that an object of this name is about to be written. Until it is given to an asset it counts as unreferenced.
pub async fn announce(db: &mut SqliteConnection, path: &str, now: i64) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO index_objects (path, unreferenced_at) VALUES (?, ?)")
        .bind(path)
        .bind(now)
        .execute(db)
        .await
        .map(drop)
}

/// Gives a written object to an asset.
pub async fn assign(db: &mut SqliteConnection, asset_id: i64, index: &IndexObject) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE index_objects SET asset_id = ?, bytes = ?, head_bytes = ?, digest = ?, unreferenced_at = NULL
         WHERE path = ?",
    )
    .bind(asset_id)
    .bind(index.bytes)
    .bind(index.head_bytes)
    .bind(&index.digest)
    .bind(&index.path)
    .execute(db)
    .await
    .map(drop)
}

/// The index of an asset.
pub async fn find(db: &mut SqliteConnection, asset_id: i64) -> sqlx::Result<Option<IndexObject>> {
    sqlx::query_as("SELECT path, bytes, head_bytes, digest FROM index_objects WHERE asset_id = ?")
        .bind(asset_id)
        .fetch_optional(db)
        .await
}

/// Takes the index from an asset, so that it is removed after the grace period. Answers its path.
pub async fn release(db: &mut SqliteConnection, asset_id: i64, now: i64) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "UPDATE index_objects SET asset_id = NULL, unreferenced_at = ? WHERE asset_id = ? RETURNING path",
    )
    .bind(now)
    .bind(asset_id)
    .fetch_all(db)
    .await
}

/// Objects that nothing has referred to since `before`.
pub async fn unreferenced(db: &mut SqliteConnection, before: i64) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar("SELECT path FROM index_objects WHERE unreferenced_at <= ? ORDER BY unreferenced_at LIMIT 1000")
        .bind(before)
        .fetch_all(db)
        .await
}

/// Forgets an object that was removed from storage.
pub async fn forget(db: &mut SqliteConnection, path: &str) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM index_objects WHERE path = ? AND unreferenced_at IS NOT NULL")
        .bind(path)
        .execute(db)
        .await
        .map(drop)
}

/// Whether an object was written for some asset.
pub async fn is_known(db: &mut SqliteConnection, path: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM index_objects WHERE path = ? AND bytes IS NOT NULL)")
        .bind(path)
        .fetch_one(db)
        .await
}

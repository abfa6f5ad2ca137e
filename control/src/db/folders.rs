//! Where the objects lie that the playlists of assets name.

use sqlx::SqliteConnection;

/// The folder of a storage path: what comes before the last slash, empty when there is none.
pub fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Adds a folder to an asset, if it is not there yet.
pub async fn insert(db: &mut SqliteConnection, asset_id: i64, folder: &str) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO folders (path, asset_id) VALUES (?, ?) ON CONFLICT DO NOTHING")
        .bind(folder)
        .bind(asset_id)
        .execute(db)
        .await
        .map(drop)
}

/// Removes all folders of an asset.
pub async fn clear(db: &mut SqliteConnection, asset_id: i64) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM folders WHERE asset_id = ?").bind(asset_id).execute(db).await.map(drop)
}

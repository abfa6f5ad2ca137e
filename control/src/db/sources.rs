//! Media files of assets.

use sqlx::SqliteConnection;

use super::folders::folder;

/// One media file of an asset.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Source {
    /// Storage path.
    pub path: String,
    /// BCP 47 tag.
    pub language: Option<String>,
    /// Name in a player's menu.
    pub label: Option<String>,
    /// DASH role.
    pub role: Option<String>,
    /// Of subtitles: shown also to whom chose none.
    pub forced: bool,
    /// What players start with, among its kind.
    pub is_default: bool,
    /// Length when it was indexed.
    pub bytes: Option<i64>,
    /// Entity tag when it was indexed.
    pub etag: Option<String>,
}

/// The sources of an asset in their order.
pub async fn list(db: &mut SqliteConnection, asset_id: i64) -> sqlx::Result<Vec<Source>> {
    sqlx::query_as(
        "SELECT path, language, label, role, forced, is_default, bytes, etag FROM sources WHERE asset_id = ?
         ORDER BY position",
    )
    .bind(asset_id)
    .fetch_all(db)
    .await
}

/// Adds a source at a position.
pub async fn insert(db: &mut SqliteConnection, asset_id: i64, position: i64, source: &Source) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO sources (asset_id, position, path, language, label, role, forced, is_default)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(asset_id)
    .bind(position)
    .bind(&source.path)
    .bind(&source.language)
    .bind(&source.label)
    .bind(&source.role)
    .bind(source.forced)
    .bind(source.is_default)
    .execute(db)
    .await
    .map(drop)
}

/// Notes what the storage said about a source when it was indexed.
pub async fn set_stored(
    db: &mut SqliteConnection,
    asset_id: i64,
    position: i64,
    bytes: i64,
    etag: Option<&str>,
) -> sqlx::Result<()> {
    sqlx::query("UPDATE sources SET bytes = ?, etag = ? WHERE asset_id = ? AND position = ?")
        .bind(bytes)
        .bind(etag)
        .bind(asset_id)
        .bind(position)
        .execute(db)
        .await
        .map(drop)
}

/// Removes all sources of an asset.
pub async fn clear(db: &mut SqliteConnection, asset_id: i64) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM sources WHERE asset_id = ?").bind(asset_id).execute(db).await.map(drop)
}

/// Whether a path is a source of any asset, or lies in a folder that the playlists of one name objects in.
pub async fn is_known(db: &mut SqliteConnection, path: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM sources WHERE path = ?) OR EXISTS (SELECT 1 FROM folders WHERE path = ?)",
    )
    .bind(path)
    .bind(folder(path))
    .fetch_one(db)
    .await
}

/// An object as an edge knows it.
pub struct Expected<'a> {
    /// Storage path.
    pub path: &'a str,
    /// Length when it was indexed.
    pub bytes: i64,
    /// Entity tag when it was indexed.
    pub etag: Option<&'a str>,
}

/// Whether an asset has this object, and it was so when the asset was indexed last. What the playlists of an asset name
/// is only known by its folder.
pub async fn is_expected(db: &mut SqliteConnection, asset_id: i64, object: &Expected<'_>) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM sources WHERE path = ?2 AND asset_id = ?1 AND bytes = ?4 AND etag IS ?5)
         OR EXISTS (SELECT 1 FROM folders WHERE path = ?3 AND asset_id = ?1)",
    )
    .bind(asset_id)
    .bind(object.path)
    .bind(folder(object.path))
    .bind(object.bytes)
    .bind(object.etag)
    .fetch_one(db)
    .await
}

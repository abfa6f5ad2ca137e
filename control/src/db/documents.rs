//! Documents for edges and the revision that counts their changes.

use packager::config::{Body, Document};
use sqlx::SqliteConnection;

/// The revision of the latest change.
pub async fn revision(db: &mut SqliteConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT value FROM revision").fetch_one(db).await
}

/// Counts one change.
async fn next_revision(db: &mut SqliteConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("UPDATE revision SET value = value + 1 RETURNING value").fetch_one(db).await
}

/// Writes the document of a key under the next revision, which is answered.
pub async fn put(db: &mut SqliteConnection, key: String, body: Body) -> sqlx::Result<i64> {
    let revision = next_revision(db).await?;
    let document = Document::new(key, revision.unsigned_abs(), body);
    let json = serde_json::to_string(&document).map_err(|e| sqlx::Error::Encode(Box::new(e)))?;
    sqlx::query(
        "INSERT INTO documents (key, revision, json) VALUES (?1, ?2, ?3)
         ON CONFLICT (key) DO UPDATE SET revision = ?2, json = ?3",
    )
    .bind(&document.key)
    .bind(revision)
    .bind(json)
    .execute(db)
    .await?;
    Ok(revision)
}

/// The document of a key, as it is stored.
pub async fn find(db: &mut SqliteConnection, key: &str) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar("SELECT json FROM documents WHERE key = ?").bind(key).fetch_optional(db).await
}

/// Keys of the documents below `prefix`, which ends with a slash, that are not deleted.
pub async fn live(db: &mut SqliteConnection, prefix: &str) -> sqlx::Result<Vec<String>> {
    // The character after the slash in ASCII is the digit zero.
    let end = format!("{}0", prefix.trim_end_matches('/'));
    sqlx::query_scalar(
        "SELECT key FROM documents WHERE key >= ? AND key < ? AND json_extract(json, '$.body.kind') <> 'deleted'
         ORDER BY key",
    )
    .bind(prefix)
    .bind(end)
    .fetch_all(db)
    .await
}

/// Revision and document of the changes after `revision`, oldest first.
pub async fn since(db: &mut SqliteConnection, revision: i64, limit: i64) -> sqlx::Result<Vec<(i64, String)>> {
    sqlx::query_as("SELECT revision, json FROM documents WHERE revision > ? ORDER BY revision LIMIT ?")
        .bind(revision)
        .bind(limit)
        .fetch_all(db)
        .await
}

//! Packaging groups.

use sqlx::SqliteConnection;

use super::Page;

/// A packaging group.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Group {
    /// Row.
    pub id: i64,
    /// Unique name.
    pub name: String,
    /// Milliseconds since 1970.
    pub created_at: i64,
}

/// Adds a group.
pub async fn insert(db: &mut SqliteConnection, name: &str, now: i64) -> sqlx::Result<Group> {
    sqlx::query_as("INSERT INTO packaging_groups (name, created_at) VALUES (?, ?) RETURNING id, name, created_at")
        .bind(name)
        .bind(now)
        .fetch_one(db)
        .await
}

/// The group with a name.
pub async fn find(db: &mut SqliteConnection, name: &str) -> sqlx::Result<Option<Group>> {
    sqlx::query_as("SELECT id, name, created_at FROM packaging_groups WHERE name = ?")
        .bind(name)
        .fetch_optional(db)
        .await
}

/// Groups in the order of their making.
pub async fn list(db: &mut SqliteConnection, page: Page) -> sqlx::Result<Vec<Group>> {
    sqlx::query_as("SELECT id, name, created_at FROM packaging_groups WHERE id > ? ORDER BY id LIMIT ?")
        .bind(page.after)
        .bind(page.limit)
        .fetch_all(db)
        .await
}

/// Gives a group another name.
pub async fn rename(db: &mut SqliteConnection, id: i64, name: &str) -> sqlx::Result<()> {
    sqlx::query("UPDATE packaging_groups SET name = ? WHERE id = ?").bind(name).bind(id).execute(db).await.map(drop)
}

/// Removes a group that has neither configurations nor assets.
pub async fn delete(db: &mut SqliteConnection, id: i64) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM packaging_groups WHERE id = ?").bind(id).execute(db).await.map(drop)
}

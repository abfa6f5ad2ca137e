//! Channel groups.

use sqlx::SqliteConnection;

use super::Page;

/// A channel group.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct ChannelGroup {
    /// Row.
    pub id: i64,
    /// Unique name.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// Milliseconds since 1970.
    pub created_at: i64,
}

/// Adds a group.
pub async fn insert(
    db: &mut SqliteConnection,
    name: &str,
    description: Option<&str>,
    now: i64,
) -> sqlx::Result<ChannelGroup> {
    sqlx::query_as("INSERT INTO channel_groups (name, description, created_at) VALUES (?, ?, ?) RETURNING *")
        .bind(name)
        .bind(description)
        .bind(now)
        .fetch_one(db)
        .await
}

/// The group with a name.
pub async fn find(db: &mut SqliteConnection, name: &str) -> sqlx::Result<Option<ChannelGroup>> {
    sqlx::query_as("SELECT * FROM channel_groups WHERE name = ?").bind(name).fetch_optional(db).await
}

/// Groups in the order of their making.
pub async fn list(db: &mut SqliteConnection, page: Page) -> sqlx::Result<Vec<ChannelGroup>> {
    sqlx::query_as("SELECT * FROM channel_groups WHERE id > ? ORDER BY id LIMIT ?")
        .bind(page.after)
        .bind(page.limit)
        .fetch_all(db)
        .await
}

/// Writes name and description of the group with `changed.id`.
pub async fn update(db: &mut SqliteConnection, changed: &ChannelGroup) -> sqlx::Result<()> {
    sqlx::query("UPDATE channel_groups SET name = ?, description = ? WHERE id = ?")
        .bind(&changed.name)
        .bind(&changed.description)
        .bind(changed.id)
        .execute(db)
        .await
        .map(drop)
}

/// Removes a group that has no channels.
pub async fn delete(db: &mut SqliteConnection, id: i64) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM channel_groups WHERE id = ?").bind(id).execute(db).await.map(drop)
}

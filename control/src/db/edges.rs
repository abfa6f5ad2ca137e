//! Edges and what they have acknowledged.

use serde::{Deserialize, Serialize};
use sqlx::SqliteConnection;
use utoipa::ToSchema;

use super::Page;

/// How an edge came to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[sqlx(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Kind {
    /// Over the REST interface.
    Registered,
    /// It runs inside the control plane.
    Embedded,
}

/// An edge.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Edge {
    /// Row.
    pub id: i64,
    /// Unique name, audience of its pushes.
    pub name: String,
    /// Base URL without trailing slash.
    pub url: String,
    /// How it came to be known.
    pub kind: Kind,
    /// Sequence of the last push.
    pub sequence: i64,
    /// Revision up to which it has all documents.
    pub acknowledged_revision: i64,
    /// What went wrong with the last push.
    pub last_error: Option<String>,
    /// When it last answered, milliseconds since 1970.
    pub last_contact: Option<i64>,
    /// Milliseconds since 1970.
    pub created_at: i64,
}

/// Adds a registered edge and answers its row.
pub async fn insert(db: &mut SqliteConnection, name: &str, url: &str, now: i64) -> sqlx::Result<i64> {
    sqlx::query_scalar("INSERT INTO edges (name, url, kind, created_at) VALUES (?, ?, ?, ?) RETURNING id")
        .bind(name)
        .bind(url)
        .bind(Kind::Registered)
        .bind(now)
        .fetch_one(db)
        .await
}

/// Adds the embedded edge, or notes where it is now. It starts without documents.
pub async fn upsert_embedded(db: &mut SqliteConnection, name: &str, url: &str, now: i64) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO edges (name, url, kind, created_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (name) DO UPDATE
         SET url = ?2, kind = ?3, acknowledged_revision = 0, last_error = NULL, last_contact = NULL",
    )
    .bind(name)
    .bind(url)
    .bind(Kind::Embedded)
    .bind(now)
    .execute(db)
    .await
    .map(drop)
}

/// Forgets the embedded edge, because none runs.
pub async fn delete_embedded(db: &mut SqliteConnection) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM edges WHERE kind = ?").bind(Kind::Embedded).execute(db).await.map(drop)
}

/// The edge with a name.
pub async fn find(db: &mut SqliteConnection, name: &str) -> sqlx::Result<Option<Edge>> {
    sqlx::query_as("SELECT * FROM edges WHERE name = ?").bind(name).fetch_optional(db).await
}

/// The edge with a row.
pub async fn get(db: &mut SqliteConnection, id: i64) -> sqlx::Result<Option<Edge>> {
    sqlx::query_as("SELECT * FROM edges WHERE id = ?").bind(id).fetch_optional(db).await
}

/// Edges in the order of their making.
pub async fn list(db: &mut SqliteConnection, page: Page) -> sqlx::Result<Vec<Edge>> {
    sqlx::query_as("SELECT * FROM edges WHERE id > ? ORDER BY id LIMIT ?")
        .bind(page.after)
        .bind(page.limit)
        .fetch_all(db)
        .await
}

/// The edge that viewers are sent to: the first registered one, else the embedded one.
pub async fn first(db: &mut SqliteConnection) -> sqlx::Result<Option<Edge>> {
    sqlx::query_as("SELECT * FROM edges ORDER BY kind = 'REGISTERED' DESC, id LIMIT 1").fetch_optional(db).await
}

/// Whether any edge is registered.
pub async fn any_registered(db: &mut SqliteConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM edges WHERE kind = ?)").bind(Kind::Registered).fetch_one(db).await
}

/// Edges that lack the latest change.
pub async fn behind(db: &mut SqliteConnection) -> sqlx::Result<Vec<Edge>> {
    sqlx::query_as("SELECT * FROM edges WHERE acknowledged_revision < (SELECT value FROM revision) ORDER BY id")
        .fetch_all(db)
        .await
}

/// Writes name and URL of an edge, which from then on counts as one without documents.
pub async fn update(db: &mut SqliteConnection, id: i64, name: &str, url: &str) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE edges SET name = ?, url = ?, acknowledged_revision = 0, last_error = NULL, last_contact = NULL
         WHERE id = ?",
    )
    .bind(name)
    .bind(url)
    .bind(id)
    .execute(db)
    .await
    .map(drop)
}

/// Takes the next sequence, which is at least `at_least`.
pub async fn next_sequence(db: &mut SqliteConnection, id: i64, at_least: i64) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar("UPDATE edges SET sequence = max(sequence + 1, ?) WHERE id = ? RETURNING sequence")
        .bind(at_least)
        .bind(id)
        .fetch_optional(db)
        .await
}

/// Notes that the edge, where it was when the push began, has everything up to `revision`.
pub async fn acknowledge(db: &mut SqliteConnection, edge: &Edge, revision: i64, now: i64) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE edges SET acknowledged_revision = ?, last_error = NULL, last_contact = ?
         WHERE id = ? AND url = ? AND name = ?",
    )
    .bind(revision)
    .bind(now)
    .bind(edge.id)
    .bind(&edge.url)
    .bind(&edge.name)
    .execute(db)
    .await
    .map(drop)
}

/// Notes a push that failed; `contact` is when the edge answered, if it did.
pub async fn set_error(db: &mut SqliteConnection, edge: &Edge, error: &str, contact: Option<i64>) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE edges SET last_error = ?, last_contact = coalesce(?, last_contact) WHERE id = ? AND url = ? AND name = ?",
    )
    .bind(error)
    .bind(contact)
    .bind(edge.id)
    .bind(&edge.url)
    .bind(&edge.name)
    .execute(db)
    .await
    .map(drop)
}

/// Forgets an edge.
pub async fn delete(db: &mut SqliteConnection, id: i64) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM edges WHERE id = ?").bind(id).execute(db).await.map(drop)
}

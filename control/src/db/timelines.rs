//! Timelines of channels and their positions.

use sqlx::SqliteConnection;

use super::uploads::Upload;

/// A position.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Position {
    /// Counted from 0.
    pub number: i64,
    /// 1 or 2; `None` for one without media.
    pub input: Option<i64>,
    /// Presentation times in microseconds.
    pub start_us: i64,
    /// See `start_us`.
    pub end_us: i64,
    /// When it was made, milliseconds since 1970.
    pub made_ms: i64,
    /// Head of an index of this position, until it is in a part.
    pub head: Option<Vec<u8>>,
}

/// The state of a timeline, as it was written.
pub async fn state(db: &mut SqliteConnection, channel_id: i64) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar("SELECT state FROM timelines WHERE channel_id = ?").bind(channel_id).fetch_optional(db).await
}

/// Writes the state of a timeline.
pub async fn put_state(db: &mut SqliteConnection, channel_id: i64, state: &str) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO timelines (channel_id, state) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET state = ?2")
        .bind(channel_id)
        .bind(state)
        .execute(db)
        .await
        .map(drop)
}

/// Rows of all channels.
pub async fn channels(db: &mut SqliteConnection) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar("SELECT id FROM channels ORDER BY id").fetch_all(db).await
}

/// Adds a position.
pub async fn insert(db: &mut SqliteConnection, channel_id: i64, new: &Position) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO positions (channel_id, number, input, start_us, end_us, made_ms, head) VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(channel_id)
    .bind(new.number)
    .bind(new.input)
    .bind(new.start_us)
    .bind(new.end_us)
    .bind(new.made_ms)
    .bind(&new.head)
    .execute(db)
    .await
    .map(drop)
}

/// The positions from `first` on.
pub async fn since(db: &mut SqliteConnection, channel_id: i64, first: i64) -> sqlx::Result<Vec<Position>> {
    sqlx::query_as("SELECT * FROM positions WHERE channel_id = ? AND number >= ? ORDER BY number")
        .bind(channel_id)
        .bind(first)
        .fetch_all(db)
        .await
}

/// Takes the heads from the positions before `end`: they are in parts.
pub async fn clear_heads(db: &mut SqliteConnection, channel_id: i64, end: i64) -> sqlx::Result<()> {
    sqlx::query("UPDATE positions SET head = NULL WHERE channel_id = ? AND number < ? AND head IS NOT NULL")
        .bind(channel_id)
        .bind(end)
        .execute(db)
        .await
        .map(drop)
}

/// Positions in parts whose blocks have an object of their own and that were made before `before`, at most a thousand.
pub async fn spare_blocks(db: &mut SqliteConnection, channel_id: i64, before: i64) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar(
        "SELECT number FROM positions
         WHERE channel_id = ? AND blocks = 1 AND head IS NULL AND made_ms < ? ORDER BY number LIMIT 1000",
    )
    .bind(channel_id)
    .bind(before)
    .fetch_all(db)
    .await
}

/// The object with the blocks of these positions is gone.
pub async fn forget_blocks(db: &mut SqliteConnection, channel_id: i64, numbers: &[i64]) -> sqlx::Result<()> {
    for number in numbers {
        sqlx::query("UPDATE positions SET blocks = 0 WHERE channel_id = ? AND number = ?")
            .bind(channel_id)
            .bind(number)
            .execute(&mut *db)
            .await?;
    }
    Ok(())
}

/// The first position that ends after `end_us`; `None` when all end before.
pub async fn first_after(db: &mut SqliteConnection, channel_id: i64, end_us: i64) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar("SELECT number FROM positions WHERE channel_id = ? AND end_us > ? ORDER BY number LIMIT 1")
        .bind(channel_id)
        .bind(end_us)
        .fetch_optional(db)
        .await
}

/// Forgets the positions before `first`.
pub async fn forget(db: &mut SqliteConnection, channel_id: i64, first: i64) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM positions WHERE channel_id = ? AND number < ?")
        .bind(channel_id)
        .bind(first)
        .execute(db)
        .await
        .map(drop)
}

/// Acknowledged segments and initialization sections of which it is open what becomes of them, in the order of their rows.
pub async fn open_uploads(db: &mut SqliteConnection, channel_id: i64) -> sqlx::Result<Vec<Upload>> {
    sqlx::query_as(
        "SELECT * FROM uploads
         WHERE channel_id = ? AND position IS NULL AND path IS NOT NULL AND status <> 'RECEIVING' ORDER BY id",
    )
    .bind(channel_id)
    .fetch_all(db)
    .await
}

/// The segments are in a position, or -1 in none.
pub async fn place(db: &mut SqliteConnection, uploads: &[i64], position: i64) -> sqlx::Result<()> {
    for upload in uploads {
        sqlx::query("UPDATE uploads SET position = ? WHERE id = ?")
            .bind(position)
            .bind(upload)
            .execute(&mut *db)
            .await?;
    }
    Ok(())
}

/// Objects of segments that nothing needs: those of positions before `first`, and those of none that came before `before`;
/// at most a thousand, as rows and paths.
pub async fn spare_media(
    db: &mut SqliteConnection,
    channel_id: i64,
    first: i64,
    before: i64,
) -> sqlx::Result<Vec<(i64, String)>> {
    sqlx::query_as(
        "SELECT id, path FROM uploads
         WHERE channel_id = ?1 AND path IS NOT NULL AND position IS NOT NULL
           AND ((position >= 0 AND position < ?2) OR (position = -1 AND received_ms < ?3)) LIMIT 1000",
    )
    .bind(channel_id)
    .bind(first)
    .bind(before)
    .fetch_all(db)
    .await
}

/// Forgets uploads whose objects are gone.
pub async fn forget_uploads(db: &mut SqliteConnection, uploads: &[i64]) -> sqlx::Result<()> {
    for upload in uploads {
        sqlx::query("DELETE FROM uploads WHERE id = ?").bind(upload).execute(&mut *db).await?;
    }
    Ok(())
}

/// For how many seconds back the endpoints of a channel let viewers go: the time shift of each.
pub async fn time_shift_days(db: &mut SqliteConnection, channel_id: i64) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT coalesce(max(time_shift_days), 0) FROM endpoints WHERE channel_id = ?")
        .bind(channel_id)
        .fetch_one(db)
        .await
}

/// How far a timeline is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Edge {
    /// Presentation time 0, milliseconds since 1970.
    pub epoch_ms: i64,
    /// How long a position is at most.
    pub position_seconds: i64,
    /// Whether nothing more will come.
    pub ended: bool,
    /// Where the last position ends, microseconds of presentation time.
    pub end_us: i64,
}

/// How far the timeline of a channel is; `None` before its first position.
pub async fn edge(db: &mut SqliteConnection, channel_id: i64) -> sqlx::Result<Option<Edge>> {
    sqlx::query_as(
        "SELECT json_extract(t.state, '$.timeline.epoch_ms') AS epoch_ms,
                json_extract(t.state, '$.timeline.position_seconds') AS position_seconds,
                coalesce(json_extract(t.state, '$.timeline.ended'), 0) AS ended, p.end_us
         FROM timelines t JOIN positions p ON p.channel_id = t.channel_id
         WHERE t.channel_id = ? ORDER BY p.number DESC LIMIT 1",
    )
    .bind(channel_id)
    .fetch_optional(db)
    .await
}

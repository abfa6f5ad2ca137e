//! What encoders pushed to the inputs of channels.

use sqlx::SqliteConnection;

use super::channel_inputs::Target;

/// What was pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum UploadKind {
    /// Media.
    Segment,
    /// An initialization section.
    Init,
    /// A media playlist.
    Playlist,
    /// A multivariant playlist.
    Multivariant,
}

impl UploadKind {
    /// In metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Segment => "segment",
            Self::Init => "init",
            Self::Playlist | Self::Multivariant => "playlist",
        }
    }
}

/// Where an upload stands; see the migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum UploadStatus {
    /// Its body is under way, or being checked.
    Receiving,
    /// It is what its name means.
    Stored,
    /// Its name was pushed again.
    Replaced,
    /// The encoder deleted it.
    Gone,
}

/// An upload.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Upload {
    /// Row; later uploads have higher ones, and none is used twice.
    pub id: i64,
    /// Row of the channel.
    pub channel_id: i64,
    /// 1 or 2.
    pub input: i64,
    /// What it is.
    pub kind: UploadKind,
    /// Path below the URL of the input, percent-decoded.
    pub name: String,
    /// Where it stands.
    pub status: UploadStatus,
    /// Whether a playlist that came later names it.
    pub listed: bool,
    /// Path in the media storage; `None` for playlists.
    pub path: Option<String>,
    /// Text of a playlist.
    pub body: Option<Vec<u8>>,
    /// Length.
    pub bytes: i64,
    /// Tag of the stored object.
    pub etag: Option<String>,
    /// When it was acknowledged, milliseconds since 1970.
    pub received_ms: i64,
}

/// A playlist that came.
pub struct NewPlaylist<'a> {
    /// [`UploadKind::Playlist`] or [`UploadKind::Multivariant`].
    pub kind: UploadKind,
    /// Path below the URL of the input.
    pub name: &'a str,
    /// Its text.
    pub body: &'a [u8],
    /// Milliseconds since 1970.
    pub now: i64,
}

/// What became of a segment or an initialization section.
pub struct Received<'a> {
    /// What it is.
    pub kind: UploadKind,
    /// Length.
    pub bytes: i64,
    /// Tag of the stored object.
    pub etag: Option<&'a str>,
    /// Milliseconds since 1970.
    pub now: i64,
}

/// Announces an upload whose object is about to be written, and answers its row.
pub async fn announce(db: &mut SqliteConnection, target: &Target, name: &str, now: i64) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "INSERT INTO uploads (channel_id, input, kind, name, status, received_ms) VALUES (?, ?, ?, ?, ?, ?) RETURNING id",
    )
    .bind(target.channel_id)
    .bind(target.input)
    .bind(UploadKind::Segment)
    .bind(name)
    .bind(UploadStatus::Receiving)
    .bind(now)
    .fetch_one(db)
    .await
}

/// Writes where the object of an announced upload will be.
pub async fn set_path(db: &mut SqliteConnection, id: i64, path: &str) -> sqlx::Result<()> {
    sqlx::query("UPDATE uploads SET path = ? WHERE id = ?").bind(path).bind(id).execute(db).await.map(drop)
}

/// Acknowledges an announced upload. Answers whether its channel is still there.
pub async fn set_stored(db: &mut SqliteConnection, id: i64, received: &Received<'_>) -> sqlx::Result<bool> {
    sqlx::query("UPDATE uploads SET status = ?, kind = ?, bytes = ?, etag = ?, received_ms = ? WHERE id = ?")
        .bind(UploadStatus::Stored)
        .bind(received.kind)
        .bind(received.bytes)
        .bind(received.etag)
        .bind(received.now)
        .bind(id)
        .execute(db)
        .await
        .map(|done| done.rows_affected() > 0)
}

/// Removes an upload that came to nothing.
pub async fn delete(db: &mut SqliteConnection, id: i64) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM uploads WHERE id = ?").bind(id).execute(db).await.map(drop)
}

/// Adds a playlist and answers its row.
pub async fn insert_playlist(db: &mut SqliteConnection, target: &Target, new: &NewPlaylist<'_>) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "INSERT INTO uploads (channel_id, input, kind, name, status, listed, body, bytes, received_ms)
         VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?) RETURNING id",
    )
    .bind(target.channel_id)
    .bind(target.input)
    .bind(new.kind)
    .bind(new.name)
    .bind(UploadStatus::Stored)
    .bind(new.body)
    .bind(i64::try_from(new.body.len()).unwrap_or(i64::MAX))
    .bind(new.now)
    .fetch_one(db)
    .await
}

/// Takes a name away from the uploads that have it: media stays, as `status` says; playlists go. Answers how many there were.
pub async fn supersede(
    db: &mut SqliteConnection,
    target: &Target,
    name: &str,
    status: UploadStatus,
) -> sqlx::Result<u64> {
    let playlists = sqlx::query(
        "DELETE FROM uploads WHERE channel_id = ? AND input = ? AND name = ? AND status = 'STORED' AND path IS NULL",
    )
    .bind(target.channel_id)
    .bind(target.input)
    .bind(name)
    .execute(&mut *db)
    .await?;
    let media = sqlx::query(
        "UPDATE uploads SET status = ? WHERE channel_id = ? AND input = ? AND name = ? AND status = 'STORED'",
    )
    .bind(status)
    .bind(target.channel_id)
    .bind(target.input)
    .bind(name)
    .execute(db)
    .await?;
    Ok(playlists.rows_affected() + media.rows_affected())
}

/// The upload that a name means.
pub async fn find(db: &mut SqliteConnection, target: &Target, name: &str) -> sqlx::Result<Option<Upload>> {
    sqlx::query_as("SELECT * FROM uploads WHERE channel_id = ? AND input = ? AND name = ? AND status = 'STORED'")
        .bind(target.channel_id)
        .bind(target.input)
        .bind(name)
        .fetch_optional(db)
        .await
}

/// How many uploads of an input no playlist has named and the timeline has not decided about.
pub async fn count_unlisted(db: &mut SqliteConnection, target: &Target) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "SELECT count(*) FROM uploads
         WHERE channel_id = ? AND input = ? AND status = 'STORED' AND listed = 0 AND position IS NULL",
    )
    .bind(target.channel_id)
    .bind(target.input)
    .fetch_one(db)
    .await
}

/// Rows and names of the uploads of an input that no playlist has named.
pub async fn unlisted(db: &mut SqliteConnection, target: &Target) -> sqlx::Result<Vec<(i64, String)>> {
    sqlx::query_as(
        "SELECT id, name FROM uploads WHERE channel_id = ? AND input = ? AND status = 'STORED' AND listed = 0",
    )
    .bind(target.channel_id)
    .bind(target.input)
    .fetch_all(db)
    .await
}

/// How many playlists an input has.
pub async fn count_playlists(db: &mut SqliteConnection, target: &Target) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "SELECT count(*) FROM uploads WHERE channel_id = ? AND input = ? AND status = 'STORED' AND path IS NULL",
    )
    .bind(target.channel_id)
    .bind(target.input)
    .fetch_one(db)
    .await
}

/// Notes that a playlist names an upload.
pub async fn set_listed(db: &mut SqliteConnection, id: i64) -> sqlx::Result<()> {
    sqlx::query("UPDATE uploads SET listed = 1 WHERE id = ?").bind(id).execute(db).await.map(drop)
}

/// The uploads that are under way: when a process starts, those that it was the end of.
pub async fn receiving(db: &mut SqliteConnection) -> sqlx::Result<Vec<Upload>> {
    sqlx::query_as("SELECT * FROM uploads WHERE status = 'RECEIVING' ORDER BY id").fetch_all(db).await
}

/// Acknowledged segments and initialization sections of a channel after the row `after`, in the order of their rows, which
/// is that of their beginning: one with a lower row may be acknowledged later.
pub async fn media_after(db: &mut SqliteConnection, channel_id: i64, after: i64) -> sqlx::Result<Vec<Upload>> {
    sqlx::query_as(
        "SELECT * FROM uploads WHERE channel_id = ? AND id > ? AND status <> 'RECEIVING' AND path IS NOT NULL ORDER BY id",
    )
    .bind(channel_id)
    .bind(after)
    .fetch_all(db)
    .await
}

/// Of the segments that an input was sent last, those since `since` and at least one: name, bytes and when they were
/// acknowledged, the last one first.
pub async fn last_segments(
    db: &mut SqliteConnection,
    channel_id: i64,
    input: i64,
    since: i64,
) -> sqlx::Result<Vec<(String, i64, i64)>> {
    let mut rows: Vec<(String, i64, i64)> = sqlx::query_as(
        "SELECT name, bytes, received_ms FROM uploads
         WHERE channel_id = ? AND input = ? AND kind = 'SEGMENT' AND status <> 'RECEIVING' ORDER BY id DESC LIMIT 1000",
    )
    .bind(channel_id)
    .bind(input)
    .fetch_all(db)
    .await?;
    let count = rows.iter().take_while(|(_, _, at)| *at >= since).count();
    rows.truncate(count.max(1));
    Ok(rows)
}

/// The playlists of an input as they are now.
pub async fn playlists(db: &mut SqliteConnection, channel_id: i64, input: i64) -> sqlx::Result<Vec<Upload>> {
    sqlx::query_as(
        "SELECT * FROM uploads WHERE channel_id = ? AND input = ? AND status = 'STORED' AND path IS NULL ORDER BY id",
    )
    .bind(channel_id)
    .bind(input)
    .fetch_all(db)
    .await
}

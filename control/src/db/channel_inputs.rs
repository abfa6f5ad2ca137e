//! The two inputs of a channel: their credentials, and what was pushed to them.

use sqlx::SqliteConnection;

use super::channels::ChannelProtocol;

/// The inputs of each channel.
pub const INPUTS: [i64; 2] = [1, 2];

/// An input of a channel, for who pushes to it.
#[derive(Clone, sqlx::FromRow)]
pub struct Target {
    /// Row of the channel.
    pub channel_id: i64,
    /// 1 or 2.
    pub input: i64,
    /// [`super::channels::Channel::uid`].
    pub uid: String,
    /// What is to be pushed.
    pub protocol: ChannelProtocol,
    /// Name of Basic authentication.
    pub username: String,
    /// SHA-256 of the password.
    pub password_hash: Vec<u8>,
}

/// Credentials of an input.
#[derive(Clone, sqlx::FromRow)]
pub struct Credentials {
    /// 1 or 2.
    pub input: i64,
    /// Name of Basic authentication.
    pub username: String,
    /// SHA-256 of the password.
    pub password_hash: Vec<u8>,
    /// The password, sealed, where there is a master key.
    pub password_sealed: Option<Vec<u8>>,
}

/// What came to an input.
#[derive(Clone, Debug, Default, sqlx::FromRow)]
pub struct InputStatus {
    /// 1 or 2.
    pub input: i64,
    /// Uploads that were taken.
    pub uploads: i64,
    /// Their bytes.
    pub bytes: i64,
    /// When the last one was, milliseconds since 1970.
    pub last_upload_at: Option<i64>,
    /// Uploads that were refused.
    pub refused: i64,
    /// Why the last one was.
    pub last_refusal: Option<String>,
    /// When the last one was, milliseconds since 1970.
    pub last_refusal_at: Option<i64>,
}

/// Writes the credentials of an input.
pub async fn put(db: &mut SqliteConnection, channel_id: i64, new: &Credentials) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO channel_inputs (channel_id, input, username, password_hash, password_sealed) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET username = ?3, password_hash = ?4, password_sealed = ?5",
    )
    .bind(channel_id)
    .bind(new.input)
    .bind(&new.username)
    .bind(&new.password_hash)
    .bind(&new.password_sealed)
    .execute(db)
    .await
    .map(drop)
}

/// The credentials of both inputs of a channel.
pub async fn list(db: &mut SqliteConnection, channel_id: i64) -> sqlx::Result<Vec<Credentials>> {
    sqlx::query_as("SELECT * FROM channel_inputs WHERE channel_id = ? ORDER BY input")
        .bind(channel_id)
        .fetch_all(db)
        .await
}

/// An input by the names in its URL.
pub async fn target(db: &mut SqliteConnection, group: &str, channel: &str, input: i64) -> sqlx::Result<Option<Target>> {
    sqlx::query_as(
        "SELECT i.channel_id, i.input, c.uid, c.protocol, i.username, i.password_hash FROM channel_inputs i
         JOIN channels c ON c.id = i.channel_id JOIN channel_groups g ON g.id = c.group_id
         WHERE g.name = ? AND c.name = ? AND i.input = ?",
    )
    .bind(group)
    .bind(channel)
    .bind(input)
    .fetch_optional(db)
    .await
}

/// What came to the inputs of a channel; nothing of those that nothing came to.
pub async fn status(db: &mut SqliteConnection, channel_id: i64) -> sqlx::Result<Vec<InputStatus>> {
    sqlx::query_as("SELECT * FROM input_status WHERE channel_id = ? ORDER BY input")
        .bind(channel_id)
        .fetch_all(db)
        .await
}

/// Counts an upload that was taken.
pub async fn count_upload(db: &mut SqliteConnection, target: &Target, bytes: i64, now: i64) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO input_status (channel_id, input, uploads, bytes, last_upload_at) VALUES (?1, ?2, 1, ?3, ?4)
         ON CONFLICT DO UPDATE SET uploads = uploads + 1, bytes = bytes + ?3, last_upload_at = ?4",
    )
    .bind(target.channel_id)
    .bind(target.input)
    .bind(bytes)
    .bind(now)
    .execute(db)
    .await
    .map(drop)
}

/// Counts uploads that were refused, and why the last one was. A channel that is gone has no status.
pub async fn count_refused(
    db: &mut SqliteConnection,
    target: &Target,
    count: i64,
    reason: &str,
    now: i64,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO input_status (channel_id, input, refused, last_refusal, last_refusal_at)
         SELECT id, ?2, ?3, ?4, ?5 FROM channels WHERE id = ?1
         ON CONFLICT DO UPDATE SET refused = refused + ?3, last_refusal = ?4, last_refusal_at = ?5",
    )
    .bind(target.channel_id)
    .bind(target.input)
    .bind(count)
    .bind(reason)
    .bind(now)
    .execute(db)
    .await
    .map(drop)
}

/// Whether the channel of an input is still there.
pub async fn exists(db: &mut SqliteConnection, target: &Target) -> sqlx::Result<bool> {
    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM channel_inputs WHERE channel_id = ? AND input = ?)")
        .bind(target.channel_id)
        .bind(target.input)
        .fetch_one(db)
        .await
}

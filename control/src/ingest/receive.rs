//! What encoders push: playlists go into the database, segments into the storage of media. An upload is acknowledged once it
//! is durable, and what was acknowledged survives the end of the process.

use std::time::Duration;

use anyhow::Result;
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _};
use packager::config::is_storage_path;
use packager::ingest::live::Reader;
use packager::source::hls::Container;

use super::pushed_segment::SNIFF_BYTES;
use super::reading::{Stopped, off_thread};
use super::{pushed_playlist, pushed_segment};
use crate::archive::{ObjectInfo, is_full};
use crate::clock;
use crate::context::Context;
use crate::db::channel_inputs::{self, Target};
use crate::db::channels::ChannelProtocol;
use crate::db::uploads::{self, NewPlaylist, Received, UploadKind, UploadStatus};

/// The longest name of an upload, percent-decoded.
pub const MAX_UPLOAD_NAME_BYTES: usize = 512;
/// The longest segment: thirty seconds at more than 140 Mbit/s.
pub const MAX_SEGMENT_UPLOAD_BYTES: u64 = 512 << 20;
/// The longest playlist: a day of two-second segments with short names.
pub const MAX_PLAYLIST_UPLOAD_BYTES: u64 = 1 << 20;
/// Segments and initialization sections of an input that no playlist has named: 16 renditions, 256 of each.
pub const MAX_CHANNEL_UPLOADS_PENDING: i64 = 4096;
/// Playlists of an input.
pub const MAX_PLAYLISTS: i64 = 256;
/// How long the next bytes of a body may take.
pub const BODY_IDLE: Duration = Duration::from_secs(30);
/// What is read back of a stored segment to see which boxes it begins with.
const HEAD_BYTES: u64 = 64 << 10;
/// What is read back of it at a time to look into it.
const READ_BYTES: u64 = 1 << 20;
/// The longest initialization section: sample entries of all tracks, and no samples.
const MAX_INITIALIZATION_BYTES: u64 = 1 << 20;

/// What an upload came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// There was nothing of this name.
    Created,
    /// The name meant something else before.
    Replaced,
}

/// The kind of a refusal, for its status and for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The name cannot be one.
    Name,
    /// The body is too long.
    TooLarge,
    /// The body stopped, and the connection is still there.
    Idle,
    /// The body ended too early.
    Cut,
    /// It is not what the channel takes, or nothing that can be packaged.
    Content,
    /// Too many uploads of the input are under way, or wait for a playlist.
    TooMany,
    /// There is no room for it.
    Full,
    /// The storage or the database failed.
    Failed,
    /// The channel is gone.
    Gone,
}

impl Reason {
    /// In metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::TooLarge => "too_large",
            Self::Idle => "idle",
            Self::Cut => "cut",
            Self::Content => "content",
            Self::TooMany => "too_many",
            Self::Full => "full",
            Self::Failed => "failed",
            Self::Gone => "gone",
        }
    }
}

/// An upload that was refused. Nothing of it stays.
#[derive(Debug)]
pub struct Refused {
    /// What kind of refusal.
    pub reason: Reason,
    /// For people.
    pub detail: String,
}

impl Refused {
    fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

impl From<sqlx::Error> for Refused {
    fn from(error: sqlx::Error) -> Self {
        // SQLITE_FULL, whatever extends it.
        let code = error.as_database_error().and_then(|e| e.code()).and_then(|code| code.parse::<i32>().ok());
        if code.is_some_and(|code| code & 0xff == 13) {
            return Self::new(Reason::Full, "there is no room in the database");
        }
        tracing::error!(%error, "an upload could not be written to the database");
        Self::new(Reason::Failed, "an internal error happened; the log of the control plane says which")
    }
}

impl From<object_store::Error> for Refused {
    fn from(error: object_store::Error) -> Self {
        if is_full(&error) {
            return Self::new(Reason::Full, "there is no room in the media storage");
        }
        tracing::error!(%error, "an upload could not be stored");
        Self::new(Reason::Failed, "the media storage failed; the log of the control plane says why")
    }
}

/// An upload that begins.
pub struct Upload<S> {
    /// Path below the URL of the input, percent-decoded.
    pub name: String,
    /// Whether its content type is one of playlists.
    pub declared_playlist: bool,
    /// `Content-Length`, if there is one.
    pub length: Option<u64>,
    /// Its body.
    pub body: S,
}

/// Takes an upload, or refuses it and counts that.
///
/// # Errors
/// See [`Reason`].
pub async fn put<S, E>(context: &Context, target: &Target, upload: Upload<S>) -> Result<Taken, Refused>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin + Send,
    E: std::fmt::Display,
{
    let name = is_storage_path(&upload.name).then(|| upload.name.clone());
    let result = receive(context, target, upload).await;
    match &result {
        Ok(_) => context.live.wake(target.channel_id),
        Err(refused) => refuse(context, target, name.as_deref(), refused).await,
    }
    result
}

/// Notes that the encoder removed a name. Media stays. Answers whether there was such a name.
///
/// # Errors
/// A name that cannot be one, a failure of the database.
pub async fn delete(context: &Context, target: &Target, name: &str) -> Result<bool, Refused> {
    check_name(name)?;
    let mut tx = context.db.write_together().await?;
    let count = uploads::supersede(&mut tx, target, name, UploadStatus::Gone).await?;
    tx.commit().await?;
    Ok(count > 0)
}

/// Removes what was not acknowledged when the process ended. Once, before anything is received.
///
/// # Errors
/// When the database or the storage fails.
pub async fn recover(context: &Context) -> Result<usize> {
    let cut_off = uploads::receiving(&mut *context.db.read().await?).await?;
    for upload in &cut_off {
        if let Some(path) = &upload.path {
            context.media.remove_unfinished(path).await?;
        }
        let mut tx = context.db.write_together().await?;
        uploads::delete(&mut tx, upload.id).await?;
        tx.commit().await?;
    }
    Ok(cut_off.len())
}

/// Counts a refusal where people see it.
async fn refuse(context: &Context, target: &Target, name: Option<&str>, refused: &Refused) {
    metrics::counter!("control_live_refused_total", "reason" => refused.reason.as_str()).increment(1);
    let detail = match name {
        Some(name) if !refused.detail.starts_with(name) => format!("{name}: {}", refused.detail),
        _ => refused.detail.clone(),
    };
    tracing::info!(channel = target.uid, input = target.input, reason = detail, "an upload was refused");
    count_refused(context, target, 1, &detail).await;
}

/// Writes refusals to the status of an input. That this fails is logged only: the answer is what matters.
pub async fn count_refused(context: &Context, target: &Target, count: i64, detail: &str) {
    let write = async {
        let mut tx = context.db.write_together().await?;
        channel_inputs::count_refused(&mut tx, target, count, detail, clock::now_ms()).await?;
        tx.commit().await
    };
    if let Err(error) = write.await {
        tracing::error!(%error, "a refusal could not be counted");
    }
}

fn check_name(name: &str) -> Result<(), Refused> {
    if name.len() > MAX_UPLOAD_NAME_BYTES {
        let detail = format!("the name has {} bytes, more than {MAX_UPLOAD_NAME_BYTES}", name.len());
        return Err(Refused::new(Reason::Name, detail));
    }
    if !is_storage_path(name) {
        let detail = "the name has an empty, `.` or `..` part, or a character that names of objects cannot have";
        return Err(Refused::new(Reason::Name, detail));
    }
    Ok(())
}

async fn receive<S, E>(context: &Context, target: &Target, upload: Upload<S>) -> Result<Taken, Refused>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin + Send,
    E: std::fmt::Display,
{
    let Upload { name, declared_playlist, length, body } = upload;
    check_name(&name)?;
    let Some(_place) = context.receiver.begin(target) else {
        let detail = format!(
            "{} uploads of this input are under way; does more than one encoder push to it?",
            super::receiver::MAX_CONCURRENT_UPLOADS
        );
        return Err(Refused::new(Reason::TooMany, detail));
    };
    let is_playlist = declared_playlist || name.ends_with(".m3u8") || name.ends_with(".m3u");
    let limit = if is_playlist { MAX_PLAYLIST_UPLOAD_BYTES } else { MAX_SEGMENT_UPLOAD_BYTES };
    if length.is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    let body = Limited { body, left: limit, limit };
    if is_playlist { playlist(context, target, name, body).await } else { segment(context, target, name, body).await }
}

fn too_large(limit: u64) -> Refused {
    Refused::new(Reason::TooLarge, format!("the body has more than {limit} bytes"))
}

/// A body that may have so many bytes, and may not stand still.
struct Limited<S> {
    body: S,
    left: u64,
    limit: u64,
}

impl<S, E> Limited<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: std::fmt::Display,
{
    /// The next bytes; `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, Refused> {
        match tokio::time::timeout(BODY_IDLE, self.body.next()).await {
            Err(_) => {
                let detail = format!("no bytes came for {} s", BODY_IDLE.as_secs());
                Err(Refused::new(Reason::Idle, detail))
            }
            Ok(None) => Ok(None),
            Ok(Some(Err(error))) => {
                tracing::debug!(%error, "a body ended early");
                let detail = format!("the body ended early, after {} bytes", self.limit - self.left);
                Err(Refused::new(Reason::Cut, detail))
            }
            Ok(Some(Ok(bytes))) => {
                self.left = self.left.checked_sub(bytes.len() as u64).ok_or_else(|| too_large(self.limit))?;
                Ok(Some(bytes))
            }
        }
    }
}

async fn playlist<S, E>(
    context: &Context,
    target: &Target,
    name: String,
    mut body: Limited<S>,
) -> Result<Taken, Refused>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: std::fmt::Display,
{
    let mut text = BytesMut::new();
    while let Some(bytes) = body.next().await? {
        text.extend_from_slice(&bytes);
    }
    let text = text.freeze();
    let mut db = context.db.read().await?;
    let before = uploads::find(&mut db, target, &name).await?;
    let count = uploads::count_playlists(&mut db, target).await?;
    drop(db);
    if before.is_none() && count >= MAX_PLAYLISTS {
        let detail = format!("the input has {count} playlists; delete those that are not needed");
        return Err(Refused::new(Reason::TooMany, detail));
    }
    // A playlist that came twice with its end is as good as one that came once.
    let same = before.as_ref().and_then(|upload| upload.body.as_deref()).is_some_and(|body| body == text);
    let going_on =
        before.as_ref().and_then(|upload| upload.body.as_deref()).is_some_and(|b| !pushed_playlist::is_ended(b));
    let pushed = pushed_playlist::check(&name, &text, !(same || going_on));
    let pushed = pushed.map_err(|reason| Refused::new(Reason::Content, reason))?;

    let new = NewPlaylist { kind: pushed.kind, name: &name, body: &text, now: clock::now_ms() };
    let bytes = i64::try_from(text.len()).unwrap_or(i64::MAX);
    let mut tx = context.db.write_together().await?;
    if !channel_inputs::exists(&mut tx, target).await? {
        return Err(gone());
    }
    let replaced = uploads::supersede(&mut tx, target, &name, UploadStatus::Replaced).await?;
    uploads::insert_playlist(&mut tx, target, &new).await?;
    for (id, name) in uploads::unlisted(&mut tx, target).await? {
        if pushed.names.contains(&name) {
            uploads::set_listed(&mut tx, id).await?;
        }
    }
    channel_inputs::count_upload(&mut tx, target, bytes, new.now).await?;
    tx.commit().await?;
    measure(pushed.kind, bytes);
    Ok(if replaced > 0 { Taken::Replaced } else { Taken::Created })
}

async fn segment<S, E>(context: &Context, target: &Target, name: String, mut body: Limited<S>) -> Result<Taken, Refused>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin + Send,
    E: std::fmt::Display,
{
    let mut first = BytesMut::new();
    while first.len() < SNIFF_BYTES
        && let Some(bytes) = body.next().await?
    {
        first.extend_from_slice(&bytes);
    }
    let content = |reason: String| Refused::new(Reason::Content, reason);
    let extension = pushed_segment::sniff(target.protocol, &first).map_err(content)?;
    let pending = uploads::count_unlisted(&mut *context.db.read().await?, target).await?;
    if pending >= MAX_CHANNEL_UPLOADS_PENDING {
        let detail = format!("{pending} uploads of this input wait for a playlist that names them");
        return Err(Refused::new(Reason::TooMany, detail));
    }

    let mut tx = context.db.write_together().await?;
    if !channel_inputs::exists(&mut tx, target).await? {
        return Err(gone());
    }
    let id = uploads::announce(&mut tx, target, &name, clock::now_ms()).await?;
    let path = format!("live/{}/media/{id}.{extension}", target.uid);
    uploads::set_path(&mut tx, id, &path).await?;
    tx.commit().await?;

    let result = store(context, target, Announced { id, path: &path, name: &name }, first.freeze(), body).await;
    if result.is_err() {
        // What cannot be removed now is removed at the next start, because its row stays.
        let remove = async {
            context.media.remove(&path).await?;
            let mut tx = context.db.write_together().await?;
            uploads::delete(&mut tx, id).await?;
            tx.commit().await?;
            anyhow::Ok(())
        };
        if let Err(error) = remove.await {
            tracing::error!(path, error = format!("{error:#}"), "a refused upload could not be removed");
        }
    }
    result
}

/// An upload whose row is written.
struct Announced<'a> {
    id: i64,
    path: &'a str,
    name: &'a str,
}

/// Writes the object of an announced upload, checks it and acknowledges it.
async fn store<S, E>(
    context: &Context,
    target: &Target,
    upload: Announced<'_>,
    first: Bytes,
    body: Limited<S>,
) -> Result<Taken, Refused>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin + Send,
    E: std::fmt::Display,
{
    let rest = futures::stream::try_unfold(body, async |mut body: Limited<S>| {
        Ok::<_, Refused>(body.next().await?.map(|bytes| (bytes, body)))
    });
    let body = futures::stream::once(async { Ok(first) }).chain(rest);
    let info = context.media.write_stream(upload.path, body).await?;
    let kind = check(context, target, upload.path, &info).await?;

    let bytes = i64::try_from(info.bytes).unwrap_or(i64::MAX);
    let received = Received { kind, bytes, etag: info.etag.as_deref(), now: clock::now_ms() };
    let mut tx = context.db.write_together().await?;
    let replaced = uploads::supersede(&mut tx, target, upload.name, UploadStatus::Replaced).await?;
    if !uploads::set_stored(&mut tx, upload.id, &received).await? {
        return Err(gone());
    }
    channel_inputs::count_upload(&mut tx, target, bytes, received.now).await?;
    tx.commit().await?;
    measure(kind, bytes);
    Ok(if replaced > 0 { Taken::Replaced } else { Taken::Created })
}

/// Reads back what was stored and looks whether it can be packaged. Segments of movie fragments cannot be read without their
/// initialization section, which only playlists name: they are read when the timeline takes them.
async fn check(context: &Context, target: &Target, path: &str, info: &ObjectInfo) -> Result<UploadKind, Refused> {
    let content = |reason: String| Refused::new(Reason::Content, reason);
    let head = context.media.read(path, 0..info.bytes.min(HEAD_BYTES), info.etag.as_deref()).await?;
    let kind = pushed_segment::kind(target.protocol, &head).map_err(content)?;
    let (at, etag) = (path.to_owned(), info.etag.clone());
    match (target.protocol, kind) {
        (ChannelProtocol::Hls, _) => {
            let mut reader = Reader::new(at, info.bytes, etag, Container::Transport);
            let mut start = 0;
            while start < info.bytes {
                let end = start.saturating_add(READ_BYTES).min(info.bytes);
                let bytes = context.media.read(path, start..end, info.etag.as_deref()).await?;
                let pushed = off_thread(move || reader.push(&bytes).map(|()| reader)).await;
                reader = pushed.map_err(unusable)?;
                start = end;
            }
            off_thread(move || reader.finish()).await.map_err(unusable)?;
        }
        (ChannelProtocol::HlsCmaf, UploadKind::Init) => {
            if info.bytes > MAX_INITIALIZATION_BYTES {
                let detail = format!("an initialization section has at most {MAX_INITIALIZATION_BYTES} bytes");
                return Err(Refused::new(Reason::TooLarge, detail));
            }
            let bytes = context.media.read(path, 0..info.bytes, info.etag.as_deref()).await?;
            let mut reader = Reader::new(at.clone(), info.bytes, etag, Container::Fragments);
            off_thread(move || reader.initialization(&at, &bytes)).await.map_err(unusable)?;
        }
        (ChannelProtocol::HlsCmaf, _) => {}
    }
    Ok(kind)
}

/// Why a segment cannot be packaged.
fn unusable(stopped: Stopped) -> Refused {
    match stopped {
        Stopped::Failed(reason) => Refused::new(Reason::Content, reason),
        Stopped::Unwanted => Refused::new(Reason::Failed, "the control plane stops; push it again"),
        Stopped::Database(error) => error.into(),
    }
}

fn gone() -> Refused {
    Refused::new(Reason::Gone, "the channel was removed")
}

fn measure(kind: UploadKind, bytes: i64) {
    metrics::counter!("control_live_uploads_total", "kind" => kind.as_str()).increment(1);
    metrics::counter!("control_live_upload_bytes_total", "kind" => kind.as_str()).increment(bytes.unsigned_abs());
}

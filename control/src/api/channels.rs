//! Live channels.

use axum::Json;
use axum::extract::State;
use http::{HeaderName, StatusCode, header};
use serde::{Deserialize, Serialize};
use sqlx::SqliteConnection;
use utoipa::ToSchema;

use super::channel_groups;
use super::channel_inputs::{self, ChannelInput, Passwords};
use super::deleted::Deletion;
use super::extract::{Body, Names, Query, present};
use super::page::{Page, PageQuery};
use super::{fields, found};
use crate::clock;
use crate::context::Context;
use crate::db::channels::{self, ChannelProtocol};
use crate::db::{endpoints, harvests};
use crate::error::{ApiError, ApiResult};
use crate::live;
use crate::protect;
use crate::push::documents;

/// Seconds of a segment of an encoder.
const DEFAULT_SEGMENT_SECONDS: i64 = 6;
/// Segments of a playlist of an encoder.
const DEFAULT_SEGMENT_COUNT: i64 = 3;
/// See `DEFAULT_SEGMENT_COUNT`.
const SEGMENT_COUNT: std::ops::RangeInclusive<i64> = 1..=100;

/// A live channel.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct Channel {
    /// Name, unique in its group, part of the playback URLs.
    name: String,
    /// Name of its group.
    channel_group: String,
    /// What its encoders push.
    protocol: ChannelProtocol,
    /// How long a segment that an encoder pushes should be.
    segment_duration_seconds: i64,
    /// How many segments a playlist that an encoder pushes should have.
    segment_count: i64,
    /// Where its encoders push, and what came from them.
    inputs: Vec<ChannelInput>,
    /// How it goes.
    status: ChannelStatus,
    /// When it was made (RFC 3339).
    created_at: String,
    /// When it was changed (RFC 3339).
    updated_at: String,
}

/// How a channel goes.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct ChannelStatus {
    /// Segments of its timeline so far.
    positions: u64,
    /// When the timeline began (RFC 3339).
    started_at: Option<String>,
    /// Where it ends now (RFC 3339).
    live_edge_at: Option<String>,
    /// The input that the last segment came from.
    active_input: Option<usize>,
    /// Breaks of its clock: restarts of encoders, and changes from one input to another that is not aligned.
    discontinuities: u64,
    /// Whether its encoders said that nothing more will come.
    ended: bool,
}

impl From<live::Status> for ChannelStatus {
    fn from(status: live::Status) -> Self {
        let at = |ms: u64| clock::rfc3339(i64::try_from(ms).unwrap_or(i64::MAX));
        Self {
            positions: status.positions,
            started_at: status.epoch_ms.map(at),
            live_edge_at: status.epoch_ms.map(|epoch| at(epoch.saturating_add(status.end_us / 1000))),
            active_input: status.active_input,
            discontinuities: status.discontinuities,
            ended: status.ended,
        }
    }
}

/// A new channel.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewChannel {
    /// Name, unique in its group, part of the playback URLs.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,200}$", min_length = 1, max_length = 200)]
    name: String,
    /// What its encoders push.
    protocol: ChannelProtocol,
    /// How long a segment that an encoder pushes should be.
    #[serde(default = "default_segment_duration")]
    #[schema(minimum = 1, maximum = 30, default = 6)]
    segment_duration_seconds: i64,
    /// How many segments a playlist that an encoder pushes should have.
    #[serde(default = "default_segment_count")]
    #[schema(minimum = 1, maximum = 100, default = 3)]
    segment_count: i64,
}

fn default_segment_duration() -> i64 {
    DEFAULT_SEGMENT_SECONDS
}

fn default_segment_count() -> i64 {
    DEFAULT_SEGMENT_COUNT
}

/// Changes of a channel.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelPatch {
    /// Another name. Ingest and playback URLs with the old one stop working.
    #[serde(default, deserialize_with = "present")]
    #[schema(pattern = "^[A-Za-z0-9_-]{1,200}$", min_length = 1, max_length = 200, nullable = false)]
    name: Option<String>,
    /// How long a segment that an encoder pushes should be.
    #[serde(default, deserialize_with = "present")]
    #[schema(minimum = 1, maximum = 30, nullable = false)]
    segment_duration_seconds: Option<i64>,
    /// How many segments a playlist that an encoder pushes should have.
    #[serde(default, deserialize_with = "present")]
    #[schema(minimum = 1, maximum = 100, nullable = false)]
    segment_count: Option<i64>,
}

impl Channel {
    async fn load(
        context: &Context,
        db: &mut SqliteConnection,
        row: channels::Channel,
        passwords: Passwords,
    ) -> ApiResult<Self> {
        Ok(Self {
            inputs: channel_inputs::load(context, db, &row, passwords).await?,
            status: context.live.of(row.id).map(|published| published.status()).unwrap_or_default().into(),
            name: row.name,
            channel_group: row.channel_group,
            protocol: row.protocol,
            segment_duration_seconds: row.segment_duration_seconds,
            segment_count: row.segment_count,
            created_at: clock::rfc3339(row.created_at),
            updated_at: clock::rfc3339(row.updated_at),
        })
    }
}

fn check(row: &channels::Channel) -> ApiResult<()> {
    fields::name("/name", &row.name)?;
    fields::segment_duration("/segment_duration_seconds", row.segment_duration_seconds)?;
    fields::within("/segment_count", row.segment_count, SEGMENT_COUNT)
}

/// Adds a channel
#[utoipa::path(post, path = "/v1/channel-groups/{group}/channels", tag = "channels", operation_id = "createChannel",
    params(("group" = String, Path, description = "Name of the group")), request_body = NewChannel,
    responses((status = 201, description = "The new channel with the passwords of its inputs, which without a master key are \
                                            shown only now", body = Channel),
              (status = 409, description = "The name is taken")))]
pub async fn create(
    State(context): State<Context>,
    Names(group): Names<String>,
    Body(new): Body<NewChannel>,
) -> ApiResult<(StatusCode, [(HeaderName, String); 1], Json<Channel>)> {
    let mut tx = context.db.write().await?;
    let group = channel_groups::find(&mut tx, &group).await?;
    let now = clock::now_ms();
    let mut row = channels::Channel {
        id: 0,
        group_id: group.id,
        channel_group: group.name,
        name: new.name,
        uid: format!("{:016x}", rand::random::<u64>()),
        protocol: new.protocol,
        segment_duration_seconds: new.segment_duration_seconds,
        segment_count: new.segment_count,
        created_at: now,
        updated_at: now,
    };
    check(&row)?;
    check_free(&mut tx, &row).await?;
    row.id = channels::insert(&mut tx, &row).await?;
    let made = channel_inputs::make(&context, &mut tx, row.id, &crate::db::channel_inputs::INPUTS).await?;
    let location = format!("/v1/channel-groups/{}/channels/{}", row.channel_group, row.name);
    let channel = Channel::load(&context, &mut tx, row, Passwords::Made(made)).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(channel)))
}

/// Lists the channels of a group, without passwords
#[utoipa::path(get, path = "/v1/channel-groups/{group}/channels", tag = "channels", operation_id = "listChannels",
    params(("group" = String, Path, description = "Name of the group"), PageQuery),
    responses((status = 200, description = "One page", body = Page<Channel>)))]
pub async fn list(
    State(context): State<Context>,
    Names(group): Names<String>,
    Query(query): Query<PageQuery>,
) -> ApiResult<Json<Page<Channel>>> {
    let rows = query.rows()?;
    let mut db = context.db.snapshot().await?;
    let group = channel_groups::find(&mut db, &group).await?;
    let rows = channels::list(&mut db, group.id, rows).await?;
    let page = query.page(rows, |row| row.id, |row| row)?;
    let mut items = Vec::with_capacity(page.items.len());
    for row in page.items {
        items.push(Channel::load(&context, &mut db, row, Passwords::Hidden).await?);
    }
    Ok(Json(Page { items, next_cursor: page.next_cursor }))
}

/// Shows a channel
#[utoipa::path(get, path = "/v1/channel-groups/{group}/channels/{channel}", tag = "channels", operation_id = "getChannel",
    params(("group" = String, Path, description = "Name of the group"),
           ("channel" = String, Path, description = "Name of the channel")),
    responses((status = 200, description = "The channel", body = Channel)))]
pub async fn get(
    State(context): State<Context>,
    Names((group, name)): Names<(String, String)>,
) -> ApiResult<Json<Channel>> {
    let mut db = context.db.snapshot().await?;
    let row = find(&mut db, &group, &name).await?;
    Ok(Json(Channel::load(&context, &mut db, row, Passwords::Stored).await?))
}

/// Changes a channel
#[utoipa::path(patch, path = "/v1/channel-groups/{group}/channels/{channel}", tag = "channels",
    operation_id = "updateChannel",
    params(("group" = String, Path, description = "Name of the group"),
           ("channel" = String, Path, description = "Name of the channel")),
    request_body = ChannelPatch,
    responses((status = 200, description = "The channel as it is now", body = Channel),
              (status = 409, description = "The name is taken")))]
pub async fn patch(
    State(context): State<Context>,
    Names((group, name)): Names<(String, String)>,
    Body(patch): Body<ChannelPatch>,
) -> ApiResult<Json<Channel>> {
    let mut tx = context.db.write().await?;
    let before = find(&mut tx, &group, &name).await?;
    let mut row = before.clone();
    row.name = patch.name.unwrap_or(row.name);
    row.segment_duration_seconds = patch.segment_duration_seconds.unwrap_or(row.segment_duration_seconds);
    row.segment_count = patch.segment_count.unwrap_or(row.segment_count);
    row.updated_at = clock::now_ms();
    check(&row)?;
    let renamed = row.name != before.name;
    if renamed {
        check_free(&mut tx, &row).await?;
        documents::retract_channel(&mut tx, row.id).await?;
        protect::documents::retract_channel(&mut tx, row.id).await?;
    }
    channels::update(&mut tx, &row).await?;
    if renamed {
        for endpoint in endpoints::of_channel(&mut tx, row.id).await? {
            documents::put_endpoint(&mut tx, &endpoint).await?;
        }
        let put = protect::documents::put_channel(&context, &mut tx, row.id).await;
        put.map_err(|e| ApiError::internal(format!("{e:#}")))?;
    }
    let id = row.id;
    let channel = Channel::load(&context, &mut tx, row, Passwords::Stored).await?;
    tx.commit().await?;
    context.push_wake.wake();
    context.live.wake(id);
    Ok(Json(channel))
}

/// Removes a channel that has no endpoints, and all that was pushed to it
#[utoipa::path(delete, path = "/v1/channel-groups/{group}/channels/{channel}", tag = "channels",
    operation_id = "deleteChannel",
    params(("group" = String, Path, description = "Name of the group"),
           ("channel" = String, Path, description = "Name of the channel")),
    responses((status = 200, description = "What was removed", body = Deletion),
              (status = 409, description = "The channel has endpoints, or collection tasks that need its media")))]
pub async fn delete(
    State(context): State<Context>,
    Names((group, name)): Names<(String, String)>,
) -> ApiResult<Json<Deletion>> {
    let mut tx = context.db.write().await?;
    let row = find(&mut tx, &group, &name).await?;
    let count = endpoints::count_of_channel(&mut tx, row.id).await?;
    if count > 0 {
        return Err(ApiError::conflict(None, format!("the channel has {count} endpoints; remove them first")));
    }
    let tasks = harvests::count_busy(&mut tx, row.id).await?;
    if tasks > 0 {
        let detail =
            format!("{tasks} collection tasks need the media of the channel; wait for them or cancel them first");
        return Err(ApiError::conflict(None, detail));
    }
    channels::delete(&mut tx, &row, clock::now_ms()).await?;
    tx.commit().await?;
    context.receiver.forget(row.id);
    context.live.wake(row.id);
    let mut deletion = Deletion::default();
    deletion.deleted.channels.push(row.name);
    Ok(Json(deletion))
}

/// The channel with a name in a group.
///
/// # Errors
/// 404 when there is none.
pub async fn find(db: &mut SqliteConnection, group: &str, name: &str) -> ApiResult<channels::Channel> {
    let group = channel_groups::find(db, group).await?;
    found(channels::find(db, &group.name, name).await?, "channel", name)
}

async fn check_free(db: &mut SqliteConnection, row: &channels::Channel) -> ApiResult<()> {
    match channels::find(db, &row.channel_group, &row.name).await? {
        None => Ok(()),
        Some(_) => {
            let detail = format!("there is a channel {} in this group already; choose another name", row.name);
            Err(ApiError::conflict(Some("/name"), detail))
        }
    }
}

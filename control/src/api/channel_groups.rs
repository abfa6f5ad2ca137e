//! Channel groups.

use axum::Json;
use axum::extract::State;
use http::{HeaderName, StatusCode, header};
use serde::{Deserialize, Serialize};
use sqlx::SqliteConnection;
use utoipa::ToSchema;

use super::deleted::Deletion;
use super::extract::{Body, Names, Query, present};
use super::page::{Page, PageQuery};
use super::{fields, found};
use crate::clock;
use crate::context::Context;
use crate::db::{channel_groups, channels, endpoints};
use crate::error::{ApiError, ApiResult};
use crate::protect;
use crate::push::documents;

/// A channel group: live channels with the same base URL.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct ChannelGroup {
    /// Unique name, part of every playback URL.
    name: String,
    /// For people.
    description: Option<String>,
    /// When it was made (RFC 3339).
    created_at: String,
}

/// A new channel group.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewChannelGroup {
    /// Unique name, part of every playback URL.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,200}$", min_length = 1, max_length = 200)]
    name: String,
    /// For people.
    #[schema(min_length = 1, max_length = 1000)]
    description: Option<String>,
}

/// Changes of a channel group.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelGroupPatch {
    /// Another name. Ingest and playback URLs with the old one stop working.
    #[serde(default, deserialize_with = "present")]
    #[schema(pattern = "^[A-Za-z0-9_-]{1,200}$", min_length = 1, max_length = 200, nullable = false)]
    name: Option<String>,
    /// For people; `null` takes it away.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 1000)]
    description: Option<Option<String>>,
}

impl From<channel_groups::ChannelGroup> for ChannelGroup {
    fn from(row: channel_groups::ChannelGroup) -> Self {
        Self { name: row.name, description: row.description, created_at: clock::rfc3339(row.created_at) }
    }
}

/// Adds a channel group
#[utoipa::path(post, path = "/v1/channel-groups", tag = "channel groups", operation_id = "createChannelGroup",
    request_body = NewChannelGroup,
    responses((status = 201, description = "The new group", body = ChannelGroup),
              (status = 409, description = "The name is taken")))]
pub async fn create(
    State(context): State<Context>,
    Body(new): Body<NewChannelGroup>,
) -> ApiResult<(StatusCode, [(HeaderName, String); 1], Json<ChannelGroup>)> {
    fields::name("/name", &new.name)?;
    fields::description("/description", new.description.as_deref())?;
    let mut tx = context.db.write().await?;
    check_free(&mut tx, &new.name).await?;
    let row = channel_groups::insert(&mut tx, &new.name, new.description.as_deref(), clock::now_ms()).await?;
    tx.commit().await?;
    let location = [(header::LOCATION, format!("/v1/channel-groups/{}", row.name))];
    Ok((StatusCode::CREATED, location, Json(row.into())))
}

/// Lists channel groups
#[utoipa::path(get, path = "/v1/channel-groups", tag = "channel groups", operation_id = "listChannelGroups",
    params(PageQuery), responses((status = 200, description = "One page", body = Page<ChannelGroup>)))]
pub async fn list(
    State(context): State<Context>,
    Query(query): Query<PageQuery>,
) -> ApiResult<Json<Page<ChannelGroup>>> {
    let rows = query.rows()?;
    let rows = channel_groups::list(&mut *context.db.read().await?, rows).await?;
    Ok(Json(query.page(rows, |row| row.id, ChannelGroup::from)?))
}

/// Shows a channel group
#[utoipa::path(get, path = "/v1/channel-groups/{group}", tag = "channel groups", operation_id = "getChannelGroup",
    params(("group" = String, Path, description = "Name of the group")),
    responses((status = 200, description = "The group", body = ChannelGroup)))]
pub async fn get(State(context): State<Context>, Names(name): Names<String>) -> ApiResult<Json<ChannelGroup>> {
    Ok(Json(find(&mut *context.db.read().await?, &name).await?.into()))
}

/// Changes a channel group
#[utoipa::path(patch, path = "/v1/channel-groups/{group}", tag = "channel groups", operation_id = "updateChannelGroup",
    params(("group" = String, Path, description = "Name of the group")), request_body = ChannelGroupPatch,
    responses((status = 200, description = "The group as it is now", body = ChannelGroup),
              (status = 409, description = "The name is taken")))]
pub async fn patch(
    State(context): State<Context>,
    Names(name): Names<String>,
    Body(patch): Body<ChannelGroupPatch>,
) -> ApiResult<Json<ChannelGroup>> {
    let mut tx = context.db.write().await?;
    let mut row = find(&mut tx, &name).await?;
    row.description = patch.description.unwrap_or(row.description);
    fields::description("/description", row.description.as_deref())?;
    let renamed = patch.name.filter(|new| *new != row.name);
    let channels = channels::of_group(&mut tx, row.id).await?;
    if let Some(new) = &renamed {
        fields::name("/name", new)?;
        check_free(&mut tx, new).await?;
        for channel in &channels {
            documents::retract_channel(&mut tx, channel.id).await?;
            protect::documents::retract_channel(&mut tx, channel.id).await?;
        }
        row.name.clone_from(new);
    }
    channel_groups::update(&mut tx, &row).await?;
    if renamed.is_some() {
        for channel in &channels {
            for endpoint in endpoints::of_channel(&mut tx, channel.id).await? {
                documents::put_endpoint(&mut tx, &endpoint).await?;
            }
            let put = protect::documents::put_channel(&context, &mut tx, channel.id).await;
            put.map_err(|e| ApiError::internal(format!("{e:#}")))?;
        }
    }
    tx.commit().await?;
    context.push_wake.wake();
    Ok(Json(row.into()))
}

/// Removes a channel group that has no channels
#[utoipa::path(delete, path = "/v1/channel-groups/{group}", tag = "channel groups", operation_id = "deleteChannelGroup",
    params(("group" = String, Path, description = "Name of the group")),
    responses((status = 200, description = "What was removed", body = Deletion),
              (status = 409, description = "The group has channels")))]
pub async fn delete(State(context): State<Context>, Names(name): Names<String>) -> ApiResult<Json<Deletion>> {
    let mut tx = context.db.write().await?;
    let row = find(&mut tx, &name).await?;
    let count = channels::count_of_group(&mut tx, row.id).await?;
    if count > 0 {
        return Err(ApiError::conflict(None, format!("the group has {count} channels; remove them first")));
    }
    channel_groups::delete(&mut tx, row.id).await?;
    tx.commit().await?;
    let mut deletion = Deletion::default();
    deletion.deleted.channel_groups.push(row.name);
    Ok(Json(deletion))
}

/// The group with a name.
///
/// # Errors
/// 404 when there is none.
pub async fn find(db: &mut SqliteConnection, name: &str) -> ApiResult<channel_groups::ChannelGroup> {
    found(channel_groups::find(db, name).await?, "channel group", name)
}

async fn check_free(db: &mut SqliteConnection, name: &str) -> ApiResult<()> {
    match channel_groups::find(db, name).await? {
        None => Ok(()),
        Some(_) => {
            let detail = format!("there is a channel group {name} already; choose another name");
            Err(ApiError::conflict(Some("/name"), detail))
        }
    }
}

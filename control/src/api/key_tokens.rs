//! Tokens for key delivery, made by the control plane itself: for tests, demonstrations and small operators.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::{Body, Names, present};
use super::found;
use crate::clock;
use crate::context::Context;
use crate::db::{assets, channels, configurations, endpoints};
use crate::delivery::token::{self, Content, MAX_TOKEN_SECONDS};
use crate::error::{ApiError, ApiResult};
use crate::protect::Stored;

/// Life of a token when the request does not say.
const DEFAULT_SECONDS: u64 = 3600;
/// The longest subject.
const MAX_SUBJECT_BYTES: usize = 256;

/// A token that is wanted for the keys of an asset.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKeyToken {
    /// Name of a configuration of the asset's group with a restricted `key_delivery` and an HS256 key.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,200}$", min_length = 1, max_length = 200)]
    configuration: String,
    /// How long it is good, at most twelve hours.
    #[serde(default = "default_seconds")]
    #[schema(minimum = 1, maximum = 43200, default = 3600)]
    expires_in_seconds: u64,
    /// For whom it is; how often keys may be asked for is counted for each subject.
    #[serde(default, deserialize_with = "present")]
    #[schema(min_length = 1, max_length = 256, nullable = false)]
    subject: Option<String>,
}

fn default_seconds() -> u64 {
    DEFAULT_SECONDS
}

/// A token that is wanted for the keys of a live endpoint, whose `key_delivery` is restricted and has an HS256 key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEndpointKeyToken {
    /// How long it is good, at most twelve hours.
    #[serde(default = "default_seconds")]
    #[schema(minimum = 1, maximum = 43200, default = 3600)]
    expires_in_seconds: u64,
    /// For whom it is; how often keys may be asked for is counted for each subject.
    #[serde(default, deserialize_with = "present")]
    #[schema(min_length = 1, max_length = 256, nullable = false)]
    subject: Option<String>,
}

/// A token for keys.
#[derive(Serialize, ToSchema)]
pub struct KeyToken {
    /// The token, for `Authorization: Bearer` or the parameter `token` of key delivery.
    token: String,
    /// When it ends (RFC 3339).
    expires_at: String,
}

/// Makes a token for the keys of an asset
#[utoipa::path(post, path = "/v1/assets/{asset}/key-tokens", tag = "assets", operation_id = "createKeyToken",
    params(("asset" = String, Path, description = "Name of the asset")), request_body = NewKeyToken,
    responses((status = 201, description = "The token", body = KeyToken),
              (status = 409, description = "The configuration checks no tokens that can be made here")))]
pub async fn create(
    State(context): State<Context>,
    Names(name): Names<String>,
    Body(new): Body<NewKeyToken>,
) -> ApiResult<(StatusCode, Json<KeyToken>)> {
    check(new.expires_in_seconds, new.subject.as_deref())?;
    let mut db = context.db.read().await?;
    let asset = found(assets::find(&mut db, &name).await?, "asset", &name)?;
    let configuration = configurations::find(&mut db, &new.configuration).await?;
    let configuration = configuration
        .filter(|row| row.group_id == asset.group_id)
        .ok_or_else(|| ApiError::invalid("/configuration", "the group of the asset has no such configuration"))?;
    drop(db);
    let made =
        make(&context, Stored::from(&configuration), Content::Asset(&asset.name), &new.subject, new.expires_in_seconds);
    let token = made?.ok_or_else(|| {
        let detail = "the configuration has no key_delivery with an HS256 secret to sign a token with";
        ApiError::conflict(Some("/configuration"), detail)
    })?;
    Ok((StatusCode::CREATED, Json(token)))
}

/// Makes a token for the keys of a live endpoint
#[utoipa::path(post, path = "/v1/channel-groups/{group}/channels/{channel}/endpoints/{endpoint}/key-tokens",
    tag = "endpoints", operation_id = "createEndpointKeyToken",
    params(("group" = String, Path, description = "Name of the group"),
           ("channel" = String, Path, description = "Name of the channel"),
           ("endpoint" = String, Path, description = "Name of the endpoint")),
    request_body = NewEndpointKeyToken,
    responses((status = 201, description = "The token", body = KeyToken),
              (status = 409, description = "The endpoint checks no tokens that can be made here")))]
pub async fn create_for_endpoint(
    State(context): State<Context>,
    Names((group, channel, name)): Names<(String, String, String)>,
    Body(new): Body<NewEndpointKeyToken>,
) -> ApiResult<(StatusCode, Json<KeyToken>)> {
    check(new.expires_in_seconds, new.subject.as_deref())?;
    let mut db = context.db.read().await?;
    let channel = found(channels::find(&mut db, &group, &channel).await?, "channel", &channel)?;
    let row = found(endpoints::find(&mut db, channel.id, &name).await?, "endpoint", &name)?;
    drop(db);
    let names = format!("{}/{}/{}", row.channel_group, row.channel, row.name);
    let made = make(&context, Stored::from(&row), Content::Endpoint(&names), &new.subject, new.expires_in_seconds);
    let token = made?.ok_or_else(|| {
        let detail = "the endpoint has no key_delivery with an HS256 secret to sign a token with";
        ApiError::conflict(None, detail)
    })?;
    Ok((StatusCode::CREATED, Json(token)))
}

fn check(expires_in_seconds: u64, subject: Option<&str>) -> ApiResult<()> {
    if !(1..=MAX_TOKEN_SECONDS).contains(&expires_in_seconds) {
        return Err(ApiError::invalid("/expires_in_seconds", format!("use 1 to {MAX_TOKEN_SECONDS}")));
    }
    let good = |text: &str| (1..=MAX_SUBJECT_BYTES).contains(&text.len()) && !text.chars().any(char::is_control);
    if subject.is_some_and(|subject| !good(subject)) {
        let detail = format!("use 1 to {MAX_SUBJECT_BYTES} bytes without control characters");
        return Err(ApiError::invalid("/subject", detail));
    }
    Ok(())
}

/// Makes a token; `None` when there is no secret to sign it with.
fn make(
    context: &Context,
    stored: Stored<'_>,
    content: Content<'_>,
    subject: &Option<String>,
    seconds: u64,
) -> ApiResult<Option<KeyToken>> {
    let protection = stored.settings(context).map_err(|e| ApiError::internal(format!("{e:#}")))?;
    let Some(delivery) = protection.and_then(|protection| protection.key_delivery) else { return Ok(None) };
    let end = clock::now_ms().unsigned_abs() / 1000 + seconds;
    let token = token::mint(&delivery, content, subject.as_deref(), end);
    let expires_at = clock::rfc3339(i64::try_from(end).unwrap_or(i64::MAX).saturating_mul(1000));
    Ok(token.map(|token| KeyToken { token, expires_at }))
}

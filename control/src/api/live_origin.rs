//! The timelines of live channels, for edges.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::Response;
use axum::routing::get;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;

use super::extract::Names;
use super::found;
use crate::context::Context;
use crate::db::channels;
use crate::error::{ApiError, ApiResult};
use crate::live::MAX_WAIT;

/// Routes of the origin; a bearer token is checked before them.
pub fn router() -> Router<Context> {
    Router::new().route("/origin/v1/live/{group}/{channel}", get(timeline))
}

#[derive(Deserialize)]
struct News {
    /// The revision that is known.
    after: Option<u64>,
    /// How long to wait for a later one, milliseconds.
    wait: Option<u64>,
}

async fn timeline(
    State(context): State<Context>,
    Names((group, channel)): Names<(String, String)>,
    Query(news): Query<News>,
) -> ApiResult<Response> {
    let row = found(channels::find(&mut *context.db.read().await?, &group, &channel).await?, "channel", &channel)?;
    let none = || ApiError::not_found("nothing was pushed to this channel yet");
    // A process that has just started must not say that there is nothing: edges would say so to viewers.
    let starting = || ApiError::unavailable("the channel is being taken up");
    let published = context.live.opened(row.id).await.ok_or_else(starting)?;
    let wait = Duration::from_millis(news.wait.unwrap_or(0)).min(MAX_WAIT);
    let mut headers = HeaderMap::new();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let (status, body) = match published.newer(news.after, wait).await {
        None => (StatusCode::NO_CONTENT, Body::empty()),
        Some(timeline) => {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            (StatusCode::OK, Body::from(timeline.ok_or_else(none)?))
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

//! The HTTP interface: one file per resource. What is here extracts, calls and replies; queries are in [`crate::db`].

mod access;
mod asset_view;
pub mod assets;
mod batch;
pub mod channel_groups;
pub mod channel_inputs;
pub mod channels;
pub mod collection_tasks;
pub mod configurations;
pub mod deleted;
pub mod edges;
mod endpoint_protection;
mod endpoint_view;
pub mod endpoints;
pub mod extract;
pub mod fields;
pub mod groups;
mod health;
mod ingest;
mod key_delivery;
mod key_status;
mod key_tokens;
mod live_origin;
mod openapi;
mod origin;
mod page;
mod player;
mod protection;
mod strict;

use axum::Router;
use axum::middleware;
use axum::routing::get;

use crate::context::Context;
use crate::error::{self, ApiError, ApiResult};
use crate::telemetry;

pub use openapi::document as openapi_document;

/// The longest body of a request to the REST interface, except for a batch.
pub const MAX_BODY_BYTES: usize = 1 << 20;
/// The longest body of a batch.
pub const MAX_BATCH_BODY_BYTES: usize = 16 << 20;
/// Assets in one batch.
pub const MAX_BATCH_ASSETS: usize = 256;
/// Items of one page of a list.
pub const MAX_PAGE_ITEMS: i64 = 500;
/// Items of a page when the request does not say how many.
pub const DEFAULT_PAGE_ITEMS: i64 = 100;
/// The highest bit rate that can be named, bits a second.
pub const MAX_BITRATE: u64 = 1_000_000_000_000;
/// The longest content id.
pub const MAX_CONTENT_ID_BYTES: usize = 256;
/// The longest description of a channel group.
pub const MAX_DESCRIPTION_BYTES: usize = 1000;
/// The longest base URL of an edge.
pub const MAX_URL_BYTES: usize = 512;
/// The longest URL of a licence server.
pub const MAX_LICENCE_URL_BYTES: usize = 512;
/// Static keys of one configuration.
pub const MAX_STATIC_KEYS: usize = 16;
/// Keys that the tokens of one configuration may be signed with.
pub const MAX_TOKEN_KEYS: usize = 8;
/// The longest language tag.
pub const MAX_LANGUAGE_BYTES: usize = 35;

/// All routes of the control plane.
pub fn router(context: Context) -> Router {
    let (administration, document) = openapi::administration();
    let administration = administration
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(context.clone(), extract::require_admin));
    let origin = origin::router()
        .merge(live_origin::router())
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(context.clone(), extract::require_origin));
    let open = Router::new()
        .route("/healthz", get(health::health))
        .route("/metrics", get(health::metrics))
        .route("/openapi.json", get(move || openapi::serve(document)))
        .merge(key_delivery::router())
        .merge(ingest::router())
        .merge(player::router(context.player.as_deref()))
        .method_not_allowed_fallback(method_not_allowed);
    Router::new()
        .merge(administration)
        .merge(origin)
        .merge(open)
        .fallback(unknown_path)
        .layer(middleware::from_fn(error::write_problems))
        .layer(middleware::from_fn(telemetry::observe))
        .with_state(context)
}

async fn unknown_path() -> ApiError {
    ApiError::not_found("there is no such resource; /openapi.json lists those of the REST interface")
}

async fn method_not_allowed() -> ApiError {
    ApiError::method_not_allowed()
}

/// `Err` with the text for people when nothing has this name.
fn found<T>(row: Option<T>, what: &str, name: &str) -> ApiResult<T> {
    // A name that cannot exist may be anything, so it is not repeated.
    let name = if packager::config::is_name(name) { name } else { "this name" };
    row.ok_or_else(|| ApiError::not_found(format!("there is no {what} {name}")))
}

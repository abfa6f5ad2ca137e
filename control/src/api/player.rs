//! The player page: static files that were built before.

use std::path::Path;

use axum::Router;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::any;
use http::{HeaderValue, header};
use tower_http::services::{ServeDir, ServeFile};

use crate::context::Context;
use crate::error::ApiError;
use crate::locate::PLAYER_COMMAND;

/// Media may come from any edge, and players put it together in workers and blobs, and hang subtitles on an empty `data:`
/// track; everything else is our own.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; connect-src *; media-src * blob: data:; worker-src 'self' blob:; \
     img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; \
     frame-ancestors 'self'";

/// Routes of the player page in `directory`.
pub fn router(directory: Option<&Path>) -> Router<Context> {
    let Some(directory) = directory else {
        return Router::new().route("/player", any(missing)).route("/player/{*file}", any(missing));
    };
    Router::new()
        .route_service("/player", ServeFile::new(directory.join("index.html")))
        .nest_service("/player/", ServeDir::new(directory).fallback(tower::service_fn(unknown)))
        .layer(middleware::from_fn(add_headers))
}

async fn missing() -> ApiError {
    ApiError::not_found(format!("the player page was not built; run `{PLAYER_COMMAND}` and start again"))
}

async fn unknown<B>(_: http::Request<B>) -> Result<Response, std::convert::Infallible> {
    Ok(axum::response::IntoResponse::into_response(ApiError::not_found("the player page has no such file")))
}

async fn add_headers(request: axum::extract::Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

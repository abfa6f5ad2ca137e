//! Reading requests: bodies, parameters and tokens, with errors that name the field.

use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts, Path, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

use super::strict::Strict;
use super::{MAX_BATCH_BODY_BYTES, MAX_BODY_BYTES};
use crate::context::Context;
use crate::error::{ApiError, ApiResult};
use crate::secrets::Token;

/// Time in which a body has to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Fields that hold secrets.
const SECRET: [&str; 2] = ["/protection", "/authorization_codes"];

/// A JSON body.
pub struct Body<T>(pub T);

/// A JSON body that may be as long as a batch.
pub struct BatchBody<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> ApiResult<Self> {
        read(request, MAX_BODY_BYTES).await.map(Self)
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for BatchBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> ApiResult<Self> {
        read(request, MAX_BATCH_BODY_BYTES).await.map(Self)
    }
}

async fn read<T: DeserializeOwned>(request: Request, limit: usize) -> ApiResult<T> {
    if !is_json(request.headers()) {
        return Err(ApiError::unsupported_media_type());
    }
    let body = Limited::new(request.into_body(), limit).collect();
    let body = tokio::time::timeout(BODY_TIMEOUT, body).await.map_err(|_| ApiError::timeout())?;
    let body: Bytes = match body {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Err(ApiError::too_large(limit)),
        Err(_) => return Err(ApiError::bad_request("the body ended early")),
    };
    parse(&body)
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    value.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case("application/json")
}

/// Reads JSON; what does not fit `T` is an error with the field.
///
/// # Errors
/// 400 for what is not JSON, 422 for a field.
pub fn parse<T: DeserializeOwned>(json: &[u8]) -> ApiResult<T> {
    let value: serde_json::Value = serde_json::from_slice(json).map_err(|error| not_json(&error))?;
    let parsed = parse_value(value)?;
    // A value keeps the last of two members of one name; `T` itself does not take a second one.
    let mut twice = serde_json::Deserializer::from_slice(json);
    let direct: Result<T, _> = serde_path_to_error::deserialize(&mut twice);
    match direct {
        Err(error) if error.inner().to_string().starts_with("duplicate field") => {
            Err(misfit(pointer(error.path()), &error.into_inner().to_string()))
        }
        _ => Ok(parsed),
    }
}

fn not_json(error: &serde_json::Error) -> ApiError {
    ApiError::bad_request(format!("not JSON: {error}"))
}

/// Reads a JSON value, as [`parse`].
///
/// # Errors
/// 422 for a field.
pub fn parse_value<T: DeserializeOwned>(value: serde_json::Value) -> ApiResult<T> {
    serde_path_to_error::deserialize(Strict(value)).map_err(|error| {
        let pointer = pointer(error.path());
        misfit(pointer, &error.into_inner().to_string())
    })
}

/// The 422 for a value that does not fit. The message of serde names the field when the path cannot.
fn misfit(mut pointer: String, message: &str) -> ApiError {
    for prefix in ["missing field `", "unknown field `", "duplicate field `"] {
        if let Some(name) = message.strip_prefix(prefix).and_then(|rest| rest.split('`').next()) {
            let last = format!("/{}", escaped(name));
            if !pointer.ends_with(&last) {
                pointer.push_str(&last);
            }
        }
    }
    let message = message.split(" at line ").next().unwrap_or(message);
    // Below it are secrets, which a message of serde would repeat.
    let message = match message.split_once(", expected ") {
        Some((_, expected)) if SECRET.iter().any(|field| pointer.starts_with(field)) => format!("expected {expected}"),
        _ => message.to_owned(),
    };
    ApiError::invalid(pointer, message)
}

/// A path of serde as a JSON pointer (RFC 6901).
fn pointer(path: &serde_path_to_error::Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => pointer.push_str(&format!("/{}", escaped(key))),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Query parameters.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> ApiResult<Self> {
        match axum::extract::Query::<T>::try_from_uri(&parts.uri) {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(rejection) => {
                let text = rejection.body_text();
                let text = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
                let (field, detail) = text.split_once(": ").unwrap_or(("query", text));
                Err(ApiError::invalid(field, detail))
            }
        }
    }
}

/// Names in the path. What is not UTF-8 names nothing.
pub struct Names<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Names<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(names)) => Ok(Self(names)),
            Err(_) => Err(ApiError::not_found("the path names nothing")),
        }
    }
}

/// Middleware: lets only administrators pass.
pub async fn require_admin(State(context): State<Context>, request: Request, next: Next) -> Response {
    require(&context.secrets.admin, request, next).await
}

/// Middleware: lets only edges pass.
pub async fn require_origin(State(context): State<Context>, request: Request, next: Next) -> Response {
    require(&context.secrets.origin, request, next).await
}

async fn require(token: &Token, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    let bearer = given.and_then(|v| v.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    match bearer {
        Some((_, given)) if token.matches(given.trim()) => next.run(request).await,
        _ => ApiError::unauthorized().into_response(),
    }
}

/// For a field that may be left out but not be `null`.
///
/// # Errors
/// As `T`.
pub fn present<'de, D: serde::Deserializer<'de>, T: serde::Deserialize<'de>>(field: D) -> Result<Option<T>, D::Error> {
    T::deserialize(field).map(Some)
}

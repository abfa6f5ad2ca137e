//! Every failure of the REST interface and the origin as an RFC 9457 problem document. What is internal is logged and
//! never sent.

use std::time::Duration;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Media type of problem documents.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// A problem document (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Stable URI of the kind of problem.
    #[serde(rename = "type")]
    #[schema(example = "https://edgepack.dev/problems/invalid-field")]
    pub kind: String,
    /// The kind of problem for people.
    pub title: String,
    /// HTTP status code.
    pub status: u16,
    /// What is wrong here, and what to do about it.
    pub detail: String,
    /// Path of the request.
    pub instance: String,
    /// The field that is wrong, as a JSON pointer into the body (`/sources/0/path`), or the name of a parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub field: Option<String>,
}

/// A refused or failed request.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    kind: &'static str,
    title: &'static str,
    detail: String,
    field: Option<String>,
    /// For 416: the length of the object.
    length: Option<u64>,
    /// For 401: whether Basic credentials are wanted rather than a bearer token.
    basic: bool,
    /// For 429: after how many seconds to come again.
    retry_after: Option<u64>,
}

/// Shorthand of handlers.
pub type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    fn new(status: StatusCode, kind: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, kind, title, detail: detail.into(), field: None, length: None, basic: false, retry_after: None }
    }

    /// 422: `field` (a JSON pointer, or a parameter's name) has a value that is not allowed.
    pub fn invalid(field: impl Into<String>, detail: impl Into<String>) -> Self {
        let error = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-field", "A field is not valid", detail);
        Self { field: Some(field.into()), ..error }
    }

    /// 409: something else has the name, or is in the way.
    pub fn conflict(field: Option<&str>, detail: impl Into<String>) -> Self {
        let error = Self::new(StatusCode::CONFLICT, "conflict", "The request conflicts with what exists", detail);
        Self { field: field.map(str::to_owned), ..error }
    }

    /// 404.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
    }

    /// 400: not JSON.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", "The request cannot be read", detail)
    }

    /// 401: no or a wrong bearer token.
    pub fn unauthorized() -> Self {
        let detail = "send the token as `Authorization: Bearer <token>`";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "A valid bearer token is needed", detail)
    }

    /// 401: no or wrong credentials of an input of a channel; or there is no such channel, which is not told.
    pub fn unauthorized_input() -> Self {
        let detail =
            "push with the user name and the password of this input (Basic authentication); the channel shows them";
        let title = "Valid credentials are needed";
        let error = Self::new(StatusCode::UNAUTHORIZED, "unauthorized", title, detail);
        Self { basic: true, ..error }
    }

    /// 403: the token that came along gives no right to this. Nothing of the token is in `detail`.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "The token gives no right to this", detail)
    }

    /// 429: too many requests; `wait` until the next one.
    pub fn too_many_requests(wait: Duration) -> Self {
        let seconds = wait.as_secs().saturating_add(1);
        let detail = format!("there were too many requests; come again in {seconds} s");
        let error = Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "Too many requests", detail);
        Self { retry_after: Some(seconds), ..error }
    }

    /// 405.
    pub fn method_not_allowed() -> Self {
        let detail = "the header Allow says which methods this resource has";
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "The resource does not have this method",
            detail,
        )
    }

    /// 408: the body did not arrive in time.
    pub fn timeout() -> Self {
        let detail = "the request body did not arrive in time; send it again";
        Self::new(StatusCode::REQUEST_TIMEOUT, "timeout", "The request took too long", detail)
    }

    /// 412: the stored object is not the one named by If-Match.
    pub fn precondition_failed() -> Self {
        let detail = "the stored object has another entity tag; it was changed since it was indexed";
        Self::new(StatusCode::PRECONDITION_FAILED, "precondition-failed", "A precondition failed", detail)
    }

    /// 412: the stored object had `before` bytes when it was indexed and has `now`.
    pub fn object_changed(before: u64, now: u64) -> Self {
        let detail = format!("the stored object has {now} bytes, and had {before} when it was indexed");
        Self::new(StatusCode::PRECONDITION_FAILED, "precondition-failed", "A precondition failed", detail)
    }

    /// 413: a body of more than `limit` bytes.
    pub fn too_large(limit: usize) -> Self {
        let detail = format!("the request body may have at most {limit} bytes; send less at once");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The request body is too large", detail)
    }

    /// An upload of an encoder that is refused with `status`; `retry_after` says when to come again, if that helps.
    pub fn refused_upload(status: StatusCode, detail: impl Into<String>, retry_after: Option<u64>) -> Self {
        Self { retry_after, ..Self::new(status, "refused-upload", "The upload was refused", detail) }
    }

    /// 415: a body that is not declared as JSON.
    pub fn unsupported_media_type() -> Self {
        let detail = "send the body with `Content-Type: application/json`";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "The body must be JSON", detail)
    }

    /// 416: the range starts after the end of an object of `length` bytes.
    pub fn range_not_satisfiable(length: u64) -> Self {
        let detail = format!("the object has {length} bytes");
        let title = "The range is outside of the object";
        let error = Self::new(StatusCode::RANGE_NOT_SATISFIABLE, "range-not-satisfiable", title, detail);
        Self { length: Some(length), ..error }
    }

    /// 502: storage failed. `source` is logged, not sent.
    pub fn storage(source: &object_store::Error) -> Self {
        tracing::error!(error = %source, "storage failed");
        let detail = "the storage could not be read; the log of the control plane says why";
        Self::new(StatusCode::BAD_GATEWAY, "storage", "The storage failed", detail)
    }

    /// 503: something that is needed is not there now.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not available now", detail)
    }

    /// 500. `source` is logged, not sent.
    pub fn internal(source: impl std::fmt::Display) -> Self {
        tracing::error!(error = %source, "internal error");
        let detail = "an internal error happened; the log of the control plane says which";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error", detail)
    }

    /// HTTP status code.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// What is wrong, for people.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The same problem with `prefix` before its field, for an item of a batch.
    #[must_use]
    pub fn below(mut self, prefix: &str) -> Self {
        self.field = self.field.map(|field| format!("{prefix}{field}"));
        self
    }

    /// The problem document for a request of `instance`.
    pub fn problem(&self, instance: &str) -> Problem {
        Problem {
            kind: format!("https://edgepack.dev/problems/{}", self.kind),
            title: self.title.to_owned(),
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            instance: instance.to_owned(),
            field: self.field.clone(),
        }
    }
}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        Self::internal(error)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = match self.basic {
                true => "Basic realm=\"edgepack ingest\", charset=\"UTF-8\"",
                false => "Bearer realm=\"edgepack\"",
            };
            let challenge = HeaderValue::from_static(challenge);
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(length) = self.length
            && let Ok(value) = HeaderValue::try_from(format!("bytes */{length}"))
        {
            response.headers_mut().insert(header::CONTENT_RANGE, value);
        }
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        let problem = self.problem("");
        response.extensions_mut().insert(problem);
        response
    }
}

/// Middleware that writes the problem document of a failed request, which is the first place that knows its path.
pub async fn write_problems(request: Request, next: Next) -> Response {
    let instance = request.uri().path().to_owned();
    let mut response = next.run(request).await;
    let Some(mut problem) = response.extensions_mut().remove::<Problem>() else {
        return response;
    };
    problem.instance = instance;
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    let (mut parts, _) = response.into_parts();
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    parts.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    Response::from_parts(parts, axum::body::Body::from(body))
}

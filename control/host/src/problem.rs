//! The host's own error responses (RFC 9457). The edge's errors are made by the edge; these are for when it could not.

use crate::BoxBody;
use http::{HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, Full};

/// Why there is no response of the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// The guest trapped, or answered with an error instead of a response.
    Failed,
    /// No response head in time, or too much CPU time.
    Deadline,
    /// Too many requests wait, or no instance could be started.
    Overloaded,
}

impl Problem {
    fn parts(self) -> (StatusCode, &'static str, &'static str, &'static str) {
        match self {
            Self::Failed => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "edge-failed",
                "The edge failed",
                "The edge component stopped while it worked on this request. The log of the host has the cause.",
            ),
            Self::Deadline => (
                StatusCode::GATEWAY_TIMEOUT,
                "edge-deadline",
                "The edge took too long",
                "The edge component gave no response within its deadline.",
            ),
            Self::Overloaded => (
                StatusCode::SERVICE_UNAVAILABLE,
                "edge-overloaded",
                "The edge is overloaded",
                "Too many requests wait for the edge component. Try again in a second.",
            ),
        }
    }

    /// The response, for a request to `path`.
    pub(crate) fn response(self, path: &str) -> http::Response<BoxBody> {
        let (status, kind, title, detail) = self.parts();
        let body = serde_json::json!({
            "type": format!("https://edgepack.dev/problems/{kind}"),
            "title": title,
            "status": status.as_u16(),
            "detail": detail,
            "instance": path,
        });
        let body = Full::new(body.to_string().into()).map_err(|never| match never {}).boxed_unsync();
        let mut response = http::Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        if self == Self::Overloaded {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

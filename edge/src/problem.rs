//! Failures as a viewer or the control plane sees them: problem documents (RFC 9457) and, in one place, their status.

use packager::config::Access;
use packager::{Error, ErrorKind};
use serde::Serialize;

use crate::http::Lifetime;

/// Which failure it is; the last part of a problem's `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Of the packaging core.
    Core(ErrorKind),
    /// The path or the query is too long.
    PathTooLong,
    /// The method is not one of this resource.
    MethodNotAllowed,
    /// The range lies beyond the body.
    RangeNotSatisfiable,
    /// `If-Match` named another tag.
    PreconditionFailed,
    /// What is needed to answer is away, and may come back.
    Unavailable,
    /// A push without a good signature, for another edge, or too old; or a viewer without a good code.
    Unauthorized,
    /// A viewer from an address that may not play.
    Forbidden,
    /// A push whose sequence was taken already.
    OldSequence,
    /// A push that is too large.
    TooLarge,
}

impl Kind {
    /// Status code, last part of the `type`, and title.
    fn parts(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::Core(ErrorKind::NotFound) => (404, "not-found", "Not found"),
            Self::Core(ErrorKind::BadRequest) => (400, "bad-request", "Bad request"),
            Self::Core(ErrorKind::BadSource) => (502, "bad-source", "The stored media or its index is unusable"),
            Self::Core(ErrorKind::Unsupported) => (501, "unsupported", "Not supported"),
            Self::Core(ErrorKind::Limit) => (413, "limit", "A limit was passed"),
            Self::Core(ErrorKind::Upstream) => (502, "upstream", "The origin failed"),
            Self::Core(ErrorKind::Internal) => (500, "internal", "Internal error"),
            Self::PathTooLong => (414, "path-too-long", "The path or the query is too long"),
            Self::MethodNotAllowed => (405, "method-not-allowed", "Method not allowed"),
            Self::RangeNotSatisfiable => (416, "range-not-satisfiable", "Range not satisfiable"),
            Self::PreconditionFailed => (412, "precondition-failed", "Precondition failed"),
            Self::Unavailable => (503, "unavailable", "Temporarily unavailable"),
            Self::Unauthorized => (401, "unauthorized", "Unauthorized"),
            Self::Forbidden => (403, "forbidden", "Forbidden"),
            Self::OldSequence => (409, "old-sequence", "The sequence was taken already"),
            Self::TooLarge => (413, "too-large", "Too large"),
        }
    }

    /// Status code.
    pub fn status(self) -> u16 {
        self.parts().0
    }

    /// How long the answer may be kept unless something else is said.
    fn lifetime(self) -> Lifetime {
        match self {
            Self::Core(ErrorKind::NotFound) => Lifetime::Seconds(5),
            _ => Lifetime::None,
        }
    }
}

/// A failure with its text for people and the header fields that belong to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which failure.
    pub kind: Kind,
    /// What, where, which value.
    pub detail: String,
    /// Further header fields.
    pub headers: Vec<(&'static str, String)>,
    /// How long it may be kept.
    pub lifetime: Lifetime,
    /// Whether it tells something about what is not for everybody.
    pub guarded: bool,
}

impl Problem {
    /// A failure without further header fields.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), headers: Vec::new(), lifetime: kind.lifetime(), guarded: false }
    }

    /// The same with a further header field.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same about what `access` guards.
    #[must_use]
    pub fn behind(mut self, access: &Access) -> Self {
        self.guarded |= !access.is_open();
        self
    }

    /// 503 with `Retry-After`, seconds.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(Kind::Unavailable, detail).with("retry-after", RETRY_AFTER_SECONDS)
    }

    /// The problem document; `instance` is the path of the request.
    pub fn document(&self, instance: &str) -> Vec<u8> {
        #[derive(Serialize)]
        struct Document<'a> {
            r#type: String,
            title: &'a str,
            status: u16,
            detail: &'a str,
            instance: &'a str,
        }
        let (status, name, title) = self.kind.parts();
        let document = Document { r#type: format!("{TYPE_BASE}{name}"), title, status, detail: &self.detail, instance };
        serde_json::to_vec(&document).unwrap_or_default()
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::new(Kind::Core(error.kind()), error.message())
    }
}

const TYPE_BASE: &str = "https://edgepack.dev/problems/";

/// After this a missing document is asked for again at the latest.
const RETRY_AFTER_SECONDS: &str = "2";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_the_core_has_its_status() {
        for (kind, status) in [
            (ErrorKind::NotFound, 404),
            (ErrorKind::BadRequest, 400),
            (ErrorKind::BadSource, 502),
            (ErrorKind::Unsupported, 501),
            (ErrorKind::Limit, 413),
            (ErrorKind::Upstream, 502),
            (ErrorKind::Internal, 500),
        ] {
            assert_eq!(Problem::from(Error::new(kind, "x")).kind.status(), status);
        }
    }

    #[test]
    fn the_document_has_the_members_of_rfc_9457() {
        let problem = Problem::from(Error::not_found("no asset \"a\""));
        let json: serde_json::Value = serde_json::from_slice(&problem.document("/vod/v1/x")).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "type": "https://edgepack.dev/problems/not-found",
                "title": "Not found",
                "status": 404,
                "detail": "no asset \"a\"",
                "instance": "/vod/v1/x",
            })
        );
    }
}

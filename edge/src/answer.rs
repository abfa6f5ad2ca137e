//! What goes back to whoever asked: status, header fields, and a body that is here or still to be read.

use bytes::Bytes;
use packager::limits;

use crate::http::CORS;
use crate::platform::Platform;
use crate::problem::Problem;
use crate::transfer::Transfer;

/// An answer, ready to be sent.
pub struct Answer<P: Platform> {
    /// Status code.
    pub status: u16,
    /// Header fields.
    pub headers: Vec<(&'static str, String)>,
    /// Body.
    pub content: Content<P>,
}

/// The body of an [`Answer`].
pub enum Content<P: Platform> {
    /// No body.
    Empty,
    /// These bytes.
    Whole(Bytes),
    /// Bytes of ours and of sources, passed on while they arrive.
    Stream(Transfer<P>),
}

impl<P: Platform> Answer<P> {
    /// An answer without body and with the header fields that every answer has.
    pub fn new(status: u16) -> Self {
        let headers = CORS.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Self { status, headers, content: Content::Empty }
    }

    /// The same with a further header field.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same with this body and its length and type.
    #[must_use]
    pub fn body(self, content_type: &str, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let mut answer = self.with("content-type", content_type).with("content-length", body.len().to_string());
        answer.content = Content::Whole(body);
        answer
    }

    /// A problem document; `instance` is the path of the request, of which no more is told than a route can have.
    pub fn problem(problem: &Problem, instance: &str) -> Self {
        let cache_control = problem.lifetime.cache_control(problem.guarded);
        let mut answer = Self::new(problem.kind.status()).with("cache-control", cache_control);
        answer.headers.extend(problem.headers.iter().cloned());
        let instance = &instance[..instance.floor_char_boundary(limits::MAX_REQUEST_PATH_BYTES)];
        answer.body("application/problem+json", problem.document(instance))
    }

    /// The same without its body, as HEAD wants it.
    #[must_use]
    pub fn head(mut self) -> Self {
        self.content = Content::Empty;
        self
    }

    /// The value of a header field.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str())
    }
}

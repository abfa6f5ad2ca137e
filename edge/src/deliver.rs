//! From the core's answer to what is sent: conditions, ranges, and the body.

use std::rc::Rc;

use bytes::Bytes;
use packager::config::Access;
use packager::response::{Part, Response, Send, plan};

use crate::answer::{Answer, Content};
use crate::conditional::{self, Verdict};
use crate::http::Lifetime;
use crate::platform::Platform;
use crate::problem::{Kind, Problem};
use crate::range::{self, Wanted};
use crate::serve::{Edge, Method, Request};
use crate::timing::Timing;
use crate::transfer::{Media, Opened, Transfer};

/// An answer of the core, and to whom it goes.
pub struct Made<'a> {
    /// The answer.
    pub response: Rc<Response>,
    /// How long it may be kept.
    pub lifetime: Lifetime,
    /// What guards it.
    pub access: &'a Access,
}

impl<P: Platform> Edge<P> {
    /// The part of an answer of the core that a request asks for. `media` is where its bytes of media are.
    ///
    /// # Errors
    /// 412 and 416 as the request's conditions and range say; what opening the first read of media says.
    pub async fn deliver(
        self: &Rc<Self>,
        request: &Request<P::Body>,
        made: &Made<'_>,
        media: Media<P>,
        mut timing: Timing,
    ) -> Result<Answer<P>, Problem> {
        let response = &made.response;
        let cache_control = made.lifetime.cache_control(!made.access.is_open());
        let common = |status: u16| {
            Answer::new(status)
                .with("etag", response.etag.clone())
                .with("cache-control", cache_control.clone())
                .with("accept-ranges", "bytes")
        };
        match conditional::evaluate(&request.headers, &response.etag) {
            Verdict::Proceed => {}
            Verdict::NotModified => return Ok(common(304).with("server-timing", timing.field())),
            Verdict::Failed => {
                let detail = format!("the entity tag is {}", response.etag);
                return Err(Problem::new(Kind::PreconditionFailed, detail));
            }
        }
        let length = response.len();
        let field = request
            .headers
            .get("range")
            .filter(|_| request.method == Method::Get && conditional::range_counts(&request.headers, &response.etag));
        let (mut answer, range) = match field.map_or(Wanted::Whole, |field| range::wanted(field, length)) {
            Wanted::Whole => (common(200), 0..length),
            Wanted::Part(range) => (common(206).with("content-range", range::content_range(&range, length)), range),
            Wanted::Unsatisfiable => {
                let problem = Problem::new(Kind::RangeNotSatisfiable, format!("the body has {length} bytes"));
                return Err(problem.with("content-range", format!("bytes */{length}")));
            }
        };
        answer.headers.push(("content-type", response.content_type.to_owned()));
        answer.headers.push(("content-length", (range.end - range.start).to_string()));
        if request.method == Method::Get {
            answer.content = self.content(media, response.slice(range), &mut timing).await?;
        }
        Ok(answer.with("server-timing", timing.field()))
    }

    /// The body of `parts`. When media belongs to it, the reads of its first piece have been opened, so that an origin that
    /// fails is an error and not a broken body.
    async fn content(&self, media: Media<P>, parts: Vec<Part>, timing: &mut Timing) -> Result<Content<P>, Problem> {
        let plan = plan(parts);
        let mut start = self.platform.monotonic();
        if let Some(first) = Opened::next(&media, plan.iter()).await? {
            timing.origin = self.lap(&mut start);
            return Ok(Content::Stream(Transfer::new(media, plan, first)));
        }
        let mut pieces: Vec<Bytes> = plan
            .into_iter()
            .filter_map(|send| match send {
                Send::Bytes(bytes) => Some(bytes),
                Send::Read { .. } | Send::Make { .. } => None,
            })
            .collect();
        Ok(match (pieces.pop(), pieces.is_empty()) {
            (None, _) => Content::Empty,
            (Some(only), true) => Content::Whole(only),
            (Some(last), false) => {
                pieces.push(last);
                Content::Whole(pieces.concat().into())
            }
        })
    }
}

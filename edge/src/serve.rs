//! The loop: a request, its documents, the packager's job, an answer.

use std::cell::RefCell;
use std::fmt::Write;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::try_join_all;
use packager::config::{Asset, PUSH_PATH};
use packager::job::{Job, Step};
use packager::response::{Part, Response, Send, plan};
use packager::route::Route;
use packager::{Error, ErrorKind};

use crate::answer::{Answer, Content};
use crate::cache::{self, Cache, Flights, Lru, prepared_key, rendered_key};
use crate::conditional::{self, Verdict};
use crate::http::{Headers, PREFLIGHT_MAX_AGE, cache_control};
use crate::platform::Platform;
use crate::problem::{Kind, Problem};
use crate::range::{self, Wanted};
use crate::settings::Settings;
use crate::store::{DOUBTED, FRESH, Memory, Resolved};
use crate::transfer::{Media, Opened, Transfer};

/// Path of the health check.
const HEALTH_PATH: &str = "/healthz";

/// Rounds of fetches that one job may take; it needs two.
const MAX_ROUNDS: usize = 16;

/// A method that something here answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET
    Get,
    /// HEAD
    Head,
    /// OPTIONS
    Options,
    /// PUT
    Put,
    /// Any other.
    Other,
}

/// A request that came in.
pub struct Request<B> {
    /// Method.
    pub method: Method,
    /// Path without query.
    pub path: String,
    /// Header fields.
    pub headers: Headers,
    /// Body.
    pub body: B,
}

/// One instance of the edge and what it remembers. Several requests use it at a time, on one thread: a borrow of what
/// is inside never lives across an await.
pub struct Edge<P: Platform> {
    pub(crate) platform: P,
    pub(crate) cache: RefCell<Cache>,
    pub(crate) memory: RefCell<Lru<Memory>>,
    pub(crate) flights: Flights,
    settings: RefCell<Option<Rc<Settings>>>,
}

impl<P: Platform> Edge<P> {
    /// An instance that knows nothing yet.
    pub fn new(platform: P) -> Self {
        Self {
            platform,
            cache: RefCell::default(),
            memory: RefCell::new(cache::documents()),
            flights: Flights::default(),
            settings: RefCell::default(),
        }
    }

    /// Answers a request.
    pub async fn handle(self: &Rc<Self>, request: Request<P::Body>) -> Answer<P> {
        let (method, path) = (request.method, request.path.clone());
        let answer = self.route(request).await.unwrap_or_else(|problem| {
            if problem.kind.status() >= 500 {
                eprintln!("{} {path}: {}", problem.kind.status(), problem.detail);
            }
            Answer::problem(&problem, &path)
        });
        if method == Method::Head { answer.head() } else { answer }
    }

    async fn route(self: &Rc<Self>, request: Request<P::Body>) -> Result<Answer<P>, Problem> {
        let pushes = request.path == PUSH_PATH;
        match request.method {
            Method::Options => {
                return Ok(Answer::new(204)
                    .with("allow", if pushes { "PUT, OPTIONS" } else { "GET, HEAD, OPTIONS" })
                    .with("access-control-max-age", PREFLIGHT_MAX_AGE));
            }
            Method::Put if pushes => {}
            Method::Get | Method::Head if !pushes => {}
            _ => {
                let allow = if pushes { "PUT, OPTIONS" } else { "GET, HEAD, OPTIONS" };
                let problem = Problem::new(Kind::MethodNotAllowed, format!("this resource takes {allow}"));
                return Err(problem.with("allow", allow));
            }
        }
        // A path that is no route needs neither variables nor documents.
        let route = if pushes || request.path == HEALTH_PATH { None } else { Some(parse(&request.path)?) };
        let settings = self.settings().await?;
        match route {
            Some(route) => self.play(settings, route, request).await,
            None if pushes => self.push(&settings, request).await,
            None => self.health(&settings).await,
        }
    }

    async fn settings(&self) -> Result<Rc<Settings>, Problem> {
        if let Some(settings) = self.settings.borrow().as_ref() {
            return Ok(settings.clone());
        }
        let settings = Rc::new(Settings::read(&self.platform).await.map_err(Problem::unavailable)?);
        self.settings.replace(Some(settings.clone()));
        Ok(settings)
    }

    async fn play(
        self: &Rc<Self>,
        settings: Rc<Settings>,
        route: Route,
        request: Request<P::Body>,
    ) -> Result<Answer<P>, Problem> {
        let mut timing = Timing::default();
        let mut start = self.platform.monotonic();
        let mut resolved = self.documents(&settings, &route, FRESH).await?;
        timing.documents = self.lap(&mut start);
        let mut made = self.respond(&settings, &route, &resolved, &mut timing).await;
        if matches!(&made, Err(problem) if problem.kind == Kind::Core(ErrorKind::NotFound)) {
            // The URL may come from an instance or edge that has a document which is newer than the one in memory here.
            start = self.platform.monotonic();
            let again = self.documents(&settings, &route, DOUBTED).await?;
            timing.documents += self.lap(&mut start);
            if again.identity != resolved.identity {
                made = self.respond(&settings, &route, &again, &mut timing).await;
                resolved = again;
            }
        }
        let response = made?;
        let asset = resolved.documents.asset;

        let common = |status: u16| {
            Answer::new(status)
                .with("etag", response.etag.clone())
                .with("cache-control", cache_control(response.cache))
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
            answer.content = self.content(settings, asset, response.slice(range), &mut timing).await?;
        }
        Ok(answer.with("server-timing", timing.field()))
    }

    /// The answer of the core: one that was made before, or made now.
    async fn respond(
        &self,
        settings: &Settings,
        route: &Route,
        resolved: &Resolved,
        timing: &mut Timing,
    ) -> Result<Rc<Response>, Problem> {
        let Resolved { documents, identity } = resolved;
        let key = rendered_key(&route.resource, identity);
        if let Some(response) = self.cache.borrow_mut().rendered(&key) {
            return Ok(response);
        }
        let prepared_key = prepared_key(identity);
        let prepared = self.cache.borrow_mut().prepared(&prepared_key);
        let had = prepared.is_some();
        let index = &documents.asset.index;
        let mut start = self.platform.monotonic();
        let mut job = Job::new(route.clone(), documents.clone(), prepared)?;
        for _ in 0..MAX_ROUNDS {
            let step = job.step()?;
            timing.make += self.lap(&mut start);
            match step {
                Step::Fetch(fetches) => {
                    let reads = fetches.into_iter().map(async |fetch| {
                        self.index(settings, index, fetch.range).await.map(|bytes| (fetch.id, bytes))
                    });
                    let supplies: Vec<(u32, Bytes)> = try_join_all(reads).await?;
                    timing.index += self.lap(&mut start);
                    for (id, bytes) in supplies {
                        job.supply(id, bytes)?;
                    }
                }
                Step::Done(response) => {
                    let response = Rc::new(response);
                    let mut cache = self.cache.borrow_mut();
                    if let Some(prepared) = job.prepared().filter(|_| !had) {
                        cache.keep_prepared(&prepared_key, prepared);
                    }
                    cache.keep_rendered(&key, &response);
                    return Ok(response);
                }
            }
        }
        Err(Error::internal(format!("the job asked more than {MAX_ROUNDS} times")).into())
    }

    /// The body of `parts`. When media belongs to it, the reads of its first piece have been opened, so that an origin that
    /// fails is an error and not a broken body.
    async fn content(
        self: &Rc<Self>,
        settings: Rc<Settings>,
        asset: Arc<Asset>,
        parts: Vec<Part>,
        timing: &mut Timing,
    ) -> Result<Content<P>, Problem> {
        let plan = plan(parts);
        let media = Media { edge: self.clone(), settings, asset };
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

    /// The time since `start`, which becomes now.
    fn lap(&self, start: &mut Duration) -> Duration {
        let now = self.platform.monotonic();
        now.saturating_sub(core::mem::replace(start, now))
    }
}

fn parse(path: &str) -> Result<Route, Problem> {
    Route::parse(path).map_err(|e| match e.kind() {
        ErrorKind::Limit => Problem::new(Kind::PathTooLong, e.message()),
        _ => e.into(),
    })
}

/// Where the time of a request went.
#[derive(Default)]
struct Timing {
    documents: Duration,
    index: Duration,
    make: Duration,
    origin: Duration,
}

impl Timing {
    /// The `Server-Timing` field, in milliseconds: documents, reads of the index, the core's work, and the head of the
    /// first read of media.
    fn field(&self) -> String {
        let mut field = String::with_capacity(64);
        for (name, duration) in
            [("doc", self.documents), ("index", self.index), ("make", self.make), ("origin", self.origin)]
        {
            let separator = if field.is_empty() { "" } else { ", " };
            let micros = duration.as_micros();
            let _ = write!(field, "{separator}{name};dur={}.{:03}", micros / 1000, micros % 1000);
        }
        field
    }
}

//! An instance of the edge: which request is answered by what.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use packager::config::PUSH_PATH;
use packager::media::date;
use packager::route::{LiveRoute, Route, TIME_PATH};
use packager::{Error, ErrorKind};

use crate::answer::Answer;
use crate::cache::{self, Cache, Flights, Lru};
use crate::http::{Headers, PREFLIGHT_MAX_AGE};
use crate::platform::Platform;
use crate::problem::{Kind, Problem};
use crate::settings::Settings;
use crate::store::Memory;
use crate::timeline::Known;

/// Path of the health check.
const HEALTH_PATH: &str = "/healthz";

/// What the paths of live endpoints begin with.
const LIVE_PREFIX: &str = "/v1/";

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
    /// What follows the first `?`; empty when there is none.
    pub query: String,
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
    pub(crate) timelines: RefCell<Lru<Known>>,
    pub(crate) flights: Flights,
    settings: RefCell<Option<Rc<Settings>>>,
}

/// What answers a request.
enum Target {
    Push,
    Health,
    Time,
    Asset(Route),
    Channel(LiveRoute),
}

impl<P: Platform> Edge<P> {
    /// An instance that knows nothing yet.
    pub fn new(platform: P) -> Self {
        Self {
            platform,
            cache: RefCell::default(),
            memory: RefCell::new(cache::documents()),
            timelines: RefCell::new(cache::timelines()),
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
        let target = Target::parse(&request.path)?;
        let settings = self.settings().await?;
        match target {
            Target::Push => self.push(&settings, request).await,
            Target::Health => self.health(&settings).await,
            Target::Time => Ok(self.time()),
            Target::Asset(route) => self.play(settings, route, request).await,
            Target::Channel(route) => self.play_live(settings, route, request).await,
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

    /// The clock of this edge, for players whose own is wrong (`urn:mpeg:dash:utc:http-iso:2014`).
    fn time(&self) -> Answer<P> {
        let now = date::format(self.platform.unix_ms());
        Answer::new(200).with("cache-control", "no-store").body("text/plain", now)
    }

    /// The time since `start`, which becomes now.
    pub(crate) fn lap(&self, start: &mut Duration) -> Duration {
        let now = self.platform.monotonic();
        now.saturating_sub(core::mem::replace(start, now))
    }
}

impl Target {
    fn parse(path: &str) -> Result<Self, Problem> {
        match path {
            PUSH_PATH => Ok(Self::Push),
            HEALTH_PATH => Ok(Self::Health),
            TIME_PATH => Ok(Self::Time),
            _ if path.starts_with(LIVE_PREFIX) => LiveRoute::parse(path).map(Self::Channel).map_err(too_long),
            _ => Route::parse(path).map(Self::Asset).map_err(too_long),
        }
    }
}

/// The same problem, by its own status when the path or the query is too long.
pub(crate) fn too_long(error: Error) -> Problem {
    match error.kind() {
        ErrorKind::Limit => Problem::new(Kind::PathTooLong, error.message()),
        _ => error.into(),
    }
}

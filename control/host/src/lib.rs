//! Runs the built edge component in this process: WASI 0.3 HTTP service, Spin key-value store and variables.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! let mut options = edge_host::Options::new("target/wasm32-wasip2/edge/edge.wasm");
//! options.variables.insert("control_url".into(), "http://127.0.0.1:8080".into());
//! let host = edge_host::EdgeHost::new(options).await?;
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//! host.serve(listener, tokio::signal::ctrl_c()).await?;
//! # Ok(()) }
//! ```
//!
//! An instance serves many requests, several at a time, and is replaced after some number of them. A guest that
//! traps, loops, or takes too much memory costs the bodies it streams and the request that caused it: requests beside
//! it that have no response head yet, and that change nothing, are tried once more in another instance.

mod bindings;
mod body;
mod guest;
mod keyvalue;
pub mod limits;
mod log;
mod outgoing;
mod pool;
mod problem;
mod server;
mod stall;
mod template;
mod variables;
mod worker;

use anyhow::{Context, ensure};
use body::DeadlineBody;
use bytes::Bytes;
use futures::channel::oneshot;
use http_body::Body;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty};
use pool::{Pool, Sizes, Work};
use problem::Problem;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use template::Template;
use tokio::net::TcpListener;
use wasmtime_wasi_http::handler::ExpirationError;
use wasmtime_wasi_http::{Error, WasiBody};

/// The error of a body.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A streamed request or response body.
pub type BoxBody = UnsyncBoxBody<Bytes, BoxError>;

/// The variable that names the only server guests may send requests to.
const CONTROL_URL: &str = "control_url";

/// The variable with the number of proxies in front of the edge.
const TRUSTED_PROXIES: &str = "trusted_proxies";

/// Time beyond the deadline that an instance gets to report a missed deadline itself, before it is dropped as stuck;
/// and to be gone after that.
const STUCK_AFTER: Duration = Duration::from_secs(1);

/// How to run the component. [`Options::new`] has the defaults. No `Debug`: variables are secrets.
#[derive(Clone)]
pub struct Options {
    /// The built component.
    pub component: PathBuf,
    /// Spin variables. Guests may send requests to the server of `control_url`, and nowhere else. `trusted_proxies`, how many
    /// proxies in front of the edge append to `X-Forwarded-For`, is 0 unless it is set.
    pub variables: BTreeMap<String, String>,
    /// Linear memory of one instance, bytes.
    pub memory_bytes: usize,
    /// Time to the response head. [`limits::BODY_DEADLINE`] bounds the body.
    pub deadline: Duration,
    /// Instances that take requests at the same time.
    pub max_instances: usize,
    /// Requests after which an instance is replaced.
    pub reuse_requests: usize,
    /// Requests one instance works on at a time.
    pub reuse_concurrent: usize,
    /// Directory that keeps compiled code between starts. None: the component is compiled at each start.
    pub cache_dir: Option<PathBuf>,
    /// Take the memory of instances from a pool that is reserved at the start.
    pub pooling: bool,
}

impl Options {
    /// The defaults, for the component at a path.
    pub fn new(component: impl Into<PathBuf>) -> Self {
        Self {
            component: component.into(),
            variables: BTreeMap::new(),
            memory_bytes: limits::MEMORY_BYTES,
            deadline: limits::HEAD_DEADLINE,
            max_instances: limits::MAX_INSTANCES,
            reuse_requests: limits::REUSE_REQUESTS,
            reuse_concurrent: limits::REUSE_CONCURRENT,
            cache_dir: None,
            pooling: true,
        }
    }
}

/// What a host has done so far, and its load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Requests handed to the host.
    pub requests: u64,
    /// Requests answered 500 by the host because the guest failed.
    pub failed: u64,
    /// Requests answered 504 by the host because the guest took too long.
    pub timed_out: u64,
    /// Requests answered 503 by the host because too many waited.
    pub refused: u64,
    /// Instances started.
    pub instances_started: u64,
    /// Instances that trapped or did not start.
    pub instances_failed: u64,
    /// Instances that take requests now.
    pub instances: usize,
    /// Instances that only end the bodies they began.
    pub instances_retired: usize,
    /// Requests that wait for an instance now.
    pub waiting: usize,
    /// Keys in the key-value store.
    pub kv_keys: usize,
    /// Bytes in the key-value store.
    pub kv_bytes: usize,
}

/// A running edge.
pub struct EdgeHost {
    pool: Arc<Pool>,
    deadline: Duration,
    requests: AtomicU64,
    failed: AtomicU64,
    timed_out: AtomicU64,
    refused: AtomicU64,
}

impl EdgeHost {
    /// Compiles the component (or takes it from the cache) and gets ready for requests.
    ///
    /// # Errors
    /// The component cannot be read, is none, or imports what this host has not; an option is out of range.
    pub async fn new(mut options: Options) -> anyhow::Result<Arc<Self>> {
        ensure!(
            options.max_instances > 0 && options.reuse_requests > 0 && options.reuse_concurrent > 0,
            "instances, requests of an instance and its concurrent requests must be at least 1"
        );
        options.variables.entry(TRUSTED_PROXIES.to_owned()).or_insert_with(|| "0".to_owned());
        let allowed: Vec<String> = options.variables.get(CONTROL_URL).cloned().into_iter().collect();
        let shared = guest::Shared {
            outgoing: outgoing::Outgoing::new(&allowed).context(CONTROL_URL)?,
            key_value: Arc::default(),
            variables: variables::Variables::new(options.variables.clone()),
            memory_bytes: options.memory_bytes,
        };
        let sizes = Sizes {
            max_instances: options.max_instances,
            reuse_requests: options.reuse_requests,
            reuse_concurrent: options.reuse_concurrent,
            deadline: options.deadline,
            warm: std::thread::available_parallelism().map_or(1, usize::from),
        };
        let template = tokio::task::spawn_blocking(move || Template::new(&options, shared)).await??;
        let engine = template.engine().clone();
        let pool = Pool::new(template, sizes, tokio::runtime::Handle::current());
        let ticked = Arc::downgrade(&pool);
        // Every running instance holds the pool, so a guest that loops is interrupted even when the host has gone.
        template::start_epochs(engine, move || {
            ticked.upgrade().is_some_and(|pool| {
                pool.tick();
                true
            })
        })
        .context("no thread for epochs")?;
        Ok(Arc::new(Self {
            pool,
            deadline: sizes.deadline,
            requests: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            timed_out: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }))
    }

    /// The edge's response, or the host's own problem document when the edge could not make one.
    pub async fn handle(self: &Arc<Self>, request: http::Request<BoxBody>) -> http::Response<BoxBody> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let path = request.uri().path().to_owned();
        match self.respond(request).await {
            Ok(response) => response,
            Err(problem) => {
                let counter = match problem {
                    Problem::Failed => &self.failed,
                    Problem::Deadline => &self.timed_out,
                    Problem::Overloaded => &self.refused,
                };
                counter.fetch_add(1, Ordering::Relaxed);
                problem.response(&path)
            }
        }
    }

    async fn respond(&self, request: http::Request<BoxBody>) -> Result<http::Response<BoxBody>, Problem> {
        let since = Instant::now();
        let mut request = absolute(request)
            .map(|body| body.map_err(|error| Error::InternalError(Some(error.to_string()))).boxed_unsync());
        let mut again = repeatable(&request);
        loop {
            match self.attempt(request, since).await {
                Err(Failure::Beside) if let Some(copy) = again.take() => request = copy,
                Err(Failure::Beside) => return Err(Problem::Failed),
                Err(Failure::Final(problem)) => return Err(problem),
                Ok(response) => return Ok(response.map(|body| DeadlineBody::new(body).boxed_unsync())),
            }
        }
    }

    async fn attempt(
        &self,
        request: http::Request<WasiBody>,
        since: Instant,
    ) -> Result<http::Response<WasiBody>, Failure> {
        let (respond, response) = oneshot::channel();
        // Dropped with this future, also when the viewer goes away.
        let (_waiting, abandoned) = oneshot::channel();
        let taken_by = Arc::new(OnceLock::new());
        let work = Work { request, respond, abandoned, taken_by: taken_by.clone(), since };
        self.pool.submit(work).map_err(Failure::Final)?;
        let limit = tokio::time::Instant::from_std(since) + self.deadline + STUCK_AFTER;
        let problem = match tokio::time::timeout_at(limit, response).await {
            Ok(Ok(Ok(response))) => return Ok(response),
            Ok(Ok(Err(error))) if error.is::<ExpirationError>() => Problem::Deadline,
            Ok(Ok(Err(error))) => {
                tracing::error!("the edge answered with an error: {error:#}");
                Problem::Failed
            }
            Ok(Err(oneshot::Canceled)) => {
                let Some(worker) = taken_by.get() else {
                    return Err(Failure::Final(Problem::Overloaded));
                };
                // An instance that is gone cannot be given the next attempt.
                let _ = tokio::time::timeout(STUCK_AFTER, worker.ended()).await;
                if worker.concurrent.load(Ordering::Relaxed) > 1 {
                    return Err(Failure::Beside);
                }
                if worker.clock.overrun() || worker.killed() { Problem::Deadline } else { Problem::Failed }
            }
            Err(_) => {
                // The instance could not even notice the deadline.
                if let Some(worker) = taken_by.get() {
                    worker.kill();
                    let _ = tokio::time::timeout(STUCK_AFTER, worker.ended()).await;
                }
                Problem::Deadline
            }
        };
        Err(Failure::Final(problem))
    }

    /// Serves HTTP/1.1 on `listener` until `shutdown` ends; responses under way get [`limits::SHUTDOWN_GRACE`] to end.
    ///
    /// # Errors
    /// None at present: a connection that fails ends alone.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, shutdown: impl Future) -> io::Result<()> {
        server::serve(self, listener, shutdown).await
    }

    /// What the host has done so far, and its load.
    pub fn stats(&self) -> Stats {
        let (instances, instances_retired, waiting) = self.pool.load();
        let (kv_keys, kv_bytes) = self.pool.template.shared().key_value.size();
        Stats {
            requests: self.requests.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            timed_out: self.timed_out.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            instances_started: self.pool.counters.instances.load(Ordering::Relaxed),
            instances_failed: self.pool.counters.failed_instances.load(Ordering::Relaxed),
            instances,
            instances_retired,
            waiting,
            kv_keys,
            kv_bytes,
        }
    }
}

impl Drop for EdgeHost {
    fn drop(&mut self) {
        self.pool.close();
    }
}

/// Why an attempt gave no response.
enum Failure {
    Final(Problem),
    /// The instance failed while it worked on other requests too.
    Beside,
}

/// A copy of a request that may be tried a second time: one that changes nothing and has no body.
fn repeatable(request: &http::Request<WasiBody>) -> Option<http::Request<WasiBody>> {
    if !(request.method().is_safe() && request.body().is_end_stream()) {
        return None;
    }
    let mut copy = http::Request::new(Empty::new().map_err(|never| match never {}).boxed_unsync());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

/// The request with scheme and authority, which a request off the wire has only in its `Host` header.
fn absolute(mut request: http::Request<BoxBody>) -> http::Request<BoxBody> {
    if request.uri().authority().is_none()
        && let Some(host) = request.headers().get(http::header::HOST)
        && let Ok(authority) = http::uri::Authority::try_from(host.as_bytes())
    {
        let mut parts = request.uri().clone().into_parts();
        parts.scheme = Some(http::uri::Scheme::HTTP);
        parts.authority = Some(authority);
        if let Ok(uri) = http::Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
    request
}

//! A key server for tests: SPEKE v1, v2.0 and v2.1. It refuses every request that is not as the specifications want it, answers
//! the same keys for the same content and identifiers, and misbehaves when told to. It shares no code with the client.

mod answer;
mod behaviour;
mod delivery;
#[cfg(test)]
mod refusals;
mod request;
mod rules;
mod signalling;
mod systems;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::Response;
use axum::routing::get;
use sha2::{Digest as _, Sha256};
use tokio::runtime::Runtime;

pub use behaviour::Behaviour;

/// The longest request that is read.
const MAX_REQUEST_BYTES: usize = 1 << 20;

/// Time to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// A running key server. It stops when dropped.
pub struct KeyServer {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    runtime: Option<Runtime>,
}

#[derive(Default)]
struct Shared {
    behaviour: Behaviour,
    requests: Vec<Recorded>,
}

/// A request, as it came.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Path and query.
    pub target: String,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The document.
    pub body: String,
    /// The status of the answer.
    pub status: u16,
}

impl Recorded {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

/// The key of a content and an identifier (16 bytes in the order of its text).
pub fn key(content_id: &str, kid: [u8; 16]) -> [u8; 16] {
    let mut hash = Sha256::new();
    hash.update(b"key of the key server for tests");
    hash.update(kid);
    hash.update(content_id);
    let mut key = [0; 16];
    key.copy_from_slice(&hash.finalize()[..16]);
    key
}

impl KeyServer {
    /// Starts one on a free port of 127.0.0.1, on a thread of its own.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let mut server = Self { address: listener.local_addr()?, shared: Arc::default(), runtime: None };
        server.serve(listener)?;
        Ok(server)
    }

    /// The URL of a path, which starts with a slash. Any path takes requests.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How it behaves from now on.
    pub fn behave(&self, behaviour: Behaviour) {
        lock(&self.shared).behaviour = behaviour;
    }

    /// All requests up to now, those that were refused too.
    pub fn requests(&self) -> Vec<Recorded> {
        lock(&self.shared).requests.clone()
    }

    /// Closes its port and all connections.
    pub fn down(&mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        // Waited for, so that the port is closed; on a thread of its own, as a runtime may not wait for another.
        let stopped = std::thread::spawn(move || runtime.shutdown_timeout(STOP_TIMEOUT)).join();
        debug_assert!(stopped.is_ok(), "the key server did not stop");
    }

    /// Listens again on the same port.
    ///
    /// # Errors
    /// When another took it.
    pub fn up(&mut self) -> io::Result<()> {
        self.down();
        let listener = TcpListener::bind(self.address)?;
        self.serve(listener)
    }

    fn serve(&mut self, listener: TcpListener) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let routes = Router::new()
            .route("/heartbeat", get(heartbeat))
            .fallback(exchange)
            .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
            .with_state(self.shared.clone());
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            axum::serve(listener, routes).await
        });
        self.runtime = Some(runtime);
        Ok(())
    }
}

impl Drop for KeyServer {
    fn drop(&mut self) {
        self.down();
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn heartbeat() -> &'static str {
    "the key server is alive"
}

async fn exchange(
    State(shared): State<Arc<Mutex<Shared>>>,
    method: axum::http::Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let recorded_headers = headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes())));
    let mut recorded =
        Recorded { target: uri.to_string(), headers: recorded_headers.collect(), body: text(&body), status: 0 };
    let behaviour = behaviour::next(&mut lock(&shared).behaviour);
    if let Behaviour::Slow(pause) = behaviour {
        tokio::time::sleep(pause).await;
    }
    let response = match request::Request::read(&method, &headers, &body) {
        Ok(request) => behaviour::answer(&request, &behaviour),
        Err(reason) => said(StatusCode::UNPROCESSABLE_ENTITY, "text/plain", reason),
    };
    recorded.status = response.status().as_u16();
    lock(&shared).requests.push(recorded);
    response
}

fn said(status: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}

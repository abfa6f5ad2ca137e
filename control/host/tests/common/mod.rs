//! The real component in a host, and a control plane that is a closure.
#![allow(dead_code, reason = "each test program uses a part of this")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ed25519_dalek::{Signer, SigningKey};
use edge_host::{BoxBody, EdgeHost, Options};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use packager::config::{Batch, Body, DOCUMENT_VERSION, Document, PUSH_PATH, SIGNATURE_HEADER, signed_message};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub const EDGE_NAME: &str = "under-test";
pub const ORIGIN_TOKEN: &str = "token-of-the-test";

/// The built edge. Tests fail without it: a host that was never tried with its component is not tested.
pub fn edge_component() -> PathBuf {
    let path = std::env::var_os("EDGE_COMPONENT").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/wasm32-wasip2/edge/edge.wasm"),
        PathBuf::from,
    );
    assert!(
        path.is_file(),
        "{} is missing: run `cargo build --profile edge --target wasm32-wasip2 -p edge`, or name it in EDGE_COMPONENT",
        path.display()
    );
    path
}

pub fn signing_key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

pub fn options(control_url: &str) -> Options {
    let mut options = Options::new(edge_component());
    options.variables = [
        ("control_url", control_url.to_owned()),
        ("origin_token", ORIGIN_TOKEN.to_owned()),
        ("control_public_key", hex::encode(signing_key().verifying_key().as_bytes())),
        ("edge_name", EDGE_NAME.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    options.cache_dir = Some(std::env::temp_dir().join("edge-host-tests-cache"));
    options
}

pub fn body(bytes: impl Into<Bytes>) -> BoxBody {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

pub fn get(path: &str) -> Request<BoxBody> {
    Request::get(path).header("host", "edge.example").body(body("")).unwrap()
}

/// Status, content type and body.
pub async fn fetch(host: &Arc<EdgeHost>, request: Request<BoxBody>) -> (StatusCode, String, Bytes) {
    let response = host.handle(request).await;
    let status = response.status();
    let kind = response.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, kind.unwrap_or_default(), bytes)
}

pub fn json(bytes: &Bytes) -> serde_json::Value {
    serde_json::from_slice(bytes).unwrap_or_else(|error| panic!("{error}: {bytes:?}"))
}

/// A push, signed with [`signing_key`].
pub fn push(sequence: u64, documents: Vec<Document>) -> Request<BoxBody> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let batch = Batch {
        version: DOCUMENT_VERSION,
        edge: EDGE_NAME.to_owned(),
        sequence,
        issued_at: now.as_millis().try_into().unwrap(),
        revision: sequence,
        documents,
    };
    let json = serde_json::to_vec(&batch).unwrap();
    let signature = STANDARD.encode(signing_key().sign(&signed_message(&json)).to_bytes());
    Request::put(PUSH_PATH).header(SIGNATURE_HEADER, signature).body(body(json)).unwrap()
}

pub fn deleted(key: &str, revision: u64) -> Document {
    Document::new(key.to_owned(), revision, Body::Deleted)
}

/// A control plane: counts connections, keeps the requests it saw, answers by a closure.
pub struct FakeControl {
    pub address: SocketAddr,
    pub connections: Arc<AtomicUsize>,
    /// Path and `Authorization` of each request.
    pub seen: Arc<Mutex<Vec<(String, String)>>>,
    server: JoinHandle<()>,
}

impl FakeControl {
    pub async fn start(
        answer: impl Fn(&Request<hyper::body::Incoming>) -> Response<Full<Bytes>> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let answer = Arc::new(answer);
        let (counter, log) = (connections.clone(), seen.clone());
        let server = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counter.fetch_add(1, Ordering::SeqCst);
                let (answer, log) = (answer.clone(), log.clone());
                let service = hyper::service::service_fn(move |request| {
                    let authorization = request.headers().get("authorization").map(|value| value.to_str().unwrap());
                    let entry = (request.uri().path().to_owned(), authorization.unwrap_or_default().to_owned());
                    log.lock().unwrap().push(entry);
                    let response = answer(&request);
                    async move { Ok::<_, Infallible>(response) }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self { address, connections, seen, server }
    }

    /// A control plane that has nothing.
    pub async fn empty() -> Self {
        Self::start(|_| not_found()).await
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub fn paths(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|(path, _)| path.clone()).collect()
    }
}

impl Drop for FakeControl {
    fn drop(&mut self) {
        self.server.abort();
    }
}

pub fn not_found() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

//! A control plane in this process without its loops: tests run each round themselves.

#![allow(dead_code, reason = "each test file uses a part of it")]

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use control::api;
use control::archive::Storage;
use control::clock;
use control::context::{Context, KeyLimits, Parts, Wake};
use control::db::assets::{Indexed, Status};
use control::db::indexes::IndexObject;
use control::db::{Db, assets, indexes, sources};
use control::ingest::Receiver;
use control::live::Live;
use control::push::{Client, documents};
use control::secrets::Secrets;
use control::vault::{MasterKey, Vault};
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use keys::speke::{Client as KeyClient, Settings};
use serde_json::Value;
use std::time::Duration;
use tempfile::TempDir;
use tower::Service as _;

/// Base URL of key delivery.
pub const KEYS_URL: &str = "https://keys.example.com";
/// Base URL of live ingest.
pub const INGEST_URL: &str = "https://ingest.example.com";
/// The master key.
pub const MASTER_KEY: &str = "4d61737465724d61737465724d61737465724d61737465724d61737465724d61";

pub const TOKEN: &str = "administrator-of-tests";

/// A control plane whose data goes away with it.
pub struct Control {
    pub context: Context,
    pub router: Router,
    pub directory: TempDir,
}

/// An answer, read whole.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {:?}", self.body))
    }

    pub fn header(&self, name: impl header::AsHeaderName) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    /// Checks that this is a problem document with a status and a field.
    #[track_caller]
    pub fn assert_problem(&self, status: u16, field: Option<&str>) {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status.as_u16(), status, "{text}");
        assert_eq!(self.header(header::CONTENT_TYPE), "application/problem+json", "{text}");
        let problem = self.json();
        assert_eq!(problem["status"], status, "{text}");
        assert!(problem["type"].as_str().unwrap().starts_with("https://edgepack.dev/problems/"), "{text}");
        for member in ["title", "detail", "instance"] {
            assert!(!problem[member].as_str().unwrap().is_empty(), "{member} in {text}");
        }
        assert_eq!(problem["field"].as_str(), field, "{text}");
    }
}

/// A client of key servers that is soon done with those that do not answer.
fn key_client() -> KeyClient {
    KeyClient::new(Settings {
        connect_timeout: Duration::from_secs(2),
        exchange_timeout: Duration::from_secs(2),
        attempts: 2,
        pause: Duration::from_millis(10),
    })
    .unwrap()
}

impl Control {
    pub async fn new() -> Self {
        Self::open(tempfile::tempdir().unwrap()).await
    }

    /// Opens what is in a directory, as a start of the program does.
    pub async fn open(directory: TempDir) -> Self {
        Self::open_with(directory, Some(MasterKey::from_hex(MASTER_KEY).unwrap())).await
    }

    pub async fn without_master_key() -> Self {
        Self::open_with(tempfile::tempdir().unwrap(), None).await
    }

    async fn open_with(directory: TempDir, master: Option<MasterKey>) -> Self {
        let data = directory.path();
        let db = Db::open(&data.join("control.db")).await.unwrap();
        let vault = Vault::open(&db, master).await.unwrap();
        let context = Context::new(Parts {
            db,
            media: Storage::open(None, &data.join("media")).unwrap(),
            indexes: Storage::open(None, &data.join("indexes")).unwrap(),
            secrets: Secrets::open(data, Some(TOKEN)).unwrap(),
            vault,
            key_client: key_client(),
            key_limits: KeyLimits::default(),
            ingest_url: INGEST_URL.to_owned(),
            receiver: Receiver::default(),
            keys_url: KEYS_URL.to_owned(),
            client: Client::new().unwrap(),
            public_url: None,
            embedded_edge: None,
            player: None,
            ingest_wake: Wake::default(),
            keys_wake: Wake::default(),
            harvest_wake: Wake::default(),
            live: Live::default(),
            push_wake: Wake::default(),
        });
        Self { router: api::router(context.clone()), context, directory }
    }

    /// Ends this control plane and opens its data again.
    pub async fn reopen(self) -> Self {
        self.context.db.close().await;
        Self::open(self.directory).await
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().call(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// A request with the administrator's token.
    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let request =
            Request::builder().method(method).uri(path).header(header::AUTHORIZATION, format!("Bearer {TOKEN}"));
        let request = match body {
            None => request.body(Body::empty()),
            Some(body) => request.header(header::CONTENT_TYPE, "application/json").body(Body::from(body.to_string())),
        };
        self.send(request.unwrap()).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PATCH, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, None).await
    }

    /// A request of an edge with its token.
    pub async fn origin(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
        let token = format!("Bearer {}", self.context.secrets.origin.reveal());
        let mut request = Request::builder().method(method).uri(path).header(header::AUTHORIZATION, token);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// Adds the group `films` with the configurations `hls` and `dash`.
    pub async fn add_group(&self) {
        let films = "/v1/packaging-groups/films/configurations";
        for (path, body) in [
            ("/v1/packaging-groups", serde_json::json!({"name": "films"})),
            (films, serde_json::json!({"name": "hls", "package_type": "CMAF"})),
            (films, serde_json::json!({"name": "dash", "package_type": "DASH", "manifest_name": "main"})),
        ] {
            assert_eq!(self.post(path, body).await.status, StatusCode::CREATED);
        }
    }

    pub fn write_media(&self, path: &str, bytes: &[u8]) {
        let path = self.directory.path().join("media").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// Puts a file of the repository's small media where this control plane finds it, under its last name.
    pub fn copy_media(&self, path: &str) -> String {
        let from = format!("{}/../tests/media/{path}", env!("CARGO_MANIFEST_DIR"));
        let name = path.rsplit('/').next().unwrap().to_owned();
        self.write_media(&name, &std::fs::read(&from).unwrap_or_else(|e| panic!("{from}: {e}")));
        name
    }

    /// Ingests a short title of H.264 (320x180) and stereo AAC as an asset of the group `films`, and answers it.
    pub async fn ingest(&self, name: &str, content_id: &str) -> Value {
        let path = self.copy_media("small/h264_aac.mp4");
        let body = serde_json::json!({"name": name, "packaging_group": "films", "content_id": content_id,
            "sources": [{"path": path}]});
        let answer = self.post("/v1/assets", body).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{:?}", answer.body);
        while control::ingest::assets::tick(&self.context).await.unwrap() {}
        self.get(&format!("/v1/assets/{name}")).await.json()
    }

    /// The document of a key, as it waits for edges.
    pub async fn document(&self, key: &str) -> Option<packager::config::Document> {
        let mut db = self.context.db.read().await.unwrap();
        let json = control::db::documents::find(&mut db, key).await.unwrap()?;
        Some(packager::config::Document::from_json(json.as_bytes()).unwrap())
    }

    /// Adds an asset of one source and makes it playable the way a finished ingest does, without one.
    pub async fn add_playable(&self, name: &str, path: &str) {
        let body = serde_json::json!({"name": name, "packaging_group": "films", "sources": [{"path": path}]});
        assert_eq!(self.post("/v1/assets", body).await.status, StatusCode::ACCEPTED);
        self.make_playable(name).await;
    }

    /// See [`Self::add_playable`]; the asset must be the only one that is QUEUED.
    pub async fn make_playable(&self, name: &str) {
        let mut tx = self.context.db.write().await.unwrap();
        let run = assets::claim(&mut tx).await.unwrap().unwrap();
        let path = if run.generation == 1 { format!("{name}.idx") } else { format!("{name}.{}.idx", run.generation) };
        let index = IndexObject { path, bytes: 5, head_bytes: 2, digest: "0".repeat(64) };
        self.context.indexes.write(&index.path, Bytes::from_static(b"index")).await.unwrap();
        let found = Indexed { warnings: "[\"a warning\"]".into(), duration_ms: 1500, tracks: "[]".into() };
        assert!(assets::set_playable(&mut tx, run, &found).await.unwrap());
        indexes::announce(&mut tx, &index.path, clock::now_ms()).await.unwrap();
        indexes::assign(&mut tx, run.id, &index).await.unwrap();
        sources::set_stored(&mut tx, run.id, 0, 10, Some("\"tag\"")).await.unwrap();
        let row = assets::get(&mut tx, run.id).await.unwrap().unwrap();
        assert_eq!((row.name.as_str(), row.status), (name, Status::Playable));
        documents::put_asset(&mut tx, &row).await.unwrap();
        tx.commit().await.unwrap();
    }
}

/// A request with the administrator's token and a body of any kind.
pub fn json_request(method: Method, path: &str, content_type: Option<&str>, body: impl Into<Body>) -> Request<Body> {
    let mut request =
        Request::builder().method(method).uri(path).header(header::AUTHORIZATION, format!("Bearer {TOKEN}"));
    if let Some(content_type) = content_type {
        request = request.header(header::CONTENT_TYPE, content_type);
    }
    request.body(body.into()).unwrap()
}

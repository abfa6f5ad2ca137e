//! A host whose clock, key-value store and origin are in the hands of a test.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use packager::config::{
    Access, Asset, Body as DocumentBody, ContentKeys, Document, HlsVersion, IndexObject, Iv, KeyUse, KeysOf, Kid,
    PackageType, PackagingConfiguration, Protection, Scheme, SealedKey, SourceObject, StreamSelection, System,
    TextFormat, asset_key, configuration_key, keys_key,
};
use packager::sealing::{ContentKey, NONCE_BYTES, SealingKey};

use crate::answer::{Answer, Content};
use crate::http::Headers;
use crate::platform::{Body, Closed, Incoming, Outgoing, Platform, Sink};
use crate::serve::{Edge, Method, Request};

/// What the origin does with a request.
#[derive(Clone)]
pub enum Reply {
    /// Answers.
    Response(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Cannot be reached.
    Refused,
    /// Never answers.
    Silent,
}

impl Reply {
    pub fn json(document: &Document) -> Self {
        Self::Response(200, Vec::new(), document.to_json())
    }

    pub fn status(status: u16) -> Self {
        Self::Response(status, Vec::new(), Vec::new())
    }

    pub fn part(range: core::ops::Range<u64>, total: u64, body: Vec<u8>) -> Self {
        Self::Response(206, vec![("Content-Range", crate::range::content_range(&range, total))], body)
    }
}

type Script = dyn Fn(&Outgoing) -> Reply;

pub struct Fake {
    pub now: Cell<Duration>,
    pub unix_ms: Cell<u64>,
    pub stored: RefCell<BTreeMap<String, Vec<u8>>>,
    pub store_fails: Cell<bool>,
    pub loads: Cell<usize>,
    pub public_key: RefCell<String>,
    pub trusted_proxies: RefCell<String>,
    pub origin: RefCell<Box<Script>>,
    /// Path and `Range` of every request to the origin.
    pub asked: RefCell<Vec<(String, Option<String>)>>,
    /// Requests to the origin that wait for their answer.
    pub waiting: Cell<usize>,
    /// The most of them at a time.
    pub most_at_once: Cell<usize>,
}

pub const CONTROL: &str = "http://control.test";
pub const SEALING_KEY: [u8; 32] = [0x77; 32];
pub const CONTENT_KEY: [u8; 16] = *b"not in any log!!";

impl Default for Fake {
    fn default() -> Self {
        Self {
            now: Cell::default(),
            unix_ms: Cell::new(1_700_000_000_000),
            stored: RefCell::default(),
            store_fails: Cell::default(),
            loads: Cell::default(),
            public_key: RefCell::new("00".repeat(32)),
            trusted_proxies: RefCell::new("0".to_owned()),
            origin: RefCell::new(Box::new(|_| Reply::Refused)),
            asked: RefCell::default(),
            waiting: Cell::default(),
            most_at_once: Cell::default(),
        }
    }
}

impl Fake {
    pub fn later(&self, duration: Duration) {
        self.now.set(self.now.get() + duration);
    }

    pub fn script(&self, script: impl Fn(&Outgoing) -> Reply + 'static) {
        *self.origin.borrow_mut() = Box::new(script);
        self.asked.borrow_mut().clear();
    }
}

/// Lets everybody else run.
async fn pass(times: usize) {
    let mut left = times;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl Platform for Fake {
    type Body = FakeBody;

    fn monotonic(&self) -> Duration {
        self.now.get()
    }

    fn unix_ms(&self) -> u64 {
        self.unix_ms.get()
    }

    async fn sleep(&self, duration: Duration) {
        let end = self.now.get() + duration;
        // Long enough for whatever else can go on without time.
        pass(8).await;
        self.now.set(self.now.get().max(end));
    }

    async fn variable(&self, name: &str) -> Result<String, String> {
        match name {
            "control_url" => Ok(format!("{CONTROL}/")),
            "origin_token" => Ok("secret".to_owned()),
            "control_public_key" => Ok(self.public_key.borrow().clone()),
            "edge_name" => Ok("e1".to_owned()),
            "sealing_key" => Ok(hex::encode(SEALING_KEY)),
            "trusted_proxies" => Ok(self.trusted_proxies.borrow().clone()),
            _ => Err("undefined".to_owned()),
        }
    }

    async fn load(&self, key: &str) -> Result<Option<Vec<u8>>, String> {
        self.loads.set(self.loads.get() + 1);
        pass(1).await;
        if self.store_fails.get() { Err("store down".to_owned()) } else { Ok(self.stored.borrow().get(key).cloned()) }
    }

    async fn save(&self, key: &str, value: &[u8]) -> Result<(), String> {
        pass(1).await;
        if self.store_fails.get() {
            return Err("store down".to_owned());
        }
        self.stored.borrow_mut().insert(key.to_owned(), value.to_vec());
        Ok(())
    }

    async fn get(&self, request: Outgoing) -> Result<Incoming<FakeBody>, String> {
        let field = |name| request.headers.iter().find(|(n, _)| *n == name).map(|(_, value)| value.clone());
        assert_eq!(field("authorization").as_deref(), Some("Bearer secret"));
        let path = request.url.strip_prefix(CONTROL).expect("a request to control").to_owned();
        self.asked.borrow_mut().push((path, field("range")));
        self.waiting.set(self.waiting.get() + 1);
        self.most_at_once.set(self.most_at_once.get().max(self.waiting.get()));
        pass(2).await;
        self.waiting.set(self.waiting.get() - 1);
        let reply = (self.origin.borrow())(&request);
        match reply {
            Reply::Refused => Err("connection refused".to_owned()),
            Reply::Silent => std::future::pending().await,
            Reply::Response(status, headers, body) => Ok(Incoming {
                status,
                headers: Headers::new(headers.into_iter().map(|(n, v)| (n.to_owned(), v.into_bytes())).collect()),
                body: FakeBody::new(body),
            }),
        }
    }
}

#[derive(Default)]
pub struct FakeBody(VecDeque<Vec<u8>>);

impl FakeBody {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes.chunks(1000).map(<[u8]>::to_vec).collect())
    }
}

impl Body for FakeBody {
    async fn chunk(&mut self, _: Vec<u8>) -> Result<Option<Vec<u8>>, String> {
        Ok(self.0.pop_front())
    }
}

#[derive(Default)]
pub struct Received(pub Vec<u8>);

impl Sink for Received {
    async fn send(&mut self, mut bytes: Vec<u8>) -> Result<Vec<u8>, Closed> {
        self.0.append(&mut bytes);
        Ok(bytes)
    }
}

pub fn edge() -> Rc<Edge<Fake>> {
    Rc::new(Edge::new(Fake::default()))
}

pub async fn ask(edge: &Rc<Edge<Fake>>, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer<Fake> {
    send(edge, method, path, headers, Vec::new()).await
}

pub async fn send(
    edge: &Rc<Edge<Fake>>,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> Answer<Fake> {
    let headers = Headers::new(headers.iter().map(|(n, v)| ((*n).to_owned(), v.as_bytes().to_vec())).collect());
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let (path, query) = (path.to_owned(), query.to_owned());
    edge.handle(Request { method, path, query, headers, body: FakeBody::new(body) }).await
}

/// The body of an answer, read to its end.
pub async fn body(answer: Answer<Fake>) -> Vec<u8> {
    match answer.content {
        Content::Empty => Vec::new(),
        Content::Whole(bytes) => bytes.to_vec(),
        Content::Stream(transfer) => {
            let mut received = Received::default();
            transfer.run(&mut received).await.expect("a whole body");
            received.0
        }
    }
}

/// The `detail` of a problem document.
pub async fn detail(answer: Answer<Fake>) -> String {
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let json: serde_json::Value = serde_json::from_slice(&body(answer).await).expect("JSON");
    json["detail"].as_str().expect("a detail").to_owned()
}

pub const MEDIA_BYTES: u64 = 1_000_000;

pub fn media() -> Vec<u8> {
    (0..MEDIA_BYTES).map(|n| (n % 251) as u8).collect()
}

pub fn configuration(revision: u64) -> Document {
    let configuration = PackagingConfiguration {
        name: "c".into(),
        packaging_group: "g".into(),
        package_type: PackageType::Cmaf,
        segment_duration_seconds: 6,
        manifest_name: "index".into(),
        stream_selection: StreamSelection::default(),
        audio_separation: false,
        hls_version: HlsVersion::V4,
        text_format: TextFormat::Wvtt,
        access: Access::default(),
        protection: None,
    };
    Document::new(configuration_key("g", "c"), revision, DocumentBody::Configuration(configuration))
}

/// The same configuration with protection.
pub fn protected(revision: u64) -> Document {
    let mut document = configuration(revision);
    if let DocumentBody::Configuration(configuration) = &mut document.body {
        configuration.protection = Some(Protection {
            scheme: Scheme::Cbcs,
            systems: vec![System::ClearKey],
            clear_lead_segments: 0,
            pssh_in_moov: false,
            no_key_sample_groups: false,
        });
    }
    document
}

/// Its content keys, sealed with this key.
pub fn keys(revision: u64, sealing_key: [u8; 32]) -> Document {
    let (place, kid) = (keys_key("g", "a", "c"), Kid([1; 16]));
    let sealing = SealingKey::new(sealing_key);
    let sealed = sealing.seal(&place, kid, &ContentKey::new(CONTENT_KEY), [5; NONCE_BYTES]).expect("sealed");
    let key =
        SealedKey { kid, usage: KeyUse::All, from_second: 0, iv: Some(Iv([2; 16])), sealed, signalling: Vec::new() };
    let keys = ContentKeys {
        of: KeysOf::asset("g", "a", "c"),
        scheme: Scheme::Cbcs,
        keys: vec![key],
        clear_video: false,
        clear_audio: false,
    };
    Document::new(place, revision, DocumentBody::Keys(keys))
}

pub fn asset(revision: u64) -> Document {
    let asset = Asset {
        name: "a".into(),
        packaging_group: "g".into(),
        index: IndexObject { path: "a.index".into(), bytes: 5000, head_bytes: 100, digest: "ab".repeat(32) },
        sources: vec![SourceObject { path: "a b.mp4".into(), bytes: MEDIA_BYTES, etag: Some("\"t\"".into()) }],
    };
    Document::new(asset_key("g", "a"), revision, DocumentBody::Asset(asset))
}

pub fn deleted(document: &Document, revision: u64) -> Document {
    Document::new(document.key.clone(), revision, DocumentBody::Deleted)
}

//! Pushes and reconciliation against an edge that checks what it gets as a real one does.

mod common;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::routing::put;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use common::Control;
use control::clock;
use control::push::{Outcome, Reconciler, push_once};
use ed25519_dalek::{Signature, VerifyingKey};
use http::{HeaderMap, StatusCode};
use packager::config::{Acknowledgement, Batch, Body, PUSH_PATH, SIGNATURE_HEADER, signed_message};
use serde_json::{Value, json};
use tokio::net::TcpListener;

#[derive(Default)]
struct Received {
    batches: Vec<Batch>,
    last_sequence: u64,
    /// Answer this to everything.
    broken: Option<(StatusCode, &'static str)>,
}

#[derive(Clone)]
struct FakeEdge {
    name: &'static str,
    key: VerifyingKey,
    received: Arc<Mutex<Received>>,
}

impl FakeEdge {
    fn new(control: &Control, name: &'static str) -> Self {
        let mut key = [0; 32];
        hex::decode_to_slice(control.context.secrets.push.public_hex(), &mut key).unwrap();
        Self { name, key: VerifyingKey::from_bytes(&key).unwrap(), received: Arc::default() }
    }

    async fn listen(&self, address: &str) -> (SocketAddr, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route(PUSH_PATH, put(take)).with_state(self.clone());
        (address, tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }))
    }

    fn batches(&self) -> Vec<Batch> {
        self.received.lock().unwrap().batches.clone()
    }
}

async fn take(State(edge): State<FakeEdge>, headers: HeaderMap, body: Bytes) -> (StatusCode, String) {
    let signature = STANDARD.decode(headers[SIGNATURE_HEADER].as_bytes()).unwrap();
    let signature = Signature::from_slice(&signature).unwrap();
    if edge.key.verify_strict(&signed_message(&body), &signature).is_err() {
        return (StatusCode::UNAUTHORIZED, "signature".into());
    }
    let batch: Batch = serde_json::from_slice(&body).unwrap();
    if batch.edge != edge.name || batch.issued_at.abs_diff(clock::now_ms() as u64) > 60_000 {
        return (StatusCode::UNAUTHORIZED, "audience or time".into());
    }
    let mut received = edge.received.lock().unwrap();
    if let Some((status, text)) = received.broken {
        return (status, text.into());
    }
    if batch.sequence <= received.last_sequence {
        return (StatusCode::CONFLICT, json!({"detail": "the sequence is not greater"}).to_string());
    }
    received.last_sequence = batch.sequence;
    let answer = Acknowledgement { sequence: batch.sequence, revision: batch.revision };
    received.batches.push(batch);
    (StatusCode::OK, serde_json::to_string(&answer).unwrap())
}

async fn state(control: &Control, edge: &str) -> Value {
    control.get(&format!("/v1/edges/{edge}")).await.json()
}

async fn register(control: &Control, name: &str, address: SocketAddr) {
    let body = json!({"name": name, "url": format!("http://{address}")});
    assert_eq!(control.post("/v1/edges", body).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn an_edge_gets_what_it_lacks_and_no_more() {
    let control = Control::new().await;
    control.add_group().await;
    let edge = FakeEdge::new(&control, "e1");
    let (address, _server) = edge.listen("127.0.0.1:0").await;
    register(&control, "e1", address).await;
    let mut reconciler = Reconciler::new(control.context.clone());
    reconciler.tick().await.unwrap();
    let batches = edge.batches();
    assert_eq!(batches.len(), 1);
    let keys: Vec<&str> = batches[0].documents.iter().map(|d| d.key.as_str()).collect();
    assert_eq!(keys, ["configuration/films/hls", "configuration/films/dash"]);
    assert_eq!(batches[0].revision, 2);
    let after = state(&control, "e1").await;
    assert_eq!((&after["desired_revision"], &after["acknowledged_revision"]), (&json!(2), &json!(2)));
    assert_eq!(after["last_error"], Value::Null);
    assert!(after["last_contact"].is_string());

    reconciler.tick().await.unwrap();
    assert_eq!(edge.batches().len(), 1, "nothing changed, so nothing is sent");

    control.patch("/v1/packaging-groups/films/configurations/hls", json!({"segment_duration_seconds": 3})).await;
    control.add_playable("a", "a.mp4").await;
    control.delete("/v1/assets/a").await;
    reconciler.tick().await.unwrap();
    let batches = edge.batches();
    assert!(batches[1].sequence > batches[0].sequence);
    assert_eq!(batches[1].revision, 5);
    assert_eq!(batches[1].documents.len(), 2);
    let Body::Configuration(configuration) = &batches[1].documents[0].body else { panic!() };
    assert_eq!(configuration.segment_duration_seconds, 3);
    assert_eq!(
        (batches[1].documents[1].key.as_str(), &batches[1].documents[1].body),
        ("asset/films/a", &Body::Deleted)
    );
}

#[tokio::test]
async fn more_than_one_batch_is_sent_when_there_is_more() {
    let control = Control::new().await;
    control.post("/v1/packaging-groups", json!({"name": "films"})).await;
    let count = packager::limits::MAX_BATCH_DOCUMENTS + 10;
    for n in 0..count {
        let body = json!({"name": format!("c{n}"), "package_type": "CMAF"});
        control.post("/v1/packaging-groups/films/configurations", body).await;
    }
    let edge = FakeEdge::new(&control, "e1");
    let (address, _server) = edge.listen("127.0.0.1:0").await;
    register(&control, "e1", address).await;
    Reconciler::new(control.context.clone()).tick().await.unwrap();
    let sizes: Vec<usize> = edge.batches().iter().map(|b| b.documents.len()).collect();
    assert_eq!(sizes, [packager::limits::MAX_BATCH_DOCUMENTS, 10]);
    assert_eq!(state(&control, "e1").await["acknowledged_revision"], count);
}

#[tokio::test]
async fn an_edge_that_was_down_gets_everything_once_it_is_up() {
    let control = Control::new().await;
    control.add_group().await;
    let edge = FakeEdge::new(&control, "e1");
    // A port that was free a moment ago.
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    register(&control, "e1", address).await;
    let id = edge_id(&control, "e1").await;
    assert_eq!(push_once(&control.context, id).await.unwrap(), Outcome::Failed);
    let down = state(&control, "e1").await;
    assert_eq!((&down["acknowledged_revision"], &down["last_contact"]), (&json!(0), &Value::Null));
    assert!(down["last_error"].as_str().unwrap().contains("refused"), "{down}");

    let (_, _server) = edge.listen(&address.to_string()).await;
    assert_eq!(push_once(&control.context, id).await.unwrap(), Outcome::Complete);
    let up = state(&control, "e1").await;
    assert_eq!((&up["acknowledged_revision"], &up["last_error"]), (&json!(2), &Value::Null));
}

#[tokio::test]
async fn a_failed_edge_is_left_alone_for_a_while_and_holds_up_no_other() {
    let control = Control::new().await;
    control.add_group().await;
    let (bad, good) = (FakeEdge::new(&control, "bad"), FakeEdge::new(&control, "good"));
    bad.received.lock().unwrap().broken = Some((StatusCode::INTERNAL_SERVER_ERROR, "on fire"));
    let (bad_address, _bad) = bad.listen("127.0.0.1:0").await;
    let (good_address, _good) = good.listen("127.0.0.1:0").await;
    register(&control, "bad", bad_address).await;
    register(&control, "good", good_address).await;
    let mut reconciler = Reconciler::new(control.context.clone());
    reconciler.tick().await.unwrap();
    assert_eq!(good.batches().len(), 1);
    let failed = state(&control, "bad").await;
    assert_eq!(failed["last_error"], "500 Internal Server Error: on fire");
    assert!(failed["last_contact"].is_string(), "it did answer");
    bad.received.lock().unwrap().broken = None;
    reconciler.tick().await.unwrap();
    assert_eq!(bad.batches().len(), 0, "its pause is not over");
    Reconciler::new(control.context.clone()).tick().await.unwrap();
    assert_eq!(bad.batches().len(), 1, "a new process tries at once");
}

#[tokio::test]
async fn a_sequence_that_an_edge_has_seen_is_passed() {
    let control = Control::new().await;
    control.add_group().await;
    let edge = FakeEdge::new(&control, "e1");
    edge.received.lock().unwrap().last_sequence = clock::now_ms() as u64 + 1_000_000;
    let (address, _server) = edge.listen("127.0.0.1:0").await;
    register(&control, "e1", address).await;
    Reconciler::new(control.context.clone()).tick().await.unwrap();
    assert_eq!(edge.batches().len(), 1);
    assert_eq!(state(&control, "e1").await["acknowledged_revision"], 2);
}

#[tokio::test]
async fn sequences_grow_over_restarts_and_wrong_answers_count_for_nothing() {
    let control = Control::new().await;
    control.add_group().await;
    let edge = FakeEdge::new(&control, "e1");
    let (address, _server) = edge.listen("127.0.0.1:0").await;
    register(&control, "e1", address).await;
    edge.received.lock().unwrap().broken = Some((StatusCode::OK, "{\"sequence\":1,\"revision\":2}"));
    let id = edge_id(&control, "e1").await;
    assert_eq!(push_once(&control.context, id).await.unwrap(), Outcome::Failed);
    assert_eq!(state(&control, "e1").await["acknowledged_revision"], 0);
    edge.received.lock().unwrap().broken = None;
    // As if the clock had gone back: the stored sequence still rules.
    let far = clock::now_ms() + 1_000_000;
    let mut tx = control.context.db.write().await.unwrap();
    control::db::edges::next_sequence(&mut tx, id, far).await.unwrap();
    tx.commit().await.unwrap();
    let control = control.reopen().await;
    assert_eq!(push_once(&control.context, id).await.unwrap(), Outcome::Complete);
    assert!(edge.batches()[0].sequence > far as u64);
}

#[tokio::test]
async fn an_edge_that_moved_gets_everything_again() {
    let control = Control::new().await;
    control.add_group().await;
    let (old, new) = (FakeEdge::new(&control, "e1"), FakeEdge::new(&control, "e1"));
    let (old_address, _old) = old.listen("127.0.0.1:0").await;
    let (new_address, _new) = new.listen("127.0.0.1:0").await;
    register(&control, "e1", old_address).await;
    let mut reconciler = Reconciler::new(control.context.clone());
    reconciler.tick().await.unwrap();
    let moved = control.patch("/v1/edges/e1", json!({"url": format!("http://{new_address}")})).await.json();
    assert_eq!(moved["acknowledged_revision"], 0);
    reconciler.tick().await.unwrap();
    assert_eq!((old.batches().len(), new.batches().len()), (1, 1));
    assert_eq!(new.batches()[0].documents.len(), 2);
}

#[tokio::test]
async fn renaming_a_group_moves_its_documents() {
    let control = Control::new().await;
    control.add_group().await;
    control.add_playable("a", "a.mp4").await;
    let edge = FakeEdge::new(&control, "e1");
    let (address, _server) = edge.listen("127.0.0.1:0").await;
    register(&control, "e1", address).await;
    control.patch("/v1/packaging-groups/films", json!({"name": "movies"})).await;
    Reconciler::new(control.context.clone()).tick().await.unwrap();
    let documents = edge.batches()[0].documents.clone();
    let gone = |key: &str| documents.iter().any(|d| d.key == key && d.body == Body::Deleted);
    let there = |key: &str| documents.iter().any(|d| d.key == key && d.body != Body::Deleted);
    for name in ["configuration/films/hls", "configuration/films/dash", "asset/films/a"] {
        assert!(gone(name) && there(&name.replace("films", "movies")), "{name}");
    }
}

async fn edge_id(control: &Control, name: &str) -> i64 {
    control::db::edges::find(&mut control.context.db.read().await.unwrap(), name).await.unwrap().unwrap().id
}

#[tokio::test]
async fn keys_are_pushed_sealed_for_the_edge_and_only_once() {
    let control = Control::new().await;
    control.add_group().await;
    let key = "00112233445566778899aabbccddeeff";
    let protection = json!({"scheme": "cbcs", "systems": ["clearkey"], "static_keys": [{"key": key}]});
    let path = "/v1/packaging-groups/films/configurations/hls";
    assert_eq!(control.patch(path, json!({"protection": protection})).await.status, StatusCode::OK);
    assert_eq!(control.ingest("film", "film-1").await["status"], "PLAYABLE");
    let (north, south) = (FakeEdge::new(&control, "north"), FakeEdge::new(&control, "south"));
    for edge in [&north, &south] {
        let (address, server) = edge.listen("127.0.0.1:0").await;
        register(&control, edge.name, address).await;
        drop(server);
    }
    let mut reconciler = Reconciler::new(control.context.clone());
    reconciler.tick().await.unwrap();
    reconciler.tick().await.unwrap();
    let place = "keys/films/film/hls";
    let master = control::vault::MasterKey::from_hex(common::MASTER_KEY).unwrap();
    for (edge, other) in [(&north, &south), (&south, &north)] {
        let batches = edge.batches();
        assert_eq!(batches.len(), 1, "seals differ each time, and still nothing is sent twice");
        let document = batches[0].documents.iter().find(|d| d.key == place).unwrap();
        let Body::Keys(keys) = &document.body else { panic!() };
        let [sealed] = keys.keys.as_slice() else { panic!() };
        let opened = master.edge(edge.name).open(place, sealed.kid, &sealed.sealed).unwrap();
        assert_eq!(hex::encode(opened.reveal()), key);
        assert!(master.edge(other.name).open(place, sealed.kid, &sealed.sealed).is_err());
    }
    control.delete("/v1/assets/film").await;
    reconciler.tick().await.unwrap();
    let last = north.batches().pop().unwrap();
    let gone = |key: &str| last.documents.iter().any(|d| d.key == key && d.body == Body::Deleted);
    assert!(gone(place) && gone("asset/films/film"));
}

//! Nothing secret is in the database, a log, an answer, a metric or a document: everything is searched for the bytes.

mod common;

use std::io::Write;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use common::Control;
use key_server::{Behaviour, KeyServer};
use packager::config::Body as DocumentBody;
use serde_json::json;

const STATIC_KEY: [u8; 16] = *b"\x93\x1f\xc8\x07\xee\x52\x6b\xd4\x18\xa9\x3d\x70\xfb\x44\x86\x2e";
const LIVE_KEY: [u8; 16] = *b"\x27\xb8\x4d\xf1\x5c\x06\xe3\x99\xa0\x7f\x12\xcb\x68\xd5\x3e\x84";
const TOKEN_SECRET: &str = "tokensecret-9f8e7d6c5b4a39281706f5e4d3c2b1a0";
const PASSWORD: &str = "password-5b1ee9a7c0";
const HEADER: &str = "header-value-77aa22cc91";
const QUERY: &str = "query-value-0ff1ce4411";
const URL_TOKEN: &str = "path-token-ab54a98ceb1f0ad2";
const CONFIGURATIONS: &str = "/v1/packaging-groups/films/configurations";
const ENDPOINTS: &str = "/v1/channel-groups/news/channels/one/endpoints";

/// A key pair that content keys are encrypted to.
fn pem(end: &str) -> String {
    let path = format!("{}/keys/tests/fixtures/recipient.{end}.pem", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

/// What was written to the log of this process.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// All forms in which the bytes of a secret may show.
fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let hex = hex::encode(secret);
    let list: String = secret.iter().map(|byte| format!("{byte}, ")).collect();
    let texts = [
        hex.clone(),
        hex.to_uppercase(),
        STANDARD.encode(secret),
        STANDARD_NO_PAD.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
        list.trim_end_matches(", ").to_owned(),
        list.replace(", ", ",").trim_end_matches(',').to_owned(),
    ];
    let mut forms: Vec<Vec<u8>> = texts.into_iter().map(String::into_bytes).collect();
    forms.push(secret.to_vec());
    forms
}

struct Search {
    secrets: Vec<(String, Vec<Vec<u8>>)>,
}

impl Search {
    fn found(&self, bytes: &[u8]) -> Option<&str> {
        let holds = |form: &Vec<u8>| bytes.windows(form.len()).any(|window| window == form);
        self.secrets.iter().find(|(_, forms)| forms.iter().any(holds)).map(|(name, _)| name.as_str())
    }

    #[track_caller]
    fn assert_clean(&self, place: &str, bytes: &[u8]) {
        assert_eq!(self.found(bytes), None, "in {place}");
    }
}

#[tokio::test]
async fn nothing_secret_is_anywhere() {
    let log = Log::default();
    let writer = log.clone();
    let logs =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).finish();
    // Noise of the database driver itself is part of it: statements with their values would show there.
    tracing::subscriber::set_global_default(logs).unwrap();
    control::telemetry::metrics();

    let server = KeyServer::start().unwrap();
    let control = Control::new().await;
    control.post("/v1/packaging-groups", json!({"name": "films"})).await;
    let url = format!("{}?q={QUERY} -H \"{{x-key:{HEADER}}}\"", server.url("/speke/{tenant}"));
    let mut answers = Vec::new();
    for (name, package_type, protection) in [
        (
            "server",
            "CMAF",
            json!({"scheme": "cbcs", "systems": ["widevine", "playready"],
                "key_server": {"url": url, "version": "2.1", "tokens": {"tenant": URL_TOKEN}, "user": "u",
                    "password": PASSWORD, "certificate": pem("crt"), "private_key": pem("key")}}),
        ),
        (
            "static",
            "DASH",
            json!({"scheme": "cenc", "systems": ["clearkey", "playready"], "static_keys": [{"key": hex::encode(STATIC_KEY)}],
                "key_delivery": {"policy": "restricted", "tokens": [{"algorithm": "HS256", "secret": TOKEN_SECRET}]}}),
        ),
        (
            "wrong",
            "DASH",
            json!({"scheme": "cenc", "systems": ["clearkey"], "static_keys": [{"key": hex::encode(STATIC_KEY), "iv": "x"}]}),
        ),
    ] {
        let body = json!({"name": name, "package_type": package_type, "protection": protection});
        answers.push(control.post(CONFIGURATIONS, body).await);
    }
    assert_eq!((answers[0].status.as_u16(), answers[1].status.as_u16(), answers[2].status.as_u16()), (201, 201, 422));
    control.post("/v1/channel-groups", json!({"name": "news"})).await;
    control.post("/v1/channel-groups/news/channels", json!({"name": "one", "protocol": "HLS"})).await;
    for (name, protocol, protection) in [
        (
            "server",
            "HLS_CMAF",
            json!({"scheme": "cbcs", "systems": ["widevine", "playready"],
                "key_server": {"url": url, "version": "2.1", "tokens": {"tenant": URL_TOKEN}, "user": "u",
                    "password": PASSWORD, "certificate": pem("crt"), "private_key": pem("key")}}),
        ),
        (
            "static",
            "HLS",
            json!({"scheme": "aes-128", "static_keys": [{"key": hex::encode(LIVE_KEY)}],
                "key_delivery": {"policy": "restricted", "tokens": [{"algorithm": "HS256", "secret": TOKEN_SECRET}]}}),
        ),
        ("wrong", "HLS", json!({"scheme": "aes-128", "static_keys": [{"key": hex::encode(LIVE_KEY), "iv": "x"}]})),
    ] {
        let mut body = json!({"name": name, "protocol": protocol, "protection": protection});
        if name == "static" {
            body["segment"] = json!({"audio_separation": true});
        }
        answers.push(control.post(ENDPOINTS, body).await);
    }
    assert_eq!((answers[3].status.as_u16(), answers[4].status.as_u16(), answers[5].status.as_u16()), (201, 201, 422));
    control::protect::job::tick(&control.context).await.unwrap();
    let asset = control.ingest("film", "film-1").await;
    assert_eq!(asset["status"], "PLAYABLE", "{asset}");
    let place = "keys/films/film/server";
    let DocumentBody::Keys(keys) = control.document(place).await.unwrap().body else { panic!() };
    let mut secrets = vec![
        ("the static key".to_owned(), forms(&STATIC_KEY)),
        ("the static key of an endpoint".to_owned(), forms(&LIVE_KEY)),
        ("the token secret".to_owned(), forms(TOKEN_SECRET.as_bytes())),
        ("the password".to_owned(), forms(PASSWORD.as_bytes())),
        ("the header".to_owned(), forms(HEADER.as_bytes())),
        ("the query".to_owned(), forms(QUERY.as_bytes())),
        ("the token of the URL".to_owned(), forms(URL_TOKEN.as_bytes())),
        ("the private key".to_owned(), vec![pem("key").lines().nth(5).unwrap().as_bytes().to_vec()]),
        ("the master key".to_owned(), forms(&hex::decode(common::MASTER_KEY).unwrap())),
    ];
    for key in &keys.keys {
        secrets.push((format!("key {}", key.kid), forms(&key_server::key("film-1", key.kid.0))));
    }
    let live = "endpoint-keys/news/one/server";
    let DocumentBody::Keys(keys) = control.document(live).await.unwrap().body else { panic!() };
    for key in &keys.keys {
        secrets
            .push((format!("key {} of an endpoint", key.kid), forms(&key_server::key("news.one.server", key.kid.0))));
    }
    let vault = control.context.vault.clone().unwrap();
    secrets.push((
        "the sealing key of an edge".to_owned(),
        forms(&hex::decode(vault.edge("e").to_hex().as_str()).unwrap()),
    ));

    // The server got what it is to get, so the search looks for the right things.
    let request = &server.requests()[0];
    assert!(request.target.contains(URL_TOKEN) && request.target.contains(QUERY), "{}", request.target);
    assert_eq!(request.header("x-key"), Some(HEADER));

    // A token that is used, and failures that are logged.
    control.post("/v1/edges", json!({"name": "e", "url": "http://127.0.0.1:9"})).await;
    let wanted = json!({"configuration": "static", "subject": "viewer"});
    let token = control.post("/v1/assets/film/key-tokens", wanted).await.json()["token"].as_str().unwrap().to_owned();
    let shown = control.get(&format!("{CONFIGURATIONS}/static")).await.json();
    let kid = shown["protection"]["static_keys"][0]["kid"].as_str().unwrap().to_owned();
    let path = format!("/keys/v1/aes-128/films/film/static/{kid}?token={token}");
    let key = control.send(http::Request::get(&path).body(Body::empty()).unwrap()).await;
    assert_eq!((key.status.as_u16(), &key.body[..]), (200, &STATIC_KEY[..]), "who may have a key gets it");
    control.send(http::Request::get(format!("{path}x")).body(Body::empty()).unwrap()).await.assert_problem(403, None);
    secrets.push(("the viewer's token".to_owned(), vec![token.into_bytes()]));
    for behaviour in
        [Behaviour::Html, Behaviour::OtherKid, Behaviour::HalfTheKeys, Behaviour::Refusing(403, "no".into())]
    {
        server.behave(behaviour);
        control.patch(&format!("{ENDPOINTS}/server"), json!({"content_id": "another"})).await;
        control.patch(&format!("{ENDPOINTS}/server"), json!({"content_id": "news.one.server"})).await;
        control::protect::job::tick(&control.context).await.unwrap();
        control.patch("/v1/assets/film", json!({"sources": [{"path": "h264_aac.mp4"}]})).await;
        while control::ingest::assets::tick(&control.context).await.unwrap() {}
    }
    control::push::Reconciler::new(control.context.clone()).tick().await.unwrap();

    let search = Search { secrets };
    assert_eq!(search.found(b"0931fc807ee526bd418a93d70fb44862e0"), Some("the static key"), "the search finds");
    for answer in &answers {
        search.assert_clean("an answer", &answer.body);
    }
    for path in [
        CONFIGURATIONS,
        "/v1/packaging-groups/films/configurations/server",
        "/v1/packaging-groups/films/configurations/static",
        "/v1/packaging-groups",
        "/v1/assets",
        "/v1/assets/film",
        "/v1/edges",
        ENDPOINTS,
        "/v1/channel-groups/news/channels/one/endpoints/server",
        "/openapi.json",
        "/metrics",
    ] {
        let answer = control.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        search.assert_clean(path, &answer.body);
    }
    for name in [
        "asset/films/film",
        "configuration/films/server",
        "configuration/films/static",
        place,
        "endpoint/news/one/server",
        live,
        "endpoint-keys/news/one/static",
    ] {
        let origin = format!("/origin/v1/documents/{name}");
        let answer = control.origin(http::Method::GET, &origin, &[("edgepack-edge", "e")]).await;
        assert_eq!(answer.status, 200, "{name}");
        search.assert_clean(name, &answer.body);
        search.assert_clean(name, format!("{:?}", control.document(name).await).as_bytes());
    }
    let files = |end: &str| std::fs::read(control.directory.path().join(format!("control.db{end}")));
    for end in ["", "-wal"] {
        let bytes = files(end).unwrap();
        assert!(!bytes.is_empty());
        search.assert_clean(&format!("control.db{end}"), &bytes);
    }
    let log = log.0.lock().unwrap().clone();
    let text = String::from_utf8_lossy(&log);
    assert!(text.contains("playable"), "{} bytes of log", log.len());
    search.assert_clean("the log", &log);
}

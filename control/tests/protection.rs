//! Content protection with static keys: what the REST interface takes and shows, and the documents that edges get.

mod common;

use common::{Control, MASTER_KEY};
use control::db::Db;
use control::protect;
use control::vault::{MasterKey, Vault};
use packager::config::{Body, ContentKeys, Document, KeyUse};
use packager::sealing::SealingKey;
use serde_json::{Value, json};

const KEY: &str = "00112233445566778899aabbccddeeff";
const OTHER_KEY: &str = "ffeeddccbbaa99887766554433221100";
const KID: &str = "11111111-0000-4000-8000-0000000000a1";
const CONFIGURATIONS: &str = "/v1/packaging-groups/films/configurations";

fn cbcs() -> Value {
    json!({"scheme": "cbcs", "systems": ["widevine", "clearkey"], "static_keys": [{"kid": KID, "key": KEY}]})
}

async fn films() -> Control {
    let control = Control::new().await;
    control.post("/v1/packaging-groups", json!({"name": "films"})).await;
    control
}

async fn protect(control: &Control, name: &str, package_type: &str, protection: Value) {
    let body = json!({"name": name, "package_type": package_type, "protection": protection});
    let answer = control.post(CONFIGURATIONS, body).await;
    assert_eq!(answer.status, 201, "{:?}", answer.body);
}

/// The keys that wait for edges under a name, if there are any.
async fn keys(control: &Control, name: &str) -> Option<ContentKeys> {
    match control.document(name).await.map(|document| document.body) {
        Some(Body::Keys(keys)) => Some(keys),
        _ => None,
    }
}

fn edge_key(name: &str) -> SealingKey {
    MasterKey::from_hex(MASTER_KEY).unwrap().edge(name)
}

fn opened(keys: &ContentKeys, place: &str, sealing: &SealingKey) -> Vec<String> {
    keys.keys.iter().map(|key| hex::encode(sealing.open(place, key.kid, &key.sealed).unwrap().reveal())).collect()
}

#[tokio::test]
async fn what_is_secret_is_taken_and_never_shown() {
    let control = films().await;
    let mut protection = cbcs();
    protection["constant_iv"] = json!("0f0e0d0c0b0a09080706050403020100");
    protection["clear_lead_segments"] = json!(2);
    protection["licence_urls"] = json!({"widevine": "https://licence.example.com/w?x=1&y=2"});
    protection["key_delivery"] = json!({"policy": "restricted",
        "tokens": [{"algorithm": "HS256", "secret": "a secret of at least 32 characters"}], "issuer": "us"});
    protect(&control, "c", "CMAF", protection).await;
    let answer = control.get(&format!("{CONFIGURATIONS}/c")).await;
    let shown = answer.json()["protection"].clone();
    assert_eq!(
        shown,
        json!({"scheme": "cbcs", "systems": ["widevine", "clearkey"],
            "static_keys": [{"kid": KID, "key": null, "usage": {"media": "all"}}],
            "constant_iv": "0f0e0d0c0b0a09080706050403020100", "clear_lead_segments": 2, "pssh_in_moov": false,
            "no_key_sample_groups": false, "licence_urls": {"widevine": "https://licence.example.com/w?x=1&y=2"},
            "key_delivery": {"policy": "restricted", "tokens": [{"algorithm": "HS256", "secret": null}], "issuer": "us"}})
    );
    let list = control.get(CONFIGURATIONS).await;
    assert_eq!(list.json()["items"][0]["protection"], shown);
    let document = control.document("configuration/films/c").await.unwrap();
    let Body::Configuration(configuration) = document.body else { panic!() };
    let output = configuration.protection.unwrap();
    assert_eq!((output.clear_lead_segments, output.systems.len()), (2, 2));

    // Without a key id one is made that is always the same and not the key.
    protect(&control, "d", "DASH", json!({"scheme": "cenc", "systems": ["clearkey"], "static_keys": [{"key": KEY}]}))
        .await;
    let made = control.get(&format!("{CONFIGURATIONS}/d")).await.json()["protection"]["static_keys"][0]["kid"].clone();
    assert_ne!(made.as_str().unwrap().replace('-', ""), KEY);
    assert_eq!(&made.as_str().unwrap()[14..15], "8");

    let cleared = control.patch(&format!("{CONFIGURATIONS}/c"), json!({"protection": null})).await.json();
    assert_eq!(cleared["protection"], Value::Null);
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_its_field() {
    let control = films().await;
    let with = |changes: Value| {
        let mut protection = cbcs();
        for (name, value) in changes.as_object().unwrap() {
            protection[name] = value.clone();
        }
        protection
    };
    let hls = json!({"scheme": "aes-128", "static_keys": [{"key": KEY}], "key_delivery": {"policy": "open"}});
    for (package_type, protection, field) in [
        ("CMAF", with(json!({"scheme": "aes-128"})), "/protection/scheme"),
        ("HLS", cbcs(), "/protection/scheme"),
        ("DASH", with(json!({"systems": ["fairplay"]})), "/protection/systems"),
        ("DASH", with(json!({"systems": ["widevine", "playready", "clearkey"]})), "/protection/systems"),
        ("CMAF", with(json!({"systems": []})), "/protection/systems"),
        ("CMAF", with(json!({"systems": ["widevine", "widevine"]})), "/protection/systems"),
        ("CMAF", with(json!({"clear_lead_segments": 61})), "/protection/clear_lead_segments"),
        ("CMAF", with(json!({"constant_iv": "00"})), "/protection/constant_iv"),
        ("CMAF", with(json!({"scheme": "cenc", "constant_iv": KEY})), "/protection/constant_iv"),
        ("CMAF", with(json!({"static_keys": []})), "/protection/static_keys"),
        ("CMAF", with(json!({"static_keys": [{"key": "00"}]})), "/protection/static_keys/0/key"),
        ("CMAF", with(json!({"static_keys": [{"key": KEY, "kid": "x"}]})), "/protection/static_keys/0/kid"),
        ("CMAF", with(json!({"static_keys": [{"key": KEY, "iv": "x"}]})), "/protection/static_keys/0/iv"),
        ("CMAF", with(json!({"static_keys": [{"key": KEY}, {"key": OTHER_KEY}]})), "/protection/static_keys"),
        (
            "CMAF",
            with(json!({"static_keys": [{"key": KEY, "usage": {"media": "audio", "min_pixels": 1}}]})),
            "/protection/static_keys/0/usage",
        ),
        ("CMAF", with(json!({"static_keys": [{"key": KEY, "secret": 1}]})), "/protection/static_keys/0/secret"),
        ("CMAF", with(json!({"licence_urls": {"widevine": "ftp://x"}})), "/protection/licence_urls/widevine"),
        ("CMAF", with(json!({"licence_urls": {"fairplay": "https://x"}})), "/protection/licence_urls/fairplay"),
        ("CMAF", with(json!({"drm": 1})), "/protection/drm"),
        ("CMAF", with(json!({"key_delivery": {"policy": "restricted"}})), "/protection/key_delivery/tokens"),
        (
            "CMAF",
            with(
                json!({"key_delivery": {"policy": "restricted", "tokens": [{"algorithm": "HS256", "secret": "short"}]}}),
            ),
            "/protection/key_delivery/tokens/0/secret",
        ),
        (
            "CMAF",
            with(
                json!({"key_delivery": {"policy": "restricted", "tokens": [{"algorithm": "RS256", "public_key": "x"}]}}),
            ),
            "/protection/key_delivery/tokens/0/public_key",
        ),
        ("CMAF", json!({"scheme": "cbcs", "systems": ["widevine"]}), "/protection/key_server"),
        ("HLS", json!({"scheme": "aes-128", "static_keys": [{"key": KEY}]}), "/protection/key_delivery"),
        (
            "HLS",
            json!({"scheme": "sample-aes", "key_delivery": {"policy": "open"}, "static_keys":
                [{"key": KEY, "usage": {"media": "video"}}, {"key": OTHER_KEY, "usage": {"media": "audio"}}]}),
            "/protection/static_keys",
        ),
        (
            "CMAF",
            json!({"scheme": "cbcs", "systems": ["widevine"], "key_server": {"url": "not a url", "version": "2.0"}}),
            "/protection/key_server/url",
        ),
        (
            "CMAF",
            json!({"scheme": "cbcs", "systems": ["widevine"], "key_server": {"url": "http://k/", "version": "1.0",
                "contract": {"video": "VIDEO-1", "audio": "AUDIO-1"}}}),
            "/protection/key_server/contract",
        ),
        (
            "HLS",
            json!({"scheme": "sample-aes", "systems": ["fairplay"], "key_server": {"url": "http://k/", "version": "2.0"}}),
            "/protection/key_server/contract",
        ),
    ] {
        let body = json!({"name": "c", "package_type": package_type, "protection": protection});
        let answer = control.post(CONFIGURATIONS, body).await;
        answer.assert_problem(422, Some(field));
        assert!(!String::from_utf8_lossy(&answer.body).contains(KEY));
    }
    // A value of the wrong kind is not repeated below this field.
    let body = json!({"name": "c", "package_type": "CMAF", "protection": {"scheme": "cbcs", "static_keys": KEY}});
    let answer = control.post(CONFIGURATIONS, body).await;
    answer.assert_problem(422, Some("/protection/static_keys"));
    assert!(!String::from_utf8_lossy(&answer.body).contains(KEY));

    let audio_apart = json!({"name": "h", "package_type": "HLS", "audio_separation": true, "protection":
        {"scheme": "sample-aes", "key_delivery": {"policy": "open"}, "static_keys":
            [{"key": KEY, "usage": {"media": "video"}}, {"key": OTHER_KEY, "usage": {"media": "audio"}}]}});
    assert_eq!(control.post(CONFIGURATIONS, audio_apart).await.status, 201);
    let together = control.patch(&format!("{CONFIGURATIONS}/h"), json!({"audio_separation": false})).await;
    together.assert_problem(422, Some("/protection/static_keys"));
    protect(&control, "a", "HLS", hls).await;
    let other_type = control.patch(&format!("{CONFIGURATIONS}/a"), json!({"package_type": "DASH"})).await;
    other_type.assert_problem(422, Some("/protection/scheme"));
}

#[tokio::test]
async fn content_ids_are_needed_where_content_is_protected() {
    let control = films().await;
    control.post(CONFIGURATIONS, json!({"name": "clear", "package_type": "CMAF"})).await;
    let asset = |name: &str| json!({"name": name, "packaging_group": "films", "sources": [{"path": "a.mp4"}]});
    assert_eq!(control.post("/v1/assets", asset("bare")).await.status, 202);
    let body = json!({"name": "c", "package_type": "CMAF", "protection": cbcs()});
    let refused = control.post(CONFIGURATIONS, body.clone()).await;
    refused.assert_problem(409, Some("/protection"));
    assert!(refused.json()["detail"].as_str().unwrap().contains("bare"));
    let refused = control.patch(&format!("{CONFIGURATIONS}/clear"), json!({"protection": cbcs()})).await;
    refused.assert_problem(409, Some("/protection"));
    assert_eq!(control.patch("/v1/assets/bare", json!({"content_id": "film-1"})).await.status, 200);
    assert_eq!(control.post(CONFIGURATIONS, body).await.status, 201);
    control.post("/v1/assets", asset("other")).await.assert_problem(422, Some("/content_id"));
    control.patch("/v1/assets/bare", json!({"content_id": null})).await.assert_problem(422, Some("/content_id"));
}

#[tokio::test]
async fn static_keys_reach_edges_sealed_for_each() {
    let control = films().await;
    protect(&control, "c", "CMAF", cbcs()).await;
    protect(
        &control,
        "d",
        "DASH",
        json!({"scheme": "cenc", "systems": ["widevine", "playready"], "static_keys": [
        {"key": KEY, "usage": {"media": "video"}}, {"key": OTHER_KEY, "usage": {"media": "audio"}}]}),
    )
    .await;
    let asset = control.ingest("film", "film-1").await;
    assert_eq!(asset["status"], "PLAYABLE", "{asset}");

    let place = "keys/films/film/c";
    let stored = keys(&control, place).await.unwrap();
    assert_eq!((stored.keys.len(), stored.keys[0].kid.to_string().as_str()), (1, KID));
    assert_eq!(stored.keys[0].usage, KeyUse::All);
    assert!(stored.keys[0].iv.is_some(), "made from the key");
    let signalling = &stored.keys[0].signalling;
    assert!(signalling.iter().any(|s| s.pssh.is_some() && s.hls.as_ref().is_some_and(|l| l.contains("edef8ba9"))));
    assert!(
        edge_key("e1").open(place, stored.keys[0].kid, &stored.keys[0].sealed).is_err(),
        "what waits is for nobody"
    );
    let cenc = keys(&control, "keys/films/film/d").await.unwrap();
    assert!(cenc.keys.len() == 2 && cenc.keys.iter().all(|key| key.iv.is_none()));

    for edge in ["e1", "e2"] {
        control.post("/v1/edges", json!({"name": edge, "url": format!("http://{edge}")})).await;
        let pull = format!("/origin/v1/documents/{place}");
        let answer = control.origin(http::Method::GET, &pull, &[("edgepack-edge", edge)]).await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        let document = Document::from_json(&answer.body).unwrap();
        let Body::Keys(pulled) = document.body else { panic!() };
        assert_eq!(opened(&pulled, place, &edge_key(edge)), [KEY]);
        assert!(edge_key("e3").open(place, pulled.keys[0].kid, &pulled.keys[0].sealed).is_err());
        assert_eq!(pulled.keys[0].signalling, stored.keys[0].signalling);
    }
    let pull = |headers: &'static [(&str, &str)]| {
        control.origin(http::Method::GET, "/origin/v1/documents/keys/films/film/c", headers)
    };
    pull(&[]).await.assert_problem(400, None);
    pull(&[("edgepack-edge", "nobody")]).await.assert_problem(404, None);

    let urls = control.get("/v1/assets/film").await.json()["playback_urls"].clone();
    assert_eq!(urls[0]["protection"], json!({"state": "READY"}));
}

#[tokio::test]
async fn a_track_without_a_key_fails_the_ingest() {
    let control = films().await;
    let video_only = json!([{"key": KEY, "usage": {"media": "video"}}]);
    protect(&control, "c", "CMAF", json!({"scheme": "cbcs", "systems": ["clearkey"], "static_keys": video_only})).await;
    let asset = control.ingest("film", "film-1").await;
    assert_eq!(asset["status"], "FAILED");
    let reason = asset["failure"]["reason"].as_str().unwrap();
    assert!(reason.contains("configuration c") && reason.contains("track a0"), "{reason}");
    assert!(keys(&control, "keys/films/film/c").await.is_none());
    assert!(control.document("asset/films/film").await.is_none(), "nothing is played");
}

#[tokio::test]
async fn assets_that_are_there_get_keys_when_they_are_protected() {
    let control = films().await;
    control.post(CONFIGURATIONS, json!({"name": "c", "package_type": "CMAF"})).await;
    assert_eq!(control.ingest("film", "film-1").await["status"], "PLAYABLE");
    control.patch(&format!("{CONFIGURATIONS}/c"), json!({"protection": cbcs()})).await;
    control.post("/v1/edges", json!({"name": "e", "url": "http://e"})).await;
    let state =
        async |control: &Control| control.get("/v1/assets/film").await.json()["playback_urls"][0]["protection"].clone();
    assert_eq!(state(&control).await, json!({"state": "PENDING"}));
    assert!(keys(&control, "keys/films/film/c").await.is_none());
    assert_eq!(protect::job::tick(&control.context).await.unwrap(), 1);
    assert_eq!(state(&control).await, json!({"state": "READY"}));
    assert_eq!(protect::job::tick(&control.context).await.unwrap(), 0, "nothing is left to ask for");
    let before = control.document("keys/films/film/c").await.unwrap();

    // What is refreshed without a change is no new revision.
    protect::documents::refresh(&control.context).await.unwrap();
    assert_eq!(control.document("keys/films/film/c").await.unwrap(), before);

    let other = json!({"scheme": "cbcs", "systems": ["widevine"], "static_keys": [{"key": OTHER_KEY}]});
    control.patch(&format!("{CONFIGURATIONS}/c"), json!({"protection": other})).await;
    assert_eq!(state(&control).await, json!({"state": "PENDING"}));
    protect::job::tick(&control.context).await.unwrap();
    let after = control.document("keys/films/film/c").await.unwrap();
    assert!(after.revision > before.revision);
    let Body::Keys(after) = after.body else { panic!() };
    assert_ne!(after.keys[0].kid.to_string(), KID);

    let narrow =
        json!({"scheme": "cbcs", "systems": ["widevine"], "static_keys": [{"key": KEY, "usage": {"media": "audio"}}]});
    control.patch(&format!("{CONFIGURATIONS}/c"), json!({"protection": narrow})).await;
    protect::job::tick(&control.context).await.unwrap();
    let failed = state(&control).await;
    assert_eq!(failed["state"], "FAILED");
    assert!(failed["reason"].as_str().unwrap().contains("track v0"), "{failed}");
    assert_eq!(keys(&control, "keys/films/film/c").await.unwrap(), after, "the keys it had stay");
    assert_eq!(protect::job::tick(&control.context).await.unwrap(), 0, "its pause is not over");
}

#[tokio::test]
async fn keys_go_and_move_with_what_they_are_for() {
    let control = films().await;
    protect(&control, "c", "CMAF", cbcs()).await;
    control.ingest("film", "film-1").await;
    control.ingest("show", "show-1").await;
    let gone = async |key: &str| control.document(key).await.is_none_or(|d| d.body == Body::Deleted);
    let secret = async |key: &str| {
        let keys = keys(&control, key).await.unwrap_or_else(|| panic!("no {key}"));
        opened(&keys, key, &control.context.vault.as_ref().unwrap().documents())
    };
    assert_eq!(secret("keys/films/film/c").await, [KEY]);
    control.patch("/v1/assets/film", json!({"name": "movie"})).await;
    assert!(gone("keys/films/film/c").await);
    assert_eq!(secret("keys/films/movie/c").await, [KEY]);
    control.patch(&format!("{CONFIGURATIONS}/c"), json!({"name": "d"})).await;
    assert!(gone("keys/films/movie/c").await && gone("keys/films/show/c").await);
    assert_eq!(secret("keys/films/show/d").await, [KEY]);
    control.patch("/v1/packaging-groups/films", json!({"name": "cinema"})).await;
    assert!(gone("keys/films/movie/d").await);
    assert_eq!(secret("keys/cinema/movie/d").await, [KEY]);
    control.delete("/v1/assets/movie").await;
    assert!(gone("keys/cinema/movie/d").await && !gone("keys/cinema/show/d").await);
    control.patch("/v1/packaging-groups/cinema/configurations/d", json!({"protection": null})).await;
    assert!(gone("keys/cinema/show/d").await);
    control.patch("/v1/packaging-groups/cinema/configurations/d", json!({"protection": cbcs()})).await;
    protect::job::tick(&control.context).await.unwrap();
    assert_eq!(secret("keys/cinema/show/d").await, [KEY]);
    control.delete("/v1/packaging-groups/cinema/configurations/d").await;
    assert!(gone("keys/cinema/show/d").await);
}

#[tokio::test]
async fn the_master_key_is_needed_and_a_wrong_one_changes_nothing() {
    let control = films().await;
    protect(&control, "c", "CMAF", cbcs()).await;
    control.ingest("film", "film-1").await;
    let control = control.reopen().await;
    assert!(
        protect::Stored::from(&row(&control).await).settings(&control.context).unwrap().is_some(),
        "it opens again"
    );
    let file = control.directory.path().join("control.db");
    control.context.db.close().await;

    let db = Db::open(&file).await.unwrap();
    let before = snapshot(&db).await;
    let wrong = Vault::open(&db, Some(MasterKey::from_hex(&"ab".repeat(32)).unwrap())).await;
    let wrong = format!("{:#}", wrong.err().unwrap());
    assert!(wrong.contains("CONTROL_MASTER_KEY") && wrong.contains("nothing was changed"), "{wrong}");
    let missing = format!("{:#}", Vault::open(&db, None).await.err().unwrap());
    assert!(missing.contains("CONTROL_MASTER_KEY is not set"), "{missing}");
    assert_eq!(snapshot(&db).await, before);
    assert!(Vault::open(&db, Some(MasterKey::from_hex(MASTER_KEY).unwrap())).await.unwrap().is_some());
}

async fn row(control: &Control) -> control::db::configurations::Configuration {
    let mut db = control.context.db.read().await.unwrap();
    control::db::configurations::find(&mut db, "c").await.unwrap().unwrap()
}

async fn snapshot(db: &Db) -> Vec<Option<Vec<u8>>> {
    let mut db = db.read().await.unwrap();
    let configuration = control::db::configurations::find(&mut db, "c").await.unwrap().unwrap();
    vec![control::db::vault::check_value(&mut db).await.unwrap(), configuration.protection_sealed]
}

#[tokio::test]
async fn without_a_master_key_nothing_is_protected() {
    let directory = tempfile::tempdir().unwrap();
    let server = control::serve(control::ServeOptions::local(directory.path().to_owned())).await.unwrap();
    let router = control::api::router(server.context().clone());
    let post = async |path: &str, body: Value| {
        let request = http::Request::post(path)
            .header("authorization", format!("Bearer {}", server.admin_token()))
            .header("content-type", "application/json")
            .body(axum::body::Body::from(body.to_string()));
        let answer = tower::Service::call(&mut router.clone(), request.unwrap()).await.unwrap();
        let status = answer.status();
        let body = http_body_util::BodyExt::collect(answer.into_body()).await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    };
    post("/v1/packaging-groups", json!({"name": "films"})).await;
    let body = json!({"name": "c", "package_type": "CMAF", "protection": cbcs()});
    let (status, text) = post(CONFIGURATIONS, body).await;
    assert_eq!(status, 409);
    assert!(text.contains("openssl rand -hex 32") && text.contains("CONTROL_MASTER_KEY"), "{text}");
    assert_eq!(server.edge_variables("e")[4], ("sealing_key", String::new()));
    server.shutdown().await;

    let mut options = control::ServeOptions::local(directory.path().to_owned());
    options.master_key = Some(control::options::MasterKeyText::new(MASTER_KEY));
    let server = control::serve(options.clone()).await.unwrap();
    let expected = edge_key("e").to_hex().to_string();
    assert_eq!(server.edge_variables("e")[4], ("sealing_key", expected));
    server.shutdown().await;
    options.master_key = Some(control::options::MasterKeyText::new("00".repeat(32)));
    let error = format!("{:#}", control::serve(options).await.err().unwrap());
    assert!(error.contains("is not the master key"), "{error}");
}

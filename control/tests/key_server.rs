//! Keys from key servers, and every way in which those can fail.

mod common;

use common::Control;
use control::protect;
use key_server::{Behaviour, KeyServer};
use packager::config::{Body, ContentKeys, KeyUse};
use serde_json::{Value, json};

const CONFIGURATIONS: &str = "/v1/packaging-groups/films/configurations";

fn protection(server: &KeyServer, version: &str) -> Value {
    json!({"scheme": "cbcs", "systems": ["widevine", "playready"],
        "key_server": {"url": server.url("/speke"), "version": version}})
}

async fn films(protection: Value) -> Control {
    let control = Control::new().await;
    control.post("/v1/packaging-groups", json!({"name": "films"})).await;
    let body = json!({"name": "c", "package_type": "CMAF", "protection": protection});
    let answer = control.post(CONFIGURATIONS, body).await;
    assert_eq!(answer.status, 201, "{:?}", answer.body);
    control
}

async fn keys(control: &Control) -> Option<ContentKeys> {
    match control.document("keys/films/film/c").await?.body {
        Body::Keys(keys) => Some(keys),
        _ => None,
    }
}

/// The keys that wait for edges, opened, are those of the key server.
fn check(control: &Control, keys: &ContentKeys, content_id: &str) {
    let sealing = control.context.vault.as_ref().unwrap().documents();
    for key in &keys.keys {
        let opened = sealing.open("keys/films/film/c", key.kid, &key.sealed).unwrap();
        assert_eq!(opened.reveal(), &key_server::key(content_id, key.kid.0));
    }
}

#[tokio::test]
async fn every_version_gives_keys_before_an_asset_is_playable() {
    for (version, count) in [("1.0", 1), ("2.0", 2), ("2.1", 2)] {
        let server = KeyServer::start().unwrap();
        let control = films(protection(&server, version)).await;
        let asset = control.ingest("film", "film-1").await;
        assert_eq!(asset["status"], "PLAYABLE", "{version}: {asset}");
        let keys = keys(&control).await.unwrap();
        assert_eq!(keys.keys.len(), count, "{version}");
        check(&control, &keys, "film-1");
        assert!(keys.keys.iter().all(|key| key.iv.is_some() && key.signalling.len() == 2));
        if count == 2 {
            assert!(matches!(keys.keys[0].usage, KeyUse::Video { .. }));
            assert!(matches!(keys.keys[1].usage, KeyUse::Audio { .. }));
        }
        let shown = control.get(&format!("{CONFIGURATIONS}/c")).await.json()["protection"]["key_server"].clone();
        assert_eq!((&shown["version"], &shown["password"]), (&json!(version), &Value::Null));

        // The same is asked for again: the same keys, and no new revision.
        let before = control.document("keys/films/film/c").await.unwrap();
        control.patch("/v1/assets/film", json!({"sources": [{"path": "h264_aac.mp4"}]})).await;
        while control::ingest::assets::tick(&control.context).await.unwrap() {}
        assert_eq!(control.document("keys/films/film/c").await.unwrap(), before);
        assert_eq!(server.requests().len(), 2);
    }
}

#[tokio::test]
async fn transport_streams_have_one_key() {
    let server = KeyServer::start().unwrap();
    let control = films(protection(&server, "2.0")).await;
    for (name, scheme) in [("a", "aes-128"), ("s", "sample-aes")] {
        let protection = json!({"scheme": scheme, "key_delivery": {"policy": "open"},
            "key_server": {"url": server.url("/speke"), "version": "2.0", "contract": "SHARED"}});
        let body = json!({"name": name, "package_type": "HLS", "protection": protection});
        let answer = control.post(CONFIGURATIONS, body).await;
        assert_eq!(answer.status, 201, "{:?}", answer.body);
    }
    let asset = control.ingest("film", "film-1").await;
    assert_eq!(asset["status"], "PLAYABLE", "{asset}");
    for name in ["a", "s"] {
        let document = control.document(&format!("keys/films/film/{name}")).await.unwrap();
        let Body::Keys(keys) = document.body else { panic!() };
        assert_eq!((keys.keys.len(), keys.keys[0].usage), (1, KeyUse::All));
        let line = keys.keys[0].signalling[0].hls.clone().unwrap();
        let url = format!("{}/keys/v1/aes-128/films/film/{name}/{}", common::KEYS_URL, keys.keys[0].kid);
        assert!(line.contains(&url), "{line}");
    }
}

#[tokio::test]
async fn a_key_server_that_fails_fails_the_asset_with_the_reason() {
    let mut server = KeyServer::start().unwrap();
    let slow = Behaviour::Slow(std::time::Duration::from_secs(10));
    for (behaviour, expected) in [
        (slow, "did not answer within 2 s"),
        (Behaviour::Refusing(403, "who are you".into()), "403"),
        (Behaviour::Failing(100), "500"),
        (Behaviour::Html, "text/html"),
        (Behaviour::XmlBomb, "document type declaration"),
        (Behaviour::Huge, "more than 1 MiB"),
        (Behaviour::Truncated, "not well-formed"),
        (Behaviour::OtherKid, "was not asked for"),
        (Behaviour::HalfTheKeys, "no key for"),
        (Behaviour::ShortKey, "16 bytes"),
        (Behaviour::OtherScheme, "scheme"),
        (Behaviour::SameTracks, "the same tracks"),
        (Behaviour::LeavingOut("PSSH"), "PSSH"),
    ] {
        server.behave(behaviour.clone());
        let control = films(protection(&server, "2.0")).await;
        let asset = control.ingest("film", "film-1").await;
        assert_eq!(asset["status"], "FAILED", "{behaviour:?}: {asset}");
        let reason = asset["failure"]["reason"].as_str().unwrap();
        assert!(reason.starts_with("configuration c: ") && reason.contains(expected), "{behaviour:?}: {reason}");
        assert!(keys(&control).await.is_none() && control.document("asset/films/film").await.is_none());
    }
    server.down();
    let control = films(protection(&server, "2.0")).await;
    let asset = control.ingest("film", "film-1").await;
    assert_eq!(asset["status"], "FAILED", "{asset}");
}

#[tokio::test]
async fn a_second_ingest_keeps_the_keys_when_there_are_no_new_ones() {
    let server = KeyServer::start().unwrap();
    let control = films(protection(&server, "2.1")).await;
    assert_eq!(control.ingest("film", "film-1").await["status"], "PLAYABLE");
    let before = keys(&control).await.unwrap();
    server.behave(Behaviour::Html);
    control.patch("/v1/assets/film", json!({"sources": [{"path": "h264_aac.mp4"}]})).await;
    while control::ingest::assets::tick(&control.context).await.unwrap() {}
    let asset = control.get("/v1/assets/film").await.json();
    assert_eq!(asset["status"], "PLAYABLE", "{asset}");
    let warnings = asset["warnings"].to_string();
    assert!(warnings.contains("configuration c: the keys it had are kept"), "{warnings}");
    assert_eq!(keys(&control).await.unwrap(), before);

    // Other keys of the same configuration do not help an asset that never had any.
    let other = json!({"name": "new", "packaging_group": "films", "content_id": "film-2",
        "sources": [{"path": "h264_aac.mp4"}]});
    control.post("/v1/assets", other).await;
    while control::ingest::assets::tick(&control.context).await.unwrap() {}
    assert_eq!(control.get("/v1/assets/new").await.json()["status"], "FAILED");
}

#[tokio::test]
async fn keys_of_playable_assets_are_asked_for_again_after_a_pause() {
    let server = KeyServer::start().unwrap();
    server.behave(Behaviour::Refusing(500, "out of order".into()));
    let control = Control::new().await;
    control.post("/v1/packaging-groups", json!({"name": "films"})).await;
    control.post(CONFIGURATIONS, json!({"name": "c", "package_type": "DASH"})).await;
    assert_eq!(control.ingest("film", "film-1").await["status"], "PLAYABLE");
    control.post("/v1/edges", json!({"name": "e", "url": "http://e"})).await;
    control.patch(&format!("{CONFIGURATIONS}/c"), json!({"protection": protection(&server, "2.0")})).await;
    assert_eq!(protect::job::tick(&control.context).await.unwrap(), 1);
    let status = control.get("/v1/assets/film").await.json()["playback_urls"][0]["protection"].clone();
    assert_eq!(status["state"], "FAILED");
    assert!(status["reason"].as_str().unwrap().contains("500"), "{status}");
    assert!(keys(&control).await.is_none());
    assert_eq!(protect::job::tick(&control.context).await.unwrap(), 0, "its pause is not over");

    server.behave(Behaviour::Sound);
    control.patch(&format!("{CONFIGURATIONS}/c"), json!({"protection": protection(&server, "2.1")})).await;
    assert_eq!(protect::job::tick(&control.context).await.unwrap(), 1, "a change is asked for at once");
    check(&control, &keys(&control).await.unwrap(), "film-1");
}

#[tokio::test]
async fn encrypted_keys_are_opened_and_a_wrong_mac_is_not_taken() {
    let pem = |end: &str| {
        let path = format!("{}/keys/tests/fixtures/recipient.{end}.pem", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(path).unwrap()
    };
    let server = KeyServer::start().unwrap();
    let mut protection = protection(&server, "2.0");
    protection["key_server"]["certificate"] = json!(pem("crt"));
    protection["key_server"]["private_key"] = json!(pem("key"));
    let control = films(protection.clone()).await;
    let shown = control.get(&format!("{CONFIGURATIONS}/c")).await.json()["protection"]["key_server"].clone();
    assert_eq!((&shown["certificate"], &shown["private_key"]), (&json!(pem("crt")), &Value::Null));
    assert_eq!(control.ingest("film", "film-1").await["status"], "PLAYABLE");
    let before = keys(&control).await.unwrap();
    check(&control, &before, "film-1");
    for behaviour in [Behaviour::WrongMac, Behaviour::NotEncrypted] {
        server.behave(behaviour.clone());
        let fresh = films(protection.clone()).await;
        let asset = fresh.ingest("film", "film-1").await;
        assert_eq!(asset["status"], "FAILED", "{behaviour:?}: {asset}");
        assert!(keys(&fresh).await.is_none());
        control.patch("/v1/assets/film", json!({"sources": [{"path": "h264_aac.mp4"}]})).await;
        while control::ingest::assets::tick(&control.context).await.unwrap() {}
        assert_eq!(control.get("/v1/assets/film").await.json()["status"], "PLAYABLE");
        assert_eq!(keys(&control).await.unwrap(), before, "{behaviour:?}: it keeps the keys it had");
    }
}

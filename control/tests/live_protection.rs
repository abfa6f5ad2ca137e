//! Content protection of live endpoints: what the REST interface takes and shows, where keys come from, and what edges get.

mod common;

use axum::body::Body as HttpBody;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::{Answer, Control, MASTER_KEY};
use control::protect;
use control::vault::MasterKey;
use http::{Method, Request};
use key_server::{Behaviour, KeyServer};
use packager::config::{Body, ContentKeys, Document, Endpoint, Kid};
use serde_json::{Value, json};

const KEY: &str = "00112233445566778899aabbccddeeff";
const KID: &str = "11111111-0000-4000-8000-0000000000a1";
const SECRET: &str = "a secret of at least 32 characters";
const CHANNELS: &str = "/v1/channel-groups/news/channels";
const ENDPOINTS: &str = "/v1/channel-groups/news/channels/one/endpoints";

/// A control plane with the channel `one` of the group `news`.
async fn news() -> Control {
    let control = Control::new().await;
    control.post("/v1/channel-groups", json!({"name": "news"})).await;
    assert_eq!(control.post(CHANNELS, json!({"name": "one", "protocol": "HLS"})).await.status, 201);
    control
}

fn cbcs() -> Value {
    json!({"scheme": "cbcs", "systems": ["clearkey"], "static_keys": [{"kid": KID, "key": KEY}],
        "key_delivery": {"policy": "open"}})
}

fn served(server: &KeyServer) -> Value {
    json!({"scheme": "cbcs", "systems": ["widevine", "playready"],
        "key_server": {"url": server.url("/speke"), "version": "2.0"}})
}

async fn protect(control: &Control, name: &str, protocol: &str, protection: Value) -> Value {
    let body = json!({"name": name, "protocol": protocol, "protection": protection});
    let answer = control.post(ENDPOINTS, body).await;
    assert_eq!(answer.status, 201, "{:?}", answer.body);
    answer.json()
}

async fn show(control: &Control, name: &str) -> Value {
    control.get(&format!("{ENDPOINTS}/{name}")).await.json()
}

async fn patch(control: &Control, name: &str, body: Value) -> Answer {
    control.patch(&format!("{ENDPOINTS}/{name}"), body).await
}

async fn ask(control: &Control) -> usize {
    protect::job::tick(&control.context).await.unwrap()
}

/// The keys that wait for edges, if there are any, and the secrets in them.
async fn keys(control: &Control, place: &str) -> Option<(ContentKeys, Vec<String>)> {
    let Body::Keys(keys) = control.document(place).await?.body else { return None };
    let sealing = control.context.vault.as_ref().unwrap().documents();
    let open = |key: &packager::config::SealedKey| sealing.open(place, key.kid, &key.sealed).unwrap();
    let secrets = keys.keys.iter().map(|key| hex::encode(open(key).reveal())).collect();
    Some((keys, secrets))
}

async fn endpoint(control: &Control, name: &str) -> Endpoint {
    match control.document(&format!("endpoint/news/one/{name}")).await.unwrap().body {
        Body::Endpoint(endpoint) => endpoint,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn keys_are_asked_for_in_the_background_and_never_shown() {
    let control = news().await;
    let mut protection = cbcs();
    protection["key_delivery"] =
        json!({"policy": "restricted", "tokens": [{"algorithm": "HS256", "secret": SECRET}], "issuer": "us"});
    let made = protect(&control, "tv", "HLS_CMAF", protection).await;
    assert_eq!(
        made["protection"],
        json!({"scheme": "cbcs", "systems": ["clearkey"], "clear_lead_segments": 0, "pssh_in_moov": false,
            "no_key_sample_groups": false, "static_keys": [{"kid": KID, "key": null, "usage": {"media": "all"}}],
            "key_delivery": {"policy": "restricted", "tokens": [{"algorithm": "HS256", "secret": null}], "issuer": "us"}})
    );
    assert_eq!(
        (&made["content_id"], &made["protection_status"]),
        (&json!("news.one.tv"), &json!({"state": "PENDING"}))
    );
    assert_eq!(control.get(ENDPOINTS).await.json()["items"], json!([made]));

    // Edges know that it protects before they have keys, and never that it does not.
    assert!(endpoint(&control, "tv").await.protection.is_some());
    assert!(keys(&control, "endpoint-keys/news/one/tv").await.is_none());
    assert_eq!(ask(&control).await, 1);
    assert_eq!(ask(&control).await, 0, "once is enough");
    assert_eq!(show(&control, "tv").await["protection_status"], json!({"state": "READY"}));
    let (document, secrets) = keys(&control, "endpoint-keys/news/one/tv").await.unwrap();
    assert_eq!((secrets, document.keys[0].iv.is_some()), (vec![KEY.to_owned()], true));
    assert!(control.document("keys/news/one/tv").await.is_none(), "there an asset has its keys");

    // An edge that comes later gets them sealed for itself.
    control.post("/v1/edges", json!({"name": "late", "url": "http://late"})).await;
    let path = "/origin/v1/documents/endpoint-keys/news/one/tv";
    control.origin(Method::GET, path, &[]).await.assert_problem(400, None);
    let pulled = control.origin(Method::GET, path, &[("edgepack-edge", "late")]).await;
    let Body::Keys(pulled) = Document::from_json(&pulled.body).unwrap().body else { panic!() };
    let edge = MasterKey::from_hex(MASTER_KEY).unwrap().edge("late");
    let opened = edge.open("endpoint-keys/news/one/tv", pulled.keys[0].kid, &pulled.keys[0].sealed).unwrap();
    assert_eq!(hex::encode(opened.reveal()), KEY);

    // Another start of the control plane has all of it.
    let control = control.reopen().await;
    let shown = show(&control, "tv").await;
    assert_eq!(shown["protection_status"], json!({"state": "READY"}));
    assert_eq!(ask(&control).await, 0);

    let cleared = patch(&control, "tv", json!({"protection": null})).await.json();
    assert_eq!((&cleared["protection"], cleared.get("protection_status")), (&Value::Null, None));
    assert!(endpoint(&control, "tv").await.protection.is_none());
    assert!(matches!(control.document("endpoint-keys/news/one/tv").await.unwrap().body, Body::Deleted));
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_its_field() {
    let control = news().await;
    let with = |changes: Value| {
        let mut protection = cbcs();
        for (name, value) in changes.as_object().unwrap() {
            protection[name] = value.clone();
        }
        protection
    };
    let two = json!({"scheme": "sample-aes", "key_delivery": {"policy": "open"}, "static_keys": [
        {"kid": KID, "key": KEY, "usage": {"media": "video"}}, {"key": KEY, "usage": {"media": "audio"}}]});
    for (protocol, protection, field) in [
        ("HLS", cbcs(), "/protection/scheme"),
        ("HLS_CMAF", with(json!({"scheme": "aes-128"})), "/protection/scheme"),
        ("DASH", with(json!({"scheme": "sample-aes"})), "/protection/scheme"),
        ("DASH", with(json!({"systems": ["fairplay"]})), "/protection/systems"),
        ("DASH", with(json!({"systems": ["widevine", "playready", "clearkey"]})), "/protection/systems"),
        (
            "HLS_CMAF",
            with(json!({"systems": ["widevine", "playready", "fairplay", "clearkey"]})),
            "/protection/systems",
        ),
        ("HLS_CMAF", with(json!({"scheme": "cenc", "systems": ["fairplay"]})), "/protection/systems"),
        ("HLS_CMAF", with(json!({"systems": []})), "/protection/systems"),
        ("HLS_CMAF", with(json!({"constant_iv": "00"})), "/protection/constant_iv"),
        ("HLS_CMAF", with(json!({"static_keys": []})), "/protection/static_keys"),
        ("HLS_CMAF", with(json!({"clear_lead_segments": 1})), "/protection/clear_lead_segments"),
        ("HLS_CMAF", json!({"scheme": "cbcs", "systems": ["widevine"]}), "/protection/key_server"),
        ("HLS", two.clone(), "/protection/static_keys"),
    ] {
        let body = json!({"name": "x", "protocol": protocol, "protection": protection});
        let answer = control.post(ENDPOINTS, body).await;
        answer.assert_problem(422, Some(field));
        assert!(!String::from_utf8_lossy(&answer.body).contains(KEY), "{field}");
    }
    control.get(&format!("{ENDPOINTS}/x")).await.assert_problem(404, None);

    // With audio apart there may be two keys, and then audio stays apart.
    let body = json!({"name": "apart", "protocol": "HLS", "protection": two, "segment": {"audio_separation": true}});
    assert_eq!(control.post(ENDPOINTS, body).await.status, 201);
    let together = patch(&control, "apart", json!({"segment": {"audio_separation": false}})).await;
    together.assert_problem(422, Some("/protection/static_keys"));

    protect(&control, "tv", "HLS_CMAF", cbcs()).await;
    let refused = patch(&control, "tv", json!({"protection": {"scheme": "aes-128"}})).await;
    refused.assert_problem(422, Some("/protection/scheme"));
    assert_eq!(show(&control, "tv").await["protection"]["scheme"], "cbcs", "a change that is refused changes nothing");
    patch(&control, "tv", json!({"content_id": ""})).await.assert_problem(422, Some("/content_id"));
    patch(&control, "tv", json!({"content_id": null})).await.assert_problem(422, Some("/content_id"));

    let bare = Control::without_master_key().await;
    bare.post("/v1/channel-groups", json!({"name": "news"})).await;
    bare.post(CHANNELS, json!({"name": "one", "protocol": "HLS"})).await;
    let body = json!({"name": "tv", "protocol": "DASH", "protection": cbcs()});
    bare.post(ENDPOINTS, body).await.assert_problem(409, Some("/protection"));
}

#[tokio::test]
async fn keys_come_from_the_key_server_by_the_content_id() {
    for (version, count) in [("1.0", 1), ("2.0", 2), ("2.1", 2)] {
        let server = KeyServer::start().unwrap();
        let control = news().await;
        let mut protection = served(&server);
        protection["key_server"]["version"] = json!(version);
        protect(&control, "tv", "DASH", protection).await;
        assert_eq!(server.requests().len(), 0, "making an endpoint waits for nobody");
        assert_eq!(ask(&control).await, 1);
        let (document, secrets) = keys(&control, "endpoint-keys/news/one/tv").await.unwrap();
        assert_eq!(document.keys.len(), count, "{version}");
        for (key, secret) in document.keys.iter().zip(secrets) {
            assert_eq!(secret, hex::encode(key_server::key("news.one.tv", key.kid.0)), "{version}");
            assert_eq!(key.signalling.len(), 2);
        }
        if version != "2.1" {
            continue;
        }

        // It is asked again only when something of it changes.
        let before = control.document("endpoint-keys/news/one/tv").await.unwrap();
        patch(&control, "tv", json!({"manifest": {"window_seconds": 90}})).await;
        assert_eq!((ask(&control).await, server.requests().len()), (0, 1));
        patch(&control, "tv", json!({"content_id": "channel-7"})).await;
        assert_eq!(control.document("endpoint-keys/news/one/tv").await.unwrap(), before, "older keys until then");
        assert_eq!((ask(&control).await, server.requests().len()), (1, 2));
        let (document, secrets) = keys(&control, "endpoint-keys/news/one/tv").await.unwrap();
        assert_eq!(secrets[0], hex::encode(key_server::key("channel-7", document.keys[0].kid.0)));
    }
}

#[tokio::test]
async fn a_key_server_that_fails_leaves_the_keys_that_are_there_and_says_why() {
    let server = KeyServer::start().unwrap();
    for (behaviour, expected) in [
        (Behaviour::Refusing(403, "who are you".into()), "403"),
        (Behaviour::Html, "text/html"),
        (Behaviour::OtherKid, "was not asked for"),
        (Behaviour::HalfTheKeys, "no key for"),
    ] {
        server.behave(behaviour.clone());
        let control = news().await;
        protect(&control, "tv", "DASH", served(&server)).await;
        assert_eq!(ask(&control).await, 1);
        let status = show(&control, "tv").await["protection_status"].clone();
        assert_eq!(status["state"], "FAILED", "{behaviour:?}");
        assert!(status["reason"].as_str().unwrap().contains(expected), "{behaviour:?}: {status}");
        assert!(keys(&control, "endpoint-keys/news/one/tv").await.is_none());
        assert!(endpoint(&control, "tv").await.protection.is_some(), "and it is not in the clear");
        assert_eq!(ask(&control).await, 0, "its pause is not over");

        server.behave(Behaviour::Sound);
        patch(&control, "tv", json!({"protection": served(&server)})).await;
        assert_eq!(ask(&control).await, 1, "a change is asked for at once");
        assert_eq!(show(&control, "tv").await["protection_status"], json!({"state": "READY"}));
        let before = control.document("endpoint-keys/news/one/tv").await.unwrap();
        server.behave(behaviour.clone());
        patch(&control, "tv", json!({"protection": served(&server)})).await;
        assert_eq!(ask(&control).await, 1);
        assert_eq!(show(&control, "tv").await["protection_status"]["state"], "FAILED");
        assert_eq!(control.document("endpoint-keys/news/one/tv").await.unwrap(), before, "{behaviour:?}");

        // Keys are for one scheme: those of another are taken away at once.
        let mut cenc = served(&server);
        cenc["scheme"] = json!("cenc");
        patch(&control, "tv", json!({"protection": cenc})).await;
        assert!(keys(&control, "endpoint-keys/news/one/tv").await.is_none());
    }
}

#[tokio::test]
async fn keys_follow_the_names() {
    let control = news().await;
    protect(&control, "tv", "HLS_CMAF", cbcs()).await;
    ask(&control).await;
    let mut place = "endpoint-keys/news/one/tv".to_owned();
    for (path, name, to) in [
        (format!("{ENDPOINTS}/tv"), "radio", "endpoint-keys/news/one/radio"),
        (format!("{CHANNELS}/one"), "two", "endpoint-keys/news/two/radio"),
        ("/v1/channel-groups/news".to_owned(), "sport", "endpoint-keys/sport/two/radio"),
    ] {
        assert_eq!(control.patch(&path, json!({"name": name})).await.status, 200);
        assert!(matches!(control.document(&place).await.unwrap().body, Body::Deleted), "{place}");
        let (document, secrets) = keys(&control, to).await.unwrap();
        assert_eq!((document.of.key().as_str(), secrets), (to, vec![KEY.to_owned()]));
        let names = to.strip_prefix("endpoint-keys/").unwrap();
        let told = document.keys[0].signalling[0].hls.clone().unwrap();
        assert!(told.contains(&format!("{}/keys/v1/live/aes-128/{names}/{KID}\"", common::KEYS_URL)), "{told}");
        place = to.to_owned();
    }
    let renamed = control.get("/v1/channel-groups/sport/channels/two/endpoints/radio").await.json();
    assert_eq!(renamed["content_id"], "news.one.tv", "key servers know it as before");
    assert_eq!(ask(&control).await, 0);
    assert_eq!(control.delete("/v1/channel-groups/sport/channels/two/endpoints/radio").await.status, 200);
    assert!(matches!(control.document(&place).await.unwrap().body, Body::Deleted));
}

/// A channel and an asset may have the same names; neither has the keys of the other.
#[tokio::test]
async fn an_endpoint_and_an_asset_of_the_same_names_have_their_own_keys() {
    let control = news().await;
    control.post("/v1/packaging-groups", json!({"name": "news"})).await;
    let other = "ffeeddccbbaa99887766554433221100";
    let protection = json!({"scheme": "cbcs", "systems": ["clearkey"], "key_delivery": {"policy": "open"},
        "static_keys": [{"kid": KID, "key": other}]});
    let body = json!({"name": "tv", "package_type": "CMAF", "protection": protection});
    assert_eq!(control.post("/v1/packaging-groups/news/configurations", body).await.status, 201);
    let path = control.copy_media("small/h264_aac.mp4");
    let body = json!({"name": "one", "packaging_group": "news", "content_id": "c", "sources": [{"path": path}]});
    assert_eq!(control.post("/v1/assets", body).await.status, 202);
    while control::ingest::assets::tick(&control.context).await.unwrap() {}
    protect(&control, "tv", "HLS_CMAF", cbcs()).await;
    ask(&control).await;
    let secrets = async |place| keys(&control, place).await.unwrap().1;
    assert_eq!(secrets("keys/news/one/tv").await, [other]);
    assert_eq!(secrets("endpoint-keys/news/one/tv").await, [KEY]);
    for (kind, expected) in [("", other), ("live/", KEY)] {
        let path = format!("/keys/v1/{kind}aes-128/news/one/tv/{KID}");
        let answer = control.send(Request::get(path).body(HttpBody::empty()).unwrap()).await;
        assert_eq!(hex::encode(&answer.body), expected);
    }
    control.delete(&format!("{ENDPOINTS}/tv")).await;
    assert_eq!(secrets("keys/news/one/tv").await, [other]);
}

#[tokio::test]
async fn clear_keys_are_delivered_to_who_has_a_token_of_the_endpoint() {
    let control = news().await;
    let mut protection = cbcs();
    protection["key_delivery"] = json!({"policy": "restricted", "tokens": [{"algorithm": "HS256", "secret": SECRET}]});
    for name in ["tv", "other"] {
        protect(&control, name, "HLS_CMAF", protection.clone()).await;
    }
    let path = |name: &str| format!("/keys/v1/live/aes-128/news/one/{name}/{KID}");
    let get = async |path: String, token: &str| {
        let request = Request::get(path).header("authorization", format!("Bearer {token}"));
        control.send(request.body(HttpBody::empty()).unwrap()).await
    };
    let mint = async |name: &str, body: Value| control.post(&format!("{ENDPOINTS}/{name}/key-tokens"), body).await;
    let made = mint("tv", json!({"subject": "viewer-1", "expires_in_seconds": 60})).await;
    assert_eq!(made.status, 201, "{:?}", made.body);
    let token = made.json()["token"].as_str().unwrap().to_owned();
    get(path("tv"), &token).await.assert_problem(404, None);
    ask(&control).await;
    let key = get(path("tv"), &token).await;
    assert_eq!((key.status.as_u16(), hex::encode(&key.body).as_str()), (200, KEY));
    assert_eq!((key.header("cache-control"), key.header("access-control-allow-origin")), ("no-store", "*"));
    get(path("other"), &token).await.assert_problem(403, None);
    get(path("tv"), "x.y.z").await.assert_problem(403, None);
    get(path("none"), &token).await.assert_problem(404, None);
    control.send(Request::get(path("tv")).body(HttpBody::empty()).unwrap()).await.assert_problem(401, None);

    let kid = URL_SAFE_NO_PAD.encode(KID.parse::<Kid>().unwrap().0);
    let licence =
        Request::post("/keys/v1/live/clearkey/news/one/tv").header("authorization", format!("Bearer {token}"));
    let licence = licence.body(HttpBody::from(json!({"kids": [kid], "type": "temporary"}).to_string())).unwrap();
    let licence = control.send(licence).await;
    let k = URL_SAFE_NO_PAD.encode(hex::decode(KEY).unwrap());
    assert_eq!(licence.json(), json!({"keys": [{"kty": "oct", "kid": kid, "k": k}], "type": "temporary"}));

    // A token of an asset whose configuration has the same secret is for no endpoint.
    control.post("/v1/packaging-groups", json!({"name": "films"})).await;
    let body = json!({"name": "c", "package_type": "CMAF", "protection": protection});
    assert_eq!(control.post("/v1/packaging-groups/films/configurations", body).await.status, 201);
    control.ingest("film", "film-1").await;
    let made = control.post("/v1/assets/film/key-tokens", json!({"configuration": "c"})).await.json();
    get(path("tv"), made["token"].as_str().unwrap()).await.assert_problem(403, None);
    get(format!("/keys/v1/aes-128/films/film/c/{KID}"), &token).await.assert_problem(403, None);

    mint("tv", json!({"expires_in_seconds": 43201})).await.assert_problem(422, Some("/expires_in_seconds"));
    mint("none", json!({})).await.assert_problem(404, None);
    patch(&control, "other", json!({"protection": cbcs()})).await;
    mint("other", json!({})).await.assert_problem(409, None);
    assert_eq!(get(path("other"), "anything").await.status, 200, "an open delivery asks for no token");
    patch(&control, "other", json!({"protection": null})).await;
    get(path("other"), &token).await.assert_problem(404, None);
}

//! The OpenAPI document and the player page: what the control plane serves about itself.

mod common;

use std::collections::BTreeSet;

use axum::body::Body;
use common::Control;
use control::api;
use control::context::{Context, KeyLimits, Parts, Wake};
use control::ingest::Receiver;
use control::live::Live;
use http::{Method, Request, header};
use serde_json::Value;

async fn open_api() -> Value {
    let control = Control::new().await;
    let answer = control.send(Request::get("/openapi.json").body(Body::empty()).unwrap()).await;
    assert_eq!(answer.header(header::CONTENT_TYPE), "application/json");
    answer.json()
}

#[tokio::test]
async fn every_operation_is_described_with_its_problems() {
    let api = open_api().await;
    let mut operations = BTreeSet::new();
    for (path, item) in api["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            operations.insert(format!("{method} {path}"));
            let responses = operation["responses"].as_object().unwrap();
            let has = |status: &str| responses.contains_key(status);
            assert!(has("401"), "{method} {path}");
            assert_eq!(has("404"), path.contains('{'), "{method} {path}");
            if operation.get("requestBody").is_some() {
                for status in ["400", "413", "415", "422"] {
                    assert!(has(status), "{method} {path} {status}");
                }
            }
            for (status, response) in responses {
                let expected = if status.starts_with('2') { "application/json" } else { "application/problem+json" };
                assert!(response["content"].get(expected).is_some(), "{method} {path} {status}: {response}");
                assert!(!response["description"].as_str().unwrap().is_empty());
            }
        }
    }
    let resources = [
        ("/v1/packaging-groups", "/v1/packaging-groups/{group}"),
        ("/v1/packaging-groups/{group}/configurations", "/v1/packaging-groups/{group}/configurations/{configuration}"),
        ("/v1/assets", "/v1/assets/{asset}"),
        ("/v1/channel-groups", "/v1/channel-groups/{group}"),
        ("/v1/channel-groups/{group}/channels", "/v1/channel-groups/{group}/channels/{channel}"),
        (
            "/v1/channel-groups/{group}/channels/{channel}/endpoints",
            "/v1/channel-groups/{group}/channels/{channel}/endpoints/{endpoint}",
        ),
        ("/v1/edges", "/v1/edges/{edge}"),
    ];
    let mut expected = BTreeSet::from(
        [
            "post /v1/assets/batch",
            "post /v1/assets/{asset}/key-tokens",
            "get /v1/collection-tasks",
            "post /v1/channel-groups/{group}/channels/{channel}/collection-tasks",
            "get /v1/channel-groups/{group}/channels/{channel}/collection-tasks",
            "get /v1/channel-groups/{group}/channels/{channel}/collection-tasks/{task}",
            "delete /v1/channel-groups/{group}/channels/{channel}/collection-tasks/{task}",
            "post /v1/channel-groups/{group}/channels/{channel}/credentials",
            "post /v1/channel-groups/{group}/channels/{channel}/inputs/{input}/credentials",
            "post /v1/channel-groups/{group}/channels/{channel}/endpoints/{endpoint}/key-tokens",
        ]
        .map(str::to_owned),
    );
    for (all, one) in resources {
        expected.extend(["post", "get"].map(|method| format!("{method} {all}")));
        expected.extend(["get", "patch", "delete"].map(|method| format!("{method} {one}")));
    }
    assert_eq!(operations, expected);
}

#[tokio::test]
async fn every_reference_leads_somewhere() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|member| references(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let api = open_api().await;
    let mut found = Vec::new();
    references(&api, &mut found);
    assert!(found.len() > 50, "{}", found.len());
    for reference in found {
        assert!(api.pointer(reference.strip_prefix('#').unwrap()).is_some(), "{reference}");
    }
}

#[tokio::test]
async fn the_player_page_is_served_and_nothing_beside_it() {
    let plain = Control::new().await;
    let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    plain.send(get("/player?url=x")).await.assert_problem(404, None);

    let directory = tempfile::tempdir().unwrap();
    let dist = directory.path().join("dist");
    std::fs::create_dir_all(dist.join("assets")).unwrap();
    std::fs::write(dist.join("index.html"), "<h1>player").unwrap();
    std::fs::write(dist.join("assets/a.js"), "1").unwrap();
    std::fs::write(directory.path().join("secret.txt"), "secret").unwrap();
    let old = &plain.context;
    let context = Context::new(Parts {
        db: old.db.clone(),
        media: old.media.clone(),
        indexes: old.indexes.clone(),
        secrets: old.secrets.clone(),
        vault: old.vault.clone(),
        key_client: old.key_client.clone(),
        keys_url: old.keys_url.clone(),
        key_limits: KeyLimits::default(),
        ingest_url: old.ingest_url.clone(),
        receiver: Receiver::default(),
        client: old.client.clone(),
        public_url: None,
        embedded_edge: None,
        player: Some(dist),
        ingest_wake: Wake::default(),
        keys_wake: Wake::default(),
        harvest_wake: Wake::default(),
        live: Live::default(),
        push_wake: Wake::default(),
    });
    let control = Control { router: api::router(context.clone()), context, directory };
    for path in ["/player", "/player?url=http://edge/vod/v1/g/a/c/index.m3u8", "/player/", "/player/index.html"] {
        let page = control.send(get(path)).await;
        assert_eq!((page.status.as_u16(), &page.body[..]), (200, &b"<h1>player"[..]), "{path}");
        assert!(page.header(header::CONTENT_TYPE).starts_with("text/html"), "{path}");
        let policy = page.header(header::CONTENT_SECURITY_POLICY);
        for part in ["connect-src *", "blob:", "worker-src 'self' blob:"] {
            assert!(policy.contains(part), "{policy}");
        }
    }
    let script = control.send(get("/player/assets/a.js")).await;
    assert_eq!((script.status.as_u16(), &script.body[..]), (200, &b"1"[..]));
    assert!(script.header(header::CONTENT_TYPE).contains("javascript"));
    for path in ["/player/none.js", "/player/../secret.txt", "/player/%2e%2e/secret.txt", "/player/..%2fsecret.txt"] {
        let answer = control.send(get(path)).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(!answer.body.windows(6).any(|w| w == b"secret" && answer.header(header::CONTENT_TYPE) == "text/plain"));
    }
    let posted = Request::builder().method(Method::POST).uri("/player").body(Body::empty()).unwrap();
    assert_eq!(control.send(posted).await.status, 405);
}

#[tokio::test]
async fn metrics_are_in_the_text_format() {
    let control = Control::new().await;
    control::telemetry::metrics();
    control.get("/v1/assets").await;
    let answer = control.send(Request::get("/metrics").body(Body::empty()).unwrap()).await;
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(answer.header(header::CONTENT_TYPE).starts_with("text/plain; version=0.0.4"));
    assert!(text.contains("control_http_requests_total{method=\"GET\",route=\"/v1/assets\",status=\"200\"}"), "{text}");
    assert!(text.contains("control_assets{status=\"PLAYABLE\"} 0"), "{text}");
    assert!(!text.contains(common::TOKEN));
}

//! Live in the REST interface: channel groups, channels, inputs and endpoints, and who may play.

mod common;

use common::{Control, INGEST_URL};
use control::context::Context;
use control::db::{channel_inputs, channels};
use control::ingest::sweep_channels;
use http::{Method, StatusCode, header};
use packager::config::{Access, Body, Endpoint, LiveManifest, PackageType};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::time::Duration;

const CHANNELS: &str = "/v1/channel-groups/news/channels";
const ENDPOINTS: &str = "/v1/channel-groups/news/channels/one/endpoints";

async fn add_channel(control: &Control) -> Value {
    let group = control.post("/v1/channel-groups", json!({"name": "news"})).await;
    assert_eq!(group.status, StatusCode::CREATED);
    let channel = control.post(CHANNELS, json!({"name": "one", "protocol": "HLS"})).await;
    assert_eq!(channel.status, StatusCode::CREATED, "{:?}", channel.body);
    channel.json()
}

async fn add_endpoint(control: &Control, body: Value) -> Value {
    let answer = control.post(ENDPOINTS, body).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.body);
    answer.json()
}

async fn endpoint_document(control: &Control, key: &str) -> Option<Endpoint> {
    match control.document(key).await?.body {
        Body::Endpoint(endpoint) => Some(endpoint),
        Body::Deleted => None,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn resources_have_the_documented_shapes() {
    let control = Control::new().await;
    let group = control.post("/v1/channel-groups", json!({"name": "news", "description": "All day"})).await;
    assert_eq!(group.header(header::LOCATION), "/v1/channel-groups/news");
    assert_eq!((&group.json()["name"], &group.json()["description"]), (&json!("news"), &json!("All day")));
    assert_eq!(control.get("/v1/channel-groups/news").await.json(), group.json());

    let channel = control.post(CHANNELS, json!({"name": "one", "protocol": "HLS_CMAF"})).await;
    assert_eq!(channel.header(header::LOCATION), "/v1/channel-groups/news/channels/one");
    let channel = channel.json();
    assert_eq!((&channel["protocol"], &channel["channel_group"]), (&json!("HLS_CMAF"), &json!("news")));
    assert_eq!((&channel["segment_duration_seconds"], &channel["segment_count"]), (&json!(6), &json!(3)));
    assert_eq!(control.get(&format!("{CHANNELS}/one")).await.json(), channel, "passwords are shown again");
    for (place, number) in [(0, 1), (1, 2)] {
        let input = &channel["inputs"][place];
        assert_eq!(input["input"], number);
        assert_eq!(input["url"], format!("{INGEST_URL}/ingest/v1/news/{number}/one/"));
        assert!(input["password"].as_str().unwrap().len() >= 32);
        assert_eq!((&input["status"]["uploads"], &input["status"]["last_refusal"]), (&json!(0), &Value::Null));
    }
    assert_ne!(channel["inputs"][0]["password"], channel["inputs"][1]["password"]);
    let listed = control.get(CHANNELS).await.json()["items"][0].clone();
    assert_eq!(listed["inputs"][0]["username"], channel["inputs"][0]["username"]);
    assert!(listed["inputs"][0].get("password").is_none(), "lists show no passwords");

    control.post("/v1/edges", json!({"name": "e1", "url": "https://e1.example.com"})).await;
    control.post("/v1/edges", json!({"name": "e2", "url": "https://e2.example.com"})).await;
    let hls = control.post(ENDPOINTS, json!({"name": "hls", "protocol": "HLS"})).await;
    assert_eq!(hls.header(header::LOCATION), format!("{ENDPOINTS}/hls"));
    let hls = hls.json();
    assert_eq!(hls["manifest_name"], "manifest");
    assert_eq!(hls["segment"], json!({"duration_seconds": 6, "audio_separation": false}));
    assert_eq!(
        hls["manifest"],
        json!({"segments": 10, "program_date_time_seconds": null, "stream_order": "ORIGINAL", "min_video_bitrate": null,
            "max_video_bitrate": null})
    );
    assert_eq!((&hls["time_shift_days"], &hls["protection"]), (&json!(0), &Value::Null));
    assert_eq!(
        (&hls["authorization_code_count"], &hls["ip_allow"], &hls["ip_deny"]),
        (&json!(0), &json!([]), &json!([]))
    );
    assert_eq!(
        hls["playback_urls"],
        json!([{"edge": "e1", "url": "https://e1.example.com/v1/news/one/hls/manifest.m3u8"},
               {"edge": "e2", "url": "https://e2.example.com/v1/news/one/hls/manifest.m3u8"}])
    );
    let dash =
        json!({"name": "dash", "protocol": "DASH", "manifest_name": "index", "segment": {"duration_seconds": 4}});
    let dash = add_endpoint(&control, dash).await;
    assert_eq!(
        dash["manifest"],
        json!({"min_buffer_seconds": 8, "min_update_seconds": 8, "presentation_delay_seconds": 12, "window_seconds": 40,
            "stream_order": "ORIGINAL", "min_video_bitrate": null, "max_video_bitrate": null})
    );
    assert_eq!(dash["segment"], json!({"duration_seconds": 4}));
    assert_eq!(dash["playback_urls"][0]["url"], "https://e1.example.com/v1/news/one/dash/index.mpd");
    assert_eq!(control.get(ENDPOINTS).await.json()["items"], json!([hls, dash]));
}

#[tokio::test]
async fn endpoints_become_documents() {
    let control = Control::new().await;
    add_channel(&control).await;
    let body = json!({"name": "tv", "protocol": "HLS", "manifest_name": "index", "time_shift_days": 2,
        "authorization_codes": ["the old code", "the new code"], "ip_allow": ["192.0.2.0/24", "2001:db8::1"],
        "ip_deny": ["192.0.2.7"], "segment": {"duration_seconds": 2, "audio_separation": true},
        "manifest": {"segments": 5, "program_date_time_seconds": 10, "stream_order": "DESCENDING",
                     "min_video_bitrate": 1000, "max_video_bitrate": 2000}});
    let shown = add_endpoint(&control, body).await;
    assert_eq!((&shown["authorization_code_count"], &shown["ip_deny"]), (&json!(2), &json!(["192.0.2.7"])));
    assert!(!shown.to_string().contains("code\""), "{shown}");
    let endpoint = endpoint_document(&control, "endpoint/news/one/tv").await.unwrap();
    endpoint.check().unwrap();
    assert_eq!(endpoint.package_type, PackageType::Hls);
    assert_eq!((endpoint.segment_duration_seconds, endpoint.audio_separation), (2, true));
    assert_eq!(endpoint.time_shift_seconds, 172_800);
    assert_eq!(endpoint.manifest, LiveManifest::Hls { segments: 5, program_date_time_seconds: Some(10) });
    assert_eq!(endpoint.stream_selection.max_video_bitrate, Some(2000));
    let hash = |code: &str| hex::encode(Sha256::digest(code.as_bytes()));
    let access = Access {
        authorization_codes: vec![hash("the old code"), hash("the new code")],
        ip_allow: vec!["192.0.2.0/24".parse().unwrap(), "2001:db8::1".parse().unwrap()],
        ip_deny: vec!["192.0.2.7".parse().unwrap()],
    };
    assert_eq!(endpoint.access, access);

    let path = format!("{ENDPOINTS}/tv");
    let patch = json!({"name": "web", "authorization_codes": ["the new code"], "manifest": {"segments": null},
        "segment": {"duration_seconds": 3}});
    let patched = control.patch(&path, patch).await.json();
    assert_eq!((&patched["manifest"]["segments"], &patched["authorization_code_count"]), (&json!(10), &json!(1)));
    assert_eq!(patched["manifest"]["program_date_time_seconds"], 10, "what is not named stays");
    assert_eq!(endpoint_document(&control, "endpoint/news/one/tv").await, None, "the old name is gone");
    let endpoint = endpoint_document(&control, "endpoint/news/one/web").await.unwrap();
    assert_eq!(endpoint.access, Access { authorization_codes: vec![hash("the new code")], ..access });
    assert_eq!((endpoint.segment_duration_seconds, endpoint.audio_separation), (3, true));

    control.patch(&format!("{CHANNELS}/one"), json!({"name": "two"})).await;
    assert_eq!(endpoint_document(&control, "endpoint/news/one/web").await, None);
    assert_eq!(endpoint_document(&control, "endpoint/news/two/web").await.unwrap().channel, "two");
    control.patch("/v1/channel-groups/news", json!({"name": "today", "description": "x"})).await;
    assert_eq!(endpoint_document(&control, "endpoint/news/two/web").await, None);
    assert_eq!(endpoint_document(&control, "endpoint/today/two/web").await.unwrap().channel_group, "today");
    let deleted = control.delete("/v1/channel-groups/today/channels/two/endpoints/web").await.json();
    assert_eq!(deleted["deleted"]["endpoints"], json!(["web"]));
    assert_eq!(endpoint_document(&control, "endpoint/today/two/web").await, None);
}

#[tokio::test]
async fn wrong_fields_are_named() {
    let control = Control::new().await;
    add_channel(&control).await;
    add_endpoint(&control, json!({"name": "hls", "protocol": "HLS"})).await;
    add_endpoint(&control, json!({"name": "cmaf", "protocol": "HLS_CMAF"})).await;
    add_endpoint(&control, json!({"name": "dash", "protocol": "DASH"})).await;
    for (path, body, field) in [
        ("/v1/channel-groups", json!({"name": "a/b"}), "/name"),
        ("/v1/channel-groups", json!({"name": "a", "description": "x".repeat(1001)}), "/description"),
        (CHANNELS, json!({"name": "a"}), "/protocol"),
        (CHANNELS, json!({"name": "a", "protocol": "CMAF"}), "/protocol"),
        (CHANNELS, json!({"name": "a b", "protocol": "HLS"}), "/name"),
        (
            CHANNELS,
            json!({"name": "a", "protocol": "HLS", "segment_duration_seconds": 31}),
            "/segment_duration_seconds",
        ),
        (CHANNELS, json!({"name": "a", "protocol": "HLS", "segment_count": 0}), "/segment_count"),
        (CHANNELS, json!({"name": "a", "protocol": "HLS", "segment_count": 101}), "/segment_count"),
        (ENDPOINTS, json!({"name": "a", "protocol": "CMAF"}), "/protocol"),
    ] {
        control.post(path, body).await.assert_problem(422, Some(field));
    }
    let many: Vec<String> = (0..1025).map(|n| format!("10.0.{}.{}", n / 256, n % 256)).collect();
    for (name, body, field) in [
        ("hls", json!({"name": "a b"}), "/name"),
        ("hls", json!({"manifest_name": ""}), "/manifest_name"),
        ("hls", json!({"time_shift_days": 31}), "/time_shift_days"),
        ("hls", json!({"time_shift_days": -1}), "/time_shift_days"),
        ("hls", json!({"authorization_codes": ["a", "b"]}), "/authorization_codes/0"),
        ("hls", json!({"authorization_codes": ["long enough", "x".repeat(257)]}), "/authorization_codes/1"),
        ("hls", json!({"authorization_codes": ["long enough", "long\nenough"]}), "/authorization_codes/1"),
        ("hls", json!({"authorization_codes": ["long enough", "long enough"]}), "/authorization_codes/1"),
        ("hls", json!({"authorization_codes": ["number 1", "number 2", "number 3"]}), "/authorization_codes"),
        ("hls", json!({"authorization_codes": [12_345_678]}), "/authorization_codes/0"),
        ("hls", json!({"authorization_codes": null}), "/authorization_codes"),
        ("hls", json!({"ip_allow": ["192.0.2.0/24", "192.0.2.1/24"]}), "/ip_allow/1"),
        ("hls", json!({"ip_deny": ["example.com"]}), "/ip_deny/0"),
        ("hls", json!({"ip_deny": many}), "/ip_deny"),
        ("hls", json!({"segment": {"duration_seconds": 0}}), "/segment/duration_seconds"),
        ("hls", json!({"segment": {"duration": 1}}), "/segment/duration"),
        ("cmaf", json!({"segment": {"audio_separation": true}}), "/segment/audio_separation"),
        ("dash", json!({"segment": {"audio_separation": false}}), "/segment/audio_separation"),
        ("hls", json!({"manifest": {"segments": 1}}), "/manifest/segments"),
        ("cmaf", json!({"manifest": {"segments": 101}}), "/manifest/segments"),
        ("hls", json!({"manifest": {"program_date_time_seconds": 3601}}), "/manifest/program_date_time_seconds"),
        ("hls", json!({"manifest": {"min_buffer_seconds": 2}}), "/manifest/min_buffer_seconds"),
        ("dash", json!({"manifest": {"segments": 3}}), "/manifest/segments"),
        ("dash", json!({"manifest": {"segments": null}}), "/manifest/segments"),
        ("dash", json!({"manifest": {"min_buffer_seconds": 31}}), "/manifest/min_buffer_seconds"),
        ("dash", json!({"manifest": {"min_update_seconds": 0}}), "/manifest/min_update_seconds"),
        ("dash", json!({"manifest": {"presentation_delay_seconds": 61}}), "/manifest/presentation_delay_seconds"),
        ("dash", json!({"manifest": {"window_seconds": 3601}}), "/manifest/window_seconds"),
        ("dash", json!({"manifest": {"min_video_bitrate": 2, "max_video_bitrate": 1}}), "/manifest/min_video_bitrate"),
        ("hls", json!({"manifest": {"stream_order": "UP"}}), "/manifest/stream_order"),
    ] {
        let before = control.get(&format!("{ENDPOINTS}/{name}")).await.json();
        let answer = control.patch(&format!("{ENDPOINTS}/{name}"), body.clone()).await;
        answer.assert_problem(422, Some(field));
        assert!(!String::from_utf8_lossy(&answer.body).contains("12345678"), "codes are not repeated");
        assert_eq!(control.get(&format!("{ENDPOINTS}/{name}")).await.json(), before);
        let protocol = before["protocol"].clone();
        let mut new = json!({"name": "new", "protocol": protocol});
        new.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        control.post(ENDPOINTS, new).await.assert_problem(422, Some(field));
    }
    let immutable = control.patch(&format!("{ENDPOINTS}/hls"), json!({"protocol": "DASH"})).await;
    immutable.assert_problem(422, Some("/protocol"));
    control
        .patch(&format!("{CHANNELS}/one"), json!({"segment_count": 101}))
        .await
        .assert_problem(422, Some("/segment_count"));
}

#[tokio::test]
async fn names_are_unique_below_their_parent() {
    let control = Control::new().await;
    add_channel(&control).await;
    add_endpoint(&control, json!({"name": "hls", "protocol": "HLS"})).await;
    control.post(CHANNELS, json!({"name": "two", "protocol": "HLS"})).await;
    control.post("/v1/channel-groups", json!({"name": "sport"})).await;
    for (path, body) in [
        ("/v1/channel-groups", json!({"name": "news"})),
        (CHANNELS, json!({"name": "one", "protocol": "HLS"})),
        (ENDPOINTS, json!({"name": "hls", "protocol": "DASH"})),
    ] {
        control.post(path, body).await.assert_problem(409, Some("/name"));
    }
    for (path, name) in [("/v1/channel-groups/sport", "news"), ("/v1/channel-groups/news/channels/two", "one")] {
        control.patch(path, json!({"name": name})).await.assert_problem(409, Some("/name"));
    }
    let other = "/v1/channel-groups/sport/channels";
    assert_eq!(control.post(other, json!({"name": "one", "protocol": "HLS"})).await.status, StatusCode::CREATED);
    let other = "/v1/channel-groups/sport/channels/one/endpoints";
    assert_eq!(control.post(other, json!({"name": "hls", "protocol": "HLS"})).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let control = Control::new().await;
    add_channel(&control).await;
    control.post("/v1/channel-groups", json!({"name": "sport"})).await;
    for path in [
        "/v1/channel-groups/none",
        "/v1/channel-groups/none/channels",
        "/v1/channel-groups/sport/channels/one",
        "/v1/channel-groups/news/channels/none/endpoints",
        "/v1/channel-groups/news/channels/one/endpoints/none",
    ] {
        control.get(path).await.assert_problem(404, None);
    }
    for path in ["/one/inputs/3/credentials", "/one/inputs/01/credentials", "/none/credentials"] {
        control.call(Method::POST, &format!("{CHANNELS}{path}"), None).await.assert_problem(404, None);
    }
}

#[tokio::test]
async fn what_has_something_below_it_is_not_removed() {
    let control = Control::new().await;
    add_channel(&control).await;
    add_endpoint(&control, json!({"name": "hls", "protocol": "HLS"})).await;
    let channel = format!("{CHANNELS}/one");
    control.delete("/v1/channel-groups/news").await.assert_problem(409, None);
    control.delete(&channel).await.assert_problem(409, None);
    control.delete(&format!("{ENDPOINTS}/hls")).await;
    assert_eq!(control.delete(&channel).await.json()["deleted"]["channels"], json!(["one"]));
    assert_eq!(control.delete("/v1/channel-groups/news").await.json()["deleted"]["channel_groups"], json!(["news"]));
    control.get("/v1/channel-groups/news").await.assert_problem(404, None);
}

#[tokio::test]
async fn objects_of_a_channel_go_some_time_after_it() {
    let control = Control::new().await;
    add_channel(&control).await;
    let uid = uid(&control.context).await;
    for path in [format!("live/{uid}/media/1.ts"), format!("live/{uid}0/media/1.ts"), "live/film.mp4".to_owned()] {
        control.write_media(&path, b"media");
    }
    control.context.indexes.write(&format!("live/{uid}/parts/0.epix"), "part".into()).await.unwrap();
    let get = async |path: &str| control.origin(Method::GET, &format!("/origin/v1/{path}"), &[]).await.status;
    assert_eq!(get(&format!("media/live/{uid}/media/1.ts")).await, StatusCode::OK);
    assert_eq!(get(&format!("indexes/live/{uid}/parts/0.epix")).await, StatusCode::OK);
    assert_eq!(get(&format!("media/live/{uid}0/media/1.ts")).await, StatusCode::NOT_FOUND, "of no channel");
    assert_eq!(get("media/live/film.mp4").await, StatusCode::NOT_FOUND, "of no channel");

    control.delete(&format!("{CHANNELS}/one")).await;
    assert_eq!(sweep_channels(&control.context, Duration::from_secs(60)).await.unwrap(), 0);
    assert_eq!(get(&format!("media/live/{uid}/media/1.ts")).await, StatusCode::OK, "some may be playing it");
    assert_eq!(sweep_channels(&control.context, Duration::ZERO).await.unwrap(), 2);
    assert_eq!(get(&format!("media/live/{uid}/media/1.ts")).await, StatusCode::NOT_FOUND);
    assert!(control.directory.path().join(format!("media/live/{uid}0/media/1.ts")).exists());
    assert!(control.directory.path().join("media/live/film.mp4").exists());
    assert_eq!(sweep_channels(&control.context, Duration::ZERO).await.unwrap(), 0);
}

async fn uid(context: &Context) -> String {
    let channel = channels::find(&mut context.db.read().await.unwrap(), "news", "one").await.unwrap().unwrap();
    assert_eq!(channel.uid.len(), 16);
    assert!(channel.uid.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')));
    channel.uid
}

#[tokio::test]
async fn credentials_are_rotated_one_by_one_or_together() {
    let control = Control::new().await;
    let first = add_channel(&control).await["inputs"].clone();
    let one = control.call(Method::POST, &format!("{CHANNELS}/one/inputs/2/credentials"), None).await;
    assert_eq!(one.status, StatusCode::OK);
    let one = one.json()["inputs"].clone();
    assert_eq!((one.as_array().unwrap().len(), &one[0]["input"]), (1, &json!(2)));
    assert_ne!(one[0]["password"], first[1]["password"]);
    let shown = control.get(&format!("{CHANNELS}/one")).await.json()["inputs"].clone();
    assert_eq!(shown, json!([first[0], one[0]]));
    let both = control.call(Method::POST, &format!("{CHANNELS}/one/credentials"), None).await.json()["inputs"].clone();
    assert_eq!(control.get(&format!("{CHANNELS}/one")).await.json()["inputs"], both);
    for (place, old) in [(0, &first[0]), (1, &one[0])] {
        assert_ne!(both[place]["password"], old["password"]);
        assert_ne!(both[place]["username"], old["username"]);
    }
}

#[tokio::test]
async fn passwords_are_sealed_in_the_database() {
    let control = Control::new().await;
    let channel = add_channel(&control).await;
    let password = channel["inputs"][0]["password"].as_str().unwrap();
    let row = channels::find(&mut control.context.db.read().await.unwrap(), "news", "one").await.unwrap().unwrap();
    let rows = channel_inputs::list(&mut control.context.db.read().await.unwrap(), row.id).await.unwrap();
    assert_eq!(rows[0].password_hash, Sha256::digest(password.as_bytes()).to_vec());
    let sealed = rows[0].password_sealed.as_ref().unwrap();
    assert!(!sealed.windows(8).any(|w| w == &password.as_bytes()[..8]));
    let control = control.reopen().await;
    assert_eq!(control.get(&format!("{CHANNELS}/one")).await.json(), channel);
}

#[tokio::test]
async fn without_a_master_key_a_password_is_shown_once() {
    let control = Control::without_master_key().await;
    let made = add_channel(&control).await["inputs"].clone();
    assert!(made[0]["password"].as_str().unwrap().len() >= 32);
    let shown = control.get(&format!("{CHANNELS}/one")).await.json()["inputs"].clone();
    assert_eq!(shown[0]["username"], made[0]["username"]);
    assert!(shown[0].get("password").is_none() && shown[1].get("password").is_none(), "{shown}");
    let rotated = control.call(Method::POST, &format!("{CHANNELS}/one/inputs/1/credentials"), None).await.json();
    assert!(rotated["inputs"][0]["password"].as_str().unwrap().len() >= 32);
}

#[tokio::test]
async fn configurations_say_who_may_play_too() {
    let control = Control::new().await;
    control.add_group().await;
    let path = "/v1/packaging-groups/films/configurations";
    let access = async |name: &str| match control.document(&format!("configuration/films/{name}")).await.unwrap().body {
        Body::Configuration(configuration) => configuration.access,
        other => panic!("{other:?}"),
    };
    assert!(access("hls").await.is_open());
    let shown = control.get(&format!("{path}/hls")).await.json();
    assert_eq!((&shown["authorization_code_count"], &shown["ip_allow"]), (&json!(0), &json!([])));
    let body = json!({"name": "closed", "package_type": "DASH", "authorization_codes": ["a long code"],
        "ip_allow": ["2001:db8::/32"], "ip_deny": []});
    let shown = control.post(path, body).await.json();
    assert_eq!((&shown["authorization_code_count"], &shown["ip_allow"]), (&json!(1), &json!(["2001:db8::/32"])));
    let hash = hex::encode(Sha256::digest(b"a long code"));
    assert_eq!(access("closed").await.authorization_codes, std::slice::from_ref(&hash));
    let patched = control.patch(&format!("{path}/closed"), json!({"ip_deny": ["192.0.2.0/24"]})).await.json();
    assert_eq!((&patched["authorization_code_count"], &patched["ip_deny"]), (&json!(1), &json!(["192.0.2.0/24"])));
    assert_eq!(access("closed").await.authorization_codes, [hash]);
    let patched = control.patch(&format!("{path}/closed"), json!({"authorization_codes": []})).await.json();
    assert_eq!(patched["authorization_code_count"], 0);
    assert!(access("closed").await.authorization_codes.is_empty());
    for (body, field) in [
        (json!({"authorization_codes": ["short"]}), "/authorization_codes/0"),
        (json!({"ip_allow": ["10.0.0.1/8"]}), "/ip_allow/0"),
    ] {
        control.patch(&format!("{path}/closed"), body).await.assert_problem(422, Some(field));
    }
}

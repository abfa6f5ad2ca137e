//! The REST interface: what it answers, and every class of refusal.

mod common;

use axum::body::Body;
use common::{Control, json_request};
use http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};

#[tokio::test]
async fn resources_have_the_documented_shapes() {
    let control = Control::new().await;
    let group = control.post("/v1/packaging-groups", json!({"name": "films"})).await;
    assert_eq!(group.status, StatusCode::CREATED);
    assert_eq!(group.header(header::LOCATION), "/v1/packaging-groups/films");
    assert_eq!(group.json()["name"], "films");

    let body = json!({"name": "hls", "package_type": "CMAF", "segment_duration_seconds": 4, "manifest_name": "main",
        "stream_selection": {"order": "DESCENDING", "min_video_bitrate": 1, "max_video_bitrate": 2}});
    let path = "/v1/packaging-groups/films/configurations";
    let configuration = control.post(path, body.clone()).await;
    assert_eq!(configuration.status, StatusCode::CREATED);
    assert_eq!(configuration.header(header::LOCATION), format!("{path}/hls"));
    for (field, value) in body.as_object().unwrap() {
        assert_eq!(configuration.json()[field], *value, "{field}");
    }
    // JSON Schema counts 4.0 as an integer.
    let body = json!({"name": "four", "package_type": "CMAF", "segment_duration_seconds": 4.0});
    assert_eq!(control.post(path, body).await.json()["segment_duration_seconds"], 4);
    let defaults = control.post(path, json!({"name": "dash", "package_type": "DASH"})).await.json();
    assert_eq!(defaults["segment_duration_seconds"], 6);
    assert_eq!(defaults["manifest_name"], "index");
    assert_eq!(defaults["stream_selection"]["order"], "ORIGINAL");

    let sources = json!([{"path": "a/b.mp4", "language": "pt-BR", "label": "Português", "role": "dub"}]);
    let body = json!({"name": "sintel", "packaging_group": "films", "content_id": "id", "sources": sources});
    let asset = control.post("/v1/assets", body).await;
    assert_eq!(asset.status, StatusCode::ACCEPTED);
    assert_eq!(asset.header(header::LOCATION), "/v1/assets/sintel");
    let asset = asset.json();
    assert_eq!((asset["status"].as_str(), asset["progress"].as_f64()), (Some("QUEUED"), Some(0.0)));
    assert_eq!((&asset["warnings"], &asset["tracks"], &asset["playback_urls"]), (&json!([]), &json!([]), &json!([])));
    assert_eq!((&asset["sources"], &asset["duration_seconds"]), (&sources, &Value::Null));
    assert!(asset.get("failure").is_none());
    assert_eq!(control.get("/v1/assets/sintel").await.json(), asset);

    let edge = control.post("/v1/edges", json!({"name": "e1", "url": "https://edge.example.com/"})).await;
    assert_eq!(edge.status, StatusCode::CREATED);
    let edge = edge.json();
    assert_eq!((&edge["url"], &edge["kind"]), (&json!("https://edge.example.com"), &json!("REGISTERED")));
    assert_eq!((&edge["desired_revision"], &edge["acknowledged_revision"]), (&json!(3), &json!(0)));
    for (path, value) in [
        ("/v1/packaging-groups/films", group.json()),
        ("/v1/packaging-groups/films/configurations/hls", configuration.json()),
        ("/v1/edges/e1", edge),
    ] {
        assert_eq!(control.get(path).await.json(), value, "{path}");
    }
}

#[tokio::test]
async fn playable_assets_have_a_url_for_each_configuration_also_later_ones() {
    let control = Control::new().await;
    control.add_group().await;
    control.add_playable("sintel", "a.mp4").await;
    let asset = control.get("/v1/assets/sintel").await.json();
    assert_eq!((&asset["status"], &asset["duration_seconds"]), (&json!("PLAYABLE"), &json!(1.5)));
    assert_eq!((&asset["warnings"], &asset["playback_urls"]), (&json!(["a warning"]), &json!([])), "there is no edge");

    control.post("/v1/edges", json!({"name": "e1", "url": "https://edge.example.com"})).await;
    let more = json!({"name": "hls2", "package_type": "CMAF"});
    control.post("/v1/packaging-groups/films/configurations", more).await;
    let urls = control.get("/v1/assets/sintel").await.json()["playback_urls"].clone();
    let base = "https://edge.example.com/vod/v1/films/sintel";
    let expected = json!([
        {"configuration": "hls", "package_type": "CMAF", "url": format!("{base}/hls/index.m3u8")},
        {"configuration": "dash", "package_type": "DASH", "url": format!("{base}/dash/main.mpd")},
        {"configuration": "hls2", "package_type": "CMAF", "url": format!("{base}/hls2/index.m3u8")},
    ]);
    assert_eq!(urls, expected);
    assert_eq!(control.get("/v1/assets").await.json()["items"][0]["playback_urls"], expected);
}

#[tokio::test]
async fn lists_come_in_pages() {
    let control = Control::new().await;
    let names: Vec<String> = (0..7).map(|n| format!("g{n}")).collect();
    for name in &names {
        control.post("/v1/packaging-groups", json!({"name": name})).await;
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    for expected in [3, 3, 1] {
        let page = control.get(&format!("/v1/packaging-groups?limit=3{cursor}")).await.json();
        let items = page["items"].as_array().unwrap();
        assert_eq!(items.len(), expected);
        seen.extend(items.iter().map(|item| item["name"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => assert_eq!(expected, 1),
        }
    }
    assert_eq!(seen, names);
    let exact = control.get("/v1/packaging-groups?limit=7").await.json();
    assert_eq!((exact["items"].as_array().unwrap().len(), &exact["next_cursor"]), (7, &Value::Null));
    for (query, field) in [("limit=0", "limit"), ("limit=501", "limit"), ("limit=x", "limit"), ("cursor=x", "cursor")] {
        control.get(&format!("/v1/packaging-groups?{query}")).await.assert_problem(422, Some(field));
    }
}

#[tokio::test]
async fn assets_are_filtered_by_group_and_status() {
    let control = Control::new().await;
    control.add_group().await;
    control.add_playable("a", "a.mp4").await;
    let body = json!({"name": "b", "packaging_group": "films", "sources": [{"path": "b.mp4"}]});
    control.post("/v1/assets", body).await;
    for (query, names) in [
        ("status=PLAYABLE", vec!["a"]),
        ("status=QUEUED&packaging_group=films", vec!["b"]),
        ("packaging_group=other", vec![]),
        ("", vec!["a", "b"]),
    ] {
        let page = control.get(&format!("/v1/assets?{query}")).await.json();
        let found: Vec<&str> = page["items"].as_array().unwrap().iter().map(|a| a["name"].as_str().unwrap()).collect();
        assert_eq!(found, names, "{query}");
    }
    control.get("/v1/assets?status=DONE").await.assert_problem(422, Some("status"));
}

#[tokio::test]
async fn wrong_fields_are_named() {
    let control = Control::new().await;
    control.add_group().await;
    let long = "n".repeat(201);
    let groups = "/v1/packaging-groups";
    let configurations = "/v1/packaging-groups/films/configurations";
    let configuration = |field: &str, value: Value| {
        let mut body = json!({"name": "c", "package_type": "CMAF"});
        body[field] = value;
        body
    };
    let source = |source: Value| json!({"name": "a", "packaging_group": "films", "sources": [{"path": "ok"}, source]});
    let sources = |count| vec![json!({"path": "a"}); count];
    let asset = |field: &str, value: Value| {
        let mut body = json!({"name": "a", "packaging_group": "films", "sources": [{"path": "a"}]});
        body[field] = value;
        body
    };
    let selection = |value: Value| configuration("stream_selection", value);
    for (path, body, field) in [
        (groups, json!({}), "/name"),
        (groups, json!({"name": 1}), "/name"),
        (groups, json!({"name": null}), "/name"),
        (groups, json!({"name": ""}), "/name"),
        (groups, json!({"name": "a b"}), "/name"),
        (groups, json!({"name": "a/b"}), "/name"),
        (groups, json!({"name": "ü"}), "/name"),
        (groups, json!({"name": long}), "/name"),
        (groups, json!({"name": "a", "nme": 1}), "/nme"),
        (groups, json!({"name": "a", "a/b~c": 1}), "/a~1b~0c"),
        (configurations, json!({"name": "c"}), "/package_type"),
        (configurations, configuration("package_type", json!("TS")), "/package_type"),
        (configurations, configuration("package_type", json!({"CMAF": null})), "/package_type"),
        (configurations, configuration("stream_selection", json!(["ORIGINAL", 1, 2])), "/stream_selection"),
        ("/v1/assets", source(json!(["a.mp4", null, null, null])), "/sources/1"),
        (configurations, configuration("segment_duration_seconds", json!(0)), "/segment_duration_seconds"),
        (configurations, configuration("segment_duration_seconds", json!(31)), "/segment_duration_seconds"),
        (configurations, configuration("segment_duration_seconds", json!(-1)), "/segment_duration_seconds"),
        (configurations, configuration("segment_duration_seconds", json!(2.5)), "/segment_duration_seconds"),
        (configurations, configuration("segment_duration_seconds", json!("6")), "/segment_duration_seconds"),
        (configurations, configuration("manifest_name", json!("../x")), "/manifest_name"),
        (configurations, selection(json!({"order": "UP"})), "/stream_selection/order"),
        (configurations, selection(json!({"x": 1})), "/stream_selection/x"),
        (configurations, selection(json!({"min_video_bitrate": -1})), "/stream_selection/min_video_bitrate"),
        (configurations, selection(json!({"max_video_bitrate": u64::MAX})), "/stream_selection/max_video_bitrate"),
        (
            configurations,
            selection(json!({"min_video_bitrate": 2, "max_video_bitrate": 1})),
            "/stream_selection/min_video_bitrate",
        ),
        ("/v1/assets", asset("name", json!("batch")), "/name"),
        ("/v1/assets", asset("packaging_group", json!("other")), "/packaging_group"),
        ("/v1/assets", asset("packaging_group", json!("a b")), "/packaging_group"),
        ("/v1/assets", asset("content_id", json!("")), "/content_id"),
        ("/v1/assets", asset("content_id", json!("x".repeat(257))), "/content_id"),
        ("/v1/assets", asset("sources", json!([])), "/sources"),
        ("/v1/assets", asset("sources", json!(sources(65))), "/sources"),
        ("/v1/assets", asset("sources", json!("a.mp4")), "/sources"),
        ("/v1/assets", source(json!({})), "/sources/1/path"),
        ("/v1/assets", source(json!({"path": "../secret"})), "/sources/1/path"),
        ("/v1/assets", source(json!({"path": "/etc/passwd"})), "/sources/1/path"),
        ("/v1/assets", source(json!({"path": "s3://a/b"})), "/sources/1/path"),
        ("/v1/assets", source(json!({"path": "x".repeat(1025)})), "/sources/1/path"),
        ("/v1/assets", source(json!({"path": "a", "codec": "x"})), "/sources/1/codec"),
        ("/v1/assets", source(json!({"path": "a", "language": "english!"})), "/sources/1/language"),
        ("/v1/assets", source(json!({"path": "a", "label": "a\nb"})), "/sources/1/label"),
        ("/v1/assets", source(json!({"path": "a", "label": "x".repeat(201)})), "/sources/1/label"),
        ("/v1/assets", source(json!({"path": "a", "role": "hero"})), "/sources/1/role"),
        ("/v1/assets/batch", json!({"assets": []}), "/assets"),
        ("/v1/assets/batch", json!({"assets": vec![json!({}); 257]}), "/assets"),
        ("/v1/edges", json!({"name": "e", "url": "edge"}), "/url"),
        ("/v1/edges", json!({"name": "e", "url": "ftp://edge"}), "/url"),
        ("/v1/edges", json!({"name": "e", "url": "http://user:password@edge"}), "/url"),
        ("/v1/edges", json!({"name": "embedded", "url": "http://edge"}), "/name"),
    ] {
        let answer = control.post(path, body.clone()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{path} {body}");
        answer.assert_problem(422, Some(field));
    }
    assert_eq!(control.get("/v1/assets").await.json()["items"], json!([]), "nothing was made");
}

#[tokio::test]
async fn patches_refuse_what_creation_refuses() {
    let control = Control::new().await;
    control.add_group().await;
    control.add_playable("a", "a.mp4").await;
    control.post("/v1/edges", json!({"name": "e", "url": "http://edge"})).await;
    let hls = "/v1/packaging-groups/films/configurations/hls";
    for (path, body, field) in [
        ("/v1/packaging-groups/films", json!({"name": null}), "/name"),
        ("/v1/packaging-groups/films", json!({"name": "a b"}), "/name"),
        ("/v1/packaging-groups/films", json!({"x": 1}), "/x"),
        (hls, json!({"segment_duration_seconds": 31}), "/segment_duration_seconds"),
        (hls, json!({"package_type": null}), "/package_type"),
        (hls, json!({"stream_selection": {"order": null}}), "/stream_selection/order"),
        ("/v1/assets/a", json!({"name": "batch"}), "/name"),
        ("/v1/assets/a", json!({"packaging_group": "other"}), "/packaging_group"),
        ("/v1/assets/a", json!({"sources": []}), "/sources"),
        ("/v1/assets/a", json!({"status": "PLAYABLE"}), "/status"),
        ("/v1/edges/e", json!({"url": "edge"}), "/url"),
        ("/v1/edges/e", json!({"acknowledged_revision": 1}), "/acknowledged_revision"),
    ] {
        let answer = control.patch(path, body.clone()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{path} {body}");
        answer.assert_problem(422, Some(field));
    }
    assert_eq!(control.get("/v1/assets/a").await.json()["status"], "PLAYABLE");
}

#[tokio::test]
async fn names_are_unique() {
    let control = Control::new().await;
    control.add_group().await;
    control.post("/v1/packaging-groups", json!({"name": "other"})).await;
    control.add_playable("a", "a.mp4").await;
    control.add_playable("b", "a.mp4").await;
    control.post("/v1/edges", json!({"name": "e", "url": "http://edge"})).await;
    control.post("/v1/edges", json!({"name": "f", "url": "http://edge"})).await;
    let asset = json!({"name": "a", "packaging_group": "other", "sources": [{"path": "a"}]});
    let other = "/v1/packaging-groups/other/configurations";
    for (path, body) in [
        ("/v1/packaging-groups", json!({"name": "films"})),
        (other, json!({"name": "hls", "package_type": "CMAF"})),
        ("/v1/assets", asset),
        ("/v1/edges", json!({"name": "e", "url": "http://edge"})),
    ] {
        control.post(path, body).await.assert_problem(409, Some("/name"));
    }
    for (path, name) in [
        ("/v1/packaging-groups/films", "other"),
        ("/v1/packaging-groups/films/configurations/hls", "dash"),
        ("/v1/assets/a", "b"),
        ("/v1/edges/e", "f"),
    ] {
        control.patch(path, json!({"name": name})).await.assert_problem(409, Some("/name"));
    }
}

#[tokio::test]
async fn bodies_that_cannot_be_read_are_refused_by_kind() {
    let control = Control::new().await;
    let send = |content_type, body: Vec<u8>| {
        control.send(json_request(Method::POST, "/v1/packaging-groups", content_type, body))
    };
    let json = Some("application/json");
    for body in ["", "{", "[1,", "{\"name\":\"a\"} x", "{\"name\": \u{1}}"] {
        send(json, body.into()).await.assert_problem(400, None);
    }
    send(json, vec![0xff, 0xfe]).await.assert_problem(400, None);
    send(json, b"{\"name\":\"a\",\"name\":\"b\"}".to_vec()).await.assert_problem(422, Some("/name"));
    send(json, b"[\"a\"]".to_vec()).await.assert_problem(422, Some(""));
    send(None, b"{}".to_vec()).await.assert_problem(415, None);
    send(Some("text/plain"), b"{}".to_vec()).await.assert_problem(415, None);
    send(json, vec![b' '; control::api::MAX_BODY_BYTES + 1]).await.assert_problem(413, None);
    let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
    assert!(send(json, deep).await.status.is_client_error());
    assert_eq!(send(Some("application/JSON; charset=utf-8"), b"{\"name\":\"a\"}".to_vec()).await.status, 201);
}

#[tokio::test]
async fn only_the_administrator_gets_in() {
    let control = Control::new().await;
    let origin = control.context.secrets.origin.reveal().to_owned();
    for authorization in [
        None,
        Some("Bearer"),
        Some("Bearer "),
        Some("Bearer wrong-token"),
        Some("Basic YTpi"),
        Some(&format!("Bearer {origin}")),
    ] {
        for (method, path) in [
            (Method::GET, "/v1/assets"),
            (Method::POST, "/v1/packaging-groups"),
            (Method::DELETE, "/v1/assets/a"),
            (Method::PUT, "/v1/assets"),
        ] {
            let mut request = Request::builder().method(method).uri(path);
            if let Some(authorization) = authorization {
                request = request.header(header::AUTHORIZATION, authorization);
            }
            let answer = control.send(request.body(Body::from("{")).unwrap()).await;
            answer.assert_problem(401, None);
            assert!(answer.header(header::WWW_AUTHENTICATE).starts_with("Bearer"));
        }
    }
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let control = Control::new().await;
    control.add_group().await;
    for path in [
        "/v1/packaging-groups/none",
        "/v1/packaging-groups/none/configurations",
        "/v1/packaging-groups/films/configurations/none",
        "/v1/assets/none",
        "/v1/assets/%00",
        "/v1/assets/%ff",
        "/v1/edges/none",
        "/v1/nothing",
        "/nothing",
    ] {
        control.get(path).await.assert_problem(404, None);
    }
    let other_group = "/v1/packaging-groups/other/configurations/hls";
    control.post("/v1/packaging-groups", json!({"name": "other"})).await;
    for method in [Method::GET, Method::DELETE] {
        control.call(method, other_group, None).await.assert_problem(404, None);
    }
    control.patch("/v1/assets/none", json!({})).await.assert_problem(404, None);
    let body = json!({"name": "c", "package_type": "CMAF"});
    control.post("/v1/packaging-groups/none/configurations", body).await.assert_problem(404, None);
    let answer = control.call(Method::PUT, "/v1/assets/a", Some(json!({}))).await;
    answer.assert_problem(405, None);
    assert!(answer.header(header::ALLOW).contains("PATCH"), "{}", answer.header(header::ALLOW));
    control.get("/v1/assets/batch").await.assert_problem(405, None);
}

#[tokio::test]
async fn a_batch_answers_for_each_asset() {
    let control = Control::new().await;
    control.add_group().await;
    let good = |name: &str| json!({"name": name, "packaging_group": "films", "sources": [{"path": "a.mp4"}]});
    let bad = json!({"name": "c", "packaging_group": "films", "sources": [{"path": "a.mp4", "role": "x"}]});
    let answer = control.post("/v1/assets/batch", json!({"assets": [good("a"), good("a"), bad, 7, good("b")]})).await;
    assert_eq!(answer.status, StatusCode::MULTI_STATUS);
    let results = answer.json()["results"].as_array().unwrap().clone();
    let statuses: Vec<u64> = results.iter().map(|r| r["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [202, 409, 422, 422, 202]);
    assert_eq!(results[0]["asset"]["status"], "QUEUED");
    assert_eq!(results[1]["problem"]["field"], "/assets/1/name");
    assert_eq!(results[2]["problem"]["field"], "/assets/2/sources/0/role");
    assert!(results[0].get("problem").is_none() && results[1].get("asset").is_none());
    assert_eq!(control.get("/v1/assets").await.json()["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn patches_change_only_what_they_name() {
    let control = Control::new().await;
    control.add_group().await;
    let path = "/v1/packaging-groups/films/configurations/hls";
    let before = control.get(path).await.json();
    assert_eq!(control.patch(path, json!({})).await.json(), before);
    let body = json!({"stream_selection": {"min_video_bitrate": 10, "max_video_bitrate": 20}});
    control.patch(path, body).await;
    let after =
        control.patch(path, json!({"stream_selection": {"min_video_bitrate": null}, "manifest_name": "m"})).await;
    let mut expected = before;
    expected["manifest_name"] = json!("m");
    expected["stream_selection"]["max_video_bitrate"] = json!(20);
    assert_eq!(after.json(), expected);
    assert_eq!(control.get(path).await.json(), expected);

    control.add_playable("a", "a.mp4").await;
    let asset = control.patch("/v1/assets/a", json!({"content_id": "x"})).await.json();
    assert_eq!((&asset["content_id"], &asset["status"]), (&json!("x"), &json!("PLAYABLE")));
    let asset = control.patch("/v1/assets/a", json!({"content_id": null})).await.json();
    assert_eq!(asset["content_id"], Value::Null);
    let asset = control.patch("/v1/assets/a", json!({"sources": [{"path": "b.mp4"}]})).await.json();
    assert_eq!((&asset["status"], &asset["sources"][0]["path"]), (&json!("QUEUED"), &json!("b.mp4")));
    assert_eq!((&asset["tracks"], &asset["warnings"]), (&json!([]), &json!([])));
}

#[tokio::test]
async fn answers_carry_a_request_id_that_a_client_may_choose() {
    let control = Control::new().await;
    let ask = |id: &'static str| {
        let request = Request::get("/healthz").header("x-request-id", id).body(Body::empty()).unwrap();
        control.send(request)
    };
    assert_eq!(ask("my-id_1").await.header("x-request-id"), "my-id_1");
    let made = ask("not an id").await;
    assert_eq!(made.header("x-request-id").len(), 32);
    assert_eq!(made.json()["status"], "ok");
}

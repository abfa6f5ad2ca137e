//! HLS in the REST interface: configurations with TS segments, and playlists as sources.

mod common;

use common::Control;
use control::db::Db;
use control::db::{assets, configurations, sources};
use http::{Method, StatusCode};
use serde_json::{Value, json};

const CONFIGURATIONS: &str = "/v1/packaging-groups/films/configurations";

async fn document(control: &Control, key: &str) -> Value {
    control.origin(Method::GET, &format!("/origin/v1/documents/{key}"), &[]).await.json()
}

#[tokio::test]
async fn configurations_have_the_fields_of_their_package_type() {
    let control = Control::new().await;
    control.add_group().await;
    let ts = control.post(CONFIGURATIONS, json!({"name": "ts", "package_type": "HLS"})).await;
    assert_eq!(ts.status, StatusCode::CREATED);
    let ts = ts.json();
    assert_eq!((&ts["audio_separation"], &ts["hls_version"]), (&json!(false), &json!(4)));
    assert!(ts.get("text_format").is_none(), "{ts}");
    let dash = control.get(&format!("{CONFIGURATIONS}/dash")).await.json();
    assert_eq!(dash["text_format"], "WVTT");
    let cmaf = control.get(&format!("{CONFIGURATIONS}/hls")).await.json();
    for other in [&dash, &cmaf] {
        assert!(other.get("audio_separation").is_none() && other.get("hls_version").is_none(), "{other}");
    }
    assert!(cmaf.get("text_format").is_none());

    let all = json!({"name": "old", "package_type": "HLS", "hls_version": 3, "audio_separation": false});
    assert_eq!(control.post(CONFIGURATIONS, all).await.json()["hls_version"], 3);
    assert_eq!(document(&control, "configuration/films/old").await["body"]["value"]["hls_version"], 3);
    let patch = json!({"hls_version": 4, "audio_separation": true});
    assert_eq!(control.patch(&format!("{CONFIGURATIONS}/old"), patch).await.json()["audio_separation"], true);
    let value = document(&control, "configuration/films/old").await["body"]["value"].clone();
    assert_eq!((&value["package_type"], &value["audio_separation"]), (&json!("HLS"), &json!(true)));
    let patched = control.patch(&format!("{CONFIGURATIONS}/dash"), json!({"text_format": "WEBVTT"})).await.json();
    assert_eq!(patched["text_format"], "WEBVTT");
    assert_eq!(document(&control, "configuration/films/dash").await["body"]["value"]["text_format"], "WEBVTT");
}

#[tokio::test]
async fn fields_of_other_package_types_are_refused() {
    let control = Control::new().await;
    control.add_group().await;
    control.post(CONFIGURATIONS, json!({"name": "ts", "package_type": "HLS"})).await;
    let new = |package_type: &str, field: &str, value: Value| {
        let mut body = json!({"name": "c", "package_type": package_type});
        body[field] = value;
        body
    };
    for (package_type, field, value) in [
        ("CMAF", "audio_separation", json!(true)),
        ("CMAF", "audio_separation", json!(false)),
        ("DASH", "audio_separation", json!(true)),
        ("HLS", "audio_separation", json!("yes")),
        ("HLS", "audio_separation", Value::Null),
        ("CMAF", "hls_version", json!(4)),
        ("DASH", "hls_version", json!(3)),
        ("HLS", "hls_version", json!(2)),
        ("HLS", "hls_version", json!(5)),
        ("HLS", "hls_version", json!("4")),
        ("HLS", "text_format", json!("WVTT")),
        ("CMAF", "text_format", json!("WEBVTT")),
        ("DASH", "text_format", json!("TTML")),
    ] {
        let answer = control.post(CONFIGURATIONS, new(package_type, field, value.clone())).await;
        answer.assert_problem(422, Some(&format!("/{field}")));
        let path = match package_type {
            "CMAF" => "hls",
            "DASH" => "dash",
            _ => "ts",
        };
        let answer = control.patch(&format!("{CONFIGURATIONS}/{path}"), json!({field: value})).await;
        answer.assert_problem(422, Some(&format!("/{field}")));
    }
    let both = json!({"name": "c", "package_type": "HLS", "hls_version": 3, "audio_separation": true});
    control.post(CONFIGURATIONS, both).await.assert_problem(422, Some("/audio_separation"));
    let ts = &format!("{CONFIGURATIONS}/ts");
    assert_eq!(control.patch(ts, json!({"audio_separation": true})).await.status, StatusCode::OK);
    control.patch(ts, json!({"hls_version": 3})).await.assert_problem(422, Some("/audio_separation"));
}

#[tokio::test]
async fn another_package_type_leaves_the_fields_of_the_old_one_behind() {
    let control = Control::new().await;
    control.add_group().await;
    control.post(CONFIGURATIONS, json!({"name": "c", "package_type": "HLS", "audio_separation": true})).await;
    let path = &format!("{CONFIGURATIONS}/c");
    let dash = control.patch(path, json!({"package_type": "DASH", "text_format": "WEBVTT"})).await;
    assert_eq!(dash.status, StatusCode::OK);
    assert!(dash.json().get("audio_separation").is_none());
    let value = document(&control, "configuration/films/c").await["body"]["value"].clone();
    assert!(value.get("audio_separation").is_none(), "{value}");
    let hls = control.patch(path, json!({"package_type": "HLS"})).await.json();
    assert_eq!((&hls["audio_separation"], &hls["hls_version"]), (&json!(false), &json!(4)));
    let dash = control.patch(path, json!({"package_type": "DASH"})).await.json();
    assert_eq!(dash["text_format"], "WVTT");
}

#[tokio::test]
async fn an_asset_has_files_or_a_playlist() {
    let control = Control::new().await;
    control.add_group().await;
    let asset = |members: Value| {
        let mut body = json!({"name": "a", "packaging_group": "films"});
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        body
    };
    let source = json!({"path": "shows/1/main.m3u8"});
    let sources = json!([{"path": "a.mp4"}]);
    for (members, field) in [
        (json!({}), "/sources"),
        (json!({"source": source, "sources": sources}), "/source"),
        (json!({"source": null}), "/source"),
        (json!({"sources": null}), "/sources"),
        (json!({"source": "shows/1/main.m3u8"}), "/source"),
        (json!({"source": {}}), "/source/path"),
        (json!({"source": {"path": "../main.m3u8"}}), "/source/path"),
        (json!({"source": {"path": "/main.m3u8"}}), "/source/path"),
        (json!({"source": {"path": "http://x/main.m3u8"}}), "/source/path"),
        (json!({"source": {"path": "a", "language": "en"}}), "/source/language"),
        (json!({"sources": [{"path": "shows/1/main.m3u8"}]}), "/sources/0/path"),
        (json!({"sources": [{"path": "a.mp4", "forced": 1}]}), "/sources/0/forced"),
        (json!({"sources": [{"path": "a.mp4", "default": null}]}), "/sources/0/default"),
    ] {
        control.post("/v1/assets", asset(members)).await.assert_problem(422, Some(field));
    }
    let made = control.post("/v1/assets", asset(json!({"source": source}))).await;
    assert_eq!(made.status, StatusCode::ACCEPTED);
    let made = made.json();
    assert_eq!((&made["source"], made.get("sources")), (&source, None));
    assert_eq!(control.get("/v1/assets/a").await.json(), made);

    let path = "/v1/assets/a";
    control.patch(path, json!({"source": source, "sources": sources})).await.assert_problem(422, Some("/source"));
    let side = json!([
        {"path": "a.mp4", "language": null, "label": null, "role": null},
        {"path": "a.vtt", "language": "en", "label": "English", "role": "subtitle", "forced": true, "default": true},
    ]);
    let patched = control.patch(path, json!({"sources": side})).await.json();
    assert_eq!((patched.get("source"), &patched["sources"]), (None, &side));
    let patched = control.patch(path, json!({"source": {"path": "other.m3u8"}})).await.json();
    assert_eq!((&patched["source"]["path"], patched.get("sources")), (&json!("other.m3u8"), None));
    assert_eq!(patched["status"], "QUEUED");
    let renamed = control.patch(path, json!({"name": "b"})).await.json();
    assert_eq!(renamed["source"]["path"], "other.m3u8");
    control.origin(Method::GET, "/origin/v1/media/a.vtt", &[]).await.assert_problem(404, None);
}

#[tokio::test]
async fn a_batch_takes_files_and_playlists() {
    let control = Control::new().await;
    control.add_group().await;
    let batch = json!({"assets": [
        {"name": "a", "packaging_group": "films", "source": {"path": "a/main.m3u8"}},
        {"name": "b", "packaging_group": "films", "sources": [{"path": "b.mp4"}]},
        {"name": "c", "packaging_group": "films"},
    ]});
    let results = control.post("/v1/assets/batch", batch).await.json()["results"].clone();
    assert_eq!(results[0]["asset"]["source"]["path"], "a/main.m3u8");
    assert_eq!(results[1]["asset"]["sources"][0]["path"], "b.mp4");
    assert_eq!((&results[2]["status"], &results[2]["problem"]["field"]), (&json!(422), &json!("/assets/2/sources")));
}

#[tokio::test]
async fn a_database_of_the_first_version_keeps_what_is_in_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("control.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&file).create_if_missing(true);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    let mut migrator = sqlx::migrate!("./migrations");
    migrator.migrations.to_mut().truncate(1);
    migrator.run(&pool).await.unwrap();
    for statement in [
        "INSERT INTO packaging_groups (id, name, created_at) VALUES (1, 'films', 0)",
        "INSERT INTO configurations VALUES (1, 1, 'hls', 'CMAF', 6, 'index', 'ORIGINAL', NULL, NULL, 0)",
        "INSERT INTO assets (id, group_id, name, status, queued_at, created_at) VALUES (1, 1, 'a', 'PLAYABLE', 0, 0)",
        "INSERT INTO sources VALUES (1, 0, 'a.mp4', 'en', NULL, NULL, 10, '\"t\"')",
    ] {
        sqlx::query(statement).execute(&pool).await.unwrap();
    }
    pool.close().await;

    let db = Db::open(&file).await.unwrap();
    let mut db = db.read().await.unwrap();
    let asset = assets::find(&mut db, "a").await.unwrap().unwrap();
    assert_eq!((asset.playlist, asset.segments_done, asset.segments_total), (None, None, None));
    let configuration = configurations::find(&mut db, "hls").await.unwrap().unwrap();
    assert_eq!((configuration.audio_separation, configuration.hls_version), (false, 4));
    assert_eq!(configuration.text_format, "WVTT");
    let source = sources::list(&mut db, 1).await.unwrap().remove(0);
    assert_eq!(
        (source.path.as_str(), source.bytes, source.forced, source.is_default),
        ("a.mp4", Some(10), false, false)
    );
}

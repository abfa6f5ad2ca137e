//! Ingest: failures that a person can act on, and restarts at any moment.

mod common;

use common::Control;
use control::db::assets;
use control::ingest::assets::tick;
use control::{ServeOptions, jobs};
use serde_json::json;

async fn add(control: &Control, name: &str, path: &str) {
    let body = json!({"name": name, "packaging_group": "films", "sources": [{"path": path}]});
    assert_eq!(control.post("/v1/assets", body).await.status, 202);
}

#[tokio::test]
async fn a_missing_source_is_named() {
    let control = Control::new().await;
    control.add_group().await;
    add(&control, "a", "none/film.mp4").await;
    assert!(tick(&control.context).await.unwrap());
    let asset = control.get("/v1/assets/a").await.json();
    assert_eq!(asset["status"], "FAILED");
    let reason = asset["failure"]["reason"].as_str().unwrap();
    assert!(reason.contains("none/film.mp4") && reason.contains("no such object"), "{reason}");
    assert!(!reason.contains(control.directory.path().to_str().unwrap()), "{reason}");
    assert!(!tick(&control.context).await.unwrap(), "nothing is left to do");
}

#[tokio::test]
async fn what_is_no_media_fails_with_a_reason() {
    let control = Control::new().await;
    control.add_group().await;
    control.write_media("a.mp4", b"this is not a movie, it only has its name");
    control.write_media("empty.mp4", b"");
    add(&control, "a", "a.mp4").await;
    add(&control, "b", "empty.mp4").await;
    while tick(&control.context).await.unwrap() {}
    for name in ["a", "b"] {
        let asset = control.get(&format!("/v1/assets/{name}")).await.json();
        assert_eq!(asset["status"], "FAILED", "{asset}");
        assert!(!asset["failure"]["reason"].as_str().unwrap().is_empty());
    }
}

#[tokio::test]
async fn assets_are_taken_in_their_order() {
    let control = Control::new().await;
    control.add_group().await;
    for name in ["z", "y", "x"] {
        add(&control, name, "none.mp4").await;
    }
    tick(&control.context).await.unwrap();
    for (name, status) in [("z", "FAILED"), ("y", "QUEUED"), ("x", "QUEUED")] {
        assert_eq!(control.get(&format!("/v1/assets/{name}")).await.json()["status"], status, "{name}");
    }
}

#[tokio::test]
async fn a_run_that_the_end_of_the_process_interrupted_is_run_again() {
    let control = Control::new().await;
    control.add_group().await;
    add(&control, "a", "none.mp4").await;
    control.add_playable_after("b").await;
    let mut tx = control.context.db.write().await.unwrap();
    let run = assets::claim(&mut tx).await.unwrap().unwrap();
    let half = assets::Progress { fraction: 0.5, segments: Some((2, 4)) };
    assert!(assets::set_progress(&mut tx, run, half).await.unwrap());
    tx.commit().await.unwrap();
    let before = control.get("/v1/assets/a").await.json();
    assert_eq!((&before["status"], &before["progress"]), (&json!("PROCESSING"), &json!(0.5)));
    assert_eq!(before["segments"], json!({"done": 2, "total": 4}));

    let control = control.reopen().await;
    assert_eq!(jobs::recover(&control.context).await.unwrap(), 1);
    let queued = control.get("/v1/assets/a").await.json();
    assert_eq!((&queued["status"], &queued["progress"]), (&json!("QUEUED"), &json!(0.0)));
    assert!(queued.get("segments").is_none(), "{queued}");
    assert_eq!(jobs::recover(&control.context).await.unwrap(), 0);
    assert!(tick(&control.context).await.unwrap());
    assert_eq!(control.get("/v1/assets/a").await.json()["status"], "FAILED");
    assert_eq!(control.get("/v1/assets/b").await.json()["status"], "PLAYABLE", "what was done stays done");
}

impl Control {
    /// Makes another asset playable while one waits.
    async fn add_playable_after(&self, name: &str) {
        let waiting = self.get("/v1/assets?status=QUEUED").await.json()["items"][0]["name"].clone();
        let path = format!("/v1/assets/{}", waiting.as_str().unwrap());
        let sources = self.get(&path).await.json()["sources"].clone();
        self.delete(&path).await;
        self.add_playable(name, "b.mp4").await;
        let body = json!({"name": waiting, "packaging_group": "films", "sources": sources});
        assert_eq!(self.post("/v1/assets", body).await.status, 202);
    }
}

#[tokio::test]
async fn a_run_of_older_sources_cannot_finish() {
    let control = Control::new().await;
    control.add_group().await;
    add(&control, "a", "old.mp4").await;
    let mut tx = control.context.db.write().await.unwrap();
    let run = assets::claim(&mut tx).await.unwrap().unwrap();
    tx.commit().await.unwrap();
    control.patch("/v1/assets/a", json!({"sources": [{"path": "new.mp4"}]})).await;
    let mut tx = control.context.db.write().await.unwrap();
    assert!(!assets::set_progress(&mut tx, run, assets::Progress::default()).await.unwrap());
    assert!(!assets::set_failed(&mut tx, run, "late").await.unwrap());
    let indexed = assets::Indexed { warnings: "[]".into(), duration_ms: 1, tracks: "[]".into() };
    assert!(!assets::set_playable(&mut tx, run, &indexed).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(control.get("/v1/assets/a").await.json()["status"], "QUEUED");
}

#[tokio::test]
async fn a_whole_control_plane_starts_works_and_starts_again() {
    let directory = tempfile::tempdir().unwrap();
    let options = ServeOptions::local(directory.path().to_owned());
    let server = control::serve(options.clone()).await.unwrap();
    assert!(server.admin_token_is_new());
    let token = server.admin_token().to_owned();
    let variables = server.edge_variables("e");
    let client = control::push::Client::new().unwrap();
    let send = async |server: &control::Server, method: &str, path: &str, body: serde_json::Value| {
        let request = http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", server.control_url()))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(http_body_util::Full::new(bytes::Bytes::from(body.to_string())))
            .unwrap();
        let (status, body) = client.send(request).await.unwrap();
        (status.as_u16(), serde_json::from_slice::<serde_json::Value>(&body).unwrap())
    };
    assert_eq!(send(&server, "POST", "/v1/packaging-groups", json!({"name": "films"})).await.0, 201);
    let asset = json!({"name": "a", "packaging_group": "films", "sources": [{"path": "none.mp4"}]});
    assert_eq!(send(&server, "POST", "/v1/assets", asset).await.0, 202);
    server.shutdown().await;

    let server = control::serve(options).await.unwrap();
    assert!(!server.admin_token_is_new());
    assert_eq!(server.admin_token(), token);
    assert_eq!(server.edge_variables("e")[1..], variables[1..], "token and key are kept");
    let ended = tokio::time::timeout(std::time::Duration::from_secs(30), async {
        loop {
            let (_, asset) = send(&server, "GET", "/v1/assets/a", json!({})).await;
            if asset["status"] == "FAILED" {
                return asset;
            }
            tokio::task::yield_now().await;
        }
    });
    let asset = ended.await.unwrap();
    assert!(asset["failure"]["reason"].as_str().unwrap().contains("none.mp4"));
    server.shutdown().await;

    #[cfg(unix)]
    for secret in ["admin-token", "origin-token", "push-key"] {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(directory.path().join(secret)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{secret}");
    }
}

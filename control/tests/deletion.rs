//! Deletions: what they remove, what they say, and what stays for a while.

mod common;

use std::time::Duration;

use common::Control;
use control::db::documents;
use control::ingest::sweep_indexes;
use packager::config::{Body, Document};
use serde_json::{Value, json};

async fn body(control: &Control, key: &str) -> Body {
    let json = documents::find(&mut control.context.db.read().await.unwrap(), key).await.unwrap().unwrap();
    Document::from_json(json.as_bytes()).unwrap().body
}

fn deleted(groups: &[&str], configurations: &[&str], assets: &[&str], indexes: &[&str], edges: &[&str]) -> Value {
    json!({"deleted": {"packaging_groups": groups, "configurations": configurations, "assets": assets,
        "index_objects": indexes, "edges": edges, "channel_groups": [], "channels": [], "endpoints": []}})
}

#[tokio::test]
async fn a_group_with_assets_goes_only_when_asked_to() {
    let control = Control::new().await;
    control.add_group().await;
    control.add_playable("a", "a.mp4").await;
    control.delete("/v1/packaging-groups/films").await.assert_problem(409, None);
    control.delete("/v1/packaging-groups/films?cascade=false").await.assert_problem(409, None);
    control.delete("/v1/packaging-groups/films?cascade=2").await.assert_problem(422, Some("cascade"));
    assert_eq!(control.get("/v1/assets/a").await.json()["status"], "PLAYABLE");
    let answer = control.delete("/v1/packaging-groups/films?cascade=true").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json(), deleted(&["films"], &["hls", "dash"], &["a"], &["a.idx"], &[]));
    for path in ["/v1/packaging-groups/films", "/v1/assets/a"] {
        control.get(path).await.assert_problem(404, None);
    }
    for key in ["asset/films/a", "configuration/films/hls", "configuration/films/dash"] {
        assert_eq!(body(&control, key).await, Body::Deleted, "{key}");
    }
}

#[tokio::test]
async fn each_resource_says_what_went() {
    let control = Control::new().await;
    control.add_group().await;
    control.add_playable("a", "a.mp4").await;
    control.post("/v1/edges", json!({"name": "e", "url": "http://edge"})).await;
    for (path, expected) in [
        ("/v1/edges/e", deleted(&[], &[], &[], &[], &["e"])),
        ("/v1/assets/a", deleted(&[], &[], &["a"], &["a.idx"], &[])),
        ("/v1/packaging-groups/films/configurations/hls", deleted(&[], &["hls"], &[], &[], &[])),
        ("/v1/packaging-groups/films", deleted(&["films"], &["dash"], &[], &[], &[])),
    ] {
        assert_eq!(control.delete(path).await.json(), expected, "{path}");
        control.delete(path).await.assert_problem(404, None);
    }
}

#[tokio::test]
async fn a_name_may_be_used_again() {
    let control = Control::new().await;
    control.add_group().await;
    let path = "/v1/packaging-groups/films/configurations";
    control.delete(&format!("{path}/hls")).await;
    assert_eq!(body(&control, "configuration/films/hls").await, Body::Deleted);
    assert_eq!(control.post(path, json!({"name": "hls", "package_type": "DASH"})).await.status, 201);
    assert!(matches!(body(&control, "configuration/films/hls").await, Body::Configuration(_)));
}

#[tokio::test]
async fn an_index_stays_for_the_grace_period() {
    let control = Control::new().await;
    control.add_group().await;
    control.add_playable("a", "a.mp4").await;
    control.add_playable("b", "b.mp4").await;
    control.delete("/v1/assets/a").await;
    let removed = |name: &'static str| {
        let path = control.directory.path().join("indexes").join(name);
        move || !path.exists()
    };
    assert_eq!(sweep_indexes(&control.context, Duration::from_secs(3600)).await.unwrap(), 0);
    assert!(!removed("a.idx")());
    assert_eq!(sweep_indexes(&control.context, Duration::ZERO).await.unwrap(), 1);
    assert!(removed("a.idx")() && !removed("b.idx")());
    assert_eq!(sweep_indexes(&control.context, Duration::ZERO).await.unwrap(), 0);
}

#[tokio::test]
async fn changed_sources_take_the_asset_and_its_index_away() {
    let control = Control::new().await;
    control.add_group().await;
    control.add_playable("a", "a.mp4").await;
    control.patch("/v1/assets/a", json!({"sources": [{"path": "b.mp4"}]})).await;
    assert_eq!(body(&control, "asset/films/a").await, Body::Deleted);
    assert_eq!(sweep_indexes(&control.context, Duration::ZERO).await.unwrap(), 1);
}

//! The real edge component in the host.

mod common;

use common::{FakeControl, ORIGIN_TOKEN, deleted, edge_component, fetch, get, json, options, push};
use edge_host::{EdgeHost, Options};
use futures::future::join_all;
use http::StatusCode;
use packager::config::{
    Access, Asset, Body, Document, HlsVersion, INDEX_PATH, IndexObject, PULL_PATH, PackageType, PackagingConfiguration,
    SIGNATURE_HEADER, StreamSelection, TextFormat, asset_key, configuration_key,
};

fn configuration(revision: u64) -> Document {
    let configuration = PackagingConfiguration {
        name: "hls".into(),
        packaging_group: "films".into(),
        package_type: PackageType::Cmaf,
        segment_duration_seconds: 6,
        manifest_name: "index".into(),
        stream_selection: StreamSelection::default(),
        audio_separation: false,
        hls_version: HlsVersion::V4,
        text_format: TextFormat::Wvtt,
        access: Access::default(),
        protection: None,
    };
    Document::new(configuration_key("films", "hls"), revision, Body::Configuration(configuration))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_and_unknown_paths() {
    let control = FakeControl::empty().await;
    // With room for two the second would be started when the first still ends what it did last.
    let host = EdgeHost::new(Options { max_instances: 1, ..options(&control.url()) }).await.unwrap();
    let (status, kind, body) = fetch(&host, get("/healthz")).await;
    assert_eq!((status, kind.as_str()), (StatusCode::OK, "application/json"));
    assert_eq!(json(&body)["status"], "ok");
    assert_eq!(json(&body)["edge"], common::EDGE_NAME);
    let (status, kind, body) = fetch(&host, get("/nothing/here")).await;
    assert_eq!((status, kind.as_str()), (StatusCode::NOT_FOUND, "application/problem+json"));
    assert_eq!(json(&body)["instance"], "/nothing/here");
    assert_eq!(control.connections(), 0);
    let stats = host.stats();
    assert_eq!((stats.requests, stats.failed, stats.instances_started), (2, 0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pushes_are_kept_across_instances_and_checked() {
    let control = FakeControl::empty().await;
    let host = EdgeHost::new(Options { reuse_requests: 1, ..options(&control.url()) }).await.unwrap();
    let (status, _, body) = fetch(&host, push(5, vec![configuration(5), deleted("asset/films/gone", 5)])).await;
    assert_eq!(status, StatusCode::OK, "{body:?}");
    assert_eq!(json(&body)["sequence"], 5);
    assert!(host.stats().kv_keys >= 2);
    let kept = host.stats();

    // Another instance, the same store: the sequence was taken.
    let (status, kind, _) = fetch(&host, push(5, vec![configuration(9)])).await;
    assert_eq!((status, kind.as_str()), (StatusCode::CONFLICT, "application/problem+json"));
    let mut forged = push(6, vec![configuration(6)]);
    forged.headers_mut().insert(SIGNATURE_HEADER, "AAAA".parse().unwrap());
    let (status, ..) = fetch(&host, forged).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let after = host.stats();
    assert_eq!((after.kv_keys, after.kv_bytes), (kept.kv_keys, kept.kv_bytes));
    assert_eq!(after.instances_started, 3);
    let (_, _, health) = fetch(&host, get("/healthz")).await;
    assert_eq!(json(&health)["sequence"], 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_documents_are_pulled_over_few_connections() {
    let control = FakeControl::empty().await;
    let host = EdgeHost::new(options(&control.url())).await.unwrap();
    for asset in 0..20 {
        let (status, ..) = fetch(&host, get(&format!("/vod/v1/films/a{asset}/hls/index.m3u8"))).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
    }
    let seen = control.seen.lock().unwrap().clone();
    assert!(seen.iter().all(|(path, _)| path.starts_with(PULL_PATH)), "{seen:?}");
    assert!(seen.iter().all(|(_, authorization)| *authorization == format!("Bearer {ORIGIN_TOKEN}")));
    assert!(seen.len() >= 20, "{} pulls", seen.len());
    // One after the other, documents of one asset at most two at a time.
    assert!(control.connections() <= 2, "{} connections for {} pulls", control.connections(), seen.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_and_ranges_come_from_control() {
    let asset = Asset {
        name: "a".into(),
        packaging_group: "films".into(),
        index: IndexObject { path: "a.idx".into(), bytes: 1000, head_bytes: 100, digest: "0".repeat(64) },
        sources: vec![],
    };
    let asset = Document::new(asset_key("films", "a"), 1, Body::Asset(asset));
    let documents = [configuration(1), asset].map(|document| (format!("{PULL_PATH}{}", document.key), document));
    let control = FakeControl::start(move |request| {
        if let Some((_, document)) = documents.iter().find(|(path, _)| path == request.uri().path()) {
            return http::Response::new(document.to_json().into());
        }
        assert_eq!(request.headers()["range"], "bytes=0-99");
        let mut response = http::Response::new(vec![0; 100].into());
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        response.headers_mut().insert("content-range", "bytes 0-99/1000".parse().unwrap());
        response
    })
    .await;
    let host = EdgeHost::new(options(&control.url())).await.unwrap();
    let (status, kind, body) = fetch(&host, get("/vod/v1/films/a/hls/index.m3u8")).await;
    // A hundred zeros are no index.
    assert!(status.is_server_error(), "{status} {body:?}");
    assert_eq!(kind, "application/problem+json");
    let paths = control.paths();
    assert!(paths.contains(&format!("{INDEX_PATH}a.idx")), "{paths:?}");
    assert_eq!(host.stats().kv_keys, 2);
    assert_eq!(host.stats().failed, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guests_reach_control_and_nothing_else() {
    let control = FakeControl::empty().await;
    let foreign = FakeControl::empty().await;
    // The component believes in the variable; the host must allow what the variable says and no more, so a control
    // plane that redirects elsewhere is the way to ask for a foreign host.
    let elsewhere = foreign.url();
    let redirecting = FakeControl::start(move |request| {
        let mut response = common::not_found();
        *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
        response.headers_mut().insert("location", format!("{elsewhere}{}", request.uri()).parse().unwrap());
        response
    })
    .await;
    let host = EdgeHost::new(options(&redirecting.url())).await.unwrap();
    let (status, ..) = fetch(&host, get("/vod/v1/films/a/hls/index.m3u8")).await;
    assert!(status.is_server_error(), "{status}");
    assert!(redirecting.connections() > 0);
    assert_eq!((foreign.connections(), control.connections()), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn control_away_is_an_answer_of_the_edge() {
    let control = FakeControl::empty().await;
    let url = control.url();
    drop(control);
    let host = EdgeHost::new(options(&url)).await.unwrap();
    let (status, kind, body) = fetch(&host, get("/vod/v1/films/a/hls/index.m3u8")).await;
    assert_eq!((status, kind.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "application/problem+json"), "{body:?}");
    assert_eq!(host.stats().failed, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_is_reused_and_replaced() {
    let control = FakeControl::empty().await;
    let host = EdgeHost::new(Options { reuse_requests: 10, ..options(&control.url()) }).await.unwrap();
    for _ in 0..25 {
        let (status, ..) = fetch(&host, get("/healthz")).await;
        assert_eq!(status, StatusCode::OK);
    }
    let stats = host.stats();
    // One after the other: at least the three that 25 requests need, and a spare when one was still busy ending.
    assert!((3..=5).contains(&stats.instances_started), "{stats:?}");
    assert_eq!((stats.instances_failed, stats.waiting), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_a_time() {
    let control = FakeControl::empty().await;
    let host = EdgeHost::new(Options { max_instances: 4, ..options(&control.url()) }).await.unwrap();
    for _ in 0..8 {
        let answers = join_all((0..64).map(|_| fetch(&host, get("/healthz")))).await;
        assert!(answers.iter().all(|(status, ..)| *status == StatusCode::OK));
    }
    let stats = host.stats();
    assert_eq!((stats.requests, stats.failed, stats.refused, stats.timed_out), (512, 0, 0, 0));
    assert!(stats.instances <= 4, "{stats:?}");
    assert!(stats.instances_started < 20, "{stats:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_the_places_wait_their_turn() {
    let control = FakeControl::empty().await;
    let host =
        EdgeHost::new(Options { max_instances: 1, reuse_concurrent: 1, reuse_requests: 3, ..options(&control.url()) })
            .await
            .unwrap();
    let answers = join_all((0..64).map(|_| fetch(&host, get("/healthz")))).await;
    assert!(answers.iter().all(|(status, ..)| *status == StatusCode::OK));
    assert!(host.stats().instances_started >= 22, "{:?}", host.stats());
}

#[tokio::test]
async fn a_component_that_is_none_is_refused_with_its_path() {
    let path = std::env::temp_dir().join(format!("edge-host-not-a-component-{}", std::process::id()));
    std::fs::write(&path, b"\0asm but no more").unwrap();
    let error = EdgeHost::new(Options::new(&path)).await.err().unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(format!("{error:#}").contains(path.to_str().unwrap()), "{error:#}");
    let error = EdgeHost::new(Options::new(path)).await.err().unwrap();
    assert!(format!("{error:#}").contains("cannot read the edge component"), "{error:#}");
}

#[tokio::test]
async fn a_control_url_that_is_none_is_refused() {
    let mut options = Options::new(edge_component());
    options.variables.insert("control_url".into(), "control.example".into());
    let error = EdgeHost::new(options).await.err().unwrap();
    assert!(format!("{error:#}").contains("control_url"), "{error:#}");
}

//! Power cuts: the control plane is killed at any moment of an ingest, and edges are left without it.

use std::time::{Duration, Instant};

use e2e::http::Client;
use e2e::playlist::{self, Multivariant};
use e2e::{Edge, Setup, media, source};

#[test]
fn killed_at_any_moment_of_an_ingest() {
    let mut ends = Vec::new();
    for wait in [0, 3, 8, 15, 30, 60, 120, 250] {
        let folder = tempfile::tempdir().expect("a folder");
        let control = Setup::at(folder.path()).start();
        control.group("kill", 2);
        let paths: Vec<String> = media::ladder().iter().map(|file| control.store(file)).collect();
        let playable = control.playable("kill", "before", &[media::small("h264_aac.mp4")]);
        let url = control.playback(&playable, "CMAF");
        control.submit("kill", "during", &paths);
        let titles = source::main();
        let title = titles.iter().find(|title| title.name == "hls_ts_demuxed").expect("a title");
        title.submit(&control, "kill", "during-hls");
        // The moment is what is tested; nothing is awaited here.
        std::thread::sleep(Duration::from_millis(wait));
        let control = control.kill().start();
        let during = control.finished("during");
        assert_eq!(during.status(), "PLAYABLE", "after {wait} ms: {}", during.json);
        let multivariant = Multivariant::fetch(&control.client, &control.playback(&during, "CMAF"));
        assert_eq!(multivariant.media_urls().len(), 5, "after {wait} ms");
        let during = control.finished("during-hls");
        assert_eq!(during.status(), "PLAYABLE", "after {wait} ms: {}", during.json);
        let multivariant = Multivariant::fetch(&control.client, &control.playback(&during, "CMAF"));
        // Pictures, sounds and subtitles.
        assert_eq!(multivariant.media_urls().len(), 2 + 3 + 4, "after {wait} ms");
        assert_eq!(control.finished("before").status(), "PLAYABLE", "after {wait} ms");
        control.client.get(&url);
        for path in ["/v1/packaging-groups/kill", "/v1/packaging-groups/kill/configurations/hls-kill"] {
            assert_eq!(control.rest("GET", path, None).status, 200, "after {wait} ms: {path}");
        }
        ends.push(wait);
    }
    println!("killed {ends:?} ms after the asset was accepted: nothing lost");
}

#[test]
fn nothing_acknowledged_is_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut setup = Setup { embedded_edge: false, ..Setup::at(folder.path()) };
    let mut acknowledged = Vec::new();
    for round in 0..5 {
        let control = setup.start();
        for name in &acknowledged {
            assert_eq!(
                control.rest("GET", &format!("/v1/packaging-groups/{name}"), None).status,
                200,
                "{name} was lost"
            );
        }
        for index in 0..5 {
            let name = format!("group-{round}-{index}");
            control.create("/v1/packaging-groups", &serde_json::json!({ "name": name }));
            acknowledged.push(name);
        }
        setup = Setup { embedded_edge: false, ..control.kill() };
    }
}

#[test]
fn an_edge_without_control() {
    let folder = tempfile::tempdir().expect("a folder");
    let control = Setup::at(folder.path()).start();
    control.group("away", 2);
    let asset = control.playable("away", "known", &[media::small("h264_aac.mp4")]);
    control.playable("away", "unknown", &[media::small("open_gop.mp4")]);
    let edge = Edge::start(&control, "far");
    let client = Client::default();

    // Pulled once, without any push.
    let manifest = edge.here(&control, &control.playback(&asset, "CMAF"));
    let urls = playlist::every_url(&client, &manifest);
    let bodies: Vec<Vec<u8>> = urls.iter().map(|url| client.get(url).body).collect();

    let setup = control.kill();
    for (url, body) in urls.iter().zip(&bodies) {
        // Media bytes come from the origin; what the edge has of itself are documents and the index.
        if url.ends_with(".m3u8") || url.ends_with("init.mp4") {
            assert!(client.get(url).body == *body, "{url} differs without the control plane");
        }
    }
    let unknown = client.send("GET", &manifest.replace("/known/", "/unknown/"), &[], &[]);
    assert_eq!(unknown.status, 503, "{}", unknown.text());
    assert!(!unknown.problem().is_empty());
    assert!(unknown.header("retry-after").is_some());
    assert_eq!(unknown.header("cache-control"), Some("no-store"));

    let _control = setup.start();
    // The edge does not ask again at once; its Retry-After is to be believed.
    let seconds: u64 = unknown.header("retry-after").and_then(|text| text.parse().ok()).expect("seconds");
    let back = Instant::now();
    while client.send("GET", &manifest.replace("/known/", "/unknown/"), &[], &[]).status != 200 {
        assert!(back.elapsed() < Duration::from_secs(seconds + 2), "not asked again after {seconds} s");
        std::thread::sleep(Duration::from_millis(50));
    }
    for (url, body) in urls.iter().zip(&bodies) {
        assert!(client.get(url).body == *body, "{url} differs after the control plane came back");
    }
}

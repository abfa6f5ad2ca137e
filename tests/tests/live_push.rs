//! ffmpeg pushes to channels, as transport streams and as fragments, and players in a browser watch.

use std::time::Duration;

use e2e::live::{Channel, Container, DashRecorder, Encoder, HlsRecorder, LADDER, Recording, play};
use e2e::playlist::{Media, Multivariant};
use e2e::{Control, Setup, browser, ffmpeg};
use serde_json::json;

/// What the first segments may take, those of the encoder included.
const START: Duration = Duration::from_secs(60);

#[test]
fn players_watch_what_ffmpeg_pushes() {
    let folder = tempfile::tempdir().expect("a folder");
    let control = Setup::at(folder.path()).start();
    let channels = [("ts", "HLS", Container::Transport), ("fmp4", "HLS_CMAF", Container::Fragments)];
    let mut encoders = Vec::new();
    let channels = channels.map(|(name, protocol, container)| {
        let channel = Channel::create(&control, name, protocol, 2);
        let urls = channel.endpoints(&control, 2);
        encoders.push(Encoder::start(channel.input(1), container));
        (channel, urls)
    });
    let [(first, [hls, first_cmaf, dash]), (_, [second_hls, cmaf, second_dash])] = &channels;
    let follow = [hls, first_cmaf, second_hls, cmaf].map(|url| HlsRecorder::follow(url));
    let follow_dash = [dash, second_dash].map(|url| DashRecorder::follow(url));
    follow.iter().for_each(|recorder| recorder.wait_for(4, START));
    let json = first.json(&control);
    assert_eq!(json["inputs"][0]["status"]["receiving"], true, "{json}");
    assert_eq!(json["inputs"][0]["status"]["refused"], 0, "{json}");

    access(&control, first);
    let watched =
        [("hls", hls), ("shaka", dash), ("hls", cmaf), ("dashjs", second_dash), ("shaka", cmaf), ("dashjs", dash)];
    let outcomes = browser::each(&watched, |(engine, url)| {
        let name = format!("live-{engine}-{}", url.split('/').skip(5).take(2).collect::<Vec<_>>().join("-"));
        let options = json!({ "url": url, "watch": 6, "within": 60 });
        play(&control.url, engine, &name, options).map_err(|error| format!("{name}: {error}"))
    });
    let wrong: Vec<String> =
        outcomes.into_iter().filter_map(|outcome| outcome.map(|said| println!("{said}")).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    assert!(encoders.iter_mut().all(Encoder::runs), "an encoder gave up");

    // Nobody ever got anything but what is right.
    for (recorder, url) in follow.into_iter().zip([hls, first_cmaf, second_hls, cmaf]) {
        check(url, &recorder.finish());
        let multivariant = Multivariant::fetch(&control.client, url);
        let heights: Vec<u64> =
            multivariant.parsed.variants.iter().filter_map(|v| Some(v.resolution?.height)).collect();
        for (_, height, _) in LADDER {
            assert!(heights.contains(&height.into()), "{heights:?}\n{}", multivariant.text);
        }
        let list = Media::fetch(&control.client, &multivariant.media_urls()[0]);
        assert!(!list.parsed.end_list, "{}", list.text);
    }
    for (recorder, url) in follow_dash.into_iter().zip([dash, second_dash]) {
        check(url, &recorder.finish());
    }
}

/// An independent reader has nothing to say of what was recorded.
fn check(url: &str, recording: &Recording) {
    let folder = tempfile::tempdir().expect("a folder");
    assert!(recording.tracks.len() >= 3, "{url}: {} renditions", recording.tracks.len());
    for track in &recording.tracks {
        let segments: usize = track.chunks.iter().map(|chunk| chunk.segments).sum();
        assert!(segments >= 8, "{url} {}: {segments} segments", track.name);
        // A key frame and one that follows from it: not more than a decoder needs to see what is wrong.
        for chunk in &track.chunks {
            let file = folder.path().join(format!("media.{}", track.extension));
            std::fs::write(&file, &chunk.bytes).expect("a file");
            let complaints = ffmpeg::complaints(&file);
            assert!(complaints.is_empty(), "{url} {}: ffprobe says\n{complaints}", track.name);
        }
    }
    println!(
        "{url}: {} renditions, {} refreshes, {} waits",
        recording.tracks.len(),
        recording.refreshes,
        recording.waits
    );
}

/// Who has no code or comes from the wrong place gets nothing: no manifest and no segment.
fn access(control: &Control, channel: &Channel) {
    let client = &control.client;
    let coded = json!({ "name": "coded", "protocol": "HLS_CMAF", "authorization_codes": ["first-code-1234", "second-code-1234"] });
    let coded = channel.endpoint(control, &coded);
    let denied = json!({ "name": "denied", "protocol": "HLS", "ip_deny": ["127.0.0.0/8"] });
    let denied = channel.endpoint(control, &denied);
    let elsewhere = json!({ "name": "elsewhere", "protocol": "HLS", "ip_allow": ["192.0.2.0/24"] });
    let elsewhere = channel.endpoint(control, &elsewhere);
    let allowed = json!({ "name": "allowed", "protocol": "DASH", "ip_allow": ["127.0.0.1"] });
    let allowed = channel.endpoint(control, &allowed);

    client.get(&allowed);
    for url in [&denied, &elsewhere] {
        let answer = client.send("GET", url, &[], &[]);
        assert_eq!(answer.status, 403, "{}", answer.text());
        answer.problem();
    }
    let with = |url: &str, code: &str| client.send("GET", url, &[("authorization", code)], &[]);
    for code in ["first-code-1234", "second-code-1234"] {
        let answer = with(&coded, code);
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let multivariant = m3u8_rs::parse_master_playlist_res(&with(&coded, "first-code-1234").body).expect("a playlist");
    let media = e2e::http::resolve(&coded, &multivariant.variants[0].uri);
    let list = with(&media, "first-code-1234");
    assert_eq!(list.status, 200, "{}", list.text());
    let list = m3u8_rs::parse_media_playlist_res(&list.body).expect("a playlist");
    let segment = e2e::http::resolve(&media, &list.segments[0].uri);
    assert_eq!(with(&segment, "second-code-1234").status, 200);
    for url in [&coded, &media, &segment] {
        assert_eq!(with(url, "third-code-1234").status, 401, "{url}");
        let answer = client.send("GET", url, &[], &[]);
        assert_eq!(answer.status, 401, "{url}");
        let detail = answer.problem();
        assert!(!detail.contains("code-1234"), "{detail}");
    }
}

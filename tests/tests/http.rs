//! HTTP as caches, players and browsers use it, against the real edge.

use e2e::http::{Client, Response};
use e2e::mpd::Mpd;
use e2e::playlist::{Media, Multivariant, track};
use e2e::{Control, media};
use serde_json::json;

/// One URL of every kind, with its media type and whether it is immutable.
fn samples(control: &Control) -> Vec<(String, &'static str, bool)> {
    control.group("http", 2);
    let asset = control.playable("http", "sample", &media::ladder());
    let hls = control.playback(&asset, "CMAF");
    let dash = control.playback(&asset, "DASH");
    let multivariant = Multivariant::fetch(&control.client, &hls);
    let lists = multivariant.media_urls();
    let video =
        Media::fetch(&control.client, lists.iter().find(|url| track(url).starts_with('v')).expect("a video list"));
    let audio =
        Media::fetch(&control.client, lists.iter().find(|url| track(url).starts_with('a')).expect("an audio list"));
    let mpd = Mpd::fetch(&control.client, &dash);
    let playlist = "application/vnd.apple.mpegurl";
    vec![
        (hls, playlist, false),
        (dash, "application/dash+xml", false),
        (video.url.clone(), playlist, true),
        (multivariant.iframe_urls()[0].clone(), playlist, true),
        (video.init_url(), "video/mp4", true),
        (video.segment_urls()[1].clone(), "video/mp4", true),
        (audio.segment_urls()[0].clone(), "audio/mp4", true),
        (mpd.representations[0].segments[0].0.clone(), "video/mp4", true),
    ]
}

fn get(client: &Client, url: &str, headers: &[(&str, &str)]) -> Response {
    client.send("GET", url, headers, &[])
}

#[test]
fn answers_have_what_caches_and_browsers_need() {
    let control = Control::start();
    for (url, content_type, immutable) in samples(&control) {
        let client = &control.client;
        let whole = client.get(&url);
        assert_eq!(whole.header("content-type"), Some(content_type), "{url}");
        assert_eq!(whole.header("content-length"), Some(whole.body.len().to_string().as_str()), "{url}");
        assert_eq!(whole.header("accept-ranges"), Some("bytes"), "{url}");
        let cache = if immutable { "public, max-age=31536000, immutable" } else { "public, max-age=60" };
        assert_eq!(whole.header("cache-control"), Some(cache), "{url}");
        assert_eq!(whole.header("access-control-allow-origin"), Some("*"), "{url}");
        assert_eq!(whole.header("timing-allow-origin"), Some("*"), "{url}");
        assert!(
            whole.header("server-timing").is_some_and(|timing| timing.contains("dur=")),
            "{url}: {:?}",
            whole.headers
        );
        let exposed = whole.header("access-control-expose-headers").unwrap_or_default().to_lowercase();
        assert!(exposed.contains("content-range") && exposed.contains("etag"), "{url}: {exposed}");
        let etag = whole.header("etag").unwrap_or_else(|| panic!("{url} has no entity tag"));
        assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() > 10, "{url}: {etag} is not strong");

        let head = client.send("HEAD", &url, &[], &[]);
        assert_eq!((head.status, head.body.len()), (200, 0), "{url}");
        for name in ["content-type", "content-length", "etag", "cache-control", "accept-ranges"] {
            assert_eq!(head.header(name), whole.header(name), "HEAD {url}: {name}");
        }
        assert_eq!(client.get(&url).body, whole.body, "{url} gives the same bytes again");
    }
}

#[test]
fn ranges_are_slices_of_the_whole() {
    let control = Control::start();
    for (url, ..) in samples(&control) {
        let whole = control.client.get(&url);
        let bytes = &whole.body;
        let length = bytes.len();
        let (half, last) = (length / 2, length - 1);
        for (range, start, end) in [
            ("bytes=0-0".to_owned(), 0, 1),
            ("bytes=1-7".to_owned(), 1, 8),
            ("bytes=-10".to_owned(), length - 10, length),
            (format!("bytes=-{}", length + 5), 0, length),
            (format!("bytes={half}-"), half, length),
            (format!("bytes={last}-{last}"), last, length),
            (format!("bytes=3-{}", length + 1000), 3, length),
            (format!("bytes=0-{last}"), 0, length),
            ("BYTES=0-0".to_owned(), 0, 1),
            ("bytes=7-18446744073709551615".to_owned(), 7, length),
        ] {
            let part = get(&control.client, &url, &[("range", &range)]);
            assert_eq!(part.status, 206, "{url} {range}");
            assert_eq!(part.body, bytes[start..end], "{url} {range}");
            let stated = format!("bytes {start}-{}/{length}", end - 1);
            assert_eq!(part.header("content-range"), Some(stated.as_str()), "{url} {range}");
            assert_eq!(part.header("etag"), whole.header("etag"), "{url} {range}");
            let head = control.client.send("HEAD", &url, &[("range", &range)], &[]);
            // A range means something for GET alone (RFC 9110, 14.2).
            assert_eq!((head.status, head.body.len()), (200, 0), "HEAD {url} {range}");
        }
        for range in [format!("bytes={length}-"), format!("bytes={}-{}", length + 1, length + 9), "bytes=-0".to_owned()]
        {
            let refused = get(&control.client, &url, &[("range", &range)]);
            assert_eq!(refused.status, 416, "{url} {range}");
            assert_eq!(refused.header("content-range"), Some(format!("bytes */{length}").as_str()), "{url} {range}");
            refused.problem();
        }
        for range in ["bytes=5-1", "bytes=a-b", "items=0-1", "bytes=", "bytes=-", "bytes=0-1,4-5", "0-1"] {
            let ignored = get(&control.client, &url, &[("range", range)]);
            assert_eq!((ignored.status, &ignored.body), (200, bytes), "{url} {range}");
        }
        let etag = whole.header("etag").expect("an entity tag");
        let fresh = get(&control.client, &url, &[("range", "bytes=0-4"), ("if-range", etag)]);
        assert_eq!((fresh.status, fresh.body.len()), (206, 5), "{url}");
        let stale = get(&control.client, &url, &[("range", "bytes=0-4"), ("if-range", "\"other\"")]);
        assert_eq!((stale.status, stale.body.len()), (200, length), "{url}");
    }
}

#[test]
fn what_a_cache_has_is_not_sent_again() {
    let control = Control::start();
    for (url, ..) in samples(&control) {
        let whole = control.client.get(&url);
        let etag = whole.header("etag").expect("an entity tag");
        for condition in [etag.to_owned(), "*".to_owned(), format!("\"a\", {etag}"), format!("W/{etag}")] {
            let answer = get(&control.client, &url, &[("if-none-match", &condition)]);
            assert_eq!((answer.status, answer.body.len()), (304, 0), "{url} {condition}");
            assert_eq!(answer.header("etag"), Some(etag), "{url}");
            assert_eq!(answer.header("cache-control"), whole.header("cache-control"), "{url}");
        }
        let other = get(&control.client, &url, &[("if-none-match", "\"other\"")]);
        assert_eq!((other.status, &other.body), (200, &whole.body), "{url}");
    }
}

#[test]
fn what_is_not_there_is_refused_with_a_problem() {
    let control = Control::start();
    let samples = samples(&control);
    let client = &control.client;
    let segment = &samples[5].0;
    let manifest = &samples[0].0;
    let folder = |url: &str| url.rsplit_once('/').map(|(folder, _)| folder.to_owned()).expect("a path");
    let tag = segment.rsplit('/').nth(2).expect("a tag");
    for url in [
        format!("{}/vod/v1/http/none/hls-http/index.m3u8", control.edge),
        format!("{}/vod/v1/none/sample/hls-http/index.m3u8", control.edge),
        format!("{}/vod/v1/http/sample/none/index.m3u8", control.edge),
        format!("{}/other.m3u8", folder(manifest)),
        format!("{}/index.mpd", folder(manifest)),
        format!("{}/999999.m4s", folder(segment)),
        format!("{}/0.m4s", folder(segment)),
        format!("{}/01.m4s", folder(segment)),
        segment.replace(tag, "0123456789abcdef"),
        segment.replace("/v0/", "/v9/"),
        format!("{}/nothing", control.edge),
    ] {
        let answer = get(client, &url, &[]);
        assert_eq!(answer.status, 404, "{url}: {}", answer.text());
        assert!(!answer.problem().is_empty(), "{url}");
        assert_eq!(answer.header("cache-control"), Some("public, max-age=5"), "{url}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{url}");
        let head = client.send("HEAD", &url, &[], &[]);
        assert_eq!((head.status, head.body.len()), (404, 0), "HEAD {url}");
    }
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let answer = client.send(method, segment, &[], b"x");
        assert_eq!(answer.status, 405, "{method} {segment}");
        assert!(answer.header("allow").is_some_and(|allow| allow.contains("GET") && allow.contains("HEAD")));
        answer.problem();
    }
    let long = get(client, &format!("{}/vod/v1/{}", control.edge, "a".repeat(1500)), &[]);
    assert_eq!(long.status, 414, "{}", long.text());
    long.problem();
}

#[test]
fn browsers_may_ask_from_any_page() {
    let control = Control::start();
    let (url, ..) = samples(&control).swap_remove(5);
    let headers = [
        ("origin", "https://page.example"),
        ("access-control-request-method", "GET"),
        ("access-control-request-headers", "range"),
    ];
    let answer = control.client.send("OPTIONS", &url, &headers, &[]);
    assert!(matches!(answer.status, 200 | 204), "{}", answer.status);
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert!(answer.header("access-control-allow-headers").is_some_and(|list| list.to_lowercase().contains("range")));
    assert!(answer.header("access-control-allow-methods").is_some_and(|list| list.contains("GET")));
}

#[test]
fn deleting_an_asset_ends_its_playback() {
    let control = Control::start();
    control.group("http", 2);
    let asset = control.playable("http", "sample", &[media::small("h264_aac.mp4")]);
    let url = control.playback(&asset, "CMAF");
    control.client.get(&url);
    let deleted = control.rest("DELETE", "/v1/assets/sample", None);
    assert!((200..300).contains(&deleted.status), "{}", deleted.text());
    assert!(deleted.text().contains("sample"), "says what it removed: {}", deleted.text());
    assert_eq!(control.rest("GET", "/v1/assets/sample", None).status, 404);
    // The edge learns of it by a push; that is asynchronous, but no later than a reconciliation.
    let started = std::time::Instant::now();
    while get(&control.client, &url, &[]).status != 404 {
        assert!(started.elapsed().as_secs() < 20, "still served");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn stream_selection_chooses_and_orders_renditions() {
    let control = Control::start();
    control.create("/v1/packaging-groups", &json!({ "name": "select" }));
    for (name, selection) in [
        ("down", json!({ "order": "DESCENDING" })),
        ("up", json!({ "order": "ASCENDING" })),
        ("low", json!({ "order": "ORIGINAL", "max_video_bitrate": 300_000 })),
        ("high", json!({ "order": "ORIGINAL", "min_video_bitrate": 300_000 })),
    ] {
        let body = json!({ "name": name, "package_type": "CMAF", "stream_selection": selection });
        control.create("/v1/packaging-groups/select/configurations", &body);
    }
    control.playable("select", "sample", &media::ladder());
    for (name, heights) in
        [("down", vec![720, 360, 180]), ("up", vec![180, 360, 720]), ("low", vec![180, 360]), ("high", vec![720])]
    {
        let url = format!("{}/vod/v1/select/sample/{name}/index.m3u8", control.edge);
        let multivariant = Multivariant::fetch(&control.client, &url);
        let variants = multivariant.parsed.variants.iter().filter(|variant| !variant.is_i_frame);
        let found: Vec<u64> =
            variants.filter_map(|variant| variant.resolution.as_ref()).map(|size| size.height).collect();
        assert_eq!(found, heights, "{name}\n{}", multivariant.text);
    }
}

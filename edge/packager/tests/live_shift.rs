//! Windows in the past of a live channel: `start`, `end`, `vodend` and `offset`.

#![allow(clippy::disallowed_methods, reason = "a test may read files")]

mod channel;
mod drive;
#[path = "channel/playlist.rs"]
mod playlist;

use channel::{Channel, Cost, EPOCH_MS, Request, Source};
use packager::ErrorKind;
use packager::config::{Endpoint, PackageType};
use packager::media::date;
use playlist::{Follower, Playlist};

/// Positions of two seconds, segments of six.
fn channel(part_positions: u32, listing_parts: usize) -> (Channel, Endpoint) {
    let mut channel = Channel::new(Source::new("cmaf", 1), 2, part_positions, listing_parts);
    channel.begin(0, false);
    let endpoint = channel::hls(PackageType::Cmaf, 6, 4);
    (channel, Endpoint { time_shift_seconds: 3600, ..endpoint })
}

fn url(channel: &Channel, endpoint: &Endpoint, query: &str) -> String {
    let main = channel.text(endpoint, &format!("/v1/g/c/e/main.m3u8?{query}"));
    let line = main.lines().find(|l| l.contains("v0/playlist.m3u8")).expect("a playlist");
    for uri in main.lines().filter(|l| l.ends_with(".m3u8") || l.contains("URI=")) {
        assert!(uri.contains(query.split('&').next().unwrap()), "{uri} passes the query on");
    }
    format!("/v1/g/c/e/{line}")
}

fn second(n: u64) -> u64 {
    EPOCH_MS / 1000 + n
}

/// The numbers that a window has.
fn numbers(playlist: &Playlist) -> std::ops::Range<u64> {
    for (number, entry) in (playlist.sequence..).zip(&playlist.entries) {
        assert_eq!(entry.uri, format!("{number}.m4s"));
    }
    playlist.sequence..playlist.end()
}

#[test]
fn a_window_from_a_start_on_only_grows() {
    let (mut channel, endpoint) = channel(5, 3);
    (0..30).for_each(|_| channel.push(&[]));
    let url = url(&channel, &endpoint, &format!("start={}", second(20)));
    let mut follower = Follower::default();
    for _ in 0..40 {
        channel.push(&[]);
        let playlist = follower.follow(&channel.text(&endpoint, &url));
        // 20 s are in the segment from 18 s on.
        assert_eq!(numbers(&playlist), 3..channel.timeline.next / 3);
        assert_eq!((playlist.kind.as_deref(), playlist.ended), (Some("EVENT"), false));
        assert_eq!(playlist.entries[0].date.as_deref(), Some(date::format(EPOCH_MS + 18_000).as_str()));
    }
    channel.end();
    let playlist = follower.follow(&channel.text(&endpoint, &url));
    assert!(playlist.ended && playlist.end() == channel.timeline.next.div_ceil(3));
}

#[test]
fn a_window_to_an_end_is_live_until_then() {
    let (mut channel, endpoint) = channel(5, 3);
    (0..15).for_each(|_| channel.push(&[]));
    let url = url(&channel, &endpoint, &format!("start={}&end={}", second(10), second(61)));
    let mut follower = Follower::default();
    for _ in 0..30 {
        channel.push(&[]);
        let playlist = follower.follow(&channel.text(&endpoint, &url));
        // The segment from 60 s on is the last one.
        let closed = channel.timeline.next >= 33;
        assert_eq!(numbers(&playlist), 1..(channel.timeline.next / 3).min(11));
        assert_eq!(playlist.ended, closed);
        assert_eq!(playlist.kind.as_deref(), Some(if closed { "VOD" } else { "EVENT" }));
    }
    // Without a start it slides until then.
    let url = format!("{}?end={}", url.split('?').next().unwrap(), second(84));
    let mut follower = Follower::default();
    for _ in 0..30 {
        channel.push(&[]);
        let playlist = follower.follow(&channel.text(&endpoint, &url));
        let end = (channel.timeline.next / 3).min(14);
        assert_eq!(numbers(&playlist), end - 4..end);
        assert_eq!((playlist.ended, playlist.kind), (end == 14, None));
    }
}

#[test]
fn a_window_that_is_over_is_whole_at_once() {
    let (mut channel, endpoint) = channel(5, 3);
    for step in 0..90 {
        match step {
            20 => channel.begin(channel.edge() + 10_000_000, true),
            40 => channel.begin(channel.edge() + 2_000_000, false),
            _ => {}
        }
        channel.push(if step == 50 { &[0, 1, 2, 3] } else { &[] });
    }
    let query = format!("start={}&vodend={}&end={}", second(30), second(130), second(1));
    let url = url(&channel, &endpoint, &query);
    let text = channel.text(&endpoint, &url);
    let playlist = Follower::default().follow(&text);
    assert_eq!((playlist.kind.as_deref(), playlist.ended), (Some("VOD"), true));
    // 20 positions make 7 segments; 30 s are in the sixth. The next 20 are from 50 s to 90 s, the rest from 92 s on.
    assert_eq!(numbers(&playlist), 5..14 + 7);
    assert_eq!(playlist.entries.last().unwrap().discontinuity, 1);
    let maps: Vec<&str> = playlist.entries.iter().filter_map(|e| e.map.as_deref()).collect();
    assert_eq!(maps.iter().filter(|m| m.contains("init20.mp4")).count(), 7);
    assert_eq!(maps.iter().filter(|m| m.contains("init40.mp4")).count(), 7);
    // Later it is the same, byte for byte, and at every time of asking.
    (0..20).for_each(|_| channel.push(&[]));
    assert_eq!(channel.text(&endpoint, &url), text);
    let timeline = channel.timeline();
    let now_ms = EPOCH_MS + 3_000_000;
    let request = Request { endpoint: &endpoint, keys: None, timeline: &timeline, now_ms };
    assert_eq!(drive::text_of(&channel.ask(&request, &url, None).0.unwrap()), text);
}

#[test]
fn a_window_behind_the_live_edge_follows_the_clock() {
    let (mut channel, endpoint) = channel(5, 3);
    (0..60).for_each(|_| channel.push(&[]));
    let url = url(&channel, &endpoint, "offset=30");
    let timeline = channel.timeline();
    let mut follower = Follower::default();
    for second in 90..200 {
        let now_ms = EPOCH_MS + second * 1000 + 500;
        let request = Request { endpoint: &endpoint, keys: None, timeline: &timeline, now_ms };
        let playlist = follower.follow(&drive::text_of(&channel.ask(&request, &url, None).0.unwrap()));
        // What was over thirty seconds ago.
        let end = ((second - 30) / 6).min(20);
        assert_eq!(numbers(&playlist), end - 4..end, "{second}");
        assert_eq!((playlist.kind, playlist.ended), (None, false));
    }
    channel.end();
    let timeline = channel.timeline();
    for (second, ended) in [(149, false), (150, true), (500, true)] {
        let now_ms = EPOCH_MS + second * 1000;
        let request = Request { endpoint: &endpoint, keys: None, timeline: &timeline, now_ms };
        let playlist = Playlist::read(&drive::text_of(&channel.ask(&request, &url, None).0.unwrap()));
        assert_eq!(playlist.ended, ended, "{second}");
    }
}

#[test]
fn what_cannot_be_asked_for_is_refused() {
    let (mut channel, endpoint) = channel(5, 3);
    (0..40).for_each(|_| channel.push(&[]));
    let timeline = channel.timeline();
    let ask = |endpoint: &Endpoint, query: String, now_ms: u64| {
        let request = Request { endpoint, keys: None, timeline: &timeline, now_ms };
        channel.ask(&request, &format!("/v1/g/c/e/main.m3u8?{query}"), None).0
    };
    let now = EPOCH_MS + 81_000;
    let off = Endpoint { time_shift_seconds: 0, ..endpoint.clone() };
    for (endpoint, query, now, kind, message) in [
        (&endpoint, format!("start={}&offset=3", second(1)), now, ErrorKind::BadRequest, "start and offset"),
        (&endpoint, format!("start={}&end={}", second(9), second(8)), now, ErrorKind::BadRequest, "end: "),
        (&endpoint, format!("start={}", second(0)), EPOCH_MS + 3_601_000, ErrorKind::BadRequest, "start: "),
        (&endpoint, "offset=3601".to_owned(), now, ErrorKind::BadRequest, "offset: "),
        (&off, format!("start={}", second(40)), now, ErrorKind::BadRequest, "start: this endpoint has no time shift"),
        (&off, "offset=5".to_owned(), now, ErrorKind::BadRequest, "offset: this endpoint has no time shift"),
        (&off, format!("end={}", second(90)), now, ErrorKind::BadRequest, "end: this endpoint has no time shift"),
        (&endpoint, format!("start={}", second(81)), now, ErrorKind::NotFound, "nothing"),
        (&endpoint, format!("start={}&vodend={}", second(1), second(90)), now, ErrorKind::NotFound, "vodend: "),
        (&endpoint, "offset=80".to_owned(), now, ErrorKind::NotFound, "nothing"),
    ] {
        let error = ask(endpoint, query.clone(), now).expect_err(&query);
        assert_eq!(error.kind(), kind, "{query}: {error}");
        assert!(error.message().starts_with(message), "{query}: {error}");
    }
    // What means nothing here is passed over, and does not become part of any URL.
    let text = drive::text_of(&ask(&off, "utm_source=x&session=1".to_owned(), now).unwrap());
    assert!(!text.contains('?'), "{text}");
    // From before the channel began: from its beginning on.
    let query = format!("start={}", second(0) - 50);
    assert!(ask(&endpoint, query, now).is_ok());
}

#[test]
fn cost_grows_with_the_window_and_not_with_the_archive() {
    let (mut channel, endpoint) = channel(3, 4);
    (0..720).for_each(|_| channel.push(&[]));
    let cost = |start: u64, end: u64, now_ms: u64| -> Cost {
        let timeline = channel.timeline();
        let request = Request { endpoint: &endpoint, keys: None, timeline: &timeline, now_ms };
        let main = channel.ask(&request, &format!("/v1/g/c/e/main.m3u8?start={start}&vodend={end}"), None).0.unwrap();
        let tag = drive::tag_in(&drive::text_of(&main));
        let url = format!("/v1/g/c/e/{tag:016x}/v0/playlist.m3u8?start={start}&vodend={end}");
        let (response, _, cost) = channel.ask(&request, &url, None);
        let playlist = Playlist::read(&drive::text_of(&response.unwrap()));
        assert!(playlist.seconds() >= (end - start) as f64);
        cost
    };
    let now = EPOCH_MS + 1_440_000;
    let small = cost(second(600), second(660), now);
    // Thirty positions are ten parts; two more touch it at most, and their listings.
    assert!(small.fetches <= 12 + 5 && small.rounds <= 5, "{small:?}");
    let large = cost(second(600), second(1200), now);
    assert!(large.fetches <= 102 + 28 && large.rounds <= 5, "{large:?}");
}

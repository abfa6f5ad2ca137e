//! A good timeline with one thing wrong: an error that says where, or an answer; never a panic.

#![allow(clippy::disallowed_methods, reason = "a test may read files")]

mod channel;
mod drive;
#[path = "channel/hostile.rs"]
mod hostile;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use channel::{Channel, Source};
use packager::config::Timeline;

const URLS: [&str; 8] = [
    "/v1/g/c/e/main.m3u8",
    "/v1/g/c/e/main.mpd",
    "/v1/g/c/e/main.mpd?start=1795277041&vodend=1795277050",
    "/v1/g/c/e/0000000000000000/v0/playlist.m3u8?offset=4",
    "/v1/g/c/e/0000000000000000/v0/iframes.m3u8",
    "/v1/g/c/e/0000000000000000/v0/init0.mp4",
    "/v1/g/c/e/0000000000000000/v0/1.m4s",
    "/v1/g/c/e/0000000000000000/v0/1.ts",
];

fn channel(positions: usize, part_positions: u32) -> Channel {
    let mut channel = Channel::new(Source::new("cmaf", 1), 2, part_positions, 64);
    channel.begin(0, false);
    (0..positions).for_each(|_| channel.push(&[]));
    channel
}

fn run(url: &str, timeline: &Timeline, object: &[u8]) -> Vec<packager::Result<packager::response::Response>> {
    let json = serde_json::to_vec(timeline).expect("JSON");
    hostile::live(&[url.as_bytes(), b"\n", &json, b"\n", object].concat())
}

#[test]
fn a_good_timeline_is_answered() {
    // One whole part, which answers every fetch.
    let channel = channel(6, 6);
    let part = channel.objects[&channel.timeline.part_path(0)].clone();
    for url in URLS {
        let answers = run(url, &channel.timeline, &part);
        assert!(answers.iter().any(Result::is_ok), "{url}: {answers:?}");
    }
}

#[test]
fn any_byte_of_a_part_may_be_wrong() {
    let channel = channel(3, 3);
    let part = channel.objects[&channel.timeline.part_path(0)].clone();
    for at in (0..part.len()).step_by(3) {
        for value in [0x00, 0x7f, 0xff, part[at] ^ 0x01] {
            let mut bad = part.to_vec();
            bad[at] = value;
            run(URLS[at / 3 % URLS.len()], &channel.timeline, &bad);
        }
    }
}

#[test]
fn any_byte_of_the_open_head_may_be_wrong() {
    let channel = channel(5, 64);
    let open = channel.timeline.open.clone().expect("an open part");
    let head = STANDARD.decode(&open.head).expect("base64");
    for at in 0..head.len() {
        for value in [0x00, 0x7f, 0x80, 0xff] {
            let mut bad = head.clone();
            bad[at] = value;
            let open = packager::config::OpenPart { head: STANDARD.encode(&bad), ..open.clone() };
            let timeline = Timeline { open: Some(open), ..channel.timeline.clone() };
            run(URLS[at % URLS.len()], &timeline, &[]);
        }
    }
}

#[test]
fn any_number_of_a_timeline_may_be_wrong() {
    let mut channel = channel(7, 2);
    channel.begin(channel.edge() + 5_000_000, true);
    (0..4).for_each(|_| channel.push(&[]));
    let part = channel.objects[&channel.timeline.part_path(0)].clone();
    let json = serde_json::to_string(&channel.timeline).expect("JSON");
    let mut numbers = Vec::new();
    let mut at = 0;
    while let Some(start) = json[at..].find(':').map(|n| at + n + 1) {
        let length = json[start..].bytes().take_while(u8::is_ascii_digit).count();
        if length > 0 {
            numbers.push(start..start + length);
        }
        at = start + length;
    }
    assert!(numbers.len() > 40);
    for range in numbers {
        for value in ["0", "1", "4294967295", "9223372036854775807", "18446744073709551615"] {
            let mut bad = json.clone();
            bad.replace_range(range.clone(), value);
            for url in URLS {
                hostile::live(&[url.as_bytes(), b"\n", bad.as_bytes(), b"\n", &part].concat());
            }
        }
    }
}

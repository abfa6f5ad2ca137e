//! Whatever control answers, the edge answers too: nothing panics, overflows or goes on for ever.

use std::rc::Rc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::executor::block_on;
use packager::config::Access;
use serde_json::Value;

use super::channel::{Channel, MANIFEST, live};
use super::fake::{Fake, Reply, ask};
use crate::serve::{Edge, Method};

const VALUES: [u64; 12] =
    [0, 1, 2, 63, 64, 65, 1 << 31, (1 << 31) + 1, u32::MAX as u64, 1 << 52, i64::MAX as u64, u64::MAX];

/// Asks for everything while control answers with `timeline`; how often with success.
async fn ask_all(channel: &Rc<Channel>, timeline: Vec<u8>) -> usize {
    let edge: Rc<Edge<Fake>> = live(channel, Access::default());
    let honest = edge.platform.origin.replace(Box::new(|_| Reply::Refused));
    *edge.platform.origin.borrow_mut() = Box::new(move |request| match request.url.contains("/origin/v1/live/") {
        true => Reply::Response(200, Vec::new(), timeline.clone()),
        // What does not exist in the honest channel is not asked of it.
        false if exists(&request.url) => honest(request),
        false => Reply::status(404),
    });
    let mut paths = vec![MANIFEST.to_owned(), format!("{MANIFEST}?start=1699999992&end=1700000000")];
    paths.extend(
        ["playlist.m3u8", "playlist.m3u8?offset=7", "playlist.m3u8?start=1699999990&vodend=1699999999"]
            .map(|file| channel.path(file)),
    );
    paths.extend(["init0.mp4", "0.m4s", "63.m4s", "64.m4s", "66.m4s"].map(|file| channel.path(file)));
    let mut successes = 0;
    for path in paths {
        let answer = ask(&edge, Method::Get, &path, &[]).await;
        assert!([200, 400, 404, 413, 501, 502, 503].contains(&answer.status), "{path}: {}", answer.status);
        successes += usize::from(answer.status == 200);
    }
    successes
}

fn exists(url: &str) -> bool {
    let below = |folder: &str| url.split_once(folder).map(|(_, rest)| rest);
    let position = |text: &str| text.parse::<u64>().is_ok_and(|position| position < 67);
    below("/indexes/live/0123456789abcdef/parts/") == Some("0.epix")
        || below("/indexes/live/0123456789abcdef/blocks/").is_some_and(position)
        || below("/media/live/0123456789abcdef/media/").is_some_and(position)
}

/// All numbers in a document.
fn numbers(value: &Value, path: String, out: &mut Vec<String>) {
    match value {
        Value::Number(_) => out.push(path),
        Value::Array(all) => all.iter().enumerate().for_each(|(n, v)| numbers(v, format!("{path}/{n}"), out)),
        Value::Object(all) => all.iter().for_each(|(k, v)| numbers(v, format!("{path}/{k}"), out)),
        _ => {}
    }
}

fn honest() -> (Rc<Channel>, Value) {
    let channel = Channel::new(67);
    let timeline = serde_json::to_value(&*channel.timeline.borrow()).expect("JSON");
    (channel, timeline)
}

#[test]
fn any_number_of_a_timeline_may_be_any_number() {
    block_on(async {
        let (channel, timeline) = honest();
        assert_eq!(ask_all(&channel, serde_json::to_vec(&timeline).unwrap()).await, 10);
        let mut all = Vec::new();
        numbers(&timeline, String::new(), &mut all);
        assert!(all.len() > 15, "{all:?}");
        for pointer in all {
            for value in VALUES {
                let mut changed = timeline.clone();
                *changed.pointer_mut(&pointer).unwrap() = value.into();
                ask_all(&channel, serde_json::to_vec(&changed).unwrap()).await;
            }
        }
    });
}

#[test]
fn any_bytes_may_be_the_head_of_the_open_part() {
    block_on(async {
        let (channel, timeline) = honest();
        let head = STANDARD.decode(timeline["open"]["head"].as_str().unwrap()).unwrap();
        for at in 0..head.len() {
            for flip in [1, 0x40, 0x80, 0xff] {
                let mut broken = head.clone();
                broken[at] ^= flip;
                let mut changed = timeline.clone();
                changed["open"]["head"] = STANDARD.encode(broken).into();
                ask_all(&channel, serde_json::to_vec(&changed).unwrap()).await;
            }
        }
        for end in 0..head.len() {
            let mut changed = timeline.clone();
            changed["open"]["head"] = STANDARD.encode(&head[..end]).into();
            ask_all(&channel, serde_json::to_vec(&changed).unwrap()).await;
        }
    });
}

//! Live endpoints: manifests, segments, and the clock.

use std::collections::BTreeSet;
use std::rc::Rc;

use futures::executor::block_on;
use futures::future::join_all;
use packager::config::Access;

use super::channel::{Channel, MANIFEST, endpoint, live, position_media};
use super::fake::{Fake, ask, body, detail, edge};
use crate::answer::{Answer, Content};
use crate::serve::{Edge, Method};
use crate::timeline::{AWAY, FRESH};

async fn get(edge: &Rc<Edge<Fake>>, path: &str) -> Answer<Fake> {
    ask(edge, Method::Get, path, &[]).await
}

async fn text(edge: &Rc<Edge<Fake>>, path: &str) -> String {
    let answer = get(edge, path).await;
    let status = answer.status;
    let text = String::from_utf8(body(answer).await).expect("text");
    assert_eq!(status, 200, "{path}: {text}");
    text
}

#[test]
fn a_player_gets_from_the_manifest_to_the_segments() {
    block_on(async {
        let channel = Channel::new(5);
        let edge = live(&channel, Access::default());
        let manifest = get(&edge, MANIFEST).await;
        // Half of a segment of two seconds.
        assert_eq!((manifest.status, manifest.header("cache-control")), (200, Some("public, max-age=1")));
        assert_eq!(manifest.header("content-type"), Some("application/vnd.apple.mpegurl"));
        let manifest = String::from_utf8(body(manifest).await).unwrap();
        let playlist = channel.path("playlist.m3u8");
        let below = playlist.strip_prefix("/v1/g/c/e/").unwrap();
        assert!(manifest.contains(below), "{manifest}");

        let answer = get(&edge, &playlist).await;
        assert_eq!(answer.header("cache-control"), Some("public, max-age=1"));
        let listed = String::from_utf8(body(answer).await).unwrap();
        assert!(listed.contains("#EXT-X-MEDIA-SEQUENCE:2\n"), "{listed}");
        assert!(listed.contains("2.m4s") && listed.contains("4.m4s") && !listed.contains("5.m4s"), "{listed}");

        for file in ["init0.mp4", "3.m4s"] {
            let answer = get(&edge, &channel.path(file)).await;
            assert_eq!(answer.status, 200, "{file}");
            assert_eq!(answer.header("cache-control"), Some("public, max-age=31536000, immutable"), "{file}");
            assert_eq!(answer.header("content-type"), Some("audio/mp4"), "{file}");
        }
        let answer = get(&edge, &channel.path("3.m4s")).await;
        assert!(matches!(answer.content, Content::Stream(_)));
        let length = answer.header("content-length").unwrap().to_owned();
        let segment = body(answer).await;
        assert_eq!(segment.len().to_string(), length);
        assert!(segment.ends_with(&position_media(3)));
    });
}

#[test]
fn ranges_head_and_conditions_are_those_of_any_segment() {
    block_on(async {
        let channel = Channel::new(5);
        let edge = live(&channel, Access::default());
        let path = channel.path("1.m4s");
        let answer = get(&edge, &path).await;
        let etag = answer.header("etag").unwrap().to_owned();
        let whole = body(answer).await;
        let length = whole.len();
        for (field, range) in [
            ("bytes=0-9".to_owned(), 0..10),
            (format!("bytes=50-{}", length - 600), 50..length - 599),
            ("bytes=-300".to_owned(), length - 300..length),
        ] {
            let answer = ask(&edge, Method::Get, &path, &[("range", &field)]).await;
            assert_eq!(answer.status, 206, "{field}");
            let expected = format!("bytes {}-{}/{length}", range.start, range.end - 1);
            assert_eq!(answer.header("content-range"), Some(expected.as_str()));
            assert_eq!(body(answer).await, whole[range], "{field}");
        }
        let media = |edge: &Edge<Fake>| edge.platform.asked.borrow().iter().filter(|a| a.0.contains("/media/")).count();
        let before = media(&edge);
        let head = ask(&edge, Method::Head, &path, &[]).await;
        assert_eq!((head.status, head.header("content-length")), (200, Some(length.to_string().as_str())));
        assert!(matches!(head.content, Content::Empty));
        let same = ask(&edge, Method::Get, &path, &[("if-none-match", &etag)]).await;
        assert_eq!(same.status, 304);
        assert_eq!(media(&edge), before);
    });
}

#[test]
fn blocks_are_read_once_and_answers_are_made_once_for_each_revision() {
    block_on(async {
        let channel = Channel::new(5);
        let edge = live(&channel, Access::default());
        let index =
            |edge: &Edge<Fake>| edge.platform.asked.borrow().iter().filter(|a| a.0.contains("/indexes/")).count();
        for _ in 0..3 {
            body(get(&edge, &channel.path("3.m4s")).await).await;
        }
        assert_eq!(index(&edge), 1);
        let first = text(&edge, &channel.path("playlist.m3u8")).await;
        assert_eq!(text(&edge, &channel.path("playlist.m3u8")).await, first);
        channel.grow();
        edge.platform.later(FRESH);
        let second = text(&edge, &channel.path("playlist.m3u8")).await;
        assert!(second.contains("5.m4s") && second.contains("#EXT-X-MEDIA-SEQUENCE:3\n"), "{second}");
        body(get(&edge, &channel.path("3.m4s")).await).await;
        assert_eq!(index(&edge), 1, "parts never change");
    });
}

#[test]
fn the_query_reaches_the_playlists() {
    block_on(async {
        let channel = Channel::new(5);
        let edge = live(&channel, Access::default());
        let manifest = text(&edge, &format!("{MANIFEST}?start=1699999992&utm=x")).await;
        assert!(manifest.contains("playlist.m3u8?start=1699999992\n"), "{manifest}");
        let path = channel.path("playlist.m3u8");
        let shifted = text(&edge, &format!("{path}?start=1699999992")).await;
        assert!(shifted.contains("#EXT-X-MEDIA-SEQUENCE:1\n") && shifted.contains("4.m4s"), "{shifted}");
        let closed = get(&edge, &format!("{path}?start=1699999990&vodend=1699999994")).await;
        assert_eq!(closed.header("cache-control"), Some("public, max-age=60"));
        let closed = String::from_utf8(body(closed).await).unwrap();
        assert!(closed.contains("#EXT-X-ENDLIST") && closed.contains("1.m4s") && !closed.contains("2.m4s"), "{closed}");
        assert!(!text(&edge, &path).await.contains("ENDLIST"), "each query has its own answer");

        for (query, status) in [("start=1&offset=1", 400), ("start=soon", 400), ("vodend=1", 400), ("start=1", 400)] {
            let answer = get(&edge, &format!("{MANIFEST}?{query}")).await;
            assert_eq!((answer.status, answer.header("cache-control")), (status, Some("no-store")), "{query}");
        }
        assert_eq!(get(&edge, &format!("{MANIFEST}?{}", "x".repeat(5000))).await.status, 414);
    });
}

#[test]
fn a_long_window_reads_each_part_once_and_a_few_at_a_time() {
    block_on(async {
        // A listing of 64 parts, a part, and the open one with 3 positions.
        let positions = 64 * 64 + 64 + 3;
        let channel = Channel::new(positions);
        let edge = live(&channel, Access::default());
        let path = format!("{}?start=1699999990", channel.path("playlist.m3u8"));
        let playlist = text(&edge, &path).await;
        assert_eq!(playlist.matches(".m4s").count() as u64, positions);
        let indexes = |edge: &Edge<Fake>| {
            let asked = edge.platform.asked.borrow();
            asked.iter().map(|a| a.0.clone()).filter(|path| path.contains("/indexes/")).collect::<Vec<_>>()
        };
        let first = indexes(&edge);
        assert_eq!(first.len(), 1 + 64 + 1);
        assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), first.len());
        assert!(edge.platform.most_at_once.get() <= 16, "{} at a time", edge.platform.most_at_once.get());
        channel.timeline.borrow_mut().revision += 1;
        edge.platform.later(FRESH);
        assert_eq!(text(&edge, &path).await, playlist);
        assert_eq!(indexes(&edge).len(), first.len(), "parts never change");

        for number in [0, 63, 64, 4095, 4096, 4160, 4162] {
            let segment = body(get(&edge, &channel.path(&format!("{number}.m4s"))).await).await;
            assert!(segment.ends_with(&position_media(number)), "{number}");
        }
    });
}

#[test]
fn an_offset_moves_with_the_clock_though_nothing_comes() {
    block_on(async {
        let channel = Channel::new(5);
        let edge = live(&channel, Access::default());
        let path = format!("{}?offset=4", channel.path("playlist.m3u8"));
        let first = text(&edge, &path).await;
        edge.platform.unix_ms.set(edge.platform.unix_ms.get() + 2000);
        let second = text(&edge, &path).await;
        assert!(first.contains("2.m4s") && !first.contains("3.m4s"), "{first}");
        assert!(second.contains("3.m4s") && !second.contains("4.m4s"), "{second}");
    });
}

#[test]
fn a_segment_that_another_instance_has_listed_is_waited_for_once() {
    block_on(async {
        let channel = Channel::new(5);
        let edge = live(&channel, Access::default());
        text(&edge, &channel.path("playlist.m3u8")).await;
        channel.grow();
        let path = channel.path("5.m4s");
        let answers = join_all((0..10).map(|_| get(&edge, &path))).await;
        assert!(answers.iter().all(|answer| answer.status == 200), "and not only after the next request");
        assert_eq!(channel.asked.borrow().len(), 2);

        let start = edge.platform.now.get();
        let answer = get(&edge, &channel.path("6.m4s")).await;
        assert_eq!((answer.status, answer.header("cache-control")), (404, Some("public, max-age=1")));
        assert!(edge.platform.now.get() - start <= FRESH);
        assert_eq!(channel.asked.borrow().len(), 3);
        // Far ahead, nothing is waited for.
        let start = edge.platform.now.get();
        for file in
            ["9.m4s", "4294967296.m4s", "18446744073709551615.m4s", "init99.mp4", "init18446744073709551615.mp4"]
        {
            let answer = get(&edge, &channel.path(file)).await;
            assert_eq!((answer.status, answer.header("cache-control")), (404, Some("public, max-age=1")), "{file}");
        }
        assert_eq!(edge.platform.now.get(), start);
    });
}

#[test]
fn a_segment_that_may_have_come_is_not_said_to_be_absent_while_control_is_away() {
    block_on(async {
        let channel = Channel::new(5);
        let [edge, other] = [live(&channel, Access::default()), live(&channel, Access::default())];
        text(&edge, &channel.path("playlist.m3u8")).await;
        channel.grow();
        text(&other, &channel.path("playlist.m3u8")).await;
        channel.is_away.set(true);
        edge.platform.later(FRESH);
        // The manifest that lists it came from the other instance.
        let answer = get(&edge, &channel.path("5.m4s")).await;
        assert_eq!((answer.status, answer.header("retry-after").is_some()), (503, true));
        assert_eq!(get(&edge, &channel.path("9.m4s")).await.status, 404, "far ahead");
        // Once that is known here too, it is answered, though control is still away.
        edge.platform.stored.replace(other.platform.stored.borrow().clone());
        edge.platform.later(AWAY);
        assert_eq!(get(&edge, &channel.path("5.m4s")).await.status, 200);
        assert_eq!(get(&edge, &channel.path("6.m4s")).await.status, 503);
        channel.is_away.set(false);
        edge.platform.later(AWAY);
        assert_eq!(get(&edge, &channel.path("6.m4s")).await.status, 404);
    });
}

#[test]
fn a_segment_that_is_no_longer_stored_is_not_answered_from_memory() {
    block_on(async {
        let channel = Channel::new(5);
        let edge = live(&channel, Access::default());
        let path = channel.path("0.m4s");
        assert_eq!(get(&edge, &path).await.status, 200);
        channel.grow();
        channel.timeline.borrow_mut().first = 1;
        edge.platform.later(FRESH);
        assert_eq!(get(&edge, &path).await.status, 404);
    });
}

#[test]
fn a_newer_endpoint_is_taken_when_a_resource_is_not_found() {
    block_on(async {
        let channel = Channel::new(5);
        let edge = live(&channel, Access::default());
        assert_eq!(get(&edge, MANIFEST).await.status, 200);
        let mut newer = endpoint(2, Access::default());
        if let packager::config::Body::Endpoint(endpoint) = &mut newer.body {
            endpoint.manifest_name = "other".into();
        }
        edge.platform.stored.borrow_mut().insert(newer.key.replace('/', ":"), newer.to_json());
        edge.platform.later(crate::store::DOUBTED);
        assert_eq!(get(&edge, "/v1/g/c/e/other.m3u8").await.status, 200);
        assert_eq!(get(&edge, MANIFEST).await.status, 404);
    });
}

#[test]
fn what_does_not_exist_is_told_apart() {
    block_on(async {
        let channel = Channel::new(5);
        let edge = live(&channel, Access::default());
        edge.platform.script(|request| {
            assert!(request.url.ends_with("/origin/v1/documents/endpoint/g/c/none"), "{}", request.url);
            super::fake::Reply::status(404)
        });
        let answer = get(&edge, "/v1/g/c/none/live.m3u8").await;
        assert_eq!((answer.status, answer.header("cache-control")), (404, Some("public, max-age=5")));
        edge.platform.script(|_| super::fake::Reply::status(404));
        let answer = get(&edge, MANIFEST).await;
        assert_eq!((answer.status, answer.header("cache-control")), (404, Some("public, max-age=1")));
        assert!(detail(answer).await.contains("has no media yet"));
        assert_eq!(get(&edge, "/v1/nothing").await.status, 404);
    });
}

#[test]
fn the_clock_is_a_date_and_time() {
    block_on(async {
        let edge = edge();
        edge.platform.unix_ms.set(1_700_000_000_042);
        let answer = get(&edge, "/v1/time").await;
        for (name, value) in [
            ("content-type", "text/plain"),
            ("cache-control", "no-store"),
            ("content-length", "24"),
            ("access-control-allow-origin", "*"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{name}");
        }
        assert_eq!(body(answer).await, b"2023-11-14T22:13:20.042Z");
        assert!(edge.platform.asked.borrow().is_empty());
    });
}

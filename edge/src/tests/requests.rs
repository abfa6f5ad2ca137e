//! What viewers send and get.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use futures::executor::block_on;
use packager::config::{Body as DocumentBody, PUSH_PATH, SourceObject};
use packager::index::block::Sample;
use packager::make::{Program, Read, Recipe, Section, Share, Stream};
use packager::response::{CacheClass, Part, Response};
use packager::route::Route;

use super::fake::{Fake, MEDIA_BYTES, Reply, ask, asset, body, configuration, detail, edge, media};
use crate::answer::{Answer, Content};
use crate::cache::rendered_key;
use crate::platform::Outgoing;
use crate::serve::{Edge, Method};
use crate::store::DOUBTED;

const SEGMENT: &str = "/vod/v1/g/a/c/0123456789abcdef/v0/1.m4s";
const MANIFEST: &str = "/vod/v1/g/a/c/index.m3u8";
const ETAG: &str = "\"1-x\"";

fn origin(request: &Outgoing) -> Reply {
    let field = request.headers.iter().find(|(name, _)| *name == "range").map(|(_, value)| value.as_str());
    let (first, last) = field.and_then(|f| f.strip_prefix("bytes=")).and_then(|f| f.split_once('-')).unwrap();
    let range = first.parse::<usize>().unwrap()..last.parse::<usize>().unwrap() + 1;
    Reply::part(range.start as u64..range.end as u64, MEDIA_BYTES, media()[range].to_vec())
}

/// An edge that knows the documents and the core's answers for a segment and a manifest.
fn ready() -> Rc<Edge<Fake>> {
    let edge = edge();
    for document in [configuration(1), asset(2)] {
        edge.platform.stored.borrow_mut().insert(document.key.replace('/', ":"), document.to_json());
    }
    let ours = |text: &'static str| Part::Bytes(Bytes::from_static(text.as_bytes()));
    let DocumentBody::Asset(known) = asset(2).body else { panic!("an asset") };
    let object = Arc::new(known.sources[0].clone());
    let source = |range| Part::Source { object: object.clone(), range };
    let parts = vec![ours("moof"), source(100..5100), ours("and"), source(900_000..901_000)];
    let identity = "configuration/g/c@1 asset/g/a@2";
    let segment = Response { content_type: "video/mp4", cache: CacheClass::Immutable, etag: ETAG.into(), parts };
    let manifest = Response {
        content_type: "application/vnd.apple.mpegurl",
        cache: CacheClass::VodManifest,
        etag: ETAG.into(),
        parts: vec![ours("#EXTM3U\n"), ours("rest\n")],
    };
    let mut cache = edge.cache.borrow_mut();
    for (path, response) in [(SEGMENT, segment), (MANIFEST, manifest)] {
        let route = Route::parse(path).unwrap();
        cache.keep_rendered(&rendered_key(&route.resource, identity), &Rc::new(response));
    }
    drop(cache);
    edge.platform.script(origin);
    edge
}

fn whole() -> Vec<u8> {
    let media = media();
    [b"moof", &media[100..5100], b"and", &media[900_000..901_000]].concat()
}

async fn get(edge: &Rc<Edge<Fake>>, path: &str, headers: &[(&str, &str)]) -> Answer<Fake> {
    ask(edge, Method::Get, path, headers).await
}

#[test]
fn a_segment_is_streamed_with_its_length_known() {
    block_on(async {
        let edge = ready();
        let answer = get(&edge, SEGMENT, &[]).await;
        assert_eq!(answer.status, 200);
        for (name, value) in [
            ("content-length", "6007"),
            ("content-type", "video/mp4"),
            ("etag", ETAG),
            ("accept-ranges", "bytes"),
            ("cache-control", "public, max-age=31536000, immutable"),
            ("access-control-allow-origin", "*"),
            ("timing-allow-origin", "*"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{name}");
        }
        let timing = answer.header("server-timing").unwrap();
        assert!(["doc;dur=", "index;dur=", "make;dur=", "origin;dur="].iter().all(|t| timing.contains(t)), "{timing}");
        assert_eq!(edge.platform.asked.borrow().len(), 1, "the second read is opened while the first one is sent");
        assert_eq!(body(answer).await, whole());
        assert_eq!(edge.platform.asked.borrow().len(), 2);
    });
}

#[test]
fn every_range_is_that_range_of_the_whole_and_reads_no_more() {
    block_on(async {
        let edge = ready();
        let whole = whole();
        for (field, range) in [
            ("bytes=0-3", 0..4),
            ("bytes=3-4", 3..5),
            ("bytes=1000-1999", 1000..2000),
            ("bytes=5000-5010", 5000..5011),
            ("bytes=-1", 6006..6007),
            ("bytes=-1001", 5006..6007),
            ("bytes=5007-", 5007..6007),
            ("bytes=0-99999", 0..6007),
        ] {
            edge.platform.asked.borrow_mut().clear();
            let answer = get(&edge, SEGMENT, &[("Range", field)]).await;
            assert_eq!(answer.status, 206, "{field}");
            assert_eq!(answer.header("content-length"), Some(range.len().to_string().as_str()));
            let expected = format!("bytes {}-{}/6007", range.start, range.end - 1);
            assert_eq!(answer.header("content-range"), Some(expected.as_str()));
            assert_eq!(answer.header("etag"), Some(ETAG));
            assert_eq!(body(answer).await, whole[range]);
        }
        edge.platform.asked.borrow_mut().clear();
        body(get(&edge, SEGMENT, &[("range", "bytes=104-203")]).await).await;
        let asked = edge.platform.asked.borrow().clone();
        assert_eq!(asked, [("/origin/v1/media/a%20b.mp4".to_owned(), Some("bytes=200-299".to_owned()))]);

        let answer = get(&edge, SEGMENT, &[("range", "bytes=6007-")]).await;
        assert_eq!((answer.status, answer.header("content-range")), (416, Some("bytes */6007")));
        assert_eq!(detail(answer).await, "the body has 6007 bytes");
        let answer = get(&edge, SEGMENT, &[("range", "bytes=0-1,4-5")]).await;
        assert_eq!((answer.status, answer.header("content-length")), (200, Some("6007")));
        for (tag, status) in [(ETAG, 206), ("\"2-x\"", 200), ("W/\"1-x\"", 200)] {
            assert_eq!(get(&edge, SEGMENT, &[("range", "bytes=0-1"), ("if-range", tag)]).await.status, status);
        }
    });
}

#[test]
fn head_has_the_fields_of_get_and_reads_no_media() {
    block_on(async {
        let edge = ready();
        let answer = ask(&edge, Method::Head, SEGMENT, &[("range", "bytes=0-1")]).await;
        assert_eq!((answer.status, answer.header("content-length")), (200, Some("6007")));
        assert!(matches!(answer.content, Content::Empty));
        assert!(edge.platform.asked.borrow().is_empty());
        let answer = ask(&edge, Method::Head, "/nothing", &[]).await;
        assert_eq!(answer.status, 404);
        assert!(matches!(answer.content, Content::Empty));
    });
}

#[test]
fn conditions_are_evaluated_before_anything_is_read() {
    block_on(async {
        let edge = ready();
        for field in [ETAG, "*", "\"y\", W/\"1-x\""] {
            let answer = get(&edge, SEGMENT, &[("if-none-match", field), ("range", "bytes=0-1")]).await;
            assert_eq!((answer.status, answer.header("etag")), (304, Some(ETAG)));
            assert_eq!(answer.header("cache-control"), Some("public, max-age=31536000, immutable"));
            assert_eq!(answer.header("content-length"), None);
            assert!(matches!(answer.content, Content::Empty));
        }
        assert_eq!(get(&edge, SEGMENT, &[("if-match", "\"y\"")]).await.status, 412);
        assert!(edge.platform.asked.borrow().is_empty());
    });
}

#[test]
fn a_manifest_is_one_body_and_kept_a_minute() {
    block_on(async {
        let edge = ready();
        let answer = get(&edge, MANIFEST, &[]).await;
        assert_eq!((answer.status, answer.header("cache-control")), (200, Some("public, max-age=60")));
        assert!(matches!(answer.content, Content::Whole(_)));
        assert_eq!(body(answer).await, b"#EXTM3U\nrest\n");
        let answer = get(&edge, MANIFEST, &[("range", "bytes=7-9")]).await;
        assert_eq!((answer.status, body(answer).await), (206, b"\nre".to_vec()));
    });
}

#[test]
fn an_origin_that_fails_before_the_first_byte_is_an_error() {
    block_on(async {
        let edge = ready();
        edge.platform.script(|_| Reply::Refused);
        let answer = get(&edge, SEGMENT, &[]).await;
        assert_eq!((answer.status, answer.header("cache-control")), (502, Some("no-store")));
        assert!(detail(answer).await.contains("connection refused"));
        // The first bytes of this range are ours, and its media is still asked for before the answer begins.
        assert_eq!(get(&edge, SEGMENT, &[("range", "bytes=0-4")]).await.status, 502);
        assert_eq!(get(&edge, SEGMENT, &[("range", "bytes=0-3")]).await.status, 206);
    });
}

#[test]
fn a_made_part_with_an_object_that_changed_is_an_error_that_names_it() {
    block_on(async {
        let edge = ready();
        let object = |path: &str| Arc::new(SourceObject { path: path.into(), bytes: MEDIA_BYTES, etag: None });
        let read = |path: &str| Read { object: object(path), range: 0..10, pid: 0, skip: None, samples: 0 };
        let stream = Stream {
            carriage: None,
            reads: vec![read("v/1.ts"), read("v/2.ts")],
            samples: vec![Sample { size: 20, ..Sample::default() }],
            annex_b: Vec::new(),
            subsamples: Vec::new(),
            subsample_ends: Vec::new(),
        };
        let section =
            Section { start: 0, head: Bytes::from_static(b"head"), shares: vec![Share { samples: 0..1, reads: 0..2 }] };
        let recipe = Recipe {
            streams: vec![stream],
            program: Program::Plain,
            sections: vec![section],
            bytes: 24,
            envelope: None,
        };
        let path = SEGMENT.replace("1.m4s", "2.m4s");
        let response = Response {
            content_type: "video/mp4",
            cache: CacheClass::Immutable,
            etag: ETAG.into(),
            parts: vec![Part::Made { recipe: Arc::new(recipe), range: 0..24 }],
        };
        let key = rendered_key(&Route::parse(&path).unwrap().resource, "configuration/g/c@1 asset/g/a@2");
        edge.cache.borrow_mut().keep_rendered(&key, &Rc::new(response));

        let answer = get(&edge, &path, &[]).await;
        assert_eq!((answer.status, answer.header("content-length")), (200, Some("24")));
        assert_eq!(body(answer).await, [b"head", &media()[..10], &media()[..10]].concat());
        edge.platform.script(
            |request| {
                if request.url.ends_with("/v/2.ts") { Reply::status(412) } else { origin(request) }
            },
        );
        let answer = get(&edge, &path, &[]).await;
        assert_eq!(answer.status, 502);
        let detail = detail(answer).await;
        assert!(detail.contains("v/2.ts: the source changed since it was indexed"), "{detail}");
    });
}

#[test]
fn methods_and_paths_have_their_answers() {
    block_on(async {
        let edge = ready();
        for (method, path, status, allow) in [
            (Method::Put, SEGMENT, 405, Some("GET, HEAD, OPTIONS")),
            (Method::Other, SEGMENT, 405, Some("GET, HEAD, OPTIONS")),
            (Method::Other, "/healthz", 405, Some("GET, HEAD, OPTIONS")),
            (Method::Get, PUSH_PATH, 405, Some("PUT, OPTIONS")),
            (Method::Options, SEGMENT, 204, Some("GET, HEAD, OPTIONS")),
            (Method::Options, PUSH_PATH, 204, Some("PUT, OPTIONS")),
            (Method::Get, "/", 404, None),
            (Method::Get, "/vod/v1/g/a/c/index.txt", 404, None),
        ] {
            let answer = ask(&edge, method, path, &[]).await;
            assert_eq!((answer.status, answer.header("allow")), (status, allow), "{method:?} {path}");
            assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
            assert!(answer.header("access-control-allow-headers").unwrap().contains("Range"));
        }
        let answer = get(&edge, "/", &[]).await;
        assert_eq!(answer.header("cache-control"), Some("public, max-age=5"));
        let long = format!("/vod/v1/{}", "x".repeat(2000));
        let answer = get(&edge, &long, &[]).await;
        assert_eq!(answer.status, 414);
        assert!(body(answer).await.len() < 1500);
    });
}

#[test]
fn health_says_who_it_is() {
    block_on(async {
        let edge = ready();
        let answer = get(&edge, "/healthz", &[]).await;
        assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")));
        let json: serde_json::Value = serde_json::from_slice(&body(answer).await).unwrap();
        let expected = serde_json::json!({
            "status": "ok",
            "edge": "e1",
            "version": env!("CARGO_PKG_VERSION"),
            "format_version": packager::response::FORMAT_VERSION,
            "sequence": 0,
            "revision": 0,
        });
        assert_eq!(json, expected);
        edge.platform.store_fails.set(true);
        assert_eq!(get(&edge, "/healthz", &[]).await.status, 503);
    });
}

#[test]
fn a_resource_of_a_newer_document_is_found_although_an_older_one_is_in_memory() {
    block_on(async {
        let edge = ready();
        assert_eq!(get(&edge, MANIFEST, &[]).await.status, 200);
        // The core says that the tag is out of date, and the store is asked once more.
        edge.platform.later(DOUBTED);
        let loads = edge.platform.loads.get();
        let other = SEGMENT.replace("0123456789abcdef", "fedcba9876543210");
        assert_eq!(get(&edge, &other, &[]).await.status, 404);
        assert_eq!(get(&edge, &other, &[]).await.status, 404);
        assert_eq!(edge.platform.loads.get(), loads + 2, "and not again right away");

        let newer = asset(3);
        edge.platform.stored.borrow_mut().insert(newer.key.replace('/', ":"), newer.to_json());
        let route = Route::parse(&other).unwrap();
        let parts = vec![Part::Bytes(Bytes::from_static(b"new"))];
        let new = Response { content_type: "video/mp4", cache: CacheClass::Immutable, etag: ETAG.into(), parts };
        let key = rendered_key(&route.resource, "configuration/g/c@1 asset/g/a@3");
        edge.cache.borrow_mut().keep_rendered(&key, &Rc::new(new));
        edge.platform.later(DOUBTED);
        let answer = get(&edge, &other, &[]).await;
        assert_eq!((answer.status, body(answer).await), (200, b"new".to_vec()));
    });
}

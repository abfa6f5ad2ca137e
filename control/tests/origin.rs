//! The origin: what edges may read, and with which ranges and conditions.

mod common;

use common::Control;
use control::db::{assets, folders};
use http::{Method, header};
use packager::config::{ASSET_HEADER, BYTES_HEADER};
use packager::limits::MAX_WARNINGS;

const MEDIA: &str = "/origin/v1/media/";

async fn control() -> Control {
    let control = Control::new().await;
    control.add_group().await;
    control.write_media("shows/a film.mp4", b"0123456789");
    control.write_media("secret.mp4", b"secret");
    control.add_playable("a", "shows/a film.mp4").await;
    control
}

#[tokio::test]
async fn ranges_are_served_exactly() {
    let control = control().await;
    let path = &format!("{MEDIA}shows/a%20film.mp4");
    let whole = control.origin(Method::GET, path, &[]).await;
    assert_eq!((whole.status.as_u16(), &whole.body[..]), (200, &b"0123456789"[..]));
    assert_eq!((whole.header(header::CONTENT_LENGTH), whole.header(header::ACCEPT_RANGES)), ("10", "bytes"));
    for (range, body, content_range) in [
        ("bytes=0-0", &b"0"[..], "bytes 0-0/10"),
        ("bytes=2-4", b"234", "bytes 2-4/10"),
        ("bytes=8-100", b"89", "bytes 8-9/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
        ("bytes=-100", b"0123456789", "bytes 0-9/10"),
    ] {
        let answer = control.origin(Method::GET, path, &[("range", range)]).await;
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (206, body), "{range}");
        assert_eq!(answer.header(header::CONTENT_RANGE), content_range, "{range}");
        assert_eq!(answer.header(header::CONTENT_LENGTH), body.len().to_string(), "{range}");
        let head = control.origin(Method::HEAD, path, &[("range", range)]).await;
        assert_eq!((head.status.as_u16(), head.body.len()), (206, 0), "{range}");
        assert_eq!(head.header(header::CONTENT_RANGE), content_range, "{range}");
        assert_eq!(head.header(header::CONTENT_LENGTH), body.len().to_string(), "{range}");
    }
    for range in ["bytes=10-", "bytes=10-12", "bytes=-0", "bytes=18446744073709551615-"] {
        let answer = control.origin(Method::GET, path, &[("range", range)]).await;
        answer.assert_problem(416, None);
        let head = control.origin(Method::HEAD, path, &[("range", range)]).await;
        assert_eq!((head.status.as_u16(), head.body.len()), (416, 0));
        for answer in [answer, head] {
            assert_eq!(answer.header(header::CONTENT_RANGE), "bytes */10", "{range}");
        }
    }
    for ignored in ["bytes=0-1,3-4", "lines=1-2", "bytes=4-2", "x"] {
        let answer = control.origin(Method::GET, path, &[("range", ignored)]).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 10), "{ignored}");
    }
}

#[tokio::test]
async fn a_long_object_arrives_whole() {
    let control = control().await;
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    control.write_media("long.mp4", &bytes);
    control.add_playable("long", "long.mp4").await;
    let answer = control.origin(Method::GET, &format!("{MEDIA}long.mp4"), &[("range", "bytes=1000-2999998")]).await;
    assert!(answer.body == bytes[1000..2_999_999]);
}

#[tokio::test]
async fn conditions_are_checked_against_the_stored_object() {
    let control = control().await;
    let path = &format!("{MEDIA}shows/a%20film.mp4");
    let etag = control.origin(Method::HEAD, path, &[]).await.header(header::ETAG).to_owned();
    assert!(etag.starts_with('"'), "{etag}");
    let range = ("range", "bytes=1-2");
    let same = control.origin(Method::GET, path, &[range, ("if-match", &etag)]).await;
    assert_eq!((same.status.as_u16(), &same.body[..]), (206, &b"12"[..]));
    control.origin(Method::GET, path, &[range, ("if-match", "\"other\"")]).await.assert_problem(412, None);
    let known = control.origin(Method::GET, path, &[("if-none-match", &etag)]).await;
    assert_eq!((known.status.as_u16(), known.body.len()), (304, 0));
    control.write_media("shows/a film.mp4", b"other content");
    control.origin(Method::GET, path, &[range, ("if-match", &etag)]).await.assert_problem(412, None);
}

#[tokio::test]
async fn only_what_assets_name_is_served() {
    let control = control().await;
    let hostile = [
        "secret.mp4",
        "shows",
        "shows/",
        "none.mp4",
        "../control.db",
        "shows/../secret.mp4",
        "shows/%2e%2e/secret.mp4",
        "..%2fcontrol.db",
        "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "shows//a%20film.mp4",
        "./shows/a%20film.mp4",
        "shows%5ca%20film.mp4",
        "shows/a%20film.mp4%00",
        "shows/a%20film.mp4?x",
        "%ff",
        "a.idx",
    ];
    for path in hostile {
        let answer = control.origin(Method::GET, &format!("{MEDIA}{path}"), &[]).await;
        // A query is not a part of the path, so that one is the film itself.
        if path.ends_with("?x") {
            assert_eq!(answer.body.len(), 10);
        } else {
            answer.assert_problem(404, None);
        }
    }
    for path in ["b.idx", "../control.db", "..%2fadmin-token", "secret.mp4"] {
        control.origin(Method::GET, &format!("/origin/v1/indexes/{path}"), &[]).await.assert_problem(404, None);
    }
    let index = control.origin(Method::GET, "/origin/v1/indexes/a.idx", &[("range", "bytes=0-1")]).await;
    assert_eq!((index.status.as_u16(), &index.body[..]), (206, &b"in"[..]));
}

#[tokio::test]
async fn the_origin_has_a_token_of_its_own() {
    let control = control().await;
    for path in ["media/shows/a%20film.mp4", "indexes/a.idx", "documents/asset/films/a"] {
        // The administrator's token does not open the origin.
        control.get(&format!("/origin/v1/{path}")).await.assert_problem(401, None);
        assert_eq!(control.origin(Method::GET, &format!("/origin/v1/{path}"), &[]).await.status, 200);
        control.origin(Method::PUT, &format!("/origin/v1/{path}"), &[]).await.assert_problem(405, None);
    }
}

#[tokio::test]
async fn documents_are_those_of_what_exists() {
    use packager::config::{Body, Document, asset_key};
    let control = control().await;
    let path = "/origin/v1/documents/asset/films/a";
    let answer = control.origin(Method::GET, path, &[]).await;
    let document = Document::from_json(&answer.body).unwrap();
    assert_eq!(document.key, asset_key("films", "a"));
    let Body::Asset(asset) = document.body else { panic!("{document:?}") };
    assert_eq!((asset.index.path.as_str(), asset.index.bytes, asset.index.head_bytes), ("a.idx", 5, 2));
    assert_eq!((asset.sources[0].path.as_str(), asset.sources[0].bytes), ("shows/a film.mp4", 10));
    assert_eq!(asset.sources[0].etag.as_deref(), Some("\"tag\""));
    control.origin(Method::GET, "/origin/v1/documents/asset/films/b", &[]).await.assert_problem(404, None);
    assert_eq!(control.delete("/v1/assets/a").await.status, 200);
    control.origin(Method::GET, path, &[]).await.assert_problem(404, None);
    control.origin(Method::GET, &format!("{MEDIA}shows/a%20film.mp4"), &[]).await.assert_problem(404, None);
}

/// A read of media as an edge sends it.
async fn read(control: &Control, path: &str, asset: &str, expected: (&str, Option<&str>)) -> u16 {
    let mut headers = vec![("range", "bytes=0-0"), (ASSET_HEADER, asset), (BYTES_HEADER, expected.0)];
    headers.extend(expected.1.map(|etag| ("if-match", etag)));
    control.origin(Method::GET, &format!("{MEDIA}{path}"), &headers).await.status.as_u16()
}

async fn warnings(control: &Control) -> Vec<String> {
    let asset = control.get("/v1/assets/a").await.json();
    asset["warnings"].as_array().unwrap().iter().map(|w| w.as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_object_of_another_length_is_not_sent() {
    let control = control().await;
    let path = &format!("{MEDIA}shows/a%20film.mp4");
    for (range, bytes, status) in [
        ("bytes=1-2", "10", 206),
        ("bytes=1-2", "11", 412),
        ("bytes=1-2", "nonsense", 206),
        // It was longer once.
        ("bytes=100-200", "1000", 412),
        ("bytes=100-200", "10", 416),
    ] {
        let answer = control.origin(Method::GET, path, &[("range", range), (BYTES_HEADER, bytes)]).await;
        assert_eq!(answer.status, status, "{range} {bytes}");
    }
    assert_eq!(warnings(&control).await, ["a warning"], "nobody said which asset it is for");
}

#[tokio::test]
async fn what_edges_find_changed_or_gone_is_a_warning_of_the_asset_until_it_is_ingested_again() {
    let control = control().await;
    let path = "shows/a%20film.mp4";
    // What the last ingest found: see `make_playable`.
    let expected = ("10", Some("\"tag\""));
    for (asset, expected) in [
        ("films/b", expected),
        ("other/a", expected),
        ("a", expected),
        // These edges have an older document.
        ("films/a", ("9", Some("\"tag\""))),
        ("films/a", ("10", Some("\"older\""))),
        ("films/a", ("10", None)),
    ] {
        read(&control, path, asset, expected).await;
        assert_eq!(warnings(&control).await, ["a warning"], "{asset} {expected:?}");
    }
    for _ in 0..3 {
        assert_eq!(read(&control, path, "films/a", expected).await, 412);
    }
    let found = warnings(&control).await;
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[1].starts_with("shows/a film.mp4: ") && found[1].contains("changed"), "{}", found[1]);

    let asset = control.patch("/v1/assets/a", serde_json::json!({"sources": [{"path": "shows/a film.mp4"}]})).await;
    assert_eq!(asset.json()["warnings"], serde_json::json!([]));
    control.make_playable("a").await;
    std::fs::remove_file(control.directory.path().join("media/shows/a film.mp4")).unwrap();
    assert_eq!(read(&control, path, "films/a", expected).await, 404);
    let found = warnings(&control).await;
    assert!(found[1].starts_with("shows/a film.mp4: ") && found[1].contains("no such object"), "{found:?}");
}

#[tokio::test]
async fn objects_of_a_playlist_are_served_from_its_folders_and_their_warnings_are_few() {
    let control = Control::new().await;
    control.add_group().await;
    let body = serde_json::json!({"name": "a", "packaging_group": "films", "source": {"path": "shows/main.m3u8"}});
    assert_eq!(control.post("/v1/assets", body).await.status, 202);
    control.make_playable("a").await;
    let mut tx = control.context.db.write().await.unwrap();
    let asset = assets::find(&mut tx, "a").await.unwrap().unwrap();
    for folder in ["shows/v1", "shows/v1", "shows"] {
        folders::insert(&mut tx, asset.id, folder).await.unwrap();
    }
    tx.commit().await.unwrap();
    control.write_media("shows/v1/1.ts", b"0123456789");
    control.write_media("shows/v1/deep/1.ts", b"0123456789");
    control.write_media("1.ts", b"0123456789");
    assert_eq!(read(&control, "shows/v1/1.ts", "films/a", ("10", None)).await, 206);
    for elsewhere in ["1.ts", "shows/v1/deep/1.ts", "shows/v2/1.ts"] {
        assert_eq!(read(&control, elsewhere, "films/a", ("10", None)).await, 404);
    }
    assert_eq!(warnings(&control).await, ["a warning"]);
    assert_eq!(read(&control, "shows/v1/1.ts", "films/a", ("11", None)).await, 412);
    for number in 0..2 * MAX_WARNINGS {
        assert_eq!(read(&control, &format!("shows/v1/none{number}.ts"), "films/a", ("10", None)).await, 404);
    }
    let found = warnings(&control).await;
    assert_eq!(found.len(), 1 + MAX_WARNINGS);
    assert!(
        found.iter().any(|w| w.starts_with("shows/v1/1.ts: ") && w.contains("11") && w.contains("10")),
        "{found:?}"
    );

    assert_eq!(control.delete("/v1/assets/a").await.status, 200);
    assert_eq!(read(&control, "shows/v1/1.ts", "films/a", ("10", None)).await, 404);
}

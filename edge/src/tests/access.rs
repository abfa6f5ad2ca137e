//! Who may play, on everything that is played.

use std::rc::Rc;

use futures::executor::block_on;
use packager::config::{Access, Body as DocumentBody};

use super::channel::{Channel, MANIFEST, live};
use super::fake::{Fake, Reply, ask, asset, body, configuration, deleted, edge};
use crate::answer::Answer;
use crate::serve::{Edge, Method};

/// SHA-256 of `sesame`.
const SESAME: &str = "d0c04f4b1951e4aeaaec8223ed2039e542f3aae805a6fa7f6d794e5afff5d272";
const ALLOWED: &str = "192.0.2.7:1234";
const DENIED: &str = "198.51.100.7:1234";
const CODE: (&str, &str) = ("authorization", "Bearer sesame");

fn codes() -> Access {
    Access { authorization_codes: vec![SESAME.into()], ..Access::default() }
}

fn networks() -> Access {
    Access { ip_allow: vec!["192.0.2.0/24".parse().unwrap()], ..Access::default() }
}

fn both() -> Access {
    Access { ip_allow: networks().ip_allow, ..codes() }
}

/// An edge with an asset under a configuration with this access.
fn vod(access: Access) -> Rc<Edge<Fake>> {
    let edge = edge();
    let mut document = configuration(1);
    if let DocumentBody::Configuration(configuration) = &mut document.body {
        configuration.access = access;
    }
    for document in [document, asset(2), deleted(&asset(1), 3)] {
        // The last one is the tombstone of another asset.
        let key = if document.revision == 3 { "asset:g:gone".to_owned() } else { document.key.replace('/', ":") };
        let document = packager::config::Document { key: key.replace(':', "/"), ..document };
        edge.platform.stored.borrow_mut().insert(key, document.to_json());
    }
    edge.platform.script(|_| Reply::status(500));
    edge
}

async fn refused(edge: &Rc<Edge<Fake>>, path: &str, headers: &[(&str, &str)], status: u16) {
    let mut all: Vec<String> = Vec::new();
    for method in [Method::Get, Method::Head] {
        let answer = ask(edge, method, path, headers).await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(answer.header("www-authenticate"), (status == 401).then_some("Bearer"), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        all.push(String::from_utf8(body(answer).await).unwrap());
    }
    for hint in ["192.0.2", "198.51.100", SESAME, "sesame", "code", "network", "asset"] {
        let hint_in_path = path.contains(hint);
        assert!(hint_in_path || !all.iter().any(|text| text.contains(hint)), "{hint}: {all:?}");
    }
}

fn live_paths(channel: &Channel) -> Vec<String> {
    let mut paths = vec![MANIFEST.to_owned(), "/v1/g/c/e/none.m3u8".to_owned(), format!("{MANIFEST}?start=soon")];
    paths.extend(["playlist.m3u8", "init0.mp4", "1.m4s", "99.m4s"].map(|file| channel.path(file)));
    paths
}

#[test]
fn everything_of_an_endpoint_takes_the_code() {
    block_on(async {
        let channel = Channel::new(5);
        let edge = live(&channel, codes());
        for path in live_paths(&channel) {
            for headers in
                [&[][..], &[("authorization", "Bearer other")], &[("authorization", "Basic sesame")], &[CODE, CODE]]
            {
                refused(&edge, &path, headers, 401).await;
            }
        }
        assert!(channel.asked.borrow().is_empty(), "nothing was asked for them");
        for (path, status) in live_paths(&channel).iter().zip([200, 404, 400, 200, 200, 200, 404]) {
            assert_eq!(ask(&edge, Method::Get, path, &[CODE]).await.status, status, "{path}");
            refused(&edge, path, &[], 401).await;
        }
        assert_eq!(ask(&edge, Method::Get, MANIFEST, &[("Authorization", "sesame")]).await.status, 200);
    });
}

#[test]
fn everything_of_an_asset_takes_the_code_whether_it_exists_or_not() {
    block_on(async {
        let edge = vod(codes());
        let segment = "/vod/v1/g/a/c/0123456789abcdef/v0/1.m4s";
        for path in ["/vod/v1/g/a/c/index.m3u8", "/vod/v1/g/gone/c/index.m3u8", "/vod/v1/g/a/c/x.mpd", segment] {
            refused(&edge, path, &[], 401).await;
            refused(&edge, path, &[("authorization", "x")], 401).await;
        }
        for (path, status) in [("/vod/v1/g/gone/c/index.m3u8", 404), ("/vod/v1/g/a/c/x.mpd", 404), (segment, 404)] {
            let answer = ask(&edge, Method::Get, path, &[CODE]).await;
            assert_eq!((answer.status, answer.header("cache-control")), (status, Some("private, max-age=5")), "{path}");
        }
    });
}

#[test]
fn the_address_is_looked_at_first() {
    block_on(async {
        let channel = Channel::new(5);
        let edge = live(&channel, both());
        for path in live_paths(&channel) {
            refused(&edge, &path, &[("spin-client-addr", DENIED)], 403).await;
            refused(&edge, &path, &[("spin-client-addr", DENIED), CODE], 403).await;
            refused(&edge, &path, &[CODE], 403).await;
            refused(&edge, &path, &[("spin-client-addr", ALLOWED)], 401).await;
        }
        assert_eq!(ask(&edge, Method::Get, MANIFEST, &[("spin-client-addr", ALLOWED), CODE]).await.status, 200);
        // What a client writes under this name stands before what the host appends.
        refused(&edge, MANIFEST, &[("spin-client-addr", ALLOWED), ("spin-client-addr", DENIED), CODE], 403).await;
        refused(&edge, MANIFEST, &[("x-forwarded-for", "192.0.2.7"), ("spin-client-addr", DENIED), CODE], 403).await;

        let edge = vod(networks());
        refused(&edge, "/vod/v1/g/a/c/index.m3u8", &[("spin-client-addr", DENIED)], 403).await;
    });
}

#[test]
fn behind_proxies_the_viewer_is_whom_they_have_seen() {
    block_on(async {
        for (proxies, forwarded, status) in [
            ("1", "192.0.2.7", 200),
            ("1", "192.0.2.7, 198.51.100.7", 403),
            ("1", "198.51.100.7, 192.0.2.7", 200),
            ("2", "192.0.2.7, 10.0.0.1", 200),
            ("2", "192.0.2.7, 198.51.100.7, 10.0.0.1", 403),
            ("2", "192.0.2.7", 403),
            ("1", "192.0.2.7, garbage", 403),
            ("0", "192.0.2.7", 403),
        ] {
            let edge = live(&Channel::new(5), networks());
            edge.platform.trusted_proxies.replace(proxies.to_owned());
            let headers = [("x-forwarded-for", forwarded), ("spin-client-addr", "10.0.0.9:1")];
            let answer = ask(&edge, Method::Get, MANIFEST, &headers).await;
            assert_eq!(answer.status, status, "{proxies} {forwarded}");
        }
        for bad in ["", "-1", "17", "one", "1.0"] {
            let edge = live(&Channel::new(5), networks());
            edge.platform.trusted_proxies.replace(bad.to_owned());
            assert_eq!(ask(&edge, Method::Get, MANIFEST, &[]).await.status, 503, "{bad:?}");
        }
    });
}

#[test]
fn shared_caches_keep_nothing_that_is_guarded() {
    block_on(async {
        let channel = Channel::new(5);
        let edge = live(&channel, codes());
        let kept = |answer: &Answer<Fake>| answer.header("cache-control").unwrap().to_owned();
        let etag = ask(&edge, Method::Get, &channel.path("1.m4s"), &[CODE]).await.header("etag").unwrap().to_owned();
        for (path, headers, status, cache_control) in [
            (MANIFEST.to_owned(), vec![CODE], 200, "private, max-age=1"),
            (channel.path("playlist.m3u8"), vec![CODE], 200, "private, max-age=1"),
            (channel.path("init0.mp4"), vec![CODE], 200, "private, max-age=31536000, immutable"),
            (channel.path("1.m4s"), vec![CODE], 200, "private, max-age=31536000, immutable"),
            (channel.path("1.m4s"), vec![CODE, ("range", "bytes=0-1")], 206, "private, max-age=31536000, immutable"),
            (channel.path("1.m4s"), vec![CODE, ("if-none-match", &etag)], 304, "private, max-age=31536000, immutable"),
            (channel.path("1.m4s"), vec![CODE, ("range", "bytes=99999-")], 416, "no-store"),
            (channel.path("99.m4s"), vec![CODE], 404, "private, max-age=1"),
        ] {
            let answer = ask(&edge, Method::Get, &path, &headers).await;
            assert_eq!((answer.status, kept(&answer).as_str()), (status, cache_control), "{path}");
        }
        let edge = live(&channel, codes());
        edge.platform.script(|_| Reply::status(404));
        let answer = ask(&edge, Method::Get, MANIFEST, &[CODE]).await;
        assert_eq!((answer.status, kept(&answer).as_str()), (404, "private, max-age=1"), "without media");
    });
}

#[test]
fn a_preflight_is_open_and_allows_the_field() {
    block_on(async {
        let edge = live(&Channel::new(5), both());
        let answer =
            ask(&edge, Method::Options, MANIFEST, &[("access-control-request-headers", "authorization")]).await;
        assert_eq!(answer.status, 204);
        assert!(answer.header("access-control-allow-headers").unwrap().split(", ").any(|name| name == "Authorization"));
    });
}

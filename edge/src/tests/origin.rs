//! Ranged reads of indexes and media.

use futures::executor::block_on;
use futures::future::join_all;
use packager::config::{ASSET_HEADER, BYTES_HEADER, Body as DocumentBody};
use packager::limits;

use super::fake::{Fake, MEDIA_BYTES, Reply, asset, edge};
use crate::origin::HEAD_TIMEOUT;
use crate::platform::Platform;
use crate::problem::Problem;
use crate::serve::Edge;
use crate::settings::Settings;

async fn index(edge: &Edge<Fake>, range: core::ops::Range<u64>) -> Result<Vec<u8>, Problem> {
    let settings = Settings::read(&edge.platform).await.expect("settings");
    let DocumentBody::Asset(asset) = asset(1).body else { panic!("an asset") };
    edge.index(&settings, &asset.index, range).await.map(|bytes| bytes.to_vec())
}

async fn open(edge: &Edge<Fake>) -> Result<(), Problem> {
    let settings = Settings::read(&edge.platform).await.expect("settings");
    let DocumentBody::Asset(asset) = asset(1).body else { panic!("an asset") };
    edge.open_media(&settings, Some(&asset), &asset.sources[0], 10..20).await.map(|_| ())
}

#[test]
fn equal_reads_of_an_index_are_one_read_and_then_none() {
    block_on(async {
        let edge = edge();
        edge.platform.script(|_| Reply::part(100..2100, 5000, vec![3; 2000]));
        let all = join_all((0..10).map(|_| index(&edge, 100..2100))).await;
        assert!(all.into_iter().all(|bytes| bytes == Ok(vec![3; 2000])));
        assert_eq!(index(&edge, 100..2100).await, Ok(vec![3; 2000]));
        let asked = edge.platform.asked.borrow();
        assert_eq!(*asked, [("/origin/v1/indexes/a.index".to_owned(), Some("bytes=100-2099".to_owned()))]);
    });
}

#[test]
fn a_short_index_and_a_huge_one_are_refused() {
    block_on(async {
        let edge = edge();
        for bytes in [99, 101] {
            edge.platform.script(move |_| Reply::part(0..100, 5000, vec![3; bytes]));
            assert_eq!(index(&edge, 0..100).await.unwrap_err().kind.status(), 502);
        }
        edge.platform.script(|_| Reply::Refused);
        assert_eq!(index(&edge, 0..limits::MAX_HEAD_BYTES + 1).await.unwrap_err().kind.status(), 413);
        assert!(edge.platform.asked.borrow().is_empty());
    });
}

#[test]
fn anything_but_the_range_that_was_asked_for_is_an_error() {
    block_on(async {
        let edge = edge();
        let part = |range, total| Reply::part(range, total, vec![0; 10]);
        edge.platform.script(move |_| part(10..20, MEDIA_BYTES));
        assert_eq!(open(&edge).await, Ok(()));
        for (reply, words) in [
            (part(10..20, MEDIA_BYTES + 1), "changed since it was indexed"),
            (part(11..21, MEDIA_BYTES), "asked for bytes"),
            (part(10..19, MEDIA_BYTES), "asked for bytes"),
            (Reply::status(206), "Content-Range"),
            (Reply::status(200), "ignores Range"),
            (Reply::status(412), "changed since it was indexed"),
            (Reply::status(416), "changed since it was indexed"),
            (Reply::status(404), "gone"),
            (Reply::status(401), "origin_token"),
            (Reply::status(302), "302"),
        ] {
            edge.platform.script(move |_| reply.clone());
            let problem = open(&edge).await.unwrap_err();
            assert_eq!(problem.kind.status(), 502);
            assert!(problem.detail.contains(words), "{}", problem.detail);
            assert_eq!(edge.platform.asked.borrow().len(), 1, "not tried again");
        }
    });
}

#[test]
fn media_is_asked_for_with_what_was_indexed_and_for_whom() {
    block_on(async {
        let edge = edge();
        edge.platform.script(|request| {
            assert!(request.url.ends_with("/origin/v1/media/a%20b.mp4"), "{}", request.url);
            for (name, value) in [("if-match", "\"t\""), (ASSET_HEADER, "g/a"), (BYTES_HEADER, "1000000")] {
                assert!(request.headers.contains(&(name, value.to_owned())), "{name}");
            }
            Reply::part(10..20, MEDIA_BYTES, vec![0; 10])
        });
        assert_eq!(open(&edge).await, Ok(()));
    });
}

#[test]
fn a_failed_attempt_is_repeated_once_and_silence_is_not() {
    block_on(async {
        let edge = edge();
        for reply in [Reply::Refused, Reply::status(500), Reply::status(503)] {
            edge.platform.script(move |_| reply.clone());
            assert_eq!(open(&edge).await.unwrap_err().kind.status(), 502);
            assert_eq!(edge.platform.asked.borrow().len(), 2);
        }
        let start = edge.platform.monotonic();
        edge.platform.script(|_| Reply::Silent);
        let problem = open(&edge).await.unwrap_err();
        assert!(problem.detail.contains("10 s"), "{}", problem.detail);
        assert_eq!(edge.platform.asked.borrow().len(), 1);
        assert_eq!(edge.platform.monotonic() - start, HEAD_TIMEOUT);
    });
}

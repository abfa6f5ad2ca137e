//! Where documents come from, and what is remembered.

use std::rc::Rc;
use std::time::Duration;

use futures::executor::block_on;
use futures::future::join_all;
use packager::config::Document;
use packager::route::Route;

use super::fake::{CONTENT_KEY, Fake, Reply, SEALING_KEY, asset, configuration, deleted, edge, keys, protected};
use crate::http::Headers;
use crate::problem::Problem;
use crate::serve::Edge;
use crate::settings::Settings;
use crate::store::{ABSENT, AWAY, FRESH};
use crate::viewer::Viewer;

fn put(edge: &Edge<Fake>, document: &Document) {
    edge.platform.stored.borrow_mut().insert(document.key.replace('/', ":"), document.to_json());
}

async fn settings(edge: &Rc<Edge<Fake>>) -> Settings {
    Settings::read(&edge.platform).await.expect("settings")
}

fn anyone() -> Viewer<'static> {
    Viewer::new(const { &Headers::new(Vec::new()) }, 0)
}

async fn resolve(edge: &Rc<Edge<Fake>>) -> Result<String, Problem> {
    let settings = settings(edge).await;
    let route = Route::parse("/vod/v1/g/a/c/index.m3u8")?;
    edge.documents(&settings, &route, &anyone(), FRESH).await.map(|resolved| resolved.identity)
}

fn control_has(documents: Vec<Document>) -> impl Fn(&crate::platform::Outgoing) -> Reply {
    move |request| {
        let found = documents.iter().find(|d| request.url.ends_with(&format!("/origin/v1/documents/{}", d.key)));
        found.map_or(Reply::status(404), Reply::json)
    }
}

#[test]
fn content_keys_are_opened_in_memory_only() {
    block_on(async {
        let edge = edge();
        put(&edge, &protected(1));
        put(&edge, &asset(2));
        *edge.platform.origin.borrow_mut() = Box::new(|request| {
            let named = request.headers.iter().find(|(name, _)| *name == packager::config::EDGE_HEADER);
            assert_eq!(named.map(|(_, value)| value.as_str()), Some("e1"), "keys are sealed for whoever asks");
            control_has(vec![keys(3, SEALING_KEY)])(request)
        });
        let settings = settings(&edge).await;
        let route = Route::parse("/vod/v1/g/a/c/index.m3u8").unwrap();
        let resolved =
            edge.documents(&settings, &route, &anyone(), FRESH).await.unwrap_or_else(|p| panic!("{}", p.detail));
        assert_eq!(resolved.identity, "configuration/g/c@1 asset/g/a@2 keys@3");
        let opened = resolved.documents.keys.expect("keys");
        assert_eq!(opened.all().len(), 1);
        assert!(!format!("{opened:?}").contains("not in any log"));
        let secret = format!("{CONTENT_KEY:?}");
        assert!(!format!("{opened:?}").contains(secret.trim_matches(['[', ']'])));
        for value in edge.platform.stored.borrow().values() {
            assert!(!value.windows(16).any(|w| w == CONTENT_KEY), "what is stored is sealed");
        }
        // A second request needs no pull, and the key-value store is enough for another instance.
        resolve(&edge).await.unwrap();
        assert_eq!(edge.platform.asked.borrow().len(), 1);
    });
}

#[test]
fn without_keys_that_open_nothing_protected_is_served() {
    block_on(async {
        for (documents, why) in [
            (Vec::new(), "control has no content keys of keys/g/a/c yet"),
            (vec![keys(3, [0; 32])], "was not sealed for this edge"),
        ] {
            let edge = edge();
            put(&edge, &protected(1));
            put(&edge, &asset(2));
            *edge.platform.origin.borrow_mut() = Box::new(control_has(documents));
            let problem = resolve(&edge).await.expect_err("no keys");
            assert_eq!(problem.kind.status(), 503, "{}", problem.detail);
            assert!(problem.detail.contains(why), "{}", problem.detail);
        }
    });
}

#[test]
fn a_stored_document_is_read_once_a_second_at_most() {
    block_on(async {
        let edge = edge();
        put(&edge, &configuration(1));
        put(&edge, &asset(2));
        let first = resolve(&edge).await.unwrap();
        assert_eq!(first, "configuration/g/c@1 asset/g/a@2");
        for _ in 0..50 {
            resolve(&edge).await.unwrap();
        }
        assert_eq!(edge.platform.loads.get(), 2);

        put(&edge, &asset(3));
        edge.platform.later(FRESH);
        join_all((0..10).map(|_| resolve(&edge))).await;
        assert_eq!(edge.platform.loads.get(), 4);
        assert_eq!(resolve(&edge).await.unwrap(), "configuration/g/c@1 asset/g/a@3");
        assert!(edge.platform.asked.borrow().is_empty());
    });
}

#[test]
fn a_missing_document_is_pulled_once_and_stored() {
    block_on(async {
        let edge = edge();
        edge.platform.script(control_has(vec![configuration(1), asset(2)]));
        let answers = join_all((0..10).map(|_| resolve(&edge))).await;
        assert!(answers.iter().all(Result::is_ok));
        assert_eq!(edge.platform.asked.borrow().len(), 2, "{:?}", edge.platform.asked.borrow());
        assert_eq!(edge.platform.stored.borrow().len(), 2);

        let other = super::fake::edge();
        other.platform.stored.replace(edge.platform.stored.borrow().clone());
        assert!(resolve(&other).await.is_ok(), "with control away");
    });
}

#[test]
fn what_control_does_not_have_is_not_asked_for_again_for_a_while() {
    block_on(async {
        let edge = edge();
        edge.platform.script(control_has(vec![configuration(1)]));
        for _ in 0..5 {
            assert_eq!(resolve(&edge).await.unwrap_err().kind.status(), 404);
        }
        assert_eq!(edge.platform.asked.borrow().len(), 2);
        edge.platform.script(control_has(vec![asset(2)]));
        assert_eq!(resolve(&edge).await.unwrap_err().kind.status(), 404);
        edge.platform.later(ABSENT);
        assert!(resolve(&edge).await.is_ok());
    });
}

#[test]
fn what_another_instance_took_is_found_within_a_second_although_control_had_none() {
    block_on(async {
        let edge = edge();
        edge.platform.script(control_has(vec![configuration(1)]));
        assert_eq!(resolve(&edge).await.unwrap_err().kind.status(), 404);
        put(&edge, &asset(2));
        assert_eq!(resolve(&edge).await.unwrap_err().kind.status(), 404);
        edge.platform.later(FRESH);
        assert!(resolve(&edge).await.is_ok());
        assert_eq!(edge.platform.asked.borrow().len(), 2);
    });
}

#[test]
fn without_control_a_missing_document_is_503_and_a_known_one_is_served() {
    block_on(async {
        let edge = edge();
        put(&edge, &configuration(1));
        let problem = resolve(&edge).await.unwrap_err();
        assert_eq!(problem.kind.status(), 503);
        assert!(problem.headers.iter().any(|(name, _)| *name == "retry-after"));
        assert!(
            problem.detail.contains("asset/g/a") && problem.detail.contains("connection refused"),
            "{}",
            problem.detail
        );
        assert_eq!(edge.platform.asked.borrow().len(), 2, "one retry");
        assert_eq!(resolve(&edge).await.unwrap_err().kind.status(), 503);
        let settings = settings(&edge).await;
        let other = Route::parse("/vod/v1/g/other/c/index.m3u8").unwrap();
        assert_eq!(edge.documents(&settings, &other, &anyone(), FRESH).await.err().unwrap().kind.status(), 503);
        assert_eq!(edge.platform.asked.borrow().len(), 2, "and none right after, whatever is missing");

        edge.platform.later(AWAY);
        put(&edge, &asset(2));
        assert!(resolve(&edge).await.is_ok());
        edge.platform.store_fails.set(true);
        edge.platform.later(Duration::from_secs(100));
        assert!(resolve(&edge).await.is_ok(), "what is in memory outlives the store");
    });
}

#[test]
fn a_control_plane_that_answers_nonsense_changes_nothing() {
    block_on(async {
        let edge = edge();
        put(&edge, &configuration(1));
        let other = configuration(9);
        for reply in [Reply::json(&other), Reply::Response(200, Vec::new(), b"{}".to_vec()), Reply::status(401)] {
            edge.platform.script(move |_| reply.clone());
            assert_eq!(resolve(&edge).await.unwrap_err().kind.status(), 503);
            edge.platform.later(AWAY);
        }
        edge.platform.script(|_| Reply::Response(200, Vec::new(), vec![b' '; 1 << 20]));
        assert!(resolve(&edge).await.unwrap_err().detail.contains("more than"));
        assert_eq!(edge.platform.stored.borrow().len(), 1);
    });
}

#[test]
fn a_deleted_document_is_not_found_and_not_pulled() {
    block_on(async {
        let edge = edge();
        put(&edge, &configuration(1));
        put(&edge, &deleted(&asset(2), 3));
        edge.platform.script(control_has(vec![asset(2)]));
        assert_eq!(resolve(&edge).await.unwrap_err().kind.status(), 404);
        assert!(edge.platform.asked.borrow().is_empty());
    });
}

#[test]
fn a_stored_document_of_another_version_is_pulled_again() {
    block_on(async {
        let edge = edge();
        put(&edge, &configuration(1));
        put(&edge, &Document { version: 99, ..asset(2) });
        edge.platform.script(control_has(vec![asset(3)]));
        assert_eq!(resolve(&edge).await.unwrap(), "configuration/g/c@1 asset/g/a@3");
    });
}

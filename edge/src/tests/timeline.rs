//! How often control is asked for a timeline, and what is served while it is away.

use std::rc::Rc;
use std::time::Duration;

use futures::executor::block_on;
use futures::future::join_all;
use packager::config::Access;
use packager::limits;

use super::channel::{Channel, MANIFEST, live};
use super::fake::{Fake, Reply, ask, body, detail};
use crate::origin::HEAD_TIMEOUT;
use crate::problem::Problem;
use crate::serve::{Edge, Method};
use crate::settings::Settings;
use crate::timeline::{AWAY, FRESH, GONE, OLD, PATIENCE, WHOLE};

async fn revision(edge: &Rc<Edge<Fake>>) -> Result<u64, Problem> {
    let settings = Settings::read(&edge.platform).await.expect("settings");
    edge.timeline(&settings, "g", "c").await.map(|timeline| timeline.revision)
}

#[test]
fn a_thousand_requests_are_one_and_the_next_thousand_too() {
    block_on(async {
        let channel = Channel::new(5);
        let edge = live(&channel, Access::default());
        for round in 1..=3 {
            let answers = join_all((0..1000).map(|_| ask(&edge, Method::Get, MANIFEST, &[]))).await;
            assert!(answers.iter().all(|answer| answer.status == 200));
            assert_eq!(channel.asked.borrow().len(), round, "{:?}", channel.asked.borrow());
            edge.platform.later(FRESH);
        }
        assert_eq!(*channel.asked.borrow(), ["", "after=5&wait=0", "after=5&wait=0"]);
    });
}

#[test]
fn who_comes_while_control_is_asked_waits_for_it_or_takes_the_last_one() {
    block_on(async {
        let channel = Channel::new(5);
        let edge = live(&channel, Access::default());
        let all = async |expected: u64| {
            let revisions = join_all((0..1000).map(|_| revision(&edge))).await;
            revisions.iter().filter(|revision| **revision == Ok(expected)).count()
        };
        assert_eq!((all(5).await, channel.asked.borrow().len()), (1000, 1));
        // Fresh enough for those who need not wait.
        channel.grow();
        edge.platform.later(FRESH);
        assert_eq!((all(5).await, channel.asked.borrow().len()), (999, 2));
        assert_eq!((all(6).await, channel.asked.borrow().len()), (1000, 2));
        // After a while without viewers nobody gets what is long over.
        channel.grow();
        edge.platform.later(OLD);
        assert_eq!((all(7).await, channel.asked.borrow().len()), (1000, 3));
    });
}

#[test]
fn control_is_asked_no_sooner_than_after_a_quarter_of_a_second() {
    block_on(async {
        let channel = Channel::new(5);
        let edge = live(&channel, Access::default());
        for _ in 0..100 {
            revision(&edge).await.unwrap();
            edge.platform.later(FRESH / 10);
        }
        assert_eq!(channel.asked.borrow().len(), 10);
    });
}

#[test]
fn a_newer_revision_is_taken_and_an_older_one_is_not() {
    block_on(async {
        let channel = Channel::new(5);
        let edge = live(&channel, Access::default());
        assert_eq!(revision(&edge).await, Ok(5));
        channel.grow();
        assert_eq!(revision(&edge).await, Ok(5), "it is fresh");
        edge.platform.later(FRESH);
        assert_eq!(revision(&edge).await, Ok(6));
        // Whatever control says: sequences of playlists must not go back.
        channel.timeline.borrow_mut().revision = 4;
        edge.platform.later(WHOLE);
        assert_eq!(revision(&edge).await, Ok(6));
        assert_eq!(channel.asked.borrow().last().map(String::as_str), Some(""), "the whole was asked for");
        // A channel that began anew counts from the start.
        channel.timeline.borrow_mut().id = "fedcba9876543210".into();
        edge.platform.later(WHOLE);
        assert_eq!(revision(&edge).await, Ok(4));
    });
}

#[test]
fn the_last_one_is_served_while_control_is_away() {
    block_on(async {
        let channel = Channel::new(5);
        let edge = live(&channel, Access::default());
        assert_eq!(revision(&edge).await, Ok(5));
        channel.is_away.set(true);
        channel.grow();
        edge.platform.later(Duration::from_secs(3600));
        for _ in 0..100 {
            let answer = ask(&edge, Method::Get, MANIFEST, &[]).await;
            assert_eq!(answer.status, 200);
        }
        assert_eq!(channel.asked.borrow().len(), 2, "no more than once in a second");
        edge.platform.later(AWAY);
        let revisions = join_all((0..100).map(|_| revision(&edge))).await;
        assert!(revisions.iter().all(|revision| *revision == Ok(5)));
        assert_eq!(channel.asked.borrow().len(), 3);
        channel.is_away.set(false);
        edge.platform.later(AWAY);
        assert_eq!(revision(&edge).await, Ok(6));
    });
}

#[test]
fn a_control_plane_that_hangs_or_answers_nonsense_is_away() {
    block_on(async {
        let channel = Channel::new(5);
        let edge = live(&channel, Access::default());
        assert_eq!(revision(&edge).await, Ok(5));
        let mut other = channel.timeline.borrow().clone();
        other.revision = 9;
        let bad = |change: fn(&mut packager::config::Timeline)| {
            let mut changed = other.clone();
            change(&mut changed);
            Reply::Response(200, Vec::new(), serde_json::to_vec(&changed).unwrap())
        };
        for reply in [
            Reply::Silent,
            Reply::status(500),
            Reply::status(302),
            Reply::Response(200, Vec::new(), b"{}".to_vec()),
            Reply::Response(200, Vec::new(), vec![b' '; limits::MAX_TIMELINE_BYTES + 1]),
            bad(|t| t.channel = "d".into()),
            bad(|t| t.id = "../../../etc/x/y".into()),
            bad(|t| t.periods.clear()),
        ] {
            edge.platform.script(move |_| reply.clone());
            edge.platform.later(AWAY);
            let start = edge.platform.now.get();
            assert_eq!(revision(&edge).await, Ok(5));
            assert!(edge.platform.now.get() - start <= PATIENCE);
            assert_eq!(edge.platform.asked.borrow().len(), 1);
        }
        // It hangs again: one request waits for it, the others do not.
        edge.platform.script(|_| Reply::Silent);
        edge.platform.later(AWAY);
        let start = edge.platform.now.get();
        let waited = join_all((0..100).map(async |_| {
            assert_eq!(revision(&edge).await, Ok(5));
            edge.platform.now.get() - start
        }));
        assert_eq!(waited.await.iter().filter(|waited| waited.is_zero()).count(), 99);
    });
}

#[test]
fn without_a_timeline_and_without_control_it_is_503() {
    block_on(async {
        let channel = Channel::new(5);
        channel.is_away.set(true);
        let edge = live(&channel, Access::default());
        let answers = join_all((0..100).map(|_| ask(&edge, Method::Get, MANIFEST, &[]))).await;
        assert!(answers.iter().all(|answer| answer.status == 503 && answer.header("retry-after").is_some()));
        assert_eq!(channel.asked.borrow().len(), 1);
        assert!(detail(ask(&edge, Method::Get, MANIFEST, &[]).await).await.contains("connection refused"));
        channel.is_away.set(false);
        edge.platform.later(AWAY);
        assert_eq!(body(ask(&edge, Method::Get, MANIFEST, &[]).await).await.first(), Some(&b'#'));

        let edge = live(&channel, Access::default());
        edge.platform.script(|_| Reply::Silent);
        let start = edge.platform.now.get();
        assert_eq!(revision(&edge).await.unwrap_err().kind.status(), 503);
        assert_eq!(edge.platform.now.get() - start, HEAD_TIMEOUT);
    });
}

#[test]
fn a_channel_that_is_gone_is_forgotten_though_not_at_once() {
    block_on(async {
        let channel = Channel::new(5);
        let edge = live(&channel, Access::default());
        assert_eq!(revision(&edge).await, Ok(5));
        // Control has just started, and knows nothing yet.
        edge.platform.script(|_| Reply::status(404));
        for _ in 1..GONE.as_secs() {
            edge.platform.later(AWAY);
            assert_eq!(revision(&edge).await, Ok(5));
            assert_eq!(revision(&edge).await, Ok(5));
        }
        assert_eq!(edge.platform.asked.borrow().len() as u64, GONE.as_secs() - 1, "no more than once in a second");
        edge.platform.later(AWAY);
        assert_eq!(revision(&edge).await.unwrap_err().kind.status(), 404);
        assert_eq!(revision(&edge).await.unwrap_err().kind.status(), 404);
        assert_eq!(edge.platform.asked.borrow().len() as u64, GONE.as_secs());
    });
}

#[test]
fn an_instance_that_starts_while_control_is_away_serves_what_another_has_stored() {
    block_on(async {
        let channel = Channel::new(5);
        let first = live(&channel, Access::default());
        assert_eq!(revision(&first).await, Ok(5));
        channel.grow();
        first.platform.later(FRESH);
        assert_eq!(revision(&first).await, Ok(6));

        channel.is_away.set(true);
        let second = live(&channel, Access::default());
        second.platform.stored.replace(first.platform.stored.borrow().clone());
        assert_eq!(revision(&second).await, Ok(6));
        assert_eq!(ask(&second, Method::Get, MANIFEST, &[]).await.status, 200);
        channel.is_away.set(false);
        channel.grow();
        second.platform.later(AWAY);
        assert_eq!(revision(&second).await, Ok(7));
        assert_eq!(channel.asked.borrow().last().map(String::as_str), Some(""));

        // Nor is nonsense served.
        let third = live(&channel, Access::default());
        third.platform.stored.borrow_mut().insert("timeline:g:c".into(), b"{}".to_vec());
        channel.is_away.set(true);
        assert_eq!(revision(&third).await.unwrap_err().kind.status(), 503);
    });
}

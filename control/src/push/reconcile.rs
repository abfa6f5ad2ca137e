//! Pushes until every edge has acknowledged what it should have. This is the only layer that retries pushes.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Result;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Outcome, push_once};
use crate::context::Context;
use crate::db::{documents, edges};

/// Pause after the first failure; it doubles with each one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Edges are compared at least this often, whether something changed or not.
const INTERVAL: Duration = Duration::from_secs(30);

/// Compares what each edge acknowledged with what it should have.
pub struct Reconciler {
    context: Context,
    failures: HashMap<i64, Failures>,
    running: JoinSet<(i64, Result<Outcome>)>,
    in_flight: HashMap<tokio::task::Id, i64>,
}

struct Failures {
    count: u32,
    next: Instant,
}

impl Reconciler {
    /// A reconciler that has pushed nothing yet.
    pub fn new(context: Context) -> Self {
        Self { context, failures: HashMap::new(), running: JoinSet::new(), in_flight: HashMap::new() }
    }

    /// Pushes to every edge that lacks something and is not waiting after a failure, until each has everything or has
    /// failed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tick(&mut self) -> Result<()> {
        loop {
            self.start().await?;
            if self.running.is_empty() {
                return Ok(());
            }
            self.finish_one().await;
        }
    }

    /// Runs until `stop` changes.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut wake = self.context.push_wake.listener();
        loop {
            if let Err(error) = self.start().await {
                tracing::error!(error = format!("{error:#}"), "edges could not be compared");
            }
            let next = self.next_attempt();
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                _ = wake.changed() => self.forgive(),
                () = self.finish_one(), if !self.running.is_empty() => {}
                () = tokio::time::sleep_until(next) => {}
            }
        }
    }

    /// Starts a push to each edge that is behind and due.
    async fn start(&mut self) -> Result<()> {
        let mut db = self.context.db.read().await?;
        let behind = edges::behind(&mut db).await?;
        let desired = documents::revision(&mut db).await?;
        drop(db);
        metrics::gauge!("control_desired_revision").set(desired as f64);
        let now = Instant::now();
        for edge in behind {
            let busy = self.in_flight.values().any(|id| *id == edge.id);
            let waits = self.failures.get(&edge.id).is_some_and(|f| f.next > now);
            if busy || waits {
                continue;
            }
            let context = self.context.clone();
            let task = self.running.spawn(async move { (edge.id, push_once(&context, edge.id).await) });
            self.in_flight.insert(task.id(), edge.id);
        }
        Ok(())
    }

    async fn finish_one(&mut self) {
        let (task, result) = match self.running.join_next_with_id().await {
            None => return,
            Some(Ok((task, (_, result)))) => (task, result),
            Some(Err(error)) => (error.id(), Err(error.into())),
        };
        let Some(edge) = self.in_flight.remove(&task) else { return };
        match result {
            Ok(Outcome::Complete | Outcome::More) => {
                self.failures.remove(&edge);
            }
            // The next push passes the sequence that the edge has seen. Once is worth it at once.
            Ok(Outcome::SequenceJumped) if !self.failures.contains_key(&edge) => {
                self.failures.insert(edge, Failures { count: 1, next: Instant::now() });
            }
            Ok(Outcome::Failed | Outcome::SequenceJumped) => self.note_failure(edge),
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "a push could not be made");
                self.note_failure(edge);
            }
        }
    }

    fn note_failure(&mut self, edge: i64) {
        let failures = self.failures.entry(edge).or_insert(Failures { count: 0, next: Instant::now() });
        let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(failures.count)).min(LONGEST_PAUSE);
        failures.count = failures.count.saturating_add(1);
        // Between half and all of the pause, so that many edges that failed together do not come back together.
        failures.next = Instant::now() + pause.mul_f64(0.5 + rand::random::<f64>() / 2.0);
    }

    /// A change is worth an attempt now, unless the edge failed a moment ago.
    fn forgive(&mut self) {
        let soon = Instant::now() + FIRST_PAUSE;
        for failures in self.failures.values_mut() {
            failures.next = failures.next.min(soon);
        }
    }

    fn next_attempt(&self) -> Instant {
        let at_least = Instant::now() + INTERVAL;
        self.failures
            .iter()
            .filter(|(edge, _)| !self.in_flight.values().any(|id| id == *edge))
            .map(|(_, failures)| failures.next)
            .min()
            .map_or(at_least, |next| next.min(at_least))
    }
}

//! Which instance takes which request.
//!
//! Requests wait in one queue that every instance takes from, so none is stuck behind a busy instance while another is
//! free. Each instance is driven by one task. New instances are started up to the number of cores when the present
//! ones are busy, and beyond it only when all their places are taken or a request has waited too long: instances share
//! the cores, and each has caches of its own that are better kept warm.

use crate::guest::CpuClock;
use crate::limits::{MAX_QUEUED_REQUESTS, MAX_RETIRED_INSTANCES};
use crate::problem::Problem;
use crate::template::Template;
use crate::worker;
use futures::channel::oneshot;
use futures::task::AtomicWaker;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use wasmtime_wasi_http::WasiBody;

/// A request that has waited this long gets a further instance, if there may be one.
const PATIENCE: Duration = Duration::from_millis(100);

/// A request on its way to an instance.
pub(crate) struct Work {
    pub(crate) request: http::Request<WasiBody>,
    pub(crate) respond: oneshot::Sender<wasmtime::Result<http::Response<WasiBody>>>,
    /// Ends when nobody waits for the response any more.
    pub(crate) abandoned: oneshot::Receiver<()>,
    /// Set to the instance that took the request.
    pub(crate) taken_by: Arc<OnceLock<Arc<Worker>>>,
    pub(crate) since: Instant,
}

/// The host's view of one instance.
pub(crate) struct Worker {
    pub(crate) clock: Arc<CpuClock>,
    /// Wakes the task that drives the instance.
    pub(crate) waker: AtomicWaker,
    /// The task runs, or is about to.
    pub(crate) busy: AtomicBool,
    /// It has not asked for a request yet.
    fresh: AtomicBool,
    /// Requests without a response head.
    pub(crate) concurrent: AtomicUsize,
    /// The instance is to be dropped, whatever it does.
    killed: AtomicBool,
    ended: watch::Sender<bool>,
}

impl Worker {
    pub(crate) fn kill(&self) {
        self.killed.store(true, Ordering::Release);
        self.waker.wake();
    }

    pub(crate) fn killed(&self) -> bool {
        self.killed.load(Ordering::Acquire)
    }

    /// Waits until the instance is gone and the pool knows.
    pub(crate) async fn ended(&self) {
        // The sender lives as long as `self`, so this cannot fail.
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }
}

/// How many, how long.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) max_instances: usize,
    pub(crate) reuse_requests: usize,
    pub(crate) reuse_concurrent: usize,
    pub(crate) deadline: Duration,
    /// Instances worth having when none waits: the cores.
    pub(crate) warm: usize,
}

/// What happened since the start.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) instances: AtomicU64,
    pub(crate) failed_instances: AtomicU64,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Work>,
    /// Instances that take requests, the longest-lived first.
    open: Vec<Arc<Worker>>,
    /// Instances that only end what they began, the oldest first.
    retired: VecDeque<Arc<Worker>>,
}

pub(crate) struct Pool {
    pub(crate) template: Template,
    pub(crate) sizes: Sizes,
    pub(crate) counters: Counters,
    executor: tokio::runtime::Handle,
    state: Mutex<State>,
    closed: AtomicBool,
}

impl Pool {
    pub(crate) fn new(template: Template, sizes: Sizes, executor: tokio::runtime::Handle) -> Arc<Self> {
        Arc::new(Self {
            template,
            sizes,
            counters: Counters::default(),
            executor,
            state: Mutex::default(),
            closed: AtomicBool::new(false),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Queues a request.
    ///
    /// # Errors
    /// `Overloaded` when too many wait.
    pub(crate) fn submit(self: &Arc<Self>, work: Work) -> Result<(), Problem> {
        let mut state = self.lock();
        if state.queue.len() >= MAX_QUEUED_REQUESTS {
            return Err(Problem::Overloaded);
        }
        state.queue.push_back(work);
        self.find_instance(&mut state);
        Ok(())
    }

    /// The next request that somebody still waits for, for `worker`.
    pub(crate) fn take(&self, worker: &Worker) -> Option<Work> {
        let mut state = self.lock();
        worker.fresh.store(false, Ordering::Relaxed);
        while let Some(work) = state.queue.pop_front() {
            if !work.respond.is_canceled() {
                return Some(work);
            }
        }
        None
    }

    pub(crate) fn has_waiting(&self) -> bool {
        !self.lock().queue.is_empty()
    }

    /// Wakes an instance that is free for one more request, or starts one. If neither is possible, an instance takes
    /// the request when it has become free.
    fn find_instance(self: &Arc<Self>, state: &mut State) {
        let free = |worker: &&Arc<Worker>| {
            worker.concurrent.load(Ordering::Relaxed) < self.sizes.reuse_concurrent
                && !worker.busy.swap(true, Ordering::AcqRel)
        };
        if let Some(worker) = state.open.iter().find(free) {
            worker.waker.wake();
            return;
        }
        let full =
            state.open.iter().all(|worker| worker.concurrent.load(Ordering::Relaxed) >= self.sizes.reuse_concurrent);
        if state.open.len() < self.sizes.warm.min(self.sizes.max_instances) || full {
            self.start(state);
        }
    }

    fn start(self: &Arc<Self>, state: &mut State) {
        // Each instance that is being started will take one request, so only those beyond need a further one.
        let starting = state.open.iter().filter(|worker| worker.fresh.load(Ordering::Relaxed)).count();
        if state.open.len() >= self.sizes.max_instances || state.queue.len() <= starting {
            return;
        }
        let worker = Arc::new(Worker {
            clock: Arc::new(CpuClock::new(self.sizes.deadline)),
            waker: AtomicWaker::new(),
            busy: AtomicBool::new(true),
            fresh: AtomicBool::new(true),
            concurrent: AtomicUsize::new(0),
            killed: AtomicBool::new(false),
            ended: watch::Sender::new(false),
        });
        state.open.push(worker.clone());
        self.counters.instances.fetch_add(1, Ordering::Relaxed);
        self.executor.spawn(worker::run(self.clone(), worker));
    }

    /// Called at every tick: a request that waits although no instance is full needs a further one.
    pub(crate) fn tick(self: &Arc<Self>) {
        let mut state = self.lock();
        if state.queue.front().is_some_and(|work| work.since.elapsed() > PATIENCE) {
            self.start(&mut state);
        }
    }

    /// Whether a used-up instance may be retired now. While many retired ones still stream to slow viewers it goes on
    /// instead: better a few requests more than bodies cut off.
    pub(crate) fn may_retire(&self) -> bool {
        self.lock().retired.len() < MAX_RETIRED_INSTANCES
    }

    /// `worker` takes no more requests but ends what it began.
    pub(crate) fn retire(self: &Arc<Self>, worker: &Arc<Worker>) {
        let mut state = self.lock();
        state.open.retain(|other| !Arc::ptr_eq(other, worker));
        state.retired.push_back(worker.clone());
        if state.retired.len() > MAX_RETIRED_INSTANCES
            && let Some(oldest) = state.retired.pop_front()
        {
            tracing::warn!("too many retired instances still stream; the oldest is ended");
            oldest.kill();
        }
        if !state.queue.is_empty() {
            self.find_instance(&mut state);
        }
    }

    /// Whether `worker`, idle for long, is one more than is worth keeping.
    pub(crate) fn superfluous(&self) -> bool {
        self.lock().open.len() > self.sizes.warm
    }

    /// `worker` is gone. If it never lived and no other instance does, nobody will take what waits: those requests end.
    pub(crate) fn remove(self: &Arc<Self>, worker: &Arc<Worker>, started: bool) {
        let mut state = self.lock();
        state.open.retain(|other| !Arc::ptr_eq(other, worker));
        state.retired.retain(|other| !Arc::ptr_eq(other, worker));
        worker.ended.send_replace(true);
        if state.queue.is_empty() {
            return;
        }
        if started || !state.open.is_empty() {
            self.find_instance(&mut state);
        } else {
            state.queue.clear();
        }
    }

    /// Instances that take requests, instances that only end what they began, and requests that wait.
    pub(crate) fn load(&self) -> (usize, usize, usize) {
        let state = self.lock();
        (state.open.len(), state.retired.len(), state.queue.len())
    }

    /// Whether the host is gone.
    pub(crate) fn closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Drops all instances and all that waits.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let mut state = self.lock();
        state.queue.clear();
        for worker in state.open.iter().chain(&state.retired) {
            worker.kill();
        }
    }
}

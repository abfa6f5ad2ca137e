//! The task that drives one instance.

use crate::guest::Guest;
use crate::limits::{BODY_DEADLINE, IDLE_TIMEOUT};
use crate::pool::{Pool, Work, Worker};
use futures::future::{self, Either};
use futures::stream::{FuturesUnordered, Stream};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use wasmtime::AsContextMut;
use wasmtime::component::Accessor;
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::handler::{Prepared, Proxy};

/// How often an instance is looked at for idleness and old age.
const REVIEW: Duration = Duration::from_secs(1);

/// What the loop inside the store and the task around it tell each other. The loop cannot run while the guest does,
/// the task can.
#[derive(Default)]
struct Signals {
    /// One request is taken for each turn of the task, so that a second goes to another instance while the first one's
    /// guest code runs.
    may_take: AtomicBool,
    /// The guest refuses calls for now (component model backpressure).
    refuses: AtomicBool,
    /// No more requests.
    closed: AtomicBool,
    /// Requests taken.
    taken: AtomicU64,
}

/// Takes an instance out of the pool when its task ends, however it ends.
struct Exit {
    pool: Arc<Pool>,
    worker: Arc<Worker>,
    started: bool,
}

impl Drop for Exit {
    fn drop(&mut self) {
        self.pool.remove(&self.worker, self.started);
    }
}

/// Instantiates the component and serves requests until the instance is used up, idle, stuck or has trapped.
pub(crate) async fn run(pool: Arc<Pool>, worker: Arc<Worker>) {
    let mut exit = Exit { pool: pool.clone(), worker: worker.clone(), started: false };
    let start = tokio::time::timeout(pool.sizes.deadline, pool.template.instantiate(worker.clock.clone()));
    let failure = match start.await {
        Err(_) => "the component did not start in time".to_owned(),
        Ok(Err(error)) => format!("the component does not start: {error:#}"),
        Ok(Ok((store, proxy))) => {
            exit.started = true;
            match drive(&pool, &worker, store, proxy).await {
                Ok(()) if !worker.killed() || pool.closed() => return,
                Ok(()) => "the host ended it: it was stuck, or retired for too long".to_owned(),
                Err(error) => format!("{error:?}"),
            }
        }
    };
    pool.counters.failed_instances.fetch_add(1, Ordering::Relaxed);
    tracing::error!("an instance of the edge failed: {failure}");
}

async fn drive(
    pool: &Arc<Pool>,
    worker: &Arc<Worker>,
    mut store: wasmtime::Store<Guest>,
    proxy: Proxy,
) -> wasmtime::Result<()> {
    let signals = Signals { may_take: AtomicBool::new(true), ..Signals::default() };
    let inside = async |accessor: &Accessor<Guest>| requests(pool, worker, &signals, accessor, &proxy).await;
    let mut instance = pin!(store.run_concurrent(inside));
    let mut review = pin!(tokio::time::sleep(REVIEW));
    let mut activity = (0, Instant::now());
    std::future::poll_fn(|cx| {
        worker.busy.store(true, Ordering::Release);
        if let Poll::Ready(result) = instance.as_mut().poll(cx) {
            return Poll::Ready(result.and_then(|result| result));
        }
        if worker.killed() {
            return Poll::Ready(Ok(()));
        }
        while review.as_mut().poll(cx).is_ready() {
            review.as_mut().reset(tokio::time::Instant::now() + REVIEW);
            let taken = signals.taken.load(Ordering::Relaxed);
            if activity.0 != taken || worker.concurrent.load(Ordering::Relaxed) > 0 {
                activity = (taken, Instant::now());
            }
            let closed = signals.closed.load(Ordering::Relaxed);
            if closed && activity.1.elapsed() > BODY_DEADLINE {
                tracing::warn!("a retired instance has outlived the longest body; it is ended");
                return Poll::Ready(Ok(()));
            }
            if !closed && activity.1.elapsed() > IDLE_TIMEOUT && pool.superfluous() {
                signals.closed.store(true, Ordering::Relaxed);
                pool.retire(worker);
                cx.waker().wake_by_ref();
            }
        }
        // Interrupted in the middle of the guest's work: still busy, and scheduled again.
        if worker.clock.take_yielded() {
            return Poll::Pending;
        }
        worker.busy.store(false, Ordering::SeqCst);
        let took = !signals.may_take.swap(true, Ordering::Relaxed);
        // From here on requests wake this task. One that came before found it busy and did not.
        if (took || !signals.refuses.load(Ordering::Relaxed))
            && !signals.closed.load(Ordering::Relaxed)
            && worker.concurrent.load(Ordering::Relaxed) < pool.sizes.reuse_concurrent
            && pool.has_waiting()
        {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    })
    .await
}

/// Takes requests and waits for their responses, from within the store's event loop.
async fn requests(
    pool: &Arc<Pool>,
    worker: &Arc<Worker>,
    signals: &Signals,
    accessor: &Accessor<Guest>,
    proxy: &Proxy,
) -> wasmtime::Result<()> {
    let Proxy::P3(service) = proxy;
    let handle = *service.wasi_http_handler().func_handle().func();
    let mut calls = pin!(FuturesUnordered::<Call<'_>>::new());
    std::future::poll_fn(move |cx: &mut Context<'_>| {
        worker.clock.reset();
        loop {
            worker.waker.register(cx.waker());
            match calls.as_mut().poll_next(cx) {
                Poll::Ready(Some(Ok(in_time))) => {
                    worker.concurrent.store(calls.len(), Ordering::Relaxed);
                    // A guest that missed its deadline may be stuck for good: let it end the rest and go.
                    if !in_time {
                        close(pool, worker, signals);
                    }
                    continue;
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                Poll::Ready(None) | Poll::Pending => {}
            }
            let refuses = accessor.poll_ready_for_concurrent_call(handle, cx).is_pending();
            signals.refuses.store(refuses, Ordering::Relaxed);
            let closed = signals.closed.load(Ordering::Relaxed);
            if !closed
                && !refuses
                && calls.len() < pool.sizes.reuse_concurrent
                && (calls.is_empty() || signals.may_take.load(Ordering::Relaxed))
                && let Some(work) = pool.take(worker)
            {
                signals.may_take.store(false, Ordering::Relaxed);
                let taken = signals.taken.fetch_add(1, Ordering::Relaxed) + 1;
                calls.push(call(pool, worker, accessor, proxy, work)?);
                worker.concurrent.store(calls.len(), Ordering::Relaxed);
                if usize::try_from(taken).unwrap_or(usize::MAX) >= pool.sizes.reuse_requests && pool.may_retire() {
                    close(pool, worker, signals);
                }
                continue;
            }
            // Bodies may still be on their way out of the guest when all heads are done.
            if closed && calls.is_empty() && accessor.poll_no_interesting_tasks(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            return Poll::Pending;
        }
    })
    .await
}

fn close(pool: &Arc<Pool>, worker: &Arc<Worker>, signals: &Signals) {
    if !signals.closed.swap(true, Ordering::Relaxed) {
        pool.retire(worker);
    }
}

/// A call under way. The value says whether its response came in time.
type Call<'a> = Pin<Box<dyn Future<Output = wasmtime::Result<bool>> + Send + 'a>>;

/// Starts a call of the guest. The response goes to who waits for it.
fn call<'a>(
    pool: &Arc<Pool>,
    worker: &Arc<Worker>,
    accessor: &'a Accessor<Guest>,
    proxy: &'a Proxy,
    work: Work,
) -> wasmtime::Result<Call<'a>> {
    let Work { request, respond, abandoned, taken_by, since } = work;
    let _ = taken_by.set(worker.clone());
    let prepared = accessor
        .with(|mut access| Prepared::new(access.as_context_mut(), proxy, request, WasiHttpView::http, respond))?;
    let deadline = tokio::time::Instant::from_std(since + pool.sizes.deadline);
    Ok(Box::pin(async move {
        let late = AtomicBool::new(false);
        let give_up = async {
            if let Either::Left(_) = future::select(pin!(tokio::time::sleep_until(deadline)), abandoned).await {
                late.store(true, Ordering::Relaxed);
            }
        };
        prepared.run(accessor, give_up).await?;
        Ok(!late.load(Ordering::Relaxed))
    }))
}

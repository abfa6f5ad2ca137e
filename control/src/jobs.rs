//! Starts every loop. Each has a function that does one round, for tests.

use std::time::Duration;

use anyhow::Result;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::context::Context;
use crate::db::assets;
use crate::harvest;
use crate::ingest::{self, sweep_channels, sweep_indexes};
use crate::live;
use crate::protect;
use crate::push::Reconciler;

/// Assets that are indexed at the same time: the work is bound by one core each.
pub const INGEST_WORKERS: usize = 2;
/// How long an index that no asset refers to is kept: far longer than any edge needs to hear of the change.
pub const INDEX_GRACE: Duration = Duration::from_secs(24 * 3600);
/// How long the objects of a channel stay after it was removed: edges serve what they know for a while.
pub const CHANNEL_GRACE: Duration = Duration::from_secs(3600);
/// How often unreferenced indexes are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(600);

/// Puts interrupted work back in its queue. Once, before [`start`].
///
/// # Errors
/// When the database fails.
pub async fn recover(context: &Context) -> Result<u64> {
    let mut tx = context.db.write().await?;
    let count = assets::requeue_interrupted(&mut tx).await?;
    tx.commit().await?;
    if count > 0 {
        tracing::info!(count, "interrupted ingests are run again");
    }
    ingest::receive::recover(context).await?;
    Ok(count)
}

/// Starts every loop; they end when `stop` becomes true.
pub fn start(context: &Context, stop: &watch::Receiver<bool>) -> JoinSet<()> {
    let mut jobs = JoinSet::new();
    for _ in 0..INGEST_WORKERS {
        jobs.spawn(ingest::assets::run(context.clone(), stop.clone()));
    }
    jobs.spawn(protect::job::run(context.clone(), stop.clone()));
    jobs.spawn(Reconciler::new(context.clone()).run(stop.clone()));
    jobs.spawn(live::run(context.clone(), stop.clone()));
    jobs.spawn(harvest::run_indexing(context.clone(), stop.clone()));
    jobs.spawn(harvest::run_copying(context.clone(), stop.clone()));
    jobs.spawn(sweep(context.clone(), stop.clone()));
    jobs
}

async fn sweep(context: Context, mut stop: watch::Receiver<bool>) {
    loop {
        if let Err(error) = sweep_indexes(&context, INDEX_GRACE).await {
            tracing::error!(error = format!("{error:#}"), "old indexes could not be removed");
        }
        if let Err(error) = sweep_channels(&context, CHANNEL_GRACE).await {
            tracing::error!(error = format!("{error:#}"), "what is left of channels could not be removed");
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(SWEEP_INTERVAL) => {}
        }
    }
}

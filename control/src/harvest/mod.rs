//! Harvest: ranges of live channels become assets. A collection task first makes an index over what the channel has stored,
//! so that its asset can be played at once, and then copies the media to a folder of its own. `docs/live.md` tells more.
//!
//! All state is in the database before anything is done, so that a task goes on where the process was ended.

mod copying;
mod indexing;
mod trouble;

use std::time::Duration;

use anyhow::Result;
use tokio::sync::watch;

use crate::clock;
use crate::context::Context;
use crate::db::harvests;

pub use copying::tick as copy;
pub use indexing::tick as index;

/// The longest range of a task.
pub const MAX_HARVEST_MS: i64 = 24 * 3_600_000;
/// How far ahead the end of a range may lie.
pub const MAX_HARVEST_AHEAD_MS: i64 = 24 * 3_600_000;
/// How long the media of a channel stays after an asset went over to its copies: edges that have not heard of it yet go on
/// reading there.
pub const HARVEST_GRACE: Duration = Duration::from_secs(3600);
/// Objects that are copied at the same time.
pub const COPIES: usize = 4;
/// Pause after a failure of the database, and before what failed for the time being is tried again.
const PAUSE: Duration = Duration::from_secs(10);
/// How often it is looked for the media at the end of a range.
const POLL: Duration = Duration::from_millis(250);
/// The longest time without looking for something to do.
const IDLE: Duration = Duration::from_secs(30);

/// Makes the indexes of tasks, until `stop` becomes true.
pub async fn run_indexing(context: Context, mut stop: watch::Receiver<bool>) {
    let mut wake = context.harvest_wake.listener();
    loop {
        let worked = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            worked = index_all(&context) => worked,
        };
        let pause = worked.unwrap_or_else(|error| {
            tracing::error!(error = format!("{error:#}"), "collection tasks could not go on");
            PAUSE
        });
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            _ = wake.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Answers how long there is nothing to do.
async fn index_all(context: &Context) -> Result<Duration> {
    while index(context).await? {}
    let next = harvests::next_to_index(&mut *context.db.read().await?).await?;
    Ok(until(next, IDLE))
}

/// Copies the media of tasks and removes copies that nobody needs, until `stop` becomes true.
pub async fn run_copying(context: Context, mut stop: watch::Receiver<bool>) {
    let mut wake = context.harvest_wake.listener();
    loop {
        let worked = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            worked = copy_all(&context) => worked,
        };
        let pause = worked.unwrap_or_else(|error| {
            tracing::error!(error = format!("{error:#}"), "the media of collection tasks could not be copied");
            PAUSE
        });
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            _ = wake.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Answers how long there is nothing to do.
async fn copy_all(context: &Context) -> Result<Duration> {
    while copy(context).await? {}
    let next = harvests::next_to_copy(&mut *context.db.read().await?).await?;
    Ok(until(next, PAUSE))
}

/// How long it is until `next`, milliseconds since 1970, but not longer than `most`.
fn until(next: Option<i64>, most: Duration) -> Duration {
    let wait =
        next.map_or(most, |next| Duration::from_millis(next.saturating_sub(clock::now_ms()).max(0).unsigned_abs()));
    wait.clamp(POLL, most)
}

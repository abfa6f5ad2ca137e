//! Live timelines: one loop for each channel makes positions of what encoders push. `docs/live.md` describes the words.

mod channel;
mod input;
mod line;
mod publish;
mod state;
mod stored;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock;
use crate::context::{Context, Wake};
use crate::db::{channels, harvests, timelines};
use crate::harvest::HARVEST_GRACE;
use channel::Channel;
pub use publish::{InputState, Published, Status};
pub use stored::Stored;

/// The longest that a request for a timeline may wait for news.
pub const MAX_WAIT: Duration = Duration::from_secs(10);
/// The longest that a request waits for a channel to be taken up: less than edges wait for an answer.
const MAX_OPEN: Duration = Duration::from_secs(3);
/// How often it looks whether a channel that is new, or whose process is, has its loop.
const OPEN_POLL: Duration = Duration::from_millis(10);
/// How often what nobody can ask for any more is looked for.
const RETENTION_INTERVAL: Duration = Duration::from_secs(30);
/// What is kept whatever the endpoints say: the longest window of a manifest, and as long again for who still plays it.
const LEAST_KEPT: Duration = Duration::from_secs(2 * 3600);
/// How much more is kept before the range of a collection task: time that goes by while it is worked out.
const HARVEST_ROUNDING_MS: i64 = 1000;
/// How long the blocks of a position stay beside the part that has them: edges with an older timeline ask for them.
const BLOCKS_KEPT: Duration = Duration::from_secs(600);
/// Pause after a failure of the database or the storage.
const PAUSE: Duration = Duration::from_secs(1);
/// How often a channel is looked at though nothing has come.
const IDLE: Duration = Duration::from_secs(30);

/// All channels that have a loop.
#[derive(Default)]
pub struct Live {
    channels: Mutex<HashMap<i64, Arc<Entry>>>,
    /// A channel is new, or gone.
    changed: Wake,
}

/// A channel that has a loop.
#[derive(Default)]
struct Entry {
    published: Arc<Published>,
    /// Something was pushed to it.
    wake: Wake,
}

impl Live {
    /// What a channel has published; `None` when it is not known.
    pub fn of(&self, channel_id: i64) -> Option<Arc<Published>> {
        self.lock().get(&channel_id).map(|entry| entry.published.clone())
    }

    /// What a channel has published, once what it had before the process began is taken up; `None` when that takes too long.
    pub async fn opened(&self, channel_id: i64) -> Option<Arc<Published>> {
        let opened = async {
            loop {
                if let Some(published) = self.of(channel_id) {
                    published.opened().await;
                    return published;
                }
                tokio::time::sleep(OPEN_POLL).await;
            }
        };
        tokio::time::timeout(MAX_OPEN, opened).await.ok()
    }

    /// Something was pushed to a channel, or it changed or is gone.
    pub fn wake(&self, channel_id: i64) {
        match self.lock().get(&channel_id) {
            Some(entry) => entry.wake.wake(),
            None => self.changed.wake(),
        }
    }

    fn add(&self, channel_id: i64) -> Option<Arc<Entry>> {
        let mut channels = self.lock();
        if channels.contains_key(&channel_id) {
            return None;
        }
        let entry = Arc::new(Entry::default());
        channels.insert(channel_id, entry.clone());
        Some(entry)
    }

    fn remove(&self, channel_id: i64) {
        self.lock().remove(&channel_id);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<i64, Arc<Entry>>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a loop for every channel, until `stop` becomes true.
pub async fn run(context: Context, mut stop: watch::Receiver<bool>) {
    let mut wake = context.live.changed.listener();
    let mut loops = JoinSet::new();
    loop {
        if let Err(error) = start_missing(&context, &mut loops, &stop).await {
            tracing::error!(error = format!("{error:#}"), "channels could not be listed");
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            _ = wake.changed() => {}
            _ = loops.join_next(), if !loops.is_empty() => {}
            () = tokio::time::sleep(IDLE) => {}
        }
    }
    while loops.join_next().await.is_some() {}
}

async fn start_missing(context: &Context, loops: &mut JoinSet<()>, stop: &watch::Receiver<bool>) -> Result<()> {
    let known = timelines::channels(&mut *context.db.read().await?).await?;
    for id in known {
        if let Some(entry) = context.live.add(id) {
            let (context, stop) = (context.clone(), stop.clone());
            loops.spawn(async move {
                follow(&context, id, &entry, stop).await;
                context.live.remove(id);
            });
        }
    }
    Ok(())
}

/// The loop of one channel: it ends with the channel.
async fn follow(context: &Context, id: i64, entry: &Entry, mut stop: watch::Receiver<bool>) {
    let mut wake = entry.wake.listener();
    let mut channel: Option<Channel> = None;
    let mut retained = tokio::time::Instant::now();
    loop {
        let worked = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            worked = work(context, id, &entry.published, &mut channel, &mut retained) => worked,
        };
        let pause = match worked {
            Ok(Some(pause)) => pause,
            Ok(None) => return,
            Err(error) => {
                tracing::error!(channel = id, error = format!("{error:#}"), "a channel could not go on");
                // What is in memory may be ahead of the database.
                channel = None;
                PAUSE
            }
        };
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            _ = wake.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// One round; answers how long there is nothing to do, or `None` when the channel is gone.
async fn work(
    context: &Context,
    id: i64,
    published: &Arc<Published>,
    channel: &mut Option<Channel>,
    retained: &mut tokio::time::Instant,
) -> Result<Option<Duration>> {
    let Some(row) = channels::get(&mut *context.db.read().await?, id).await? else { return Ok(None) };
    let channel = match channel {
        Some(channel) => {
            channel.set_row(row);
            channel
        }
        None => channel.insert(Channel::open(context.clone(), row, published.clone()).await?),
    };
    let until = channel.tick().await?;
    if retained.elapsed() >= RETENTION_INTERVAL {
        *retained = tokio::time::Instant::now();
        retain(context, id, channel).await?;
    }
    let pause = until.map_or(IDLE, |until| {
        Duration::from_millis(until.saturating_sub(clock::now_ms()).max(1).unsigned_abs()).min(IDLE)
    });
    Ok(Some(pause))
}

/// Removes what no endpoint offers any more and no collection task needs.
async fn retain(context: &Context, id: i64, channel: &mut Channel) -> Result<()> {
    let now = clock::now_ms();
    let mut db = context.db.read().await?;
    let days = timelines::time_shift_days(&mut db, id).await?;
    let grace = i64::try_from(HARVEST_GRACE.as_millis())?;
    let floor = harvests::floor(&mut db, id, now, now.saturating_sub(grace)).await?;
    drop(db);
    let kept = i64::try_from(LEAST_KEPT.as_millis())?.max(days * 86_400_000);
    // What ends after the beginning of a range stays as a whole.
    let needed = floor.map_or(0, |floor| now.saturating_sub(floor).saturating_add(HARVEST_ROUNDING_MS));
    channel.retain(kept.max(needed), i64::try_from(BLOCKS_KEPT.as_millis())?).await
}

/// One round of a channel that has no loop, retention included; for tests.
///
/// # Errors
/// As the database and the storage say.
pub async fn tick(context: &Context, id: i64) -> Result<()> {
    let Some(row) = channels::get(&mut *context.db.read().await?, id).await? else { return Ok(()) };
    let mut channel = Channel::open(context.clone(), row, Arc::default()).await?;
    channel.tick().await?;
    retain(context, id, &mut channel).await
}

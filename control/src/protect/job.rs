//! Asks for keys that are wanted: of playable assets those that were playable when a configuration began to protect them, and
//! those whose keys could not be had before; of live endpoints all. This is the only layer that retries after a request has
//! failed.

use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::StreamExt as _;
use packager::index::head::Head;
use sqlx::SqliteConnection;
use tokio::sync::watch;

use super::key_set::KeySet;
use super::source::Source;
use super::target::{Stored, Target};
use super::{documents, endpoint};
use crate::clock;
use crate::context::Context;
use crate::db::asset_keys::{self, Pair};
use crate::db::assets::Asset;
use crate::db::configurations::{self, Configuration};
use crate::db::{assets, endpoint_keys, indexes};

/// Keys that are asked for at the same time.
const CONCURRENT: usize = 8;
/// Keys that one round asks for.
const ROUND: i64 = 256;
/// Pause after the first failure; it doubles with each one.
const FIRST_PAUSE_MS: i64 = 5_000;
/// The longest pause between two attempts.
const LONGEST_PAUSE_MS: i64 = 3_600_000;
/// It is looked for wanted keys at least this often.
const INTERVAL: Duration = Duration::from_secs(60);
/// Pause after a failure of the database.
const DATABASE_PAUSE: Duration = Duration::from_secs(2);

/// Whose keys are due.
enum Due {
    /// Those of an asset under a configuration.
    Asset(Pair),
    /// Those of the endpoint with this row.
    Endpoint(i64),
}

/// Asks for all keys that are due. Answers how many were.
///
/// # Errors
/// When the database fails.
pub async fn tick(context: &Context) -> Result<usize> {
    if context.vault.is_none() {
        return Ok(0);
    }
    let mut db = context.db.read().await?;
    let now = clock::now_ms();
    let assets = asset_keys::due(&mut db, now, ROUND).await?.into_iter().map(Due::Asset);
    let endpoints = endpoint_keys::due(&mut db, now, ROUND).await?.into_iter().map(Due::Endpoint);
    drop(db);
    // What is live first: its viewers wait.
    let due: Vec<Due> = endpoints.chain(assets).collect();
    let count = due.len();
    let ask = |due| async move {
        match due {
            Due::Asset(pair) => ask(context, pair).await,
            Due::Endpoint(id) => endpoint::ask(context, id).await,
        }
    };
    let mut running = futures::stream::iter(due.into_iter().map(ask)).buffer_unordered(CONCURRENT);
    while let Some(result) = running.next().await {
        result?;
    }
    if count > 0 {
        context.push_wake.wake();
    }
    Ok(count)
}

/// Runs until `stop` changes.
pub async fn run(context: Context, mut stop: watch::Receiver<bool>) {
    let mut wake = context.keys_wake.listener();
    loop {
        let worked = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            worked = tick(&context) => worked,
        };
        let pause = match worked {
            Ok(0) => pause(&context).await,
            Ok(_) => continue,
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "keys could not be asked for");
                DATABASE_PAUSE
            }
        };
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            _ = wake.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Time until the next keys are due.
async fn pause(context: &Context) -> Duration {
    let next = async {
        let mut db = context.db.read().await?;
        let (asset, endpoint) = (asset_keys::next_due(&mut db).await?, endpoint_keys::next_due(&mut db).await?);
        Ok::<_, sqlx::Error>(asset.into_iter().chain(endpoint).min())
    };
    let next = next.await.ok().flatten().map(|next| next.saturating_sub(clock::now_ms()).max(100));
    next.map_or(INTERVAL, |ms| Duration::from_millis(ms.unsigned_abs()).min(INTERVAL))
}

/// Asks for the keys of one pair and writes what comes of it.
async fn ask(context: &Context, pair: Pair) -> Result<()> {
    let mut tx = context.db.snapshot().await?;
    let found =
        (assets::get(&mut tx, pair.asset_id).await?, configurations::get(&mut tx, pair.configuration_id).await?);
    let index = indexes::find(&mut tx, pair.asset_id).await?;
    drop(tx);
    let ((Some(asset), Some(configuration)), Some(index)) = (found, index) else { return Ok(()) };
    let result = match Source::open(context, Stored::from(&configuration)) {
        Ok(None) => return Ok(()),
        Ok(Some(source)) => match source.keys(&Target::asset(&asset, &configuration)?).await {
            Ok(keys) => checked(context, keys, &index).await,
            Err(reason) => Err(reason),
        },
        Err(error) => Err(format!("{error:#}")),
    };
    note(&Target::asset(&asset, &configuration)?, &result);
    let mut tx = context.db.write().await?;
    // What was changed meanwhile is wanted anew.
    if let Some(now) = assets::get(&mut tx, asset.id).await?
        && now.content_id == asset.content_id
        && now.generation == asset.generation
        && let Some(configuration) = write(context, &mut tx, &now, &configuration, result.as_ref()).await?
    {
        documents::put(context, &mut tx, &now, &configuration).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Tells operators what came of a request.
pub(super) fn note(target: &Target, result: &Result<KeySet, String>) {
    let place = target.of.key();
    match result {
        Ok(_) => tracing::info!(place, "has its keys"),
        Err(reason) => tracing::warn!(place, reason, "keys could not be had"),
    }
    metrics::counter!("control_key_requests_total", "result" => if result.is_ok() { "ready" } else { "failed" })
        .increment(1);
}

/// Keys that fit every track of a stored index.
async fn checked(context: &Context, keys: KeySet, index: &indexes::IndexObject) -> Result<KeySet, String> {
    let head = context.indexes.read(&index.path, 0..index.head_bytes.unsigned_abs(), None).await;
    let head = head.map_err(|error| {
        tracing::error!(path = index.path, %error, "an index could not be read");
        "the index could not be read; the log of the control plane says why".to_owned()
    })?;
    let head = Head::read(&head, index.bytes.unsigned_abs()).map_err(|e| e.message().to_owned())?;
    keys.check(&head).map(|()| keys)
}

/// Writes what came of a request, and answers the configuration as it is now; `None` when it was changed since.
pub(super) async fn write(
    context: &Context,
    db: &mut SqliteConnection,
    asset: &Asset,
    asked: &Configuration,
    result: Result<&KeySet, &String>,
) -> Result<Option<Configuration>> {
    let now = configurations::get(db, asked.id).await?;
    let same =
        |now: &Configuration| now.protection_revision == asked.protection_revision && now.group_id == asset.group_id;
    let Some(now) = now.filter(same) else { return Ok(None) };
    let pair = Pair { asset_id: asset.id, configuration_id: asked.id };
    match result {
        Ok(keys) => {
            let vault = context.vault.as_ref().context("there is no master key")?;
            asset_keys::set_ready(db, pair, &keys.seal(vault, pair)?).await?;
        }
        Err(reason) => {
            let attempts = asset_keys::find(db, pair).await?.map_or(0, |keys| keys.attempts);
            asset_keys::set_failed(db, pair, reason, next_attempt(attempts)).await?;
        }
    }
    Ok(Some(now))
}

/// When it is tried again after so many failures and this one.
pub(super) fn next_attempt(attempts: i64) -> i64 {
    clock::now_ms().saturating_add(backoff_ms(attempts))
}

/// Between half and all of the pause after so many failures before this one, so that many that failed together do not come
/// back together.
fn backoff_ms(attempts: i64) -> i64 {
    let doubled = FIRST_PAUSE_MS.saturating_mul(1_i64 << attempts.clamp(0, 30)).min(LONGEST_PAUSE_MS);
    doubled / 2 + rand::random_range(0..=doubled / 2)
}

/// The keys that an asset has under a configuration already, for the scheme that it has now.
pub(super) async fn kept(context: &Context, pair: Pair, configuration: &Configuration) -> sqlx::Result<Option<KeySet>> {
    let stored = asset_keys::find(&mut *context.db.read().await?, pair).await?;
    let (Some(vault), Some(sealed)) = (&context.vault, stored.and_then(|keys| keys.sealed)) else { return Ok(None) };
    let view = Stored::from(configuration).view()?;
    let keys = KeySet::open(vault, pair, &sealed).ok();
    Ok(keys.filter(|keys| view.is_some_and(|view| keys.scheme == view.scheme.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_an_hour() {
        assert!((2_500..=5_000).contains(&backoff_ms(0)));
        assert!((10_000..=20_000).contains(&backoff_ms(2)));
        for attempts in [10, 31, 1000, i64::MAX] {
            assert!((LONGEST_PAUSE_MS / 2..=LONGEST_PAUSE_MS).contains(&backoff_ms(attempts)));
        }
    }
}

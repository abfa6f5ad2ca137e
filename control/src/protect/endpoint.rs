//! The keys of live endpoints: asked for when an endpoint begins to protect and whenever that changes, and again after a pause
//! when they could not be had.

use anyhow::{Context as _, Result};

use super::documents;
use super::job::{next_attempt, note};
use super::source::Source;
use super::target::{Stored, Target};
use crate::context::Context;
use crate::db::{endpoint_keys, endpoints};
use crate::vault::Purpose;

/// Asks for the keys of an endpoint and writes what comes of it. Keys that it had stay when there are no others.
///
/// Which tracks the channel has may change at any time; edges refuse to play a track that no key is for.
///
/// # Errors
/// When the database fails.
pub async fn ask(context: &Context, id: i64) -> Result<()> {
    let Some(asked) = endpoints::get(&mut *context.db.read().await?, id).await? else { return Ok(()) };
    let target = Target::from(&asked);
    let result = match Source::open(context, Stored::from(&asked)) {
        Ok(None) => return Ok(()),
        Ok(Some(source)) => source.keys(&target).await,
        Err(error) => Err(format!("{error:#}")),
    };
    note(&target, &result);
    let mut tx = context.db.write().await?;
    // What was changed meanwhile is wanted anew; other names are not asked for again.
    let same = |now: &endpoints::Endpoint| {
        now.protection_revision == asked.protection_revision && now.content_id == asked.content_id
    };
    let Some(now) = endpoints::get(&mut tx, id).await?.filter(same) else { return Ok(()) };
    match &result {
        Ok(keys) => {
            let vault = context.vault.as_ref().context("there is no master key")?;
            endpoint_keys::set_ready(&mut tx, id, &keys.seal(vault, Purpose::EndpointKeys(id))?).await?;
            documents::put_endpoint(context, &mut tx, &now).await?;
        }
        Err(reason) => {
            let attempts = endpoint_keys::find(&mut tx, id).await?.map_or(0, |keys| keys.attempts);
            endpoint_keys::set_failed(&mut tx, id, reason, next_attempt(attempts)).await?;
        }
    }
    tx.commit().await?;
    Ok(())
}

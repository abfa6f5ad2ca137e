//! Removal of index objects that no asset refers to any more, and of the objects of channels that are gone.

use std::time::Duration;

use anyhow::Result;

use crate::clock;
use crate::context::Context;
use crate::db::{channels, indexes};

/// Removes from storage what has had no asset for `grace`: edges that have not heard of a change yet may still read it.
/// Answers how many objects were removed.
///
/// # Errors
/// When the database or the storage fails; what is left is tried again with the next call.
pub async fn sweep_indexes(context: &Context, grace: Duration) -> Result<usize> {
    let grace = i64::try_from(grace.as_millis()).unwrap_or(i64::MAX);
    let mut db = context.db.read().await?;
    let paths = indexes::unreferenced(&mut db, clock::now_ms().saturating_sub(grace)).await?;
    drop(db);
    for path in &paths {
        context.indexes.remove(path).await?;
        let mut tx = context.db.write().await?;
        indexes::forget(&mut tx, path).await?;
        tx.commit().await?;
    }
    Ok(paths.len())
}

/// Removes from storage the objects of channels that were removed `grace` ago or earlier: viewers may still be playing them.
/// Answers how many objects were removed.
///
/// # Errors
/// When the database or the storage fails; what is left is tried again with the next call.
pub async fn sweep_channels(context: &Context, grace: Duration) -> Result<usize> {
    let grace = i64::try_from(grace.as_millis()).unwrap_or(i64::MAX);
    let before = clock::now_ms().saturating_sub(grace);
    let remains = channels::remains(&mut *context.db.read().await?, before).await?;
    let mut count = 0;
    for uid in remains {
        let folder = format!("live/{uid}");
        count += context.media.remove_below(&folder).await?;
        count += context.indexes.remove_below(&folder).await?;
        let mut tx = context.db.write().await?;
        channels::forget(&mut tx, &uid).await?;
        tx.commit().await?;
    }
    Ok(count)
}

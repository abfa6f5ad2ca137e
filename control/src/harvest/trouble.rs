//! Why a task does not go on.

use packager::Error;

use super::PAUSE;
use crate::clock;
use crate::context::Context;
use crate::db::harvests::{self, Harvest};
use crate::ingest::reading::Stopped;

/// Why a task does not go on.
#[derive(Debug)]
pub enum Trouble {
    /// It never will; the reason is for people.
    Failed(String),
    /// It may later; the reason is for people.
    Later(String),
    /// Nobody wants it any more.
    Unwanted,
    /// The database failed, so nothing can be written about it.
    Database(sqlx::Error),
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Failed(error.message().to_owned())
    }
}

impl From<Stopped> for Trouble {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Failed(reason) => Self::Failed(reason),
            Stopped::Unwanted => Self::Unwanted,
            Stopped::Database(error) => Self::Database(error),
        }
    }
}

/// Notes on a task why it does not go on.
///
/// # Errors
/// When the database fails, now or before.
pub async fn note(context: &Context, task: &Harvest, trouble: Trouble) -> sqlx::Result<()> {
    let mut tx = context.db.write().await?;
    let now = clock::now_ms();
    match trouble {
        Trouble::Database(error) => return Err(error),
        Trouble::Unwanted => {}
        Trouble::Failed(reason) => {
            tracing::warn!(task = task.id, reason, "a collection task failed");
            metrics::counter!("control_harvests_total", "result" => "failed").increment(1);
            harvests::set_failed(&mut tx, task.id, &reason, now).await?;
        }
        Trouble::Later(reason) => {
            tracing::warn!(task = task.id, reason, "a collection task is tried again later");
            let pause = i64::try_from(PAUSE.as_millis()).unwrap_or(i64::MAX);
            harvests::set_delayed(&mut tx, task.id, &reason, now.saturating_add(pause)).await?;
        }
    }
    tx.commit().await
}

//! The database: SQLite in WAL mode. One file per group of tables, one query per function.

pub mod asset_keys;
pub mod assets;
pub mod channel_groups;
pub mod channel_inputs;
pub mod channels;
pub mod configurations;
pub mod documents;
pub mod edges;
pub mod endpoint_keys;
pub mod endpoints;
pub mod folders;
pub mod groups;
pub mod harvests;
pub mod indexes;
pub mod source_warnings;
pub mod sources;
pub mod timelines;
pub mod uploads;
pub mod vault;
mod wal;

use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, SqliteConnection, SqlitePool, Transaction};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use wal::Wal;

/// Connections kept; SQLite has one writer and any number of readers.
const CONNECTIONS: u32 = 8;
/// How long a writer waits for another.
const BUSY_TIMEOUT: Duration = Duration::from_secs(15);

/// A pool of connections to the database.
#[derive(Clone)]
pub struct Db {
    pool: SqlitePool,
    /// Writers take turns here: SQLite itself lets them try again and again, each with a connection that readers lack, and
    /// whoever is lucky comes first.
    turns: Arc<Semaphore>,
    /// A connection whose commits do not wait for the disk; see [`Db::write_together`].
    together: SqlitePool,
    wal: Arc<Wal>,
}

/// A transaction that may write. What is not committed when it is dropped did not happen.
pub struct Write {
    tx: Transaction<'static, Sqlite>,
    turn: OwnedSemaphorePermit,
    /// What is still to be written to the disk after a commit.
    wal: Option<Arc<Wal>>,
}

impl Write {
    /// Makes it durable.
    ///
    /// # Errors
    /// As SQLite says.
    pub async fn commit(self) -> sqlx::Result<()> {
        self.tx.commit().await?;
        // The next one may begin while the disk is at work.
        drop(self.turn);
        match self.wal {
            Some(wal) => wal.sync().await.map_err(sqlx::Error::Io),
            None => Ok(()),
        }
    }
}

impl Deref for Write {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.tx
    }
}

impl DerefMut for Write {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.tx
    }
}

impl Db {
    /// Opens the database file, making it and bringing its tables up to date.
    ///
    /// # Errors
    /// When it cannot be opened, or was written by a newer version.
    pub async fn open(file: &Path) -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // What was acknowledged survives a power cut, not only the end of the process.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS)
            .connect_with(options.clone())
            .await
            .with_context(|| format!("opening the database {}", file.display()))?;
        sqlx::migrate!("./migrations").run(&pool).await.context("bringing the database up to date")?;
        // Writers take turns, so there is never more than one of them.
        let together = SqlitePoolOptions::new().max_connections(1);
        let together = together.connect_lazy_with(options.synchronous(SqliteSynchronous::Normal));
        Ok(Self { pool, turns: Arc::new(Semaphore::new(1)), together, wal: Arc::new(Wal::of(file)) })
    }

    /// A connection for reading.
    ///
    /// # Errors
    /// As SQLite says.
    pub async fn read(&self) -> sqlx::Result<PoolConnection<Sqlite>> {
        self.pool.acquire().await
    }

    /// A transaction that sees one state.
    ///
    /// # Errors
    /// As SQLite says.
    pub async fn snapshot(&self) -> sqlx::Result<Transaction<'static, Sqlite>> {
        self.pool.begin().await
    }

    /// A transaction that may write. It is the only one until it ends, so what it has checked stays true.
    ///
    /// # Errors
    /// As SQLite says.
    pub async fn write(&self) -> sqlx::Result<Write> {
        let turn = self.turns.clone().acquire_owned().await.map_err(|_| sqlx::Error::PoolClosed)?;
        Ok(Write { tx: self.pool.begin_with("BEGIN IMMEDIATE").await?, turn, wal: None })
    }

    /// The same for what is written many times a second: those that commit while the disk is at work wait for it together.
    /// Others may see what is committed a moment before it is durable, so nothing that edges are told may be written so
    /// unless whoever tells them waits for the commit.
    ///
    /// # Errors
    /// As SQLite says.
    pub async fn write_together(&self) -> sqlx::Result<Write> {
        let turn = self.turns.clone().acquire_owned().await.map_err(|_| sqlx::Error::PoolClosed)?;
        Ok(Write { tx: self.together.begin_with("BEGIN IMMEDIATE").await?, turn, wal: Some(self.wal.clone()) })
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// As SQLite says.
    pub async fn check(&self) -> sqlx::Result<()> {
        sqlx::query("SELECT 1").execute(&self.pool).await.map(drop)
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.together.close().await;
        self.pool.close().await;
    }
}

/// A page of a list: rows after an id, at most so many.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// The last id of the page before, or 0.
    pub after: i64,
    /// At most so many rows.
    pub limit: i64,
}

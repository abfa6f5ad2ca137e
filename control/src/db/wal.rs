//! The write-ahead log as a file: it is written to the disk once for all transactions that end meanwhile.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

/// The write-ahead log of a database whose commits do not wait for the disk.
pub(super) struct Wal {
    path: PathBuf,
    /// Transactions that have ended.
    ended: AtomicU64,
    /// How many of these are on the disk.
    durable: Mutex<u64>,
}

impl Wal {
    /// That of the database `file`.
    pub(super) fn of(file: &Path) -> Self {
        let mut path = file.as_os_str().to_owned();
        path.push("-wal");
        Self { path: path.into(), ended: AtomicU64::new(0), durable: Mutex::new(0) }
    }

    /// Makes the transaction durable that the caller has just committed, and all that were before it.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub(super) async fn sync(&self) -> std::io::Result<()> {
        let own = self.ended.fetch_add(1, Ordering::SeqCst) + 1;
        let mut durable = self.durable.lock().await;
        if *durable >= own {
            // Whoever was at it before has written this one, too.
            return Ok(());
        }
        let ended = self.ended.load(Ordering::SeqCst);
        let path = self.path.clone();
        tokio::task::spawn_blocking(move || sync(&path)).await.map_err(std::io::Error::other)??;
        *durable = ended;
        Ok(())
    }
}

fn sync(path: &Path) -> std::io::Result<()> {
    // SQLite has no lock on this file that closing it would give up.
    match std::fs::File::open(path) {
        Ok(file) => file.sync_data(),
        // It went into the database, which SQLite makes durable before it removes the log.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn who_waits_is_done_with_whoever_went_first() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("db-wal");
        let wal = Arc::new(Wal::of(&folder.path().join("db")));
        wal.sync().await.unwrap();
        std::fs::write(&log, b"log").unwrap();
        wal.sync().await.unwrap();
        assert_eq!(*wal.durable.lock().await, 2);

        let mut held = wal.durable.lock().await;
        let waiting: Vec<_> = (0..4)
            .map(|_| {
                let wal = wal.clone();
                tokio::spawn(async move { wal.sync().await })
            })
            .collect();
        while wal.ended.load(Ordering::SeqCst) < 6 {
            tokio::task::yield_now().await;
        }
        // Whoever has the log now writes the first two of them, too. It is a link to itself then, which nobody can open.
        *held = 4;
        std::fs::remove_file(&log).unwrap();
        std::os::unix::fs::symlink("db-wal", &log).unwrap();
        drop(held);
        let mut done = Vec::new();
        for one in waiting {
            done.push(one.await.unwrap().is_ok());
        }
        assert_eq!(done, [true, true, false, false]);
        assert_eq!(*wal.durable.lock().await, 4);
        std::fs::remove_file(&log).unwrap();
        wal.sync().await.unwrap();
        assert_eq!(*wal.durable.lock().await, 7, "and with it those that failed");
    }
}

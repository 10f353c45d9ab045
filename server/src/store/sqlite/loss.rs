//! What the store does once the disk has not kept a part of the database or of its log.
//!
//! A page that the system could not write is told of at the next sync, once for each open file, and then counts as written: to sync
//! again proves nothing. But the log still has whatever is not surely in the database. So the log is kept from beginning
//! anew, by other processes too, nothing more is written, and the server is not ready. A restart takes everything from the log again
//! and copies all of it before it writes, since what the log has lost itself may lie before what it would write there. For that
//! nothing else may have the folder open over the restart: it would know the log as copied.

use std::{
    fmt::Display,
    sync::atomic::{AtomicBool, Ordering},
};

use patchbay_core::error::Error;
use rusqlite::{Connection, config::DbConfig, ffi};

/// Whether the disk has not kept a part of the database or of its log since the store was opened.
#[derive(Default)]
pub(super) struct Loss {
    found: AtomicBool,
}

impl Loss {
    /// Takes note of it.
    pub(super) fn found(&self, error: &dyn Display) {
        if self.found.swap(true, Ordering::SeqCst) {
            return;
        }
        tracing::error!(
            %error,
            "the disk did not keep a part of the database or its log, so nothing more is written: check the disk, stop whatever else \
             uses the folder, then start again"
        );
    }

    /// The same, if an error of the database says that a sync failed, of whichever file; else false.
    pub(super) fn found_in(&self, error: &rusqlite::Error) -> bool {
        let code = error.sqlite_error().map(|error| error.extended_code);
        let found = code == Some(ffi::SQLITE_IOERR_FSYNC);
        if found {
            self.found(error);
        }
        found
    }

    /// If it is so, keeps a connection from giving up the log when it is the last to be closed.
    pub(super) fn before_closing(&self, conn: &Connection) {
        if self.check().is_err()
            && let Err(error) = leave_log(conn)
        {
            tracing::error!(%error, "the log may be given up though the disk did not keep all of the database");
        }
    }

    /// Fails if it is so.
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.found.load(Ordering::SeqCst) {
            return Err(Error::internal(
                "the disk did not keep a part of the database or its log, so nothing is written until the next start",
            ));
        }
        Ok(())
    }
}

/// Keeps a connection from copying the log into the database, and from removing it, when it is the last to be closed.
fn leave_log(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .map(|_| ())
}

/// Keeps every process from writing and the log from beginning anew, for as long as the connection is open.
pub(super) fn hold_log(conn: &Connection) -> rusqlite::Result<()> {
    leave_log(conn)?;
    conn.execute_batch("BEGIN IMMEDIATE")
}

#[cfg(test)]
mod tests {
    use patchbay_core::{
        changeset::{Changeset, Delta, Tenant},
        clock::Timestamp,
        id::TenantId,
        store::Store,
    };
    use tempfile::TempDir;
    use uuid::Uuid;

    use super::*;
    use crate::store::sqlite::{
        FILE, Options, SqliteStore,
        failing_disk::{SYNCS, refusing},
    };

    fn block_on<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(work)
    }

    fn tenant(n: u128) -> Changeset {
        let id = TenantId(Uuid::from_u128(n));
        let mut changeset = Changeset::new(id, Timestamp::default());
        changeset.deltas.push(Delta::PutTenant(Tenant {
            id,
            name: "Rebels".to_owned(),
            created_at: Timestamp::default(),
        }));
        changeset
    }

    fn open(folder: &TempDir, serving: bool) -> SqliteStore {
        let options = Options {
            serving,
            ..Options::default()
        };
        SqliteStore::open(folder.path(), &options).unwrap()
    }

    fn log(folder: &TempDir) -> u64 {
        let log = folder.path().join(format!("{FILE}-wal"));
        log.metadata().map_or(0, |log| log.len())
    }

    #[tokio::test]
    async fn the_log_stays_until_the_next_start_which_empties_it_before_it_writes() {
        let folder = tempfile::tempdir().unwrap();
        // Nothing is read, so that the writer closes the last connection.
        let store = open(&folder, true);
        for n in 1..9 {
            store.commit(tenant(n)).await.unwrap();
        }
        store.shared.loss.found(&"an error of writing");
        store.commit(tenant(9)).await.unwrap_err();
        drop(store);
        let left = log(&folder);
        assert!(left > 0, "what is not surely in the database is left in the log");
        let store = open(&folder, true);
        store.commit(tenant(9)).await.unwrap();
        assert!(log(&folder) < left, "it has begun anew");
        assert_eq!(store.tenants().await.unwrap().len(), 9);
        drop(store);
        assert_eq!(log(&folder), 0, "and the next store leaves none");
    }

    #[tokio::test]
    async fn the_server_is_not_ready_and_reads_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder, true);
        store.commit(tenant(1)).await.unwrap();
        store.ready().await.unwrap();
        store.shared.loss.found(&"an error of writing");
        store.ready().await.unwrap_err();
        assert_eq!(store.tenants().await.unwrap().len(), 1);
    }

    #[test]
    fn a_batch_that_the_disk_does_not_keep_is_the_last() {
        let folder = tempfile::tempdir().unwrap();
        drop(open(&folder, true));
        refusing(&SYNCS, || {
            block_on(async {
                let store = open(&folder, true);
                store.ready().await.unwrap();
                store.commit(tenant(1)).await.unwrap_err();
                store.shared.loss.check().unwrap_err();
                store.ready().await.unwrap_err();
                let written = log(&folder);
                store.commit(tenant(2)).await.unwrap_err();
                assert_eq!(log(&folder), written, "the next is not even tried");
            });
        });
        let store = open(&folder, true);
        block_on(store.commit(tenant(2))).unwrap();
    }

    #[test]
    fn a_start_that_cannot_empty_the_log_writes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder, true);
        block_on(store.commit(tenant(1))).unwrap();
        store.shared.loss.found(&"an error of writing");
        drop(store);
        let left = log(&folder);
        refusing(&SYNCS, || {
            let store = open(&folder, true);
            block_on(store.commit(tenant(2))).unwrap_err();
            drop(store);
            assert_eq!(log(&folder), left);
        });
        let store = open(&folder, true);
        block_on(store.commit(tenant(2))).unwrap();
        assert_eq!(block_on(store.tenants()).unwrap().len(), 2);
    }

    #[test]
    fn a_log_that_cannot_be_emptied_at_the_end_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder, true);
        block_on(store.commit(tenant(1))).unwrap();
        store.shared.loss.found(&"an error of writing");
        drop(store);
        let left = log(&folder);
        // A command's, which leaves a log that it finds until its end.
        refusing(&SYNCS, || drop(open(&folder, false)));
        assert_eq!(log(&folder), left);
        drop(open(&folder, false));
        assert_eq!(log(&folder), 0);
    }

    #[test]
    fn only_a_sync_that_failed_is_a_loss() {
        let loss = Loss::default();
        let error = |code| rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        for code in [ffi::SQLITE_FULL, ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_BUSY] {
            assert!(!loss.found_in(&error(code)));
        }
        assert!(!loss.found_in(&rusqlite::Error::QueryReturnedNoRows));
        loss.check().unwrap();
        assert!(loss.found_in(&error(ffi::SQLITE_IOERR_FSYNC)));
        loss.check().unwrap_err();
    }
}

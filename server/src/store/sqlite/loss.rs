//! What the store does once the disk has not kept a part of the database.
//!
//! A page that the system could not write is told of at the next sync, once for each open file, and then counts as written: to sync
//! again proves nothing. But the log still has whatever is not surely in the database. So the log is kept from beginning
//! anew, by other processes too, nothing more is written, and the server is not ready. A restart takes everything from the log again.

use std::{
    fmt::Display,
    sync::atomic::{AtomicBool, Ordering},
};

use patchbay_core::error::Error;
use rusqlite::{Connection, config::DbConfig, ffi};

/// Whether the disk has not kept a part of the database since the store was opened.
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

    /// The same, if an error of the database says so; else false.
    pub(super) fn found_in(&self, error: &rusqlite::Error) -> bool {
        let code = error.sqlite_error().map(|error| error.extended_code);
        let found = code == Some(ffi::SQLITE_IOERR_FSYNC);
        if found {
            self.found(error);
        }
        found
    }

    /// Fails if it is so.
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.found.load(Ordering::SeqCst) {
            return Err(Error::internal(
                "the disk did not keep a part of the database, so nothing is written until the next start",
            ));
        }
        Ok(())
    }
}

/// Keeps a connection from copying the log into the database, and from removing it, when it is the last to be closed.
pub(super) fn leave_log(conn: &Connection) -> rusqlite::Result<()> {
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
    use uuid::Uuid;

    use super::super::{FILE, Options, SqliteStore};

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

    #[tokio::test]
    async fn nothing_is_written_and_the_log_stays_until_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let open = || SqliteStore::open(folder.path(), &Options::default()).unwrap();
        let log = || folder.path().join(format!("{FILE}-wal")).metadata().unwrap().len();
        let store = open();
        store.commit(tenant(1)).await.unwrap();
        store.ready().await.unwrap();
        store.shared.loss.found(&"an error of writing");
        store.commit(tenant(2)).await.unwrap_err();
        store.ready().await.unwrap_err();
        assert_eq!(store.tenants().await.unwrap().len(), 1, "reads go on");
        drop(store);
        assert!(log() > 0, "what is not surely in the database is left in the log");
        let store = open();
        store.commit(tenant(2)).await.unwrap();
        store.ready().await.unwrap();
        assert_eq!(store.tenants().await.unwrap().len(), 2);
        drop(store);
        assert_eq!(log(), 0, "and the next store leaves none");
    }
}

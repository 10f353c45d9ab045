//! What the store does once the disk has not kept a part of the database or of its log, or they are no longer where they were.
//!
//! A page that the system could not write is told of at the next sync, once for each open file, and then counts as written: to sync
//! again proves nothing. But the log still has whatever is not surely in the database. So the log is kept from beginning
//! anew, by other processes too, nothing more is written, and the server is not ready. No connection gives it up as it is closed. A
//! restart takes everything from the log again, and a server copies all of it before it writes, since what the log has lost itself may
//! lie before what would be written there. For that nothing else may use the folder over the restart: it would know the log as copied.
//!
//! A data folder that was moved, removed or replaced under a running server still takes what is written, but whoever starts from it next
//! finds nothing of that. So nothing more is written then either.

use std::{
    fmt::Display,
    fs::{self, File, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use patchbay_core::error::Error;
use rusqlite::ffi;

/// Whether the disk has not kept a part of the database or of its log since the store was opened, or they are elsewhere now.
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

    /// Takes note that what is written is not what a path leads to, if so.
    pub(super) fn found_moved(&self, file: &File, path: &Path) {
        let identity = |file: Metadata| (file.dev(), file.ino());
        // Whatever else keeps the path from being looked at shows nothing.
        let there = match fs::metadata(path) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => None,
            Err(_) => return,
            Ok(there) => Some(identity(there)),
        };
        let same = file.metadata().map(|ours| there == Some(identity(ours)));
        if same.unwrap_or(true) || self.found.swap(true, Ordering::SeqCst) {
            return;
        }
        tracing::error!(
            path = %path.display(),
            "the database was moved, removed or replaced, so nothing more is written: stop, put the data folder back that is to be \
             served, then start again"
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

    /// Fails if it is so.
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.found.load(Ordering::SeqCst) {
            return Err(Error::internal(
                "the disk did not keep a part of the database or its log, or they were moved, so nothing is written until the next start",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

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
            // Never: it is the writer who finds it.
            checkpoint_every: Duration::from_hours(1),
            ..Options::default()
        };
        SqliteStore::open(folder.path(), &options).unwrap()
    }

    fn log(folder: &TempDir) -> Vec<u8> {
        fs::read(folder.path().join(format!("{FILE}-wal"))).unwrap()
    }

    #[tokio::test]
    async fn the_log_stays_until_the_next_start_which_empties_it_before_it_writes() {
        let folder = tempfile::tempdir().unwrap();
        // Nothing is read, so that the store's own threads close the last connections.
        let store = open(&folder, true);
        for n in 1..9 {
            store.commit(tenant(n)).await.unwrap();
        }
        store.shared.loss.found(&"an error of writing");
        store.commit(tenant(9)).await.unwrap_err();
        drop(store);
        let left = log(&folder).len();
        assert!(left > 0, "what is not surely in the database is left in the log");
        let store = open(&folder, true);
        store.commit(tenant(9)).await.unwrap();
        assert!(log(&folder).len() < left, "it has begun anew");
        assert_eq!(store.tenants().await.unwrap().len(), 9);
        drop(store);
        assert!(log(&folder).is_empty(), "and the next store leaves none");
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

    /// A folder with a log that was left, as a loss or a crash leaves it, in which there is one tenant.
    fn with_a_log() -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder, true);
        block_on(store.commit(tenant(1))).unwrap();
        store.shared.loss.found(&"an error of writing");
        drop(store);
        folder
    }

    #[test]
    fn a_batch_that_the_disk_does_not_keep_is_the_last() {
        let folder = with_a_log();
        let before = log(&folder);
        // A command's store, which does not empty the log first; its threads find that the disk keeps nothing.
        let store = refusing(&SYNCS, || open(&folder, false));
        block_on(store.ready()).unwrap();
        block_on(store.commit(tenant(2))).unwrap_err();
        store.shared.loss.check().unwrap_err();
        block_on(store.ready()).unwrap_err();
        let written = log(&folder);
        assert_ne!(written, before);
        block_on(store.commit(tenant(3))).unwrap_err();
        assert!(log(&folder) == written, "the next is not even tried");
        drop(store);
        assert!(log(&folder) == written);
        let store = open(&folder, true);
        block_on(store.commit(tenant(4))).unwrap();
        let found = block_on(store.tenants()).unwrap().len();
        assert_eq!(found, 3, "what was told as an error may be found written");
    }

    #[test]
    fn a_start_that_cannot_empty_the_log_writes_nothing() {
        let folder = with_a_log();
        let left = log(&folder);
        let store = refusing(&SYNCS, || open(&folder, true));
        block_on(store.ready()).unwrap_err();
        block_on(store.commit(tenant(2))).unwrap_err();
        drop(store);
        assert!(log(&folder) == left);
        let store = open(&folder, true);
        block_on(store.ready()).unwrap();
        block_on(store.commit(tenant(2))).unwrap();
        assert_eq!(block_on(store.tenants()).unwrap().len(), 2);
    }

    #[test]
    fn a_log_that_cannot_be_emptied_at_the_end_is_left() {
        let folder = with_a_log();
        let left = log(&folder);
        drop(refusing(&SYNCS, || open(&folder, false)));
        assert!(log(&folder) == left);
        drop(open(&folder, false));
        assert!(log(&folder).is_empty());
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

//! How a process that keeps records in memory learns that another one has written.
//!
//! Beside the database lies a file that every process without a cache lengthens by one byte after each batch that is
//! durable and before it is answered. A process with a cache looks at its length when a request begins, which is when its
//! credential is looked up; that takes less than a microsecond. It lengthens nothing itself, so there may be only one: it
//! holds the file's lock, as every process that serves does, with a cache or without. Whoever changes the schema holds it
//! meanwhile.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

/// The file's name within the data folder.
const FILE: &str = "patchbay.changes";

/// The file, as one process uses it.
pub(super) struct Changes {
    file: File,
    seen: AtomicU64,
    serving: bool,
}

/// Why the file cannot be used.
pub(super) enum Unusable {
    /// Another process serves.
    Taken,
    /// The file system refuses.
    Io(io::Error),
}

impl Changes {
    /// Opens the file of a data folder; with `serving`, as the one process that may keep records in memory.
    pub(super) fn open(folder: &Path, serving: bool) -> Result<Self, Unusable> {
        let path = folder.join(FILE);
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path)
            .map_err(Unusable::Io)?;
        if serving {
            lock(&file)?;
        }
        let seen = AtomicU64::new(file.metadata().map_err(Unusable::Io)?.len());
        Ok(Self { file, seen, serving })
    }

    /// Keeps other processes from serving until what is answered is dropped. Fails while one does.
    pub(super) fn alone(&self) -> Result<Alone<'_>, Unusable> {
        if !self.serving {
            lock(&self.file)?;
        }
        Ok(Alone(self))
    }

    /// Tells that a batch is durable. Fails if the others could not be told.
    pub(super) fn announce(&self) -> io::Result<()> {
        if self.serving {
            Ok(())
        } else {
            (&self.file).write_all(b".")
        }
    }

    /// What others have written since, if anything: to be given to [`Changes::noted`] once it is acted on.
    pub(super) fn others_wrote(&self) -> Option<u64> {
        // If the file cannot be looked at, others may have written.
        let now = (&self.file).seek(SeekFrom::End(0)).unwrap_or(u64::MAX);
        (now != self.seen.load(Ordering::Acquire)).then_some(now)
    }

    /// Takes note that what was there is no longer kept.
    pub(super) fn noted(&self, length: u64) {
        self.seen.store(length, Ordering::Release);
    }
}

/// Proof that no other process serves.
pub(super) struct Alone<'c>(&'c Changes);

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        // Closing the file does it as well, if this fails.
        if !self.0.serving {
            drop(self.0.file.unlock());
        }
    }
}

fn lock(file: &File) -> Result<(), Unusable> {
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => Unusable::Taken,
        TryLockError::Error(error) => Unusable::Io(error),
    })
}

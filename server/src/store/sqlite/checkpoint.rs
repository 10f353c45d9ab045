//! The checkpointer: a thread that copies the log into the database beside the writer, and sees that the log begins anew.
//!
//! A passive checkpoint stops nobody, but under constant writes it never reaches the log's end, so the log would grow for
//! ever. So: copy most of it here, a few times over until little is left, and once the log is long, write what was copied to the disk and
//! ask the writer to copy the rest between two batches. A checkpoint that does not reach the end leaves the database
//! unsynced, so without that the writer would wait for all of it. It is written piece by piece, since every batch waits for the
//! same disk. The log's file keeps its size: overwriting syncs faster than appending.
//!
//! After a start it also reads the database once, from its beginning on and as far as users may be kept in memory, some of it before
//! each of its checkpoints: after a restart of the machine each user would otherwise be fetched from the disk by himself, while
//! his caller waits.

use std::{
    fs::File,
    io,
    mem::ManuallyDrop,
    ops::Range,
    os::unix::fs::FileExt,
    path::{self, Path, PathBuf},
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError, TryRecvError},
    },
    time::{Duration, Instant},
};

use rusqlite::Connection;

use super::{open::BUSY_TIMEOUT, write_back::write_back, writer::Shared};

/// How many times in a row the log is copied at most.
const ROUNDS: usize = 4;
/// How often the database is written to the disk at most before the log begins anew: once for what gathered since the last time,
/// which takes long, and then for what came meanwhile, which is less each time if the disk is faster than the load.
const PASSES: usize = 5;
/// So few pages may be left to the writer, to copy or to write to the disk: he holds up everybody meanwhile.
const REST: i64 = 256;
/// How long a new beginning of the log may wait for readers.
const RESTART_TIMEOUT: Duration = Duration::from_millis(20);
/// The bytes that are read ahead at a time.
const READ_PIECE: usize = 64 << 10;

/// How far a checkpoint goes.
#[derive(Clone, Copy)]
pub(super) enum Mode {
    /// As far as it comes without stopping anybody.
    Passive,
    /// To the end, so that the log is used from its beginning again.
    Restart,
    /// The same, and the log's file is cut to nothing.
    Truncate,
}

/// How long the log is and how much of it is in the database, in pages; -1 if another process is just copying it.
pub(super) struct Progress {
    /// True if others, who write, read or copy the log themselves, kept the checkpoint from what its mode asks for.
    pub(super) hindered: bool,
    log: i64,
    copied: i64,
}

/// What a checkpoint leaves for the next to know, in pages of the log.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Past {
    /// How long it was.
    log: i64,
    /// How much of it is in the database and on the disk there.
    written: i64,
}

/// Runs one checkpoint.
pub(super) fn run(conn: &Connection, mode: Mode) -> rusqlite::Result<Progress> {
    let sql = match mode {
        Mode::Passive => "PRAGMA wal_checkpoint(PASSIVE)",
        Mode::Restart => "PRAGMA wal_checkpoint(RESTART)",
        Mode::Truncate => "PRAGMA wal_checkpoint(TRUNCATE)",
    };
    conn.prepare_cached(sql)?.query_row([], |row| {
        Ok(Progress {
            hindered: row.get(0)?,
            log: row.get(1)?,
            copied: row.get(2)?,
        })
    })
}

/// Lets the log begin anew, on a connection that then waits for others as long as before, however this ends.
pub(super) fn restart(conn: &Connection) -> rusqlite::Result<()> {
    conn.busy_timeout(RESTART_TIMEOUT)?;
    let restarted = run(conn, Mode::Restart);
    conn.busy_timeout(BUSY_TIMEOUT)?;
    restarted.map(|_| ())
}

/// The checkpointer's own state.
pub(super) struct Checkpointer {
    conn: Connection,
    /// The database, to write it to the disk. It is not closed before the process ends: closing any descriptor of a file lets go of
    /// all the locks that the process has on it, those of the connections included.
    database: ManuallyDrop<File>,
    /// Where it was opened.
    path: PathBuf,
    shared: Arc<Shared>,
    log_pages: u32,
    ahead: u64,
}

impl Checkpointer {
    /// A checkpointer of the database in this file, which lets the log grow to about `log_pages` pages, and reads at most `ahead`
    /// bytes of the database first.
    pub(super) fn new(
        conn: Connection,
        file: &Path,
        shared: Arc<Shared>,
        log_pages: u32,
        ahead: u64,
    ) -> io::Result<Self> {
        Ok(Self {
            conn,
            database: ManuallyDrop::new(File::options().read(true).write(true).open(file)?),
            path: path::absolute(file)?,
            shared,
            log_pages,
            ahead,
        })
    }

    /// Works every so often until the other end of `stop` is gone, then answers the connection, which may still hold the log. What is
    /// read ahead is read in stretches as long as the time between two checkpoints, so that the log is copied meanwhile however slow
    /// the disk is.
    pub(super) fn run(self, every: Duration, stop: &Receiver<()>) -> Connection {
        let (mut past, mut ahead) = (Past::default(), 0..self.ahead);
        while stop.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
            let began = Instant::now();
            let ends = || self.ends(stop);
            self.shared.loss.found_moved(&self.database, &self.path);
            ahead = self.read_ahead(ahead, || began.elapsed() >= every || ends());
            if !ends() {
                match self.tick(past, ends) {
                    Ok(now) => past = now,
                    Err(error) if self.shared.loss.found_in(&error) => {}
                    Err(error) => tracing::warn!(%error, "a checkpoint failed; it is tried again"),
                }
            }
            if self.shared.loss.check().is_err() {
                self.hold_log(every, stop);
                break;
            }
        }
        self.conn
    }

    /// True once the store is closed, or nothing more is written: what takes long is given up.
    fn ends(&self, stop: &Receiver<()>) -> bool {
        stop.try_recv() == Err(TryRecvError::Disconnected) || self.shared.loss.check().is_err()
    }

    /// Keeps every process from writing and the log from beginning anew, and copies no more of it, until the other end of `stop` is gone.
    fn hold_log(&self, every: Duration, stop: &Receiver<()>) {
        while let Err(error) = self.conn.execute_batch("BEGIN IMMEDIATE") {
            tracing::error!(%error, "another process may give up the log though the disk did not keep all of the database or of it; tried again");
            if stop.recv_timeout(every) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
        // Nothing is ever sent: it ends with the store.
        while stop.recv().is_ok() {}
    }

    /// Has the system read a part of the database into its own memory, piece by piece until it is `enough`; answers the part that is
    /// left, which is empty once the database ends or cannot be read.
    fn read_ahead(&self, mut part: Range<u64>, enough: impl Fn() -> bool) -> Range<u64> {
        if part.is_empty() {
            return part;
        }
        let mut piece = vec![0; READ_PIECE];
        while !part.is_empty() && !enough() {
            let most = READ_PIECE.min(usize::try_from(part.end - part.start).unwrap_or(READ_PIECE));
            match self.database.read_at(&mut piece[..most], part.start) {
                Ok(0) => part.start = part.end,
                Ok(length) => part.start += length as u64,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    tracing::warn!(%error, "the database was not read ahead; users are read as they are asked for");
                    part.start = part.end;
                }
            }
        }
        part
    }

    /// Copies what the log has gained; if it is long by now, writes the database to the disk and asks the writer to let the log begin anew.
    /// The length that the database tells stays as it is until the next write, even if the log has begun anew: once is enough.
    fn tick(&self, past: Past, ends: impl Fn() -> bool) -> rusqlite::Result<Past> {
        let now = self.copy()?;
        if now.log < 0 {
            return Ok(past);
        }
        // Less of it in the database than before: it has begun anew.
        let written = if now.copied < past.written { 0 } else { past.written };
        if now.log < i64::from(self.log_pages) || now.log == past.log {
            return Ok(Past { log: now.log, written });
        }
        let past = self.settle(now, written, &ends)?;
        if !ends() {
            self.shared.reset.store(true, Ordering::Relaxed);
        }
        Ok(past)
    }

    /// Writes to the disk what has been copied into the database, and what is copied meanwhile, until little of it is not there.
    fn settle(&self, mut now: Progress, mut written: i64, ends: impl Fn() -> bool) -> rusqlite::Result<Past> {
        for _ in 0..PASSES {
            // Where a reader keeps the log from being copied there is nothing new to write.
            if now.copied == written || ends() {
                break;
            }
            if let Err(error) = write_back(&self.database, &ends) {
                self.shared.loss.found(&error);
                break;
            }
            written = now.copied;
            // Less than before: another process is copying, or the log has begun anew.
            let next = run(&self.conn, Mode::Passive)?;
            if next.copied < written {
                break;
            }
            now = next;
            if now.copied - written <= REST {
                break;
            }
        }
        Ok(Past { log: now.log, written })
    }

    /// Copies the log until little of it is left.
    fn copy(&self) -> rusqlite::Result<Progress> {
        let mut progress = run(&self.conn, Mode::Passive)?;
        for _ in 1..ROUNDS {
            if progress.log - progress.copied <= REST {
                break;
            }
            progress = run(&self.conn, Mode::Passive)?;
        }
        Ok(progress)
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, sync::mpsc::channel, thread};

    use super::*;
    use crate::store::sqlite::{
        failing_disk::{SYNCS, refusing},
        open,
    };

    /// Writes so many bytes and a few more.
    fn grow(conn: &Connection, bytes: u32) {
        let sql = "INSERT INTO tenants (tenant, doc) VALUES (randomblob(16), zeroblob(?1))";
        conn.execute(sql, [bytes]).unwrap();
    }

    #[test]
    fn a_connection_waits_as_before_whether_the_log_begins_anew_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let (conn, _changes) = open::prepare(folder.path(), 100, false).unwrap();
        let waits = |conn: &Connection| {
            let millis: i64 = conn.pragma_query_value(None, "busy_timeout", |row| row.get(0)).unwrap();
            Duration::from_millis(millis.unsigned_abs())
        };
        restart(&conn).unwrap();
        assert_eq!(waits(&conn), BUSY_TIMEOUT);
        // Within a transaction of its own it cannot.
        conn.execute_batch("BEGIN IMMEDIATE").unwrap();
        restart(&conn).unwrap_err();
        assert_eq!(waits(&conn), BUSY_TIMEOUT);
    }

    #[test]
    fn a_long_log_is_given_up_once_and_not_again_until_something_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let (writer, _changes) = open::prepare(folder.path(), 100, false).unwrap();
        let file = folder.path().join(open::FILE);
        let copier = open::connect(&file, open::Access::ReadWrite, 100).unwrap();
        let shared = Arc::new(Shared::default());
        let checkpointer = Checkpointer::new(copier, &file, shared.clone(), 1, 0).unwrap();
        let write = || grow(&writer, 9000);
        let asked = || shared.reset.swap(false, Ordering::Relaxed);
        write();
        let past = checkpointer.tick(Past::default(), || false).unwrap();
        assert!(past.log > 1 && past.written == past.log && asked());
        restart(&writer).unwrap();
        assert_eq!((checkpointer.tick(past, || false).unwrap(), asked()), (past, false));
        write();
        write();
        let now = checkpointer.tick(past, || false).unwrap();
        assert!(now.log != past.log && now.written == now.log && asked());
        restart(&writer).unwrap();
        write();
        let now = checkpointer.tick(now, || false).unwrap();
        assert!(now.log < past.log && now.written == now.log && asked(), "begun anew");
        write();
        checkpointer.tick(now, || true).unwrap();
        assert!(!asked(), "not while the store is closed");
    }

    #[test]
    fn what_a_reader_keeps_from_being_copied_is_not_written_to_the_disk_again_and_again() {
        let folder = tempfile::tempdir().unwrap();
        let (writer, _changes) = open::prepare(folder.path(), 100, false).unwrap();
        let file = folder.path().join(open::FILE);
        let connect = |access| open::connect(&file, access, 100).unwrap();
        let checkpointer = Checkpointer::new(connect(open::Access::ReadWrite), &file, Arc::default(), 1, 0).unwrap();
        let write = || grow(&writer, 9000);
        let pieces = Cell::new(0);
        let tick = |past| {
            pieces.set(0);
            let now = checkpointer
                .tick(past, || pieces.replace(pieces.get() + 1) > 1000)
                .unwrap();
            (now, pieces.get())
        };
        let reader = connect(open::Access::ReadOnly);
        reader.execute_batch("BEGIN; SELECT * FROM tenants").unwrap();
        write();
        let (past, _) = tick(Past::default());
        write();
        let (now, pieces) = tick(past);
        assert!(now.log > past.log && past.log > past.written);
        assert_eq!((now.written, pieces), (past.written, 1), "asked once, at the end");
        reader.execute_batch("COMMIT").unwrap();
        write();
        let (now, pieces) = tick(now);
        assert!(now.written == now.log && pieces > 2);
    }

    /// A checkpointer in a folder of its own with something in the log, and what it shares with the writer.
    fn with_a_log(folder: &Path) -> (Checkpointer, Arc<Shared>) {
        let (writer, _changes) = open::prepare(folder, 100, false).unwrap();
        let file = folder.join(open::FILE);
        let copier = open::connect(&file, open::Access::ReadWrite, 100).unwrap();
        let shared = Arc::new(Shared::default());
        grow(&writer, 9000);
        let checkpointer = Checkpointer::new(copier, &file, shared.clone(), 1, 0).unwrap();
        (checkpointer, shared)
    }

    #[test]
    fn what_the_disk_does_not_keep_of_the_database_is_found_piece_by_piece() {
        let folder = tempfile::tempdir().unwrap();
        let (checkpointer, shared) = with_a_log(folder.path());
        refusing(&[libc::SYS_msync], move || {
            let (_stop, stopped) = channel();
            checkpointer
                .tick(Past::default(), || checkpointer.ends(&stopped))
                .unwrap()
        });
        assert!(shared.loss.check().is_err() && !shared.reset.load(Ordering::Relaxed));
    }

    #[test]
    fn work_ends_with_the_store_and_with_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let (checkpointer, shared) = with_a_log(folder.path());
        let (stop, stopped) = channel();
        assert!(!checkpointer.ends(&stopped));
        shared.loss.found(&"an error of writing");
        assert!(checkpointer.ends(&stopped));
        let (checkpointer, _) = with_a_log(tempfile::tempdir().unwrap().path());
        assert!(!checkpointer.ends(&stopped));
        drop(stop);
        assert!(checkpointer.ends(&stopped));
    }

    #[test]
    fn the_log_is_held_where_the_disk_keeps_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (checkpointer, shared) = with_a_log(folder.path());
        let log = || {
            folder
                .path()
                .join(format!("{}-wal", open::FILE))
                .metadata()
                .unwrap()
                .len()
        };
        let before = log();
        let other = open::connect(&folder.path().join(open::FILE), open::Access::ReadWrite, 100).unwrap();
        other.busy_timeout(Duration::ZERO).unwrap();
        let (stop, stopped) = channel();
        let holding = thread::spawn(move || refusing(&SYNCS, move || checkpointer.run(Duration::ZERO, &stopped)));
        let longest = Instant::now() + Duration::from_secs(10);
        while other.execute_batch("BEGIN IMMEDIATE; ROLLBACK").is_ok() {
            assert!(Instant::now() < longest, "another process may write");
            thread::yield_now();
        }
        assert!(shared.loss.check().is_err());
        let given_up = || !run(&other, Mode::Truncate).unwrap().hindered;
        assert!(!given_up());
        drop(stop);
        let held = holding.join().unwrap();
        assert!(!given_up(), "until the writer has ended too");
        assert_eq!(log(), before);
        drop(held);
        assert!(given_up());
    }

    #[test]
    fn the_database_is_read_ahead_as_far_as_it_is_worth_it() {
        let folder = tempfile::tempdir().unwrap();
        let (writer, _changes) = open::prepare(folder.path(), 100, false).unwrap();
        grow(&writer, 3_000_000);
        run(&writer, Mode::Truncate).unwrap();
        let file = folder.path().join(open::FILE);
        assert!(file.metadata().unwrap().len() > 3_000_000);
        let copier = open::connect(&file, open::Access::ReadWrite, 100).unwrap();
        let checkpointer = Checkpointer::new(copier, &file, Arc::default(), 1, 0).unwrap();
        let asked = Cell::new(0);
        // A piece is read each time that it is not enough yet.
        let left = |part, pieces: u64| {
            asked.set(0);
            checkpointer.read_ahead(part, || asked.replace(asked.get() + 1) == pieces)
        };
        let piece = READ_PIECE as u64;
        assert_eq!(left(0..1_500_000, u64::MAX), 1_500_000..1_500_000);
        assert_eq!(asked.get(), 1_500_000_u64.div_ceil(piece));
        assert_eq!(left(0..u64::MAX, 3), 3 * piece..u64::MAX);
        assert_eq!(left(3 * piece..u64::MAX, u64::MAX), u64::MAX..u64::MAX, "to its end");
        assert_eq!(left(0..u64::MAX, 0), 0..u64::MAX, "not while the store is closed");
    }

    #[test]
    fn a_checkpoint_tells_that_a_reader_keeps_the_log_from_being_emptied() {
        let folder = tempfile::tempdir().unwrap();
        let (writer, _changes) = open::prepare(folder.path(), 100, false).unwrap();
        let reader = open::connect(&folder.path().join(open::FILE), open::Access::ReadOnly, 100).unwrap();
        reader.execute_batch("BEGIN; SELECT * FROM tenants").unwrap();
        grow(&writer, 9);
        writer.busy_timeout(Duration::ZERO).unwrap();
        assert!(run(&writer, Mode::Truncate).unwrap().hindered);
        reader.execute_batch("COMMIT").unwrap();
        assert!(!run(&writer, Mode::Truncate).unwrap().hindered);
    }
}

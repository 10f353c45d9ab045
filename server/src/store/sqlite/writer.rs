//! The one writer: a thread that takes what is queued, commits it as one transaction, and answers.
//!
//! Batches come about by themselves: while one is being synced to disk, the next one queues up. Where there are many callers
//! the writer lets two fifths of them gather first and takes no more than half, see [`crowd`](super::crowd). A changeset that is
//! refused is undone alone; if the database fails, the whole batch is undone and told so.

use std::{
    any::Any,
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError},
    },
    time::Duration,
};

use patchbay_core::{
    changeset::{Changeset, Committed},
    clock::Timestamp,
    error::Error,
    id::TenantId,
};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{
    cache::Cache,
    chain::Heads,
    changes::Changes,
    checkpoint, commit,
    crowd::{Crowd, Gathering},
    fault::{Fault, failure},
    loss::Loss,
    prepare::Prepared,
    remember,
    statements::{Sql, Statements},
    weight,
};

/// How often an idle writer looks whether another process has written.
const LOOK_AROUND: Duration = Duration::from_secs(1);
/// The most bytes of records in one batch, roughly; the job that goes beyond is still taken.
const BATCH_BYTES: usize = 8 << 20;

/// What the writer is asked.
pub(super) enum Message {
    /// Write a changeset.
    Commit(Job),
    /// Show that something can be written.
    Probe(oneshot::Sender<Result<(), Error>>),
    /// Write what is queued, then end.
    Stop,
}

/// A changeset in the queue, and who waits for its outcome.
pub(super) struct Job {
    work: Box<Work>,
    answer: oneshot::Sender<Answer>,
}

/// What is to be written.
struct Work {
    changeset: Changeset,
    prepared: Option<Prepared>,
    weight: usize,
}

/// An outcome, and the work itself: it is freed where it was made, since freeing it here costs the one writer more.
type Answer = (Result<Committed, Error>, Box<Work>);

/// What callers and the writer share.
#[derive(Default)]
pub(super) struct Shared {
    /// Bytes that wait in the queue, roughly.
    queued: AtomicUsize,
    /// The changesets that wait in it.
    gathering: Gathering,
    /// True since a batch failed, and in a server from the start on, until one succeeds.
    pub(super) failing: AtomicBool,
    /// Whether the disk has not kept a part of the database or of its log.
    pub(super) loss: Loss,
    /// True while the checkpointer wants the log to begin anew.
    pub(super) reset: AtomicBool,
    /// True once the writer has ended.
    pub(super) ended: AtomicBool,
}

/// The callers' end of the queue.
pub(super) struct Queue {
    sender: SyncSender<Message>,
    shared: Arc<Shared>,
    most_bytes: usize,
}

impl Queue {
    /// A queue that holds at most `most_bytes` of records, roughly, besides the sender's own bound.
    pub(super) fn new(sender: SyncSender<Message>, shared: Arc<Shared>, most_bytes: usize) -> Self {
        Self {
            sender,
            shared,
            most_bytes,
        }
    }

    /// Queues a changeset and waits for its outcome. It is written even if the caller does not wait.
    ///
    /// Fails with [`Error::Busy`] if the queue is full.
    pub(super) async fn commit(&self, changeset: Changeset, prepared: Option<Prepared>) -> Result<Committed, Error> {
        let weight = weight::changeset(&changeset, prepared.as_ref());
        let before = self.shared.queued.fetch_add(weight, Ordering::Relaxed);
        if before > 0 && before + weight > self.most_bytes {
            self.shared.queued.fetch_sub(weight, Ordering::Relaxed);
            return Err(Error::Busy { retry_after: 1 });
        }
        let (answer, outcome) = oneshot::channel();
        let work = Box::new(Work {
            changeset,
            prepared,
            weight,
        });
        let number = self.shared.gathering.come();
        if let Err(error) = self.send(Message::Commit(Job { work, answer })) {
            self.shared.queued.fetch_sub(weight, Ordering::Relaxed);
            self.shared.gathering.gone(1);
            return Err(error);
        }
        self.shared.gathering.queued(number);
        let (outcome, _work) = outcome.await.map_err(|_| closed())?;
        outcome
    }

    /// Waits until the writer has shown that it can write.
    pub(super) async fn probe(&self) -> Result<(), Error> {
        let (answer, outcome) = oneshot::channel();
        self.send(Message::Probe(answer))?;
        outcome.await.map_err(|_| closed())?
    }

    /// Asks the writer to end after what is queued; waits for room in the queue.
    pub(super) fn stop(&self) {
        // An error says that the writer has ended already.
        drop(self.sender.send(Message::Stop));
    }

    fn send(&self, message: Message) -> Result<(), Error> {
        self.sender.try_send(message).map_err(|error| match error {
            TrySendError::Full(_) => Error::Busy { retry_after: 1 },
            TrySendError::Disconnected(_) => closed(),
        })
    }
}

fn closed() -> Error {
    Error::internal("the store is closed")
}

/// The writer's own state.
pub(super) struct Writer<'c> {
    statements: Statements<'c>,
    heads: Heads,
    data_version: i64,
    shared: Arc<Shared>,
    told: Told,
    batches: Batches,
}

/// How changesets are put together.
pub(super) struct Batches {
    /// The most in one transaction.
    pub(super) most: usize,
    /// How long a batch may fill where there are many callers.
    pub(super) gather: Duration,
}

/// Who is told of a batch once it is durable, before it is answered.
pub(super) struct Told {
    /// Our own cache.
    pub(super) cache: Arc<Cache>,
    /// Other processes.
    pub(super) changes: Arc<Changes>,
}

impl<'c> Writer<'c> {
    /// A writer.
    pub(super) fn new(conn: &'c Connection, shared: Arc<Shared>, told: Told, batches: Batches) -> Self {
        Self {
            statements: Statements::new(conn),
            heads: Heads::default(),
            data_version: 0,
            shared,
            told,
            batches,
        }
    }

    /// Works until it is asked to stop or every sender is gone; then leaves an empty log.
    pub(super) fn run(mut self, queue: &Receiver<Message>) {
        let mut stopping = false;
        let mut crowd = Crowd::new(self.batches.gather, self.batches.most);
        while let Some(first) = self.next(queue, stopping) {
            let mut batch = Batch::default();
            stopping |= batch.take(first);
            let most = if stopping {
                self.batches.most
            } else {
                crowd.gather(&self.shared.gathering)
            };
            stopping |= batch.fill(queue, most);
            let count = batch.jobs.len();
            self.shared.gathering.gone(count);
            self.shared.queued.fetch_sub(batch.weight, Ordering::Relaxed);
            self.work(batch);
            crowd.done(count, &self.shared.gathering);
            self.reset_log();
        }
        self.empty_log();
    }

    /// Copies all of the log into the database and cuts it to nothing; leaves it where the disk has not kept or does not keep the
    /// database.
    pub(super) fn empty_log(&self) {
        if self.shared.loss.check().is_err() {
            return;
        }
        match checkpoint::run(self.statements.conn, checkpoint::Mode::Truncate) {
            Ok(progress) if progress.hindered => {
                tracing::warn!("the log was not emptied, since it is still used");
            }
            Ok(_) => {}
            Err(error) if self.shared.loss.found_in(&error) => {}
            Err(error) => tracing::warn!(%error, "the log was not emptied"),
        }
    }

    /// The next message: waits for it, or when stopping takes only what is there. While nothing comes it looks every now
    /// and then whether another process has written: for readers who do not look, and because one may be killed before it tells.
    fn next(&mut self, queue: &Receiver<Message>, stopping: bool) -> Option<Message> {
        if stopping {
            return queue.try_recv().ok();
        }
        loop {
            match queue.recv_timeout(LOOK_AROUND) {
                Ok(message) => return Some(message),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {
                    if let Err(error) = self.notice_others() {
                        tracing::warn!(%error, "whether another process has written is not known");
                    }
                }
            }
        }
    }

    fn work(&mut self, batch: Batch) {
        let Batch { jobs, mut probes, .. } = batch;
        if !jobs.is_empty() {
            let outcomes = self.attempt(|writer| writer.transaction(&jobs));
            match outcomes {
                Ok(outcomes) => jobs
                    .into_iter()
                    .zip(outcomes)
                    .for_each(|(job, outcome)| job.tell(outcome)),
                Err(error) => jobs.into_iter().for_each(|job| job.tell(Err(error.clone()))),
            }
        }
        probes.retain(|probe| !probe.is_closed());
        if !probes.is_empty() {
            let outcome = self.attempt(Self::probe);
            for probe in probes {
                // The one who asked may be gone by now.
                drop(probe.send(outcome.clone()));
            }
        }
    }

    /// Runs a transaction. Whatever goes wrong, panics included, it is undone and the writer goes on.
    fn attempt<T>(&mut self, transaction: impl FnOnce(&mut Self) -> rusqlite::Result<T>) -> Result<T, Error> {
        self.shared.loss.check()?;
        let outcome = match catch_unwind(AssertUnwindSafe(|| transaction(self))) {
            Ok(outcome) => outcome.map_err(|error| {
                self.shared.loss.found_in(&error);
                (failure(&error), error.to_string())
            }),
            Err(panic) => {
                let why = format!("the writer panicked: {}", told(&*panic));
                Err((Error::internal(&why), why))
            }
        };
        self.shared.failing.store(outcome.is_err(), Ordering::Relaxed);
        if let Err((_, error)) = &outcome {
            tracing::error!(error, "a batch was not written");
            self.heads.clear();
            self.told.cache.forget();
            if !self.statements.conn.is_autocommit()
                && let Err(error) = self.statements.conn.execute_batch("ROLLBACK")
            {
                tracing::error!(%error, "a batch was not rolled back");
            }
        }
        outcome.map_err(|(error, _)| error)
    }

    /// Writes all jobs that are not refused. An error says that nothing was written or, if a sync failed, that a restart may still
    /// find it written.
    fn transaction(&mut self, jobs: &[Job]) -> rusqlite::Result<Vec<Result<Committed, Error>>> {
        self.begin()?;
        let outcomes = jobs
            .iter()
            .map(|job| self.write(job))
            .collect::<rusqlite::Result<Vec<_>>>()?;
        self.heads.flush(&mut self.statements)?;
        for (tenant, (now, added)) in keyed(jobs) {
            remember::purge(self.statements.conn, tenant, now, added)?;
        }
        self.statements.run(Sql::Commit)?;
        self.tell(jobs, &outcomes);
        Ok(outcomes)
    }

    fn tell(&self, jobs: &[Job], outcomes: &[Result<Committed, Error>]) {
        for (job, outcome) in jobs.iter().zip(outcomes) {
            if let Ok(committed) = outcome {
                let ready = job.work.prepared.as_ref().map(|prepared| &prepared.found);
                self.told.cache.committed(&job.work.changeset, committed, ready);
            }
        }
        if let Err(error) = self.told.changes.announce() {
            tracing::error!(%error, "a running server was not told of a change; restart it if it shows old data");
        }
    }

    /// Begins, and forgets what is known of the chains if another process has written since.
    fn begin(&mut self) -> rusqlite::Result<()> {
        self.statements.run(Sql::Begin)?;
        self.notice_others()
    }

    /// Forgets what is kept in memory if another process has written since.
    fn notice_others(&mut self) -> rusqlite::Result<()> {
        let statement = self.statements.of(Sql::DataVersion)?;
        let version = statement.query_row([], |row| row.get(0))?;
        if version != self.data_version {
            self.data_version = version;
            self.heads.clear();
            self.told.cache.forget();
        }
        Ok(())
    }

    /// Writes one changeset, in a savepoint of its own. The outer error ends the batch.
    fn write(&mut self, job: &Job) -> rusqlite::Result<Result<Committed, Error>> {
        let Work {
            changeset, prepared, ..
        } = &*job.work;
        let mark = self.heads.mark(changeset.tenant);
        self.statements.run(Sql::Savepoint)?;
        let outcome = commit::write(&mut self.statements, &mut self.heads, changeset, prepared.as_ref());
        match outcome {
            Err(Fault::Database(error)) if self.statements.conn.is_autocommit() => return Err(error),
            Err(_) => {
                self.statements.conn.execute_batch("ROLLBACK TO changeset")?;
                self.heads.restore(changeset.tenant, mark);
            }
            Ok(_) => {}
        }
        self.statements.run(Sql::Release)?;
        self.heads.spill(&mut self.statements, changeset.tenant)?;
        Ok(outcome.map_err(Error::from))
    }

    /// Writes the schema's version, whatever it is by now, over itself: the smallest real write.
    fn probe(&mut self) -> rusqlite::Result<()> {
        self.begin()?;
        let conn = self.statements.conn;
        let version: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
        conn.pragma_update(None, "user_version", version)?;
        self.statements.run(Sql::Commit)
    }

    /// Lets the log begin anew if the checkpointer asks for it: what is not yet in the database is little by then. Done
    /// here, between two batches, so that nobody has to fight the writer for its lock.
    fn reset_log(&mut self) {
        if !self.shared.reset.swap(false, Ordering::Relaxed) || self.shared.loss.check().is_err() {
            return;
        }
        if let Err(error) = checkpoint::restart(self.statements.conn)
            && !self.shared.loss.found_in(&error)
        {
            tracing::warn!(%error, "the log was not reset; it is tried again");
        }
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
    }
}

/// What is written together.
#[derive(Default)]
struct Batch {
    jobs: Vec<Job>,
    probes: Vec<oneshot::Sender<Result<(), Error>>>,
    weight: usize,
}

impl Batch {
    /// Takes in what is queued, up to so many jobs; true if the writer is asked to stop.
    fn fill(&mut self, queue: &Receiver<Message>, most: usize) -> bool {
        let mut stopping = false;
        while self.jobs.len() < most && self.weight < BATCH_BYTES {
            let Ok(message) = queue.try_recv() else { break };
            stopping |= self.take(message);
        }
        stopping
    }

    /// Takes a message in; true if it asks the writer to stop.
    fn take(&mut self, message: Message) -> bool {
        match message {
            Message::Commit(job) => {
                self.weight += job.work.weight;
                self.jobs.push(job);
                false
            }
            Message::Probe(answer) => {
                self.probes.push(answer);
                false
            }
            Message::Stop => true,
        }
    }
}

impl Job {
    fn tell(self, outcome: Result<Committed, Error>) {
        // The caller may be gone; what was written is written.
        drop(self.answer.send((outcome, self.work)));
    }
}

/// The tenants of jobs with an idempotency key: the latest moment among each one's, and how many they are.
fn keyed(jobs: &[Job]) -> HashMap<TenantId, (Timestamp, u32)> {
    let mut tenants = HashMap::new();
    for changeset in jobs.iter().map(|job| &job.work.changeset) {
        if changeset.idempotency.is_some() {
            let (latest, count) = tenants.entry(changeset.tenant).or_insert((changeset.at, 0));
            *latest = changeset.at.max(*latest);
            *count += 1;
        }
    }
    tenants
}

fn told(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a text")
}

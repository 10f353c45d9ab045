//! SQLite: one file, one writer, durable when it answers.
//!
//! `commit` → [`prepare`] (the caller's task works the update out and encodes it) → [`writer`] (one thread; a batch is one
//! transaction and one sync, begun when [`crowd`] says so) → [`commit`] (one changeset: [`users`], [`remember`], [`chain`]).
//! Reads: [`read`], on the calling thread. [`checkpoint`] keeps the log short beside all that. The schema is in `migrations/`.
//!
//! Other processes may read and write the same folder at the same time, such as commands at the console.

mod cache;
mod chain;
mod changes;
mod checkpoint;
mod commit;
mod crowd;
#[cfg(test)]
mod failing_disk;
mod fault;
mod ledger;
mod lines;
mod loss;
mod open;
mod prepare;
mod read;
mod remember;
mod statements;
mod users;
mod weight;
mod write_back;
mod writer;

use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::Ordering,
        mpsc::{Sender, channel, sync_channel},
    },
    thread::{Builder, JoinHandle},
    time::Duration,
};

use async_trait::async_trait;
use patchbay_core::{
    audit::{AuditEvent, ChainHash},
    changeset::{Changeset, Committed, Idempotency, Tenant},
    clock::Timestamp,
    credential::{CredentialHash, Subject},
    error::Error,
    group::Group,
    icon::Icon,
    id::{GroupId, LedgerId, LinkedAccountId, OrganizationId, RoleId, Serial, TenantId, UserId},
    linked_account::LinkedAccount,
    organization::Organization,
    remote::{LedgerEntry, OpenWrite},
    role::Role,
    store::{Holder, Key, Store, UserKey},
    user::User,
};
use rusqlite::Connection;

pub use self::open::{FILE, OpenError, schema_version};
use self::{
    cache::Cache,
    changes::Unusable,
    checkpoint::Checkpointer,
    open::{Access, connect, explain, unusable},
    read::Readers,
    writer::{Batches, Queue, Shared, Told, Writer},
};
use super::confine;

/// Bounds of a store.
#[derive(Clone, Debug)]
pub struct Options {
    /// The most changesets that wait; beyond that commits fail with [`Error::Busy`]. 4,096.
    pub queue: usize,
    /// The most bytes of records that wait, roughly; a changeset larger than that is taken when nothing waits. 64 MiB.
    pub queue_bytes: usize,
    /// The most changesets in one transaction. 256.
    pub batch: usize,
    /// How long a batch may fill where there are many callers, which then share what a batch costs. 2 ms.
    pub gather: Duration,
    /// How many read connections; one per worker thread of the server is best. 4.
    pub readers: usize,
    /// The page cache of each read connection, in KiB. 2 MiB.
    pub reader_cache_kib: u32,
    /// The page cache of the writer, in KiB. 8 MiB: the database walks through all of it after every transaction that has
    /// split a page, which costs more than the pages that a larger cache would save from being read again.
    pub writer_cache_kib: u32,
    /// How many users, of those lately read or written, are kept in memory: about 1.5 KiB each, taken as they come, and fewer
    /// where they are so large that together they would take more than 4 KiB each. 0: only the process that serves may keep
    /// any, and each request sees what other processes had written when it began.
    pub cached_users: usize,
    /// Whether this process serves, which only one at a time may. False.
    pub serving: bool,
    /// How often the log is copied into the database. 1 s.
    pub checkpoint_every: Duration,
    /// How many pages the log may have before it begins anew, roughly. 65,536, which is 128 MiB on disk (256 MiB in a
    /// database that was made with pages of 4 KiB): before that the database is written to the disk, and while its pages are written, here
    /// and there, batches wait longer for it. The longer the log, the fewer they are, since a page that was changed often is
    /// written once.
    pub log_pages: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            queue: 4096,
            queue_bytes: 64 << 20,
            batch: 256,
            gather: Duration::from_millis(2),
            readers: 4,
            reader_cache_kib: 2 << 10,
            writer_cache_kib: 8 << 10,
            cached_users: 0,
            serving: false,
            checkpoint_every: Duration::from_secs(1),
            log_pages: 65_536,
        }
    }
}

/// A store in a data folder. Dropping it writes what is queued, like [`SqliteStore::close`].
pub struct SqliteStore {
    readers: Readers,
    cache: Arc<Cache>,
    queue: Queue,
    shared: Arc<Shared>,
    threads: Mutex<Option<Threads>>,
}

/// The threads behind a store.
struct Threads {
    writer: JoinHandle<()>,
    checkpointer: JoinHandle<Connection>,
    stop_checkpointer: Sender<()>,
}

/// The bytes of the database that are read ahead for each user that may be kept in memory: about twice what an ordinary one takes
/// there, since audit entries lie between the users.
const READ_AHEAD: u64 = 4 << 10;

impl SqliteStore {
    /// Opens the store in a data folder, which is made if it is missing, and brings its schema up to date.
    ///
    /// Fails with [`OpenError::NewerSchema`] without changing anything in the database if a later version of Patchbay has written there.
    pub fn open(folder: &Path, options: &Options) -> Result<Self, OpenError> {
        let serving = options.serving || options.cached_users > 0;
        let (writer, changes) = open::prepare(folder, options.writer_cache_kib, serving)?;
        let changes = Arc::new(changes);
        let cache = Arc::new(Cache::new(options.cached_users, changes.clone()));
        let file = folder.join(FILE);
        let failed = |error: rusqlite::Error| explain(folder, &error);
        let readers = Readers::new(&file, options.readers, options.reader_cache_kib);
        let copier = connect(&file, Access::ReadWrite, options.reader_cache_kib).map_err(failed)?;
        let shared = Arc::new(Shared::default());
        shared.failing.store(serving, Ordering::Relaxed);
        let (sender, receiver) = sync_channel(options.queue);
        let (stop_checkpointer, stop) = channel();
        let told = Told {
            cache: cache.clone(),
            changes,
        };
        let writing = shared.clone();
        let batches = Batches {
            most: options.batch.max(1),
            gather: options.gather,
        };
        let ahead = READ_AHEAD.saturating_mul(options.cached_users as u64);
        let checkpointer = Checkpointer::new(copier, &file, shared.clone(), options.log_pages, ahead)
            .map_err(|error| unusable(folder, Unusable::Io(error)))?;
        let every = options.checkpoint_every;
        let threads = Threads {
            writer: spawn(folder, "store-writer", move || {
                let writer = Writer::new(&writer, writing, told, batches);
                if serving {
                    writer.empty_log();
                }
                writer.run(&receiver);
            })?,
            checkpointer: spawn(folder, "store-checkpoint", move || checkpointer.run(every, &stop))?,
            stop_checkpointer,
        };
        Ok(Self {
            readers,
            cache,
            queue: Queue::new(sender, shared.clone(), options.queue_bytes),
            shared,
            threads: Mutex::new(Some(threads)),
        })
    }

    fn user_by_id(&self, tenant: TenantId, id: UserId) -> Result<Option<Arc<User>>, Error> {
        self.cache.user((tenant, id), || self.readers.user_by_id(tenant, id))
    }

    /// Found in memory too, once it is known whose number it is.
    fn user_by_serial(&self, tenant: TenantId, serial: Serial) -> Result<Option<Arc<User>>, Error> {
        let id = self
            .cache
            .numbered(tenant, serial, || self.readers.numbered(tenant, serial))?;
        id.map_or(Ok(None), |id| self.user_by_id(tenant, id))
    }

    fn role_by_id(&self, tenant: TenantId, id: RoleId) -> Result<Option<Arc<Role>>, Error> {
        const SQL: &str = "SELECT doc FROM roles WHERE tenant = ?1 AND id = ?2";
        self.cache.role(tenant, id, || self.readers.by_id(SQL, tenant, id.0))
    }

    /// Ends the checkpointer, then takes no more changesets, writes and answers those that were taken, and ends the writer. Blocks
    /// until that is done; later commits fail. Reads go on.
    pub fn close(&self) {
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(threads) = threads else { return };
        drop(threads.stop_checkpointer);
        // The writer empties the log at its end, which it could not while the checkpointer copies it. Where it is held it stays so
        // until then.
        let holding = ended(threads.checkpointer);
        self.queue.stop();
        ended(threads.writer);
        drop(holding);
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.close();
    }
}

fn spawn<T: Send + 'static>(
    folder: &Path,
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, OpenError> {
    let thread = Builder::new().name(name.to_owned()).spawn(work);
    thread.map_err(|error| OpenError::Other {
        folder: folder.to_owned(),
        reason: error.to_string(),
    })
}

fn ended<T>(thread: JoinHandle<T>) -> Option<T> {
    let outcome = thread.join();
    if outcome.is_err() {
        tracing::error!("a thread of the store panicked");
    }
    outcome.ok()
}

#[async_trait]
impl Store for SqliteStore {
    async fn holder(&self, hash: &CredentialHash) -> Result<Option<Holder>, Error> {
        self.cache.look_around();
        let credential = self.cache.credential(hash, || self.readers.credential(hash))?;
        let Some(credential) = credential else {
            return Ok(None);
        };
        let tenant = credential.tenant;
        let (user, role) = match &credential.subject {
            Subject::Service { role, .. } => (None, Some(*role)),
            Subject::User(id) => {
                let user = self.user_by_id(tenant, *id)?;
                let role = user.as_ref().and_then(|user| user.role);
                (user, role)
            }
        };
        let role = role.map_or(Ok(None), |role| self.role_by_id(tenant, role))?;
        Ok(Some(Holder { credential, role, user }))
    }

    async fn tenants(&self) -> Result<Vec<Tenant>, Error> {
        self.readers.tenants()
    }

    async fn user(&self, tenant: TenantId, key: &UserKey) -> Result<Option<Arc<User>>, Error> {
        match key {
            UserKey::Id(id) => self.user_by_id(tenant, *id),
            UserKey::Opaque(text) => text.parse().map_or(Ok(None), |id| self.user_by_id(tenant, id)),
            UserKey::Serial(serial) => self.user_by_serial(tenant, *serial),
            UserKey::Email(email) => self.readers.user_by_email(tenant, email),
        }
    }

    async fn icon(&self, tenant: TenantId, user: UserId) -> Result<Option<Icon>, Error> {
        self.readers.icon(tenant, user)
    }

    async fn role(&self, tenant: TenantId, id: RoleId) -> Result<Option<Arc<Role>>, Error> {
        self.role_by_id(tenant, id)
    }

    async fn organization(
        &self,
        tenant: TenantId,
        key: Key<OrganizationId>,
    ) -> Result<Option<Arc<Organization>>, Error> {
        const ID: &str = "SELECT doc FROM organizations WHERE tenant = ?1 AND id = ?2";
        const SERIAL: &str = "SELECT doc FROM organizations WHERE tenant = ?1 AND serial = ?2 ORDER BY id LIMIT 1";
        self.cache.organization(tenant, key, || match key {
            Key::Id(id) => self.readers.by_id(ID, tenant, id.0),
            Key::Serial(serial) => self.readers.by_serial(SERIAL, tenant, serial),
        })
    }

    async fn group(&self, tenant: TenantId, key: Key<GroupId>) -> Result<Option<Arc<Group>>, Error> {
        const ID: &str = "SELECT doc FROM groups WHERE tenant = ?1 AND id = ?2";
        const SERIAL: &str = "SELECT doc FROM groups WHERE tenant = ?1 AND serial = ?2 ORDER BY id LIMIT 1";
        self.cache.group(tenant, key, || match key {
            Key::Id(id) => self.readers.by_id(ID, tenant, id.0),
            Key::Serial(serial) => self.readers.by_serial(SERIAL, tenant, serial),
        })
    }

    async fn linked_account(
        &self,
        tenant: TenantId,
        id: &LinkedAccountId,
    ) -> Result<Option<Arc<LinkedAccount>>, Error> {
        self.cache
            .account(tenant, id, || self.readers.linked_account(tenant, id))
    }

    async fn linked_accounts(&self, tenant: TenantId) -> Result<Vec<LinkedAccount>, Error> {
        self.readers.linked_accounts(tenant)
    }

    async fn ledger(&self, tenant: TenantId, id: LedgerId) -> Result<Option<LedgerEntry>, Error> {
        self.readers.by_id(ledger::BY_ID, tenant, id.0)
    }

    async fn last_write(&self, tenant: TenantId, key: &str) -> Result<Option<LedgerEntry>, Error> {
        self.readers.last_write(tenant, key)
    }

    async fn open_writes(&self, tenant: TenantId, limit: u32) -> Result<Vec<OpenWrite>, Error> {
        self.readers.open_writes(tenant, limit)
    }

    async fn audit(&self, tenant: TenantId, after: u64, limit: u32) -> Result<Vec<AuditEvent>, Error> {
        self.readers.audit(tenant, after, limit)
    }

    async fn audit_head(&self, tenant: TenantId) -> Result<(u64, ChainHash), Error> {
        self.readers.audit_head(tenant)
    }

    async fn replay(&self, tenant: TenantId, asked: &Idempotency, now: Timestamp) -> Result<Option<Committed>, Error> {
        self.readers.replay(tenant, asked, now)
    }

    async fn commit(&self, mut changeset: Changeset) -> Result<Committed, Error> {
        confine::check(&changeset)?;
        let mut prepared = prepare::prepare(&mut changeset)?;
        if let Some(prepared) = &mut prepared {
            let found = &mut prepared.found;
            if !prepared.rekeyed {
                found.row = self.cache.row((changeset.tenant, found.user.id));
            }
        }
        self.queue.commit(changeset, prepared).await
    }

    async fn ready(&self) -> Result<(), Error> {
        self.readers.probe()?;
        self.shared.loss.check()?;
        if self.shared.failing.load(Ordering::Relaxed) {
            self.queue.probe().await?;
        }
        if self.shared.ended.load(Ordering::Relaxed) {
            return Err(Error::internal("the store is closed"));
        }
        Ok(())
    }
}

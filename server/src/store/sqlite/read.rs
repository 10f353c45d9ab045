//! Reads: on the calling thread, over a few read-only connections.
//!
//! A point read takes some ten microseconds, less than handing it to another thread would. Each thread has a favourite
//! connection and takes another one when that is in use, so that with one connection per worker nobody waits.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use patchbay_core::{
    audit::{AuditEvent, ChainHash},
    changeset::{Committed, Idempotency, Tenant},
    clock::Timestamp,
    credential::{Credential, CredentialHash},
    error::Error,
    icon::{Icon, IconType},
    id::{LedgerId, LinkedAccountId, Serial, TenantId, UserId},
    linked_account::LinkedAccount,
    remote::{LedgerEntry, OpenWrite},
    user::User,
};
use rusqlite::{Connection, OptionalExtension, Params, Row};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::{
    cache::Found,
    chain,
    fault::failure,
    ledger,
    open::{Access, connect},
    remember,
};
use crate::store::row::decode;

/// The read connections. Each is opened when it is first used, so that an idle server has few.
pub(super) struct Readers {
    file: PathBuf,
    cache_kib: u32,
    places: Box<[Mutex<Option<Connection>>]>,
}

thread_local! {
    /// This thread's number, from which its favourite connection follows.
    static THREAD: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed)
    };
}

impl Readers {
    /// At most `count` connections, at least one.
    pub(super) fn new(file: &Path, count: usize, cache_kib: u32) -> Self {
        Self {
            file: file.to_owned(),
            cache_kib,
            places: (0..count.max(1)).map(|_| Mutex::default()).collect(),
        }
    }

    /// Reads over a free connection, else in turn over this thread's favourite.
    fn with<T>(&self, read: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
        let mut place = self.place();
        if let Some(conn) = &*place {
            return read(conn);
        }
        let conn = connect(&self.file, Access::ReadOnly, self.cache_kib).map_err(|error| failure(&error))?;
        read(place.insert(conn))
    }

    fn place(&self) -> MutexGuard<'_, Option<Connection>> {
        let places = self.places.len();
        let favourite = THREAD.with(|number| number % places);
        let free = (0..places).find_map(|step| self.places[(favourite + step) % places].try_lock().ok());
        free.unwrap_or_else(|| self.places[favourite].lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The first row of a query.
    fn first<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<Result<T, Error>>,
    ) -> Result<Option<T>, Error> {
        self.with(|conn| {
            let mut statement = conn.prepare_cached(sql).map_err(|error| failure(&error))?;
            let row = statement.query_row(params, read).optional();
            row.map_err(|error| failure(&error))?.transpose()
        })
    }

    /// All rows of a query.
    fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl Fn(&Row<'_>) -> rusqlite::Result<Result<T, Error>>,
    ) -> Result<Vec<T>, Error> {
        self.with(|conn| {
            let mut statement = conn.prepare_cached(sql).map_err(|error| failure(&error))?;
            let rows = statement.query_map(params, read).map_err(|error| failure(&error))?;
            rows.map(|row| row.map_err(|error| failure(&error))?).collect()
        })
    }

    /// The document of a record by its UUID.
    pub(super) fn by_id<T: DeserializeOwned>(&self, sql: &str, tenant: TenantId, id: Uuid) -> Result<Option<T>, Error> {
        self.first(sql, (key(&tenant.0), key(&id)), document)
    }

    /// The document of a record by its number.
    pub(super) fn by_serial<T: DeserializeOwned>(
        &self,
        sql: &str,
        tenant: TenantId,
        serial: Serial,
    ) -> Result<Option<T>, Error> {
        self.first(sql, (key(&tenant.0), serial.0), document)
    }

    pub(super) fn credential(&self, hash: &CredentialHash) -> Result<Option<Credential>, Error> {
        self.first("SELECT doc FROM credentials WHERE hash = ?1", [&hash.0[..]], document)
    }

    pub(super) fn tenants(&self) -> Result<Vec<Tenant>, Error> {
        self.all("SELECT doc FROM tenants ORDER BY rowid", [], document)
    }

    /// Whose number it is.
    pub(super) fn numbered(&self, tenant: TenantId, serial: Serial) -> Result<Option<UserId>, Error> {
        const SQL: &str = "SELECT id FROM users WHERE tenant = ?1 AND serial = ?2";
        let read = |row: &Row<'_>| Ok(Ok(UserId(Uuid::from_bytes(row.get(0)?))));
        self.first(SQL, (key(&tenant.0), serial.0), read)
    }

    pub(super) fn user_by_id(&self, tenant: TenantId, id: UserId) -> Result<Option<Found>, Error> {
        const SQL: &str = "SELECT doc, rowid FROM users WHERE tenant = ?1 AND id = ?2";
        self.first(SQL, (key(&tenant.0), key(&id.0)), |row| {
            let number = row.get(1)?;
            Ok(document(row)?.map(|user| Found::new(Arc::new(user), Some(number))))
        })
    }

    pub(super) fn user_by_email(&self, tenant: TenantId, email: &str) -> Result<Option<Arc<User>>, Error> {
        const SQL: &str = "SELECT doc FROM users WHERE tenant = ?1 AND email_key = ?2 LIMIT 2";
        let mut found = self.all(SQL, (key(&tenant.0), email.to_lowercase()), document)?;
        let user = found.pop();
        Ok(user.filter(|_| found.is_empty()).map(Arc::new))
    }

    pub(super) fn icon(&self, tenant: TenantId, user: UserId) -> Result<Option<Icon>, Error> {
        const SQL: &str = "SELECT media, bytes, digest FROM icons WHERE tenant = ?1 AND user = ?2";
        self.first(SQL, (key(&tenant.0), key(&user.0)), |row| {
            let media = match row.get_ref(0)?.as_str()? {
                "png" => IconType::Png,
                "jpeg" => IconType::Jpeg,
                other => return Ok(Err(Error::internal(format!("a stored icon is of the kind {other:?}")))),
            };
            Ok(Ok(Icon {
                media,
                bytes: row.get_ref(1)?.as_blob()?.into(),
                digest: row.get(2)?,
            }))
        })
    }

    pub(super) fn linked_account(
        &self,
        tenant: TenantId,
        id: &LinkedAccountId,
    ) -> Result<Option<LinkedAccount>, Error> {
        const SQL: &str = "SELECT doc FROM linked_accounts WHERE tenant = ?1 AND id = ?2";
        self.first(SQL, (key(&tenant.0), id.0.as_str()), document)
    }

    pub(super) fn linked_accounts(&self, tenant: TenantId) -> Result<Vec<LinkedAccount>, Error> {
        const SQL: &str = "SELECT doc FROM linked_accounts WHERE tenant = ?1 ORDER BY rowid";
        self.all(SQL, [key(&tenant.0)], document)
    }

    pub(super) fn last_write(&self, tenant: TenantId, asked: &str) -> Result<Option<LedgerEntry>, Error> {
        self.first(ledger::LAST, (key(&tenant.0), asked), document)
    }

    pub(super) fn open_writes(&self, tenant: TenantId, limit: u32) -> Result<Vec<OpenWrite>, Error> {
        self.all(ledger::OPEN, (key(&tenant.0), limit), |row| {
            let id = LedgerId(Uuid::from_bytes(row.get(0)?));
            let account = LinkedAccountId(row.get_ref(1)?.as_str()?.into());
            Ok(Ok(OpenWrite { id, account }))
        })
    }

    pub(super) fn audit(&self, tenant: TenantId, after: u64, limit: u32) -> Result<Vec<AuditEvent>, Error> {
        self.with(|conn| chain::read(conn, tenant, after, limit))
    }

    pub(super) fn audit_head(&self, tenant: TenantId) -> Result<(u64, ChainHash), Error> {
        let head = self.with(|conn| chain::recorded_end(conn, tenant))?;
        Ok((head.position, head.hash))
    }

    pub(super) fn replay(
        &self,
        tenant: TenantId,
        asked: &Idempotency,
        now: Timestamp,
    ) -> Result<Option<Committed>, Error> {
        self.with(|conn| remember::recall(conn, tenant, asked, now).map_err(Error::from))
    }

    /// Fails if nothing can be read.
    pub(super) fn probe(&self) -> Result<(), Error> {
        self.first("SELECT 1 FROM tenants LIMIT 1", [], |_| Ok(Ok(())))
            .map(|_| ())
    }
}

/// A UUID as it stands in a column.
pub(super) fn key(id: &Uuid) -> &[u8] {
    id.as_bytes()
}

/// The first column as a record.
fn document<T: DeserializeOwned>(row: &Row<'_>) -> rusqlite::Result<Result<T, Error>> {
    Ok(decode(row.get_ref(0)?.as_blob()?))
}

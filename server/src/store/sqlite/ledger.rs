//! The ledger of remote writes.

use patchbay_core::{
    id::TenantId,
    remote::{LEDGER_SECONDS, LedgerEntry, LedgerState},
};
use rusqlite::{Connection, OptionalExtension};

use super::{fault::Fault, read::key};
use crate::store::row::{decode, encode};

/// What is kept of a write: tenant, id.
pub(super) const BY_ID: &str = "SELECT doc FROM ledger WHERE tenant = ?1 AND id = ?2";

/// How many old entries one write takes away at most: more than it adds.
const PURGE: u32 = 4;

/// The ids and linked accounts of what is open, oldest first: tenant, limit.
pub(super) const OPEN: &str = "SELECT id, CAST(doc AS TEXT) ->> '$.account' FROM ledger \
    WHERE tenant = ?1 AND open = 1 ORDER BY begun_at LIMIT ?2";

/// What was begun under an idempotency key, the last first: tenant, key.
pub(super) const LAST: &str = "SELECT doc FROM ledger WHERE tenant = ?1 AND key = ?2 ORDER BY rowid DESC LIMIT 1";

/// Whether a remote write is kept in a state from which it cannot come to this one, with an audit entry or without.
pub(super) fn is_settled(
    conn: &Connection,
    tenant: TenantId,
    entry: &LedgerEntry,
    audited: bool,
) -> Result<bool, Fault> {
    let mut statement = conn.prepare_cached(BY_ID)?;
    let kept = statement.query_row((key(&tenant.0), key(&entry.id.0)), |row| row.get::<_, Vec<u8>>(0));
    let Some(document) = kept.optional()? else {
        return Ok(false);
    };
    let kept: LedgerEntry = decode(&document)?;
    Ok(!kept.can_become(entry, audited))
}

/// Keeps the state of a remote write, and takes away some that were settled long before it began.
pub(super) fn put(conn: &Connection, tenant: TenantId, entry: &LedgerEntry) -> Result<(), Fault> {
    const PUT: &str = "INSERT INTO ledger (tenant, id, doc, open, begun_at, key) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
        ON CONFLICT (tenant, id) DO UPDATE SET \
        doc = excluded.doc, open = excluded.open, begun_at = excluded.begun_at, key = excluded.key";
    const OLD: &str = "DELETE FROM ledger WHERE rowid IN \
        (SELECT rowid FROM ledger WHERE tenant = ?1 AND open = 0 AND begun_at <= ?2 LIMIT ?3)";
    let open = entry.state == LedgerState::Intent;
    let (tenant, id) = (key(&tenant.0), key(&entry.id.0));
    let asked = entry.idempotency.as_ref().map(|asked| &asked.key);
    conn.prepare_cached(PUT)?
        .execute((tenant, id, encode(entry)?, open, entry.begun_at.as_millis(), asked))?;
    let old = entry.begun_at.plus_seconds(-LEDGER_SECONDS).as_millis();
    conn.prepare_cached(OLD)?.execute((tenant, old, PURGE))?;
    Ok(())
}

//! Idempotency keys: what a repeated request is told, and what is kept for it.

use std::sync::Arc;

use patchbay_core::{
    changeset::{Changeset, Committed, IDEMPOTENCY_SECONDS, Idempotency, IdempotencyRecord},
    clock::Timestamp,
    error::Error,
    id::TenantId,
    user::User,
};
use rusqlite::{Connection, OptionalExtension};

use super::{fault::Fault, read::key};
use crate::store::row::{decode, encode};

/// How many stale keys a batch takes away at least, if there are so many; more where it may have added as many.
const PURGE: u32 = 512;
/// Stale keys stay one hour longer than they count, since requests do not reach the store in the order of their times.
const GRACE_SECONDS: i64 = 60 * 60;

/// The outcome to replay, if the request was done before `now`.
///
/// Fails with [`Error::IdempotencyMismatch`] or [`Error::IdempotencyPending`].
pub(super) fn recall(
    conn: &Connection,
    tenant: TenantId,
    asked: &Idempotency,
    now: Timestamp,
) -> Result<Option<Committed>, Fault> {
    const SQL: &str = "SELECT fingerprint, at, done, outcome FROM idempotency \
        WHERE tenant = ?1 AND key = ?2 AND at > ?3";
    let stale = now.plus_seconds(-IDEMPOTENCY_SECONDS).as_millis();
    let mut statement = conn.prepare_cached(SQL)?;
    let kept = statement.query_row((key(&tenant.0), &asked.key, stale), |row| {
        let fingerprint: [u8; 32] = row.get(0)?;
        let at = Timestamp::from_millis(row.get(1)?);
        let (done, outcome): (bool, Option<Vec<u8>>) = (row.get(2)?, row.get(3)?);
        Ok((fingerprint, at, done.then_some(outcome)))
    });
    let Some((fingerprint, at, outcome)) = kept.optional()? else {
        return Ok(None);
    };
    if fingerprint != asked.fingerprint {
        return Err(Error::IdempotencyMismatch.into());
    }
    match (outcome, asked.record) {
        (Some(user), IdempotencyRecord::Begin | IdempotencyRecord::Finish) => Ok(Some(Committed {
            user: user.map(|document| decode::<Arc<User>>(&document)).transpose()?,
            changed: false,
            at,
            replayed: true,
        })),
        (None, IdempotencyRecord::Begin) => Err(Error::IdempotencyPending.into()),
        _ => Ok(None),
    }
}

/// Keeps what the changeset's idempotency record asks for, unless the key is a later request's by now. `document` is the
/// user's, if it is at hand.
pub(super) fn remember(
    conn: &Connection,
    changeset: &Changeset,
    committed: &Committed,
    document: Option<&[u8]>,
) -> Result<(), Fault> {
    const SQL: &str = "INSERT INTO idempotency (tenant, key, fingerprint, at, done, outcome) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (tenant, key) DO UPDATE SET \
        fingerprint = excluded.fingerprint, at = excluded.at, done = excluded.done, outcome = excluded.outcome \
        WHERE idempotency.at <= excluded.at";
    const FORGET: &str = "DELETE FROM idempotency WHERE tenant = ?1 AND key = ?2 AND at <= ?3";
    let Some(asked) = &changeset.idempotency else {
        return Ok(());
    };
    let tenant = key(&changeset.tenant.0);
    if asked.record == IdempotencyRecord::Forget {
        let mut statement = conn.prepare_cached(FORGET)?;
        statement.execute((tenant, &asked.key, committed.at.as_millis()))?;
        return Ok(());
    }
    let done = asked.record == IdempotencyRecord::Finish;
    let made = match &committed.user {
        Some(user) if done && document.is_none() => Some(encode(user)?),
        _ => None,
    };
    let outcome = document.or(made.as_deref()).filter(|_| done);
    let mut statement = conn.prepare_cached(SQL)?;
    statement.execute((
        tenant,
        &asked.key,
        &asked.fingerprint[..],
        committed.at.as_millis(),
        done,
        outcome,
    ))?;
    Ok(())
}

/// Takes away keys of a tenant that are past their time at `now`, in a batch that may have `added` some: so many that
/// none gather.
pub(super) fn purge(conn: &Connection, tenant: TenantId, now: Timestamp, added: u32) -> rusqlite::Result<()> {
    const SQL: &str = "DELETE FROM idempotency WHERE rowid IN \
        (SELECT rowid FROM idempotency WHERE tenant = ?1 AND at <= ?2 LIMIT ?3)";
    let stale = now.plus_seconds(-IDEMPOTENCY_SECONDS - GRACE_SECONDS).as_millis();
    conn.prepare_cached(SQL)?
        .execute((key(&tenant.0), stale, added.saturating_mul(2).max(PURGE)))?;
    Ok(())
}

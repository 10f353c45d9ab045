//! One changeset within the batch's transaction: all of it or nothing.

use std::sync::Arc;

use patchbay_core::{
    audit::FieldChange,
    changeset::{Changeset, Committed, Delta},
    credential::Credential,
    error::Error,
    id::TenantId,
    user::User,
};
use rusqlite::{Connection, Params};

use super::{
    chain::Heads,
    fault::{Fault, is_taken},
    ledger,
    prepare::{Entry, Prepared},
    read::key,
    remember,
    statements::Statements,
    users,
};
use crate::store::row::encode;

/// Writes a changeset within a savepoint.
pub(super) fn write(
    statements: &mut Statements<'_>,
    heads: &mut Heads,
    changeset: &Changeset,
    prepared: Option<&Prepared>,
) -> Result<Committed, Fault> {
    if let Some(asked) = &changeset.idempotency
        && let Some(outcome) = remember::recall(statements.conn, changeset.tenant, asked, changeset.at)?
    {
        return Ok(outcome);
    }
    if let Some(prepared) = prepared
        && let Some(committed) = swap(statements, heads, changeset, prepared)?
    {
        remember::remember(statements.conn, changeset, &committed, Some(&prepared.document))?;
        return Ok(committed);
    }
    let mut outcome = Outcome::new(changeset);
    for delta in &changeset.deltas {
        if let Delta::PutLedger(entry) = delta
            && ledger::is_settled(statements.conn, changeset.tenant, entry, changeset.audit.is_some())?
        {
            return Ok(outcome.committed);
        }
    }
    for delta in &changeset.deltas {
        outcome.apply(statements, changeset, delta)?;
    }
    let Outcome { committed, changes } = outcome;
    if let Some(entry) = changeset.audit.as_ref().filter(|_| committed.changed) {
        let revision = committed.user.as_ref().map(|user| user.revision);
        let entry = Entry::new(&mut entry.clone(), changes, revision)?;
        heads.append(statements.conn, changeset.tenant, &entry)?;
    }
    remember::remember(statements.conn, changeset, &committed, None)?;
    Ok(committed)
}

/// Writes the prepared update over the revision that it was made from; `None` if the user is not at that revision.
fn swap(
    statements: &mut Statements<'_>,
    heads: &mut Heads,
    changeset: &Changeset,
    prepared: &Prepared,
) -> Result<Option<Committed>, Fault> {
    let Prepared { found, icon, entry, .. } = prepared;
    let user = &found.user;
    if !users::write(statements, changeset.tenant, prepared.version(), prepared.rekeyed)? {
        return Ok(None);
    }
    if changeset.unique_email {
        users::check_email(statements.conn, changeset.tenant, changeset.seen.as_deref(), user)?;
    }
    if let ([Delta::UpdateUser { patch, .. }], true) = (changeset.deltas.as_slice(), *icon) {
        users::put_icon(statements.conn, changeset.tenant, user.id, patch.icon.value())?;
    }
    if let Some(entry) = entry {
        heads.append(statements.conn, changeset.tenant, entry)?;
    }
    Ok(Some(Committed {
        user: Some(user.clone()),
        changed: true,
        at: changeset.at,
        replayed: false,
    }))
}

/// What the deltas so far have come to.
struct Outcome {
    committed: Committed,
    changes: Vec<FieldChange>,
}

impl Outcome {
    fn new(changeset: &Changeset) -> Self {
        Self {
            committed: Committed {
                user: None,
                changed: changeset.deltas.is_empty(),
                at: changeset.at,
                replayed: false,
            },
            changes: Vec::new(),
        }
    }

    fn apply(&mut self, statements: &mut Statements<'_>, changeset: &Changeset, delta: &Delta) -> Result<(), Fault> {
        let conn = statements.conn;
        let (tenant, at) = (changeset.tenant, changeset.at);
        let changed = match delta {
            Delta::UpdateUser { id, expect, patch } => {
                let (before, update) =
                    users::update(statements, tenant, *id, expect, patch, at, changeset.by.as_ref())?;
                if changeset.unique_email {
                    users::check_email(conn, tenant, Some(&before), &update.user)?;
                }
                let differs = !update.changes.is_empty();
                self.changes.extend(update.changes);
                self.committed.user = Some(Arc::new(update.user));
                differs
            }
            Delta::CreateUser(user) => {
                users::create(conn, tenant, user)?;
                if changeset.unique_email {
                    users::check_email(conn, tenant, None, user)?;
                }
                self.committed.user = Some(Arc::new(User::clone(user)));
                true
            }
            record => {
                put(conn, tenant, record)?;
                true
            }
        };
        self.committed.changed |= changed;
        Ok(())
    }
}

/// Keeps or forgets a record that is replaced as a whole.
fn put(conn: &Connection, tenant: TenantId, delta: &Delta) -> Result<(), Fault> {
    match delta {
        Delta::PutTenant(record) => execute(
            conn,
            "INSERT INTO tenants (tenant, doc) VALUES (?1, ?2) ON CONFLICT (tenant) DO UPDATE SET doc = excluded.doc",
            (key(&tenant.0), encode(record)?),
        ),
        Delta::PutRole(record) => execute(
            conn,
            "INSERT INTO roles (tenant, id, doc) VALUES (?1, ?2, ?3) \
             ON CONFLICT (tenant, id) DO UPDATE SET doc = excluded.doc",
            (key(&tenant.0), key(&record.id.0), encode(record)?),
        ),
        Delta::PutOrganization(record) => execute(
            conn,
            "INSERT INTO organizations (tenant, id, serial, doc) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT (tenant, id) DO UPDATE SET serial = excluded.serial, doc = excluded.doc",
            (key(&tenant.0), key(&record.id.0), record.serial.0, encode(record)?),
        ),
        Delta::PutGroup(record) => execute(
            conn,
            "INSERT INTO groups (tenant, id, serial, doc) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT (tenant, id) DO UPDATE SET serial = excluded.serial, doc = excluded.doc",
            (key(&tenant.0), key(&record.id.0), record.serial.0, encode(record)?),
        ),
        Delta::PutCredential(record) => put_credential(conn, tenant, record),
        Delta::PutLinkedAccount(record) => execute(
            conn,
            "INSERT INTO linked_accounts (tenant, id, doc) VALUES (?1, ?2, ?3) \
             ON CONFLICT (tenant, id) DO UPDATE SET doc = excluded.doc",
            (key(&tenant.0), record.id.0.as_str(), encode(record)?),
        ),
        Delta::RemoveLinkedAccount(id) => execute(
            conn,
            "DELETE FROM linked_accounts WHERE tenant = ?1 AND id = ?2",
            (key(&tenant.0), id.0.as_str()),
        ),
        Delta::PutLedger(entry) => ledger::put(conn, tenant, entry),
        Delta::UpdateUser { .. } | Delta::CreateUser(_) => {
            Err(Error::internal("a user is not replaced as a whole").into())
        }
    }
}

fn put_credential(conn: &Connection, tenant: TenantId, record: &Credential) -> Result<(), Fault> {
    const SQL: &str = "INSERT INTO credentials (tenant, id, hash, doc) VALUES (?1, ?2, ?3, ?4) \
        ON CONFLICT (tenant, id) DO UPDATE SET hash = excluded.hash, doc = excluded.doc";
    let (tenant, id) = (key(&tenant.0), key(&record.id.0));
    let written = conn
        .prepare_cached(SQL)?
        .execute((tenant, id, &record.hash.0[..], encode(record)?));
    match written {
        Err(error) if is_taken(&error) => Err(Error::Taken { field: "hash" }.into()),
        written => Ok(written.map(|_| ())?),
    }
}

fn execute(conn: &Connection, sql: &str, params: impl Params) -> Result<(), Fault> {
    conn.prepare_cached(sql)?.execute(params)?;
    Ok(())
}

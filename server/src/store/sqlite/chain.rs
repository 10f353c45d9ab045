//! Where each tenant's audit chain ends, and how an entry is put behind it.

use std::collections::{HashMap, HashSet};

use patchbay_core::{audit::ChainHash, id::TenantId};
use rusqlite::{Connection, OptionalExtension};

use super::{
    prepare::Entry,
    read::key,
    statements::{Sql, Statements},
};

/// The most chains whose end is kept in memory; beyond that all are read again.
const MOST: usize = 10_000;

/// The end of one chain.
#[derive(Clone, Copy, Default)]
pub(super) struct Head {
    pub(super) position: u64,
    pub(super) hash: ChainHash,
}

/// The ends of the chains, as far as this batch or an earlier one has needed them.
#[derive(Default)]
pub(super) struct Heads {
    known: HashMap<TenantId, Head>,
    /// Those that the database does not know yet.
    moved: HashSet<TenantId>,
}

impl Heads {
    /// Forgets everything: somebody else has written, or what was written is undone.
    pub(super) fn clear(&mut self) {
        self.known.clear();
        self.moved.clear();
    }

    /// Where a tenant's chain ends, if that is known without a look at the database.
    pub(super) fn known(&self, tenant: TenantId) -> Option<Head> {
        self.known.get(&tenant).copied()
    }

    /// Goes back to what was [`Heads::known`] before a changeset that is undone.
    pub(super) fn restore(&mut self, tenant: TenantId, known: Option<Head>) {
        if let Some(head) = known {
            self.known.insert(tenant, head);
        } else {
            self.known.remove(&tenant);
            self.moved.remove(&tenant);
        }
    }

    /// Writes an entry behind the end of a tenant's chain, which moves on.
    pub(super) fn append(
        &mut self,
        statements: &mut Statements<'_>,
        tenant: TenantId,
        entry: &Entry,
    ) -> rusqlite::Result<()> {
        let head = match self.known(tenant) {
            Some(head) => head,
            None => load(statements.conn, tenant)?,
        };
        self.known.insert(tenant, head.append(statements, tenant, entry)?);
        self.moved.insert(tenant);
        Ok(())
    }

    /// Writes the ends that moved: once per batch, not once per entry.
    pub(super) fn flush(&mut self, statements: &mut Statements<'_>) -> rusqlite::Result<()> {
        for tenant in self.moved.drain() {
            if let Some(head) = self.known.get(&tenant) {
                let statement = statements.of(Sql::MoveHead)?;
                statement.execute((key(&tenant.0), head.position.cast_signed(), &head.hash.0[..]))?;
            }
        }
        if self.known.len() > MOST {
            self.known.clear();
        }
        Ok(())
    }
}

/// Where a tenant's chain ends, by what the database knows.
pub(super) fn load(conn: &Connection, tenant: TenantId) -> rusqlite::Result<Head> {
    let mut statement = conn.prepare_cached("SELECT position, hash FROM audit_head WHERE tenant = ?1")?;
    let head = statement.query_row([key(&tenant.0)], |row| {
        Ok(Head {
            position: row.get::<_, i64>(0)?.cast_unsigned(),
            hash: ChainHash(row.get(1)?),
        })
    });
    Ok(head.optional()?.unwrap_or_default())
}

impl Head {
    /// Writes an entry behind this end; answers the new end.
    fn append(self, statements: &mut Statements<'_>, tenant: TenantId, entry: &Entry) -> rusqlite::Result<Self> {
        let position = self.position + 1;
        let hash = self.hash.follow(position, entry.digest);
        statements.of(Sql::AppendAudit)?.execute((
            key(&tenant.0),
            position.cast_signed(),
            &entry.bytes,
            &hash.0[..],
        ))?;
        Ok(Self { position, hash })
    }
}

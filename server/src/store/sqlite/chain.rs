//! Where each tenant's audit chain ends, and how entries are put behind it: those of a batch together, in one row.
//!
//! An entry's own row would cost the one writer more than the update it tells of. So entries gather in memory while the
//! batch is worked on, and the row is written before it is committed. See [`lines`](super::lines) for what is in a row.

use std::collections::HashMap;

use patchbay_core::{
    audit::{AuditEvent, ChainHash},
    error::Error,
    id::TenantId,
};
use rusqlite::{Connection, OptionalExtension};

use super::{
    fault::failure,
    lines,
    prepare::Entry,
    read::key,
    statements::{Sql, Statements},
};

/// The most chains whose end is kept in memory; beyond that all are read again.
const MOST: usize = 10_000;
/// So many bytes of entries are written as a row of their own, though the batch goes on: whoever reads the log reads whole rows.
const ROW_BYTES: usize = 64 << 10;
/// A place is the chain's number, and in its lowest bits the position of the row's last entry. That leaves room for
/// 17,592,186,044,415 entries in each of 524,287 chains.
const POSITION_BITS: u32 = 44;
const MOST_POSITION: u64 = (1 << POSITION_BITS) - 1;
const MOST_CHAIN: i64 = i64::MAX >> POSITION_BITS;

/// The end of one chain.
#[derive(Clone, Copy, Default)]
pub(super) struct Head {
    /// The chain's number, once it has a row.
    chain: Option<i64>,
    pub(super) position: u64,
    pub(super) hash: ChainHash,
}

/// One chain, as the batch has it.
#[derive(Default)]
struct Chain {
    head: Head,
    /// Entries that are not yet in a row.
    lines: Vec<u8>,
}

/// Where a tenant's chain stood before a changeset.
pub(super) struct Mark(Option<(Head, usize)>);

/// The ends of the chains, as far as this batch or an earlier one has needed them.
#[derive(Default)]
pub(super) struct Heads {
    known: HashMap<TenantId, Chain>,
    /// Those that may have entries which are not yet in a row.
    moved: Vec<TenantId>,
}

impl Heads {
    /// Forgets everything: somebody else has written, or what was written is undone.
    pub(super) fn clear(&mut self) {
        self.known.clear();
        self.moved.clear();
    }

    /// Where a tenant's chain stands, to be [restored](Heads::restore).
    pub(super) fn mark(&self, tenant: TenantId) -> Mark {
        Mark(self.known.get(&tenant).map(|chain| (chain.head, chain.lines.len())))
    }

    /// Takes back what was put behind a chain since it was marked: the changeset is undone.
    pub(super) fn restore(&mut self, tenant: TenantId, Mark(mark): Mark) {
        match (mark, self.known.get_mut(&tenant)) {
            (Some((head, length)), Some(chain)) => {
                chain.head = head;
                chain.lines.truncate(length);
            }
            _ => drop(self.known.remove(&tenant)),
        }
    }

    /// Puts an entry behind the end of a tenant's chain, which moves on.
    pub(super) fn append(&mut self, conn: &Connection, tenant: TenantId, entry: &Entry) -> rusqlite::Result<()> {
        let chain = match self.known.get_mut(&tenant) {
            Some(chain) => chain,
            None => self.known.entry(tenant).or_insert(Chain {
                head: open_end(conn, tenant)?,
                lines: Vec::new(),
            }),
        };
        if chain.lines.is_empty() {
            self.moved.push(tenant);
        }
        let Head { position, hash, .. } = &mut chain.head;
        *position = position.saturating_add(1);
        *hash = hash.follow(*position, entry.digest);
        lines::push(&mut chain.lines, *hash, &entry.bytes);
        Ok(())
    }

    /// Writes a tenant's entries if they are many. Not within a changeset: it might be undone, and others' entries with it.
    pub(super) fn spill(&mut self, statements: &mut Statements<'_>, tenant: TenantId) -> rusqlite::Result<()> {
        match self.known.get_mut(&tenant) {
            Some(chain) if chain.lines.len() >= ROW_BYTES => chain.write(statements, tenant),
            _ => Ok(()),
        }
    }

    /// Writes every entry that is not in a row yet.
    pub(super) fn flush(&mut self, statements: &mut Statements<'_>) -> rusqlite::Result<()> {
        for tenant in self.moved.drain(..) {
            match self.known.get_mut(&tenant) {
                Some(chain) if !chain.lines.is_empty() => chain.write(statements, tenant)?,
                _ => {}
            }
        }
        if self.known.len() > MOST {
            self.known.clear();
        }
        Ok(())
    }
}

impl Chain {
    /// Writes the entries as a row, and where the chain ends now.
    fn write(&mut self, statements: &mut Statements<'_>, tenant: TenantId) -> rusqlite::Result<()> {
        let Head { position, hash, .. } = self.head;
        let end = (key(&tenant.0), position.cast_signed(), &hash.0[..]);
        let chain = match self.head.chain {
            Some(chain) => {
                statements.of(Sql::MoveHead)?.execute(end)?;
                chain
            }
            None => *self.head.chain.insert(begin(statements.conn, end)?),
        };
        let place = place(chain, position).ok_or_else(full)?;
        statements.of(Sql::AppendAudit)?.execute((place, &self.lines))?;
        // Not kept for the next batch: there may be many chains, and each would keep its longest.
        self.lines = Vec::new();
        Ok(())
    }
}

/// Where a row stands; `None` beyond what can be counted.
fn place(chain: i64, position: u64) -> Option<i64> {
    let countable = (0..=MOST_CHAIN).contains(&chain) && position <= MOST_POSITION;
    countable.then(|| (chain << POSITION_BITS) + position.cast_signed())
}

fn full() -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure("the audit log is full, or its end is not what was written".into())
}

/// Gives a tenant's chain a number and keeps its end.
fn begin(conn: &Connection, end: (&[u8], i64, &[u8])) -> rusqlite::Result<i64> {
    // Entries whose chain is recorded no more keep their number.
    const SQL: &str = "INSERT INTO audit_head (tenant, chain, position, hash) \
        SELECT ?1, 1 + max(coalesce(max(chain), 0), coalesce((SELECT max(place) FROM audit) >> 44, 0)), ?2, ?3 \
        FROM audit_head RETURNING chain";
    conn.prepare_cached(SQL)?.query_row(end, |row| row.get(0))
}

/// Where a tenant's chain ends, by what the database knows.
pub(super) fn load(conn: &Connection, tenant: TenantId) -> rusqlite::Result<Head> {
    let mut statement = conn.prepare_cached("SELECT chain, position, hash FROM audit_head WHERE tenant = ?1")?;
    let head = statement.query_row([key(&tenant.0)], |row| {
        Ok(Head {
            chain: Some(row.get(0)?),
            position: row.get::<_, i64>(1)?.cast_unsigned(),
            hash: ChainHash(row.get(2)?),
        })
    });
    Ok(head.optional()?.unwrap_or_default())
}

/// The end of a chain to which entries can be put: there are none behind it already, and it can be counted on.
fn open_end(conn: &Connection, tenant: TenantId) -> rusqlite::Result<Head> {
    let head = load(conn, tenant)?;
    let chain = head.chain.unwrap_or(0);
    let next = place(chain, head.position.saturating_add(1)).ok_or_else(full)?;
    let end = place(chain, MOST_POSITION).ok_or_else(full)?;
    let mut behind = conn.prepare_cached("SELECT 1 FROM audit WHERE place BETWEEN ?1 AND ?2")?;
    if behind.exists([next, end])? {
        return Err(full());
    }
    Ok(head)
}

/// The recorded end of a tenant's chain, which is no end at all if none is recorded. Fails if there may be entries that belong
/// to no chain: the numbers of the chains are not those from 1 on, or there are entries beyond.
pub(super) fn recorded_end(conn: &Connection, tenant: TenantId) -> Result<Head, Error> {
    const SQL: &str = "SELECT count(*) = coalesce(max(chain), 0) AND coalesce(min(chain), 1) = 1 \
        AND NOT EXISTS (SELECT 1 FROM audit WHERE place < 1 << 44) \
        AND NOT EXISTS (SELECT 1 FROM audit WHERE place >= (SELECT coalesce(max(chain), 0) + 1 FROM audit_head) << 44) \
        FROM audit_head";
    let failed = |error: rusqlite::Error| failure(&error);
    let mut statement = conn.prepare_cached(SQL).map_err(failed)?;
    let all_known: bool = statement.query_row([], |row| row.get(0)).map_err(failed)?;
    let head = load(conn, tenant).map_err(failed)?;
    if all_known || head.chain.is_none() {
        Ok(head)
    } else {
        Err(lines::altered())
    }
}

/// At most `limit` entries of a tenant's chain behind the position `after`, in order.
///
/// Each row must follow the one before: its entries are counted on from there, up to its own position.
pub(super) fn read(conn: &Connection, tenant: TenantId, after: u64, limit: u32) -> Result<Vec<AuditEvent>, Error> {
    const BEFORE: &str = "SELECT max(place) FROM audit WHERE place BETWEEN ?1 AND ?2";
    const ROWS: &str = "SELECT place, entries FROM audit WHERE place BETWEEN ?1 AND ?2 ORDER BY place";
    let failed = |error: rusqlite::Error| failure(&error);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut events = Vec::new();
    let chain = load(conn, tenant).map_err(failed)?.chain;
    let ends = |chain| Some([place(chain, 0)?, place(chain, after)?, place(chain, MOST_POSITION)?]);
    let Some([start, reached, end]) = chain.and_then(ends) else {
        return Ok(events);
    };
    let mut before = conn.prepare_cached(BEFORE).map_err(failed)?;
    // Positions count from 1. A row at 0 was slipped in, and is read in order to fail.
    let before: Option<i64> = before
        .query_row([start + 1, reached], |row| row.get(0))
        .map_err(failed)?;
    let mut position = before.map_or(0, |place| (place - start).cast_unsigned());
    let from = if after == 0 { start } else { reached + 1 };
    let mut statement = conn.prepare_cached(ROWS).map_err(failed)?;
    let mut rows = statement.query([from, end]).map_err(failed)?;
    while events.len() < limit
        && let Some(row) = rows.next().map_err(failed)?
    {
        let last = (row.get::<_, i64>(0).map_err(failed)? - start).cast_unsigned();
        let text = row.get_ref(1).map_err(failed)?.as_blob().map_err(Error::internal)?;
        if last <= position {
            return so_far(events, lines::altered());
        }
        // The last entry of a row that has too many is not told, so that nobody gets past it.
        let overfull = lines::read(position, text).count() as u64 > last - position;
        for (place, line) in lines::read(position, text) {
            if events.len() == limit {
                return Ok(events);
            }
            if overfull && place >= last {
                return so_far(events, lines::altered());
            }
            if place > after {
                match lines::event(place, line) {
                    Ok(event) => events.push(event),
                    Err(error) => return so_far(events, error),
                }
            }
            position = place;
        }
        if position != last && events.len() < limit {
            return so_far(events, lines::altered());
        }
    }
    Ok(events)
}

/// What was read before an entry that cannot be; that fails once it is the first.
fn so_far(events: Vec<AuditEvent>, error: Error) -> Result<Vec<AuditEvent>, Error> {
    if events.is_empty() { Err(error) } else { Ok(events) }
}

#[cfg(test)]
mod tests {
    use patchbay_core::audit::{Actor, AuditEntry, Outcome, digest, verify};
    use uuid::Uuid;

    use super::*;
    use crate::store::sqlite::open::MIGRATIONS;

    const A: TenantId = TenantId(Uuid::from_u128(0xA));
    const B: TenantId = TenantId(Uuid::from_u128(0xB));

    fn entry(resource: &str) -> Entry {
        let entry = AuditEntry {
            at: patchbay_core::clock::Timestamp::from_millis(0),
            actor: Actor::operator(),
            action: "update_user".into(),
            dialect: "console".into(),
            request_id: "r".into(),
            resource: resource.to_owned(),
            account: None,
            outcome: Outcome::Done,
            revision: None,
            changes: Vec::new(),
        };
        let bytes = entry.encode().unwrap();
        let digest = digest(&bytes);
        Entry { bytes, digest }
    }

    fn database() -> Connection {
        let mut conn = Connection::open_in_memory().unwrap();
        MIGRATIONS.to_latest(&mut conn).unwrap();
        conn
    }

    fn rows(conn: &Connection) -> i64 {
        conn.query_row("SELECT count(*) FROM audit", [], |row| row.get(0))
            .unwrap()
    }

    fn resources(conn: &Connection, tenant: TenantId) -> Vec<String> {
        let events = read(conn, tenant, 0, u32::MAX).unwrap();
        let end = load(conn, tenant).unwrap();
        assert_eq!(verify((0, ChainHash::default()), &events), Ok((end.position, end.hash)));
        events.into_iter().map(|event| event.entry.resource).collect()
    }

    #[test]
    fn the_entries_of_a_batch_share_a_row_for_each_tenant() {
        let conn = database();
        let (mut heads, mut statements) = (Heads::default(), Statements::new(&conn));
        for batch in ["1", "2"] {
            for (tenant, name) in [(A, "a"), (B, "b"), (A, "c")] {
                heads.append(&conn, tenant, &entry(&format!("{name}{batch}"))).unwrap();
            }
            heads.flush(&mut statements).unwrap();
            // What is in memory is what the database has.
            if batch == "1" {
                heads.clear();
            }
        }
        heads.flush(&mut statements).unwrap();
        assert_eq!(rows(&conn), 4);
        assert_eq!(resources(&conn, A), ["a1", "c1", "a2", "c2"]);
        assert_eq!(resources(&conn, B), ["b1", "b2"]);
        let part = |after, limit| -> Vec<u64> {
            let events = read(&conn, A, after, limit).unwrap();
            events.iter().map(|event| event.position).collect()
        };
        assert_eq!(part(0, 3), [1, 2, 3]);
        assert_eq!(part(1, 2), [2, 3]);
        assert_eq!(part(3, 9), [4]);
        assert!(part(4, 9).is_empty() && part(u64::MAX, 9).is_empty());
    }

    #[test]
    fn what_an_undone_changeset_appended_is_taken_back() {
        let conn = database();
        let (mut heads, mut statements) = (Heads::default(), Statements::new(&conn));
        for (name, undone) in [("a", true), ("b", false), ("c", true), ("d", false)] {
            let mark = heads.mark(A);
            heads.append(&conn, A, &entry(name)).unwrap();
            if undone {
                heads.restore(A, mark);
            }
        }
        heads.flush(&mut statements).unwrap();
        assert_eq!(resources(&conn, A), ["b", "d"]);
    }

    /// Five entries of A in one row and one of B in another, tampered with; what reading A's log says.
    fn tampered(sql: &str) -> Result<u64, u64> {
        let conn = database();
        let (mut heads, mut statements) = (Heads::default(), Statements::new(&conn));
        for tenant in [A, A, A, A, A, B] {
            heads.append(&conn, tenant, &entry("a")).unwrap();
        }
        heads.flush(&mut statements).unwrap();
        conn.execute_batch(sql).unwrap();
        let mut end = (0, ChainHash::default());
        // One at a time, so that every place is the end of a page.
        loop {
            let page = read(&conn, A, end.0, 1).map_err(|_| end.0 + 1)?;
            if page.is_empty() {
                let known = recorded_end(&conn, A).is_ok_and(|head| (head.position, head.hash) == end);
                return if known { Ok(end.0) } else { Err(end.0) };
            }
            end = verify(end, &page)?;
        }
    }

    #[test]
    fn tampering_within_a_row_is_found_where_it_is() {
        let lines = |change: &str| format!("UPDATE audit SET entries = CAST({change} AS BLOB) WHERE place >> 44 = 1");
        // Each line is as long as the others.
        let length = "(length(entries) / 5)";
        let text = "CAST(entries AS TEXT)";
        let line = |number: u8| format!("substr({text}, ({number} - 1) * {length} + 1, {length})");
        assert_eq!(tampered(""), Ok(5));
        let (one, two, three, four, five) = (line(1), line(2), line(3), line(4), line(5));
        assert_eq!(tampered(&lines(&format!("{one} || {two} || {four} || {five}"))), Err(3));
        assert_eq!(
            tampered(&lines(&format!("{one} || {two} || {three} || {four}"))),
            Err(5)
        );
        assert_eq!(tampered(&lines(&format!("{one} || {one} || {text}"))), Err(2));
        assert_eq!(tampered(&lines(&format!("{text} || {five}"))), Err(5));
        assert_eq!(
            tampered(&lines(&format!("{two} || {one} || {three} || {four} || {five}"))),
            Err(1)
        );
    }

    #[test]
    fn entries_of_no_chain_are_found() {
        for tampering in [
            "UPDATE audit_head SET chain = 3, position = 0, hash = zeroblob(32) WHERE chain = 1",
            "DELETE FROM audit_head WHERE chain = 1",
            "DELETE FROM audit_head WHERE chain = 2",
            "INSERT INTO audit SELECT place + (5 << 44), entries FROM audit WHERE place >> 44 = 1",
            "INSERT INTO audit SELECT place - (1 << 44), entries FROM audit WHERE place >> 44 = 1",
        ] {
            let found = tampered(tampering);
            // No entries at all are too few: each log begins with the making of its tenant.
            assert!(matches!(found, Err(_) | Ok(0)), "{tampering}: {found:?}");
        }
    }

    #[test]
    fn a_chain_that_is_set_back_takes_nothing_and_leaves_others_alone() {
        let conn = database();
        let (mut heads, mut statements) = (Heads::default(), Statements::new(&conn));
        for tenant in [A, A, B] {
            heads.append(&conn, tenant, &entry("a")).unwrap();
        }
        heads.flush(&mut statements).unwrap();
        conn.execute("UPDATE audit_head SET position = 1 WHERE chain = 1", [])
            .unwrap();
        heads.clear();
        heads.append(&conn, A, &entry("b")).unwrap_err();
        heads.append(&conn, B, &entry("b")).unwrap();
        heads.flush(&mut statements).unwrap();
        assert_eq!(resources(&conn, B), ["a", "b"]);
    }

    #[test]
    fn a_long_batch_has_several_rows() {
        let conn = database();
        let (mut heads, mut statements) = (Heads::default(), Statements::new(&conn));
        let long = "x".repeat(ROW_BYTES / 3);
        for _ in 0..8 {
            heads.append(&conn, A, &entry(&long)).unwrap();
            heads.spill(&mut statements, A).unwrap();
        }
        heads.flush(&mut statements).unwrap();
        assert_eq!(rows(&conn), 3);
        assert_eq!(resources(&conn, A).len(), 8);
    }

    #[test]
    fn a_chain_that_cannot_be_counted_on_is_refused_and_not_wrapped() {
        let conn = database();
        let full = MOST_POSITION.cast_signed();
        for (chain, position) in [(1, full), (1, -1), (MOST_CHAIN + 1, 0), (-1, 0)] {
            conn.execute("DELETE FROM audit_head", []).unwrap();
            let row = (key(&A.0), chain, position, &[0u8; 32][..]);
            conn.execute("INSERT INTO audit_head VALUES (?1, ?2, ?3, ?4)", row)
                .unwrap();
            let (mut heads, mut statements) = (Heads::default(), Statements::new(&conn));
            let appended = heads.append(&conn, A, &entry("a"));
            assert!(appended.is_err() || heads.flush(&mut statements).is_err());
            assert!(read(&conn, A, 0, 9).unwrap().is_empty());
        }
    }
}

//! The statements of an ordinary update, kept prepared by the one who writes.
//!
//! The connection's own cache looks a statement up by its text, which for these took a tenth of the writer's time.

use rusqlite::{Connection, Statement};

/// A statement that every update or every batch needs.
#[derive(Clone, Copy)]
pub(super) enum Sql {
    /// Begins a batch.
    Begin,
    /// Ends a batch.
    Commit,
    /// Begins a changeset.
    Savepoint,
    /// Ends a changeset.
    Release,
    /// A number that changes whenever another connection has written.
    DataVersion,
    /// Writes a user over one revision of him; indexes stay as they are.
    UpdateUser,
    /// The same, where the number of his row is known as well.
    UpdateRow,
    /// Puts a row of entries behind the end of a tenant's audit chain.
    AppendAudit,
    /// Keeps where a tenant's audit chain ends.
    MoveHead,
}

impl Sql {
    /// How many there are.
    const COUNT: usize = Self::MoveHead as usize + 1;

    fn text(self) -> &'static str {
        match self {
            Self::Begin => "BEGIN IMMEDIATE",
            Self::Commit => "COMMIT",
            Self::Savepoint => "SAVEPOINT changeset",
            Self::Release => "RELEASE changeset",
            Self::DataVersion => "PRAGMA data_version",
            Self::UpdateUser => {
                "UPDATE users SET revision = ?4, doc = ?5 WHERE tenant = ?1 AND id = ?2 AND revision = ?3"
            }
            Self::UpdateRow => {
                "UPDATE users SET revision = ?4, doc = ?5 \
                 WHERE rowid = ?6 AND tenant = ?1 AND id = ?2 AND revision = ?3"
            }
            Self::AppendAudit => "INSERT INTO audit (place, entries) VALUES (?1, ?2)",
            Self::MoveHead => "UPDATE audit_head SET position = ?2, hash = ?3 WHERE tenant = ?1",
        }
    }
}

/// A connection and its statements, each prepared when it is first needed.
pub(super) struct Statements<'c> {
    /// The connection, for everything else.
    pub(super) conn: &'c Connection,
    prepared: [Option<Statement<'c>>; Sql::COUNT],
}

impl<'c> Statements<'c> {
    pub(super) fn new(conn: &'c Connection) -> Self {
        let prepared = std::array::from_fn(|_| None);
        Self { conn, prepared }
    }

    /// A statement, ready to be run.
    pub(super) fn of(&mut self, sql: Sql) -> rusqlite::Result<&mut Statement<'c>> {
        match &mut self.prepared[sql as usize] {
            Some(statement) => Ok(statement),
            missing => Ok(missing.insert(self.conn.prepare(sql.text())?)),
        }
    }

    /// Runs a statement that takes and tells nothing.
    pub(super) fn run(&mut self, sql: Sql) -> rusqlite::Result<()> {
        self.of(sql)?.execute([]).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::open;

    #[test]
    fn a_user_whose_row_is_known_is_found_without_an_index() {
        let folder = tempfile::tempdir().unwrap();
        let (conn, _changes) = open::prepare(folder.path(), 100, false).unwrap();
        let plan = |sql: Sql| {
            let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {}", sql.text())).unwrap();
            let mut steps = statement.raw_query();
            steps.next().unwrap().unwrap().get::<_, String>(3).unwrap()
        };
        assert_eq!(plan(Sql::UpdateRow), "SEARCH users USING INTEGER PRIMARY KEY (rowid=?)");
        assert!(plan(Sql::UpdateUser).contains("(tenant=? AND id=?)"));
    }
}

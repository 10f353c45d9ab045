//! Opening the database file: the settings of a connection, the schema, and what can be wrong with a folder.

use std::{
    fs::{DirBuilder, OpenOptions},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::LazyLock,
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode, OpenFlags, config::DbConfig};
use rusqlite_migration::{M, Migrations};

use super::changes::{Changes, Unusable};

/// The database's name within the data folder.
pub const FILE: &str = "patchbay.db";
/// The bytes of a page, in a database that is made here; one that was made with others keeps them. An update of a
/// user of up to 1.9 KB writes a page or two, whole, to the log, so the smaller they are the less there is to copy and to sync.
/// Smaller ones still would cut the document of an ordinary user in two.
const PAGE_SIZE: u32 = 2048;
/// How long a connection waits for another process that writes.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long another command may take to bring the schema up to date.
const ALONE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long to wait before asking again whether it has.
const ALONE_PAUSE: Duration = Duration::from_millis(20);

/// Every schema there ever was, oldest first. Forward only: a step that was released is never edited.
const STEPS: &[M<'static>] = &[
    M::up(include_str!("migrations/0001_records.sql")),
    M::up(include_str!("migrations/0002_ledger.sql")),
    M::up(include_str!("migrations/0003_ledger_key.sql")),
    M::up(include_str!("migrations/0004_unused_columns.sql")),
    M::up(include_str!("migrations/0005_audit_rows.sql")),
];

/// The steps as they are run.
pub(super) static MIGRATIONS: LazyLock<Migrations<'static>> = LazyLock::new(|| Migrations::from_slice(STEPS));

/// The version of the schema that this build writes: how many steps there are.
pub fn schema_version() -> u32 {
    u32::try_from(STEPS.len()).unwrap_or(u32::MAX)
}

/// Why a data folder cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A later version of Patchbay has written there.
    #[error(
        "the data folder {} was written by a newer version of Patchbay (schema {found}, this one knows up to {known})",
        folder.display()
    )]
    NewerSchema {
        /// The folder.
        folder: PathBuf,
        /// The schema's version there.
        found: u32,
        /// The latest that is known here.
        known: u32,
    },
    /// The folder or its database cannot be made or written.
    #[error("the data folder {} cannot be written: {reason}", folder.display())]
    NotWritable {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// Another process serves from there.
    #[error("the data folder {} is served by another process already: stop it first, or use another folder", folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// Anything else: not a database, damaged, in use by a program that lets nobody in.
    #[error("the data folder {} cannot be opened: {reason}", folder.display())]
    Other {
        /// The folder.
        folder: PathBuf,
        /// What went wrong.
        reason: String,
    },
}

/// Makes the folder and the file where they are missing, readable by their owner alone, and brings the schema up to date,
/// which no other process may be serving meanwhile. Answers the connection of the writer.
pub(super) fn prepare(folder: &Path, cache_kib: u32, serving: bool) -> Result<(Connection, Changes), OpenError> {
    let unwritable = |error: std::io::Error| OpenError::NotWritable {
        folder: folder.to_owned(),
        reason: error.to_string(),
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(unwritable)?;
    let file = folder.join(FILE);
    // Closing it again lets go of the locks that this process has on it: none, as long as it opens a folder once.
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&file)
        .map_err(unwritable)?;
    let failed = |error: rusqlite::Error| explain(folder, &error);
    let mut conn = connect(&file, Access::ReadWrite, cache_kib).map_err(failed)?;
    refuse_foreign(folder, &conn)?;
    refuse_newer(folder, &conn)?;
    let changes = open_changes(folder, &conn, serving)?;
    // It is fixed once there is anything in the database.
    conn.pragma_update(None, "page_size", PAGE_SIZE).map_err(failed)?;
    use_log(&conn).map_err(failed)?;
    migrate(folder, &mut conn, &changes)?;
    Ok((conn, changes))
}

/// What a connection may do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    ReadWrite,
    ReadOnly,
}

/// A connection with the settings that all of them have. Statements stay prepared; temporary data never touches the disk;
/// nobody checkpoints by the way, be it in writing or as the last to be closed: that has a thread of its own, and the writer
/// does it at the end.
pub(super) fn connect(file: &Path, access: Access, cache_kib: u32) -> rusqlite::Result<Connection> {
    let flags = match access {
        Access::ReadWrite => OpenFlags::SQLITE_OPEN_READ_WRITE,
        Access::ReadOnly => OpenFlags::SQLITE_OPEN_READ_ONLY,
    };
    let conn = Connection::open_with_flags(file, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    conn.set_prepared_statement_cache_capacity(64);
    conn.pragma_update(None, "synchronous", "full")?;
    conn.pragma_update(None, "temp_store", "memory")?;
    conn.pragma_update(None, "cache_size", -i64::from(cache_kib))?;
    conn.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(conn)
}

/// Has the database write a log. Others who just open a new one, to do the same, are waited for here: the database does not.
fn use_log(conn: &Connection) -> rusqlite::Result<()> {
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        match conn.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(())) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && Instant::now() < deadline => {
                thread::sleep(ALONE_PAUSE);
            }
            outcome => return outcome,
        }
    }
}

fn refuse_newer(folder: &Path, conn: &Connection) -> Result<(), OpenError> {
    let found: u32 = conn
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(|error| explain(folder, &error))?;
    if found > schema_version() {
        return Err(OpenError::NewerSchema {
            folder: folder.to_owned(),
            found,
            known: schema_version(),
        });
    }
    Ok(())
}

/// Refuses a database in which there is something, but not what every version of ours has made: it is another program's.
fn refuse_foreign(folder: &Path, conn: &Connection) -> Result<(), OpenError> {
    const SQL: &str = "SELECT EXISTS (SELECT 1 FROM sqlite_schema) \
        AND NOT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'tenants')";
    let foreign: bool = conn
        .query_row(SQL, [], |row| row.get(0))
        .map_err(|error| explain(folder, &error))?;
    if foreign {
        return Err(OpenError::Other {
            folder: folder.to_owned(),
            reason: format!("{FILE} is another program's database"),
        });
    }
    Ok(())
}

/// Opens the file by which processes know of each other. A command that brings the schema up to date, and so keeps out who wants to
/// serve, is waited for.
fn open_changes(folder: &Path, conn: &Connection, serving: bool) -> Result<Changes, OpenError> {
    let deadline = Instant::now() + ALONE_TIMEOUT;
    let mut waiting = true;
    loop {
        match Changes::open(folder, serving) {
            Err(Unusable::Taken) if waiting && Instant::now() < deadline => {
                // Asked before the pause: the lock is let go of a little after the last step.
                waiting = pending(folder, conn)?;
                thread::sleep(ALONE_PAUSE);
            }
            outcome => return outcome.map_err(|error| unusable(folder, error)),
        }
    }
}

/// Whether steps are missing.
fn pending(folder: &Path, conn: &Connection) -> Result<bool, OpenError> {
    let pending = MIGRATIONS.pending_migrations(conn);
    pending
        .map(|steps| steps > 0)
        .map_err(|error| not_migrated(folder, error))
}

/// Runs the missing steps, if there are any, while no other process serves: an older one would go on writing by the old
/// schema. A command that does the same is waited for; then one of the two finds it done.
fn migrate(folder: &Path, conn: &mut Connection, changes: &Changes) -> Result<(), OpenError> {
    let deadline = Instant::now() + ALONE_TIMEOUT;
    while pending(folder, conn)? {
        match changes.alone() {
            Ok(_alone) => return to_latest(conn).map_err(|error| not_migrated(folder, error)),
            Err(Unusable::Taken) if Instant::now() < deadline => thread::sleep(ALONE_PAUSE),
            Err(error) => return Err(unusable(folder, error)),
        }
    }
    Ok(())
}

fn not_migrated(folder: &Path, error: rusqlite_migration::Error) -> OpenError {
    match error {
        rusqlite_migration::Error::RusqliteError { err, .. } => explain(folder, &err),
        error => OpenError::Other {
            folder: folder.to_owned(),
            reason: error.to_string(),
        },
    }
}

/// Says what is wrong with the file by which processes know of each other.
pub(super) fn unusable(folder: &Path, error: Unusable) -> OpenError {
    let folder = folder.to_owned();
    match error {
        Unusable::Taken => OpenError::InUse { folder },
        Unusable::Io(error) => OpenError::NotWritable {
            folder,
            reason: error.to_string(),
        },
    }
}

/// Says in the caller's terms what the database says in its own.
pub(super) fn explain(folder: &Path, error: &rusqlite::Error) -> OpenError {
    let reason = match error {
        // The rest is the whole text of a statement of ours.
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        error => error.to_string(),
    };
    let folder = folder.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::DiskFull) => {
            OpenError::NotWritable { folder, reason }
        }
        _ => OpenError::Other { folder, reason },
    }
}

/// Brings the schema up to date. What that needs besides goes to temporary files: a table that is given up is as long as the log.
fn to_latest(conn: &mut Connection) -> rusqlite_migration::Result<()> {
    conn.pragma_update(None, "temp_store", "default")?;
    let migrated = MIGRATIONS.to_latest(conn);
    conn.pragma_update(None, "temp_store", "memory")?;
    migrated
}

#[cfg(test)]
mod tests {
    use patchbay_core::{
        audit::{self, Actor, AuditEntry, ChainHash, Outcome},
        clock::Timestamp,
        id::TenantId,
    };
    use uuid::Uuid;

    use super::*;
    use crate::store::sqlite::{chain, read::key};

    fn schema(conn: &Connection) -> Vec<(String, String, Option<String>)> {
        let mut statement = conn
            .prepare("SELECT type, name, sql FROM sqlite_schema ORDER BY type, name")
            .unwrap();
        let rows = statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .unwrap();
        rows.map(Result::unwrap).collect()
    }

    #[test]
    fn a_schema_brought_up_step_by_step_is_a_fresh_one() {
        let mut fresh = Connection::open_in_memory().unwrap();
        MIGRATIONS.to_latest(&mut fresh).unwrap();
        assert!(schema(&fresh).len() > 12);
        let mut upgraded = Connection::open_in_memory().unwrap();
        for version in 1..=STEPS.len() {
            MIGRATIONS.to_version(&mut upgraded, version).unwrap();
        }
        assert_eq!(schema(&upgraded), schema(&fresh));
    }

    #[test]
    fn writes_from_before_the_ledger_had_keys_are_found_by_them() {
        let mut conn = Connection::open_in_memory().unwrap();
        MIGRATIONS.to_version(&mut conn, 2).unwrap();
        let documents = [r#"{"idempotency":{"key":"c/k"}}"#, r#"{"idempotency":null}"#];
        for (id, document) in (0u8..).zip(documents) {
            let row = (vec![id], document.as_bytes());
            let insert = "INSERT INTO ledger (tenant, id, doc) VALUES (x'00', ?1, ?2)";
            conn.execute(insert, row).unwrap();
        }
        MIGRATIONS.to_latest(&mut conn).unwrap();
        let mut statement = conn.prepare("SELECT key FROM ledger ORDER BY id").unwrap();
        let keys = statement.query_map([], |row| row.get(0)).unwrap();
        let keys: Vec<Option<String>> = keys.map(Result::unwrap).collect();
        assert_eq!(keys, [Some("c/k".to_owned()), None]);
    }

    #[test]
    fn a_log_from_before_entries_shared_rows_is_read_as_it_was() {
        let mut conn = Connection::open_in_memory().unwrap();
        MIGRATIONS.to_version(&mut conn, 4).unwrap();
        let tenants = [7, 3, 9].map(|number| TenantId(Uuid::from_u128(number)));
        let mut written = Vec::new();
        for tenant in tenants {
            let mut hash = ChainHash::default();
            for position in 1..=2 {
                let entry = AuditEntry {
                    at: Timestamp::from_millis(0),
                    actor: Actor::operator(),
                    action: "update_user".into(),
                    dialect: "console".into(),
                    request_id: "r".into(),
                    resource: tenant.to_string(),
                    account: None,
                    outcome: Outcome::Done,
                    revision: None,
                    changes: Vec::new(),
                };
                let bytes = entry.encode().unwrap();
                hash = hash.follow(position, audit::digest(&bytes));
                let row = (key(&tenant.0), position.cast_signed(), &bytes, &hash.0[..]);
                conn.execute("INSERT INTO audit VALUES (?1, ?2, ?3, ?4)", row).unwrap();
            }
            // Positions that cannot be are slipped in before, behind and beside the chain.
            for position in [-5, i64::MAX, (1 << 44) + 1] {
                let row = (key(&tenant.0), position, &b"{}"[..], &[0u8; 32][..]);
                if tenant == tenants[0] {
                    conn.execute("INSERT INTO audit VALUES (?1, ?2, ?3, ?4)", row).unwrap();
                }
            }
            // The last one's end was taken out.
            if tenant != tenants[2] {
                let row = (key(&tenant.0), 2, &hash.0[..]);
                conn.execute("INSERT INTO audit_head VALUES (?1, ?2, ?3)", row).unwrap();
                written.push((tenant, hash));
            }
        }
        MIGRATIONS.to_latest(&mut conn).unwrap();
        for (tenant, hash) in written {
            if tenant == tenants[0] {
                chain::read(&conn, tenant, 0, 10).unwrap_err();
                continue;
            }
            let events = chain::read(&conn, tenant, 0, 10).unwrap();
            assert_eq!(audit::verify((0, ChainHash::default()), &events), Ok((2, hash)));
            assert_eq!(events[1].entry.resource, tenant.to_string());
            let head = chain::load(&conn, tenant).unwrap();
            assert_eq!((head.position, head.hash), (2, hash));
        }
        assert_eq!(chain::read(&conn, tenants[2], 0, 10).unwrap().len(), 2);
        assert_eq!(chain::load(&conn, tenants[2]).unwrap().position, 0);
    }

    /// But for the audit log's rows: their place begins with their tenant's number, and they are only found by it.
    #[test]
    fn every_primary_key_begins_with_the_tenant() {
        let mut conn = Connection::open_in_memory().unwrap();
        MIGRATIONS.to_latest(&mut conn).unwrap();
        for (_, table, _) in schema(&conn).into_iter().filter(|(kind, ..)| kind == "table") {
            let first: String = conn
                .query_row("SELECT name FROM pragma_table_info(?1) WHERE pk = 1", [&table], |row| {
                    row.get(0)
                })
                .unwrap();
            let expected = if table == "audit" { "place" } else { "tenant" };
            assert_eq!(first, expected, "{table}");
        }
    }

    #[test]
    fn the_schema_stays_as_it_is_while_another_process_serves() {
        let folder = tempfile::tempdir().unwrap();
        let version =
            |conn: &Connection| -> u32 { conn.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap() };
        let mut old = Connection::open(folder.path().join(FILE)).unwrap();
        MIGRATIONS.to_version(&mut old, 2).unwrap();
        let Ok(server) = Changes::open(folder.path(), true) else {
            panic!("nobody serves yet");
        };
        let refused = prepare(folder.path(), 100, false);
        assert!(matches!(refused, Err(OpenError::InUse { .. })));
        assert_eq!(version(&old), 2);
        drop(server);
        let (conn, _changes) = prepare(folder.path(), 100, false).unwrap();
        assert_eq!(version(&conn), schema_version());
        assert!(Changes::open(folder.path(), true).is_ok(), "others may serve again");
    }

    #[test]
    fn who_wants_to_serve_waits_for_a_command_that_makes_the_schema() {
        let folder = tempfile::tempdir().unwrap();
        let Ok(command) = Changes::open(folder.path(), false) else {
            panic!("the folder can be written");
        };
        let Ok(alone) = command.alone() else {
            panic!("nobody serves");
        };
        let mut conn = Connection::open(folder.path().join(FILE)).unwrap();
        thread::scope(|scope| {
            let server = scope.spawn(|| prepare(folder.path(), 100, true).map(|_| ()));
            thread::sleep(Duration::from_millis(100));
            MIGRATIONS.to_latest(&mut conn).unwrap();
            drop(alone);
            server.join().unwrap().unwrap();
        });
    }

    #[test]
    fn another_programs_database_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let other = Connection::open(folder.path().join(FILE)).unwrap();
        other
            .execute_batch("CREATE TABLE guests (name TEXT); PRAGMA user_version = 5")
            .unwrap();
        let error = prepare(folder.path(), 100, false).map(|_| ()).unwrap_err().to_string();
        assert!(error.ends_with("is another program's database"), "{error}");
        assert_eq!(schema(&other).len(), 1);
    }
}

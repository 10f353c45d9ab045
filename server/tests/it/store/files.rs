//! What only a store in files can get wrong: folders, versions, other processes, a full queue, the end.

use std::{path::Path, sync::Arc, time::Duration};

use futures_util::future::join_all;
use patchbay::store::sqlite::{OpenError, Options, SqliteStore, schema_version};
use patchbay_core::{
    audit::{ChainHash, verify},
    changeset::{Changeset, IDEMPOTENCY_SECONDS, Idempotency, IdempotencyRecord},
    credential::CredentialHash,
    error::Error,
    revision::Expect,
    store::Store,
};
use rusqlite::Connection;
use tempfile::tempdir;
use tokio::task::JoinSet;

use super::{T, at, get, log, patch, refused, sound_log, title, with_users};

fn open(folder: &Path) -> SqliteStore {
    SqliteStore::open(folder, &Options::default()).unwrap()
}

/// As a server opens its folder: with users in memory.
fn caching() -> Options {
    Options {
        cached_users: 100,
        ..Options::default()
    }
}

pub fn database(folder: &Path) -> Connection {
    Connection::open(folder.join("patchbay.db")).unwrap()
}

#[tokio::test]
async fn a_reopened_folder_has_everything() {
    let folder = tempdir().unwrap();
    let store = open(&folder.path().join("made/when/missing"));
    with_users(&store, 2).await;
    store.commit(patch(1, Expect::Any, title("x"))).await.unwrap();
    drop(store);
    let store = open(&folder.path().join("made/when/missing"));
    assert_eq!(get(&store, 1).await.title.as_deref(), Some("x"));
    store.commit(patch(2, Expect::Any, title("y"))).await.unwrap();
    assert_eq!(sound_log(&store, T).await.len(), 2);
}

#[test]
fn the_folder_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempdir().unwrap();
    let data = folder.path().join("data");
    let _store = open(&data);
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    for file in ["patchbay.db", "patchbay.db-wal", "patchbay.db-shm"] {
        assert_eq!(mode(&data.join(file)), 0o600, "{file}");
    }
}

#[test]
fn a_newer_schema_is_refused_in_one_sentence() {
    let folder = tempdir().unwrap();
    drop(open(folder.path()));
    let newer = schema_version() + 1;
    database(folder.path())
        .pragma_update(None, "user_version", newer)
        .unwrap();
    let before = std::fs::read(folder.path().join("patchbay.db")).unwrap();
    let error = SqliteStore::open(folder.path(), &Options::default()).err().unwrap();
    assert!(matches!(error, OpenError::NewerSchema { found, known, .. } if (found, known) == (newer, newer - 1)));
    let sentence = error.to_string();
    assert!(
        sentence.contains("written by a newer version of Patchbay"),
        "{sentence}"
    );
    assert!(!sentence.contains('\n'));
    assert_eq!(
        std::fs::read(folder.path().join("patchbay.db")).unwrap(),
        before,
        "nothing is touched"
    );
}

#[test]
fn a_folder_that_cannot_be_written_is_said_so() {
    let folder = tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "x").unwrap();
    let error = SqliteStore::open(&folder.path().join("file"), &Options::default())
        .err()
        .unwrap();
    assert!(matches!(error, OpenError::NotWritable { .. }), "{error:?}");
    let error = SqliteStore::open(&folder.path().join("file/below"), &Options::default())
        .err()
        .unwrap();
    assert!(matches!(error, OpenError::NotWritable { .. }), "{error:?}");
}

#[test]
fn a_file_that_is_no_database_is_said_so() {
    let folder = tempdir().unwrap();
    std::fs::write(
        folder.path().join("patchbay.db"),
        "no database, but long enough to be read as one".repeat(50),
    )
    .unwrap();
    let error = SqliteStore::open(folder.path(), &Options::default()).err().unwrap();
    assert!(matches!(error, OpenError::Other { .. }), "{error:?}");
}

#[tokio::test]
async fn tampering_in_the_file_is_found() {
    let folder = tempdir().unwrap();
    let store = open(folder.path());
    with_users(&store, 1).await;
    for n in 0..5 {
        store
            .commit(patch(1, Expect::Any, title(&n.to_string())))
            .await
            .unwrap();
    }
    let changed = database(folder.path())
        .execute(
            "UPDATE audit SET entries = CAST(replace(CAST(entries AS TEXT), 'operator', 'somebody') AS BLOB) \
                WHERE place & 0xffff = 3",
            [],
        )
        .unwrap();
    assert_eq!(changed, 1);
    assert_eq!(verify((0, ChainHash::default()), &log(&store, T).await), Err(3));
}

#[tokio::test]
async fn an_update_finds_its_user_though_his_row_has_another_number_by_now() {
    let folder = tempdir().unwrap();
    let options = caching();
    let store = SqliteStore::open(folder.path(), &options).unwrap();
    with_users(&store, 2).await;
    drop(store);
    let store = SqliteStore::open(folder.path(), &options).unwrap();
    let mut update = patch(1, Expect::Any, title("x"));
    update.seen = Some(get(&store, 1).await);
    // As compacting does: the number that is known is another user's by now.
    let renumber = "UPDATE users SET rowid = 1000 WHERE serial = 1; UPDATE users SET rowid = 1 WHERE serial = 2";
    database(folder.path()).execute_batch(renumber).unwrap();
    assert!(store.commit(update).await.unwrap().changed);
    let mut update = patch(1, Expect::Any, title("y"));
    update.seen = Some(get(&store, 1).await);
    assert!(store.commit(update).await.unwrap().changed);
    let kept = (get(&store, 1).await.title.clone(), get(&store, 2).await.title.clone());
    assert_eq!(kept, (Some("y".into()), None));
    assert_eq!(sound_log(&store, T).await.len(), 2);
}

/// Holds the database's write lock, as another process might, so that the writer has to wait.
pub fn hold(folder: &Path) -> Connection {
    let other = database(folder);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    other
}

#[tokio::test]
async fn a_server_is_ready_once_it_can_write() {
    let folder = tempdir().unwrap();
    drop(open(folder.path()));
    let lock = hold(folder.path());
    let options = Options {
        serving: true,
        ..Options::default()
    };
    let store = SqliteStore::open(folder.path(), &options).unwrap();
    assert!(store.tenants().await.unwrap().is_empty(), "it reads");
    let many = || join_all((0..50).map(|_| store.ready()));
    let early = tokio::time::timeout(Duration::from_millis(100), many()).await;
    assert!(early.is_err(), "it still waits");
    let release = async {
        tokio::task::yield_now().await;
        drop(lock);
    };
    let (ready, ()) = tokio::join!(many(), release);
    ready.into_iter().for_each(Result::unwrap);
    let written = folder.path().join("patchbay.db-wal").metadata().unwrap().len();
    assert!((1..20 * 2048).contains(&written), "and shows it once for many who ask");
}

#[tokio::test]
async fn a_full_queue_refuses_and_loses_nothing() {
    let folder = tempdir().unwrap();
    let options = Options {
        queue: 4,
        batch: 1,
        ..Options::default()
    };
    let store = Arc::new(SqliteStore::open(folder.path(), &options).unwrap());
    with_users(&*store, 20).await;
    let lock = hold(folder.path());
    let mut tasks = JoinSet::new();
    for n in 1..=20 {
        let store = store.clone();
        tasks.spawn(async move { (n, store.commit(patch(n, Expect::Any, title("x"))).await) });
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    drop(lock);
    let (mut done, mut busy) = (0, 0);
    while let Some(outcome) = tasks.join_next().await {
        let (n, outcome) = outcome.unwrap();
        let title = get(&*store, n).await.title.clone();
        match outcome {
            Ok(_) => {
                done += 1;
                assert_eq!(title.as_deref(), Some("x"));
            }
            Err(Error::Busy { retry_after }) => {
                busy += 1;
                assert_eq!((retry_after, title), (1, None), "nothing was done");
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(busy >= 15 && done >= 4, "{busy} refused, {done} done");
    assert_eq!(sound_log(&*store, T).await.len(), done);
    store.commit(patch(1, Expect::Any, title("y"))).await.unwrap();
}

#[tokio::test]
async fn too_many_bytes_in_the_queue_refuse_too() {
    let folder = tempdir().unwrap();
    let options = Options {
        queue_bytes: 10_000,
        batch: 1,
        ..Options::default()
    };
    let store = Arc::new(SqliteStore::open(folder.path(), &options).unwrap());
    with_users(&*store, 30).await;
    let lock = hold(folder.path());
    let mut tasks = JoinSet::new();
    for n in 1..=30 {
        let store = store.clone();
        tasks.spawn(async move { store.commit(patch(n, Expect::Any, title("x"))).await.is_ok() });
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    drop(lock);
    let done = tasks.join_all().await.into_iter().filter(|done| *done).count();
    assert!((5..=15).contains(&done), "{done}");
}

#[tokio::test]
async fn closing_writes_what_was_taken() {
    let folder = tempdir().unwrap();
    let store = Arc::new(open(folder.path()));
    with_users(&*store, 50).await;
    let lock = hold(folder.path());
    let mut tasks = JoinSet::new();
    for n in 1..=50 {
        let store = store.clone();
        tasks.spawn(async move { store.commit(patch(n, Expect::Any, title("x"))).await });
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let closing = tokio::task::spawn_blocking({
        let store = store.clone();
        move || store.close()
    });
    drop(lock);
    closing.await.unwrap();
    let done = tasks.join_all().await;
    assert!(done.iter().all(Result::is_ok), "all were taken before");
    assert_eq!(
        refused(store.commit(patch(1, Expect::Any, title("y"))).await),
        "internal"
    );
    assert_eq!(refused(store.ready().await), "internal");
    assert_eq!(sound_log(&*store, T).await.len(), 50, "reads go on");
    drop(store);
    let log = folder.path().join("patchbay.db-wal").metadata();
    assert_eq!(log.map_or(0, |log| log.len()), 0, "the log is worked in at the end");
    assert_eq!(sound_log(&open(folder.path()), T).await.len(), 50);
}

#[tokio::test]
async fn another_process_may_write_at_the_same_time() {
    let folder = tempdir().unwrap();
    let stores = [open(folder.path()), open(folder.path())].map(Arc::new);
    with_users(&*stores[0], 2).await;
    for round in 0..10 {
        for store in &stores {
            store
                .commit(patch(1, Expect::Any, title(&format!("{round}"))))
                .await
                .unwrap();
            store.commit(patch(1, Expect::Any, title("between"))).await.unwrap();
        }
    }
    let mut tasks = JoinSet::new();
    for n in 0..100_u32 {
        let store = stores[n as usize % 2].clone();
        tasks.spawn(async move {
            store
                .commit(patch(2, Expect::Any, title(&n.to_string())))
                .await
                .map(drop)
        });
    }
    tasks.join_all().await.into_iter().for_each(Result::unwrap);
    for store in &stores {
        assert_eq!(get(&**store, 2).await.revision.0, 101);
        assert_eq!(sound_log(&**store, T).await.len(), 40 + 100);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_stays_short_under_constant_writes() {
    let folder = tempdir().unwrap();
    let options = Options {
        checkpoint_every: Duration::from_millis(10),
        log_pages: 200,
        ..Options::default()
    };
    let store = Arc::new(SqliteStore::open(folder.path(), &options).unwrap());
    with_users(&*store, 8).await;
    let mut tasks = JoinSet::new();
    for n in 1..=8 {
        let store = store.clone();
        tasks.spawn(async move {
            for round in 0..400 {
                store
                    .commit(patch(n, Expect::Any, title(&round.to_string())))
                    .await
                    .unwrap();
            }
        });
    }
    tasks.join_all().await;
    // 3,200 updates in batches of at most 8 write at least 400 * 4 pages of 2 KiB.
    let length = folder.path().join("patchbay.db-wal").metadata().unwrap().len();
    assert!(length < 1000 * 2048, "{length}");
    assert_eq!(sound_log(&*store, T).await.len(), 3200);
}

#[tokio::test]
async fn a_closed_store_leaves_no_log_though_it_is_being_copied() {
    let options = Options {
        checkpoint_every: Duration::from_micros(1),
        ..Options::default()
    };
    for _ in 0..5 {
        let folder = tempdir().unwrap();
        let store = SqliteStore::open(folder.path(), &options).unwrap();
        with_users(&store, 3000).await;
        get(&store, 1).await;
        store.close();
        let log = folder.path().join("patchbay.db-wal").metadata();
        assert_eq!(log.map_or(0, |log| log.len()), 0);
    }
}

#[tokio::test]
async fn a_database_keeps_the_pages_that_it_was_made_with() {
    for (made_with, has) in [(None, 2048), (Some("4096"), 4096), (Some("65536"), 65536)] {
        let folder = tempdir().unwrap();
        if let Some(bytes) = made_with {
            let sql = format!("PRAGMA page_size = {bytes}; PRAGMA journal_mode = wal;");
            database(folder.path()).execute_batch(&sql).unwrap();
        }
        let store = open(folder.path());
        with_users(&store, 2).await;
        store.commit(patch(1, Expect::Any, title("x"))).await.unwrap();
        assert_eq!(sound_log(&store, T).await.len(), 1);
        let size = database(folder.path()).pragma_query_value(None, "page_size", |row| row.get(0));
        assert_eq!(size, Ok(has));
    }
}

#[tokio::test]
async fn stale_idempotency_keys_are_taken_away() {
    let folder = tempdir().unwrap();
    let store = open(folder.path());
    with_users(&store, 1).await;
    let keyed = |n: u32, seconds: i64| {
        let mut changeset = Changeset::new(T, at(seconds));
        changeset.idempotency = Some(Idempotency {
            key: n.to_string(),
            fingerprint: [0; 32],
            record: IdempotencyRecord::Finish,
        });
        changeset
    };
    for n in 0..40 {
        store.commit(keyed(n, i64::from(n))).await.unwrap();
    }
    let kept = || -> u32 {
        let count = "SELECT count(*) FROM idempotency";
        database(folder.path()).query_row(count, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(kept(), 40);
    store.commit(keyed(100, 2 * IDEMPOTENCY_SECONDS)).await.unwrap();
    assert_eq!(kept(), 1);
}

#[tokio::test]
async fn a_plain_update_does_not_touch_the_indexes() {
    let folder = tempdir().unwrap();
    let _store = open(folder.path());
    let steps = |sql: &str| -> Vec<String> {
        let conn = database(folder.path());
        let mut statement = conn.prepare(&format!("EXPLAIN {sql}")).unwrap();
        let rows = statement.query_map([], |row| row.get::<_, String>(1)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let key = "WHERE tenant = x'0A' AND id = x'01' AND revision = 1";
    let plain = steps(&format!("UPDATE users SET revision = 2, doc = x'00' {key}"));
    assert!(
        !plain.iter().any(|step| step == "IdxInsert" || step == "IdxDelete"),
        "{plain:?}"
    );
    let rekeyed = steps(&format!("UPDATE users SET revision = 2, username_key = 'a' {key}"));
    assert!(rekeyed.iter().any(|step| step == "IdxInsert"), "{rekeyed:?}");
}

#[tokio::test]
async fn a_store_that_keeps_users_in_memory_sees_what_another_process_writes() {
    let folder = tempdir().unwrap();
    let cached = caching();
    let server = SqliteStore::open(folder.path(), &cached).unwrap();
    let second = SqliteStore::open(folder.path(), &cached);
    assert!(
        matches!(second, Err(OpenError::InUse { .. })),
        "only one may keep users in memory"
    );
    with_users(&server, 1).await;
    let command = open(folder.path());
    // As every request does, whether the credential is known or not.
    let request = || async { server.holder(&CredentialHash::of("unknown")).await.unwrap() };
    for text in ["a", "b", "c"] {
        let seen = get(&server, 1).await.revision;
        command
            .commit(patch(1, Expect::Exactly(seen), title(text)))
            .await
            .unwrap();
        assert!(request().await.is_none());
        assert_eq!(get(&server, 1).await.title.as_deref(), Some(text));
        server.commit(patch(1, Expect::Any, title("server"))).await.unwrap();
    }
}

#[tokio::test]
async fn what_another_process_writes_is_seen_in_time_by_those_who_do_not_look() {
    let folder = tempdir().unwrap();
    let cached = caching();
    let server = SqliteStore::open(folder.path(), &cached).unwrap();
    with_users(&server, 1).await;
    assert_eq!(get(&server, 1).await.title, None);
    let command = open(folder.path());
    command.commit(patch(1, Expect::Any, title("x"))).await.unwrap();
    let seen = async {
        while get(&server, 1).await.title.is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(30), seen).await.is_ok());
}

#[tokio::test]
async fn one_process_serves_whether_it_keeps_users_in_memory_or_not() {
    let folder = tempdir().unwrap();
    let serving = Options {
        serving: true,
        ..Options::default()
    };
    let server = SqliteStore::open(folder.path(), &serving).unwrap();
    let second = SqliteStore::open(folder.path(), &serving);
    assert!(matches!(second, Err(OpenError::InUse { .. })));
    with_users(&server, 3).await;
    let told = folder.path().join("patchbay.changes").metadata().unwrap().len();
    assert_eq!(told, 0, "there is nobody to tell");
    drop(server);
    SqliteStore::open(folder.path(), &serving).unwrap();
}

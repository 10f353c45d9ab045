//! Changesets that are written together, of which one fails.

use std::{path::Path, time::Duration};

use futures_util::{FutureExt, future::join_all};
use patchbay::store::sqlite::{Options, SqliteStore};
use patchbay_core::{
    changeset::Committed, error::Error, patch::Patch, revision::Expect, store::Store, user::UserPatch,
};
use tempfile::{TempDir, tempdir};

use super::{
    T,
    files::{database, hold},
    get, patch, sound_log, title, with_users,
};

/// A store with eight users, where the database fails in this way once user 3 is written.
async fn failing(how: &str) -> (SqliteStore, TempDir) {
    let folder = tempdir().unwrap();
    let store = SqliteStore::open(folder.path(), &Options::default()).unwrap();
    with_users(&store, 8).await;
    let broken = format!(
        "CREATE TRIGGER broken AFTER UPDATE ON users WHEN OLD.serial = 3 BEGIN SELECT RAISE({how}, 'broken'); END"
    );
    database(folder.path()).execute_batch(&broken).unwrap();
    (store, folder)
}

/// What comes of an update of each user at once. That of user 6 asks for a user name that is taken.
async fn update_together(store: &SqliteStore, folder: &Path) -> Vec<Result<Committed, Error>> {
    let mut updates = Vec::new();
    for n in 1..=8 {
        let taken = get(store, 1).await.username.clone().filter(|_| n == 6);
        let change = UserPatch {
            username: taken.map_or(Patch::Absent, |name| Patch::Value(name.into())),
            ..title("x")
        };
        let mut update = patch(n, Expect::Any, change);
        update.seen = Some(get(store, n).await);
        updates.push(store.commit(update));
    }
    // The first waits for the lock meanwhile and the others queue up, to be written together.
    let lock = hold(folder);
    let mut updates = join_all(updates).boxed_local();
    let early = tokio::time::timeout(Duration::from_millis(50), &mut updates).await;
    assert!(early.is_err(), "they wait");
    drop(lock);
    updates.await
}

/// The failing statement leaves what it has written.
#[tokio::test]
async fn an_update_that_fails_half_done_is_undone_alone() {
    let (store, folder) = failing("FAIL").await;
    for (n, outcome) in (1..).zip(update_together(&store, folder.path()).await) {
        match n {
            3 => assert!(matches!(outcome, Err(Error::Internal { .. })), "{outcome:?}"),
            6 => assert!(
                matches!(outcome, Err(Error::Taken { field: "username" })),
                "{outcome:?}"
            ),
            _ => assert!(outcome.unwrap().changed),
        }
        let kept = get(&store, n).await;
        let expected = if [3, 6].contains(&n) { (None, 1) } else { (Some("x"), 2) };
        assert_eq!((kept.title.as_deref(), kept.revision.0), expected, "user {n}");
    }
    assert_eq!(sound_log(&store, T).await.len(), 6);
}

/// As it does for a full disk, the database undoes the transaction by itself.
#[tokio::test]
async fn what_the_database_undoes_by_itself_is_told_as_not_done() {
    let (store, folder) = failing("ROLLBACK").await;
    let mut done = 0;
    for (n, outcome) in (1..).zip(update_together(&store, folder.path()).await) {
        let kept = get(&store, n).await;
        let expected = if outcome.is_ok() { (Some("x"), 2) } else { (None, 1) };
        assert_eq!((kept.title.as_deref(), kept.revision.0), expected, "user {n}");
        assert!(n != 3 || outcome.is_err());
        done += usize::from(outcome.is_ok());
    }
    assert_eq!(sound_log(&store, T).await.len(), done);
    assert!(store.ready().await.is_ok(), "it goes on");
    let user = get(&store, 4).await.revision;
    let again = store.commit(patch(4, Expect::Exactly(user), title("y"))).await.unwrap();
    assert!(again.changed);
    assert_eq!(sound_log(&store, T).await.len(), done + 1);
}

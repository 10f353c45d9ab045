//! Changesets that are written together, of which one fails.

use std::time::Duration;

use futures_util::{FutureExt, future::join_all};
use patchbay::store::sqlite::{Options, SqliteStore};
use patchbay_core::{error::Error, patch::Patch, revision::Expect, store::Store, user::UserPatch};
use tempfile::tempdir;

use super::{
    T,
    files::{database, hold},
    get, patch, sound_log, title, with_users,
};

/// The failing statement leaves what it has written. Another update of the batch is refused, for a user name that is taken.
#[tokio::test]
async fn an_update_that_fails_half_done_is_undone_alone() {
    let folder = tempdir().unwrap();
    let store = SqliteStore::open(folder.path(), &Options::default()).unwrap();
    with_users(&store, 8).await;
    let broken =
        "CREATE TRIGGER broken AFTER UPDATE ON users WHEN OLD.serial = 3 BEGIN SELECT RAISE(FAIL, 'broken'); END";
    database(folder.path()).execute_batch(broken).unwrap();
    let mut updates = Vec::new();
    for n in 1..=8 {
        let taken = get(&store, 1).await.username.clone().filter(|_| n == 6);
        let change = UserPatch {
            username: taken.map_or(Patch::Absent, |name| Patch::Value(name.into())),
            ..title("x")
        };
        let mut update = patch(n, Expect::Any, change);
        update.seen = Some(get(&store, n).await);
        updates.push(store.commit(update));
    }
    // The first waits for the lock meanwhile and the others queue up, to be written together.
    let lock = hold(folder.path());
    let mut updates = join_all(updates).boxed_local();
    let early = tokio::time::timeout(Duration::from_millis(50), &mut updates).await;
    assert!(early.is_err(), "they wait");
    drop(lock);
    for (n, outcome) in (1..).zip(updates.await) {
        let kept = get(&store, n).await;
        let kept = (kept.title.as_deref(), kept.revision.0);
        match n {
            3 => assert!(matches!(outcome, Err(Error::Internal { .. })), "{outcome:?}"),
            6 => assert!(
                matches!(outcome, Err(Error::Taken { field: "username" })),
                "{outcome:?}"
            ),
            _ => assert!(outcome.unwrap().changed),
        }
        let expected = if [3, 6].contains(&n) { (None, 1) } else { (Some("x"), 2) };
        assert_eq!(kept, expected, "user {n}");
    }
    assert_eq!(sound_log(&store, T).await.len(), 6);
}

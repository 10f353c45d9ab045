//! Many callers at once, in every store.

use std::{collections::BTreeMap, sync::Arc};

use patchbay_core::{
    error::Error,
    patch::Patch,
    revision::{Expect, Revision},
    store::{Store, UserKey},
    user::UserPatch,
};
use serde_json::json;
use tokio::task::JoinSet;

use super::{T, email, for_each_store, get, patch, sound_log, title, with_users};

for_each_store! {
    concurrent_changes_of_one_user_lose_nothing,
    each_revision_is_granted_once,
    a_read_sees_what_was_answered,
    of_two_who_want_one_address_one_gets_it,
}

async fn concurrent_changes_of_one_user_lose_nothing(store: Arc<dyn Store>) {
    with_users(&*store, 1).await;
    let stale = get(&*store, 1).await;
    let mut tasks = JoinSet::new();
    for n in 0..64 {
        let (store, stale) = (store.clone(), stale.clone());
        tasks.spawn(async move {
            let delta = UserPatch {
                attributes: BTreeMap::from([(format!("test:{n}"), Patch::Value(json!(n)))]),
                ..UserPatch::default()
            };
            let mut changeset = patch(1, Expect::Any, delta);
            changeset.seen = (n % 2 == 0).then_some(stale);
            store.commit(changeset).await.unwrap()
        });
    }
    let mut revisions: Vec<u64> = tasks
        .join_all()
        .await
        .into_iter()
        .map(|committed| committed.user.unwrap().revision.0)
        .collect();
    revisions.sort_unstable();
    assert_eq!(revisions, (2..=65).collect::<Vec<_>>());
    let user = get(&*store, 1).await;
    assert_eq!(user.attributes.len(), 64);
    assert!((0..64).all(|n| user.attributes[&format!("test:{n}")] == json!(n)));
    assert_eq!(sound_log(&*store, T).await.len(), 64);
}

/// Compare-and-set by many callers on few users: a revision is granted to one caller only, each grant follows the one
/// before without a gap, and the log tells the same history as the callers were told.
async fn each_revision_is_granted_once(store: Arc<dyn Store>) {
    const USERS: u32 = 3;
    const ROUNDS: usize = 12;
    with_users(&*store, USERS).await;
    let mut tasks = JoinSet::new();
    for caller in 0..24_u32 {
        let store = store.clone();
        tasks.spawn(async move {
            let n = caller % USERS + 1;
            let mut granted = Vec::new();
            for round in 0..ROUNDS {
                let seen = get(&*store, n).await;
                let text = format!("{caller}.{round}");
                let mut changeset = patch(n, Expect::Exactly(seen.revision), title(&text));
                changeset.audit = Some(super::entry(&n.to_string()));
                changeset.seen = Some(seen.clone());
                match store.commit(changeset).await {
                    Ok(committed) => {
                        assert_eq!(committed.user.unwrap().revision, seen.revision.next());
                        granted.push((n, seen.revision.next().0, text));
                    }
                    Err(Error::Precondition { current }) => assert!(current.unwrap() > seen.revision),
                    Err(other) => panic!("{other:?}"),
                }
            }
            granted
        });
    }
    let mut granted: Vec<(u32, u64, String)> = tasks.join_all().await.into_iter().flatten().collect();
    granted.sort_unstable();
    let events = sound_log(&*store, T).await;
    let mut logged: Vec<(u32, u64, String)> = events
        .iter()
        .map(|event| {
            let text = event.entry.changes[0].after.as_str().unwrap().to_owned();
            (
                event.entry.resource.parse().unwrap(),
                event.entry.revision.unwrap().0,
                text,
            )
        })
        .collect();
    for n in 1..=USERS {
        let history: Vec<_> = logged.iter().filter(|(user, ..)| *user == n).collect();
        let revisions: Vec<u64> = history.iter().map(|(_, revision, _)| *revision).collect();
        assert_eq!(
            revisions,
            (2..2 + revisions.len() as u64).collect::<Vec<_>>(),
            "in order, no gap, none twice"
        );
        let last = get(&*store, n).await;
        assert_eq!(last.revision, Revision(1 + revisions.len() as u64));
        assert_eq!(last.title.as_deref(), history.last().map(|(.., text)| text.as_str()));
    }
    logged.sort_unstable();
    assert_eq!(granted, logged);
}

async fn a_read_sees_what_was_answered(store: Arc<dyn Store>) {
    with_users(&*store, 8).await;
    let mut tasks = JoinSet::new();
    for n in 1..=8 {
        let store = store.clone();
        tasks.spawn(async move {
            for round in 0..25 {
                let committed = store
                    .commit(patch(n, Expect::Any, title(&round.to_string())))
                    .await
                    .unwrap();
                tokio::task::yield_now().await;
                assert_eq!(Some(get(&*store, n).await), committed.user);
            }
        });
    }
    tasks.join_all().await;
}

async fn of_two_who_want_one_address_one_gets_it(store: Arc<dyn Store>) {
    const USERS: u32 = 8;
    with_users(&*store, USERS).await;
    for round in 0..10 {
        let mut tasks = JoinSet::new();
        for n in 1..=USERS {
            let store = store.clone();
            tasks.spawn(async move {
                let seen = get(&*store, n).await;
                let mut changeset = patch(n, Expect::Any, email(&format!("wanted{round}@example.com")));
                changeset.unique_email = true;
                changeset.seen = (n % 2 == 0).then_some(seen);
                store.commit(changeset).await
            });
        }
        let told = tasks.join_all().await;
        assert_eq!(told.iter().filter(|told| told.is_ok()).count(), 1);
        let taken = |told: &&Result<_, Error>| matches!(told, Err(Error::Taken { field: "email" }));
        assert_eq!(told.iter().filter(taken).count(), USERS as usize - 1);
        let key = UserKey::Email(format!("wanted{round}@example.com"));
        assert!(store.user(T, &key).await.unwrap().is_some());
    }
    assert_eq!(sound_log(&*store, T).await.len(), 10);
}

//! Idempotency keys, in every store.

use std::sync::Arc;

use patchbay_core::{
    changeset::{Changeset, IDEMPOTENCY_SECONDS, Idempotency, IdempotencyRecord},
    revision::{Expect, Revision},
    store::Store,
};

use super::{OTHER, at, changeset, for_each_store, get, log, patch, refused, title, with_users};

for_each_store! {
    a_repeat_is_answered_as_the_first_time,
    another_request_under_the_same_key_is_refused,
    a_begun_request_is_pending_until_it_ends,
    a_forgotten_key_is_free,
    a_key_expires_after_a_day,
    a_late_end_leaves_the_key_to_a_later_request,
    a_refused_request_leaves_its_key_free,
    a_change_of_nothing_is_remembered,
    keys_belong_to_their_tenant,
    what_would_be_replayed_can_be_read,
}

fn keyed(changeset: Changeset, record: IdempotencyRecord, print: u8) -> Changeset {
    Changeset {
        idempotency: Some(Idempotency {
            key: "credential/key".to_owned(),
            fingerprint: [print; 32],
            record,
        }),
        ..changeset
    }
}

fn finish(text: &str, print: u8) -> Changeset {
    keyed(patch(1, Expect::Any, title(text)), IdempotencyRecord::Finish, print)
}

async fn a_repeat_is_answered_as_the_first_time(store: Arc<dyn Store>) {
    with_users(&*store, 1).await;
    for seen in [None, Some(get(&*store, 1).await)] {
        let mut changeset = finish("a", 1);
        changeset.seen = seen;
        store.commit(changeset).await.unwrap();
    }
    store.commit(patch(1, Expect::Any, title("b"))).await.unwrap();
    let mut repeat = finish("a", 1);
    repeat.at = at(60);
    repeat.seen = Some(get(&*store, 1).await);
    let replayed = store.commit(repeat).await.unwrap();
    assert!(replayed.replayed && !replayed.changed);
    assert_eq!(replayed.at, at(1));
    let user = replayed.user.unwrap();
    assert_eq!((user.title.as_deref(), user.revision), (Some("a"), Revision(2)));
    assert_eq!(
        get(&*store, 1).await.title.as_deref(),
        Some("b"),
        "nothing is applied again"
    );
    assert_eq!(log(&*store, super::T).await.len(), 2);
}

async fn another_request_under_the_same_key_is_refused(store: Arc<dyn Store>) {
    with_users(&*store, 1).await;
    store.commit(finish("a", 1)).await.unwrap();
    assert_eq!(refused(store.commit(finish("b", 2)).await), "idempotency_mismatch");
    let begin = keyed(changeset(super::T, Vec::new()), IdempotencyRecord::Begin, 2);
    assert_eq!(refused(store.commit(begin).await), "idempotency_mismatch");
    assert_eq!(get(&*store, 1).await.title.as_deref(), Some("a"));
}

async fn a_begun_request_is_pending_until_it_ends(store: Arc<dyn Store>) {
    with_users(&*store, 1).await;
    let begin = || keyed(Changeset::new(super::T, at(1)), IdempotencyRecord::Begin, 1);
    assert!(!store.commit(begin()).await.unwrap().replayed);
    assert_eq!(refused(store.commit(begin()).await), "idempotency_pending");
    let mut end = finish("a", 1);
    end.at = at(5);
    assert!(!store.commit(end).await.unwrap().replayed);
    let replayed = store.commit(begin()).await.unwrap();
    assert!(replayed.replayed);
    assert_eq!((replayed.at, replayed.user), (at(5), Some(get(&*store, 1).await)));
}

async fn a_forgotten_key_is_free(store: Arc<dyn Store>) {
    with_users(&*store, 1).await;
    let empty = |record| keyed(Changeset::new(super::T, at(1)), record, 1);
    store.commit(empty(IdempotencyRecord::Begin)).await.unwrap();
    store.commit(empty(IdempotencyRecord::Forget)).await.unwrap();
    let again = store.commit(finish("a", 2)).await.unwrap();
    assert!(again.changed && !again.replayed);
}

async fn a_key_expires_after_a_day(store: Arc<dyn Store>) {
    with_users(&*store, 1).await;
    store.commit(finish("a", 1)).await.unwrap();
    let at_second = |second: i64, text: &str, print: u8| Changeset {
        at: at(1 + second),
        ..finish(text, print)
    };
    assert!(
        store
            .commit(at_second(IDEMPOTENCY_SECONDS - 1, "a", 1))
            .await
            .unwrap()
            .replayed
    );
    let later = store.commit(at_second(IDEMPOTENCY_SECONDS, "b", 2)).await.unwrap();
    assert!(later.changed && !later.replayed);
    assert!(
        store
            .commit(at_second(IDEMPOTENCY_SECONDS + 1, "b", 2))
            .await
            .unwrap()
            .replayed
    );
}

async fn a_late_end_leaves_the_key_to_a_later_request(store: Arc<dyn Store>) {
    with_users(&*store, 1).await;
    let at_second = |second: i64, record| keyed(Changeset::new(super::T, at(second)), record, 1);
    for second in [1, 1 + IDEMPOTENCY_SECONDS] {
        let begin = at_second(second, IdempotencyRecord::Begin);
        assert!(!store.commit(begin).await.unwrap().replayed);
    }
    for record in [IdempotencyRecord::Finish, IdempotencyRecord::Forget] {
        let mut late = keyed(patch(1, Expect::Any, title("late")), record, 1);
        late.at = at(IDEMPOTENCY_SECONDS);
        store.commit(late).await.unwrap();
        let repeat = at_second(2 + IDEMPOTENCY_SECONDS, IdempotencyRecord::Begin);
        assert_eq!(refused(store.commit(repeat).await), "idempotency_pending");
    }
    assert_eq!(get(&*store, 1).await.title.as_deref(), Some("late"));
}

async fn a_refused_request_leaves_its_key_free(store: Arc<dyn Store>) {
    with_users(&*store, 1).await;
    let stale = patch(1, Expect::Exactly(Revision(9)), title("a"));
    let stale = keyed(stale, IdempotencyRecord::Finish, 1);
    assert_eq!(refused(store.commit(stale).await), "precondition");
    assert!(store.commit(finish("b", 2)).await.unwrap().changed);
}

async fn a_change_of_nothing_is_remembered(store: Arc<dyn Store>) {
    with_users(&*store, 1).await;
    let nothing = keyed(
        patch(1, Expect::Any, patchbay_core::user::UserPatch::default()),
        IdempotencyRecord::Finish,
        1,
    );
    assert!(!store.commit(nothing.clone()).await.unwrap().changed);
    assert_eq!(log(&*store, super::T).await, []);
    store.commit(patch(1, Expect::Any, title("a"))).await.unwrap();
    let replayed = store.commit(nothing).await.unwrap();
    assert!(replayed.replayed);
    assert_eq!(replayed.user.unwrap().revision, Revision(1));
}

async fn keys_belong_to_their_tenant(store: Arc<dyn Store>) {
    with_users(&*store, 1).await;
    store.commit(finish("a", 1)).await.unwrap();
    let elsewhere = keyed(Changeset::new(OTHER, at(1)), IdempotencyRecord::Finish, 2);
    assert!(!store.commit(elsewhere).await.unwrap().replayed);
}

async fn what_would_be_replayed_can_be_read(store: Arc<dyn Store>) {
    with_users(&*store, 1).await;
    let asked = |print| finish("a", print).idempotency.unwrap();
    assert!(store.replay(super::T, &asked(1), at(1)).await.unwrap().is_none());
    let done = store.commit(finish("a", 1)).await.unwrap();
    store.commit(patch(1, Expect::Any, title("b"))).await.unwrap();
    let told = store.replay(super::T, &asked(1), at(60)).await.unwrap().unwrap();
    assert!(told.replayed && !told.changed);
    assert_eq!((told.user, told.at), (done.user, done.at));
    assert_eq!(
        refused(store.replay(super::T, &asked(2), at(60)).await),
        "idempotency_mismatch"
    );
    assert!(store.replay(OTHER, &asked(2), at(60)).await.unwrap().is_none());
    let stale = at(1 + IDEMPOTENCY_SECONDS);
    assert!(store.replay(super::T, &asked(2), stale).await.unwrap().is_none());
    assert!(
        store.replay(super::T, &asked(1), at(60)).await.unwrap().is_some(),
        "a look takes nothing away"
    );
    let begin = Idempotency {
        key: "credential/begun".to_owned(),
        record: IdempotencyRecord::Begin,
        ..asked(1)
    };
    let mut begun = Changeset::new(super::T, at(1));
    begun.idempotency = Some(begin.clone());
    store.commit(begun).await.unwrap();
    assert_eq!(
        refused(store.replay(super::T, &begin, at(60)).await),
        "idempotency_pending"
    );
}

//! Remote writes as every store keeps them: found by id, by idempotency key, and as long as they are open.

use std::sync::Arc;

use patchbay_core::{
    changeset::{Delta, Idempotency, IdempotencyRecord},
    id::{LedgerId, LinkedAccountId},
    remote::{LEDGER_SECONDS, LedgerEntry, LedgerState, OpenWrite},
    store::Store,
    user::User,
};
use uuid::Uuid;

use super::{OTHER, T, at, changeset, for_each_store, log, put, records::ledger, sound_log};

for_each_store! {
    open_writes_are_found_oldest_first,
    the_last_write_under_a_key_is_found_and_those_before_it_stay,
    a_known_outcome_stays_and_is_recorded_once,
    whom_an_answer_did_not_tell_is_added_once,
    settled_writes_are_forgotten_after_their_time,
}

/// A remote write that began at some second.
fn begun(n: u128, second: i64, state: LedgerState) -> LedgerEntry {
    LedgerEntry {
        id: LedgerId(Uuid::from_u128(n)),
        begun_at: at(second),
        ..ledger(state)
    }
}

async fn open_writes_are_found_oldest_first(store: Arc<dyn Store>) {
    for (n, second) in [(1, 3), (2, 1), (3, 2)] {
        let write = begun(n, second, LedgerState::Intent);
        put(&*store, vec![Delta::PutLedger(Box::new(write))]).await;
    }
    put(
        &*store,
        vec![Delta::PutLedger(Box::new(begun(4, 0, LedgerState::Done)))],
    )
    .await;
    put(
        &*store,
        vec![Delta::PutLedger(Box::new(begun(3, 2, LedgerState::Done)))],
    )
    .await;
    let named = |n| OpenWrite {
        id: LedgerId(Uuid::from_u128(n)),
        account: LinkedAccountId("a".into()),
    };
    let (first, last) = (named(2), named(1));
    assert_eq!(store.open_writes(T, 1).await.unwrap(), std::slice::from_ref(&first));
    assert_eq!(store.open_writes(T, 9).await.unwrap(), [first, last]);
    assert_eq!(store.open_writes(OTHER, 9).await.unwrap(), []);
}

async fn the_last_write_under_a_key_is_found_and_those_before_it_stay(store: Arc<dyn Store>) {
    let asked = |key: &str| Idempotency {
        key: key.to_owned(),
        fingerprint: [1; 32],
        record: IdempotencyRecord::Begin,
    };
    let keyed = |n: u128, second: i64, state: LedgerState| LedgerEntry {
        idempotency: Some(asked("credential/key")),
        ..begun(n, second, state)
    };
    let other = LedgerEntry {
        idempotency: Some(asked("credential/other")),
        ..begun(7, 9, LedgerState::Intent)
    };
    let failed = keyed(8, 3, LedgerState::Failed("x".to_owned()));
    for write in [
        keyed(9, 0, LedgerState::Intent),
        failed.clone(),
        keyed(1, 3, LedgerState::Intent),
        begun(6, 9, LedgerState::Intent),
        other,
        keyed(9, 0, LedgerState::Done),
    ] {
        put(&*store, vec![Delta::PutLedger(Box::new(write))]).await;
    }
    let last = async |tenant, key: &str| store.last_write(tenant, key).await.unwrap();
    let found = last(T, "credential/key").await;
    assert_eq!(
        found,
        Some(keyed(1, 3, LedgerState::Intent)),
        "begun at the same moment, but later"
    );
    let set_back = keyed(2, 1, LedgerState::Intent);
    put(&*store, vec![Delta::PutLedger(Box::new(set_back.clone()))]).await;
    let found = last(T, "credential/key").await;
    assert_eq!(found, Some(set_back), "begun later, though by an earlier clock");
    assert_eq!(last(T, "credential/none").await, None);
    assert_eq!(last(OTHER, "credential/key").await, None);
    for write in [keyed(9, 0, LedgerState::Done), failed] {
        assert_eq!(store.ledger(T, write.id).await.unwrap(), Some(write));
    }
}

async fn a_known_outcome_stays_and_is_recorded_once(store: Arc<dyn Store>) {
    let (failed, unknown) = (
        || LedgerState::Failed("f".to_owned()),
        |why: &str| LedgerState::Unknown(why.to_owned()),
    );
    for (n, known) in [(1, LedgerState::Done), (2, failed())] {
        let before = log(&*store, T).await.len();
        let mut recorded = Vec::new();
        for state in [
            LedgerState::Intent,
            unknown("first"),
            LedgerState::Intent,
            unknown("second"),
            known.clone(),
            unknown("third"),
            LedgerState::Done,
            failed(),
            LedgerState::Intent,
        ] {
            let mut end = changeset(T, vec![Delta::PutLedger(Box::new(begun(n, 0, state)))]);
            end.idempotency = Some(Idempotency {
                key: format!("credential/{n} {}", recorded.len()),
                fingerprint: [1; 32],
                record: IdempotencyRecord::Finish,
            });
            let asked = end.idempotency.clone().unwrap();
            let changed = store.commit(end).await.unwrap().changed;
            let replayed = store.replay(T, &asked, at(1)).await.unwrap();
            assert_eq!(replayed.is_some(), changed, "the key is as if nothing had come");
            recorded.push(changed);
        }
        assert_eq!(recorded, [true, true, false, false, true, false, false, false, false]);
        assert_eq!(sound_log(&*store, T).await.len(), before + 3);
        let kept = store.ledger(T, LedgerId(Uuid::from_u128(n))).await.unwrap().unwrap();
        assert_eq!(kept.state, known);
    }
}

async fn whom_an_answer_did_not_tell_is_added_once(store: Arc<dyn Store>) {
    let before = log(&*store, T).await.len();
    let mut recorded = Vec::new();
    for (user, audited) in [
        (None, true),
        (Some("a"), true),
        (Some("a"), false),
        (Some("b"), false),
        (None, false),
    ] {
        let entry = LedgerEntry {
            user: user.map(|id| Box::new(User::remote(id))),
            ..begun(1, 0, LedgerState::Done)
        };
        let mut end = changeset(T, vec![Delta::PutLedger(Box::new(entry))]);
        end.audit = end.audit.filter(|_| audited);
        recorded.push(store.commit(end).await.unwrap().changed);
    }
    assert_eq!(recorded, [true, false, true, false, false]);
    assert_eq!(sound_log(&*store, T).await.len(), before + 1);
    let kept = store.ledger(T, LedgerId(Uuid::from_u128(1))).await.unwrap().unwrap();
    assert_eq!(kept.user.unwrap().remote_id.as_deref(), Some("a"));
}

async fn settled_writes_are_forgotten_after_their_time(store: Arc<dyn Store>) {
    let unknown = LedgerState::Unknown("x".to_owned());
    for (n, state) in [(1, LedgerState::Done), (2, unknown), (3, LedgerState::Intent)] {
        put(&*store, vec![Delta::PutLedger(Box::new(begun(n, 0, state)))]).await;
    }
    let kept = async |another: u128, later: i64| {
        let write = begun(another, later, LedgerState::Done);
        put(&*store, vec![Delta::PutLedger(Box::new(write))]).await;
        let mut kept = Vec::new();
        for n in [1, 2, 3, another] {
            let found = store.ledger(T, LedgerId(Uuid::from_u128(n))).await.unwrap();
            kept.push(found.is_some());
        }
        kept
    };
    assert_eq!(kept(4, LEDGER_SECONDS - 1).await, [true; 4]);
    assert_eq!(
        kept(5, LEDGER_SECONDS).await,
        [false, false, true, true],
        "what is open stays"
    );
}

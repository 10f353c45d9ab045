//! Random changesets, replayed on both stores: the same answers, the same users, the same log.

use std::sync::Arc;

use patchbay_core::{
    changeset::{Changeset, Delta, Idempotency, IdempotencyRecord},
    icon::Icon,
    id::{LedgerId, LinkedAccountId, Serial, TenantId},
    linked_account::{AccountStatus, LinkedAccount},
    patch::Patch,
    remote::{LedgerEntry, LedgerState},
    revision::{Expect, Revision},
    store::{Store, UserKey},
    user::{Status, User, UserPatch},
};
use proptest::{collection::vec, option, prelude::*};
use serde_json::json;
use uuid::Uuid;

use super::{OTHER, T, at, entry, in_memory, in_sqlite, records::ledger, sound_log, uid};

/// A changeset before it is known what its caller has seen.
#[derive(Clone, Debug)]
struct Step {
    changeset: Changeset,
    /// Seconds since the step before.
    pause: i64,
    /// How many steps ago the caller has read the user whom the first delta names; `None` if never.
    seen: Option<usize>,
}

fn text() -> impl Strategy<Value = Patch<String>> {
    prop_oneof![
        3 => Just(Patch::Absent),
        1 => Just(Patch::Null),
        4 => "[ab]{0,2}".prop_map(Patch::Value),
        1 => Just(Patch::Value("line\nbreak".to_owned())),
    ]
}

fn email() -> impl Strategy<Value = Patch<String>> {
    prop_oneof![
        3 => Just(Patch::Absent),
        1 => Just(Patch::Null),
        3 => "[aA]@b".prop_map(Patch::Value),
    ]
}

fn delta_of_user() -> impl Strategy<Value = UserPatch> {
    let icon = prop_oneof![
        5 => Just(Patch::Absent),
        1 => Just(Patch::Null),
        1 => (0..2_u8).prop_map(|n| {
            let bytes: Vec<u8> = [b"\xff\xd8\xff".as_slice(), &[n]].concat();
            Patch::Value(Icon::new(bytes.into()).expect("a JPEG's beginning"))
        }),
    ];
    let status = prop_oneof![
        3 => Just(Patch::Absent),
        1 => Just(Patch::Null),
        1 => proptest::sample::select(&Status::ALL[..]).prop_map(Patch::Value),
    ];
    let attributes = proptest::collection::btree_map(
        "test:[ab]",
        prop_oneof![Just(Patch::Null), (0..2_u8).prop_map(|n| Patch::Value(json!(n)))],
        0..2,
    );
    (text(), email(), text(), status, icon, attributes).prop_map(
        |(username, email, title, status, icon, attributes)| UserPatch {
            username,
            email,
            title,
            status,
            icon,
            attributes,
            ..UserPatch::default()
        },
    )
}

fn expect() -> impl Strategy<Value = Expect> {
    let revision = || (1..6_u64).prop_map(Revision);
    prop_oneof![
        6 => Just(Expect::Any),
        1 => Just(Expect::Missing),
        1 => Just(Expect::Present),
        2 => revision().prop_map(Expect::Exactly),
        1 => vec(revision(), 0..3).prop_map(Expect::OneOf),
        1 => vec(revision(), 0..3).prop_map(Expect::NoneOf),
    ]
}

fn delta(tenant: TenantId) -> impl Strategy<Value = Delta> {
    let create = (1..5_u32, 1..5_u32, option::of("[aAb]")).prop_map(|(n, serial, username)| {
        let mut user = User::new(uid(n), Serial(serial), at(0));
        user.username = username.map(Into::into);
        Delta::CreateUser(Box::new(user))
    });
    let update = (1..5_u32, expect(), delta_of_user()).prop_map(|(n, expect, patch)| Delta::UpdateUser {
        id: uid(n),
        expect,
        patch: Box::new(patch),
    });
    let account = "[ab]".prop_map(move |id| {
        Delta::PutLinkedAccount(LinkedAccount {
            id: LinkedAccountId(id.into()),
            tenant,
            status: AccountStatus::Active,
            remote: None,
            created_at: at(0),
            updated_at: at(0),
        })
    });
    let no_account = "[ab]".prop_map(|id| Delta::RemoveLinkedAccount(LinkedAccountId(id.into())));
    prop_oneof![2 => create, 8 => update, 1 => account, 1 => no_account, 2 => remote_write()]
}

/// A state of one of a few remote writes.
fn remote_write() -> impl Strategy<Value = Delta> {
    let why = || "[ab]";
    let state = prop_oneof![
        Just(LedgerState::Intent),
        Just(LedgerState::Done),
        why().prop_map(LedgerState::Failed),
        why().prop_map(LedgerState::Unknown),
    ];
    (1..4_u128, state).prop_map(|(n, state)| {
        Delta::PutLedger(Box::new(LedgerEntry {
            id: LedgerId(Uuid::from_u128(n)),
            ..ledger(state)
        }))
    })
}

fn idempotency() -> impl Strategy<Value = Idempotency> {
    let record = proptest::sample::select(
        &[
            IdempotencyRecord::Finish,
            IdempotencyRecord::Finish,
            IdempotencyRecord::Begin,
            IdempotencyRecord::Forget,
        ][..],
    );
    ("[ab]", 0..2_u8, record).prop_map(|(key, print, record)| Idempotency {
        key,
        fingerprint: [print; 32],
        record,
    })
}

fn step() -> impl Strategy<Value = Step> {
    let tenant = prop_oneof![3 => Just(T), 1 => Just(OTHER)];
    let pause = prop_oneof![6 => 0..100_i64, 1 => Just(24 * 60 * 60), 1 => Just(30 * 60 * 60)];
    let deltas = tenant.prop_flat_map(|tenant| {
        let several = prop_oneof![5 => vec(delta(tenant), 1..2), 2 => vec(delta(tenant), 0..4)];
        (Just(tenant), several)
    });
    let caller = (
        option::weighted(0.3, idempotency()),
        any::<bool>(),
        option::of(0..3_usize),
        any::<bool>(),
    );
    (deltas, pause, caller).prop_map(
        |((tenant, deltas), pause, (idempotency, audited, seen, unique_email))| {
            let mut changeset = Changeset::new(tenant, at(0));
            changeset.deltas = deltas;
            changeset.audit = audited.then(|| entry("x"));
            changeset.idempotency = idempotency;
            changeset.unique_email = unique_email;
            Step { changeset, pause, seen }
        },
    )
}

/// All that can be read of a tenant.
async fn everything(store: &dyn Store, tenant: TenantId) -> String {
    let mut keys = vec![UserKey::Email("a@b".to_owned())];
    let mut icons = Vec::new();
    for n in 1..5 {
        keys.extend([UserKey::Id(uid(n)), UserKey::Serial(Serial(n))]);
        icons.push(store.icon(tenant, uid(n)).await.unwrap());
    }
    let mut users = Vec::new();
    for key in &keys {
        users.push(store.user(tenant, key).await.unwrap());
    }
    let accounts = store.linked_accounts(tenant).await.unwrap();
    let mut writes = Vec::new();
    for n in 1..4 {
        writes.push(store.ledger(tenant, LedgerId(Uuid::from_u128(n))).await.unwrap());
    }
    let events = sound_log(store, tenant).await;
    format!("{users:?}\n{icons:?}\n{accounts:?}\n{writes:?}\n{events:?}")
}

async fn replay(steps: Vec<Step>) {
    let (model, (store, _folder)) = (in_memory(), in_sqlite());
    let mut now = at(1);
    let mut past: Vec<Vec<Option<Arc<User>>>> = Vec::new();
    for Step {
        mut changeset,
        pause,
        seen,
    } in steps
    {
        now = now.plus_seconds(pause);
        changeset.at = now;
        let tenant = changeset.tenant;
        let mut users = Vec::new();
        for n in 1..5 {
            users.push(store.user(T, &UserKey::Id(uid(n))).await.unwrap());
        }
        past.push(users);
        if let (Some(back), Some(Delta::UpdateUser { id, .. })) = (seen, changeset.deltas.first())
            && tenant == T
        {
            let then = &past[past.len().saturating_sub(1 + back)];
            changeset.seen = then.iter().flatten().find(|user| user.id == *id).cloned();
        }
        if let Some(asked) = &changeset.idempotency {
            let (expected, told) = (
                model.replay(tenant, asked, now).await,
                store.replay(tenant, asked, now).await,
            );
            assert_eq!(format!("{told:?}"), format!("{expected:?}"), "{asked:?}");
        }
        let (expected, told) = (
            model.commit(changeset.clone()).await,
            store.commit(changeset.clone()).await,
        );
        assert_eq!(format!("{told:?}"), format!("{expected:?}"), "{changeset:?}");
    }
    for tenant in [T, OTHER] {
        assert_eq!(everything(&*store, tenant).await, everything(&*model, tenant).await);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn both_stores_agree(steps in vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(replay(steps));
    }
}

//! One conformance suite for every store, random changesets replayed on all of them, and what only SQLite can get wrong.

mod batches;
mod concurrency;
mod files;
mod idempotency;
mod ledger;
mod random;
mod records;
mod updates;

use std::sync::Arc;

use patchbay::store::{
    memory::MemoryStore,
    sqlite::{Options, SqliteStore},
};
use patchbay_core::{
    audit::{Actor, AuditEntry, AuditEvent, ChainHash, Outcome, verify},
    changeset::{Changeset, Committed, Delta},
    clock::Timestamp,
    error::Error,
    icon::Icon,
    id::{Serial, TenantId, UserId},
    patch::Patch,
    revision::Expect,
    store::{Store, UserKey},
    user::{User, UserPatch},
};
use tempfile::TempDir;
use uuid::Uuid;

/// Runs each named function over both stores, as tests `memory::name` and `sqlite::name`.
macro_rules! for_each_store {
    ($($name:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::store::in_memory()).await;
            })*
        }
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let (store, _folder) = crate::store::in_sqlite();
                super::$name(store).await;
            })*
        }
    };
}
pub(crate) use for_each_store;

pub const T: TenantId = TenantId(Uuid::from_u128(0xA));
pub const OTHER: TenantId = TenantId(Uuid::from_u128(0xB));

pub fn in_memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::default())
}

pub fn in_sqlite() -> (Arc<dyn Store>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    // So few that records come and go, and some reads find them in memory and some do not.
    let options = Options {
        cached_users: 20,
        ..Options::default()
    };
    let store = SqliteStore::open(folder.path(), &options).unwrap();
    (Arc::new(store), folder)
}

pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_750_000_000_000).plus_seconds(seconds)
}

pub fn uid(n: u32) -> UserId {
    UserId(Uuid::from_u128(u128::from(n)))
}

pub fn user(n: u32) -> User {
    let mut user = User::new(uid(n), Serial(n), at(0));
    user.username = Some(format!("User{n}").into());
    user.email = Some(format!("User{n}@Example.com").into());
    user
}

pub fn entry(resource: &str) -> AuditEntry {
    AuditEntry {
        at: at(0),
        actor: Actor::operator(),
        action: "update_user".into(),
        dialect: "test".into(),
        request_id: "r".into(),
        resource: resource.to_owned(),
        account: None,
        outcome: Outcome::Done,
        revision: None,
        changes: Vec::new(),
    }
}

pub fn changeset(tenant: TenantId, deltas: Vec<Delta>) -> Changeset {
    Changeset {
        deltas,
        audit: Some(entry("x")),
        ..Changeset::new(tenant, at(1))
    }
}

pub fn patch(n: u32, expect: Expect, patch: UserPatch) -> Changeset {
    let delta = Delta::UpdateUser {
        id: uid(n),
        expect,
        patch: Box::new(patch),
    };
    changeset(T, vec![delta])
}

pub fn title(text: &str) -> UserPatch {
    UserPatch {
        title: Patch::Value(text.to_owned()),
        ..UserPatch::default()
    }
}

pub fn email(text: &str) -> UserPatch {
    UserPatch {
        email: Patch::Value(text.to_owned()),
        ..UserPatch::default()
    }
}

pub async fn put(store: &dyn Store, deltas: Vec<Delta>) -> Committed {
    let mut changeset = changeset(T, deltas);
    changeset.audit = None;
    store.commit(changeset).await.unwrap()
}

pub async fn with_users(store: &dyn Store, count: u32) {
    let users = (1..=count).map(|n| Delta::CreateUser(Box::new(user(n)))).collect();
    put(store, users).await;
}

pub async fn get(store: &dyn Store, n: u32) -> Arc<User> {
    store.user(T, &UserKey::Id(uid(n))).await.unwrap().unwrap()
}

pub async fn log(store: &dyn Store, tenant: TenantId) -> Vec<AuditEvent> {
    store.audit(tenant, 0, u32::MAX).await.unwrap()
}

/// The log, which must verify from its beginning to its end.
pub async fn sound_log(store: &dyn Store, tenant: TenantId) -> Vec<AuditEvent> {
    let events = log(store, tenant).await;
    let end = verify((0, ChainHash::default()), &events).expect("the chain verifies");
    assert_eq!(end.0, events.len() as u64);
    assert_eq!(store.audit_head(tenant).await.unwrap(), end);
    events
}

pub fn refused<T: std::fmt::Debug>(result: Result<T, Error>) -> &'static str {
    result.expect_err("a refusal").kind()
}

/// A picture, as far as its beginning tells.
pub fn icon(rest: &[u8]) -> Icon {
    let bytes: Vec<u8> = [b"\x89PNG\r\n\x1a\n", rest].concat();
    Icon::new(bytes.into()).unwrap()
}

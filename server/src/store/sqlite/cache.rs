//! Records in memory, in front of the readers: users who were lately read or written, and what every request looks up.
//!
//! The writer tells the cache of each batch after it is durable and before it is answered, so a read that begins after an
//! answer finds what was answered. A record read from the database is kept only if the writer has told nothing of its
//! part of the cache since the read began; otherwise it might be older than what the writer told.
//!
//! Other processes tell by lengthening a file, see [`Changes`]; then everything is forgotten.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use lru::LruCache;
use patchbay_core::{
    changeset::{Changeset, Committed, Delta},
    credential::{Credential, CredentialHash},
    error::Error,
    id::{LinkedAccountId, RoleId, TenantId, UserId},
    linked_account::LinkedAccount,
    role::Role,
    user::User,
};

use super::{changes::Changes, weight};

/// How many parts the users are spread over, so that callers seldom wait for each other.
const PARTS: usize = 16;
/// The most bytes that the users of a part may take on the average, roughly. Ordinary users take half of it.
const MOST_EACH: usize = 4 << 10;
/// The most credentials, roles and linked accounts of each kind that are kept; beyond that the kind begins anew.
const MOST: usize = 10_000;

type UserName = (TenantId, UserId);

/// The cache. Without room for users it keeps nothing.
pub(super) struct Cache {
    users: Box<[Mutex<Users>]>,
    hasher: RandomState,
    access: Mutex<Access>,
    changes: Arc<Changes>,
}

/// One part of the users, how often the writer has told of it, and how many bytes they take, roughly.
struct Users {
    told: u64,
    kept: LruCache<UserName, Arc<User>>,
    bytes: usize,
    most_bytes: usize,
}

/// What every request looks up, and how often it was forgotten.
#[derive(Default)]
struct Access {
    told: u64,
    credentials: HashMap<[u8; 32], Arc<Credential>>,
    roles: HashMap<(TenantId, RoleId), Arc<Role>>,
    accounts: HashMap<(TenantId, LinkedAccountId), Arc<LinkedAccount>>,
}

impl Cache {
    /// A cache with room for so many users.
    pub(super) fn new(users: usize, changes: Arc<Changes>) -> Self {
        let part = NonZeroUsize::new(users.div_ceil(PARTS));
        let users = part
            .into_iter()
            .flat_map(|room| (0..PARTS).map(move |_| Mutex::new(Users::new(room))));
        Self {
            users: users.collect(),
            hasher: RandomState::new(),
            access: Mutex::default(),
            changes,
        }
    }

    /// A user: as kept, or as `load` reads him.
    pub(super) fn user(
        &self,
        name: UserName,
        load: impl FnOnce() -> Result<Option<Arc<User>>, Error>,
    ) -> Result<Option<Arc<User>>, Error> {
        let Some(part) = self.part(name) else { return load() };
        self.look_around();
        let told = {
            let mut users = locked(part);
            if let Some(user) = users.kept.get(&name) {
                return Ok(Some(user.clone()));
            }
            users.told
        };
        let user = load()?;
        if let Some(user) = &user {
            let mut users = locked(part);
            if users.told == told {
                users.keep(name, user.clone());
            }
        }
        Ok(user)
    }

    /// A credential by the hash of its secret.
    pub(super) fn credential(
        &self,
        hash: &CredentialHash,
        load: impl FnOnce() -> Result<Option<Credential>, Error>,
    ) -> Result<Option<Arc<Credential>>, Error> {
        self.access(hash.0, |access| &mut access.credentials, load)
    }

    /// A role.
    pub(super) fn role(
        &self,
        tenant: TenantId,
        id: RoleId,
        load: impl FnOnce() -> Result<Option<Role>, Error>,
    ) -> Result<Option<Arc<Role>>, Error> {
        self.access((tenant, id), |access| &mut access.roles, load)
    }

    /// A linked account.
    pub(super) fn account(
        &self,
        tenant: TenantId,
        id: &LinkedAccountId,
        load: impl FnOnce() -> Result<Option<LinkedAccount>, Error>,
    ) -> Result<Option<Arc<LinkedAccount>>, Error> {
        self.access((tenant, id.clone()), |access| &mut access.accounts, load)
    }

    fn access<K: Eq + Hash, T>(
        &self,
        key: K,
        kind: impl Fn(&mut Access) -> &mut HashMap<K, Arc<T>>,
        load: impl FnOnce() -> Result<Option<T>, Error>,
    ) -> Result<Option<Arc<T>>, Error> {
        if self.users.is_empty() {
            return Ok(load()?.map(Arc::new));
        }
        self.look_around();
        let told = {
            let mut access = locked(&self.access);
            if let Some(record) = kind(&mut access).get(&key) {
                return Ok(Some(record.clone()));
            }
            access.told
        };
        let record = load()?.map(Arc::new);
        if let Some(record) = &record {
            let mut access = locked(&self.access);
            if access.told == told {
                let kept = kind(&mut access);
                if kept.len() >= MOST {
                    kept.clear();
                }
                kept.insert(key, record.clone());
            }
        }
        Ok(record)
    }

    /// Takes note of a changeset that is durable and not yet answered.
    pub(super) fn committed(&self, changeset: &Changeset, outcome: &Committed) {
        if self.users.is_empty() || !outcome.changed {
            return;
        }
        match changeset.deltas.as_slice() {
            [Delta::UpdateUser { .. } | Delta::CreateUser(_)] => {
                if let Some(user) = &outcome.user {
                    self.tell(changeset.tenant, user);
                }
            }
            deltas if deltas.iter().all(|delta| matches!(delta, Delta::PutLedger(_))) => {}
            _ => self.forget(),
        }
    }

    fn tell(&self, tenant: TenantId, user: &Arc<User>) {
        let name = (tenant, user.id);
        if let Some(part) = self.part(name) {
            let mut users = locked(part);
            users.told += 1;
            users.keep(name, user.clone());
        }
    }

    /// Forgets everything.
    pub(super) fn forget(&self) {
        for part in &self.users {
            let mut users = locked(part);
            users.told += 1;
            users.bytes = 0;
            users.kept.clear();
        }
        let mut access = locked(&self.access);
        *access = Access {
            told: access.told + 1,
            ..Access::default()
        };
    }

    fn look_around(&self) {
        if let Some(length) = self.changes.others_wrote() {
            self.forget();
            self.changes.noted(length);
        }
    }

    fn part(&self, name: UserName) -> Option<&Mutex<Users>> {
        let spread = usize::try_from(self.hasher.hash_one(name) % PARTS as u64).unwrap_or_default();
        self.users.get(spread)
    }
}

impl Users {
    fn new(room: NonZeroUsize) -> Self {
        // Unbounded as a map, bounded as a cache: the room is not taken before it is needed.
        let mut kept = LruCache::unbounded();
        kept.resize(room);
        Self {
            told: 0,
            kept,
            bytes: 0,
            most_bytes: room.get().saturating_mul(MOST_EACH),
        }
    }

    /// Keeps a user, and lets go of those longest not asked for until the rest fit. One who does not fit alone is not kept.
    fn keep(&mut self, name: UserName, user: Arc<User>) {
        self.bytes += weight::user(&user);
        if let Some((_, gone)) = self.kept.push(name, user) {
            self.bytes -= weight::user(&gone);
        }
        while self.bytes > self.most_bytes
            && let Some((_, gone)) = self.kept.pop_lru()
        {
            self.bytes -= weight::user(&gone);
        }
    }
}

/// What is kept is whole at any time, so a panic elsewhere does not spoil it.
fn locked<T>(part: &Mutex<T>) -> MutexGuard<'_, T> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use patchbay_core::{clock::Timestamp, id::Serial};
    use serde_json::{Map, Value};
    use uuid::Uuid;

    use super::*;

    fn user(n: u32, bytes: usize) -> (UserName, Arc<User>) {
        let mut user = User::new(UserId(Uuid::from_u128(u128::from(n))), Serial(n), Timestamp::default());
        let text = Value::from("x".repeat(bytes));
        user.description = Some(Arc::new(Map::from_iter([("k".to_owned(), text)])));
        ((TenantId(Uuid::nil()), user.id), Arc::new(user))
    }

    /// What the users of a part take, and how many they are.
    fn taken(users: &Users) -> (usize, usize) {
        let kept = users.kept.iter();
        (kept.map(|(_, user)| weight::user(user)).sum(), users.kept.len())
    }

    #[test]
    fn users_are_bounded_in_number_and_in_bytes() {
        let mut users = Users::new(NonZeroUsize::new(16).unwrap());
        let mut keep = |n, bytes| {
            let (name, user) = user(n, bytes);
            users.keep(name, user);
            assert_eq!(users.bytes, taken(&users).0);
            assert!(users.bytes <= 16 * MOST_EACH);
            taken(&users).1
        };
        let ordinary: Vec<usize> = (1..=20).map(|n| keep(n, 500)).collect();
        assert_eq!(ordinary[15..], [16; 5], "as many as there is room for");
        assert_eq!(keep(20, 900), 16, "one who grows takes his own place");
        assert!(
            (1..16).contains(&keep(21, 60_000)),
            "a large one takes the place of many"
        );
        assert_eq!(keep(22, 60_000), 1);
        assert_eq!(keep(23, 200_000), 0, "and one too large none");
        assert_eq!(keep(24, 500), 1);
    }
}

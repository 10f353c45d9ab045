//! Records in memory, in front of the readers: users who were lately read or written, and what every request looks up.
//!
//! The writer tells the cache of each batch after it is durable and before it is answered, so a read that begins after an
//! answer finds what was answered. A record read from the database is kept only if the writer has told nothing of its
//! part of the cache since the read began; otherwise it might be older than what the writer told.
//!
//! Other processes tell by lengthening a file, see [`Changes`]; then everything is forgotten.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use patchbay_core::{
    changeset::{Changeset, Committed, Delta},
    credential::{Credential, CredentialHash},
    error::Error,
    group::Group,
    id::{GroupId, LinkedAccountId, OrganizationId, RoleId, Serial, TenantId, UserId},
    linked_account::LinkedAccount,
    organization::Organization,
    role::Role,
    store::Key,
    user::User,
};

use quick_cache::{DefaultHashBuilder, Weighter, unsync};

use super::{changes::Changes, weight};

/// How many parts the users are spread over, so that callers seldom wait for each other.
const PARTS: usize = 16;
/// The bytes that there is room for with each user, roughly. Ordinary users take less than half of it; one who takes more has the
/// room of several.
const EACH: u64 = 4 << 10;
/// The most credentials, roles, linked accounts, organizations and groups of each kind that are kept; beyond that the kind begins
/// anew.
const MOST: usize = 10_000;

type UserName = (TenantId, UserId);

/// Hashes faster than the standard library's, which guards against keys that are made to collide: only keys of records that are in the
/// database get in.
type Map<K, V> = HashMap<K, V, DefaultHashBuilder>;

/// The cache. Without room for users it keeps nothing.
pub(super) struct Cache {
    users: Box<[Mutex<Users>]>,
    access: Mutex<Access>,
    /// How many users' numbers are kept: as many as there is room for users.
    most_numbers: usize,
    changes: Arc<Changes>,
}

/// One part of the users, and how often the writer has told of it.
struct Users {
    told: u64,
    kept: unsync::Cache<UserName, Found, Weight>,
}

/// A user as he is kept, and where.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) user: Arc<User>,
    /// The number of his row: a hint, by which he is found without a look at an index.
    pub(super) row: Option<i64>,
    /// The bytes that he takes, roughly.
    bytes: u64,
}

impl Found {
    /// A user, and the number of his row if it is known.
    pub(super) fn new(user: Arc<User>, row: Option<i64>) -> Self {
        let bytes = weight::user(&user) as u64;
        Self { user, row, bytes }
    }
}

/// Bounds users in number and in bytes at once.
#[derive(Clone)]
struct Weight;

impl Weighter<UserName, Found> for Weight {
    fn weight(&self, _: &UserName, found: &Found) -> u64 {
        found.bytes.max(EACH)
    }
}

/// What every request looks up, and how often it was forgotten.
#[derive(Default)]
struct Access {
    told: u64,
    credentials: Map<[u8; 32], Arc<Credential>>,
    roles: Map<(TenantId, RoleId), Arc<Role>>,
    accounts: Map<(TenantId, LinkedAccountId), Arc<LinkedAccount>>,
    organizations: Map<(TenantId, Key<OrganizationId>), Arc<Organization>>,
    groups: Map<(TenantId, Key<GroupId>), Arc<Group>>,
    /// Whose numbers are whose. A user keeps his number.
    numbers: Map<(TenantId, Serial), UserId>,
}

impl Cache {
    /// A cache with room for so many users. They do not spread evenly: a part has room for a twentieth more than its share, else
    /// some parts of a full cache would let users go while others have room, as those of a small one still do.
    pub(super) fn new(users: usize, changes: Arc<Changes>) -> Self {
        let share = users.div_ceil(PARTS);
        let room = share + share / 20;
        let parts = if room == 0 { 0 } else { PARTS };
        let kept = (0..parts).map(|_| Mutex::new(Users::new(room)));
        Self {
            users: kept.collect(),
            access: Mutex::default(),
            most_numbers: users,
            changes,
        }
    }

    /// A user: as kept, or as `load` reads him.
    pub(super) fn user(
        &self,
        name: UserName,
        load: impl FnOnce() -> Result<Option<Found>, Error>,
    ) -> Result<Option<Arc<User>>, Error> {
        let Some(part) = self.part(name) else {
            return Ok(load()?.map(|found| found.user));
        };
        let told = {
            let users = locked(part);
            if let Some(found) = users.kept.get(&name) {
                return Ok(Some(found.user.clone()));
            }
            users.told
        };
        let Some(found) = load()? else { return Ok(None) };
        let mut users = locked(part);
        if users.told == told {
            users.kept.insert(name, found.clone());
        }
        Ok(Some(found.user))
    }

    /// The number of a user's row, if he is kept.
    pub(super) fn row(&self, name: UserName) -> Option<i64> {
        locked(self.part(name)?).kept.get(&name)?.row
    }

    /// A credential by the hash of its secret.
    pub(super) fn credential(
        &self,
        hash: &CredentialHash,
        load: impl FnOnce() -> Result<Option<Credential>, Error>,
    ) -> Result<Option<Arc<Credential>>, Error> {
        self.shared(hash.0, |access| &mut access.credentials, load)
    }

    /// A role.
    pub(super) fn role(
        &self,
        tenant: TenantId,
        id: RoleId,
        load: impl FnOnce() -> Result<Option<Role>, Error>,
    ) -> Result<Option<Arc<Role>>, Error> {
        self.shared((tenant, id), |access| &mut access.roles, load)
    }

    /// A linked account.
    pub(super) fn account(
        &self,
        tenant: TenantId,
        id: &LinkedAccountId,
        load: impl FnOnce() -> Result<Option<LinkedAccount>, Error>,
    ) -> Result<Option<Arc<LinkedAccount>>, Error> {
        self.shared((tenant, id.clone()), |access| &mut access.accounts, load)
    }

    /// An organization.
    pub(super) fn organization(
        &self,
        tenant: TenantId,
        key: Key<OrganizationId>,
        load: impl FnOnce() -> Result<Option<Organization>, Error>,
    ) -> Result<Option<Arc<Organization>>, Error> {
        self.shared((tenant, key), |access| &mut access.organizations, load)
    }

    /// A group.
    pub(super) fn group(
        &self,
        tenant: TenantId,
        key: Key<GroupId>,
        load: impl FnOnce() -> Result<Option<Group>, Error>,
    ) -> Result<Option<Arc<Group>>, Error> {
        self.shared((tenant, key), |access| &mut access.groups, load)
    }

    /// The user who has a number.
    pub(super) fn numbered(
        &self,
        tenant: TenantId,
        serial: Serial,
        load: impl FnOnce() -> Result<Option<UserId>, Error>,
    ) -> Result<Option<UserId>, Error> {
        self.access((tenant, serial), |access| &mut access.numbers, self.most_numbers, load)
    }

    /// A record that is shared, by a key of one kind.
    fn shared<K: Eq + Hash, T>(
        &self,
        key: K,
        kind: impl Fn(&mut Access) -> &mut Map<K, Arc<T>>,
        load: impl FnOnce() -> Result<Option<T>, Error>,
    ) -> Result<Option<Arc<T>>, Error> {
        self.access(key, kind, MOST, || Ok(load()?.map(Arc::new)))
    }

    /// What is looked up by a key of one kind, of which at most so many are kept.
    fn access<K: Eq + Hash, V: Clone>(
        &self,
        key: K,
        kind: impl Fn(&mut Access) -> &mut Map<K, V>,
        most: usize,
        load: impl FnOnce() -> Result<Option<V>, Error>,
    ) -> Result<Option<V>, Error> {
        if self.users.is_empty() {
            return load();
        }
        let told = {
            let mut access = locked(&self.access);
            if let Some(record) = kind(&mut access).get(&key) {
                return Ok(Some(record.clone()));
            }
            access.told
        };
        let record = load()?;
        if let Some(record) = &record {
            let mut access = locked(&self.access);
            if access.told == told {
                let kept = kind(&mut access);
                if kept.len() >= most {
                    kept.clear();
                }
                kept.insert(key, record.clone());
            }
        }
        Ok(record)
    }

    /// Takes note of a changeset that is durable and not yet answered; `ready` is its user, if he was made ahead.
    pub(super) fn committed(&self, changeset: &Changeset, outcome: &Committed, ready: Option<&Found>) {
        if self.users.is_empty() || !outcome.changed {
            return;
        }
        match changeset.deltas.as_slice() {
            [Delta::UpdateUser { .. } | Delta::CreateUser(_)] => {
                if let Some(user) = &outcome.user {
                    let ready = ready.filter(|found| Arc::ptr_eq(&found.user, user));
                    // He was not found by his row if he is another than was made ahead.
                    let found = ready.map_or_else(|| Found::new(user.clone(), None), Found::clone);
                    self.tell(changeset.tenant, found);
                }
            }
            deltas if deltas.iter().all(|delta| matches!(delta, Delta::PutLedger(_))) => {}
            _ => self.forget(),
        }
    }

    /// Keeps a user as he was written. A user who was not found by his row is in it still.
    fn tell(&self, tenant: TenantId, mut found: Found) {
        let name = (tenant, found.user.id);
        if let Some(part) = self.part(name) {
            let mut users = locked(part);
            users.told += 1;
            found.row = found.row.or_else(|| users.kept.get(&name)?.row);
            users.kept.insert(name, found);
        }
    }

    /// Forgets everything.
    pub(super) fn forget(&self) {
        for part in &self.users {
            let mut users = locked(part);
            users.told += 1;
            users.kept.clear();
        }
        let mut access = locked(&self.access);
        *access = Access {
            told: access.told + 1,
            ..Access::default()
        };
    }

    /// Forgets everything if another process has written since the last look. To be asked once at the beginning of each
    /// request, however much it reads: a look is a call of the system, and with one for each read a request made three.
    pub(super) fn look_around(&self) {
        if self.users.is_empty() {
            return;
        }
        if let Some(length) = self.changes.others_wrote() {
            self.forget();
            self.changes.noted(length);
        }
    }

    /// By the last digits of the id, which is random.
    fn part(&self, (_, UserId(id)): UserName) -> Option<&Mutex<Users>> {
        let last = id.as_bytes().last().copied().unwrap_or_default();
        self.users.get(usize::from(last) % PARTS)
    }
}

impl Users {
    /// Room for so many ordinary users. It is not taken before it is needed. Where one more does not fit, those who are asked for
    /// least are let go; one who does not fit alone is not kept.
    fn new(room: usize) -> Self {
        Self {
            told: 0,
            kept: unsync::Cache::with_weighter(room, EACH.saturating_mul(room as u64), Weight),
        }
    }
}

/// What is kept is whole at any time, so a panic elsewhere does not spoil it.
fn locked<T>(part: &Mutex<T>) -> MutexGuard<'_, T> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use patchbay_core::clock::Timestamp;
    use serde_json::{Map, Value};
    use uuid::Uuid;

    use super::*;

    fn user(n: u32, bytes: usize) -> (UserName, Found) {
        let mut user = User::new(UserId(Uuid::from_u128(u128::from(n))), Serial(n), Timestamp::default());
        let text = Value::from("x".repeat(bytes));
        user.description = Some(Map::from_iter([("k".to_owned(), text)]).into());
        let (name, user) = ((TenantId(Uuid::nil()), user.id), Arc::new(user));
        (name, Found::new(user, None))
    }

    fn cache(users: usize) -> (Cache, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let Ok(changes) = Changes::open(folder.path(), true) else {
            panic!("the folder is writable");
        };
        (Cache::new(users, Arc::new(changes)), folder)
    }

    #[test]
    fn users_are_bounded_in_number_and_in_bytes() {
        let mut users = Users::new(16);
        let mut keep = |n, bytes| {
            let (name, found) = user(n, bytes);
            users.kept.insert(name, found.clone());
            let taken: u64 = users.kept.iter().map(|(_, found)| found.bytes.max(EACH)).sum();
            assert!(taken <= 16 * EACH);
            let kept = users
                .kept
                .get(&name)
                .is_some_and(|kept| Arc::ptr_eq(&kept.user, &found.user));
            (users.kept.len(), kept)
        };
        for n in 1..=20 {
            assert_eq!(keep(n, 500), (16.min(n as usize), true), "as many as there is room for");
        }
        assert_eq!(keep(20, 900), (16, true), "one who grows takes his own place");
        let (left, kept) = keep(21, 30_000);
        assert!(
            kept && (1..16).contains(&left),
            "a large one takes the place of several"
        );
        assert!(!keep(23, 200_000).1, "and one too large none");
        assert!(keep(24, 500).1);
    }

    #[test]
    fn as_many_users_as_there_is_room_for_are_kept_though_they_spread_unevenly() {
        let (cache, _folder) = cache(200_000);
        let one = user(0, 0).1;
        let name = |n: u32| {
            let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, &n.to_be_bytes());
            (TenantId(Uuid::nil()), UserId(id))
        };
        for n in 0..200_000 {
            cache.user(name(n), || Ok(Some(one.clone()))).unwrap();
        }
        let mut read = 0;
        for n in 0..200_000 {
            let load = || {
                read += 1;
                Ok(Some(one.clone()))
            };
            cache.user(name(n), load).unwrap();
        }
        assert_eq!(read, 0);
    }

    #[test]
    fn a_row_is_known_until_another_is_told() {
        let (cache, _folder) = cache(256);
        let (name, found) = user(1, 500);
        let told = |row| {
            let found = Found { row, ..found.clone() };
            cache.tell(name.0, found);
            cache.row(name)
        };
        assert_eq!(told(None), None);
        assert_eq!(told(Some(7)), Some(7));
        assert_eq!(told(None), Some(7), "he was written without a look at it");
        assert_eq!(told(Some(8)), Some(8));
        cache.forget();
        assert_eq!(told(None), None);
    }

    #[test]
    fn whose_number_it_is_is_read_once_until_all_is_forgotten() {
        let (cache, _folder) = cache(16);
        let reads = Cell::new(0);
        let look = |number| {
            let load = || {
                reads.set(reads.get() + 1);
                Ok(Some(UserId(Uuid::from_u128(u128::from(number)))))
            };
            cache.numbered(TenantId(Uuid::nil()), Serial(number), load).unwrap()
        };
        let found = Some(UserId(Uuid::from_u128(7)));
        assert_eq!((look(7), look(7), reads.get()), (found, found, 1));
        cache.forget();
        assert_eq!((look(7), reads.get()), (found, 2));
        for number in 0..100 {
            look(number);
            assert!(locked(&cache.access).numbers.len() <= 16);
        }
    }

    #[test]
    fn one_who_grew_too_large_is_not_found_as_he_was() {
        let mut users = Users::new(16);
        let (name, small) = user(1, 500);
        users.kept.insert(name, small);
        users.kept.insert(name, user(1, 200_000).1);
        assert!(users.kept.get(&name).is_none());
    }
}

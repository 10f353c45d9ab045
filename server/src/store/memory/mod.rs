//! The reference model: a store in memory, small enough to be read as the specification.
//!
//! A commit works on a copy of everything and puts it in place only if all of it succeeded. That is slow and plainly
//! right, which is what a model is for; nothing is kept when the process ends.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use patchbay_core::{
    audit::{self, AuditEntry, AuditEvent, ChainHash, FieldChange},
    author::Author,
    changeset::{self, Changeset, Committed, Delta, IDEMPOTENCY_SECONDS, Idempotency, IdempotencyRecord, Tenant},
    clock::Timestamp,
    credential::{Credential, CredentialHash, Subject},
    error::Error,
    group::Group,
    icon::Icon,
    id::{GroupId, LedgerId, LinkedAccountId, OrganizationId, RoleId, TenantId, UserId},
    linked_account::LinkedAccount,
    organization::Organization,
    remote::{LEDGER_SECONDS, LedgerEntry, LedgerState, OpenWrite},
    role::Role,
    store::{Holder, Key, Store, UserKey},
    user::User,
};

use super::confine;

/// A store that lives as long as the process.
#[derive(Default)]
pub struct MemoryStore(Mutex<State>);

#[derive(Clone, Default)]
struct State {
    tenants: Vec<Tenant>,
    credentials: BTreeMap<[u8; 32], Credential>,
    data: BTreeMap<TenantId, Data>,
}

/// One tenant's records.
#[derive(Clone, Default)]
struct Data {
    users: BTreeMap<UserId, Arc<User>>,
    icons: BTreeMap<UserId, Icon>,
    roles: BTreeMap<RoleId, Role>,
    organizations: BTreeMap<OrganizationId, Organization>,
    groups: BTreeMap<GroupId, Group>,
    accounts: Vec<LinkedAccount>,
    /// In the order in which they were first kept.
    ledger: Vec<LedgerEntry>,
    audit: Vec<AuditEvent>,
    idempotency: BTreeMap<String, Remembered>,
}

#[derive(Clone)]
struct Remembered {
    fingerprint: [u8; 32],
    at: Timestamp,
    outcome: Kept,
}

/// How far a remembered request has come.
#[derive(Clone)]
enum Kept {
    /// It has begun.
    Pending,
    /// It has ended and left the user so, if it concerned one.
    Done(Option<Arc<User>>),
}

impl MemoryStore {
    fn state(&self) -> MutexGuard<'_, State> {
        // A commit replaces the state whole, so a panic elsewhere cannot have left it half written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, tenant: TenantId, read: impl FnOnce(&Data) -> T) -> T {
        read(self.state().data.get(&tenant).unwrap_or(&Data::default()))
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn holder(&self, hash: &CredentialHash) -> Result<Option<Holder>, Error> {
        let state = self.state();
        let Some(credential) = state.credentials.get(&hash.0).cloned() else {
            return Ok(None);
        };
        let Some(data) = state.data.get(&credential.tenant) else {
            return Ok(None);
        };
        let (role, user) = match &credential.subject {
            Subject::Service { role, .. } => (Some(*role), None),
            Subject::User(id) => {
                let user = data.users.get(id).cloned();
                (user.as_ref().and_then(|user| user.role), user)
            }
        };
        let role = role.and_then(|role| data.roles.get(&role).cloned());
        Ok(Some(Holder {
            credential: credential.into(),
            role: role.map(Arc::new),
            user,
        }))
    }

    async fn tenants(&self) -> Result<Vec<Tenant>, Error> {
        Ok(self.state().tenants.clone())
    }

    async fn user(&self, tenant: TenantId, key: &UserKey) -> Result<Option<Arc<User>>, Error> {
        Ok(self.read(tenant, |data| match key {
            UserKey::Id(id) => data.users.get(id).cloned(),
            UserKey::Opaque(text) => text.parse().ok().and_then(|id| data.users.get(&id).cloned()),
            UserKey::Serial(serial) => data.users.values().find(|user| user.serial == *serial).cloned(),
            UserKey::Email(email) => {
                let key = Some(email.to_lowercase());
                let mut found = data.users.values().filter(|user| user.email_key() == key);
                found.next().filter(|_| found.next().is_none()).cloned()
            }
        }))
    }

    async fn icon(&self, tenant: TenantId, user: UserId) -> Result<Option<Icon>, Error> {
        Ok(self.read(tenant, |data| data.icons.get(&user).cloned()))
    }

    async fn role(&self, tenant: TenantId, id: RoleId) -> Result<Option<Arc<Role>>, Error> {
        Ok(self.read(tenant, |data| data.roles.get(&id).cloned().map(Arc::new)))
    }

    async fn organization(
        &self,
        tenant: TenantId,
        key: Key<OrganizationId>,
    ) -> Result<Option<Arc<Organization>>, Error> {
        Ok(self.read(tenant, |data| match key {
            Key::Id(id) => data.organizations.get(&id).cloned().map(Arc::new),
            Key::Serial(serial) => {
                let mut records = data.organizations.values();
                let record = records.find(|record| record.serial == serial);
                record.cloned().map(Arc::new)
            }
        }))
    }

    async fn group(&self, tenant: TenantId, key: Key<GroupId>) -> Result<Option<Arc<Group>>, Error> {
        Ok(self.read(tenant, |data| match key {
            Key::Id(id) => data.groups.get(&id).cloned().map(Arc::new),
            Key::Serial(serial) => {
                let mut records = data.groups.values();
                let record = records.find(|record| record.serial == serial);
                record.cloned().map(Arc::new)
            }
        }))
    }

    async fn linked_account(
        &self,
        tenant: TenantId,
        id: &LinkedAccountId,
    ) -> Result<Option<Arc<LinkedAccount>>, Error> {
        Ok(self.read(tenant, |data| {
            let account = data.accounts.iter().find(|account| account.id == *id);
            account.cloned().map(Arc::new)
        }))
    }

    async fn linked_accounts(&self, tenant: TenantId) -> Result<Vec<LinkedAccount>, Error> {
        Ok(self.read(tenant, |data| data.accounts.clone()))
    }

    async fn ledger(&self, tenant: TenantId, id: LedgerId) -> Result<Option<LedgerEntry>, Error> {
        Ok(self.read(tenant, |data| data.ledger.iter().find(|entry| entry.id == id).cloned()))
    }

    async fn last_write(&self, tenant: TenantId, key: &str) -> Result<Option<LedgerEntry>, Error> {
        Ok(self.read(tenant, |data| {
            let asked = |entry: &&LedgerEntry| entry.idempotency.as_ref().is_some_and(|asked| asked.key == key);
            data.ledger.iter().rfind(asked).cloned()
        }))
    }

    async fn open_writes(&self, tenant: TenantId, limit: u32) -> Result<Vec<OpenWrite>, Error> {
        Ok(self.read(tenant, |data| {
            let open = data.ledger.iter().filter(|entry| entry.state == LedgerState::Intent);
            let mut open: Vec<&LedgerEntry> = open.collect();
            open.sort_by_key(|entry| entry.begun_at);
            let open = open.into_iter().take(limit as usize);
            open.map(|LedgerEntry { id, account, .. }| OpenWrite {
                id: *id,
                account: account.clone(),
            })
            .collect()
        }))
    }

    async fn audit(&self, tenant: TenantId, after: u64, limit: u32) -> Result<Vec<AuditEvent>, Error> {
        Ok(self.read(tenant, |data| {
            data.audit
                .iter()
                .filter(|event| event.position > after)
                .take(limit as usize)
                .cloned()
                .collect()
        }))
    }

    async fn audit_head(&self, tenant: TenantId) -> Result<(u64, ChainHash), Error> {
        Ok(self.read(tenant, Data::head))
    }

    async fn replay(&self, tenant: TenantId, asked: &Idempotency, now: Timestamp) -> Result<Option<Committed>, Error> {
        self.read(tenant, |data| data.recall(asked, now))
    }

    async fn commit(&self, changeset: Changeset) -> Result<Committed, Error> {
        confine::check(&changeset)?;
        let mut state = self.state();
        let mut next = state.clone();
        let committed = next.commit(changeset)?;
        *state = next;
        Ok(committed)
    }

    async fn ready(&self) -> Result<(), Error> {
        Ok(())
    }
}

impl State {
    fn commit(&mut self, changeset: Changeset) -> Result<Committed, Error> {
        let Changeset {
            tenant,
            at,
            by,
            deltas,
            audit,
            idempotency,
            unique_email,
            seen: _,
        } = changeset;
        if let Some(asked) = &idempotency
            && let Some(outcome) = self.data.entry(tenant).or_default().recall(asked, at)?
        {
            return Ok(outcome);
        }
        let mut committed = Committed {
            user: None,
            changed: deltas.is_empty(),
            at,
            replayed: false,
        };
        let data = self.data.entry(tenant).or_default();
        if deltas.iter().any(|delta| data.is_settled(delta, audit.is_some())) {
            return Ok(committed);
        }
        let mut changes = Vec::new();
        for delta in deltas {
            let before = self.data.entry(tenant).or_default().users.clone();
            self.write(tenant, (at, by.as_ref()), delta, &mut committed, &mut changes)?;
            if unique_email {
                self.data.entry(tenant).or_default().check_emails(&before)?;
            }
        }
        let data = self.data.entry(tenant).or_default();
        if let Some(entry) = audit.filter(|_| committed.changed) {
            data.append(entry, changes, committed.user.as_deref())?;
        }
        data.remember(idempotency, &committed);
        Ok(committed)
    }

    fn write(
        &mut self,
        tenant: TenantId,
        (at, by): (Timestamp, Option<&Arc<Author>>),
        delta: Delta,
        committed: &mut Committed,
        changes: &mut Vec<FieldChange>,
    ) -> Result<(), Error> {
        let data = self.data.entry(tenant).or_default();
        let mut differs = true;
        match delta {
            Delta::UpdateUser { id, expect, patch } => {
                let update = changeset::update(data.users.get(&id).map(AsRef::as_ref), &expect, &patch, at, by)?;
                differs = !update.changes.is_empty();
                if update.changes.iter().any(|change| change.field == "icon") {
                    match patch.icon.value() {
                        Some(icon) => drop(data.icons.insert(id, icon.clone())),
                        None => drop(data.icons.remove(&id)),
                    }
                }
                changes.extend(update.changes);
                committed.user = Some(data.put_user(update.user)?);
            }
            Delta::CreateUser(user) if data.users.contains_key(&user.id) => return Err(Error::Taken { field: "id" }),
            Delta::CreateUser(user) => committed.user = Some(data.put_user(*user)?),
            Delta::PutTenant(record) => match self.tenants.iter_mut().find(|tenant| tenant.id == record.id) {
                Some(tenant) => *tenant = record,
                None => self.tenants.push(record),
            },
            Delta::PutRole(record) => drop(data.roles.insert(record.id, record)),
            Delta::PutOrganization(record) => drop(data.organizations.insert(record.id, record)),
            Delta::PutGroup(record) => drop(data.groups.insert(record.id, record)),
            Delta::PutCredential(record) => self.put_credential(record)?,
            Delta::PutLinkedAccount(record) => data.put_account(record),
            Delta::RemoveLinkedAccount(id) => data.accounts.retain(|account| account.id != id),
            Delta::PutLedger(entry) => data.put_ledger(*entry),
        }
        committed.changed |= differs;
        Ok(())
    }
}

impl State {
    /// Keeps a credential, if its secret is its alone.
    fn put_credential(&mut self, record: Credential) -> Result<(), Error> {
        let same = |other: &Credential| (other.tenant, other.id) == (record.tenant, record.id);
        if self.credentials.get(&record.hash.0).is_some_and(|other| !same(other)) {
            return Err(Error::Taken { field: "hash" });
        }
        self.credentials.retain(|_, other| !same(other));
        self.credentials.insert(record.hash.0, record);
        Ok(())
    }
}

impl Data {
    /// Keeps a user, if his number and user name are his alone.
    fn put_user(&mut self, user: User) -> Result<Arc<User>, Error> {
        let others = || self.users.values().filter(|other| other.id != user.id);
        if others().any(|other| other.serial == user.serial) {
            return Err(Error::Taken { field: "serial" });
        }
        let name = user.username_key();
        if name.is_some() && others().any(|other| other.username_key() == name) {
            return Err(Error::Taken { field: "username" });
        }
        let user = Arc::new(user);
        self.users.insert(user.id, user.clone());
        Ok(user)
    }

    fn put_account(&mut self, record: LinkedAccount) {
        match self.accounts.iter_mut().find(|account| account.id == record.id) {
            Some(account) => *account = record,
            None => self.accounts.push(record),
        }
    }

    /// Whether this is the state of a remote write that is kept in one from which it cannot come to it, with an audit entry or without.
    fn is_settled(&self, delta: &Delta, audited: bool) -> bool {
        let Delta::PutLedger(entry) = delta else { return false };
        let kept = self.ledger.iter().find(|kept| kept.id == entry.id);
        kept.is_some_and(|kept| !kept.can_become(entry, audited))
    }

    /// Keeps the state of a remote write, and forgets those that were settled long before it began.
    fn put_ledger(&mut self, entry: LedgerEntry) {
        let old = entry.begun_at.plus_seconds(-LEDGER_SECONDS);
        self.ledger
            .retain(|kept| kept.begun_at > old || kept.state == LedgerState::Intent);
        match self.ledger.iter_mut().find(|kept| kept.id == entry.id) {
            Some(kept) => *kept = entry,
            None => self.ledger.push(entry),
        }
    }

    fn append(&mut self, mut entry: AuditEntry, changes: Vec<FieldChange>, user: Option<&User>) -> Result<(), Error> {
        entry.changes.extend(changes);
        entry.revision = entry.revision.or(user.map(|user| user.revision));
        let bytes = entry.encode()?;
        let (position, before) = self.head();
        let hash = before.follow(position + 1, audit::digest(&bytes));
        self.audit.push(AuditEvent {
            position: position + 1,
            entry,
            bytes,
            hash,
        });
        Ok(())
    }

    /// Where the log ends.
    fn head(&self) -> (u64, ChainHash) {
        self.audit
            .last()
            .map_or((0, ChainHash::default()), |last| (last.position, last.hash))
    }

    /// Refuses a user with a new mail address that another one has.
    fn check_emails(&self, before: &BTreeMap<UserId, Arc<User>>) -> Result<(), Error> {
        let had = |user: &User| before.get(&user.id).and_then(|user| user.email_key());
        let anew = |user: &&Arc<User>| user.email_key().is_some() && user.email_key() != had(user);
        let shared = |user: &Arc<User>| {
            let mut others = self.users.values().filter(|other| other.id != user.id);
            others.any(|other| other.email_key() == user.email_key())
        };
        if self.users.values().filter(anew).any(shared) {
            return Err(Error::Taken { field: "email" });
        }
        Ok(())
    }

    /// The stored outcome of the request with this idempotency key, if there is one to replay.
    fn recall(&self, asked: &Idempotency, at: Timestamp) -> Result<Option<Committed>, Error> {
        let in_time = |kept: &&Remembered| kept.at.plus_seconds(IDEMPOTENCY_SECONDS) > at;
        let Some(kept) = self.idempotency.get(&asked.key).filter(in_time) else {
            return Ok(None);
        };
        if kept.fingerprint != asked.fingerprint {
            return Err(Error::IdempotencyMismatch);
        }
        match (&kept.outcome, asked.record) {
            (Kept::Done(user), IdempotencyRecord::Begin | IdempotencyRecord::Finish) => Ok(Some(Committed {
                user: user.clone(),
                changed: false,
                at: kept.at,
                replayed: true,
            })),
            (Kept::Pending, IdempotencyRecord::Begin) => Err(Error::IdempotencyPending),
            _ => Ok(None),
        }
    }

    fn remember(&mut self, idempotency: Option<Idempotency>, committed: &Committed) {
        self.idempotency
            .retain(|_, kept| kept.at.plus_seconds(IDEMPOTENCY_SECONDS) > committed.at);
        let Some(Idempotency {
            key,
            fingerprint,
            record,
        }) = idempotency
        else {
            return;
        };
        if self.idempotency.get(&key).is_some_and(|kept| kept.at > committed.at) {
            // The key is a later request's by now.
            return;
        }
        let outcome = match record {
            IdempotencyRecord::Forget => {
                self.idempotency.remove(&key);
                return;
            }
            IdempotencyRecord::Begin => Kept::Pending,
            IdempotencyRecord::Finish => Kept::Done(committed.user.clone()),
        };
        self.idempotency.insert(
            key,
            Remembered {
                fingerprint,
                at: committed.at,
                outcome,
            },
        );
    }
}

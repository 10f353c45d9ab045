//! All that one commit holds: deltas, the audit entry, the idempotency record. All or nothing.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

use crate::{
    audit::{AuditEntry, FieldChange},
    author::Author,
    clock::Timestamp,
    credential::Credential,
    error::Error,
    group::Group,
    id::{LinkedAccountId, TenantId, UserId},
    linked_account::LinkedAccount,
    organization::Organization,
    remote::LedgerEntry,
    revision::Expect,
    role::Role,
    user::{User, UserPatch},
};

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// Identity.
    pub id: TenantId,
    /// Name for people.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// One change of one record.
#[derive(Clone, Debug, PartialEq)]
pub enum Delta {
    /// Applies a delta to a user, if he is as expected. A delta that changes nothing writes nothing.
    UpdateUser {
        /// Whom.
        id: UserId,
        /// What the caller requires of him.
        expect: Expect,
        /// What to change.
        patch: Box<UserPatch>,
    },
    /// Keeps a new user; fails if the id, serial or user name is there already.
    CreateUser(Box<User>),
    /// Keeps a tenant.
    PutTenant(Tenant),
    /// Keeps a role.
    PutRole(Role),
    /// Keeps an organization.
    PutOrganization(Organization),
    /// Keeps a group.
    PutGroup(Group),
    /// Keeps a credential.
    PutCredential(Credential),
    /// Keeps a linked account.
    PutLinkedAccount(LinkedAccount),
    /// Forgets a linked account.
    RemoveLinkedAccount(LinkedAccountId),
    /// Keeps the state of a remote write. If the write [cannot come](crate::remote::LedgerEntry::can_become) to it from the
    /// state that is kept, the whole changeset does nothing.
    PutLedger(Box<LedgerEntry>),
}

/// What makes a repeated request recognisable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idempotency {
    /// Who sent it and the key he chose: `credential id/key`.
    pub key: String,
    /// Digest of the request: method, path, conditions, body.
    pub fingerprint: [u8; 32],
    /// What to keep as the outcome.
    pub record: IdempotencyRecord,
}

/// What is kept under an idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdempotencyRecord {
    /// The request begins; its outcome follows in another commit. Fails if the key is known.
    Begin,
    /// The outcome of this commit. Replays if the key already has an outcome.
    Finish,
    /// Nothing was done: forget the key, so that it can be used again.
    Forget,
}

/// For how long an idempotency key is remembered: 24 hours.
pub const IDEMPOTENCY_SECONDS: i64 = 24 * 60 * 60;

/// All that one commit holds.
#[derive(Clone, Debug)]
pub struct Changeset {
    /// Whose records.
    pub tenant: TenantId,
    /// The moment that the records are stamped with.
    pub at: Timestamp,
    /// Who changes them; `None` for the operator at the console.
    pub by: Option<Arc<Author>>,
    /// The changes, in order.
    pub deltas: Vec<Delta>,
    /// What the log keeps; the store adds what changed. `None` only where no caller is to be held to account.
    pub audit: Option<AuditEntry>,
    /// The idempotency record, if the caller asked for one.
    pub idempotency: Option<Idempotency>,
    /// True if no user delta may give a user a mail address, letter case aside, that another user of the tenant has. A
    /// user who shares an address already may keep it.
    pub unique_email: bool,
    /// The user as the caller saw him a moment ago. A store may prepare its work from it but must not trust it.
    pub seen: Option<Arc<User>>,
}

impl Changeset {
    /// A changeset with nothing in it.
    pub fn new(tenant: TenantId, at: Timestamp) -> Self {
        Self {
            tenant,
            at,
            by: None,
            deltas: Vec::new(),
            audit: None,
            idempotency: None,
            unique_email: false,
            seen: None,
        }
    }
}

/// What a commit did.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The user after the last user delta, or as the replayed request left him.
    pub user: Option<Arc<User>>,
    /// False if nothing changed, so nothing was written.
    pub changed: bool,
    /// When the outcome came about: now, or when the replayed request was first done.
    pub at: Timestamp,
    /// True if this is the stored outcome of an earlier request with the same idempotency key.
    pub replayed: bool,
}

/// A user delta worked out against the record as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// The user as he becomes, with his new revision, time of change and author if anything changed.
    pub user: User,
    /// What changed; empty if nothing did.
    pub changes: Vec<FieldChange>,
}

/// Works out a user delta: checks what is expected, applies, and stamps. Pure; every store calls it.
///
/// Fails with [`Error::Precondition`] if the record is not as expected, [`Error::NotFound`] if there is none, and as
/// [`User::apply`] does.
pub fn update(
    current: Option<&User>,
    expect: &Expect,
    patch: &UserPatch,
    at: Timestamp,
    by: Option<&Arc<Author>>,
) -> Result<Update, Error> {
    let current = current.ok_or(Error::NotFound { what: "user" })?;
    expect.check(Some(current.revision))?;
    let mut applied = current.apply(patch)?;
    if !applied.changes.is_empty() {
        applied.user.revision = current.revision.next();
        applied.user.updated_at = at.max(current.updated_at);
        applied.user.updated_by = by.cloned();
    }
    Ok(Update {
        user: applied.user,
        changes: applied.changes,
    })
}

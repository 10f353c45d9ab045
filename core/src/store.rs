//! The port to where records live.
//!
//! # Contract
//!
//! - Typed reads see every commit of this process that was answered before they began. Commits of another process are seen by
//!   whatever is read after a look-up of a [`holder`](Store::holder), with which every request begins; without one a user, a role
//!   or a linked account may be shown as he was until the store looks by itself, about once a second while nothing is written.
//! - [`Store::commit`] is atomic and durable when it answers. User deltas are applied to the record as it stands inside
//!   the transaction. Uniqueness comes back as [`Error::Taken`].
//! - A changeset in which no delta changed anything writes nothing but its idempotency record; one without deltas
//!   writes its audit entry.
//! - An idempotency record is left alone by commits whose moment is before its own: the key is a later request's by then.
//! - A remote write whose outcome is known keeps it: a changeset that says another does nothing at all, not even for its
//!   idempotency record.
//! - A settled remote write is forgotten some time after [`LEDGER_SECONDS`](crate::remote::LEDGER_SECONDS).
//! - Every read and write is confined to the tenant it names; only [`Store::holder`] finds the tenant itself.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    audit::{AuditEvent, ChainHash},
    changeset::{Changeset, Committed, Idempotency, Tenant},
    clock::Timestamp,
    credential::{Credential, CredentialHash},
    error::Error,
    group::Group,
    icon::Icon,
    id::{GroupId, LedgerId, LinkedAccountId, OrganizationId, RoleId, Serial, TenantId, UserId},
    linked_account::LinkedAccount,
    organization::Organization,
    remote::{LedgerEntry, OpenWrite},
    role::Role,
    user::User,
};

/// By what a user is looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserKey {
    /// His UUID.
    Id(UserId),
    /// His number.
    Serial(Serial),
    /// His mail address, letter case aside; finds nobody if several users have it.
    Email(String),
    /// A remote system's id for him; the directory reads it as a UUID if it is one.
    Opaque(String),
}

/// By what an organization or group is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key<I> {
    /// Its UUID.
    Id(I),
    /// Its number.
    Serial(Serial),
}

/// A credential with what is needed to make a principal of its holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The credential.
    pub credential: Arc<Credential>,
    /// Its role: the service's or the user's; `None` if the user has none.
    pub role: Option<Arc<Role>>,
    /// The user it stands for, if it stands for one that exists.
    pub user: Option<Arc<User>>,
}

/// Where records live.
#[async_trait]
pub trait Store: Send + Sync {
    /// The holder of the credential with this hash, in whichever tenant. A request begins with this.
    async fn holder(&self, hash: &CredentialHash) -> Result<Option<Holder>, Error>;

    /// All tenants, in order of their making.
    async fn tenants(&self) -> Result<Vec<Tenant>, Error>;

    /// One user.
    async fn user(&self, tenant: TenantId, key: &UserKey) -> Result<Option<Arc<User>>, Error>;

    /// The picture of a user.
    async fn icon(&self, tenant: TenantId, user: UserId) -> Result<Option<Icon>, Error>;

    /// One role.
    async fn role(&self, tenant: TenantId, id: RoleId) -> Result<Option<Arc<Role>>, Error>;

    /// One organization.
    async fn organization(
        &self,
        tenant: TenantId,
        key: Key<OrganizationId>,
    ) -> Result<Option<Arc<Organization>>, Error>;

    /// One group.
    async fn group(&self, tenant: TenantId, key: Key<GroupId>) -> Result<Option<Arc<Group>>, Error>;

    /// One linked account.
    async fn linked_account(&self, tenant: TenantId, id: &LinkedAccountId)
    -> Result<Option<Arc<LinkedAccount>>, Error>;

    /// All linked accounts of a tenant, in order of their making.
    async fn linked_accounts(&self, tenant: TenantId) -> Result<Vec<LinkedAccount>, Error>;

    /// One remote write.
    async fn ledger(&self, tenant: TenantId, id: LedgerId) -> Result<Option<LedgerEntry>, Error>;

    /// The last remote write that was begun under an idempotency key.
    async fn last_write(&self, tenant: TenantId, key: &str) -> Result<Option<LedgerEntry>, Error>;

    /// At most `limit` remote writes that are still at [`LedgerState::Intent`](crate::remote::LedgerState::Intent), oldest first.
    async fn open_writes(&self, tenant: TenantId, limit: u32) -> Result<Vec<OpenWrite>, Error>;

    /// At most `limit` events of the audit log after a position, in order.
    async fn audit(&self, tenant: TenantId, after: u64, limit: u32) -> Result<Vec<AuditEvent>, Error>;

    /// Where a tenant's audit chain ends, as each commit records it beside the log: the last position and its hash. Position 0
    /// and the all-zero hash if it has not begun.
    async fn audit_head(&self, tenant: TenantId) -> Result<(u64, ChainHash), Error>;

    /// The outcome that a commit with this idempotency record at `now` would replay; `None` if it would do its work.
    ///
    /// Fails as such a commit does: with [`Error::IdempotencyMismatch`] or [`Error::IdempotencyPending`].
    async fn replay(&self, tenant: TenantId, asked: &Idempotency, now: Timestamp) -> Result<Option<Committed>, Error>;

    /// Writes all of a changeset or nothing of it; durable when it answers.
    async fn commit(&self, changeset: Changeset) -> Result<Committed, Error>;

    /// Fails if the store cannot work now.
    async fn ready(&self) -> Result<(), Error>;
}

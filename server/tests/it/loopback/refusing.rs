//! A store that refuses some commits.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use async_trait::async_trait;
use patchbay::store::memory::MemoryStore;
use patchbay_core::{
    audit::{AuditEvent, ChainHash},
    changeset::{Changeset, Committed, Idempotency, Tenant},
    clock::Timestamp,
    credential::CredentialHash,
    error::Error,
    group::Group,
    icon::Icon,
    id::{GroupId, LedgerId, LinkedAccountId, OrganizationId, RoleId, TenantId, UserId},
    linked_account::LinkedAccount,
    organization::Organization,
    remote::{LedgerEntry, OpenWrite},
    role::Role,
    store::{Holder, Key, Store, UserKey},
    user::User,
};

/// A store in memory that takes so many commits and refuses so many that follow.
#[derive(Default)]
pub struct Refusing {
    inner: MemoryStore,
    takes: AtomicU32,
    refuses: AtomicU32,
}

impl Refusing {
    /// One that takes everything.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// From now on takes so many commits, then refuses so many.
    pub fn after(&self, takes: u32, refuses: u32) {
        self.takes.store(takes, Ordering::SeqCst);
        self.refuses.store(refuses, Ordering::SeqCst);
    }
}

fn counted(left: &AtomicU32) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
        .is_ok()
}

#[async_trait]
impl Store for Refusing {
    async fn commit(&self, changeset: Changeset) -> Result<Committed, Error> {
        if !counted(&self.takes) && counted(&self.refuses) {
            return Err(Error::Busy { retry_after: 1 });
        }
        self.inner.commit(changeset).await
    }
    async fn holder(&self, hash: &CredentialHash) -> Result<Option<Holder>, Error> {
        self.inner.holder(hash).await
    }
    async fn tenants(&self) -> Result<Vec<Tenant>, Error> {
        self.inner.tenants().await
    }
    async fn user(&self, tenant: TenantId, key: &UserKey) -> Result<Option<Arc<User>>, Error> {
        self.inner.user(tenant, key).await
    }
    async fn icon(&self, tenant: TenantId, user: UserId) -> Result<Option<Icon>, Error> {
        self.inner.icon(tenant, user).await
    }
    async fn role(&self, tenant: TenantId, id: RoleId) -> Result<Option<Arc<Role>>, Error> {
        self.inner.role(tenant, id).await
    }
    async fn organization(
        &self,
        tenant: TenantId,
        key: Key<OrganizationId>,
    ) -> Result<Option<Arc<Organization>>, Error> {
        self.inner.organization(tenant, key).await
    }
    async fn group(&self, tenant: TenantId, key: Key<GroupId>) -> Result<Option<Arc<Group>>, Error> {
        self.inner.group(tenant, key).await
    }
    async fn linked_account(
        &self,
        tenant: TenantId,
        id: &LinkedAccountId,
    ) -> Result<Option<Arc<LinkedAccount>>, Error> {
        self.inner.linked_account(tenant, id).await
    }
    async fn linked_accounts(&self, tenant: TenantId) -> Result<Vec<LinkedAccount>, Error> {
        self.inner.linked_accounts(tenant).await
    }
    async fn ledger(&self, tenant: TenantId, id: LedgerId) -> Result<Option<LedgerEntry>, Error> {
        self.inner.ledger(tenant, id).await
    }
    async fn last_write(&self, tenant: TenantId, key: &str) -> Result<Option<LedgerEntry>, Error> {
        self.inner.last_write(tenant, key).await
    }
    async fn open_writes(&self, tenant: TenantId, limit: u32) -> Result<Vec<OpenWrite>, Error> {
        self.inner.open_writes(tenant, limit).await
    }
    async fn audit(&self, tenant: TenantId, after: u64, limit: u32) -> Result<Vec<AuditEvent>, Error> {
        self.inner.audit(tenant, after, limit).await
    }
    async fn audit_head(&self, tenant: TenantId) -> Result<(u64, ChainHash), Error> {
        self.inner.audit_head(tenant).await
    }
    async fn replay(&self, tenant: TenantId, asked: &Idempotency, now: Timestamp) -> Result<Option<Committed>, Error> {
        self.inner.replay(tenant, asked, now).await
    }
    async fn ready(&self) -> Result<(), Error> {
        self.inner.ready().await
    }
}

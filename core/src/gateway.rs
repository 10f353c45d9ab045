//! The way in: one method per use case, the same for every dialect.
//!
//! The gateway chooses the provider by linked account, and sees to it that a refused or failed write leaves its own
//! entry in the audit log.

use std::{collections::BTreeMap, sync::Arc};

use uuid::Uuid;

use crate::{
    audit::{AuditEntry, Outcome},
    changeset::Changeset,
    clock::Timestamp,
    connector::Connectors,
    directory::{Directory, forbidden},
    error::Error,
    host::Host,
    icon::Icon,
    id::{LedgerId, LinkedAccountId, OrganizationId, TenantId},
    linked_account::{AccountStatus, LinkedAccount},
    membership::MembershipChange,
    policy::{self, Action},
    principal::Context,
    provider::{GetUser, Provider, UpdateUser, Updated, UserView},
    remote::{LedgerState, Remote, Turns, unknown},
    store::{Key, Store, UserKey},
};

/// The most writes of one tenant that are settled at a start; what is beyond waits for the next one.
pub const MOST_OPEN: u32 = 10_000;

/// The remote writes to one linked account that an earlier run left open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenWrites {
    /// Whose account it is.
    pub tenant: TenantId,
    /// The writes, oldest first.
    pub ids: Vec<LedgerId>,
}

/// Where new identities come from.
pub trait Entropy: Send + Sync {
    /// A new random UUID.
    fn uuid(&self) -> Uuid;
}

/// The use cases.
#[derive(Clone)]
pub struct Gateway {
    store: Arc<dyn Store>,
    connectors: Arc<dyn Connectors>,
    entropy: Arc<dyn Entropy>,
    host: Arc<dyn Host>,
    turns: Arc<Turns>,
    directory: Arc<Directory>,
}

impl Gateway {
    /// A gateway over a store, reaching remote systems through `connectors`.
    pub fn new(
        store: Arc<dyn Store>,
        connectors: Arc<dyn Connectors>,
        entropy: Arc<dyn Entropy>,
        host: Arc<dyn Host>,
    ) -> Self {
        let directory = Arc::new(Directory::new(store.clone()));
        Self {
            store,
            connectors,
            entropy,
            host,
            turns: Arc::default(),
            directory,
        }
    }

    /// Reads one user of a linked account; `None` is the embedded directory.
    ///
    /// Fails with [`Error::NotFound`] if the account or user is unknown or not the caller's to see,
    /// [`Error::AccountOff`] if the account is switched off, [`Error::Forbidden`] if the caller may not read users.
    pub async fn get_user(
        &self,
        context: &Context,
        account: Option<&LinkedAccountId>,
        query: &GetUser,
    ) -> Result<UserView, Error> {
        let action = Action::GetUser;
        let permitted = || policy::may_ever(&context.principal, action);
        let provider = self.provider(context, account, action, permitted).await?;
        provider.get_user(context, query).await
    }

    /// Changes one user of a linked account; `None` is the embedded directory.
    ///
    /// Fails as [`Gateway::get_user`] does, and with [`Error::Precondition`], [`Error::Taken`], [`Error::Invalid`],
    /// [`Error::Unsupported`], [`Error::IdempotencyMismatch`], [`Error::IdempotencyPending`], [`Error::Busy`] or [`Error::Remote`].
    /// When it fails nothing is applied, except that a remote system's outcome may be unknown, and that [`Error::Internal`] may also
    /// mean that what the answer would show cannot be read after the change.
    pub async fn update_user(
        &self,
        context: &Context,
        account: Option<&LinkedAccountId>,
        key: &UserKey,
        update: UpdateUser,
    ) -> Result<Updated, Error> {
        let own_profile = update.own_profile;
        let permitted = || policy::may_ever_update(&context.principal, own_profile);
        let result = match self.provider(context, account, Action::UpdateUser, permitted).await {
            Ok(provider) => provider.update_user(context, key, update).await,
            Err(error) => Err(error),
        };
        self.recorded(context, account, key, result).await
    }

    /// Changes one user of the embedded directory together with his membership in an organization.
    ///
    /// Fails as [`Gateway::update_user`] does, also with [`Error::NotFound`] if he is no member of it, and with
    /// [`Error::Invalid`] naming `groups[i]` for a group that it does not have.
    pub async fn update_member(
        &self,
        context: &Context,
        organization: Key<OrganizationId>,
        key: &UserKey,
        change: MembershipChange,
        update: UpdateUser,
    ) -> Result<Updated, Error> {
        let result = self
            .directory
            .update_member(context, organization, key, change, update)
            .await;
        self.recorded(context, None, key, result).await
    }

    /// Changes one user of the embedded directory together with the organization that he works in from now on.
    ///
    /// Fails as [`Gateway::update_user`] does, and with [`Error::Invalid`] naming `current_organization` if his membership
    /// there is not active.
    pub async fn move_user(
        &self,
        context: &Context,
        organization: Key<OrganizationId>,
        key: &UserKey,
        update: UpdateUser,
    ) -> Result<Updated, Error> {
        let result = self.directory.move_user(context, organization, key, update).await;
        self.recorded(context, None, key, result).await
    }

    /// The picture of a user of the embedded directory.
    pub async fn user_icon(&self, context: &Context, key: &UserKey) -> Result<Icon, Error> {
        self.directory.icon(context, key).await
    }

    /// The provider behind a linked account. Whose role can never permit the action, which is asked only where the account is off, is told
    /// that instead.
    async fn provider(
        &self,
        context: &Context,
        account: Option<&LinkedAccountId>,
        action: Action,
        permitted: impl FnOnce() -> bool,
    ) -> Result<Arc<dyn Provider>, Error> {
        let Some(id) = account else {
            return Ok(self.directory.clone());
        };
        let account = self.store.linked_account(context.principal.tenant, id).await?;
        let account = account.ok_or(Error::NotFound { what: "linked account" })?;
        if let Err(off) = account.check_active() {
            return Err(if permitted() { off } else { forbidden(action) });
        }
        if account.remote.is_none() {
            return Ok(self.directory.clone());
        }
        Ok(Arc::new(self.remote(&account)?))
    }

    fn remote(&self, account: &LinkedAccount) -> Result<Remote, Error> {
        Ok(Remote::new(
            account.id.clone(),
            self.connectors.connect(account)?,
            self.store.clone(),
            self.host.clone(),
            self.turns.clone(),
            LedgerId(self.entropy.uuid()),
        ))
    }

    /// The remote writes of all tenants that an earlier run left open, at most [`MOST_OPEN`] per tenant. Asked before the first
    /// request is served, since a write that is under way looks the same. Only their ids, so that many take little memory.
    pub async fn open_writes(&self) -> Result<Vec<OpenWrites>, Error> {
        let mut open = BTreeMap::<(TenantId, LinkedAccountId), Vec<LedgerId>>::new();
        for tenant in self.store.tenants().await? {
            for write in self.store.open_writes(tenant.id, MOST_OPEN).await? {
                open.entry((tenant.id, write.account)).or_default().push(write.id);
            }
        }
        let open = open.into_iter();
        Ok(open.map(|((tenant, _), ids)| OpenWrites { tenant, ids }).collect())
    }

    /// Settles a remote write that an earlier run left open, by reading the user back where his account can still be reached.
    /// False if nothing is left to do: a repeat under its idempotency key has settled it already. Fails, and leaves the write
    /// open, if the account cannot be spoken to for a reason of ours, such as a key that is missing.
    pub async fn settle(&self, tenant: TenantId, id: LedgerId, now: Timestamp) -> Result<bool, Error> {
        let write = self.store.ledger(tenant, id).await?;
        let Some(write) = write.filter(|write| write.state == LedgerState::Intent) else {
            return Ok(false);
        };
        let account = self.store.linked_account(tenant, &write.account).await?;
        let account = account.filter(|account| account.status == AccountStatus::Active && account.remote.is_some());
        if let Some(account) = account {
            self.remote(&account)?.settle(tenant, write, now).await;
            return Ok(true);
        }
        let state = unknown("its linked account cannot be reached any more");
        self.store
            .commit(write.ended(tenant, now, state, None, true))
            .await
            .map(|_| true)
    }

    /// The result of a write, once a refusal has its audit entry. If that cannot be written the caller is told so instead
    /// of the refusal.
    async fn recorded(
        &self,
        context: &Context,
        account: Option<&LinkedAccountId>,
        key: &UserKey,
        result: Result<Updated, Error>,
    ) -> Result<Updated, Error> {
        match result {
            // Recorded with its outcome, where that is known.
            Ok(_) | Err(Error::Remote(_)) => result,
            Err(error) => {
                self.record_refusal(context, account, key, &error).await?;
                Err(error)
            }
        }
    }

    /// Writes the audit entry of a write that was not done. Overload and faults of our own are for the log: they say
    /// nothing about the caller, and the store may be what is failing.
    async fn record_refusal(
        &self,
        context: &Context,
        account: Option<&LinkedAccountId>,
        key: &UserKey,
        error: &Error,
    ) -> Result<(), Error> {
        let outcome = match error {
            Error::Busy { .. } | Error::Internal { .. } => return Ok(()),
            _ => Outcome::Refused(error.to_string()),
        };
        let tenant = context.principal.tenant;
        let linked = match account {
            None => None,
            Some(id) => self.store.linked_account(tenant, id).await?,
        };
        // The embedded directory can be called as a linked account too.
        let account = account.filter(|_| linked.is_none_or(|account| account.remote.is_some()));
        let found = match account {
            None => self.store.user(tenant, key).await?,
            Some(_) => None,
        };
        let resource = found.map_or_else(|| shown(key), |user| user.id.to_string());
        let mut entry = AuditEntry::of(context, Action::UpdateUser.as_str(), resource);
        entry.outcome = outcome;
        entry.account = account.map(ToString::to_string);
        let mut changeset = Changeset::new(tenant, context.now);
        changeset.audit = Some(entry);
        self.store.commit(changeset).await.map(|_| ())
    }
}

/// What the caller gave as the user's id, cut to a bounded length.
fn shown(key: &UserKey) -> String {
    match key {
        UserKey::Id(id) => id.to_string(),
        UserKey::Serial(serial) => format!("serial {}", serial.0),
        UserKey::Email(text) | UserKey::Opaque(text) => text.chars().take(200).collect(),
    }
}

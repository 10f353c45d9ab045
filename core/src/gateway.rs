//! The way in: one method per use case, the same for every dialect.
//!
//! The gateway chooses the provider by linked account, and sees to it that a refused or failed write leaves its own
//! entry in the audit log.

use std::sync::Arc;

use uuid::Uuid;

use crate::{
    audit::{AuditEntry, Outcome},
    changeset::Changeset,
    connector::Connectors,
    directory::Directory,
    error::Error,
    icon::Icon,
    id::{LedgerId, LinkedAccountId, OrganizationId},
    linked_account::AccountStatus,
    membership::MembershipChange,
    policy::Action,
    principal::Context,
    provider::{GetUser, Provider, UpdateUser, Updated, UserView},
    remote::Remote,
    store::{Key, Store, UserKey},
};

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
    directory: Arc<Directory>,
}

impl Gateway {
    /// A gateway over a store, reaching remote systems through `connectors`.
    pub fn new(store: Arc<dyn Store>, connectors: Arc<dyn Connectors>, entropy: Arc<dyn Entropy>) -> Self {
        let directory = Arc::new(Directory::new(store.clone()));
        Self {
            store,
            connectors,
            entropy,
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
        self.provider(context, account).await?.get_user(context, query).await
    }

    /// Changes one user of a linked account; `None` is the embedded directory.
    ///
    /// Fails as [`Gateway::get_user`] does, and with [`Error::Precondition`], [`Error::Taken`], [`Error::Invalid`],
    /// [`Error::Unsupported`], [`Error::IdempotencyMismatch`], [`Error::Busy`] or [`Error::Remote`]. When it fails nothing is
    /// applied, except that a remote system's outcome may be unknown.
    pub async fn update_user(
        &self,
        context: &Context,
        account: Option<&LinkedAccountId>,
        key: &UserKey,
        update: UpdateUser,
    ) -> Result<Updated, Error> {
        let result = match self.provider(context, account).await {
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

    async fn provider(&self, context: &Context, account: Option<&LinkedAccountId>) -> Result<Arc<dyn Provider>, Error> {
        let Some(id) = account else {
            return Ok(self.directory.clone());
        };
        let account = self.store.linked_account(context.principal.tenant, id).await?;
        let account = account.ok_or(Error::NotFound { what: "linked account" })?;
        if account.status != AccountStatus::Active {
            return Err(Error::AccountOff {
                id: account.id.clone(),
                status: account.status,
            });
        }
        if account.remote.is_none() {
            return Ok(self.directory.clone());
        }
        let connector = self.connectors.connect(&account)?;
        let ledger_id = LedgerId(self.entropy.uuid());
        Ok(Arc::new(Remote::new(
            account.id.clone(),
            connector,
            self.store.clone(),
            ledger_id,
        )))
    }

    /// The result of a write, once a refusal has its audit entry. If that cannot be written the caller is told so instead
    /// of the refusal, but not instead of what a remote system did or may have done.
    async fn recorded(
        &self,
        context: &Context,
        account: Option<&LinkedAccountId>,
        key: &UserKey,
        result: Result<Updated, Error>,
    ) -> Result<Updated, Error> {
        let Err(error) = result else { return result };
        match self.record_refusal(context, account, key, &error).await {
            Err(unrecorded) if !matches!(error, Error::Remote(_)) => Err(unrecorded),
            _ => Err(error),
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
            Error::Remote(failure) if failure.outcome_unknown() => Outcome::Unknown(error.to_string()),
            Error::Remote(_) => Outcome::Failed(error.to_string()),
            _ => Outcome::Refused(error.to_string()),
        };
        let found = match account {
            None => self.store.user(context.principal.tenant, key).await?,
            Some(_) => None,
        };
        let resource = found.map_or_else(|| shown(key), |user| user.id.to_string());
        let mut entry = AuditEntry::of(context, Action::UpdateUser.as_str(), resource);
        entry.outcome = outcome;
        entry.account = account.map(ToString::to_string);
        let mut changeset = Changeset::new(context.principal.tenant, context.now);
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

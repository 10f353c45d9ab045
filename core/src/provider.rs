//! What an identity system can do for a caller, wherever it is.
//!
//! Two implementors: [`crate::directory::Directory`] (embedded) and [`crate::remote::Remote`] (a connector, wrapped in the
//! write ledger).

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    changeset::Idempotency,
    clock::Timestamp,
    error::Error,
    group::Group,
    id::OrganizationId,
    organization::Organization,
    principal::Context,
    revision::Expect,
    role::Role,
    store::{Key, UserKey},
    user::{User, UserPatch},
};

/// Which related records a view of a user is to carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Include {
    /// The user's role.
    pub role: bool,
    /// His organizations and groups.
    pub memberships: bool,
}

/// A user with what belongs to him, as far as it was asked for.
#[derive(Clone, Debug)]
pub struct UserView {
    /// The user.
    pub user: Arc<User>,
    /// His role, if it was asked for and he has one.
    pub role: Option<Arc<Role>>,
    /// The organizations of his memberships, if asked for.
    pub organizations: Vec<Arc<Organization>>,
    /// The groups of his memberships, if asked for.
    pub groups: Vec<Arc<Group>>,
    /// True if the caller reaches the whole tenant, so that nothing about the user is hidden from him. Otherwise
    /// `organizations` and `groups` are those that he may see.
    pub unrestricted: bool,
}

impl UserView {
    /// A view with nothing but the user.
    pub fn bare(user: Arc<User>) -> Self {
        Self {
            user,
            role: None,
            organizations: Vec::new(),
            groups: Vec::new(),
            unrestricted: false,
        }
    }
}

/// A use case's input: change one user.
#[derive(Clone, Debug, Default)]
pub struct UpdateUser {
    /// What to change.
    pub patch: Box<UserPatch>,
    /// What must hold of the record.
    pub expect: Expect,
    /// What makes a repeat recognisable.
    pub idempotency: Option<Idempotency>,
    /// The organization he must be a member of, where the caller names one.
    pub member_of: Option<Key<OrganizationId>>,
    /// True where the caller's dialect lets the user himself change his profile, whatever his role permits. For the
    /// embedded directory; false by default.
    pub own_profile: bool,
    /// True where mail addresses are unique in the caller's dialect: see [`crate::changeset::Changeset::unique_email`].
    pub unique_email: bool,
    /// What the answer is to carry.
    pub include: Include,
}

/// A use case's output: what an update did.
#[derive(Clone, Debug)]
pub struct Updated {
    /// The user afterwards; `None` if the provider does not tell.
    pub view: Option<UserView>,
    /// False if nothing changed.
    pub changed: bool,
    /// When the outcome came about.
    pub at: Timestamp,
    /// True if this is the stored outcome of an earlier request with the same idempotency key.
    pub replayed: bool,
}

/// An identity system.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Reads one user, if the caller may see him.
    async fn get_user(&self, context: &Context, query: &GetUser) -> Result<UserView, Error>;

    /// Changes one user, if the caller may.
    async fn update_user(&self, context: &Context, key: &UserKey, update: UpdateUser) -> Result<Updated, Error>;
}

/// A use case's input: read one user.
#[derive(Clone, Debug)]
pub struct GetUser {
    /// Whom.
    pub key: UserKey,
    /// The organization he must be a member of, where the caller names one.
    pub member_of: Option<Key<OrganizationId>>,
    /// What the answer is to carry.
    pub include: Include,
}

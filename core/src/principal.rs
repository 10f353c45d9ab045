//! Who acts, and in what circumstances.

use std::sync::Arc;

use crate::{
    author::Author,
    clock::Timestamp,
    credential::{Credential, Subject},
    id::{OrganizationId, TenantId, UserId},
    role::Role,
    text::Text,
};

/// Who acts: the holder of a valid credential, with the role that was in force when the request came in.
#[derive(Clone, Debug)]
pub struct Principal {
    /// The tenant, and so everything the principal can ever see.
    pub tenant: TenantId,
    /// The credential shown.
    pub credential: Arc<Credential>,
    /// Name for people: the user's or the service's.
    pub name: Text,
    /// The same as records keep it.
    pub author: Arc<Author>,
    /// The role whose statement decides.
    pub role: Arc<Role>,
    /// Organizations the principal belongs to, a user by an active membership; decides what a role that reaches only organizations sees.
    pub organizations: Vec<OrganizationId>,
}

impl Principal {
    /// The user who acts, if it is a user and not a service.
    pub fn user(&self) -> Option<UserId> {
        match &self.credential.subject {
            Subject::User(id) => Some(*id),
            Subject::Service { .. } => None,
        }
    }
}

/// One request's circumstances: who, when, through which dialect, under which request id.
#[derive(Clone, Debug)]
pub struct Context {
    /// Who acts.
    pub principal: Arc<Principal>,
    /// The request's id, as answered to the caller and written to log and audit.
    pub request_id: Arc<str>,
    /// Name of the dialect that the caller speaks.
    pub dialect: &'static str,
    /// When the request came in.
    pub now: Timestamp,
}

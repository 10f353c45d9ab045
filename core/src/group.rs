//! Groups: named sets of users within an organization.

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    id::{GroupId, OrganizationId, Serial, TenantId},
    revision::Revision,
};

/// A group of an organization. Which users are in it stands in their memberships.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Identity of the group.
    pub id: GroupId,
    /// The tenant it belongs to.
    pub tenant: TenantId,
    /// Number within the tenant.
    pub serial: Serial,
    /// The organization it belongs to.
    pub organization: OrganizationId,
    /// Name for people.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// True for the one group that new members of the organization join.
    pub is_default: bool,
    /// Version.
    pub revision: Revision,
    /// When it was made.
    pub created_at: Timestamp,
}

//! Organizations: what users are members of.

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    id::{OrganizationId, Serial, TenantId},
    revision::Revision,
};

/// What part an organization plays in a marketplace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OrganizationKind {
    /// Buys.
    Client,
    /// Sells.
    Vendor,
    /// Runs the platform.
    Operations,
}

/// A company or department that users belong to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Organization {
    /// Identity of the organization.
    pub id: OrganizationId,
    /// The tenant it belongs to.
    pub tenant: TenantId,
    /// Number within the tenant.
    pub serial: Serial,
    /// Name for people.
    pub name: String,
    /// Its part.
    pub kind: OrganizationKind,
    /// False if it is switched off.
    pub enabled: bool,
    /// Version.
    pub revision: Revision,
    /// When it was made.
    pub created_at: Timestamp,
}

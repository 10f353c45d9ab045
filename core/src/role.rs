//! Roles: a named statement and how far it reaches.

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    id::{RoleId, TenantId},
    policy::{Reach, Statement},
};

/// A role. A user has at most one; without one he may do nothing that needs a permission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Identity of the role.
    pub id: RoleId,
    /// The tenant it belongs to.
    pub tenant: TenantId,
    /// Name for people.
    pub name: String,
    /// What it permits.
    pub statement: Statement,
    /// On whom.
    pub reach: Reach,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Role {
    /// True if a holder of this role may give `other` away: nobody may grant more than they hold.
    pub fn covers(&self, other: &Self) -> bool {
        self.reach >= other.reach && self.statement.covers(&other.statement)
    }
}

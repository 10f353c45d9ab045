//! A user's place in an organization. Memberships are part of the user's record and share its revision.

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    id::{GroupId, OrganizationId},
    patch::Patch,
    store::Key,
};

/// How far a membership has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MembershipStatus {
    /// Asked, not yet answered.
    Invited,
    /// Asked, and not answered in time.
    InvitationExpired,
    /// In force.
    Active,
}

/// A user's place in one organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The organization.
    pub organization: OrganizationId,
    /// How far it has come.
    pub status: MembershipStatus,
    /// The groups he is in there; never empty.
    pub groups: Vec<GroupId>,
    /// Notes of those who invited him.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invitation_notes: Option<String>,
    /// When he was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invited_at: Option<Timestamp>,
    /// When he came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joined_at: Option<Timestamp>,
    /// When he was last there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_access_at: Option<Timestamp>,
}

/// Delta of the membership in one organization, which must exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembershipPatch {
    /// Which membership.
    pub organization: OrganizationId,
    /// The groups, replaced as a whole; may be neither null nor empty.
    pub groups: Patch<Vec<GroupId>>,
    /// The notes.
    pub invitation_notes: Patch<String>,
}

/// What a caller says of a membership, naming the groups by whichever key he has. The directory makes a
/// [`MembershipPatch`] of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MembershipChange {
    /// The groups, replaced as a whole; may be neither null nor empty.
    pub groups: Patch<Vec<Key<GroupId>>>,
    /// The notes.
    pub invitation_notes: Patch<String>,
}

impl MembershipChange {
    /// True if it says nothing.
    pub fn is_empty(&self) -> bool {
        self.groups.is_absent() && self.invitation_notes.is_absent()
    }
}

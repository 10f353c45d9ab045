//! The organizations that the users of these tests are in.

use patchbay_core::{
    id::{GroupId, OrganizationId},
    membership::{Membership, MembershipStatus},
};
use uuid::Uuid;

/// Every generated user is a member of these.
pub(crate) const ORGANIZATIONS: [OrganizationId; 2] =
    [OrganizationId(Uuid::from_u128(1)), OrganizationId(Uuid::from_u128(2))];

/// A membership as it begins.
pub(crate) fn membership(organization: OrganizationId) -> Membership {
    Membership {
        organization,
        status: MembershipStatus::Active,
        groups: vec![GroupId(Uuid::from_u128(0))],
        invitation_notes: None,
        invited_at: None,
        joined_at: None,
        last_access_at: None,
    }
}

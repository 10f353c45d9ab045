//! A changeset writes to one tenant: what it carries must say the same.

use patchbay_core::{
    changeset::{Changeset, Delta},
    error::Error,
    id::TenantId,
};

/// Checks that every record which names a tenant names the changeset's own.
///
/// Fails with [`Error::Internal`]: no caller can bring this about, only a mistake of our own.
pub(crate) fn check(changeset: &Changeset) -> Result<(), Error> {
    let stray = changeset
        .deltas
        .iter()
        .filter_map(tenant)
        .any(|tenant| tenant != changeset.tenant);
    if stray {
        return Err(Error::internal("a changeset carries a record of another tenant"));
    }
    Ok(())
}

/// The tenant that a delta's record names, if it names one.
fn tenant(delta: &Delta) -> Option<TenantId> {
    match delta {
        Delta::PutTenant(record) => Some(record.id),
        Delta::PutRole(record) => Some(record.tenant),
        Delta::PutOrganization(record) => Some(record.tenant),
        Delta::PutGroup(record) => Some(record.tenant),
        Delta::PutCredential(record) => Some(record.tenant),
        Delta::PutLinkedAccount(record) => Some(record.tenant),
        Delta::UpdateUser { .. } | Delta::CreateUser(_) | Delta::RemoveLinkedAccount(_) | Delta::PutLedger(_) => None,
    }
}

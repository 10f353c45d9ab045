//! Writes that a crash, or a store that refused their outcome, left at intent: settled by reading back.

use super::{Evidence, LedgerEntry, LedgerState, Remote};
use crate::{clock::Timestamp, id::TenantId};

impl Remote {
    /// Settles a write that an earlier run left open, and records how: in the ledger, under its idempotency key, and in
    /// the audit log. Nothing is sent but a read.
    pub async fn settle(&self, tenant: TenantId, entry: LedgerEntry, now: Timestamp) {
        let (state, user) = match self.read_back(&entry).await {
            Ok((Evidence::Applied, user)) => (LedgerState::Done, Some(user)),
            // Another value proves nothing either: the vendor may still be at it.
            Ok((Evidence::Missing | Evidence::Silent, _)) => (unknown("reading back does not show it"), None),
            Err(error) => (unknown(&format!("the user could not be read back: {error}")), None),
        };
        self.record(entry.ended(tenant, now, state, user.as_ref(), true)).await;
    }
}

/// The state of a write of which nothing more can be found out.
pub(crate) fn unknown(why: &str) -> LedgerState {
    LedgerState::Unknown(format!("Patchbay ended before the provider answered, and {why}"))
}

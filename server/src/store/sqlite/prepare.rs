//! Work done ahead, on the caller's task: the update worked out on the user as the caller saw him, and everything encoded.
//!
//! There is one writer and there are many callers, so whatever is done here makes the store faster. It is a guess that
//! the writer checks: the prepared bytes are written only over the revision that they were made from.

use std::sync::Arc;

use patchbay_core::{
    audit::{self, AuditEntry, FieldChange},
    changeset::{self, Changeset, Delta},
    error::Error,
    revision::Revision,
};

use super::{cache::Found, users::Version};
use crate::store::row::encode;

/// One user's update, ready to be written over one revision of him.
pub(super) struct Prepared {
    /// The revision that it was made from.
    pub(super) from: Revision,
    /// The user as he becomes, and the number of his row, if it is known and he is to be found by it.
    pub(super) found: Found,
    /// His document.
    pub(super) document: Vec<u8>,
    /// True if he may now be looked up by another user name or mail address.
    pub(super) rekeyed: bool,
    /// True if his picture changes.
    pub(super) icon: bool,
    /// The audit entry, if the changeset has one.
    pub(super) entry: Option<Entry>,
}

impl Prepared {
    /// What is to be written of the user.
    pub(super) fn version(&self) -> Version<'_> {
        Version {
            from: self.from,
            row: self.found.row,
            user: &self.found.user,
            document: &self.document,
        }
    }
}

/// An audit entry's bytes and their digest; its place in the chain comes later.
pub(super) struct Entry {
    /// The entry as it is kept.
    pub(super) bytes: Vec<u8>,
    /// Digest of the bytes.
    pub(super) digest: [u8; 32],
}

impl Entry {
    /// Encodes what an entry becomes once it is known what changed. The entry itself is left as it was.
    pub(super) fn new(
        entry: &mut AuditEntry,
        changes: Vec<FieldChange>,
        revision: Option<Revision>,
    ) -> Result<Self, Error> {
        let (own, known) = (entry.changes.len(), entry.revision);
        if own == 0 {
            entry.changes = changes;
        } else {
            entry.changes.extend(changes);
        }
        entry.revision = known.or(revision);
        let bytes = entry.encode();
        entry.changes.truncate(own);
        entry.revision = known;
        let bytes = bytes?;
        let digest = audit::digest(&bytes);
        Ok(Self { bytes, digest })
    }
}

/// Works out a changeset that is one update of a user whom the caller saw.
///
/// `None` if it is anything else, if nothing would change, or if it would be refused: the record may have moved on since, so
/// those answers are the writer's to give.
pub(super) fn prepare(changeset: &mut Changeset) -> Result<Option<Prepared>, Error> {
    let ([Delta::UpdateUser { id, expect, patch }], Some(seen)) = (changeset.deltas.as_slice(), &changeset.seen) else {
        return Ok(None);
    };
    if seen.id != *id {
        return Ok(None);
    }
    let Ok(update) = changeset::update(Some(seen), expect, patch, changeset.at, changeset.by.as_ref()) else {
        return Ok(None);
    };
    if update.changes.is_empty() {
        return Ok(None);
    }
    let entry = changeset.audit.as_mut();
    let entry = entry.map(|entry| Entry::new(entry, update.changes, Some(update.user.revision)));
    Ok(Some(Prepared {
        from: seen.revision,
        document: encode(&update.user)?,
        rekeyed: update.user.username != seen.username || update.user.email != seen.email,
        icon: update.user.icon != seen.icon,
        entry: entry.transpose()?,
        found: Found::new(Arc::new(update.user), None),
    }))
}

//! The audit log: who did what to whom, before and after, in one chain per tenant.
//!
//! Each entry carries the hash of the one before, so nothing can be taken out, changed or slipped in unseen. The hash of
//! an entry is `SHA-256(previous hash || position as 8 bytes, big end first || SHA-256(entry as JSON))`. The inner digest does not
//! depend on the position, so it can be made before the entry's turn comes.

use std::{borrow::Cow, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{clock::Timestamp, credential::Subject, error::Error, principal::Context, revision::Revision, text::Text};

/// One member of a record, before and after. Null stands for "not set".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// Domain path of the member.
    pub field: Text,
    /// Its value before.
    pub before: Value,
    /// Its value after.
    pub after: Value,
}

/// Who did it, as far as the log keeps it: never a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// Name for people.
    pub name: Text,
    /// The user's id; `None` for a service or the operator at the console.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Last four characters of the key shown; empty for the operator.
    pub fingerprint: Text,
}

impl Actor {
    /// Whoever runs commands on the data folder itself.
    pub fn operator() -> Self {
        Self {
            name: Text::const_new("operator"),
            user: None,
            fingerprint: Text::default(),
        }
    }

    /// The principal of a request.
    pub fn of(context: &Context) -> Self {
        let user = match &context.principal.credential.subject {
            Subject::User(id) => Some(id.to_string()),
            Subject::Service { .. } => None,
        };
        Self {
            name: context.principal.name.clone(),
            user,
            fingerprint: context.principal.credential.fingerprint.clone(),
        }
    }
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was not permitted or not possible; the text says why, as the caller was told.
    Refused(String),
    /// It failed; the text says how, as the caller was told.
    Failed(String),
    /// It was sent to a remote system and no answer came back.
    Unknown(String),
}

/// One entry of the log, before it has its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What: an action's name.
    pub action: Cow<'static, str>,
    /// In which dialect; `console` for the operator.
    pub dialect: Cow<'static, str>,
    /// In which request.
    pub request_id: Arc<str>,
    /// On whom: a user's id, or what the caller gave as one.
    pub resource: String,
    /// In which linked account, if not the embedded directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// The record's revision afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
    /// What changed. In a remote system, what was sent: what was there before is told where the user was read right before
    /// the write, and stands as null where it is not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<FieldChange>,
}

impl AuditEntry {
    /// An entry about one request's action, so far with nothing changed.
    pub fn of(context: &Context, action: &'static str, resource: impl Into<String>) -> Self {
        Self {
            at: context.now,
            actor: Actor::of(context),
            action: Cow::Borrowed(action),
            dialect: Cow::Borrowed(context.dialect),
            request_id: context.request_id.clone(),
            resource: resource.into(),
            account: None,
            outcome: Outcome::Done,
            revision: None,
            changes: Vec::new(),
        }
    }

    /// The entry as the bytes that are kept and hashed.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::with_capacity(512);
        serde_json::to_writer(&mut bytes, self).map_err(Error::internal)?;
        Ok(bytes)
    }
}

/// A hash in the chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChainHash(pub [u8; 32]);

/// The digest of an entry's bytes, independent of its place.
pub fn digest(entry: &[u8]) -> [u8; 32] {
    Sha256::digest(entry).into()
}

impl ChainHash {
    /// The hash of the entry at `position` that follows this one. The chain begins after the all-zero hash.
    #[must_use]
    pub fn follow(self, position: u64, digest: [u8; 32]) -> Self {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(position.to_be_bytes());
        hash.update(digest);
        Self(hash.finalize().into())
    }
}

/// An entry in its place: positions count from 1 per tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEvent {
    /// Its place.
    pub position: u64,
    /// The entry.
    pub entry: AuditEntry,
    /// The bytes that were hashed.
    pub bytes: Vec<u8>,
    /// Its hash.
    pub hash: ChainHash,
}

/// Checks a run of events that begins right after `(position, hash)`, for example `(0, ChainHash::default())`.
///
/// Answers the last place and hash, or the position at which the chain is broken.
pub fn verify<'a>(
    start: (u64, ChainHash),
    events: impl IntoIterator<Item = &'a AuditEvent>,
) -> Result<(u64, ChainHash), u64> {
    let (mut position, mut hash) = start;
    for event in events {
        position += 1;
        hash = hash.follow(position, digest(&event.bytes));
        if event.position != position || event.hash != hash {
            return Err(position);
        }
    }
    Ok((position, hash))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const START: (u64, ChainHash) = (0, ChainHash([0; 32]));

    fn entry(number: u64) -> AuditEntry {
        AuditEntry {
            at: Timestamp::from_millis(1_700_000_000_000),
            actor: Actor::operator(),
            action: "update_user".into(),
            dialect: "console".into(),
            request_id: format!("request {number}").into(),
            resource: "somebody".to_owned(),
            account: None,
            outcome: Outcome::Done,
            revision: Some(Revision(number)),
            changes: vec![FieldChange {
                field: "title".into(),
                before: Value::Null,
                after: json!(number),
            }],
        }
    }

    /// A chain as a store writes it.
    fn chain(length: u64) -> Vec<AuditEvent> {
        let mut hash = ChainHash::default();
        let mut append = |position| {
            let entry = entry(position);
            let bytes = entry.encode().unwrap();
            hash = hash.follow(position, digest(&bytes));
            AuditEvent {
                position,
                entry,
                bytes,
                hash,
            }
        };
        (1..=length).map(&mut append).collect()
    }

    #[test]
    fn a_whole_chain_verifies_at_once_and_in_parts() {
        let events = chain(5);
        let end = (5, events[4].hash);
        assert_eq!(verify(START, &events), Ok(end));
        let half = verify(START, &events[..2]).unwrap();
        assert_eq!(verify(half, &events[2..]), Ok(end));
        assert_eq!(verify(START, &[]), Ok(START));
    }

    #[test]
    fn a_changed_byte_is_found_where_it_is() {
        for at in 0..5 {
            let mut events = chain(5);
            let last = events[at].bytes.len() - 1;
            events[at].bytes[last] ^= 1;
            assert_eq!(verify(START, &events), Err(at as u64 + 1));
        }
    }

    #[test]
    fn a_changed_entry_under_a_recomputed_hash_breaks_what_follows() {
        let mut events = chain(5);
        events[1].bytes = entry(99).encode().unwrap();
        events[1].hash = events[0].hash.follow(2, digest(&events[1].bytes));
        assert_eq!(verify(START, &events), Err(3));
    }

    #[test]
    fn what_is_taken_out_slipped_in_or_swapped_is_found() {
        let mut without_first = chain(5);
        without_first.remove(0);
        assert_eq!(verify(START, &without_first), Err(1));
        let mut without_third = chain(5);
        without_third.remove(2);
        assert_eq!(verify(START, &without_third), Err(3));
        let mut twice = chain(5);
        twice.insert(3, twice[2].clone());
        assert_eq!(verify(START, &twice), Err(4));
        let mut swapped = chain(5);
        swapped.swap(1, 2);
        assert_eq!(verify(START, &swapped), Err(2));
    }

    #[test]
    fn a_place_is_part_of_the_hash() {
        let mut moved = chain(3);
        moved[2].position = 4;
        assert_eq!(verify(START, &moved), Err(3));
        let bytes = entry(1).encode().unwrap();
        assert_ne!(
            ChainHash::default().follow(1, digest(&bytes)),
            ChainHash::default().follow(2, digest(&bytes))
        );
    }

    #[test]
    fn entries_read_as_they_were_written() {
        let bytes = entry(3).encode().unwrap();
        assert_eq!(serde_json::from_slice::<AuditEntry>(&bytes).unwrap(), entry(3));
    }
}

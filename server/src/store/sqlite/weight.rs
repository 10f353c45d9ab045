//! How many bytes of memory a record takes, roughly: what bounds the queue and the cache by memory counts with it.

use patchbay_core::{
    audit::{AuditEntry, FieldChange},
    changeset::{Changeset, Delta},
    user::{User, UserPatch},
};
use serde_json::Value;

use super::prepare::Prepared;

/// A record without the texts that are counted.
const RECORD: usize = 1024;
/// An item of a list or map, beside its texts.
const ITEM: usize = 64;

/// A changeset, with what was made of it ahead.
pub(super) fn changeset(changeset: &Changeset, prepared: Option<&Prepared>) -> usize {
    let deltas: usize = changeset.deltas.iter().map(delta).sum();
    deltas + changeset.audit.as_ref().map_or(0, entry) + prepared.map_or(0, ahead)
}

fn ahead(prepared: &Prepared) -> usize {
    // The document, and the user whose document it is.
    2 * prepared.document.len() + prepared.entry.as_ref().map_or(0, |entry| entry.bytes.len())
}

fn delta(delta: &Delta) -> usize {
    match delta {
        Delta::UpdateUser { patch, .. } => RECORD + of_patch(patch),
        Delta::CreateUser(made) => user(made),
        Delta::PutLedger(write) => RECORD + changes(&write.said) + write.user.as_deref().map_or(0, user),
        _ => RECORD,
    }
}

fn of_patch(patch: &UserPatch) -> usize {
    let texts = [
        &patch.username,
        &patch.email,
        &patch.first_name,
        &patch.last_name,
        &patch.display_name,
        &patch.title,
    ];
    let attributes = patch
        .attributes
        .iter()
        .map(|(name, attribute)| (name, attribute.value()));
    let memberships = patch.memberships.iter().map(|place| {
        let groups = place.groups.value().map_or(0, Vec::len);
        ITEM + groups * size_of::<u128>() + text(place.invitation_notes.value())
    });
    texts.iter().map(|patch| text(patch.value())).sum::<usize>()
        + patch.icon.value().map_or(0, |icon| icon.bytes.len())
        + patch.description.value().map_or(0, members)
        + members(&patch.passthrough)
        + attributes
            .map(|(name, attribute)| ITEM + name.len() + attribute.map_or(0, value))
            .sum::<usize>()
        + memberships.sum::<usize>()
}

fn entry(entry: &AuditEntry) -> usize {
    entry.resource.len() + changes(&entry.changes)
}

fn changes(changes: &[FieldChange]) -> usize {
    let weigh = |change: &FieldChange| ITEM + change.field.len() + value(&change.before) + value(&change.after);
    changes.iter().map(weigh).sum()
}

/// A user.
pub(super) fn user(user: &User) -> usize {
    let texts = [
        &user.username,
        &user.email,
        &user.first_name,
        &user.last_name,
        &user.display_name,
        &user.title,
    ];
    let memberships = user.memberships.iter().map(|place| {
        let groups = place.groups.len() * size_of::<u128>();
        2 * ITEM + groups + text(place.invitation_notes.as_ref())
    });
    RECORD
        + texts.iter().map(|member| text(member.as_ref())).sum::<usize>()
        + user.settings.as_ref().map_or(0, |packed| packed.as_str().len())
        + user.description.as_ref().map_or(0, |packed| packed.as_str().len())
        + members(&*user.attributes)
        + memberships.sum::<usize>()
}

fn text(text: Option<&impl AsRef<str>>) -> usize {
    text.map_or(0, |text| text.as_ref().len())
}

fn members<'a>(members: impl IntoIterator<Item = (&'a String, &'a Value)>) -> usize {
    let members = members.into_iter();
    members.map(|(name, member)| ITEM + name.len() + value(member)).sum()
}

fn value(member: &Value) -> usize {
    match member {
        Value::Null | Value::Bool(_) => 0,
        Value::Number(number) => number.as_str().len(),
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(|item| ITEM + value(item)).sum(),
        Value::Object(object) => members(object),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use patchbay_core::{
        clock::Timestamp,
        id::{LedgerId, LinkedAccountId, Serial, TenantId, UserId},
        patch::Patch,
        remote::{LedgerEntry, LedgerState},
        revision::Expect,
    };
    use serde_json::{Map, json};
    use uuid::Uuid;

    use super::*;

    const LARGE: usize = 50_000;

    fn large() -> Value {
        json!({"list": [1, "x".repeat(LARGE)]})
    }

    fn weight(delta: Delta) -> usize {
        let mut empty = Changeset::new(TenantId(Uuid::nil()), Timestamp::default());
        empty.deltas.push(delta);
        changeset(&empty, None)
    }

    #[test]
    fn what_is_large_weighs_much_wherever_it_stands() {
        let update = |patch| {
            weight(Delta::UpdateUser {
                id: UserId(Uuid::nil()),
                expect: Expect::Any,
                patch: Box::new(patch),
            })
        };
        let map = Map::from_iter([("k".to_owned(), large())]);
        let mut patches: [UserPatch; 3] = Default::default();
        patches[0].description = Patch::Value(map.clone());
        patches[1].attributes = BTreeMap::from([("a:k".to_owned(), Patch::Value(large()))]);
        patches[2].passthrough = map.clone();
        for patch in patches {
            assert!((LARGE..2 * LARGE).contains(&update(patch)));
        }
        assert!((RECORD..LARGE).contains(&update(UserPatch::default())));
        let mut made = User::new(UserId(Uuid::nil()), Serial(1), Timestamp::default());
        assert!((RECORD..2 * RECORD).contains(&user(&made)));
        made.description = Some(map.into());
        assert!((LARGE..2 * LARGE).contains(&weight(Delta::CreateUser(Box::new(made)))));
        let written = LedgerEntry {
            id: LedgerId(Uuid::nil()),
            account: LinkedAccountId("a".into()),
            remote_id: "r".to_owned(),
            request_id: "q".into(),
            actor: patchbay_core::audit::Actor::operator(),
            dialect: "test".into(),
            said: vec![
                FieldChange {
                    field: "attributes.test".into(),
                    before: Value::Null,
                    after: Value::Null,
                };
                1000
            ],
            idempotency: None,
            state: LedgerState::Intent,
            user: None,
            begun_at: Timestamp::default(),
        };
        assert!(weight(Delta::PutLedger(Box::new(written))) > 1000 * "attributes.test".len());
    }

    #[test]
    fn an_audit_entry_weighs_what_it_tells() {
        let mut told = Changeset::new(TenantId(Uuid::nil()), Timestamp::default());
        let light = changeset(&told, None);
        told.audit = Some(AuditEntry {
            at: Timestamp::default(),
            actor: patchbay_core::audit::Actor::operator(),
            action: "update_user".into(),
            dialect: "test".into(),
            request_id: "r".into(),
            resource: "x".to_owned(),
            account: None,
            outcome: patchbay_core::audit::Outcome::Done,
            revision: None,
            changes: vec![FieldChange {
                field: "description".into(),
                before: large(),
                after: large(),
            }],
        });
        assert!(changeset(&told, None) - light > 2 * LARGE);
    }
}

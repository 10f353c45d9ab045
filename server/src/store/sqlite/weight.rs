//! How many bytes of memory a record takes, roughly: what bounds the queue and the cache by memory counts with it.

use patchbay_core::{
    audit::{AuditEntry, FieldChange},
    changeset::{Changeset, Delta},
    revision::Expect,
    settings::{NumberFormatPatch, PhonePatch, SettingsPatch},
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
        Delta::UpdateUser { patch, expect, .. } => RECORD + of_patch(patch) + revisions(expect),
        Delta::CreateUser(made) => user(made),
        Delta::PutLedger(write) => RECORD + changes(&write.said) + write.user.as_deref().map_or(0, user),
        _ => RECORD,
    }
}

fn revisions(expect: &Expect) -> usize {
    match expect {
        Expect::Any | Expect::Missing | Expect::Present | Expect::Exactly(_) => 0,
        Expect::OneOf(revisions) | Expect::NoneOf(revisions) => size_of_val(revisions.as_slice()),
    }
}

/// Taken apart, so that whoever adds a member says what it weighs.
fn of_patch(patch: &UserPatch) -> usize {
    let UserPatch {
        username,
        email,
        first_name,
        last_name,
        display_name,
        title,
        phone,
        settings,
        icon,
        description,
        attributes,
        passthrough,
        memberships,
        unfit,
        status: _,
        is_bot: _,
        role: _,
        current_organization: _,
        status_kept: _,
        unset_kept: _,
    } = patch;
    let texts = [username, email, first_name, last_name, display_name, title];
    let attributes = attributes.iter().map(|(name, attribute)| (name, attribute.value()));
    let memberships = memberships.iter().map(|place| {
        let groups = place.groups.value().map_or(0, Vec::len);
        ITEM + groups * size_of::<u128>() + text(place.invitation_notes.value())
    });
    let unfit = unfit.iter().map(|unfit| ITEM + unfit.field.len() + unfit.reason.len());
    texts.into_iter().map(|patch| text(patch.value())).sum::<usize>()
        + phone.value().map_or(0, of_phone)
        + settings.value().map_or(0, of_settings)
        + icon.value().map_or(0, |icon| icon.bytes.len())
        + description.value().map_or(0, members)
        + members(passthrough)
        + attributes
            .map(|(name, attribute)| ITEM + name.len() + attribute.map_or(0, value))
            .sum::<usize>()
        + memberships.sum::<usize>()
        + unfit.sum::<usize>()
}

fn of_phone(phone: &PhonePatch) -> usize {
    let PhonePatch { prefix, number } = phone;
    text(prefix.value()) + text(number.value())
}

fn of_settings(settings: &SettingsPatch) -> usize {
    let SettingsPatch {
        culture_code,
        language_code,
        date_format,
        time_format,
        time_zone,
        number_format,
    } = settings;
    let texts = [culture_code, language_code, date_format, time_format, time_zone];
    let separators = number_format.value().map_or(0, |format| {
        let NumberFormatPatch {
            decimal_separator,
            group_separator,
        } = format;
        text(decimal_separator.value()) + text(group_separator.value())
    });
    texts.into_iter().map(|patch| text(patch.value())).sum::<usize>() + separators
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
        revision::Revision,
        user::Unfit,
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
        let long = || "x".repeat(LARGE);
        let mut patches: [UserPatch; 7] = Default::default();
        patches[0].description = Patch::Value(map.clone());
        patches[1].attributes = BTreeMap::from([("a:k".to_owned(), Patch::Value(large()))]);
        patches[2].passthrough = map.clone();
        patches[3].phone = Patch::Value(PhonePatch {
            number: Patch::Value(long()),
            ..PhonePatch::default()
        });
        patches[4].settings = Patch::Value(SettingsPatch {
            time_zone: Patch::Value(long()),
            ..SettingsPatch::default()
        });
        patches[5].settings = Patch::Value(SettingsPatch {
            number_format: Patch::Value(NumberFormatPatch {
                group_separator: Patch::Value(long()),
                ..NumberFormatPatch::default()
            }),
            ..SettingsPatch::default()
        });
        patches[6].unfit = vec![Unfit {
            field: "email".to_owned(),
            reason: long(),
        }];
        for patch in patches {
            assert!((LARGE..2 * LARGE).contains(&update(patch)));
        }
        assert!((RECORD..LARGE).contains(&update(UserPatch::default())));
        let listed = Delta::UpdateUser {
            id: UserId(Uuid::nil()),
            expect: Expect::OneOf(vec![Revision(1); LARGE / 8]),
            patch: Box::default(),
        };
        assert!(weight(listed) > LARGE);
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

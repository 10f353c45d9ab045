//! What a user who was read tells about a write: before it, what was there; after a lost answer, whether it was done.

use serde_json::Value;

use crate::{
    audit::FieldChange,
    error::Error,
    user::{PASSTHROUGH, User, limits},
};

/// What a user who was read back says about a delta.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    /// He has every value that was asked for.
    Applied,
    /// He has none of them, and another one for some member.
    Missing,
    /// Neither: he has some of them, or the vendor does not tell.
    Silent,
}

/// Compares what was asked with what the vendor tells.
///
/// Only values count. A member that the vendor does not tell and one that is cleared look alike, so a null that was asked
/// for is never proven done. What was passed through has the vendor's own names and can stand for any member, so nothing
/// is proven about a delta with it.
pub(super) fn weigh(said: &[FieldChange], user: &User) -> Result<Evidence, Error> {
    if said.is_empty() || said.iter().any(passed) {
        return Ok(Evidence::Silent);
    }
    let user = serde_json::to_value(user).map_err(Error::internal)?;
    let told = |asked: &FieldChange| told(&user, &asked.field).map(|value| *value == asked.after);
    let told: Vec<Option<bool>> = said.iter().map(told).collect();
    Ok(if told.iter().all(|same| *same == Some(true)) {
        Evidence::Applied
    } else if told.contains(&Some(false)) && !told.contains(&Some(true)) {
        Evidence::Missing
    } else {
        Evidence::Silent
    })
}

/// Takes down what the vendor told of each member before the write; null where he told nothing, or more than the audit log
/// takes of one value. What is passed through stays null: it can stand for any member.
pub(super) fn note_before(said: &mut [FieldChange], user: &User) -> Result<(), Error> {
    let user = serde_json::to_value(user).map_err(Error::internal)?;
    for change in said.iter_mut().filter(|change| !passed(change)) {
        let before = told(&user, &change.field).filter(|value| limits::is_recordable(value));
        change.before = before.cloned().unwrap_or_default();
    }
    Ok(())
}

/// True if this is not a member of the domain but passed through.
pub(super) fn passed(said: &FieldChange) -> bool {
    let name = said.field.strip_prefix("attributes.");
    name.is_some_and(|name| name.starts_with(PASSTHROUGH))
}

/// The value at a domain path, if the vendor tells one.
fn told<'a>(user: &'a Value, field: &str) -> Option<&'a Value> {
    let value = match field.strip_prefix("attributes.") {
        Some(name) => user.get("attributes")?.get(name),
        None => field.split('.').try_fold(user, |value, name| value.get(name)),
    };
    value.filter(|value| !value.is_null())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::{
        patch::Patch,
        settings::{Phone, PhonePatch},
        user::{MAX_FREE_BYTES, Status, UserPatch},
    };

    fn user() -> User {
        let mut user = User::remote("u");
        user.first_name = Some("Han".into());
        user.status = Some(Status::Blocked);
        user.phone = Some(Phone {
            prefix: Some("+34".into()),
            number: None,
        });
        let kept = [("vendor:kind", json!("guest")), ("passthrough:badge", json!(7))];
        user.attributes = Arc::new(kept.map(|(name, value)| (name.to_owned(), value)).into());
        user
    }

    fn weighed(patch: &UserPatch) -> Evidence {
        weigh(&patch.said(), &user()).unwrap()
    }

    fn first_name(name: Patch<&str>) -> UserPatch {
        UserPatch {
            first_name: name.map(str::to_owned),
            ..UserPatch::default()
        }
    }

    #[test]
    fn every_value_that_was_asked_for_must_be_told() {
        let mut patch = UserPatch {
            status: Patch::Value(Status::Blocked),
            phone: Patch::Value(PhonePatch {
                prefix: Patch::Value("+34".to_owned()),
                number: Patch::Absent,
            }),
            ..first_name(Patch::Value("Han"))
        };
        let kind = Patch::Value(json!("guest"));
        patch.attributes.insert("vendor:kind".to_owned(), kind);
        assert_eq!(weighed(&patch), Evidence::Applied);
        patch.title = Patch::Value("Captain".to_owned());
        assert_eq!(weighed(&patch), Evidence::Silent, "the title is not told");
    }

    #[test]
    fn another_value_shows_that_it_was_not_done() {
        for patch in [first_name(Patch::Value("Leia")), first_name(Patch::Null)] {
            assert_eq!(weighed(&patch), Evidence::Missing);
        }
        let mut half = first_name(Patch::Value("Leia"));
        half.status = Patch::Value(Status::Blocked);
        assert_eq!(
            weighed(&half),
            Evidence::Silent,
            "one of two may be what the vendor came to"
        );
    }

    #[test]
    fn what_the_audit_log_could_not_take_is_not_noted() {
        let mut told = user();
        told.first_name = Some("x".repeat(MAX_FREE_BYTES).into());
        let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
        told.attributes = Arc::new([("vendor:deep".to_owned(), deep)].into());
        let mut patch = first_name(Patch::Null);
        patch.attributes.insert("vendor:deep".to_owned(), Patch::Null);
        let mut said = patch.said();
        note_before(&mut said, &told).unwrap();
        assert_eq!(said.len(), 2);
        assert!(said.iter().all(|change| change.before.is_null()));
    }

    #[test]
    fn what_was_there_before_is_null_where_the_vendor_does_not_tell() {
        let mut patch = first_name(Patch::Null);
        patch.title = Patch::Value("Captain".to_owned());
        patch.phone = Patch::Null;
        patch.passthrough.insert("badge".to_owned(), json!(8));
        let mut said = patch.said();
        note_before(&mut said, &user()).unwrap();
        let told = said.into_iter().map(|said| (said.field, said.before, said.after));
        let expected = [
            ("first_name", json!("Han"), Value::Null),
            ("title", Value::Null, json!("Captain")),
            ("phone", json!({ "prefix": "+34" }), Value::Null),
            ("attributes.passthrough:badge", Value::Null, json!(8)),
        ];
        let expected = expected.map(|(field, before, after)| (field.into(), before, after));
        assert_eq!(told.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_cannot_be_told_proves_nothing() {
        let nothing = UserPatch::default();
        let title = UserPatch {
            title: Patch::Null,
            ..UserPatch::default()
        };
        let mut passed = first_name(Patch::Value("Leia"));
        passed.passthrough.insert("badge".to_owned(), json!(7));
        for patch in [nothing, title, passed] {
            assert_eq!(weighed(&patch), Evidence::Silent, "{patch:?}");
        }
    }
}

//! Between wire and domain, both ways. Pure.

use std::collections::BTreeMap;

use patchbay_core::{
    clock::Timestamp,
    error::Error,
    id::{RoleId, TenantId},
    packed::Packed,
    patch::Patch,
    text::Text,
    user::{Unfit, User, UserPatch},
};
use serde::de::IgnoredAny;
use serde_json::{Map, Number, Value};
use uuid::Uuid;

use super::wire::{self, is_attribute_key, is_name};
use crate::{
    extract,
    failure::{Failure, Kind},
};

/// The attribute that keeps `activity`, which no other dialect knows.
const ACTIVITY: &str = "trusted_twin:activity";
/// The attribute that shows a remote user's role there; it is no role of ours.
const ROLE: &str = "trusted_twin:role";
/// The attribute that shows a remote user's account there.
const ACCOUNT: &str = "trusted_twin:account";
/// What a user without any name is called (the vendor documents no default).
const NAMELESS: &str = "User Name";

/// Decodes the body of an update. Empty bytes are `{}`: an older official client sends nothing where nothing changes.
///
/// Fails with the kinds of [`extract::json`], and with [`Kind::Schema`] naming the member for unknown members, a null name
/// or role, and keys that break the seed's pattern.
pub(super) fn decode_update(body: &[u8]) -> Result<UserPatch, Failure> {
    if body.is_empty() {
        return Ok(UserPatch::default());
    }
    // serde would read an array as the members in order.
    if !body.trim_ascii_start().starts_with(b"{") {
        let IgnoredAny = extract::json(body)?;
        return Err(Failure::new(Kind::Schema, "the request body must be a JSON object"));
    }
    patch(extract::json(body)?)
}

fn patch(update: wire::UserUpdate) -> Result<UserPatch, Failure> {
    let wire::UserUpdate {
        name,
        role,
        description,
        activity,
    } = update;
    let name = required("name", name)?;
    let mut patch = UserPatch {
        unfit: name.value().and_then(|name| checked_name(name)).into_iter().collect(),
        unset_kept: name.value().map(|name| shown_as(name)).unwrap_or_default(),
        display_name: name,
        role: required("role", role)?.try_map(|text| role_id(&text))?,
        description: description.try_map(checked_description)?,
        ..UserPatch::default()
    };
    if !activity.is_absent() {
        let activity = activity.try_map(checked_activity)?.map(Value::Object);
        patch.attributes.insert(ACTIVITY.to_owned(), activity);
    }
    Ok(patch)
}

/// The vendor documents no null for these members; they are required of every user.
fn required<T>(member: &str, patch: Patch<T>) -> Result<Patch<T>, Failure> {
    match patch {
        Patch::Null => Err(Failure::about(Kind::Schema, member, "must not be null")),
        other => Ok(other),
    }
}

/// What this name may be shown for already: a name that the others make, and for one of them that there is none.
fn shown_as(name: &str) -> Vec<&'static str> {
    let nameless = (name == NAMELESS).then_some("name");
    nameless.into_iter().chain(["display_name"]).collect()
}

/// What is wrong with a name, should it change: one that another dialect gave is shown as it is and may come back.
fn checked_name(name: &str) -> Option<Unfit> {
    let reason = "must be 2 to 32 letters, digits, underscores, spaces or hyphens of ASCII, and begin and end with a letter \
                  or digit";
    (!is_name(name)).then(|| Unfit {
        field: "display_name".to_owned(),
        reason: reason.to_owned(),
    })
}

fn role_id(text: &str) -> Result<RoleId, Failure> {
    let id = uuid(text).ok_or_else(|| Failure::about(Kind::Schema, "role", "must be a UUID"))?;
    Ok(RoleId(id))
}

/// Reads a UUID in its 8-4-4-4-12 form, the only one that the vendor has; any version, as its own samples break the rules
/// of version 4.
pub(super) fn uuid(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok().filter(|_| text.len() == 36)
}

fn checked_description(members: Map<String, Value>) -> Result<Map<String, Value>, Failure> {
    match members.keys().find(|key| !is_attribute_key(key)) {
        None => Ok(members),
        Some(key) => {
            let reason = "must have a key of 1 to 64 lower-case letters, digits or underscores of ASCII that does not begin \
                          with a digit";
            Err(Failure::about(Kind::Schema, member("description", key), reason))
        }
    }
}

/// Checks the documented shape: table → null or `{"dimensions": null or {dimension: template}}`.
fn checked_activity(tables: Map<String, Value>) -> Result<Map<String, Value>, Failure> {
    for (table, settings) in &tables {
        let dimensions = match settings {
            Value::Null => None,
            Value::Object(settings) => settings.get("dimensions"),
            _ => return Err(not_object(&member("activity", table))),
        };
        match dimensions {
            None | Some(Value::Null) => {}
            Some(Value::Object(templates)) if templates.values().all(Value::is_string) => {}
            Some(_) => return Err(not_object(&format!("{}.dimensions", member("activity", table)))),
        }
    }
    Ok(tables)
}

fn not_object(path: &str) -> Failure {
    let reason = "must be null or an object, and a dimension's template must be a string";
    Failure::about(Kind::Schema, path, reason)
}

/// The path of a first-level key, cut to a bounded length.
fn member(parent: &str, key: &str) -> String {
    let key: String = key.chars().take(64).collect();
    format!("{parent}.{key}")
}

/// The vendor's name of a domain member.
pub(super) fn wire_name(domain: &str) -> String {
    let wire = match domain {
        "display_name" => "name",
        "attributes.trusted_twin:activity" => "activity",
        "attributes.trusted_twin:role" => "role",
        other => other,
    };
    wire.to_owned()
}

/// A user of the directory as the vendor shows one. `tenant` is what the vendor calls the account.
pub(super) fn encode_user(user: &User, tenant: TenantId) -> wire::User {
    let activity = user.attributes.get(ACTIVITY).and_then(Value::as_object);
    wire::User {
        uuid: Some(user.id.to_string()),
        name: Some(user.name().map_or_else(|| NAMELESS.to_owned(), String::from)),
        account: Some(tenant.to_string()),
        role: user.role.map(|role| role.to_string()),
        description: user.description.as_ref().map(Packed::read),
        activity: activity.cloned(),
        created_ts: Some(seconds(user.created_at)),
        updated_ts: Some(seconds(user.updated_at)),
    }
}

/// A moment as the vendor writes it: seconds with one to three decimals, no zeros at the end but the one in `.0`. Made from
/// whole milliseconds, so no binary fraction creeps in.
fn seconds(at: Timestamp) -> Number {
    let millis = at.as_millis();
    let sign = if millis < 0 { "-" } else { "" };
    let (whole, part) = (millis.unsigned_abs() / 1000, millis.unsigned_abs() % 1000);
    let part = format!("{part:03}");
    let part = match part.trim_end_matches('0') {
        "" => "0",
        digits => digits,
    };
    Number::from_string_unchecked(format!("{sign}{whole}.{part}"))
}

/// Reads a moment in seconds; finer digits are rounded away. `None` if it is beyond what can be kept.
fn moment(seconds: &Number) -> Option<Timestamp> {
    let millis = (seconds.as_f64()? * 1000.0).round();
    // Whole milliseconds of any year that can be kept are far below 2^53, where every whole number is exact.
    #[expect(clippy::cast_possible_truncation, reason = "bounded in the same expression")]
    (millis.abs() < 9_007_199_254_740_992.0).then(|| Timestamp::from_millis(millis as i64))
}

/// A user of a remote system, asked for by `id`, with what the vendor told of him.
pub(super) fn decode_user(id: &str, wire: wire::User) -> User {
    let mut user = User::remote(wire.uuid.as_deref().unwrap_or(id));
    user.display_name = wire.name.map(Text::from);
    user.description = wire.description.map(Into::into);
    let attributes = [
        (ACTIVITY, wire.activity.map(Value::Object)),
        (ROLE, wire.role.map(Value::String)),
        (ACCOUNT, wire.account.map(Value::String)),
    ];
    let attributes = attributes
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    user.attributes = attributes.collect::<BTreeMap<_, _>>().into();
    user.created_at = wire.created_ts.as_ref().and_then(moment).unwrap_or_default();
    user.updated_at = wire.updated_ts.as_ref().and_then(moment).unwrap_or_default();
    user
}

/// Encodes a delta as the body of an update. Passed-through members go in as they are, and win.
///
/// Fails with [`Error::Unsupported`] for everything that the vendor's update cannot say.
pub(super) fn encode_update(patch: &UserPatch) -> Result<Map<String, Value>, Error> {
    patch.says_only(&["display_name", "description", "role", "attributes"])?;
    if !patch.role.is_absent() {
        // Roles are known here by ids of our own, which mean nothing there.
        return Err(Error::unsupported(
            "role",
            "is a role of this directory and unknown there",
        ));
    }
    let mut update = wire::UserUpdate {
        name: sayable("display_name", &patch.display_name)?,
        description: patch.description.clone(),
        ..wire::UserUpdate::default()
    };
    for (name, value) in &patch.attributes {
        let field = || format!("attributes.{name}");
        match (name.as_str(), value) {
            (ACTIVITY, Patch::Value(Value::Object(tables))) => update.activity = Patch::Value(tables.clone()),
            (ACTIVITY, Patch::Null) => update.activity = Patch::Null,
            (ACTIVITY, Patch::Value(_)) => return Err(Error::unsupported(field(), "must be an object")),
            (ROLE, Patch::Value(Value::String(role))) => update.role = Patch::Value(role.clone()),
            (_, Patch::Absent) => {}
            _ => return Err(Error::unsupported(field(), "cannot be changed there")),
        }
    }
    let mut body = match serde_json::to_value(update).map_err(Error::internal)? {
        Value::Object(body) => body,
        other => return Err(Error::internal(format!("an update encoded as {other}"))),
    };
    body.extend(patch.passthrough.clone());
    Ok(body)
}

fn sayable(field: &str, patch: &Patch<String>) -> Result<Patch<String>, Error> {
    match patch {
        Patch::Null => Err(Error::unsupported(field, "cannot be cleared there")),
        other => Ok(other.clone()),
    }
}

#[cfg(test)]
mod tests {
    use patchbay_core::id::{Serial, UserId};
    use serde_json::json;

    use super::*;

    const REQUEST: &str = include_str!("fixtures/update_user.request.json");
    const ANSWER: &str = include_str!("fixtures/update_user.answer.json");
    const PARTIAL: &str = include_str!("fixtures/update_user.partial_answer.json");
    const ERROR: &str = include_str!("fixtures/error.json");

    fn value(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    fn id(text: &str) -> Uuid {
        text.parse().unwrap()
    }

    #[test]
    fn the_documented_request_decodes_and_encodes_again() {
        let mut patch = decode_update(REQUEST.as_bytes()).unwrap();
        let role = RoleId(id("3d4c3ec0-6c5f-4d32-ab23-4df8c69f142c"));
        assert_eq!(patch.role, Patch::Value(role));
        // Outward a role of ours means nothing; the vendor's goes as an attribute.
        patch.role = Patch::Absent;
        let there = Patch::Value(Value::String(role.to_string()));
        patch.attributes.insert(ROLE.to_owned(), there);
        assert_eq!(Value::Object(encode_update(&patch).unwrap()), value(REQUEST));
    }

    #[test]
    fn the_documented_answer_is_what_a_user_encodes_to() {
        let documented: wire::User = serde_json::from_str(ANSWER).unwrap();
        let decoded = decode_user("3d0f1348-612a-4804-b632-24c4b871e76e", documented);
        assert_eq!(decoded.attributes[ACCOUNT], "9891264d-4a77-4fa2-ae7f-84c9af14ae3b");
        let mut user = User::new(UserId(decoded.id.0), Serial(1), decoded.created_at);
        user.updated_at = decoded.updated_at;
        user.display_name = decoded.display_name;
        user.description = decoded.description;
        user.role = Some(RoleId(id("3d4c3ec0-6c5f-4d32-ab23-4df8c69f142c")));
        let tenant = TenantId(id("9891264d-4a77-4fa2-ae7f-84c9af14ae3b"));
        let encoded = serde_json::to_value(encode_user(&user, tenant)).unwrap();
        assert_eq!(encoded, value(ANSWER));
    }

    #[test]
    fn a_partial_answer_reads() {
        let partial: wire::User = serde_json::from_str(PARTIAL).unwrap();
        assert_eq!((partial.uuid, partial.activity), (None, None));
        assert_eq!(partial.name.as_deref(), Some("Oliver Adams"));
    }

    #[test]
    fn the_documented_error_is_our_error() {
        let error: wire::ErrorBody = serde_json::from_str(ERROR).unwrap();
        assert_eq!(serde_json::to_value(error).unwrap(), value(ERROR));
    }

    #[test]
    fn moments_are_exact_and_unpadded() {
        let cases = [
            (1_646_307_775_089, "1646307775.089"),
            (1_646_307_775_100, "1646307775.1"),
            (1_646_307_910_850, "1646307910.85"),
            (1_680_172_454_000, "1680172454.0"),
            (0, "0.0"),
            (7, "0.007"),
            (-1_500, "-1.5"),
        ];
        for (millis, text) in cases {
            let at = Timestamp::from_millis(millis);
            assert_eq!(seconds(at).to_string(), text);
            assert_eq!(moment(&seconds(at)), Some(at));
        }
        assert_eq!(
            moment(&Number::from(1_647_450_000)),
            Some(Timestamp::from_millis(1_647_450_000_000))
        );
        let huge: Number = serde_json::from_str("1e300").unwrap();
        assert_eq!(moment(&huge), None);
    }

    #[test]
    fn names_and_keys_follow_the_seeds_patterns() {
        for good in ["ab", "A1", "a b", "a-_ -b", &"x".repeat(32), "0_9"] {
            assert!(is_name(good), "{good}");
        }
        for bad in [
            "",
            "a",
            &"x".repeat(33),
            "ab-",
            " ab",
            "ab ",
            "ab\n",
            "a\tb",
            "añb",
            "_ab",
            "a.b",
        ] {
            assert!(!is_name(bad), "{bad:?}");
        }
        for good in ["a", "_", "a0", "_9", &"k".repeat(64)] {
            assert!(is_attribute_key(good), "{good}");
        }
        for bad in ["", "0a", "A", "a-b", "a b", "é", "a\n", &"k".repeat(65)] {
            assert!(!is_attribute_key(bad), "{bad:?}");
        }
    }

    #[test]
    fn the_three_states_of_description_survive_both_ways() {
        for body in [json!({}), json!({ "description": null }), json!({ "description": {} })] {
            let patch = decode_update(body.to_string().as_bytes()).unwrap();
            assert_eq!(Value::Object(encode_update(&patch).unwrap()), body);
        }
        let nothing = decode_update(b"").unwrap();
        assert_eq!(nothing, UserPatch::default());
    }

    #[test]
    fn what_the_vendor_cannot_say_is_unsupported() {
        let text = || Patch::Value("x".to_owned());
        let attribute = |name: &str| UserPatch {
            attributes: [(name.to_owned(), Patch::Value(json!("x")))].into(),
            ..UserPatch::default()
        };
        let cases = [
            (
                "email",
                UserPatch {
                    email: text(),
                    ..UserPatch::default()
                },
            ),
            (
                "title",
                UserPatch {
                    title: Patch::Null,
                    ..UserPatch::default()
                },
            ),
            (
                "is_bot",
                UserPatch {
                    is_bot: Patch::Value(true),
                    ..UserPatch::default()
                },
            ),
            (
                "display_name",
                UserPatch {
                    display_name: Patch::Null,
                    ..UserPatch::default()
                },
            ),
            (
                "role",
                UserPatch {
                    role: Patch::Value(RoleId(Uuid::nil())),
                    ..UserPatch::default()
                },
            ),
            ("attributes.vendor:x", attribute("vendor:x")),
            ("attributes.trusted_twin:account", attribute(ACCOUNT)),
            ("attributes.trusted_twin:activity", attribute(ACTIVITY)),
        ];
        for (expected, patch) in cases {
            match encode_update(&patch) {
                Err(Error::Unsupported { field, .. }) => assert_eq!(field, expected),
                other => panic!("{expected}: {other:?}"),
            }
        }
    }

    #[test]
    fn passed_through_members_go_as_they_are() {
        let patch = UserPatch {
            display_name: Patch::Value("Oliver".to_owned()),
            passthrough: json!({ "description": null, "role": "r", "name": "Adams" })
                .as_object()
                .cloned()
                .unwrap(),
            ..UserPatch::default()
        };
        let body = Value::Object(encode_update(&patch).unwrap());
        assert_eq!(body, json!({ "description": null, "role": "r", "name": "Adams" }));
    }
}

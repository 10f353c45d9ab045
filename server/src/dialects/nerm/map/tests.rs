use std::collections::BTreeMap;

use patchbay_core::{
    clock::Timestamp,
    error::Error,
    id::{RoleId, Serial, UserId},
    patch::Patch,
    settings::{PhonePatch, Settings, SettingsPatch},
    user::{Status, User, UserPatch},
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::*;
use crate::{
    dialects::nerm::wire,
    failure::{Failure, Field},
};

const ID: &str = "db6f8e8b-65c2-47d5-a0db-90bcc4e9df9e";

fn members(value: Value) -> Map<String, Value> {
    let Value::Object(members) = value else {
        panic!("{value} is not an object");
    };
    members
}

fn fixture(text: &str) -> Value {
    serde_json::from_str::<Value>(text).unwrap()["user"].take()
}

fn problems(failure: Failure) -> BTreeMap<String, String> {
    let name = |field| match field {
        Field::Wire(name) => name,
        Field::Domain(path) => wire_name(&path),
    };
    let first = failure.field.map(|field| (name(field), failure.reason));
    let also = failure.also.into_iter().map(|(field, reason)| (name(field), reason));
    first.into_iter().chain(also).collect()
}

#[test]
fn the_seeds_example_becomes_a_patch_and_the_same_request_again() {
    let sent = members(fixture(include_str!("../fixtures/update_user.request.json")));
    let patch = decode_change(ID, sent.clone()).unwrap();
    assert_eq!(patch.display_name, Patch::Value("myusername".to_owned()));
    assert_eq!(patch.username, Patch::Value("mylogin".to_owned()));
    assert_eq!(patch.status, Patch::Value(Status::Enabled));
    assert_eq!(patch.attributes["nerm:admin"], Patch::Value(json!(false)));
    assert_eq!(patch.attributes["nerm:profile_id"], Patch::Value(json!(ID)));
    assert_eq!(patch.attributes.len(), 4);
    assert_eq!(encode_change(ID, &patch).unwrap(), sent);
}

#[test]
fn absent_null_and_value_survive_both_ways() {
    let clearable = [
        "profile_id",
        "title",
        "admin",
        "group_strings",
        "locale",
        "sailpoint_identity_id",
    ];
    for name in clearable {
        let sent = members(json!({ "id": ID, name: null }));
        let patch = decode_change(ID, sent.clone()).unwrap();
        assert_ne!(patch, UserPatch::default(), "{name}");
        assert_eq!(encode_change(ID, &patch).unwrap(), sent, "{name}");
    }
    let nothing = decode_change(ID, Map::new()).unwrap();
    assert_eq!(nothing, UserPatch::default());
    assert_eq!(Value::from(encode_change(ID, &nothing).unwrap()), json!({ "id": ID }));
}

#[test]
fn required_members_go_out_as_null_for_the_vendor_to_refuse() {
    let patch = UserPatch {
        username: Patch::Null,
        display_name: Patch::Null,
        status: Patch::Null,
        ..UserPatch::default()
    };
    let sent = Value::from(encode_change("7", &patch).unwrap());
    assert_eq!(sent, json!({ "id": "7", "name": null, "login": null, "status": null }));
}

#[test]
fn unknown_and_read_only_members_are_ignored() {
    let sent = json!({
        "uid": 5, "last_login": "x", "cookies_accepted_at": {}, "preferred_language": "de", "password": "p", "x": [1.5]
    });
    assert_eq!(decode_change(ID, members(sent)).unwrap(), UserPatch::default());
}

#[test]
fn every_wrong_member_is_named_at_once() {
    let sent = json!({
        "id": 1, "name": 2, "email": [], "type": {}, "profile_id": true, "title": 3, "status": 1, "login": 4.5,
        "admin": "yes", "group_strings": ["a"], "locale": 6, "sailpoint_identity_id": false,
    });
    let found = problems(decode_change(ID, members(sent.clone())).unwrap_err());
    assert_eq!(found.keys().collect::<Vec<_>>().len(), sent.as_object().unwrap().len());
    for (name, reason) in &found {
        let wanted = if name == "admin" {
            "must be a boolean"
        } else {
            "must be a string"
        };
        assert_eq!(reason, wanted, "{name}");
    }
}

#[test]
fn blanks_lists_and_ids_are_checked_together() {
    let sent = json!({
        "id": Uuid::nil(), "name": " \u{200b}", "email": null, "type": "DelegateUser", "profile_id": "7", "status": "active",
        "login": "", "title": "",
    });
    let found = problems(decode_change(ID, members(sent)).unwrap_err());
    let wanted = [
        ("id", "must be the id in the path"),
        ("name", "can't be blank"),
        ("email", "can't be blank"),
        ("type", "is not included in the list"),
        ("profile_id", "must be a UUID"),
        ("status", "is not included in the list"),
        ("login", "can't be blank"),
    ];
    let wanted: BTreeMap<String, String> = wanted.map(|(a, b)| (a.to_owned(), b.to_owned())).into();
    assert_eq!(found, wanted);
    let nulls = problems(decode_change(ID, members(json!({ "type": null, "status": null, "id": null }))).unwrap_err());
    assert_eq!(nulls["type"], "is not included in the list");
    assert_eq!(nulls["status"], "can't be blank");
    let left = decode_change(ID, members(json!({ "status": null, "name": "" }))).unwrap();
    let left: Vec<String> = left.unfit.iter().map(ToString::to_string).collect();
    assert_eq!(
        left,
        ["display_name can't be blank", "status can't be blank"],
        "left to the record"
    );
    assert_eq!(nulls["id"], "must be the id in the path");
}

#[test]
fn lengths_are_told_with_everything_else_that_is_wrong() {
    let long = || "x".repeat(501);
    let sent = json!({
        "title": long(), "locale": "a\tb", "login": long(), "name": long(), "sailpoint_identity_id": "\u{0}",
        "email": format!("{}@example.com", "x".repeat(320)), "group_strings": format!("a,{}", long()), "status": "bad",
    });
    let found = problems(decode_change(ID, members(sent.clone())).unwrap_err());
    let wanted: BTreeMap<String, String> = [
        ("title", "must have at most 500 characters"),
        ("locale", "must not contain control characters"),
        ("login", "must have at most 500 characters"),
        ("name", "must have at most 500 characters"),
        ("sailpoint_identity_id", "must not contain control characters"),
        ("email", "must have at most 320 characters"),
        ("group_strings", "must have at most 500 characters"),
        ("status", "is not included in the list"),
    ]
    .map(|(name, reason)| (name.to_owned(), reason.to_owned()))
    .into();
    assert_eq!(found, wanted);
}

#[test]
fn disabled_leaves_who_is_shown_so_already() {
    for (sent, kept) in [("Disabled", Some(Status::Blocked)), ("Active", None), ("Pending", None)] {
        let patch = decode_change(ID, members(json!({ "status": sent }))).unwrap();
        assert_eq!(patch.status_kept, kept, "{sent}");
    }
}

#[test]
fn the_id_may_be_spelt_differently() {
    for id in [ID.to_uppercase(), ID.replace('-', "")] {
        decode_change(ID, members(json!({ "id": id }))).unwrap();
    }
}

/// A vendor's answer comes out as it went in, but for dates, which are brought to one form, and nulls for what was absent.
#[test]
fn the_vendors_answers_decode_and_encode_again() {
    let fixtures = [
        include_str!("../fixtures/update_user.answer.json"),
        include_str!("../fixtures/user.answer.json"),
        include_str!("../fixtures/user_ruby_dates.answer.json"),
    ];
    for text in fixtures {
        let sent = fixture(text);
        let wire: wire::User = serde_json::from_value(sent.clone()).unwrap();
        let user = decode_user(wire).unwrap();
        assert_eq!(user.status, Some(Status::Enabled));
        assert!(user.last_login_at.is_some());
        let again = serde_json::to_value(encode_user(&user)).unwrap();
        for (name, value) in again.as_object().unwrap() {
            if matches!(name.as_str(), "last_login" | "cookies_accepted_at") && !value.is_null() {
                assert!(value.as_str().unwrap().ends_with('Z'), "{name}: {value}");
            } else {
                assert_eq!(value, &sent[name], "{name}");
            }
        }
        assert!(sent.as_object().unwrap().keys().all(|name| again.get(name).is_some()));
    }
}

#[test]
fn what_the_vendor_does_not_document_is_kept() {
    let wire = wire::User {
        id: "7".to_owned(),
        status: Some("Archived".to_owned()),
        last_login: Some("a while ago".to_owned()),
        kind: Some("DelegateUser".to_owned()),
        ..wire::User::default()
    };
    let user = decode_user(wire).unwrap();
    assert_eq!(
        (user.remote_id.as_deref(), user.status, user.last_login_at),
        (Some("7"), None, None)
    );
    assert_eq!(user.attributes["nerm:status"], "Archived");
    assert_eq!(user.attributes["nerm:type"], "DelegateUser");
    assert_eq!(decode_user(wire::User::default()), None);
}

#[test]
fn a_bare_user_has_an_id_a_uid_a_type_and_nulls() {
    let user = User::new(UserId(Uuid::from_u128(7)), Serial(1), Timestamp::default());
    let shown = serde_json::to_value(encode_user(&user)).unwrap();
    let shown = shown.as_object().unwrap();
    assert_eq!(shown.len(), 14);
    let uid = shown["uid"].as_str().unwrap();
    assert!(uid.len() == 32 && uid.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')));
    assert_eq!(shown["type"], "NeprofileUser");
    let set: Vec<_> = shown
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(set, ["id", "type", "uid"]);
}

#[test]
fn statuses_and_languages_are_shown() {
    let mut user = User::new(UserId(Uuid::from_u128(7)), Serial(1), Timestamp::default());
    let settings = Settings {
        culture_code: Some("fr-CA".to_owned()),
        language_code: Some("de".to_owned()),
        ..Settings::default()
    };
    user.settings = Some(settings.into());
    for (status, shown) in Status::ALL
        .into_iter()
        .zip(["Active", "Pending", "Disabled", "Disabled"])
    {
        user.status = Some(status);
        assert_eq!(encode_user(&user).status.as_deref(), Some(shown));
    }
    let shown = encode_user(&user);
    assert_eq!(shown.locale.as_deref(), Some("fr-CA"));
    assert_eq!(shown.preferred_language.as_deref(), Some("de"));
}

/// The member that a change is refused for as one that the vendor cannot say.
fn unsupported(patch: &UserPatch) -> String {
    match encode_change("7", patch).unwrap_err() {
        Error::Unsupported { field, .. } => field,
        other => panic!("{other:?}"),
    }
}

fn attribute(key: &str, value: Value) -> UserPatch {
    UserPatch {
        attributes: BTreeMap::from([(key.to_owned(), Patch::Value(value))]),
        ..UserPatch::default()
    }
}

#[test]
fn members_that_the_vendor_lacks_are_refused_by_name() {
    type Change = fn(&mut UserPatch);
    let changes: [(&str, Change); 9] = [
        ("first_name", |patch| patch.first_name = Patch::Value("x".to_owned())),
        ("last_name", |patch| patch.last_name = Patch::Null),
        ("is_bot", |patch| patch.is_bot = Patch::Value(true)),
        ("phone", |patch| {
            patch.phone = Patch::Value(PhonePatch {
                prefix: Patch::Null,
                ..PhonePatch::default()
            });
        }),
        ("icon", |patch| patch.icon = Patch::Null),
        ("role", |patch| patch.role = Patch::Value(RoleId(Uuid::nil()))),
        ("description", |patch| patch.description = Patch::Null),
        ("settings", |patch| patch.settings = Patch::Null),
        ("status", |patch| patch.status = Patch::Value(Status::Blocked)),
    ];
    for (name, change) in changes {
        let mut patch = UserPatch::default();
        change(&mut patch);
        assert_eq!(unsupported(&patch), name);
    }
}

#[test]
fn nested_members_that_the_vendor_lacks_are_refused_by_name() {
    let language = SettingsPatch {
        language_code: Patch::Null,
        ..SettingsPatch::default()
    };
    let mut patch = UserPatch {
        settings: Patch::Value(language),
        ..UserPatch::default()
    };
    assert_eq!(unsupported(&patch), "settings.language_code");
    patch.settings = Patch::Absent;
    patch.passthrough = members(json!({ "id": "8" }));
    assert_eq!(unsupported(&patch), "passthrough.id");
    for key in ["vendor:x", "nerm:uid", "nerm:cookies_accepted_at"] {
        assert_eq!(unsupported(&attribute(key, json!("x"))), format!("attributes.{key}"));
    }
    for (key, value) in [("nerm:admin", json!("yes")), ("nerm:type", json!(1))] {
        match encode_change("7", &attribute(key, value)).unwrap_err() {
            Error::Invalid { field, .. } => assert_eq!(field, format!("attributes.{key}")),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn passed_through_members_go_out_as_they_are() {
    let patch = UserPatch {
        title: Patch::Value("Captain".to_owned()),
        passthrough: serde_json::from_str(r#"{"password":"secret","title":null,"extra":{"a":[1.50]}}"#).unwrap(),
        ..UserPatch::default()
    };
    let sent = Value::from(encode_change("7", &patch).unwrap());
    assert_eq!(
        sent.to_string(),
        r#"{"extra":{"a":[1.50]},"id":"7","password":"secret","title":null}"#
    );
}

#[test]
fn domain_names_are_told_in_the_vendors_words() {
    let names = [
        ("display_name", "name"),
        ("username", "login"),
        ("settings.culture_code", "locale"),
        ("attributes.nerm:group_strings", "group_strings"),
        ("email", "email"),
        ("attributes", "attributes"),
    ];
    for (domain, wire) in names {
        assert_eq!(wire_name(domain), wire);
    }
}

//! Changes: decoded from callers, encoded to the vendor.

use patchbay_core::{
    error::Error,
    icon::Icon,
    id::{GroupId, Serial},
    membership::MembershipChange,
    patch::Patch,
    settings::{NumberFormatPatch, PhonePatch, SettingsPatch},
    store::Key,
    user::{Unfit, UserPatch, limits},
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{
    super::{fold, wire, wrong::Wrong},
    ATTRIBUTES, serial, wire_name,
};
use crate::{
    extract,
    failure::{Failure, Kind},
};

/// The change of a user.
#[derive(Debug)]
pub(in super::super) struct UserChange {
    /// What changes of him.
    pub(in super::super) patch: UserPatch,
    /// The number of the account to work in from now on, if it names one.
    pub(in super::super) current_account: Option<Serial>,
}

/// The change of an account user.
#[derive(Debug)]
pub(in super::super) struct AccountUserChange {
    /// What changes of the user.
    pub(in super::super) patch: UserPatch,
    /// What changes of his place in the account.
    pub(in super::super) membership: MembershipChange,
}

/// Decodes the change of a user.
///
/// Fails with [`Kind::Schema`] if it is no object, else with [`Kind::Invalid`] naming every member that is wrong.
pub(in super::super) fn decode_user(document: Value) -> Result<UserChange, Failure> {
    let mut wrong = Wrong::default();
    let document = fold::fold_user(document, &mut wrong);
    let mut delta: wire::UserDelta = typed(document, &mut wrong)?;
    let current_account = account_key(std::mem::take(&mut delta.current_account), &mut wrong);
    let patch = profile(delta, &mut wrong);
    wrong.none(&patch)?;
    Ok(UserChange { patch, current_account })
}

fn account_key(account: Patch<wire::AccountKey>, wrong: &mut Wrong) -> Option<Serial> {
    let id = match account {
        Patch::Absent => return None,
        Patch::Null => {
            wrong.add("currentAccount", "must not be null");
            return None;
        }
        Patch::Value(account) => account.id,
    };
    let number = serial("ACC", &id);
    if number.is_none() && !wrong.tells("currentAccount.id") {
        wrong.add("currentAccount.id", "must be an account's id such as ACC-0000-0001");
    }
    number
}

/// Decodes the change of an account user.
///
/// Fails as [`decode_user`] does.
pub(in super::super) fn decode_account_user(document: Value) -> Result<AccountUserChange, Failure> {
    let mut wrong = Wrong::default();
    let document = fold::fold(document, &fold::ACCOUNT_USER, &mut wrong);
    let delta: wire::AccountUserDelta = typed(document, &mut wrong)?;
    let wire::AccountUserDelta {
        email,
        first_name,
        last_name,
        phone,
        settings,
        icon,
        groups,
        invitation,
    } = delta;
    let user = wire::UserDelta {
        email,
        first_name,
        last_name,
        phone,
        settings,
        icon,
        current_account: Patch::Absent,
    };
    let patch = profile(user, &mut wrong);
    let invitation_notes = match invitation {
        Patch::Absent => Patch::Absent,
        Patch::Null => Patch::Null,
        Patch::Value(invitation) => invitation.notes,
    };
    let membership = MembershipChange {
        groups: groups.map(|groups| group_keys(&groups, &mut wrong)),
        invitation_notes,
    };
    wrong.none(&patch)?;
    Ok(AccountUserChange { patch, membership })
}

fn group_keys(groups: &[wire::GroupKey], wrong: &mut Wrong) -> Vec<Key<GroupId>> {
    let mut keys = Vec::with_capacity(groups.len());
    for (at, group) in groups.iter().enumerate() {
        match serial("UGR", &group.id) {
            Some(number) => keys.push(Key::Serial(number)),
            None => wrong.add(format!("groups[{at}].id"), "must be a group's id such as UGR-0000-0001"),
        }
    }
    keys
}

/// The document with its types. Members of another type are noted and left out.
fn typed<T: DeserializeOwned + Default>(mut document: Value, wrong: &mut Wrong) -> Result<T, Failure> {
    if !document.is_object() {
        return Err(Failure::new(Kind::Schema, "the request body must be a JSON object"));
    }
    loop {
        let error = match serde_path_to_error::deserialize(&document) {
            Ok(typed) => return Ok(typed),
            Err(error) => error,
        };
        let path = error.path().to_string();
        wrong.note(extract::schema(&path, error.inner()))?;
        if !forget(&mut document, &path) {
            return Ok(T::default());
        }
    }
}

/// Takes away what is at the path, or the list that it leads into; false if there is nothing.
fn forget(document: &mut Value, path: &str) -> bool {
    let path = path.split('[').next().unwrap_or(path);
    let (place, name) = path.rsplit_once('.').unwrap_or(("", path));
    let mut names = place.split('.').filter(|name| !name.is_empty());
    let inner = names.try_fold(document, |object, name| object.get_mut(name));
    let removed = inner.and_then(|object| object.as_object_mut()?.remove(name));
    removed.is_some()
}

fn profile(delta: wire::UserDelta, wrong: &mut Wrong) -> UserPatch {
    let wire::UserDelta {
        email,
        first_name,
        last_name,
        phone,
        settings,
        icon,
        current_account: _,
    } = delta;
    let settings = settings.map(settings_patch);
    let mut unfit = Vec::new();
    let mut required = vec![
        ("email", &email),
        ("first_name", &first_name),
        ("last_name", &last_name),
    ];
    if let Patch::Value(settings) = &settings {
        required.push(("settings.culture_code", &settings.culture_code));
        required.push(("settings.language_code", &settings.language_code));
    }
    for (field, value) in required {
        filled(field, value, &mut unfit, wrong);
    }
    if email.value().is_some_and(|email| serial("USR", email).is_some()) {
        unfit.push(Unfit {
            field: "email".to_owned(),
            reason: "must not have the form of a user's id".to_owned(),
        });
    }
    UserPatch {
        unfit,
        email,
        first_name,
        last_name,
        phone: phone.map(|phone| PhonePatch {
            prefix: phone.prefix,
            number: phone.number,
        }),
        settings,
        icon: match icon {
            Patch::Null => Patch::Null,
            Patch::Absent | Patch::Value(_) => Patch::Absent,
        },
        ..UserPatch::default()
    }
}

/// Checks a member that the vendor requires (`CreateAccountUserDto`, `UserSettings`): it may be absent from a change, but a
/// change may make it neither null nor blank. Null is wrong always, since no answer has it; blank only where the record would change,
/// since another dialect may have set it so.
fn filled(field: &str, value: &Patch<String>, unfit: &mut Vec<Unfit>, wrong: &mut Wrong) {
    const REASON: &str = "must not be empty";
    match value {
        Patch::Null => wrong.add(wire_name(field), REASON),
        Patch::Value(text) if limits::is_blank(text) => unfit.push(Unfit {
            field: field.to_owned(),
            reason: REASON.to_owned(),
        }),
        Patch::Absent | Patch::Value(_) => {}
    }
}

fn settings_patch(delta: wire::SettingsDelta) -> SettingsPatch {
    let wire::SettingsDelta {
        culture_code,
        language_code,
        date_format,
        time_format,
        time_zone,
        number_format,
    } = delta;
    SettingsPatch {
        culture_code,
        language_code,
        date_format,
        time_format,
        time_zone,
        number_format: number_format.map(|format| NumberFormatPatch {
            decimal_separator: format.decimal_separator,
            group_separator: format.group_separator,
        }),
    }
}

/// A change as it goes to the vendor.
#[derive(Debug)]
pub(in super::super) struct Outward<'a> {
    /// The JSON document.
    pub(in super::super) document: Map<String, Value>,
    /// The picture, which makes it a form.
    pub(in super::super) icon: Option<&'a Icon>,
}

/// Encodes a change. Attributes of this dialect and passed-through members are merged in as they are, the latter last.
///
/// Fails with [`Error::Unsupported`] naming the first member that the vendor's API cannot say.
pub(in super::super) fn encode(patch: &UserPatch) -> Result<Outward<'_>, Error> {
    patch.says_only(&[
        "email",
        "first_name",
        "last_name",
        "phone",
        "settings",
        "icon",
        "attributes",
    ])?;
    if patch.icon == Patch::Null {
        return Err(Error::unsupported("icon", "cannot be removed through this API"));
    }
    let delta = wire::UserDelta {
        email: patch.email.clone(),
        first_name: patch.first_name.clone(),
        last_name: patch.last_name.clone(),
        phone: patch.phone.clone().map(|phone| wire::PhoneDelta {
            prefix: phone.prefix,
            number: phone.number,
        }),
        settings: patch.settings.clone().map(settings_delta),
        ..wire::UserDelta::default()
    };
    let mut document = match serde_json::to_value(delta).map_err(Error::internal)? {
        Value::Object(document) => document,
        other => return Err(Error::internal(format!("a delta encoded as {other}"))),
    };
    for (name, value) in patch.attributes.iter().filter(|(_, value)| !value.is_absent()) {
        let member = name
            .strip_prefix(ATTRIBUTES)
            .ok_or_else(|| Error::unsupported(format!("attributes.{name}"), "has no counterpart in this API"))?;
        document.insert(member.to_owned(), value.value().cloned().unwrap_or_default());
    }
    document.retain(|name, _| !patch.passthrough.keys().any(|passed| same_member(name, passed)));
    document.extend(patch.passthrough.clone());
    Ok(Outward {
        document,
        icon: patch.icon.value(),
    })
}

/// Whether two names name one member, which they do letter case aside (contract notes, section 7).
pub(in super::super) fn same_member(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

fn settings_delta(patch: SettingsPatch) -> wire::SettingsDelta {
    let SettingsPatch {
        culture_code,
        language_code,
        date_format,
        time_format,
        time_zone,
        number_format,
    } = patch;
    wire::SettingsDelta {
        culture_code,
        language_code,
        date_format,
        time_format,
        time_zone,
        number_format: number_format.map(|format| wire::NumberFormatDelta {
            decimal_separator: format.decimal_separator,
            group_separator: format.group_separator,
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_survives_the_way_out_and_in() {
        let document = json!({
            "email": "han@example.com", "firstName": "Han", "phone": null,
            "settings": {"dateFormat": null, "timeZone": "UTC", "numberFormat": {"groupSeparator": null}},
        });
        let patch = decode_user(document.clone()).unwrap().patch;
        let outward = encode(&patch).unwrap();
        assert_eq!(Value::Object(outward.document), document);
        assert!(outward.icon.is_none());
    }

    #[test]
    fn nothing_to_say_is_an_empty_document() {
        assert_eq!(encode(&UserPatch::default()).unwrap().document, Map::new());
    }

    #[test]
    fn what_the_vendor_cannot_say_is_refused_by_name() {
        let cases = [
            (
                "username",
                UserPatch {
                    username: Patch::Null,
                    ..UserPatch::default()
                },
            ),
            (
                "display_name",
                UserPatch {
                    display_name: Patch::Value("x".to_owned()),
                    ..UserPatch::default()
                },
            ),
            (
                "title",
                UserPatch {
                    title: Patch::Value("x".to_owned()),
                    ..UserPatch::default()
                },
            ),
            (
                "status",
                UserPatch {
                    status: Patch::Null,
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
                "role",
                UserPatch {
                    role: Patch::Null,
                    ..UserPatch::default()
                },
            ),
            (
                "description",
                UserPatch {
                    description: Patch::Null,
                    ..UserPatch::default()
                },
            ),
            (
                "icon",
                UserPatch {
                    icon: Patch::Null,
                    ..UserPatch::default()
                },
            ),
            (
                "current_organization",
                UserPatch {
                    current_organization: Patch::Null,
                    ..UserPatch::default()
                },
            ),
            (
                "attributes.vendor:locale",
                UserPatch {
                    attributes: [("vendor:locale".to_owned(), Patch::Null)].into(),
                    ..UserPatch::default()
                },
            ),
        ];
        for (expected, patch) in cases {
            match encode(&patch) {
                Err(Error::Unsupported { field, .. }) => assert_eq!(field, expected),
                other => panic!("{expected}: {other:?}"),
            }
        }
    }

    #[test]
    fn own_attributes_and_passthrough_are_merged() {
        let passthrough = json!({"x": [1], "firstName": "raw"}).as_object().unwrap().clone();
        let patch = UserPatch {
            first_name: Patch::Value("typed".to_owned()),
            attributes: [
                (
                    "softwareone:currentAccount".to_owned(),
                    Patch::Value(json!({"id": "ACC-0000-0001"})),
                ),
                ("softwareone:gone".to_owned(), Patch::Null),
                ("vendor:locale".to_owned(), Patch::Absent),
            ]
            .into(),
            passthrough,
            ..UserPatch::default()
        };
        assert_eq!(
            Value::Object(encode(&patch).unwrap().document),
            json!({"firstName": "raw", "currentAccount": {"id": "ACC-0000-0001"}, "gone": null, "x": [1]})
        );
    }
}

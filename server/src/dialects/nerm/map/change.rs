//! The delta of a user: decoded where Patchbay is called, encoded where it calls.

use std::collections::BTreeMap;

use patchbay_core::{
    error::Error,
    patch::Patch,
    settings::SettingsPatch,
    user::{
        Status, Unfit, UserPatch, is_mail_address,
        limits::{self, is_blank},
    },
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{PREFIX, attribute, uuid};
use crate::{
    dialects::nerm::wire::{UserChange, UserStatus, UserType},
    failure::{Failure, Field, Kind},
};

const BLANK: &str = "can't be blank";
const NOT_LISTED: &str = "is not included in the list";

/// Decodes the members of `user`, sent to the path that ends in `id`.
///
/// Fails with [`Kind::Invalid`] naming every member that is wrong, if one is wrong whatever the user is: by its type, or as a
/// value that the vendor does not list. What is wrong only as a change (blank where the vendor requires something, too long,
/// no mail address) is left to [`UserPatch::unfit`]. Unknown and read-only members are ignored.
pub(in crate::dialects::nerm) fn decode_change(id: &str, members: Map<String, Value>) -> Result<UserPatch, Failure> {
    let mut problems = Problems::default();
    let UserChange {
        id: sent_id,
        name,
        email,
        kind,
        profile_id,
        title,
        status,
        login,
        admin,
        group_strings,
        locale,
        sailpoint_identity_id,
    } = problems.typed(members);
    problems.same_id(id, &sent_id);
    problems.filled("username", &login, limits::username);
    problems.filled("email", &email, mail_address);
    problems.filled("display_name", &name, limits::text);
    problems.text("title", &title, limits::text);
    problems.text("settings.culture_code", &locale, limits::text);
    problems.text("attributes.nerm:group_strings", &group_strings, names);
    problems.text(
        "attributes.nerm:sailpoint_identity_id",
        &sailpoint_identity_id,
        limits::text,
    );
    let status = problems.status(status);
    let mut patch = UserPatch {
        username: login,
        email,
        title,
        status_kept: status.value().and_then(|status| shown_as(*status)),
        status,
        settings: locale_patch(locale),
        unset_kept: name.value().map(|_| "display_name").into_iter().collect(),
        display_name: name,
        ..UserPatch::default()
    };
    let kind = problems.kind(kind);
    if kind
        .value()
        .is_some_and(|kind| kind == UserType::NeprofileUser.as_str())
    {
        patch.unset_kept.push("attributes.nerm:type");
    }
    let profile_id = problems.profile_id(profile_id);
    let mut keep = |name: &str, value: Patch<Value>| {
        if !value.is_absent() {
            patch.attributes.insert(attribute(name), value);
        }
    };
    keep("type", kind.map(Value::String));
    keep("profile_id", profile_id.map(Value::String));
    keep("admin", admin.map(Value::Bool));
    keep("group_strings", group_strings.map(Value::String));
    keep("sailpoint_identity_id", sailpoint_identity_id.map(Value::String));
    patch.unfit = problems.unfit()?;
    Ok(patch)
}

/// A text that has the form of a mail address.
fn mail_address(field: &str, text: &str) -> Result<(), Error> {
    limits::email(field, text)?;
    if is_mail_address(text) {
        Ok(())
    } else {
        Err(Error::invalid(field, "must be a mail address"))
    }
}

/// Names separated by commas, each a text; the list is bounded as all attributes are.
fn names(field: &str, list: &str) -> Result<(), Error> {
    list.split(',').try_for_each(|name| limits::text(field, name))
}

/// The other status that is shown as this one, and so stays where this one is sent.
fn shown_as(status: Status) -> Option<Status> {
    (status == Status::Disabled).then_some(Status::Blocked)
}

fn locale_patch(locale: Patch<String>) -> Patch<SettingsPatch> {
    if locale.is_absent() {
        return Patch::Absent;
    }
    Patch::Value(SettingsPatch {
        culture_code: locale,
        ..SettingsPatch::default()
    })
}

/// What is wrong with a change, member by member.
#[derive(Default)]
struct Problems {
    /// Whatever the user is; by the wire's names.
    always: Vec<(String, String)>,
    /// Only where the user would change.
    unfit: Vec<Unfit>,
}

/// Tells what is wrong with a text, as the domain's bounds do.
type Check = fn(&str, &str) -> Result<(), Error>;

impl Problems {
    fn add(&mut self, member: &str, reason: impl Into<String>) {
        self.always.push((member.to_owned(), reason.into()));
    }

    /// Notes what is wrong with a member, by its domain path, should it change.
    fn unless_same(&mut self, field: &str, reason: impl Into<String>) {
        self.unfit.push(Unfit {
            field: field.to_owned(),
            reason: reason.into(),
        });
    }

    /// The members with their types; those of another type are noted and taken as absent.
    fn typed(&mut self, mut members: Map<String, Value>) -> UserChange {
        members.retain(|name, value| {
            let alone = Map::from_iter([(name.clone(), value.clone())]);
            let wrong = read::<UserChange>(alone).err();
            if let Some(error) = &wrong {
                self.add(name, expected(error));
            }
            wrong.is_none()
        });
        // Each member was just read on its own, and a map holds none twice.
        read(members).unwrap_or_default()
    }

    /// The id in the body may only repeat that of the path, in any spelling of the same UUID.
    fn same_id(&mut self, path: &str, sent: &Patch<String>) {
        let same = match sent {
            Patch::Absent => true,
            Patch::Null => false,
            Patch::Value(sent) => sent == path || matches!((uuid(sent), uuid(path)), (Some(a), Some(b)) if a == b),
        };
        if !same {
            self.add("id", "must be the id in the path");
        }
    }

    fn text(&mut self, field: &str, sent: &Patch<String>, check: Check) {
        if let Some(Err(Error::Invalid { reason, .. })) = sent.value().map(|text| check(field, text)) {
            self.unless_same(field, reason);
        }
    }

    /// A text that the vendor requires.
    fn filled(&mut self, field: &str, sent: &Patch<String>, check: Check) {
        match sent {
            Patch::Absent => {}
            Patch::Value(text) if !is_blank(text) => self.text(field, sent, check),
            Patch::Null | Patch::Value(_) => self.unless_same(field, BLANK),
        }
    }

    fn status(&mut self, sent: Patch<String>) -> Patch<Status> {
        let found = sent.map(|text| {
            let listed = UserStatus::ALL.into_iter().find(|status| status.as_str() == text);
            listed.map(domain_status).ok_or(text)
        });
        match found {
            Patch::Absent => Patch::Absent,
            Patch::Null => {
                self.unless_same("status", BLANK);
                Patch::Null
            }
            Patch::Value(Ok(status)) => Patch::Value(status),
            Patch::Value(Err(text)) => {
                self.add("status", if is_blank(&text) { BLANK } else { NOT_LISTED });
                Patch::Absent
            }
        }
    }

    fn kind(&mut self, sent: Patch<String>) -> Patch<String> {
        let listed = |text: &str| UserType::ALL.iter().any(|kind| kind.as_str() == text);
        if !sent.is_absent() && !sent.value().is_some_and(|text| listed(text)) {
            self.add("type", NOT_LISTED);
        }
        sent
    }

    fn profile_id(&mut self, sent: Patch<String>) -> Patch<String> {
        sent.try_map(|text| uuid(&text).map(|id| id.to_string()).ok_or(()))
            .unwrap_or_else(|()| {
                self.add("profile_id", "must be a UUID");
                Patch::Absent
            })
    }

    /// What is wrong only as a change. Fails, naming everything, if anything is wrong whatever the user is.
    fn unfit(self) -> Result<Vec<Unfit>, Failure> {
        let mut always = self.always.into_iter();
        let Some((member, reason)) = always.next() else {
            return Ok(self.unfit);
        };
        let mut failure = Failure::about(Kind::Invalid, member, reason);
        let unfit = self
            .unfit
            .into_iter()
            .map(|unfit| (Field::Domain(unfit.field), unfit.reason));
        failure.also = always
            .map(|(member, reason)| (Field::Wire(member), reason))
            .chain(unfit)
            .collect();
        Err(failure)
    }
}

fn read<T: DeserializeOwned>(members: Map<String, Value>) -> Result<T, serde_json::Error> {
    serde_json::from_value(Value::Object(members))
}

/// "invalid type: number, expected a string" → "must be a string".
fn expected(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split_once("expected ").map_or_else(
        || "has the wrong type".to_owned(),
        |(_, expected)| format!("must be {expected}"),
    )
}

fn domain_status(status: UserStatus) -> Status {
    match status {
        UserStatus::Active => Status::Enabled,
        UserStatus::Pending => Status::Pending,
        UserStatus::Disabled => Status::Disabled,
    }
}

/// Encodes a delta as the members of `user`, with the id (the bundle marks it as required), and the passed-through
/// members as they are; those win over members of the same name.
///
/// Fails with [`Error::Unsupported`] naming the first member that the vendor's update cannot say.
pub(in crate::dialects::nerm) fn encode_change(id: &str, patch: &UserPatch) -> Result<Map<String, Value>, Error> {
    patch.says_only(&[
        "username",
        "email",
        "display_name",
        "title",
        "status",
        "settings",
        "attributes",
    ])?;
    let mut change = UserChange {
        id: Patch::Value(id.to_owned()),
        name: patch.display_name.clone(),
        email: patch.email.clone(),
        title: patch.title.clone(),
        login: patch.username.clone(),
        locale: encode_locale(&patch.settings)?,
        status: patch.status.try_map(encode_status)?,
        ..UserChange::default()
    };
    encode_attributes(&mut change, &patch.attributes)?;
    let mut members = match serde_json::to_value(change).map_err(Error::internal)? {
        Value::Object(members) => members,
        other => return Err(Error::internal(format!("a change became {other}"))),
    };
    if patch.passthrough.contains_key("id") {
        return Err(Error::unsupported(
            "passthrough.id",
            "cannot be changed: it names the user",
        ));
    }
    members.extend(patch.passthrough.clone());
    Ok(members)
}

fn only_absent(members: &[(&str, bool)]) -> Result<(), Error> {
    match members.iter().find(|(_, absent)| !absent) {
        Some((field, _)) => Err(Error::unsupported(*field, "cannot be changed through this provider")),
        None => Ok(()),
    }
}

fn encode_status(status: Status) -> Result<String, Error> {
    let status = match status {
        Status::Enabled => UserStatus::Active,
        Status::Pending => UserStatus::Pending,
        Status::Disabled => UserStatus::Disabled,
        Status::Blocked => {
            return Err(Error::unsupported(
                "status",
                "cannot be Blocked in this provider: it knows Enabled, Pending and Disabled",
            ));
        }
    };
    Ok(status.as_str().to_owned())
}

/// Of the settings only the locale can be said; clearing them all would clear more than that.
fn encode_locale(settings: &Patch<SettingsPatch>) -> Result<Patch<String>, Error> {
    let SettingsPatch {
        culture_code,
        language_code,
        date_format,
        time_format,
        time_zone,
        number_format,
    } = match settings {
        Patch::Absent => return Ok(Patch::Absent),
        Patch::Null => return Err(Error::unsupported("settings", "cannot be cleared as a whole")),
        Patch::Value(settings) => settings,
    };
    only_absent(&[
        ("settings.language_code", language_code.is_absent()),
        ("settings.date_format", date_format.is_absent()),
        ("settings.time_format", time_format.is_absent()),
        ("settings.time_zone", time_zone.is_absent()),
        ("settings.number_format", number_format.is_absent()),
    ])?;
    Ok(culture_code.clone())
}

fn encode_attributes(change: &mut UserChange, attributes: &BTreeMap<String, Patch<Value>>) -> Result<(), Error> {
    for (key, value) in attributes {
        let field = format!("attributes.{key}");
        let slot = match key.strip_prefix(PREFIX) {
            Some("type") => &mut change.kind,
            Some("profile_id") => &mut change.profile_id,
            Some("group_strings") => &mut change.group_strings,
            Some("sailpoint_identity_id") => &mut change.sailpoint_identity_id,
            Some("admin") => {
                let flag = |value: &Value| {
                    value
                        .as_bool()
                        .ok_or_else(|| Error::invalid(&field, "must be true or false"))
                };
                change.admin = value.as_ref().try_map(flag)?;
                continue;
            }
            _ => return Err(Error::unsupported(field, "cannot be changed through this provider")),
        };
        let text = |value: &Value| value.as_str().map(str::to_owned);
        *slot = value
            .as_ref()
            .try_map(|value| text(value).ok_or_else(|| Error::invalid(&field, "must be a string")))?;
    }
    Ok(())
}

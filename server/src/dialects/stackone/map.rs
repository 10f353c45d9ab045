//! Between the wire and the domain: pure functions, both ways.

use std::collections::BTreeMap;

use patchbay_core::{
    clock::Timestamp,
    connector::RemoteFailure,
    error::Error,
    group,
    icon::{IconRef, IconType},
    patch::Patch,
    policy::{Action, Reach, Statement},
    provider::UserView,
    role,
    text::Text,
    user::{PASSTHROUGH, Status, Unfit, User, UserPatch, is_mail_address},
};
use reqwest::Url;
use serde_json::{Map, Value};

use super::{
    unmapped::{ATTRIBUTE, told_status, unmapped_status},
    wire::{self, EnumValue, Flag, Object},
};
use crate::extract::MAX_QUOTED;

/// The wire's name of a domain field; names that are the same, and paths of the wire's own, stay.
pub(super) fn wire_name(field: &str) -> String {
    let passed = field
        .strip_prefix("attributes.")
        .and_then(|name| name.strip_prefix(PASSTHROUGH));
    if let Some(name) = passed {
        return format!("passthrough.{}", quoted(name));
    }
    match field {
        "email" => "primary_email_address",
        "display_name" => "name",
        "is_bot" => "is_bot_user",
        "attributes" => "passthrough",
        other => other,
    }
    .to_owned()
}

fn quoted(text: &str) -> String {
    text.chars().take(MAX_QUOTED).collect()
}

/// The change that an update's body asks for.
///
/// Fails with [`Error::Unsupported`] naming `status.value` or `status.source_value` if they name no status that a user
/// can have.
pub(super) fn decode_update(body: wire::UserUpdate) -> Result<UserPatch, Error> {
    Ok(UserPatch {
        unfit: unfit_email(&body.primary_email_address),
        email: body.primary_email_address,
        first_name: body.first_name,
        last_name: body.last_name,
        username: body.username,
        is_bot: body.is_bot_user.map(|flag| flag.0),
        status_kept: kept_status(&body.status),
        unset_kept: body.name.value().map(|_| "display_name").into_iter().collect(),
        display_name: body.name,
        status: decode_status(body.status)?,
        passthrough: match body.passthrough {
            Patch::Value(members) => members,
            Patch::Absent | Patch::Null => Map::new(),
        },
        ..UserPatch::default()
    })
}

/// A new address must have the form of one: the vendor calls the member "primary email address", not just a text. What
/// another dialect set may come back as it was read.
fn unfit_email(email: &Patch<String>) -> Vec<Unfit> {
    let unfit = email.value().filter(|text| !is_mail_address(text));
    let unfit = unfit.map(|_| Unfit {
        field: "email".to_owned(),
        reason: "must be a mail address".to_owned(),
    });
    unfit.into_iter().collect()
}

/// The status that stays where `value` alone is sent, being shown by the same word: Blocked, for `disabled`.
fn kept_status(status: &Patch<Object<EnumValue>>) -> Option<Status> {
    let Object(EnumValue { value, source_value }) = status.value()?;
    let value = value.value()?;
    let behind = |status: &Status| status_value(*status) == value;
    let named = source_value.value().and_then(named_status).filter(behind);
    let other = Status::ALL
        .into_iter()
        .filter(behind)
        .find(|status| value_status(value) != Some(*status));
    other.filter(|_| named.is_none())
}

/// What `status` says. `value` decides; a `source_value` that names one of the statuses behind that value picks it, so
/// that a status read can be sent back unchanged; [`kept_status`] does the same for `value` alone. Without a usable `value`, `source_value` decides alone. `{}` says
/// nothing, `null` and `{"value": null}` clear.
fn decode_status(status: Patch<Object<EnumValue>>) -> Result<Patch<Status>, Error> {
    let Object(EnumValue { value, source_value }) = match status {
        Patch::Absent => return Ok(Patch::Absent),
        Patch::Null => return Ok(Patch::Null),
        Patch::Value(status) => status,
    };
    let source = source_value.value().and_then(named_status);
    match (value, source) {
        (Patch::Value(value), source) => match value_status(&value) {
            Some(status) => {
                let finer = source.filter(|source| status_value(*source) == value);
                Ok(Patch::Value(finer.unwrap_or(status)))
            }
            None if value == UNMAPPED => source.map(Patch::Value).ok_or_else(|| {
                Error::unsupported(
                    "status.value",
                    "is unmapped_value without a source_value that names a status",
                )
            }),
            None => Err(Error::unsupported(
                "status.value",
                format!("must be enabled, disabled or pending, not {:?}", quoted(&value)),
            )),
        },
        (Patch::Absent | Patch::Null, Some(status)) => Ok(Patch::Value(status)),
        (value, None) => match (value, source_value) {
            (_, Patch::Value(_)) => Err(Error::unsupported(
                "status.source_value",
                "must name a status: Enabled, Pending, Disabled or Blocked",
            )),
            (Patch::Null, _) => Ok(Patch::Null),
            _ => Ok(Patch::Absent),
        },
    }
}

/// StackOne's own word for what it has no word for.
pub(super) const UNMAPPED: &str = "unmapped_value";

fn value_status(value: &str) -> Option<Status> {
    match value {
        "enabled" => Some(Status::Enabled),
        "disabled" => Some(Status::Disabled),
        "pending" => Some(Status::Pending),
        _ => None,
    }
}

fn status_value(status: Status) -> &'static str {
    match status {
        Status::Enabled => "enabled",
        Status::Pending => "pending",
        Status::Disabled | Status::Blocked => "disabled",
    }
}

/// The status that a `source_value` names, letter case aside.
fn named_status(source: &Value) -> Option<Status> {
    let name = source.as_str()?;
    Status::ALL
        .into_iter()
        .find(|status| status.as_str().eq_ignore_ascii_case(name))
}

fn encode_status(status: Status) -> EnumValue {
    EnumValue::of(status_value(status), status.as_str())
}

/// A status as it is asked for: `source_value` only where `value` alone would mean another one, or leave another one.
fn ask_status(status: Status, kept: Option<Status>) -> EnumValue {
    let mut asked = encode_status(status);
    let word = status_value(status);
    let leaves = Status::ALL
        .into_iter()
        .find(|other| *other != status && status_value(*other) == word);
    if value_status(word) == Some(status) && leaves == kept {
        asked.source_value = Patch::Absent;
    }
    asked
}

/// The body that asks a StackOne for a change.
///
/// Fails with [`Error::Unsupported`] for the first member that its update has no name for (seed, `IamUpdateUserRequestDto`).
/// Blocked travels as `disabled` with its own name as `source_value`.
pub(super) fn encode_update(patch: &UserPatch) -> Result<wire::UserUpdate, Error> {
    patch.says_only(&[
        "username",
        "email",
        "first_name",
        "last_name",
        "display_name",
        "status",
        "is_bot",
        "attributes.passthrough",
    ])?;
    Ok(wire::UserUpdate {
        primary_email_address: patch.email.clone(),
        first_name: patch.first_name.clone(),
        last_name: patch.last_name.clone(),
        name: patch.display_name.clone(),
        username: patch.username.clone(),
        is_bot_user: patch.is_bot.map(Flag),
        status: patch.status.map(|status| Object(ask_status(status, patch.status_kept))),
        passthrough: if patch.passthrough.is_empty() {
            Patch::Absent
        } else {
            Patch::Value(patch.passthrough.clone())
        },
    })
}

/// Which relations of a user are shown as objects; the others are null (query parameter `expand`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Expand {
    /// His role.
    pub(super) roles: bool,
    /// His groups.
    pub(super) groups: bool,
}

/// A user as he is shown. What a remote system does not tell is null, relations included.
pub(super) fn encode_user(view: &UserView, expand: Expand) -> wire::User {
    let user = &*view.user;
    let local = user.remote_id.is_none();
    let id = user.public_id();
    let told = |at: Timestamp| (local || at != Timestamp::default()).then(|| at.text());
    wire::User {
        remote_id: Some(id.clone()),
        id: Some(id),
        unified_custom_fields: custom_fields(user),
        primary_email_address: user.email.clone(),
        first_name: user.first_name.clone(),
        last_name: user.last_name.clone(),
        name: user.name(),
        username: user.username.clone(),
        is_bot_user: user.is_bot.map(Flag),
        roles: (local && expand.roles).then(|| view.role.iter().map(|role| encode_role(role)).collect()),
        groups: (local && expand.groups).then(|| view.groups.iter().map(|group| encode_group(group)).collect()),
        status: user.status.map(encode_status).or_else(|| unmapped_status(user)),
        last_active_at: None,
        last_login_at: user.last_login_at.map(Timestamp::text),
        created_at: told(user.created_at),
        updated_at: told(user.updated_at),
        multi_factor_enabled: None,
        avatar: user.icon.as_ref().map(encode_icon),
    }
}

/// What was passed through and kept; `None` if nothing was.
fn custom_fields(user: &User) -> Option<Map<String, Value>> {
    let kept = user.attributes.iter();
    let fields: Map<String, Value> = kept
        .filter_map(|(name, value)| Some((name.strip_prefix(PASSTHROUGH)?.to_owned(), value.clone())))
        .collect();
    Some(fields).filter(|fields| !fields.is_empty())
}

fn encode_role(role: &role::Role) -> wire::Role {
    wire::Role {
        id: Some(role.id.to_string()),
        remote_id: Some(role.id.to_string()),
        name: Some(role.name.clone()),
        kind: Some(EnumValue::of(role_type(role), role.name.as_str())),
        created_at: Some(role.created_at.to_string()),
        updated_at: Some(role.updated_at.to_string()),
        ..wire::Role::default()
    }
}

/// StackOne's word for a role, by what the role permits and on whom.
fn role_type(role: &role::Role) -> &'static str {
    let statement = &role.statement;
    if role.reach == Reach::Tenant && statement.covers(&Statement::everything()) {
        "admin"
    } else if statement.permits(Action::UpdateUser) {
        "editor"
    } else if statement.permits(Action::GetUser) {
        if role.reach == Reach::Tenant { "viewer" } else { "basic" }
    } else {
        "restricted"
    }
}

fn encode_group(group: &group::Group) -> wire::Group {
    wire::Group {
        id: Some(group.id.to_string()),
        remote_id: Some(group.id.to_string()),
        organization_id: Some(group.organization.to_string()),
        name: Some(group.name.clone()),
        description: group.description.clone(),
        kind: Some(EnumValue::of("group", "group")),
        created_at: Some(group.created_at.to_string()),
        ..wire::Group::default()
    }
}

fn encode_icon(icon: &IconRef) -> wire::File {
    let (format, name) = match icon.media {
        IconType::Png => ("png", "avatar.png"),
        IconType::Jpeg => ("jpeg", "avatar.jpeg"),
    };
    wire::File {
        id: Some(icon.digest.clone()),
        remote_id: Some(icon.digest.clone()),
        name: Some(name.to_owned()),
        file_format: Some(EnumValue::of(format, icon.media.media_type())),
        ..wire::File::default()
    }
}

/// A user as a StackOne tells of him; `asked` names him if the answer does not. A status that the domain has no name for
/// is kept as an attribute, moments that cannot be read are left out.
pub(super) fn decode_user(user: wire::User, asked: &str) -> User {
    let mut decoded = User::remote(user.id.as_deref().or(user.remote_id.as_deref()).unwrap_or(asked));
    let moment = |text: Option<Text>| Timestamp::parse(text?.as_str());
    decoded.email = user.primary_email_address;
    decoded.first_name = user.first_name;
    decoded.last_name = user.last_name;
    decoded.display_name = user.name;
    decoded.username = user.username;
    decoded.is_bot = user.is_bot_user.map(|flag| flag.0);
    let status = user.status.unwrap_or_default();
    let known = decode_status(Patch::Value(Object(status.clone())));
    decoded.status = known.ok().and_then(|status| status.value().copied());
    decoded.last_login_at = moment(user.last_login_at);
    decoded.created_at = moment(user.created_at).unwrap_or_default();
    decoded.updated_at = moment(user.updated_at).unwrap_or_default();
    let custom = user.unified_custom_fields.into_iter().flatten();
    let custom = custom.map(|(name, value)| (format!("{PASSTHROUGH}{name}"), value));
    let finer = told_status(&status).filter(|_| decoded.status.map(encode_status).as_ref() != Some(&status));
    let finer = finer.map(|told| (ATTRIBUTE.to_owned(), told));
    decoded.attributes = custom.chain(finer).collect::<BTreeMap<_, _>>().into();
    decoded
}

/// A provider's answer as it is shown (seed, `ProviderError`): credentials in the URL are cut out.
pub(super) fn provider_error(failure: &RemoteFailure) -> wire::ProviderError {
    let raw = match &failure.raw {
        Value::Null => None,
        Value::Object(members) => Some(members.clone()),
        other => Some(Map::from_iter([("body".to_owned(), other.clone())])),
    };
    let headers = failure.headers.iter();
    wire::ProviderError {
        status: failure.status,
        url: shown_url(&failure.url),
        raw,
        headers: Some(
            headers
                .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
                .collect(),
        ),
    }
}

/// A URL without user, password, query and fragment; `None` if it is none.
fn shown_url(url: &str) -> Option<String> {
    let mut url = Url::parse(url).ok()?;
    // Only URLs without a host refuse this, and those hold no credentials.
    let _ = (url.set_username(""), url.set_password(None));
    url.set_query(None);
    url.set_fragment(None);
    Some(url.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status(value: &Value) -> Result<Patch<Status>, String> {
        let body: wire::UserUpdate = serde_json::from_value(json!({ "status": value })).unwrap();
        decode_update(body)
            .map(|patch| patch.status)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn status_is_an_open_enum_with_three_states() {
        assert_eq!(status(&Value::Null), Ok(Patch::Null));
        assert_eq!(status(&json!({})), Ok(Patch::Absent));
        assert_eq!(status(&json!({ "source_value": null })), Ok(Patch::Absent));
        assert_eq!(status(&json!({ "value": null })), Ok(Patch::Null));
        assert_eq!(
            status(&json!({ "value": "pending", "source_value": null })),
            Ok(Patch::Value(Status::Pending))
        );
        for (source, found) in [("BLOCKED", Status::Blocked), ("enabled", Status::Enabled)] {
            assert_eq!(status(&json!({ "source_value": source })), Ok(Patch::Value(found)));
            assert_eq!(
                status(&json!({ "value": "unmapped_value", "source_value": source })),
                Ok(Patch::Value(found))
            );
        }
        for (wrong, named) in [
            (json!({ "value": "archived" }), "status.value"),
            (json!({ "value": "Enabled" }), "status.value"),
            (json!({ "value": "unmapped_value" }), "status.value"),
            (
                json!({ "value": "unmapped_value", "source_value": "odd" }),
                "status.value",
            ),
            (json!({ "source_value": "odd" }), "status.source_value"),
            (json!({ "value": null, "source_value": 7 }), "status.source_value"),
        ] {
            let error = status(&wrong).unwrap_err();
            assert!(error.starts_with(named), "{wrong}: {error}");
        }
    }

    #[test]
    fn a_status_that_was_read_can_be_sent_back() {
        for each in Status::ALL {
            let shown = serde_json::to_value(encode_status(each)).unwrap();
            assert_eq!(status(&shown), Ok(Patch::Value(each)));
            let asked = serde_json::to_value(ask_status(each, None)).unwrap();
            assert_eq!(status(&asked), Ok(Patch::Value(each)));
            let body: wire::UserUpdate = serde_json::from_value(json!({ "status": asked })).unwrap();
            assert_eq!(decode_update(body).unwrap().status_kept, None, "{each:?} and no other");
        }
        let contrary = json!({ "value": "enabled", "source_value": "Blocked" });
        assert_eq!(status(&contrary), Ok(Patch::Value(Status::Enabled)), "value decides");
    }

    #[test]
    fn the_word_alone_leaves_the_other_status_that_it_stands_for() {
        for (sent, kept) in [
            (json!({ "value": "disabled" }), Some(Status::Blocked)),
            (
                json!({ "value": "disabled", "source_value": null }),
                Some(Status::Blocked),
            ),
            (json!({ "value": "disabled", "source_value": "Disabled" }), None),
            (json!({ "value": "disabled", "source_value": "blocked" }), None),
            (json!({ "source_value": "Disabled" }), None),
            (json!({ "value": "enabled" }), None),
            (json!({ "value": null }), None),
        ] {
            let body: wire::UserUpdate = serde_json::from_value(json!({ "status": sent })).unwrap();
            let patch = decode_update(body).unwrap();
            assert_eq!(patch.status_kept, kept, "{sent}");
            let again = serde_json::to_value(encode_update(&patch).unwrap()).unwrap();
            let again = decode_update(serde_json::from_value(again).unwrap()).unwrap();
            assert_eq!((again.status, again.status_kept), (patch.status, kept), "{sent}");
        }
    }

    #[test]
    fn the_vendors_example_decodes_and_encodes_back() {
        let example: Value = serde_json::from_str(include_str!("fixtures/update_user.json")).unwrap();
        let patch = decode_update(serde_json::from_value(example.clone()).unwrap()).unwrap();
        assert_eq!(serde_json::to_value(encode_update(&patch).unwrap()).unwrap(), example);
    }

    #[test]
    fn absent_null_and_value_survive_encoding() {
        let body = json!({ "first_name": null, "last_name": "Solo", "status": null, "is_bot_user": "false" });
        let patch = decode_update(serde_json::from_value(body).unwrap()).unwrap();
        let sent = serde_json::to_value(encode_update(&patch).unwrap()).unwrap();
        assert_eq!(
            sent,
            json!({ "first_name": null, "last_name": "Solo", "status": null, "is_bot_user": false })
        );
    }

    #[test]
    fn what_stackone_cannot_say_is_named() {
        let patch = UserPatch {
            title: Patch::Null,
            ..UserPatch::default()
        };
        let error = encode_update(&patch).unwrap_err();
        assert!(matches!(error, Error::Unsupported { field, .. } if field == "title"));
    }

    #[test]
    fn the_fields_parameter_knows_every_member() {
        let user = serde_json::to_value(wire::User::default()).unwrap();
        let mut members: Vec<&str> = user.as_object().unwrap().keys().map(String::as_str).collect();
        let mut known = wire::User::MEMBERS;
        members.sort_unstable();
        known.sort_unstable();
        assert_eq!(members, known);
    }

    #[test]
    fn arrays_are_no_objects() {
        assert!(serde_json::from_str::<Object<wire::UserUpdate>>("[]").is_err());
        assert!(serde_json::from_str::<wire::UserUpdate>(r#"{"status": ["enabled"]}"#).is_err());
    }

    #[test]
    fn urls_are_shown_without_credentials() {
        let shown = shown_url("https://me:secret@vendor.example/users/1?token=secret#x");
        assert_eq!(shown.as_deref(), Some("https://vendor.example/users/1"));
    }
}

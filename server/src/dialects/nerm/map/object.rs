//! The user itself: encoded where Patchbay is called, decoded where it calls.

use std::collections::BTreeMap;

use jiff::{civil, fmt::strtime, tz::TimeZone};
use patchbay_core::{
    clock::Timestamp,
    packed::Packed,
    settings::Settings,
    text::Text,
    user::{Status, User},
};
use serde_json::Value;
use uuid::Uuid;

use super::attribute;
use crate::dialects::nerm::wire::{self, UserStatus, UserType};

/// Encodes a user. What is not set is null, but the type, which has a documented default.
pub(in crate::dialects::nerm) fn encode_user(user: &User) -> wire::User {
    let kept = |name: &str| {
        let value = user.attributes.get(&attribute(name));
        value.and_then(Value::as_str).map(str::to_owned)
    };
    let settings = user.settings.as_ref().map(Packed::read).unwrap_or_default();
    wire::User {
        id: user.public_id().into(),
        uid: Some(kept("uid").unwrap_or_else(|| uid(user.id.0))),
        name: user.name().map(String::from),
        email: user.email.clone().map(String::from),
        kind: Some(kept("type").unwrap_or_else(|| UserType::NeprofileUser.as_str().to_owned())),
        title: user.title.clone().map(String::from),
        status: user.status.map(|status| wire_status(status).as_str().to_owned()),
        login: user.username.clone().map(String::from),
        last_login: user.last_login_at.as_ref().map(Timestamp::to_string),
        cookies_accepted_at: kept("cookies_accepted_at"),
        preferred_language: settings.language_code,
        locale: settings.culture_code,
        group_strings: kept("group_strings"),
        sailpoint_identity_id: kept("sailpoint_identity_id"),
    }
}

/// 32 hexadecimal digits that never change and are not the id: a UUID made from it.
fn uid(id: Uuid) -> String {
    Uuid::new_v5(&id, b"uid").simple().to_string()
}

fn wire_status(status: Status) -> UserStatus {
    match status {
        Status::Enabled => UserStatus::Active,
        Status::Pending => UserStatus::Pending,
        Status::Disabled | Status::Blocked => UserStatus::Disabled,
    }
}

/// Decodes a vendor's user. `None` if he has no id.
///
/// Lenient, as the vendor is: a status that is not documented is kept as the attribute `nerm:status`, a moment that cannot
/// be read is taken as not set.
pub(in crate::dialects::nerm) fn decode_user(wire: wire::User) -> Option<User> {
    let wire::User {
        id,
        uid,
        name,
        email,
        kind,
        title,
        status,
        login,
        last_login,
        cookies_accepted_at,
        preferred_language,
        locale,
        group_strings,
        sailpoint_identity_id,
    } = wire;
    if id.is_empty() {
        return None;
    }
    let mut user = User::remote(&id);
    user.username = login.map(Text::from);
    user.email = email.map(Text::from);
    user.display_name = name.map(Text::from);
    user.title = title.map(Text::from);
    user.status = status.as_deref().and_then(domain_status);
    user.last_login_at = last_login.as_deref().and_then(moment);
    let settings = Settings {
        culture_code: locale,
        language_code: preferred_language,
        ..Settings::default()
    };
    user.settings = Some(settings)
        .filter(|settings| *settings != Settings::default())
        .map(Into::into);
    let undocumented = status.filter(|_| user.status.is_none());
    let cookies = cookies_accepted_at.map(|text| moment(&text).map_or(text, |moment| moment.to_string()));
    let kept = [
        ("uid", uid),
        ("type", kind),
        ("status", undocumented),
        ("cookies_accepted_at", cookies),
        ("group_strings", group_strings),
        ("sailpoint_identity_id", sailpoint_identity_id),
    ];
    let kept = kept
        .into_iter()
        .filter_map(|(name, value)| Some((attribute(name), Value::String(value?))));
    user.attributes = kept.collect::<BTreeMap<_, _>>().into();
    Some(user)
}

fn domain_status(text: &str) -> Option<Status> {
    Some(match text {
        "Active" => Status::Enabled,
        "Pending" => Status::Pending,
        "Disabled" => Status::Disabled,
        _ => return None,
    })
}

/// Reads a moment in any form that was seen: RFC 3339, the same without an offset (taken as UTC), and Ruby's
/// `Wed, 07 Feb 2024 12:55:20.456682000 EST -05:00` (bundle, examples of User-2).
fn moment(text: &str) -> Option<Timestamp> {
    Timestamp::parse(text).or_else(|| ruby(text)).or_else(|| {
        let civil: civil::DateTime = text.parse().ok()?;
        let moment = civil.to_zoned(TimeZone::UTC).ok()?;
        Some(Timestamp::from_millis(moment.timestamp().as_millisecond()))
    })
}

/// The zone's abbreviation says nothing that the offset does not, and the weekday nothing that the date does not.
fn ruby(text: &str) -> Option<Timestamp> {
    let parts: Vec<&str> = text.split_whitespace().collect();
    let [_, day, month, year, time, .., offset] = parts.as_slice() else {
        return None;
    };
    let plain = [*day, *month, *year, *time, *offset].join(" ");
    let read = strtime::parse("%d %b %Y %H:%M:%S%.f %:z", plain).ok()?;
    let moment = read.to_timestamp().ok()?;
    Some(Timestamp::from_millis(moment.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form_of_a_moment() {
        let forms = [
            ("2021-04-05T13:30:22.000-04:00", "2021-04-05T17:30:22.000Z"),
            ("2023-05-01T09:12:28Z", "2023-05-01T09:12:28.000Z"),
            ("2023-05-01 09:12:28", "2023-05-01T09:12:28.000Z"),
            ("2023-05-01", "2023-05-01T00:00:00.000Z"),
            (
                "Wed, 07 Feb 2024 12:55:20.456682000 EST -05:00",
                "2024-02-07T17:55:20.456Z",
            ),
            ("Wed, 07 Feb 2024 12:55:20 UTC +00:00", "2024-02-07T12:55:20.000Z"),
        ];
        for (text, read) in forms {
            assert_eq!(
                moment(text).map(|moment| moment.to_string()).as_deref(),
                Some(read),
                "{text}"
            );
        }
        assert_eq!(moment("last Tuesday"), None);
        assert_eq!(moment(""), None);
    }
}

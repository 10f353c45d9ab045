//! Pure functions between wire and domain, in both directions.
//!
//! The facade decodes changes and encodes objects, the connector encodes changes and decodes objects.

mod change;
mod object;

use patchbay_core::{id::Serial, user::Status};

pub(super) use self::{
    change::{decode_account_user, decode_user, encode, same_member},
    object::{account_user, decode, minimal, user},
};

/// Prefix of the attributes that only this dialect knows: `softwareone:currentAccount` is the member `currentAccount`.
pub(super) const ATTRIBUTES: &str = "softwareone:";

/// A number as the vendor writes ids: `USR-0000-0042`. Numbers of more than eight digits widen the first group.
pub(super) fn id(prefix: &str, serial: Serial) -> String {
    format!("{prefix}-{:04}-{:04}", serial.0 / 10_000, serial.0 % 10_000)
}

/// Reads an id with this prefix; `None` if it is not one.
pub(super) fn serial(prefix: &str, text: &str) -> Option<Serial> {
    let digits = text.strip_prefix(prefix)?.strip_prefix('-')?;
    let (high, low) = digits.split_once('-')?;
    let shaped = low.len() == 4 && (high.len() == 4 || (high.len() > 4 && !high.starts_with('0')));
    let decimal = high.bytes().chain(low.bytes()).all(|byte| byte.is_ascii_digit());
    if shaped && decimal {
        format!("{high}{low}").parse().ok().map(Serial)
    } else {
        None
    }
}

/// The path of a user's picture, relative to the API without `/public` (published v5 example).
pub(super) fn icon_path(user: &str) -> String {
    format!("/v1/accounts/users/{user}/icon")
}

/// The status in the vendor's words (contract notes, section 5).
fn status(status: Status) -> &'static str {
    match status {
        Status::Enabled => "Active",
        Status::Pending => "Invited",
        Status::Disabled => "Disabled",
        Status::Blocked => "Blocked",
    }
}

/// The domain's path of a member as the caller writes it: camelCase, and the memberships' members where they stand in
/// an account user.
pub(super) fn wire_name(path: &str) -> String {
    if path.starts_with("groups[") {
        return format!("{path}.id");
    }
    if path.starts_with("memberships.") {
        let name = if path.ends_with(".invitation_notes") {
            "invitation.notes"
        } else {
            "groups"
        };
        return name.to_owned();
    }
    if path == "current_organization" {
        return "currentAccount".to_owned();
    }
    let mut name = String::with_capacity(path.len());
    let mut upper = false;
    for letter in path.chars() {
        match letter {
            '_' => upper = true,
            _ if upper => {
                name.push(letter.to_ascii_uppercase());
                upper = false;
            }
            _ => name.push(letter),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_go_both_ways() {
        for (number, text) in [
            (0, "USR-0000-0000"),
            (42, "USR-0000-0042"),
            (37_587_092, "USR-3758-7092"),
        ] {
            assert_eq!(id("USR", Serial(number)), text);
            assert_eq!(serial("USR", text), Some(Serial(number)));
        }
        let widest = id("USR", Serial(u32::MAX));
        assert_eq!(serial("USR", &widest), Some(Serial(u32::MAX)));
    }

    #[test]
    fn other_texts_are_no_ids() {
        for text in [
            "",
            "USR",
            "USR-",
            "USR-1",
            "USR-0000-00001",
            "USR-00000-0001",
            "usr-0000-0001",
            "ACC-0000-0001",
            "USR-+001-0001",
            "USR-0000-0001-0001",
            "USR-٠٠٠٠-٠٠٠١",
            "USR-99999999-9999",
        ] {
            assert_eq!(serial("USR", text), None, "{text}");
        }
    }

    #[test]
    fn members_have_the_callers_names() {
        for (path, name) in [
            ("first_name", "firstName"),
            (
                "settings.number_format.decimal_separator",
                "settings.numberFormat.decimalSeparator",
            ),
            ("groups[2]", "groups[2].id"),
            ("groups", "groups"),
            ("current_organization", "currentAccount"),
            ("memberships.6b1f.invitation_notes", "invitation.notes"),
        ] {
            assert_eq!(wire_name(path), name);
        }
    }
}

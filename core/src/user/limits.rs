//! The bounds on what a user's record may hold.

use serde_json::Value;

use super::UserPatch;
use crate::{audit::FieldChange, error::Error};

/// The most characters in a one-line text such as a name.
pub const MAX_TEXT: usize = 500;
/// The most attributes a user may have.
pub const MAX_ATTRIBUTES: usize = 256;
/// The most bytes that the description, and likewise the attributes, may take as JSON.
pub const MAX_FREE_BYTES: usize = 65_536;
/// How deep free-form values may be nested. Below what JSON readers commonly bear, so that what is kept can be read again
/// inside the records that quote it.
const MAX_DEPTH: usize = 64;
/// The most characters in an attribute's name, prefix included.
const MAX_ATTRIBUTE_NAME: usize = 200;
/// The most characters in a mail address (RFC 3696, errata 1690, rounded up to the customary 320).
const MAX_EMAIL: usize = 320;

impl UserPatch {
    /// Every one-line text that breaks a bound, whatever the record holds, each with what follows its name in a sentence.
    /// [`super::User::apply`] refuses the first; dialects that list all ask here for the others.
    pub fn faults(&self) -> Vec<(String, String)> {
        let fault = |said: FieldChange| match one_line(&said.field, said.after.as_str()?) {
            Err(Error::Invalid { field, reason }) => Some((field, reason)),
            _ => None,
        };
        self.said().into_iter().filter_map(fault).collect()
    }
}

/// Checks the one-line text at a domain path; what is free of form passes.
fn one_line(field: &str, value: &str) -> Result<(), Error> {
    match field {
        "username" => username(field, value),
        "email" => email(field, value),
        "phone.prefix" => phone_prefix(field, value),
        "phone.number" => phone_number(field, value),
        _ if field.starts_with("attributes.") || field == "description" => Ok(()),
        _ => text(field, value),
    }
}

/// Checks a one-line text: bounded, no control characters. Empty is a value.
pub(super) fn text(field: &str, value: &str) -> Result<(), Error> {
    bounded(field, value, MAX_TEXT)
}

/// Checks a one-line text with a bound of its own.
fn bounded(field: &str, value: &str, max: usize) -> Result<(), Error> {
    if value.chars().count() > max {
        return Err(Error::invalid(field, format!("must have at most {max} characters")));
    }
    if value.chars().any(char::is_control) {
        return Err(Error::invalid(field, "must not contain control characters"));
    }
    Ok(())
}

/// Checks the country prefix of a telephone number.
pub(super) fn phone_prefix(field: &str, value: &str) -> Result<(), Error> {
    bounded(field, value, 10)
}

/// Checks a telephone number without its prefix.
pub(super) fn phone_number(field: &str, value: &str) -> Result<(), Error> {
    bounded(field, value, 15)
}

/// Checks a user name: a text that is not empty and neither begins nor ends with a space.
pub(super) fn username(field: &str, value: &str) -> Result<(), Error> {
    if value.is_empty() {
        return Err(Error::invalid(field, "must not be empty"));
    }
    if value.trim() != value {
        return Err(Error::invalid(field, "must not begin or end with a space"));
    }
    text(field, value)
}

/// Checks a mail address no further than every vendor does: a text that is not empty and has no spaces. Whether it must
/// have the form of an address is a dialect's rule, see [`is_mail_address`].
pub(super) fn email(field: &str, value: &str) -> Result<(), Error> {
    if value.is_empty() || value.chars().any(char::is_whitespace) {
        return Err(Error::invalid(field, "must be a mail address"));
    }
    bounded(field, value, MAX_EMAIL)
}

/// True if a text has the form of a mail address, loosely: `local@domain` without spaces. Only sending a mail proves more.
pub fn is_mail_address(text: &str) -> bool {
    let shaped = text
        .rsplit_once('@')
        .is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
    shaped && !text.chars().any(char::is_whitespace)
}

/// Checks an attribute's name.
pub(super) fn attribute_name(field: &str, name: &str) -> Result<(), Error> {
    if name.is_empty() {
        return Err(Error::invalid(field, "must not have an empty name"));
    }
    // The refusal names the member and is kept in the audit log: no more of the name than would have been allowed.
    let shown: String = field.chars().take(MAX_ATTRIBUTE_NAME).collect();
    bounded(&shown, name, MAX_ATTRIBUTE_NAME)
}

/// Checks free-form values: that they read back as they are written, and their size, as the bytes they take in JSON,
/// roughly.
pub(super) fn free<'a>(field: &str, members: impl Iterator<Item = (&'a String, &'a Value)>) -> Result<(), Error> {
    let mut bytes = 0;
    for (name, value) in members {
        legible_key(field, name)?;
        legible(field, value, MAX_DEPTH)?;
        bytes += name.len() + 4 + weight(value);
    }
    if bytes > MAX_FREE_BYTES {
        return Err(Error::invalid(
            field,
            format!("must take at most {MAX_FREE_BYTES} bytes"),
        ));
    }
    Ok(())
}

/// Checks that a value has at most so many containers in one another, and no key that its reader takes for more than a key.
fn legible(field: &str, value: &Value, depth: usize) -> Result<(), Error> {
    if depth == 0 && (value.is_array() || value.is_object()) {
        let reason = format!("must be nested at most {MAX_DEPTH} deep");
        return Err(Error::invalid(field, reason));
    }
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| legible(field, item, depth - 1)),
        Value::Object(members) => members.iter().try_for_each(|(name, member)| {
            legible_key(field, name)?;
            legible(field, member, depth - 1)
        }),
        _ => Ok(()),
    }
}

/// `serde_json` marks numbers of any precision by an object whose first key begins like this; members are kept sorted, so
/// such a key can come first when the record is read, and make it illegible.
const READERS_OWN: &str = "$serde_json::private::";

fn legible_key(field: &str, name: &str) -> Result<(), Error> {
    if name.starts_with(READERS_OWN) {
        return Err(Error::invalid(
            field,
            format!("must not have keys that begin with {READERS_OWN}"),
        ));
    }
    Ok(())
}

fn weight(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(number) => number.as_str().len() + 1,
        Value::String(text) => text.len() + 3,
        Value::Array(items) => 2 + items.iter().map(weight).sum::<usize>(),
        Value::Object(members) => {
            2 + members
                .iter()
                .map(|(name, value)| name.len() + 4 + weight(value))
                .sum::<usize>()
        }
    }
}

//! The bounds on what a user's record may hold.

use serde_json::Value;

use crate::error::Error;

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

/// Checks a one-line text: bounded, no control characters. Empty is a value.
pub(super) fn text(field: &str, value: &str) -> Result<(), Error> {
    bounded(field, value, MAX_TEXT)
}

/// Checks a one-line text with a bound of its own.
pub(super) fn bounded(field: &str, value: &str, max: usize) -> Result<(), Error> {
    if value.chars().count() > max {
        return Err(Error::invalid(field, format!("must have at most {max} characters")));
    }
    if value.chars().any(char::is_control) {
        return Err(Error::invalid(field, "must not contain control characters"));
    }
    Ok(())
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

/// Checks a mail address loosely: `local@domain` without spaces. Only sending a mail proves more.
pub(super) fn email(field: &str, value: &str) -> Result<(), Error> {
    bounded(field, value, MAX_EMAIL)?;
    let shaped = value
        .rsplit_once('@')
        .is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
    if shaped && !value.chars().any(char::is_whitespace) {
        Ok(())
    } else {
        Err(Error::invalid(field, "must be a mail address"))
    }
}

/// Checks an attribute's name.
pub(super) fn attribute_name(field: &str, name: &str) -> Result<(), Error> {
    if name.is_empty() {
        return Err(Error::invalid(field, "must not have an empty name"));
    }
    bounded(field, name, MAX_ATTRIBUTE_NAME)
}

/// Checks the nesting of free-form values and their size, as the bytes they take in JSON, roughly.
pub(super) fn free<'a>(field: &str, members: impl Iterator<Item = (&'a String, &'a Value)>) -> Result<(), Error> {
    let mut bytes = 0;
    for (name, value) in members {
        if deeper_than(MAX_DEPTH, value) {
            let reason = format!("must be nested at most {MAX_DEPTH} deep");
            return Err(Error::invalid(field, reason));
        }
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

/// True if the value has more than so many containers in one another.
fn deeper_than(depth: usize, value: &Value) -> bool {
    let children: Box<dyn Iterator<Item = &Value>> = match value {
        Value::Array(items) => Box::new(items.iter()),
        Value::Object(members) => Box::new(members.values()),
        _ => return false,
    };
    depth
        .checked_sub(1)
        .is_none_or(|below| children.into_iter().any(|child| deeper_than(below, child)))
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

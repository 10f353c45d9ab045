//! The bounds on what a user's record may hold.

use serde_json::{Map, Value};

use crate::error::Error;

/// The most characters in a one-line text such as a name.
pub const MAX_TEXT: usize = 500;
/// The most attributes a user may have of one dialect, so that none takes another's room.
pub const MAX_ATTRIBUTES: usize = 256;
/// The most bytes that the attributes of one dialect may take as JSON.
pub const MAX_FREE_BYTES: usize = 65_536;
/// The most bytes that the description may take as JSON: a quarter more than a body of 64 KiB, which brings it, since a number can become
/// so much longer as it is kept (`1E5,` becomes `1e+5,`).
pub const MAX_DESCRIPTION_BYTES: usize = 81_920;
/// How deep free-form values may be nested. Below what JSON readers commonly bear, so that what is kept can be read again
/// inside the records that quote it.
const MAX_DEPTH: usize = 64;
/// The most characters in an attribute's name, after the dialect's.
const MAX_ATTRIBUTE_NAME: usize = 200;
/// The most characters in a mail address (RFC 3696, errata 1690, rounded up to the customary 320).
const MAX_EMAIL: usize = 320;

/// Checks a one-line text: bounded, no control characters. Empty is a value.
pub fn text(field: &str, value: &str) -> Result<(), Error> {
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

/// True for a text in which nothing can be seen: no characters, or only spaces and such as take no room.
pub fn is_blank(value: &str) -> bool {
    value.chars().all(|c| c.is_whitespace() || is_invisible(c))
}

/// Checks a user name: a text in which something can be seen and that has no invisible characters, by which it would look like another
/// one, and neither begins nor ends with a space.
pub fn username(field: &str, value: &str) -> Result<(), Error> {
    if value.contains(is_invisible) {
        return Err(Error::invalid(field, "must not contain invisible characters"));
    }
    if value.is_empty() {
        return Err(Error::invalid(field, "must not be empty"));
    }
    if value.trim() != value {
        return Err(Error::invalid(field, "must not begin or end with a space"));
    }
    text(field, value)
}

/// Checks a mail address no further than every vendor does: a text in which something can be seen and that has no spaces. Whether it must
/// have the form of an address is a dialect's rule, see [`is_mail_address`].
pub fn email(field: &str, value: &str) -> Result<(), Error> {
    if is_blank(value) || value.chars().any(char::is_whitespace) {
        return Err(Error::invalid(field, "must be a mail address"));
    }
    bounded(field, value, MAX_EMAIL)
}

/// True if a text has the form of a mail address, loosely: `local@domain`, the domain of labels with dots between them,
/// without spaces, invisible characters or what sets an address off from others. Only sending a mail proves more.
pub fn is_mail_address(text: &str) -> bool {
    let stray = |c: char| c.is_whitespace() || is_invisible(c) || "<>(),;:\\\"".contains(c);
    let shaped = text
        .split_once('@')
        .is_some_and(|(local, domain)| !local.is_empty() && domain.split('.').all(is_label));
    shaped && !text.contains(stray)
}

fn is_label(text: &str) -> bool {
    !text.is_empty() && !text.contains('@')
}

/// True for characters of which nothing is to be seen (Unicode's `Default_Ignorable_Code_Point`, 16.0): zero width, direction marks,
/// fillers, variants, tags.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Checks an attribute's name.
pub(super) fn attribute_name(field: &str, name: &str) -> Result<(), Error> {
    let own = name.split_once(':').map_or(name, |(_, own)| own);
    if own.is_empty() {
        return Err(Error::invalid(field, "must not have an empty name"));
    }
    // The refusal names the member and is kept in the audit log: no more of the name than would have been allowed.
    let shown: String = field.chars().take(MAX_ATTRIBUTE_NAME).collect();
    bounded(&shown, own, MAX_ATTRIBUTE_NAME)
}

/// Checks that an attribute's value reads back as it is written.
pub(super) fn attribute(field: &str, value: &Value) -> Result<(), Error> {
    legible(field, value, MAX_DEPTH)
}

/// The dialect that an attribute belongs to.
pub(super) fn dialect(attribute: &str) -> &str {
    attribute.split_once(':').map_or(attribute, |(dialect, _)| dialect)
}

/// Checks how many attributes a dialect has and what they take together. `field` is the last one written.
pub(super) fn attributes<'a>(
    field: &str,
    members: impl Iterator<Item = (&'a String, &'a Value)> + Clone,
) -> Result<(), Error> {
    if members.clone().count() > MAX_ATTRIBUTES {
        let reason = format!("is one too many: at most {MAX_ATTRIBUTES} of its kind are kept");
        return Err(Error::invalid(field, reason));
    }
    if bytes(members) > MAX_FREE_BYTES {
        let reason = format!("must take at most {MAX_FREE_BYTES} bytes together with others of its kind");
        return Err(Error::invalid(field, reason));
    }
    Ok(())
}

/// Checks a description: that its values read back as they are written, and their size.
pub(super) fn description(field: &str, members: &Map<String, Value>) -> Result<(), Error> {
    for (name, value) in members {
        legible_key(field, name)?;
        legible(field, value, MAX_DEPTH)?;
    }
    if bytes(members.iter()) > MAX_DESCRIPTION_BYTES {
        let reason = format!("must take at most {MAX_DESCRIPTION_BYTES} bytes");
        return Err(Error::invalid(field, reason));
    }
    Ok(())
}

/// True if a value from outside is no larger and no deeper than the free values of a user may be, so that whatever holds it
/// reads back.
pub fn is_recordable(value: &Value) -> bool {
    weight(value) <= MAX_FREE_BYTES && legible("", value, MAX_DEPTH).is_ok()
}

/// The bytes that members take in JSON, roughly.
fn bytes<'a>(members: impl Iterator<Item = (&'a String, &'a Value)>) -> usize {
    members.map(|(name, value)| name.len() + 4 + weight(value)).sum()
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
pub const READERS_OWN: &str = "$serde_json::private::";

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

//! Member names letter case aside, and the flat names of seed 003's example.
//!
//! The vendor reads member names without regard to case (contract notes, section 7). Here a JSON document is brought to
//! the spelling of the wire types: known members are renamed, all others dropped. Two spellings of one member in one
//! object are refused, since neither can be taken to be the one that is meant.

use serde_json::{Map, Value};

use crate::failure::{Failure, Kind};

/// A member that can be written, and what can be written within it (or within each of its items).
pub(super) struct Member {
    name: &'static str,
    members: &'static [Member],
    /// True if its value is a list of objects.
    list: bool,
}

const fn leaf(name: &'static str) -> Member {
    nested(name, &[])
}

const fn nested(name: &'static str, members: &'static [Member]) -> Member {
    Member {
        name,
        members,
        list: false,
    }
}

const fn list(name: &'static str, members: &'static [Member]) -> Member {
    Member {
        name,
        members,
        list: true,
    }
}

static PHONE: [Member; 2] = [leaf("prefix"), leaf("number")];
static NUMBER_FORMAT: [Member; 2] = [leaf("decimalSeparator"), leaf("groupSeparator")];
static SETTINGS: [Member; 6] = [
    leaf("cultureCode"),
    leaf("languageCode"),
    leaf("dateFormat"),
    leaf("timeFormat"),
    leaf("timeZone"),
    nested("numberFormat", &NUMBER_FORMAT),
];
static GROUP: [Member; 1] = [leaf("id")];
static INVITATION: [Member; 1] = [leaf("notes")];

/// What can be written of a user.
pub(super) static USER: [Member; 5] = [
    leaf("email"),
    leaf("firstName"),
    leaf("lastName"),
    nested("phone", &PHONE),
    nested("settings", &SETTINGS),
];

/// What can be written of an account user.
pub(super) static ACCOUNT_USER: [Member; 7] = [
    leaf("email"),
    leaf("firstName"),
    leaf("lastName"),
    nested("phone", &PHONE),
    nested("settings", &SETTINGS),
    list("groups", &GROUP),
    nested("invitation", &INVITATION),
];

/// What stands before the flat names of seed 003's example: `User.Data.Phone.Prefix`.
const FLAT: &str = "user.data.";

/// Brings a document to the spelling of the wire types. What is not an object is left as it is, for the decoder to
/// refuse.
///
/// Fails with [`Kind::Schema`] naming a member that is given twice, or is an array where an object belongs.
pub(super) fn fold(value: Value, members: &'static [Member]) -> Result<Value, Failure> {
    if value.is_object() {
        folded(value, members, "")
    } else {
        Ok(value)
    }
}

/// The same for a user's document, in which flat names stand for nested members.
pub(super) fn fold_user(value: Value) -> Result<Value, Failure> {
    let Value::Object(given) = value else { return Ok(value) };
    let mut plain = Map::new();
    let mut flat = Vec::new();
    for (name, value) in given {
        match name.get(..FLAT.len()) {
            Some(start) if start.eq_ignore_ascii_case(FLAT) => flat.push((name, value)),
            _ => drop(plain.insert(name, value)),
        }
    }
    let mut user = folded(Value::Object(plain), &USER, "")?;
    for (name, value) in flat {
        let path: Vec<&str> = name.get(FLAT.len()..).unwrap_or_default().split('.').collect();
        place(&mut user, &path, value, &USER, "")?;
    }
    Ok(user)
}

fn folded(value: Value, members: &'static [Member], path: &str) -> Result<Value, Failure> {
    match value {
        Value::Object(given) if !members.is_empty() => {
            let mut object = Map::new();
            for (name, value) in given {
                let Some(member) = find(&name, members) else { continue };
                let path = join(path, member.name);
                let value = content(value, member, &path)?;
                if object.insert(member.name.to_owned(), value).is_some() {
                    return Err(twice(path));
                }
            }
            Ok(Value::Object(object))
        }
        // The decoder would read an array as the members in order.
        Value::Array(_) if !members.is_empty() => {
            Err(Failure::about(Kind::Schema, path, "must be an object, not an array"))
        }
        value => Ok(value),
    }
}

/// The value of one member: each item of a list by itself.
fn content(value: Value, member: &'static Member, path: &str) -> Result<Value, Failure> {
    match value {
        Value::Array(items) if member.list => items
            .into_iter()
            .enumerate()
            .map(|(at, item)| folded(item, member.members, &format!("{path}[{at}]")))
            .collect::<Result<_, _>>()
            .map(Value::Array),
        value => folded(value, member.members, path),
    }
}

/// Puts the value of a flat name where it belongs; names that lead nowhere are unknown members, and dropped.
fn place(
    object: &mut Value,
    names: &[&str],
    value: Value,
    members: &'static [Member],
    path: &str,
) -> Result<(), Failure> {
    let Some((name, rest)) = names.split_first() else {
        return Ok(());
    };
    let Some(member) = find(name, members) else {
        return Ok(());
    };
    let path = join(path, member.name);
    let Value::Object(object) = object else {
        return Err(twice(path));
    };
    if !rest.is_empty() {
        if find_all(rest, member.members) {
            let inner = object.entry(member.name).or_insert_with(|| Value::Object(Map::new()));
            place(inner, rest, value, member.members, &path)?;
        }
        return Ok(());
    }
    let value = content(value, member, &path)?;
    if object.insert(member.name.to_owned(), value).is_some() {
        return Err(twice(path));
    }
    Ok(())
}

fn find(name: &str, members: &'static [Member]) -> Option<&'static Member> {
    members.iter().find(|member| member.name.eq_ignore_ascii_case(name))
}

/// True if the names lead to a member.
fn find_all(names: &[&str], members: &'static [Member]) -> bool {
    match names.split_first() {
        None => true,
        Some((name, rest)) => find(name, members).is_some_and(|member| find_all(rest, member.members)),
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn twice(path: String) -> Failure {
    Failure::about(Kind::Schema, path, "is given more than once, in different spellings")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::failure::Field;

    #[test]
    fn renames_known_members_at_every_depth_and_drops_the_rest() {
        let given = json!({
            "FIRSTNAME": "Han", "Phone": {"PREFIX": "+34", "x": 1}, "revision": 3,
            "Groups": [{"ID": "UGR-0000-0001", "name": "x"}, 5],
        });
        let expected = json!({
            "firstName": "Han", "phone": {"prefix": "+34"}, "groups": [{"id": "UGR-0000-0001"}, 5],
        });
        assert_eq!(fold(given, &ACCOUNT_USER).unwrap(), expected);
    }

    #[test]
    fn refuses_two_spellings_of_one_member() {
        let failure = fold(json!({"phone": {"prefix": "1", "Prefix": "2"}}), &ACCOUNT_USER).unwrap_err();
        assert_eq!(failure.field, Some(Field::Wire("phone.prefix".to_owned())));
        let failure = fold_user(json!({"firstName": "A", "User.Data.FirstName": "B"})).unwrap_err();
        assert_eq!(failure.field, Some(Field::Wire("firstName".to_owned())));
    }

    #[test]
    fn an_array_is_no_object() {
        for (path, given) in [
            ("phone", json!({"phone": ["+34", "660707172"]})),
            ("settings", json!({"settings": []})),
            ("settings.numberFormat", json!({"settings": {"numberFormat": [","]}})),
            (
                "groups[1]",
                json!({"groups": [{"id": "UGR-0000-0001"}, ["UGR-0000-0001"]]}),
            ),
            ("invitation", json!({"invitation": ["notes"]})),
        ] {
            let failure = fold(given, &ACCOUNT_USER).unwrap_err();
            assert_eq!(failure.field, Some(Field::Wire(path.to_owned())));
        }
        let failure = fold_user(json!({"User.Data.Phone": ["+34"]})).unwrap_err();
        assert_eq!(failure.field, Some(Field::Wire("phone".to_owned())));
    }

    #[test]
    fn two_spellings_of_an_unknown_member_do_not_matter() {
        assert_eq!(fold(json!({"x": 1, "X": 2}), &USER).unwrap(), json!({}));
    }

    #[test]
    fn places_flat_names() {
        let given = json!({
            "User.Data.FirstName": "Han", "User.Data.Phone.Prefix": "+34", "user.data.phone.number": null,
            "User.Data.Settings.CultureCode": "en-US", "User.Data.Phone.Prefix.Deep": 1,
            "User.Data.CurrentAccount.Name": "x", "User.Path": "x", "User.IsDefined": true, "User.Data.": 1,
        });
        let expected = json!({
            "firstName": "Han", "phone": {"prefix": "+34", "number": null}, "settings": {"cultureCode": "en-US"},
        });
        assert_eq!(fold_user(given).unwrap(), expected);
    }

    #[test]
    fn a_flat_name_within_a_cleared_member_is_refused() {
        let failure = fold_user(json!({"phone": null, "User.Data.Phone.Prefix": "+34"})).unwrap_err();
        assert_eq!(failure.field, Some(Field::Wire("phone.prefix".to_owned())));
    }
}

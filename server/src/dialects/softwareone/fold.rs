//! Member names letter case aside, and the flat names of seed 003's example.
//!
//! The vendor reads member names without regard to case (contract notes, section 7). Here a JSON document is brought to
//! the spelling of the wire types: known members are renamed, all others dropped. Two spellings of one member in one
//! object are refused, since neither can be taken to be the one that is meant.

use serde_json::{Map, Value};

use super::wrong::Wrong;

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
static KEY: [Member; 1] = [leaf("id")];
static INVITATION: [Member; 1] = [leaf("notes")];

/// What can be written of a user.
pub(super) static USER: [Member; 7] = [
    leaf("email"),
    leaf("firstName"),
    leaf("lastName"),
    nested("phone", &PHONE),
    nested("settings", &SETTINGS),
    leaf("icon"),
    nested("currentAccount", &KEY),
];

/// What can be written of an account user.
pub(super) static ACCOUNT_USER: [Member; 8] = [
    leaf("email"),
    leaf("firstName"),
    leaf("lastName"),
    nested("phone", &PHONE),
    nested("settings", &SETTINGS),
    leaf("icon"),
    list("groups", &KEY),
    nested("invitation", &INVITATION),
];

/// What stands before the flat names of seed 003's example: `User.Data.Phone.Prefix`.
const FLAT: &str = "user.data.";
/// What the example wraps a user's document in.
const WRAPPER: &str = "user";

/// Brings a document to the spelling of the wire types. What is not an object is left as it is, for the decoder to
/// refuse. A member that is given twice, or is an array where an object belongs, is noted and left out.
pub(super) fn fold(value: Value, members: &'static [Member], wrong: &mut Wrong) -> Value {
    match value {
        Value::Object(given) => Value::Object(folded(given, members, "", wrong)),
        value => value,
    }
}

/// The same for a user's document, which may be wrapped in `user`, and in which flat names stand for nested members.
pub(super) fn fold_user(value: Value, wrong: &mut Wrong) -> Value {
    let Value::Object(given) = value else { return value };
    let (mut plain, mut flat) = (Map::new(), Vec::new());
    for (name, value) in unwrapped(given, wrong) {
        if is_flat(&name) {
            flat.push((name, value));
        } else if let Some(member) = find(&name, &USER)
            && plain.insert(name, value).is_some()
        {
            twice(member.name.to_owned(), wrong);
        }
    }
    let mut user = folded(plain, &USER, "", wrong);
    for (name, value) in flat {
        let path: Vec<&str> = name.get(FLAT.len()..).unwrap_or_default().split('.').collect();
        if !means_nothing(&path, &value) {
            place(&mut user, &path, value, &USER, "", wrong);
        }
    }
    Value::Object(user)
}

/// True for a flat name of seed 003's example.
pub(super) fn is_flat(name: &str) -> bool {
    name.get(..FLAT.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(FLAT))
}

/// The path of what a flat name stands for, if that can be written: the picture cannot be written so.
pub(super) fn flat_path(name: &str) -> Option<String> {
    let names = name.get(FLAT.len()..).filter(|_| is_flat(name))?;
    let (mut path, mut members): (String, &'static [Member]) = (String::new(), &USER);
    for name in names.split('.') {
        let member = find(name, members)?;
        (path, members) = (join(&path, member.name), member.members);
    }
    (path != "icon").then_some(path)
}

/// The members of a document, those of its wrapper first. A `user` with nothing that can be written is no wrapper but a
/// member of another object, such as an account user, and is ignored as any unknown one. Its `icon` alone does not make it
/// one: that member is in a user's short form too, where null takes no picture away.
fn unwrapped(given: Map<String, Value>, wrong: &mut Wrong) -> Vec<(String, Value)> {
    let own = |object: &Map<String, Value>| {
        let mut known = object.keys().filter_map(|name| find(name, &USER));
        known.any(|member| member.name != "icon") || object.keys().any(|name| is_flat(name))
    };
    let alone = !own(&given);
    if !wrappers(&given).any(|wrapper| wrapper.as_object().map_or(alone, own)) {
        return given.into_iter().collect();
    }
    let (wrappers, beside): (Vec<_>, Vec<_>) = given
        .into_iter()
        .partition(|(name, _)| name.eq_ignore_ascii_case(WRAPPER));
    let mut members = Vec::new();
    for (at, (_, wrapper)) in wrappers.into_iter().enumerate() {
        match wrapper {
            Value::Object(inner) if at == 0 => members.extend(inner),
            Value::Object(_) => twice(WRAPPER.to_owned(), wrong),
            _ => wrong.add(WRAPPER, "must be an object"),
        }
    }
    members.extend(beside);
    members
}

fn wrappers(given: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    let wrappers = given.iter().filter(|(name, _)| name.eq_ignore_ascii_case(WRAPPER));
    wrappers.map(|(_, value)| value)
}

/// True for what the example says and cannot mean: a path as the picture, and `text` where an account's id belongs, which
/// is not even shaped as one.
fn means_nothing(path: &[&str], value: &Value) -> bool {
    let is = |at: usize, name: &str| path.get(at).is_some_and(|part| part.eq_ignore_ascii_case(name));
    let shaped = value.as_str().is_some_and(|id| id.starts_with("ACC-"));
    is(0, "icon") || (is(0, "currentAccount") && is(1, "id") && !shaped)
}

fn folded(given: Map<String, Value>, members: &'static [Member], path: &str, wrong: &mut Wrong) -> Map<String, Value> {
    let mut object = Map::new();
    for (name, value) in given {
        let Some(member) = find(&name, members) else { continue };
        let path = join(path, member.name);
        let Some(value) = content(value, member, &path, wrong) else {
            continue;
        };
        if object.insert(member.name.to_owned(), value).is_some() {
            twice(path, wrong);
        }
    }
    object
}

/// The value of one member: each item of a list by itself. `None`, and noted, if it is an array where an object belongs,
/// which the decoder would read as the members in order.
fn content(value: Value, member: &'static Member, path: &str, wrong: &mut Wrong) -> Option<Value> {
    match value {
        Value::Array(items) if member.list => {
            let items = items.into_iter().enumerate();
            let item = |(at, item)| object(item, member.members, &format!("{path}[{at}]"), wrong);
            items.map(item).collect::<Option<_>>().map(Value::Array)
        }
        value => object(value, member.members, path, wrong),
    }
}

fn object(value: Value, members: &'static [Member], path: &str, wrong: &mut Wrong) -> Option<Value> {
    match value {
        Value::Object(given) if !members.is_empty() => Some(Value::Object(folded(given, members, path, wrong))),
        Value::Array(_) if !members.is_empty() => {
            wrong.add(path, "must be an object, not an array");
            None
        }
        value => Some(value),
    }
}

/// Puts the value of a flat name where it belongs; names that lead nowhere are unknown members, and dropped.
fn place(
    object: &mut Map<String, Value>,
    names: &[&str],
    value: Value,
    members: &'static [Member],
    path: &str,
    wrong: &mut Wrong,
) {
    let Some((name, rest)) = names.split_first() else {
        return;
    };
    let Some(member) = find(name, members) else { return };
    let path = join(path, member.name);
    if rest.is_empty() {
        let Some(value) = content(value, member, &path, wrong) else {
            return;
        };
        if object.insert(member.name.to_owned(), value).is_some() {
            twice(path, wrong);
        }
    } else if find_all(rest, member.members) {
        let inner = object.entry(member.name).or_insert_with(|| Value::Object(Map::new()));
        match inner {
            Value::Object(inner) => place(inner, rest, value, member.members, &path, wrong),
            _ => twice(path, wrong),
        }
    }
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

fn twice(path: String, wrong: &mut Wrong) {
    wrong.add(path, "is given more than once");
}

#[cfg(test)]
mod tests {
    use patchbay_core::user::UserPatch;
    use serde_json::json;

    use super::*;
    use crate::failure::Field;

    fn right(fold: impl FnOnce(&mut Wrong) -> Value) -> Value {
        let mut wrong = Wrong::default();
        let value = fold(&mut wrong);
        wrong.none(&UserPatch::default()).unwrap();
        value
    }

    /// The members that are refused.
    fn refused(fold: impl FnOnce(&mut Wrong) -> Value) -> Vec<String> {
        let mut wrong = Wrong::default();
        fold(&mut wrong);
        let failure = wrong.none(&UserPatch::default()).unwrap_err();
        let fields = failure
            .field
            .into_iter()
            .chain(failure.also.into_iter().map(|(field, _)| field));
        fields
            .map(|field| match field {
                Field::Wire(name) | Field::Domain(name) => name,
            })
            .collect()
    }

    #[test]
    fn renames_known_members_at_every_depth_and_drops_the_rest() {
        let given = json!({
            "FIRSTNAME": "Han", "Phone": {"PREFIX": "+34", "x": 1}, "revision": 3,
            "Groups": [{"ID": "UGR-0000-0001", "name": "x"}, 5],
        });
        let expected = json!({
            "firstName": "Han", "phone": {"prefix": "+34"}, "groups": [{"id": "UGR-0000-0001"}, 5],
        });
        assert_eq!(right(|wrong| fold(given, &ACCOUNT_USER, wrong)), expected);
    }

    #[test]
    fn refuses_two_spellings_of_one_member() {
        let given = json!({"phone": {"prefix": "1", "Prefix": "2"}, "email": "a", "EMAIL": "b"});
        let refused_members = refused(|wrong| fold(given, &ACCOUNT_USER, wrong));
        assert_eq!(refused_members, ["email", "phone.prefix"]);
        for given in [
            json!({"firstName": "A", "User.Data.FirstName": "B"}),
            json!({"firstName": "A", "user": {"firstName": "B"}}),
            json!({"FirstName": "A", "user": {"firstName": "B"}}),
        ] {
            let lower: Vec<String> = refused(|wrong| fold_user(given, wrong));
            assert_eq!(lower, ["firstName"]);
        }
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
            assert_eq!(refused(|wrong| fold(given, &ACCOUNT_USER, wrong)), [path]);
        }
        let flat = json!({"User.Data.Phone": ["+34"]});
        assert_eq!(refused(|wrong| fold_user(flat, wrong)), ["phone"]);
    }

    #[test]
    fn two_spellings_of_an_unknown_member_do_not_matter() {
        assert_eq!(right(|wrong| fold(json!({"x": 1, "X": 2}), &USER, wrong)), json!({}));
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
        assert_eq!(right(|wrong| fold_user(given, wrong)), expected);
    }

    #[test]
    fn a_flat_name_within_a_cleared_member_is_refused() {
        let given = json!({"phone": null, "User.Data.Phone.Prefix": "+34"});
        assert_eq!(refused(|wrong| fold_user(given, wrong)), ["phone"]);
    }

    #[test]
    fn a_wrapped_document_is_the_document() {
        let given = json!({"USER": {"User.Data.FirstName": "Han", "lastName": "Solo"}, "icon": "binary"});
        let expected = json!({"firstName": "Han", "lastName": "Solo", "icon": "binary"});
        assert_eq!(right(|wrong| fold_user(given, wrong)), expected);
        for wrapper in [json!("x"), json!(null), json!([])] {
            assert_eq!(refused(|wrong| fold_user(json!({"user": wrapper}), wrong)), ["user"]);
        }
    }

    #[test]
    fn a_users_short_form_is_no_wrapper() {
        let short = json!({"id": "USR-0000-0001", "name": "x", "icon": null, "revision": 1});
        for given in [json!({"user": short}), json!({"status": "Active", "USER": short})] {
            assert_eq!(right(|wrong| fold_user(given, wrong)), json!({}));
        }
        let beside = json!({"user": short, "icon": null});
        assert_eq!(right(|wrong| fold_user(beside, wrong)), json!({"icon": null}));
        let whole = json!({"user": {"id": "USR-0000-0001", "firstName": "Han", "icon": null}});
        let expected = json!({"firstName": "Han", "icon": null});
        assert_eq!(right(|wrong| fold_user(whole, wrong)), expected);
    }

    #[test]
    fn the_examples_text_names_no_account() {
        let flat = |id: &str| json!({"User.Data.CurrentAccount.Id": id});
        assert_eq!(right(|wrong| fold_user(flat("text"), wrong)), json!({}));
        let expected = json!({"currentAccount": {"id": "ACC-0000-0001"}});
        assert_eq!(right(|wrong| fold_user(flat("ACC-0000-0001"), wrong)), expected);
    }
}

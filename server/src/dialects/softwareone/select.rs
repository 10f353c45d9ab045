//! The `select` parameter: which members an answer is to show.
//!
//! `+x` or `x` shows, `-x` hides, `-*` hides all that is not shown by name; dots and
//! parentheses go deeper, into the items of lists too; names go letter case aside and
//! unknown ones are ignored (contract notes, section 6). By default everything is shown. What was hidden is listed in
//! `$meta.omitted`, top level only. More than 256 names, or more than eight before a parenthesis, are 400.

use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};
use serde_json::{Map, Value, json};

use crate::{
    app::App,
    failure::{Failure, Kind},
};

/// How many names may stand before a parenthesis, outer ones included.
const MAX_NESTED: usize = 8;
/// How many names may be shown or hidden. A user has some thirty.
const MAX_NAMES: usize = 256;
/// No member's name is so long, in bytes; longer ones are unknown, and not kept.
const MAX_NAME: usize = 64;

/// What the caller wants to see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Select {
    nothing_else: bool,
    shown: Vec<Vec<String>>,
    hidden: Vec<Vec<String>>,
}

impl FromRequestParts<App> for Select {
    type Rejection = Failure;

    /// Reads every `select` of the query; other parameters are ignored.
    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Failure> {
        let Query(query) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|_| Failure::new(Kind::BadParameter, "the query is malformed"))?;
        let mut lists = query.iter().filter(|(name, _)| name == "select");
        let too_much = || {
            let bounds = format!("must have at most {MAX_NAMES} names, and {MAX_NESTED} before a parenthesis");
            Failure::about(Kind::BadParameter, "select", bounds)
        };
        let select = lists.try_fold(Self::default(), |select, (_, list)| select.and(list));
        select.ok_or_else(too_much)
    }
}

impl Select {
    /// True if nothing is hidden, so that the whole is the answer as it is.
    pub(super) fn shows_everything(&self) -> bool {
        !self.nothing_else && self.hidden.is_empty()
    }

    /// Reads one comma-separated list. A leading space is a `+` that was decoded as in forms; `a(b,c)` is `a.b,a.c`, and
    /// hides both where either sign hides. `None` if it goes beyond a bound.
    fn and(mut self, list: &str) -> Option<Self> {
        let mut within: Vec<(bool, Vec<String>)> = Vec::new();
        for piece in list.split_inclusive([',', '(', ')']) {
            let (term, end) = match piece.strip_suffix([',', '(', ')']) {
                Some(term) => (term, piece.chars().next_back()),
                None => (piece, None),
            };
            let (hide, path) = match term.strip_prefix('-') {
                Some(path) => (true, path.trim()),
                None => (false, term.trim_start_matches(['+', ' ']).trim_end()),
            };
            let (outer_hide, outer) = within.last().cloned().unwrap_or_default();
            let names = path.split('.').map(known);
            let names: Vec<String> = outer.into_iter().chain(names).collect();
            let whole = (hide || outer_hide, names);
            match end {
                Some('(') if whole.1.len() > MAX_NESTED => return None,
                Some('(') => within.push(whole),
                _ => self.term(path, whole, within.is_empty()),
            }
            if end == Some(')') {
                within.pop();
            }
            if self.shown.len() + self.hidden.len() > MAX_NAMES {
                return None;
            }
        }
        Some(self)
    }

    fn term(&mut self, path: &str, (hide, names): (bool, Vec<String>), top: bool) {
        match (hide, path) {
            (_, "") | (false, "*") => {}
            (true, "*") => self.nothing_else |= top,
            (true, _) => self.hidden.push(names),
            (false, _) => self.shown.push(names),
        }
    }

    /// The object as the caller wants to see it.
    pub(super) fn apply(&self, whole: Value) -> Value {
        let Value::Object(whole) = whole else { return whole };
        let mut seen = if self.nothing_else { Map::new() } else { whole.clone() };
        if self.nothing_else {
            for path in &self.shown {
                show(&whole, &mut seen, path);
            }
        }
        for path in &self.hidden {
            hide(&mut seen, path);
        }
        let omitted: Vec<&String> = whole.keys().filter(|name| !seen.contains_key(*name)).collect();
        if !omitted.is_empty() {
            let meta = json!({ "omitted": omitted });
            seen.insert("$meta".to_owned(), meta);
        }
        Value::Object(seen)
    }
}

/// A name, or what no member is called in place of one that is too long for any.
fn known(name: &str) -> String {
    Some(name)
        .filter(|name| name.len() <= MAX_NAME)
        .unwrap_or_default()
        .to_owned()
}

/// Copies what is at the path; a path into a list copies it from each item.
fn show(whole: &Map<String, Value>, seen: &mut Map<String, Value>, path: &[String]) {
    let Some((name, rest)) = path.split_first() else { return };
    let Some((name, value)) = member(whole, name) else {
        return;
    };
    match value {
        Value::Object(inner) if !rest.is_empty() => {
            let place = seen.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(place) = place {
                show(inner, place, rest);
            }
        }
        Value::Array(items) if !rest.is_empty() => {
            let place = seen.entry(name.clone()).or_insert_with(|| nothing_of(items));
            for (item, seen) in items.iter().zip(place.as_array_mut().into_iter().flatten()) {
                if let (Value::Object(item), Value::Object(seen)) = (item, seen) {
                    show(item, seen, rest);
                }
            }
        }
        _ => drop(seen.insert(name.clone(), value.clone())),
    }
}

/// As many empty objects as there are objects.
fn nothing_of(items: &[Value]) -> Value {
    let empty = |item: &Value| match item {
        Value::Object(_) => Value::Object(Map::new()),
        other => other.clone(),
    };
    items.iter().map(empty).collect()
}

/// Removes what is at the path; a path into a list removes from each item.
fn hide(seen: &mut Map<String, Value>, path: &[String]) {
    let Some((name, rest)) = path.split_first() else { return };
    let Some(name) = member(seen, name).map(|(name, _)| name.clone()) else {
        return;
    };
    if rest.is_empty() {
        seen.remove(&name);
        return;
    }
    match seen.get_mut(&name) {
        Some(Value::Object(inner)) => hide(inner, rest),
        Some(Value::Array(items)) => items
            .iter_mut()
            .filter_map(Value::as_object_mut)
            .for_each(|item| hide(item, rest)),
        _ => {}
    }
}

fn member<'a>(object: &'a Map<String, Value>, name: &str) -> Option<(&'a String, &'a Value)> {
    object.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(list: &str) -> Value {
        let whole = json!({"id": "1", "name": "n", "audit": {"created": {"at": "t"}, "updated": {}}, "groups": [{"id": 1, "name": "g"}]});
        Select::default().and(list).unwrap().apply(whole)
    }

    #[test]
    fn shows_everything_unless_told_otherwise() {
        assert_eq!(selected("").as_object().unwrap().len(), 4);
        assert_eq!(selected("+audit,accounts, groups.id").as_object().unwrap().len(), 4);
    }

    #[test]
    fn hides_and_lists_what_was_hidden() {
        let answer = selected("-audit,-nonsense,-groups.name");
        assert_eq!(
            answer,
            json!({"id": "1", "name": "n", "groups": [{"id": 1}], "$meta": {"omitted": ["audit"]}})
        );
    }

    #[test]
    fn parentheses_name_what_is_within() {
        let meta = json!({"omitted": ["audit", "id", "name"]});
        for list in [
            "-*,groups(id,name)",
            "-*,+groups( id , +name )",
            "-*,groups.id,groups(name,nonsense(id))",
        ] {
            let expected = json!({"groups": [{"id": 1, "name": "g"}], "$meta": meta});
            assert_eq!(selected(list), expected, "{list}");
        }
        assert_eq!(
            selected("-*,groups(name)"),
            json!({"groups": [{"name": "g"}], "$meta": meta})
        );
        assert_eq!(
            selected("-*,audit(created(at))")["audit"],
            json!({"created": {"at": "t"}})
        );
        assert_eq!(selected("-*,groups(id),name")["name"], "n");
        for list in ["-groups(name)", "groups(-name)"] {
            assert_eq!(selected(list)["groups"], json!([{"id": 1}]), "{list}");
        }
        assert_eq!(selected("))),()-name").get("name"), None);
    }

    #[test]
    fn it_is_bounded() {
        let read = |list: &str| Select::default().and(list);
        assert!(read(&"x,".repeat(MAX_NAMES)).is_some());
        assert!(read(&"x,".repeat(MAX_NAMES + 1)).is_none());
        assert!(read(&"-x,x,".repeat(MAX_NAMES)).is_none());
        assert!(read(&"a(".repeat(MAX_NESTED)).is_some());
        assert!(read(&"a(".repeat(MAX_NESTED + 1)).is_none());
        let long = format!("{0}({1}),-{0},-name", "a".repeat(8_000), "b,".repeat(MAX_NAMES - 2));
        let select = read(&long).unwrap();
        let paths = select.shown.iter().chain(&select.hidden).flatten();
        assert!(
            paths.map(String::len).sum::<usize>() < 1_000,
            "names that no member has are not kept"
        );
        assert_eq!(selected(&long).get("name"), None);
    }

    #[test]
    fn shows_only_what_is_named() {
        let answer = selected("-*,ID,+audit.Created");
        assert_eq!(
            answer,
            json!({"id": "1", "audit": {"created": {"at": "t"}}, "$meta": {"omitted": ["groups", "name"]}})
        );
    }
}

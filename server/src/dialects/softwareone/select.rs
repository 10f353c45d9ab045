//! The `select` parameter: which members an answer is to show.
//!
//! `+x` or `x` shows, `-x` hides, `-*` hides all that is not shown by name, `*` shows all that is not hidden by name;
//! dots and parentheses go deeper, into the items of lists too, and `*` there means what is within; names go letter case
//! aside and unknown ones are ignored (contract notes, sections 6 and 9.2). By default everything is shown. The order does not
//! matter: what is hidden by name stays so, and `*` wins over `-*`. What was hidden is listed in
//! `$meta.omitted`, top level only. More than 256 names, or more than eight before a parenthesis, are 400.

use std::collections::BTreeMap;

use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};
use serde_json::{Map, Value, json};

use crate::{
    app::App,
    failure::{Failure, Kind},
};

/// How many names may stand before a parenthesis, outer ones included. No member is deeper than one more.
const MAX_NESTED: usize = 8;
/// How many names may be shown or hidden. A user has some thirty.
const MAX_NAMES: usize = 256;
/// No member's name is so long, in bytes; longer ones are unknown, and not kept.
const MAX_NAME: usize = 64;
/// All members of an object, in place of a name.
const ALL: &str = "*";

/// What the caller wants to see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Select {
    whole: Node,
    /// How many names were said.
    names: usize,
    /// Whether one of them, or `*`, is to be hidden.
    hides: bool,
}

/// What is said of a member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Node {
    /// Of all of it: `x` and `-x`.
    itself: Said,
    /// Of what is not named within it: `x.*` and `-x.*`.
    others: Said,
    /// It is shown, if not all of it: `x.y`, `x(y)`, `x(-y)`.
    entered: bool,
    /// Only some of it is to be shown, where it is only entered: `x.y`.
    chosen: bool,
    /// Of those within it, by name in lower case.
    members: BTreeMap<String, Node>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Said {
    show: bool,
    hide: bool,
}

/// An open parenthesis.
#[derive(Clone, Copy)]
struct Within {
    /// Whether what is in it is hidden.
    hide: bool,
    /// How many names stand before it.
    names: usize,
    /// How many of these are to be shown.
    shown: usize,
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
        !self.hides
    }

    /// Reads one comma-separated list. A leading space is a `+` that was decoded as in forms; `a(b,c)` is `a.b,a.c`, and
    /// hides both where either sign hides. `None` if it goes beyond a bound.
    fn and(mut self, list: &str) -> Option<Self> {
        let mut open: Vec<Within> = Vec::new();
        let mut names: Vec<&str> = Vec::new();
        for piece in list.split_inclusive([',', '(', ')']) {
            let (term, end) = match piece.strip_suffix([',', '(', ')']) {
                Some(term) => (term, piece.chars().next_back()),
                None => (piece, None),
            };
            let (hide, path) = match term.strip_prefix('-') {
                Some(path) => (true, path.trim()),
                None => (false, term.trim_start_matches(['+', ' ']).trim_end()),
            };
            let outer = open.last().copied();
            let hide = hide || outer.is_some_and(|outer| outer.hide);
            names.truncate(outer.map_or(0, |outer| outer.names));
            names.extend(path.split('.'));
            let shown = if hide {
                outer.map_or(0, |outer| outer.shown)
            } else {
                names.len()
            };
            match end {
                Some('(') if names.len() > MAX_NESTED => return None,
                Some('(') => open.push(Within {
                    hide,
                    names: names.len(),
                    shown,
                }),
                _ if path.is_empty() => {}
                _ => self.say(&names, shown, hide),
            }
            if end == Some(')') {
                open.pop();
            }
            if self.names > MAX_NAMES {
                return None;
            }
        }
        Some(self)
    }

    /// Shows or hides what a path leads to; the first names of it, `shown` in number, are to be shown.
    fn say(&mut self, path: &[&str], shown: usize, hide: bool) {
        self.hides |= hide;
        let (path, all) = match path.split_last() {
            Some((&ALL, outer)) => (outer, true),
            _ => (path, false),
        };
        self.names += usize::from(!path.is_empty());
        let Some(node) = self.whole.at(path, shown) else { return };
        let said = if all { &mut node.others } else { &mut node.itself };
        said.show |= !hide;
        said.hide |= hide;
    }

    /// The object as the caller wants to see it.
    pub(super) fn apply(&self, whole: Value) -> Value {
        let names: Vec<String> = whole.as_object().into_iter().flat_map(Map::keys).cloned().collect();
        let mut seen = self.whole.seen(whole, true);
        if let Value::Object(seen) = &mut seen {
            let omitted: Vec<String> = names.into_iter().filter(|name| !seen.contains_key(name)).collect();
            if !omitted.is_empty() {
                seen.insert("$meta".to_owned(), json!({ "omitted": omitted }));
            }
        }
        seen
    }
}

impl Node {
    /// What is said of the member at a path, of which the first names, `shown` in number, are to be shown. `None` if there
    /// can be no such member: nothing is kept of it.
    fn at(&mut self, path: &[&str], shown: usize) -> Option<&mut Self> {
        let mut node = self;
        for (depth, name) in path.iter().enumerate() {
            let show = depth < shown;
            node.chosen |= show;
            if name.is_empty() || *name == ALL || name.len() > MAX_NAME || depth > MAX_NESTED {
                return None;
            }
            node = node.members.entry(name.to_ascii_lowercase()).or_default();
            node.entered |= show;
        }
        Some(node)
    }

    /// What is to be seen of a value, or of each item of a list; `rest` says if what is not spoken of is.
    fn seen(&self, value: Value, rest: bool) -> Value {
        match value {
            Value::Array(items) => items.into_iter().map(|item| self.seen(item, rest)).collect(),
            Value::Object(members) => {
                let whole = rest || self.itself.show || !self.chosen;
                let rest = self.others.show || (whole && !self.others.hide);
                let seen = members.into_iter().filter_map(|(name, value)| {
                    let value = self.member(&name, value, rest)?;
                    Some((name, value))
                });
                Value::Object(seen.collect())
            }
            value => value,
        }
    }

    fn member(&self, name: &str, value: Value, rest: bool) -> Option<Value> {
        let Some(node) = self.members.get(&name.to_ascii_lowercase()) else {
            return rest.then_some(value);
        };
        let shown = !node.itself.hide && (rest || node.entered);
        shown.then(|| node.seen(value, rest))
    }
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
    fn a_star_is_all_that_is_within() {
        let meta = json!({"omitted": ["audit", "id", "name"]});
        for list in [
            "-*,groups(*)",
            "-*,groups.*",
            "-*,groups(+*)",
            "-*,groups(id,*)",
            "-*,groups,groups.id",
        ] {
            let expected = json!({"groups": [{"id": 1, "name": "g"}], "$meta": meta});
            assert_eq!(selected(list), expected, "{list}");
        }
        for list in ["-*,*", "-*,+*", "*,-*", "*", "-*,*,groups.id"] {
            assert_eq!(selected(list), selected(""), "{list}");
        }
        for list in ["groups(-*,id)", "groups(id,-*)", "-groups.*,groups.id"] {
            let mut expected = selected("");
            expected["groups"] = json!([{"id": 1}]);
            assert_eq!(selected(list), expected, "{list}");
        }
        for list in ["-*,groups(-*,id)", "-*,groups(*,-name)", "-*,groups(-name)"] {
            assert_eq!(selected(list)["groups"], json!([{"id": 1}]), "{list}");
        }
        assert_eq!(selected("*,-name")["$meta"], json!({"omitted": ["name"]}));
        for list in ["-*,*.id", "-*,*(id)", "-*,-groups.name"] {
            assert_eq!(selected(list).as_object().unwrap().len(), 1, "{list}");
        }
    }

    #[test]
    fn only_what_hides_makes_it_look_at_the_answer() {
        let whole = |list: &str| Select::default().and(list).unwrap().shows_everything();
        assert!(whole("") && whole("audit,+groups(id),*"));
        assert!(!whole("-*") && !whole("-id") && !whole("groups(-id)") && !whole("-*,*"));
    }

    #[test]
    fn several_lists_are_one() {
        let one = Select::default().and("-*,id").unwrap().and("name").unwrap();
        assert_eq!(
            one.apply(json!({"id": "1", "name": "n"})),
            json!({"id": "1", "name": "n"})
        );
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
        let names: Vec<&String> = select.whole.members.keys().collect();
        assert_eq!(names, ["name"], "names that no member has are not kept");
        let deep = read(&"a.".repeat(8_000)).unwrap();
        assert!(format!("{deep:?}").len() < 10_000, "nor are paths that lead too deep");
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

//! Secrets among what is passed through. A vendor may take a password in a member of its own, and what is recorded of a write is kept
//! for good.

use serde_json::Value;

/// What the name of a secret contains, in lower case.
const NAMES: [&str; 8] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "credential",
    "api_key",
    "apikey",
];
/// What is recorded instead.
const MASK: &str = "[secret]";

/// A member as it is recorded: without what stands, at any depth, under a name that tells of a secret. Null stays, since it only takes
/// one away.
pub(super) fn masked(name: &str, value: Value) -> Value {
    let name = name.to_lowercase();
    match value {
        Value::Null => Value::Null,
        _ if NAMES.iter().any(|secret| name.contains(secret)) => MASK.into(),
        Value::Array(items) => items.into_iter().map(|item| masked("", item)).collect(),
        Value::Object(members) => {
            let members = members.into_iter();
            members
                .map(|(name, value)| (name.clone(), masked(&name, value)))
                .collect()
        }
        plain => plain,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_stands_under_the_name_of_a_secret_is_not_recorded() {
        for (name, value, recorded) in [
            ("password", json!("p"), json!("[secret]")),
            ("Password_Confirmation", json!({ "a": 1 }), json!("[secret]")),
            ("password", json!(null), json!(null)),
            ("title", json!("Secretary"), json!("Secretary")),
            (
                "login",
                json!({ "name": "han", "also": [{ "apiKey": 7, "kind": "x" }] }),
                json!({ "name": "han", "also": [{ "apiKey": "[secret]", "kind": "x" }] }),
            ),
        ] {
            assert_eq!(masked(name, value), recorded, "{name}");
        }
    }
}

//! Secrets among what is passed through. A vendor may take a password in a member of its own, and what is recorded of a write is kept
//! for good.

use serde_json::Value;

/// What the name of a secret contains, in lower case and without what stands between words.
const NAMES: [&str; 21] = [
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "passcode",
    "secret",
    "token",
    "credential",
    "authorization",
    "cookie",
    "apikey",
    "privatekey",
    "accesskey",
    "signingkey",
    "encryptionkey",
    "masterkey",
    "sshkey",
    "recoverycode",
    "backupcode",
    "onetimecode",
    "verificationcode",
];
/// Words that tell of a secret by themselves, and are parts of many that do not.
const WORDS: [&str; 6] = ["pass", "pin", "otp", "totp", "pw", "bearer"];
/// Names that only look like one.
const INNOCENT: [&str; 2] = ["secretary", "secretari"];
/// What is recorded instead.
const MASK: &str = "[secret]";

/// A member as it is recorded: without what stands, at any depth, under a name that tells of a secret. Null stays, since it only takes
/// one away, and so does yes or no.
pub(super) fn masked(name: &str, value: Value) -> Value {
    match value {
        Value::Null | Value::Bool(_) => value,
        _ if is_secret(name) => MASK.into(),
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

fn is_secret(name: &str) -> bool {
    let mut words = name.split(|sign: char| !sign.is_alphanumeric());
    if words.any(|word| WORDS.contains(&word.to_lowercase().as_str())) {
        return true;
    }
    let letters = |name: String| name.replace(|sign: char| !sign.is_alphanumeric(), "");
    let telling = INNOCENT
        .iter()
        .fold(name.to_lowercase(), |name, innocent| name.replace(innocent, ""));
    let telling = letters(telling);
    NAMES.iter().any(|secret| telling.contains(secret))
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
            ("api-key", json!("k"), json!("[secret]")),
            ("aws:access/key", json!("k"), json!("[secret]")),
            ("client_secret_argument", json!("s"), json!("[secret]")),
            ("must_change_password", json!(true), json!(true)),
            ("title", json!("Secretary"), json!("Secretary")),
            ("secretary", json!("Leia"), json!("Leia")),
            ("secretary_password", json!("p"), json!("[secret]")),
            ("authorization", json!("Bearer b"), json!("[secret]")),
            ("sessionCookie", json!("c"), json!("[secret]")),
            ("recovery_codes", json!(["r"]), json!("[secret]")),
            ("user.pin", json!(1234), json!("[secret]")),
            ("PASS", json!("p"), json!("[secret]")),
            ("otp", json!("1"), json!("[secret]")),
            ("spinning_passenger", json!("x"), json!("x")),
            ("zip_code", json!("x"), json!("x")),
            ("key", json!("x"), json!("x")),
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

//! What a request proves itself with never comes back to a caller: the error pages of some vendors, and of proxies before
//! them, show the request that they were sent.

use std::{cmp::Reverse, collections::BTreeSet, fmt::Write};

use base64::Engine;
use http::{HeaderMap, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

/// What stands in place of a secret.
const MASK: &str = "[secret]";

/// The secrets of one request, in every form in which they stand in it.
#[derive(Debug)]
pub(super) struct Redaction(Vec<SecretString>);

impl Redaction {
    /// The secrets of a request with these headers: its credential as it is sent, and in Basic authentication the password,
    /// or the user name where that stands alone.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let Some(sent) = headers.get(header::AUTHORIZATION) else {
            return Self(Vec::new());
        };
        let sent = String::from_utf8_lossy(sent.as_bytes());
        // A secret that is sent without a scheme may have a blank in it.
        let schemes = ["basic", "bearer", "token"];
        let schemed = sent
            .split_once(' ')
            .filter(|(scheme, _)| schemes.contains(&&*scheme.to_ascii_lowercase()));
        let (scheme, credential) = schemed.unwrap_or(("", &sent));
        let mut secrets = vec![credential.to_owned()];
        if scheme.eq_ignore_ascii_case("basic")
            && let Ok(pair) = base64::prelude::BASE64_STANDARD.decode(credential)
            && let Ok(pair) = String::from_utf8(pair)
        {
            let (name, password) = pair.split_once(':').unwrap_or((&pair, ""));
            secrets.push(if password.is_empty() { name } else { password }.to_owned());
        }
        secrets.retain(|secret| !secret.is_empty());
        let mut forms: Vec<String> = secrets.iter().flat_map(|secret| forms(secret)).collect();
        // What is part of another is masked after it.
        forms.sort_by_key(|form| Reverse(form.len()));
        Self(forms.into_iter().map(SecretString::from).collect())
    }

    /// The same value with every secret masked, in texts and in names.
    pub(super) fn mask(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.mask_text(text)),
            Value::Array(items) => Value::Array(items.into_iter().map(|item| self.mask(item)).collect()),
            Value::Object(members) => {
                let masked = |(name, value)| (self.mask_text(name), self.mask(value));
                Value::Object(members.into_iter().map(masked).collect())
            }
            value => value,
        }
    }

    /// The same for one text.
    pub(super) fn mask_text(&self, text: String) -> String {
        self.0
            .iter()
            .map(ExposeSecret::expose_secret)
            .fold(text, |text, secret| {
                if text.contains(secret) {
                    text.replace(secret, MASK)
                } else {
                    text
                }
            })
    }
}

/// What does not stand for itself in a URL (RFC 3986, section 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A secret as it is and without its padding, and as it stands in a URL, in a form, and in JSON that was not read as such: as it must
/// be escaped there, with its slashes escaped too, and as some libraries write it to keep it out of web pages.
fn forms(secret: &str) -> BTreeSet<String> {
    let mut forms = BTreeSet::new();
    for secret in [secret, secret.trim_end_matches('=')] {
        let in_a_url = utf8_percent_encode(secret, ENCODED).to_string();
        let in_json = secret.replace('\\', r"\\").replace('"', "\\\"");
        let with_slashes = in_a_url.replace("%2F", "/");
        forms.extend([lower_hex(&in_a_url), lower_hex(&with_slashes), with_slashes]);
        forms.extend([in_a_url.replace("%20", "+"), in_a_url]);
        forms.extend([
            in_json.replace('/', r"\/"),
            in_json,
            out_of_pages(secret),
            secret.to_owned(),
        ]);
    }
    forms.remove("");
    forms
}

/// With the hexadecimal digits after each percent sign in lower case.
fn lower_hex(encoded: &str) -> String {
    let mut left = 0;
    let lower = |c: char| {
        let shown = if left > 0 { c.to_ascii_lowercase() } else { c };
        left = if c == '%' { 2 } else { i32::max(left - 1, 0) };
        shown
    };
    encoded.chars().map(lower).collect()
}

/// With everything escaped by its number that has a meaning in a web page or is not ASCII.
fn out_of_pages(secret: &str) -> String {
    let mut text = String::new();
    for c in secret.chars() {
        if c == '\\' {
            text.push_str(r"\\");
        } else if c.is_ascii() && !r#""&'+<>`"#.contains(c) {
            text.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // A text takes whatever is written to it.
                write!(text, "\\u{unit:04X}").unwrap_or_default();
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use serde_json::json;

    use super::*;

    fn masked(authorization: Option<&str>, value: Value) -> Value {
        let sent = authorization.map(|sent| (header::AUTHORIZATION, sent.parse().unwrap()));
        Redaction::of(&sent.into_iter().collect()).mask(value)
    }

    #[test]
    fn a_credential_is_masked_in_every_form() {
        for (authorization, shown) in [
            ("Bearer s3cret", "Bearer s3cret"),
            ("s3cret", "s3cret"),
            ("Basic czNjcmV0Og==", "Basic czNjcmV0Og== is s3cret:"),
            ("basic bWU6czNjcmV0", "bWU6czNjcmV0 is s3cret"),
        ] {
            let value = json!({ "seen": [shown, 7, null], shown: { "deep": shown } });
            let masked = masked(Some(authorization), value).to_string();
            assert!(masked.contains(MASK), "{masked}");
            for secret in ["s3cret", "czNjcmV0Og==", "bWU6czNjcmV0"] {
                assert!(!masked.contains(secret), "{masked}");
            }
        }
    }

    #[test]
    fn a_credential_is_masked_however_it_is_spelt() {
        for (secret, shown) in [
            ("sek-kläy", "sek-kläy"),
            ("first second", "first second"),
            ("a/d+c", r"a\/d+c"),
            ("a/d+c", "a%2Fd%2Bc"),
            ("a/d-c", "a%2fd-c"),
            ("a/d+c", "a/d%2Bc"),
            ("idt:T-1:O_g.~R+9=", "idt%3AT-1%3AO_g.~R%2B9%3D"),
            ("first second", "first%20second"),
            ("first second", "first+second"),
            ("a/d+c", r"a/d\u002Bc"),
            ("a\"d", r#"a\"d"#),
            ("a\"d/", r#"a\"d\/"#),
            ("klä+", r"kl\u00E4\u002B"),
        ] {
            for authorization in [secret.to_owned(), format!("Bearer {secret}")] {
                let sent = HeaderValue::from_bytes(authorization.as_bytes()).unwrap();
                let redaction = Redaction::of(&HeaderMap::from_iter([(header::AUTHORIZATION, sent)]));
                assert_eq!(redaction.mask_text(format!("<{shown}>")), format!("<{MASK}>"));
            }
        }
    }

    #[test]
    fn padding_and_schemes_are_no_part_of_a_secret() {
        let masked = |authorization: &str, shown: &str| masked(Some(authorization), json!(shown));
        assert_eq!(
            masked("Basic czNjcmV0Og==", "czNjcmV0Og and s3cret"),
            "[secret] and [secret]"
        );
        assert_eq!(masked("Bearer s3cret=", "s3cret"), MASK);
        assert_eq!(
            masked("first second", "first second, not second"),
            "[secret], not second"
        );
    }

    #[test]
    fn what_is_no_secret_stays() {
        let value = json!({ "error": "the name is taken", "at": [1, true, null] });
        for authorization in [
            None,
            Some("Bearer s3cret"),
            Some("Basic bmFtZTpzM2NyZXQ="),
            Some("Basic Og=="),
            Some("Basic %%%"),
        ] {
            assert_eq!(masked(authorization, value.clone()), value);
        }
    }
}

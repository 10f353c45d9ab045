//! What a request proves itself with never comes back to a caller: the error pages of some vendors, and of proxies before
//! them, show the request that they were sent.

use base64::Engine;
use http::{HeaderMap, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
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
        // A secret that is shown without a scheme may have a blank in it: as a whole it is masked first.
        let (scheme, credential) = sent.split_once(' ').unwrap_or(("", &sent));
        let mut secrets = vec![sent.clone().into_owned(), credential.to_owned()];
        if scheme.eq_ignore_ascii_case("basic")
            && let Ok(pair) = base64::prelude::BASE64_STANDARD.decode(credential)
            && let Ok(pair) = String::from_utf8(pair)
        {
            let (name, password) = pair.split_once(':').unwrap_or((&pair, ""));
            secrets.push(if password.is_empty() { name } else { password }.to_owned());
        }
        secrets.retain(|secret| !secret.is_empty());
        Self(
            secrets
                .iter()
                .flat_map(|secret| forms(secret))
                .map(SecretString::from)
                .collect(),
        )
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

/// A secret as it is, and as it stands in a URL or in JSON that has its slashes escaped.
fn forms(secret: &str) -> [String; 3] {
    let in_a_url = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
    [secret.to_owned(), secret.replace('/', r"\/"), in_a_url]
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
        ] {
            for authorization in [secret.to_owned(), format!("Bearer {secret}")] {
                let sent = HeaderValue::from_bytes(authorization.as_bytes()).unwrap();
                let redaction = Redaction::of(&HeaderMap::from_iter([(header::AUTHORIZATION, sent)]));
                assert_eq!(redaction.mask_text(format!("<{shown}>")), format!("<{MASK}>"));
            }
        }
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

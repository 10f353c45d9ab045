//! Where a linked account is to lead: checked before it is kept.

use std::collections::BTreeMap;

use http::Method;
use patchbay_core::error::Error;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use crate::{
    cli::{Complaint, table::plain},
    config::Config,
    dialects::{self, Dialect, REGISTRY},
    outbound::http::{Client, Target},
};

/// The address without a trailing slash.
pub(super) fn base_url(text: &str) -> Result<String, Complaint> {
    let wrong = |why: &str| Complaint(format!("--base-url {why}; give one such as https://acme.example.com"));
    let url = Url::parse(text).map_err(|error| wrong(&format!("is not an address ({error})")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(wrong("must begin with http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("must not hold a user name or password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("must not hold a query or fragment"));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// The dialect of this name, which must have all of these settings.
pub(super) fn dialect(name: &str, settings: &BTreeMap<String, String>) -> Result<&'static dyn Dialect, Complaint> {
    let dialect = dialects::by_name(name).ok_or_else(|| {
        let known: Vec<&str> = REGISTRY.iter().map(|dialect| dialect.name()).collect();
        Complaint(format!(
            "there is no dialect {}; known are {}",
            plain(name),
            known.join(", ")
        ))
    })?;
    if let Some(unknown) = settings.keys().find(|key| !dialect.settings().contains(&key.as_str())) {
        let unknown = plain(unknown);
        return Err(Complaint(match dialect.settings() {
            [] => format!("{name} has no setting {unknown}, nor any other"),
            known => format!("{name} has no setting {unknown}; known are {}", known.join(", ")),
        }));
    }
    Ok(dialect)
}

/// Checks the target as the server will use it: it must have the settings that the dialect needs. Answers what the operator is to
/// know of the address, if anything.
pub(super) fn check(
    dialect: &dyn Dialect,
    base_url: &str,
    secret: &SecretString,
    settings: &BTreeMap<String, String>,
    config: &Config,
) -> Result<Option<&'static str>, Complaint> {
    let client = Client::new(config.outbound());
    let client = client.map_err(|error| Complaint::while_doing("prepare to call the account", &error))?;
    let hint = if client.request(Method::GET, base_url).is_err() {
        Some("patchbay: note: the address is private, so calls need the setting outbound.allow_private = true")
    } else if base_url.starts_with("http://") && !config.outbound.allow_private {
        Some("patchbay: note: over http:// the key and all users travel unencrypted; use https:// if you can")
    } else {
        None
    };
    let target = Target {
        base_url: base_url.to_owned(),
        secret: SecretString::from(secret.expose_secret()),
        settings: settings.clone(),
        client,
    };
    dialect.connector(target).map(|_| hint).map_err(|error| match error {
        Error::Invalid { field, reason } => {
            let field = field.strip_prefix("settings.").unwrap_or(&field);
            Complaint(format!("the setting {field} {reason}; give --setting {field}=VALUE"))
        }
        error => Complaint::while_doing("link the account", &error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_and_trimmed() {
        assert_eq!(base_url("https://a.example/api/").unwrap(), "https://a.example/api");
        for wrong in [
            "",
            "a.example",
            "ftp://a.example",
            "https://u:p@a.example",
            "https://a.example?x=1",
            "file:///etc",
        ] {
            assert!(base_url(wrong).unwrap_err().0.starts_with("--base-url"), "{wrong}");
        }
    }
}

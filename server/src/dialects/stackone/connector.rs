//! StackOne's user calls as a client: HTTP Basic with the key as user name and an empty password, `x-account-id` on every call.

use async_trait::async_trait;
use http::{Method, StatusCode};
use patchbay_core::{
    connector::{Capability, Connector, RemoteUpdate},
    error::Error,
    user::User,
};
use reqwest::{RequestBuilder, Url};
use secrecy::ExposeSecret;
use serde_json::{Map, Value};

use super::{map, wire};
use crate::outbound::http::{Answer, Target};

/// The setting that names the account at the other side.
pub(super) const ACCOUNT_ID: &str = "account_id";

/// One account of one StackOne project.
pub(super) struct StackOneConnector {
    target: Target,
    account: String,
}

impl StackOneConnector {
    /// A connector to a target whose setting `account_id` is sent as `x-account-id`.
    ///
    /// Fails with [`Error::Invalid`] if that setting is missing or cannot be a header.
    pub(super) fn new(target: Target) -> Result<Self, Error> {
        let account = target.settings.get(ACCOUNT_ID).filter(|id| !id.trim().is_empty());
        let account = account
            .ok_or_else(|| Error::invalid("settings.account_id", "must be set"))?
            .clone();
        if !account.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(Error::invalid("settings.account_id", "must be printable ASCII"));
        }
        Ok(Self { target, account })
    }

    fn request(&self, method: Method, id: &str) -> Result<RequestBuilder, Error> {
        let url = user_url(&self.target.base_url, id)?;
        let request = self.target.client.request(method, url.as_str())?;
        Ok(request
            .basic_auth(self.target.secret.expose_secret(), Some(""))
            .header("x-account-id", &self.account)
            .header(http::header::ACCEPT, "application/json"))
    }
}

/// The URL of one user, his id percent-encoded, "/" included.
///
/// Fails with [`Error::NotFound`] for an id of dots, which URLs cannot carry, so no user has it.
fn user_url(base: &str, id: &str) -> Result<Url, Error> {
    if matches!(id, "" | "." | "..") {
        return Err(Error::NotFound { what: "user" });
    }
    let unusable = || Error::invalid("base_url", "must be an http or https URL");
    let mut url = Url::parse(base).map_err(|_| unusable())?;
    url.path_segments_mut()
        .map_err(|()| unusable())?
        .pop_if_empty()
        .extend(["unified", "iam", "users", id]);
    Ok(url)
}

/// Checks that an update was done: the answer is an `UpdateResult` whose own status says so, which after heartbeats is
/// the only one that counts. The number may be written as `200.0`; nothing else of the result is needed.
fn done(mut answer: Answer) -> Result<(), Error> {
    let result: Map<String, Value> = answer.json()?;
    let status = result.get("statusCode").and_then(Value::as_f64).and_then(whole);
    match status.and_then(|code| StatusCode::from_u16(code).ok()) {
        Some(status) if status.is_success() => Ok(()),
        Some(status) if status.is_client_error() || status.is_server_error() => {
            answer.status = status;
            Err(answer.refused())
        }
        _ => Err(answer.unreadable("the result's statusCode is no status")),
    }
}

/// The status code that a number stands for.
fn whole(number: f64) -> Option<u16> {
    (100..1000).find(|code| (f64::from(*code) - number).abs() < f64::EPSILON)
}

#[async_trait]
impl Connector for StackOneConnector {
    /// StackOne documents no `If-Match`, and its update has no picture.
    fn capability(&self) -> Capability {
        Capability { icons: false }
    }

    async fn get_user(&self, id: &str) -> Result<User, Error> {
        let request = self.request(Method::GET, id)?;
        let answer = self.target.client.send(request).await?;
        let wire::Object(found): wire::Object<wire::UserResult<wire::Object<wire::User>>> = answer.json()?;
        let user = found.data.0;
        // Either may have been asked for (contract notes, section 4), so that one of them alone shows nothing.
        if let (Some(own), Some(remote)) = (&user.id, &user.remote_id) {
            answer.check_user(id, own).or_else(|_| answer.check_user(id, remote))?;
        }
        Ok(map::decode_user(user, id))
    }

    async fn update_user(&self, update: RemoteUpdate<'_>) -> Result<Option<User>, Error> {
        let body = map::encode_update(update.patch)?;
        let request = self.request(Method::PATCH, update.id)?.json(&body);
        done(self.target.client.send(request).await?)?;
        Ok(None)
    }

    /// What is passed through goes in a member of its own: which others the provider behind lets it override is not known.
    fn carrier(&self, _field: &str) -> Option<String> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_cannot_leave_the_path() {
        let url = |id| user_url("https://api.stackone.com/prefix", id).map(String::from);
        let users = "https://api.stackone.com/prefix/unified/iam/users";
        for (id, path) in [
            ("u1", "u1"),
            ("c28xIQ a/b", "c28xIQ%20a%2Fb"),
            ("../x", "..%2Fx"),
            ("%2e%2e", "%252e%252e"),
            ("a?b#c", "a%3Fb%23c"),
        ] {
            assert_eq!(url(id).unwrap(), format!("{users}/{path}"));
        }
        for id in ["", ".", ".."] {
            assert!(matches!(url(id), Err(Error::NotFound { .. })), "{id}");
        }
    }
}

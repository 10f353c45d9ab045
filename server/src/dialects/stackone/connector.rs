//! StackOne's user calls as a client: HTTP Basic with the key as user name and an empty password, `x-account-id` on every call.

use async_trait::async_trait;
use http::Method;
use patchbay_core::{
    connector::{Connector, RemoteUpdate},
    error::Error,
    provider::Capability,
    user::User,
};
use reqwest::{RequestBuilder, Url};
use secrecy::ExposeSecret;

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
        if http::HeaderValue::from_str(&account).is_err() {
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
/// the only one that counts.
fn done(answer: &Answer) -> Result<(), Error> {
    let wire::Object(result): wire::Object<wire::UpdateResult> = answer.json()?;
    if (200..300).contains(&result.status_code) {
        Ok(())
    } else {
        Err(answer.unreadable("the result's statusCode is not 200"))
    }
}

#[async_trait]
impl Connector for StackOneConnector {
    /// StackOne documents no `If-Match`, and its update has no picture.
    fn capability(&self) -> Capability {
        Capability {
            conditional_update: false,
            icons: false,
        }
    }

    async fn get_user(&self, id: &str) -> Result<User, Error> {
        let request = self.request(Method::GET, id)?;
        let answer = self.target.client.send(request).await?;
        let wire::Object(found): wire::Object<wire::UserResult<wire::Object<wire::User>>> = answer.json()?;
        Ok(map::decode_user(found.data.0, id))
    }

    async fn update_user(&self, update: RemoteUpdate<'_>) -> Result<Option<User>, Error> {
        let body = map::encode_update(update.patch)?;
        let request = self.request(Method::PATCH, update.id)?.json(&body);
        done(&self.target.client.send(request).await?)?;
        Ok(None)
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

//! The dialect spoken outward: encodes changes, calls, decodes users.
//!
//! The vendor's base URL is `https://rest.trustedtwin.com`, without a version prefix; the secret is the bare value of
//! `Authorization`. Preconditions and pictures are unknown there.

use async_trait::async_trait;
use http::{HeaderValue, Method, header};
use patchbay_core::{
    connector::{Capability, Connector, RemoteUpdate},
    error::Error,
    user::User,
};
use reqwest::RequestBuilder;
use secrecy::ExposeSecret;
use serde_json::{Map, Value};

use super::{map, wire};
use crate::outbound::http::{Answer, Target};

/// One linked account at the vendor.
pub(super) struct TrustedTwinConnector {
    target: Target,
}

impl TrustedTwinConnector {
    /// A connector to a target. It needs no settings.
    pub(super) fn new(target: Target) -> Self {
        Self { target }
    }

    /// A request about one user. An id that is no UUID names nobody there, and must not become another path.
    fn request(&self, method: Method, id: &str) -> Result<RequestBuilder, Error> {
        let id = map::uuid(id).ok_or(Error::NotFound { what: "user" })?;
        let mut secret = HeaderValue::from_str(self.target.secret.expose_secret())
            .map_err(|_| Error::internal("the secret of a linked account does not fit a header"))?;
        secret.set_sensitive(true);
        let url = format!("{}/users/{id}", self.target.base_url);
        let request = self.target.client.request(method, &url)?;
        Ok(request.header(header::AUTHORIZATION, secret))
    }

    async fn read(&self, id: &str) -> Result<User, Error> {
        let request = self.request(Method::GET, id)?;
        let answer = self.target.client.send(request).await?;
        let user = user(id, &answer)?;
        if user.uuid.is_none() {
            return Err(answer.unreadable("the answer is not a user: it has no uuid"));
        }
        Ok(map::decode_user(id, user))
    }
}

/// The user in an answer. Either edition's members will do, but it must be an object: serde would read an array as the
/// members in order.
fn user(id: &str, answer: &Answer) -> Result<wire::User, Error> {
    let members: Map<String, Value> = answer.json()?;
    let user = serde_json::from_value::<wire::User>(Value::Object(members));
    let user = user.map_err(|error| answer.unreadable(&error.to_string()))?;
    answer.check_user(id, user.uuid.as_deref().unwrap_or_default())?;
    Ok(user)
}

#[async_trait]
impl Connector for TrustedTwinConnector {
    fn capability(&self) -> Capability {
        Capability { icons: false }
    }

    async fn get_user(&self, id: &str) -> Result<User, Error> {
        self.read(id).await
    }

    async fn update_user(&self, update: RemoteUpdate<'_>) -> Result<Option<User>, Error> {
        let body = map::encode_update(update.patch)?;
        let request = self.request(Method::PATCH, update.id)?.json(&body);
        let answer = self.target.client.send(request).await?;
        let partial = user(update.id, &answer)?;
        if partial == wire::User::default() {
            return Err(answer.unreadable("the answer is not a user: it has no member of one"));
        }
        // One edition answers a part only; who wants the rest reads it.
        Ok(partial.uuid.is_some().then(|| map::decode_user(update.id, partial)))
    }

    fn carrier(&self, field: &str) -> Option<String> {
        Some(map::wire_name(field))
    }
}

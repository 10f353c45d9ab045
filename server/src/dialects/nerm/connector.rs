//! The dialect spoken outward: `GET` and `PATCH {base URL}/users/{id}`.
//!
//! The base URL is the tenant's whole API base, `https://{tenant}.nonemployee.com/api` (notes, section 2: hosts differ between
//! tenants of different age).

use async_trait::async_trait;
use http::{Method, StatusCode, header};
use patchbay_core::{
    connector::{Capability, Connector, RemoteFailure, RemoteKind, RemoteUpdate},
    error::Error,
    user::User,
};
use reqwest::Url;
use secrecy::ExposeSecret;
use serde_json::{Map, Value};

use super::{map, wire};
use crate::outbound::http::{Answer, Target};

/// One tenant of the vendor.
pub(super) struct NermConnector {
    base: Url,
    target: Target,
}

impl NermConnector {
    /// A connector to one tenant.
    ///
    /// Fails with [`Error::Invalid`] if the base URL is not one.
    pub(super) fn new(target: Target) -> Result<Self, Error> {
        let base = Url::parse(&target.base_url).ok();
        let base = base.filter(|url| matches!(url.scheme(), "http" | "https"));
        let base = base.ok_or_else(|| Error::invalid("base_url", "must be an absolute http or https URL"))?;
        Ok(Self { base, target })
    }

    /// The URL of a user. An id that would name another resource (none, or a step up) names no user.
    fn url(&self, id: &str) -> Result<String, Error> {
        if matches!(id, "" | "." | "..") {
            return Err(Error::NotFound { what: "user" });
        }
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| Error::invalid("base_url", "must be an absolute http or https URL"))?
            .pop_if_empty()
            .push("users")
            .push(id);
        Ok(url.into())
    }

    async fn call(&self, method: Method, id: &str, body: Option<Map<String, Value>>) -> Result<Answer, Error> {
        let client = &self.target.client;
        let mut request = client
            .request(method, &self.url(id)?)?
            .bearer_auth(self.target.secret.expose_secret())
            .header(header::ACCEPT, "application/json");
        if let Some(user) = body {
            request = request.json(&serde_json::json!({ "user": user }));
        }
        client.send(request).await.map_err(reclassify)
    }
}

#[async_trait]
impl Connector for NermConnector {
    fn capability(&self) -> Capability {
        Capability { icons: false }
    }

    async fn get_user(&self, id: &str) -> Result<User, Error> {
        decode(id, &self.call(Method::GET, id, None).await?)
    }

    async fn update_user(&self, update: RemoteUpdate<'_>) -> Result<Option<User>, Error> {
        let body = map::encode_change(update.id, update.patch)?;
        let answer = self.call(Method::PATCH, update.id, Some(body)).await?;
        // The vendor documents 200 alone, with the user; its clients take any success for one (notes, section 14).
        if answer.status == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        decode(update.id, &answer).map(Some)
    }

    fn carrier(&self, field: &str) -> Option<String> {
        Some(map::wire_name(field))
    }
}

/// The user in an answer. The vendor is known to answer 200 with nothing but an error (notes, section 1, point 3): unless
/// it says what it means, that is a fault of its own.
fn decode(id: &str, answer: &Answer) -> Result<User, Error> {
    let body: Value = answer.json()?;
    if let Some(user @ Value::Object(_)) = body.get("user") {
        let wire: wire::User =
            serde_json::from_value(user.clone()).map_err(|error| answer.unreadable(&error.to_string()))?;
        answer.check_user(id, &wire.id)?;
        return map::decode_user(wire).ok_or_else(|| answer.unreadable("the user has no id"));
    }
    if body.get("error").or_else(|| body.get("errors")).is_none() {
        return Err(answer.unreadable("the answer has no user"));
    }
    let mut failure = answer.failure(RemoteKind::Rejected);
    failure.kind = match meant(&failure) {
        RemoteKind::Rejected => RemoteKind::Fault,
        told => told,
    };
    Err(Error::Remote(Box::new(failure)))
}

fn reclassify(error: Error) -> Error {
    let Error::Remote(mut failure) = error else {
        return error;
    };
    failure.kind = meant(&failure);
    Error::Remote(failure)
}

/// Tells apart what the vendor answers with one and the same status: "not found" and "already taken" are not simply wrong
/// requests.
fn meant(failure: &RemoteFailure) -> RemoteKind {
    let says = |part: &str| messages(&failure.raw).iter().any(|message| message.contains(part));
    // Where attributes are told, it is what one of them names that is missing.
    let attributes = failure.raw.get("errors").and_then(Value::as_object);
    let about_user = attributes.is_none_or(Map::is_empty);
    match failure.kind {
        RemoteKind::Rejected if says("already been taken") => RemoteKind::Conflict,
        RemoteKind::Rejected if about_user && says("not found") => RemoteKind::NotFound,
        kind => kind,
    }
}

/// Every message of an error body: `error`, and the values of `errors`, each a text (documented) or a list (in practice).
fn messages(body: &Value) -> Vec<&str> {
    let lists = body.get("errors").and_then(Value::as_object).into_iter().flatten();
    let values = lists.flat_map(|(_, value)| match value {
        Value::Array(items) => items.iter().collect(),
        one => vec![one],
    });
    body.get("error")
        .into_iter()
        .chain(values)
        .filter_map(Value::as_str)
        .collect()
}

//! The dialect spoken outward: users by `USR-` id or mail address at `{base}/public/v1/accounts/users/{id}`.
//!
//! Changes go as plain JSON, and as a form only if they carry a picture: with a sibling resource, a form without the
//! picture's part takes the picture away (contract notes, section 8, removal risk).

use async_trait::async_trait;
use http::{Method, header};
use patchbay_core::{
    connector::{Capability, Connector, RemoteKind, RemoteUpdate},
    error::Error,
    icon::{Icon, IconType},
    user::User,
};
use reqwest::{
    RequestBuilder, Url,
    multipart::{Form, Part},
};
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};

use super::{map, wire};
use crate::outbound::http::Target;

/// The SoftwareOne API of one linked account.
pub(super) struct SoftwareOneConnector {
    target: Target,
    users: Url,
}

impl SoftwareOneConnector {
    /// A connector to the API whose root is the target's base URL; `/public` and `/public/v1` at its end are understood as
    /// the vendor's own client does.
    ///
    /// Fails with [`Error::Invalid`] naming `base_url` if it is no URL of a host.
    pub(super) fn new(target: Target) -> Result<Self, Error> {
        let base = target.base_url.trim_end_matches('/');
        let base = base.strip_suffix("/public/v1").unwrap_or(base);
        let base = base.strip_suffix("/public").unwrap_or(base);
        let users = Url::parse(&format!("{base}/public/v1/accounts/users"))
            .ok()
            .filter(Url::has_host)
            .ok_or_else(|| Error::invalid("base_url", "must be the URL of the API's root"))?;
        Ok(Self { target, users })
    }

    /// A request on one user. Ids that no path can hold name nobody.
    fn request(&self, method: Method, id: &str) -> Result<RequestBuilder, Error> {
        if matches!(id, "" | "." | "..") {
            return Err(Error::NotFound { what: "user" });
        }
        let mut url = self.users.clone();
        url.path_segments_mut()
            .map_err(|()| Error::invalid("base_url", "must be the URL of the API's root"))?
            .push(id);
        let request = self.target.client.request(method, url.as_str())?;
        Ok(request
            .bearer_auth(self.target.secret.expose_secret())
            .header(header::ACCEPT, "application/json"))
    }

    /// A user who was asked for by `id`. Only by a mail address another id is told.
    async fn user(&self, id: &str, request: RequestBuilder) -> Result<User, Error> {
        let answer = self.target.client.send(request).await?;
        let told: Map<String, Value> = answer.json()?;
        let user: wire::User =
            serde_json::from_value(used(told)).map_err(|error| answer.unreadable(&error.to_string()))?;
        if !id.contains('@') {
            answer.check_user(id, &user.id)?;
        }
        Ok(map::decode(user))
    }
}

/// What an answer tells that is made use of: a write is done even if the rest is odd, such as the vendor's own
/// `"by": "[Circular Reference]"`.
fn used(mut told: Map<String, Value>) -> Value {
    for unused in ["name", "icon", "accounts", "currentAccount"] {
        told.remove(unused);
    }
    let moment = |event: &str| {
        let at = told.get("audit")?.get(event)?.get("at")?.as_str()?;
        Some(json!({ "at": at }))
    };
    let audit = json!({ "created": moment("created"), "updated": moment("updated") });
    told.insert("audit".to_owned(), audit);
    if !told.get("revision").is_some_and(Value::is_u64) {
        told.remove("revision");
    }
    Value::Object(told)
}

#[async_trait]
impl Connector for SoftwareOneConnector {
    fn capability(&self) -> Capability {
        Capability { icons: true }
    }

    async fn get_user(&self, id: &str) -> Result<User, Error> {
        let user = self.user(id, self.request(Method::GET, id)?).await?;
        // By mail address little is told of a user (contract notes, section 2.1): by his id it is the same as after an update.
        match user.remote_id.as_deref() {
            Some(own) if id.contains('@') && own != id => match self.user(own, self.request(Method::GET, own)?).await {
                // He was there a moment ago, whatever the vendor makes of his id.
                Err(Error::Remote(failure)) if failure.kind == RemoteKind::NotFound => Ok(user),
                whole => whole,
            },
            _ => Ok(user),
        }
    }

    async fn update_user(&self, update: RemoteUpdate<'_>) -> Result<Option<User>, Error> {
        let change = map::encode(update.patch)?;
        let request = self.request(Method::PUT, update.id)?;
        let request = match change.icon {
            None => request.json(&change.document),
            Some(icon) => request.multipart(form(change.document, icon)?),
        };
        self.user(update.id, request).await.map(Some)
    }

    /// Members of `phone` and `settings` travel inside these. A picture is a part of its own.
    fn carrier(&self, field: &str) -> Option<String> {
        let own = field.strip_prefix("attributes.");
        if let Some(name) = own.and_then(|name| name.strip_prefix(map::ATTRIBUTES)) {
            return Some(name.to_owned());
        }
        let name = map::wire_name(field);
        let top = name.split('.').next().filter(|top| *top != "icon");
        top.map(str::to_owned)
    }

    fn same_member(&self, one: &str, other: &str) -> bool {
        map::same_member(one, other)
    }
}

/// The form as the vendor's own client sends it: the picture as a file, the change as JSON.
fn form(document: Map<String, Value>, icon: &Icon) -> Result<Form, Error> {
    let file_name = match icon.media {
        IconType::Png => "icon.png",
        IconType::Jpeg => "icon.jpg",
    };
    let picture = Part::bytes(icon.bytes.to_vec())
        .file_name(file_name)
        .mime_str(icon.media.media_type())
        .map_err(Error::internal)?;
    let user = Part::text(Value::Object(document).to_string())
        .mime_str("application/json")
        .map_err(Error::internal)?;
    Ok(Form::new().part("icon", picture).part("user", user))
}

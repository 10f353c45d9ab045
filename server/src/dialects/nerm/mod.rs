//! SailPoint NERM (Non-Employee Risk Management), Lifecycle API: users.
//!
//! `PATCH` and `GET /api/users/{id}`. Bodies and answers are wrapped in `user`. The key travels as `Authorization: Bearer KEY` or
//! in the older form `Token token=KEY`; both schemes are read as Rails reads them. Errors are `{"error": ...}`; what is wrong
//! with attributes is 400 with `{"error": "The User failed to create/update", "errors": {attribute: [messages]}}`.
//!
//! Where the sources conflict:
//! - The seed has `admin`, the bundle of today has not: it is taken and kept, and never answered (seed, response schema).
//! - The seed has no `Pending`, `locale`, `sailpoint_identity_id`; the bundle has: they are served.
//! - The bundle's `errors` holds texts, the vendor's own clients read lists: lists are served, both are understood.
//! - An empty `user` is "missing", as in the framework that the vendor's words come from.
//! - No 404 is documented for users; the words of the vendor's other 404 are used: "The requested User was not found".
//! - No 409 is documented: a login that is taken is 400 with `errors.login`.
//! - No bounds are documented: texts have the domain's. Blocked, which has no word here, is shown as Disabled, and Disabled
//!   leaves it.
//! - `uid` is an example UUID in the seed but 32 characters by its schema: it is 32 hexadecimal digits.

mod connector;
mod facade;
mod map;
mod wire;

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{Method, StatusCode, header};
use patchbay_core::{connector::Connector, error::Error, id::Serial, user::UserPatch};
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;

use self::wire::ErrorResponse;
use super::{Dialect, Exchange};
use crate::{
    app::App,
    failure::{Failure, Field, Kind},
    outbound::http::Target,
    walkthrough::{Purpose, Sample, Step, StepBody},
};

/// The dialect.
pub struct Nerm;

/// Decodes the body of an update of the user with this id into a delta. It never panics, whatever the bytes.
pub fn decode_update(id: &str, body: &[u8]) -> Result<UserPatch, Failure> {
    map::decode_change(id, facade::unwrap(body)?)
}

impl Dialect for Nerm {
    fn name(&self) -> &'static str {
        "nerm"
    }

    fn mounts(&self) -> &'static [&'static str] {
        &["/api"]
    }

    fn routes(&self) -> OpenApiRouter<App> {
        facade::routes()
    }

    fn credential(&self, authorization: &str) -> Option<String> {
        let (scheme, rest) = authorization.trim().split_once(char::is_whitespace)?;
        let rest = rest.trim();
        let known = ["Bearer", "Token"];
        let key = known
            .iter()
            .any(|name| scheme.eq_ignore_ascii_case(name))
            .then(|| token(rest))?;
        (!key.is_empty()).then(|| key.to_owned())
    }

    fn render(&self, failure: &Failure, _exchange: &Exchange) -> Response {
        let status = match failure.kind {
            // The vendor documents 400 for whatever is wrong with attributes.
            Kind::Taken | Kind::Unsupported => StatusCode::BAD_REQUEST,
            kind => kind.status(),
        };
        let mut response = (status, Json(body(failure))).into_response();
        if status == StatusCode::UNAUTHORIZED {
            let challenge = http::HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }

    fn connector(&self, target: Target) -> Result<Arc<dyn Connector>, Error> {
        Ok(Arc::new(connector::NermConnector::new(target)?))
    }

    /// `ne-` and 40 letters and digits: the form of keys since 2025 (notes, section 9).
    fn mint(&self, _serial: Serial, random: &[u8; 48]) -> String {
        const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let letters = random
            .iter()
            .take(40)
            .filter_map(|byte| ALPHABET.get(usize::from(*byte) % ALPHABET.len()))
            .map(|letter| char::from(*letter));
        "ne-".chars().chain(letters).collect()
    }

    fn sample_purposes(&self) -> &'static [Purpose] {
        &[Purpose::Full]
    }

    fn sample(&self, sample: &Sample) -> Value {
        json!({ "token": sample.keys.of(self.name(), Purpose::Full) })
    }

    /// The seed's own example, sent to the first user.
    fn walkthrough(&self, sample: &Sample) -> Vec<Step> {
        let Some(user) = sample.users.first() else {
            return Vec::new();
        };
        let token = sample.keys.of(self.name(), Purpose::Full);
        let id = user.id.to_string();
        let body = json!({ "user": {
            "id": id,
            "name": "myusername",
            "email": "test@sailpoint.com",
            "type": "NeprofileUser",
            "profile_id": id,
            "title": "mytitle",
            "status": "Active",
            "login": "mylogin",
            "admin": false,
            "group_strings": "Administrator_group,Developer_group",
        }});
        vec![Step {
            title: "NERM: update a user by id".to_owned(),
            method: Method::PATCH,
            path: format!("/api/users/{id}"),
            headers: vec![
                ("Authorization".to_owned(), format!("Bearer {token}")),
                ("Accept".to_owned(), "application/json".to_owned()),
            ],
            body: StepBody::Json(body),
            user: 0,
        }]
    }
}

/// The key in `token=KEY` or `token="KEY"`, among further parameters or alone, or bare in the first place: the forms that
/// the vendor's framework (Rails, `ActionController::HttpAuthentication::Token`) reads under either scheme, and with
/// `token` in another place than the first, which is as clear.
fn token(parameters: &str) -> &str {
    let mut parts = parameters.split([',', ';', '\t']).map(str::trim);
    let first = parts.clone().next().unwrap_or_default();
    let value = parts.find_map(|part| part.strip_prefix("token=")).unwrap_or(first);
    let unquoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    unquoted.unwrap_or(value)
}

fn body(failure: &Failure) -> ErrorResponse {
    let error = match failure.kind {
        Kind::NotJson | Kind::BadEncoding => "Invalid JSON syntax. Please check your syntax and try again.".to_owned(),
        Kind::NotFound => "The requested User was not found".to_owned(),
        Kind::Internal => "Sorry something went wrong".to_owned(),
        Kind::Schema | Kind::Invalid | Kind::Unsupported | Kind::Taken if failure.field.is_some() => {
            return ErrorResponse {
                error: "The User failed to create/update".to_owned(),
                errors: Some(attributes(failure)),
            };
        }
        _ => failure.message(map::wire_name),
    };
    ErrorResponse { error, errors: None }
}

/// Attribute → messages.
fn attributes(failure: &Failure) -> BTreeMap<String, Vec<String>> {
    let first = failure.field.iter().map(|field| (field, &failure.reason));
    let also = failure.also.iter().map(|(field, reason)| (field, reason));
    let mut errors = BTreeMap::<String, Vec<String>>::new();
    for (field, reason) in first.chain(also) {
        let name = match field {
            Field::Domain(path) => map::wire_name(path),
            Field::Wire(name) => name.strip_prefix("user.").unwrap_or(name).to_owned(),
        };
        errors.entry(name).or_default().push(reason.clone());
    }
    errors
}

//! The Trusted Twin dialect: users of the platform's REST API, version 3.18.
//!
//! Served and spoken: `GET` and `PATCH /users/{user}`. A user's `name` is the domain's display name (a user without one
//! shows as "first last"), `role` his role, `description` his description, `activity` the attribute
//! `trusted_twin:activity`; the account is the tenant.
//!
//! Decided where the sources are silent or at odds (contract notes, section 9): null for `name` or `role` and unknown
//! members are refused with 400589; the subcode is an integer; the bound of "64 kB" is 65,536 bytes; a malformed UUID in
//! the path is 400589, an unknown one 404653; `activity` is left out when it is off; statuses that the vendor's table lacks
//! (405, 408, 409, 412, 414, 415, 429, 502) have the subcode status × 1000.

mod connector;
mod facade;
mod map;
mod wire;

use std::sync::Arc;

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{Method, StatusCode};
use patchbay_core::{connector::Connector, error::Error, id::Serial, user::UserPatch};
use serde_json::{Map, Value, json};
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

use super::{Dialect, Exchange};
use crate::{
    app::App,
    failure::{Failure, Kind},
    outbound::http::Target,
    walkthrough::{Purpose, Sample, SampleUser, Step, StepBody},
};

/// The most bytes of a request's body (contract notes, section 4: "64 kB").
const MAX_BODY: usize = 65_536;

/// The dialect.
pub struct TrustedTwin;

/// Decodes the body of `PATCH /users/{user}` into a delta.
///
/// Fails with a [`Failure`] of kind `BadEncoding`, `NotJson` or `Schema`. It never panics, whatever the bytes.
pub fn decode_update(body: &[u8]) -> Result<UserPatch, Failure> {
    map::decode_update(body)
}

impl Dialect for TrustedTwin {
    fn name(&self) -> &'static str {
        "trusted_twin"
    }

    fn mounts(&self) -> &'static [&'static str] {
        &[
            "/users", "/roles", "/secrets", "/token", "/account", "/whoami", "/usage", "/trace", "/log",
        ]
    }

    fn routes(&self) -> OpenApiRouter<App> {
        facade::routes()
    }

    /// The bare value. One with a scheme has a space and is not of this form.
    fn credential(&self, authorization: &str) -> Option<String> {
        let bare = !authorization.is_empty() && authorization.bytes().all(|byte| byte.is_ascii_graphic());
        bare.then(|| authorization.to_owned())
    }

    fn render(&self, failure: &Failure, exchange: &Exchange) -> Response {
        let (status, subcode) = status(failure.kind);
        let trace = Uuid::try_parse(&exchange.request_id)
            .map_or_else(|_| exchange.request_id.clone(), |id| id.hyphenated().to_string());
        let body = wire::ErrorBody {
            subcode,
            trace,
            description: failure.message(map::wire_name),
        };
        (status, Json(body)).into_response()
    }

    fn body_limit(&self, _app: &App) -> usize {
        MAX_BODY
    }

    fn connector(&self, target: Target) -> Result<Arc<dyn Connector>, Error> {
        Ok(Arc::new(connector::TrustedTwinConnector::new(target)))
    }

    /// 64 characters of the standard base64 alphabet, like the vendor's published samples.
    fn mint(&self, _serial: Serial, random: &[u8; 48]) -> String {
        STANDARD.encode(random)
    }

    fn sample_purposes(&self) -> &'static [Purpose] {
        &[Purpose::User]
    }

    fn sample(&self, sample: &Sample) -> Value {
        json!({
            "secret": sample.keys.administrator,
            "account": sample.tenant.to_string(),
            "role": sample.role.to_string(),
        })
    }

    fn sample_user(&self, user: &SampleUser) -> Map<String, Value> {
        Map::from_iter([("trusted_twin_secret".to_owned(), Value::from(user.secret.clone()))])
    }

    fn walkthrough(&self, sample: &Sample) -> Vec<Step> {
        let Some(user) = sample.users.first() else {
            return Vec::new();
        };
        vec![Step {
            title: "Update a User: his name and the values of two attributes".to_owned(),
            method: Method::PATCH,
            path: format!("/users/{}", user.id),
            headers: vec![("authorization".to_owned(), sample.keys.administrator.clone())],
            body: StepBody::Json(json!({
                "name": "Captain Solo",
                "description": { "company": "Rebel Alliance", "level": 4 },
            })),
            user: 0,
        }]
    }
}

/// Status and subcode (contract notes, section 7, Status codes).
fn status(kind: Kind) -> (StatusCode, u32) {
    let subcode = match kind {
        Kind::TooLarge => 400_141,
        Kind::BadEncoding => 400_314,
        Kind::IdempotencyMismatch => 400_358,
        Kind::NotJson => 400_415,
        Kind::BadParameter | Kind::Schema | Kind::Invalid | Kind::Unsupported => 400_589,
        Kind::NotImplemented => 400_897,
        Kind::AccountOff => 400_979,
        Kind::Unauthenticated => 401_000,
        Kind::Forbidden => 403_535,
        Kind::NotFound | Kind::NoRoute => 404_653,
        Kind::Busy => 503_159,
        other => u32::from(other.status().as_u16()) * 1000,
    };
    let status = u16::try_from(subcode / 1000)
        .ok()
        .and_then(|code| StatusCode::from_u16(code).ok());
    (status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), subcode)
}

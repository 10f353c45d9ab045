//! StackOne's user calls as routes: bodies to changes, users to bodies, nothing decided.

mod headers;
mod heartbeat;
mod query;

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::FutureExt;
use http::StatusCode;
use patchbay_core::{
    error::Error,
    provider::{GetUser, Include, UpdateUser, Updated},
    revision::Revision,
    store::UserKey,
    text::Text,
};
use serde::Serialize;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa_axum::{router::OpenApiRouter, routes};

use self::{
    headers::{Account, Id, JsonMedia},
    heartbeat::Heartbeat,
    query::Shown,
};
use super::{
    map,
    wire::{self, Object},
};
use crate::{
    app::App,
    authenticate::Caller,
    extract::{self, Body, Conditions, ReadConditions},
    failure::{Failure, Kind},
    openapi,
};

/// The routes.
pub(super) fn routes() -> OpenApiRouter<App> {
    let basic = SecurityScheme::Http(Http::new(HttpAuthScheme::Basic));
    openapi::router("basic", basic)
        .routes(routes!(update_user))
        .routes(routes!(get_user))
}

/// A call's good end: what its 200 carries.
struct Answer {
    json: Bytes,
    /// The user's version, where it is known.
    revision: Option<Revision>,
    /// True if the caller has this version already.
    unchanged: bool,
}

impl Answer {
    fn new<T: Serialize>(body: &T, revision: Option<Revision>) -> Result<Self, Failure> {
        let json = serde_json::to_vec(body).map_err(Error::internal)?.into();
        Ok(Self {
            json,
            revision,
            unchanged: false,
        })
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = if self.unchanged {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            json(self.json.into())
        };
        if let Some(revision) = self.revision {
            response.headers_mut().insert(header::ETAG, extract::etag(revision));
        }
        response
    }
}

/// A 200 with JSON.
fn json(body: axum::body::Body) -> Response {
    let mut response = Response::new(body);
    let media = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, media);
    response
}

/// Update user.
///
/// Changes the members that are sent: null clears, absent leaves. `Idempotency-Key`, `If-Match` and `If-None-Match` are
/// honoured. The write goes on if the caller hangs up.
#[utoipa::path(
    patch,
    path = "/unified/iam/users/{id}",
    operation_id = "iam_update_user",
    tag = "Users",
    params(
        ("id" = String, Path, description = "The user's `id` or `remote_id`"),
        ("x-account-id" = String, Header, description = "The linked account"),
        ("Prefer" = Option<String>, Header, description = "`heartbeat` keeps a slow call alive with newlines"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat recognisable for 24 hours"),
        ("If-Match" = Option<String>, Header, description = "The entity tag that the user must have"),
        ("If-None-Match" = Option<String>, Header, description = "Entity tags that the user must not have"),
    ),
    request_body = wire::UserUpdate,
    responses(
        (
            status = 200,
            description = "Record updated successfully.",
            body = wire::UpdateResult,
            headers(("ETag" = Option<String>, description = "The revision, where the provider tells it"))
        ),
        (status = 400, description = "Invalid request.", body = wire::ErrorResponse),
        (status = 401, description = "Unauthorized access.", body = wire::ErrorResponse),
        (status = 403, description = "Forbidden.", body = wire::ErrorResponse),
        (status = 404, description = "Resource not found.", body = wire::ErrorResponse),
        (status = 409, description = "Conflict with current state.", body = wire::ErrorResponse),
        (status = 412, description = "If-Match does not hold, or the linked account is off.", body = wire::ErrorResponse),
        (status = 413, description = "The body is too large.", body = wire::ErrorResponse),
        (status = 415, description = "The body is not JSON by its media type.", body = wire::ErrorResponse),
        (status = 422, description = "Validation error.", body = wire::ErrorResponse),
        (status = 429, description = "Too many requests; see Retry-After.", body = wire::ErrorResponse),
        (status = 501, description = "The provider cannot do this.", body = wire::ErrorResponse),
        (status = 502, description = "The provider failed.", body = wire::ErrorResponse),
    ),
    security(("basic" = [])),
)]
#[expect(
    clippy::too_many_arguments,
    reason = "one extractor per part of the request, in the order of their checks"
)]
async fn update_user(
    State(app): State<App>,
    Caller(context): Caller,
    Account(account): Account,
    Id(id): Id,
    conditions: Conditions,
    heartbeat: Heartbeat,
    _: JsonMedia,
    Body(body): Body,
) -> Result<Response, Failure> {
    let update = UpdateUser {
        patch: Box::new(map::decode_update(decode(&body)?)?),
        idempotency: conditions.idempotency(&context, &[account.0.as_bytes(), &body]),
        expect: conditions.expect,
        ..UpdateUser::default()
    };
    let work = async move {
        let key = UserKey::Opaque(id);
        let updated = app.gateway.update_user(&context, Some(&account), &key, update).await?;
        updated_answer(&updated)
    };
    Ok(heartbeat.answer(work.boxed()).await)
}

/// Reads the body of an update, which must be a JSON object.
pub(super) fn decode(body: &[u8]) -> Result<wire::UserUpdate, Failure> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(Failure::new(
            Kind::NotJson,
            "the request body must be a JSON object, not empty",
        ));
    }
    extract::json::<Object<wire::UserUpdate>>(body).map(|body| body.0)
}

fn updated_answer(updated: &Updated) -> Result<Answer, Failure> {
    let result = wire::UpdateResult {
        status_code: StatusCode::OK.as_u16(),
        message: Text::const_new(wire::UpdateResult::UPDATED),
        timestamp: updated.at.text(),
    };
    let revision = updated.view.as_ref().map(|view| view.user.revision);
    Answer::new(&result, revision)
}

/// Get user.
///
/// `If-Match` is honoured with 412, `If-None-Match` with 304.
#[utoipa::path(
    get,
    path = "/unified/iam/users/{id}",
    operation_id = "iam_get_user",
    tag = "Users",
    params(
        ("id" = String, Path, description = "The user's `id` or `remote_id`"),
        ("x-account-id" = String, Header, description = "The linked account"),
        ("raw" = Option<bool>, Query, description = "Whether to list the requests made to the provider"),
        ("proxy" = Option<Object>, Query, description = "Meant for the provider; accepted and not used", style = DeepObject, explode),
        ("fields" = Option<String>, Query, description = "Comma separated members to show; empty means all"),
        ("expand" = Option<String>, Query, description = "Comma separated relations to show: roles, groups"),
        ("Prefer" = Option<String>, Header, description = "`heartbeat` keeps a slow call alive with newlines"),
        ("If-Match" = Option<String>, Header, description = "The entity tag that the user must have"),
        ("If-None-Match" = Option<String>, Header, description = "Entity tags that the caller has already"),
    ),
    responses(
        (
            status = 200,
            description = "The user.",
            body = wire::UserResult<wire::User>,
            headers(("ETag" = String, description = "The revision; not if heartbeats were sent"))
        ),
        (status = 304, description = "The caller has this version already."),
        (status = 400, description = "Invalid request.", body = wire::ErrorResponse),
        (status = 401, description = "Unauthorized access.", body = wire::ErrorResponse),
        (status = 403, description = "Forbidden.", body = wire::ErrorResponse),
        (status = 404, description = "Resource not found.", body = wire::ErrorResponse),
        (status = 409, description = "The provider is in conflict.", body = wire::ErrorResponse),
        (status = 412, description = "If-Match does not hold, or the linked account is off.", body = wire::ErrorResponse),
        (status = 422, description = "The provider refuses the request with this status.", body = wire::ErrorResponse),
        (status = 429, description = "Too many requests; see Retry-After.", body = wire::ErrorResponse),
        (status = 501, description = "The provider cannot do this.", body = wire::ErrorResponse),
        (status = 502, description = "The provider failed.", body = wire::ErrorResponse),
    ),
    security(("basic" = [])),
)]
async fn get_user(
    State(app): State<App>,
    Caller(context): Caller,
    Account(account): Account,
    Id(id): Id,
    shown: Shown,
    heartbeat: Heartbeat,
    conditions: ReadConditions,
) -> Response {
    let query = GetUser {
        key: UserKey::Opaque(id),
        member_of: None,
        include: Include {
            role: shown.expand.roles,
            memberships: shown.expand.groups,
        },
    };
    let work = async move {
        let view = app.gateway.get_user(&context, Some(&account), &query).await?;
        let revision = view.user.revision;
        Ok(Answer {
            json: shown.json(&view)?.into(),
            revision: Some(revision),
            unchanged: conditions.not_modified(revision)?,
        })
    };
    if heartbeat.preferred {
        heartbeat.answer(work.boxed()).await
    } else {
        work.await.into_response()
    }
}

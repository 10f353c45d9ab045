//! The dialect spoken inward: decodes changes, asks the gateway, encodes users. Decides nothing.

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    response::{IntoResponse, Response},
};
use http::header;
use patchbay_core::{
    error::Error,
    id::UserId,
    principal::Context,
    provider::{GetUser, Include, UpdateUser, UserView},
    store::UserKey,
};

use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityScheme};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{map, wire};
use crate::{
    app::App,
    authenticate::Caller,
    extract::{self, Body, Conditions, ReadConditions},
    failure::{Failure, Kind},
    openapi,
};

/// The routes with their documentation.
pub(super) fn routes() -> OpenApiRouter<App> {
    let bare = ApiKeyValue::with_description("Authorization", "The bare secret, without a scheme in front");
    let secret = SecurityScheme::ApiKey(ApiKey::Header(bare));
    openapi::router("userSecret", secret).routes(routes!(get_user, update_user))
}

/// Reads one user. Needs the permission `get_user`.
#[utoipa::path(
    get,
    path = "/users/{user}",
    operation_id = "get_user",
    tag = "users",
    params(
        ("user" = String, Path, format = "uuid", description = "User UUID."),
        ("X-TrustedTwin" = Option<String>, Header, description = "Base64 of a JSON dictionary for rules; accepted and not used."),
        ("If-Match" = Option<String>, Header, description = "The revision that the user must have."),
        ("If-None-Match" = Option<String>, Header, description = "Revisions that the caller has already."),
    ),
    responses(
        (status = 200, description = "The user", body = wire::User, headers(("ETag" = String, description = "The revision"))),
        (status = 304, description = "If-None-Match names the user's revision"),
        (status = 400, description = "Malformed UUID or header", body = wire::ErrorBody),
        (status = 401, description = "No valid credential", body = wire::ErrorBody),
        (status = 403, description = "Not permitted", body = wire::ErrorBody),
        (status = 404, description = "No such user", body = wire::ErrorBody),
        (status = 412, description = "If-Match does not hold", body = wire::ErrorBody),
    ),
    security(("userSecret" = []))
)]
async fn get_user(
    State(app): State<App>,
    Caller(context): Caller,
    path: Result<Path<String>, PathRejection>,
    conditions: ReadConditions,
) -> Result<Response, Failure> {
    let query = GetUser {
        key: key(path)?,
        member_of: None,
        include: Include::default(),
    };
    let view = app.gateway.get_user(&context, None, &query).await?;
    let unchanged = conditions.unchanged(view.user.revision)?;
    Ok(unchanged.unwrap_or_else(|| answer(&context, &view)))
}

/// Changes a user's name, role, description and activity log; answers the whole user. Needs the permission `update_user`.
#[utoipa::path(
    patch,
    path = "/users/{user}",
    operation_id = "update_user",
    tag = "users",
    params(
        ("user" = String, Path, format = "uuid", description = "User UUID."),
        ("X-TrustedTwin" = Option<String>, Header, description = "Base64 of a JSON dictionary for rules; accepted and not used."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat of this request recognisable for 24 hours."),
        ("If-Match" = Option<String>, Header, description = "The revision that the user must have."),
        ("If-None-Match" = Option<String>, Header, description = "Revisions that the user must not have."),
    ),
    request_body(content = wire::UserUpdate, description = "What to change. An empty body changes nothing."),
    responses(
        (status = 200, description = "The user as he is now", body = wire::User, headers(("ETag" = String, description = "The revision"))),
        (status = 400, description = "Malformed request; the subcode says how", body = wire::ErrorBody),
        (status = 401, description = "No valid credential", body = wire::ErrorBody),
        (status = 403, description = "Not permitted, or a role that permits more than the caller's own", body = wire::ErrorBody),
        (status = 404, description = "No such user", body = wire::ErrorBody),
        (status = 412, description = "If-Match or If-None-Match does not hold", body = wire::ErrorBody),
        (status = 415, description = "The body is encoded", body = wire::ErrorBody),
    ),
    security(("userSecret" = []))
)]
async fn update_user(
    State(app): State<App>,
    Caller(context): Caller,
    path: Result<Path<String>, PathRejection>,
    conditions: Conditions,
    Body(body): Body,
) -> Result<Response, Failure> {
    let key = key(path)?;
    let idempotency = conditions.idempotency(&context, &[&body]);
    let update = UpdateUser {
        patch: Box::new(map::decode_update(&body)?),
        expect: conditions.expect,
        idempotency,
        ..UpdateUser::default()
    };
    let (gateway, caller) = (app.gateway.clone(), context.clone());
    let updated = app.write(async move { Ok(gateway.update_user(&caller, None, &key, update).await?) })?;
    let view = updated
        .await?
        .view
        .ok_or_else(|| Error::internal("the directory answered an update without the user"))?;
    Ok(answer(&context, &view))
}

fn key(path: Result<Path<String>, PathRejection>) -> Result<UserKey, Failure> {
    path.ok()
        .and_then(|Path(text)| map::uuid(&text))
        .map(|id| UserKey::Id(UserId(id)))
        .ok_or_else(|| Failure::about(Kind::BadParameter, "user", "must be a UUID"))
}

fn answer(context: &Context, view: &UserView) -> Response {
    let etag = [(header::ETAG, extract::etag(view.user.revision))];
    let body = map::encode_user(&view.user, context.principal.tenant);
    (etag, Json(body)).into_response()
}

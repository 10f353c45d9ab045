//! The dialect spoken inward: `GET` and `PATCH /api/users/{id}`.

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    response::{IntoResponse, Response},
};
use http::header;
use patchbay_core::{
    error::Error,
    id::UserId,
    provider::{GetUser, Include, UpdateUser, UserView},
    store::UserKey,
};
use serde_json::{Map, Value};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    map,
    wire::{ErrorResponse, UpdateRequest, UserResponse},
};
use crate::{
    app::App,
    authenticate::Caller,
    extract::{self, Body, Conditions, ReadConditions},
    failure::{Failure, Field, Kind},
    openapi,
};

/// The routes with their documentation.
pub(super) fn routes() -> OpenApiRouter<App> {
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    openapi::router("bearer", bearer).routes(routes!(get_user, patch_user))
}

/// Answers one user.
#[utoipa::path(
    get,
    path = "/api/users/{id}",
    operation_id = "getUser",
    tag = "users",
    summary = "Find user by id",
    params(
        ("id" = uuid::Uuid, Path, description = "ID of the object to retrieve or update"),
        ("If-Match" = Option<String>, Header, description = "Answer 412 unless the user is at this revision"),
        ("If-None-Match" = Option<String>, Header, description = "Answer 304 if the user is still at this revision"),
    ),
    responses(
        (status = 200, description = "The user", body = UserResponse, headers(("ETag" = String, description = "The revision"))),
        (status = 304, description = "The user is still at the revision that If-None-Match names"),
        (status = 400, description = "Unable to complete", body = ErrorResponse),
        (status = 401, description = "No valid key", body = ErrorResponse),
        (status = 403, description = "Not permitted", body = ErrorResponse),
        (status = 404, description = "No such user", body = ErrorResponse),
        (status = 412, description = "The user is not at the revision that the request requires", body = ErrorResponse),
    ),
    security(("bearer" = []))
)]
async fn get_user(
    State(app): State<App>,
    Caller(context): Caller,
    id: Result<Path<String>, PathRejection>,
    conditions: ReadConditions,
) -> Result<Response, Failure> {
    let query = GetUser {
        key: UserKey::Id(path_id(id)?),
        member_of: None,
        include: Include::default(),
    };
    let view = app.gateway.get_user(&context, None, &query).await?;
    let unchanged = conditions.unchanged(view.user.revision)?;
    Ok(unchanged.unwrap_or_else(|| answer(&view)))
}

/// Changes the members that the body names, and answers the user as he is then.
#[utoipa::path(
    patch,
    path = "/api/users/{id}",
    operation_id = "patchUser",
    tag = "users",
    summary = "Update a user by id",
    params(
        ("id" = uuid::Uuid, Path, description = "ID of the object to retrieve or update"),
        ("If-Match" = Option<String>, Header, description = "Change the user only if he is at this revision"),
        ("If-None-Match" = Option<String>, Header, description = "Change the user only if he is not at this revision"),
        ("Idempotency-Key" = Option<String>, Header, description = "The first outcome under a key is repeated for 24 hours"),
    ),
    request_body = UpdateRequest,
    responses(
        (status = 200, description = "The user after the change", body = UserResponse, headers(("ETag" = String, description = "The revision"))),
        (status = 400, description = "Bad Request - unable to complete", body = ErrorResponse),
        (status = 401, description = "No valid key", body = ErrorResponse),
        (status = 403, description = "Not permitted", body = ErrorResponse),
        (status = 404, description = "No such user", body = ErrorResponse),
        (status = 412, description = "The user is not at the revision that the request requires", body = ErrorResponse),
        (status = 413, description = "The body is too large", body = ErrorResponse),
        (status = 415, description = "The body is encoded", body = ErrorResponse),
        (status = 422, description = "The idempotency key was used with another request", body = ErrorResponse),
    ),
    security(("bearer" = []))
)]
async fn patch_user(
    State(app): State<App>,
    Caller(context): Caller,
    id: Result<Path<String>, PathRejection>,
    conditions: Conditions,
    Body(body): Body,
) -> Result<Response, Failure> {
    let id = path_id(id)?;
    let patch = map::decode_change(&id.to_string(), unwrap(&body)?)?;
    let update = UpdateUser {
        patch: Box::new(patch),
        idempotency: conditions.idempotency(&context, &[&body]),
        expect: conditions.expect,
        ..UpdateUser::default()
    };
    let key = UserKey::Id(id);
    let gateway = app.gateway.clone();
    let updated = app.write(async move { Ok(gateway.update_user(&context, None, &key, update).await?) })?;
    let view = updated
        .await?
        .view
        .ok_or_else(|| Error::internal("the directory answered an update without the user"))?;
    Ok(answer(&view))
}

fn answer(view: &UserView) -> Response {
    let etag = extract::etag(view.user.revision);
    let user = map::encode_user(&view.user);
    ([(header::ETAG, etag)], Json(UserResponse { user })).into_response()
}

/// The user whom the path names. An id that is no UUID, or no text, names nobody.
fn path_id(id: Result<Path<String>, PathRejection>) -> Result<UserId, Failure> {
    let nobody = || Failure::new(Kind::NotFound, "user not found");
    let Path(id) = id.map_err(|rejection| Failure {
        log: Some(rejection.to_string()),
        ..nobody()
    })?;
    map::uuid(&id).map(UserId).ok_or_else(nobody)
}

/// The members of `user`.
///
/// An empty `user` counts as missing, as it does for the framework whose words the vendor answers (notes, section 9): "the
/// value is empty". No body at all is a body without the parameter.
pub(super) fn unwrap(body: &[u8]) -> Result<Map<String, Value>, Failure> {
    let missing = || Failure::new(Kind::Schema, "param is missing or the value is empty: user");
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(missing());
    }
    let read = extract::json(body).map_err(of_attribute)?;
    let Value::Object(mut body) = read else {
        return Err(missing());
    };
    match body.remove("user") {
        Some(Value::Object(members)) if !members.is_empty() => Ok(members),
        _ => Err(missing()),
    }
}

/// What is wrong in no attribute is told as a whole.
fn of_attribute(failure: Failure) -> Failure {
    match &failure.field {
        Some(Field::Wire(path)) if path.starts_with("user.") => failure,
        _ => Failure::new(failure.kind, failure.message(str::to_owned)),
    }
}

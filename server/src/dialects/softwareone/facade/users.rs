//! A user and his picture: `/public/v1/accounts/users/{id}` (seed 003), by `USR-` id or mail address.

use axum::{
    body::Bytes,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use patchbay_core::{
    error::Error,
    icon::Icon,
    patch::Patch,
    provider::{GetUser, UpdateUser},
    store::{Key, UserKey},
};

use super::{
    super::{
        map,
        problem::ProblemDetails,
        select::Select,
        wire::{Picture, User, UserDelta, UserForm},
    },
    INCLUDE, RawPath, answer,
    form::UserParts,
    path, update, user_key,
};
use crate::{
    app::App,
    authenticate::Caller,
    extract::{Conditions, ReadConditions},
    failure::Failure,
};

/// Get a user.
///
/// By mail address only `id`, `email`, `status` and `audit.invitationAcceptedAt` are shown, and `select` is ignored.
#[utoipa::path(
    get,
    path = "/public/v1/accounts/users/{id}",
    tag = "Users",
    params(
        ("id" = String, Path, description = "User identifier or mail address."),
        ("select" = Option<String>, Query, description = "Members to show (`x`) or hide (`-x`, `-*`)."),
        ("If-Match" = Option<String>, Header, description = "The revision that the user must have."),
        ("If-None-Match" = Option<String>, Header, description = "Revisions that the caller has already."),
    ),
    responses(
        (status = 200, body = User, headers(("ETag" = String, description = "The revision."))),
        (status = 304, description = "`If-None-Match` names the revision."),
        (status = 400, body = ProblemDetails, content_type = "application/problem+json"),
        (status = 401, body = ProblemDetails, content_type = "application/problem+json"),
        (status = 403, body = ProblemDetails, content_type = "application/problem+json"),
        (status = 404, body = ProblemDetails, content_type = "application/problem+json"),
        (status = 412, body = ProblemDetails, content_type = "application/problem+json"),
    ),
    security(("BearerToken" = [])),
)]
pub(super) async fn get_user(
    State(app): State<App>,
    Caller(context): Caller,
    raw: RawPath<String>,
    select: Select,
    conditions: ReadConditions,
) -> Result<Response, Failure> {
    let query = GetUser {
        key: user_key(&path(raw)?),
        member_of: None,
        include: INCLUDE,
    };
    let view = app.gateway.get_user(&context, None, &query).await?;
    let revision = view.user.revision;
    if let Some(response) = conditions.unchanged(revision)? {
        return Ok(response);
    }
    match query.key {
        UserKey::Email(_) => answer(&map::minimal(&view.user), &Select::default(), revision),
        _ => answer(&map::user(&view), &select, revision),
    }
}

/// Update a user.
///
/// For whoever may update users, and for the user himself; another user's mail address is refused. Either part of the form may be absent, and plain JSON does as
/// well. The JSON is a delta: absent members stay, null clears, nested objects are deltas too. Without a picture the old
/// one stays. `currentAccount` switches the account that he works in.
#[utoipa::path(
    put,
    path = "/public/v1/accounts/users/{id}",
    tag = "Users",
    params(
        ("id" = String, Path, description = "User identifier or mail address."),
        ("select" = Option<String>, Query, description = "Members to show (`x`) or hide (`-x`, `-*`)."),
        ("If-Match" = Option<String>, Header, description = "The revision that the user must have."),
        ("If-None-Match" = Option<String>, Header, description = "Revisions that the user must not have."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat answer as the first request did."),
    ),
    request_body(content(
        (UserForm = "multipart/form-data"),
        (UserDelta = "application/json"),
        (UserDelta = "text/json"),
        (UserDelta = "application/*+json")
    )),
    responses(
        (status = 200, body = User, headers(("ETag" = String, description = "The revision."))),
        (status = 400, body = ProblemDetails, content_type = "application/problem+json"),
        (status = 401, body = ProblemDetails, content_type = "application/problem+json"),
        (status = 403, body = ProblemDetails, content_type = "application/problem+json"),
        (status = 404, body = ProblemDetails, content_type = "application/problem+json"),
        (status = 409, body = ProblemDetails, content_type = "application/problem+json"),
        (status = 412, body = ProblemDetails, content_type = "application/problem+json"),
        (status = 413, body = ProblemDetails, content_type = "application/problem+json"),
        (status = 415, body = ProblemDetails, content_type = "application/problem+json"),
        (status = 422, body = ProblemDetails, content_type = "application/problem+json"),
    ),
    security(("BearerToken" = [])),
)]
pub(super) async fn update_user(
    State(app): State<App>,
    Caller(context): Caller,
    raw: RawPath<String>,
    select: Select,
    conditions: Conditions,
    parts: UserParts,
) -> Result<Response, Failure> {
    let key = user_key(&path(raw)?);
    let mut change = map::decode_user(parts.json()?)?;
    let idempotency = conditions.idempotency(&context, &parts.said());
    if let Some(icon) = parts.icon {
        change.patch.icon = Patch::Value(icon);
    }
    let update = UpdateUser {
        patch: Box::new(change.patch),
        expect: conditions.expect,
        idempotency,
        ..update()
    };
    let gateway = app.gateway.clone();
    let updated = app.write(async move {
        Ok(match change.current_account {
            None => gateway.update_user(&context, None, &key, update).await?,
            Some(account) => gateway.move_user(&context, Key::Serial(account), &key, update).await?,
        })
    })?;
    let view = updated
        .await?
        .view
        .ok_or_else(|| Error::internal("the directory updated a user without telling"))?;
    answer(&map::user(&view), &select, view.user.revision)
}

/// Get a user's picture.
#[utoipa::path(
    get,
    path = "/public/v1/accounts/users/{id}/icon",
    tag = "Users",
    params(
        ("id" = String, Path, description = "User identifier or mail address."),
        ("If-Match" = Option<String>, Header, description = "The picture that the user must have."),
        ("If-None-Match" = Option<String>, Header, description = "Pictures that the caller has already."),
    ),
    responses(
        (
            status = 200,
            description = "The picture.",
            content((Picture = "image/png"), (Picture = "image/jpeg")),
            headers(("ETag" = String, description = "The picture's digest."))
        ),
        (status = 304, description = "`If-None-Match` names the picture."),
        (status = 400, body = ProblemDetails, content_type = "application/problem+json"),
        (status = 401, body = ProblemDetails, content_type = "application/problem+json"),
        (status = 403, body = ProblemDetails, content_type = "application/problem+json"),
        (status = 404, body = ProblemDetails, content_type = "application/problem+json"),
        (status = 412, body = ProblemDetails, content_type = "application/problem+json"),
    ),
    security(("BearerToken" = [])),
)]
pub(super) async fn get_user_icon(
    State(app): State<App>,
    Caller(context): Caller,
    raw: RawPath<String>,
    conditions: ReadConditions,
) -> Result<Response, Failure> {
    let key = user_key(&path(raw)?);
    let icon = app.gateway.user_icon(&context, &key).await?;
    serve(&conditions, icon)
}

/// The bytes of a picture. Its digest is its entity tag, so that it is sent again only when it is another; but a cache asks
/// each time, since its address stays the same when it is replaced or taken away.
fn serve(conditions: &ReadConditions, icon: Icon) -> Result<Response, Failure> {
    let digest = icon.reference().digest;
    let same = conditions.not_modified_by(|tag| tag == digest)?;
    let caching = [
        (header::ETAG, format!("\"{digest}\"")),
        (header::CACHE_CONTROL, "private, no-cache".to_owned()),
        (header::VARY, "Authorization".to_owned()),
    ];
    if same {
        return Ok((StatusCode::NOT_MODIFIED, caching).into_response());
    }
    let content = [
        (header::CONTENT_TYPE, icon.media.media_type()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((caching, content, Bytes::from_owner(icon.bytes)).into_response())
}

//! A user as a member of one account: `/public/v1/accounts/accounts/{accountId}/users/{userId}` (seed 002).

use axum::{extract::State, response::Response};
use patchbay_core::{
    error::Error,
    id::Serial,
    principal::Context,
    provider::{GetUser, UpdateUser, Updated, UserView},
    store::{Key, UserKey},
};

use super::{
    super::{
        map,
        problem::ProblemDetails,
        select::Select,
        wire::{AccountUser, AccountUserDelta},
    },
    INCLUDE, RawPath, answer,
    media::Document,
    path, serial,
};
use crate::{
    app::App,
    authenticate::Caller,
    extract::{Conditions, ReadConditions},
    failure::Failure,
};

/// Whom a path names: the account's and the user's number.
fn place(raw: RawPath<(String, String)>) -> Result<(Serial, UserKey), Failure> {
    let (account, user) = path(raw)?;
    let account = serial("ACC", &account, "account")?;
    Ok((account, UserKey::Serial(serial("USR", &user, "user")?)))
}

fn encode(view: &UserView, account: Serial) -> Result<AccountUser, Failure> {
    let organization = view
        .organizations
        .iter()
        .find(|organization| organization.serial == account);
    organization
        .and_then(|organization| map::account_user(view, organization))
        .ok_or_else(|| Error::NotFound { what: "user" }.into())
}

/// Get a user of an account.
#[utoipa::path(
    get,
    path = "/public/v1/accounts/accounts/{accountId}/users/{userId}",
    tag = "AccountUsers",
    params(
        ("accountId" = String, Path, description = "Account identifier."),
        ("userId" = String, Path, description = "User identifier."),
        ("select" = Option<String>, Query, description = "Members to show (`x`) or hide (`-x`, `-*`)."),
        ("If-Match" = Option<String>, Header, description = "The revision that the user must have."),
        ("If-None-Match" = Option<String>, Header, description = "Revisions that the caller has already."),
    ),
    responses(
        (status = 200, body = AccountUser, headers(("ETag" = String, description = "The revision."))),
        (status = 304, description = "`If-None-Match` names the revision."),
        (status = 400, body = ProblemDetails, content_type = "application/problem+json"),
        (status = 401, body = ProblemDetails, content_type = "application/problem+json"),
        (status = 403, body = ProblemDetails, content_type = "application/problem+json"),
        (status = 404, body = ProblemDetails, content_type = "application/problem+json"),
        (status = 412, body = ProblemDetails, content_type = "application/problem+json"),
    ),
    security(("BearerToken" = [])),
)]
pub(super) async fn get_account_user(
    State(app): State<App>,
    Caller(context): Caller,
    raw: RawPath<(String, String)>,
    select: Select,
    conditions: ReadConditions,
) -> Result<Response, Failure> {
    let (account, key) = place(raw)?;
    let query = GetUser {
        key,
        member_of: Some(Key::Serial(account)),
        include: INCLUDE,
    };
    let view = app.gateway.get_user(&context, None, &query).await?;
    let revision = view.user.revision;
    if let Some(response) = conditions.unchanged(revision)? {
        return Ok(response);
    }
    answer(&encode(&view, account)?, &select, revision)
}

/// Update a user of an account.
///
/// For whoever may update users, and for the user himself; another user's mail address is refused. The body is a delta:
/// absent members stay, null clears, nested objects are deltas too, `groups` is replaced as a whole.
#[utoipa::path(
    put,
    path = "/public/v1/accounts/accounts/{accountId}/users/{userId}",
    tag = "AccountUsers",
    params(
        ("accountId" = String, Path, description = "Account identifier."),
        ("userId" = String, Path, description = "User identifier."),
        ("select" = Option<String>, Query, description = "Members to show (`x`) or hide (`-x`, `-*`)."),
        ("If-Match" = Option<String>, Header, description = "The revision that the user must have."),
        ("If-None-Match" = Option<String>, Header, description = "Revisions that the user must not have."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat answer as the first request did."),
    ),
    request_body(content(
        (AccountUserDelta = "application/json"),
        (AccountUserDelta = "text/json"),
        (AccountUserDelta = "application/*+json")
    ), description = "Delta payload with updated fields."),
    responses(
        (status = 200, body = AccountUser, headers(("ETag" = String, description = "The revision."))),
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
pub(super) async fn update_account_user(
    State(app): State<App>,
    Caller(context): Caller,
    raw: RawPath<(String, String)>,
    select: Select,
    conditions: Conditions,
    document: Document,
) -> Result<Response, Failure> {
    let (account, key) = place(raw)?;
    let updated = update(&app, context, (account, key), conditions, &document).await?;
    let view = updated
        .view
        .ok_or_else(|| Error::internal("the directory updated a user without telling"))?;
    answer(&encode(&view, account)?, &select, view.user.revision)
}

async fn update(
    app: &App,
    context: Context,
    (account, key): (Serial, UserKey),
    conditions: Conditions,
    document: &Document,
) -> Result<Updated, Failure> {
    let change = map::decode_account_user(document.json()?)?;
    let update = UpdateUser {
        idempotency: conditions.idempotency(&context, &[b"user", document.bytes()]),
        patch: Box::new(change.patch),
        expect: conditions.expect,
        ..super::update()
    };
    let (gateway, account) = (app.gateway.clone(), Key::Serial(account));
    let updated = app.write(async move {
        Ok(gateway
            .update_member(&context, account, &key, change.membership, update)
            .await?)
    })?;
    updated.await
}

//! The routes: decode the request, call the use case, encode the answer.

mod account_users;
mod delimiters;
mod form;
mod media;
mod users;

use axum::{
    extract::{Path, rejection::PathRejection},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, header};
use patchbay_core::{
    error::Error,
    id::Serial,
    provider::{Include, UpdateUser},
    revision::Revision,
    store::UserKey,
};
use serde::Serialize;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) use self::form::whole_form;
use super::{map, select::Select};
use crate::{app::App, extract, failure::Failure, openapi};

/// Every route of the dialect.
pub(super) fn routes() -> OpenApiRouter<App> {
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    openapi::router("BearerToken", bearer)
        .routes(routes!(
            account_users::get_account_user,
            account_users::update_account_user
        ))
        .routes(routes!(users::get_user, users::update_user))
        .routes(routes!(users::get_user_icon))
}

/// What every answer needs: organizations and groups.
const INCLUDE: Include = Include {
    role: false,
    memberships: true,
};

/// An update with what holds of every one here: the user himself may (seed 002; contract notes, section 12), and a mail address is one
/// user's alone (contract notes, section 5).
fn update() -> UpdateUser {
    UpdateUser {
        own_profile: true,
        unique_email: true,
        include: INCLUDE,
        ..UpdateUser::default()
    }
}

type RawPath<T> = Result<Path<T>, PathRejection>;

/// The ids in a path. What is not UTF-8 names nobody, as any malformed id.
fn path<T>(raw: RawPath<T>) -> Result<T, Failure> {
    let Path(path) = raw.map_err(|_| Error::NotFound { what: "user" })?;
    Ok(path)
}

/// A user's `USR-` id, or else his mail address, which seed 003's example shows as any text.
fn user_key(text: &str) -> UserKey {
    map::serial("USR", text).map_or_else(|| UserKey::Email(text.to_owned()), UserKey::Serial)
}

fn serial(prefix: &str, text: &str, what: &'static str) -> Result<Serial, Failure> {
    map::serial(prefix, text).ok_or_else(|| Error::NotFound { what }.into())
}

/// An answer with a body and the record's revision as its entity tag.
fn answer<T: Serialize>(object: &T, select: &Select, revision: Revision) -> Result<Response, Failure> {
    let json = if select.shows_everything() {
        serde_json::to_vec(object)
    } else {
        serde_json::to_value(object).and_then(|whole| serde_json::to_vec(&select.apply(whole)))
    };
    let json = json.map_err(Error::internal)?;
    let media = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(([media, (header::ETAG, extract::etag(revision))], json).into_response())
}

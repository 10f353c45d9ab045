//! What a call says outside its body: which account, which user, which media type.

use axum::{
    extract::{FromRequestParts, Path},
    http::{HeaderName, header, request::Parts},
};
use patchbay_core::{error::Error, id::LinkedAccountId};

use crate::{
    app::App,
    extract,
    failure::{Failure, Kind},
};

static ACCOUNT_ID: HeaderName = HeaderName::from_static("x-account-id");
/// The most characters of an account's id; see [`LinkedAccountId`].
const MAX_ACCOUNT: usize = 64;
/// The most characters of a user's id.
const MAX_ID: usize = 512;

/// The linked account of a call (contract notes, section 4). Missing is 400; one that cannot exist is 404, as an unknown one.
pub(super) struct Account(pub(super) LinkedAccountId);

impl FromRequestParts<App> for Account {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Failure> {
        match extract::single(&parts.headers, &ACCOUNT_ID)? {
            Some(id) if id.len() > MAX_ACCOUNT => Err(Error::NotFound { what: "linked account" }.into()),
            Some(id) if !id.is_empty() => Ok(Self(LinkedAccountId(id.into()))),
            _ => Err(Failure::about(Kind::BadParameter, ACCOUNT_ID.as_str(), "must be sent")),
        }
    }
}

/// The user's id in the path, percent-decoded.
pub(super) struct Id(pub(super) String);

impl FromRequestParts<App> for Id {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let refused = |reason: String| Failure::about(Kind::BadParameter, "id", reason);
        let undecoded = || refused("must be percent-encoded UTF-8".to_owned());
        if !is_encoded(parts.uri.path()) {
            return Err(undecoded());
        }
        let Path(id) = Path::<String>::from_request_parts(parts, app)
            .await
            .map_err(|_| undecoded())?;
        if id.chars().count() > MAX_ID {
            return Err(refused(format!("must have at most {MAX_ID} characters")));
        }
        Ok(Self(id))
    }
}

/// True if two hexadecimal digits follow every percent sign.
fn is_encoded(path: &str) -> bool {
    let mut after = path.split('%').skip(1);
    after.all(|rest| matches!(rest.as_bytes(), [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()))
}

/// True for `application/json`, `text/json` and `application/*+json`, letter case aside.
fn is_json(media: &str) -> bool {
    let (family, kind) = media.split_once('/').unwrap_or_default();
    let application = family.eq_ignore_ascii_case("application");
    let suffix = kind.rsplit_once('+').map(|(_, suffix)| suffix);
    let json = |name: &str| name.eq_ignore_ascii_case("json");
    let plain = (application || family.eq_ignore_ascii_case("text")) && json(kind);
    plain || (application && suffix.is_some_and(json))
}

/// Proof that the body is not announced as anything but JSON. Without an announcement it is taken for JSON.
pub(super) struct JsonMedia;

impl FromRequestParts<App> for JsonMedia {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Failure> {
        let Some(announced) = extract::single(&parts.headers, &header::CONTENT_TYPE)? else {
            return Ok(Self);
        };
        let media = announced.split(';').next().unwrap_or_default().trim();
        if media.is_empty() || is_json(media) {
            Ok(Self)
        } else {
            let reason = "the request body must be application/json";
            Err(Failure::new(Kind::UnsupportedMedia, reason))
        }
    }
}

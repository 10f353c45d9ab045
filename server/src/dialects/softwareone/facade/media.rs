//! Which media type a body has, and JSON bodies.

use axum::{
    body::HttpBody,
    extract::{FromRequest, Request},
};
use bytes::Bytes;
use http::{HeaderMap, header};
use serde_json::Value;

use crate::{
    app::App,
    extract::{self, Body, quoted},
    failure::{Failure, Kind},
};

/// The media types that are read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Media {
    /// `application/json`, `text/json` or `application/*+json`, in UTF-8.
    Json,
    /// `multipart/form-data`, with the whole header's text.
    Form(String),
}

/// The media type of a request. Without a body none is needed, and JSON is assumed: it then fails as an empty document.
///
/// Fails with [`Kind::UnsupportedMedia`] for any other type, and for a body without one.
pub(super) fn media(request: &Request) -> Result<Media, Failure> {
    let Some(text) = extract::single(request.headers(), &header::CONTENT_TYPE)? else {
        return if request.body().is_end_stream() {
            Ok(Media::Json)
        } else {
            Err(unsupported("the request body has no Content-Type"))
        };
    };
    parse(text).ok_or_else(|| unsupported("the Content-Type is not one that this operation reads"))
}

/// The refusal of a media type.
pub(super) fn unsupported(reason: &str) -> Failure {
    Failure::new(Kind::UnsupportedMedia, reason)
}

fn parse(text: &str) -> Option<Media> {
    let mut parts = quoted::split(text, ';').map(str::trim);
    let essence = parts.next()?.to_ascii_lowercase();
    let suffixed = essence
        .strip_prefix("application/")
        .and_then(|subtype| subtype.strip_suffix("+json"))
        .is_some_and(|name| !name.is_empty());
    if essence == "multipart/form-data" {
        return Some(Media::Form(text.to_owned()));
    }
    let known = suffixed || essence == "application/json" || essence == "text/json";
    (known && parts.all(utf8)).then_some(Media::Json)
}

/// True for a part of a form that is read as text: without a type, or of one that JSON or plain text has, in UTF-8. Plain
/// text is what a part without a type is (RFC 7578, 4.4), and what some clients say of everything but files.
pub(super) fn is_text_part(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    types.all(|media| media.to_str().is_ok_and(is_text))
}

/// True for a part of a form that is declared as JSON.
pub(super) fn is_json_part(headers: &HeaderMap) -> bool {
    let declared = headers.get(header::CONTENT_TYPE).and_then(|media| media.to_str().ok());
    declared.and_then(parse) == Some(Media::Json)
}

fn is_text(text: &str) -> bool {
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    let plain = essence.trim().eq_ignore_ascii_case("text/plain") && quoted::split(parameters, ';').all(utf8);
    plain || parse(text) == Some(Media::Json)
}

/// True for every parameter but a charset other than UTF-8.
fn utf8(parameter: &str) -> bool {
    match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            let value = value.trim().trim_matches('"');
            value.eq_ignore_ascii_case("utf-8") || value.eq_ignore_ascii_case("utf8")
        }
        _ => true,
    }
}

/// A JSON body, undecoded, of one of the JSON media types and within the dialect's bound.
pub(super) struct Document(Bytes);

impl Document {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Fails with [`Kind::BadEncoding`] or [`Kind::NotJson`].
    pub(super) fn json(&self) -> Result<Value, Failure> {
        extract::json(&self.0)
    }

    /// Reads the body of a request that is known to be JSON.
    pub(super) async fn read(request: Request, app: &App) -> Result<Self, Failure> {
        let Body(bytes) = Body::from_request(request, app).await?;
        Ok(Self(bytes))
    }
}

impl FromRequest<App> for Document {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        match media(&request)? {
            Media::Json => Self::read(request, app).await,
            Media::Form(_) => Err(unsupported("the Content-Type must be application/json")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_json_types_are_read() {
        for text in [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "text/json",
            "application/merge-patch+json",
            "application/json; charset=\"utf-8\"; v=1",
            "application/json; v=\"a;charset=utf-16\"",
        ] {
            assert_eq!(parse(text), Some(Media::Json), "{text}");
        }
    }

    #[test]
    fn parts_may_be_plain_text_too() {
        for text in [
            "text/plain",
            "Text/Plain; charset=utf-8",
            "application/json",
            "application/x+json",
        ] {
            assert!(is_text(text), "{text}");
        }
        for text in [
            "",
            "text/plain; charset=utf-16",
            "application/xml",
            "multipart/form-data; boundary=b",
        ] {
            assert!(!is_text(text), "{text}");
        }
    }

    #[test]
    fn other_types_are_not() {
        for text in [
            "",
            "text/plain",
            "application/xml",
            "application/+json",
            "text/x+json",
            "application/json; charset=utf-16",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}

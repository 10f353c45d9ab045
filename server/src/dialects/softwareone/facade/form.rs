//! The body that changes a user: a form with the parts `user` (JSON) and `icon` (picture), or just the JSON.
//!
//! The form is read as it streams in. A part is refused as soon as it passes its bound; parts of other names are skipped,
//! within the bounds on the number of parts and on the whole.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{FromRequest, Request},
};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};
use http::header;
use multer::{Constraints, Field, Multipart, SizeLimit};
use patchbay_core::icon::Icon;
use serde_json::{Map, Value};

use super::media::{Document, Media, media};
use crate::{
    app::App,
    extract,
    failure::{Failure, Kind},
};

/// The most parts that a form may have.
const MAX_PARTS: usize = 16;
/// What boundaries, part headers and unknown parts may take of a form.
const FRAMING_BYTES: usize = 64 * 1024;
/// How much of a body is handed on at once.
const GATHERED_BYTES: usize = 128 * 1024;

/// What a caller says of a user, undecoded.
#[derive(Default)]
pub(in super::super) struct UserParts {
    user: Option<Bytes>,
    /// The picture, if there is one.
    pub(in super::super) icon: Option<Icon>,
}

impl FromRequest<App> for UserParts {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        match media(&request)? {
            Media::Form(content_type) => Self::form(request, &content_type, app).await,
            Media::Json => {
                let document = Document::read(request, app).await?;
                Ok(Self {
                    user: Some(Bytes::copy_from_slice(document.bytes())),
                    icon: None,
                })
            }
        }
    }
}

impl UserParts {
    /// The JSON document; an absent part says nothing.
    ///
    /// Fails with [`Kind::BadEncoding`] or [`Kind::NotJson`].
    pub(in super::super) fn json(&self) -> Result<Value, Failure> {
        match &self.user {
            Some(bytes) => extract::json(bytes),
            None => Ok(Value::Object(Map::new())),
        }
    }

    /// What the caller said, free of the form's boundary and order, for recognising a repeat.
    pub(super) fn said(&self) -> Vec<&[u8]> {
        let user = self.user.iter().flat_map(|bytes| [&b"user"[..], bytes]);
        let icon = self.icon.iter().flat_map(|icon| [&b"icon"[..], &icon.bytes]);
        user.chain(icon).collect()
    }

    async fn form(request: Request, content_type: &str, app: &App) -> Result<Self, Failure> {
        extract::unencoded(request.headers())?;
        let boundary = multer::parse_boundary(content_type).map_err(|error| broken(&error))?;
        let json_limit = app.config.max_body_bytes;
        let limit = json_limit + Icon::MAX_BYTES + FRAMING_BYTES;
        let announced = request.headers().get(header::CONTENT_LENGTH);
        let announced = announced.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|length| length > limit as u64) {
            return Err(extract::too_large(limit));
        }
        let body = gathered(request.into_body());
        let constraints = constraints(json_limit, limit);
        read(Multipart::with_constraints(body, boundary, constraints)).await
    }
}

fn constraints(json_limit: usize, limit: usize) -> Constraints {
    let sizes = SizeLimit::new()
        .whole_stream(limit as u64)
        .for_field("user", json_limit as u64)
        .for_field("icon", Icon::MAX_BYTES as u64);
    Constraints::new().size_limit(sizes)
}

/// Reads a form that is there as a whole, bounded by its own size.
pub(in super::super) async fn whole_form(content_type: &str, body: Bytes) -> Result<UserParts, Failure> {
    let boundary = multer::parse_boundary(content_type).map_err(|error| broken(&error))?;
    let constraints = constraints(body.len(), body.len());
    let body = gathered(Body::from(body));
    read(Multipart::with_constraints(body, boundary, constraints)).await
}

/// A body in pieces of some size. The form's reader searches what it holds for the next boundary or end of headers each
/// time something arrives: many small pieces without either would cost it the square of their number.
fn gathered(body: Body) -> impl Stream<Item = Result<Bytes, axum::Error>> + Send {
    stream::unfold(Some(body.into_data_stream()), async |rest| {
        let mut rest = rest?;
        let mut piece = BytesMut::new();
        while piece.len() < GATHERED_BYTES {
            match rest.next().await {
                Some(Ok(chunk)) => piece.extend_from_slice(&chunk),
                Some(Err(error)) => return Some((Err(error), None)),
                None if piece.is_empty() => return None,
                None => return Some((Ok(piece.freeze()), None)),
            }
        }
        Some((Ok(piece.freeze()), Some(rest)))
    })
}

async fn read(mut form: Multipart<'_>) -> Result<UserParts, Failure> {
    let mut parts = UserParts::default();
    while let Some(field) = form.next_field().await.map_err(|error| broken(&error))? {
        if field.index() >= MAX_PARTS {
            let reason = format!("the form has more than {MAX_PARTS} parts");
            return Err(Failure::new(Kind::NotJson, reason));
        }
        match field.name() {
            Some("user") if parts.user.is_none() => parts.user = Some(collect(field).await?.into()),
            Some("icon") if parts.icon.is_none() => parts.icon = Some(picture(collect(field).await?)?),
            Some(name @ ("user" | "icon")) => {
                return Err(Failure::about(Kind::Schema, name, "must be only one part of the form"));
            }
            _ => {}
        }
    }
    Ok(parts)
}

async fn collect(mut field: Field<'_>) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(|error| broken(&error))? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// A picture, recognised by its content, whatever its name and announced type.
fn picture(bytes: Vec<u8>) -> Result<Icon, Failure> {
    Icon::new(Arc::from(bytes)).ok_or_else(|| Failure::about(Kind::Invalid, "icon", "must be a PNG or JPEG picture"))
}

/// The refusal of a form that cannot be read, or is larger than its bounds.
fn broken(error: &multer::Error) -> Failure {
    match error {
        multer::Error::FieldSizeExceeded { limit, field_name } => Failure::about(
            Kind::TooLarge,
            field_name.clone().unwrap_or_default(),
            format!("must have at most {limit} bytes"),
        ),
        multer::Error::StreamSizeExceeded { limit } => {
            extract::too_large(usize::try_from(*limit).unwrap_or(usize::MAX))
        }
        multer::Error::NoBoundary | multer::Error::DecodeContentType(_) | multer::Error::NoMultipart => {
            Failure::new(Kind::NotJson, "the Content-Type of the form has no valid boundary")
        }
        error => Failure {
            log: Some(error.to_string()),
            ..Failure::new(Kind::NotJson, "the request body is not a valid multipart form")
        },
    }
}

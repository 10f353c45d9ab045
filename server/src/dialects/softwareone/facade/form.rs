//! The body that changes a user: a form with the parts `user` (JSON) and `icon` (picture), or just the JSON.
//!
//! The form is read as it streams in. A part is refused as soon as it passes its bound; parts of other names are skipped,
//! within the bounds on the number of parts and on the whole. The flat names of seed 003's example are understood as parts
//! of their own too.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

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

use super::{
    super::{fold, map},
    delimiters::Delimiters,
    media::{Document, Media, is_json_part, is_text_part, media, unsupported},
};
use crate::{
    app::App,
    extract::{self, quoted},
    failure::{Failure, Kind},
};

/// The most parts that a form may have; seed 003's example has 101 flat names.
const MAX_PARTS: usize = 256;
/// What boundaries, part headers and unknown parts may take of a form.
const FRAMING_BYTES: usize = 64 * 1024;
/// How much of a body is handed on at once.
const GATHERED_BYTES: usize = 128 * 1024;

/// What a caller says of a user, undecoded.
#[derive(Default)]
pub(in super::super) struct UserParts {
    user: Option<Bytes>,
    /// Members by their flat names, lower case.
    flat: BTreeMap<String, Flat>,
    /// The picture, if there is one.
    pub(in super::super) icon: Option<Icon>,
}

/// A member that is a part of its own.
struct Flat {
    value: Value,
    /// The value as JSON, for recognising a repeat.
    said: String,
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
                    ..Self::default()
                })
            }
        }
    }
}

impl UserParts {
    /// The JSON document with the flat members; an absent part says nothing.
    ///
    /// Fails with [`Kind::BadEncoding`] or [`Kind::NotJson`].
    pub(in super::super) fn json(&self) -> Result<Value, Failure> {
        let mut document = match &self.user {
            Some(bytes) => extract::json(bytes)?,
            None => Value::Object(Map::new()),
        };
        if let Value::Object(members) = &mut document {
            for (name, flat) in &self.flat {
                if members.insert(name.clone(), flat.value.clone()).is_some() {
                    return Err(twice(&fold::flat_path(name).unwrap_or_default()));
                }
            }
        }
        Ok(document)
    }

    /// What the caller said, free of the form's boundary and order, for recognising a repeat.
    pub(super) fn said(&self) -> Vec<&[u8]> {
        let user = self.user.iter().flat_map(|bytes| [&b"user"[..], bytes]);
        let icon = self.icon.iter().flat_map(|icon| [&b"icon"[..], &icon.bytes]);
        let flat = self
            .flat
            .iter()
            .flat_map(|(name, flat)| [name.as_bytes(), flat.said.as_bytes()]);
        user.chain(flat).chain(icon).collect()
    }

    async fn form(request: Request, content_type: &str, app: &App) -> Result<Self, Failure> {
        extract::unencoded(request.headers())?;
        let boundary = boundary(content_type)?;
        let json_limit = app.config.max_body_bytes;
        let limit = json_limit + Icon::MAX_BYTES + FRAMING_BYTES;
        let announced = request.headers().get(header::CONTENT_LENGTH);
        let announced = announced.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|length| length > limit as u64) {
            return Err(extract::too_large(limit));
        }
        let body = gathered(request.into_body(), &boundary);
        read(Multipart::with_constraints(body, boundary, whole(limit)), json_limit).await
    }
}

fn whole(limit: usize) -> Constraints {
    Constraints::new().size_limit(SizeLimit::new().whole_stream(limit as u64))
}

/// Reads a form that is there as a whole, bounded by its own size.
pub(in super::super) async fn whole_form(content_type: &str, body: Bytes) -> Result<UserParts, Failure> {
    let boundary = boundary(content_type)?;
    let limit = body.len();
    let body = gathered(Body::from(body), &boundary);
    read(Multipart::with_constraints(body, boundary, whole(limit)), limit).await
}

fn boundary(content_type: &str) -> Result<String, Failure> {
    let boundary = quoted::parameter(content_type, "boundary").filter(|boundary| !boundary.is_empty());
    boundary.ok_or_else(|| Failure::new(Kind::NotJson, "the Content-Type of the form has no valid boundary"))
}

/// A body in pieces of some size, its delimiters looked at. The form's reader searches what it holds for the next boundary or end of headers each
/// time something arrives: many small pieces without either would cost it the square of their number.
fn gathered(body: Body, boundary: &str) -> impl Stream<Item = Result<Bytes, axum::Error>> + Send + use<> {
    let pieces = stream::unfold(Some(body.into_data_stream()), async |rest| {
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
    });
    let mut delimiters = Delimiters::new(boundary);
    pieces.map(move |piece| {
        let piece: Bytes = piece?;
        delimiters.look(&piece).map_err(axum::Error::new)?;
        Ok(piece)
    })
}

/// Reads the parts; all texts together may have `json_limit` bytes.
async fn read(mut form: Multipart<'_>, json_limit: usize) -> Result<UserParts, Failure> {
    let mut parts = UserParts::default();
    let mut texts = json_limit;
    while let Some(field) = form.next_field().await.map_err(|error| broken(&error))? {
        if field.index() >= MAX_PARTS {
            let reason = format!("the form has more than {MAX_PARTS} parts");
            return Err(Failure::new(Kind::NotJson, reason));
        }
        let name = disposition(&field, "name").ok_or_else(nameless)?.to_ascii_lowercase();
        match name.as_str() {
            "user" if parts.user.is_none() => parts.user = Some(text(field, &name, &mut texts).await?.into()),
            "icon" if parts.icon.is_none() => parts.icon = picture(field).await?,
            "user" | "icon" => return Err(twice(&name)),
            _ => {
                let Some(path) = fold::flat_path(&name) else { continue };
                match parts.flat.entry(name) {
                    Entry::Vacant(place) => drop(place.insert(flat(field, &path, &mut texts).await?)),
                    Entry::Occupied(_) => return Err(twice(&path)),
                }
            }
        }
    }
    Ok(parts)
}

/// What a part's `Content-Disposition` says for one of its parameters.
fn disposition(field: &Field<'_>, parameter: &str) -> Option<String> {
    let said = field.headers().get(header::CONTENT_DISPOSITION)?;
    quoted::parameter(&String::from_utf8_lossy(said.as_bytes()), parameter)
}

/// The refusal of a part whose name is not said (RFC 7578, section 4.2, has it required) or cannot be read: skipping it could lose a
/// change.
fn nameless() -> Failure {
    Failure::new(
        Kind::NotJson,
        "a part of the form has no name in its Content-Disposition",
    )
}

/// A member that is a part of its own: a value if the part is declared as JSON, else a text.
async fn flat(field: Field<'_>, path: &str, room: &mut usize) -> Result<Flat, Failure> {
    let json = is_json_part(field.headers());
    let bytes = text(field, path, room).await?;
    let value: Value = if json {
        extract::json(&bytes).map_err(|failure| of_part(path, &failure))?
    } else {
        let text = String::from_utf8(bytes);
        text.map_err(|_| Failure::about(Kind::BadEncoding, path, "contains invalid characters"))?
            .into()
    };
    let said = value.to_string();
    Ok(Flat { value, said })
}

/// What is wrong with the JSON of a part, said of the member that the part is.
fn of_part(path: &str, failure: &Failure) -> Failure {
    let member = match failure.field(map::wire_name) {
        Some(inner) if inner.starts_with('[') => format!("{path}{inner}"),
        Some(inner) => format!("{path}.{inner}"),
        None => path.to_owned(),
    };
    let reason = failure.reason.strip_prefix("the request body ");
    Failure::about(failure.kind, member, reason.unwrap_or(&failure.reason))
}

fn twice(name: &str) -> Failure {
    Failure::about(Kind::Schema, name, "must be only one part of the form")
}

/// A part of text, taken off what texts may still take.
async fn text(field: Field<'_>, name: &str, room: &mut usize) -> Result<Vec<u8>, Failure> {
    if !is_text_part(field.headers()) {
        return Err(unsupported(&format!(
            "the part {name} must be application/json or text/plain in UTF-8"
        )));
    }
    let bytes = collect(field, name, *room).await?;
    *room -= bytes.len();
    Ok(bytes)
}

async fn collect(mut field: Field<'_>, name: &str, limit: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(|error| broken(&error))? {
        if bytes.len() + chunk.len() > limit {
            return Err(Failure::about(
                Kind::TooLarge,
                name,
                format!("must have at most {limit} bytes"),
            ));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// A picture, recognised by its content, whatever its name and announced type. A browser sends a file that was not chosen
/// as an empty one without a name: that is none.
async fn picture(field: Field<'_>) -> Result<Option<Icon>, Failure> {
    let named = |parameter| disposition(&field, parameter).is_some_and(|name| !name.is_empty());
    let nameless = !named("filename") && !named("filename*");
    let bytes = collect(field, "icon", Icon::MAX_BYTES).await?;
    if nameless && bytes.is_empty() {
        return Ok(None);
    }
    let icon = Icon::new(Arc::from(bytes));
    icon.map(Some)
        .ok_or_else(|| Failure::about(Kind::Invalid, "icon", "must be a PNG or JPEG picture"))
}

/// The refusal of a form that cannot be read, or is larger than its bounds.
fn broken(error: &multer::Error) -> Failure {
    match error {
        multer::Error::StreamSizeExceeded { limit } => {
            extract::too_large(usize::try_from(*limit).unwrap_or(usize::MAX))
        }
        error => Failure {
            log: Some(error.to_string()),
            ..Failure::new(Kind::NotJson, "the request body is not a valid multipart form")
        },
    }
}

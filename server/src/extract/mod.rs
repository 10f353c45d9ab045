//! What handlers read from a request besides the caller: bounded bodies ([`json`] or not), [`conditions`], single headers.

mod conditions;
mod json;
pub mod quoted;

use axum::extract::{FromRequest, Request};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::{HeaderMap, HeaderName, header};

pub use self::{
    conditions::{Conditions, ReadConditions, etag},
    json::{MAX_QUOTED, has_readers_keys, json, not_json, schema},
};
use crate::{
    app::App,
    dialects::Dialect,
    failure::{Failure, Kind},
};

/// The whole body, no larger than the called dialect's bound. An empty body is empty bytes.
pub struct Body(pub Bytes);

impl FromRequest<App> for Body {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        unencoded(request.headers())?;
        let dialect = request.extensions().get::<&'static dyn Dialect>().copied();
        let limit = dialect.map_or(app.config.max_body_bytes, |dialect| dialect.body_limit(app));
        let announced = content_length(request.headers()).unwrap_or_default();
        if announced > limit as u64 {
            return Err(too_large(limit));
        }
        let mut stream = request.into_body().into_data_stream();
        let mut body = BytesMut::new();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|error| broken_body(&error))?;
            if body.len() + chunk.len() > limit {
                return Err(too_large(limit));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Self(body.freeze()))
    }
}

/// The refusal of a body over a bound.
pub fn too_large(limit: usize) -> Failure {
    Failure::new(Kind::TooLarge, format!("the request body is larger than {limit} bytes"))
}

/// The refusal of a body that ended early or was badly framed.
pub fn broken_body(error: &dyn std::error::Error) -> Failure {
    Failure {
        log: Some(error.to_string()),
        ..Failure::new(Kind::NotJson, "the request body did not arrive whole")
    }
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Refuses a body that is compressed or otherwise encoded: it would be read as what it is not. Only the last transfer coding, which must
/// be `chunked`, is taken off on the way here.
pub fn unencoded(headers: &HeaderMap) -> Result<(), Failure> {
    let refused = |reason| Err(Failure::new(Kind::UnsupportedMedia, reason));
    if !codings(headers, &header::CONTENT_ENCODING).all(|coding| coding.eq_ignore_ascii_case(b"identity")) {
        return refused("the request body must not have a Content-Encoding");
    }
    if codings(headers, &header::TRANSFER_ENCODING).count() > 1 {
        return refused("the request body must not have a Transfer-Encoding but chunked");
    }
    Ok(())
}

fn codings<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h [u8]> {
    let values = headers.get_all(name).iter();
    let codings = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    codings.map(<[u8]>::trim_ascii)
}

/// The one value of a header that may be sent at most once; `None` if it was not sent.
pub fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Failure> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Failure::about(
            Kind::BadParameter,
            name.as_str(),
            "must be sent only once",
        ));
    }
    let text = value
        .to_str()
        .map_err(|_| Failure::about(Kind::BadParameter, name.as_str(), "must be printable ASCII"))?;
    Ok(Some(text.trim()))
}

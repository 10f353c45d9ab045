//! Failures in StackOne's envelope.

use axum::response::{IntoResponse, Response};
use http::{
    StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};

use super::{map, wire};
use crate::{
    dialects::Exchange,
    failure::{Failure, Kind},
};

/// Seconds after which a retry makes sense, where nobody knows better: StackOne's own default for a timeout (contract notes,
/// section 6).
const RETRY_SECONDS: u32 = 60;

/// The status that StackOne documents (seed, responses; contract notes, section 7). A member's wrong type or value is 422; what
/// a provider refuses is 422 if it said so itself, else 400, whose schema alone declares `provider_errors`.
pub(super) fn status(failure: &Failure) -> StatusCode {
    let said = failure.provider.as_ref().and_then(|provider| provider.status);
    match (failure.kind, &failure.provider) {
        (Kind::Invalid, Some(_)) if said != Some(422) => StatusCode::BAD_REQUEST,
        (Kind::Schema | Kind::Invalid, _) => StatusCode::UNPROCESSABLE_ENTITY,
        (kind, _) => kind.status(),
    }
}

/// The envelope: status, a sentence, the moment, and the provider's answer if one was asked.
pub(super) fn envelope(failure: &Failure, exchange: &Exchange) -> wire::ErrorResponse {
    wire::ErrorResponse {
        status_code: status(failure).as_u16(),
        message: failure.message(map::wire_name),
        timestamp: exchange.now.to_string(),
        provider_errors: failure
            .provider
            .as_ref()
            .map(|provider| vec![map::provider_error(provider)]),
    }
}

/// The whole response. 408 and 429 always say when to come back, and never at once: StackOne's clients take 0 for nothing said, and then
/// repeat at once and for up to an hour (contract notes, section 9).
pub(super) fn response(failure: &Failure, exchange: &Exchange) -> Response {
    let status = status(failure);
    let mut response = (status, axum::Json(envelope(failure, exchange))).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    match status {
        StatusCode::UNAUTHORIZED => {
            headers.insert(
                WWW_AUTHENTICATE,
                http::HeaderValue::from_static("Basic realm=\"Patchbay\""),
            );
        }
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            let seconds = failure.retry_after.unwrap_or(RETRY_SECONDS).max(1);
            headers.insert(RETRY_AFTER, seconds.into());
        }
        _ => {}
    }
    response
}

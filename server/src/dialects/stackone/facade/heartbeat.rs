//! `Prefer: heartbeat` (seed, header parameters; contract notes, section 5): newlines keep a slow call alive.
//!
//! The work runs in a task of its own, so that a caller who hangs up does not cut a remote write in two. If it ends within
//! the interval, the answer is what it would have been. Else a 200 with chunked JSON begins: a newline each interval, which
//! JSON allows before a value, and always a whole JSON value at the end, the error envelope if the work failed: a body
//! that is cut off or is no JSON ends the process of StackOne's own client.

use std::{convert::Infallible, future::Future, time::Duration};

use axum::{
    body::Body,
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use patchbay_core::error::Error;
use tokio::{
    task::{JoinError, JoinHandle},
    time::{Instant, timeout},
};
use tracing::Instrument;

use super::{super::render, Answer};
use crate::{
    app::App,
    dialects::Exchange,
    failure::{Failure, Kind},
    pipeline::RequestId,
    telemetry,
};

static PREFER: HeaderName = HeaderName::from_static("prefer");
static APPLIED: HeaderName = HeaderName::from_static("preference-applied");
const HEARTBEAT: &str = "heartbeat";
/// The most calls whose work is under way, those included whose callers hung up.
const MOST_TASKS: usize = 4_096;
/// The shortest interval, whatever is configured.
const MIN_INTERVAL: Duration = Duration::from_millis(10);

/// How a call is to be kept alive, if its caller prefers so.
pub(super) struct Heartbeat {
    app: App,
    preferred: bool,
    request_id: String,
    path: String,
    /// When the call must have ended, heartbeats or not.
    deadline: Instant,
}

impl FromRequestParts<App> for Heartbeat {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let id = parts.extensions.get::<RequestId>();
        Ok(Self {
            app: app.clone(),
            preferred: preferred(&parts.headers),
            request_id: id.map(|id| id.0.to_string()).unwrap_or_default(),
            path: parts.uri.path().to_owned(),
            deadline: Instant::now() + app.config.request_timeout,
        })
    }
}

/// True if one of the preferences is `heartbeat`, whatever value or parameters it has (RFC 7240, section 2).
fn preferred(headers: &HeaderMap) -> bool {
    let values = headers.get_all(&PREFER).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|preference| {
        let token = preference.split([';', '=']).next().unwrap_or_default();
        token.trim().eq_ignore_ascii_case(HEARTBEAT)
    })
}

type Outcome = Result<Answer, Failure>;

impl Heartbeat {
    /// The answer to a read.
    pub(super) async fn read(self, work: impl Future<Output = Outcome> + Send + 'static) -> Response {
        if self.preferred {
            self.write(work).await
        } else {
            work.await.into_response()
        }
    }

    /// The answer to a write, which goes on if the caller hangs up.
    pub(super) async fn write(self, work: impl Future<Output = Outcome> + Send + 'static) -> Response {
        if self.app.tasks.len() >= MOST_TASKS {
            let failure = Failure::new(Kind::Busy, "too much work is waiting, try again later");
            return Failure {
                retry_after: Some(1),
                ..failure
            }
            .into_response();
        }
        let mut task = self.app.tasks.spawn(work.in_current_span());
        if !self.preferred {
            return ended(task.await).into_response();
        }
        let mut response = match timeout(self.interval(), &mut task).await {
            Ok(outcome) => ended(outcome).into_response(),
            Err(_) => self.keep_alive(task),
        };
        let applied = HeaderValue::from_static(HEARTBEAT);
        response.headers_mut().insert(APPLIED.clone(), applied);
        response
    }

    fn interval(&self) -> Duration {
        self.app.config.heartbeat.max(MIN_INTERVAL)
    }

    /// A 200 that has begun: the first newline now, then one each interval, then the outcome.
    fn keep_alive(self, task: JoinHandle<Outcome>) -> Response {
        let beats = stream::unfold(Some((self, task)), async |state| {
            let (heartbeat, mut task) = state?;
            let wait = heartbeat.deadline.saturating_duration_since(Instant::now());
            match timeout(wait.min(heartbeat.interval()), &mut task).await {
                Ok(outcome) => Some((heartbeat.last(ended(outcome)), None)),
                Err(_) if Instant::now() >= heartbeat.deadline => Some((heartbeat.last(Err(timed_out())), None)),
                Err(_) => Some((Bytes::from_static(b"\n"), Some((heartbeat, task)))),
            }
        });
        let first = stream::once(async { Bytes::from_static(b"\n") });
        let body = Body::from_stream(first.chain(beats).map(Ok::<_, Infallible>));
        ([(header::CONTENT_TYPE, "application/json")], body).into_response()
    }

    /// The end of a body that has begun. A failure is told, and logged, here: the pipeline sees only the 200.
    fn last(&self, outcome: Outcome) -> Bytes {
        let failure = match outcome {
            Ok(answer) => return answer.json,
            Err(failure) => failure,
        };
        telemetry::failed(&failure, &self.request_id, Some("stackone"));
        let exchange = Exchange {
            request_id: self.request_id.clone(),
            path: self.path.clone(),
            now: self.app.clock.now(),
        };
        let envelope = serde_json::to_vec(&render::envelope(&failure, &exchange));
        envelope.map_or_else(|_| Bytes::from_static(b"null"), Bytes::from)
    }
}

fn timed_out() -> Failure {
    Failure::new(Kind::Timeout, "the request has timed out")
}

/// What the task's end means: a panic in it is a failure like one in a handler.
fn ended(outcome: Result<Outcome, JoinError>) -> Outcome {
    match outcome {
        Ok(outcome) => outcome,
        Err(error) => Err(match error.try_into_panic() {
            Ok(panic) => telemetry::panicked(panic.as_ref()),
            Err(cancelled) => Error::internal(cancelled).into(),
        }),
    }
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

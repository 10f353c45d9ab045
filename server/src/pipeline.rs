//! The whole request path, top to bottom: every layer, outermost first, and every mount.
//!
//! A request gets an id, its path is normalised (official clients send double and trailing slashes), and the dialect
//! under whose mount it lies is noted, so that whatever refuses it, be it a layer, the router or a handler, the refusal is
//! rendered in that dialect. [`Failure`] travels in the response's extensions until then.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, StatusCode, Uri},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, patch},
};
use futures_util::FutureExt;
use tower::{ServiceExt, util::BoxCloneSyncService};

use crate::{
    app::App,
    dialects::{self, Dialect, Exchange, REGISTRY},
    extract::{self, Body},
    failure::{Failure, Kind},
    telemetry,
};

/// The id of one request: 32 lower-case hexadecimal digits, unique in this process and, by its random half, beyond it.
#[derive(Clone, Debug)]
pub struct RequestId(pub Arc<str>);

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The most bytes of a path and query. The HTTP library itself refuses those over 64 KiB, without a body.
const MAX_URI: usize = 16 * 1024;

static PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// The server as one service: normalise the path → answer in the right dialect → mounts.
pub fn service(app: &App) -> BoxCloneSyncService<Request, Response, std::convert::Infallible> {
    let ids = Arc::new(RequestIds::new(app));
    let state = (app.clone(), ids);
    let routes = mounts(app).layer(middleware::from_fn_with_state(state, answer));
    BoxCloneSyncService::new(routes.map_request(normalise).map_response(without_false_length))
}

/// Every mount: one per dialect, then the product's own.
fn mounts(app: &App) -> Router {
    let mut router = Router::new();
    for dialect in REGISTRY {
        router = router.merge(Router::from(dialect.routes()));
    }
    if app.config.health {
        router = router
            .route("/healthz", get(StatusCode::OK))
            .route("/readyz", get(ready));
    }
    if app.config.metrics {
        router = router.route("/metrics", get(telemetry::render_metrics));
    }
    if app.config.bench {
        router = router
            .route("/bench/static", get("ok"))
            .route("/bench/echo", patch(echo));
    }
    router
        .fallback(async || Failure::new(Kind::NoRoute, "there is no such resource"))
        .method_not_allowed_fallback(async || Failure::new(Kind::NoMethod, "the resource does not know this method"))
        .with_state(app.clone())
}

/// Gives the request its id and dialect, bounds its time, catches what must not happen, renders failures, counts.
async fn answer(State((app, ids)): State<(App, Arc<RequestIds>)>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = RequestId(ids.next());
    let dialect = dialects::by_path(request.uri().path());
    request.extensions_mut().insert(id.clone());
    if let Some(dialect) = dialect {
        request.extensions_mut().insert::<&'static dyn Dialect>(dialect);
    }
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let long = request
        .uri()
        .path_and_query()
        .is_some_and(|uri| uri.as_str().len() > MAX_URI);
    let work = async {
        if long {
            let reason = format!("the path and query are longer than {MAX_URI} bytes");
            return Failure::new(Kind::UriTooLong, reason).into_response();
        }
        next.run(request).await
    };
    let work = AssertUnwindSafe(work).catch_unwind();
    let mut response = match tokio::time::timeout(app.config.request_timeout, work).await {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => telemetry::panicked(panic.as_ref()).into_response(),
        Err(_) => Failure {
            retry_after: Some(60),
            ..Failure::new(Kind::Timeout, "the request has timed out")
        }
        .into_response(),
    };
    if let Some(failure) = response.extensions_mut().remove::<Failure>() {
        telemetry::failed(&failure, &id.0, dialect.map(Dialect::name));
        let exchange = Exchange {
            request_id: id.0.to_string(),
            path,
            now: app.clock.now(),
        };
        response = render(dialect, &failure, &exchange, &response);
    }
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        response.headers_mut().insert(REQUEST_ID.clone(), value);
    }
    telemetry::answered(dialect.map(Dialect::name), &method, response.status(), began.elapsed());
    response
}

/// The failure in the called dialect's words; `Allow` of a 405 is the router's and is kept, as is what a handler says it
/// did of the caller's preferences (RFC 7240).
fn render(dialect: Option<&dyn Dialect>, failure: &Failure, exchange: &Exchange, bare: &Response) -> Response {
    let mut response = match dialect {
        Some(dialect) => dialect.render(failure, exchange),
        None => plain(failure, exchange),
    };
    for name in [&http::header::ALLOW, &PREFERENCE_APPLIED] {
        if let Some(value) = bare.headers().get(name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    if let Some(seconds) = failure.retry_after {
        // The dialect may have said it already, in its own way. Clients take 0 for nothing said.
        let said = response.headers_mut().entry(http::header::RETRY_AFTER);
        said.or_insert_with(|| seconds.max(1).into());
    }
    response
}

/// RFC 9457, for what lies under no dialect's mount.
fn plain(failure: &Failure, exchange: &Exchange) -> Response {
    let status = failure.kind.status();
    let body = serde_json::json!({
        "type": "about:blank",
        "title": status.canonical_reason(),
        "status": status.as_u16(),
        "detail": failure.message(str::to_owned),
        "instance": exchange.path,
    });
    (
        status,
        [(http::header::CONTENT_TYPE, "application/problem+json")],
        Json(body).0.to_string(),
    )
        .into_response()
}

async fn ready(State(app): State<App>) -> StatusCode {
    if app.ready().await {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}

/// The ceiling to measure against: reads and parses a JSON body and sends it back, through the same layers, and stores
/// nothing.
async fn echo(Body(body): Body) -> Result<Response, Failure> {
    let value: serde_json::Value = extract::json(&body)?;
    Ok(Json(value).into_response())
}

/// Collapses duplicate slashes and drops trailing ones. The query stays as it is.
fn normalise(mut request: Request) -> Request {
    let path = request.uri().path();
    if !path.contains("//") && (path == "/" || !path.ends_with('/')) {
        return request;
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let query = request
        .uri()
        .query()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    if let Ok(uri) = format!("/{}{query}", parts.join("/")).parse::<Uri>() {
        *request.uri_mut() = uri;
    }
    request
}

/// Takes the length off a 304, which has no body: the router gives the answer to a HEAD the length of what is not there, and a cache
/// would take it for that of the resource (RFC 9110, section 8.6).
fn without_false_length(mut response: Response) -> Response {
    if response.status() == StatusCode::NOT_MODIFIED {
        response.headers_mut().remove(http::header::CONTENT_LENGTH);
    }
    response
}

/// Makes request ids: a random half chosen at start, and a count.
struct RequestIds {
    seed: u64,
    count: AtomicU64,
}

impl RequestIds {
    fn new(app: &App) -> Self {
        Self {
            seed: app.entropy.uuid().as_u64_pair().0,
            count: AtomicU64::new(0),
        }
    }

    fn next(&self) -> Arc<str> {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        format!("{:016x}{count:016x}", self.seed).into()
    }
}

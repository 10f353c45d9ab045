//! What the pipeline does for every request, shown where no dialect speaks.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::body::{Body, Bytes};
use futures_util::stream;
use patchbay::{
    app::{App, HttpConfig},
    pipeline, telemetry,
};
use patchbay_core::{
    audit::{AuditEvent, ChainHash},
    changeset::{Changeset, Committed, Idempotency, Tenant},
    clock::{FixedClock, Timestamp},
    credential::CredentialHash,
    error::Error,
    group::Group,
    icon::Icon,
    id::{GroupId, LedgerId, LinkedAccountId, OrganizationId, RoleId, TenantId, UserId},
    linked_account::LinkedAccount,
    organization::Organization,
    remote::{LedgerEntry, OpenWrite},
    role::Role,
    store::{Holder, Key, Store, UserKey},
    user::User,
};
use tower::ServiceExt;

use crate::harness::{Answer, CountedEntropy, NoConnectors, Patchbay, request};

fn with_bench() -> HttpConfig {
    HttpConfig {
        bench: true,
        ..HttpConfig::default()
    }
}

/// A body that arrives in these pieces.
fn pieces<S>(pieces: S) -> Body
where
    S: futures_util::Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static,
{
    Body::from_stream(pieces)
}

/// Checks the problem document of a refusal outside all dialects.
fn assert_problem(answer: &Answer, status: u16, detail: &str) {
    assert_eq!(answer.status, status);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let problem = answer.json();
    assert_eq!(problem["status"], status);
    assert_eq!(problem["type"], "about:blank");
    let told = problem["detail"].as_str().unwrap();
    assert!(told.contains(detail), "{told}");
}

#[tokio::test]
async fn unknown_routes_and_methods_are_problems() {
    let patchbay = Patchbay::new().await;
    let answer = patchbay
        .send(request("GET", "/nowhere?x=1").body(Body::empty()).unwrap())
        .await;
    assert_problem(&answer, 404, "no such resource");
    assert_eq!(answer.json()["instance"], "/nowhere");
    let answer = patchbay
        .send(request("POST", "/healthz").body(Body::empty()).unwrap())
        .await;
    assert_problem(&answer, 405, "method");
    assert!(answer.header("allow").contains("GET"), "{}", answer.header("allow"));
}

#[tokio::test]
async fn bodies_are_bounded_whether_announced_or_not() {
    let patchbay = Patchbay::configured(HttpConfig {
        max_body_bytes: 1_024,
        ..with_bench()
    })
    .await;
    let large = format!("\"{}\"", "x".repeat(1_023));
    let announced = request("PATCH", "/bench/echo").header("content-length", large.len());
    let answer = patchbay.send(announced.body(Body::from(large.clone())).unwrap()).await;
    assert_problem(&answer, 413, "1024 bytes");
    let chunks: Vec<_> = large
        .as_bytes()
        .chunks(100)
        .map(|chunk| Ok(Bytes::copy_from_slice(chunk)))
        .collect();
    let answer = patchbay
        .send(
            request("PATCH", "/bench/echo")
                .body(pieces(stream::iter(chunks)))
                .unwrap(),
        )
        .await;
    assert_problem(&answer, 413, "1024 bytes");
    let fits = &large[1..];
    let fits = format!("\"{}", &fits[1..]);
    assert_eq!(fits.len(), 1_024);
    let answer = patchbay
        .send(request("PATCH", "/bench/echo").body(Body::from(fits.clone())).unwrap())
        .await;
    assert_eq!((answer.status.as_u16(), answer.bytes.len()), (200, fits.len()));
}

#[tokio::test]
async fn bodies_that_are_not_json_are_problems() {
    let patchbay = Patchbay::configured(with_bench()).await;
    for (body, detail) in [
        (Bytes::from_static(b"{\"a\":"), "not valid JSON"),
        (Bytes::from_static(b"{} x"), "not valid JSON"),
        (Bytes::from_static(b""), "not valid JSON"),
        (Bytes::from_static(b"\"\xff\""), "invalid characters"),
    ] {
        let answer = patchbay
            .send(request("PATCH", "/bench/echo").body(Body::from(body)).unwrap())
            .await;
        assert_problem(&answer, 400, detail);
    }
    let broken = stream::iter([Err(std::io::Error::other("reset"))]);
    let answer = patchbay
        .send(request("PATCH", "/bench/echo").body(pieces(broken)).unwrap())
        .await;
    assert_problem(&answer, 400, "did not arrive whole");
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_answered_in_time() {
    let patchbay = Patchbay::configured(HttpConfig {
        request_timeout: Duration::from_millis(50),
        ..with_bench()
    })
    .await;
    let answer = patchbay
        .send(request("PATCH", "/bench/echo").body(pieces(stream::pending())).unwrap())
        .await;
    assert_problem(&answer, 408, "timed out");
    assert_eq!(answer.header("retry-after"), "60");
}

#[tokio::test]
async fn a_panic_is_an_internal_error_that_tells_nothing() {
    let patchbay = Patchbay::configured(with_bench()).await;
    let panics = stream::poll_fn(|_| panic!("the secret is 42"));
    let answer = patchbay
        .send(request("PATCH", "/bench/echo").body(pieces(panics)).unwrap())
        .await;
    assert_problem(&answer, 500, "internal error");
    assert!(!String::from_utf8_lossy(&answer.bytes).contains("42"));
    let answer = patchbay
        .send(request("GET", "/bench/static").body(Body::empty()).unwrap())
        .await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn every_answer_has_a_request_id_of_its_own() {
    let patchbay = Patchbay::new().await;
    let mut ids = std::collections::HashSet::new();
    for path in ["/healthz", "/readyz", "/metrics", "/nowhere", "/healthz"] {
        let answer = patchbay.send(request("GET", path).body(Body::empty()).unwrap()).await;
        let id = answer.header("x-request-id").to_owned();
        assert!(
            id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')),
            "{id}"
        );
        assert!(ids.insert(id));
    }
}

#[tokio::test]
async fn double_and_trailing_slashes_are_the_same_path() {
    let patchbay = Patchbay::configured(with_bench()).await;
    for path in [
        "/healthz",
        "//healthz",
        "/healthz/",
        "///healthz//",
        "/bench//static/?next=//x//",
    ] {
        let answer = patchbay.send(request("GET", path).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, 200, "{path}");
    }
    let answer = patchbay
        .send(request("GET", "//no//where//").body(Body::empty()).unwrap())
        .await;
    assert_eq!(answer.json()["instance"], "/no/where");
}

#[tokio::test]
async fn health_metrics_and_bench_are_behind_switches() {
    let off = HttpConfig {
        health: false,
        metrics: false,
        ..HttpConfig::default()
    };
    let (off, on) = (
        Patchbay::configured(off).await,
        Patchbay::configured(with_bench()).await,
    );
    for path in ["/healthz", "/readyz", "/metrics", "/bench/static"] {
        let answer = off.send(request("GET", path).body(Body::empty()).unwrap()).await;
        assert_problem(&answer, 404, "no such resource");
        let answer = on.send(request("GET", path).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, 200, "{path}");
    }
}

#[tokio::test]
async fn requests_are_counted_and_timed() {
    telemetry::start_metrics().unwrap();
    telemetry::start_metrics().expect("a second start changes nothing");
    let patchbay = Patchbay::new().await;
    for method in ["GET", "BREW"] {
        patchbay
            .send(request(method, "/nowhere").body(Body::empty()).unwrap())
            .await;
    }
    let answer = patchbay
        .send(request("GET", "/metrics").body(Body::empty()).unwrap())
        .await;
    assert!(answer.header("content-type").starts_with("text/plain; version=0.0.4"));
    let text = String::from_utf8(answer.bytes).unwrap();
    for line in [
        "# TYPE patchbay_requests_total counter",
        "patchbay_requests_total{dialect=\"none\",method=\"GET\",status=\"404\"}",
        "patchbay_requests_total{dialect=\"none\",method=\"other\",status=\"404\"}",
        "# TYPE patchbay_request_seconds histogram",
        "patchbay_request_seconds_bucket{dialect=\"none\",le=\"0.001\"}",
        "patchbay_request_seconds_count{dialect=\"none\"}",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
}

#[tokio::test]
async fn a_store_that_cannot_work_makes_the_server_not_ready() {
    let app = App::new(
        Arc::new(Broken),
        Arc::new(NoConnectors),
        Arc::new(FixedClock(Timestamp::from_millis(0))),
        Arc::new(CountedEntropy::default()),
        HttpConfig::default(),
    );
    let service = pipeline::service(&app);
    let status = async |path| {
        let request = request("GET", path).body(Body::empty()).unwrap();
        service.clone().oneshot(request).await.unwrap().status()
    };
    assert_eq!(status("/readyz").await, 503);
    assert_eq!(status("/healthz").await, 200);
}

/// A store whose disk is gone.
struct Broken;

fn gone<T>() -> Result<T, Error> {
    Err(Error::internal("the disk is gone"))
}

#[async_trait]
impl Store for Broken {
    async fn holder(&self, _: &CredentialHash) -> Result<Option<Holder>, Error> {
        gone()
    }
    async fn tenants(&self) -> Result<Vec<Tenant>, Error> {
        gone()
    }
    async fn user(&self, _: TenantId, _: &UserKey) -> Result<Option<Arc<User>>, Error> {
        gone()
    }
    async fn icon(&self, _: TenantId, _: UserId) -> Result<Option<Icon>, Error> {
        gone()
    }
    async fn role(&self, _: TenantId, _: RoleId) -> Result<Option<Arc<Role>>, Error> {
        gone()
    }
    async fn organization(&self, _: TenantId, _: Key<OrganizationId>) -> Result<Option<Arc<Organization>>, Error> {
        gone()
    }
    async fn group(&self, _: TenantId, _: Key<GroupId>) -> Result<Option<Arc<Group>>, Error> {
        gone()
    }
    async fn linked_account(&self, _: TenantId, _: &LinkedAccountId) -> Result<Option<Arc<LinkedAccount>>, Error> {
        gone()
    }
    async fn linked_accounts(&self, _: TenantId) -> Result<Vec<LinkedAccount>, Error> {
        gone()
    }
    async fn ledger(&self, _: TenantId, _: LedgerId) -> Result<Option<LedgerEntry>, Error> {
        gone()
    }
    async fn last_write(&self, _: TenantId, _: &str) -> Result<Option<LedgerEntry>, Error> {
        gone()
    }
    async fn open_writes(&self, _: TenantId, _: u32) -> Result<Vec<OpenWrite>, Error> {
        gone()
    }
    async fn audit(&self, _: TenantId, _: u64, _: u32) -> Result<Vec<AuditEvent>, Error> {
        gone()
    }
    async fn audit_head(&self, _: TenantId) -> Result<(u64, ChainHash), Error> {
        gone()
    }
    async fn replay(&self, _: TenantId, _: &Idempotency, _: Timestamp) -> Result<Option<Committed>, Error> {
        gone()
    }
    async fn commit(&self, _: Changeset) -> Result<Committed, Error> {
        gone()
    }
    async fn ready(&self) -> Result<(), Error> {
        gone()
    }
}

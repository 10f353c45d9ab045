//! A Patchbay to test against: the real routes in process, or the same over TCP, over the store of choice.
//!
//! ```ignore
//! let patchbay = Patchbay::new();
//! let answer = patchbay.send(request("GET", "/api/users/x").header("authorization", "Bearer k").body(Body::empty())).await;
//! assert_eq!(answer.status, 200);
//! ```

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, StatusCode, request::Builder},
    response::Response,
};
use patchbay::{
    app::{App, HttpConfig},
    pipeline, sample,
    store::memory::MemoryStore,
    walkthrough::Sample,
};
use patchbay_core::{
    changeset::{Changeset, Delta},
    clock::{Clock, Timestamp},
    connector::{Connector, Connectors},
    error::Error,
    gateway::Entropy,
    linked_account::LinkedAccount,
    store::Store,
};
use serde_json::Value;
use tower::{ServiceExt, util::BoxCloneSyncService};
use uuid::Uuid;

/// 2025-06-15T12:00:00Z: when every test begins.
pub const START: i64 = 1_749_988_800_000;

/// A clock that tests move by hand.
pub struct HandClock(AtomicI64);

impl HandClock {
    /// Moves the clock on.
    pub fn advance_millis(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// Ids in a fixed order, so that failures repeat.
#[derive(Default)]
pub struct CountedEntropy(AtomicU64);

impl CountedEntropy {
    /// Ids that differ from those of another seed.
    pub fn seeded(seed: u64) -> Self {
        Self(AtomicU64::new(seed << 32))
    }
}

impl Entropy for CountedEntropy {
    fn uuid(&self) -> Uuid {
        let count = self.0.fetch_add(1, Ordering::SeqCst);
        Uuid::new_v5(&Uuid::NAMESPACE_OID, &count.to_be_bytes())
    }
}

/// For tests without remote systems.
pub struct NoConnectors;

impl Connectors for NoConnectors {
    fn connect(&self, _: &LinkedAccount) -> Result<Arc<dyn Connector>, Error> {
        Err(Error::NotImplemented {
            operation: "remote systems".to_owned(),
        })
    }
}

/// A Patchbay with the sample tenant.
pub struct Patchbay {
    pub store: Arc<dyn Store>,
    pub clock: Arc<HandClock>,
    pub entropy: Arc<CountedEntropy>,
    pub sample: Sample,
    pub app: App,
    service: BoxCloneSyncService<Request, Response, std::convert::Infallible>,
}

impl Patchbay {
    /// Over the memory store, with the default configuration.
    pub async fn new() -> Self {
        Self::with(
            Arc::new(MemoryStore::default()),
            Arc::new(NoConnectors),
            HttpConfig::default(),
            1,
        )
        .await
    }

    /// With another configuration.
    pub async fn configured(config: HttpConfig) -> Self {
        Self::with(Arc::new(MemoryStore::default()), Arc::new(NoConnectors), config, 1).await
    }

    /// With everything to choose. Two with different seeds have different ids and keys.
    pub async fn with(store: Arc<dyn Store>, connectors: Arc<dyn Connectors>, config: HttpConfig, seed: u64) -> Self {
        let clock = Arc::new(HandClock(AtomicI64::new(START)));
        let entropy = Arc::new(CountedEntropy::seeded(seed));
        let (changeset, sample) = sample::tenant(entropy.as_ref(), clock.now());
        store.commit(changeset).await.expect("the sample tenant commits");
        clock.advance_millis(1_500);
        let app = App::new(store.clone(), connectors, clock.clone(), entropy.clone(), config);
        let service = pipeline::service(&app);
        Self {
            store,
            clock,
            entropy,
            sample,
            app,
            service,
        }
    }

    /// Answers one request in process.
    pub async fn send(&self, request: Request) -> Answer {
        let response = self
            .service
            .clone()
            .oneshot(request)
            .await
            .expect("the service is infallible");
        Answer::of(response).await
    }

    /// Serves over TCP on a free port until the test ends.
    pub async fn serve(&self) -> SocketAddr {
        serve(self.service.clone()).await
    }

    /// Keeps one more record of the sample tenant.
    pub async fn keep(&self, delta: Delta) {
        let mut changeset = Changeset::new(self.sample.tenant, self.clock.now());
        changeset.deltas.push(delta);
        self.store.commit(changeset).await.expect("the record commits");
    }

    /// How many audit entries there are.
    pub async fn audit_len(&self) -> usize {
        self.store
            .audit(self.sample.tenant, 0, 10_000)
            .await
            .expect("the audit log reads")
            .len()
    }
}

/// Serves any service over TCP on a free port of the loopback interface until the test ends.
pub async fn serve(service: BoxCloneSyncService<Request, Response, std::convert::Infallible>) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound port");
    let router = axum::Router::new().fallback_service(service);
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// A request to complete with headers and a body.
pub fn request(method: &str, path: &str) -> Builder {
    Request::builder().method(method).uri(path)
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Answer {
    async fn of(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 16 << 20)
            .await
            .expect("a whole body")
            .to_vec();
        Self {
            status: parts.status,
            headers: parts.headers,
            bytes,
        }
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes)
            .unwrap_or_else(|error| panic!("{error}: {:?}", String::from_utf8_lossy(&self.bytes)))
    }

    /// A header's text; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("a text header"))
    }
}

/// A request body from JSON.
pub fn body(value: &Value) -> Body {
    Body::from(value.to_string())
}

#[tokio::test]
async fn unknown_paths_answer_problem_json() {
    let patchbay = Patchbay::new().await;
    let answer = patchbay
        .send(request("GET", "/nowhere").body(Body::empty()).unwrap())
        .await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.json()["instance"], "/nowhere");
}

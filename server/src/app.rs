//! What every handler can reach. The store itself is not part of it: the gateway and the authenticator are the only ways in.

use std::{future::Future, ops::Deref, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;

use patchbay_core::{
    clock::Clock,
    connector::Connectors,
    gateway::{Entropy, Gateway},
    store::Store,
};

use tokio_util::task::TaskTracker;

use crate::{
    authenticate::Authenticator,
    completion::Completion,
    failure::{Failure, Kind},
    telemetry,
};

/// The most writes that are under way, those included whose callers hung up.
const MOST_WRITES: usize = 4_096;

/// Bounds and switches of the HTTP side.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// The most bytes of a JSON body, where the dialect has no bound of its own.
    pub max_body_bytes: usize,
    /// The longest that one request may take.
    pub request_timeout: Duration,
    /// How long a request that prefers heartbeats may take before the first one, and between them.
    pub heartbeat: Duration,
    /// Whether `/healthz` and `/readyz` are served.
    pub health: bool,
    /// Whether `/metrics` is served.
    pub metrics: bool,
    /// Whether the routes that measure the server itself are served: `PATCH /bench/echo`, `GET /bench/static`.
    pub bench: bool,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            max_body_bytes: 1024 * 1024,
            request_timeout: Duration::from_mins(1),
            heartbeat: Duration::from_secs(5),
            health: true,
            metrics: true,
            bench: false,
        }
    }
}

/// The parts behind the routes.
pub struct Parts {
    /// The use cases.
    pub gateway: Gateway,
    /// Makes principals of keys.
    pub authenticator: Authenticator,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// New identities.
    pub entropy: Arc<dyn Entropy>,
    /// Bounds and switches.
    pub config: HttpConfig,
    /// Writes under way, those included whose callers hung up; a server that stops waits for them.
    pub tasks: TaskTracker,
    store: Arc<dyn Store>,
}

/// The parts, shared.
#[derive(Clone)]
pub struct App(Arc<Parts>);

impl App {
    /// Wires the parts over a store.
    pub fn new(
        store: Arc<dyn Store>,
        connectors: Arc<dyn Connectors>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        config: HttpConfig,
    ) -> Self {
        let gateway = Gateway::new(store.clone(), connectors, entropy.clone());
        let authenticator = Authenticator::new(store.clone());
        Self(Arc::new(Parts {
            gateway,
            authenticator,
            clock,
            entropy,
            config,
            tasks: TaskTracker::new(),
            store,
        }))
    }

    /// A write, which is finished once it has begun even if its caller hangs up. A panic in it becomes its failure.
    ///
    /// Fails with [`Kind::Busy`] if 4,096 are under way.
    pub fn write<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> Result<Completion<Result<T, Failure>>, Failure> {
        if self.tasks.len() >= MOST_WRITES {
            return Err(Failure {
                retry_after: Some(1),
                ..Failure::new(Kind::Busy, "too much work is waiting, try again later")
            });
        }
        let work = AssertUnwindSafe(work).catch_unwind();
        let work = work.map(|ended| ended.unwrap_or_else(|panic| Err(telemetry::panicked(&*panic))));
        Ok(Completion::new(&self.tasks, work))
    }

    /// True if the store can work now.
    pub async fn ready(&self) -> bool {
        self.store.ready().await.is_ok()
    }
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

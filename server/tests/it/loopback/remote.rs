//! The far side: a second Patchbay, recorded, or a vendor that answers as it is told; and the near side's link to it.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{body::Body, extract::Request, response::Response};
use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::future::BoxFuture;
use http::HeaderMap;
use patchbay::{
    app::HttpConfig,
    dialects,
    outbound::http::{Client, OutboundConfig, Target},
    pipeline,
    store::{
        memory::MemoryStore,
        sqlite::{Options, SqliteStore},
    },
    walkthrough::Sample,
};
use patchbay_core::{
    audit::{AuditEntry, AuditEvent},
    changeset::Delta,
    clock::Timestamp,
    connector::{Connector, Connectors},
    error::Error,
    id::LinkedAccountId,
    linked_account::{AccountStatus, LinkedAccount, RemoteTarget, SealedSecret},
    store::Store,
};
use serde_json::Value;
use tempfile::TempDir;
use tower::{ServiceExt, service_fn, util::BoxCloneSyncService};

use super::cases::Case;
use crate::harness::{self, Answer, NoConnectors, Patchbay, request};

/// Bounds that let tests call their own machine.
pub fn outbound() -> OutboundConfig {
    OutboundConfig {
        timeout: Duration::from_secs(10),
        allow_private: true,
    }
}

/// The default configuration.
pub fn http() -> HttpConfig {
    HttpConfig::default()
}

/// A Patchbay over SQLite whose ids and keys are not those of the first, and the folder that it lives in.
pub async fn second() -> (Patchbay, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteStore::open(folder.path(), &Options::default()).expect("a new store");
    let patchbay = Patchbay::with(Arc::new(store), Arc::new(NoConnectors), http(), 2).await;
    (patchbay, folder)
}

/// One request that reached the far side.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: String,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Call {
    /// The members at a JSON pointer of the body, without the user's own id, which some vendors want repeated there. A
    /// form's one JSON part counts as the body.
    pub fn said(&self, pointer: &str) -> Value {
        let open = self.body.iter().position(|byte| *byte == b'{').expect("a JSON object");
        let close = self
            .body
            .iter()
            .rposition(|byte| *byte == b'}')
            .expect("a whole JSON object");
        let body: Value = serde_json::from_slice(&self.body[open..=close]).expect("JSON");
        let mut said = body.pointer(pointer).expect("the members").clone();
        said.as_object_mut().expect("an object").remove("id");
        said
    }
}

/// What reached the far side so far.
#[derive(Clone, Default)]
pub struct Calls(Arc<Mutex<Vec<Call>>>);

impl Calls {
    /// All of it, in order; it is forgotten.
    pub fn taken(&self) -> Vec<Call> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// Serves a Patchbay over TCP behind a recorder.
pub async fn recorded(patchbay: &Patchbay) -> (SocketAddr, Calls) {
    let inner = pipeline::service(&patchbay.app);
    vendor(move |call| {
        let inner = inner.clone();
        Box::pin(async move {
            let mut again = Request::builder().method(call.method.as_str()).uri(&call.path);
            *again.headers_mut().unwrap() = call.headers;
            let Ok(response) = inner.oneshot(again.body(Body::from(call.body)).unwrap()).await;
            response
        })
    })
    .await
}

/// Serves, over TCP, a vendor that answers each call as it is told, and records the calls.
pub async fn vendor(
    answer: impl Fn(Call) -> BoxFuture<'static, Response> + Clone + Send + Sync + 'static,
) -> (SocketAddr, Calls) {
    let calls = Calls::default();
    let kept = calls.clone();
    let service = service_fn(move |request: Request| {
        let (kept, answer) = (kept.clone(), answer.clone());
        async move {
            let (parts, body) = request.into_parts();
            let call = Call {
                method: parts.method.to_string(),
                path: parts.uri.to_string(),
                headers: parts.headers,
                body: axum::body::to_bytes(body, 16 << 20).await.unwrap().to_vec(),
            };
            kept.0.lock().unwrap().push(call.clone());
            Ok(answer(call).await)
        }
    });
    (harness::serve(BoxCloneSyncService::new(service)).await, calls)
}

/// Connectors as the server makes them, except that tests' secrets are not sealed.
struct Unsealed(Client);

impl Connectors for Unsealed {
    fn connect(&self, account: &LinkedAccount) -> Result<Arc<dyn Connector>, Error> {
        let remote = account.remote.clone().expect("a remote account");
        let dialect = dialects::by_name(&remote.dialect).ok_or_else(|| Error::internal("an unknown dialect"))?;
        dialect.connector(Target {
            base_url: remote.base_url,
            secret: remote.secret.sealed.into(),
            settings: remote.settings,
            client: self.0.clone(),
        })
    }
}

/// The first Patchbay, spoken to in StackOne, with a linked account.
#[derive(Clone)]
pub struct Linked {
    pub patchbay: Arc<Patchbay>,
    account: Option<LinkedAccountId>,
}

impl Linked {
    /// Not yet linked to anything.
    pub async fn new(outbound: OutboundConfig, http: HttpConfig) -> Self {
        Self::over(Arc::new(MemoryStore::default()), outbound, http).await
    }

    /// Over a store of choice.
    pub async fn over(store: Arc<dyn Store>, outbound: OutboundConfig, http: HttpConfig) -> Self {
        let connectors = Arc::new(Unsealed(Client::new(outbound).expect("a client")));
        let patchbay = Patchbay::with(store, connectors, http, 1).await;
        Self {
            patchbay: Arc::new(patchbay),
            account: None,
        }
    }

    /// Linked to a sample tenant at an address.
    pub async fn to(&self, case: &Case, address: SocketAddr, sample: &Sample) -> Self {
        self.at(case, &format!("http://{address}{}", case.base), sample).await
    }

    /// Linked to a sample tenant at a base URL.
    pub async fn at(&self, case: &Case, base_url: &str, sample: &Sample) -> Self {
        self.link(case.dialect, base_url, &(case.secret)(sample), (case.settings)(sample))
            .await
    }

    /// Linked to anything.
    pub async fn link(&self, dialect: &str, base_url: &str, secret: &str, settings: BTreeMap<String, String>) -> Self {
        let id = LinkedAccountId(format!("remote-{dialect}").into());
        let account = LinkedAccount {
            id: id.clone(),
            tenant: self.patchbay.sample.tenant,
            status: AccountStatus::Active,
            remote: Some(RemoteTarget {
                dialect: dialect.to_owned(),
                base_url: base_url.to_owned(),
                secret: SealedSecret {
                    key: "none".to_owned(),
                    sealed: secret.to_owned(),
                },
                settings,
            }),
            created_at: Timestamp::default(),
            updated_at: Timestamp::default(),
        };
        self.patchbay.keep(Delta::PutLinkedAccount(account)).await;
        Self {
            account: Some(id),
            ..self.clone()
        }
    }

    /// The linked account's id.
    pub fn account(&self) -> &str {
        &self.account.as_ref().expect("linked").0
    }

    /// A StackOne call with the full key.
    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Body) -> Answer {
        self.patchbay.send(self.request(method, path, headers, body)).await
    }

    /// A StackOne request with the full key.
    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Body) -> Request {
        let key = STANDARD.encode(format!("{}:", self.patchbay.sample.keys.full));
        let mut request = request(method, path)
            .header("authorization", format!("Basic {key}"))
            .header("x-account-id", self.account());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(body).unwrap()
    }

    /// Updates a user, named by the vendor's id.
    pub async fn update(&self, id: &str, body: &Value) -> Answer {
        self.send("PATCH", &path(id), &[], Body::from(body.to_string())).await
    }

    /// Updates a user under an idempotency key.
    pub async fn update_once(&self, id: &str, key: &str, body: &Value) -> Answer {
        let headers = [("idempotency-key", key)];
        self.send("PATCH", &path(id), &headers, Body::from(body.to_string()))
            .await
    }

    /// Reads a user.
    pub async fn get(&self, id: &str, query: &str) -> Answer {
        self.send("GET", &(path(id) + query), &[], Body::empty()).await
    }

    /// Reads a user if he is not as this entity tag says.
    pub async fn conditional(&self, id: &str, tag: &str) -> Answer {
        self.send("GET", &path(id), &[("if-none-match", tag)], Body::empty())
            .await
    }

    /// The audit log.
    pub async fn audit(&self) -> Vec<AuditEvent> {
        let tenant = self.patchbay.sample.tenant;
        self.patchbay.store.audit(tenant, 0, 1_000).await.unwrap()
    }

    /// The last entry of the audit log.
    pub async fn last_audit(&self) -> AuditEntry {
        self.audit().await.last().expect("an entry").entry.clone()
    }
}

fn path(id: &str) -> String {
    format!("/unified/iam/users/{id}")
}

//! Every route × {no, bad, expired credential, no right, right}.
//!
//! The routes are those of the OpenAPI documents. What their parameters may be, and in which header form a dialect takes
//! a key, is read off the dialect's own walkthrough; nothing here knows a vendor.

use std::collections::BTreeSet;

use axum::{body::Body, extract::Request};
use base64::{Engine, engine::general_purpose::STANDARD};
use patchbay::{
    dialects::{Dialect, REGISTRY},
    openapi,
    walkthrough::{Step, StepBody},
};
use patchbay_core::{
    changeset::Delta,
    clock::{Clock, Timestamp},
    credential::{Credential, CredentialHash, Subject},
    gateway::Entropy,
    id::{CredentialId, RoleId, Serial},
    policy::{Action, Effect, Reach, Statement},
    role::Role,
};

use crate::harness::{Patchbay, request};

const AUTHORIZATION: &str = "authorization";

/// One operation of a dialect, with all that is needed to call it.
pub struct Operation {
    pub dialect: &'static dyn Dialect,
    pub method: String,
    /// The path as documented, with its parameters in braces.
    pub template: String,
    /// The path with the sample's values.
    pub path: String,
    /// The call of the walkthrough that the values come from.
    step: Step,
}

/// Every operation of every dialect.
pub fn operations(patchbay: &Patchbay) -> Vec<Operation> {
    let mut operations = Vec::new();
    for dialect in REGISTRY {
        let steps = dialect.walkthrough(&patchbay.sample);
        let document = serde_json::to_value(openapi::document(dialect)).unwrap();
        for (template, item) in document["paths"].as_object().unwrap() {
            let found = steps
                .iter()
                .find_map(|step| Some((step, filled(template, &step.path)?)));
            let (step, path) =
                found.unwrap_or_else(|| panic!("no walkthrough shows how to call {template} of {}", dialect.name()));
            for method in item.as_object().unwrap().keys() {
                operations.push(Operation {
                    dialect,
                    method: method.to_uppercase(),
                    template: template.clone(),
                    path: path.clone(),
                    step: step.clone(),
                });
            }
        }
    }
    operations
}

/// The template with the values of a path that it equals, or begins with; `None` if it does neither.
fn filled(template: &str, path: &str) -> Option<String> {
    let path = path.split('?').next()?;
    let mut values = path.split('/');
    let parts: Option<Vec<&str>> = template
        .split('/')
        .map(|part| match values.next() {
            Some(value) if part == value || part.starts_with('{') => Some(value),
            None if !part.starts_with('{') => Some(part),
            _ => None,
        })
        .collect();
    let filled = parts?.join("/");
    values.next().is_none().then_some(filled)
}

impl Operation {
    /// For people: dialect, method and template.
    pub fn name(&self) -> String {
        format!("{} {} {}", self.dialect.name(), self.method, self.template)
    }

    /// What a caller must be permitted.
    fn action(&self) -> Action {
        if self.reads() {
            Action::GetUser
        } else {
            Action::UpdateUser
        }
    }

    /// True if it changes nothing.
    pub fn reads(&self) -> bool {
        self.method == "GET"
    }

    /// The key of the walkthrough, which has every right that it needs.
    pub fn right(&self) -> String {
        self.key_of(&self.header(AUTHORIZATION))
    }

    fn header(&self, name: &str) -> String {
        let mut headers = self.step.headers.iter();
        let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    }

    fn key_of(&self, value: &str) -> String {
        self.dialect
            .credential(value)
            .expect("the dialect finds the key in its own form")
    }

    /// Another key in the header form of the dialect.
    pub fn authorization(&self, key: &str) -> String {
        let shown = self.header(AUTHORIZATION);
        let right = self.key_of(&shown);
        let value = if shown.contains(&right) {
            shown.replace(&right, key)
        } else {
            format!("Basic {}", STANDARD.encode(format!("{key}:")))
        };
        assert_eq!(self.key_of(&value), key, "{}", self.name());
        value
    }

    /// The body that the walkthrough sends with this method, with its media type.
    pub fn body(&self) -> Option<(String, Vec<u8>)> {
        if self.step.method.as_str() != self.method {
            return None;
        }
        Some(match &self.step.body {
            StepBody::Json(value) => ("application/json".to_owned(), value.to_string().into_bytes()),
            StepBody::Multipart(parts) => {
                let mut bytes = Vec::new();
                for part in parts {
                    let file = part
                        .file_name
                        .map(|name| format!("; filename=\"{name}\""))
                        .unwrap_or_default();
                    let head = format!(
                        "--cut\r\nContent-Disposition: form-data; name=\"{}\"{file}\r\nContent-Type: {}\r\n\r\n",
                        part.name, part.media
                    );
                    bytes.extend_from_slice(head.as_bytes());
                    bytes.extend_from_slice(&part.bytes);
                    bytes.extend_from_slice(b"\r\n");
                }
                bytes.extend_from_slice(b"--cut--\r\n");
                ("multipart/form-data; boundary=cut".to_owned(), bytes)
            }
        })
    }

    /// A call of this operation on `path`, with this key and body and the walkthrough's other headers.
    pub fn call(&self, path: &str, key: Option<&str>, body: Option<(String, Vec<u8>)>) -> Request {
        let mut request = request(&self.method, path);
        for (name, value) in &self.step.headers {
            if !name.eq_ignore_ascii_case(AUTHORIZATION) && !name.eq_ignore_ascii_case("content-type") {
                request = request.header(name, value);
            }
        }
        if let Some(key) = key {
            request = request.header(AUTHORIZATION, self.authorization(key));
        }
        match body {
            Some((media, bytes)) => request.header("content-type", media).body(Body::from(bytes)),
            None => request.body(Body::empty()),
        }
        .unwrap()
    }
}

/// Does every call of every walkthrough, so that there is something of everything to read.
pub async fn walk(patchbay: &Patchbay, operations: &[Operation]) {
    for operation in operations.iter().filter(|operation| !operation.reads()) {
        let right = operation.right();
        let call = operation.call(&operation.path, Some(&right), operation.body());
        let answer = patchbay.send(call).await;
        assert!(answer.status.is_success(), "{}: {answer:?}", operation.name());
    }
}

/// A new key of a program whose role permits everything but this action.
pub async fn key_without(patchbay: &Patchbay, action: Action) -> String {
    let statement = Statement {
        effect: Effect::Deny,
        actions: Some([action.as_str().to_owned()].into()),
    };
    key(patchbay, statement, None).await
}

async fn key(patchbay: &Patchbay, statement: Statement, expires_at: Option<Timestamp>) -> String {
    let (tenant, at) = (patchbay.sample.tenant, patchbay.clock.now());
    let role = RoleId(patchbay.entropy.uuid());
    patchbay
        .keep(Delta::PutRole(Role {
            id: role,
            tenant,
            name: "for one test".to_owned(),
            statement,
            reach: Reach::Tenant,
            created_at: at,
            updated_at: at,
        }))
        .await;
    let id = CredentialId(patchbay.entropy.uuid());
    let secret = format!("key{}", id.0.simple());
    patchbay
        .keep(Delta::PutCredential(Credential {
            id,
            tenant,
            serial: Serial(9_000),
            hash: CredentialHash::of(&secret),
            fingerprint: Credential::fingerprint_of(&secret),
            subject: Subject::Service {
                name: "for one test".to_owned(),
                role,
                organization: None,
            },
            expires_at,
            created_at: at,
        }))
        .await;
    secret
}

/// The credentials that each operation is called with, and whether the status is the one that they ask for.
async fn outcomes(patchbay: &Patchbay, operation: &Operation) -> [(&'static str, bool); 5] {
    let expired = key(patchbay, Statement::everything(), Some(patchbay.clock.now())).await;
    let powerless = key_without(patchbay, operation.action()).await;
    let right = operation.right();
    let bad = format!("{right}x");
    let status = async |key: Option<&str>| {
        let call = operation.call(&operation.path, key, operation.body());
        patchbay.send(call).await.status
    };
    [
        ("no credential", status(None).await == 401),
        ("bad credential", status(Some(&bad)).await == 401),
        ("expired credential", status(Some(&expired)).await == 401),
        ("no right", status(Some(&powerless)).await == 403),
        ("right", status(Some(&right)).await.is_success()),
    ]
}

#[tokio::test]
async fn every_route_holds_against_every_kind_of_credential() {
    let patchbay = Patchbay::new().await;
    let operations = operations(&patchbay);
    walk(&patchbay, &operations).await;
    let mut uncovered = BTreeSet::new();
    for operation in &operations {
        for (credential, holds) in outcomes(&patchbay, operation).await {
            if !holds {
                uncovered.insert(format!("{}: {credential}", operation.name()));
            }
        }
    }
    let text = include_str!("uncovered.txt").lines().map(str::trim);
    let excepted: BTreeSet<String> = text
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect();
    let new: Vec<_> = uncovered.difference(&excepted).collect();
    assert!(new.is_empty(), "not held, and no exception: {new:#?}");
    let covered: Vec<_> = excepted.difference(&uncovered).collect();
    assert!(
        covered.is_empty(),
        "held or gone, so take it out of uncovered.txt: {covered:#?}"
    );
}

#[test]
fn templates_are_filled_from_paths() {
    let path = "/a/b/7?x=1";
    assert_eq!(filled("/a/b/{id}", path).as_deref(), Some("/a/b/7"));
    assert_eq!(filled("/a/b/{id}/icon", path).as_deref(), Some("/a/b/7/icon"));
    for other in ["/a/c/{id}", "/a/{id}", "/a/b/{id}/{part}"] {
        assert_eq!(filled(other, path), None, "{other}");
    }
}

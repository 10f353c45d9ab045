//! The SoftwareOne dialect: every sentence of its two paragraphs, in process, and its connector over TCP.

mod account_user;
mod connector;
mod current_account;
mod form;
mod icon;
mod membership;
mod refusals;
mod user;

use axum::body::Body;
use patchbay_core::{
    changeset::Delta,
    group::Group,
    id::{GroupId, Serial},
    organization::Organization,
    revision::Revision,
    store::Key,
};
use serde_json::Value;
use uuid::Uuid;

use crate::harness::{Answer, Patchbay, request};

const HAN: &str = "/public/v1/accounts/users/USR-0000-0001";
const LEIA: &str = "/public/v1/accounts/users/USR-0000-0002";
const MON: &str = "/public/v1/accounts/users/USR-0000-0005";
const HAN_IN_REBELS: &str = "/public/v1/accounts/accounts/ACC-0000-0001/users/USR-0000-0001";
const LEIA_IN_REBELS: &str = "/public/v1/accounts/accounts/ACC-0000-0001/users/USR-0000-0002";

/// The least that is recognised as each type.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n tiny";
const JPEG: &[u8] = b"\xff\xd8\xff\xe0 tiny";

/// Sends a call with a key and more headers.
async fn call(
    patchbay: &Patchbay,
    key: &str,
    (method, path): (&str, &str),
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> Answer {
    let mut builder = request(method, path).header("authorization", format!("Bearer {key}"));
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    patchbay.send(builder.body(body.into()).unwrap()).await
}

async fn get_as(patchbay: &Patchbay, key: &str, path: &str) -> Answer {
    call(patchbay, key, ("GET", path), &[], Body::empty()).await
}

/// Reads as Operations.
async fn get(patchbay: &Patchbay, path: &str) -> Value {
    let answer = get_as(patchbay, &patchbay.sample.keys.operations, path).await;
    assert_eq!(answer.status, 200, "{:?}", answer.json());
    answer.json()
}

async fn put_as(patchbay: &Patchbay, key: &str, path: &str, json: &Value) -> Answer {
    let headers = [("content-type", "application/json")];
    call(patchbay, key, ("PUT", path), &headers, json.to_string()).await
}

/// Writes as Operations.
async fn put(patchbay: &Patchbay, path: &str, json: &Value) -> Answer {
    put_as(patchbay, &patchbay.sample.keys.operations, path, json).await
}

/// A form's body with the boundary `b`.
fn form(parts: &[(&str, &str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (disposition, media, bytes) in parts {
        let head = format!("--b\r\nContent-Disposition: form-data; {disposition}\r\nContent-Type: {media}\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--b--\r\n");
    body
}

const ICON: &str = "name=\"icon\"; filename=\"icon.png\"";
const USER: &str = "name=\"user\"";
const FORM: (&str, &str) = ("content-type", "multipart/form-data; boundary=b");

/// Sends a form as Operations.
async fn put_form(patchbay: &Patchbay, path: &str, parts: &[(&str, &str, &[u8])]) -> Answer {
    let key = &patchbay.sample.keys.operations;
    call(patchbay, key, ("PUT", path), &[FORM], form(parts)).await
}

/// Asserts a problem of this status, and which member it names; returns it.
#[track_caller]
fn assert_problem(answer: &Answer, status: u16, member: Option<&str>) -> Value {
    let problem = answer.json();
    assert_eq!(answer.status.as_u16(), status, "{problem}");
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(problem["status"], status);
    for name in ["type", "title", "detail", "instance"] {
        assert!(
            problem[name].as_str().is_some_and(|text| !text.is_empty()),
            "{name}: {problem}"
        );
    }
    let trace: Vec<&str> = problem["traceId"].as_str().unwrap().split('-').collect();
    assert_eq!(trace.iter().map(|part| part.len()).collect::<Vec<_>>(), [2, 32, 16, 2]);
    assert_eq!(trace[1], answer.header("x-request-id"));
    match member {
        Some(member) => {
            let errors = problem["errors"].as_object().expect("errors");
            assert_eq!(errors.keys().collect::<Vec<_>>(), [member], "{problem}");
            assert!(errors[member][0].as_str().is_some_and(|text| text.starts_with(member)));
        }
        None => assert_eq!(problem.get("errors"), None),
    }
    problem
}

async fn organization(patchbay: &Patchbay, serial: u32) -> Organization {
    let key = Key::Serial(Serial(serial));
    let found = patchbay.store.organization(patchbay.sample.tenant, key).await;
    Organization::clone(&found.unwrap().unwrap())
}

/// Keeps one more group of an organization, with the number 3.
async fn third_group(patchbay: &Patchbay, organization: &Organization) {
    let group = Group {
        id: GroupId(Uuid::from_u128(3)),
        tenant: patchbay.sample.tenant,
        serial: Serial(3),
        organization: organization.id,
        name: "Pilots".to_owned(),
        description: None,
        is_default: false,
        revision: Revision::FIRST,
        created_at: organization.created_at,
    };
    patchbay.keep(Delta::PutGroup(group)).await;
}

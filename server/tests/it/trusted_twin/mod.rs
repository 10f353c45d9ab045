//! Trusted Twin, to the letter of its documentation: inward in process, outward over TCP against a vendor made here and
//! against Patchbay's own facade.

mod inward;
mod outward;
mod refusals;

use axum::body::Body;
use serde_json::json;
use uuid::Uuid;

use crate::harness::{Answer, Patchbay, request};

const UNKNOWN: &str = "3d0f1348-612a-4804-b632-24c4b871e76e";

/// Sends a body as the administrator, to the first user.
async fn patch(patchbay: &Patchbay, body: impl Into<Body>) -> Answer {
    let secret = patchbay.sample.keys.administrator.clone();
    let builder = request("PATCH", &path(patchbay)).header("authorization", secret);
    patchbay.send(builder.body(body.into()).unwrap()).await
}

async fn get(patchbay: &Patchbay) -> Answer {
    let secret = patchbay.sample.keys.administrator.clone();
    let builder = request("GET", &path(patchbay)).header("authorization", secret);
    patchbay.send(builder.body(Body::empty()).unwrap()).await
}

async fn call(patchbay: &Patchbay, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let builder = headers.iter().fold(request(method, path), |builder, (name, value)| {
        builder.header(*name, *value)
    });
    patchbay.send(builder.body(Body::from(body.to_owned())).unwrap()).await
}

fn path(patchbay: &Patchbay) -> String {
    format!("/users/{}", patchbay.sample.users[0].id)
}

/// Checks a refusal: status, subcode, a trace that is the request's id as a UUID, and a description.
fn refused(answer: &Answer, subcode: u32) -> String {
    let body = answer.json();
    assert_eq!(body["subcode"], json!(subcode), "{body}");
    assert_eq!(u32::from(answer.status.as_u16()), subcode / 1000, "{body}");
    let trace = body["trace"].as_str().unwrap();
    assert_eq!(
        Uuid::parse_str(trace).unwrap().simple().to_string(),
        answer.header("x-request-id")
    );
    assert_eq!((trace.len(), body.as_object().unwrap().len()), (36, 3));
    assert_eq!(answer.header("content-type"), "application/json");
    body["description"].as_str().unwrap().to_owned()
}

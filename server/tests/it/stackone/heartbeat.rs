//! `Prefer: heartbeat` with slow linked accounts, and writes whose callers hang up.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use axum::{body::Body, response::Response};
use patchbay::app::HttpConfig;
use serde_json::{Value, json};

use super::{call, envelope, path, refused};
use crate::{
    harness::{Answer, Patchbay},
    loopback::remote::{self, Calls, Linked},
};

const PREFER: [(&str, &str); 1] = [("prefer", "heartbeat")];

/// A Patchbay with an account at a vendor that takes its time and then answers every call with this.
async fn slow(wait: u64, status: u16, body: Value, config: HttpConfig) -> (Linked, Calls) {
    let (address, calls) = remote::vendor(move |call| {
        let done = json!({ "statusCode": 200, "message": "Record updated successfully.", "timestamp": "2021-01-01T01:01:01.000Z" });
        let body = if body.is_null() && call.method == "PATCH" { done } else { body.clone() };
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(wait)).await;
            let builder = Response::builder().status(status).header("content-type", "application/json");
            builder.body(Body::from(body.to_string())).unwrap()
        })
    })
    .await;
    let settings = BTreeMap::from([("account_id".to_owned(), "acct1".to_owned())]);
    let linked = Linked::new(remote::outbound(), config).await;
    (
        linked
            .link("stackone", &format!("http://{address}"), "v1.eu1.KEY", settings)
            .await,
        calls,
    )
}

fn beating(millis: u64) -> HttpConfig {
    HttpConfig {
        heartbeat: Duration::from_millis(millis),
        ..HttpConfig::default()
    }
}

async fn update(linked: &Linked, headers: &[(&str, &str)]) -> Answer {
    let body = Body::from(r#"{"first_name": "Slow"}"#);
    linked.send("PATCH", "/unified/iam/users/u1", headers, body).await
}

async fn get(linked: &Linked, headers: &[(&str, &str)]) -> Answer {
    linked
        .send("GET", "/unified/iam/users/u1", headers, Body::empty())
        .await
}

/// How many writes the vendor was asked for; his user is read once more after each.
fn writes(calls: &Calls) -> usize {
    calls.taken().iter().filter(|call| call.method == "PATCH").count()
}

/// The newlines before the JSON, and the JSON.
fn split(answer: &Answer) -> (usize, Value) {
    let beats = answer.bytes.iter().take_while(|byte| **byte == b'\n').count();
    (beats, answer.json())
}

#[tokio::test]
async fn a_fast_call_ends_as_it_would_without() {
    let patchbay = Patchbay::new().await;
    let send = async |method: &str, path: &str, body: &'static str| {
        let request = call(&patchbay, method, path).header("prefer", "respond-async, heartbeat");
        patchbay.send(request.body(Body::from(body)).unwrap()).await
    };
    let here = path(&patchbay, 0);
    for (method, body) in [("GET", ""), ("PATCH", r#"{"first_name": "Quick"}"#)] {
        let answer = send(method, &here, body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("preference-applied")),
            (200, "heartbeat")
        );
        assert_eq!(answer.bytes[0], b'{');
        assert!(!answer.header("etag").is_empty());
        let nobody = send(method, "/unified/iam/users/nobody", body).await;
        refused(&nobody, 404);
        assert_eq!(
            nobody.header("preference-applied"),
            "heartbeat",
            "the true status, and the preference was applied"
        );
    }
    for prefer in [None, Some(r#"a="x, heartbeat, y""#), Some("wait=5, respond-async")] {
        let request = call(&patchbay, "GET", &here);
        let request = prefer
            .into_iter()
            .fold(request, |request, prefer| request.header("prefer", prefer));
        let plain = patchbay.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(plain.headers.get("preference-applied"), None);
    }
}

#[tokio::test]
async fn a_slow_update_is_kept_alive_by_newlines() {
    let (linked, calls) = slow(350, 200, Value::Null, beating(100)).await;
    let answer = update(&linked, &PREFER).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("preference-applied")),
        (200, "heartbeat")
    );
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.headers.get("content-length"), None, "chunked");
    let (beats, body) = split(&answer);
    assert!((1..=8).contains(&beats), "{beats}");
    assert_eq!(body["message"], "Record updated successfully.");
    assert_eq!(writes(&calls), 1);
}

#[tokio::test]
async fn the_first_newline_comes_after_one_interval_and_before_the_end() {
    let (linked, _) = slow(600, 200, Value::Null, beating(100)).await;
    let address = linked.patchbay.serve().await;
    let request = linked.request("PATCH", "/unified/iam/users/u1", &PREFER, Body::empty());
    let began = Instant::now();
    let client = reqwest::Client::new();
    let url = format!("http://{address}{}", request.uri());
    let mut response = client
        .patch(url)
        .headers(request.headers().clone())
        .body("{}")
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["transfer-encoding"], "chunked");
    assert_eq!(response.chunk().await.unwrap().unwrap(), "\n");
    let first = began.elapsed();
    assert!(first >= Duration::from_millis(100), "{first:?}");
    let rest = response.text().await.unwrap();
    let body: Value = serde_json::from_str(&rest).unwrap();
    assert_eq!(body["statusCode"], 200);
}

#[tokio::test]
async fn a_slow_read_is_kept_alive_and_is_never_a_304() {
    let user = json!({ "data": { "id": "u1", "name": "Slow" } });
    let (linked, _) = slow(200, 200, user, beating(50)).await;
    let tag = get(&linked, &[]).await.header("etag").to_owned();
    assert_eq!(get(&linked, &[("if-none-match", &tag)]).await.status, 304);
    let answer = get(&linked, &[PREFER[0], ("if-none-match", &tag)]).await;
    assert_eq!(answer.status, 200, "the status had gone out");
    let (beats, body) = split(&answer);
    assert!(beats >= 1);
    assert_eq!(body["data"]["name"], "Slow");
}

#[tokio::test]
async fn an_error_after_the_first_byte_is_told_in_the_body() {
    let (linked, _) = slow(200, 403, json!({ "message": "no" }), beating(50)).await;
    for answer in [update(&linked, &PREFER).await, get(&linked, &PREFER).await] {
        assert_eq!(
            (answer.status.as_u16(), answer.header("preference-applied")),
            (200, "heartbeat")
        );
        let (beats, body) = split(&answer);
        assert!(beats >= 1);
        envelope(&body, 403);
        assert_eq!(body["provider_errors"][0]["status"], 403);
    }
    let plain = update(&linked, &[]).await;
    refused(&plain, 403);
    let path = "/unified/iam/users/u";
    let head = linked.send("HEAD", path, &PREFER, axum::body::Body::empty()).await;
    assert_eq!(head.status, 403, "there is no body to tell it in");
}

#[tokio::test]
async fn heartbeats_end_when_the_request_must() {
    let config = HttpConfig {
        request_timeout: Duration::from_millis(250),
        ..beating(50)
    };
    let (linked, _) = slow(5_000, 200, Value::Null, config).await;
    let (beats, body) = split(&update(&linked, &PREFER).await);
    assert!(beats >= 2);
    envelope(&body, 408);
    let plain = update(&linked, &[]).await;
    refused(&plain, 408);
    assert_eq!(plain.header("retry-after"), "60");
}

#[tokio::test]
async fn a_write_goes_on_when_its_caller_hangs_up() {
    for headers in [&PREFER[..], &[]] {
        let (linked, calls) = slow(300, 200, Value::Null, beating(50)).await;
        let gone = tokio::time::timeout(Duration::from_millis(150), update(&linked, headers)).await;
        assert!(gone.is_err(), "the caller hung up");
        let before = linked.patchbay.audit_len().await;
        while linked.patchbay.audit_len().await == before {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(writes(&calls), 1);
        assert_eq!(
            linked.patchbay.audit_len().await,
            before + 1,
            "the outcome was recorded"
        );
        assert_eq!(linked.last_audit().await.outcome, patchbay_core::audit::Outcome::Done);
    }
}

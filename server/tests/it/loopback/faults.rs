//! Vendors that refuse, fail, babble, dawdle or are not there, behind each dialect's connector.

use std::{net::SocketAddr, time::Duration};

use axum::{body::Body, response::Response};
use patchbay::outbound::http::OutboundConfig;
use patchbay_core::audit::Outcome;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    cases::{self, Case},
    for_each_dialect,
    remote::{self, Linked},
};
use crate::harness::Answer;

for_each_dialect! {
    refusals_become_stackone_errors
    what_shows_the_request_shows_no_secret
    answers_that_are_no_answers_are_bad_gateways
    what_is_told_of_another_user_is_not_taken_for_this_one
    silence_is_a_timeout
    nothing_was_done_by_who_sends_elsewhere
    come_back_at_once_is_never_said
    a_broken_answer_is_a_bad_gateway
    a_refusal_that_is_cut_off_is_a_refusal
    a_read_whose_connection_was_closed_is_sent_again
    nobody_there_is_a_bad_gateway
}

const SECRET: &str = "s3cr3t-0f-th3-l1nk3d-4cc0unt";

/// The first Patchbay, linked in one dialect to whatever is at an address. The secret stands in the URL too, as careless
/// operators have it.
async fn linked(case: &Case, address: SocketAddr) -> Linked {
    let outbound = OutboundConfig {
        timeout: Duration::from_millis(500),
        ..remote::outbound()
    };
    let base = format!("http://me:{SECRET}@{address}{}", case.base);
    let first = Linked::new(outbound, remote::http()).await;
    let settings = (case.settings)(&first.patchbay.sample);
    first.link(case.dialect, &base, SECRET, settings).await
}

/// The answers to a read and to an update of some user.
async fn both(case: &Case, linked: &Linked) -> [Answer; 2] {
    let id = (case.id)(&linked.patchbay.sample.users[0]);
    [linked.get(&id, "").await, linked.update(&id, &(case.change)()).await]
}

/// Checks the envelope and hands out the provider's error.
#[track_caller]
fn provider_error(answer: &Answer, status: u16) -> Value {
    let text = String::from_utf8_lossy(&answer.bytes);
    assert_eq!(answer.status.as_u16(), status, "{text}");
    assert_eq!(answer.header("content-type"), "application/json");
    assert!(!text.contains(SECRET), "{text}");
    let body = answer.json();
    assert_eq!(body["statusCode"], status);
    assert!(body["message"].is_string() && body["timestamp"].is_string(), "{body}");
    let [error] = body["provider_errors"].as_array().expect("provider errors").as_slice() else {
        panic!("{body}")
    };
    assert!(error["raw"].is_object() && error["headers"].is_object(), "{error}");
    assert!(
        error["url"].as_str().unwrap().starts_with("http://127.0.0.1:"),
        "{error}"
    );
    error.clone()
}

fn answer(status: u16, media: &str, body: impl Into<Body>) -> Response {
    let builder = Response::builder().status(status).header("content-type", media);
    builder
        .header("retry-after", "7")
        .header("set-cookie", "session=x")
        .body(body.into())
        .unwrap()
}

async fn what_shows_the_request_shows_no_secret(dialect: &str) {
    let case = cases::of(dialect);
    for (theirs, json) in [(400, true), (400, false), (200, true), (200, false)] {
        let vendor = remote::vendor(move |call| {
            let (request, uuid) = (format!("{:?}", call.headers), uuid::Uuid::nil());
            let body = if json {
                // What some dialects take for a user, but for the type of one member.
                json!({ "error": request, "data": { "first_name": [request] }, "user": [request], "uuid": [request] })
            } else {
                json!(format!("{uuid} {request}"))
            };
            let text = if json {
                body.to_string()
            } else {
                format!("<p>{body}</p>")
            };
            let mut answer = answer(theirs, "application/json", text);
            let shown = call.headers["authorization"].clone();
            answer.headers_mut().insert("x-request-id", shown);
            Box::pin(async move { answer })
        });
        let (address, calls) = vendor.await;
        let linked = linked(case, address).await;
        let answers = both(case, &linked).await;
        let sent = calls.taken();
        let credential = sent[0].headers["authorization"]
            .to_str()
            .unwrap()
            .rsplit(' ')
            .next()
            .unwrap();
        for answer in answers.iter().filter(|answer| !answer.status.is_success()) {
            let text = String::from_utf8_lossy(&answer.bytes);
            assert!(!text.contains(SECRET) && !text.contains(credential), "{theirs} {text}");
            assert!(text.contains("provider_errors"), "{theirs} {text}");
            assert!(theirs == 200 || text.contains("[secret]"), "{theirs} {text}");
        }
        assert!(!answers[0].status.is_success());
    }
}

async fn what_is_told_of_another_user_is_not_taken_for_this_one(dialect: &str) {
    let case = cases::of(dialect);
    let other = (case.nobody)();
    let (address, _) = remote::vendor(move |_| {
        // The user of each dialect, with what an update asks for.
        let user = json!({ "id": other, "remote_id": other, "name": "Hannah", "first_name": "Hannah" });
        let mut body = json!({ "statusCode": 200, "user": user, "data": user });
        let told = json!({ "id": other, "uuid": other, "firstName": "Hannah", "name": "Hannah" });
        body.as_object_mut().unwrap().extend(told.as_object().unwrap().clone());
        let answer = answer(200, "application/json", body.to_string());
        Box::pin(async move { answer })
    })
    .await;
    let linked = linked(case, address).await;
    let [read, written] = both(case, &linked).await;
    let error = provider_error(&read, 502);
    assert_eq!(error["raw"]["error"], "the answer is about another user", "{error}");
    let outcome = linked.last_audit().await.outcome;
    if dialect == "stackone" {
        // The answer to an update names nobody; only the read for his version does.
        assert_eq!((written.status.as_u16(), outcome), (200, Outcome::Done));
        assert!(!written.headers.contains_key("etag"));
    } else {
        provider_error(&written, 502);
        assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");
    }
}

async fn refusals_become_stackone_errors(dialect: &str) {
    let case = cases::of(dialect);
    for (theirs, ours) in [
        (400, 400),
        (401, 502),
        (403, 403),
        (404, 404),
        (405, 501),
        (408, 408),
        (409, 409),
        (412, 412),
        (422, 422),
        (429, 429),
        (500, 502),
        (501, 501),
        (502, 502),
        (503, 502),
        (504, 408),
    ] {
        let raw = json!({ "error": "as told" });
        let text = raw.to_string();
        let vendor = remote::vendor(move |_| {
            let text = text.clone();
            Box::pin(async move { answer(theirs, "application/json", text) })
        });
        let linked = linked(case, vendor.await.0).await;
        for answer in both(case, &linked).await {
            let error = provider_error(&answer, ours);
            assert_eq!((&error["status"], &error["raw"]), (&json!(theirs), &raw));
            assert_eq!(error["headers"]["content-type"], "application/json");
            assert_eq!(error["headers"].get("set-cookie"), None);
            if ours == 408 || ours == 429 {
                assert_eq!(answer.header("retry-after"), "7");
            }
        }
    }
}

async fn answers_that_are_no_answers_are_bad_gateways(dialect: &str) {
    let case = cases::of(dialect);
    for (status, media, body) in [
        (200, "text/html", "<html>Welcome</html>"),
        (200, "application/json", "{\"data\": {\"id\""),
        (200, "application/json", "[]"),
        (200, "application/json", "7"),
        (200, "application/json", "{}"),
        (202, "application/json", r#"{"why": "later"}"#),
        (200, "application/json", r#"{"$serde_json::private::RawValue": "{}"}"#),
        (500, "text/html", "<html>Sorry</html>"),
        (502, "application/json", "[\"a list\"]"),
        (302, "text/plain", "elsewhere"),
    ] {
        let (address, calls) = remote::vendor(move |_| Box::pin(async move { answer(status, media, body) })).await;
        let linked = linked(case, address).await;
        for answer in both(case, &linked).await {
            let error = provider_error(&answer, 502);
            assert_eq!(error["status"], status, "{body}");
        }
        assert!(
            matches!(linked.last_audit().await.outcome, Outcome::Unknown(_)),
            "{body}"
        );
        let writes = calls.taken().into_iter().filter(|call| call.method != "GET").count();
        assert_eq!(writes, 1, "no write is sent twice");
    }
}

async fn nothing_was_done_by_who_sends_elsewhere(dialect: &str) {
    let case = cases::of(dialect);
    for status in [301, 307, 308] {
        let (address, _) = remote::vendor(move |_| Box::pin(async move { answer(status, "text/plain", "") })).await;
        let linked = linked(case, address).await;
        for answer in both(case, &linked).await {
            provider_error(&answer, 502);
        }
        let outcome = linked.last_audit().await.outcome;
        assert!(matches!(outcome, Outcome::Failed(_)), "{status} {outcome:?}");
    }
}

async fn come_back_at_once_is_never_said(dialect: &str) {
    let case = cases::of(dialect);
    for (theirs, ours) in [(429, 429), (503, 502)] {
        let vendor = remote::vendor(move |_| {
            let mut answer = answer(theirs, "application/json", "{}");
            answer.headers_mut().insert("retry-after", 0.into());
            Box::pin(async move { answer })
        });
        let linked = linked(case, vendor.await.0).await;
        for answer in both(case, &linked).await {
            provider_error(&answer, ours);
            assert_eq!(answer.header("retry-after"), "1");
        }
    }
}

async fn silence_is_a_timeout(dialect: &str) {
    let case = cases::of(dialect);
    let (address, calls) = remote::vendor(|_| Box::pin(std::future::pending())).await;
    let linked = linked(case, address).await;
    for answer in both(case, &linked).await {
        let error = provider_error(&answer, 408);
        assert_eq!(error["status"], Value::Null);
        assert_eq!(answer.header("retry-after"), "60");
    }
    assert!(matches!(linked.last_audit().await.outcome, Outcome::Unknown(_)));
    let writes = calls.taken().into_iter().filter(|call| call.method != "GET").count();
    assert_eq!(writes, 1, "no write is sent twice");
}

async fn a_broken_answer_is_a_bad_gateway(dialect: &str) {
    let case = cases::of(dialect);
    for broken in ["no HTTP\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{", ""] {
        let linked = linked(case, saying(vec![broken.to_owned()]).await).await;
        for answer in both(case, &linked).await {
            let error = provider_error(&answer, 502);
            assert_eq!(error["status"], Value::Null, "{broken}");
        }
        let outcome = linked.last_audit().await.outcome;
        assert!(matches!(outcome, Outcome::Unknown(_)), "{broken}");
    }
}

/// A vendor that says one thing after the other on each connection, whatever it is asked, and then closes it.
async fn saying(words: Vec<String>) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let words = words.clone();
            tokio::spawn(async move {
                let mut request = [0; 4096];
                for word in words {
                    let _ = stream.read(&mut request).await;
                    let _ = stream.write_all(word.as_bytes()).await;
                }
            });
        }
    });
    address
}

async fn a_refusal_that_is_cut_off_is_a_refusal(dialect: &str) {
    let case = cases::of(dialect);
    for (theirs, ours) in [
        (307, 502),
        (400, 400),
        (401, 502),
        (403, 403),
        (404, 404),
        (409, 409),
        (412, 412),
        (422, 422),
        (429, 429),
    ] {
        let head = format!("HTTP/1.1 {theirs} No\r\nretry-after: 7\r\ncontent-length: 500\r\n\r\n");
        let linked = linked(case, saying(vec![head + "{\"error\": \"half"]).await).await;
        for answer in both(case, &linked).await {
            let error = provider_error(&answer, ours);
            assert_eq!(error["status"], theirs);
            assert!(
                !error["raw"].to_string().contains("half"),
                "it might break off within the credential: {error}"
            );
            assert!(ours != 429 || answer.header("retry-after") == "7");
        }
        let outcome = linked.last_audit().await.outcome;
        assert!(matches!(outcome, Outcome::Failed(_)), "{theirs} {outcome:?}");
    }
}

async fn a_read_whose_connection_was_closed_is_sent_again(dialect: &str) {
    let case = cases::of(dialect);
    let whole = "HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}".to_owned();
    // What comes second on a connection is read, and not answered.
    let linked = linked(case, saying(vec![whole, String::new()]).await).await;
    let id = (case.id)(&linked.patchbay.sample.users[0]);
    for _ in 0..6 {
        provider_error(&linked.get(&id, "").await, 404);
    }
}

async fn nobody_there_is_a_bad_gateway(dialect: &str) {
    let case = cases::of(dialect);
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let linked = linked(case, address).await;
    for answer in both(case, &linked).await {
        let error = provider_error(&answer, 502);
        assert_eq!(error["status"], Value::Null);
    }
    assert!(matches!(linked.last_audit().await.outcome, Outcome::Failed(_)));
}

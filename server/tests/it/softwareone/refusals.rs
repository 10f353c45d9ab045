//! Every refusal is a `ProblemDetails`; keys come as `Bearer`.

use axum::body::Body;
use http_body_util::BodyExt;
use patchbay::{
    dialects::{Dialect, Exchange, softwareone::SoftwareOne},
    failure::{Failure, Kind},
    walkthrough::StepBody,
};
use patchbay_core::{clock::Timestamp, id::Serial};
use serde_json::{Value, json};

use super::{HAN, HAN_IN_REBELS, assert_problem, call, get_as};
use crate::harness::{Patchbay, request};

#[tokio::test]
async fn no_or_wrong_credentials_come_before_everything_else() {
    let patchbay = Patchbay::new().await;
    let key = &patchbay.sample.keys.operations;
    for header in [
        None,
        Some("Bearer wrong".to_owned()),
        Some("Bearer ".to_owned()),
        Some(format!("Token {key}")),
        Some(key.clone()),
    ] {
        for (method, path) in [
            ("GET", HAN),
            ("PUT", HAN),
            ("PUT", HAN_IN_REBELS),
            ("GET", "/public/v1/accounts/users/x/icon"),
        ] {
            let mut builder = request(method, path).header("content-type", "nonsense");
            if let Some(header) = &header {
                builder = builder.header("authorization", header);
            }
            let answer = patchbay.send(builder.body(Body::from("nonsense")).unwrap()).await;
            let problem = assert_problem(&answer, 401, None);
            assert_eq!(problem["title"], "Unauthorized");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
    }
}

#[tokio::test]
async fn two_keys_are_none() {
    let patchbay = Patchbay::new().await;
    let key = patchbay.sample.keys.operations.clone();
    let second = ("authorization", "Bearer other");
    let answer = call(&patchbay, &key, ("GET", HAN), &[second], Body::empty()).await;
    assert_problem(&answer, 401, None);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems_too() {
    let patchbay = Patchbay::new().await;
    let key = patchbay.sample.keys.operations.clone();
    for path in [
        "/public",
        "/public/v1/nothing",
        "/public/v1/accounts/account-users/AUSR-1",
    ] {
        let problem = assert_problem(&get_as(&patchbay, &key, path).await, 404, None);
        assert_eq!(problem["instance"], path);
    }
    for (method, path) in [
        ("DELETE", HAN),
        ("PATCH", HAN_IN_REBELS),
        ("POST", "/public/v1/accounts/users/x/icon"),
    ] {
        let answer = call(&patchbay, &key, (method, path), &[], Body::empty()).await;
        assert_problem(&answer, 405, None);
        assert!(answer.header("allow").contains("GET"));
    }
}

#[tokio::test]
async fn what_is_not_json_is_400() {
    let patchbay = Patchbay::new().await;
    let key = patchbay.sample.keys.operations.clone();
    let json = [("content-type", "application/json")];
    let deep = "[".repeat(100_000);
    for body in [&b""[..], b"{", b"null", b"[]", b"5", b"{} x", b"\xff", deep.as_bytes()] {
        for path in [HAN, HAN_IN_REBELS] {
            let answer = call(&patchbay, &key, ("PUT", path), &json, body.to_vec()).await;
            assert_problem(&answer, 400, None);
        }
    }
    let answer = call(
        &patchbay,
        &key,
        ("GET", "/public/v1/accounts/users/%ff"),
        &[],
        Body::empty(),
    )
    .await;
    assert_problem(&answer, 404, None);
}

/// The kinds that no request brings about at will.
#[tokio::test]
async fn every_kind_has_its_status_and_type() {
    for (kind, status, section) in [
        (Kind::Taken, 409, "15.5.10"),
        (Kind::Precondition, 412, "15.5.13"),
        (Kind::TooLarge, 413, "15.5.14"),
        (Kind::UnsupportedMedia, 415, "15.5.16"),
        (Kind::IdempotencyMismatch, 422, "15.5.21"),
        (Kind::Busy, 503, "15.6.4"),
        (Kind::Timeout, 408, "15.5.9"),
        (Kind::Internal, 500, "15.6.1"),
    ] {
        let exchange = Exchange {
            request_id: "0123456789abcdef0000000000000001".to_owned(),
            path: "/public/x".to_owned(),
            now: Timestamp::default(),
        };
        let response = SoftwareOne.render(&Failure::new(kind, "it is so"), &exchange);
        assert_eq!(response.status().as_u16(), status);
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let problem: Value = serde_json::from_slice(&bytes).unwrap();
        let expected = json!({
            "type": format!("https://tools.ietf.org/html/rfc9110#section-{section}"),
            "title": problem["title"], "status": status, "detail": "it is so.", "instance": "/public/x",
            "traceId": "00-0123456789abcdef0000000000000001-0123456789abcdef-00",
        });
        assert_eq!(problem, expected);
    }
}

#[tokio::test]
async fn the_samples_keys_and_the_walkthrough_work() {
    let patchbay = Patchbay::new().await;
    let sample = SoftwareOne.sample(&patchbay.sample);
    assert_eq!(sample["account_id"], "ACC-0000-0001");
    assert_eq!(sample["group_id"], "UGR-0000-0001");
    assert_eq!(sample["operations_token"], patchbay.sample.keys.operations);
    assert_eq!(sample["client_token"], patchbay.sample.keys.client);
    let user = SoftwareOne.sample_user(&patchbay.sample.users[1]);
    assert_eq!(user["softwareone_id"], "USR-0000-0002");
    let steps = SoftwareOne.walkthrough(&patchbay.sample);
    assert_eq!(steps.len(), 2);
    for (revision, step) in (2..).zip(steps) {
        let mut builder = request(step.method.as_str(), &step.path);
        for (name, value) in &step.headers {
            builder = builder.header(name, value);
        }
        let (media, body) = match step.body {
            StepBody::Json(json) => ("application/json", json.to_string().into_bytes()),
            StepBody::Multipart(parts) => {
                let dispositions: Vec<String> = parts.iter().map(disposition).collect();
                let parts: Vec<_> = parts
                    .iter()
                    .zip(&dispositions)
                    .map(|(part, text)| (text.as_str(), part.media, part.bytes.as_slice()))
                    .collect();
                (super::FORM.1, super::form(&parts))
            }
        };
        let answer = patchbay
            .send(builder.header("content-type", media).body(Body::from(body)).unwrap())
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()["revision"].as_u64()),
            (200, Some(revision))
        );
    }
}

fn disposition(part: &patchbay::walkthrough::StepPart) -> String {
    let name = format!("name=\"{}\"", part.name);
    part.file_name
        .map_or_else(|| name.clone(), |file| format!("{name}; filename=\"{file}\""))
}

#[test]
fn minted_keys_have_the_vendors_form() {
    let key = SoftwareOne.mint(Serial(12_345_678), &[255; 48]);
    let (id, secret) = key.rsplit_once(':').unwrap();
    assert_eq!(id, "idt:TKN-1234-5678");
    assert_eq!(secret.len(), 48);
    assert!(secret.bytes().all(|letter| letter.is_ascii_alphanumeric()));
}

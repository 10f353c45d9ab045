//! What NERM refuses, and in which words.

use std::time::Duration;

use axum::body::Body;
use base64::{Engine, engine::general_purpose::STANDARD};
use patchbay::{
    app::HttpConfig,
    dialects::{self, Exchange},
    failure::{Failure, Kind},
};
use patchbay_core::clock::Clock;
use serde_json::{Value, json};

use super::{call, get, patch, path, with};
use crate::harness::{Patchbay, body, request};

const MISSING: &str = "param is missing or the value is empty: user";
const NOT_JSON: &str = "Invalid JSON syntax. Please check your syntax and try again.";
const FAILED: &str = "The User failed to create/update";
const NOT_FOUND: &str = "The requested User was not found";

#[tokio::test]
async fn a_body_without_a_user_is_missing_the_parameter() {
    let patchbay = Patchbay::new().await;
    let bodies = [
        "",
        "  \n",
        "{}",
        "null",
        "[]",
        "5",
        "[{\"user\":{\"title\":\"x\"}}]",
        "{\"title\":\"x\"}",
        "{\"User\":{\"title\":\"x\"}}",
        "{\"user\":null}",
        "{\"user\":\"x\"}",
        "{\"user\":[]}",
        "{\"user\":{}}",
        "{\"user\":5}",
    ];
    for text in bodies {
        let answer = call(&patchbay, "PATCH", &path(&patchbay, 0), Body::from(text)).await;
        assert_eq!(answer.status, 400, "{text}");
        assert_eq!(answer.json(), json!({ "error": MISSING }), "{text}");
    }
}

#[tokio::test]
async fn what_is_not_json_is_told_so() {
    let patchbay = Patchbay::new().await;
    let deep = "[".repeat(100_000);
    let bodies: [&[u8]; 7] = [
        b"{",
        b"{\"user\":{\"title\":NaN}}",
        b"{\"user\":{\"title\":\"x\"}} x",
        b"user[title]=x",
        b"{\"user\":{\"title\":\"\xff\"}}",
        b"{\"user\":{\"title\":\"\\ud800\"}}",
        deep.as_bytes(),
    ];
    for bytes in bodies {
        let answer = call(&patchbay, "PATCH", &path(&patchbay, 0), Body::from(bytes.to_vec())).await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.json(), json!({ "error": NOT_JSON }));
    }
}

/// The JSON library marks numbers with a name of its own; a caller who sends that name is refused like any other.
#[tokio::test]
async fn the_json_librarys_number_mark_breaks_nothing() {
    let patchbay = Patchbay::new().await;
    let before = get(&patchbay, 0).await;
    for mark in [
        r#"{"$serde_json::private::Number":"x"}"#,
        r#"{"$serde_json::private::Number":"5"}"#,
    ] {
        for text in [
            mark.to_owned(),
            format!(r#"{{"user":{mark}}}"#),
            format!(r#"{{"user":{{"title":{mark}}}}}"#),
        ] {
            let answer = call(&patchbay, "PATCH", &path(&patchbay, 0), Body::from(text.clone())).await;
            assert_eq!(answer.status, 400, "{text}");
            let told = answer.json()["error"].as_str().unwrap().to_owned();
            assert!(told.contains("must not have keys"), "{text}: {told}");
        }
    }
    assert_eq!(get(&patchbay, 0).await, before);
    let text = r#"{"user":{"title":"$serde_json::private::Number"}}"#;
    let answer = call(&patchbay, "PATCH", &path(&patchbay, 0), Body::from(text)).await;
    assert_eq!(answer.json()["user"]["title"], "$serde_json::private::Number");
}

/// Each member with each kind of wrong value; nothing else of the request is applied.
#[tokio::test]
async fn a_wrong_attribute_is_named_and_nothing_is_half_applied() {
    let patchbay = Patchbay::new().await;
    let before = get(&patchbay, 0).await;
    let blank = "can't be blank";
    let unlisted = "is not included in the list";
    let text = "must be a string";
    let cases = [
        (
            "id",
            json!("db6f8e8b-65c2-47d5-a0db-90bcc4e9df9e"),
            "must be the id in the path",
        ),
        ("id", json!(null), "must be the id in the path"),
        ("id", json!(1), text),
        ("name", json!(null), blank),
        ("name", json!(""), blank),
        ("name", json!(" \t"), blank),
        ("name", json!(7), text),
        ("name", json!("a\u{0}b"), "must not contain control characters"),
        ("email", json!(null), blank),
        ("email", json!(""), blank),
        ("email", json!("not an address"), "must be a mail address"),
        ("email", json!(false), text),
        ("type", json!(null), unlisted),
        ("type", json!("Wookiee"), unlisted),
        ("type", json!("neprofileuser"), unlisted),
        ("type", json!({}), text),
        ("profile_id", json!("1"), "must be a UUID"),
        ("profile_id", json!(""), "must be a UUID"),
        ("profile_id", json!(12.5), text),
        ("title", json!(["x"]), text),
        ("status", json!(null), blank),
        ("status", json!(""), blank),
        ("status", json!("Hibernating"), unlisted),
        ("status", json!("Blocked"), unlisted),
        ("status", json!(1), text),
        ("login", json!(null), blank),
        ("login", json!(""), blank),
        ("login", json!(" han"), "must not begin or end with a space"),
        ("login", json!({ "a": 1 }), text),
        ("login", json!("LEIA.organa"), "has already been taken"),
        ("admin", json!("true"), "must be a boolean"),
        ("admin", json!(1), "must be a boolean"),
        ("group_strings", json!(["a", "b"]), text),
        ("locale", json!(1.5), text),
        ("sailpoint_identity_id", json!(true), text),
        (
            "sailpoint_identity_id",
            json!("a\nb"),
            "must not contain control characters",
        ),
        (
            "group_strings",
            json!("a,\u{7f}"),
            "must not contain control characters",
        ),
        (
            "group_strings",
            json!("x".repeat(70_000)),
            "must have at most 500 characters",
        ),
        (
            "group_strings",
            json!("groups,".repeat(10_000)),
            "must take at most 65536 bytes together with others of its kind",
        ),
    ];
    for (member, value, message) in cases {
        let mut sent = json!({ "locale": "xx", "title": "Half applied" });
        sent[member] = value.clone();
        let answer = patch(&patchbay, 0, sent).await;
        assert_eq!(answer.status, 400, "{member}: {value}");
        let wanted = json!({ "error": FAILED, "errors": { member: [message] } });
        assert_eq!(answer.json(), wanted, "{member}: {value}");
    }
    assert_eq!(get(&patchbay, 0).await, before);
}

#[tokio::test]
async fn several_wrong_attributes_are_all_named() {
    let patchbay = Patchbay::new().await;
    let sent = json!({ "name": "", "status": "x", "title": 5, "admin": "no", "login": "fine" });
    let answer = patch(&patchbay, 0, sent).await;
    let errors = json!({
        "name": ["can't be blank"], "status": ["is not included in the list"], "title": ["must be a string"],
        "admin": ["must be a boolean"],
    });
    assert_eq!(answer.json(), json!({ "error": FAILED, "errors": errors }));
    let long = "x".repeat(501);
    let too_long = json!(["must have at most 500 characters"]);
    let email = format!("{}@example.com", "x".repeat(320));
    let answer = patch(
        &patchbay,
        0,
        json!({ "title": long, "locale": long, "email": email, "login": null }),
    )
    .await;
    let errors = json!({
        "title": too_long, "locale": too_long, "email": ["must have at most 320 characters"], "login": ["can't be blank"],
    });
    assert_eq!(answer.json(), json!({ "error": FAILED, "errors": errors }));
}

/// What other dialects keep of a user leaves this one its room.
#[tokio::test]
async fn attributes_of_other_dialects_take_no_room() {
    let patchbay = Patchbay::new().await;
    let passed: serde_json::Map<String, Value> = (0..256).map(|n| (n.to_string(), json!(n))).collect();
    let basic = format!("Basic {}", STANDARD.encode(format!("{}:", patchbay.sample.keys.full)));
    let sent = request("PATCH", &format!("/unified/iam/users/{}", patchbay.sample.users[0].id))
        .header("authorization", basic)
        .header("x-account-id", patchbay.sample.account.0.as_str());
    let answer = patchbay
        .send(sent.body(body(&json!({ "passthrough": passed }))).unwrap())
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer = patch(&patchbay, 0, json!({ "group_strings": "g" })).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["user"]["group_strings"]),
        (200, &json!("g"))
    );
}

#[tokio::test]
async fn a_name_twice_is_refused() {
    let patchbay = Patchbay::new().await;
    let twice = ["is given more than once"];
    for (text, shown) in [
        (
            r#"{"user":{"title":"a"},"user":{"title":"b"}}"#,
            json!({ "error": "user is given more than once" }),
        ),
        (
            r#"{"user":{"title":"a","title":"b"}}"#,
            json!({ "error": "The User failed to create/update", "errors": { "title": twice } }),
        ),
    ] {
        let answer = call(&patchbay, "PATCH", &path(&patchbay, 0), Body::from(text)).await;
        assert_eq!((answer.status.as_u16(), answer.json()), (400, shown), "{text}");
    }
}

#[tokio::test]
async fn ones_own_login_in_another_case_is_not_taken() {
    let patchbay = Patchbay::new().await;
    let answer = patch(&patchbay, 0, json!({ "login": "Han.Solo" })).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["user"]["login"]),
        (200, &json!("Han.Solo"))
    );
}

#[tokio::test]
async fn an_unknown_id_is_not_found_whatever_it_looks_like() {
    let patchbay = Patchbay::new().await;
    let han = patchbay.sample.users[0].id;
    let (braced, urn) = (format!("%7B{han}%7D"), format!("urn:uuid:{han}"));
    let ids = [
        &braced,
        &urn,
        "db6f8e8b-65c2-47d5-a0db-90bcc4e9df9e",
        "no-such-user",
        "1",
        "a%2Fb%20%C5%BC",
        "%FF",
        "%00",
        "..%2F..",
        "han.solo@example.com",
    ];
    for id in ids {
        let path = format!("/api/users/{id}");
        let read = call(&patchbay, "GET", &path, Body::empty()).await;
        let write = call(&patchbay, "PATCH", &path, body(&json!({ "user": { "title": "x" } }))).await;
        for answer in [read, write] {
            assert_eq!(answer.status, 404, "{id}");
            assert_eq!(answer.json(), json!({ "error": NOT_FOUND }), "{id}");
        }
    }
}

#[tokio::test]
async fn no_key_and_no_right_are_told_apart() {
    let patchbay = Patchbay::new().await;
    let sent = || body(&json!({ "user": { "title": "x" } }));
    let anonymous = patchbay
        .send(request("PATCH", &path(&patchbay, 0)).body(Body::from("{")).unwrap())
        .await;
    assert_eq!(anonymous.status, 401, "the key comes before the body");
    assert_eq!(anonymous.header("www-authenticate"), "Bearer");
    assert_eq!(
        anonymous.json(),
        json!({ "error": "the credentials are missing or not valid" })
    );
    let reader = |method: &str, content| {
        let request = request(method, &path(&patchbay, 0));
        let request = request.header(
            "authorization",
            format!("Token token={}", patchbay.sample.keys.read_only),
        );
        request.body(content).unwrap()
    };
    assert_eq!(patchbay.send(reader("GET", Body::empty())).await.status, 200);
    let refused = patchbay.send(reader("PATCH", sent())).await;
    assert_eq!(refused.status, 403);
    assert_eq!(
        refused.json(),
        json!({ "error": "your role does not permit update_user" })
    );
}

#[tokio::test]
async fn layers_refuse_in_the_same_shape() {
    let patchbay = Patchbay::configured(HttpConfig {
        max_body_bytes: 100,
        ..HttpConfig::default()
    })
    .await;
    let users = path(&patchbay, 0);
    let long = Body::from("x".repeat(101));
    let answers = [
        (404, call(&patchbay, "GET", "/api/nowhere", Body::empty()).await),
        (404, call(&patchbay, "GET", "/api", Body::empty()).await),
        (405, call(&patchbay, "PUT", &users, Body::empty()).await),
        (413, call(&patchbay, "PATCH", &users, long).await),
        (
            400,
            with(&patchbay, "PATCH", &users, &[("if-match", "1")], Body::empty()).await,
        ),
        (
            400,
            with(&patchbay, "GET", &users, &[("if-none-match", "1")], Body::empty()).await,
        ),
        (
            400,
            with(&patchbay, "PATCH", &users, &[("idempotency-key", "")], Body::empty()).await,
        ),
    ];
    for (status, answer) in answers {
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(answer.header("content-type"), "application/json");
        let body = answer.json();
        assert!(
            body["error"].is_string() && body.as_object().unwrap().len() == 1,
            "{body}"
        );
    }
    let answer = call(&patchbay, "DELETE", &users, Body::empty()).await;
    assert!(answer.header("allow").contains("PATCH"), "{answer:?}");
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_refused_in_the_same_shape() {
    let patchbay = Patchbay::configured(HttpConfig {
        request_timeout: Duration::from_millis(20),
        ..HttpConfig::default()
    })
    .await;
    let never = Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let answer = call(&patchbay, "PATCH", &path(&patchbay, 0), never).await;
    assert_eq!(answer.status, 408);
    assert!(answer.json()["error"].is_string());
}

/// The failures that a test cannot easily cause, rendered directly.
#[tokio::test]
async fn faults_and_overload_have_their_words() {
    let patchbay = Patchbay::new().await;
    let dialect = dialects::by_name("nerm").unwrap();
    let exchange = Exchange {
        request_id: "0".repeat(32),
        path: "/api/users/x".to_owned(),
        now: patchbay.clock.now(),
    };
    let cases = [
        (Kind::Internal, 500, "Sorry something went wrong"),
        (Kind::Busy, 503, "busy"),
        (Kind::BadGateway, 502, "busy"),
        (Kind::IdempotencyPending, 409, "busy"),
        (Kind::UnsupportedMedia, 415, "busy"),
    ];
    for (kind, status, error) in cases {
        let failure = Failure {
            log: Some("a secret of the log".to_owned()),
            ..Failure::new(kind, "busy")
        };
        let response = dialect.render(&failure, &exchange);
        assert_eq!(response.status(), status);
        let bytes = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        assert_eq!(
            serde_json::from_slice::<Value>(&bytes).unwrap(),
            json!({ "error": error })
        );
    }
}

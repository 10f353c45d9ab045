//! The StackOne dialect from outside: the calls of the vendor's document, every refusal, heartbeats, the connector.

mod body;
mod connector;
mod heartbeat;
mod query;
mod refusals;

use axum::body::Body;
use base64::{Engine, engine::general_purpose::STANDARD};
use http::request::Builder;
use serde_json::{Value, json};

use patchbay::walkthrough::Purpose;

use crate::harness::{Answer, Patchbay, request};

/// The path of one user of the sample.
fn path(patchbay: &Patchbay, user: usize) -> String {
    format!("/unified/iam/users/{}", patchbay.sample.users[user].id)
}

/// A key as StackOne's clients show it.
fn basic(key: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{key}:")))
}

/// A request to a path with the full key and the directory's account.
fn call(patchbay: &Patchbay, method: &str, path: &str) -> Builder {
    request(method, path)
        .header("authorization", basic(&patchbay.sample.keys.full))
        .header("x-account-id", patchbay.sample.account.0.as_str())
}

/// Updates one user of the sample.
async fn update(patchbay: &Patchbay, user: usize, body: Value) -> Answer {
    update_text(patchbay, user, body.to_string()).await
}

/// Updates one user of the sample with a body that may not be JSON.
async fn update_text(patchbay: &Patchbay, user: usize, body: impl Into<Body>) -> Answer {
    let request = call(patchbay, "PATCH", &path(patchbay, user));
    let request = request.header("content-type", "application/json").body(body.into());
    patchbay.send(request.unwrap()).await
}

/// Reads one user of the sample, with a query such as `?raw=true`.
async fn get(patchbay: &Patchbay, user: usize, query: &str) -> Answer {
    let request = call(patchbay, "GET", &format!("{}{query}", path(patchbay, user)));
    patchbay.send(request.body(Body::empty()).unwrap()).await
}

/// The user of a successful read.
async fn user(patchbay: &Patchbay, user: usize) -> Value {
    let answer = get(patchbay, user, "").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["data"].clone()
}

/// Checks that an answer is the documented envelope with this status, and hands out its message.
#[track_caller]
fn refused(answer: &Answer, status: u16) -> String {
    assert_eq!(
        answer.status.as_u16(),
        status,
        "{}",
        String::from_utf8_lossy(&answer.bytes)
    );
    assert_eq!(answer.header("content-type"), "application/json");
    envelope(&answer.json(), status)
}

#[track_caller]
fn envelope(body: &Value, status: u16) -> String {
    assert_eq!(body["statusCode"], status, "{body}");
    moment(&body["timestamp"]);
    for member in body.as_object().unwrap().keys() {
        assert!(
            ["statusCode", "message", "timestamp", "provider_errors"].contains(&member.as_str()),
            "{body}"
        );
    }
    body["message"].as_str().expect("a message").to_owned()
}

/// Checks for RFC 3339 with milliseconds and Z.
#[track_caller]
fn moment(value: &Value) {
    let text = value.as_str().unwrap_or_else(|| panic!("no moment: {value}"));
    assert_eq!(
        (text.len(), &text[10..11], &text[19..20], &text[23..]),
        (24, "T", ".", "Z"),
        "{text}"
    );
}

#[tokio::test]
async fn the_documented_example_updates_han_solo() {
    let patchbay = Patchbay::new().await;
    let before = get(&patchbay, 0, "").await;
    let example: Value =
        serde_json::from_str(include_str!("../../src/dialects/stackone/fixtures/update_user.json")).unwrap();
    let answer = update(&patchbay, 0, example).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/json");
    let timestamp = "2025-06-15T12:00:01.500Z";
    assert_eq!(
        answer.json(),
        json!({ "statusCode": 200, "message": "Record updated successfully.", "timestamp": timestamp })
    );

    let after = get(&patchbay, 0, "").await;
    assert_eq!(
        (before.header("etag"), after.header("etag"), answer.header("etag")),
        ("\"1\"", "\"2\"", "\"2\"")
    );
    let id = patchbay.sample.users[0].id.to_string();
    assert_eq!(
        after.json(),
        json!({
            "data": {
                "id": id,
                "remote_id": id,
                "unified_custom_fields": { "other_known_names": "John Doe" },
                "primary_email_address": "han@stackone.com",
                "first_name": "Han",
                "last_name": "Solo",
                "name": "Han Solo",
                "username": "hansolo1977",
                "is_bot_user": true,
                "roles": null,
                "groups": null,
                "status": { "value": "enabled", "source_value": "Enabled" },
                "last_active_at": null,
                "last_login_at": null,
                "created_at": "2025-06-15T12:00:00.000Z",
                "updated_at": timestamp,
                "multi_factor_enabled": null,
                "avatar": null,
            },
            "raw": null,
        })
    );
}

#[tokio::test]
async fn the_walkthrough_is_the_documented_example() {
    use patchbay::{dialects::by_name, walkthrough::StepBody};
    let patchbay = Patchbay::new().await;
    let dialect = by_name("stackone").unwrap();
    let steps = dialect.walkthrough(&patchbay.sample);
    let [step] = steps.as_slice() else { panic!("{steps:?}") };
    let StepBody::Json(body) = &step.body else {
        panic!("{step:?}")
    };
    let mut request = request(step.method.as_str(), &step.path);
    for (name, value) in &step.headers {
        request = request.header(name, value);
    }
    let answer = patchbay.send(request.body(Body::from(body.to_string())).unwrap()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(user(&patchbay, step.user).await["username"], "hansolo1977");
    let sample = dialect.sample(&patchbay.sample);
    assert_eq!(sample["account_id"], patchbay.sample.account.0.as_str());
    assert!(sample["api_key"].as_str().unwrap().starts_with("v1.eu1."), "{sample}");
    assert_eq!(sample["read_only_key"], patchbay.sample.keys.read_only);
}

#[tokio::test]
async fn any_key_of_the_tenant_works_with_and_without_the_colon() {
    let patchbay = Patchbay::new().await;
    let keys = patchbay.sample.keys.clone();
    assert!(keys.operations.contains(':') || keys.client.contains(':') || keys.of("nerm", Purpose::Full).len() > 20);
    for key in [
        &keys.full,
        &keys.read_only,
        keys.of("nerm", Purpose::Full),
        &keys.operations,
        &keys.client,
        &keys.administrator,
    ] {
        for shown in [basic(key), format!("basic {}", STANDARD.encode(key))] {
            let request = request("GET", &path(&patchbay, 1))
                .header("authorization", shown)
                .header("x-account-id", patchbay.sample.account.0.as_str());
            let answer = patchbay.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(answer.status, 200, "{key}");
        }
    }
}

#[tokio::test]
async fn a_user_needs_the_permission_to_change_himself_too() {
    let patchbay = Patchbay::new().await;
    let own = async |body: Value| {
        let request = request("PATCH", &path(&patchbay, 1))
            .header("authorization", basic(&patchbay.sample.keys.client))
            .header("x-account-id", patchbay.sample.account.0.as_str());
        patchbay.send(request.body(Body::from(body.to_string())).unwrap()).await
    };
    refused(&own(json!({ "first_name": "Lea" })).await, 403);
    refused(&own(json!({ "status": { "value": "disabled" } })).await, 403);
    assert_eq!(user(&patchbay, 1).await["first_name"], "Leia");
}

#[tokio::test]
async fn an_idempotency_key_replays_the_first_answer() {
    let patchbay = Patchbay::new().await;
    let send = async |account: &str, body: Value| {
        let request = request("PATCH", &path(&patchbay, 0))
            .header("authorization", basic(&patchbay.sample.keys.full))
            .header("x-account-id", account)
            .header("idempotency-key", "once");
        patchbay.send(request.body(Body::from(body.to_string())).unwrap()).await
    };
    let account = patchbay.sample.account.0.to_string();
    let first = send(&account, json!({ "first_name": "Once" })).await;
    patchbay.clock.advance_millis(5_000);
    update(&patchbay, 0, json!({ "first_name": "Later" })).await;
    let replay = send(&account, json!({ "first_name": "Once" })).await;
    assert_eq!(
        (first.status.as_u16(), &first.bytes),
        (replay.status.as_u16(), &replay.bytes)
    );
    assert_eq!(first.header("etag"), replay.header("etag"));
    assert_eq!(user(&patchbay, 0).await["first_name"], "Later");
    let message = refused(&send(&account, json!({ "first_name": "Other" })).await, 422);
    assert!(message.contains("idempotency key"), "{message}");
}

#[tokio::test]
async fn conditions_are_honoured() {
    let patchbay = Patchbay::new().await;
    let send = async |method: &str, header: &str, value: &str, body: &str| {
        let request = call(&patchbay, method, &path(&patchbay, 0)).header(header, value);
        patchbay.send(request.body(Body::from(body.to_owned())).unwrap()).await
    };
    let change = r#"{"first_name": "Changed"}"#;
    for stale in ["\"9\"", "W/\"1\"", "\"other\""] {
        refused(&send("PATCH", "if-match", stale, change).await, 412);
    }
    refused(&send("PATCH", "if-none-match", "*", change).await, 412);
    refused(&send("PATCH", "if-match", "1", change).await, 400);
    assert_eq!(user(&patchbay, 0).await["first_name"], "Han");
    assert_eq!(send("PATCH", "if-match", "\"1\"", change).await.header("etag"), "\"2\"");
    assert_eq!(send("PATCH", "if-match", "*", "{}").await.status, 200);

    let same = send("GET", "if-none-match", "\"2\"", "").await;
    assert_eq!(
        (same.status.as_u16(), same.bytes.len(), same.header("etag")),
        (304, 0, "\"2\"")
    );
    let head = send("HEAD", "if-none-match", "\"2\"", "").await;
    assert_eq!((head.status.as_u16(), head.headers.get("content-length")), (304, None));
    assert_eq!(send("GET", "if-none-match", "\"1\"", "").await.status, 200);
    refused(&send("GET", "if-none-match", "2", "").await, 400);
}

#[tokio::test]
async fn an_update_shows_in_the_audit_log_with_its_dialect() {
    let patchbay = Patchbay::new().await;
    update(&patchbay, 0, json!({ "status": { "value": "disabled" } })).await;
    let events = patchbay.store.audit(patchbay.sample.tenant, 0, 100).await.unwrap();
    let entry = &events.last().unwrap().entry;
    assert_eq!((&*entry.dialect, &*entry.action), ("stackone", "update_user"));
    assert_eq!(
        (entry.changes[0].field.as_str(), &entry.changes[0].after),
        ("status", &json!("disabled"))
    );
}

//! NERM, sentence by sentence: `GET` and `PATCH /api/users/{id}` in process, and the connector against a made-up vendor.

mod connector;
mod refusals;

use axum::body::Body;
use base64::{Engine, engine::general_purpose::STANDARD};
use patchbay::walkthrough::Purpose;
use patchbay_core::{clock::Clock, user::MAX_TEXT};
use serde_json::{Value, json};

use crate::harness::{Answer, Patchbay, body, request};

/// The seed's example request.
fn seed_request() -> Value {
    serde_json::from_str(include_str!(
        "../../src/dialects/nerm/fixtures/update_user.request.json"
    ))
    .unwrap()
}

fn path(patchbay: &Patchbay, user: usize) -> String {
    format!("/api/users/{}", patchbay.sample.users[user].id)
}

/// A call with the sample's key.
async fn call(patchbay: &Patchbay, method: &str, path: &str, content: Body) -> Answer {
    with(patchbay, method, path, &[], content).await
}

/// A call with the sample's key and further headers.
async fn with(patchbay: &Patchbay, method: &str, path: &str, headers: &[(&str, &str)], content: Body) -> Answer {
    let mut request = request(method, path).header(
        "authorization",
        format!("Bearer {}", patchbay.sample.keys.of("nerm", Purpose::Full)),
    );
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    patchbay.send(request.body(content).unwrap()).await
}

async fn get(patchbay: &Patchbay, user: usize) -> Value {
    let answer = call(patchbay, "GET", &path(patchbay, user), Body::empty()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["user"].clone()
}

async fn patch(patchbay: &Patchbay, user: usize, members: Value) -> Answer {
    let content = body(&json!({ "user": members }));
    call(patchbay, "PATCH", &path(patchbay, user), content).await
}

#[tokio::test]
async fn a_user_is_answered_whole_and_wrapped() {
    let patchbay = Patchbay::new().await;
    let han = &patchbay.sample.users[0];
    let answer = call(&patchbay, "GET", &path(&patchbay, 0), Body::empty()).await;
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("etag"), "\"1\"");
    let user = &answer.json()["user"];
    let uid = user["uid"].as_str().unwrap();
    assert!(uid.len() == 32 && !han.id.to_string().replace('-', "").eq(uid));
    assert_eq!(
        answer.json(),
        json!({ "user": {
            "id": han.id.to_string(), "uid": uid, "name": "Han Solo", "email": "han.solo@example.com",
            "type": "NeprofileUser", "title": "Captain", "status": "Active", "login": "han.solo", "last_login": null,
            "cookies_accepted_at": null, "preferred_language": "en-US", "locale": "en-US", "group_strings": null,
            "sailpoint_identity_id": null,
        }})
    );
}

#[tokio::test]
async fn the_seeds_example_is_done() {
    let patchbay = Patchbay::new().await;
    let id = patchbay.sample.users[0].id.to_string();
    let mut sent = seed_request();
    sent["user"]["id"] = json!(id);
    let answer = call(&patchbay, "PATCH", &path(&patchbay, 0), body(&sent)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("etag"), "\"2\"");
    let user = &answer.json()["user"];
    for name in [
        "id",
        "name",
        "email",
        "type",
        "title",
        "status",
        "login",
        "group_strings",
    ] {
        assert_eq!(user[name], sent["user"][name], "{name}");
    }
    for hidden in ["profile_id", "admin"] {
        assert_eq!(user.get(hidden), None, "{hidden} is never answered");
    }
    assert_eq!(&get(&patchbay, 0).await, user);
    let key = patchbay_core::store::UserKey::Opaque(id.clone());
    let kept = patchbay
        .store
        .user(patchbay.sample.tenant, &key)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(kept.attributes["nerm:admin"], json!(false));
    assert_eq!(kept.attributes["nerm:profile_id"], sent["user"]["profile_id"]);
    assert_eq!(kept.first_name.as_deref(), Some("Han"));
    assert_eq!(kept.updated_at, patchbay.clock.now());
}

#[tokio::test]
async fn absent_leaves_null_clears_and_a_value_sets() {
    let patchbay = Patchbay::new().await;
    let set = json!({
        "type": "NeaccessUser", "title": "General", "status": "Pending", "group_strings": "a, b", "locale": "fr-CA",
        "sailpoint_identity_id": "9496f8d6ddab49c0bef1e9ee6f1b835a", "admin": true,
        "profile_id": "db6f8e8b-65c2-47d5-a0db-90bcc4e9df9e",
    });
    let answer = patch(&patchbay, 0, set.clone()).await.json();
    for name in [
        "type",
        "title",
        "status",
        "group_strings",
        "locale",
        "sailpoint_identity_id",
    ] {
        assert_eq!(answer["user"][name], set[name], "{name}");
    }
    assert_eq!(answer["user"]["preferred_language"], "en-US");
    assert_eq!(answer["user"]["login"], "han.solo");
    let clear = json!({
        "title": null, "group_strings": null, "locale": null, "sailpoint_identity_id": null, "admin": null,
        "profile_id": null,
    });
    let user = patch(&patchbay, 0, clear).await.json()["user"].clone();
    for name in ["title", "group_strings", "locale", "sailpoint_identity_id"] {
        assert_eq!(user[name], Value::Null, "{name}");
    }
    assert_eq!(
        (&user["status"], &user["type"]),
        (&json!("Pending"), &json!("NeaccessUser"))
    );
    let key = patchbay_core::store::UserKey::Id(patchbay.sample.users[0].id);
    let kept = patchbay
        .store
        .user(patchbay.sample.tenant, &key)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(kept.attributes.keys().collect::<Vec<_>>(), ["nerm:type"]);
}

#[tokio::test]
async fn every_status_is_told_back() {
    let patchbay = Patchbay::new().await;
    for status in ["Disabled", "Pending", "Active"] {
        assert_eq!(
            patch(&patchbay, 0, json!({ "status": status })).await.json()["user"]["status"],
            status
        );
    }
}

#[tokio::test]
async fn unknown_members_are_ignored_and_no_change_is_no_revision() {
    let patchbay = Patchbay::new().await;
    let before = patchbay.audit_len().await;
    let sent = json!({ "nonsense": { "a": 1 }, "uid": "x", "last_login": 5, "preferred_language": "de" });
    let answer = patch(&patchbay, 0, sent).await;
    assert_eq!((answer.status.as_u16(), answer.header("etag")), (200, "\"1\""));
    assert_eq!(answer.json()["user"]["preferred_language"], "en-US");
    assert_eq!(patchbay.audit_len().await, before);
}

#[tokio::test]
async fn both_header_forms_open_in_any_case() {
    let patchbay = Patchbay::new().await;
    let key = patchbay.sample.keys.of("nerm", Purpose::Full);
    assert!(
        key.starts_with("ne-") && key.bytes().skip(3).all(|byte| byte.is_ascii_alphanumeric()),
        "{key}"
    );
    let opens = [
        format!("Bearer {key}"),
        format!("bearer  {key} "),
        format!("Token token={key}"),
        format!("token token=\"{key}\""),
        format!("TOKEN token=\"{key}\", nonce=\"1\""),
        format!("Token nonce=\"1\", token=\"{key}\""),
        format!("Token {key}"),
        format!("Bearer token={key}"),
    ];
    let closed = [
        String::new(),
        key.to_owned(),
        "Bearer".to_owned(),
        "Bearer ne-wrong".to_owned(),
        format!("Token token={key}x"),
        format!("Token nonce={key}"),
        format!("Basic {key}"),
    ];
    for (forms, status) in [(&opens[..], 200), (&closed[..], 401)] {
        for form in forms {
            let request = request("GET", &path(&patchbay, 0)).header("authorization", form);
            let answer = patchbay.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(answer.status, status, "{form}");
        }
    }
}

#[tokio::test]
async fn double_and_trailing_slashes_are_accepted() {
    let patchbay = Patchbay::new().await;
    let id = patchbay.sample.users[0].id;
    for path in [
        format!("/api//users/{id}"),
        format!("/api///users//{id}/"),
        format!("//api/users/{id}//"),
        format!("/api/users/{id}/?x=//"),
    ] {
        assert_eq!(call(&patchbay, "GET", &path, Body::empty()).await.status, 200, "{path}");
        let sent = body(&json!({ "user": { "title": path } }));
        let answer = call(&patchbay, "PATCH", &path, sent).await;
        assert_eq!(answer.json()["user"]["title"], path);
    }
}

#[tokio::test]
async fn the_content_type_is_not_asked_for() {
    let patchbay = Patchbay::new().await;
    for media in ["application/json", "text/plain", "application/json; charset=utf-8"] {
        let sent = body(&json!({ "user": { "title": media } }));
        let answer = with(
            &patchbay,
            "PATCH",
            &path(&patchbay, 0),
            &[("content-type", media)],
            sent,
        )
        .await;
        assert_eq!(answer.status, 200);
    }
}

#[tokio::test]
async fn conditions_are_honoured() {
    let patchbay = Patchbay::new().await;
    let path = path(&patchbay, 0);
    let change = |title: &str| body(&json!({ "user": { "title": title } }));
    let first = with(&patchbay, "PATCH", &path, &[("if-match", "\"1\"")], change("A")).await;
    assert_eq!((first.status.as_u16(), first.header("etag")), (200, "\"2\""));
    for stale in [
        ("if-match", "\"1\""),
        ("if-match", "W/\"2\""),
        ("if-match", "\"02\""),
        ("if-none-match", "\"2\""),
        ("if-none-match", "*"),
    ] {
        let refused = with(&patchbay, "PATCH", &path, &[stale], change("B")).await;
        assert_eq!(refused.status, 412, "{stale:?}");
        assert!(refused.json()["error"].is_string());
    }
    assert_eq!(get(&patchbay, 0).await["title"], "A");
    let read = with(&patchbay, "GET", &path, &[("if-none-match", "\"2\"")], Body::empty()).await;
    assert_eq!((read.status.as_u16(), read.header("etag")), (304, "\"2\""));
    assert!(read.bytes.is_empty());
    let read = with(&patchbay, "GET", &path, &[("if-none-match", "\"1\"")], Body::empty()).await;
    assert_eq!(read.status, 200);
}

#[tokio::test]
async fn an_idempotency_key_repeats_the_first_outcome() {
    let patchbay = Patchbay::new().await;
    let path = path(&patchbay, 0);
    let key = [("idempotency-key", "once")];
    let change = |title: &str| body(&json!({ "user": { "title": title } }));
    let first = with(&patchbay, "PATCH", &path, &key, change("A")).await;
    patch(&patchbay, 0, json!({ "title": "B" })).await;
    let second = with(&patchbay, "PATCH", &path, &key, change("A")).await;
    assert_eq!((second.status, &second.bytes), (first.status, &first.bytes));
    assert_eq!(second.header("etag"), first.header("etag"));
    assert_eq!(get(&patchbay, 0).await["title"], "B");
    let other = with(&patchbay, "PATCH", &path, &key, change("C")).await;
    assert_eq!(other.status, 422);
    assert!(other.json()["error"].is_string());
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let patchbay = Patchbay::new().await;
    let answer = call(&patchbay, "HEAD", &path(&patchbay, 0), Body::empty()).await;
    assert_eq!((answer.status.as_u16(), answer.header("etag")), (200, "\"1\""));
    assert!(answer.bytes.is_empty());
}

#[tokio::test]
async fn a_user_needs_the_permission_to_change_himself_too() {
    let patchbay = Patchbay::new().await;
    let own = |members: Value| {
        let request = request("PATCH", &path(&patchbay, 1));
        let request = request.header("authorization", format!("Bearer {}", patchbay.sample.keys.client));
        request.body(body(&json!({ "user": members }))).unwrap()
    };
    for members in [json!({ "title": "Senator" }), json!({ "status": "Disabled" })] {
        let refused = patchbay.send(own(members)).await;
        assert_eq!(refused.status, 403);
        assert_eq!(
            refused.json(),
            json!({ "error": "your role does not permit update_user" })
        );
    }
}

#[tokio::test]
async fn the_walkthrough_and_the_sample_can_be_used() {
    let patchbay = Patchbay::new().await;
    let dialect = patchbay::dialects::by_name("nerm").unwrap();
    assert_eq!(
        dialect.sample(&patchbay.sample),
        json!({ "token": patchbay.sample.keys.of("nerm", Purpose::Full) })
    );
    let steps = dialect.walkthrough(&patchbay.sample);
    assert_eq!(steps.len(), 1);
    for step in steps {
        let patchbay::walkthrough::StepBody::Json(content) = &step.body else {
            panic!("the seed's example is JSON");
        };
        let seed = seed_request();
        let names = |value: &Value| value["user"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(content), names(&seed));
        let mut request = request(step.method.as_str(), &step.path);
        for (name, value) in &step.headers {
            request = request.header(name, value);
        }
        let answer = patchbay.send(request.body(body(content)).unwrap()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("etag"), "\"2\"");
    }
}

/// What another dialect set, and this one would refuse, may come back as it was read; what changes is judged.
#[tokio::test]
async fn what_was_read_can_be_sent_back() {
    let patchbay = Patchbay::new().await;
    let user = patchbay.sample.users[0].id;
    let basic = format!("Basic {}", STANDARD.encode(format!("{}:", patchbay.sample.keys.full)));
    patch(&patchbay, 0, json!({ "type": "NeaccessUser" })).await;
    let cleared = json!({
        "username": null, "first_name": null, "last_name": null, "name": null, "primary_email_address": null,
        "status": { "value": "disabled", "source_value": "Blocked" },
    });
    let request = request("PATCH", &format!("/unified/iam/users/{user}"))
        .header("authorization", basic)
        .header("x-account-id", patchbay.sample.account.0.as_str());
    let answer = patchbay.send(request.body(body(&cleared)).unwrap()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let read = get(&patchbay, 0).await;
    assert_eq!((&read["name"], &read["status"]), (&Value::Null, &json!("Disabled")));
    let before = patchbay.audit_len().await;
    let answer = patch(&patchbay, 0, read.clone()).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("etag")),
        (200, "\"3\""),
        "{answer:?}"
    );
    let other = patch(&patchbay, 1, get(&patchbay, 1).await).await;
    assert_eq!(
        (other.status.as_u16(), other.header("etag")),
        (200, "\"1\""),
        "a user of whom only the defaults are shown"
    );
    assert_eq!(patchbay.audit_len().await, before);
    let key = patchbay_core::store::UserKey::Id(user);
    let kept = patchbay
        .store
        .user(patchbay.sample.tenant, &key)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(kept.status, Some(patchbay_core::user::Status::Blocked));
    assert_eq!(
        patch(&patchbay, 0, json!({ "status": "Active", "login": "han" }))
            .await
            .status,
        200
    );
    let refused = patch(&patchbay, 0, read).await;
    assert_eq!(refused.status, 400);
    assert_eq!(
        refused.json()["errors"],
        json!({ "login": ["can't be blank"] }),
        "the rest is as it was"
    );
}

/// As long as the domain allows, and one longer.
#[tokio::test]
async fn texts_are_bounded() {
    let patchbay = Patchbay::new().await;
    for name in ["name", "title", "login", "locale", "sailpoint_identity_id"] {
        let fits = patch(&patchbay, 0, json!({ name: "é".repeat(MAX_TEXT) })).await;
        assert_eq!(fits.status, 200, "{name}");
        let refused = patch(&patchbay, 0, json!({ name: "é".repeat(MAX_TEXT + 1) })).await;
        assert_eq!(refused.status, 400, "{name}");
        assert_eq!(
            refused.json()["errors"][name],
            json!(["must have at most 500 characters"])
        );
    }
}

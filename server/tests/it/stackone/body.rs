//! What an update's body may say, and what it must not.

use serde_json::{Value, json};

use super::{get, refused, update, update_text, user};
use crate::harness::Patchbay;

/// Every member, its value, and how it reads afterwards when it was cleared.
fn members() -> [(&'static str, Value); 5] {
    [
        ("primary_email_address", json!("new@example.com")),
        ("first_name", json!("New")),
        ("last_name", json!("Newer")),
        ("name", json!("The New")),
        ("username", json!("new")),
    ]
}

#[tokio::test]
async fn each_member_is_left_set_and_cleared() {
    let patchbay = Patchbay::new().await;
    for (member, value) in members() {
        let before = user(&patchbay, 0).await;
        assert_eq!(update(&patchbay, 0, json!({ member: value })).await.status, 200);
        let mut expected = before.clone();
        expected[member] = value;
        let set = user(&patchbay, 0).await;
        expected["name"] = set["name"].clone();
        expected["updated_at"] = set["updated_at"].clone();
        assert_eq!(set, expected, "{member} and nothing else changed");
    }
    assert_eq!(user(&patchbay, 0).await["name"], "The New");
    for (member, _) in members() {
        assert_eq!(update(&patchbay, 0, json!({ member: null })).await.status, 200);
        if member == "name" {
            assert_eq!(
                user(&patchbay, 0).await["name"],
                Value::Null,
                "neither first nor last name is left"
            );
        } else {
            assert_eq!(user(&patchbay, 0).await[member], Value::Null);
        }
    }
}

#[tokio::test]
async fn all_members_may_be_null_and_none_is_required() {
    let patchbay = Patchbay::new().await;
    let all = json!({
        "primary_email_address": null, "first_name": null, "last_name": null, "name": null, "username": null,
        "is_bot_user": null, "status": null, "passthrough": null,
    });
    assert_eq!(update(&patchbay, 0, all).await.status, 200);
    let cleared = user(&patchbay, 0).await;
    for member in [
        "primary_email_address",
        "first_name",
        "last_name",
        "name",
        "username",
        "is_bot_user",
        "status",
    ] {
        assert_eq!(cleared[member], Value::Null, "{member}");
    }
}

#[tokio::test]
async fn an_empty_object_changes_nothing() {
    let patchbay = Patchbay::new().await;
    let (before, entries) = (get(&patchbay, 0, "").await, patchbay.audit_len().await);
    for nothing in [
        json!({}),
        json!({ "status": {} }),
        json!({ "passthrough": {} }),
        json!({ "unknown": [1], "id": "x" }),
    ] {
        let answer = update(&patchbay, 0, nothing).await;
        assert_eq!((answer.status.as_u16(), answer.header("etag")), (200, "\"1\""));
        assert_eq!(answer.json()["message"], "Record updated successfully.");
    }
    assert_eq!(get(&patchbay, 0, "").await.bytes, before.bytes);
    assert_eq!(patchbay.audit_len().await, entries);
}

#[tokio::test]
async fn is_bot_user_is_a_boolean_or_its_text() {
    let patchbay = Patchbay::new().await;
    for (sent, read) in [
        (json!(true), true),
        (json!("false"), false),
        (json!("true"), true),
        (json!(false), false),
    ] {
        assert_eq!(update(&patchbay, 0, json!({ "is_bot_user": sent })).await.status, 200);
        assert_eq!(user(&patchbay, 0).await["is_bot_user"], read);
    }
    for wrong in [json!("TRUE"), json!("yes"), json!(""), json!(1), json!([]), json!({})] {
        let message = refused(&update(&patchbay, 0, json!({ "is_bot_user": wrong })).await, 422);
        assert!(message.starts_with("is_bot_user "), "{message}");
    }
    let huge = update_text(&patchbay, 0, r#"{"is_bot_user": 1e999}"#).await;
    let words = r#"is_bot_user is not as expected: expected true, false, "true" or "false""#;
    assert_eq!(refused(&huge, 422), words);
}

/// SoftwareOne takes any text as an address; this dialect shows it and takes it back, but sets no other such. Nor does
/// SoftwareOne judge the blank name that is there.
#[tokio::test]
async fn what_another_dialect_set_can_be_sent_back() {
    let patchbay = Patchbay::new().await;
    let serial = patchbay.sample.users[0].serial;
    let path = format!(
        "/public/v1/accounts/users/USR-{:04}-{:04}",
        serial.0 / 10_000,
        serial.0 % 10_000
    );
    let put = async |body: &'static str| {
        let sent = crate::harness::request("PUT", &path)
            .header("authorization", format!("Bearer {}", patchbay.sample.keys.operations))
            .header("content-type", "application/json");
        patchbay.send(sent.body(body.into()).unwrap()).await.status.as_u16()
    };
    assert_eq!(put(r#"{"email":"text"}"#).await, 200);
    let read = user(&patchbay, 0).await;
    let back = update(&patchbay, 0, read).await;
    assert_eq!(
        (back.status.as_u16(), back.header("etag")),
        (200, "\"2\""),
        "nothing is set, the name that the others make included"
    );
    assert_eq!(user(&patchbay, 0).await["primary_email_address"], "text");
    let other = update(&patchbay, 0, json!({ "primary_email_address": "texts" })).await;
    assert_eq!(refused(&other, 422), "primary_email_address must be a mail address");
    assert_eq!(update(&patchbay, 0, json!({ "first_name": "" })).await.status, 200);
    assert_eq!(put(r#"{"firstName":""}"#).await, 200, "as it was read there");
    assert_eq!(put(r#"{"firstName":"","lastName":null}"#).await, 400);
}

#[tokio::test]
async fn status_is_an_open_enum() {
    let patchbay = Patchbay::new().await;
    for (sent, read) in [
        (
            json!({ "value": "disabled", "source_value": null }),
            json!({ "value": "disabled", "source_value": "Disabled" }),
        ),
        (
            json!({ "value": "pending" }),
            json!({ "value": "pending", "source_value": "Pending" }),
        ),
        (
            json!({ "source_value": "blocked" }),
            json!({ "value": "disabled", "source_value": "Blocked" }),
        ),
        (
            json!({ "value": "disabled", "source_value": "Blocked" }),
            json!({ "value": "disabled", "source_value": "Blocked" }),
        ),
        (json!({}), json!({ "value": "disabled", "source_value": "Blocked" })),
        (
            json!({ "value": "disabled" }),
            json!({ "value": "disabled", "source_value": "Blocked" }),
        ),
        (
            json!({ "value": "disabled", "source_value": "Disabled" }),
            json!({ "value": "disabled", "source_value": "Disabled" }),
        ),
        (
            json!({ "value": "unmapped_value", "source_value": "Enabled" }),
            json!({ "value": "enabled", "source_value": "Enabled" }),
        ),
        (Value::Null, Value::Null),
        (
            json!({ "value": null, "source_value": "Pending" }),
            json!({ "value": "pending", "source_value": "Pending" }),
        ),
    ] {
        let answer = update(&patchbay, 0, json!({ "status": sent })).await;
        assert_eq!(answer.status, 200, "{sent}");
        assert_eq!(user(&patchbay, 0).await["status"], read, "{sent}");
    }
    for (wrong, named) in [
        (json!({ "value": "hibernating" }), "status.value"),
        (json!({ "value": "unmapped_value" }), "status.value"),
        (json!({ "value": 7 }), "status.value"),
        (json!({ "source_value": "nonsense" }), "status.source_value"),
        (json!({ "source_value": { "a": 1.50 } }), "status.source_value"),
        (json!("enabled"), "status"),
        (json!([]), "status"),
        (json!(["enabled"]), "status"),
    ] {
        let message = refused(
            &update(&patchbay, 0, json!({ "first_name": "X", "status": wrong })).await,
            422,
        );
        assert!(message.starts_with(&format!("{named} ")), "{message}");
    }
    let message = refused(
        &update(&patchbay, 0, json!({ "status": { "value": "hibernating" } })).await,
        422,
    );
    assert!(message.contains("hibernating"), "{message}");
    assert_eq!(
        user(&patchbay, 0).await["first_name"],
        "Han",
        "nothing was half applied"
    );
}

#[tokio::test]
async fn passthrough_is_kept_as_attributes() {
    let patchbay = Patchbay::new().await;
    let first = r#"{"passthrough": {"badge": 42, "rate": 1.50, "nested": {"a": [null, true]}, "gone": "x"}}"#;
    assert_eq!(update_text(&patchbay, 0, first).await.status, 200);
    assert_eq!(
        update(&patchbay, 0, json!({ "passthrough": { "badge": 43, "gone": null } }))
            .await
            .status,
        200
    );
    assert_eq!(update(&patchbay, 0, json!({ "passthrough": null })).await.status, 200);
    let kept = get(&patchbay, 0, "?fields=unified_custom_fields").await;
    let text = String::from_utf8(kept.bytes).unwrap();
    assert!(text.contains(r#""rate":1.50"#), "numbers keep their digits: {text}");
    let kept: Value = serde_json::from_str(&text).unwrap();
    let rate: Value = serde_json::from_str("1.50").unwrap();
    assert_eq!(
        kept["data"],
        json!({ "unified_custom_fields": { "badge": 43, "rate": rate, "nested": { "a": [null, true] } } })
    );
    let attributes = &patchbay
        .store
        .user(patchbay.sample.tenant, &key(&patchbay))
        .await
        .unwrap()
        .unwrap()
        .attributes;
    assert_eq!(attributes["passthrough:badge"], 43);
    for wrong in [json!("x"), json!([]), json!(1), json!(true)] {
        let message = refused(&update(&patchbay, 0, json!({ "passthrough": wrong })).await, 422);
        assert!(message.starts_with("passthrough "), "{message}");
    }
    let message = refused(
        &update(&patchbay, 0, json!({ "passthrough": { "n".repeat(1000): 1 } })).await,
        422,
    );
    assert!(
        message.starts_with("passthrough.nnn") && message.len() < 200,
        "{message}"
    );
    refused(
        &update(&patchbay, 0, json!({ "passthrough": { "big": "x".repeat(70_000) } })).await,
        422,
    );
}

fn key(patchbay: &Patchbay) -> patchbay_core::store::UserKey {
    patchbay_core::store::UserKey::Id(patchbay.sample.users[0].id)
}

#[tokio::test]
async fn members_of_the_wrong_type_or_value_are_named() {
    let patchbay = Patchbay::new().await;
    for (member, wrong) in [
        ("primary_email_address", json!(1)),
        ("primary_email_address", json!("")),
        ("primary_email_address", json!("no address")),
        ("first_name", json!(["Han"])),
        ("first_name", json!("x".repeat(501))),
        ("last_name", json!({})),
        ("name", json!(true)),
        ("name", json!("tab\u{9}")),
        ("username", json!(1.5)),
        ("username", json!("")),
        ("username", json!(" x")),
    ] {
        let message = refused(
            &update(&patchbay, 0, json!({ member: wrong, "is_bot_user": true })).await,
            422,
        );
        assert!(message.starts_with(&format!("{member} ")), "{message}");
    }
    for (twice, member) in [
        (r#"{"name": "A", "name": "B"}"#, "name"),
        (r#"{"passthrough": {"a": 1, "a": 2}}"#, "passthrough.a"),
        (r#"{"passthrough": {"a": [{"b": 1, "b": 2}]}}"#, "passthrough.a[0].b"),
        (r#"{"unknown": {"b": 1, "b": 2}}"#, "unknown.b"),
    ] {
        let message = refused(&update_text(&patchbay, 0, twice).await, 422);
        assert_eq!(message, format!("{member} is given more than once"));
    }
    assert_eq!(
        user(&patchbay, 0).await["is_bot_user"],
        false,
        "nothing was half applied"
    );
}

#[tokio::test]
async fn what_is_not_json_is_a_bad_request() {
    let patchbay = Patchbay::new().await;
    let deep = format!("{{\"passthrough\": {}", "{\"a\":".repeat(500));
    let texts: [&[u8]; 9] = [
        b"",
        b"  \n",
        b"{",
        b"{\"first_name\": \"X\"} trailing",
        b"first_name=X",
        b"{\"first_name\": NaN}",
        b"{\"first_name\": \"\\ud800\"}",
        b"{\"first_name\": \"\xff\"}",
        deep.as_bytes(),
    ];
    for text in texts {
        refused(&update_text(&patchbay, 0, text.to_vec()).await, 400);
    }
    for text in ["[]", "[\"han@example.com\"]", "null", "\"text\"", "1"] {
        refused(&update_text(&patchbay, 0, text).await, 422);
    }
    // The JSON library's own marks of numbers and of JSON within texts are refused wherever they stand, escaped or not.
    for odd in [
        r#"{"passthrough": {"a": {"$serde_json::private::Number": "x"}}}"#,
        r#"{"passthrough": {"$serde_json::private::Number": "x"}}"#,
        r#"{"\u0024serde_json::private::RawValue": "{\"first_name\": \"X\"}"}"#,
    ] {
        refused(&update_text(&patchbay, 0, odd).await, 422);
    }
    // A wrong shape before the place where the text breaks off does not make it JSON.
    for text in ["{\"first_name\": 1", "[1", "5x", "null x", "{\"first_name\": 1,}"] {
        refused(&update_text(&patchbay, 0, text).await, 400);
    }
    let first_name = get(&patchbay, 0, "?fields=first_name").await.json();
    assert_eq!(first_name["data"], json!({ "first_name": "Han" }));
}

#[tokio::test]
async fn letters_beyond_ascii_survive() {
    let patchbay = Patchbay::new().await;
    update(&patchbay, 0, json!({ "first_name": "Zoë", "last_name": "Żółć 李 🛰" })).await;
    assert_eq!(user(&patchbay, 0).await["name"], "Zoë Żółć 李 🛰");
}

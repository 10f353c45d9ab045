//! What the two calls do.

use base64::{Engine, engine::general_purpose::STANDARD};
use patchbay::dialects;
use serde_json::{Value, json};

use super::{call, get, patch, path, refused};
use crate::harness::Patchbay;

#[tokio::test]
async fn the_answer_is_the_documented_user() {
    let patchbay = Patchbay::new().await;
    let role = patchbay.sample.role.to_string();
    let body = json!({ "name": "Oliver Adams", "role": role, "description": { "company": "acme", "level": 3 } });
    let answer = patch(&patchbay, body.to_string()).await;
    assert_eq!(answer.status, 200);
    let expected = json!({
        "uuid": patchbay.sample.users[0].id.to_string(),
        "name": "Oliver Adams",
        "account": patchbay.sample.tenant.to_string(),
        "role": role,
        "description": { "company": "acme", "level": 3 },
        "created_ts": 1_749_988_800.0,
        "updated_ts": 1_749_988_801.5,
    });
    let text = String::from_utf8(answer.bytes.clone()).unwrap();
    assert!(text.contains(r#""created_ts":1749988800.0,"#), "{text}");
    assert!(text.contains(r#""updated_ts":1749988801.5}"#), "{text}");
    let without_times = |value: &Value| {
        let mut members = value.as_object().unwrap().clone();
        members.retain(|name, _| !name.ends_with("_ts"));
        members
    };
    assert_eq!(without_times(&answer.json()), without_times(&expected));
    assert_eq!(answer.header("etag"), "\"2\"");
    let read = get(&patchbay).await;
    assert_eq!((read.status.as_u16(), &read.bytes), (200, &answer.bytes));
    assert_eq!(read.header("etag"), "\"2\"");
}

#[tokio::test]
async fn a_user_without_a_display_name_shows_first_and_last_name() {
    let patchbay = Patchbay::new().await;
    assert_eq!(get(&patchbay).await.json()["name"], "Han Solo");
}

#[tokio::test]
async fn a_name_that_is_shown_already_is_not_set() {
    let patchbay = Patchbay::new().await;
    let stackone = async |change: Value| {
        let basic = format!("Basic {}", STANDARD.encode(format!("{}:", patchbay.sample.keys.full)));
        let headers = [
            ("authorization", basic.as_str()),
            ("x-account-id", &patchbay.sample.account.0),
        ];
        let path = format!("/unified/iam{}", path(&patchbay));
        assert_eq!(
            call(&patchbay, "PATCH", &path, &headers, &change.to_string())
                .await
                .status,
            200
        );
        call(&patchbay, "GET", &path, &headers, "").await.json()["data"]["name"].clone()
    };
    let back = async |name: &str| {
        let answer = patch(&patchbay, json!({ "name": name }).to_string()).await;
        (answer.json()["name"].clone(), answer.header("etag").to_owned())
    };
    assert_eq!(back("Han Solo").await, (json!("Han Solo"), "\"1\"".to_owned()));
    assert_eq!(
        stackone(json!({ "first_name": "Ben" })).await,
        "Ben Solo",
        "made of the others"
    );
    let nameless = json!({ "first_name": null, "last_name": null });
    assert_eq!(stackone(nameless).await, json!(null));
    assert_eq!(back("User Name").await, (json!("User Name"), "\"3\"".to_owned()));
    assert_eq!(
        stackone(json!({})).await,
        json!(null),
        "that is how nobody's name is shown"
    );
    assert_eq!(back("Lando").await, (json!("Lando"), "\"4\"".to_owned()));
    assert_eq!(back("User Name").await, (json!("User Name"), "\"5\"".to_owned()));
    assert_eq!(
        stackone(json!({})).await,
        "User Name",
        "who has a name may be called so"
    );
    let named_so = json!({ "name": null, "first_name": "User", "last_name": "Name" });
    assert_eq!(stackone(named_so).await, "User Name");
    assert_eq!(back("User Name").await, (json!("User Name"), "\"6\"".to_owned()));
}

/// What another dialect made of the name is shown as it is, and may come back; a new name follows the pattern.
#[tokio::test]
async fn a_name_that_breaks_the_pattern_is_shown_and_taken_back() {
    let patchbay = Patchbay::new().await;
    let first = "Zoë-".repeat(10);
    let sent = json!({ "first_name": first }).to_string();
    let basic = format!("Basic {}", STANDARD.encode(format!("{}:", patchbay.sample.keys.full)));
    let headers = [
        ("authorization", basic.as_str()),
        ("x-account-id", &patchbay.sample.account.0),
    ];
    let stackone = format!("/unified/iam{}", path(&patchbay));
    assert_eq!(call(&patchbay, "PATCH", &stackone, &headers, &sent).await.status, 200);
    let name = format!("{first} Solo");
    assert_eq!(get(&patchbay).await.json()["name"], name);
    let back = patch(&patchbay, json!({ "name": name }).to_string()).await;
    assert_eq!((back.status.as_u16(), back.header("etag")), (200, "\"2\""));
    refused(&patch(&patchbay, json!({ "name": first }).to_string()).await, 400_589);
}

#[tokio::test]
async fn description_has_three_states() {
    let patchbay = Patchbay::new().await;
    let mut seen = Vec::new();
    for body in [
        r#"{"description": {"a": 1, "b": [true, null, {"Any Key": "x"}]}}"#,
        r#"{"description": {"b": 2}}"#,
        r#"{"name": "Oliver"}"#,
        r#"{"description": {}}"#,
        "{}",
        r#"{"description": null}"#,
        "{}",
    ] {
        let answer = patch(&patchbay, body).await;
        assert_eq!(answer.status, 200);
        seen.push(answer.json().get("description").cloned());
        assert_eq!(
            get(&patchbay).await.json().get("description").cloned(),
            *seen.last().unwrap()
        );
    }
    let expected = [
        Some(json!({ "a": 1, "b": [true, null, { "Any Key": "x" }] })),
        Some(json!({ "b": 2 })),
        Some(json!({ "b": 2 })),
        Some(json!({})),
        Some(json!({})),
        None,
        None,
    ];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn numbers_are_kept_digit_by_digit() {
    let patchbay = Patchbay::new().await;
    let number = "123456789012345678901234567890.000000000000000000001";
    let answer = patch(
        &patchbay,
        format!(r#"{{"description": {{"n": {number}, "e": 1e400}}}}"#),
    )
    .await;
    let text = String::from_utf8(answer.bytes).unwrap();
    assert!(text.contains(&format!("\"n\":{number}")), "{text}");
    assert!(text.contains("\"e\":1e+400") || text.contains("\"e\":1e400"), "{text}");
}

#[tokio::test]
async fn activity_is_kept_and_left_out_when_off() {
    let patchbay = Patchbay::new().await;
    let tables = json!({ "log": { "dimensions": { "user": "{user}" } }, "plain": null });
    let on = patch(&patchbay, json!({ "activity": tables }).to_string()).await;
    assert_eq!(on.json()["activity"], tables);
    let off = patch(&patchbay, r#"{"activity": null}"#).await;
    assert_eq!(off.json().get("activity"), None);
    for (wrong, member) in [
        (r#"{"activity": 5}"#, "activity"),
        (r#"{"activity": {"t": 5}}"#, "activity.t"),
        (
            r#"{"activity": {"t": {"dimensions": {"d": 5}}}}"#,
            "activity.t.dimensions",
        ),
    ] {
        let why = refused(&patch(&patchbay, wrong).await, 400_589);
        assert!(why.starts_with(&format!("{member} ")), "{why}");
    }
}

#[tokio::test]
async fn a_body_that_changes_nothing_is_answered_with_the_user_as_he_is() {
    let patchbay = Patchbay::new().await;
    let before = get(&patchbay).await.bytes;
    let entries = patchbay.audit_len().await;
    for body in ["", "{}", " {} "] {
        let answer = patch(&patchbay, body).await;
        assert_eq!((answer.status.as_u16(), answer.header("etag")), (200, "\"1\""));
        assert_eq!(answer.bytes, before);
    }
    assert_eq!(patchbay.audit_len().await, entries);
}

#[tokio::test]
async fn entity_tags_are_honoured() {
    let patchbay = Patchbay::new().await;
    let (path, secret) = (path(&patchbay), patchbay.sample.keys.administrator.clone());
    let send = async |method: &str, name: &str, tag: &str, body: &str| {
        call(
            &patchbay,
            method,
            &path,
            &[("authorization", &secret), (name, tag)],
            body,
        )
        .await
    };
    let answer = send("PATCH", "if-match", "\"1\"", r#"{"name":"Oliver"}"#).await;
    assert_eq!((answer.status.as_u16(), answer.header("etag")), (200, "\"2\""));
    refused(
        &send("PATCH", "if-match", "\"1\"", r#"{"name":"Adams"}"#).await,
        412_000,
    );
    refused(
        &send("PATCH", "if-none-match", "\"2\"", r#"{"name":"Adams"}"#).await,
        412_000,
    );
    refused(&send("PATCH", "if-match", "2", r#"{"name":"Adams"}"#).await, 400_589);
    let unchanged = send("GET", "if-none-match", "\"2\"", "").await;
    assert_eq!((unchanged.status.as_u16(), unchanged.bytes.len()), (304, 0));
    assert_eq!(unchanged.header("etag"), "\"2\"");
    assert_eq!(send("GET", "if-none-match", "\"1\"", "").await.json()["name"], "Oliver");
}

#[tokio::test]
async fn a_repeat_with_the_same_key_is_answered_from_the_first() {
    let patchbay = Patchbay::new().await;
    let (path, secret) = (path(&patchbay), patchbay.sample.keys.administrator.clone());
    let send = async |body: &str| {
        let headers = [("authorization", secret.as_str()), ("idempotency-key", "k1")];
        call(&patchbay, "PATCH", &path, &headers, body).await
    };
    let first = send(r#"{"name":"Oliver"}"#).await;
    patch(&patchbay, r#"{"name":"Adams"}"#).await;
    let again = send(r#"{"name":"Oliver"}"#).await;
    assert_eq!(
        (again.status.as_u16(), again.header("etag")),
        (200, first.header("etag"))
    );
    assert_eq!(get(&patchbay).await.json()["name"], "Adams");
    refused(&send(r#"{"name":"Another"}"#).await, 400_358);
}

#[tokio::test]
async fn the_sample_and_the_walkthrough_fit_this_server() {
    let patchbay = Patchbay::new().await;
    let dialect = dialects::by_name("trusted_twin").unwrap();
    let sample = dialect.sample(&patchbay.sample);
    assert_eq!(sample["account"], patchbay.sample.tenant.to_string());
    assert_eq!(sample["role"], patchbay.sample.role.to_string());
    let secret = sample["secret"].as_str().unwrap();
    assert_eq!(secret.len(), 64);
    assert!(
        secret
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
    );
    let steps = dialect.walkthrough(&patchbay.sample);
    assert_eq!(steps.len(), 1);
    let patchbay::walkthrough::StepBody::Json(body) = &steps[0].body else {
        panic!("{steps:?}")
    };
    let headers: Vec<(&str, &str)> = steps[0]
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let answer = call(
        &patchbay,
        steps[0].method.as_str(),
        &steps[0].path,
        &headers,
        &body.to_string(),
    )
    .await;
    assert_eq!((answer.status.as_u16(), answer.header("etag")), (200, "\"2\""));
    assert_eq!(answer.json()["description"], body["description"]);
}

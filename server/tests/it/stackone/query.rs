//! What a read may ask for.

use axum::body::Body;
use patchbay_core::{changeset::Delta, icon::Icon, patch::Patch, revision::Expect, user::UserPatch};
use serde_json::{Value, json};

use super::{call, get, path, refused};
use crate::harness::Patchbay;

#[tokio::test]
async fn fields_chooses_members() {
    let patchbay = Patchbay::new().await;
    let cut = get(&patchbay, 0, "?fields=id,%20name,name&fields=status").await.json();
    let id = patchbay.sample.users[0].id.to_string();
    let status = json!({ "value": "enabled", "source_value": "Enabled" });
    assert_eq!(cut["data"], json!({ "id": id, "name": "Han Solo", "status": status }));
    let all = "id,remote_id,first_name,last_name,name,primary_email_address,username,roles,groups,status,avatar,\
               is_bot_user,last_active_at,last_login_at,created_at,updated_at,multi_factor_enabled,unified_custom_fields";
    for every in [
        format!("?fields={all}"),
        "?fields=".to_owned(),
        "?fields=,".to_owned(),
        String::new(),
    ] {
        let data = get(&patchbay, 0, &every).await.json()["data"].clone();
        assert_eq!(data.as_object().unwrap().len(), 18, "{every}");
    }
    let message = refused(&get(&patchbay, 0, "?fields=id,shoe_size").await, 400);
    assert!(
        message.starts_with("fields ") && message.contains("shoe_size"),
        "{message}"
    );
    let long = format!("?fields={}", "x".repeat(5_000));
    assert!(refused(&get(&patchbay, 0, &long).await, 400).len() < 200);
}

#[tokio::test]
async fn expand_shows_roles_and_groups() {
    let patchbay = Patchbay::new().await;
    let data = get(&patchbay, 4, "?expand=roles,groups").await.json()["data"].clone();
    let role = &data["roles"][0];
    assert_eq!(role["name"], "Administrator");
    assert_eq!(
        role["type"],
        json!({ "value": "admin", "source_value": "Administrator" })
    );
    assert_eq!((&role["id"], &role["policies"]), (&role["remote_id"], &Value::Null));
    super::moment(&role["created_at"]);
    super::moment(&role["updated_at"]);
    let group = &data["groups"][0];
    assert_eq!(
        (&group["name"], &group["description"]),
        (&json!("Operators"), &json!("Operators of the sample"))
    );
    assert_eq!(group["type"], json!({ "value": "group", "source_value": "group" }));
    assert_eq!(group["roles"], Value::Null);
    super::moment(&group["created_at"]);

    for (user, kind) in [(0, "basic"), (2, "viewer")] {
        let data = get(&patchbay, user, "?expand=roles").await.json()["data"].clone();
        assert_eq!(data["roles"][0]["type"]["value"], kind);
        assert_eq!(data["groups"], Value::Null, "only what was asked for");
    }
    assert_eq!(get(&patchbay, 0, "?expand=").await.json()["data"]["roles"], Value::Null);
    let message = refused(&get(&patchbay, 0, "?expand=roles,policies").await, 400);
    assert!(
        message.starts_with("expand ") && message.contains("policies"),
        "{message}"
    );
}

#[tokio::test]
async fn raw_is_a_boolean() {
    let patchbay = Patchbay::new().await;
    for (query, raw) in [
        ("?raw=true", json!([])),
        ("?raw=false", Value::Null),
        ("?raw=", Value::Null),
    ] {
        assert_eq!(get(&patchbay, 0, query).await.json()["raw"], raw, "{query}");
    }
    for query in ["?raw=yes", "?raw=1", "?raw=TRUE", "?raw=true&raw=false"] {
        let message = refused(&get(&patchbay, 0, query).await, 400);
        assert!(message.starts_with("raw "), "{message}");
    }
}

#[tokio::test]
async fn proxy_and_unknown_parameters_are_tolerated() {
    let patchbay = Patchbay::new().await;
    let query = "?proxy%5Ba%5D%5Bb%5D=c&proxy%5Barr%5D=1&proxy%5Barr%5D=2&proxy[filter[eq][age]]=25&other=%ff&flag";
    assert_eq!(get(&patchbay, 0, query).await.bytes, get(&patchbay, 0, "").await.bytes);
}

#[tokio::test]
async fn an_icon_is_shown_as_a_file() {
    let patchbay = Patchbay::new().await;
    let icon = Icon::new(b"\x89PNG\r\n\x1a\nrest".as_slice().into()).unwrap();
    let digest = hex::encode(icon.digest);
    let patch = Box::new(UserPatch {
        icon: Patch::Value(icon),
        ..UserPatch::default()
    });
    let (id, expect) = (patchbay.sample.users[0].id, Expect::Any);
    patchbay.keep(Delta::UpdateUser { id, expect, patch }).await;
    let avatar = get(&patchbay, 0, "").await.json()["data"]["avatar"].clone();
    assert_eq!((&avatar["id"], &avatar["remote_id"]), (&json!(digest), &json!(digest)));
    assert_eq!(
        avatar["file_format"],
        json!({ "value": "png", "source_value": "image/png" })
    );
}

#[tokio::test]
async fn odd_slashes_and_head_are_served() {
    let patchbay = Patchbay::new().await;
    let doubled = path(&patchbay, 0).replace("/iam", "//iam") + "/";
    let answer = patchbay
        .send(call(&patchbay, "GET", &doubled).body(Body::empty()).unwrap())
        .await;
    assert_eq!(answer.status, 200);
    let head = patchbay
        .send(call(&patchbay, "HEAD", &doubled).body(Body::empty()).unwrap())
        .await;
    assert_eq!(
        (head.status.as_u16(), head.header("etag"), head.bytes.len()),
        (200, "\"1\"", 0)
    );
}

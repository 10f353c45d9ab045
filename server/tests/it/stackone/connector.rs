//! StackOne spoken outward: what it sends, and what it makes of the answers.

use std::{collections::BTreeMap, sync::Arc};

use axum::{body::Body, response::Response};
use patchbay::{
    dialects::by_name,
    outbound::http::{Client, Target},
};
use patchbay_core::{
    connector::{Capability, Connector, RemoteKind, RemoteUpdate},
    error::Error,
    icon::Icon,
    id::RoleId,
    membership::MembershipPatch,
    patch::Patch,
    user::{Status, UserPatch},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::loopback::remote::{self, Calls};

fn target(base_url: String) -> Target {
    Target {
        base_url,
        secret: "v1.eu1.KEY".to_owned().into(),
        settings: BTreeMap::from([("account_id".to_owned(), "acct1".to_owned())]),
        client: Client::new(remote::outbound()).unwrap(),
    }
}

/// A connector to a vendor that answers everything with one document.
async fn connector(answer: Value) -> (Arc<dyn Connector>, Calls) {
    let (address, calls) = remote::vendor(move |_| {
        let text = answer.to_string();
        Box::pin(async move {
            Response::builder()
                .header("content-type", "application/json")
                .body(Body::from(text))
                .unwrap()
        })
    })
    .await;
    let dialect = by_name("stackone").unwrap();
    (
        dialect.connector(target(format!("http://{address}/prefix/"))).unwrap(),
        calls,
    )
}

fn done() -> Value {
    serde_json::from_str(include_str!(
        "../../../src/dialects/stackone/fixtures/update_result.json"
    ))
    .unwrap()
}

async fn update(connector: &dyn Connector, patch: UserPatch) -> Result<(), Error> {
    let update = RemoteUpdate {
        id: "c28xIQ a/b",
        patch: &patch,
    };
    connector
        .update_user(update)
        .await
        .map(|user| assert!(user.is_none(), "StackOne does not answer the user"))
}

#[tokio::test]
async fn either_id_may_be_asked_for() {
    for (told, others) in [
        (json!({ "id": "c28", "remote_id": "prov-1" }), false),
        (json!({ "id": "c28" }), true),
        (json!({ "remote_id": "prov-1" }), true),
        (json!({}), true),
    ] {
        let (connector, _) = connector(json!({ "data": told })).await;
        connector.get_user("c28").await.unwrap();
        connector.get_user("prov-1").await.unwrap();
        assert_eq!(connector.get_user("8").await.is_ok(), others, "{told}");
    }
}

#[tokio::test]
async fn an_update_goes_out_as_documented() {
    let (connector, calls) = connector(done()).await;
    let patch = UserPatch {
        email: Patch::Value("han@stackone.com".to_owned()),
        first_name: Patch::Null,
        display_name: Patch::Value("Han Solo".to_owned()),
        status: Patch::Value(Status::Pending),
        is_bot: Patch::Null,
        ..UserPatch::default()
    };
    update(&*connector, patch).await.unwrap();
    update(&*connector, UserPatch::default()).await.unwrap();
    let calls = calls.taken();
    let [call, empty] = calls.as_slice() else {
        panic!("{calls:?}")
    };
    assert_eq!(
        (call.method.as_str(), call.path.as_str()),
        ("PATCH", "/prefix/unified/iam/users/c28xIQ%20a%2Fb")
    );
    assert_eq!(call.headers["authorization"], "Basic djEuZXUxLktFWTo=");
    assert_eq!(call.headers["x-account-id"], "acct1");
    assert_eq!(call.headers["content-type"], "application/json");
    let body: Value = serde_json::from_slice(&call.body).unwrap();
    assert_eq!(
        body,
        json!({
            "primary_email_address": "han@stackone.com", "first_name": null, "name": "Han Solo", "is_bot_user": null,
            "status": { "value": "pending" },
        })
    );
    assert_eq!(empty.body, b"{}");
}

#[tokio::test]
async fn what_it_cannot_say_is_never_sent() {
    let (connector, calls) = connector(done()).await;
    let icon = Icon::new(b"\xff\xd8\xff".as_slice().into()).unwrap();
    let membership = MembershipPatch {
        organization: patchbay_core::id::OrganizationId(Uuid::nil()),
        groups: Patch::Absent,
        invitation_notes: Patch::Null,
    };
    let one = UserPatch::default;
    for (field, patch) in [
        (
            "title",
            UserPatch {
                title: Patch::Null,
                ..one()
            },
        ),
        (
            "phone",
            UserPatch {
                phone: Patch::Null,
                ..one()
            },
        ),
        (
            "settings",
            UserPatch {
                settings: Patch::Null,
                ..one()
            },
        ),
        (
            "icon",
            UserPatch {
                icon: Patch::Value(icon),
                ..one()
            },
        ),
        (
            "role",
            UserPatch {
                role: Patch::Value(RoleId(Uuid::nil())),
                ..one()
            },
        ),
        (
            "description",
            UserPatch {
                description: Patch::Null,
                ..one()
            },
        ),
        (
            "attributes",
            UserPatch {
                attributes: BTreeMap::from([("a:b".to_owned(), Patch::Null)]),
                ..one()
            },
        ),
        (
            "memberships",
            UserPatch {
                memberships: vec![membership],
                ..one()
            },
        ),
    ] {
        let error = update(&*connector, patch).await.unwrap_err();
        assert!(
            matches!(&error, Error::Unsupported { field: named, .. } if named == field),
            "{field}: {error:?}"
        );
    }
    assert!(calls.taken().is_empty());
    assert_eq!(connector.capability(), Capability { icons: false });
}

#[tokio::test]
async fn an_update_that_says_it_failed_is_not_done() {
    for answer in [
        json!({ "statusCode": 200.5 }),
        json!({ "statusCode": "200", "message": "Record updated successfully.", "timestamp": "x" }),
        json!({ "ok": true }),
        json!([200, "Record updated successfully.", "x"]),
        Value::Null,
    ] {
        let (connector, _) = connector(answer.clone()).await;
        let error = update(&*connector, UserPatch::default()).await.unwrap_err();
        assert!(
            matches!(&error, Error::Remote(failure) if failure.outcome_unknown()),
            "{answer}: {error:?}"
        );
    }
}

#[tokio::test]
async fn an_updates_own_status_counts() {
    for status in ["200", "200.0", "2e2"] {
        let answer = serde_json::from_str(&format!(r#"{{"statusCode": {status}}}"#)).unwrap();
        let (connector, _) = connector(answer).await;
        update(&*connector, UserPatch::default()).await.unwrap();
    }
    let envelope = json!({ "statusCode": 404, "message": "Not Found", "timestamp": "2023-05-30T00:00:00.000Z" });
    let (connector, _) = connector(envelope).await;
    let error = update(&*connector, UserPatch::default()).await.unwrap_err();
    assert!(
        matches!(&error, Error::Remote(failure) if failure.kind == RemoteKind::NotFound),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_status_without_a_name_is_kept() {
    let mut kept = Vec::new();
    for status in [
        json!({ "value": "archived", "source_value": "A" }),
        json!({ "value": "unmapped_value", "source_value": "A" }),
        json!({ "value": "archived" }),
        json!({ "value": "disabled", "source_value": "INACTIVE" }),
        json!({ "value": "disabled", "source_value": "Disabled" }),
        Value::Null,
    ] {
        let (connector, _) = connector(json!({ "data": { "id": "1", "status": status } })).await;
        kept.push(connector.get_user("1").await.unwrap());
    }
    assert_eq!(kept[3].status, Some(Status::Disabled));
    for (at, user) in kept.iter().enumerate() {
        assert!(!kept[..at].contains(user), "another state is another user: {user:?}");
    }
}

#[tokio::test]
async fn a_user_is_read_whole() {
    let (connector, calls) = connector(json!({ "data": {
        "id": "c28xIQaWQ6MQ", "remote_id": "1", "primary_email_address": "han@stackone.com", "first_name": "Han",
        "last_name": "Solo", "name": "Captain", "username": "han", "is_bot_user": "true", "roles": [{ "name": "x", "type": null }],
        "status": { "value": "unmapped_value", "source_value": "ON_LEAVE" }, "last_login_at": "2021-01-01T01:01:01+02:00",
        "created_at": "2021-01-01T00:00:00.000Z", "updated_at": "yesterday", "new_member": 1,
        "unified_custom_fields": { "badge": 1.50 }, "multi_factor_enabled": [{ "value": "sms" }],
    }}))
    .await;
    let user = connector.get_user("c28xIQaWQ6MQ").await.unwrap();
    assert_eq!(calls.taken()[0].path, "/prefix/unified/iam/users/c28xIQaWQ6MQ");
    assert_eq!(user.public_id(), "c28xIQaWQ6MQ");
    assert_eq!(
        (user.email.as_deref(), user.username.as_deref()),
        (Some("han@stackone.com"), Some("han"))
    );
    assert_eq!(
        (user.name().as_deref(), user.full_name().as_deref()),
        (Some("Captain"), Some("Han Solo"))
    );
    assert_eq!((user.is_bot, user.status), (Some(true), None));
    assert_eq!(user.last_login_at.unwrap().to_string(), "2020-12-31T23:01:01.000Z");
    assert_eq!(user.created_at.to_string(), "2021-01-01T00:00:00.000Z");
    assert_eq!(user.attributes["passthrough:badge"], json!(1.50));
}

#[tokio::test]
async fn an_answer_without_a_user_is_unreadable() {
    for answer in [
        json!({}),
        json!({ "data": null }),
        json!({ "data": [] }),
        json!({ "id": "1" }),
        json!({ "data": { "id": 7 } }),
    ] {
        let (connector, _) = connector(answer.clone()).await;
        let error = connector.get_user("1").await.unwrap_err();
        assert!(
            matches!(&error, Error::Remote(failure) if failure.status == Some(200)),
            "{answer}: {error:?}"
        );
    }
}

#[tokio::test]
async fn the_account_at_the_other_side_is_required() {
    for account in [None, Some(""), Some("a\nb"), Some("ü")] {
        let mut target = target("http://127.0.0.1:1".to_owned());
        target.settings = account
            .map(|id| ("account_id".to_owned(), id.to_owned()))
            .into_iter()
            .collect();
        let error = by_name("stackone").unwrap().connector(target).err().expect("a refusal");
        assert!(error.to_string().starts_with("settings.account_id "), "{error}");
    }
}

#[tokio::test]
async fn keys_look_like_stackones() {
    let key = by_name("stackone")
        .unwrap()
        .mint(patchbay_core::id::Serial(1), &[0xab; 48]);
    assert_eq!(key, format!("v1.eu1.{}", "ab".repeat(48)));
}

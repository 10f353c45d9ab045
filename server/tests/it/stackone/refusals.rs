//! Every refusal in the documented envelope.

use axum::body::Body;
use base64::{Engine, engine::general_purpose::STANDARD};
use patchbay::app::HttpConfig;
use patchbay_core::{
    changeset::Delta,
    id::LinkedAccountId,
    linked_account::{AccountStatus, LinkedAccount},
};
use serde_json::json;

use super::{basic, call, path, refused, update, update_text, user};
use crate::harness::{Answer, Patchbay, request};

const CHANGE: &str = r#"{"first_name": "X"}"#;

/// Both calls, each given this authorization and account.
async fn both(patchbay: &Patchbay, authorization: Option<&str>, account: Option<&str>, id: &str) -> [Answer; 2] {
    let send = async |method: &str, body: &'static str| {
        let mut request = request(method, &format!("/unified/iam/users/{id}"));
        for (name, value) in [("authorization", authorization), ("x-account-id", account)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        patchbay.send(request.body(Body::from(body)).unwrap()).await
    };
    [send("GET", "").await, send("PATCH", CHANGE).await]
}

#[tokio::test]
async fn without_a_valid_key() {
    let patchbay = Patchbay::new().await;
    let id = patchbay.sample.users[0].id.to_string();
    let with_password = format!(
        "Basic {}",
        STANDARD.encode(format!("{}:password", patchbay.sample.keys.full))
    );
    let bearer = format!("Bearer {}", patchbay.sample.keys.full);
    let unknown = basic("v1.eu1.wrong");
    for authorization in [
        None,
        Some(""),
        Some("Basic"),
        Some("Basic %%%"),
        Some("Basic Og=="),
        Some(unknown.as_str()),
        Some(with_password.as_str()),
        Some(bearer.as_str()),
    ] {
        for answer in both(&patchbay, authorization, None, &id).await {
            refused(&answer, 401);
            assert!(answer.header("www-authenticate").starts_with("Basic "));
        }
    }
    assert_eq!(user(&patchbay, 0).await["first_name"], "Han");
}

#[tokio::test]
async fn account_missing_unknown_and_off() {
    let patchbay = Patchbay::new().await;
    let id = patchbay.sample.users[0].id.to_string();
    let key = basic(&patchbay.sample.keys.full);
    let long = "9".repeat(65);
    for (account, status) in [
        (None, 400),
        (Some(""), 400),
        (Some("  "), 400),
        (Some("45355976281015164504"), 404),
        (Some(long.as_str()), 404),
    ] {
        for answer in both(&patchbay, Some(&key), account, &id).await {
            let message = refused(&answer, status);
            assert!(
                message.contains(if status == 400 {
                    "x-account-id"
                } else {
                    "linked account"
                }),
                "{message}"
            );
        }
    }
    for status in [
        AccountStatus::Disabled,
        AccountStatus::Suspended,
        AccountStatus::Expired,
    ] {
        let account = LinkedAccount {
            id: LinkedAccountId(format!("off-{}", status.as_str()).into()),
            tenant: patchbay.sample.tenant,
            status,
            remote: None,
            created_at: patchbay_core::clock::Timestamp::default(),
            updated_at: patchbay_core::clock::Timestamp::default(),
        };
        let name = account.id.0.clone();
        patchbay.keep(Delta::PutLinkedAccount(account)).await;
        for answer in both(&patchbay, Some(&key), Some(&name), &id).await {
            assert!(refused(&answer, 412).contains(status.as_str()));
        }
        let read_only = basic(&patchbay.sample.keys.read_only);
        let [read, write] = both(&patchbay, Some(&read_only), Some(&name), &id).await;
        refused(&read, 412);
        refused(&write, 403);
    }
    let twice = call(&patchbay, "GET", &path(&patchbay, 0)).header("x-account-id", "other");
    refused(&patchbay.send(twice.body(Body::empty()).unwrap()).await, 400);
    let store = std::sync::Arc::new(patchbay::store::memory::MemoryStore::default());
    let other = Patchbay::with(
        store,
        std::sync::Arc::new(crate::harness::NoConnectors),
        HttpConfig::default(),
        7,
    )
    .await;
    let foreign = both(&patchbay, Some(&key), Some(&other.sample.account.0), &id).await;
    for answer in foreign {
        refused(&answer, 404);
    }
}

#[tokio::test]
async fn a_read_only_key_reads_and_does_not_write() {
    let patchbay = Patchbay::new().await;
    let key = basic(&patchbay.sample.keys.read_only);
    let account = patchbay.sample.account.0.to_string();
    let id = patchbay.sample.users[0].id.to_string();
    let [read, write] = both(&patchbay, Some(&key), Some(&account), &id).await;
    assert_eq!(read.status, 200);
    refused(&write, 403);
    assert_eq!(user(&patchbay, 0).await["first_name"], "Han");
}

#[tokio::test]
async fn unknown_users_routes_and_methods() {
    let patchbay = Patchbay::new().await;
    let key = basic(&patchbay.sample.keys.full);
    let account = patchbay.sample.account.0.to_string();
    for id in [
        "7f9f4e6d-0000-4000-8000-000000000000",
        "no-such-user",
        "a%2Fb%20%C5%BC",
        "..%2F..",
        "%00",
    ] {
        for answer in both(&patchbay, Some(&key), Some(&account), id).await {
            refused(&answer, 404);
        }
    }
    let long = "x".repeat(513);
    for id in ["%ff", "%", "%zz", "a%4", long.as_str()] {
        for answer in both(&patchbay, Some(&key), Some(&account), id).await {
            assert!(refused(&answer, 400).starts_with("id "));
        }
    }
    for nowhere in [
        "/unified",
        "/unified/iam/users",
        "/unified/nothing",
        "/accounts",
        "/accounts/1",
        "/connect_sessions/x",
    ] {
        refused(
            &patchbay
                .send(call(&patchbay, "GET", nowhere).body(Body::empty()).unwrap())
                .await,
            404,
        );
    }
    for method in ["PUT", "POST", "DELETE", "OPTIONS"] {
        let answer = patchbay
            .send(
                call(&patchbay, method, &path(&patchbay, 0))
                    .body(Body::empty())
                    .unwrap(),
            )
            .await;
        refused(&answer, 405);
        assert!(answer.header("allow").contains("PATCH"));
    }
}

#[tokio::test]
async fn a_taken_username_is_a_conflict() {
    let patchbay = Patchbay::new().await;
    let taken = patchbay.sample.users[1].username.to_uppercase();
    let message = refused(
        &update(&patchbay, 0, json!({ "username": taken, "first_name": "X" })).await,
        409,
    );
    assert!(message.starts_with("username "), "{message}");
    assert_eq!(
        user(&patchbay, 0).await["first_name"],
        "Han",
        "nothing was half applied"
    );
}

#[tokio::test]
async fn bodies_too_large_and_of_other_media() {
    let patchbay = Patchbay::configured(HttpConfig {
        max_body_bytes: 1_000,
        ..HttpConfig::default()
    })
    .await;
    let large = json!({ "passthrough": { "filler": "x".repeat(1_000) } }).to_string();
    refused(&update_text(&patchbay, 0, large.clone()).await, 413);
    let streamed = futures_util::stream::iter([large.clone(), large].map(Ok::<_, std::io::Error>));
    refused(&update_text(&patchbay, 0, Body::from_stream(streamed)).await, 413);

    let send = async |media: Option<&str>| {
        let mut request = call(&patchbay, "PATCH", &path(&patchbay, 0));
        if let Some(media) = media {
            request = request.header("content-type", media);
        }
        patchbay.send(request.body(Body::from(CHANGE)).unwrap()).await
    };
    for media in [
        None,
        Some("application/json"),
        Some("Application/JSON; charset=utf-8"),
        Some("application/merge-patch+json"),
        Some("text/json"),
        Some(""),
    ] {
        assert_eq!(send(media).await.status, 200, "{media:?}");
    }
    for media in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "json",
        "image/json",
        "application/jsonp",
    ] {
        refused(&send(Some(media)).await, 415);
    }
}

#[tokio::test]
async fn a_request_that_takes_too_long_says_when_to_come_back() {
    let patchbay = Patchbay::configured(HttpConfig {
        request_timeout: std::time::Duration::from_millis(50),
        ..HttpConfig::default()
    })
    .await;
    let never = futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>();
    let answer = update_text(&patchbay, 0, Body::from_stream(never)).await;
    refused(&answer, 408);
    assert_eq!(answer.header("retry-after"), "60");
}

#[tokio::test]
async fn idempotency_keys_are_bounded() {
    let patchbay = Patchbay::new().await;
    for key in [String::new(), "k".repeat(256)] {
        let request = call(&patchbay, "PATCH", &path(&patchbay, 0)).header("idempotency-key", key);
        let message = refused(&patchbay.send(request.body(Body::from(CHANGE)).unwrap()).await, 400);
        assert!(message.starts_with("idempotency-key "), "{message}");
    }
}

#[tokio::test]
async fn a_refusal_in_the_directory_is_logged_as_the_directorys() {
    let patchbay = Patchbay::new().await;
    let id = patchbay.sample.users[0].id.to_string();
    let account = patchbay.sample.account.0.to_string();
    let read_only = basic(&patchbay.sample.keys.read_only);
    let [_, answer] = both(&patchbay, Some(&read_only), Some(&account), &id.to_uppercase()).await;
    refused(&answer, 403);
    let events = patchbay.store.audit(patchbay.sample.tenant, 0, 100).await.unwrap();
    let entry = &events.last().unwrap().entry;
    assert_eq!((entry.account.as_deref(), &entry.resource), (None, &id));
}

//! The connector against Patchbay's own facade, and against a made-up vendor that answers as the notes say vendors do.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use patchbay::walkthrough::Purpose;
use patchbay::{
    dialects,
    outbound::http::{Client, OutboundConfig, Target},
};
use patchbay_core::{
    connector::{Connector, RemoteFailure, RemoteKind, RemoteUpdate},
    error::Error,
    patch::Patch,
    settings::SettingsPatch,
    user::{Status, User, UserPatch},
};
use serde_json::{Value, json};
use tower::util::BoxCloneSyncService;

use super::get;
use crate::harness::{self, Patchbay};

fn connector(base_url: &str, secret: &str) -> Result<Arc<dyn Connector>, Error> {
    let client = Client::new(OutboundConfig {
        timeout: Duration::from_secs(5),
        allow_private: true,
    })?;
    dialects::by_name("nerm").unwrap().connector(Target {
        base_url: base_url.to_owned(),
        secret: secret.to_owned().into(),
        settings: BTreeMap::new(),
        client,
    })
}

/// What the made-up vendor was asked: method, path, authorization, body.
type Asked = Arc<Mutex<Vec<(String, String, String, String)>>>;

#[derive(Clone)]
struct Vendor {
    status: StatusCode,
    answer: String,
    asked: Asked,
}

async fn vendor_answers(State(vendor): State<Vendor>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let authorization = parts.headers["authorization"].to_str().unwrap().to_owned();
    vendor.asked.lock().unwrap().push((
        parts.method.to_string(),
        parts.uri.path().to_owned(),
        authorization,
        String::from_utf8(bytes.to_vec()).unwrap(),
    ));
    (vendor.status, vendor.answer.clone()).into_response()
}

/// A vendor that always answers the same, and a connector to it.
async fn vendor(status: u16, answer: &str) -> (Arc<dyn Connector>, Asked) {
    let asked = Asked::default();
    let vendor = Vendor {
        status: StatusCode::from_u16(status).unwrap(),
        answer: answer.to_owned(),
        asked: asked.clone(),
    };
    let router = Router::new().fallback(vendor_answers).with_state(vendor);
    let address = harness::serve(BoxCloneSyncService::new(router)).await;
    let connector = connector(&format!("http://{address}/tenant/api"), "ne-secret").unwrap();
    (connector, asked)
}

async fn update(connector: &Arc<dyn Connector>, id: &str, patch: &UserPatch) -> Result<Option<User>, Error> {
    let update = RemoteUpdate { id, patch };
    connector.update_user(update).await
}

fn remote(result: Result<impl std::fmt::Debug, Error>) -> RemoteFailure {
    match result.unwrap_err() {
        Error::Remote(failure) => *failure,
        other => panic!("{other:?}"),
    }
}

fn titled(title: Patch<String>) -> UserPatch {
    UserPatch {
        title,
        ..UserPatch::default()
    }
}

#[tokio::test]
async fn reads_and_changes_a_user_of_another_patchbay() {
    let patchbay = Patchbay::new().await;
    let address = patchbay.serve().await;
    let connector = connector(
        &format!("http://{address}/api"),
        patchbay.sample.keys.of("nerm", Purpose::Full),
    )
    .unwrap();
    let id = patchbay.sample.users[0].id.to_string();
    let user = connector.get_user(&id).await.unwrap();
    assert_eq!(
        (user.remote_id.as_deref(), user.username.as_deref()),
        (Some(&*id), Some("han.solo"))
    );
    assert_eq!(
        (user.status, user.name().as_deref()),
        (Some(Status::Enabled), Some("Han Solo"))
    );
    let patch = UserPatch {
        display_name: Patch::Value("General Solo".to_owned()),
        title: Patch::Null,
        status: Patch::Value(Status::Disabled),
        settings: Patch::Value(SettingsPatch {
            culture_code: Patch::Null,
            ..SettingsPatch::default()
        }),
        attributes: BTreeMap::from([("nerm:type".to_owned(), Patch::Value(json!("NeaccessUser")))]),
        ..UserPatch::default()
    };
    let changed = update(&connector, &id, &patch).await.unwrap().unwrap();
    assert_eq!(changed.status, Some(Status::Disabled));
    assert_eq!(changed, connector.get_user(&id).await.unwrap());
    assert!(
        changed.apply(&patch).unwrap().changes.is_empty(),
        "reading back shows the change"
    );
    let there = get(&patchbay, 0).await;
    assert_eq!(
        (&there["name"], &there["title"], &there["locale"]),
        (&json!("General Solo"), &Value::Null, &Value::Null)
    );
    assert_eq!(
        (&there["email"], &there["preferred_language"]),
        (&json!("han.solo@example.com"), &json!("en-US"))
    );
    assert_eq!(remote(connector.get_user("nobody").await).kind, RemoteKind::NotFound);
    let taken = UserPatch {
        username: Patch::Value("leia.organa".to_owned()),
        ..UserPatch::default()
    };
    assert_eq!(remote(update(&connector, &id, &taken).await).kind, RemoteKind::Conflict);
}

#[tokio::test]
async fn absent_null_and_value_are_told_apart_on_the_wire() {
    let (connector, asked) = vendor(200, r#"{"user":{"id":"A b/c"}}"#).await;
    for title in [Patch::Absent, Patch::Null, Patch::Value("Captain".to_owned())] {
        update(&connector, "a b/c", &titled(title)).await.unwrap();
    }
    let asked = asked.lock().unwrap();
    for (method, path, authorization, _) in asked.iter() {
        assert_eq!(
            (method.as_str(), path.as_str()),
            ("PATCH", "/tenant/api/users/a%20b%2Fc")
        );
        assert_eq!(authorization, "Bearer ne-secret");
    }
    let bodies: Vec<&str> = asked.iter().map(|(.., body)| body.as_str()).collect();
    assert_eq!(
        bodies,
        [
            r#"{"user":{"id":"a b/c"}}"#,
            r#"{"user":{"id":"a b/c","title":null}}"#,
            r#"{"user":{"id":"a b/c","title":"Captain"}}"#,
        ]
    );
}

#[tokio::test]
async fn any_success_with_a_user_is_read() {
    let answers = [
        include_str!("../../../src/dialects/nerm/fixtures/update_user.answer.json"),
        include_str!("../../../src/dialects/nerm/fixtures/user.answer.json"),
        include_str!("../../../src/dialects/nerm/fixtures/user_ruby_dates.answer.json"),
        r#"{"user":{"id":"7","surprise":{"a":1}},"_metadata":null}"#,
    ];
    for answer in answers {
        for status in [200, 201] {
            let (connector, _) = vendor(status, answer).await;
            let told: Value = serde_json::from_str(answer).unwrap();
            let id = told["user"]["id"].as_str().unwrap();
            for asked in [id.to_owned(), id.to_uppercase(), id.replace('-', "")] {
                let user = connector.get_user(&asked).await.unwrap();
                assert_eq!(user.remote_id.as_deref(), Some(id));
            }
        }
    }
}

#[tokio::test]
async fn a_success_without_content_is_an_update_that_tells_no_user() {
    let (connector, _) = vendor(204, "").await;
    assert_eq!(update(&connector, "7", &titled(Patch::Null)).await.unwrap(), None);
    for status in [200, 201] {
        let (connector, _) = vendor(status, "").await;
        update(&connector, "7", &titled(Patch::Null)).await.unwrap_err();
    }
    let (connector, _) = vendor(204, "").await;
    connector.get_user("7").await.unwrap_err();
}

#[tokio::test]
async fn the_vendors_refusals_are_classified_and_kept() {
    let failed = |errors: &str| format!(r#"{{"error":"The User failed to create/update","errors":{errors}}}"#);
    let cases = [
        (400, failed(r#"{"email":["can't be blank"]}"#), RemoteKind::Rejected),
        (400, failed(r#"{"email":"can't be blank"}"#), RemoteKind::Rejected),
        (
            400,
            failed(r#"{"login":["has already been taken"]}"#),
            RemoteKind::Conflict,
        ),
        (
            400,
            failed(r#"{"login":"has already been taken"}"#),
            RemoteKind::Conflict,
        ),
        (
            400,
            failed(r#"{"profile_id":["The requested Profile was not found"]}"#),
            RemoteKind::Rejected,
        ),
        (
            400,
            failed(r#"{"possible_duplicates":[{"id":"x"}]}"#),
            RemoteKind::Rejected,
        ),
        (
            400,
            r#"{"error":"The requested User was not found"}"#.to_owned(),
            RemoteKind::NotFound,
        ),
        (
            200,
            r#"{"error":"The requested User was not found"}"#.to_owned(),
            RemoteKind::NotFound,
        ),
        (
            200,
            r#"{"error":"param is missing or the value is empty: user"}"#.to_owned(),
            RemoteKind::Fault,
        ),
        (200, r#"{"user":null,"error":{"code":1}}"#.to_owned(), RemoteKind::Fault),
        (
            200,
            r#"{"errors":{"login":["has already been taken"]}}"#.to_owned(),
            RemoteKind::Conflict,
        ),
        (200, r#"{"errors":{"title":["no"]}}"#.to_owned(), RemoteKind::Fault),
        (
            401,
            r#"{"error":"Invalid API Key"}"#.to_owned(),
            RemoteKind::Unauthorized,
        ),
        (404, r#"{"error":"no"}"#.to_owned(), RemoteKind::NotFound),
        (429, String::new(), RemoteKind::RateLimited),
        (
            500,
            r#"{"error":"Sorry something went wrong"}"#.to_owned(),
            RemoteKind::Fault,
        ),
    ];
    for (status, answer, kind) in cases {
        let (connector, _) = vendor(status, &answer).await;
        let reads = remote(connector.get_user("7").await);
        let writes = remote(update(&connector, "7", &titled(Patch::Null)).await);
        for failure in [reads, writes] {
            assert_eq!((failure.kind, failure.status), (kind, Some(status)), "{answer}");
            let raw = serde_json::from_str(&answer).unwrap_or_else(|_| json!(answer));
            assert_eq!(failure.raw, raw);
        }
    }
}

#[tokio::test]
async fn an_answer_of_another_shape_is_unreadable() {
    for answer in [
        "",
        "<html>",
        "[]",
        "{}",
        r#"{"user":null}"#,
        r#"{"user":{}}"#,
        r#"{"user":{"id":5}}"#,
    ] {
        let (connector, _) = vendor(200, answer).await;
        assert_eq!(
            remote(connector.get_user("7").await).kind,
            RemoteKind::Unreadable,
            "{answer}"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_said_is_refused_before_anything_is_sent() {
    let (connector, asked) = vendor(200, "{}").await;
    let patch = UserPatch {
        first_name: Patch::Value("Han".to_owned()),
        ..UserPatch::default()
    };
    match update(&connector, "7", &patch).await.unwrap_err() {
        Error::Unsupported { field, .. } => assert_eq!(field, "first_name"),
        other => panic!("{other:?}"),
    }
    for id in ["", ".", ".."] {
        assert!(matches!(
            update(&connector, id, &titled(Patch::Null)).await,
            Err(Error::NotFound { .. })
        ));
    }
    assert!(asked.lock().unwrap().is_empty());
    let capability = connector.capability();
    assert!(!capability.icons);
}

#[tokio::test]
async fn a_base_url_must_be_one() {
    for base in ["", "tenant.nonemployee.com/api", "ftp://host/api", "mailto:a@b"] {
        match connector(base, "k").map(|_| ()).unwrap_err() {
            Error::Invalid { field, .. } => assert_eq!(field, "base_url"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn each_member_has_its_place_in_the_request() {
    let connector = connector("http://localhost", "k").unwrap();
    for (field, carrier) in [
        ("username", Some("login")),
        ("settings.culture_code", Some("locale")),
        ("attributes.nerm:type", Some("type")),
    ] {
        assert_eq!(connector.carrier(field).as_deref(), carrier, "{field}");
    }
}

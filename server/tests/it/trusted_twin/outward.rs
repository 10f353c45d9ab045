//! The connector, against a made vendor and against the facade.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, extract::Request};
use http::HeaderMap;
use patchbay::{
    dialects,
    outbound::http::{Client, OutboundConfig, Target},
};
use patchbay_core::{
    connector::{Connector, RemoteKind, RemoteUpdate},
    error::Error,
    packed::Packed,
    patch::Patch,
    user::{User, UserPatch},
};
use serde_json::{Map, Value, json};
use tower::util::BoxCloneSyncService;

use super::UNKNOWN;
use crate::harness::{Patchbay, serve};

/// What a made vendor answers, and what it was asked.
#[derive(Clone)]
struct Vendor {
    answers: Arc<Mutex<Vec<(u16, &'static str)>>>,
    asked: Arc<Mutex<Vec<(String, HeaderMap, String)>>>,
}

impl Vendor {
    /// Serves these answers in order over TCP; answers a connector to it.
    async fn serve(answers: &[(u16, &'static str)]) -> (Self, Arc<dyn Connector>) {
        let vendor = Self {
            answers: Arc::new(Mutex::new(answers.iter().rev().copied().collect())),
            asked: Arc::default(),
        };
        let there = vendor.clone();
        let router = Router::new().fallback(async move |request: Request| there.answer(request).await);
        let address = serve(BoxCloneSyncService::new(router)).await;
        (vendor, connector(&format!("http://{address}/prefix"), "SECRET+/"))
    }

    async fn answer(&self, request: Request) -> (http::StatusCode, &'static str) {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let line = format!("{} {}", parts.method, parts.uri);
        let text = String::from_utf8(body.to_vec()).unwrap();
        self.asked.lock().unwrap().push((line, parts.headers, text));
        let (status, body) = self.answers.lock().unwrap().pop().expect("no more answers");
        (http::StatusCode::from_u16(status).unwrap(), body)
    }

    fn asked(&self) -> Vec<(String, Value)> {
        let asked = self.asked.lock().unwrap();
        let bodies = asked
            .iter()
            .map(|(line, _, body)| (line.clone(), serde_json::from_str(body).unwrap_or_default()));
        bodies.collect()
    }
}

fn connector(base_url: &str, secret: &str) -> Arc<dyn Connector> {
    let config = OutboundConfig {
        timeout: Duration::from_secs(10),
        allow_private: true,
    };
    let target = Target {
        base_url: base_url.to_owned(),
        secret: secret.to_owned().into(),
        settings: BTreeMap::new(),
        client: Client::new(config).unwrap(),
    };
    dialects::by_name("trusted_twin").unwrap().connector(target).unwrap()
}

async fn update(connector: &Arc<dyn Connector>, id: &str, patch: UserPatch) -> Result<Option<User>, Error> {
    connector.update_user(RemoteUpdate { id, patch: &patch }).await
}

fn described(description: Patch<Map<String, Value>>) -> UserPatch {
    UserPatch {
        description,
        ..UserPatch::default()
    }
}

#[tokio::test]
async fn the_connector_says_absent_null_and_value() {
    let answer = include_str!("../../../src/dialects/trusted_twin/fixtures/update_user.answer.json");
    let (vendor, connector) = Vendor::serve(&[(200, answer); 4]).await;
    let named = UserPatch {
        display_name: Patch::Value("Oliver Adams".to_owned()),
        ..UserPatch::default()
    };
    for patch in [
        named,
        described(Patch::Null),
        described(Patch::Value(Map::new())),
        UserPatch::default(),
    ] {
        let user = update(&connector, UNKNOWN, patch).await.unwrap().unwrap();
        assert_eq!(user.remote_id.as_deref(), Some(UNKNOWN));
        assert_eq!(user.display_name.as_deref(), Some("Oliver Adams"));
        assert_eq!(
            user.description.as_ref().map(Packed::read).as_ref(),
            json!({ "company": "acme", "level": 3 }).as_object()
        );
        assert_eq!(
            user.attributes["trusted_twin:role"],
            "3d4c3ec0-6c5f-4d32-ab23-4df8c69f142c"
        );
        assert_eq!(user.updated_at.as_millis(), 1_646_307_910_850);
    }
    let line = format!("PATCH /prefix/users/{UNKNOWN}");
    let bodies = [
        json!({ "name": "Oliver Adams" }),
        json!({ "description": null }),
        json!({ "description": {} }),
        json!({}),
    ];
    assert_eq!(vendor.asked(), bodies.map(|body| (line.clone(), body)));
    let (_, headers, _) = &vendor.asked.lock().unwrap()[0];
    assert_eq!(
        (&headers["authorization"], &headers["content-type"]),
        (&"SECRET+/".parse().unwrap(), &"application/json".parse().unwrap())
    );
}

/// Whoever called reads the rest, once; see `Remote`.
#[tokio::test]
async fn a_partial_answer_is_a_write_that_is_done() {
    let partial = include_str!("../../../src/dialects/trusted_twin/fixtures/update_user.partial_answer.json");
    let (vendor, connector) = Vendor::serve(&[(201, partial), (200, partial)]).await;
    for _ in 0..2 {
        assert_eq!(update(&connector, UNKNOWN, UserPatch::default()).await.unwrap(), None);
    }
    assert!(vendor.asked().iter().all(|(line, _)| line.starts_with("PATCH ")));
}

#[tokio::test]
async fn the_connector_sends_nothing_that_the_vendor_cannot_read() {
    let (vendor, connector) = Vendor::serve(&[]).await;
    let mail = UserPatch {
        email: Patch::Null,
        ..UserPatch::default()
    };
    assert!(
        matches!(update(&connector, UNKNOWN, mail).await, Err(Error::Unsupported { field, .. }) if field == "email")
    );
    for id in ["", "..", "a/b", "x?y", "{}"] {
        assert!(
            matches!(connector.get_user(id).await, Err(Error::NotFound { what: "user" })),
            "{id}"
        );
        assert!(
            matches!(
                update(&connector, id, UserPatch::default()).await,
                Err(Error::NotFound { .. })
            ),
            "{id}"
        );
    }
    assert_eq!(vendor.asked(), []);
}

#[tokio::test]
async fn the_vendors_refusals_are_told_apart() {
    let error = include_str!("../../../src/dialects/trusted_twin/fixtures/error.json");
    let cases = [
        (400, RemoteKind::Rejected),
        (401, RemoteKind::Unauthorized),
        (403, RemoteKind::Forbidden),
        (404, RemoteKind::NotFound),
        (500, RemoteKind::Fault),
    ];
    let (_, connector) = Vendor::serve(&cases.map(|(status, _)| (status, error))).await;
    for (status, kind) in cases {
        let Err(Error::Remote(failure)) = connector.get_user(UNKNOWN).await else {
            panic!("{status}")
        };
        assert_eq!((failure.kind, failure.status), (kind, Some(status)));
        assert_eq!(failure.raw["subcode"], 404_653);
    }
    let (_, connector) = Vendor::serve(&[(200, "<html>"), (200, "[]"), (200, "{}")]).await;
    for patch in [described(Patch::Null), UserPatch::default()] {
        let Err(Error::Remote(failure)) = update(&connector, UNKNOWN, patch).await else {
            panic!("read")
        };
        assert_eq!(failure.kind, RemoteKind::Unreadable);
    }
    let Err(Error::Remote(failure)) = connector.get_user(UNKNOWN).await else {
        panic!("read")
    };
    assert_eq!(failure.kind, RemoteKind::Unreadable);
}

#[tokio::test]
async fn the_connector_drives_the_facade() {
    let patchbay = Patchbay::new().await;
    let base = format!("http://{}", patchbay.serve().await);
    let connector = connector(&base, &patchbay.sample.keys.administrator);
    let id = patchbay.sample.users[0].id.to_string();
    assert_eq!(
        connector.get_user(&id).await.unwrap().name().as_deref(),
        Some("Han Solo")
    );
    let tables = json!({ "log": { "dimensions": { "user": "{user}" } } });
    let change = UserPatch {
        display_name: Patch::Value("Oliver Adams".to_owned()),
        attributes: [("trusted_twin:activity".to_owned(), Patch::Value(tables.clone()))].into(),
        passthrough: json!({ "description": { "company": "acme" }, "role": patchbay.sample.role.to_string() })
            .as_object()
            .cloned()
            .unwrap(),
        ..UserPatch::default()
    };
    let user = update(&connector, &id, change).await.unwrap().unwrap();
    assert_eq!(user, connector.get_user(&id).await.unwrap());
    assert_eq!(user.attributes["trusted_twin:activity"], tables);
    assert_eq!(
        user.description.as_ref().map(Packed::read).as_ref(),
        json!({ "company": "acme" }).as_object()
    );
    let cleared = update(&connector, &id, described(Patch::Null)).await.unwrap().unwrap();
    assert_eq!(
        (cleared.description, cleared.display_name.as_deref()),
        (None, Some("Oliver Adams"))
    );
    let Err(Error::Remote(failure)) = connector.get_user(UNKNOWN).await else {
        panic!("found")
    };
    assert_eq!(failure.kind, RemoteKind::NotFound);
}

#[tokio::test]
async fn an_answer_without_a_member_of_a_user_is_none() {
    for answer in ["{}", r#"{"why": "w"}"#, r#"{"statusCode": 404, "message": "nope"}"#] {
        let (vendor, connector) = Vendor::serve(&[(200, answer)]).await;
        let Err(Error::Remote(failure)) = update(&connector, UNKNOWN, described(Patch::Null)).await else {
            panic!("{answer} counts as done")
        };
        assert_eq!(failure.kind, RemoteKind::Unreadable);
        assert_eq!(vendor.asked().len(), 1);
    }
}

#[tokio::test]
async fn the_id_is_the_vendors_however_it_was_asked_for() {
    let answer = include_str!("../../../src/dialects/trusted_twin/fixtures/update_user.answer.json");
    let own = serde_json::from_str::<Value>(answer).unwrap()["uuid"]
        .as_str()
        .unwrap()
        .to_owned();
    let (_vendor, connector) = Vendor::serve(&[(200, answer); 2]).await;
    let asked = own.to_uppercase();
    let read = connector.get_user(&asked).await.unwrap();
    let updated = update(&connector, &asked, UserPatch::default()).await.unwrap().unwrap();
    assert_eq!((read.remote_id.as_deref(), &updated), (Some(own.as_str()), &read));
}

#[tokio::test]
async fn each_member_has_its_place_in_the_request() {
    let connector = connector("http://localhost", "k");
    for (field, carrier) in [
        ("display_name", Some("name")),
        ("description", Some("description")),
        ("attributes.trusted_twin:activity", Some("activity")),
        ("attributes.trusted_twin:role", Some("role")),
    ] {
        assert_eq!(connector.carrier(field).as_deref(), carrier, "{field}");
    }
}

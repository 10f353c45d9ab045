//! The dialect spoken outward: at a recorder, to see what goes over the wire, and at Patchbay itself.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
};
use patchbay::{
    dialects::{Dialect, softwareone::SoftwareOne},
    outbound::http::{Client, OutboundConfig, Target},
};
use patchbay_core::{
    connector::{Connector, RemoteKind, RemoteUpdate},
    error::Error,
    icon::Icon,
    patch::Patch,
    settings::{PhonePatch, SettingsPatch},
    user::{Status, User, UserPatch},
};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{HAN, PNG, get, get_as};
use crate::harness::Patchbay;

fn connector(base_url: &str, secret: &str) -> Arc<dyn Connector> {
    let client = Client::new(OutboundConfig {
        timeout: Duration::from_secs(5),
        allow_private: true,
    });
    let target = Target {
        base_url: base_url.to_owned(),
        secret: SecretString::from(secret.to_owned()),
        settings: std::collections::BTreeMap::new(),
        client: client.unwrap(),
    };
    SoftwareOne.connector(target).unwrap()
}

async fn update(connector: &Arc<dyn Connector>, id: &str, patch: &UserPatch) -> Result<User, Error> {
    let user = connector.update_user(RemoteUpdate { id, patch }).await?;
    Ok(user.expect("the vendor answers the user"))
}

/// A request as it arrived.
type Got = (Method, Uri, HeaderMap, Bytes);

/// What a recorder got, and what it answers.
#[derive(Clone, Default)]
struct Recorder {
    got: Arc<Mutex<Vec<Got>>>,
    status: u16,
    answer: String,
}

impl Recorder {
    async fn serve(status: u16, answer: &str) -> (Self, String) {
        let recorder = Self {
            status,
            answer: answer.to_owned(),
            ..Self::default()
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback(record).with_state(recorder.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (recorder, base)
    }

    fn last(&self) -> Got {
        self.got.lock().unwrap().last().cloned().unwrap()
    }
}

async fn record(
    State(recorder): State<Recorder>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    recorder.got.lock().unwrap().push((method, uri, headers, body));
    (StatusCode::from_u16(recorder.status).unwrap(), recorder.answer.clone())
}

const EXAMPLE: &str = include_str!("../../../src/dialects/softwareone/fixtures/user.json");

/// By mail address the vendor tells little of a user, so that he would be another than after an update.
#[tokio::test]
async fn a_user_named_by_his_mail_address_is_read_by_his_id() {
    let (recorder, base) = Recorder::serve(200, EXAMPLE).await;
    let own: Value = serde_json::from_str(EXAMPLE).unwrap();
    let user = connector(&base, "k").get_user("han@example.com").await.unwrap();
    assert_eq!(user.remote_id.as_deref(), own["id"].as_str());
    let got = recorder.got.lock().unwrap();
    let asked: Vec<&str> = got
        .iter()
        .map(|(_, uri, ..)| uri.path().rsplit('/').next().unwrap())
        .collect();
    assert_eq!(asked, ["han@example.com", own["id"].as_str().unwrap()]);
    assert!(
        got.iter()
            .all(|(_, _, headers, _)| headers["accept-encoding"] == "identity")
    );
}

#[tokio::test]
async fn absent_null_and_value_go_out_as_such() {
    let (recorder, base) = Recorder::serve(200, EXAMPLE).await;
    let patch = UserPatch {
        first_name: Patch::Value("Ada".to_owned()),
        phone: Patch::Null,
        settings: Patch::Value(SettingsPatch {
            culture_code: Patch::Null,
            time_zone: Patch::Value("UTC".to_owned()),
            ..SettingsPatch::default()
        }),
        passthrough: json!({"currentAccount": {"id": "ACC-0000-0001"}})
            .as_object()
            .unwrap()
            .clone(),
        ..UserPatch::default()
    };
    for suffix in ["", "/", "/public", "/public/v1/"] {
        let user = update(&connector(&format!("{base}{suffix}"), "k"), "USR-3758-7092", &patch)
            .await
            .unwrap();
        assert_eq!(user.full_name().as_deref(), Some("Ada Lovelace"));
        assert_eq!(user.status, Some(Status::Enabled));
        let (method, uri, headers, body) = recorder.last();
        assert_eq!(
            (method, uri.path()),
            (Method::PUT, "/public/v1/accounts/users/USR-3758-7092")
        );
        assert_eq!(headers["authorization"], "Bearer k");
        assert_eq!(headers["content-type"], "application/json");
        let expected = json!({
            "firstName": "Ada", "phone": null, "settings": {"cultureCode": null, "timeZone": "UTC"},
            "currentAccount": {"id": "ACC-0000-0001"},
        });
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), expected);
    }
}

#[tokio::test]
async fn only_a_picture_makes_it_a_form() {
    let (recorder, base) = Recorder::serve(200, EXAMPLE).await;
    let patch = UserPatch {
        icon: Patch::Value(Icon::new(PNG.into()).unwrap()),
        ..UserPatch::default()
    };
    update(&connector(&base, "k"), "USR-3758-7092", &patch).await.unwrap();
    let (_, _, headers, body) = recorder.last();
    assert!(
        headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("multipart/form-data; boundary=")
    );
    let body = String::from_utf8_lossy(&body).to_lowercase();
    assert!(
        body.contains("name=\"icon\"; filename=\"icon.png\"\r\ncontent-type: image/png"),
        "{body}"
    );
    assert!(
        body.contains("name=\"user\"\r\ncontent-type: application/json\r\n\r\n{}\r\n"),
        "{body}"
    );
}

#[tokio::test]
async fn ids_stay_within_their_path_segment() {
    let (recorder, base) = Recorder::serve(200, r#"{"id": "../x?y#z"}"#).await;
    let connector = connector(&base, "k");
    connector.get_user("../x?y#z").await.unwrap();
    assert_eq!(
        recorder.last().1.to_string(),
        "/public/v1/accounts/users/..%2Fx%3Fy%23z"
    );
    for id in ["", ".", ".."] {
        assert!(matches!(connector.get_user(id).await, Err(Error::NotFound { .. })));
    }
    assert_eq!(recorder.got.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn failures_are_classified() {
    for (status, answer, kind) in [
        (400, r#"{"title":"Bad Request"}"#, RemoteKind::Rejected),
        (401, "{}", RemoteKind::Unauthorized),
        (403, "{}", RemoteKind::Forbidden),
        (404, "{}", RemoteKind::NotFound),
        (503, "busy", RemoteKind::Fault),
        (200, "<html>", RemoteKind::Unreadable),
        (200, "", RemoteKind::Unreadable),
        (200, r#"{"name":"no id"}"#, RemoteKind::Unreadable),
    ] {
        let (_, base) = Recorder::serve(status, answer).await;
        let connector = connector(&base, "k");
        for result in [
            connector.get_user("x").await,
            update(&connector, "x", &UserPatch::default()).await,
        ] {
            match result {
                Err(Error::Remote(failure)) => assert_eq!(failure.kind, kind, "{status} {answer}"),
                other => panic!("{status} {answer}: {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn what_cannot_be_said_is_refused_before_anything_is_sent() {
    let (recorder, base) = Recorder::serve(200, EXAMPLE).await;
    let connector = connector(&base, "k");
    assert!(connector.capability().icons);
    let patch = UserPatch {
        title: Patch::Value("x".to_owned()),
        ..UserPatch::default()
    };
    let result = update(&connector, "x", &patch).await;
    assert!(matches!(result, Err(Error::Unsupported { field, .. }) if field == "title"));
    assert!(recorder.got.lock().unwrap().is_empty());
}

#[test]
fn a_base_url_must_be_one() {
    for base_url in ["", "nonsense", "mailto:x"] {
        let client = Client::new(OutboundConfig {
            timeout: Duration::from_secs(5),
            allow_private: true,
        });
        let target = Target {
            base_url: base_url.to_owned(),
            secret: SecretString::from("k".to_owned()),
            settings: std::collections::BTreeMap::new(),
            client: client.unwrap(),
        };
        assert!(matches!(SoftwareOne.connector(target), Err(Error::Invalid { field, .. }) if field == "base_url"));
    }
}

#[tokio::test]
async fn the_connector_and_the_facade_understand_each_other() {
    let patchbay = Patchbay::new().await;
    let address = patchbay.serve().await;
    let key = patchbay.sample.keys.operations.clone();
    let connector = connector(&format!("http://{address}"), &key);
    let user = connector.get_user("USR-0000-0001").await.unwrap();
    assert_eq!(user.remote_id.as_deref(), Some("USR-0000-0001"));
    assert_eq!(user.phone.unwrap().number.as_deref(), Some("660707172"));

    let patch = UserPatch {
        last_name: Patch::Value("Organa".to_owned()),
        phone: Patch::Value(PhonePatch {
            prefix: Patch::Null,
            ..PhonePatch::default()
        }),
        settings: Patch::Null,
        icon: Patch::Value(Icon::new(PNG.into()).unwrap()),
        ..UserPatch::default()
    };
    let user = update(&connector, "USR-0000-0001", &patch).await.unwrap();
    assert_eq!(user.full_name().as_deref(), Some("Han Organa"));
    let seen = get(&patchbay, HAN).await;
    assert_eq!(seen["phone"], json!({"number": "660707172"}));
    assert_eq!(seen.get("settings"), None);
    assert_eq!(get_as(&patchbay, &key, &format!("{HAN}/icon")).await.bytes, PNG);
}

#[tokio::test]
async fn odd_members_that_are_not_used_do_not_matter() {
    let odd = json!({
        "id": "USR-0000-0001", "firstName": "Han", "revision": -1, "accounts": [{ "name": "without an id" }],
        "currentAccount": "x", "name": {}, "icon": 5, "status": "Archived",
        "audit": {
            "created": "x", "updated": { "at": "2026-02-02T10:00:00Z", "by": "[Circular Reference]" },
            "invitationAcceptedAt": 5,
        },
    });
    let (_, base) = Recorder::serve(200, &odd.to_string()).await;
    let patch = UserPatch {
        first_name: Patch::Value("Han".to_owned()),
        ..UserPatch::default()
    };
    let user = update(&connector(&base, "k"), "USR-0000-0001", &patch).await.unwrap();
    assert_eq!(user.first_name.as_deref(), Some("Han"));
    assert_eq!(user.updated_at.to_string(), "2026-02-02T10:00:00.000Z");
    assert_eq!(
        (user.status, &user.attributes["softwareone:status"]),
        (None, &json!("Archived"))
    );

    let (_, base) = Recorder::serve(200, r#"["USR-0000-0001"]"#).await;
    let error = update(&connector(&base, "k"), "USR-0000-0001", &patch)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Remote(failure) if failure.kind == RemoteKind::Unreadable));
}

#[tokio::test]
async fn by_mail_address_a_user_of_any_id_is_changed() {
    let (_, base) = Recorder::serve(200, r#"{"id": "USR-0000-0001"}"#).await;
    let connector = connector(&base, "k");
    for id in ["han@example.com", "usr-0000-0001"] {
        let user = update(&connector, id, &UserPatch::default()).await.unwrap();
        assert_eq!(user.remote_id.as_deref(), Some("USR-0000-0001"));
    }
    update(&connector, "USR-0000-0002", &UserPatch::default())
        .await
        .unwrap_err();
}

#[tokio::test]
async fn what_is_passed_through_wins_whatever_its_letter_case() {
    let (recorder, base) = Recorder::serve(200, r#"{"id": "USR-0000-0001"}"#).await;
    let patch = UserPatch {
        first_name: Patch::Value("Named".to_owned()),
        last_name: Patch::Value("Named".to_owned()),
        passthrough: json!({ "FIRSTNAME": "Passed" }).as_object().unwrap().clone(),
        ..UserPatch::default()
    };
    update(&connector(&base, "k"), "USR-0000-0001", &patch).await.unwrap();
    let (.., body) = recorder.last();
    let sent = json!({ "FIRSTNAME": "Passed", "lastName": "Named" });
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), sent);
}

#[tokio::test]
async fn each_member_has_its_place_in_the_request() {
    let connector = connector("http://localhost", "k");
    for (field, carrier) in [
        ("first_name", Some("firstName")),
        ("phone.prefix", Some("phone")),
        ("settings", Some("settings")),
        ("settings.number_format.group_separator", Some("settings")),
        ("attributes.softwareone:a.b", Some("a.b")),
        ("icon", None),
    ] {
        assert_eq!(connector.carrier(field).as_deref(), carrier, "{field}");
    }
}

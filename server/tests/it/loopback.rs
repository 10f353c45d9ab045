//! Outward: two Patchbays over TCP. A StackOne PATCH on the first changes the user in the second, through each dialect.
//!
//! Between the two stands a recorder, so that what travels is compared as JSON: null, absent and value are told apart
//! on the wire. Vendors that misbehave on demand are small services in the test.

mod cases;
mod faults;
mod outcomes;
mod refusing;
pub mod remote;
mod settling;
mod turns;
mod versions;

use axum::body::Body;
use http::StatusCode;
use patchbay::dialects::REGISTRY;
use patchbay_core::{audit::Outcome, store::UserKey, user::User};
use serde_json::{Value, json};
use tempfile::TempDir;

use self::{
    cases::{CASES, Case},
    remote::{Call, Calls, Linked},
};
use crate::harness::{Answer, Patchbay};

/// The second Patchbay behind a recorder, linked to the first in one dialect.
struct Pair {
    case: &'static Case,
    second: Patchbay,
    calls: Calls,
    linked: Linked,
    /// Kept until the test ends.
    _folder: TempDir,
}

impl Pair {
    async fn new(dialect: &str) -> Self {
        let case = cases::of(dialect);
        let (second, folder) = remote::second().await;
        let (address, calls) = remote::recorded(&second).await;
        let linked = Linked::new(remote::outbound(), remote::http()).await;
        let linked = linked.to(case, address, &second.sample).await;
        Self {
            case,
            second,
            calls,
            linked,
            _folder: folder,
        }
    }

    /// The user in the second, as the domain has him.
    async fn user(&self) -> User {
        let sample = &self.second.sample;
        let found = self
            .second
            .store
            .user(sample.tenant, &UserKey::Id(sample.users[0].id))
            .await;
        (*found.unwrap().unwrap()).clone()
    }

    fn id(&self) -> String {
        (self.case.id)(&self.second.sample.users[0])
    }

    async fn update(&self, body: &Value) -> Answer {
        self.linked.update(&self.id(), body).await
    }

    /// The writes that reached the second.
    fn writes(&self) -> Vec<Call> {
        self.calls
            .taken()
            .into_iter()
            .filter(|call| call.method != "GET")
            .collect()
    }
}

#[test]
fn every_dialect_has_a_case() {
    all_registered(CASES.iter().map(|case| case.dialect));
}

/// These are the names of the registered dialects, each once.
fn all_registered(names: impl IntoIterator<Item = &'static str>) {
    let mut registered: Vec<&str> = REGISTRY.iter().map(|dialect| dialect.name()).collect();
    let mut names: Vec<&str> = names.into_iter().collect();
    registered.sort_unstable();
    names.sort_unstable();
    assert_eq!(registered, names);
}

/// One test per dialect, so that each fails by its own name. A macro cannot read the registry, so a test compares the names.
macro_rules! for_each_dialect {
    ($($test:ident)*) => {
        for_each_dialect! { in stackone nerm softwareone trusted_twin: ($($test)*) }
    };
    (in $($dialect:ident)*: $tests:tt) => {
        $(for_each_dialect! { of $dialect: $tests })*

        #[test]
        fn every_dialect_is_tested() {
            $crate::loopback::all_registered([$(stringify!($dialect)),*]);
        }
    };
    (of $dialect:ident: ($($test:ident)*)) => {
        mod $dialect {
            $(#[tokio::test] async fn $test() { super::$test(stringify!($dialect)).await; })*
        }
    };
}
use for_each_dialect;

for_each_dialect! {
    a_change_arrives_with_its_three_states
    a_user_is_read
    nothing_is_asked_twice
    an_empty_change_changes_nothing
    conditions_are_compared_with_what_the_vendor_tells
    what_was_there_before_is_recorded_where_it_was_read
    what_is_sent_is_recorded_once
    what_the_dialect_cannot_say_is_refused
    refusals_of_the_second_come_back
    private_targets_are_refused
}

async fn a_change_arrives_with_its_three_states(dialect: &str) {
    let pair = Pair::new(dialect).await;
    let mut expected = pair.user().await;
    let answer = pair.update(&(pair.case.change)()).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.bytes));
    assert_eq!(answer.json()["message"], "Record updated successfully.");

    let writes = pair.writes();
    let [write] = writes.as_slice() else {
        panic!("one write, not {writes:?}")
    };
    assert_eq!(
        write.said(pair.case.at),
        (pair.case.sent)(),
        "exactly what was said, as it was said"
    );

    (pair.case.becomes)(&mut expected);
    let mut user = pair.user().await;
    assert_eq!(user.revision.0, 2);
    assert!(user.updated_by.is_some());
    (user.revision, user.updated_at) = (expected.revision, expected.updated_at);
    user.updated_by.clone_from(&expected.updated_by);
    assert_eq!(user, expected, "what was absent stayed");

    let entry = pair.linked.last_audit().await;
    assert_eq!(
        (entry.outcome, entry.account.as_deref()),
        (Outcome::Done, Some(pair.linked.account()))
    );
    assert!(!entry.changes.is_empty());
}

async fn a_user_is_read(dialect: &str) {
    let pair = Pair::new(dialect).await;
    pair.update(&(pair.case.change)()).await;
    let answer = pair.linked.get(&pair.id(), "?expand=roles,groups").await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.bytes));
    let data = answer.json()["data"].clone();
    assert_eq!(
        (&data["id"], &data["remote_id"]),
        (&json!(pair.id()), &json!(pair.id()))
    );
    for (member, value) in (pair.case.shows)().as_object().unwrap() {
        assert_eq!(&data[member], value, "{member}: {data}");
    }

    let tag = answer.header("etag");
    let again = pair.linked.conditional(&pair.id(), tag).await;
    assert_eq!(
        (again.status.as_u16(), again.header("etag")),
        (304, tag),
        "the tag stands for what was read"
    );
    pair.linked.update(&pair.id(), &(pair.case.back)()).await;
    let changed = pair.linked.conditional(&pair.id(), tag).await;
    assert_eq!(changed.status, 200, "another state has another tag");
}

async fn nothing_is_asked_twice(dialect: &str) {
    let pair = Pair::new(dialect).await;
    let send = async |body: Value| pair.linked.update_once(&pair.id(), "key-1", &body).await;
    let first = send((pair.case.change)()).await;
    pair.linked.patchbay.clock.advance_millis(2_000);
    let second = send((pair.case.change)()).await;
    assert_eq!((first.status, &first.bytes), (second.status, &second.bytes));
    assert_eq!(first.status, 200);
    assert_eq!(pair.writes().len(), 1);
    assert_eq!(send((pair.case.back)()).await.status, 422, "another body");
}

async fn conditions_are_compared_with_what_the_vendor_tells(dialect: &str) {
    let pair = Pair::new(dialect).await;
    let send = async |name: &str, tag: &str, key: Option<&str>, body: Value| {
        let mut headers = vec![(name, tag)];
        headers.extend(key.map(|key| ("idempotency-key", key)));
        let path = format!("/unified/iam/users/{}", pair.id());
        let body = Body::from(body.to_string());
        pair.linked.send("PATCH", &path, &headers, body).await
    };
    let read = pair.linked.get(&pair.id(), "").await;
    let tag = read.header("etag");
    for (name, stale) in [("if-match", "\"1\""), ("if-none-match", "*"), ("if-none-match", tag)] {
        let answer = send(name, stale, Some("stale"), (pair.case.change)()).await;
        assert_eq!(answer.status, 412, "{name}: {stale}");
    }
    assert!(pair.writes().is_empty(), "nothing was sent");

    let done = send("if-match", tag, Some("k"), (pair.case.change)()).await;
    assert_eq!(done.status, 200, "{}", String::from_utf8_lossy(&done.bytes));
    let now = pair.linked.get(&pair.id(), "").await;
    assert_ne!(now.header("etag"), tag);
    assert_eq!(
        done.header("etag"),
        now.header("etag"),
        "the tag is the same in GET and update"
    );
    let repeat = send("if-match", tag, Some("k"), (pair.case.change)()).await;
    assert_eq!((repeat.status, &repeat.bytes), (done.status, &done.bytes));
    assert_eq!(repeat.headers.get("etag"), done.headers.get("etag"));
    assert_eq!(
        send("if-match", tag, None, (pair.case.back)()).await.status,
        412,
        "stale by now"
    );
    assert_eq!(pair.writes().len(), 1);
}

async fn what_was_there_before_is_recorded_where_it_was_read(dialect: &str) {
    let pair = Pair::new(dialect).await;
    assert_eq!(pair.update(&(pair.case.back)()).await.status, 200);
    let unread = pair.linked.last_audit().await.changes;
    assert!(unread.iter().all(|change| change.before.is_null()), "{unread:?}");

    let read = pair.linked.get(&pair.id(), "").await;
    let headers = [("if-match", read.header("etag"))];
    let path = format!("/unified/iam/users/{}", pair.id());
    let body = Body::from((pair.case.change)().to_string());
    let answer = pair.linked.send("PATCH", &path, &headers, body).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.bytes));
    let told = read.json()["data"].clone();
    let changes = pair.linked.last_audit().await.changes;
    let named = changes.iter().filter(|change| !change.field.starts_with("attributes."));
    let mut known = 0;
    for change in named {
        let told = match change.field.as_str() {
            "email" => &told["primary_email_address"],
            "display_name" => &told["name"],
            "is_bot" => &told["is_bot_user"],
            "status" => &told["status"]["value"],
            field => &told[field],
        };
        assert_eq!(&change.before, told, "{}", change.field);
        known += usize::from(!told.is_null());
    }
    assert!(known > 0, "{changes:?}");
}

async fn what_is_sent_is_recorded_once(dialect: &str) {
    let pair = Pair::new(dialect).await;
    let (body, recorded) = (pair.case.twice)();
    assert_eq!(pair.update(&body).await.status, 200);
    let writes = pair.writes();
    let sent = writes[0].said(pair.case.at);
    let passed = body["passthrough"].as_object().unwrap();
    for (name, value) in passed {
        let place = if dialect == "stackone" {
            &sent["passthrough"]
        } else {
            &sent
        };
        assert_eq!(&place[name], value, "{sent}");
    }
    let changes = pair.linked.last_audit().await.changes;
    let fields: Vec<&str> = changes.iter().map(|change| change.field.as_str()).collect();
    assert_eq!(fields, recorded);
}

async fn an_empty_change_changes_nothing(dialect: &str) {
    let pair = Pair::new(dialect).await;
    let before = pair.user().await;
    let answer = pair.update(&json!({})).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.bytes));
    assert_eq!(pair.user().await, before);
}

async fn what_the_dialect_cannot_say_is_refused(dialect: &str) {
    let pair = Pair::new(dialect).await;
    for (member, value) in (pair.case.cannot)().as_object().unwrap() {
        let mut body = (pair.case.change)();
        body[member] = value.clone();
        let answer = pair.update(&body).await;
        assert_eq!(answer.status, 422, "{member}");
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with(member), "{message}");
    }
    assert!(pair.writes().is_empty(), "nothing was sent");
    assert_eq!(pair.user().await.revision.0, 1);
}

async fn refusals_of_the_second_come_back(dialect: &str) {
    let pair = Pair::new(dialect).await;
    let nobody = (pair.case.nobody)();
    for answer in [
        pair.linked.get(&nobody, "").await,
        pair.linked.update(&nobody, &(pair.case.change)()).await,
    ] {
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        let body = answer.json();
        assert_eq!(
            (&body["statusCode"], &body["provider_errors"][0]["status"]),
            (&json!(404), &json!(404))
        );
        assert!(body["provider_errors"][0]["raw"].is_object(), "{body}");
        assert!(
            !body.to_string().contains(&(pair.case.secret)(&pair.second.sample)),
            "no secrets: {body}"
        );
    }
    assert!(matches!(pair.linked.last_audit().await.outcome, Outcome::Failed(_)));
    for id in [".", "%2E%2E", "..%2F..%2Fusers"] {
        let path = format!("/unified/iam/users/{id}");
        let answer = pair
            .linked
            .send("PATCH", &path, &[], Body::from((pair.case.change)().to_string()))
            .await;
        assert!(answer.status.is_client_error(), "{id}: {answer:?}");
    }
    assert_eq!(pair.user().await.revision.0, 1);
}

async fn private_targets_are_refused(dialect: &str) {
    let case = cases::of(dialect);
    let (second, _folder) = remote::second().await;
    let (address, calls) = remote::recorded(&second).await;
    let closed = patchbay::outbound::http::OutboundConfig {
        allow_private: false,
        ..remote::outbound()
    };
    let linked = Linked::new(closed, remote::http()).await;
    let id = (case.id)(&second.sample.users[0]);
    for host in ["127.0.0.1", "localhost", "[::1]", "0.0.0.0"] {
        let base = format!("http://{host}:{}{}", address.port(), case.base);
        let linked = linked.at(case, &base, &second.sample).await;
        for answer in [linked.get(&id, "").await, linked.update(&id, &(case.change)()).await] {
            assert_eq!(answer.status, 502, "{host}");
            let error = &answer.json()["provider_errors"][0];
            assert_eq!(error["status"], Value::Null);
            assert!(error["raw"].to_string().contains("allow_private"), "{error}");
        }
    }
    assert!(calls.taken().is_empty());
    let user = second
        .store
        .user(second.sample.tenant, &UserKey::Id(second.sample.users[0].id))
        .await;
    assert_eq!(user.unwrap().unwrap().revision.0, 1);
}

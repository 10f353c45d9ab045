//! Lost answers: what reading back proves, what it does not, and what is recorded where the store falters.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering},
    },
};

use axum::{body::Body, response::Response};
use patchbay::settling;
use patchbay_core::{
    audit::Outcome,
    changeset::Delta,
    error::Error,
    id::LinkedAccountId,
    patch::Patch,
    principal::Context,
    provider::UpdateUser,
    remote::{LedgerEntry, LedgerState},
    store::{Store, UserKey},
    user::UserPatch,
};
use serde_json::{Value, json};

use super::{
    cases,
    refusing::Refusing,
    remote::{self, Call, Calls, Linked},
};
use crate::harness::Answer;

/// Answers the write and then is gone before its end.
const LOST: u16 = 0;
/// Does the write, and then is gone.
const DONE_AND_LOST: u16 = 1;

/// A NERM with one user that does writes, or fails as it is told.
#[derive(Clone, Default)]
struct Vendor {
    user: Arc<Mutex<Value>>,
    status: Arc<AtomicU16>,
}

impl Vendor {
    fn answers(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    fn answer(&self, call: &Call) -> Response {
        let status = self.status.load(Ordering::SeqCst);
        let mut user = self.user.lock().unwrap();
        if call.method == "PATCH" {
            if status == 200 || status == DONE_AND_LOST {
                let said = call.said("/user");
                user.as_object_mut().unwrap().extend(said.as_object().unwrap().clone());
            }
            if status <= DONE_AND_LOST {
                let parts = [Ok("{\"user\""), Err(std::io::Error::other("gone"))];
                return Response::new(Body::from_stream(futures_util::stream::iter(parts)));
            }
            if status != 200 {
                let body = Body::from(json!({ "error": "as told" }).to_string());
                return Response::builder().status(status).body(body).unwrap();
            }
        }
        Response::new(Body::from(json!({ "user": *user }).to_string()))
    }
}

/// A Patchbay over a store that falters on demand, linked to such a vendor.
struct Scene {
    vendor: Vendor,
    calls: Calls,
    store: Arc<Refusing>,
    linked: Linked,
}

impl Scene {
    async fn new() -> Self {
        let vendor = Vendor::default();
        *vendor.user.lock().unwrap() = json!({ "id": "u", "name": "Old", "email": "e@example.com" });
        let service = vendor.clone();
        let (address, calls) = remote::vendor(move |call| {
            let answer = service.answer(&call);
            Box::pin(async move { answer })
        })
        .await;
        let store = Refusing::new();
        let linked = Linked::over(store.clone(), remote::outbound(), remote::http()).await;
        let base = format!("http://{address}{}", cases::of("nerm").base);
        let linked = linked.link("nerm", &base, "key", BTreeMap::default()).await;
        Self {
            vendor,
            calls,
            store,
            linked,
        }
    }

    /// With one write under the key that the vendor did and the store could not record.
    async fn left_open(change: &Value) -> Self {
        let scene = Self::faltering().await;
        scene.once(change).await;
        scene.store.after(0, 0);
        scene
    }

    /// The same, without a key.
    async fn left_open_without_key() -> Self {
        let scene = Self::faltering().await;
        scene.update(json!({ "name": "New" })).await;
        scene.store.after(0, 0);
        scene
    }

    /// With a vendor that does the next write and a store that will not record it.
    async fn faltering() -> Self {
        let scene = Self::new().await;
        scene.vendor.answers(200);
        scene.store.after(1, 100);
        scene
    }

    async fn update(&self, body: Value) -> Answer {
        self.linked.update("u", &body).await
    }

    async fn once(&self, body: &Value) -> Answer {
        self.linked.update_once("u", "key-1", body).await
    }

    fn writes(&self) -> usize {
        let calls = self.calls.taken();
        calls.into_iter().filter(|call| call.method == "PATCH").count()
    }

    async fn open(&self) -> Vec<LedgerEntry> {
        let mut entries = Vec::new();
        for writes in self.linked.patchbay.app.gateway.open_writes().await.unwrap() {
            for id in writes.ids {
                entries.extend(self.store.ledger(writes.tenant, id).await.unwrap());
            }
        }
        entries
    }

    async fn settle(&self) {
        let app = &self.linked.patchbay.app;
        settling::settle(app, app.gateway.open_writes().await.unwrap()).await;
    }
}

#[tokio::test]
async fn a_fault_is_done_only_if_reading_back_proves_it() {
    let scene = Scene::new().await;
    for (vendor, body, status, outcome) in [
        (500, json!({}), 502, "failed"),
        (500, json!({ "passthrough": { "title": null } }), 502, "unknown"),
        (500, json!({ "passthrough": { "name": "Old" } }), 502, "unknown"),
        (500, json!({ "name": "New" }), 502, "failed"),
        (503, json!({ "name": "Old", "username": "old" }), 502, "unknown"),
        (
            503,
            json!({ "name": "Old", "primary_email_address": "e@example.com" }),
            200,
            "done",
        ),
        (LOST, json!({ "passthrough": { "title": null } }), 502, "unknown"),
        (LOST, json!({}), 502, "failed"),
        (LOST, json!({ "name": "New" }), 502, "unknown"),
        (DONE_AND_LOST, json!({ "name": "New" }), 200, "done"),
        (504, json!({ "name": "Newer" }), 408, "unknown"),
    ] {
        scene.vendor.answers(vendor);
        let answer = scene.update(body.clone()).await;
        assert_eq!(answer.status.as_u16(), status, "{vendor} {body}");
        if status != 200 {
            let errors = answer.json()["provider_errors"].clone();
            assert_eq!(errors.as_array().map(Vec::len), Some(1), "{vendor} {body}");
        }
        let recorded = match scene.linked.last_audit().await.outcome {
            Outcome::Done => "done",
            Outcome::Refused(_) => "refused",
            Outcome::Failed(_) => "failed",
            Outcome::Unknown(_) => "unknown",
        };
        assert_eq!(recorded, outcome, "{vendor} {body}");
        assert_eq!(scene.writes(), 1, "nothing is sent twice");
    }
}

#[tokio::test]
async fn a_secret_that_is_passed_through_is_sent_and_not_recorded() {
    let scene = Scene::new().await;
    scene.vendor.answers(200);
    let change = json!({ "name": "New", "passthrough": { "password": "p4ss", "nested": [{ "Token": "t0k" }] } });
    assert_eq!(scene.update(change).await.status, 200);
    let calls = scene.calls.taken();
    assert_eq!(calls[0].said("/user")["password"], "p4ss");
    let recorded = serde_json::to_value(scene.linked.last_audit().await.changes).unwrap();
    let text = recorded.to_string();
    assert!(!text.contains("p4ss") && !text.contains("t0k"), "{text}");
    assert!(text.contains("[secret]") && text.contains("New"), "{text}");
}

#[tokio::test]
async fn a_key_is_free_once_it_is_known_that_nothing_was_done() {
    let scene = Scene::new().await;
    let change = json!({ "name": "New" });
    scene.vendor.answers(500);
    assert_eq!(scene.once(&change).await.status, 502);
    let failed = scene.linked.last_audit().await;
    assert!(matches!(failed.outcome, Outcome::Failed(_)));
    assert_eq!(failed.changes[0].after, "New", "what was tried is recorded");
    scene.vendor.answers(200);
    assert_eq!(scene.once(&change).await.status, 200);
    assert_eq!(scene.writes(), 2);
}

#[tokio::test]
async fn a_repeat_settles_what_was_unknown() {
    let scene = Scene::new().await;
    let change = json!({ "name": "New" });
    scene.vendor.answers(LOST);
    assert_eq!(scene.once(&change).await.status, 502);
    assert_eq!(scene.once(&change).await.status, 409, "it is not there yet");
    scene.vendor.user.lock().unwrap()["name"] = json!("New");
    let settled = scene.once(&change).await;
    assert_eq!(settled.status, 200);
    assert_eq!(scene.linked.last_audit().await.outcome, Outcome::Done);
    let again = scene.once(&change).await;
    assert_eq!((again.status, &again.bytes), (settled.status, &settled.bytes));
    assert_eq!(again.header("etag"), settled.header("etag"));
    assert_eq!(scene.writes(), 1);
}

#[tokio::test]
async fn what_a_vendor_did_is_recorded_at_another_attempt() {
    let scene = Scene::new().await;
    scene.vendor.answers(200);
    scene.store.after(1, 2);
    assert_eq!(scene.update(json!({ "name": "New" })).await.status, 200);
    assert_eq!(scene.open().await, []);
    assert_eq!(scene.linked.last_audit().await.outcome, Outcome::Done);
}

#[tokio::test]
async fn what_a_vendor_did_is_told_even_if_it_cannot_be_recorded() {
    let scene = Scene::new().await;
    let change = json!({ "name": "New" });
    scene.vendor.answers(422);
    scene.store.after(1, 100);
    assert_eq!(scene.update(change.clone()).await.status, 422, "the vendor's refusal");
    scene.vendor.answers(200);
    scene.store.after(1, 100);
    assert_eq!(scene.once(&change).await.status, 200, "the vendor's success");
    scene.store.after(0, 1);
    assert_eq!(scene.update(change.clone()).await.status, 503, "nothing was sent");
    assert_eq!(scene.writes(), 2);
    scene.store.after(0, 0);
    let open = scene.open().await;
    assert_eq!(open.len(), 2);
    assert!(open.iter().all(|write| write.state == LedgerState::Intent));
    assert_eq!(scene.once(&change).await.status, 409, "as far as the store knows");
    // The next start.
    scene.settle().await;
    assert_eq!(scene.open().await, []);
    let audit = scene.linked.last_audit().await;
    assert_eq!((audit.outcome, audit.resource.as_str()), (Outcome::Done, "u"));
    assert_eq!(audit.actor.fingerprint.len(), 4, "who asked for it");
    assert_eq!(audit.changes[0].after, json!("New"));
    let repeat = scene.once(&change).await;
    assert_eq!(repeat.status, 200);
    assert!(!repeat.header("etag").is_empty());
    assert_eq!(scene.writes(), 0, "no write is sent to settle one");
}

#[tokio::test]
async fn a_repeat_settles_what_has_long_been_open() {
    let change = json!({ "name": "New" });
    let scene = Scene::left_open(&change).await;
    assert_eq!(scene.open().await.len(), 1);
    assert_eq!(scene.once(&change).await.status, 409, "it may still be under way");
    scene.linked.patchbay.clock.advance_millis(400_000);
    assert_eq!(scene.once(&change).await.status, 200);
    assert_eq!(scene.linked.last_audit().await.outcome, Outcome::Done);
    assert_eq!(scene.open().await, []);
    assert_eq!(scene.writes(), 1);
}

#[tokio::test]
async fn a_key_used_again_after_its_time_is_another_write() {
    let change = json!({ "name": "New" });
    let scene = Scene::left_open(&change).await;
    let [first] = scene.open().await.try_into().expect("one open write");
    scene.linked.patchbay.clock.advance_millis(24 * 60 * 60 * 1_000);
    let again = scene.once(&change).await;
    assert_eq!((again.status.as_u16(), scene.writes()), (200, 2));
    assert_eq!(scene.open().await, [first], "the first is as open as before");

    scene.linked.patchbay.clock.advance_millis(1_000);
    scene.settle().await;
    assert_eq!(scene.open().await, []);
    assert_eq!(scene.linked.last_audit().await.outcome, Outcome::Done);
    let repeat = scene.once(&change).await;
    assert_eq!((repeat.status, &repeat.bytes), (again.status, &again.bytes));
    assert_eq!(repeat.header("etag"), again.header("etag"));
    assert_eq!(scene.once(&json!({ "name": "Newer" })).await.status, 422);
    assert_eq!(scene.writes(), 0);
}

#[tokio::test]
async fn a_start_settles_what_a_crash_left_open() {
    for (name, audited, repeated) in [
        (json!("New"), "done", 200),
        (json!("Old"), "unknown", 409),
        (Value::Null, "unknown", 409),
    ] {
        let change = json!({ "name": "New" });
        let scene = Scene::left_open(&change).await;
        scene.vendor.user.lock().unwrap()["name"] = name;
        scene.settle().await;
        assert_eq!(scene.open().await, []);
        let outcome = scene.linked.last_audit().await.outcome;
        let told = serde_json::to_value(&outcome).unwrap().to_string();
        assert!(told.contains(audited), "{told}");
        assert_eq!(scene.once(&change).await.status.as_u16(), repeated, "{told}");
    }
}

#[tokio::test]
async fn a_write_that_two_settle_at_once_is_recorded_once() {
    let scene = Scene::left_open_without_key().await;
    let before = scene.linked.audit().await.len();
    tokio::join!(scene.settle(), scene.settle());
    assert_eq!(scene.open().await, []);
    assert_eq!(scene.linked.audit().await.len(), before + 1);
}

#[tokio::test]
async fn an_outcome_that_comes_after_the_keys_time_is_recorded_without_it() {
    let change = json!({ "name": "New" });
    let scene = Scene::left_open(&change).await;
    let [first] = scene.open().await.try_into().expect("one open write");
    let (patchbay, began) = (&scene.linked.patchbay, first.begun_at);
    patchbay.clock.advance_millis(24 * 60 * 60 * 1_000);
    let other = scene.once(&json!({ "name": "Newer" })).await;
    assert_eq!(other.status, 200, "the key is another request's");
    *scene.vendor.user.lock().unwrap() = json!({ "id": "u", "name": "New" });
    let tenant = patchbay.sample.tenant;
    patchbay.app.gateway.settle(tenant, first.id, began).await.unwrap();
    assert_eq!(scene.open().await, []);
    let recorded = scene.store.ledger(tenant, first.id).await.unwrap().unwrap();
    assert_eq!(recorded.state, LedgerState::Done);
    let repeat = scene.once(&json!({ "name": "Newer" })).await;
    assert_eq!((repeat.status, &repeat.bytes), (other.status, &other.bytes));
}

#[tokio::test]
async fn a_write_whose_account_cannot_be_spoken_to_stays_open() {
    let scene = Scene::left_open(&json!({ "name": "New" })).await;
    let [write] = scene.open().await.try_into().expect("one open write");
    let patchbay = &scene.linked.patchbay;
    let tenant = patchbay.sample.tenant;
    let account = scene
        .store
        .linked_account(tenant, &write.account)
        .await
        .unwrap()
        .unwrap();
    let mut newer = (*account).clone();
    newer.remote.as_mut().unwrap().dialect = "of a newer version".to_owned();
    patchbay.keep(Delta::PutLinkedAccount(newer)).await;
    patchbay
        .app
        .gateway
        .settle(tenant, write.id, write.begun_at)
        .await
        .unwrap_err();
    assert_eq!(scene.open().await, std::slice::from_ref(&write));
    patchbay.keep(Delta::PutLinkedAccount((*account).clone())).await;
    scene.settle().await;
    assert_eq!(scene.open().await, []);
}

#[tokio::test]
async fn a_picture_is_refused_where_the_vendor_takes_none() {
    let scene = Scene::new().await;
    let patchbay = &scene.linked.patchbay;
    let now = patchbay.app.clock.now();
    let principal = patchbay
        .app
        .authenticator
        .principal(&patchbay.sample.keys.full, now)
        .await
        .unwrap();
    let context = Context {
        principal: Arc::new(principal),
        request_id: "r".into(),
        dialect: "test",
        now,
    };
    let (account, key) = (
        LinkedAccountId(scene.linked.account().into()),
        UserKey::Opaque("u".to_owned()),
    );
    let update = UpdateUser {
        patch: Box::new(UserPatch {
            icon: Patch::Null,
            ..UserPatch::default()
        }),
        ..UpdateUser::default()
    };
    let gateway = &patchbay.app.gateway;
    let refused = gateway
        .update_user(&context, Some(&account), &key, update)
        .await
        .unwrap_err();
    assert!(
        matches!(&refused, Error::Unsupported { field, .. } if field == "icon"),
        "{refused:?}"
    );
    assert_eq!(scene.calls.taken().len(), 0, "nothing is sent");
}

#[tokio::test]
async fn a_write_whose_account_is_gone_is_settled_as_unknown() {
    let scene = Scene::left_open_without_key().await;
    let account = LinkedAccountId(scene.linked.account().into());
    let gone = Delta::RemoveLinkedAccount(account);
    scene.linked.patchbay.keep(gone).await;
    scene.settle().await;
    assert_eq!(scene.open().await, []);
    assert!(matches!(scene.linked.last_audit().await.outcome, Outcome::Unknown(_)));
}

/// URLs lose some of them, and what is left may be another user's id.
#[tokio::test]
async fn an_id_with_control_characters_names_nobody() {
    let scene = Scene::new().await;
    for id in ["a%0Ab", "a%09b", "%0Dab", "a%00b"] {
        assert_eq!(scene.linked.get(id, "").await.status, 404, "{id}");
        assert_eq!(
            scene.linked.update(id, &json!({ "name": "New" })).await.status,
            404,
            "{id}"
        );
    }
    assert_eq!(scene.writes(), 0);
}

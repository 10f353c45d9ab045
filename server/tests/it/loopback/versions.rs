//! Vendors that answer a write without the user: he is read for his version, once the write is recorded.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{body::Body, response::Response};
use http::StatusCode;
use patchbay_core::{audit::Outcome, remote::LedgerState, store::Store};
use serde_json::json;

use super::{
    cases,
    refusing::Refusing,
    remote::{self, Calls, Linked},
};

/// A Patchbay over a store that falters on demand, linked to a NERM that answers a write with nothing.
async fn silent(store: Arc<Refusing>) -> (Linked, Calls) {
    let (address, calls) = remote::vendor(|call| {
        Box::pin(async move {
            let mut answer = Response::new(Body::empty());
            if call.method == "GET" {
                *answer.body_mut() = Body::from(json!({ "user": { "id": "u", "name": "New" } }).to_string());
            } else {
                *answer.status_mut() = StatusCode::NO_CONTENT;
            }
            answer
        })
    })
    .await;
    let linked = Linked::over(store, remote::outbound(), remote::http()).await;
    let base = format!("http://{address}{}", cases::of("nerm").base);
    (linked.link("nerm", &base, "k", BTreeMap::default()).await, calls)
}

#[tokio::test]
async fn a_user_whom_the_answer_did_not_tell_is_read_and_kept_for_a_repeat() {
    let (linked, calls) = silent(Refusing::new()).await;
    let change = json!({ "name": null });
    let done = linked.update_once("u", "key-1", &change).await;
    assert_eq!((done.status.as_u16(), calls.taken().len()), (200, 2));
    assert_eq!(done.header("etag"), linked.get("u", "").await.header("etag"));
    calls.taken();
    let repeat = linked.update_once("u", "key-1", &change).await;
    assert_eq!(
        (repeat.status, repeat.header("etag")),
        (done.status, done.header("etag"))
    );
    assert_eq!(calls.taken().len(), 0);
    let entries = linked.audit().await;
    let told = entries.iter().filter(|event| event.entry.account.is_some());
    assert_eq!(told.count(), 1, "one write, one entry");
}

#[tokio::test]
async fn a_write_that_could_not_be_recorded_stays_open_though_its_version_is_read() {
    let store = Refusing::new();
    let (linked, _) = silent(store.clone()).await;
    // The write is begun; every attempt to record what came of it is refused, and no more than that.
    store.after(1, 5);
    assert_eq!(
        linked.update_once("u", "key-1", &json!({ "name": "New" })).await.status,
        200
    );
    let open = linked.patchbay.app.gateway.open_writes().await.unwrap();
    let [writes] = open.as_slice() else { panic!("{open:?}") };
    let kept = store.ledger(writes.tenant, writes.ids[0]).await.unwrap().unwrap();
    assert_eq!((kept.state, kept.user), (LedgerState::Intent, None));
}

#[tokio::test]
async fn a_write_is_recorded_before_its_version_is_read() {
    let (address, calls) = remote::vendor(|call| {
        Box::pin(async move {
            if call.method == "GET" {
                std::future::pending::<()>().await;
            }
            Response::new(Body::from(json!({ "statusCode": 200 }).to_string()))
        })
    })
    .await;
    let linked = Linked::new(remote::outbound(), remote::http()).await;
    let settings = (cases::of("stackone").settings)(&linked.patchbay.sample);
    let linked = linked
        .link("stackone", &format!("http://{address}"), "k", settings)
        .await;
    let change = json!({ "first_name": null });
    let update = linked.update_once("u", "key-1", &change);
    tokio::pin!(update);
    let mut seen = 0;
    while seen < 2 {
        let waited = tokio::time::timeout(Duration::from_millis(5), &mut update).await;
        assert!(waited.is_err(), "the vendor does not tell the user");
        seen += calls.taken().len();
    }
    assert_eq!(linked.last_audit().await.outcome, Outcome::Done);
    let done = update.await;
    assert_eq!(done.status, 200, "it does not wait for longer");
    assert!(!done.headers.contains_key("etag"));
    let repeat = linked.update_once("u", "key-1", &change).await;
    assert_eq!((repeat.status, &repeat.bytes), (done.status, &done.bytes));
    assert_eq!(calls.taken().len(), 0);
}

#[tokio::test]
async fn of_many_who_require_the_same_version_one_writes() {
    for case in &cases::CASES {
        let (second, _folder) = remote::second().await;
        let (address, calls) = remote::recorded(&second).await;
        let linked = Linked::new(remote::outbound(), remote::http()).await;
        let linked = linked.to(case, address, &second.sample).await;
        let id = (case.id)(&second.sample.users[0]);
        let tag = linked.get(&id, "").await.header("etag").to_owned();
        calls.taken();
        let path = format!("/unified/iam/users/{id}");
        let writers = (0..6).map(|_| {
            let body = Body::from((case.change)().to_string());
            let (linked, path, tag) = (&linked, &path, &tag);
            async move {
                linked
                    .send("PATCH", path, &[("if-match", tag)], body)
                    .await
                    .status
                    .as_u16()
            }
        });
        let mut told = futures_util::future::join_all(writers).await;
        told.sort_unstable();
        assert_eq!(told, [200, 412, 412, 412, 412, 412], "{}", case.dialect);
        let writes = calls.taken().into_iter().filter(|call| call.method != "GET").count();
        assert_eq!(writes, 1, "{}", case.dialect);
    }
}

//! A start with writes left open on several linked accounts, one of which does not answer.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{body::Body, response::Response};
use patchbay::{outbound::http::OutboundConfig, settling};
use patchbay_core::{
    audit::{Actor, AuditEvent, Outcome},
    changeset::Delta,
    clock::Timestamp,
    id::{LedgerId, LinkedAccountId},
    patch::Patch,
    remote::{LedgerEntry, LedgerState},
    user::UserPatch,
};
use serde_json::json;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::remote::{self, Linked};
use crate::harness::START;

/// The user as both vendors tell of him.
fn han() -> Response {
    let user = json!({ "id": Uuid::nil(), "name": "Han" });
    let both = json!({ "user": user, "uuid": Uuid::nil(), "name": "Han" });
    Response::new(Body::from(both.to_string()))
}

/// A Patchbay with two linked accounts: `remote-nerm`, which answers each call that the gate lets through, and
/// `remote-trusted_twin`, which answers at once. No call ends for being slow.
async fn scene() -> (Linked, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let closed = gate.clone();
    let (slow, _) = remote::vendor(move |_| {
        let closed = closed.clone();
        Box::pin(async move {
            closed.acquire().await.unwrap().forget();
            han()
        })
    })
    .await;
    let (prompt, _) = remote::vendor(|_| Box::pin(async { han() })).await;
    let outbound = OutboundConfig {
        timeout: Duration::from_hours(1),
        ..remote::outbound()
    };
    let linked = Linked::new(outbound, remote::http()).await;
    let none = BTreeMap::default;
    let (slow, prompt) = (format!("http://{slow}/api"), format!("http://{prompt}"));
    let linked = linked.link("nerm", &slow, "k", none()).await;
    let linked = linked.link("trusted_twin", &prompt, "k", none()).await;
    (linked, gate)
}

/// Leaves a write open, as a crash does.
async fn leave_open(linked: &Linked, account: &str, second: i64) {
    let patch = UserPatch {
        display_name: Patch::Value("Han".to_owned()),
        ..UserPatch::default()
    };
    let entry = LedgerEntry {
        // Later writes have lower ids: these do not give the order.
        id: LedgerId(Uuid::from_u128(u128::from(1_000 - second.unsigned_abs()))),
        account: LinkedAccountId(account.into()),
        remote_id: Uuid::nil().to_string(),
        request_id: format!("{account} {second}").into(),
        actor: Actor::operator(),
        dialect: "stackone".into(),
        said: patch.said(),
        idempotency: None,
        state: LedgerState::Intent,
        user: None,
        begun_at: Timestamp::from_millis(START).plus_seconds(second),
    };
    linked.patchbay.keep(Delta::PutLedger(Box::new(entry))).await;
}

/// The writes that are settled, in the order in which that was recorded.
async fn settled(linked: &Linked) -> Vec<String> {
    let patchbay = &linked.patchbay;
    let events: Vec<AuditEvent> = patchbay.store.audit(patchbay.sample.tenant, 0, 1_000).await.unwrap();
    let settled = events.into_iter().filter(|event| event.entry.account.is_some());
    settled
        .map(|event| {
            assert_eq!(event.entry.outcome, Outcome::Done);
            event.entry.request_id.to_string()
        })
        .collect()
}

#[tokio::test]
async fn an_account_that_does_not_answer_holds_up_no_other() {
    let (linked, gate) = scene().await;
    for second in [1, 2] {
        leave_open(&linked, "remote-nerm", second).await;
    }
    for second in [5, 3, 4] {
        leave_open(&linked, "remote-trusted_twin", second).await;
    }
    let app = linked.patchbay.app.clone();
    let open = app.gateway.open_writes().await.unwrap();
    let settling = tokio::spawn(async move { settling::settle(&app, open).await });
    let prompt = [
        "remote-trusted_twin 3",
        "remote-trusted_twin 4",
        "remote-trusted_twin 5",
    ];
    while settled(&linked).await.len() < prompt.len() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(settled(&linked).await, prompt, "in their order, past the older ones");

    gate.add_permits(2);
    settling.await.unwrap();
    let slow = ["remote-nerm 1", "remote-nerm 2"];
    assert_eq!(settled(&linked).await[prompt.len()..], slow);
    assert_eq!(linked.patchbay.app.gateway.open_writes().await.unwrap(), []);
}

#[tokio::test]
async fn what_is_settled_meanwhile_is_not_settled_again() {
    let (linked, _) = scene().await;
    leave_open(&linked, "remote-trusted_twin", 1).await;
    let app = &linked.patchbay.app;
    let open = app.gateway.open_writes().await.unwrap();
    for _ in 0..2 {
        settling::settle(app, open.clone()).await;
    }
    assert_eq!(settled(&linked).await, ["remote-trusted_twin 1"]);
}

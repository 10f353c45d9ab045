//! The audit log as the operator reads it, over a real database file.

use std::{path::Path, sync::Arc};

use patchbay::{
    sample,
    store::sqlite::{Options, SqliteStore},
    walkthrough::Sample,
};
use patchbay_core::{
    audit::{Actor, AuditEntry, FieldChange, Outcome},
    changeset::{Changeset, Delta},
    clock::Timestamp,
    id::UserId,
    patch::Patch,
    revision::Expect,
    store::Store,
    user::{Status, UserPatch},
};
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    cli::{run, sample as made},
    harness::{CountedEntropy, START},
};

/// A data folder with the sample tenant, in which two users were changed, the first one twice.
async fn changed() -> (TempDir, Sample) {
    let folder = TempDir::new().unwrap();
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(folder.path(), &Options::default()).unwrap());
    let at = Timestamp::from_millis(START);
    let (changeset, sample) = sample::tenant(&CountedEntropy::default(), at);
    store.commit(changeset).await.unwrap();
    let title = |title: Patch<&str>| UserPatch {
        title: title.map(str::to_owned),
        ..UserPatch::default()
    };
    let status = UserPatch {
        status: Patch::Value(Status::Blocked),
        ..UserPatch::default()
    };
    let [han, leia] = [sample.users[0].id, sample.users[1].id];
    for (user, patch) in [
        (han, title(Patch::Value("General"))),
        (leia, status),
        (han, title(Patch::Null)),
    ] {
        store.commit(update(&sample, user, patch, at)).await.unwrap();
    }
    (folder, sample)
}

fn update(sample: &Sample, id: UserId, patch: UserPatch, at: Timestamp) -> Changeset {
    let mut changeset = Changeset::new(sample.tenant, at);
    changeset.deltas.push(Delta::UpdateUser {
        id,
        expect: Expect::Any,
        patch: Box::new(patch),
    });
    changeset.audit = Some(AuditEntry {
        at,
        actor: Actor {
            name: "Leia Organa".into(),
            user: Some(sample.users[1].id.to_string()),
            fingerprint: "wxyz".into(),
        },
        action: "update_user".into(),
        dialect: "nerm".into(),
        request_id: "r1".into(),
        resource: id.to_string(),
        account: None,
        outcome: Outcome::Done,
        revision: None,
        changes: Vec::new(),
    });
    changeset
}

fn events(data: &Path, arguments: &[&str]) -> Vec<Value> {
    let arguments = [&["audit", "--data", "DATA", "--json"], arguments].concat();
    let printed = run(data, &arguments).ok();
    printed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn it_tells_who_changed_what_before_and_after() {
    let (folder, sample) = changed().await;
    let events = events(folder.path(), &[]);
    assert_eq!(events.len(), 3);
    let first = &events[0];
    assert_eq!(first["tenant"], json!(sample.tenant));
    assert_eq!(first["position"], 1);
    assert_eq!(first["at"], "2025-06-15T12:00:00.000Z");
    assert_eq!(first["actor"]["name"], "Leia Organa");
    assert_eq!(first["actor"]["fingerprint"], "wxyz");
    assert_eq!(first["resource"], json!(sample.users[0].id));
    assert_eq!(first["revision"], 2);
    assert_eq!(first["outcome"], "done");
    let changes = json!([{ "field": "title", "before": "Captain", "after": "General" }]);
    assert_eq!(first["changes"], changes);
    let cleared = json!([{ "field": "title", "before": "General", "after": null }]);
    assert_eq!(events[2]["changes"], cleared);
    let table = run(folder.path(), &["audit", "--data", "DATA"]).ok();
    assert!(table.contains("Leia Organa (key ...wxyz)"), "{table}");
    assert!(table.contains("    title: \"Captain\" → \"General\""), "{table}");
    assert!(table.contains("    title: \"General\" → null"), "{table}");
}

#[tokio::test]
async fn what_a_remote_user_was_before_is_shown_where_it_is_known() {
    let (folder, sample) = changed().await;
    let store = SqliteStore::open(folder.path(), &Options::default()).unwrap();
    let id = sample.users[0].id;
    let mut remote = update(&sample, id, UserPatch::default(), Timestamp::from_millis(0));
    remote.deltas.clear();
    let entry = remote.audit.as_mut().unwrap();
    entry.account = Some("somewhere".to_owned());
    for (field, before) in [("title", Value::Null), ("email", json!("han@example.com"))] {
        entry.changes.push(FieldChange {
            field: field.into(),
            before,
            after: json!("General"),
        });
    }
    store.commit(remote).await.unwrap();
    drop(store);
    let table = run(folder.path(), &["audit", "--data", "DATA"]).ok();
    assert!(table.contains("    title: ? → \"General\""), "{table}");
    assert!(
        table.contains("    email: \"han@example.com\" → \"General\""),
        "{table}"
    );
}

#[tokio::test]
async fn it_can_be_confined_to_one_user() {
    let (folder, sample) = changed().await;
    for name in [sample.users[0].id.to_string(), sample.users[0].email.to_uppercase()] {
        let events = events(folder.path(), &["--user", &name]);
        assert_eq!(events.len(), 2, "{name}");
        assert!(
            events
                .iter()
                .all(|event| event["resource"] == json!(sample.users[0].id))
        );
    }
    // A user of whom the log tells nothing is known all the same.
    let quiet = sample.users.last().unwrap().id.to_string();
    assert!(events(folder.path(), &["--user", &quiet]).is_empty());
    for nobody in ["nobody", "no@body.example", "USR-0000-0001"] {
        for json in [&[][..], &["--json"]] {
            let asked = [&["audit", "--data", "DATA", "--user", nobody][..], json].concat();
            let complaint = run(folder.path(), &asked).refused();
            assert!(complaint.contains(nobody) && complaint.contains("UUID"), "{complaint}");
        }
    }
    let ran = run(
        folder.path(),
        &["audit", "--data", "DATA", "--verify", "--user", "nobody"],
    );
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(ran.err.contains("cannot be used with"), "{}", ran.err);
}

#[tokio::test]
async fn a_whole_chain_verifies() {
    let (folder, sample) = changed().await;
    let told = run(folder.path(), &["audit", "--data", "DATA", "--verify"]).ok();
    assert!(
        told.contains(&sample.tenant.to_string()) && told.contains("3 entries"),
        "{told}"
    );
    let told = run(folder.path(), &["audit", "--data", "DATA", "--verify", "--json"]).ok();
    let last = events(folder.path(), &[]).pop().unwrap();
    let whole = json!({
        "tenant": sample.tenant, "whole": true, "entries": 3, "hash": last["hash"], "broken_at": null,
    });
    assert_eq!(serde_json::from_str::<Value>(&told).unwrap(), whole);
}

#[tokio::test]
async fn a_log_taken_out_whole_is_missed() {
    let (folder, _) = changed().await;
    let database = Connection::open(folder.path().join("patchbay.db")).unwrap();
    database
        .execute_batch("DELETE FROM audit; DELETE FROM audit_head")
        .unwrap();
    drop(database);
    let complaint = run(folder.path(), &["audit", "--data", "DATA", "--verify"]).refused();
    assert!(complaint.contains("broken at position 1;"), "{complaint}");
}

#[test]
fn a_database_that_was_emptied_does_not_verify() {
    let (_folder, data, _) = made();
    std::fs::write(data.join("patchbay.db"), "").unwrap();
    let complaint = run(&data, &["audit", "--data", "DATA", "--verify"]).refused();
    assert!(complaint.contains("holds no tenant"), "{complaint}");
}

#[tokio::test]
async fn every_kind_of_tampering_is_found_and_placed() {
    // Each commit is a batch of its own here, so each entry has a row: at the place of its position in the first chain.
    let altered = "UPDATE audit SET entries = CAST(replace(CAST(entries AS TEXT), 'blocked', 'enabled') AS BLOB) \
        WHERE place = (1 << 44) + 2";
    let emptied = "UPDATE audit SET entries = CAST(substr(CAST(entries AS TEXT), 1, 65) || '{}' AS BLOB) \
        WHERE place = (1 << 44) + 3";
    let without_hash = "UPDATE audit SET entries = CAST(hex(zeroblob(32)) || substr(CAST(entries AS TEXT), 65) AS BLOB) \
        WHERE place = (1 << 44) + 1";
    let slipped_in = "INSERT INTO audit SELECT 1 << 44, entries FROM audit WHERE place = (1 << 44) + 1";
    for (tampering, position) in [
        (altered, 2),
        (emptied, 3),
        (without_hash, 1),
        (slipped_in, 1),
        ("UPDATE audit SET entries = x'' WHERE place = (1 << 44) + 2", 2),
        ("DELETE FROM audit WHERE place = (1 << 44) + 2", 2),
        ("DELETE FROM audit WHERE place = (1 << 44) + 1", 1),
        ("DELETE FROM audit WHERE place = (1 << 44) + 3", 3),
        ("UPDATE audit_head SET position = 2", 3),
        ("UPDATE audit_head SET position = 4", 4),
        ("UPDATE audit_head SET hash = zeroblob(32)", 3),
        ("DELETE FROM audit_head", 1),
        ("UPDATE audit SET place = place + 7 WHERE place = (1 << 44) + 2", 2),
    ] {
        let (folder, _) = changed().await;
        let database = Connection::open(folder.path().join("patchbay.db")).unwrap();
        assert_eq!(database.execute(tampering, []).unwrap(), 1, "{tampering}");
        drop(database);
        let complaint = run(folder.path(), &["audit", "--data", "DATA", "--verify"]).refused();
        assert!(
            complaint.contains(&format!("broken at position {position};")),
            "{tampering}: {complaint}"
        );
        let ran = run(folder.path(), &["audit", "--data", "DATA", "--verify", "--json"]);
        let told: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!(ran.code, Some(1), "{tampering}");
        assert_eq!(
            (&told["whole"], &told["broken_at"]),
            (&json!(false), &json!(position)),
            "{told}"
        );
    }
}

#[test]
fn every_tenant_is_checked_though_one_is_broken() {
    let folder = TempDir::new().unwrap();
    let quickstart = ["quickstart", "--data", "DATA", "--listen", "127.0.0.1:0", "--once"];
    for _ in 0..3 {
        run(folder.path(), &quickstart).ok();
    }
    let json = ["audit", "--data", "DATA", "--verify", "--json"];
    let verdicts = |ran: &str| -> Vec<Value> { ran.lines().map(|line| serde_json::from_str(line).unwrap()).collect() };
    let tenants = verdicts(&run(folder.path(), &json).ok());
    let database = Connection::open(folder.path().join("patchbay.db")).unwrap();
    let tampering = "UPDATE audit SET entries = x'' WHERE place IN ((1 << 44) + 2, (3 << 44) + 3)";
    assert_eq!(database.execute(tampering, []).unwrap(), 2);
    drop(database);
    let ran = run(folder.path(), &json);
    let told = verdicts(&ran.out);
    let broken: Vec<&Value> = told.iter().map(|verdict| &verdict["broken_at"]).collect();
    assert_eq!(broken, [&json!(2), &Value::Null, &json!(3)]);
    let complaint = ran.refused();
    let ran = run(folder.path(), &["audit", "--data", "DATA", "--verify"]);
    assert_eq!(ran.out.lines().count(), 3, "{}", ran.out);
    assert_eq!(ran.refused(), complaint);
    for (tenant, broken) in tenants.iter().zip(broken) {
        let tenant = tenant["tenant"].as_str().unwrap();
        assert_eq!(complaint.contains(tenant), !broken.is_null(), "{complaint}");
    }
}

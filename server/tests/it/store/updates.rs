//! Changes of users as every store makes them: what is required, what is unique, what is logged, all or nothing.

use std::sync::Arc;

use patchbay_core::{
    audit::{ChainHash, digest, verify},
    author::Author,
    changeset::{Changeset, Delta},
    error::Error,
    icon::Icon,
    id::Serial,
    patch::Patch,
    revision::{Expect, Revision},
    store::{Store, UserKey},
    user::UserPatch,
};
use serde_json::json;

use super::{
    T, at, changeset, for_each_store, get, icon, log, patch,
    records::{ROLE, role},
    refused, sound_log, title, uid, user, with_users,
};

for_each_store! {
    expectations_hold_in_all_forms,
    unique_conflicts_are_named,
    a_failed_changeset_leaves_nothing,
    a_change_of_nothing_writes_nothing,
    the_audit_log_tells_before_and_after,
    the_audit_log_reads_in_pages,
    tampering_breaks_the_chain,
    what_the_caller_saw_is_not_trusted,
    icons_are_kept_apart,
    the_author_of_a_change_is_kept_with_the_user,
    deltas_see_those_before_them,
}

async fn expectations_hold_in_all_forms(store: Arc<dyn Store>) {
    with_users(&*store, 1).await;
    let revision = |n: u64| Revision(n);
    let mut now = 1;
    let cases = [
        (Expect::Any, true),
        (Expect::Missing, false),
        (Expect::Present, true),
        (Expect::Exactly(revision(3)), true),
        (Expect::Exactly(revision(3)), false),
        (Expect::OneOf(vec![revision(1), revision(4)]), true),
        (Expect::OneOf(vec![revision(1), revision(4)]), false),
        (Expect::OneOf(Vec::new()), false),
        (Expect::NoneOf(vec![revision(4)]), true),
        (Expect::NoneOf(vec![revision(6)]), false),
    ];
    for (n, (expect, holds)) in cases.into_iter().enumerate() {
        for seen in [None, Some(get(&*store, 1).await)] {
            let mut changeset = patch(1, expect.clone(), title(&format!("{n}")));
            changeset.seen = seen;
            if holds && changeset.seen.is_none() {
                continue;
            }
            let result = store.commit(changeset).await;
            if holds {
                now += 1;
                assert_eq!(result.unwrap().user.unwrap().revision, revision(now), "{expect:?}");
            } else {
                assert!(
                    matches!(result, Err(Error::Precondition { current }) if current == Some(revision(now))),
                    "{expect:?}"
                );
            }
        }
    }
    assert_eq!(get(&*store, 1).await.revision, revision(now));
    assert_eq!(
        refused(store.commit(patch(9, Expect::Any, title("x"))).await),
        "not_found"
    );
}

async fn unique_conflicts_are_named(store: Arc<dyn Store>) {
    with_users(&*store, 2).await;
    let create = |change: &dyn Fn(&mut patchbay_core::user::User)| {
        let mut fresh = user(3);
        change(&mut fresh);
        changeset(T, vec![Delta::CreateUser(Box::new(fresh))])
    };
    let named = |result: Result<_, Error>| match result {
        Err(Error::Taken { field }) => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        named(store.commit(create(&|user| user.id = uid(1))).await.map(drop)),
        "id"
    );
    assert_eq!(
        named(store.commit(create(&|user| user.serial = Serial(1))).await.map(drop)),
        "serial"
    );
    let same_name = |user: &mut patchbay_core::user::User| user.username = Some("uSeR1".into());
    assert_eq!(named(store.commit(create(&same_name)).await.map(drop)), "username");
    let all = |user: &mut patchbay_core::user::User| {
        user.serial = Serial(2);
        same_name(user);
    };
    assert_eq!(
        named(store.commit(create(&all)).await.map(drop)),
        "serial",
        "the number comes first"
    );
    let rename = |name: &str| UserPatch {
        username: Patch::Value(name.to_owned()),
        ..UserPatch::default()
    };
    for seen in [None, Some(get(&*store, 2).await)] {
        let mut changeset = patch(2, Expect::Any, rename("USER1"));
        changeset.seen = seen;
        assert_eq!(named(store.commit(changeset).await.map(drop)), "username");
    }
    assert_eq!(*get(&*store, 2).await, user(2));
    // A name that is given up is free, and users without one do not get in each other's way.
    let no_name = UserPatch {
        username: Patch::Null,
        ..UserPatch::default()
    };
    store.commit(patch(1, Expect::Any, no_name.clone())).await.unwrap();
    store.commit(patch(2, Expect::Any, rename("USER1"))).await.unwrap();
    store.commit(patch(2, Expect::Any, no_name)).await.unwrap();
    assert_eq!(log(&*store, T).await.len(), 3);
}

async fn a_failed_changeset_leaves_nothing(store: Arc<dyn Store>) {
    with_users(&*store, 2).await;
    let update = |n: u32, expect: Expect| Delta::UpdateUser {
        id: uid(n),
        expect,
        patch: Box::new(UserPatch {
            icon: Patch::Value(icon(b"1")),
            ..title("changed")
        }),
    };
    let deltas = vec![
        Delta::PutRole(role(T, "r")),
        Delta::CreateUser(Box::new(user(3))),
        update(1, Expect::Any),
        update(2, Expect::Exactly(Revision(9))),
    ];
    assert_eq!(refused(store.commit(changeset(T, deltas)).await), "precondition");
    assert_eq!(*get(&*store, 1).await, user(1));
    assert_eq!(store.user(T, &UserKey::Id(uid(3))).await.unwrap(), None);
    assert_eq!(store.role(T, ROLE).await.unwrap(), None);
    assert_eq!(store.icon(T, uid(1)).await.unwrap(), None);
    assert_eq!(log(&*store, T).await, []);
    // The log goes on where it was.
    store.commit(patch(1, Expect::Any, title("x"))).await.unwrap();
    assert_eq!(sound_log(&*store, T).await.len(), 1);
}

async fn a_change_of_nothing_writes_nothing(store: Arc<dyn Store>) {
    with_users(&*store, 1).await;
    store.commit(patch(1, Expect::Any, title("x"))).await.unwrap();
    let before = get(&*store, 1).await;
    for seen in [None, Some(before.clone())] {
        for same in [UserPatch::default(), title("x")] {
            let mut changeset = patch(1, Expect::Any, same);
            changeset.seen = seen.clone();
            changeset.at = at(100);
            let committed = store.commit(changeset).await.unwrap();
            assert!(!committed.changed);
            assert_eq!(committed.user, Some(before.clone()));
        }
    }
    assert_eq!(get(&*store, 1).await, before);
    assert_eq!(log(&*store, T).await.len(), 1);
    let told = store.commit(changeset(T, Vec::new())).await.unwrap();
    assert!(
        told.changed && told.user.is_none(),
        "a changeset without deltas writes its entry"
    );
    assert_eq!(sound_log(&*store, T).await.len(), 2);
}

async fn the_audit_log_tells_before_and_after(store: Arc<dyn Store>) {
    with_users(&*store, 1).await;
    for (seen, text) in [(None, "a"), (Some(get(&*store, 1).await), "b")] {
        let mut changeset = patch(1, Expect::Any, title(text));
        changeset.seen = seen;
        store.commit(changeset).await.unwrap();
    }
    let mut fresh = patch(1, Expect::Any, title("c"));
    fresh.seen = Some(get(&*store, 1).await);
    fresh.at = at(-5);
    let committed = store.commit(fresh).await.unwrap();
    assert_eq!(committed.user.unwrap().updated_at, at(1), "time never goes back");
    let events = sound_log(&*store, T).await;
    let told: Vec<_> = events
        .iter()
        .map(|event| {
            let change = &event.entry.changes[0];
            (
                event.entry.revision.unwrap().0,
                change.before.clone(),
                change.after.clone(),
            )
        })
        .collect();
    let expected = [
        (2, json!(null), json!("a")),
        (3, json!("a"), json!("b")),
        (4, json!("b"), json!("c")),
    ];
    assert_eq!(told, expected);
    assert_eq!(events[0].entry.changes[0].field, "title");
}

async fn the_audit_log_reads_in_pages(store: Arc<dyn Store>) {
    with_users(&*store, 1).await;
    for n in 0..5 {
        store
            .commit(patch(1, Expect::Any, title(&n.to_string())))
            .await
            .unwrap();
    }
    let all = log(&*store, T).await;
    assert_eq!(store.audit(T, 0, 2).await.unwrap(), all[..2]);
    assert_eq!(store.audit(T, 2, 2).await.unwrap(), all[2..4]);
    assert_eq!(store.audit(T, 4, 2).await.unwrap(), all[4..]);
    assert_eq!(store.audit(T, u64::MAX, 2).await.unwrap(), []);
    assert_eq!(store.audit(T, 0, 0).await.unwrap(), []);
    let middle = verify((2, all[1].hash), &all[2..]).unwrap();
    assert_eq!(middle, (5, all[4].hash), "a chain verifies from any point on");
}

async fn tampering_breaks_the_chain(store: Arc<dyn Store>) {
    with_users(&*store, 1).await;
    for n in 0..4 {
        store
            .commit(patch(1, Expect::Any, title(&n.to_string())))
            .await
            .unwrap();
    }
    let start = (0, ChainHash::default());
    let sound = sound_log(&*store, T).await;
    let mut changed = sound.clone();
    changed[1].bytes = String::from_utf8(changed[1].bytes.clone())
        .unwrap()
        .replace("operator", "somebody")
        .into();
    assert_eq!(verify(start, &changed), Err(2));
    let mut rehashed = changed.clone();
    rehashed[1].hash = sound[0].hash.follow(2, digest(&rehashed[1].bytes));
    assert_eq!(verify(start, &rehashed), Err(3), "the next entry knows better");
    let mut without = sound.clone();
    without.remove(1);
    assert_eq!(verify(start, &without), Err(2));
    let mut swapped = sound.clone();
    swapped.swap(1, 2);
    assert_eq!(verify(start, &swapped), Err(2));
}

async fn what_the_caller_saw_is_not_trusted(store: Arc<dyn Store>) {
    with_users(&*store, 2).await;
    let stale = get(&*store, 1).await;
    store.commit(patch(1, Expect::Any, title("first"))).await.unwrap();
    let name = UserPatch {
        first_name: Patch::Value("Han".to_owned()),
        ..UserPatch::default()
    };
    let with = |seen: &Arc<patchbay_core::user::User>, expect: Expect, delta: UserPatch| Changeset {
        seen: Some(seen.clone()),
        ..patch(1, expect, delta)
    };
    let after = store
        .commit(with(&stale, Expect::Any, name))
        .await
        .unwrap()
        .user
        .unwrap();
    assert_eq!(
        (after.title.as_deref(), after.first_name.as_deref()),
        (Some("first"), Some("Han"))
    );
    assert_eq!(after.revision, Revision(3));
    let outdated = store
        .commit(with(&stale, Expect::Exactly(Revision(1)), title("x")))
        .await;
    assert_eq!(refused(outdated), "precondition");
    let somebody_else = get(&*store, 2).await;
    let after = store
        .commit(with(&somebody_else, Expect::Any, title("y")))
        .await
        .unwrap()
        .user
        .unwrap();
    assert_eq!((after.id, after.first_name.as_deref()), (uid(1), Some("Han")));
    assert_eq!(*get(&*store, 2).await, user(2));
    // What would be nothing on the record as it was seen is a change of the record as it stands.
    let seen = get(&*store, 1).await;
    store.commit(patch(1, Expect::Any, title("z"))).await.unwrap();
    assert!(
        store
            .commit(with(&seen, Expect::Any, title("y")))
            .await
            .unwrap()
            .changed
    );
    assert_eq!(get(&*store, 1).await.title.as_deref(), Some("y"));
    assert_eq!(sound_log(&*store, T).await.len(), 5);
}

async fn the_author_of_a_change_is_kept_with_the_user(store: Arc<dyn Store>) {
    with_users(&*store, 1).await;
    let by = Arc::new(Author::Token(Serial(3), "Operations".into()));
    for (n, seen) in [(1, None), (2, Some(get(&*store, 1).await))] {
        let mut changeset = patch(1, Expect::Any, title(&format!("{n}")));
        changeset.by = Some(by.clone());
        changeset.seen = seen;
        store.commit(changeset).await.unwrap();
        assert_eq!(get(&*store, 1).await.updated_by, Some(by.clone()));
    }
    let other = Arc::new(Author::User(Serial(1), "Han".into()));
    let mut nothing = patch(1, Expect::Any, title("2"));
    nothing.by = Some(other);
    store.commit(nothing).await.unwrap();
    assert_eq!(get(&*store, 1).await.updated_by, Some(by), "nothing changed");
    store.commit(patch(1, Expect::Any, title("3"))).await.unwrap();
    assert_eq!(get(&*store, 1).await.updated_by, None, "the console is nobody");
}

async fn icons_are_kept_apart(store: Arc<dyn Store>) {
    with_users(&*store, 2).await;
    let with = |icon: Patch<Icon>| UserPatch {
        icon,
        ..UserPatch::default()
    };
    for (picture, seen) in [(icon(b"1"), None), (icon(b"2"), Some(get(&*store, 1).await))] {
        let mut changeset = patch(1, Expect::Any, with(Patch::Value(picture.clone())));
        changeset.seen = seen;
        let after = store.commit(changeset).await.unwrap().user.unwrap();
        assert_eq!(after.icon, Some(picture.reference()));
        assert_eq!(store.icon(T, uid(1)).await.unwrap(), Some(picture));
    }
    store.commit(patch(1, Expect::Any, title("x"))).await.unwrap();
    assert_eq!(
        store.icon(T, uid(1)).await.unwrap(),
        Some(icon(b"2")),
        "other changes leave it"
    );
    let same = store
        .commit(patch(1, Expect::Any, with(Patch::Value(icon(b"2")))))
        .await
        .unwrap();
    assert!(!same.changed);
    store.commit(patch(1, Expect::Any, with(Patch::Null))).await.unwrap();
    assert_eq!(store.icon(T, uid(1)).await.unwrap(), None);
    assert_eq!(get(&*store, 1).await.icon, None);
    assert_eq!(store.icon(T, uid(2)).await.unwrap(), None);
}

async fn deltas_see_those_before_them(store: Arc<dyn Store>) {
    let update = |patch: UserPatch, revision: u64| Delta::UpdateUser {
        id: uid(1),
        expect: Expect::Exactly(Revision(revision)),
        patch: Box::new(patch),
    };
    let deltas = vec![
        Delta::CreateUser(Box::new(user(1))),
        update(title("a"), 1),
        update(title("a"), 2),
        update(title("b"), 2),
    ];
    let committed = store.commit(changeset(T, deltas)).await.unwrap();
    assert!(committed.changed);
    assert_eq!(committed.user.unwrap().revision, Revision(3));
    let events = sound_log(&*store, T).await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].entry.changes.len(), 2);
    assert_eq!(events[0].entry.revision, Some(Revision(3)));
}

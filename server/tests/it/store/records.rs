//! Records as every store keeps and finds them, each in its tenant.

use std::sync::Arc;

use patchbay_core::{
    audit::Actor,
    changeset::{Changeset, Delta, Tenant},
    credential::{Credential, CredentialHash, Subject},
    error::Error,
    group::Group,
    id::{CredentialId, GroupId, LedgerId, LinkedAccountId, OrganizationId, RoleId, Serial, TenantId},
    linked_account::{AccountStatus, LinkedAccount},
    organization::{Organization, OrganizationKind},
    patch::Patch,
    policy::{Reach, Statement},
    remote::{LedgerEntry, LedgerState},
    revision::{Expect, Revision},
    role::Role,
    store::{Key, Store, UserKey},
    user::UserPatch,
};
use uuid::Uuid;

use super::{
    OTHER, T, at, changeset, email, for_each_store, get, icon, log, patch, put, refused, sound_log, title, uid, user,
    with_users,
};

for_each_store! {
    users_are_found_by_every_key,
    records_are_kept_and_replaced,
    every_read_is_confined_to_its_tenant,
    records_of_another_tenant_are_refused,
    holders_come_with_role_and_user,
    credentials_are_unique_and_replaced,
    linked_accounts_keep_their_order,
    mail_addresses_of_several_users_find_nobody,
    mail_addresses_are_unique_where_that_is_asked_for,
}

pub const ROLE: RoleId = RoleId(Uuid::from_u128(21));
const ORGANIZATION: OrganizationId = OrganizationId(Uuid::from_u128(22));
const GROUP: GroupId = GroupId(Uuid::from_u128(23));
const LEDGER: LedgerId = LedgerId(Uuid::from_u128(24));

pub fn role(tenant: TenantId, name: &str) -> Role {
    Role {
        id: ROLE,
        tenant,
        name: name.to_owned(),
        statement: Statement::everything(),
        reach: Reach::Tenant,
        created_at: at(0),
        updated_at: at(0),
    }
}

fn organization(tenant: TenantId, name: &str) -> Organization {
    Organization {
        id: ORGANIZATION,
        tenant,
        serial: Serial(7),
        name: name.to_owned(),
        kind: OrganizationKind::Client,
        enabled: true,
        revision: Revision::FIRST,
        created_at: at(0),
    }
}

fn group(tenant: TenantId, name: &str) -> Group {
    Group {
        id: GROUP,
        tenant,
        serial: Serial(8),
        organization: ORGANIZATION,
        name: name.to_owned(),
        description: None,
        is_default: false,
        revision: Revision::FIRST,
        created_at: at(0),
    }
}

fn account(tenant: TenantId, id: &str, status: AccountStatus) -> LinkedAccount {
    LinkedAccount {
        id: LinkedAccountId(id.into()),
        tenant,
        status,
        remote: None,
        created_at: at(0),
        updated_at: at(0),
    }
}

pub fn ledger(state: LedgerState) -> LedgerEntry {
    LedgerEntry {
        id: LEDGER,
        account: LinkedAccountId("a".into()),
        remote_id: "r".to_owned(),
        request_id: "q".into(),
        actor: Actor::operator(),
        dialect: "stackone".into(),
        said: title("x").said(),
        idempotency: None,
        state,
        user: None,
        begun_at: at(0),
    }
}

fn credential(tenant: TenantId, n: u32, secret: &str, subject: Subject) -> Credential {
    Credential {
        id: CredentialId(Uuid::from_u128(u128::from(n))),
        tenant,
        serial: Serial(n),
        hash: CredentialHash::of(secret),
        fingerprint: Credential::fingerprint_of(secret),
        subject,
        expires_at: None,
        created_at: at(0),
    }
}

async fn users_are_found_by_every_key(store: Arc<dyn Store>) {
    with_users(&*store, 3).await;
    let keys = [
        UserKey::Id(uid(2)),
        UserKey::Serial(Serial(2)),
        UserKey::Email("uSER2@EXAMPLE.com".to_owned()),
        UserKey::Opaque(uid(2).to_string()),
    ];
    for key in keys {
        assert_eq!(store.user(T, &key).await.unwrap().as_deref(), Some(&user(2)), "{key:?}");
    }
    let nobody = [
        UserKey::Id(uid(9)),
        UserKey::Serial(Serial(9)),
        UserKey::Email("nobody@example.com".to_owned()),
        UserKey::Opaque("no uuid".to_owned()),
        UserKey::Opaque(uid(9).to_string()),
    ];
    for key in nobody {
        assert_eq!(store.user(T, &key).await.unwrap(), None, "{key:?}");
    }
    store.ready().await.unwrap();
}

async fn records_are_kept_and_replaced(store: Arc<dyn Store>) {
    let tenant = |name: &str| Tenant {
        id: T,
        name: name.to_owned(),
        created_at: at(0),
    };
    for (name, state) in [
        ("first", LedgerState::Unknown("first".to_owned())),
        ("second", LedgerState::Failed("second".to_owned())),
    ] {
        let records = vec![
            Delta::PutTenant(tenant(name)),
            Delta::PutRole(role(T, name)),
            Delta::PutOrganization(organization(T, name)),
            Delta::PutGroup(group(T, name)),
            Delta::PutLedger(Box::new(ledger(state.clone()))),
        ];
        assert!(put(&*store, records).await.changed);
        assert_eq!(store.tenants().await.unwrap(), [tenant(name)]);
        assert_eq!(store.role(T, ROLE).await.unwrap(), Some(role(T, name).into()));
        for key in [Key::Id(ORGANIZATION), Key::Serial(Serial(7))] {
            assert_eq!(
                store.organization(T, key).await.unwrap(),
                Some(organization(T, name).into())
            );
        }
        for key in [Key::Id(GROUP), Key::Serial(Serial(8))] {
            assert_eq!(store.group(T, key).await.unwrap(), Some(group(T, name).into()));
        }
        let kept = store.ledger(T, LEDGER).await.unwrap().unwrap();
        assert_eq!(kept.state, state);
    }
    let (organizations, groups) = (Key::Serial(Serial(99)), Key::Serial(Serial(99)));
    assert_eq!(store.organization(T, organizations).await.unwrap(), None);
    assert_eq!(store.group(T, groups).await.unwrap(), None);
    let mut other = Changeset::new(OTHER, at(1));
    other.deltas.push(Delta::PutTenant(Tenant {
        id: OTHER,
        ..tenant("other")
    }));
    store.commit(other).await.unwrap();
    let names: Vec<String> = store
        .tenants()
        .await
        .unwrap()
        .into_iter()
        .map(|tenant| tenant.name)
        .collect();
    assert_eq!(names, ["second", "other"], "in order of their making");
}

async fn every_read_is_confined_to_its_tenant(store: Arc<dyn Store>) {
    let picture = UserPatch {
        icon: Patch::Value(icon(b"1")),
        ..UserPatch::default()
    };
    let all = vec![
        Delta::PutRole(role(T, "r")),
        Delta::PutOrganization(organization(T, "o")),
        Delta::PutGroup(group(T, "g")),
        Delta::PutLinkedAccount(account(T, "a", AccountStatus::Active)),
        Delta::PutLedger(Box::new(ledger(LedgerState::Intent))),
        Delta::CreateUser(Box::new(user(1))),
        Delta::UpdateUser {
            id: uid(1),
            expect: Expect::Any,
            patch: Box::new(picture),
        },
    ];
    store.commit(changeset(T, all)).await.unwrap();
    let keys = [
        UserKey::Id(uid(1)),
        UserKey::Serial(Serial(1)),
        UserKey::Email("user1@example.com".to_owned()),
        UserKey::Opaque(uid(1).to_string()),
    ];
    for key in keys {
        assert!(store.user(T, &key).await.unwrap().is_some());
        assert_eq!(store.user(OTHER, &key).await.unwrap(), None, "{key:?}");
    }
    let account_id = LinkedAccountId("a".into());
    assert!(store.icon(T, uid(1)).await.unwrap().is_some());
    assert_eq!(store.icon(OTHER, uid(1)).await.unwrap(), None);
    assert_eq!(store.role(OTHER, ROLE).await.unwrap(), None);
    assert_eq!(store.organization(OTHER, Key::Id(ORGANIZATION)).await.unwrap(), None);
    assert_eq!(store.organization(OTHER, Key::Serial(Serial(7))).await.unwrap(), None);
    assert_eq!(store.group(OTHER, Key::Id(GROUP)).await.unwrap(), None);
    assert_eq!(store.group(OTHER, Key::Serial(Serial(8))).await.unwrap(), None);
    assert_eq!(store.linked_account(OTHER, &account_id).await.unwrap(), None);
    assert_eq!(store.linked_accounts(OTHER).await.unwrap(), []);
    assert_eq!(store.ledger(OTHER, LEDGER).await.unwrap(), None);
    assert_eq!(log(&*store, OTHER).await, []);
    // The same ids, numbers and names are free in another tenant, and a write there does not reach over.
    let update = Delta::UpdateUser {
        id: uid(1),
        expect: Expect::Any,
        patch: Box::new(title("theirs")),
    };
    assert_eq!(
        refused(store.commit(changeset(OTHER, vec![update.clone()])).await),
        "not_found"
    );
    let create = Delta::CreateUser(Box::new(user(1)));
    store.commit(changeset(OTHER, vec![create, update])).await.unwrap();
    assert_eq!(get(&*store, 1).await.title, None);
    assert_eq!(sound_log(&*store, T).await.len(), 1);
    assert_eq!(sound_log(&*store, OTHER).await.len(), 1);
}

async fn records_of_another_tenant_are_refused(store: Arc<dyn Store>) {
    let stray = vec![
        Delta::PutRole(role(OTHER, "r")),
        Delta::PutOrganization(organization(OTHER, "o")),
        Delta::PutGroup(group(OTHER, "g")),
        Delta::PutLinkedAccount(account(OTHER, "a", AccountStatus::Active)),
        Delta::PutCredential(credential(OTHER, 1, "secret", Subject::User(uid(1)))),
    ];
    for delta in stray {
        assert_eq!(refused(store.commit(changeset(T, vec![delta])).await), "internal");
    }
    assert_eq!(log(&*store, T).await, []);
}

async fn holders_come_with_role_and_user(store: Arc<dyn Store>) {
    let service = Subject::Service {
        name: "robot".to_owned(),
        role: ROLE,
        organization: None,
    };
    let mut with_role = user(1);
    with_role.role = Some(ROLE);
    let records = vec![
        Delta::PutRole(role(T, "r")),
        Delta::CreateUser(Box::new(with_role.clone())),
        Delta::CreateUser(Box::new(user(2))),
        Delta::PutCredential(credential(T, 1, "of user 1", Subject::User(uid(1)))),
        Delta::PutCredential(credential(T, 2, "of user 2", Subject::User(uid(2)))),
        Delta::PutCredential(credential(T, 3, "of nobody", Subject::User(uid(3)))),
        Delta::PutCredential(credential(T, 4, "of robot", service)),
    ];
    put(&*store, records).await;
    let holder = async |secret: &str| store.holder(&CredentialHash::of(secret)).await.unwrap();
    assert_eq!(holder("unknown").await, None);
    let found = holder("of user 1").await.unwrap();
    assert_eq!(
        (found.role, found.user.as_deref()),
        (Some(role(T, "r").into()), Some(&with_role))
    );
    assert_eq!(found.credential.fingerprint, "er 1");
    let found = holder("of user 2").await.unwrap();
    assert_eq!((found.role, found.user.as_deref()), (None, Some(&user(2))));
    let found = holder("of nobody").await.unwrap();
    assert_eq!((found.role, found.user), (None, None));
    let found = holder("of robot").await.unwrap();
    assert_eq!((found.role, found.user), (Some(role(T, "r").into()), None));
    // A role that is taken away is gone at the next look.
    let drop_role = UserPatch {
        role: Patch::Null,
        ..UserPatch::default()
    };
    store.commit(patch(1, Expect::Any, drop_role)).await.unwrap();
    assert_eq!(holder("of user 1").await.unwrap().role, None);
}

async fn credentials_are_unique_and_replaced(store: Arc<dyn Store>) {
    let of = |n: u32, secret: &str| Delta::PutCredential(credential(T, n, secret, Subject::User(uid(1))));
    put(&*store, vec![of(1, "one")]).await;
    let same_secret = store.commit(changeset(T, vec![of(2, "one")])).await;
    assert!(
        matches!(same_secret, Err(Error::Taken { field: "hash" })),
        "{same_secret:?}"
    );
    let mut elsewhere = credential(OTHER, 1, "one", Subject::User(uid(1)));
    elsewhere.tenant = OTHER;
    let elsewhere = store
        .commit(changeset(OTHER, vec![Delta::PutCredential(elsewhere)]))
        .await;
    assert_eq!(
        refused(elsewhere),
        "taken",
        "a secret names its tenant, so it is unique in all of them"
    );
    put(&*store, vec![of(1, "other")]).await;
    assert_eq!(store.holder(&CredentialHash::of("one")).await.unwrap(), None);
    assert!(store.holder(&CredentialHash::of("other")).await.unwrap().is_some());
}

async fn linked_accounts_keep_their_order(store: Arc<dyn Store>) {
    for id in ["c", "a", "b"] {
        put(
            &*store,
            vec![Delta::PutLinkedAccount(account(T, id, AccountStatus::Active))],
        )
        .await;
    }
    put(
        &*store,
        vec![Delta::PutLinkedAccount(account(T, "a", AccountStatus::Disabled))],
    )
    .await;
    put(&*store, vec![Delta::RemoveLinkedAccount(LinkedAccountId("c".into()))]).await;
    put(
        &*store,
        vec![Delta::PutLinkedAccount(account(T, "c", AccountStatus::Active))],
    )
    .await;
    let listed: Vec<_> = store
        .linked_accounts(T)
        .await
        .unwrap()
        .into_iter()
        .map(|account| (account.id.0, account.status))
        .collect();
    let expected = [
        ("a", AccountStatus::Disabled),
        ("b", AccountStatus::Active),
        ("c", AccountStatus::Active),
    ];
    assert_eq!(listed, expected.map(|(id, status)| (id.into(), status)));
    let one = store.linked_account(T, &LinkedAccountId("a".into())).await.unwrap();
    assert_eq!(one, Some(account(T, "a", AccountStatus::Disabled).into()));
}

async fn mail_addresses_of_several_users_find_nobody(store: Arc<dyn Store>) {
    with_users(&*store, 2).await;
    let key = UserKey::Email("user1@example.com".to_owned());
    assert!(store.user(T, &key).await.unwrap().is_some());
    store
        .commit(patch(2, Expect::Any, email("USER1@example.com")))
        .await
        .unwrap();
    assert_eq!(store.user(T, &key).await.unwrap(), None, "two have it");
    store
        .commit(patch(1, Expect::Any, email("new@example.com")))
        .await
        .unwrap();
    assert_eq!(store.user(T, &key).await.unwrap().unwrap().id, uid(2));
}

async fn mail_addresses_are_unique_where_that_is_asked_for(store: Arc<dyn Store>) {
    with_users(&*store, 3).await;
    let unique = |changeset: Changeset| Changeset {
        unique_email: true,
        ..changeset
    };
    for seen in [None, Some(get(&*store, 2).await)] {
        let mut change = unique(patch(2, Expect::Any, email("uSER1@example.com")));
        change.seen = seen;
        let told = store.commit(change).await;
        assert!(matches!(told, Err(Error::Taken { field: "email" })), "{told:?}");
    }
    let both = UserPatch {
        username: Patch::Value("user1".to_owned()),
        ..email("user1@example.com")
    };
    let told = store.commit(unique(patch(2, Expect::Any, both))).await;
    assert!(matches!(told, Err(Error::Taken { field: "username" })), "{told:?}");
    let mut another = user(4);
    another.email = Some("user1@example.com".into());
    let create = vec![Delta::CreateUser(Box::new(another))];
    assert_eq!(refused(store.commit(unique(changeset(T, create))).await), "taken");
    assert_eq!(*get(&*store, 2).await, user(2), "nothing is applied");
    assert_eq!(log(&*store, T).await, []);
    // Whoever shares one already may keep it and write it otherwise.
    store
        .commit(patch(2, Expect::Any, email("user1@example.com")))
        .await
        .unwrap();
    let kept = UserPatch {
        title: Patch::Value("kept".to_owned()),
        ..email("USER1@example.com")
    };
    store.commit(unique(patch(2, Expect::Any, kept))).await.unwrap();
    // His own, nobody's, none, and one that only another tenant has.
    for address in ["User2@example.com", "free@example.com"] {
        store
            .commit(unique(patch(2, Expect::Any, email(address))))
            .await
            .unwrap();
    }
    for n in [2, 3] {
        let none = UserPatch {
            email: Patch::Null,
            ..UserPatch::default()
        };
        store.commit(unique(patch(n, Expect::Any, none))).await.unwrap();
    }
    let elsewhere = vec![Delta::CreateUser(Box::new(user(1)))];
    store.commit(unique(changeset(OTHER, elsewhere))).await.unwrap();
    assert_eq!(sound_log(&*store, T).await.len(), 6);
}

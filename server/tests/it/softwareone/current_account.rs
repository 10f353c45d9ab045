//! The account that a user works in: shown, switched, never to one where he is no active member.

use patchbay_core::{
    changeset::Delta,
    clock::Timestamp,
    credential::{Credential, CredentialHash, Subject},
    id::{CredentialId, GroupId, RoleId, Serial, UserId},
    membership::{Membership, MembershipStatus},
    policy::{Action, Reach, Statement},
    role::Role,
    store::UserKey,
    user::User,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{HAN, MON, assert_problem, call, get, organization, put, put_as};
use crate::harness::{Answer, Patchbay};

const TWICE: &str = "/public/v1/accounts/users/USR-0000-0077";

/// A user with the role of member in both organizations.
async fn keep_member_of_two(patchbay: &Patchbay, second: MembershipStatus) {
    let leia = patchbay.sample.users[1].id;
    let leia = patchbay.store.user(patchbay.sample.tenant, &UserKey::Id(leia)).await;
    let role = leia.unwrap().unwrap().role.unwrap();
    keep(patchbay, 77, role, second).await;
}

pub(super) async fn keep(patchbay: &Patchbay, number: u32, role: RoleId, second: MembershipStatus) {
    let id = UserId(Uuid::from_u128(number.into()));
    let mut user = User::new(id, Serial(number), Timestamp::from_millis(0));
    user.role = Some(role);
    for (serial, status) in [(1, MembershipStatus::Active), (2, second)] {
        user.memberships = user
            .memberships
            .iter()
            .cloned()
            .chain([Membership {
                organization: organization(patchbay, serial).await.id,
                status,
                groups: vec![GroupId(Uuid::from_u128(1))],
                invitation_notes: None,
                invited_at: None,
                joined_at: None,
                last_access_at: None,
            }])
            .collect();
    }
    patchbay.keep(Delta::CreateUser(Box::new(user))).await;
}

/// A key of the user 77.
pub(super) async fn key_of_77(patchbay: &Patchbay) -> &'static str {
    let key = "key-of-user-77";
    patchbay
        .keep(Delta::PutCredential(Credential {
            id: CredentialId(Uuid::from_u128(77)),
            tenant: patchbay.sample.tenant,
            serial: Serial(77),
            hash: CredentialHash::of(key),
            fingerprint: Credential::fingerprint_of(key),
            subject: Subject::User(UserId(Uuid::from_u128(77))),
            created_at: Timestamp::from_millis(0),
            expires_at: None,
        }))
        .await;
    key
}

/// A role that may read and update the users of its holder's organizations.
pub(super) async fn manager(patchbay: &Patchbay) -> RoleId {
    let (id, at) = (RoleId(Uuid::from_u128(500)), Timestamp::from_millis(0));
    patchbay
        .keep(Delta::PutRole(Role {
            id,
            tenant: patchbay.sample.tenant,
            name: "manager".to_owned(),
            statement: Statement::only(&[Action::GetUser, Action::UpdateUser]),
            reach: Reach::Organization,
            created_at: at,
            updated_at: at,
        }))
        .await;
    id
}

fn to(account: &str) -> Value {
    json!({"currentAccount": {"id": account, "name": "ignored"}})
}

#[tokio::test]
async fn the_mobile_apps_call_switches_the_account() {
    let patchbay = Patchbay::new().await;
    keep_member_of_two(&patchbay, MembershipStatus::Active).await;
    assert_eq!(get(&patchbay, TWICE).await["currentAccount"]["id"], "ACC-0000-0001");
    let answer = put(&patchbay, TWICE, &to("ACC-0000-0002")).await;
    assert_eq!((answer.status.as_u16(), answer.header("etag")), (200, "\"2\""));
    assert_eq!(answer.json()["currentAccount"]["name"], "Patchbay Operations");
    let whole = get(&patchbay, TWICE).await;
    assert_eq!(whole["currentAccount"]["id"], "ACC-0000-0002");
    let again = put(&patchbay, TWICE, &json!({"currentAccount": whole["currentAccount"]})).await;
    assert_eq!(again.header("etag"), "\"2\"", "he is there");
    let back = put(
        &patchbay,
        TWICE,
        &json!({"User.Data.CurrentAccount.Id": "ACC-0000-0001"}),
    )
    .await;
    assert_eq!(back.json()["currentAccount"]["id"], "ACC-0000-0001");
    let entry = patchbay
        .store
        .audit(patchbay.sample.tenant, 0, 100)
        .await
        .unwrap()
        .pop()
        .unwrap();
    assert_eq!(entry.entry.changes[0].field, "current_organization");
}

#[tokio::test]
async fn an_account_without_an_active_membership_is_refused_by_name() {
    let patchbay = Patchbay::new().await;
    keep_member_of_two(&patchbay, MembershipStatus::Invited).await;
    for account in ["ACC-0000-0002", "ACC-9999-9999"] {
        let change = json!({"firstName": "Half", "currentAccount": {"id": account}});
        assert_problem(&put(&patchbay, TWICE, &change).await, 400, Some("currentAccount"));
    }
    for (current, member) in [
        (json!(null), "currentAccount"),
        (json!({}), "currentAccount.id"),
        (json!({"id": null}), "currentAccount.id"),
        (json!("ACC-0000-0001"), "currentAccount"),
        (json!({"id": "text"}), "currentAccount.id"),
        (json!({"id": 5}), "currentAccount.id"),
        (json!({"id": null}), "currentAccount.id"),
    ] {
        let change = json!({"currentAccount": current});
        assert_problem(&put(&patchbay, TWICE, &change).await, 400, Some(member));
    }
    assert_eq!(get(&patchbay, TWICE).await["revision"], 1);
}

#[tokio::test]
async fn one_may_switch_oneself_and_learns_nothing_of_others() {
    let patchbay = Patchbay::new().await;
    let client = patchbay.sample.keys.client.clone();
    let answer = put_as(&patchbay, &client, super::LEIA, &to("ACC-0000-0001")).await;
    assert_eq!((answer.status.as_u16(), answer.header("etag")), (200, "\"1\""));
    let stranger = put_as(&patchbay, &client, super::LEIA, &to("ACC-0000-0002")).await;
    assert_problem(&stranger, 400, Some("currentAccount"));
    for (path, status) in [(HAN, 403), (MON, 404)] {
        for account in ["ACC-0000-0002", "ACC-9999-9999"] {
            assert_problem(&put_as(&patchbay, &client, path, &to(account)).await, status, None);
        }
    }
}

#[tokio::test]
async fn an_account_that_one_was_only_asked_into_shows_nothing() {
    for (second, others) in [
        (MembershipStatus::Invited, 404),
        (MembershipStatus::InvitationExpired, 404),
        (MembershipStatus::Active, 200),
    ] {
        let patchbay = Patchbay::new().await;
        keep_member_of_two(&patchbay, second).await;
        let key = key_of_77(&patchbay).await;
        let status = async |path: &str| call(&patchbay, key, ("GET", path), &[], "").await.status.as_u16();
        assert_eq!(status(MON).await, others, "{second:?}");
        assert_eq!(
            status("/public/v1/accounts/accounts/ACC-0000-0002/users/USR-0000-0005").await,
            others
        );
        assert_eq!(status(HAN).await, 200);
        let own = "/public/v1/accounts/accounts/ACC-0000-0002/users/USR-0000-0077";
        assert_eq!(status(own).await, 200, "his own invitation is his to see");
    }
}

#[tokio::test]
async fn whoever_does_not_reach_an_account_changes_and_learns_nothing_of_it() {
    const OTHER: &str = "/public/v1/accounts/users/USR-0000-0078";
    let there = |user: &str| format!("/public/v1/accounts/accounts/ACC-0000-0002/users/{user}");
    for (second, reached) in [(MembershipStatus::Invited, false), (MembershipStatus::Active, true)] {
        let patchbay = Patchbay::new().await;
        let role = manager(&patchbay).await;
        keep(&patchbay, 77, role, second).await;
        keep(&patchbay, 78, role, MembershipStatus::Active).await;
        let key = key_of_77(&patchbay).await;
        let status = |answer: &Answer| answer.status.as_u16();
        let change = json!({"firstName": "Changed", "groups": [{"id": "UGR-0000-0002"}]});

        let other = there("USR-0000-0078");
        for (stale, answered) in [("*", 304), ("\"9\"", 200)] {
            let answer = call(&patchbay, key, ("GET", &other), &[("if-none-match", stale)], "").await;
            assert_eq!(status(&answer), if reached { answered } else { 404 });
        }
        let answer = put_as(&patchbay, key, &other, &change).await;
        assert_eq!(status(&answer), if reached { 200 } else { 404 });
        let answer = put_as(&patchbay, key, OTHER, &to("ACC-0000-0002")).await;
        assert_eq!(status(&answer), if reached { 200 } else { 400 });
        let now = get(&patchbay, OTHER).await;
        assert_eq!(now["revision"], if reached { 3 } else { 1 }, "{now}");

        let answer = put_as(&patchbay, key, &there("USR-0000-0077"), &change).await;
        assert_eq!(status(&answer), if reached { 200 } else { 403 });
        let unknown = there("USR-0000-0078").replace("0002", "9999");
        let unknown = call(&patchbay, key, ("GET", &unknown), &[], "").await;
        assert!(
            assert_problem(&unknown, 404, None)["detail"]
                .as_str()
                .unwrap()
                .contains("user")
        );
    }
}

#[tokio::test]
async fn an_account_users_status_is_his_memberships() {
    let patchbay = Patchbay::new().await;
    for (second, shown) in [
        (MembershipStatus::Invited, "Invited"),
        (MembershipStatus::InvitationExpired, "InvitationExpired"),
        (MembershipStatus::Active, "Active"),
    ] {
        let patchbay = Patchbay::new().await;
        keep_member_of_two(&patchbay, second).await;
        let place = "/public/v1/accounts/accounts/ACC-0000-0002/users/USR-0000-0077";
        let answer = get(&patchbay, place).await;
        assert_eq!(
            (&answer["status"], &answer["invitation"]["status"]),
            (&json!(shown), &json!(shown))
        );
    }
    let blocked = patchbay_core::user::UserPatch {
        status: patchbay_core::patch::Patch::Value(patchbay_core::user::Status::Blocked),
        ..Default::default()
    };
    let delta = Delta::UpdateUser {
        id: patchbay.sample.users[0].id,
        expect: patchbay_core::revision::Expect::Any,
        patch: Box::new(blocked),
    };
    patchbay.keep(delta).await;
    assert_eq!(get(&patchbay, HAN).await["status"], "Blocked");
    assert_eq!(get(&patchbay, super::HAN_IN_REBELS).await["status"], "Active");
    assert_eq!(
        get(&patchbay, HAN).await["audit"]["updated"].get("by"),
        None,
        "the console is nobody"
    );
}

#[tokio::test]
async fn the_last_author_is_a_user_or_a_token() {
    let patchbay = Patchbay::new().await;
    let client = patchbay.sample.keys.client.clone();
    put_as(&patchbay, &client, super::LEIA, &json!({"firstName": "General"})).await;
    let audit = get(&patchbay, super::LEIA).await["audit"].clone();
    assert_eq!(
        audit["updated"]["by"],
        json!({"id": "USR-0000-0002", "name": "Leia Organa"})
    );
    assert_eq!(audit["created"]["by"]["id"], "USR-0000-0005");
    put(&patchbay, super::LEIA, &json!({"firstName": "Leia"})).await;
    let by = &get(&patchbay, super::LEIA).await["audit"]["updated"]["by"];
    assert_eq!(*by, json!({"id": "TKN-0000-0009", "name": "Operations"}));
    put_as(&patchbay, &client, super::LEIA, &json!({"firstName": "Leia"})).await;
    assert_eq!(
        get(&patchbay, super::LEIA).await["audit"]["updated"]["by"],
        *by,
        "nothing changed"
    );
}

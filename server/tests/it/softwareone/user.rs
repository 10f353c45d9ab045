//! PUT and GET of a user: forms and plain JSON.

use axum::body::Body;
use patchbay_core::{
    changeset::Delta,
    clock::Timestamp,
    id::{Serial, UserId},
    membership::{Membership, MembershipStatus},
    patch::Patch,
    policy::{Effect, Statement},
    revision::Expect,
    store::UserKey,
    user::{User, UserPatch},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{HAN, HAN_IN_REBELS, LEIA, MON, assert_problem, call, get, get_as, organization, put, put_as};
use crate::harness::{Patchbay, request};

#[tokio::test]
async fn the_whole_user_by_id() {
    let patchbay = Patchbay::new().await;
    let began = "2025-06-15T12:00:00.000Z";
    let founded = json!({"at": began, "by": {"id": "USR-0000-0005", "name": "Mon Mothma"}});
    let account = json!({
        "id": "ACC-0000-0001", "name": "Rebel Alliance", "revision": 1, "type": "Client", "status": "Active",
    });
    let expected = json!({
        "id": "USR-0000-0001",
        "audit": {"created": founded, "updated": founded, "invitationAcceptedAt": began},
        "name": "Han Solo",
        "revision": 1,
        "email": "han.solo@example.com",
        "status": "Active",
        "phone": {"prefix": "+34", "number": "660707172"},
        "firstName": "Han",
        "lastName": "Solo",
        "settings": {"cultureCode": "en-US", "languageCode": "en-US"},
        "accounts": [account],
        "currentAccount": account,
    });
    assert_eq!(get(&patchbay, HAN).await, expected);
    let client = patchbay.sample.keys.client.clone();
    let seen = get_as(&patchbay, &client, HAN).await.json();
    assert_eq!(seen.get("accounts"), None, "accounts are for those who see everything");
    assert_eq!(seen["currentAccount"], account);
}

#[tokio::test]
async fn by_mail_address_the_minimal_form_and_the_whole_after_an_update() {
    let patchbay = Patchbay::new().await;
    let path = "/public/v1/accounts/users/Han.Solo%40example.com";
    let minimal = json!({
        "id": "USR-0000-0001", "email": "han.solo@example.com", "status": "Active",
        "audit": {"invitationAcceptedAt": "2025-06-15T12:00:00.000Z"},
    });
    assert_eq!(get(&patchbay, path).await, minimal);
    assert_eq!(get(&patchbay, &format!("{path}?select=-*,name")).await, minimal);
    let answer = put(&patchbay, path, &json!({"firstName": "Ben"})).await;
    assert_eq!(answer.json(), get(&patchbay, HAN).await);
    assert_eq!(answer.json()["firstName"], "Ben");
    assert_problem(
        &get_as(
            &patchbay,
            &patchbay.sample.keys.operations.clone(),
            "/public/v1/accounts/users/no@example.com",
        )
        .await,
        404,
        None,
    );
}

/// The seed's example says `text` for the address, so any text finds its user, but for what is another user's id.
#[tokio::test]
async fn an_address_of_any_form_finds_its_user_and_none_has_the_form_of_an_id() {
    let patchbay = Patchbay::new().await;
    assert_eq!(put(&patchbay, HAN, &json!({"email": "text"})).await.status, 200);
    let path = "/public/v1/accounts/users/text";
    assert_eq!(get(&patchbay, path).await["id"], "USR-0000-0001");
    assert_eq!(put(&patchbay, path, &json!({"firstName": "Ben"})).await.status, 200);
    let answer = put(&patchbay, HAN, &json!({"email": "USR-0000-0002"})).await;
    assert_problem(&answer, 400, Some("email"));
}

#[tokio::test]
async fn plain_json_does_as_well() {
    let patchbay = Patchbay::new().await;
    let change: Value = serde_json::from_str(include_str!(
        "../../../src/dialects/softwareone/fixtures/user_update.json"
    ))
    .unwrap();
    let answer = put(&patchbay, HAN, &change).await;
    assert_eq!((answer.status.as_u16(), answer.header("etag")), (200, "\"2\""));
    assert_eq!(answer.json()["name"], "Zoë User");
    let key = patchbay.sample.keys.operations.clone();
    assert_problem(&call(&patchbay, &key, ("PUT", HAN), &[], "{}").await, 415, None);
    assert_problem(
        &call(&patchbay, &key, ("PUT", HAN), &[("content-type", "text/plain")], "{}").await,
        415,
        None,
    );
}

#[tokio::test]
async fn every_wrong_member_is_named_at_once() {
    let patchbay = Patchbay::new().await;
    let names = |answer: &crate::harness::Answer| -> Vec<String> {
        assert_eq!(answer.status, 400, "{}", answer.json());
        answer.json()["errors"].as_object().unwrap().keys().cloned().collect()
    };
    let change = json!({
        "firstName": "", "lastName": "", "phone": {"prefix": "12345678901", "number": 5}, "email": {},
        "settings": {"cultureCode": null, "languageCode": "", "timeZone": []},
    });
    let all = [
        "email",
        "firstName",
        "lastName",
        "phone.number",
        "phone.prefix",
        "settings.cultureCode",
        "settings.languageCode",
        "settings.timeZone",
    ];
    for path in [HAN, HAN_IN_REBELS] {
        assert_eq!(names(&put(&patchbay, path, &change).await), all);
    }
    // Bounds of the directory alone are the directory's to refuse, and go into the audit log.
    let entries = patchbay.audit_len().await;
    let change = json!({"phone": {"prefix": "12345678901", "number": "1234567890123456"}, "email": "a b"});
    let answer = put(&patchbay, HAN, &change).await;
    assert_eq!(names(&answer), ["email", "phone.number", "phone.prefix"]);
    assert_eq!(
        answer.json()["errors"]["email"],
        json!(["email must be a mail address."])
    );
    let change = json!({
        "phone": {"prefix": "12345678901"}, "invitation": {"notes": "\u{1}"}, "groups": [{"id": "x"}, {"id": "y"}],
    });
    let answer = put(&patchbay, HAN_IN_REBELS, &change).await;
    assert_eq!(names(&answer), ["groups[0].id", "groups[1].id", "phone.prefix"]);
    let change = json!({"phone": {"prefix": "12345678901"}, "invitation": {"notes": "\u{1}"}});
    let answer = put(&patchbay, HAN_IN_REBELS, &change).await;
    assert_eq!(names(&answer), ["invitation.notes", "phone.prefix"]);
    assert_eq!(patchbay.audit_len().await, entries + 2);
    let many: Vec<Value> = (0..150).map(|_| json!({"id": "x"})).collect();
    let answer = put(&patchbay, HAN_IN_REBELS, &json!({"groups": many})).await;
    assert_eq!(names(&answer).len(), 100);
}

#[tokio::test]
async fn the_user_himself_may_and_others_may_not() {
    let patchbay = Patchbay::new().await;
    let client = patchbay.sample.keys.client.clone();
    let own = put_as(&patchbay, &client, LEIA, &json!({"lastName": "Solo"})).await;
    assert_eq!((own.status.as_u16(), &own.json()["name"]), (200, &json!("Leia Solo")));
    assert_problem(
        &put_as(&patchbay, &client, HAN, &json!({"lastName": "x"})).await,
        403,
        None,
    );
    for path in [
        MON,
        "/public/v1/accounts/users/USR-0000-0000",
        "/public/v1/accounts/users/nonsense",
    ] {
        assert_problem(
            &put_as(&patchbay, &client, path, &json!({"lastName": "x"})).await,
            404,
            None,
        );
        assert_problem(&get_as(&patchbay, &client, path).await, 404, None);
    }
}

#[tokio::test]
async fn an_update_is_at_once_visible_in_the_account_and_the_other_way_round() {
    let patchbay = Patchbay::new().await;
    put(&patchbay, HAN, &json!({"lastName": "Organa"})).await;
    assert_eq!(get(&patchbay, HAN_IN_REBELS).await["name"], "Han Organa");
    put(&patchbay, HAN_IN_REBELS, &json!({"firstName": "Ben"})).await;
    assert_eq!(get(&patchbay, HAN).await["name"], "Ben Organa");
}

#[tokio::test]
async fn double_slashes_and_head() {
    let patchbay = Patchbay::new().await;
    assert_eq!(
        get(&patchbay, "//public/v1//accounts/users/USR-0000-0001/").await["id"],
        "USR-0000-0001"
    );
    let head = request("HEAD", HAN).header("authorization", format!("bearer {}", patchbay.sample.keys.operations));
    let head = patchbay.send(head.body(Body::empty()).unwrap()).await;
    assert_eq!((head.status.as_u16(), head.bytes.len()), (200, 0));
}

/// Sends a change of the user with this mail address under the key `k`.
async fn keyed(patchbay: &Patchbay, path: &str, change: &Value) -> crate::harness::Answer {
    let key = patchbay.sample.keys.operations.clone();
    let headers = [("content-type", "application/json"), ("idempotency-key", "k")];
    call(patchbay, &key, ("PUT", path), &headers, change.to_string()).await
}

#[tokio::test]
async fn a_repeat_is_known_though_the_user_is_named_by_what_it_changed() {
    let patchbay = Patchbay::new().await;
    let path = "/public/v1/accounts/users/han.solo@example.com";
    let change = json!({"email": "h2@example.com"});
    let first = keyed(&patchbay, path, &change).await;
    assert_eq!((first.status.as_u16(), first.header("etag")), (200, "\"2\""));
    let entries = patchbay.audit_len().await;
    let again = keyed(&patchbay, path, &change).await;
    assert_eq!((again.status.as_u16(), again.json()), (200, first.json()));
    // Another user takes the address: the repeat is still about the first.
    put(&patchbay, LEIA, &json!({"email": "han.solo@example.com"})).await;
    let again = keyed(&patchbay, path, &change).await;
    assert_eq!((again.status.as_u16(), again.json()), (200, first.json()));
    assert_eq!(patchbay.audit_len().await, entries + 1, "only what Leia did is new");
    let other = keyed(&patchbay, path, &json!({"email": "h3@example.com"})).await;
    assert_problem(&other, 422, None);
    assert_eq!(get(&patchbay, LEIA).await["revision"], 2);
}

#[tokio::test]
async fn a_repeat_needs_the_right_to_change_the_user_it_changed() {
    let patchbay = Patchbay::new().await;
    let client = patchbay.sample.keys.client.clone();
    let headers = [("content-type", "application/json"), ("idempotency-key", "k")];
    let path = "/public/v1/accounts/users/leia.organa@example.com";
    let change = json!({"email": "l2@example.com"}).to_string();
    let send = async || call(&patchbay, &client, ("PUT", path), &headers, change.clone()).await;
    assert_eq!(send().await.status, 200);
    assert_eq!(send().await.status, 200);
    deny(&patchbay, &["update_user", "update_own_user"]).await;
    assert_problem(&send().await, 403, None);
}

/// Makes the client's role permit all but these.
async fn deny(patchbay: &Patchbay, actions: &[&str]) {
    let tenant = patchbay.sample.tenant;
    let key = UserKey::Id(patchbay.sample.users[1].id);
    let user = patchbay.store.user(tenant, &key).await.unwrap().unwrap();
    let role = patchbay.store.role(tenant, user.role.unwrap()).await.unwrap().unwrap();
    let mut role = patchbay_core::role::Role::clone(&role);
    role.statement = Statement {
        effect: Effect::Deny,
        actions: Some(actions.iter().map(|action| (*action).to_owned()).collect()),
    };
    patchbay.keep(Delta::PutRole(role)).await;
}

#[tokio::test]
async fn the_user_himself_needs_no_permission_but_may_be_denied() {
    let patchbay = Patchbay::new().await;
    let luke = "/public/v1/accounts/users/USR-0000-0003";
    let secret = patchbay.sample.users[2].secret.clone();
    let change = json!({"lastName": "Organa"});
    let own = put_as(&patchbay, &secret, luke, &change).await;
    assert_eq!((own.status.as_u16(), &own.json()["name"]), (200, &json!("Luke Organa")));
    let in_account = "/public/v1/accounts/accounts/ACC-0000-0001/users/USR-0000-0003";
    let own = put_as(&patchbay, &secret, in_account, &json!({"firstName": "L."})).await;
    assert_eq!((own.status.as_u16(), &own.json()["name"]), (200, &json!("L. Organa")));
    assert_problem(&put_as(&patchbay, &secret, HAN, &change).await, 403, None);
    let client = patchbay.sample.keys.client.clone();
    for (denied, status) in [
        (&["update_user"][..], 200),
        (&["update_own_user"], 200),
        (&["update_user", "update_own_user"], 403),
    ] {
        deny(&patchbay, denied).await;
        let answer = put_as(&patchbay, &client, LEIA, &change).await;
        assert_eq!(answer.status, status, "{denied:?}");
    }
}

#[tokio::test]
async fn a_mail_address_is_one_users_alone() {
    let patchbay = Patchbay::new().await;
    let client = patchbay.sample.keys.client.clone();
    let in_account = "/public/v1/accounts/accounts/ACC-0000-0001/users/USR-0000-0002";
    // Mon is nobody whom the client can see.
    for address in ["han.solo@example.com", "Mon.Mothma@EXAMPLE.com"] {
        let change = json!({"firstName": "Half", "email": address});
        for path in [LEIA, in_account] {
            let answer = put_as(&patchbay, &client, path, &change).await;
            assert_problem(&answer, 409, Some("email"));
        }
    }
    let leia = get(&patchbay, LEIA).await;
    assert_eq!((&leia["revision"], &leia["firstName"]), (&json!(1), &json!("Leia")));
    let same = json!({"email": "Leia.Organa@example.com", "firstName": "L."});
    assert_eq!(put_as(&patchbay, &client, LEIA, &same).await.header("etag"), "\"2\"");
    // Another dialect lets two have one address; each may keep it here.
    let shared = UserPatch {
        email: Patch::Value("han.solo@example.com".to_owned()),
        ..UserPatch::default()
    };
    patchbay
        .keep(Delta::UpdateUser {
            id: patchbay.sample.users[1].id,
            expect: Expect::Any,
            patch: Box::new(shared),
        })
        .await;
    let same = json!({"email": "han.solo@example.com", "firstName": "Leia"});
    assert_eq!(put_as(&patchbay, &client, LEIA, &same).await.header("etag"), "\"4\"");
}

#[tokio::test]
async fn accounts_are_shown_as_far_as_the_caller_sees() {
    let patchbay = Patchbay::new().await;
    let mut user = User::new(UserId(Uuid::from_u128(6)), Serial(6), Timestamp::default());
    for serial in [2, 1] {
        user.memberships = user
            .memberships
            .iter()
            .cloned()
            .chain([Membership {
                organization: organization(&patchbay, serial).await.id,
                status: MembershipStatus::Active,
                groups: Vec::new(),
                invitation_notes: None,
                invited_at: None,
                joined_at: None,
                last_access_at: None,
            }])
            .collect();
    }
    patchbay.keep(Delta::CreateUser(Box::new(user))).await;
    let path = "/public/v1/accounts/users/USR-0000-0006";
    let all = get(&patchbay, path).await;
    assert_eq!(all["accounts"].as_array().unwrap().len(), 2);
    assert_eq!(all["currentAccount"]["id"], "ACC-0000-0002");
    let client = patchbay.sample.keys.client.clone();
    let some = get_as(&patchbay, &client, path).await.json();
    assert_eq!((some.get("accounts"), some.get("currentAccount")), (None, None));
}

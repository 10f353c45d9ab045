//! Every refusal: of the key, the route, the body, the members, the role.

use patchbay::walkthrough::Purpose;
use patchbay_core::{
    changeset::Delta,
    clock::Timestamp,
    credential::{Credential, CredentialHash, Subject},
    id::{CredentialId, OrganizationId, RoleId, Serial, UserId},
    policy::{Action, Effect, Reach, Statement},
    role::Role,
    store::UserKey,
    user::User,
};
use serde_json::json;
use uuid::Uuid;

use super::{UNKNOWN, call, get, patch, path, refused};
use crate::harness::Patchbay;

#[tokio::test]
async fn wrong_members_are_named_and_nothing_is_applied() {
    let patchbay = Patchbay::new().await;
    let before = get(&patchbay).await.bytes;
    let long_key = "k".repeat(65);
    let cases = [
        (json!({ "name": "x" }), "name"),
        (json!({ "name": "x".repeat(33) }), "name"),
        (json!({ "name": "trailing\n" }), "name"),
        (json!({ "name": "-leading" }), "name"),
        (json!({ "name": null }), "name"),
        (json!({ "name": 7 }), "name"),
        (json!({ "name": "Half Applied", "role": null }), "role"),
        (json!({ "role": "not-a-uuid" }), "role"),
        (json!({ "role": "3d0f1348612a4804b63224c4b871e76e" }), "role"),
        (json!({ "name": "Half Applied", "role": UNKNOWN }), "role"),
        (json!({ "description": "text" }), "description"),
        (json!({ "description": [] }), "description"),
        (json!({ "description": { "Upper": 1 } }), "description.Upper"),
        (json!({ "description": { "": 1 } }), "description."),
        (json!({ "description": { &long_key: 1 } }), "description.k"),
        (json!({ "name": "Half Applied", "surname": "x" }), "surname"),
        (json!([]), "object"),
        (json!(["Oliver Adams"]), "object"),
        (json!("text"), "object"),
        (json!(null), "object"),
    ];
    for (body, member) in cases {
        let why = refused(&patch(&patchbay, body.to_string()).await, 400_589);
        assert!(why.contains(member), "{body}: {why}");
        assert_eq!(get(&patchbay).await.bytes, before, "{body}");
    }
}

#[tokio::test]
async fn malformed_bodies_have_their_own_subcodes() {
    let patchbay = Patchbay::new().await;
    for body in [
        "{",
        "name=Oliver",
        "{} more",
        r#"{"name": NaN}"#,
        " ",
        "\u{feff}{}",
        r#"{"name": "\ud800"}"#,
    ] {
        refused(&patch(&patchbay, body).await, 400_415);
    }
    let (deep, flat) = ("[".repeat(128), "]".repeat(128));
    for body in [
        r#"{"unknown": "\ud800"}"#,
        r#"{"name": 1, "unknown": "\ud800"}"#,
        &format!("{deep}{flat}"),
        &format!(r#"{{"unknown": {deep}{flat}}}"#),
        &format!(r#"{{"name": 1, "unknown": {deep}{flat}}}"#),
    ] {
        refused(&patch(&patchbay, body.to_owned()).await, 400_415);
    }
    for body in ["{\"name\": 1", "[1", "5x", "{\"name\": 1,}", "{\"unknown\": 1} x"] {
        refused(&patch(&patchbay, body).await, 400_415);
    }
    refused(&patch(&patchbay, b"{\"name\": \"Oliv\xe9r\"}".to_vec()).await, 400_314);
    let with_size = |size: usize| {
        let frame = r#"{"description": {"k": ""}}"#.len();
        format!(r#"{{"description": {{"k": "{}"}}}}"#, "x".repeat(size - frame))
    };
    assert_eq!(patch(&patchbay, with_size(65_536)).await.status, 200);
    refused(&patch(&patchbay, with_size(65_537)).await, 400_141);
    let nested = |depth| {
        format!(
            r#"{{"description": {{"k": {}{}}}}}"#,
            "[".repeat(depth),
            "]".repeat(depth)
        )
    };
    assert_eq!(patch(&patchbay, nested(64)).await.status, 200);
    assert!(refused(&patch(&patchbay, nested(65)).await, 400_589).starts_with("description "));
    refused(&patch(&patchbay, nested(60_000 / 2)).await, 400_415);
    // Keys by which the JSON reader would take a text for a number, or for JSON of its own.
    let marked = r#"{"description": {"k": {"a": 1, "$serde_json::private::Number": "x"}}}"#;
    assert!(refused(&patch(&patchbay, marked).await, 400_589).contains("must not have keys"));
}

#[tokio::test]
async fn the_secret_is_the_bare_value_of_authorization() {
    let patchbay = Patchbay::new().await;
    let (path, secret) = (path(&patchbay), patchbay.sample.keys.administrator.clone());
    let bearer = format!("Bearer {secret}");
    let cases: [&[(&str, &str)]; 6] = [
        &[],
        &[("authorization", "")],
        &[("authorization", "wrong")],
        &[("authorization", &bearer)],
        &[("authorization", "Basic eDp5")],
        &[("authorization", &secret), ("authorization", &secret)],
    ];
    for headers in cases {
        for method in ["GET", "PATCH"] {
            // 401 comes before any fault of the request.
            refused(&call(&patchbay, method, &path, headers, "{").await, 401_000);
            refused(&call(&patchbay, method, "/users/x", headers, "").await, 401_000);
        }
    }
}

#[tokio::test]
async fn a_key_of_any_dialect_opens_this_one() {
    let patchbay = Patchbay::new().await;
    for key in [
        &patchbay.sample.keys.full,
        patchbay.sample.keys.of("nerm", Purpose::Full),
        &patchbay.sample.keys.operations,
    ] {
        let answer = call(&patchbay, "PATCH", &path(&patchbay), &[("authorization", key)], "{}").await;
        assert_eq!(answer.status, 200, "{}", answer.json());
    }
}

#[tokio::test]
async fn unusual_but_harmless_headers_are_tolerated() {
    let patchbay = Patchbay::new().await;
    let secret = patchbay.sample.keys.administrator.clone();
    let headers = [
        ("authorization", secret.as_str()),
        ("content-type", "application/json"),
        ("content-length", "0"),
        ("x-trustedtwin", "eyJzZXJpYWwiOiAiMTIzIn0="),
    ];
    for (method, path) in [
        ("GET", path(&patchbay)),
        ("PATCH", path(&patchbay)),
        ("GET", format!("/{}/", path(&patchbay))),
    ] {
        assert_eq!(call(&patchbay, method, &path, &headers, "").await.status, 200, "{path}");
    }
    let plain = [("authorization", secret.as_str()), ("content-type", "text/plain")];
    let answer = call(&patchbay, "PATCH", &path(&patchbay), &plain, r#"{"name":"Oliver"}"#).await;
    assert_eq!(answer.json()["name"], "Oliver");
}

#[tokio::test]
async fn every_refusal_under_the_mounts_is_in_this_dialect() {
    let patchbay = Patchbay::new().await;
    let secret = patchbay.sample.keys.administrator.clone();
    let key = [("authorization", secret.as_str())];
    for route in [
        "/users",
        "/users/a/b",
        "/roles",
        "/secrets/x/y",
        "/token",
        "/account",
        "/whoami",
        "/usage",
        "/trace",
        "/log",
    ] {
        refused(&call(&patchbay, "GET", route, &key, "").await, 404_653);
    }
    for method in ["POST", "PUT", "DELETE"] {
        let answer = call(&patchbay, method, &path(&patchbay), &key, "{}").await;
        refused(&answer, 405_000);
        assert!(answer.header("allow").contains("PATCH"), "{:?}", answer.headers);
    }
    for method in ["GET", "PATCH"] {
        refused(
            &call(&patchbay, method, &format!("/users/{UNKNOWN}"), &key, "").await,
            404_653,
        );
        for malformed in [
            "x",
            "3d0f1348612a4804b63224c4b871e76e",
            "%7B",
            "%ff",
            "..%2f",
            &"9".repeat(3_000),
        ] {
            let why = refused(
                &call(&patchbay, method, &format!("/users/{malformed}"), &key, "").await,
                400_589,
            );
            assert!(why.starts_with("user "), "{why}");
        }
    }
}

#[tokio::test]
async fn update_user_must_be_permitted_by_the_role() {
    let patchbay = Patchbay::new().await;
    // The user himself needs it too: the first of these is a member like any other.
    let member = patchbay.sample.users[1].secret.clone();
    let own = format!("/users/{}", patchbay.sample.users[1].id);
    refused(
        &call(&patchbay, "PATCH", &own, &[("authorization", &member)], "{}").await,
        403_535,
    );
    let observer = patchbay.sample.users[2].secret.clone();
    let key = [("authorization", observer.as_str())];
    for user in [&patchbay.sample.users[0], &patchbay.sample.users[2]] {
        let answer = call(
            &patchbay,
            "PATCH",
            &format!("/users/{}", user.id),
            &key,
            r#"{"name":"Oliver"}"#,
        )
        .await;
        refused(&answer, 403_535);
    }
    refused(
        &call(&patchbay, "PATCH", &format!("/users/{UNKNOWN}"), &key, "{}").await,
        403_535,
    );
    assert_eq!(call(&patchbay, "GET", &path(&patchbay), &key, "").await.status, 200);
    assert_eq!(get(&patchbay).await.json()["name"], "Han Solo");
}

/// Keeps a role, and a service that holds it; answers the role and the service's secret.
async fn role(patchbay: &Patchbay, number: u128, statement: Statement) -> (RoleId, String) {
    reaching(patchbay, number, statement, None).await
}

/// The same, for the members of an organization if one is given.
async fn reaching(
    patchbay: &Patchbay,
    number: u128,
    statement: Statement,
    organization: Option<OrganizationId>,
) -> (RoleId, String) {
    let tenant = patchbay.sample.tenant;
    let (id, at) = (RoleId(Uuid::from_u128(number)), Timestamp::from_millis(0));
    patchbay
        .keep(Delta::PutRole(Role {
            id,
            tenant,
            name: format!("role {number}"),
            statement,
            reach: organization.map_or(Reach::Tenant, |_| Reach::Organization),
            created_at: at,
            updated_at: at,
        }))
        .await;
    let secret = format!("service-of-role-{number}");
    patchbay
        .keep(Delta::PutCredential(Credential {
            id: CredentialId(Uuid::from_u128(number)),
            tenant,
            serial: Serial(u32::try_from(number).unwrap()),
            hash: CredentialHash::of(&secret),
            fingerprint: Credential::fingerprint_of(&secret),
            subject: Subject::Service {
                name: "service".to_owned(),
                role: id,
                organization,
            },
            expires_at: None,
            created_at: at,
        }))
        .await;
    (id, secret)
}

#[tokio::test]
async fn nobody_gives_away_more_than_he_holds() {
    let patchbay = Patchbay::new().await;
    let (narrow, secret) = role(
        &patchbay,
        1_001,
        Statement::only(&[Action::UpdateUser, Action::GetUser]),
    )
    .await;
    let (wide, _) = role(&patchbay, 1_002, Statement::everything()).await;
    let key = [("authorization", secret.as_str())];
    let path = path(&patchbay);
    let before = get(&patchbay).await.bytes;
    let body = json!({ "name": "Half Applied", "role": wide.to_string() }).to_string();
    refused(&call(&patchbay, "PATCH", &path, &key, &body).await, 403_535);
    assert_eq!(get(&patchbay).await.bytes, before);
    let body = json!({ "role": narrow.to_string() }).to_string();
    let answer = call(&patchbay, "PATCH", &path, &key, &body).await;
    assert_eq!(answer.json()["role"], narrow.to_string());
}

#[tokio::test]
async fn nobody_gives_rights_where_he_has_none() {
    for elsewhere in [false, true] {
        let patchbay = Patchbay::new().await;
        let tenant = patchbay.sample.tenant;
        let user = async |n: usize| {
            let key = UserKey::Id(patchbay.sample.users[n].id);
            patchbay.store.user(tenant, &key).await.unwrap().unwrap()
        };
        let (mut han, mon) = (User::clone(&*user(0).await), user(4).await);
        let here = han.memberships[0].organization;
        assert_ne!(here, mon.memberships[0].organization);
        let both = [Action::UpdateUser, Action::GetUser];
        let (role, secret) = reaching(&patchbay, 1_001, Statement::only(&both), Some(here)).await;
        let (lesser, _) = reaching(&patchbay, 1_002, Statement::only(&[Action::GetUser]), Some(here)).await;
        (han.id, han.serial, han.role) = (UserId(Uuid::from_u128(77)), Serial(77), None);
        (han.username, han.email) = (None, None);
        if elsewhere {
            han.memberships = han.memberships.iter().chain(&*mon.memberships).cloned().collect();
        }
        let path = format!("/users/{}", han.id);
        patchbay.keep(Delta::CreateUser(Box::new(han))).await;
        let give = async |key: &str, role: RoleId| {
            let body = json!({ "role": role.to_string() }).to_string();
            call(&patchbay, "PATCH", &path, &[("authorization", key)], &body).await
        };
        if !elsewhere {
            assert_eq!(give(&secret, role).await.status, 200);
            continue;
        }
        refused(&give(&secret, role).await, 403_535);
        let everywhere = give(&patchbay.sample.keys.administrator, role).await;
        assert_eq!(everywhere.status, 200, "whoever reaches all may");
        assert_eq!(give(&secret, lesser).await.status, 200, "this gives nothing");
        refused(&give(&secret, role).await, 403_535);
    }
}

#[tokio::test]
async fn a_role_that_stays_is_not_given_away() {
    let patchbay = Patchbay::new().await;
    let (_, secret) = role(&patchbay, 1_001, Statement::only(&[Action::UpdateUser])).await;
    let key = [("authorization", secret.as_str())];
    let path = format!("/users/{}", patchbay.sample.users[4].id);
    let body = json!({ "name": "Mon", "role": patchbay.sample.role }).to_string();
    let answer = call(&patchbay, "PATCH", &path, &key, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.json());
    assert_eq!(answer.json()["role"], json!(patchbay.sample.role));
    let other = super::path(&patchbay);
    refused(&call(&patchbay, "PATCH", &other, &key, &body).await, 403_535);
}

#[tokio::test]
async fn a_statement_that_denies_a_list_permits_the_rest() {
    let patchbay = Patchbay::new().await;
    let listing = |names: &[&str]| Statement {
        effect: Effect::Deny,
        actions: Some(names.iter().map(|name| (*name).to_owned()).collect()),
    };
    let path = path(&patchbay);
    let (_, other) = role(
        &patchbay,
        1_001,
        listing(&["delete_user", "an_action_of_another_version"]),
    )
    .await;
    assert_eq!(
        call(&patchbay, "PATCH", &path, &[("authorization", &other)], "{}")
            .await
            .status,
        200
    );
    let (_, denied) = role(&patchbay, 1_002, listing(&["update_user"])).await;
    refused(
        &call(&patchbay, "PATCH", &path, &[("authorization", &denied)], "{}").await,
        403_535,
    );
    let nothing = Statement {
        effect: Effect::Allow,
        actions: None,
    };
    let (_, nobody) = role(&patchbay, 1_003, nothing).await;
    refused(
        &call(&patchbay, "GET", &path, &[("authorization", &nobody)], "").await,
        403_535,
    );
}

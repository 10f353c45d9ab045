//! What an account user's change says of his place in the account: groups and invitation notes.

use patchbay_core::membership::MembershipStatus;
use serde_json::json;

use super::{
    HAN_IN_REBELS, LEIA_IN_REBELS, assert_problem,
    current_account::{keep, key_of_77, manager},
    get, get_as, organization, put, put_as, third_group,
};
use crate::harness::Patchbay;

#[tokio::test]
async fn groups_are_replaced_by_id() {
    let patchbay = Patchbay::new().await;
    third_group(&patchbay, &organization(&patchbay, 1).await).await;
    let ids = |answer: serde_json::Value| -> Vec<String> {
        let groups = answer["groups"].as_array().unwrap().iter();
        groups.map(|group| group["id"].as_str().unwrap().to_owned()).collect()
    };
    let change = json!({"groups": [{"id": "UGR-0000-0003", "name": "ignored"}, {"ID": "UGR-0000-0001"}]});
    let answer = put(&patchbay, HAN_IN_REBELS, &change).await.json();
    assert_eq!(ids(answer), ["UGR-0000-0001", "UGR-0000-0003"]);
    let change = json!({"groups": [{"id": "UGR-0000-0003"}, {"id": "UGR-0000-0003"}]});
    let answer = put(&patchbay, HAN_IN_REBELS, &change).await;
    assert_eq!(answer.header("etag"), "\"3\"");
    assert_eq!(ids(answer.json()), ["UGR-0000-0003"]);
    assert_eq!(
        get(&patchbay, HAN_IN_REBELS).await["groups"],
        json!([{"id": "UGR-0000-0003", "name": "Pilots", "revision": 1, "isDefault": false}])
    );
}

#[tokio::test]
async fn wrong_groups_are_refused() {
    let patchbay = Patchbay::new().await;
    let many: Vec<_> = (0..201).map(|_| json!({"id": "UGR-0000-0001"})).collect();
    for (groups, member) in [
        (
            json!([{"id": "UGR-0000-0001"}, {"id": "UGR-9999-9999"}]),
            "groups[1].id",
        ),
        (json!([{"id": "UGR-0000-0002"}]), "groups[0].id"),
        (json!([{"id": "group"}]), "groups[0].id"),
        (json!([{}]), "groups[0].id"),
        (json!([]), "groups"),
        (json!(null), "groups"),
        (json!(many), "groups"),
    ] {
        let change = json!({"firstName": "Half", "groups": groups});
        assert_problem(&put(&patchbay, HAN_IN_REBELS, &change).await, 400, Some(member));
    }
    assert_eq!(get(&patchbay, HAN_IN_REBELS).await["firstName"], "Han");
}

#[tokio::test]
async fn notes_are_set_and_cleared() {
    let patchbay = Patchbay::new().await;
    let answer = put(
        &patchbay,
        HAN_IN_REBELS,
        &json!({"invitation": {"Notes": "owes money"}}),
    )
    .await;
    assert_eq!(
        answer.json()["invitation"],
        json!({"notes": "owes money", "status": "Active"})
    );
    let answer = put(&patchbay, HAN_IN_REBELS, &json!({"invitation": {"status": "Invited"}})).await;
    assert_eq!(answer.header("etag"), "\"2\"");
    let answer = put(&patchbay, HAN_IN_REBELS, &json!({"invitation": {"notes": null}})).await;
    assert_eq!(answer.json()["invitation"], json!({"status": "Active"}));
    put(&patchbay, HAN_IN_REBELS, &json!({"invitation": {"notes": "again"}})).await;
    let answer = put(&patchbay, HAN_IN_REBELS, &json!({"invitation": null})).await;
    assert_eq!(answer.json()["invitation"], json!({"status": "Active"}));
}

#[tokio::test]
async fn notes_are_for_whoever_reaches_the_whole_tenant() {
    let patchbay = Patchbay::new().await;
    third_group(&patchbay, &organization(&patchbay, 1).await).await;
    let role = manager(&patchbay).await;
    keep(&patchbay, 77, role, MembershipStatus::Invited).await;
    let key = key_of_77(&patchbay).await;
    put(
        &patchbay,
        HAN_IN_REBELS,
        &json!({"invitation": {"notes": "owes money"}}),
    )
    .await;
    for invitation in [json!({"notes": "rich"}), json!({"notes": null}), json!(null)] {
        let change = json!({"firstName": "Half", "invitation": invitation});
        assert_problem(&put_as(&patchbay, key, HAN_IN_REBELS, &change).await, 403, None);
    }
    let mut whole = get_as(&patchbay, key, HAN_IN_REBELS).await.json();
    assert_eq!((&whole["firstName"], &whole["revision"]), (&json!("Han"), &json!(2)));
    whole["groups"] = json!([{"id": "UGR-0000-0003"}]);
    let answer = put_as(&patchbay, key, HAN_IN_REBELS, &whole).await;
    assert_eq!((answer.status.as_u16(), answer.header("etag")), (200, "\"3\""));
    assert_eq!(answer.json()["groups"][0]["id"], "UGR-0000-0003");
    assert_eq!(answer.json()["invitation"]["notes"], "owes money");
}

#[tokio::test]
async fn nobody_changes_his_own_groups_or_notes() {
    let patchbay = Patchbay::new().await;
    third_group(&patchbay, &organization(&patchbay, 1).await).await;
    let client = patchbay.sample.keys.client.clone();
    let entries = patchbay.audit_len().await;
    for change in [
        json!({"groups": [{"id": "UGR-0000-0003"}]}),
        json!({"groups": [{"id": "UGR-9999-9999"}]}),
        json!({"groups": null}),
        json!({"invitation": {"notes": "me"}}),
    ] {
        assert_problem(&put_as(&patchbay, &client, LEIA_IN_REBELS, &change).await, 403, None);
    }
    assert_eq!(patchbay.audit_len().await, entries + 4, "each refusal is recorded");
}

#[tokio::test]
async fn one_may_send_back_what_one_read_of_oneself() {
    let patchbay = Patchbay::new().await;
    let client = patchbay.sample.keys.client.clone();
    let mut whole = get_as(&patchbay, &client, LEIA_IN_REBELS).await.json();
    whole["lastName"] = json!("Solo");
    let answer = put_as(&patchbay, &client, LEIA_IN_REBELS, &whole).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["name"]),
        (200, &json!("Leia Solo"))
    );
}

#[tokio::test]
async fn groups_of_strangers_tell_nothing() {
    let patchbay = Patchbay::new().await;
    let client = patchbay.sample.keys.client.clone();
    for group in ["UGR-0000-0001", "UGR-9999-9999"] {
        let change = json!({"groups": [{"id": group}]});
        assert_problem(&put_as(&patchbay, &client, HAN_IN_REBELS, &change).await, 403, None);
        let stranger = "/public/v1/accounts/accounts/ACC-0000-0002/users/USR-0000-0005";
        assert_problem(&put_as(&patchbay, &client, stranger, &change).await, 404, None);
    }
}

//! PUT and GET of an account user.

use axum::body::Body;
use patchbay_core::{changeset::Delta, patch::Patch, revision::Expect, user::UserPatch};
use serde_json::json;

use super::{HAN, HAN_IN_REBELS, LEIA_IN_REBELS, assert_problem, call, get, get_as, put};
use crate::harness::Patchbay;

#[tokio::test]
async fn the_answer_is_the_whole_account_user() {
    let patchbay = Patchbay::new().await;
    let answer = put(&patchbay, HAN_IN_REBELS, &json!({"firstName": "Ben"})).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("etag"), "\"2\"");
    let began = "2025-06-15T12:00:00.000Z";
    let expected = json!({
        "id": "USR-0000-0001",
        "audit": {
            "created": {"at": began, "by": {"id": "USR-0000-0005", "name": "Mon Mothma"}},
            "updated": {"at": "2025-06-15T12:00:01.500Z", "by": {"id": "TKN-0000-0009", "name": "Operations"}},
            "invited": {"at": began}, "joined": {"at": began},
        },
        "name": "Ben Solo",
        "revision": 2,
        "user": {"id": "USR-0000-0001", "name": "Ben Solo", "revision": 2},
        "email": "han.solo@example.com",
        "status": "Active",
        "phone": {"prefix": "+34", "number": "660707172"},
        "firstName": "Ben",
        "lastName": "Solo",
        "settings": {"cultureCode": "en-US", "languageCode": "en-US"},
        "groups": [{
            "id": "UGR-0000-0001", "name": "Administrators", "revision": 1,
            "description": "Administrators of the sample", "isDefault": true,
        }],
        "modules": [],
        "account": {
            "id": "ACC-0000-0001", "name": "Rebel Alliance", "revision": 1, "type": "Client", "status": "Active",
        },
        "invitation": {"status": "Active"},
    });
    assert_eq!(answer.json(), expected);
    assert_eq!(get(&patchbay, HAN_IN_REBELS).await, expected);
}

#[tokio::test]
async fn absent_stays_null_clears_a_value_replaces() {
    let patchbay = Patchbay::new().await;
    let change = json!({"lastName": "Organa", "phone": null, "email": "HAN@example.org"});
    let answer = put(&patchbay, HAN_IN_REBELS, &change).await.json();
    assert_eq!(answer["name"], "Han Organa");
    assert_eq!(answer["email"], "HAN@example.org");
    assert_eq!(answer.get("phone"), None);
    assert_eq!(answer["settings"]["cultureCode"], "en-US");
}

#[tokio::test]
async fn nested_objects_are_deltas() {
    let patchbay = Patchbay::new().await;
    let change = json!({
        "phone": {"prefix": null},
        "settings": {"languageCode": "es-ES", "numberFormat": {"decimalSeparator": ",", "groupSeparator": "."}},
    });
    put(&patchbay, HAN_IN_REBELS, &change).await;
    let change = json!({"settings": {"timeZone": "UTC", "numberFormat": {"groupSeparator": null}}});
    let answer = put(&patchbay, HAN_IN_REBELS, &change).await.json();
    assert_eq!(answer["phone"], json!({"number": "660707172"}));
    assert_eq!(
        answer["settings"],
        json!({
            "cultureCode": "en-US", "languageCode": "es-ES", "timeZone": "UTC",
            "numberFormat": {"decimalSeparator": ","},
        })
    );
    let answer = put(&patchbay, HAN_IN_REBELS, &json!({"settings": {"numberFormat": null}})).await;
    assert_eq!(answer.json()["settings"].get("numberFormat"), None);
    let answer = put(&patchbay, HAN_IN_REBELS, &json!({"settings": null})).await;
    assert_eq!(answer.json().get("settings"), None);
}

#[tokio::test]
async fn member_names_go_letter_case_aside() {
    let patchbay = Patchbay::new().await;
    let change = json!({"FIRSTNAME": "Ben", "Phone": {"Prefix": "+1"}, "settings": {"TIMEzone": "UTC"}});
    let answer = put(&patchbay, HAN_IN_REBELS, &change).await.json();
    assert_eq!(answer["firstName"], "Ben");
    assert_eq!(answer["phone"], json!({"prefix": "+1", "number": "660707172"}));
    assert_eq!(answer["settings"]["timeZone"], "UTC");
    let twice = put(
        &patchbay,
        HAN_IN_REBELS,
        &json!({"phone": {"prefix": "1", "PREFIX": "2"}}),
    )
    .await;
    assert_problem(&twice, 400, Some("phone.prefix"));
}

#[tokio::test]
async fn unknown_and_read_only_members_change_nothing() {
    let patchbay = Patchbay::new().await;
    let before = get(&patchbay, HAN_IN_REBELS).await;
    let change = json!({
        "id": "USR-9999-9999", "name": 5, "audit": null, "$meta": {}, "revision": "x", "user": [], "account": {"id": 1},
        "status": "Blocked", "icon": "x", "modules": 1, "buyers": [{}], "invitation": {"status": "x", "url": 5},
        "nonsense": {"firstName": "x"},
    });
    let answer = put(&patchbay, HAN_IN_REBELS, &change).await;
    assert_eq!(answer.status, 200, "{}", answer.json());
    assert_eq!(answer.json(), before);
    assert_eq!(answer.header("etag"), "\"1\"");
    assert_eq!(put(&patchbay, HAN_IN_REBELS, &json!({})).await.json(), before);
    assert_eq!(put(&patchbay, HAN_IN_REBELS, &before).await.json(), before);
}

#[tokio::test]
async fn required_names_may_not_be_empty() {
    let patchbay = Patchbay::new().await;
    let before = get(&patchbay, HAN_IN_REBELS).await;
    for path in [HAN_IN_REBELS, HAN] {
        for member in ["firstName", "lastName", "email"] {
            for value in [json!(null), json!(""), json!("  ")] {
                let change = json!({"phone": null, member: value});
                let problem = assert_problem(&put(&patchbay, path, &change).await, 400, Some(member));
                assert_eq!(problem["detail"], "One or more validation errors occurred.");
            }
        }
    }
    assert_eq!(get(&patchbay, HAN_IN_REBELS).await, before, "nothing is half applied");
}

/// No answer has null, so that there is nothing to send back; but `""` is shown where another dialect set it.
#[tokio::test]
async fn null_for_a_required_name_is_refused_though_there_is_none() {
    let patchbay = Patchbay::new().await;
    let names = UserPatch {
        first_name: Patch::Null,
        last_name: Patch::Value(String::new()),
        settings: Patch::Null,
        ..UserPatch::default()
    };
    let delta = Delta::UpdateUser {
        id: patchbay.sample.users[0].id,
        expect: Expect::Any,
        patch: Box::new(names),
    };
    patchbay.keep(delta).await;
    for path in [HAN_IN_REBELS, HAN] {
        let whole = get(&patchbay, path).await;
        assert_eq!((whole.get("firstName"), &whole["lastName"]), (None, &json!("")));
        assert_eq!(put(&patchbay, path, &whole).await.header("etag"), "\"2\"");
        for (change, member) in [
            (json!({"firstName": null}), "firstName"),
            (json!({"firstName": ""}), "firstName"),
            (json!({"lastName": "\u{200b}"}), "lastName"),
            (json!({"lastName": null}), "lastName"),
            (json!({"settings": {"cultureCode": null}}), "settings.cultureCode"),
            (
                json!({"settings": {"languageCode": null, "timeZone": "UTC"}}),
                "settings.languageCode",
            ),
            (json!({"settings": {"languageCode": ""}}), "settings.languageCode"),
        ] {
            assert_problem(&put(&patchbay, path, &change).await, 400, Some(member));
        }
        assert_eq!(
            put(&patchbay, path, &json!({"settings": null})).await.header("etag"),
            "\"2\""
        );
    }
}

#[tokio::test]
async fn wrong_values_are_named_by_their_path() {
    let patchbay = Patchbay::new().await;
    for (change, member) in [
        (json!({"firstName": 7}), "firstName"),
        (json!({"email": "not an address"}), "email"),
        (json!({"phone": "660707172"}), "phone"),
        (json!({"phone": {"number": "1234567890123456"}}), "phone.number"),
        (json!({"SETTINGS": {"CULTURECODE": []}}), "settings.cultureCode"),
        (
            json!({"settings": {"numberFormat": {"decimalSeparator": "\n"}}}),
            "settings.numberFormat.decimalSeparator",
        ),
        (json!({"groups": "UGR-0000-0001"}), "groups"),
        (json!({"groups": [{"id": "UGR-0000-0001"}, {"id": 5}]}), "groups[1].id"),
        (json!({"invitation": {"notes": 5}}), "invitation.notes"),
        (json!({"invitation": {"notes": "\u{1}"}}), "invitation.notes"),
    ] {
        assert_problem(&put(&patchbay, HAN_IN_REBELS, &change).await, 400, Some(member));
    }
}

#[tokio::test]
async fn json_media_types_and_no_others() {
    let patchbay = Patchbay::new().await;
    let key = patchbay.sample.keys.operations.clone();
    for media in [
        "application/json",
        "text/json; charset=utf-8",
        "application/merge-patch+json",
    ] {
        let answer = call(
            &patchbay,
            &key,
            ("PUT", HAN_IN_REBELS),
            &[("content-type", media)],
            "{}",
        )
        .await;
        assert_eq!(answer.status, 200, "{media}");
    }
    for media in [
        "text/plain",
        "application/xml",
        "multipart/form-data; boundary=b",
        "application/json; charset=utf-16",
    ] {
        let answer = call(
            &patchbay,
            &key,
            ("PUT", HAN_IN_REBELS),
            &[("content-type", media)],
            "{}",
        )
        .await;
        assert_problem(&answer, 415, None);
    }
    assert_problem(
        &call(&patchbay, &key, ("PUT", HAN_IN_REBELS), &[], "{}").await,
        415,
        None,
    );
    assert_problem(
        &call(&patchbay, &key, ("PUT", HAN_IN_REBELS), &[], Body::empty()).await,
        400,
        None,
    );
}

#[tokio::test]
async fn revisions_are_entity_tags() {
    let patchbay = Patchbay::new().await;
    let key = patchbay.sample.keys.operations.clone();
    let json = ("content-type", "application/json");
    let change = json!({"firstName": "Ben"}).to_string();
    for path in [HAN_IN_REBELS, HAN] {
        let stale = [json, ("if-match", "\"7\"")];
        assert_problem(
            &call(&patchbay, &key, ("PUT", path), &stale, change.clone()).await,
            412,
            None,
        );
        let present = [json, ("if-none-match", "*")];
        assert_problem(
            &call(&patchbay, &key, ("PUT", path), &present, change.clone()).await,
            412,
            None,
        );
        let malformed = [json, ("if-match", "7")];
        assert_eq!(
            call(&patchbay, &key, ("PUT", path), &malformed, change.clone())
                .await
                .status,
            400
        );
    }
    let fresh = [json, ("if-match", "\"1\"")];
    assert_eq!(
        call(&patchbay, &key, ("PUT", HAN_IN_REBELS), &fresh, change)
            .await
            .header("etag"),
        "\"2\""
    );
    for path in [HAN_IN_REBELS, HAN] {
        let same = call(
            &patchbay,
            &key,
            ("GET", path),
            &[("if-none-match", "\"2\"")],
            Body::empty(),
        )
        .await;
        assert_eq!(
            (same.status.as_u16(), same.header("etag"), same.bytes.len()),
            (304, "\"2\"", 0)
        );
        let other = call(
            &patchbay,
            &key,
            ("GET", path),
            &[("if-none-match", "\"1\"")],
            Body::empty(),
        )
        .await;
        assert_eq!(other.status, 200);
    }
}

#[tokio::test]
async fn a_repeat_with_the_same_key_answers_as_before() {
    let patchbay = Patchbay::new().await;
    let key = patchbay.sample.keys.operations.clone();
    let headers = [("content-type", "application/json"), ("idempotency-key", "k1")];
    let change = json!({"firstName": "Ben"}).to_string();
    let first = call(&patchbay, &key, ("PUT", HAN_IN_REBELS), &headers, change.clone()).await;
    put(&patchbay, HAN_IN_REBELS, &json!({"firstName": "Kylo"})).await;
    let again = call(&patchbay, &key, ("PUT", HAN_IN_REBELS), &headers, change).await;
    assert_eq!((again.status.as_u16(), again.json()), (200, first.json()));
    let other = call(&patchbay, &key, ("PUT", HAN_IN_REBELS), &headers, "{}").await;
    assert_problem(&other, 422, None);
    assert_eq!(get(&patchbay, HAN_IN_REBELS).await["firstName"], "Kylo");
}

#[tokio::test]
async fn select_shows_and_hides() {
    let patchbay = Patchbay::new().await;
    let path = format!("{HAN_IN_REBELS}?select=-*,id,%2Bphone.number&nonsense=1");
    let meta = json!({"omitted": [
        "account", "audit", "email", "firstName", "groups", "invitation", "lastName", "modules", "name", "revision", "settings",
        "status", "user",
    ]});
    let expected = json!({"id": "USR-0000-0001", "phone": {"number": "660707172"}, "$meta": meta});
    assert_eq!(get(&patchbay, &path).await, expected);
    assert_eq!(put(&patchbay, &path, &json!({})).await.json(), expected);
    let raw_plus = get(&patchbay, &format!("{HAN}?select=audit,+accounts,-settings,nonsense")).await;
    assert_eq!(raw_plus.get("settings"), None);
    assert_eq!(raw_plus["$meta"], json!({"omitted": ["settings"]}));
    assert!(raw_plus["accounts"].is_array());
    let whole = get(&patchbay, HAN).await;
    let of_account = get(&patchbay, &format!("{HAN}?select=-*,currentAccount(*)")).await;
    assert_eq!(of_account["currentAccount"], whole["currentAccount"]);
    assert_eq!(of_account.as_object().unwrap().len(), 2, "and what is omitted");
    assert_eq!(get(&patchbay, &format!("{HAN}?select=-*,*")).await, whole);
}

#[tokio::test]
async fn the_user_himself_may_and_others_may_not() {
    let patchbay = Patchbay::new().await;
    let client = patchbay.sample.keys.client.clone();
    let change = json!({"firstName": "Padmé"});
    let own = super::put_as(&patchbay, &client, LEIA_IN_REBELS, &change).await;
    assert_eq!((own.status.as_u16(), &own.json()["firstName"]), (200, &json!("Padmé")));
    assert_problem(
        &super::put_as(&patchbay, &client, HAN_IN_REBELS, &change).await,
        403,
        None,
    );
    let reader = patchbay.sample.keys.read_only.clone();
    assert_problem(
        &super::put_as(&patchbay, &reader, HAN_IN_REBELS, &change).await,
        403,
        None,
    );
    // His role never permits it, whoever is there.
    for nobody in ["USR-0000-0000", "nobody@example.com"] {
        let nobody = format!("/public/v1/accounts/users/{nobody}");
        assert_problem(&super::put_as(&patchbay, &reader, &nobody, &change).await, 403, None);
    }
    assert_eq!(get_as(&patchbay, &reader, HAN_IN_REBELS).await.status, 200);
    assert_eq!(get(&patchbay, HAN_IN_REBELS).await["firstName"], "Han");
}

#[tokio::test]
async fn who_is_no_member_or_not_to_be_seen_is_not_found() {
    let patchbay = Patchbay::new().await;
    let (operations, client) = (
        patchbay.sample.keys.operations.clone(),
        patchbay.sample.keys.client.clone(),
    );
    let base = "/public/v1/accounts/accounts";
    for (key, path) in [
        (&operations, format!("{base}/ACC-0000-0002/users/USR-0000-0001")),
        (&operations, format!("{base}/ACC-0000-0001/users/USR-0000-0005")),
        (&operations, format!("{base}/ACC-0000-0000/users/USR-0000-0001")),
        (&operations, format!("{base}/ACC-0000-0001/users/USR-0000-0000")),
        (&operations, format!("{base}/ACC-0000-0001/users/han.solo@example.com")),
        (&operations, format!("{base}/acc-1/users/USR-0000-0001")),
        (&client, format!("{base}/ACC-0000-0002/users/USR-0000-0005")),
        (&client, format!("{base}/ACC-0000-0002/users/USR-0000-0002")),
    ] {
        assert_problem(&get_as(&patchbay, key, &path).await, 404, None);
        assert_problem(
            &super::put_as(&patchbay, key, &path, &json!({"firstName": "x"})).await,
            404,
            None,
        );
    }
}

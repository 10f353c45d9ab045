//! The form of an update of a user: its parts, their order, names and media types.

use serde_json::{Value, json};

use super::{FORM, HAN, HAN_IN_REBELS, ICON, PNG, USER, assert_problem, call, form, get, put, put_form};
use crate::harness::Patchbay;

#[tokio::test]
async fn a_form_in_any_order_with_either_part() {
    let patchbay = Patchbay::new().await;
    let user = json!({"firstName": "Zoë", "phone": null}).to_string();
    let icon_first = [(ICON, "image/png", PNG), (USER, "application/json", user.as_bytes())];
    let answer = put_form(&patchbay, HAN, &icon_first).await;
    assert_eq!(answer.status, 200, "{}", answer.json());
    assert_eq!(answer.header("etag"), "\"2\"");
    assert_eq!(answer.json()["firstName"], "Zoë");
    assert_eq!(answer.json().get("phone"), None);
    assert_eq!(answer.json()["icon"], "/v1/accounts/users/USR-0000-0001/icon");

    let only_user = put_form(&patchbay, HAN, &[("name=user", "text/plain", br#"{"lastName":"U"}"#)]).await;
    assert_eq!(only_user.json()["name"], "Zoë U");
    assert_eq!(
        only_user.json()["icon"],
        "/v1/accounts/users/USR-0000-0001/icon",
        "the icon is left"
    );

    let user_first = [
        (USER, "application/json", &b"{}"[..]),
        (ICON, "application/octet-stream", super::JPEG),
    ];
    assert_eq!(put_form(&patchbay, HAN, &user_first).await.header("etag"), "\"4\"");
    assert_eq!(
        put_form(&patchbay, HAN, &[(ICON, "text/plain", PNG)])
            .await
            .header("etag"),
        "\"5\""
    );
    assert_eq!(put_form(&patchbay, HAN, &[]).await.header("etag"), "\"5\"");
    assert_eq!(
        get(&patchbay, HAN_IN_REBELS).await["user"]["icon"],
        "/v1/accounts/users/USR-0000-0001/icon"
    );
}

/// The vendor's own example says `text` for every string, mail address included: its schema asks for no more.
#[tokio::test]
async fn the_seeds_flat_names_are_understood() {
    let patchbay = Patchbay::new().await;
    let example = include_bytes!("../../../src/dialects/softwareone/fixtures/user_update_flat.json");
    let parts = [(USER, "application/json", &example[..]), (ICON, "image/png", PNG)];
    let answer = put_form(&patchbay, HAN, &parts).await.json();
    assert_eq!(answer["name"], "text text");
    assert_eq!(answer["email"], "text");
    assert_eq!(answer["phone"], json!({"prefix": "text", "number": "text"}));
    assert_eq!(
        answer["settings"],
        json!({"cultureCode": "text", "languageCode": "text"})
    );
    assert_eq!(answer["status"], "Active", "read-only");
}

/// As printed in the seed, it wraps the document and names the picture: sent as plain JSON it says the same.
#[tokio::test]
async fn the_seeds_example_as_printed_is_understood() {
    let patchbay = Patchbay::new().await;
    let example = include_str!("../../../src/dialects/softwareone/fixtures/user_update_flat.json");
    let example: Value = serde_json::from_str(example).unwrap();
    let answer = put(&patchbay, HAN, &json!({"user": example, "icon": "binary"})).await;
    assert_eq!((answer.status.as_u16(), answer.header("etag")), (200, "\"2\""));
    assert_eq!(answer.json()["name"], "text text");
    let plain = put(
        &patchbay,
        HAN,
        &json!({"User": {"firstName": "Han"}, "lastName": "Solo"}),
    )
    .await;
    assert_eq!(plain.json()["name"], "Han Solo");
    assert_problem(&put(&patchbay, HAN, &json!({"user": "x"})).await, 400, Some("user"));
}

/// A part that is declared as JSON is read as JSON, any other as a text.
#[tokio::test]
async fn a_flat_part_means_what_its_type_says() {
    let patchbay = Patchbay::new().await;
    let first = async |media: &'static str, value: &'static str| {
        let parts = [("name=\"User.Data.FirstName\"", media, value.as_bytes())];
        put_form(&patchbay, HAN, &parts).await
    };
    for (media, value, shown) in [
        ("text/plain", "null", "null Solo"),
        ("application/json", r#""Lando""#, "Lando Solo"),
        ("text/plain", r#""Lando""#, r#""Lando" Solo"#),
    ] {
        assert_eq!(first(media, value).await.json()["name"], shown, "{media} {value}");
    }
    for value in ["null", "5", r#"["x"]"#, "x", "\"\""] {
        assert_problem(&first("application/json", value).await, 400, Some("firstName"));
    }
    let problem = first("application/json", "x").await.json();
    assert_eq!(
        problem["errors"]["firstName"],
        json!(["firstName is not valid JSON: expected value at line 1 column 1."])
    );
    let twice = [(
        "name=\"User.Data.Phone\"",
        "application/json",
        &br#"{"prefix":"1","prefix":"2"}"#[..],
    )];
    assert_problem(&put_form(&patchbay, HAN, &twice).await, 400, Some("phone.prefix"));
    let phone = async |value: &'static str| {
        let parts = [("name=\"User.Data.Phone\"", "application/json", value.as_bytes())];
        put_form(&patchbay, HAN, &parts).await.json()["phone"].clone()
    };
    assert_eq!(
        phone(r#"{"prefix":"+1","number":"5"}"#).await,
        json!({"prefix": "+1", "number": "5"})
    );
    assert_eq!(phone("null").await, Value::Null);
}

/// `user` is the wrapper of seed 003's example, and a read-only member of an account user.
#[tokio::test]
async fn an_account_user_may_be_sent_to_the_user() {
    let patchbay = Patchbay::new().await;
    let parts = [(ICON, "image/png", PNG)];
    assert_eq!(put_form(&patchbay, HAN, &parts).await.status, 200);
    let mut whole = get(&patchbay, HAN_IN_REBELS).await;
    assert!(whole["user"]["icon"].is_string());
    whole["lastName"] = json!("Cloud");
    let answer = put(&patchbay, HAN, &whole).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["name"]),
        (200, &json!("Han Cloud"))
    );
    let answer = put(&patchbay, HAN, &json!({"lastName": "Solo", "user": null})).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["name"]),
        (200, &json!("Han Solo"))
    );
}

#[tokio::test]
async fn the_seeds_flat_names_may_be_parts_of_the_form() {
    let patchbay = Patchbay::new().await;
    let example = include_str!("../../../src/dialects/softwareone/fixtures/user_update_flat.json");
    let example: serde_json::Map<String, Value> = serde_json::from_str(example).unwrap();
    let names: Vec<String> = example.keys().map(|name| format!("name=\"{name}\"")).collect();
    assert!(names.len() > 100);
    let mut parts: Vec<(&str, &str, &[u8])> = names
        .iter()
        .map(|name| (name.as_str(), "text/plain", &b"text"[..]))
        .collect();
    parts.push((ICON, "image/png", PNG));
    let answer = put_form(&patchbay, HAN, &parts).await;
    assert_eq!((answer.status.as_u16(), answer.header("etag")), (200, "\"2\""));
    let answer = answer.json();
    assert_eq!(
        (&answer["name"], &answer["email"]),
        (&json!("text text"), &json!("text"))
    );
    assert_eq!(answer["phone"], json!({"prefix": "text", "number": "text"}));

    let both = [
        (USER, "application/json", &br#"{"lastName":"Solo"}"#[..]),
        ("name=\"USER.data.FirstName\"", "text/plain", b"Zo\xc3\xab"),
    ];
    assert_eq!(put_form(&patchbay, HAN, &both).await.json()["name"], "Zo\u{eb} Solo");
    for (second, member) in [
        (
            ("name=\"user\"", "application/json", &br#"{"firstName":"x"}"#[..]),
            "firstName",
        ),
        (("name=\"user.data.firstname\"", "text/plain", b"x"), "firstName"),
    ] {
        let parts = [("name=\"User.Data.FirstName\"", "text/plain", &b"x"[..]), second];
        assert_problem(&put_form(&patchbay, HAN, &parts).await, 400, Some(member));
    }
    let empty = [("name=\"User.Data.LastName\"", "text/plain", &b""[..])];
    assert_problem(&put_form(&patchbay, HAN, &empty).await, 400, Some("lastName"));
}

#[tokio::test]
async fn names_of_parts_go_letter_case_aside() {
    let patchbay = Patchbay::new().await;
    let parts = [
        ("name=\"User\"", "application/json", &br#"{"firstName":"Ben"}"#[..]),
        ("name=\"ICON\"; filename=\"x.png\"", "image/png", PNG),
    ];
    let answer = put_form(&patchbay, HAN, &parts).await.json();
    assert_eq!(answer["firstName"], "Ben");
    assert_eq!(answer["icon"], "/v1/accounts/users/USR-0000-0001/icon");
    let big = vec![b' '; patchbay.app.config.max_body_bytes + 1];
    let big = put_form(&patchbay, HAN, &[("name=\"USER\"", "application/json", &big)]).await;
    assert_problem(&big, 413, Some("user"));
}

#[tokio::test]
async fn a_browsers_file_that_was_not_chosen_is_no_picture() {
    let patchbay = Patchbay::new().await;
    let parts = [
        ("name=\"icon\"; filename=\"\"", "application/octet-stream", &b""[..]),
        (USER, "application/json", br#"{"firstName":"Ben"}"#),
    ];
    let answer = put_form(&patchbay, HAN, &parts).await;
    assert_eq!(answer.status, 200, "{}", answer.json());
    assert_eq!(answer.json()["firstName"], "Ben");
    assert_eq!(answer.json().get("icon"), None);
}

#[tokio::test]
async fn a_part_that_is_no_json_in_utf_8_is_refused() {
    let patchbay = Patchbay::new().await;
    for media in [
        "application/xml",
        "application/json; charset=utf-16",
        "text/plain; charset=latin1",
    ] {
        let answer = put_form(&patchbay, HAN, &[(USER, media, br#"{"firstName":"x"}"#)]).await;
        assert_problem(&answer, 415, None);
    }
    assert_eq!(get(&patchbay, HAN).await["firstName"], "Han");
}

#[tokio::test]
async fn forms_that_cannot_be_read_are_refused() {
    let patchbay = Patchbay::new().await;
    let key = patchbay.sample.keys.operations.clone();
    let many: Vec<(&str, &str, &[u8])> = vec![("name=\"x\"", "text/plain", b"x"); 257];
    for (parts, member) in [
        (
            vec![
                (USER, "application/json", &b"{}"[..]),
                (USER, "application/json", b"{}"),
            ],
            Some("user"),
        ),
        (vec![(ICON, "image/png", PNG), (ICON, "image/png", PNG)], Some("icon")),
        (
            vec![
                (USER, "application/json", &b"{}"[..]),
                ("name=\"User\"", "application/json", b"{}"),
            ],
            Some("user"),
        ),
        (vec![(USER, "application/json", &b"{"[..])], None),
        (vec![(USER, "application/json", &b""[..])], None),
        (vec![(USER, "application/json", &b"[]"[..])], None),
        (vec![(USER, "application/json", &b"\"\xff\""[..])], None),
        (many, None),
    ] {
        assert_problem(&put_form(&patchbay, HAN, &parts).await, 400, member);
    }
    for body in [
        "",
        "--b",
        "--b\r\n",
        "--b\r\nContent-Disposition: form-data; name=\"user\"\r\n\r\n{}",
        "nonsense",
    ] {
        assert_problem(&call(&patchbay, &key, ("PUT", HAN), &[FORM], body).await, 400, None);
    }
    for media in ["multipart/form-data", "multipart/form-data; boundary="] {
        let answer = call(&patchbay, &key, ("PUT", HAN), &[("content-type", media)], form(&[])).await;
        assert_problem(&answer, 400, None);
    }
    assert_eq!(get(&patchbay, HAN).await["revision"], 1);
}

#[tokio::test]
async fn parts_of_other_names_are_skipped() {
    let patchbay = Patchbay::new().await;
    let parts = [
        ("name=\"other\"; filename=\"x\"", "text/plain", &b"x"[..]),
        (USER, "application/json", br#"{"firstName":"Ben"}"#),
        ("name=\"\"", "text/plain", b"x"),
    ];
    assert_eq!(put_form(&patchbay, HAN, &parts).await.json()["firstName"], "Ben");
    // The picture is no member that a flat name could set, whatever comes under it.
    let flat = [("name=\"User.Data.Icon\"; filename=\"a.png\"", "image/png", PNG)];
    assert_eq!(put_form(&patchbay, HAN, &flat).await.header("etag"), "\"2\"");
}

#[tokio::test]
async fn a_part_is_named_by_its_name_alone() {
    let patchbay = Patchbay::new().await;
    let user = &br#"{"firstName":"Ben"}"#[..];
    for disposition in [
        "filename=\"my name=icon;.png\"; name=\"user\"",
        "filename=\"x; name=zz\"; name=\"user\"",
        "filename=\"a\\\"; name=icon\"; NAME=user",
        "Name = \"user\"",
    ] {
        let patchbay = Patchbay::new().await;
        let answer = put_form(&patchbay, HAN, &[(disposition, "application/json", user)]).await;
        assert_eq!(answer.json()["firstName"], "Ben", "{disposition}");
    }
    let icon = "filename=\"my name=user;.png\"; name=\"icon\"";
    let answer = put_form(&patchbay, HAN, &[(icon, "text/plain", user)]).await;
    assert_problem(&answer, 400, Some("icon"));
    let answer = put_form(&patchbay, HAN, &[(icon, "image/png", PNG)]).await;
    assert_eq!(answer.json()["icon"], "/v1/accounts/users/USR-0000-0001/icon");
}

#[tokio::test]
async fn a_part_without_a_name_is_refused() {
    let patchbay = Patchbay::new().await;
    for disposition in ["filename=\"nameless\"", "name=\"user", "name=\"us\"er"] {
        let parts = [(disposition, "application/json", &br#"{"firstName":"Lost"}"#[..])];
        assert_problem(&put_form(&patchbay, HAN, &parts).await, 400, None);
    }
    // It hides no other.
    let key = patchbay.sample.keys.operations.clone();
    let named = "--b\r\nContent-Disposition: form-data; name=\"user\"\r\n\r\n{\"firstName\":\"Lost\"}\r\n";
    for body in [
        format!("--b\r\n\r\nx\r\n{named}--b--\r\n"),
        format!("{named}--b\r\n\r\nx\r\n--b--\r\n"),
        format!("--b\r\nContent-Disposition: form-data; name=\"other\"\n\nx\r\n{named}--b--\r\n"),
        format!("--b\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\n{named}--b--\r\n"),
        format!("{named}--b\r\nContent-Disposition: form-data; name=\"icon\"\n\nx\r\n{named}--b--\r\n"),
    ] {
        assert_problem(&call(&patchbay, &key, ("PUT", HAN), &[FORM], body).await, 400, None);
    }
    assert_eq!(get(&patchbay, HAN).await["revision"], 1);
}

#[tokio::test]
async fn the_boundary_is_read_however_it_is_written() {
    let patchbay = Patchbay::new().await;
    let key = patchbay.sample.keys.operations.clone();
    for media in [
        "multipart/form-data ; boundary=b",
        "multipart/form-data;\tboundary=b",
        "multipart/form-data;; boundary=b",
        "Multipart/Form-Data; charset=\"a; boundary=c\"; Boundary=\"b\"",
    ] {
        let body = form(&[(USER, "application/json", br#"{"firstName":"Ben"}"#)]);
        let answer = call(&patchbay, &key, ("PUT", HAN), &[("content-type", media)], body).await;
        assert_eq!(answer.json()["firstName"], "Ben", "{media}");
    }
}

#[tokio::test]
async fn a_repeated_form_is_recognised_by_its_parts() {
    let patchbay = Patchbay::new().await;
    let key = patchbay.sample.keys.operations.clone();
    let user = (USER, "application/json", &br#"{"firstName":"Ben"}"#[..]);
    let headers = [FORM, ("idempotency-key", "k1")];
    let body = form(&[(ICON, "image/png", PNG), user]);
    let first = call(&patchbay, &key, ("PUT", HAN), &headers, body).await;
    put(&patchbay, HAN, &json!({"firstName": "Kylo"})).await;

    // Another boundary and another order are the same request.
    let body: Vec<u8> = replace(&form(&[user, (ICON, "image/png", PNG)]), b"--b", b"--zz");
    let headers = [
        ("content-type", "multipart/form-data; boundary=zz"),
        ("idempotency-key", "k1"),
    ];
    let again = call(&patchbay, &key, ("PUT", HAN), &headers, body).await;
    assert_eq!((again.status.as_u16(), again.json()), (200, first.json()));

    let headers = [FORM, ("idempotency-key", "k1")];
    let other_icon = form(&[user, (ICON, "image/png", super::JPEG)]);
    assert_problem(
        &call(&patchbay, &key, ("PUT", HAN), &headers, other_icon).await,
        422,
        None,
    );
    assert_eq!(get(&patchbay, HAN).await["firstName"], "Kylo");
}

fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(from.len()).position(|window| window == from) {
        replaced.extend_from_slice(&rest[..at]);
        replaced.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    replaced.extend_from_slice(rest);
    replaced
}

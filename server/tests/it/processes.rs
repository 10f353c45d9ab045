//! Two Patchbay processes: the first reaches the second through linked accounts of every dialect.
//!
//! A StackOne PATCH on the first changes the user in the second, with null, absent and value told apart. What travels is
//! shown by the loopback suite; here it is two real binaries, their folders, and the commands that link them.

use std::{fs, path::Path};

use reqwest::Client;
use serde_json::{Value, json};

use crate::cli::{Running, run, sample};

const PRIVATE: (&str, &str) = ("PATCHBAY_OUTBOUND__ALLOW_PRIVATE", "true");

/// How one dialect of the second Patchbay is linked, and what is asked through it.
struct Case {
    dialect: &'static str,
    base: String,
    secret: String,
    setting: Option<String>,
    /// The user's id in that dialect.
    id: String,
    /// Sets a member.
    set: Value,
    /// What the second Patchbay then shows, in its own StackOne dialect.
    shown: Value,
    /// Clears a member, and what is then shown.
    cleared: (Value, Value),
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn cases(address: &str, far: &Value) -> [Case; 4] {
    let origin = format!("http://{address}");
    let user = &far["users"][0];
    [
        Case {
            dialect: "stackone",
            base: origin.clone(),
            secret: text(&far["stackone"]["api_key"]),
            setting: Some(format!("account_id={}", text(&far["stackone"]["account_id"]))),
            id: text(&user["id"]),
            set: json!({ "first_name": "Ben", "status": { "value": "pending" } }),
            shown: json!({ "first_name": "Ben", "last_name": "Solo", "status": { "value": "pending", "source_value": "Pending" } }),
            cleared: (
                json!({ "last_name": null }),
                json!({ "first_name": "Ben", "last_name": null }),
            ),
        },
        Case {
            dialect: "nerm",
            base: format!("{origin}/api"),
            secret: text(&far["nerm"]["token"]),
            setting: None,
            id: text(&user["id"]),
            set: json!({ "username": "captain", "passthrough": { "title": "General", "locale": "fr-CA" } }),
            shown: json!({ "username": "captain", "first_name": "Ben" }),
            cleared: (
                json!({ "passthrough": { "title": null } }),
                json!({ "username": "captain" }),
            ),
        },
        Case {
            dialect: "softwareone",
            base: origin.clone(),
            secret: text(&far["softwareone"]["operations_token"]),
            setting: None,
            id: text(&user["softwareone_id"]),
            set: json!({ "primary_email_address": "ben@example.com", "last_name": "Kenobi" }),
            shown: json!({ "primary_email_address": "ben@example.com", "last_name": "Kenobi", "username": "captain" }),
            cleared: (
                json!({ "passthrough": { "phone": null } }),
                json!({ "last_name": "Kenobi" }),
            ),
        },
        Case {
            dialect: "trusted_twin",
            base: origin,
            secret: text(&far["trusted_twin"]["secret"]),
            setting: None,
            id: text(&user["id"]),
            set: json!({ "name": "Old Ben", "passthrough": { "description": { "home": "Tatooine" } } }),
            shown: json!({ "name": "Old Ben", "last_name": "Kenobi" }),
            cleared: (
                json!({ "passthrough": { "description": null } }),
                json!({ "name": "Old Ben" }),
            ),
        },
    ]
}

fn link(data: &Path, case: &Case) -> String {
    let secret = data.join("secret.txt");
    fs::write(&secret, &case.secret).unwrap();
    let secret = secret.to_str().unwrap();
    let mut arguments = vec!["account", "add", "--data", "DATA", "--json"];
    arguments.extend([
        "--dialect",
        case.dialect,
        "--base-url",
        &case.base,
        "--secret-file",
        secret,
    ]);
    if let Some(setting) = &case.setting {
        arguments.extend(["--setting", setting]);
    }
    let added: Value = serde_json::from_str(&run(data, &arguments).ok()).unwrap();
    text(&added["id"])
}

struct Caller<'a> {
    http: &'a Client,
    address: &'a str,
    key: String,
    account: String,
}

impl Caller<'_> {
    async fn patch(&self, id: &str, body: &Value) {
        let url = format!("http://{}/unified/iam/users/{id}", self.address);
        let request = self
            .http
            .patch(url)
            .basic_auth(&self.key, Some(""))
            .header("x-account-id", &self.account);
        let answer = request.json(body).send().await.unwrap();
        let status = answer.status();
        assert_eq!(status, 200, "{}", answer.text().await.unwrap());
    }

    async fn get(&self, id: &str) -> Value {
        let url = format!("http://{}/unified/iam/users/{id}", self.address);
        let request = self
            .http
            .get(url)
            .basic_auth(&self.key, Some(""))
            .header("x-account-id", &self.account);
        request.send().await.unwrap().json::<Value>().await.unwrap()["data"].clone()
    }
}

fn assert_shows(data: &Value, expected: &Value, dialect: &str) {
    for (member, value) in expected.as_object().unwrap() {
        assert_eq!(&data[member], value, "{dialect}: {member}");
    }
}

#[tokio::test]
async fn an_update_reaches_a_second_process_in_every_dialect() {
    let (_near_folder, near_data, near) = sample();
    let (_far_folder, far_data, far) = sample();
    let (near_server, far_server) = (Running::serve(&near_data, &[PRIVATE]), Running::serve(&far_data, &[]));
    let http = Client::new();
    let far_id = text(&far["users"][0]["id"]);
    let beyond = Caller {
        http: &http,
        address: &far_server.address,
        key: text(&far["stackone"]["api_key"]),
        account: text(&far["stackone"]["account_id"]),
    };
    for case in cases(&far_server.address, &far) {
        let account = link(&near_data, &case);
        let key = text(&near["stackone"]["api_key"]);
        let caller = Caller {
            http: &http,
            address: &near_server.address,
            key,
            account,
        };
        caller.patch(&case.id, &case.set).await;
        assert_shows(&beyond.get(&far_id).await, &case.shown, case.dialect);
        let (clear, shown) = &case.cleared;
        caller.patch(&case.id, clear).await;
        assert_shows(&beyond.get(&far_id).await, shown, case.dialect);
    }
    assert_native(&http, &far_server.address, &far).await;
    let log = run(&near_data, &["audit", "--data", "DATA", "--json"]).ok();
    assert!(log.contains("update_user"), "{log}");
}

/// What the second shows in the dialects that have words for it: titles set then cleared, locales set and left, telephones
/// and descriptions cleared.
async fn assert_native(http: &Client, address: &str, far: &Value) {
    let read = async |path: String, scheme: &str, key: &Value| {
        let request = http
            .get(format!("http://{address}{path}"))
            .header("authorization", format!("{scheme}{}", text(key)));
        request.send().await.unwrap().json::<Value>().await.unwrap()
    };
    let user = &far["users"][0];
    let nerm = read(
        format!("/api/users/{}", text(&user["id"])),
        "Bearer ",
        &far["nerm"]["token"],
    )
    .await;
    assert_eq!(
        (&nerm["user"]["title"], &nerm["user"]["locale"]),
        (&Value::Null, &json!("fr-CA"))
    );
    let path = format!("/public/v1/accounts/users/{}", text(&user["softwareone_id"]));
    let softwareone = read(path, "Bearer ", &far["softwareone"]["operations_token"]).await;
    assert_eq!(
        (softwareone.get("phone"), &softwareone["lastName"]),
        (None, &json!("Kenobi"))
    );
    let twin = read(
        format!("/users/{}", text(&user["id"])),
        "",
        &far["trusted_twin"]["secret"],
    )
    .await;
    assert_eq!((twin.get("description"), &twin["name"]), (None, &json!("Old Ben")));
}

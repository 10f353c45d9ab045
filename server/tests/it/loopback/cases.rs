//! One line per dialect: how it is linked, what is said to it, and what must come of it.

use std::collections::BTreeMap;

use patchbay::{
    dialects,
    walkthrough::{Purpose, Sample, SampleUser},
};
use patchbay_core::user::{Status, User};
use serde_json::{Value, json};

/// One dialect's line.
pub struct Case {
    pub dialect: &'static str,
    /// What follows the host in a base URL.
    pub base: &'static str,
    pub settings: fn(&Sample) -> BTreeMap<String, String>,
    pub secret: fn(&Sample) -> String,
    /// The id by which the dialect knows a user.
    pub id: fn(&SampleUser) -> String,
    /// An id of the same form that nobody has.
    pub nobody: fn() -> String,
    /// The body of the StackOne PATCH: a value, a null, and much that is absent.
    pub change: fn() -> Value,
    /// JSON pointer to the members in the vendor's request.
    pub at: &'static str,
    /// The members as the vendor gets them.
    pub sent: fn() -> Value,
    /// What the change makes of the user.
    pub becomes: fn(&mut User),
    /// What the user shows of it, read through StackOne.
    pub shows: fn() -> Value,
    /// Another change that the dialect can say.
    pub back: fn() -> Value,
    /// Members of a StackOne PATCH that the dialect has no word for.
    pub cannot: fn() -> Value,
    /// The body of a StackOne PATCH that names a member and passes it through too, and what of it is sent, by domain path.
    pub twice: fn() -> (Value, &'static [&'static str]),
}

/// The line of a dialect.
pub fn of(dialect: &str) -> &'static Case {
    CASES
        .iter()
        .find(|case| case.dialect == dialect)
        .expect("a case of the dialect")
}

pub static CASES: [Case; 4] = [
    Case {
        dialect: "stackone",
        base: "",
        settings: |sample| BTreeMap::from([("account_id".to_owned(), sample.account.0.to_string())]),
        secret: |sample| sample.keys.full.clone(),
        id: |user| user.id.to_string(),
        nobody: uuid,
        change: || {
            json!({
                "first_name": "Hannah", "last_name": null, "is_bot_user": "true", "status": { "source_value": "Blocked" },
                "passthrough": { "badge": 7, "gone": null },
            })
        },
        at: "",
        sent: || {
            json!({
                "first_name": "Hannah", "last_name": null, "is_bot_user": true,
                "status": { "value": "disabled", "source_value": "Blocked" },
                "passthrough": { "badge": 7, "gone": null },
            })
        },
        becomes: |user| {
            user.first_name = Some("Hannah".into());
            user.last_name = None;
            user.is_bot = Some(true);
            user.status = Some(Status::Blocked);
            let badge = ("passthrough:badge".to_owned(), json!(7));
            user.attributes = std::collections::BTreeMap::from([badge]).into();
        },
        shows: || {
            json!({
                "first_name": "Hannah", "last_name": null, "name": "Hannah", "is_bot_user": true,
                "status": { "value": "disabled", "source_value": "Blocked" },
                "unified_custom_fields": { "badge": 7 }, "roles": null, "groups": null,
            })
        },
        back: || json!({ "first_name": "Han", "name": "Han Again" }),
        cannot: || json!({}),
        // What is passed through has a place of its own.
        twice: || {
            let body = json!({ "first_name": "Named", "passthrough": { "first_name": "Passed" } });
            (body, &["first_name", "attributes.passthrough:first_name"])
        },
    },
    Case {
        dialect: "nerm",
        base: "/api",
        settings: |_| BTreeMap::new(),
        secret: |sample| sample.keys.of("nerm", Purpose::Full).to_owned(),
        id: |user| user.id.to_string(),
        nobody: uuid,
        change: || json!({ "name": "Hannah", "username": "hannah", "status": { "value": "disabled" }, "passthrough": { "title": null } }),
        at: "/user",
        sent: || json!({ "name": "Hannah", "login": "hannah", "status": "Disabled", "title": null }),
        becomes: |user| {
            user.display_name = Some("Hannah".into());
            user.username = Some("hannah".into());
            user.status = Some(Status::Disabled);
            user.title = None;
        },
        shows: || {
            json!({
                "name": "Hannah", "username": "hannah", "primary_email_address": "han.solo@example.com",
                "status": { "value": "disabled", "source_value": "Disabled" },
            })
        },
        back: || json!({ "name": "Han Again" }),
        cannot: || json!({ "is_bot_user": true, "first_name": "Han" }),
        twice: || {
            let body = json!({ "name": "Named", "username": "named", "passthrough": { "name": "Passed" } });
            (body, &["username", "attributes.passthrough:name"])
        },
    },
    Case {
        dialect: "softwareone",
        base: "",
        settings: |_| BTreeMap::new(),
        secret: |sample| sample.keys.operations.clone(),
        id: |user| {
            let dialect = dialects::by_name("softwareone").expect("the dialect");
            dialect.sample_user(user)["softwareone_id"]
                .as_str()
                .expect("an id")
                .to_owned()
        },
        nobody: || "USR-9999-9999".to_owned(),
        change: || json!({ "first_name": "Hannah", "primary_email_address": "hannah@example.com", "passthrough": { "phone": null } }),
        at: "",
        sent: || json!({ "firstName": "Hannah", "email": "hannah@example.com", "phone": null }),
        becomes: |user| {
            user.first_name = Some("Hannah".into());
            user.email = Some("hannah@example.com".into());
            user.phone = None;
        },
        shows: || json!({ "first_name": "Hannah", "last_name": "Solo", "primary_email_address": "hannah@example.com" }),
        back: || json!({ "first_name": "Han" }),
        cannot: || json!({ "is_bot_user": true, "username": "hannah" }),
        twice: || {
            let body = json!({ "first_name": "Named", "last_name": "Named", "passthrough": { "FirstName": "Passed" } });
            (body, &["last_name", "attributes.passthrough:FirstName"])
        },
    },
    Case {
        dialect: "trusted_twin",
        base: "",
        settings: |_| BTreeMap::new(),
        secret: |sample| sample.keys.administrator.clone(),
        id: |user| user.id.to_string(),
        nobody: uuid,
        change: || json!({ "name": "Hannah", "passthrough": { "description": null } }),
        at: "",
        sent: || json!({ "name": "Hannah", "description": null }),
        becomes: |user| {
            user.display_name = Some("Hannah".into());
            user.description = None;
        },
        shows: || json!({ "name": "Hannah" }),
        back: || json!({ "name": "Han Again" }),
        cannot: || json!({ "is_bot_user": true, "first_name": "Han", "status": { "value": "disabled" } }),
        twice: || {
            let body = json!({ "name": "Named", "passthrough": { "name": "Passed" } });
            (body, &["attributes.passthrough:name"])
        },
    },
];

fn uuid() -> String {
    "7f9f4e6d-1f2e-4d3c-8b4a-0123456789ab".to_owned()
}

//! The StackOne dialect: the Unified IAM API's user calls.
//!
//! Decisions where the sources are silent or at odds:
//!
//! - `id` and `remote_id` are the same: the directory's UUID, or the remote system's id.
//! - null clears a member, `{}` changes nothing; a non-empty body is required.
//! - `status.value` decides; a fitting `source_value` picks among the statuses behind it (Blocked shows as `disabled` /
//!   `Blocked`), so that a status read can be sent back; an unknown value is 422. Without a value, `source_value` decides.
//!   `disabled` alone leaves who is Blocked as he is.
//! - A new address must have the form of one; one that another dialect set is shown and may come back.
//! - `passthrough` members become attributes, shown as `unified_custom_fields`; a null member is removed.
//! - `fields`, `expand` and `raw` with a value that the spec does not list are 400; other query parameters, `proxy[...]` among
//!   them, are tolerated.
//! - 400 is for what is not JSON and for bad parameters, 422 for members of the wrong type or value.
//! - `roles` and `groups` are null without `expand`, and for a remote system, which does not tell them.
//! - A remote user's entity tag is made from what the vendor tells of him. StackOne's own update tells nothing, so its answer
//!   carries none.
//! - A status that has no word here is `unmapped_value`, with the provider's own as `source_value`.

mod connector;
mod facade;
mod map;
mod render;
mod unmapped;
mod wire;

use std::sync::Arc;

use axum::response::Response;
use base64::{
    Engine,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use http::Method;
use patchbay_core::{connector::Connector, error::Error, id::Serial, user::UserPatch};
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;

use super::{Dialect, Exchange};
use crate::{
    app::App,
    failure::Failure,
    outbound::http::Target,
    walkthrough::{Purpose, Sample, Step, StepBody},
};

/// The dialect.
pub struct StackOne;

/// Decodes the body of an update into a delta. It never panics, whatever the bytes.
pub fn decode_update(body: &[u8]) -> Result<UserPatch, Failure> {
    Ok(map::decode_update(facade::decode(body)?)?)
}

/// Base64 as callers write it: padded or not.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl Dialect for StackOne {
    fn name(&self) -> &'static str {
        "stackone"
    }

    fn mounts(&self) -> &'static [&'static str] {
        &["/unified", "/accounts", "/connect_sessions"]
    }

    fn routes(&self) -> OpenApiRouter<App> {
        facade::routes()
    }

    /// HTTP Basic with the key as user name and no password. SDKs encode `key:`, the guide also the bare key (contract notes,
    /// section 4), so one trailing colon is cut off and no other: keys may contain colons.
    fn credential(&self, authorization: &str) -> Option<String> {
        let (scheme, encoded) = authorization.trim().split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let mut key = String::from_utf8(LENIENT.decode(encoded.trim()).ok()?).ok()?;
        if key.ends_with(':') {
            key.pop();
        }
        Some(key).filter(|key| !key.is_empty())
    }

    fn render(&self, failure: &Failure, exchange: &Exchange) -> Response {
        render::response(failure, exchange)
    }

    fn settings(&self) -> &'static [&'static str] {
        &[connector::ACCOUNT_ID]
    }

    fn connector(&self, target: Target) -> Result<Arc<dyn Connector>, Error> {
        Ok(Arc::new(connector::StackOneConnector::new(target)?))
    }

    /// Keys look like `v1.eu1.xxxx` (contract notes, section 4).
    fn mint(&self, _serial: Serial, random: &[u8; 48]) -> String {
        format!("v1.eu1.{}", hex::encode(random))
    }

    fn sample_purposes(&self) -> &'static [Purpose] {
        &[Purpose::Full, Purpose::ReadOnly]
    }

    fn sample(&self, sample: &Sample) -> Value {
        json!({
            "api_key": sample.keys.of(self.name(), Purpose::Full),
            "read_only_key": sample.keys.of(self.name(), Purpose::ReadOnly),
            "account_id": sample.account.0,
        })
    }

    fn walkthrough(&self, sample: &Sample) -> Vec<Step> {
        let Some(user) = sample.users.first() else {
            return Vec::new();
        };
        let authorization = format!(
            "Basic {}",
            STANDARD.encode(format!("{}:", sample.keys.of(self.name(), Purpose::Full)))
        );
        vec![Step {
            title: "StackOne: update user".to_owned(),
            method: Method::PATCH,
            path: format!("/unified/iam/users/{}", user.id),
            headers: vec![
                ("Authorization".to_owned(), authorization),
                ("x-account-id".to_owned(), sample.account.0.to_string()),
                ("Content-Type".to_owned(), "application/json".to_owned()),
            ],
            body: StepBody::Json(example()),
            user: 0,
        }]
    }
}

/// The seed's own example.
#[expect(clippy::expect_used, reason = "the file is part of the program, and a test reads it")]
fn example() -> Value {
    serde_json::from_str(include_str!("fixtures/update_user.json")).expect("the example is JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(header: &str) -> Option<String> {
        StackOne.credential(header)
    }

    #[test]
    fn keys_come_with_and_without_a_colon() {
        for text in ["v1.eu1.KEY:", "v1.eu1.KEY"] {
            let encoded = STANDARD.encode(text);
            for header in [
                format!("Basic {encoded}"),
                format!("basic  {}", encoded.trim_end_matches('=')),
            ] {
                assert_eq!(shown(&header).as_deref(), Some("v1.eu1.KEY"), "{header}");
            }
        }
        let colons = format!("Basic {}", STANDARD.encode("idt:TKN-0001:x::"));
        assert_eq!(shown(&colons).as_deref(), Some("idt:TKN-0001:x:"), "one colon only");
    }

    #[test]
    fn other_forms_are_no_keys() {
        for header in [
            "Basic",
            "Basic !",
            "Basic Og==",
            "Basic ",
            "Bearer a2V5",
            "a2V5",
            "Basic /w==",
        ] {
            assert_eq!(shown(header), None, "{header}");
        }
    }

    #[test]
    fn the_example_is_json() {
        assert_eq!(example()["username"], "hansolo1977");
    }
}

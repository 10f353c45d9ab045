//! SoftwareOne Marketplace, Accounts API: users, account users and pictures.
//!
//! Sources: seed 002 (PUT account user, v5.0.5618), seed 003 (PUT user, multipart), and the contract notes.
//!
//! # Members
//!
//! | wire | domain |
//! |---|---|
//! | `id` | serial as `USR-NNNN-NNNN` |
//! | `email`, `firstName`, `lastName`, `settings.cultureCode`, `.languageCode` | the same; neither null nor blank here |
//! | `name` | "first last", read-only; the display name where both are unset |
//! | `status` of a user | status, read-only: Active, Invited, Disabled, Blocked |
//! | `status` of an account user | the membership's, read-only: Active, Invited or `InvitationExpired` |
//! | `phone`, `settings` | the same, nested deltas |
//! | `icon` | path of the picture, absent without one; set by the form's part `icon`, cleared by null |
//! | `account`, `accounts` | organizations of the memberships, read-only |
//! | `currentAccount` | the organization he works in: the chosen one, else the first active one |
//! | `groups` | groups of the membership, replaced as a whole by `UGR-` id |
//! | `invitation.notes`, `invitation.status` | the membership's notes (written by whoever reaches the whole tenant) and status (read-only) |
//! | `audit` | times of the user and the membership; `by` of the user's own as `USR-` or `TKN-` |
//! | `revision` | revision |
//!
//! # Decided, where the sources are silent or conflict
//!
//! - `status` of an account user is his membership's, as in the vendor's own states of one (contract notes, section 5).
//! - Members that cannot be written are accepted and ignored, `status` included: the official suite sends whole objects
//!   back. `buyers` is never shown, `modules` is always empty.
//! - Two spellings of one member in one object, such as `Phone` and `phone`, are 400; of exact repeats the last counts.
//! - The flat names of seed 003's example (`User.Data.FirstName`), an artefact of the vendor's generator, are accepted
//!   beside the plain ones on `PUT /users/{id}`, in JSON and as parts; so is the wrapper `user` of the example.
//! - A body without `Content-Type` is 415; no body at all is 400, as an empty document.
//! - Forms: parts of other names are skipped; at most 256 parts; a second `user` or `icon` part is 400.
//! - Pictures are served here; the vendor redirects (307) to a store of its own. Without a picture: 404.
//! - Dates have milliseconds and `Z`, as in seed 003.
//! - `audit` is shown by default; `select` is understood with dots and parentheses.
//! - `accounts` is for callers whose role reaches the whole tenant; others see `currentAccount` only if they are of it.
//! - Ids of another form are 404; a mail address is understood where the path says user "id", not within an account.

mod connector;
mod facade;
mod fold;
mod map;
mod problem;
mod select;
pub mod wire;
mod wrong;

use std::sync::Arc;

use axum::response::Response;
use bytes::Bytes;
use http::Method;
use patchbay_core::{
    connector::Connector, error::Error, icon::Icon, id::Serial, membership::MembershipChange, user::UserPatch,
};
use serde_json::{Map, Value, json};
use utoipa_axum::router::OpenApiRouter;

use super::{Dialect, Exchange};
use crate::{
    app::App,
    extract,
    failure::Failure,
    outbound::http::Target,
    walkthrough::{Purpose, Sample, SampleUser, Step, StepBody, StepPart},
};

/// The dialect.
pub struct SoftwareOne;

/// Decodes the JSON body of a user's update. It never panics, whatever the bytes.
pub fn decode_user(body: &[u8]) -> Result<UserPatch, Failure> {
    map::decode_user(extract::json(body)?).map(|change| change.patch)
}

/// Decodes the JSON body of an account user's update. It never panics, whatever the bytes.
pub fn decode_account_user(body: &[u8]) -> Result<(UserPatch, MembershipChange), Failure> {
    let change = map::decode_account_user(extract::json(body)?)?;
    Ok((change.patch, change.membership))
}

/// Decodes a whole form that updates a user, under its `Content-Type`. It never panics, whatever the bytes.
pub async fn decode_form(content_type: &str, body: Bytes) -> Result<(UserPatch, Option<Icon>), Failure> {
    let parts = facade::whole_form(content_type, body).await?;
    Ok((map::decode_user(parts.json()?)?.patch, parts.icon))
}

/// A picture for the walk-through: one red pixel.
const PIXEL: &[u8] = include_bytes!("fixtures/pixel.png");

impl Dialect for SoftwareOne {
    fn name(&self) -> &'static str {
        "softwareone"
    }

    fn mounts(&self) -> &'static [&'static str] {
        &["/public"]
    }

    fn routes(&self) -> OpenApiRouter<App> {
        facade::routes()
    }

    /// `Authorization: Bearer <key>` (contract notes, section 11).
    fn credential(&self, authorization: &str) -> Option<String> {
        let (scheme, key) = authorization.trim().split_once(' ')?;
        let key = key.trim();
        (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then(|| key.to_owned())
    }

    fn render(&self, failure: &Failure, exchange: &Exchange) -> Response {
        problem::render(failure, exchange)
    }

    fn connector(&self, target: Target) -> Result<Arc<dyn Connector>, Error> {
        Ok(Arc::new(connector::SoftwareOneConnector::new(target)?))
    }

    /// `idt:TKN-NNNN-NNNN:<letters and digits>` (contract notes, section 11).
    fn mint(&self, serial: Serial, random: &[u8; 48]) -> String {
        const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let secret: String = random
            .iter()
            .map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]))
            .collect();
        format!("idt:{}:{secret}", map::id("TKN", serial))
    }

    fn sample_purposes(&self) -> &'static [Purpose] {
        &[Purpose::Operations, Purpose::Client]
    }

    fn sample(&self, sample: &Sample) -> Value {
        json!({
            "operations_token": sample.keys.of(self.name(), Purpose::Operations),
            "client_token": sample.keys.of(self.name(), Purpose::Client),
            "account_id": map::id("ACC", sample.organization),
            "group_id": map::id("UGR", sample.group),
        })
    }

    fn sample_user(&self, user: &SampleUser) -> Map<String, Value> {
        Map::from_iter([("softwareone_id".to_owned(), map::id("USR", user.serial).into())])
    }

    fn walkthrough(&self, sample: &Sample) -> Vec<Step> {
        let Some(person) = sample.users.first() else {
            return Vec::new();
        };
        let user = map::id("USR", person.serial);
        let account = map::id("ACC", sample.organization);
        let step = |title: &str, path: String, body| Step {
            title: title.to_owned(),
            method: Method::PUT,
            path,
            headers: vec![(
                "Authorization".to_owned(),
                format!("Bearer {}", sample.keys.of(self.name(), Purpose::Operations)),
            )],
            body,
            user: 0,
        };
        let account_user = json!({
            "phone": {"prefix": "+1"},
            "settings": {"languageCode": "en-GB", "timeZone": "Europe/Madrid"},
        });
        let parts = vec![
            StepPart {
                name: "icon",
                file_name: Some("icon.png"),
                media: "image/png",
                bytes: PIXEL.to_vec(),
            },
            StepPart {
                name: "user",
                file_name: None,
                media: "application/json",
                bytes: json!({"lastName": "Solo-Organa", "phone": null})
                    .to_string()
                    .into_bytes(),
            },
        ];
        vec![
            step(
                "SoftwareOne, account user: a JSON delta, nested objects too",
                format!("/public/v1/accounts/accounts/{account}/users/{user}"),
                StepBody::Json(account_user),
            ),
            step(
                "SoftwareOne, user: a form with a picture",
                format!("/public/v1/accounts/users/{user}"),
                StepBody::Multipart(parts),
            ),
        ]
    }
}

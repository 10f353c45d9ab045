//! The sample tenant as the dialects see it, and the documented calls that the quickstart makes with it.

use http::Method;
use patchbay_core::id::{LinkedAccountId, RoleId, Serial, TenantId, UserId};
use serde_json::Value;

/// The sample tenant: its keys and the ids that calls need.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The tenant.
    pub tenant: TenantId,
    /// The embedded directory as a linked account.
    pub account: LinkedAccountId,
    /// The organization that the first users are members of.
    pub organization: Serial,
    /// Its default group.
    pub group: Serial,
    /// The administrator's role; he may give it away, others may not.
    pub role: RoleId,
    /// Keys, each for one purpose.
    pub keys: SampleKeys,
    /// The users; the first is Han Solo.
    pub users: Vec<SampleUser>,
}

/// What a sample key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// An integration that reads and updates everybody.
    Integration,
    /// A report that only reads.
    Reporting,
    /// A lifecycle service that reads and updates everybody.
    Lifecycle,
    /// The platform's operator.
    Operations,
    /// A user without administrative rights, with a token of his own.
    Client,
    /// A user's own secret.
    User,
}

/// The sample tenant's keys.
#[derive(Clone, Debug)]
pub struct SampleKeys {
    /// A service that may read and update everybody.
    pub full: String,
    /// A service that only reads.
    pub read_only: String,
    /// Another service that may read and update everybody.
    pub token: String,
    /// A service of the organization that runs the platform; may update everybody.
    pub operations: String,
    /// The second user's key; he has no administrative rights.
    pub client: String,
    /// The key of a user whose role allows everything.
    pub administrator: String,
}

/// One user of the sample tenant.
#[derive(Clone, Debug)]
pub struct SampleUser {
    /// Identity.
    pub id: UserId,
    /// Number within the tenant.
    pub serial: Serial,
    /// Mail address.
    pub email: String,
    /// User name.
    pub username: String,
    /// Name for people.
    pub name: String,
    /// A key of his own.
    pub secret: String,
}

/// One documented call.
#[derive(Clone, Debug)]
pub struct Step {
    /// What it shows, for people.
    pub title: String,
    /// Verb.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// Headers, credentials included.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: StepBody,
    /// Index in [`Sample::users`] of the user it changes.
    pub user: usize,
}

/// What a call carries.
#[derive(Clone, Debug)]
pub enum StepBody {
    /// A JSON document.
    Json(Value),
    /// Parts of a form.
    Multipart(Vec<StepPart>),
}

/// One part of a form.
#[derive(Clone, Debug)]
pub struct StepPart {
    /// Its name.
    pub name: &'static str,
    /// Its file name, if it is a file.
    pub file_name: Option<&'static str>,
    /// Its media type.
    pub media: &'static str,
    /// Its content.
    pub bytes: Vec<u8>,
}

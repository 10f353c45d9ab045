//! The sample tenant as the dialects see it, and the documented calls that the quickstart makes with it.

use std::collections::BTreeMap;

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

/// What a sample key is for. A dialect names the purposes for which it needs keys in its vendor's form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// A service that reads and updates everybody.
    Full,
    /// A service that only reads.
    ReadOnly,
    /// A service of the organization that runs the platform; it may do everything.
    Operations,
    /// The second user's, who has no administrative rights.
    Client,
    /// Each user's own; the last one's role allows everything.
    User,
}

/// The sample tenant's keys: one for each purpose, in the form of the first dialect that names it, and every dialect's own.
#[derive(Clone, Debug)]
pub struct SampleKeys {
    /// For [`Purpose::Full`].
    pub full: String,
    /// For [`Purpose::ReadOnly`].
    pub read_only: String,
    /// For [`Purpose::Operations`].
    pub operations: String,
    /// For [`Purpose::Client`].
    pub client: String,
    /// The key of a user whose role allows everything.
    pub administrator: String,
    /// By dialect and purpose, all but the users' own.
    pub of_dialect: BTreeMap<(&'static str, Purpose), String>,
}

impl SampleKeys {
    /// The key of a dialect for a purpose; another's, which works as well, if it has named none.
    pub fn of(&self, dialect: &'static str, purpose: Purpose) -> &str {
        let own = self.of_dialect.get(&(dialect, purpose));
        own.unwrap_or(match purpose {
            Purpose::Full => &self.full,
            Purpose::ReadOnly => &self.read_only,
            Purpose::Operations => &self.operations,
            Purpose::Client => &self.client,
            Purpose::User => &self.administrator,
        })
    }
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

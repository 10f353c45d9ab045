//! The port to one vendor's API: raw calls, no policy, no record keeping.
//!
//! A failure is classified where it is seen: what kind, and the vendor's own answer.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    error::Error,
    linked_account::LinkedAccount,
    user::{User, UserPatch},
};

/// What kind of failure a remote call met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RemoteKind {
    /// The vendor refused the request as wrong (400, 422...).
    Rejected,
    /// The vendor does not accept our credential (401).
    Unauthorized,
    /// The vendor does not let our credential do this (403).
    Forbidden,
    /// The vendor knows no such user (404).
    NotFound,
    /// The vendor's record conflicts (409).
    Conflict,
    /// The vendor's record is not as required (412).
    Precondition,
    /// The vendor asks us to slow down (429).
    RateLimited,
    /// The vendor does not know the operation (405, 501).
    Unsupported,
    /// The vendor failed (5xx).
    Fault,
    /// The answer was not what the vendor documents: not JSON, of another shape, or cut off.
    Unreadable,
    /// No connection came about; nothing was sent.
    Unreachable,
    /// No answer came in time; whether the vendor did it is not known.
    Timeout,
    /// The target's address is one that this installation does not call.
    Blocked,
}

/// A failed remote call.
#[derive(Clone, Debug)]
pub struct RemoteFailure {
    /// What kind.
    pub kind: RemoteKind,
    /// The URL called.
    pub url: String,
    /// The vendor's status code, if it answered.
    pub status: Option<u16>,
    /// The vendor's answer: JSON if it was JSON, else its beginning as text, or what went wrong.
    pub raw: Value,
    /// Headers of the answer that help to explain it; never credentials or cookies.
    pub headers: Vec<(String, String)>,
    /// Seconds after which the vendor says a retry makes sense.
    pub retry_after: Option<u32>,
    /// True if it is known, whatever the kind, that the vendor did nothing: nothing was asked of it, or reading back showed
    /// it.
    pub undone: bool,
}

impl RemoteFailure {
    /// True if the vendor may have done what was asked.
    pub fn outcome_unknown(&self) -> bool {
        let lost = matches!(
            self.kind,
            RemoteKind::Timeout | RemoteKind::Unreadable | RemoteKind::Fault
        );
        lost && !self.undone
    }
}

impl fmt::Display for RemoteFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, self.status) {
            (RemoteKind::Unreachable, _) => f.write_str("the provider could not be reached"),
            (RemoteKind::Timeout, _) => f.write_str("the provider did not answer in time"),
            (RemoteKind::Blocked, _) => f.write_str("the provider's address is not one that may be called"),
            (RemoteKind::Unreadable, _) => f.write_str("the provider's answer could not be read"),
            (_, Some(status)) => write!(f, "the provider answered {status}"),
            (_, None) => f.write_str("the provider failed"),
        }
    }
}

/// What one update asks of a vendor.
#[derive(Clone, Debug)]
pub struct RemoteUpdate<'a> {
    /// The vendor's id of the user.
    pub id: &'a str,
    /// What to change.
    pub patch: &'a UserPatch,
}

/// What a vendor's API can do, as data. [`crate::remote::Remote`] branches on it before it sends anything, and never on a
/// vendor's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    /// Pictures can be set.
    pub icons: bool,
}

/// One vendor's API, spoken outward for one linked account.
#[async_trait]
pub trait Connector: Send + Sync {
    /// What it can do.
    fn capability(&self) -> Capability;

    /// Reads one user by the vendor's id.
    async fn get_user(&self, id: &str) -> Result<User, Error>;

    /// Changes one user. Answers him as the vendor does afterwards, if the vendor does.
    ///
    /// Fails with [`Error::Unsupported`], before anything is sent, for a member that the vendor's API cannot say.
    async fn update_user(&self, update: RemoteUpdate<'_>) -> Result<Option<User>, Error>;

    /// The member of the vendor's request in which a member of the domain travels, given its path. A member that is passed
    /// through under the same name is sent in its place. `None` if that cannot be.
    fn carrier(&self, field: &str) -> Option<String>;

    /// Whether two names name one member of the vendor's request. Only if they are equal, unless the vendor looks at them otherwise.
    fn same_member(&self, one: &str, other: &str) -> bool {
        one == other
    }
}

/// Makes connectors of linked accounts: unseals the secret and picks the dialect.
pub trait Connectors: Send + Sync {
    /// The connector of a remote linked account.
    fn connect(&self, account: &LinkedAccount) -> Result<Arc<dyn Connector>, Error>;
}

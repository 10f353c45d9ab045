//! Linked accounts: the identity systems a tenant is connected to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    error::Error,
    id::{LinkedAccountId, TenantId},
};

/// Whether a linked account may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountStatus {
    /// In use.
    Active,
    /// Switched off by an administrator.
    Disabled,
    /// Held back, for example over an unpaid bill.
    Suspended,
    /// Past its time.
    Expired,
}

impl AccountStatus {
    /// The status in lower case, as shown to people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
            Self::Suspended => "suspended",
            Self::Expired => "expired",
        }
    }
}

/// A secret under authenticated encryption; `key` names the key that opens it, so that keys can be rotated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedSecret {
    /// Which key sealed it.
    pub key: String,
    /// Nonce and ciphertext, hexadecimal.
    pub sealed: String,
}

/// How a remote system is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteTarget {
    /// The dialect it speaks.
    pub dialect: String,
    /// Where it is, with any path prefix, without a trailing slash.
    pub base_url: String,
    /// What it knows us by.
    pub secret: SealedSecret,
    /// What else the dialect needs, such as the account at the other side.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
}

/// One identity system of a tenant: the embedded directory, or a remote one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkedAccount {
    /// The opaque id by which callers choose it.
    pub id: LinkedAccountId,
    /// The tenant it belongs to.
    pub tenant: TenantId,
    /// Whether it may be used.
    pub status: AccountStatus,
    /// The remote system; `None` is the embedded directory.
    pub remote: Option<RemoteTarget>,
    /// When it was linked.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl LinkedAccount {
    /// Fails with [`Error::AccountOff`] if it may not be used.
    pub fn check_active(&self) -> Result<(), Error> {
        if self.status == AccountStatus::Active {
            return Ok(());
        }
        Err(Error::AccountOff {
            id: self.id.clone(),
            status: self.status,
        })
    }
}

//! Identifiers as types: a user id cannot be passed where a role id is meant.
//!
//! Inside, everything is a UUID; each dialect shows its own form. [`Serial`] is the per-tenant number behind forms such
//! as eight grouped digits.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::text::Text;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    )*};
}

ids! {
    /// The isolation boundary that every row, key and query carries.
    TenantId;
    /// A user of the embedded directory.
    UserId;
    /// A role.
    RoleId;
    /// A group within an organization.
    GroupId;
    /// An organization: what some vendors call an account.
    OrganizationId;
    /// A credential; the secret itself is never an id.
    CredentialId;
    /// One write to a remote system, from intent to outcome.
    LedgerId;
}

/// A record's number within its tenant and kind, from 1. Vendors' digit groups are made from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Serial(pub u32);

/// A linked account's opaque id, as callers send it to choose an identity system. At most 64 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LinkedAccountId(pub Text);

impl fmt::Display for LinkedAccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

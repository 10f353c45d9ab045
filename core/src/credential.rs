//! What callers show to be known: only a hash of it is ever kept.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    clock::Timestamp,
    id::{CredentialId, OrganizationId, RoleId, Serial, TenantId, UserId},
    text::Text,
};

/// SHA-256 of a secret. Secrets are random and long (at least 128 bits), so a plain hash cannot be guessed back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CredentialHash(pub [u8; 32]);

impl CredentialHash {
    /// Hashes a secret exactly as shown.
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }
}

/// Whom a credential stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A user of the directory; his role decides.
    User(UserId),
    /// A program with a role of its own.
    Service {
        /// Name for people.
        name: String,
        /// The role that decides.
        role: RoleId,
        /// The organization it acts for, if any.
        organization: Option<OrganizationId>,
    },
}

/// One key of a user or a program. The secret was shown once, when it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// Identity of the credential.
    pub id: CredentialId,
    /// The tenant it opens.
    pub tenant: TenantId,
    /// Number within the tenant.
    pub serial: Serial,
    /// Hash of the secret.
    pub hash: CredentialHash,
    /// Last four characters of the secret, to tell keys apart.
    pub fingerprint: Text,
    /// Whom it stands for.
    pub subject: Subject,
    /// From when on it is refused; `None` means never.
    pub expires_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Credential {
    /// The part of a secret that may be shown: its last four characters.
    pub fn fingerprint_of(secret: &str) -> Text {
        let start = secret.char_indices().rev().nth(3).map_or(0, |(at, _)| at);
        secret.get(start..).unwrap_or_default().into()
    }

    /// True if the credential is past its time.
    pub fn expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_fingerprint_is_the_last_four_characters() {
        for (secret, fingerprint) in [
            ("VVNSC3bOfkVsVt", "VsVt"),
            ("abcd", "abcd"),
            ("abc", "abc"),
            ("", ""),
            ("é界🚀ñx", "界🚀ñx"),
        ] {
            assert_eq!(Credential::fingerprint_of(secret), fingerprint);
        }
    }

    #[test]
    fn a_secret_is_hashed_exactly_as_shown() {
        let hash = CredentialHash::of("abc");
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex::encode(hash.0), known);
        assert_ne!(CredentialHash::of("abc "), hash);
        assert_ne!(CredentialHash::of("ABC"), hash);
    }

    #[test]
    fn a_credential_is_refused_from_its_last_moment_on() {
        let end = Timestamp::from_millis(1_000);
        let mut credential = Credential {
            id: CredentialId(Uuid::nil()),
            tenant: TenantId(Uuid::nil()),
            serial: Serial(1),
            hash: CredentialHash::of("x"),
            fingerprint: Text::default(),
            subject: Subject::User(UserId(Uuid::nil())),
            expires_at: Some(end),
            created_at: Timestamp::from_millis(0),
        };
        assert!(!credential.expired(Timestamp::from_millis(999)));
        assert!(credential.expired(end));
        credential.expires_at = None;
        assert!(!credential.expired(Timestamp::from_millis(i64::MAX)));
    }
}

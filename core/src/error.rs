//! What can go wrong, in the domain's words. No HTTP status is chosen here.
//!
//! Every variant's text is fit for the caller to read; what only the log may know sits in [`Error::Internal`].

use crate::{
    connector::RemoteFailure, id::LinkedAccountId, linked_account::AccountStatus, revision::Revision, user::Unfit,
};

/// A refusal or a failure of a use case.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// A value breaks a rule of the domain. `field` is the domain's path, such as `email` or `settings.time_zone`.
    #[error("{field} {reason}")]
    Invalid {
        /// Domain path of the member.
        field: String,
        /// What is wrong with it, to follow the member's name in a sentence: "must not be empty".
        reason: String,
    },
    /// Values break rules of the domain, or of the dialect that the caller speaks. There is at least one.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Unfit(Vec<Unfit>),
    /// The provider cannot hold or say this member or value.
    #[error("{field} {reason}")]
    Unsupported {
        /// Domain path of the member, or the operation.
        field: String,
        /// Why not, to follow the member's name in a sentence.
        reason: String,
    },
    /// The provider cannot do this operation at all.
    #[error("the provider does not support {operation}")]
    NotImplemented {
        /// The operation.
        operation: String,
    },
    /// There is no such record, or the caller may not see it.
    #[error("{what} not found")]
    NotFound {
        /// Kind of record: `user`, `linked account`...
        what: &'static str,
    },
    /// The caller may see the record but not do this.
    #[error("{reason}")]
    Forbidden {
        /// What is not permitted.
        reason: String,
    },
    /// What the caller required of the record does not hold.
    #[error("the record is not in the state that the request requires")]
    Precondition {
        /// The record's revision now; `None` if it does not exist.
        current: Option<Revision>,
    },
    /// A value must be unique and another record has it.
    #[error("{field} has already been taken")]
    Taken {
        /// Domain path of the member.
        field: &'static str,
    },
    /// The idempotency key was used before for another request.
    #[error("the idempotency key was used before with another request")]
    IdempotencyMismatch,
    /// The request with this idempotency key has not ended, or its outcome is not known.
    #[error("the first request with this idempotency key has no known outcome yet")]
    IdempotencyPending,
    /// The linked account is switched off.
    #[error("linked account {id} is {}", status.as_str())]
    AccountOff {
        /// The account.
        id: LinkedAccountId,
        /// Its status.
        status: AccountStatus,
    },
    /// Too much work is waiting, or there is no room on the disk; nothing was done.
    #[error("this cannot be done now, try again later")]
    Busy {
        /// Seconds after which a retry makes sense.
        retry_after: u32,
    },
    /// A remote system refused, failed or did not answer.
    #[error("{0}")]
    Remote(Box<RemoteFailure>),
    /// A fault of Patchbay itself.
    #[error("internal error")]
    Internal {
        /// For the log only.
        log: String,
    },
}

impl Error {
    /// A value that breaks a rule.
    pub fn invalid(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid {
            field: field.into(),
            reason: reason.into(),
        }
    }

    /// A member or value that the provider cannot hold or say.
    pub fn unsupported(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Unsupported {
            field: field.into(),
            reason: reason.into(),
        }
    }

    /// A fault of Patchbay itself; `log` goes to the log only.
    #[expect(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
    pub fn internal(log: impl ToString) -> Self {
        Self::Internal { log: log.to_string() }
    }

    /// The whole text, what only the log may know included.
    pub fn for_log(&self) -> String {
        match self {
            Self::Internal { log } => log.clone(),
            told => told.to_string(),
        }
    }

    /// A short, stable name of the kind, for audit and metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Invalid { .. } | Self::Unfit(_) => "invalid",
            Self::Unsupported { .. } => "unsupported",
            Self::NotImplemented { .. } => "not_implemented",
            Self::NotFound { .. } => "not_found",
            Self::Forbidden { .. } => "forbidden",
            Self::Precondition { .. } => "precondition",
            Self::Taken { .. } => "taken",
            Self::IdempotencyMismatch => "idempotency_mismatch",
            Self::IdempotencyPending => "idempotency_pending",
            Self::AccountOff { .. } => "account_off",
            Self::Busy { .. } => "busy",
            Self::Remote(_) => "remote",
            Self::Internal { .. } => "internal",
        }
    }
}

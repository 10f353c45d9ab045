//! How a request ends when it does not succeed: one type for every refusal, from any layer.
//!
//! The kind decides the status, once, in [`Kind::status`]; the dialect that was called renders the body and may answer
//! with another status where its vendor documents one. What the caller may read and what the log keeps are two fields.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use patchbay_core::{
    connector::{RemoteFailure, RemoteKind},
    error::Error,
};

/// What kind of refusal or failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The body is not JSON (or not multipart where that was announced).
    NotJson,
    /// The body is not UTF-8.
    BadEncoding,
    /// A header, path or query parameter is missing or malformed.
    BadParameter,
    /// A member of the body has the wrong type or shape.
    Schema,
    /// A member's value breaks a rule.
    Invalid,
    /// The provider cannot hold or say a member.
    Unsupported,
    /// The provider cannot do the operation.
    NotImplemented,
    /// No credential, or none that is valid.
    Unauthenticated,
    /// Known, but not permitted.
    Forbidden,
    /// No such record, or none that the caller may see.
    NotFound,
    /// No such route.
    NoRoute,
    /// The route does not know this method.
    NoMethod,
    /// A value that must be unique is taken.
    Taken,
    /// `If-Match` or `If-None-Match` does not hold.
    Precondition,
    /// The linked account is switched off.
    AccountOff,
    /// The body is larger than the bound.
    TooLarge,
    /// The path and query are longer than the bound.
    UriTooLong,
    /// The body's media type is not one that the operation reads.
    UnsupportedMedia,
    /// The idempotency key belongs to another request.
    IdempotencyMismatch,
    /// The first request with the idempotency key has no known outcome.
    IdempotencyPending,
    /// Too much work is waiting, or there is no room on the disk.
    Busy,
    /// A remote system asks to slow down.
    RateLimited,
    /// The work, or a remote system, took too long.
    Timeout,
    /// A remote system failed or could not be reached or understood.
    BadGateway,
    /// A fault of Patchbay itself.
    Internal,
}

impl Kind {
    /// The status that fits, where the dialect's vendor documents no other.
    pub fn status(self) -> StatusCode {
        match self {
            Self::NotJson | Self::BadEncoding | Self::BadParameter | Self::Schema | Self::Invalid => {
                StatusCode::BAD_REQUEST
            }
            Self::Unsupported | Self::IdempotencyMismatch => StatusCode::UNPROCESSABLE_ENTITY,
            Self::NotImplemented => StatusCode::NOT_IMPLEMENTED,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound | Self::NoRoute => StatusCode::NOT_FOUND,
            Self::NoMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::Taken | Self::IdempotencyPending => StatusCode::CONFLICT,
            Self::Precondition | Self::AccountOff => StatusCode::PRECONDITION_FAILED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UriTooLong => StatusCode::URI_TOO_LONG,
            Self::UnsupportedMedia => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::Timeout => StatusCode::REQUEST_TIMEOUT,
            Self::BadGateway => StatusCode::BAD_GATEWAY,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// Whose name a failure's field bears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// The domain's path, such as `email`: the dialect has its own name for it.
    Domain(String),
    /// The path that the caller wrote, such as `status.value`, or a header's name.
    Wire(String),
}

/// A refusal or failure on its way to the caller.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What kind.
    pub kind: Kind,
    /// Which member or parameter, if it is about one.
    pub field: Option<Field>,
    /// For the caller: with a field, what follows its name ("must not be empty"); else a sentence's beginning.
    pub reason: String,
    /// Further members that are wrong in the same request, each with what follows its name in a sentence.
    pub also: Box<[(Field, String)]>,
    /// Seconds after which a retry makes sense.
    pub retry_after: Option<u32>,
    /// The remote system's answer.
    pub provider: Option<Box<RemoteFailure>>,
    /// For the log only.
    pub log: Option<String>,
}

impl Failure {
    /// A failure about the request as a whole.
    pub fn new(kind: Kind, reason: impl Into<String>) -> Self {
        Self {
            kind,
            field: None,
            reason: reason.into(),
            also: Box::default(),
            retry_after: None,
            provider: None,
            log: None,
        }
    }

    /// A failure about one member or parameter, by the name the caller knows.
    pub fn about(kind: Kind, wire_name: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            field: Some(Field::Wire(wire_name.into())),
            ..Self::new(kind, reason)
        }
    }

    /// The member's or parameter's name as the caller knows it; `wire_name` translates the domain's names.
    pub fn field(&self, wire_name: impl Fn(&str) -> String) -> Option<String> {
        match self.field.as_ref()? {
            Field::Domain(path) => Some(wire_name(path)),
            Field::Wire(path) => Some(path.clone()),
        }
    }

    /// One sentence for the caller, naming the member if there is one.
    pub fn message(&self, wire_name: impl Fn(&str) -> String) -> String {
        match self.field(wire_name) {
            Some(field) => format!("{field} {}", self.reason),
            None => self.reason.clone(),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let reason = error.to_string();
        let on = |kind, field: String, reason| Self {
            field: Some(Field::Domain(field)),
            ..Self::new(kind, reason)
        };
        match error {
            Error::Invalid { field, reason } => on(Kind::Invalid, field, reason),
            Error::Unfit(members) => {
                let mut members = members
                    .into_iter()
                    .map(|member| (Field::Domain(member.field), member.reason));
                let (field, first) = members.next().unzip();
                Self {
                    field,
                    also: members.collect(),
                    ..Self::new(Kind::Invalid, first.unwrap_or(reason))
                }
            }
            Error::Unsupported { field, reason } => on(Kind::Unsupported, field, reason),
            Error::Taken { field } => on(Kind::Taken, field.to_owned(), "has already been taken".to_owned()),
            Error::NotImplemented { .. } => Self::new(Kind::NotImplemented, reason),
            Error::NotFound { .. } => Self::new(Kind::NotFound, reason),
            Error::Forbidden { .. } => Self::new(Kind::Forbidden, reason),
            Error::Precondition { .. } => Self::new(Kind::Precondition, reason),
            Error::IdempotencyMismatch => Self::new(Kind::IdempotencyMismatch, reason),
            Error::IdempotencyPending => Self::new(Kind::IdempotencyPending, reason),
            Error::AccountOff { .. } => Self::new(Kind::AccountOff, reason),
            Error::Busy { retry_after } => Self {
                retry_after: Some(retry_after),
                ..Self::new(Kind::Busy, reason)
            },
            Error::Remote(failure) => Self::remote(failure, reason),
            Error::Internal { log } => Self {
                log: Some(log),
                ..Self::new(Kind::Internal, reason)
            },
        }
    }
}

impl Failure {
    fn remote(failure: Box<RemoteFailure>, reason: String) -> Self {
        let kind = match failure.kind {
            RemoteKind::Rejected => Kind::Invalid,
            RemoteKind::Forbidden => Kind::Forbidden,
            RemoteKind::NotFound => Kind::NotFound,
            RemoteKind::Unsupported => Kind::NotImplemented,
            RemoteKind::Conflict => Kind::Taken,
            RemoteKind::Precondition => Kind::Precondition,
            RemoteKind::RateLimited => Kind::RateLimited,
            RemoteKind::Timeout => Kind::Timeout,
            RemoteKind::Unauthorized
            | RemoteKind::Fault
            | RemoteKind::Unreadable
            | RemoteKind::Unreachable
            | RemoteKind::Blocked => Kind::BadGateway,
        };
        let retry_after = failure
            .retry_after
            .or((kind == Kind::Timeout || kind == Kind::RateLimited).then_some(60));
        Self {
            retry_after,
            provider: Some(failure),
            ..Self::new(kind, reason)
        }
    }
}

impl IntoResponse for Failure {
    /// A bare status that carries the failure; the pipeline has the called dialect render it.
    fn into_response(self) -> Response {
        let mut response = self.kind.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

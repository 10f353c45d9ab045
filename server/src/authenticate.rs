//! From the key that a caller shows to the principal that acts.
//!
//! The dialect finds the key in its own header form; here it is hashed and looked up. Keys are random and at least 128
//! bits long, the look-up goes by a hash, and the full hash is compared in constant time, so the time taken tells
//! nothing about any stored key.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use patchbay_core::{
    author::Author,
    clock::Timestamp,
    credential::{Credential, CredentialHash, Subject},
    error::Error,
    id::RoleId,
    membership::{Membership, MembershipStatus},
    policy::{Reach, Statement},
    principal::{Context, Principal},
    role::Role,
    store::{Holder, Store},
    text::Text,
    user::Status,
};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::{
    app::App,
    dialects::Dialect,
    failure::{Failure, Kind},
    pipeline::RequestId,
};

/// Makes principals of keys.
#[derive(Clone)]
pub struct Authenticator {
    store: Arc<dyn Store>,
}

impl Authenticator {
    /// An authenticator over the store that keeps the credentials.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// The principal that holds a key.
    ///
    /// Fails with [`Kind::Unauthenticated`] for a key that is unknown or expired, or whose user is disabled, blocked or
    /// gone; the caller is told the same in all cases.
    pub async fn principal(&self, secret: &str, now: Timestamp) -> Result<Principal, Failure> {
        let hash = CredentialHash::of(secret);
        let holder = self.store.holder(&hash).await?.ok_or_else(refused)?;
        let same = bool::from(holder.credential.hash.0.ct_eq(&hash.0));
        if !same || holder.credential.expired(now) {
            return Err(refused());
        }
        principal(holder)
    }
}

fn principal(holder: Holder) -> Result<Principal, Failure> {
    let Holder { credential, role, user } = holder;
    let (name, author, organizations) = match (&credential.subject, user) {
        (Subject::Service { name, organization, .. }, _) => {
            let organizations = organization.iter().copied().collect();
            let name = Text::from(name.as_str());
            (name.clone(), Author::Token(credential.serial, name), organizations)
        }
        (Subject::User(_), Some(user)) if !matches!(user.status, Some(Status::Disabled | Status::Blocked)) => {
            // One that he was only asked into is not his, and neither is what it shows.
            let active = |membership: &&Membership| membership.status == MembershipStatus::Active;
            let active = user.memberships.iter().filter(active);
            let organizations = active.map(|membership| membership.organization).collect();
            let name = user.name().or_else(|| user.username.clone());
            let name = name.unwrap_or_default();
            (name.clone(), Author::User(user.serial, name), organizations)
        }
        (Subject::User(_), _) => return Err(refused()),
    };
    let role = role.unwrap_or_else(|| Arc::new(no_role(&credential)));
    Ok(Principal {
        tenant: credential.tenant,
        credential,
        name,
        author: Arc::new(author),
        role,
        organizations,
    })
}

/// What holds for a user without a role: nothing is permitted.
fn no_role(credential: &Credential) -> Role {
    Role {
        id: RoleId(Uuid::nil()),
        tenant: credential.tenant,
        name: "no role".to_owned(),
        statement: Statement::only(&[]),
        reach: Reach::Organization,
        created_at: credential.created_at,
        updated_at: credential.created_at,
    }
}

fn refused() -> Failure {
    Failure::new(Kind::Unauthenticated, "the credentials are missing or not valid")
}

/// The caller of a request: extracting it authenticates him in the header form of the dialect that was called.
pub struct Caller(pub Context);

impl FromRequestParts<App> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let dialect = parts.extensions.get::<&'static dyn Dialect>().copied();
        let dialect = dialect.ok_or_else(|| Error::internal("a dialect's route was reached outside its mounts"))?;
        let shown = authorization(&parts.headers).and_then(|shown| dialect.credential(shown));
        let secret = shown.ok_or_else(refused)?;
        let now = app.clock.now();
        let principal = app.authenticator.principal(&secret, now).await?;
        let request_id = parts
            .extensions
            .get::<RequestId>()
            .map_or_else(Arc::default, |id| id.0.clone());
        Ok(Self(Context {
            principal: Arc::new(principal),
            request_id,
            dialect: dialect.name(),
            now,
        }))
    }
}

/// The one `Authorization` header. Of two, whoever stands between might have read the other one.
fn authorization(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

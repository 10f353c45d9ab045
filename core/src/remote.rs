//! A remote system as a provider: a connector, wrapped in the write ledger.
//!
//! A write is recorded before it is sent and after it was answered: intent → call → outcome. A lost answer is an outcome
//! of its own, *unknown*: it is settled by reading the user back, never by sending the write again.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    audit::AuditEntry,
    changeset::{Changeset, Committed, Delta, Idempotency, IdempotencyRecord},
    clock::Timestamp,
    connector::{Connector, RemoteUpdate},
    error::Error,
    id::{LedgerId, LinkedAccountId},
    policy::{Action, Reach},
    principal::Context,
    provider::{Capability, GetUser, Provider, UpdateUser, Updated, UserView},
    revision::{Expect, Revision},
    store::{Store, UserKey},
    user::{User, UserPatch},
};

/// How far a remote write has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LedgerState {
    /// About to be sent, or sent and not yet answered.
    Intent,
    /// The vendor did it.
    Done,
    /// The vendor refused or failed, or nothing was sent; the text says which.
    Failed(String),
    /// No readable answer came, and reading back did not show the change.
    Unknown(String),
}

/// One write to a remote system, from intent to outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// Identity.
    pub id: LedgerId,
    /// The linked account written to.
    pub account: LinkedAccountId,
    /// The vendor's id of the user.
    pub remote_id: String,
    /// The request that asked for it.
    pub request_id: Arc<str>,
    /// Domain paths of the members sent.
    pub fields: Vec<String>,
    /// How far it has come.
    pub state: LedgerState,
    /// When it was recorded.
    pub begun_at: Timestamp,
}

/// One remote linked account as a provider.
pub struct Remote {
    account: LinkedAccountId,
    connector: Arc<dyn Connector>,
    store: Arc<dyn Store>,
    ledger_id: LedgerId,
}

impl Remote {
    /// Wraps a connector. `ledger_id` is the identity of the next write, should there be one.
    pub fn new(
        account: LinkedAccountId,
        connector: Arc<dyn Connector>,
        store: Arc<dyn Store>,
        ledger_id: LedgerId,
    ) -> Self {
        Self {
            account,
            connector,
            store,
            ledger_id,
        }
    }

    /// Sends the write and settles a lost answer by reading back.
    async fn send(&self, remote: RemoteUpdate<'_>) -> Result<Option<User>, Error> {
        let (id, patch) = (remote.id, remote.patch);
        let failure = match self.connector.update_user(remote).await {
            Err(Error::Remote(failure)) if failure.outcome_unknown() => failure,
            settled => return settled,
        };
        match self.connector.get_user(id).await {
            Ok(user) if user.apply(patch).is_ok_and(|applied| applied.changes.is_empty()) => Ok(Some(user)),
            _ => Err(Error::Remote(failure)),
        }
    }

    async fn begin(
        &self,
        context: &Context,
        entry: &LedgerEntry,
        idempotency: Option<&Idempotency>,
    ) -> Result<Committed, Error> {
        self.store
            .commit(changeset(
                context,
                entry.clone(),
                step(idempotency, IdempotencyRecord::Begin),
            ))
            .await
    }

    /// Records the outcome: in the ledger, under the idempotency key, and if it was done in the audit log. Refusals and
    /// failures get their audit entry from the gateway.
    async fn finish(
        &self,
        context: &Context,
        mut entry: LedgerEntry,
        idempotency: Option<&Idempotency>,
        outcome: &Result<Option<User>, Error>,
        patch: &UserPatch,
    ) -> Result<(), Error> {
        let (state, record) = match outcome {
            Ok(_) => (LedgerState::Done, Some(IdempotencyRecord::Finish)),
            Err(Error::Remote(failure)) if failure.outcome_unknown() => {
                (LedgerState::Unknown(failure.to_string()), None)
            }
            Err(error) => (LedgerState::Failed(error.to_string()), Some(IdempotencyRecord::Forget)),
        };
        entry.state = state;
        let remote_id = entry.remote_id.clone();
        let idempotency = record.and_then(|record| step(idempotency, record));
        let mut changeset = changeset(context, entry, idempotency);
        if outcome.is_ok() {
            let mut audit = AuditEntry::of(context, Action::UpdateUser.as_str(), &remote_id);
            audit.account = Some(self.account.to_string());
            audit.changes = patch.said();
            changeset.audit = Some(audit);
        }
        self.store.commit(changeset).await.map(|_| ())
    }

    fn if_match(&self, expect: &Expect) -> Result<Option<Revision>, Error> {
        match expect {
            Expect::Any | Expect::Present => Ok(None),
            Expect::Exactly(revision) if self.connector.capability().conditional_update => Ok(Some(*revision)),
            _ => Err(Error::NotImplemented {
                operation: "this precondition".to_owned(),
            }),
        }
    }
}

#[async_trait]
impl Provider for Remote {
    fn capability(&self) -> Capability {
        self.connector.capability()
    }

    async fn get_user(&self, context: &Context, query: &GetUser) -> Result<UserView, Error> {
        check(context, Action::GetUser)?;
        let user = self.connector.get_user(&remote_id(&query.key)?).await?;
        Ok(UserView::bare(Arc::new(user)))
    }

    async fn update_user(&self, context: &Context, key: &UserKey, update: UpdateUser) -> Result<Updated, Error> {
        check(context, Action::UpdateUser)?;
        let id = remote_id(key)?;
        let if_match = self.if_match(&update.expect)?;
        // The bounds of the domain hold outward too.
        User::remote(&id).apply(&update.patch)?;
        let entry = LedgerEntry {
            id: self.ledger_id,
            account: self.account.clone(),
            remote_id: id.clone(),
            request_id: context.request_id.clone(),
            fields: update.patch.said().into_iter().map(|said| said.field).collect(),
            state: LedgerState::Intent,
            begun_at: context.now,
        };
        let begun = self.begin(context, &entry, update.idempotency.as_ref()).await?;
        if begun.replayed {
            return Ok(Updated {
                view: begun.user.map(UserView::bare),
                changed: false,
                at: begun.at,
                replayed: true,
            });
        }
        let outcome = self
            .send(RemoteUpdate {
                id: &id,
                patch: &update.patch,
                if_match,
            })
            .await;
        self.finish(context, entry, update.idempotency.as_ref(), &outcome, &update.patch)
            .await?;
        let view = outcome?.map(|user| UserView::bare(Arc::new(user)));
        Ok(Updated {
            view,
            changed: true,
            at: context.now,
            replayed: false,
        })
    }
}

fn changeset(context: &Context, entry: LedgerEntry, idempotency: Option<Idempotency>) -> Changeset {
    let mut changeset = Changeset::new(context.principal.tenant, context.now);
    changeset.deltas.push(Delta::PutLedger(Box::new(entry)));
    changeset.idempotency = idempotency;
    changeset
}

fn step(idempotency: Option<&Idempotency>, record: IdempotencyRecord) -> Option<Idempotency> {
    idempotency.map(|idempotency| Idempotency {
        record,
        ..idempotency.clone()
    })
}

/// Remote users are known only to their own system, so only a role that reaches the whole tenant may touch them.
fn check(context: &Context, action: Action) -> Result<(), Error> {
    let role = &context.principal.role;
    if role.reach == Reach::Tenant && role.statement.permits(action) {
        Ok(())
    } else {
        Err(Error::Forbidden {
            reason: format!("your role does not permit {} in linked accounts", action.as_str()),
        })
    }
}

fn remote_id(key: &UserKey) -> Result<String, Error> {
    match key {
        UserKey::Opaque(id) => Ok(id.clone()),
        UserKey::Id(id) => Ok(id.to_string()),
        UserKey::Serial(_) | UserKey::Email(_) => Err(Error::NotImplemented {
            operation: "looking a user up by this kind of id".to_owned(),
        }),
    }
}

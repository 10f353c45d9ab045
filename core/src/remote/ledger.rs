//! The ledger: what is kept of one remote write.

use std::{borrow::Cow, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    audit::{Actor, AuditEntry, FieldChange, Outcome},
    changeset::{Changeset, Delta, IDEMPOTENCY_SECONDS, Idempotency, IdempotencyRecord},
    clock::Timestamp,
    id::{LedgerId, LinkedAccountId, TenantId},
    policy::Action,
    user::{User, limits},
};

/// For how long a settled remote write stays in the ledger at least: 30 days.
pub const LEDGER_SECONDS: i64 = 30 * 24 * 60 * 60;

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
    /// No readable answer came, and reading back did not show whether it was done.
    Unknown(String),
}

impl LedgerState {
    /// Whether a write in this state can still come to `next`: an open one to any, one whose outcome is unknown to a known one.
    fn can_become(&self, next: &Self) -> bool {
        match self {
            Self::Intent => true,
            Self::Unknown(_) => matches!(next, Self::Done | Self::Failed(_)),
            Self::Done | Self::Failed(_) => false,
        }
    }
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
    /// Who asked for it.
    #[serde(default = "Actor::operator")]
    pub actor: Actor,
    /// In which dialect it was asked for.
    #[serde(default)]
    pub dialect: Cow<'static, str>,
    /// What was asked, while the outcome is open: reading back is compared with it.
    #[serde(default)]
    pub said: Vec<FieldChange>,
    /// The idempotency key under which it was asked.
    #[serde(default)]
    pub idempotency: Option<Idempotency>,
    /// How far it has come.
    pub state: LedgerState,
    /// The user as the vendor told of him when it was done; kept for repeats under the idempotency key, unless he is larger
    /// or deeper than what is kept of one value.
    #[serde(default)]
    pub user: Option<Box<User>>,
    /// When it was recorded.
    pub begun_at: Timestamp,
}

/// A remote write that is still at [`LedgerState::Intent`], as a list of them names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenWrite {
    /// Identity.
    pub id: LedgerId,
    /// The linked account written to.
    pub account: LinkedAccountId,
}

impl LedgerEntry {
    /// Whether this entry can still come to `next`, with an audit entry or without. What is known stays, so that of two who settle a
    /// write at the same moment one is heard; only whom an answer did not tell may be added to what is done.
    pub fn can_become(&self, next: &Self, audited: bool) -> bool {
        let done = |entry: &Self| entry.state == LedgerState::Done;
        let adds_user = !audited && done(self) && done(next) && self.user.is_none() && next.user.is_some();
        adds_user || self.state.can_become(&next.state)
    }

    /// The commit that records how the write ended: in the ledger, under its idempotency key, and, if `audited`, in the
    /// audit log.
    ///
    /// Done: a repeat gets this outcome. Failed: the key is free again. Unknown: the key stays taken, nothing is sent twice on
    /// a guess. A key whose time is over is not touched: it may be another request's by now.
    pub(crate) fn ended(
        mut self,
        tenant: TenantId,
        now: Timestamp,
        state: LedgerState,
        user: Option<&User>,
        audited: bool,
    ) -> Changeset {
        // The clock may have been put back since.
        let now = now.max(self.begun_at);
        let (outcome, record) = match &state {
            LedgerState::Done => (Outcome::Done, Some(IdempotencyRecord::Finish)),
            LedgerState::Failed(why) => (Outcome::Failed(why.clone()), Some(IdempotencyRecord::Forget)),
            LedgerState::Unknown(why) => (Outcome::Unknown(why.clone()), None),
            LedgerState::Intent => (Outcome::Unknown(String::new()), None),
        };
        let mut changeset = Changeset::new(tenant, now);
        changeset.audit = audited.then(|| AuditEntry {
            at: now,
            actor: self.actor.clone(),
            action: Action::UpdateUser.as_str().into(),
            dialect: self.dialect.clone(),
            request_id: self.request_id.clone(),
            resource: self.remote_id.clone(),
            account: Some(self.account.to_string()),
            changes: self.said.clone(),
            outcome,
            revision: None,
        });
        let in_time = self.begun_at.plus_seconds(IDEMPOTENCY_SECONDS) > now;
        changeset.idempotency = record.filter(|_| in_time).and_then(|record| {
            let asked = self.idempotency.clone()?;
            Some(Idempotency { record, ..asked })
        });
        if !matches!(state, LedgerState::Unknown(_)) {
            self.said = Vec::new();
        }
        let kept = user.filter(|user| self.idempotency.is_some() && is_keepable(user));
        self.user = kept.cloned().map(Box::new);
        self.state = state;
        changeset.deltas.push(Delta::PutLedger(Box::new(self)));
        changeset
    }
}

/// Whether a vendor's user is small and shallow enough to be kept, so that what keeps him reads back.
fn is_keepable(user: &User) -> bool {
    serde_json::to_value(user).is_ok_and(|user| limits::is_recordable(&user))
}

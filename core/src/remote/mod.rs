//! A remote system as a provider: a connector, wrapped in the write ledger.
//!
//! A write waits for its [turn](turns), is recorded before it is sent and after it was answered: intent → call → outcome. A lost answer is an outcome
//! of its own, *unknown*: it is settled by reading the user back, never by sending the write again.
//!
//! A remote user has no revision of ours: his is a digest of all that the vendor tells of him. What a caller requires of it
//! is compared with a read right before the write; no vendor compares inside the write, so a change that another makes
//! between the two is not seen.

mod evidence;
mod ledger;
mod secrecy;
mod settle;
mod turns;

use std::{
    future::{Future, poll_fn},
    mem,
    pin::pin,
    sync::Arc,
    task::Poll,
};

use async_trait::async_trait;
use sha2::{Digest, Sha256};

use self::evidence::{Evidence, note_before, passed, weigh};
pub use self::ledger::{LEDGER_SECONDS, LedgerEntry, LedgerState, OpenWrite};
use self::{secrecy::masked, turns::Turn};
pub(crate) use self::{settle::unknown, turns::Turns};
use crate::{
    audit::{Actor, FieldChange},
    changeset::{Changeset, Committed, Delta, Idempotency, IdempotencyRecord},
    connector::{Connector, RemoteKind, RemoteUpdate},
    error::Error,
    host::Host,
    id::{LedgerId, LinkedAccountId},
    policy::{Action, Reach},
    principal::Context,
    provider::{GetUser, Provider, UpdateUser, Updated, UserView},
    revision::{Expect, Revision},
    store::{Store, UserKey},
    user::{User, UserPatch},
};

/// A write that is at intent for so long is no longer under way: its outcome could not be recorded. 400 s: more than the wait for a turn, five
/// calls of the longest time that a call may take (a read before and one after may be two each), and the attempts to record what came
/// of them.
const OVERDUE_SECONDS: i64 = 400;
/// How long a write waits for those to the same user that came before it, in milliseconds.
pub const TURN_MILLIS: u64 = 20_000;
/// How long a user is read whose version alone is missing in an answer, in milliseconds.
const VERSION_MILLIS: u64 = 2_000;
/// The waits between attempts to record an outcome, in milliseconds.
const PAUSES: [u64; 4] = [20, 100, 500, 2_000];

/// One remote linked account as a provider.
pub struct Remote {
    account: LinkedAccountId,
    connector: Arc<dyn Connector>,
    store: Arc<dyn Store>,
    host: Arc<dyn Host>,
    turns: Arc<Turns>,
    ledger_id: LedgerId,
}

impl Remote {
    /// Wraps a connector. `ledger_id` is the identity of the next write, should there be one.
    pub(crate) fn new(
        account: LinkedAccountId,
        connector: Arc<dyn Connector>,
        store: Arc<dyn Store>,
        host: Arc<dyn Host>,
        turns: Arc<Turns>,
        ledger_id: LedgerId,
    ) -> Self {
        Self {
            account,
            connector,
            store,
            host,
            turns,
            ledger_id,
        }
    }

    async fn read(&self, id: &str) -> Result<User, Error> {
        versioned(self.connector.get_user(id).await?)
    }

    /// Compares what is required, if anything is, and sends the write. What the user was before is taken down where he is
    /// read for it; he is not read for that alone.
    async fn write(&self, entry: &mut LedgerEntry, update: &UpdateUser) -> Result<Option<User>, Error> {
        if update.expect != Expect::Any {
            let now = self.read(&entry.remote_id).await.map_err(undone)?;
            update.expect.check(Some(now.revision))?;
            note_before(&mut entry.said, &now)?;
        }
        self.send(entry, update).await
    }

    /// Sends the write and settles a lost answer by reading back.
    ///
    /// Another value than the one asked for shows that nothing was done only where the vendor has answered: else the write
    /// may still be on its way.
    async fn send(&self, entry: &LedgerEntry, update: &UpdateUser) -> Result<Option<User>, Error> {
        let remote = RemoteUpdate {
            id: &entry.remote_id,
            patch: &update.patch,
        };
        let failure = match self.connector.update_user(remote).await {
            Ok(Some(user)) => return versioned(user).map(Some),
            Ok(None) => return Ok(None),
            Err(Error::Remote(failure)) if failure.outcome_unknown() => failure,
            Err(error) => return Err(error),
        };
        let (answered, error) = (failure.kind == RemoteKind::Fault, Error::Remote(failure));
        if entry.said.is_empty() {
            return Err(undone(error));
        }
        match self.read_back(entry).await {
            Ok((Evidence::Applied, user)) => Ok(Some(user)),
            Ok((Evidence::Missing, _)) if answered => Err(undone(error)),
            Ok(_) => Err(error),
            Err(why) => {
                let fault = format!(
                    "a remote write without an outcome could not be read back: {}",
                    why.for_log()
                );
                self.host.report(&fault);
                Err(error)
            }
        }
    }

    /// One's turn to write to the user. Fails with [`Error::Busy`] if those before take longer than [`TURN_MILLIS`], and if the linked
    /// account was switched off or removed meanwhile.
    async fn turn(&self, context: &Context, entry: &LedgerEntry) -> Result<Turn, Error> {
        let tenant = context.principal.tenant;
        let name = (tenant, self.account.clone(), entry.remote_id.clone());
        let turn = self.within(TURN_MILLIS, self.turns.clone().take(name)).await;
        let turn = turn.ok_or(Error::Busy { retry_after: 5 })?;
        let account = self.store.linked_account(tenant, &self.account).await?;
        account
            .ok_or(Error::NotFound { what: "linked account" })?
            .check_active()?;
        Ok(turn)
    }

    /// The user whom the answer to a write did not tell, for his version alone: the write is done, whatever comes of this. Where that is
    /// recorded he is kept for a repeat. `None` if he is not read within [`VERSION_MILLIS`].
    async fn version(&self, context: &Context, done: LedgerEntry, recorded: bool) -> Option<User> {
        let user = self.read_soon(&done.remote_id).await?;
        if recorded && done.idempotency.is_some() {
            let tenant = context.principal.tenant;
            let mut changeset = done.ended(tenant, context.now, LedgerState::Done, Some(&user), false);
            changeset.idempotency = None;
            if let Err(error) = self.store.commit(changeset).await {
                let fault = format!("the version after a remote write is not recorded: {}", error.for_log());
                self.host.report(&fault);
            }
        }
        Some(user)
    }

    async fn read_soon(&self, id: &str) -> Option<User> {
        let read = self.within(VERSION_MILLIS, self.read(id)).await?;
        if let Err(why) = &read {
            let fault = format!("the version after a remote write could not be read: {}", why.for_log());
            self.host.report(&fault);
        }
        read.ok()
    }

    /// What comes of some work, if it does within so many milliseconds.
    async fn within<T>(&self, millis: u64, work: impl Future<Output = T>) -> Option<T> {
        let mut pause = pin!(self.host.pause(millis));
        let mut work = pin!(work);
        let first = poll_fn(|context| match work.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending => pause.as_mut().poll(context).map(|()| None),
        });
        first.await
    }

    /// The user as he is, and what he says about a write.
    async fn read_back(&self, entry: &LedgerEntry) -> Result<(Evidence, User), Error> {
        let user = self.read(&entry.remote_id).await?;
        let evidence = weigh(&entry.said, &user)?;
        Ok((evidence, user))
    }

    /// What a repeat is told, if the request was done before.
    async fn replay(&self, context: &Context, entry: &LedgerEntry) -> Result<Option<Committed>, Error> {
        match &entry.idempotency {
            Some(asked) => self.store.replay(context.principal.tenant, asked, context.now).await,
            None => Ok(None),
        }
    }

    async fn begin(&self, context: &Context, entry: &LedgerEntry) -> Result<Committed, Error> {
        let mut changeset = Changeset::new(context.principal.tenant, context.now);
        changeset.deltas.push(Delta::PutLedger(Box::new(entry.clone())));
        changeset.idempotency = entry.idempotency.clone();
        self.store.commit(changeset).await
    }

    /// Records the outcome in one commit: in the ledger, under the idempotency key, and in the audit log; false if the store refuses for
    /// good. Only what was refused here, before anything was sent, gets its audit entry from the gateway.
    async fn finish(&self, context: &Context, entry: LedgerEntry, outcome: &Result<Option<User>, Error>) -> bool {
        let (state, user) = match outcome {
            Ok(user) => (LedgerState::Done, user.as_ref()),
            Err(Error::Remote(failure)) if failure.outcome_unknown() => {
                (LedgerState::Unknown(failure.to_string()), None)
            }
            Err(error) => (LedgerState::Failed(error.to_string()), None),
        };
        let audited = matches!(outcome, Ok(_) | Err(Error::Remote(_)));
        let changeset = entry.ended(context.principal.tenant, context.now, state, user, audited);
        self.record(changeset).await
    }

    /// Commits what a vendor did. Tried again a few times, since it cannot be taken back; if the store refuses for good, which is false, the
    /// write stays an intent, which is settled at the next start. The caller is told what the vendor did all the same.
    async fn record(&self, mut changeset: Changeset) -> bool {
        let mut pauses = PAUSES.into_iter();
        while let Err(error) = self.store.commit(changeset.clone()).await {
            if matches!(error, Error::IdempotencyMismatch) {
                // The key's time ended meanwhile, and it is another request's.
                changeset.idempotency = None;
            }
            let Some(pause) = pauses.next() else {
                let fault = format!("the outcome of a remote write is not recorded: {}", error.for_log());
                self.host.report(&fault);
                return false;
            };
            self.host.pause(pause).await;
        }
        true
    }

    /// The write that a repeat repeats: while a key is taken, the last one begun under it.
    async fn first(&self, context: &Context, repeat: &LedgerEntry) -> Result<Option<LedgerEntry>, Error> {
        match &repeat.idempotency {
            Some(asked) => self.store.last_write(context.principal.tenant, &asked.key).await,
            None => Ok(None),
        }
    }

    /// Answers a repeat whose first request has no known outcome: as done, if reading back shows that it was.
    async fn repeated(&self, context: &Context, repeat: &LedgerEntry) -> Result<Updated, Error> {
        let tenant = context.principal.tenant;
        let first = self.first(context, repeat).await?;
        let overdue = |entry: &LedgerEntry| entry.begun_at.plus_seconds(OVERDUE_SECONDS) <= context.now;
        let first = first.filter(|entry| match entry.state {
            LedgerState::Unknown(_) => true,
            LedgerState::Intent => overdue(entry),
            LedgerState::Done | LedgerState::Failed(_) => false,
        });
        let first = first.ok_or(Error::IdempotencyPending)?;
        let Ok((Evidence::Applied, user)) = self.read_back(&first).await else {
            return Err(Error::IdempotencyPending);
        };
        self.record(first.ended(tenant, context.now, LedgerState::Done, Some(&user), true))
            .await;
        Ok(Updated {
            view: Some(UserView::bare(Arc::new(user))),
            changed: false,
            at: context.now,
            replayed: true,
        })
    }

    /// What a delta makes Patchbay send: each member once, passed-through ones in place of those that they override.
    fn sent(&self, patch: &UserPatch) -> Vec<FieldChange> {
        let overridden = |said: &FieldChange| {
            let carrier = self.connector.carrier(&said.field);
            let carried = |name: &String| {
                patch
                    .passthrough
                    .keys()
                    .any(|passed| self.connector.same_member(name, passed))
            };
            carrier.as_ref().is_some_and(carried)
        };
        let mut sent = patch.said();
        sent.retain(|said| passed(said) || !overridden(said));
        for said in sent.iter_mut().filter(|said| passed(said)) {
            said.after = masked(&said.field, mem::take(&mut said.after));
        }
        sent
    }

    /// The write as it is recorded before it is sent.
    fn entry(&self, context: &Context, remote_id: String, update: &UpdateUser) -> LedgerEntry {
        LedgerEntry {
            id: self.ledger_id,
            account: self.account.clone(),
            remote_id,
            request_id: context.request_id.clone(),
            actor: Actor::of(context),
            dialect: context.dialect.into(),
            said: self.sent(&update.patch),
            idempotency: update.idempotency.as_ref().map(|asked| Idempotency {
                record: IdempotencyRecord::Begin,
                ..asked.clone()
            }),
            state: LedgerState::Intent,
            user: None,
            begun_at: context.now,
        }
    }
}

#[async_trait]
impl Provider for Remote {
    async fn get_user(&self, context: &Context, query: &GetUser) -> Result<UserView, Error> {
        check(context, Action::GetUser)?;
        let user = self.read(&remote_id(&query.key)?).await?;
        Ok(UserView::bare(Arc::new(user)))
    }

    async fn update_user(&self, context: &Context, key: &UserKey, update: UpdateUser) -> Result<Updated, Error> {
        check(context, Action::UpdateUser)?;
        if !update.patch.icon.is_absent() && !self.connector.capability().icons {
            return Err(Error::unsupported("icon", "cannot be set by this provider"));
        }
        let id = remote_id(key)?;
        // The bounds of the domain hold outward too.
        User::remote(&id).apply(&update.patch)?;
        let mut entry = self.entry(context, id, &update);
        // A repeat is told at once, and what only waits has not begun.
        let (begun, turn) = match self.replay(context, &entry).await {
            Ok(None) => {
                let turn = self.turn(context, &entry).await?;
                (self.begin(context, &entry).await, Some(turn))
            }
            Ok(Some(done)) => (Ok(done), None),
            Err(error) => (Err(error), None),
        };
        let begun = match begun {
            Err(Error::IdempotencyPending) => {
                drop(turn);
                return self.repeated(context, &entry).await;
            }
            begun => begun?,
        };
        if begun.replayed {
            let user = self.first(context, &entry).await?.and_then(|first| first.user);
            return Ok(Updated {
                view: user.map(|user| UserView::bare(Arc::from(user))),
                changed: false,
                at: begun.at,
                replayed: true,
            });
        }
        let outcome = self.write(&mut entry, &update).await;
        let recorded = self.finish(context, entry.clone(), &outcome).await;
        let user = match outcome? {
            None => self.version(context, entry, recorded).await,
            told => told,
        };
        Ok(Updated {
            view: user.map(|user| UserView::bare(Arc::new(user))),
            changed: true,
            at: context.now,
            replayed: false,
        })
    }
}

/// The user with the digest of all that the vendor tells of him as his revision.
fn versioned(mut user: User) -> Result<User, Error> {
    let told = serde_json::to_vec(&user).map_err(Error::internal)?;
    let digest: [u8; 32] = Sha256::digest(told).into();
    let number = digest.iter().take(8);
    user.revision = Revision(number.fold(0, |number, byte| number << 8 | u64::from(*byte)));
    Ok(user)
}

/// A failure of which it is known that the vendor did nothing.
fn undone(error: Error) -> Error {
    let Error::Remote(mut failure) = error else {
        return error;
    };
    failure.undone = true;
    Error::Remote(failure)
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

/// The id as the vendor knows it. None has control characters: in a URL some of them are dropped, and what is left may be
/// another user's id.
fn remote_id(key: &UserKey) -> Result<String, Error> {
    match key {
        UserKey::Opaque(id) if id.contains(char::is_control) => Err(Error::NotFound { what: "user" }),
        UserKey::Opaque(id) => Ok(id.clone()),
        UserKey::Id(id) => Ok(id.to_string()),
        UserKey::Serial(_) | UserKey::Email(_) => Err(Error::NotImplemented {
            operation: "looking a user up by this kind of id".to_owned(),
        }),
    }
}

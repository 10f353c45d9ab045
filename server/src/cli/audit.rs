//! `patchbay audit`: who changed what, before and after; and whether the log is whole.

use std::{cmp::Ordering, path::PathBuf};

use clap::Args;
use patchbay_core::{
    audit::{self, AuditEvent, ChainHash, FieldChange, Outcome},
    changeset::Tenant,
    error::Error,
    id::TenantId,
    store::UserKey,
};
use serde_json::{Value, json};

use super::{
    Complaint, TenantArgument,
    folder::{Folder, Purpose},
    print,
    table::{plain, table},
};
use crate::config::Config;

/// Events read at a time.
const PAGE: u32 = 1_000;
/// The most characters of a value that are shown to people.
const SHOWN: usize = 100;

/// Arguments of `patchbay audit`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  patchbay audit --data ./patchbay-data
  patchbay audit --data ./patchbay-data --user leia.organa@example.com --json
  patchbay audit --data ./patchbay-data --verify
  patchbay audit --data ./patchbay-data --verify --json")]
pub(super) struct Audit {
    /// Data folder.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Only changes of this user: his UUID, or the mail address of a user of the directory; or of this linked account.
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// Print one JSON object per line instead of a table: one per entry, or with --verify one per tenant.
    #[arg(long)]
    json: bool,
    /// Check the chain of every tenant instead: that no entry was changed, slipped in or taken out, up to the end that the
    /// store has recorded.
    #[arg(long, conflicts_with = "user")]
    verify: bool,
    /// Only this tenant's log.
    #[command(flatten)]
    tenant: TenantArgument,
}

impl Audit {
    /// Prints or checks the log.
    pub(super) async fn run(self, config: &Config) -> Result<(), Complaint> {
        let folder = Folder::existing(&self.data, config, Purpose::Command)?;
        let tenants = match self.tenant.tenant {
            Some(id) => vec![folder.tenant(Some(id)).await?],
            None => folder.tenants().await?,
        };
        if tenants.is_empty() {
            // A log that is gone is not whole.
            folder.tenant(None).await?;
        }
        if self.verify {
            return verify(&folder, &tenants, self.json).await;
        }
        let mut found = false;
        for tenant in &tenants {
            let wanted = self.wanted(&folder, tenant.id).await?;
            found |= !matches!(wanted, Wanted::Unknown(_));
            let title =
                (!self.json && tenants.len() > 1).then(|| format!("Tenant {} ({})\n", tenant.id, plain(&tenant.name)));
            found |= self.show(&folder, tenant.id, &wanted, title).await?;
        }
        match &self.user {
            Some(user) if !found => Err(Complaint(format!(
                "there is no user or linked account {}; name a user by his UUID or mail address, an account by its id",
                plain(user)
            ))),
            _ => Ok(()),
        }
    }

    /// Whose changes are wanted in a tenant.
    async fn wanted(&self, folder: &Folder, tenant: TenantId) -> Result<Wanted, Complaint> {
        let Some(user) = &self.user else {
            return Ok(Wanted::Everything);
        };
        let key = if user.contains('@') {
            UserKey::Email(user.clone())
        } else {
            UserKey::Opaque(user.clone())
        };
        let found = folder.store.user(tenant, &key).await;
        let found = found.map_err(|error| Complaint::while_doing("look up the user", &error))?;
        Ok(found.map_or_else(
            || Wanted::Unknown(user.clone()),
            |user| Wanted::User(user.id.to_string()),
        ))
    }

    /// Prints what is wanted of a tenant's log, below a title if there is one. True if there was anything.
    async fn show(
        &self,
        folder: &Folder,
        tenant: TenantId,
        wanted: &Wanted,
        mut title: Option<String>,
    ) -> Result<bool, Complaint> {
        let mut found = false;
        let mut after = 0;
        loop {
            let page = folder.store.audit(tenant, after, PAGE).await;
            let page = page.map_err(|error| Complaint::while_doing("read the audit log", &error))?;
            let Some(last) = page.last() else { return Ok(found) };
            after = last.position;
            let events: Vec<&AuditEvent> = page.iter().filter(|event| wanted.holds(event)).collect();
            if events.is_empty() {
                continue;
            }
            found = true;
            print(&title.take().unwrap_or_default())?;
            print(&if self.json {
                lines(events.iter().map(|event| object(tenant, event).to_string()))
            } else {
                for_people(&events)
            })?;
        }
    }
}

/// Which events are wanted.
enum Wanted {
    Everything,
    /// A user of the directory, by his id.
    User(String),
    /// What the directory does not know but the log may: a linked account, or a user behind one.
    Unknown(String),
}

impl Wanted {
    fn holds(&self, event: &AuditEvent) -> bool {
        match self {
            Self::Everything => true,
            Self::User(id) | Self::Unknown(id) => event.entry.resource.eq_ignore_ascii_case(id),
        }
    }
}

/// An event for programs: the entry as it is kept, its time as RFC 3339, and its place in the chain.
fn object(tenant: TenantId, event: &AuditEvent) -> Value {
    let entry = &event.entry;
    json!({
        "tenant": tenant,
        "position": event.position,
        "hash": hex::encode(event.hash.0),
        "at": entry.at.to_string(),
        "actor": entry.actor,
        "action": entry.action,
        "dialect": entry.dialect,
        "request_id": entry.request_id,
        "resource": entry.resource,
        "account": entry.account,
        "outcome": entry.outcome,
        "revision": entry.revision,
        "changes": entry.changes,
    })
}

/// Events for people: a line each, and below it a line per changed member.
fn for_people(events: &[&AuditEvent]) -> String {
    let rows: Vec<[String; 7]> = events.iter().map(|event| row(event)).collect();
    let text = table(["#", "when", "who", "what", "on", "through", "outcome"], &rows);
    let mut of_table = text.lines().map(str::to_owned);
    let mut shown: Vec<String> = of_table.next().into_iter().collect();
    for (line, event) in of_table.zip(events) {
        shown.push(line);
        let line = match event.entry.account {
            Some(_) => remote_line,
            None => change_line,
        };
        let changes = event.entry.changes.iter();
        shown.extend(changes.map(|change| format!("    {}", line(change))));
    }
    lines(shown)
}

fn lines(lines: impl IntoIterator<Item = String>) -> String {
    lines.into_iter().flat_map(|line| [line, "\n".to_owned()]).collect()
}

fn row(event: &AuditEvent) -> [String; 7] {
    let entry = &event.entry;
    let who = match entry.actor.fingerprint.as_str() {
        "" => entry.actor.name.to_string(),
        fingerprint => format!("{} (key ...{fingerprint})", entry.actor.name),
    };
    let on = match &entry.account {
        Some(account) => format!("{} in {account}", entry.resource),
        None => entry.resource.clone(),
    };
    let outcome = match (&entry.outcome, entry.revision) {
        (Outcome::Done, Some(revision)) => format!("done, revision {revision}"),
        (Outcome::Done, None) => "done".to_owned(),
        (Outcome::Refused(why), _) => format!("refused: {why}"),
        (Outcome::Failed(why), _) => format!("failed: {why}"),
        (Outcome::Unknown(why), _) => format!("not known: {why}"),
    };
    let (position, when) = (event.position.to_string(), entry.at.to_string());
    [
        &*position,
        &*when,
        &*who,
        &*entry.action,
        &*on,
        &*entry.dialect,
        &*outcome,
    ]
    .map(plain)
}

/// One changed member of a remote user: `title: ? → "General"` where it is not known what was there before.
fn remote_line(change: &FieldChange) -> String {
    if change.before.is_null() {
        format!("{}: ? → {}", plain(&change.field), shown(&change.after))
    } else {
        change_line(change)
    }
}

/// One changed member: `title: "Captain" → "General"`.
pub(super) fn change_line(change: &FieldChange) -> String {
    let (before, after) = (shown(&change.before), shown(&change.after));
    format!("{}: {before} → {after}", plain(&change.field))
}

fn shown(value: &Value) -> String {
    let text = plain(&value.to_string());
    if text.chars().count() <= SHOWN {
        return text;
    }
    let start: String = text.chars().take(SHOWN).collect();
    format!("{start}...")
}

/// Checks the chains, one line per tenant. Fails if any is broken, naming those tenants and the positions.
async fn verify(folder: &Folder, tenants: &[Tenant], json: bool) -> Result<(), Complaint> {
    let mut broken = Vec::new();
    for Tenant { id: tenant, .. } in tenants {
        let end = chain_end(folder, *tenant).await?;
        let told = match end {
            Ok((entries, _)) => format!("tenant {tenant}: {entries} entries, the chain is whole"),
            Err(position) => format!("tenant {tenant}: the chain is broken at position {position}"),
        };
        print(&if json {
            format!("{}\n", verdict(*tenant, end))
        } else {
            format!("{told}\n")
        })?;
        if end.is_err() {
            broken.push(told);
        }
    }
    if broken.is_empty() {
        return Ok(());
    }
    let broken = broken.join(", ");
    Err(Complaint(format!(
        "{broken}; the log was altered there, restore it from a copy"
    )))
}

/// What was found of a chain, for programs: how many entries, the last one's hash, and where it is broken, each null where there is none.
fn verdict(tenant: TenantId, end: Result<(u64, ChainHash), u64>) -> Value {
    let whole = end.ok();
    json!({
        "tenant": tenant,
        "whole": whole.is_some(),
        "entries": whole.map(|(entries, _)| entries),
        "hash": whole.map(|(_, hash)| hex::encode(hash.0)),
        "broken_at": end.err(),
    })
}

/// The end of a tenant's chain, if it is whole; the inner error is the position at which it is broken.
async fn chain_end(folder: &Folder, tenant: TenantId) -> Result<Result<(u64, ChainHash), u64>, Complaint> {
    let mut end = (0, ChainHash::default());
    loop {
        let page = match folder.store.audit(tenant, end.0, PAGE).await {
            Ok(page) => page,
            Err(error) => return Ok(Err(unreadable(folder, tenant, end.0, &error).await?)),
        };
        end = match audit::verify(end, &page) {
            Ok(end) => end,
            Err(position) => return Ok(Err(position)),
        };
        if !page.is_empty() {
            continue;
        }
        match at_head(folder, tenant, end).await? {
            // Every tenant's log begins with the making of the tenant.
            Ok(true) if end.0 == 0 => return Ok(Err(1)),
            Ok(true) => return Ok(Ok(end)),
            Ok(false) => {}
            Err(position) => return Ok(Err(position)),
        }
    }
}

/// Compares the end of what was read with the recorded end; false if the log has grown since it was read. The inner error
/// is the position at which the log is broken.
async fn at_head(folder: &Folder, tenant: TenantId, end: (u64, ChainHash)) -> Result<Result<bool, u64>, Complaint> {
    let failed = |error| Complaint::while_doing("read the audit log", &error);
    let head = folder.store.audit_head(tenant).await.map_err(failed)?;
    Ok(match head.0.cmp(&end.0) {
        Ordering::Equal if head.1 == end.1 => Ok(true),
        Ordering::Equal => Err(end.0),
        Ordering::Less => Err(head.0 + 1),
        Ordering::Greater => {
            let next = folder.store.audit(tenant, end.0, 1).await.map_err(failed)?;
            if next.is_empty() { Err(end.0 + 1) } else { Ok(false) }
        }
    })
}

/// The position of the first entry after `after` that cannot be read as one, where reading a page of them failed.
///
/// Fails with the store's own failure if each entry for itself can be read.
async fn unreadable(folder: &Folder, tenant: TenantId, after: u64, error: &Error) -> Result<u64, Complaint> {
    for position in after..after + u64::from(PAGE) {
        if folder.store.audit(tenant, position, 1).await.is_err() {
            return Ok(position + 1);
        }
    }
    Err(Complaint::while_doing("read the audit log", error))
}

//! `patchbay account`: the remote identity systems that a tenant is connected to. Each change leaves its audit entry.

mod target;

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::PathBuf,
    sync::Arc,
};

use clap::{Args, Subcommand};
use patchbay_core::{
    audit::FieldChange,
    changeset::{Changeset, Delta},
    clock::Clock,
    id::{LinkedAccountId, TenantId},
    linked_account::{AccountStatus, LinkedAccount, RemoteTarget},
};
use secrecy::SecretString;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use self::target::{base_url, check, dialect};
use super::{
    Complaint, TenantArgument,
    folder::{Folder, Purpose},
    note, operator, print,
    table::{plain, table},
};
use crate::{
    config::Config,
    dialects::{Dialect, REGISTRY},
    outbound::connectors::open,
    seal::{Bound, SealError, Sealer},
    system::{SystemClock, SystemEntropy},
};

/// The most bytes of a secret.
const MAX_SECRET: u64 = 16 * 1024;
const SECRET_VARIABLE: &str = "PATCHBAY_ACCOUNT_SECRET";

/// Arguments of `patchbay account`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  patchbay account list --data ./patchbay-data")]
pub(super) struct Account {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Link a remote system, and print the id by which callers choose it.
    Add(Add),
    /// List the linked accounts. Secrets are not shown.
    List(List),
    /// Switch a linked account off: callers that choose it are refused.
    #[command(after_help = "Example:\n  patchbay account disable --data ./patchbay-data 45355976281015164504")]
    Disable(One),
    /// Switch a linked account on again.
    #[command(after_help = "Example:\n  patchbay account enable --data ./patchbay-data 45355976281015164504")]
    Enable(One),
    /// Forget a linked account and its secret.
    #[command(after_help = "Example:\n  patchbay account remove --data ./patchbay-data 45355976281015164504")]
    Remove(One),
}

/// Where the accounts are.
#[derive(Debug, Args)]
struct Place {
    /// Data folder.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    #[command(flatten)]
    tenant: TenantArgument,
}

#[derive(Debug, Args)]
#[command(after_help = example())]
struct Add {
    #[command(flatten)]
    place: Place,
    #[arg(long, value_name = "NAME", help = spoken())]
    dialect: String,
    /// Where the remote system is, with any path that its routes stand under.
    #[arg(long, value_name = "URL")]
    base_url: String,
    /// File with the key that the remote system knows us by; `-` reads it from the standard input.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// A setting that the dialect needs, once per setting.
    #[arg(long = "setting", value_name = "KEY=VALUE", value_parser = setting)]
    settings: Vec<(String, String)>,
    /// Print a JSON object instead of the bare id.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  patchbay account list --data ./patchbay-data --json")]
struct List {
    #[command(flatten)]
    place: Place,
    /// Print one JSON array instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct One {
    #[command(flatten)]
    place: Place,
    /// Id of the linked account.
    #[arg(value_name = "ID")]
    id: String,
}

impl Account {
    /// Does what the subcommand says.
    pub(super) async fn run(self, config: &Config) -> Result<(), Complaint> {
        match self.command {
            Command::Add(arguments) => arguments.run(config).await,
            Command::List(arguments) => arguments.run(config).await,
            Command::Disable(arguments) => arguments.switch(config, AccountStatus::Disabled).await,
            Command::Enable(arguments) => arguments.switch(config, AccountStatus::Active).await,
            Command::Remove(arguments) => arguments.remove(config).await,
        }
    }
}

impl Place {
    async fn open(&self, config: &Config) -> Result<(Folder, TenantId), Complaint> {
        let folder = Folder::existing(&self.data, config, Purpose::Command)?;
        let tenant = folder.tenant(self.tenant.tenant).await?.id;
        Ok((folder, tenant))
    }
}

impl Add {
    async fn run(self, config: &Config) -> Result<(), Complaint> {
        let base_url = base_url(&self.base_url)?;
        let settings: BTreeMap<String, String> = self.settings.iter().cloned().collect();
        if settings.len() < self.settings.len() {
            return Err(Complaint(
                "a setting is given twice; give each --setting once".to_owned(),
            ));
        }
        let dialect = dialect(&self.dialect, &settings)?;
        let secret = self.secret()?;
        let hint = check(dialect, &base_url, &secret, &settings, config)?;
        let (folder, tenant) = self.place.open(config).await?;
        let (id, now) = (new_id(), SystemClock.now());
        let bound = Bound {
            tenant,
            account: &id,
            dialect: &self.dialect,
            base_url: &base_url,
        };
        let sealer = folder.sealer(config)?;
        tell_lost_keys(&folder, &sealer).await?;
        let sealed = sealer.seal(bound, &secret);
        let account = LinkedAccount {
            id: id.clone(),
            tenant,
            status: AccountStatus::Active,
            remote: Some(RemoteTarget {
                dialect: self.dialect,
                base_url,
                secret: sealed.map_err(|error| Complaint(error.to_string()))?,
                settings,
            }),
            created_at: now,
            updated_at: now,
        };
        let changes = told(None, Some(&account));
        keep(
            &folder,
            Delta::PutLinkedAccount(account),
            &id,
            tenant,
            "add_linked_account",
            changes,
        )
        .await?;
        if let Some(hint) = hint {
            note(hint);
        }
        let shown = if self.json {
            json!({ "id": id }).to_string()
        } else {
            id.to_string()
        };
        print_done(&shown, &format!("the linked account {id} is added"))
    }

    /// The secret from the file, the standard input, or the environment; without the line break at its end.
    fn secret(&self) -> Result<SecretString, Complaint> {
        let text = match &self.secret_file {
            Some(path) if path.as_os_str() == "-" => read(io::stdin().lock(), "the standard input")?,
            Some(path) => {
                let place = path.display().to_string();
                let file = File::open(path).map_err(|error| Complaint(format!("cannot read {place}: {error}")))?;
                read(file, &place)?
            }
            None => Zeroizing::new(std::env::var(SECRET_VARIABLE).map_err(|_| {
                Complaint(format!(
                    "the secret is missing; give --secret-file FILE, or set {SECRET_VARIABLE}"
                ))
            })?),
        };
        let secret = text.trim_end_matches(['\r', '\n']);
        if secret.is_empty() || secret.chars().any(char::is_control) {
            return Err(Complaint("the secret must be one line that is not empty".to_owned()));
        }
        Ok(SecretString::from(secret))
    }
}

/// An example of `patchbay account add`, with a dialect that needs no setting.
fn example() -> String {
    let simple = REGISTRY.iter().find(|dialect| dialect.settings().is_empty());
    let dialect = simple.map_or("NAME", |dialect| dialect.name());
    format!(
        "Example:
  printf %s \"$TOKEN\" | patchbay account add --data ./patchbay-data --dialect {dialect} --base-url https://acme.example.com/api --secret-file -

The secret can also be given in the environment variable {SECRET_VARIABLE}."
    )
}

/// The help of `--dialect`: the dialects there are, and the settings that they need.
fn spoken() -> String {
    let one = |dialect: &&dyn Dialect| match dialect.settings() {
        [] => dialect.name().to_owned(),
        settings => format!(
            "{} (needs --setting {}=VALUE)",
            dialect.name(),
            settings.join("=VALUE, --setting ")
        ),
    };
    let all: Vec<String> = REGISTRY.iter().map(one).collect();
    format!("The dialect that the remote system speaks: {}", all.join(", "))
}

fn read(from: impl Read, place: &str) -> Result<Zeroizing<String>, Complaint> {
    let mut text = Zeroizing::new(String::new());
    let read = from.take(MAX_SECRET + 1).read_to_string(&mut text);
    let length = read.map_err(|error| Complaint(format!("cannot read the secret from {place}: {error}")))?;
    if length as u64 > MAX_SECRET {
        return Err(Complaint(format!(
            "the secret in {place} has more than {MAX_SECRET} bytes"
        )));
    }
    Ok(text)
}

/// Tells of accounts whose secrets no key here opens: a new one seals the next secret and helps none of them.
async fn tell_lost_keys(folder: &Folder, sealer: &Sealer) -> Result<(), Complaint> {
    let mut accounts = Vec::new();
    for tenant in folder.tenants().await? {
        let found = folder.store.linked_accounts(tenant.id).await;
        accounts.extend(found.map_err(|error| Complaint::while_doing("read the linked accounts", &error))?);
    }
    let lost = |account: &&LinkedAccount| {
        let remote = account.remote.as_ref();
        let opened = remote.map(|remote| open(sealer, account, remote));
        matches!(opened, Some(Err(SealError::UnknownKey { .. })))
    };
    let lost: Vec<String> = accounts
        .iter()
        .filter(lost)
        .map(|account| account.id.to_string())
        .collect();
    if !lost.is_empty() {
        let lost = lost.join(", ");
        note(&format!(
            "patchbay: note: the key that sealed the secrets of {lost} is not here; bring it back, or add those accounts anew"
        ));
    }
    Ok(())
}

/// One `key=value` argument.
fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("must have the form KEY=VALUE".to_owned()),
    }
}

impl List {
    async fn run(self, config: &Config) -> Result<(), Complaint> {
        let (folder, tenant) = self.place.open(config).await?;
        let accounts = folder.store.linked_accounts(tenant).await;
        let accounts = accounts.map_err(|error| Complaint::while_doing("read the linked accounts", &error))?;
        if self.json {
            let shown: Vec<Value> = accounts.iter().map(object).collect();
            return print(&format!("{}\n", Value::Array(shown)));
        }
        let rows: Vec<[String; 5]> = accounts.iter().map(row).collect();
        print(&table(["id", "dialect", "base URL", "status", "since"], &rows))
    }
}

fn object(account: &LinkedAccount) -> Value {
    let remote = account.remote.as_ref();
    json!({
        "id": account.id,
        "dialect": remote.map(|remote| &remote.dialect),
        "base_url": remote.map(|remote| &remote.base_url),
        "settings": remote.map(|remote| &remote.settings),
        "status": account.status.as_str(),
        "created_at": account.created_at.to_string(),
        "updated_at": account.updated_at.to_string(),
    })
}

fn row(account: &LinkedAccount) -> [String; 5] {
    let (dialect, base_url) = account.remote.as_ref().map_or_else(
        || ("embedded directory".to_owned(), String::new()),
        |remote| (remote.dialect.clone(), remote.base_url.clone()),
    );
    let status = account.status.as_str().to_owned();
    [
        account.id.to_string(),
        dialect,
        base_url,
        status,
        account.created_at.to_string(),
    ]
    .map(|cell| plain(&cell))
}

impl One {
    async fn switch(self, config: &Config, status: AccountStatus) -> Result<(), Complaint> {
        let (folder, tenant, before) = self.find(config).await?;
        let shown = status.as_str();
        if before.status == status {
            return print(&format!("{} is {shown} already\n", before.id));
        }
        let mut after = LinkedAccount::clone(&before);
        after.status = status;
        after.updated_at = SystemClock.now();
        let changes = told(Some(&before), Some(&after));
        let delta = Delta::PutLinkedAccount(after);
        keep(&folder, delta, &before.id, tenant, "update_linked_account", changes).await?;
        let done = format!("{} is {shown} now", before.id);
        print_done(&done, &done)
    }

    async fn remove(self, config: &Config) -> Result<(), Complaint> {
        let (folder, tenant, account) = self.find(config).await?;
        if account.remote.is_none() {
            let next = "switch it off with `patchbay account disable`";
            return Err(Complaint(format!("the embedded directory cannot be removed; {next}")));
        }
        let (id, changes) = (&account.id, told(Some(&account), None));
        let delta = Delta::RemoveLinkedAccount(id.clone());
        keep(&folder, delta, id, tenant, "remove_linked_account", changes).await?;
        let done = format!("{id} is removed");
        print_done(&done, &done)
    }

    async fn find(&self, config: &Config) -> Result<(Folder, TenantId, Arc<LinkedAccount>), Complaint> {
        let (folder, tenant) = self.place.open(config).await?;
        let id = LinkedAccountId(self.id.as_str().into());
        let account = folder.store.linked_account(tenant, &id).await;
        let account = account.map_err(|error| Complaint::while_doing("read the linked account", &error))?;
        let account = account.ok_or_else(|| {
            let id = plain(&self.id);
            Complaint(format!(
                "there is no linked account {id}; `patchbay account list` shows those there are"
            ))
        })?;
        Ok((folder, tenant, account))
    }
}

/// A new linked account's id: 20 digits, the first not zero.
pub(super) fn new_id() -> LinkedAccountId {
    let least = 10_u128.pow(19);
    let number = least + u128::from_be_bytes(SystemEntropy.bytes()) % (9 * least);
    LinkedAccountId(number.to_string().into())
}

/// What the log keeps of a change of an account. Never its secret.
fn told(before: Option<&LinkedAccount>, after: Option<&LinkedAccount>) -> Vec<FieldChange> {
    let member = |account: Option<&LinkedAccount>, name: &str| {
        account.map_or(Value::Null, |account| object(account)[name].clone())
    };
    ["dialect", "base_url", "settings", "status"]
        .into_iter()
        .map(|name| FieldChange {
            field: name.into(),
            before: member(before, name),
            after: member(after, name),
        })
        .filter(|change| change.before != change.after)
        .collect()
}

/// Prints a line once something is done; where that cannot be, the complaint tells that it is done all the same.
fn print_done(line: &str, done: &str) -> Result<(), Complaint> {
    print(&format!("{line}\n")).map_err(|complaint| Complaint(format!("{complaint}; {done} all the same")))
}

async fn keep(
    folder: &Folder,
    delta: Delta,
    id: &LinkedAccountId,
    tenant: TenantId,
    action: &'static str,
    changes: Vec<FieldChange>,
) -> Result<(), Complaint> {
    let mut entry = operator(action, id.to_string());
    entry.changes = changes;
    let mut changeset = Changeset::new(tenant, entry.at);
    changeset.deltas.push(delta);
    changeset.audit = Some(entry);
    folder.commit(changeset).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_twenty_digits() {
        let id = new_id().0;
        assert!(id.len() == 20 && id.bytes().all(|byte| byte.is_ascii_digit()), "{id}");
    }
}

//! `patchbay init`: a new tenant in a data folder.

use std::{fmt::Display, path::PathBuf};

use clap::Args;
use patchbay_core::{
    changeset::{Changeset, Delta, Tenant},
    clock::{Clock, Timestamp},
    credential::{Credential, CredentialHash, Subject},
    gateway::Entropy,
    id::{CredentialId, LinkedAccountId, RoleId, Serial, TenantId},
    linked_account::{AccountStatus, LinkedAccount},
    policy::{Reach, Statement},
    role::Role,
};
use serde_json::{Map, Value, json};

use super::{
    Complaint,
    account::new_id,
    folder::{Folder, Purpose},
    generate, operator,
    stop::told_to_stop,
    table::{plain, table},
    write_out,
};
use crate::{
    config::Config,
    dialects::REGISTRY,
    sample,
    system::{SystemClock, SystemEntropy},
    walkthrough::{Sample, SampleUser},
};

/// Arguments of `patchbay init`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  patchbay init --data ./patchbay-data --sample --json
  patchbay init --data ./patchbay-data --name Example")]
pub(super) struct Init {
    /// Data folder; made if it is not there. It must not hold a tenant yet.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Fill the tenant with sample users and keys; without it the tenant has nothing but an administrator's key.
    #[arg(long)]
    sample: bool,
    /// With --sample: also generate this many users, and write their ids to a file of the data folder.
    #[arg(long, value_name = "N", requires = "sample", value_parser = clap::value_parser!(u32).range(1..=i64::from(generate::MOST)))]
    users: Option<u32>,
    /// Name of the tenant.
    #[arg(long, value_name = "NAME", default_value = "main", conflicts_with = "sample")]
    name: String,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

impl Init {
    /// Makes the tenant and prints what is needed to use it. The keys are shown this once.
    pub(super) async fn run(self, config: &Config) -> Result<(), Complaint> {
        let folder = Folder::create(&self.data, config, Purpose::Command)?;
        // Two at once would each find no tenant and make one.
        let _alone = folder.alone()?;
        if let Some(tenant) = folder.tenants().await?.first() {
            let place = self.data.display();
            let next = "choose another folder with --data";
            return Err(Complaint(format!(
                "{place} already holds the tenant {}; {next}",
                tenant.id
            )));
        }
        // From here on there may be a tenant whose keys nobody has seen, so the command does not end without a word.
        let stop = told_to_stop(config.log.format)?;
        let now = SystemClock.now();
        let shown = if self.sample {
            let sample = make_sample(&folder, now).await?;
            let mut shown = describe(&sample);
            if let Some(count) = self.users {
                let path = tokio::select! {
                    biased;
                    () = stop => Err(Complaint("stopped before all users were made".to_owned())),
                    path = generate::users(&folder, &sample, count, now) => path,
                };
                let path = path.map_err(|complaint| self.unseen(&complaint))?;
                let path = std::path::absolute(&path).unwrap_or(path);
                shown.insert("generated".to_owned(), json!({ "count": count, "id_file": path }));
            }
            shown
        } else {
            make_empty(&folder, self.name.clone(), now).await?
        };
        let shown = Value::Object(shown);
        let text = if self.json {
            format!("{shown}\n")
        } else {
            let table = table(["what", "value"], &rows("", &shown));
            format!("{table}\nKeys are shown this once: only their hashes are kept.\n")
        };
        write_out(&text).map_err(|error| self.unseen(&error))
    }

    /// The complaint that a tenant is made whose keys nobody has seen.
    fn unseen(&self, why: &dyn Display) -> Complaint {
        let place = self.data.display();
        Complaint(format!(
            "{why}; {place} now holds a tenant whose keys were not shown and are kept nowhere: make one in another folder with --data"
        ))
    }
}

/// Makes a sample tenant in the folder.
pub(super) async fn make_sample(folder: &Folder, now: Timestamp) -> Result<Sample, Complaint> {
    let (mut changeset, sample) = sample::tenant(&SystemEntropy, now);
    changeset.audit = Some(operator("create_tenant", sample.tenant.to_string()));
    folder.commit(changeset).await?;
    Ok(sample)
}

/// What a script needs to know of a sample tenant: one member per dialect, and the users.
pub(super) fn describe(sample: &Sample) -> Map<String, Value> {
    let mut shown = Map::new();
    shown.insert("tenant".to_owned(), json!(sample.tenant));
    for dialect in REGISTRY {
        shown.insert(dialect.name().to_owned(), dialect.sample(sample));
    }
    let users = sample.users.iter().map(describe_user).collect();
    shown.insert("users".to_owned(), Value::Array(users));
    shown
}

fn describe_user(user: &SampleUser) -> Value {
    let mut shown = Map::new();
    shown.insert("id".to_owned(), json!(user.id));
    shown.insert("email".to_owned(), json!(user.email));
    shown.insert("username".to_owned(), json!(user.username));
    for dialect in REGISTRY {
        shown.extend(dialect.sample_user(user));
    }
    Value::Object(shown)
}

/// Makes a tenant with one key that may do everything, and the embedded directory as its linked account.
async fn make_empty(folder: &Folder, name: String, now: Timestamp) -> Result<Map<String, Value>, Complaint> {
    let id = TenantId(SystemEntropy.uuid());
    let (role, account) = (RoleId(SystemEntropy.uuid()), new_id());
    // Hexadecimal digits are safe in every dialect's header form.
    let key = hex::encode(SystemEntropy.bytes::<32>());
    let mut changeset = Changeset::new(id, now);
    changeset.audit = Some(operator("create_tenant", id.to_string()));
    changeset.deltas = vec![
        Delta::PutTenant(Tenant {
            id,
            name,
            created_at: now,
        }),
        Delta::PutRole(administrator(id, role, now)),
        Delta::PutCredential(Credential {
            id: CredentialId(SystemEntropy.uuid()),
            tenant: id,
            serial: Serial(1),
            hash: CredentialHash::of(&key),
            fingerprint: Credential::fingerprint_of(&key),
            subject: Subject::Service {
                name: "administrator".to_owned(),
                role,
                organization: None,
            },
            expires_at: None,
            created_at: now,
        }),
        Delta::PutLinkedAccount(embedded(id, account.clone(), now)),
    ];
    folder.commit(changeset).await?;
    let shown = json!({ "tenant": id, "administrator": { "key": key }, "account_id": account });
    Ok(shown.as_object().cloned().unwrap_or_default())
}

fn administrator(tenant: TenantId, id: RoleId, now: Timestamp) -> Role {
    Role {
        id,
        tenant,
        name: "Administrator".to_owned(),
        statement: Statement::everything(),
        reach: Reach::Tenant,
        created_at: now,
        updated_at: now,
    }
}

fn embedded(tenant: TenantId, id: LinkedAccountId, now: Timestamp) -> LinkedAccount {
    LinkedAccount {
        id,
        tenant,
        status: AccountStatus::Active,
        remote: None,
        created_at: now,
        updated_at: now,
    }
}

/// The leaves of a JSON value with their paths.
pub(super) fn rows(path: &str, value: &Value) -> Vec<[String; 2]> {
    let below = |name: &str| {
        if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        }
    };
    match value {
        Value::Object(members) => members
            .iter()
            .flat_map(|(name, value)| rows(&below(name), value))
            .collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .flat_map(|(at, value)| rows(&below(&at.to_string()), value))
            .collect(),
        Value::String(text) => vec![[path.to_owned(), plain(text)]],
        other => vec![[path.to_owned(), other.to_string()]],
    }
}

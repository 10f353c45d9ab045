//! The commands. Each answers with one sentence and a non-zero exit status when it cannot do its work.

mod account;
mod audit;
mod folder;
mod generate;
mod init;
mod listener;
mod quickstart;
mod serve;
mod stop;
mod table;

use std::{
    fmt,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};
use patchbay_core::{
    audit::{Actor, AuditEntry, Outcome},
    clock::Clock,
    error::Error,
    gateway::Entropy,
    id::TenantId,
};
use serde_json::json;

use crate::{
    config::{Config, LogFormat},
    system::{SystemClock, SystemEntropy},
};

/// An identity gateway and user directory: update a user once, correctly, in the API you already speak.
#[derive(Debug, Parser)]
#[command(name = "patchbay", version, arg_required_else_help = true)]
#[command(after_help = "Example:\n  patchbay quickstart")]
struct Cli {
    /// TOML file with settings; the environment goes before it.
    #[arg(long, global = true, value_name = "FILE", env = "PATCHBAY_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a sample tenant, serve it, and perform the documented update calls against it.
    Quickstart(quickstart::Quickstart),
    /// Serve the data of a folder.
    Serve(serve::Serve),
    /// Make a tenant in a data folder, without serving it.
    Init(init::Init),
    /// Show who changed what, before and after.
    Audit(audit::Audit),
    /// Manage linked accounts: the remote identity systems that a tenant is connected to.
    Account(account::Account),
    /// Print the configuration in force as TOML, secrets hidden.
    #[command(after_help = "Example:\n  PATCHBAY_LOG__FORMAT=json patchbay config --config patchbay.toml")]
    Config,
}

/// The tenant that a command is about.
#[derive(Debug, Args)]
struct TenantArgument {
    /// Id of the tenant; needed only if the folder holds several.
    #[arg(long, value_name = "ID")]
    tenant: Option<TenantId>,
}

/// Why a command could not do its work: one sentence, with what to do next where that can be said.
#[derive(Debug)]
struct Complaint(String);

impl Complaint {
    /// A complaint about a step that failed. The operator may read what is otherwise only for the log.
    fn while_doing(what: &str, error: &Error) -> Self {
        match error {
            Error::Internal { log } => Self(format!("cannot {what}: {log}")),
            error => Self(format!("cannot {what}: {error}")),
        }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<String> for Complaint {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// Reads the command line and does what it says.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let done = Config::load(cli.config.as_deref())
        .map_err(Complaint::from)
        .and_then(|config| dispatch(cli.command, &config));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(complaint) => {
            note(&format!("patchbay: {complaint}"));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command, config: &Config) -> Result<(), Complaint> {
    match command {
        Command::Quickstart(arguments) => many_threads()?.block_on(arguments.run(config)),
        Command::Serve(arguments) => many_threads()?.block_on(arguments.run(config)),
        Command::Init(arguments) => one_thread()?.block_on(arguments.run(config)),
        Command::Audit(arguments) => one_thread()?.block_on(arguments.run(config)),
        Command::Account(arguments) => one_thread()?.block_on(arguments.run(config)),
        Command::Config => print(&config.to_toml()?),
    }
}

/// As many worker threads as there are cores.
fn many_threads() -> Result<tokio::runtime::Runtime, Complaint> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| Complaint(format!("cannot start threads: {error}")))
}

fn one_thread() -> Result<tokio::runtime::Runtime, Complaint> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Complaint(format!("cannot start: {error}")))
}

/// Writes a line to the standard error stream. Where that cannot be written there is nobody to tell, and the work goes on.
fn note(line: &str) {
    drop(writeln!(io::stderr(), "{line}"));
}

/// Writes to the standard error stream what is told whatever level is logged, as the log's format has it.
fn announce(format: LogFormat, level: &str, message: &str) {
    match format {
        LogFormat::Text => note(message),
        LogFormat::Json => {
            let at = SystemClock.now().to_string();
            let line = json!({ "timestamp": at, "level": level, "message": message, "target": module_path!() });
            note(&line.to_string());
        }
    }
}

/// Writes to the standard output.
fn write_out(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// The same for what can be asked for again. A reader that has gone away, such as `head`, ends the program and is no failure.
fn print(text: &str) -> Result<(), Complaint> {
    match write_out(text) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => Err(Complaint(format!("cannot write the output: {error}"))),
    }
}

/// What the log keeps of an operator's act.
fn operator(action: &'static str, resource: impl Into<String>) -> AuditEntry {
    AuditEntry {
        at: SystemClock.now(),
        actor: Actor::operator(),
        action: action.into(),
        dialect: "console".into(),
        request_id: SystemEntropy.uuid().simple().to_string().into(),
        resource: resource.into(),
        account: None,
        outcome: Outcome::Done,
        revision: None,
        changes: Vec::new(),
    }
}

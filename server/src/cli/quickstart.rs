//! `patchbay quickstart`: a sample tenant, a server, and the documented update calls performed against it over HTTP.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use patchbay_core::{audit::AuditEvent, clock::Clock};
use reqwest::{Client, StatusCode, multipart};
use tokio::{sync::oneshot, task::JoinHandle};

use super::{
    Complaint,
    audit::change_line,
    folder::{Folder, Purpose},
    init, print,
    serve::{address, app, bind, run},
    stop::told_to_stop,
    table::{plain, table},
    write_out,
};
use crate::{
    config::Config,
    dialects::{Dialect, REGISTRY},
    system::SystemClock,
    telemetry,
    walkthrough::{Sample, Step, StepBody, StepPart},
};

/// The longest that one of the calls may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Arguments of `patchbay quickstart`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  patchbay quickstart
  patchbay quickstart --data /tmp/patchbay --listen 127.0.0.1:9000 --once")]
pub(super) struct Quickstart {
    /// Data folder; made if it is not there. Each run adds a fresh sample tenant, because keys are shown only once.
    #[arg(long, value_name = "DIR", default_value = "./patchbay-data")]
    data: PathBuf,
    /// Address and port to listen on; port 0 takes any free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Stop after the calls instead of staying up.
    #[arg(long)]
    once: bool,
}

impl Quickstart {
    /// Makes, serves, calls, shows; then stays up until told to stop.
    pub(super) async fn run(self, config: &Config) -> Result<(), Complaint> {
        telemetry::start_logs(&config.log)?;
        let listener = bind(self.listen)?;
        let folder = Folder::create(&self.data, config, Purpose::Serve)?;
        let alone = folder.alone()?;
        let mut stop = std::pin::pin!(told_to_stop(config.log.format)?);
        refuse_others(&folder).await?;
        let sample = init::make_sample(&folder, SystemClock.now()).await?;
        drop(alone);
        let base = base(address(&listener)?);
        print(&format!(
            "Patchbay listens on {base}, data in {}\n",
            self.data.display()
        ))?;
        let server = Server::start(listener, &folder, config)?;
        let tour = Tour {
            folder: &folder,
            sample: &sample,
            base: &base,
        };
        let stay = !self.once;
        let shown = async {
            tour.run().await?;
            if stay {
                print("\nCtrl-C stops the server.\n")?;
                std::future::pending::<()>().await;
            }
            Ok(())
        };
        let ended = tokio::select! {
            biased;
            () = &mut stop => {
                // The terminal may be gone, which keeps nothing from its end.
                drop(write_out("\nStopping.\n"));
                Ok(())
            }
            ended = shown => ended,
        };
        server.stop().await?;
        ended
    }
}

/// A folder with a tenant of another kind is somebody's data, and no place for samples.
async fn refuse_others(folder: &Folder) -> Result<(), Complaint> {
    let tenants = folder.tenants().await?;
    match tenants.iter().find(|tenant| tenant.name != SAMPLE) {
        None => Ok(()),
        Some(tenant) => {
            let (place, id) = (folder.path.display(), tenant.id);
            let next = "choose another folder with --data, or serve this one with `patchbay serve`";
            Err(Complaint(format!(
                "{place} holds the tenant {id}, which is not a sample; {next}"
            )))
        }
    }
}

/// The name that sample tenants bear.
const SAMPLE: &str = "sample";

/// The server in the background.
struct Server {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Server {
    fn start(listener: tokio::net::TcpListener, folder: &Folder, config: &Config) -> Result<Self, Complaint> {
        let app = app(folder, config)?;
        let (stop, stopped) = oneshot::channel();
        let config = config.clone();
        let task = tokio::spawn(async move {
            // A dropped sender is a reason to stop as well.
            let stopped = async move { drop(stopped.await) };
            run(listener, &app, &config, stopped).await;
        });
        Ok(Self { stop, task })
    }

    async fn stop(self) -> Result<(), Complaint> {
        drop(self.stop);
        let ended = self.task.await;
        ended.map_err(|error| Complaint(format!("the server did not stop cleanly: {error}")))
    }
}

/// The calls, what they change, and how to make them by hand.
struct Tour<'a> {
    folder: &'a Folder,
    sample: &'a Sample,
    base: &'a str,
}

impl Tour<'_> {
    async fn run(&self) -> Result<(), Complaint> {
        // The calls go to this process, unencrypted: no system's TLS roots are needed.
        let client = Client::builder()
            .no_proxy()
            .timeout(PATIENCE)
            .tls_certs_only([])
            .build();
        let client = client.map_err(|error| Complaint(format!("cannot make calls: {error}")))?;
        let mut refused = 0;
        let mut calls = Vec::new();
        for dialect in REGISTRY {
            for step in dialect.walkthrough(self.sample) {
                let status = self.call(&client, calls.len() + 1, dialect, &step).await?;
                refused += usize::from(!status.is_success());
                calls.push((dialect, step));
            }
        }
        if refused > 0 {
            let all = calls.len();
            return Err(Complaint(format!(
                "{refused} of {all} documented calls were refused; see above"
            )));
        }
        self.show_keys()?;
        self.show_curls(&calls)
    }

    /// Performs one call, and shows what it changed as the audit log tells it.
    async fn call(
        &self,
        client: &Client,
        number: usize,
        dialect: &dyn Dialect,
        step: &Step,
    ) -> Result<StatusCode, Complaint> {
        let position = self.events_after(0).await?.last().map_or(0, |event| event.position);
        let sent = request(client, self.base, step)?.send().await;
        let response = sent.map_err(|error| Complaint(format!("call {number} got no answer: {error}")))?;
        let status = response.status();
        let body = response.text().await.unwrap_or_default();
        let events = self.events_after(position).await?;
        let user = self.sample.users.get(step.user).map_or("", |user| user.name.as_str());
        let (name, method, path) = (dialect.name(), &step.method, &step.path);
        let mut lines = vec![
            format!("\n{number}. {} ({name}, {user})", step.title),
            format!("   {method} {path}"),
        ];
        let changes = events.iter().flat_map(|event| &event.entry.changes);
        lines.extend(changes.map(|change| format!("     {}", change_line(change))));
        let revision = events.iter().rev().find_map(|event| event.entry.revision);
        let revision = revision.map_or_else(
            || "nothing changed".to_owned(),
            |revision| format!("revision {revision}"),
        );
        lines.push(format!("   -> {status}, {revision}"));
        if !status.is_success() {
            lines.push(format!("   {}", plain(&body)));
        }
        print(&format!("{}\n", lines.join("\n")))?;
        Ok(status)
    }

    async fn events_after(&self, position: u64) -> Result<Vec<AuditEvent>, Complaint> {
        let events = self.folder.store.audit(self.sample.tenant, position, 1_000).await;
        events.map_err(|error| Complaint::while_doing("read the audit log", &error))
    }

    fn show_keys(&self) -> Result<(), Complaint> {
        print("\nBase URLs\n")?;
        let rows = REGISTRY.map(|dialect| {
            [
                dialect.name().to_owned(),
                self.base.to_owned(),
                dialect.mounts().join(" "),
            ]
        });
        print(&table(["dialect", "server", "paths"], &rows))?;
        print("\nKeys and ids of the sample tenant (keys are shown this once)\n")?;
        let shown = serde_json::Value::Object(init::describe(self.sample));
        print(&table(["what", "value"], &init::rows("", &shown)))
    }

    fn show_curls(&self, calls: &[(&dyn Dialect, Step)]) -> Result<(), Complaint> {
        print("\nThe same calls by hand\n")?;
        for (number, (dialect, step)) in calls.iter().enumerate() {
            let number = number + 1;
            let curl = self.curl(number, step)?;
            print(&format!("\n# {number}. {} ({})\n{curl}\n", step.title, dialect.name()))?;
        }
        Ok(())
    }

    /// A call as a command for a POSIX shell. Parts that cannot stand there go into files of the data folder.
    fn curl(&self, number: usize, step: &Step) -> Result<String, Complaint> {
        let url = quoted(&format!("{}{}", self.base, step.path));
        let mut words = vec![format!("curl -i -X {} {url}", step.method)];
        for (name, value) in &step.headers {
            words.push(format!("-H {}", quoted(&format!("{name}: {value}"))));
        }
        match &step.body {
            StepBody::Json(value) => {
                if !says_type(step) {
                    words.push("-H 'Content-Type: application/json'".to_owned());
                }
                words.push(format!("-d {}", quoted(&value.to_string())));
            }
            StepBody::Multipart(parts) => {
                for part in parts {
                    let form = form_word(&self.folder.path, number, part)
                        .map_err(|error| Complaint(format!("cannot write a part of call {number}: {error}")))?;
                    words.push(format!("-F {}", quoted(&form)));
                }
            }
        }
        Ok(words.join(" \\\n  "))
    }
}

/// The address to call where one cannot call what is listened on.
fn base(mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    format!("http://{address}")
}

fn request(client: &Client, base: &str, step: &Step) -> Result<reqwest::RequestBuilder, Complaint> {
    let mut request = client.request(step.method.clone(), format!("{base}{}", step.path));
    for (name, value) in &step.headers {
        request = request.header(name, value);
    }
    Ok(match &step.body {
        StepBody::Json(value) => {
            if !says_type(step) {
                request = request.header("content-type", "application/json");
            }
            request.body(value.to_string())
        }
        StepBody::Multipart(parts) => {
            let mut form = multipart::Form::new();
            for part in parts {
                let mut content = multipart::Part::bytes(part.bytes.clone());
                if let Some(name) = part.file_name {
                    content = content.file_name(name);
                }
                let content = content.mime_str(part.media);
                let content = content.map_err(|error| Complaint(format!("cannot send {}: {error}", part.media)))?;
                form = form.part(part.name, content);
            }
            request.multipart(form)
        }
    })
}

fn says_type(step: &Step) -> bool {
    step.headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
}

/// One part of a form as curl takes it: in place where its content is plain text, else from a file.
fn form_word(folder: &Path, number: usize, part: &StepPart) -> std::io::Result<String> {
    let (name, media) = (part.name, part.media);
    let text = std::str::from_utf8(&part.bytes).ok();
    // curl ends a value at a semicolon and reads quotes, @ and < at its beginning.
    let simple = |text: &&str| !text.contains(';') && !text.starts_with(['"', '@', '<', ' ']) && !text.contains('\0');
    match (text.filter(simple), part.file_name) {
        (Some(text), None) => Ok(format!("{name}={text};type={media}")),
        (_, file_name) => {
            let path = folder.join(format!("quickstart-{number}-{}", file_name.unwrap_or(name)));
            fs::write(&path, &part.bytes)?;
            let sign = if file_name.is_some() { '@' } else { '<' };
            Ok(format!(
                "{name}={sign}{};type={media}",
                file_word(&path.display().to_string())
            ))
        }
    }
}

/// A file's path as curl takes it in a form: in quotes where it holds what would end it.
fn file_word(path: &str) -> String {
    if path.contains([';', ',', '"']) {
        format!("\"{}\"", path.replace('\\', r"\\").replace('"', "\\\""))
    } else {
        path.to_owned()
    }
}

/// A word for a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_survive_curl() {
        assert_eq!(file_word("/a b/c\\d.png"), "/a b/c\\d.png");
        assert_eq!(file_word("/a;b,c/\"d\".png"), r#""/a;b,c/\"d\".png""#);
    }

    #[test]
    fn words_survive_the_shell() {
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
    }

    #[test]
    fn an_unspecified_address_is_called_on_loopback() {
        assert_eq!(base("0.0.0.0:80".parse().unwrap()), "http://127.0.0.1:80");
        assert_eq!(base("[::]:80".parse().unwrap()), "http://[::1]:80");
        assert_eq!(base("10.0.0.1:80".parse().unwrap()), "http://10.0.0.1:80");
    }
}

//! `patchbay serve`: the server, from a data folder to a clean end.

use std::{future::Future, io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use clap::Args;
use patchbay_core::{error::Error, linked_account::AccountStatus, remote::TURN_MILLIS, store::Store};
use tokio::net::{TcpListener, TcpSocket};

use super::{
    Complaint, announce,
    folder::{Folder, Purpose},
    listener,
    stop::told_to_stop,
};
use crate::{
    app::App,
    config::Config,
    outbound::connectors::{LinkedConnectors, open},
    pipeline,
    seal::Sealer,
    settling,
    system::{SystemClock, SystemEntropy},
    telemetry,
};

/// Arguments of `patchbay serve`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  patchbay serve --data ./patchbay-data --listen 127.0.0.1:8080 --config patchbay.toml"
)]
pub(super) struct Serve {
    /// Data folder, as `patchbay init` made it.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Address and port to listen on; port 0 takes any free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
}

impl Serve {
    /// Serves until the process is told to stop.
    pub(super) async fn run(self, config: &Config) -> Result<(), Complaint> {
        telemetry::start_logs(&config.log)?;
        let listener = bind(self.listen)?;
        let folder = Folder::existing(&self.data, config, Purpose::Serve)?;
        let stop = told_to_stop(config.log.format)?;
        let app = app(&folder, config)?;
        let telling = tell_unusable(folder.store.clone(), folder.sealer(config)?);
        drop(folder);
        let listening = format!("listening on http://{}", address(&listener)?);
        announce(config.log.format, "INFO", &listening);
        let telling = tokio::spawn(telling);
        run(listener, &app, config, stop).await;
        telling.abort();
        Ok(())
    }
}

/// Tells the operator that there is nobody to serve, or which linked accounts have a secret that does not open, as all of them do once
/// the key is lost, beside the listener. Whoever calls one of them would be the first to know.
async fn tell_unusable(store: Arc<dyn Store>, sealer: Sealer) {
    let told = async {
        let tenants = store.tenants().await?;
        if tenants.is_empty() {
            tracing::warn!("the data folder holds no tenant, so nobody can call: make one with `patchbay init`");
        }
        for tenant in tenants {
            for account in store.linked_accounts(tenant.id).await? {
                if account.status == AccountStatus::Active
                    && let Some(remote) = &account.remote
                    && let Err(error) = open(&sealer, &account, remote)
                {
                    let account = &account.id;
                    tracing::error!(%account, %error, "a linked account cannot be called: bring back the key, or add it anew");
                }
            }
        }
        Ok::<_, Error>(())
    };
    if let Err(error) = told.await {
        tracing::error!(
            fault = error.for_log(),
            "whether linked accounts can be called is not known"
        );
    }
}

/// Serves until `stop` comes, settling beside that what an earlier run left open, and ends when all work has ended.
pub(super) async fn run(listener: TcpListener, app: &App, config: &Config, stop: impl Future<Output = ()>) {
    let settling = settle_open_writes(app).await;
    let upkeep = config.http.metrics.then(|| tokio::spawn(telemetry::keep_metrics()));
    listener::serve(listener, pipeline::service(app), &config.http, stop).await;
    settling.abort();
    finish(app, config).await;
    if let Some(upkeep) = upkeep {
        upkeep.abort();
    }
}

/// Settles the remote writes that an earlier run left open, beside the listener. Only which ones they are is asked before the
/// first request is served.
async fn settle_open_writes(app: &App) -> tokio::task::JoinHandle<()> {
    let open = app.gateway.open_writes().await;
    let app = app.clone();
    tokio::spawn(async move {
        let open = open.unwrap_or_else(|error| {
            tracing::error!(fault = error.for_log(), "open remote writes cannot be listed");
            Vec::new()
        });
        settling::settle(&app, open).await;
    })
}

/// Waits for work whose callers may have gone, such as a call to a remote system: cut short it would leave an unknown
/// outcome. Longer than one write may take (its turn, a read before, the write, a read after; a read may be two calls) it does not wait.
async fn finish(app: &App, config: &Config) {
    app.tasks.close();
    let longest = Duration::from_millis(TURN_MILLIS) + config.outbound().timeout * 6;
    if tokio::time::timeout(longest, app.tasks.wait()).await.is_err() {
        tracing::warn!(tasks = app.tasks.len(), "stopped before all work had ended");
    }
}

/// How many connections may wait to be accepted; more than the usual 128, which a burst of new clients overruns.
const BACKLOG: u32 = 1_024;

/// Takes the port.
pub(super) fn bind(address: SocketAddr) -> Result<TcpListener, Complaint> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    };
    let listen = |socket: TcpSocket| {
        // A restart must not wait for the connections of the run before to be forgotten.
        socket.set_reuseaddr(cfg!(unix))?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    socket.and_then(listen).map_err(|error| {
        let why = match error.kind() {
            io::ErrorKind::AddrInUse => "another program uses that port".to_owned(),
            io::ErrorKind::PermissionDenied => "that port is not for ordinary users".to_owned(),
            _ => error.to_string(),
        };
        Complaint(format!(
            "cannot listen on {address}: {why}; choose another with --listen"
        ))
    })
}

/// The address that was taken.
pub(super) fn address(listener: &TcpListener) -> Result<SocketAddr, Complaint> {
    let address = listener.local_addr();
    address.map_err(|error| Complaint(format!("cannot tell the address that was taken: {error}")))
}

/// Everything behind the listener.
pub(super) fn app(folder: &Folder, config: &Config) -> Result<App, Complaint> {
    if config.http.metrics {
        let started = telemetry::start_metrics();
        started.map_err(|error| Complaint(format!("cannot count requests: {error}")))?;
    }
    let connectors = LinkedConnectors::new(folder.sealer(config)?, config.outbound());
    Ok(App::new(
        folder.store.clone(),
        Arc::new(connectors),
        Arc::new(SystemClock),
        Arc::new(SystemEntropy),
        config.http(),
    ))
}

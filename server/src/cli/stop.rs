//! How a command is told to stop.

use std::{future::Future, io};

use super::{Complaint, announce};
use crate::config::LogFormat;

/// Ends when the process is told to stop: by Ctrl-C, a service manager, or a terminal that is closed. Told so a second time by one
/// of the first two, the process ends at once: what is acknowledged is durable already.
#[cfg(unix)]
pub(super) fn told_to_stop(format: LogFormat) -> Result<impl Future<Output = ()> + Send + 'static, Complaint> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| complaint(&error))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| complaint(&error))?;
    let mut hangup = if outlives_terminal() {
        None
    } else {
        Some(signal(SignalKind::hangup()).map_err(|error| complaint(&error))?)
    };
    let closed = async move {
        match &mut hangup {
            Some(hangup) => drop(hangup.recv().await),
            None => std::future::pending().await,
        }
    };
    let mut told = async move || {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    Ok(async move {
        tokio::select! {
            () = told() => {}
            () = closed => {}
        }
        // A terminal tells of its end more than once: the system does, and the shell. So that does not count again.
        tokio::spawn(async move {
            told().await;
            at_once(format);
        });
    })
}

/// Ends when the process is told to stop, by Ctrl-C. Told so a second time, it ends at once.
#[cfg(not(unix))]
pub(super) fn told_to_stop(format: LogFormat) -> Result<impl Future<Output = ()> + Send + 'static, Complaint> {
    let mut interrupt = tokio::signal::windows::ctrl_c().map_err(|error| complaint(&error))?;
    Ok(async move {
        interrupt.recv().await;
        tokio::spawn(async move {
            interrupt.recv().await;
            at_once(format);
        });
    })
}

fn complaint(error: &io::Error) -> Complaint {
    Complaint(format!("cannot listen for the signal to stop: {error}"))
}

/// Whether the process was started to live on without its terminal, as `nohup` does by having it ignore the signal. To listen for the
/// signal would end that. Only Linux tells; elsewhere nobody is taken to have asked for it.
#[cfg(unix)]
fn outlives_terminal() -> bool {
    const HANGUP: u64 = 1;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & HANGUP != 0)
}

fn at_once(format: LogFormat) {
    let told = "stopped before all requests had finished";
    match format {
        LogFormat::Text => announce(format, "WARN", &format!("patchbay: {told}")),
        LogFormat::Json => announce(format, "WARN", told),
    }
    std::process::exit(1)
}

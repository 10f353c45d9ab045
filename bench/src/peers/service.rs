//! A server process of the run: started, watched, and stopped when dropped.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use procfs::process::Process;
use rustix::fs::{Advice, fadvise};
use rustix::process::{Pid, Signal, kill_process};

const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(20);
const RETRY: Duration = Duration::from_micros(200);

/// What a process has used so far.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// User and system time of all its threads, in seconds.
    pub cpu_seconds: f64,
    /// Resident memory, in MB (10^6 bytes).
    pub rss_mb: f64,
}

impl Usage {
    /// Reads `/proc/PID/stat` and `/proc/PID/status`.
    pub fn of(pid: u32) -> Result<Self> {
        let process = Process::new(pid.try_into()?).with_context(|| format!("process {pid} is gone"))?;
        let stat = process.stat()?;
        let ticks = (stat.utime + stat.stime) as f64;
        let rss_kib = process.status()?.vmrss.context("a process without VmRSS")?;
        Ok(Self {
            cpu_seconds: ticks / procfs::ticks_per_second() as f64,
            rss_mb: rss_kib as f64 * 1024.0 / 1e6,
        })
    }
}

/// A child process that listens on a port of 127.0.0.1.
#[derive(Debug)]
pub struct Service {
    name: &'static str,
    child: Child,
    log: PathBuf,
    address: SocketAddr,
}

impl Service {
    /// Starts `command`, its output going to a file in `folder`.
    pub fn start(name: &'static str, command: &mut Command, folder: &Path, address: SocketAddr) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log)?;
        let child = command
            // Out of the terminal's group: Ctrl-C reaches this program, which then stops its servers in order.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        Ok(Self {
            name,
            child,
            log,
            address,
        })
    }

    /// Waits until `ready` says yes; tells the end of the log if the process ends first.
    pub fn wait_until(&mut self, stop: &AtomicBool, ready: impl Fn() -> bool) -> Result<()> {
        let begin = Instant::now();
        while !ready() {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status}: {}", self.name, self.last_words());
            }
            ensure!(!stop.load(Ordering::Relaxed), "interrupted");
            ensure!(
                begin.elapsed() < START_LIMIT,
                "{} did not get ready: {}",
                self.name,
                self.last_words()
            );
            sleep(RETRY);
        }
        Ok(())
    }

    /// Waits until the port accepts connections.
    pub fn wait_until_open(&mut self, stop: &AtomicBool) -> Result<()> {
        let address = self.address;
        self.wait_until(stop, || TcpStream::connect(address).is_ok())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().rev().take(8).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    fn ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Service {
    /// Asks politely, then insists.
    fn drop(&mut self) {
        if self.ended() {
            return;
        }
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // A process that has just ended by itself is fine too.
            kill_process(pid, Signal::TERM).ok();
        }
        let begin = Instant::now();
        while !self.ended() && begin.elapsed() < STOP_LIMIT {
            sleep(Duration::from_millis(2));
        }
        if !self.ended() {
            eprintln!("{} did not stop on SIGTERM; killing it", self.name);
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}

/// Writes what is under `folder` to disk and takes it out of the page cache, as after a reboot.
///
/// Bulk loading leaves a file in the cache as large folios, and ext4 then walks a whole folio for every small write: that
/// doubles slapd's time per modify. Pages read back one by one are small, as in a server that has been up for a while.
pub fn forget(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            forget(&entry.path())?;
        } else if kind.is_file() {
            let file = File::open(entry.path())?;
            file.sync_all()?;
            fadvise(&file, 0, None, Advice::DontNeed)?;
        }
    }
    Ok(())
}

/// A port of 127.0.0.1 that was free a moment ago.
pub fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?)
}

/// Runs `command` to its end and returns what it printed; a failure shows its complaint.
pub fn run(command: &mut Command) -> Result<String> {
    let shown = format!("{command:?}");
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("running {shown}"))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("{shown} failed with {}: {}", output.status, complaint.trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}

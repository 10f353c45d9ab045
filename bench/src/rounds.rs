//! Measures every system once per round at every connection count, in turns, so that the machine's drift cancels.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::cli::Options;
use crate::load::{Driver, Source, Tally};
use crate::machine;
use crate::peers::{Contestant, Usage};
use crate::system::System;

/// Lets a server finish what it does after its last reply.
const PAUSE: Duration = Duration::from_millis(200);
/// The same after updates: Patchbay copies its log within a second of the last one, and then the database goes to the disk.
const PAUSE_AFTER_UPDATES: Duration = Duration::from_secs(2);

/// One measurement.
#[derive(Debug, Clone, Serialize)]
pub struct Sample {
    /// Who was measured.
    pub system: System,
    /// Open connections, each with one request in flight.
    pub connections: usize,
    /// The round, from 0; samples of one round are compared.
    pub round: usize,
    /// Accepted requests per second.
    pub per_second: f64,
    /// Median latency.
    pub p50_ms: f64,
    /// 99th percentile of latency.
    pub p99_ms: f64,
    /// Cores the server used.
    pub server_cores: f64,
    /// Cores the load generator used.
    pub client_cores: f64,
    /// Cores that everything else on the machine used, the kernel's own threads included.
    pub other_cores: f64,
    /// Resident memory of the server at the end.
    pub rss_mb: f64,
    /// Requests refused or lost; not part of `per_second`.
    pub refused: u64,
}

/// Runs all rounds, of servers whose data is in `folder`. Each round starts with another system, so that none is always the first.
pub fn run(options: &Options, contestants: &[Contestant], folder: &Path, stop: &AtomicBool) -> Result<Vec<Sample>> {
    let folder = File::open(folder)?;
    let (mut samples, mut source) = (Vec::new(), Source::new());
    for round in 0..options.rounds {
        for &connections in &options.connections {
            for turn in 0..contestants.len() {
                let contestant = &contestants[(turn + round) % contestants.len()];
                let sample = measure(options, contestant, connections, round, &mut source, stop)
                    .with_context(|| format!("{} at {connections} connections", contestant.system.name()))?;
                progress(options, &sample);
                samples.push(sample);
                rest(contestant.system, &folder)?;
            }
        }
    }
    Ok(samples)
}

/// Keeps the next measurement free of what this one left behind: pages that a server, or the system for it, has yet to write.
fn rest(system: System, folder: &File) -> Result<()> {
    if !system.writes() {
        sleep(PAUSE);
        return Ok(());
    }
    sleep(PAUSE_AFTER_UPDATES);
    rustix::fs::syncfs(folder).context("writing out what a server left to the system")
}

fn measure(
    options: &Options,
    contestant: &Contestant,
    connections: usize,
    round: usize,
    source: &mut Source,
    stop: &AtomicBool,
) -> Result<Sample> {
    let mut driver = Driver::start(&contestant.workload, connections, source, stop)?;
    driver.drive(Duration::from_secs_f64(options.warm_up))?;
    let before = Cpu::now(contestant)?;
    let tally = driver.drive(Duration::from_secs_f64(options.seconds))?;
    let after = Cpu::now(contestant)?;
    let rss_mb = Usage::of(contestant.pid)?.rss_mb;
    driver.finish()?;
    complain(contestant, &tally);
    let cores = |part: fn(&Cpu) -> f64| (part(&after) - part(&before)) / tally.span.as_secs_f64();
    Ok(Sample {
        system: contestant.system,
        connections,
        round,
        per_second: tally.per_second(),
        p50_ms: tally.quantile_ms(0.50),
        p99_ms: tally.quantile_ms(0.99),
        server_cores: cores(|cpu| cpu.server),
        client_cores: cores(|cpu| cpu.client),
        other_cores: cores(|cpu| cpu.machine - cpu.server - cpu.client),
        rss_mb,
        refused: tally.refused,
    })
}

/// Processor time used so far, in seconds.
struct Cpu {
    server: f64,
    client: f64,
    machine: f64,
}

impl Cpu {
    fn now(contestant: &Contestant) -> Result<Self> {
        Ok(Self {
            server: Usage::of(contestant.pid)?.cpu_seconds,
            client: Usage::of(std::process::id())?.cpu_seconds,
            machine: machine::cpu_seconds()?,
        })
    }
}

fn complain(contestant: &Contestant, tally: &Tally) {
    if let Some(text) = &tally.first_refusal {
        eprintln!(
            "{}: {} requests refused, the first with: {text}",
            contestant.system.name(),
            tally.refused
        );
    }
}

fn progress(options: &Options, sample: &Sample) {
    eprintln!(
        "round {}/{}  {:>3} connections  {:<19} {:>8.0}/s  p50 {:>8.2} ms  p99 {:>8.2} ms",
        sample.round + 1,
        options.rounds,
        sample.connections,
        sample.system.name(),
        sample.per_second,
        sample.p50_ms,
        sample.p99_ms,
    );
}

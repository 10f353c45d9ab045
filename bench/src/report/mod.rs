//! What a run leaves behind: a JSON file with every sample, a text table and a plot.

mod plot;
mod ratio;
mod spread;
mod table;

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::cli::Options;
use crate::machine::Machine;
use crate::peers::{Field, Footprint};
use crate::rounds::Sample;
use crate::system::System;
use ratio::Finding;
pub use spread::Spread;

/// One system at one connection count, over all rounds.
#[derive(Debug, Serialize)]
pub struct Row {
    system: System,
    connections: usize,
    per_second: Spread,
    p50_ms: Spread,
    p99_ms: Spread,
    server_cores: Spread,
    client_cores: Spread,
    rss_mb: Spread,
    refused: u64,
}

/// A whole run.
#[derive(Debug, Serialize)]
pub struct Report {
    finished_unix: u64,
    machine: Machine,
    notes: Vec<String>,
    other_cores: Spread,
    rounds: usize,
    seconds: f64,
    warm_up: f64,
    findings: Vec<Finding>,
    rows: Vec<Row>,
    footprint: Option<Footprint>,
    samples: Vec<Sample>,
}

impl Report {
    /// Draws the conclusions from `samples`.
    pub fn new(options: &Options, machine: Machine, field: &Field, samples: Vec<Sample>) -> Result<Self> {
        #[expect(
            clippy::disallowed_methods,
            reason = "a result names the time it was taken; nothing depends on it"
        )]
        let now = SystemTime::now();
        Ok(Self {
            finished_unix: now.duration_since(UNIX_EPOCH)?.as_secs(),
            machine,
            notes: field.notes.clone(),
            other_cores: Spread::of(samples.iter().map(|sample| sample.other_cores)),
            rounds: options.rounds,
            seconds: options.seconds,
            warm_up: options.warm_up,
            findings: ratio::findings(&samples, field.footprint.as_ref()),
            rows: rows(&samples),
            footprint: field.footprint.clone(),
            samples,
        })
    }

    /// The tables that are printed.
    pub fn text(&self) -> String {
        table::text(self)
    }

    /// Writes `LABEL.json`, `LABEL.txt` and `LABEL.svg`.
    pub fn save(&self, options: &Options) -> Result<()> {
        let path = |ending: &str| options.out.join(format!("{}.{ending}", options.label));
        fs::create_dir_all(&options.out).with_context(|| format!("creating {}", options.out.display()))?;
        fs::write(path("json"), serde_json::to_string_pretty(self)? + "\n")?;
        fs::write(path("txt"), self.text())?;
        plot::draw(self, &path("svg"))
    }
}

fn rows(samples: &[Sample]) -> Vec<Row> {
    let mut keys: Vec<_> = samples
        .iter()
        .map(|sample| (sample.connections, sample.system))
        .collect();
    keys.sort_by_key(|(count, system)| (*count, System::ALL.iter().position(|s| s == system)));
    keys.dedup();
    keys.into_iter()
        .map(|(connections, system)| row(samples, connections, system))
        .collect()
}

fn row(samples: &[Sample], connections: usize, system: System) -> Row {
    let mine: Vec<_> = samples
        .iter()
        .filter(|s| s.connections == connections && s.system == system)
        .collect();
    let spread = |metric: fn(&Sample) -> f64| Spread::of(mine.iter().map(|sample| metric(sample)));
    Row {
        system,
        connections,
        per_second: spread(|sample| sample.per_second),
        p50_ms: spread(|sample| sample.p50_ms),
        p99_ms: spread(|sample| sample.p99_ms),
        server_cores: spread(|sample| sample.server_cores),
        client_cores: spread(|sample| sample.client_cores),
        rss_mb: spread(|sample| sample.rss_mb),
        refused: mine.iter().map(|sample| sample.refused).sum(),
    }
}

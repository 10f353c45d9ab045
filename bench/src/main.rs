//! Measures Patchbay's durable updates beside its own ceiling, OpenLDAP and PocketBase, in turns on one machine.
//!
//! `cli` says what to run, `peers` sets up and starts the servers, `rounds` drives them through `load` in turns, and
//! `report` holds the outcome against the goals. Servers listen on 127.0.0.1 only and stop with the run.

mod cli;
mod load;
mod machine;
mod peers;
mod report;
mod rounds;
mod system;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result};
use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::{SIGINT, SIGTERM};

use cli::Options;
use machine::Machine;
use peers::{Field, Site};
use report::Report;
use system::System;

/// Enough for 1,000 connections. Servers inherit it; slapd sizes its tables by it.
const OPEN_FILES: u64 = 4096;

fn main() -> Result<()> {
    let options = Options::parse();
    let chosen = System::chosen(&options.only)?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let hard = getrlimit(Resource::Nofile).maximum;
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(OPEN_FILES),
            maximum: hard,
        },
    )
    .context("limit of open files")?;

    let parent = options.data.clone().unwrap_or_else(std::env::temp_dir);
    let folder = tempfile::Builder::new()
        .prefix("patchbay-bench-")
        .tempdir_in(&parent)
        .with_context(|| format!("creating a folder in {}", parent.display()))?;
    let machine = Machine::look(folder.path())?;
    let site = Site {
        options: &options,
        folder: folder.path(),
        stop: &stop,
    };
    let field = Field::prepare(&site, &chosen)?;
    let samples = rounds::run(&options, &field.contestants, folder.path(), &stop)?;
    let report = Report::new(&options, machine, &field, samples)?;
    // The servers stop before their folder goes.
    drop(field);
    report.save(&options)?;
    println!("\n{}", report.text());
    Ok(())
}

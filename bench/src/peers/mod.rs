//! The servers under measurement: how each is set up, started and asked.

mod dialects;
mod ldap;
mod patchbay;
mod pocketbase;
mod service;
mod slapd;

use std::path::Path;
use std::sync::atomic::AtomicBool;

use anyhow::Result;

use crate::cli::Options;
use crate::load::Workload;
use crate::system::System;
pub use patchbay::Footprint;
pub use service::{Service, Usage};

/// What every peer needs to know to set itself up.
pub struct Site<'a> {
    /// The command line.
    pub options: &'a Options,
    /// A folder of this run that is removed at its end.
    pub folder: &'a Path,
    /// Set when the run shall end.
    pub stop: &'a AtomicBool,
}

/// One system ready to be measured.
pub struct Contestant {
    /// Which one.
    pub system: System,
    /// What to send.
    pub workload: Workload,
    /// The process that answers.
    pub pid: u32,
}

/// All servers of a run. Dropping it stops them.
#[derive(Default)]
pub struct Field {
    /// The systems to measure.
    pub contestants: Vec<Contestant>,
    /// Facts for the report: versions, settings, what was loaded.
    pub notes: Vec<String>,
    /// Patchbay's start time, idle memory and size, if it takes part.
    pub footprint: Option<Footprint>,
    services: Vec<Service>,
}

impl Field {
    /// Sets up and starts every server that `chosen` needs.
    pub fn prepare(site: &Site, chosen: &[System]) -> Result<Self> {
        let mut field = Self::default();
        if chosen.iter().any(|system| system.is_patchbay()) {
            patchbay::enter(&mut field, site, chosen)?;
        }
        if chosen.contains(&System::SlapdModify) {
            slapd::enter(&mut field, site)?;
        }
        if chosen.contains(&System::PocketbaseUpdate) {
            pocketbase::enter(&mut field, site)?;
        }
        field
            .contestants
            .sort_by_key(|contestant| chosen.iter().position(|s| *s == contestant.system));
        Ok(field)
    }

    fn add(&mut self, system: System, workload: Workload, service: &Service) {
        self.contestants.push(Contestant {
            system,
            workload,
            pid: service.pid(),
        });
    }
}

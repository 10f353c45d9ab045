//! Patchbay itself: the sample tenant with generated users, asked in StackOne's dialect, or in another one if that is asked for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::json;
use ureq::Agent;

use super::dialects::Others;
use super::service::{self, Service, Usage};
use super::{Field, Site};
use crate::load::{Framing, STAMP_HOLE, Targets, Template, Workload};
use crate::system::System;

const USERS: &str = "/unified/iam/users/";

/// What starting Patchbay costs, measured on the loaded data folder.
#[derive(Debug, Clone, Serialize)]
pub struct Footprint {
    /// From starting the process to the first reply, in milliseconds, one per start.
    pub start_ms: Vec<f64>,
    /// Resident memory one second after a health check and one read, in MB.
    pub idle_rss_mb: f64,
    /// Size of the binary in MB.
    pub binary_mb: f64,
}

/// The part of `patchbay init --json` that is needed here.
#[derive(Debug, Deserialize)]
struct Sample {
    stackone: Access,
    generated: Generated,
    #[serde(flatten)]
    others: Others,
}

#[derive(Debug, Deserialize)]
struct Access {
    api_key: String,
    account_id: String,
}

#[derive(Debug, Deserialize)]
struct Generated {
    count: usize,
    id_file: PathBuf,
}

/// Loads the sample, takes the footprint, starts the server and adds the chosen ones of its four systems.
pub fn enter(field: &mut Field, site: &Site, chosen: &[System]) -> Result<()> {
    let house = House::build(site)?;
    field.footprint = Some(house.footprint(site)?);
    let patchbay = house.serve(true, site.stop)?;
    house.prove(&patchbay)?;
    for system in chosen.iter().filter(|system| system.is_patchbay()) {
        field.add(*system, house.workload(*system, &patchbay)?, &patchbay);
    }
    field.notes.push(format!(
        "{}; {} generated users",
        house.version()?,
        house.targets.count()
    ));
    field.services.push(patchbay);
    Ok(())
}

/// An initialised data folder and the key to it.
struct House {
    binary: PathBuf,
    folder: PathBuf,
    headers: Vec<(&'static str, String)>,
    others: Others,
    targets: Rc<Targets>,
    agent: Agent,
}

impl House {
    fn build(site: &Site) -> Result<Self> {
        let binary = &site.options.patchbay;
        ensure!(
            binary.exists(),
            "{} is missing; build it with: cargo build --release",
            binary.display()
        );
        let folder = site.folder.join("patchbay");
        fs::create_dir_all(&folder)?;
        eprintln!("patchbay: loading {} users", site.options.users);
        let users = site.options.users.to_string();
        let printed = service::run(
            clean(binary)
                .args(["init", "--sample", "--json", "--users", &users, "--data"])
                .arg(data(&folder)),
        )?;
        let sample: Sample = serde_json::from_str(&printed).context("reading what patchbay init printed")?;
        let list = fs::read_to_string(&sample.generated.id_file).context("reading the ids of the generated users")?;
        let targets = Rc::new(Targets::new(list.split_whitespace())?);
        ensure!(
            targets.count() == sample.generated.count,
            "patchbay named {} users",
            targets.count()
        );
        service::forget(&folder)?;
        let key = BASE64_STANDARD.encode(format!("{}:", sample.stackone.api_key));
        Ok(Self {
            binary: binary.clone(),
            folder,
            headers: vec![
                ("Authorization", format!("Basic {key}")),
                ("x-account-id", sample.stackone.account_id),
            ],
            others: sample.others,
            targets,
            agent: Agent::config_builder()
                .timeout_global(Some(Duration::from_secs(5)))
                .build()
                .into(),
        })
    }

    /// Starts the server and waits for its first reply.
    fn serve(&self, bench_routes: bool, stop: &AtomicBool) -> Result<Service> {
        let address = service::free_address()?;
        let mut command = clean(&self.binary);
        command
            .arg("serve")
            .arg("--data")
            .arg(data(&self.folder))
            .args(["--listen", &address.to_string()]);
        if bench_routes {
            command.env("PATCHBAY_BENCH__ROUTES", "true");
        }
        let mut patchbay = Service::start("patchbay", &mut command, &self.folder, address)?;
        let health = format!("http://{address}/healthz");
        patchbay.wait_until(stop, || self.agent.get(&health).call().is_ok())?;
        Ok(patchbay)
    }

    fn footprint(&self, site: &Site) -> Result<Footprint> {
        let (mut start_ms, mut idle_rss_mb) = (Vec::new(), 0.0);
        for round in 1..=site.options.starts {
            ensure!(!site.stop.load(Ordering::Relaxed), "interrupted");
            let begin = Instant::now();
            let patchbay = self.serve(false, site.stop)?;
            start_ms.push(begin.elapsed().as_secs_f64() * 1000.0);
            if round == site.options.starts {
                self.read(&patchbay, 0)?;
                sleep(Duration::from_secs(1));
                idle_rss_mb = Usage::of(patchbay.pid())?.rss_mb;
            }
        }
        let binary_mb = fs::metadata(&self.binary)?.len() as f64 / 1e6;
        Ok(Footprint {
            start_ms,
            idle_rss_mb,
            binary_mb,
        })
    }

    fn workload(&self, system: System, patchbay: &Service) -> Result<Workload> {
        if let Some(workload) = self.others.workload(system, patchbay.address(), &self.targets)? {
            return Ok(workload);
        }
        let headers: Vec<_> = self
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        let user = format!("{USERS}{}", self.targets.hole());
        let http = |method, path: &str, body: Option<&str>| Template::http(method, path, &headers, body, &self.targets);
        let template = match system {
            System::PatchbayEcho => http("PATCH", "/bench/echo", Some(&patch(STAMP_HOLE))),
            System::PatchbayGet => http("GET", &user, None),
            System::PatchbayStatic => http("GET", "/bench/static", None),
            _ => http("PATCH", &user, Some(&patch(STAMP_HOLE))).with_both_holes()?,
        };
        let address = patchbay.address();
        Ok(Workload {
            address,
            framing: Framing::Http,
            greeting: None,
            template,
            targets: Rc::clone(&self.targets),
        })
    }

    /// The request that will be measured does change the user, and only with the key.
    fn prove(&self, patchbay: &Service) -> Result<()> {
        let url = self.url(patchbay, 0)?;
        let send = |headers: &[(&'static str, String)]| {
            let request = self.agent.patch(&url).header("content-type", "application/json");
            headers
                .iter()
                .fold(request, |request, (name, value)| request.header(*name, value))
                .send(patch("proof"))
        };
        ensure!(send(&self.headers[1..]).is_err(), "patchbay lets anyone update");
        send(&self.headers).context("patchbay refuses the update that was to be measured")?;
        let user = self.read(patchbay, 0)?;
        ensure!(
            user.contains("King-Noel proof"),
            "the update did not change the user: {user}"
        );
        Ok(())
    }

    fn read(&self, patchbay: &Service, index: usize) -> Result<String> {
        let request = self.agent.get(self.url(patchbay, index)?);
        let request = self
            .headers
            .iter()
            .fold(request, |request, (name, value)| request.header(*name, value));
        Ok(request
            .call()
            .context("patchbay refuses to read a user")?
            .body_mut()
            .read_to_string()?)
    }

    fn url(&self, patchbay: &Service, index: usize) -> Result<String> {
        let id = std::str::from_utf8(self.targets.get(index))?;
        Ok(format!("http://{}{USERS}{id}", patchbay.address()))
    }

    fn version(&self) -> Result<String> {
        Ok(service::run(clean(&self.binary).arg("--version"))?.trim().to_owned())
    }
}

fn data(folder: &Path) -> PathBuf {
    folder.join("data")
}

/// Without the settings of the shell that `make bench` was called from.
fn clean(binary: &Path) -> Command {
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PATCHBAY_")) {
        command.env_remove(name);
    }
    command
}

/// About 200 bytes and five members; after a user's first update only `name` differs from what is stored.
fn patch(stamp: &str) -> String {
    json!({
        "first_name": "Augusta Ada Byron",
        "last_name": "King-Noel, Countess of Lovelace",
        "name": format!("Augusta Ada King-Noel {stamp}"),
        "is_bot_user": false,
        "status": { "value": "enabled", "source_value": null },
    })
    .to_string()
}

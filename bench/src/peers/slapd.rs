//! OpenLDAP's `slapd` as Debian builds it: mdb, every modify synced to disk, no audit log.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;
use std::rc::Rc;

use anyhow::{Context, Result, ensure};

use super::service::{self, Service};
use super::{Field, Site, ldap};
use crate::load::{Framing, STAMP_HOLE, Targets, Template, Workload};
use crate::system::System;

const SLAPD: &str = "/usr/sbin/slapd";
const SLAPADD: &str = "/usr/sbin/slapadd";
const SUFFIX: &str = "dc=bench,dc=example";
const ADMIN: &str = "cn=admin,dc=bench,dc=example";
const PASSWORD: &str = "bench";
const INSTALL: [&str; 5] = ["apt-get", "install", "-y", "--no-install-recommends", "slapd"];

/// Loads a private directory, starts `slapd` on it and adds the modify of one attribute.
pub fn enter(field: &mut Field, site: &Site) -> Result<()> {
    install()?;
    let folder = site.folder.join("slapd");
    fs::create_dir_all(folder.join("db"))?;
    let config = folder.join("slapd.conf");
    fs::write(&config, configuration(&folder))?;
    eprintln!("slapd: loading {} entries", site.options.users);
    load(&folder, &config, site.options.users)?;

    let address = service::free_address()?;
    let mut command = Command::new(SLAPD);
    command
        .args(["-d", "0", "-h", &format!("ldap://{address}/"), "-f"])
        .arg(&config);
    let mut slapd = Service::start("slapd", &mut command, &folder, address)?;
    slapd.wait_until_open(site.stop)?;

    field.add(System::SlapdModify, modify(&slapd, site.options.users)?, &slapd);
    field.notes.push(format!(
        "{}; mdb, default sync, {} entries",
        version()?,
        site.options.users
    ));
    field.services.push(slapd);
    Ok(())
}

/// Keeps the package from starting a server of its own: at run level 1 Debian starts none.
fn install() -> Result<()> {
    if Path::new(SLAPD).exists() {
        return Ok(());
    }
    let by_hand = format!("slapd is missing; install it with: {}", INSTALL.join(" "));
    ensure!(rustix::process::geteuid().is_root(), "{by_hand}");
    eprintln!("slapd: installing it with apt-get");
    let mut command = Command::new(INSTALL[0]);
    command
        .args(&INSTALL[1..])
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("RUNLEVEL", "1");
    service::run(&mut command).context(by_hand)?;
    Ok(())
}

fn configuration(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/slapd.pid
loglevel none
database mdb
directory {folder}/db
maxsize 4294967296
suffix {SUFFIX}
rootdn {ADMIN}
rootpw {PASSWORD}
index objectClass eq
index cn,uid eq
"
    )
}

fn uid(number: usize) -> String {
    format!("user{number:09}")
}

fn load(folder: &Path, config: &Path, users: usize) -> Result<()> {
    let ldif = folder.join("users.ldif");
    let mut out = BufWriter::new(File::create(&ldif)?);
    writeln!(
        out,
        "dn: {SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\ndc: bench\no: Bench\n"
    )?;
    writeln!(
        out,
        "dn: ou=people,{SUFFIX}\nobjectClass: organizationalUnit\nou: people\n"
    )?;
    (0..users).try_for_each(|number| write_entry(&mut out, number))?;
    out.flush()?;
    service::run(
        Command::new(SLAPADD)
            .arg("-q")
            .arg("-f")
            .arg(config)
            .arg("-l")
            .arg(&ldif),
    )?;
    fs::remove_file(ldif)?;
    service::forget(folder)?;
    Ok(())
}

/// About 1 KB, the size of a user in the other systems.
fn write_entry(out: &mut impl Write, number: usize) -> Result<()> {
    let uid = uid(number);
    writeln!(
        out,
        "dn: uid={uid},ou=people,{SUFFIX}
objectClass: inetOrgPerson
uid: {uid}
cn: Augusta Ada Lovelace {number}
sn: Lovelace
givenName: Augusta Ada
displayName: Augusta Ada Lovelace {number}
mail: {uid}@people.bench.example
title: Analyst of the Engine
telephoneNumber: +44 20 {number:08}
employeeNumber: {number}
employeeType: person
preferredLanguage: en-GB
description: Augusta Ada Lovelace 0000000000
postalAddress: {}
",
        "12 St James's Square, London SW1Y 4JH $ ".repeat(11)
    )?;
    Ok(())
}

fn modify(slapd: &Service, users: usize) -> Result<Workload> {
    let targets = Rc::new(Targets::new((0..users).map(uid))?);
    let name = format!("uid={},ou=people,{SUFFIX}", targets.hole());
    let request = ldap::replace(&name, "description", &format!("Augusta Ada Lovelace {STAMP_HOLE}"));
    Ok(Workload {
        address: slapd.address(),
        framing: Framing::Ldap,
        greeting: Some(ldap::bind(ADMIN, PASSWORD)),
        template: Template::new(request, &targets).with_both_holes()?,
        targets,
    })
}

/// `slapd -VV` names itself on standard error as `@(#) $OpenLDAP: slapd 2.5.13+dfsg-5 (date) $`.
fn version() -> Result<String> {
    let output = Command::new(SLAPD).arg("-VV").output()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let words = text.split_whitespace().skip_while(|word| *word != "slapd").take(2);
    Ok(format!("OpenLDAP {}", words.collect::<Vec<_>>().join(" ")))
}

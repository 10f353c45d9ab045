//! The dialects of Patchbay that the ratios are not about: what a read and an update cost in each, and what a build is
//! trained with.

use std::net::SocketAddr;
use std::rc::Rc;

use anyhow::Result;
use serde::Deserialize;
use serde_json::json;

use crate::load::{Framing, STAMP_HOLE, Targets, Template, Workload};
use crate::system::System;

/// The serial of the first generated user: those of the sample come before.
const FIRST_SERIAL: usize = 6;

/// The keys to these dialects, as `patchbay init --json` prints them.
#[derive(Debug, Deserialize)]
pub struct Others {
    nerm: Nerm,
    softwareone: SoftwareOne,
    trusted_twin: TrustedTwin,
}

#[derive(Debug, Deserialize)]
struct Nerm {
    token: String,
}

#[derive(Debug, Deserialize)]
struct SoftwareOne {
    operations_token: String,
}

#[derive(Debug, Deserialize)]
struct TrustedTwin {
    secret: String,
}

impl Others {
    /// What to send to one of these; nothing for another system. `users` are named by their UUIDs.
    pub fn workload(&self, system: System, address: SocketAddr, users: &Rc<Targets>) -> Result<Option<Workload>> {
        let (method, change) = match system {
            System::NermGet | System::SoftwareoneGet | System::TrustedTwinGet => ("GET", None),
            System::NermUpdate => {
                let change = json!({ "user": { "title": STAMP_HOLE, "status": "Active" } });
                ("PATCH", Some(change.to_string()))
            }
            System::SoftwareoneUpdate => {
                let change = json!({ "firstName": "Augusta Ada", "lastName": STAMP_HOLE });
                ("PUT", Some(change.to_string()))
            }
            System::TrustedTwinUpdate => {
                let change = json!({ "description": { "department": "engines", "badge": STAMP_HOLE } });
                ("PATCH", Some(change.to_string()))
            }
            _ => return Ok(None),
        };
        let bearer = |token: &str| format!("Bearer {token}");
        let (folder, authorization, targets) = match system {
            System::NermGet | System::NermUpdate => ("/api/users/", bearer(&self.nerm.token), users.clone()),
            System::SoftwareoneGet | System::SoftwareoneUpdate => {
                let token = bearer(&self.softwareone.operations_token);
                ("/public/v1/accounts/users/", token, serials(users.count())?)
            }
            _ => ("/users/", self.trusted_twin.secret.clone(), users.clone()),
        };
        let path = format!("{folder}{}", targets.hole());
        let headers = [format!("Authorization: {authorization}")];
        let template = Template::http(method, &path, &headers, change.as_deref(), &targets);
        let template = match change {
            Some(_) => template.with_both_holes()?,
            None => template,
        };
        Ok(Some(Workload {
            address,
            framing: Framing::Http,
            greeting: None,
            template,
            targets,
        }))
    }
}

/// The generated users by number, in the form of SoftwareOne's ids.
fn serials(count: usize) -> Result<Rc<Targets>> {
    let serials = FIRST_SERIAL..FIRST_SERIAL + count;
    let ids = serials.map(|serial| format!("USR-{:04}-{:04}", serial / 10_000, serial % 10_000));
    Ok(Rc::new(Targets::new(ids)?))
}

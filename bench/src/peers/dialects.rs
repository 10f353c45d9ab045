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
        let serials = || {
            let serials = FIRST_SERIAL..FIRST_SERIAL + users.count();
            Targets::new(serials.map(|serial| format!("USR-{:04}-{:04}", serial / 10_000, serial % 10_000)))
                .map(Rc::new)
        };
        let (targets, folder, authorization, method, change) = match system {
            System::NermGet | System::NermUpdate => {
                let change = json!({ "user": { "title": STAMP_HOLE, "status": "Active" } });
                (
                    users.clone(),
                    "/api/users/",
                    format!("Bearer {}", self.nerm.token),
                    "PATCH",
                    change,
                )
            }
            System::SoftwareoneGet | System::SoftwareoneUpdate => {
                let change = json!({ "firstName": "Augusta Ada", "lastName": STAMP_HOLE });
                let token = format!("Bearer {}", self.softwareone.operations_token);
                (serials()?, "/public/v1/accounts/users/", token, "PUT", change)
            }
            System::TrustedTwinGet | System::TrustedTwinUpdate => {
                let change = json!({ "description": { "department": "engines", "badge": STAMP_HOLE } });
                (
                    users.clone(),
                    "/users/",
                    self.trusted_twin.secret.clone(),
                    "PATCH",
                    change,
                )
            }
            _ => return Ok(None),
        };
        let path = format!("{folder}{}", targets.hole());
        let headers = [format!("Authorization: {authorization}")];
        let template = match system {
            System::NermGet | System::SoftwareoneGet | System::TrustedTwinGet => {
                Template::http("GET", &path, &headers, None, &targets)
            }
            _ => Template::http(method, &path, &headers, Some(&change.to_string()), &targets).with_both_holes()?,
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

//! The query of a read: which members, which relations, and whether the provider's own answers.

use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};
use patchbay_core::{error::Error, provider::UserView};
use serde_json::{Map, Value};

use super::super::{
    map::{self, Expand},
    wire,
};
use crate::{
    app::App,
    failure::{Failure, Kind},
};

/// Bytes that an answer is given from the start: most users fit.
const ROOM: usize = 1024;

/// What of a user is shown. Parameters that are not known here, `proxy[...]` among them, are tolerated.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Shown {
    /// Members to show; empty means all.
    fields: Vec<&'static str>,
    /// Relations to show.
    pub(super) expand: Expand,
    raw: bool,
}

impl FromRequestParts<App> for Shown {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Failure> {
        if parts.uri.query().is_none() {
            return Ok(Self::default());
        }
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|_| Failure::new(Kind::BadParameter, "the query could not be read"))?;
        Self::of(&pairs)
    }
}

impl Shown {
    /// Reads the parameters. Lists may be sent in several pieces; `raw` only once.
    fn of(pairs: &[(String, String)]) -> Result<Self, Failure> {
        let mut shown = Self::default();
        let mut raw = None;
        for (name, value) in pairs {
            match name.as_str() {
                "fields" => names(value).try_for_each(|field| shown.field(field))?,
                "expand" => names(value).try_for_each(|relation| shown.relation(relation))?,
                "raw" if raw.is_some() => return Err(bad("raw", "must be sent only once")),
                "raw" => raw = Some(flag(value)?),
                _ => {}
            }
        }
        shown.raw = raw.unwrap_or_default();
        Ok(shown)
    }

    fn field(&mut self, name: &str) -> Result<(), Failure> {
        let known = wire::User::MEMBERS.into_iter().find(|member| *member == name);
        let known = known.ok_or_else(|| bad("fields", format!("must not name {}", quoted(name))))?;
        if !self.fields.contains(&known) {
            self.fields.push(known);
        }
        Ok(())
    }

    fn relation(&mut self, name: &str) -> Result<(), Failure> {
        match name {
            "roles" => self.expand.roles = true,
            "groups" => self.expand.groups = true,
            _ => {
                let reason = format!("must name roles and groups only, not {}", quoted(name));
                return Err(bad("expand", reason));
            }
        }
        Ok(())
    }

    /// The answer's JSON. No provider tells the requests behind a user, so `raw` is an empty list.
    pub(super) fn json(&self, view: &UserView) -> Result<Vec<u8>, Error> {
        let raw = self.raw.then(Vec::new);
        let data = map::encode_user(view, self.expand);
        let mut json = Vec::with_capacity(ROOM);
        let written = if self.fields.is_empty() {
            serde_json::to_writer(&mut json, &wire::UserResult { data, raw })
        } else {
            let data = self.asked(&data)?;
            serde_json::to_writer(&mut json, &wire::UserResult { data, raw })
        };
        written.map_err(Error::internal)?;
        Ok(json)
    }

    /// Only the members that were asked for.
    fn asked(&self, user: &wire::User) -> Result<Map<String, Value>, Error> {
        match serde_json::to_value(user).map_err(Error::internal)? {
            Value::Object(all) => Ok(all
                .into_iter()
                .filter(|(name, _)| self.fields.contains(&name.as_str()))
                .collect()),
            other => Err(Error::internal(format!("a user became {other}"))),
        }
    }
}

fn names(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty())
}

fn flag(value: &str) -> Result<bool, Failure> {
    match value {
        "true" => Ok(true),
        "" | "false" => Ok(false),
        _ => Err(bad("raw", "must be true or false")),
    }
}

/// A caller's own word, cut to a bounded length.
fn quoted(name: &str) -> String {
    format!("{:?}", name.chars().take(40).collect::<String>())
}

fn bad(name: &str, reason: impl Into<String>) -> Failure {
    Failure::about(Kind::BadParameter, name, reason)
}

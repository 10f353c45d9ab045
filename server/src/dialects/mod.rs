//! The dialects: each vendor's wire language in a folder of its own, spoken inward (facade) and outward (connector).
//!
//! Each folder has the same core: `wire` (the JSON as it travels), `map` (pure functions between wire and domain), `facade`
//! (HTTP routes), `connector` (HTTP calls). Adding a vendor is one folder, its `mod` and its place in [`REGISTRY`].

pub mod nerm;
pub mod softwareone;
pub mod stackone;
pub mod trusted_twin;

use std::sync::Arc;

use axum::response::Response;
use patchbay_core::{clock::Timestamp, connector::Connector, error::Error, id::Serial};
use serde_json::{Map, Value};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    app::App,
    failure::Failure,
    outbound::http::Target,
    walkthrough::{Purpose, Sample, SampleUser, Step},
};

/// The dialects that are served and spoken.
pub static REGISTRY: [&dyn Dialect; 4] = [
    &stackone::StackOne,
    &nerm::Nerm,
    &softwareone::SoftwareOne,
    &trusted_twin::TrustedTwin,
];

/// One request, as far as rendering a failure needs it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The request's id: 32 lower-case hexadecimal digits.
    pub request_id: String,
    /// The path that was called, normalised.
    pub path: String,
    /// When it came in.
    pub now: Timestamp,
}

/// One vendor's wire language.
pub trait Dialect: Send + Sync {
    /// The name in configuration, audit entries and file names: `snake_case`.
    fn name(&self) -> &'static str;

    /// The path prefixes under which everything, unknown paths too, is this dialect's to answer.
    fn mounts(&self) -> &'static [&'static str];

    /// The routes, with their documentation.
    fn routes(&self) -> OpenApiRouter<App>;

    /// The key that the caller shows in the one `Authorization` header; `None` if that has another form than this dialect's.
    fn credential(&self, authorization: &str) -> Option<String>;

    /// The vendor's answer to a failure: status, headers and body.
    fn render(&self, failure: &Failure, exchange: &Exchange) -> Response;

    /// The most bytes of a JSON body.
    fn body_limit(&self, app: &App) -> usize {
        app.config.max_body_bytes
    }

    /// The settings that a linked account of this dialect must have, beyond address and key. It knows no others.
    fn settings(&self) -> &'static [&'static str] {
        &[]
    }

    /// The dialect spoken outward to one target.
    ///
    /// Fails with [`Error::Invalid`] if the target lacks a setting that the dialect needs.
    fn connector(&self, target: Target) -> Result<Arc<dyn Connector>, Error>;

    /// A new key in the form that this vendor's keys have, made of random bytes. It works in every dialect.
    fn mint(&self, serial: Serial, random: &[u8; 48]) -> String;

    /// The purposes for which sample keys are made in this vendor's form.
    fn sample_purposes(&self) -> &'static [Purpose];

    /// What a script needs to call this dialect with the sample tenant, as one JSON object.
    fn sample(&self, sample: &Sample) -> Value;

    /// What a script needs to name one sample user in this dialect, beyond his UUID.
    fn sample_user(&self, _user: &SampleUser) -> Map<String, Value> {
        Map::new()
    }

    /// The documented calls that the quickstart makes with the sample tenant, in order.
    fn walkthrough(&self, sample: &Sample) -> Vec<Step>;
}

/// The dialect with this name.
pub fn by_name(name: &str) -> Option<&'static dyn Dialect> {
    REGISTRY.iter().copied().find(|dialect| dialect.name() == name)
}

/// The dialect under whose mounts a path lies.
pub fn by_path(path: &str) -> Option<&'static dyn Dialect> {
    let under = |mount: &str| {
        path.strip_prefix(mount)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    REGISTRY
        .iter()
        .copied()
        .find(|dialect| dialect.mounts().iter().any(|mount| under(mount)))
}

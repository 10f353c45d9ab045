//! The stackone dialect.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use patchbay_core::{connector::Connector, error::Error, id::Serial};
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;

use super::{Dialect, Exchange};
use crate::{
    app::App,
    failure::Failure,
    outbound::http::Target,
    walkthrough::{Sample, Step},
};

/// The dialect.
pub struct StackOne;

impl Dialect for StackOne {
    fn name(&self) -> &'static str {
        "stackone"
    }

    fn mounts(&self) -> &'static [&'static str] {
        &["/unified"]
    }

    fn routes(&self) -> OpenApiRouter<App> {
        OpenApiRouter::new()
    }

    fn credential(&self, _headers: &HeaderMap) -> Option<String> {
        None
    }

    fn render(&self, failure: &Failure, _exchange: &Exchange) -> Response {
        failure.kind.status().into_response()
    }

    fn connector(&self, _target: Target) -> Result<Arc<dyn Connector>, Error> {
        Err(Error::NotImplemented {
            operation: "calling".to_owned(),
        })
    }

    fn mint(&self, _serial: Serial, random: &[u8; 48]) -> String {
        hex::encode(random)
    }

    fn sample(&self, _sample: &Sample) -> Value {
        Value::Null
    }

    fn walkthrough(&self, _sample: &Sample) -> Vec<Step> {
        Vec::new()
    }
}

//! Reaching remote systems.

pub mod connectors;
pub mod http;
mod redact;

//! Patchbay: an identity gateway and user directory in one binary.
//!
//! `main` → `cli` → [`app`] (wiring) → [`pipeline`] (every layer and mount) → [`authenticate`] → `dialects/<d>/facade` → the gateway in
//! `patchbay-core` → [`store`] or [`outbound`].

pub mod app;
pub mod authenticate;
pub mod cli;
pub mod completion;
pub mod config;
pub mod dialects;
pub mod extract;
pub mod failure;
pub mod openapi;
pub mod outbound;
pub mod pipeline;
pub mod sample;
pub mod seal;
pub mod settling;
pub mod store;
pub mod system;
pub mod telemetry;
pub mod walkthrough;

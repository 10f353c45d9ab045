//! Patchbay from outside: the real router in process, real SQLite files, and TCP where the wire matters.

#![expect(unreachable_pub, reason = "the modules of a test binary export to each other only")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on has failed"
)]

mod audit;
mod cli;
mod config;
mod contracts;
mod coverage;
mod crash;
mod harness;
mod loopback;
mod nerm;
mod openapi;
mod pipeline;
mod processes;
mod requests;
mod softwareone;
mod stackone;
mod store;
mod trusted_twin;

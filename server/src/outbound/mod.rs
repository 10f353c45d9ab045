//! Reaching remote systems.

pub mod http;

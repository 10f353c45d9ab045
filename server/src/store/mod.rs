//! Where records live: one folder per database, one conformance suite for all.

pub mod memory;
pub mod sqlite;

//! Where records live: one folder per database, one conformance suite for all.

mod confine;
pub mod memory;
mod row;
pub mod sqlite;

//! Patchbay's domain: users, the deltas that change them, who may do so, and what is kept of it.
//!
//! The crate knows no HTTP and no SQL. It defines the two ports that the rest plugs into: [`store::Store`] (where
//! records live) and [`connector::Connector`] (how one vendor's API is called). [`gateway::Gateway`] is the way in: one
//! method per use case.
//!
//! A write is always a delta ([`user::UserPatch`], every member a [`patch::Patch`]) applied by the pure
//! [`user::User::apply`] to the record as it stands inside the store's transaction.

pub mod audit;
pub mod author;
pub mod changeset;
pub mod clock;
pub mod connector;
pub mod credential;
pub mod directory;
pub mod error;
pub mod gateway;
pub mod group;
pub mod host;
pub mod icon;
pub mod id;
pub mod linked_account;
pub mod membership;
pub mod organization;
pub mod packed;
pub mod patch;
pub mod policy;
pub mod principal;
pub mod provider;
pub mod remote;
pub mod revision;
pub mod role;
pub mod settings;
pub mod store;
pub mod text;
pub mod user;

//! Who made or last changed a record, as the record itself keeps it.

use serde::{Deserialize, Serialize};

use crate::{id::Serial, text::Text};

/// A user or a program's key, with the name that it had then. The audit log says more; this is what dialects show beside
/// the time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Author {
    /// A user, by his number.
    User(Serial, Text),
    /// A program, by the number of the credential that it showed.
    Token(Serial, Text),
}

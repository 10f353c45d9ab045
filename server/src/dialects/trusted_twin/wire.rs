//! The JSON as it travels (vendor documentation, "Update a User" and "Get a User").

use patchbay_core::patch::Patch;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};
use utoipa::ToSchema;

/// What a `PATCH /users/{user}` changes. Absent members stay as they are; unknown members are refused.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = UserPatch)]
pub(super) struct UserUpdate {
    /// Name of the user; it need not be unique.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(
        value_type = Option<String>, required = false, nullable = false, min_length = 2, max_length = 32,
        pattern = r"^[0-9A-Za-z][0-9A-Za-z_ \-]{0,30}[0-9A-Za-z]$", example = "Oliver Adams"
    )]
    pub name: Patch<String>,
    /// UUID of an existing role that permits no more than the caller's own.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<String>, required = false, nullable = false, format = "uuid")]
    pub role: Patch<String>,
    /// Attributes, replaced as a whole: `{}` leaves an empty dictionary, null removes it. Keys match
    /// `^[a-z_][0-9a-z_]{0,63}$`, values are any JSON.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<Object>, required = false)]
    pub description: Patch<Map<String, Value>>,
    /// Activity log tables (newer edition): `{table: {"dimensions": {dimension: template}}}`; null switches the log off.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<Object>, required = false)]
    pub activity: Patch<Map<String, Value>>,
}

/// A user. The facade says all that it has; a connector reads any part, as the vendor's two editions tell different parts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub(super) struct User {
    /// User UUID.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = true, nullable = false, format = "uuid")]
    pub uuid: Option<String>,
    /// Name of the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = true, nullable = false)]
    pub name: Option<String>,
    /// Account UUID.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = true, nullable = false, format = "uuid")]
    pub account: Option<String>,
    /// Role UUID; left out for a user without a role.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false, format = "uuid")]
    pub role: Option<String>,
    /// Attributes; left out if they are unset, empty if they are empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, required = false, nullable = false)]
    pub description: Option<Map<String, Value>>,
    /// Activity log tables; left out if the log is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, required = false, nullable = false)]
    pub activity: Option<Map<String, Value>>,
    /// When the user was created: seconds since the Unix epoch, at most three decimals.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = f64, required = true, example = 1_646_307_775.089)]
    pub created_ts: Option<Number>,
    /// When the user was last updated: seconds since the Unix epoch, at most three decimals.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = f64, required = true, example = 1_646_307_910.85)]
    pub updated_ts: Option<Number>,
}

/// The body of every refusal and failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(super) struct ErrorBody {
    /// Six digits: the status, and which case of it.
    #[schema(example = 404_653)]
    pub subcode: u32,
    /// The request's id, as a UUID.
    #[schema(format = "uuid")]
    pub trace: String,
    /// What is wrong, naming the member if it is about one.
    pub description: String,
}

/// True if the text matches `^[0-9A-Za-z][0-9A-Za-z_ \-]{0,30}[0-9A-Za-z]$`: 2 to 32 characters (seed, Request table).
pub(super) fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    let [first, middle @ .., last] = bytes else {
        return false;
    };
    let inner = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b' ' | b'-');
    first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() && middle.len() <= 30 && middle.iter().all(inner)
}

/// True if the text matches `^[a-z_][0-9a-z_]{0,63}$` (seed, Request table). It holds for first-level keys only.
pub(super) fn is_attribute_key(text: &str) -> bool {
    let [first, rest @ ..] = text.as_bytes() else {
        return false;
    };
    let start = |byte: &u8| byte.is_ascii_lowercase() || *byte == b'_';
    start(first) && rest.len() <= 63 && rest.iter().all(|byte| start(byte) || byte.is_ascii_digit())
}

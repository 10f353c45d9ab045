//! The JSON as it travels: the "user" of the 2023 seed document and of today's bundle, both.

use patchbay_core::patch::Patch;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What an update carries (seed, jsonRequestBodyExample).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = UserUpdateRequest)]
pub(super) struct UpdateRequest {
    /// What to change.
    pub user: UserChange,
}

/// The members of an update: an absent one is left as it is, null clears where nothing is required. Unknown members
/// are ignored, read-only ones too.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub(super) struct UserChange {
    /// The user's id again; if sent it must be that of the path (write-only, seed "id").
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<uuid::Uuid>, nullable = false)]
    pub id: Patch<String>,
    /// The name to show; may not be blank.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub name: Patch<String>,
    /// Mail address; may not be blank.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub email: Patch<String>,
    /// Lifecycle user or portal user.
    #[serde(rename = "type", skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<UserType>, nullable = false)]
    pub kind: Patch<String>,
    /// The profile that a portal user is linked to; never answered.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<uuid::Uuid>)]
    pub profile_id: Patch<String>,
    /// Job title.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<String>)]
    pub title: Patch<String>,
    /// Whether the user may come in; may not be blank.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<UserStatus>, nullable = false)]
    pub status: Patch<String>,
    /// What the user signs in with; unique, may not be blank.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub login: Patch<String>,
    /// Whether the user is an administrator there (seed only; the vendor dropped it in 2023); never answered.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<bool>)]
    pub admin: Patch<bool>,
    /// Names of directory groups, separated by commas.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<String>)]
    pub group_strings: Patch<String>,
    /// BCP 47 tag.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<String>)]
    pub locale: Patch<String>,
    /// The user's identity in the vendor's identity cloud.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<String>)]
    pub sailpoint_identity_id: Patch<String>,
}

/// What a read or an update answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(super) struct UserResponse {
    /// The user.
    pub user: User,
}

/// A user as answered. What is not set is null (notes, section 3: "nulls occur").
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub(super) struct User {
    /// UUID.
    #[schema(value_type = uuid::Uuid)]
    pub id: String,
    /// A second, fixed name of the user: 32 hexadecimal digits, not the id.
    #[schema(min_length = 32, max_length = 32)]
    pub uid: Option<String>,
    /// The name to show.
    pub name: Option<String>,
    /// Mail address.
    pub email: Option<String>,
    /// Lifecycle user or portal user.
    #[serde(rename = "type")]
    #[schema(value_type = Option<UserType>)]
    pub kind: Option<String>,
    /// Job title.
    pub title: Option<String>,
    /// Whether the user may come in.
    #[schema(value_type = Option<UserStatus>)]
    pub status: Option<String>,
    /// What the user signs in with.
    pub login: Option<String>,
    /// When the user last signed in: RFC 3339 with milliseconds.
    #[schema(format = DateTime)]
    pub last_login: Option<String>,
    /// When the user accepted cookies: RFC 3339.
    #[schema(format = DateTime)]
    pub cookies_accepted_at: Option<String>,
    /// BCP 47 tag of the language of texts.
    pub preferred_language: Option<String>,
    /// BCP 47 tag.
    pub locale: Option<String>,
    /// Names of directory groups, separated by commas.
    pub group_strings: Option<String>,
    /// The user's identity in the vendor's identity cloud.
    pub sailpoint_identity_id: Option<String>,
}

/// The types that a change may name. Answers of the vendor hold further ones, such as `DelegateUser`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(super) enum UserType {
    /// Lifecycle user.
    NeprofileUser,
    /// Portal user.
    NeaccessUser,
}

impl UserType {
    /// Every type.
    pub(in crate::dialects::nerm) const ALL: [Self; 2] = [Self::NeprofileUser, Self::NeaccessUser];

    /// The type as it travels.
    pub(in crate::dialects::nerm) fn as_str(self) -> &'static str {
        match self {
            Self::NeprofileUser => "NeprofileUser",
            Self::NeaccessUser => "NeaccessUser",
        }
    }
}

/// Whether a user may come in. The seed has no `Pending`; the bundle does since 2025.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(super) enum UserStatus {
    /// He may.
    Active,
    /// Not yet.
    Pending,
    /// No longer.
    Disabled,
}

impl UserStatus {
    /// Every status.
    pub(in crate::dialects::nerm) const ALL: [Self; 3] = [Self::Active, Self::Pending, Self::Disabled];

    /// The status as it travels.
    pub(in crate::dialects::nerm) fn as_str(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Pending => "Pending",
            Self::Disabled => "Disabled",
        }
    }
}

/// A refusal. `errors` maps each wrong attribute to its messages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(super) struct ErrorResponse {
    /// One sentence.
    pub error: String,
    /// Attribute → messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::BTreeMap<String, Vec<String>>>, nullable = false)]
    pub errors: Option<std::collections::BTreeMap<String, Vec<String>>>,
}

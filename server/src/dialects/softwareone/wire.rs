//! The JSON as it travels, after seed 002 (`AccountUser`, v5.0.5618), seed 003 (`User`) and the published v5 example.
//!
//! Deltas tell absent, null and value apart; in objects null members are left out. Members of a delta are found letter
//! case aside, which is [`super::fold`]'s work.

use patchbay_core::patch::Patch;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// The change of a user: an absent member stays, null clears, a value replaces; nested objects are deltas too.
///
/// `firstName`, `lastName`, `email`, `settings.cultureCode` and `settings.languageCode` may be neither null nor empty.
/// Unknown and read-only members are accepted and ignored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, rename_all = "camelCase")]
#[expect(missing_docs, reason = "named as in the domain")]
pub struct UserDelta {
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<String>)]
    pub email: Patch<String>,
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<String>)]
    pub first_name: Patch<String>,
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<String>)]
    pub last_name: Patch<String>,
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<PhoneDelta>)]
    pub phone: Patch<PhoneDelta>,
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<SettingsDelta>)]
    pub settings: Patch<SettingsDelta>,
    /// Null takes the picture away; a path, as in answers, leaves it.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<String>)]
    pub icon: Patch<Value>,
    /// The account to work in from now on; his membership there must be active.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = AccountKey)]
    pub current_account: Patch<AccountKey>,
}

/// What names an account in a change; its other members are ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(expecting = "an object")]
pub struct AccountKey {
    /// `ACC-NNNN-NNNN`.
    // Absent it is empty, which is none, so that the refusal names it and not what it is in.
    #[serde(default)]
    #[schema(required = true)]
    pub id: String,
}

/// The change of a telephone number.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, expecting = "an object", rename_all = "camelCase")]
#[expect(missing_docs, reason = "named as in the domain")]
pub struct PhoneDelta {
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<String>, max_length = 10)]
    pub prefix: Patch<String>,
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<String>, max_length = 15)]
    pub number: Patch<String>,
}

/// The change of locale settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, expecting = "an object", rename_all = "camelCase")]
#[expect(missing_docs, reason = "named as in the domain")]
pub struct SettingsDelta {
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<String>)]
    pub culture_code: Patch<String>,
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<String>)]
    pub language_code: Patch<String>,
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<String>)]
    pub date_format: Patch<String>,
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<String>)]
    pub time_format: Patch<String>,
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<String>)]
    pub time_zone: Patch<String>,
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<NumberFormatDelta>)]
    pub number_format: Patch<NumberFormatDelta>,
}

/// The change of the separators of numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, expecting = "an object", rename_all = "camelCase")]
#[expect(missing_docs, reason = "named as in the domain")]
pub struct NumberFormatDelta {
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<String>)]
    pub decimal_separator: Patch<String>,
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<String>)]
    pub group_separator: Patch<String>,
}

/// The change of an account user: what [`UserDelta`] changes of him, and his place in the account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, rename_all = "camelCase")]
#[expect(missing_docs, reason = "the first six as in UserDelta")]
pub struct AccountUserDelta {
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<String>)]
    pub email: Patch<String>,
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<String>)]
    pub first_name: Patch<String>,
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<String>)]
    pub last_name: Patch<String>,
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<PhoneDelta>)]
    pub phone: Patch<PhoneDelta>,
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<SettingsDelta>)]
    pub settings: Patch<SettingsDelta>,
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<String>)]
    pub icon: Patch<Value>,
    /// The groups, replaced as a whole, by id; at least one.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<Vec<GroupKey>>)]
    pub groups: Patch<Vec<GroupKey>>,
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<InvitationDelta>)]
    pub invitation: Patch<InvitationDelta>,
}

/// What names a group in a change; its other members are ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(expecting = "an object")]
pub struct GroupKey {
    /// `UGR-NNNN-NNNN`.
    // Absent it is empty, which is none, so that the refusal names it and not what it is in.
    #[serde(default)]
    #[schema(required = true)]
    pub id: String,
}

/// The change of an invitation; its status and URL are read-only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, expecting = "an object")]
pub struct InvitationDelta {
    /// Notes of those who invited him.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<String>)]
    pub notes: Patch<String>,
}

/// A user. By mail address only `id`, `email`, `status` and `audit.invitationAcceptedAt` are shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// `USR-NNNN-NNNN`.
    pub id: String,
    /// What happened to him.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit: Option<UserAudit>,
    /// First and last name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Path of his picture, without `/public`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icon: Option<String>,
    /// Version.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i32>)]
    pub revision: Option<u64>,
    /// Mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// `Active`, `Invited`, `Disabled` or `Blocked`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Telephone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<PhoneNumber>,
    /// Given name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    /// Family name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    /// When he last signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub last_login_at: Option<String>,
    /// Locale settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<UserSettings>,
    /// His accounts; only for callers who may see all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accounts: Option<Vec<AccountRef>>,
    /// The account he works in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_account: Option<AccountRef>,
}

/// A user as a member of one account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountUser {
    /// `USR-NNNN-NNNN`, as everywhere in the account's context.
    pub id: String,
    /// What happened to him here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit: Option<AccountUserAudit>,
    /// First and last name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Path of his picture, without `/public`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icon: Option<String>,
    /// Version.
    #[schema(value_type = i32)]
    pub revision: u64,
    /// The user.
    pub user: UserRef,
    /// Mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// How far his membership has come: `Active`, `Invited` or `InvitationExpired`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Telephone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<PhoneNumber>,
    /// Given name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    /// Family name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    /// Locale settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<UserSettings>,
    /// The groups he is in here.
    pub groups: Vec<UserGroupRef>,
    /// What he may use here; derived, and here always empty.
    pub modules: Vec<ModuleRef>,
    /// The account.
    pub account: AccountRef,
    /// How he came.
    pub invitation: Invitation,
}

/// What happened to a user.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserAudit {
    /// His making.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Event>,
    /// His last change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated: Option<Event>,
    /// When he first accepted an invitation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub invitation_accepted_at: Option<String>,
}

/// What happened to a user in an account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AccountUserAudit {
    /// His making.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Event>,
    /// His last change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated: Option<Event>,
    /// His being asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invited: Option<Event>,
    /// His coming.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub joined: Option<Event>,
    /// When he was last there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access: Option<DateEvent>,
}

/// Something that happened.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub at: Option<String>,
    /// Who did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<UserRef>,
}

/// A moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DateEvent {
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub at: Option<String>,
}

/// A user or token, in short.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UserRef {
    /// Id.
    pub id: String,
    /// Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Path of the picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icon: Option<String>,
    /// Version.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i32>)]
    pub revision: Option<u64>,
}

/// An account, in short.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AccountRef {
    /// `ACC-NNNN-NNNN`.
    pub id: String,
    /// Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Path of the picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icon: Option<String>,
    /// Version.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i32>)]
    pub revision: Option<u64>,
    /// `Client`, `Vendor` or `Operations`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// `Active`, `Enabled` or `Disabled`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

/// A group, in short.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserGroupRef {
    /// `UGR-NNNN-NNNN`.
    pub id: String,
    /// Name.
    pub name: String,
    /// Version.
    #[schema(value_type = i32)]
    pub revision: u64,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// True for the group that new members join.
    pub is_default: bool,
}

/// A module, in short.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModuleRef {
    /// `MOD-NNNN`.
    pub id: String,
    /// Name.
    pub name: String,
}

/// How a user came into an account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Invitation {
    /// Notes of those who invited him.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// `Invited`, `InvitationExpired` or `Active`.
    pub status: String,
}

/// A telephone number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PhoneNumber {
    /// Country prefix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
}

/// Locale settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "named as in the domain")]
pub struct UserSettings {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub culture_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date_format: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number_format: Option<NumberFormat>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_format: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
}

/// Separators of numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "named as in the domain")]
pub struct NumberFormat {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decimal_separator: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_separator: Option<String>,
}

/// The parts of the form that changes a user; either may be absent.
#[derive(Debug, ToSchema)]
#[expect(
    dead_code,
    reason = "describes the form in the OpenAPI document; parts are read as they stream in"
)]
pub struct UserForm {
    /// The change, as JSON.
    #[schema(content_media_type = "application/json")]
    user: Option<UserDelta>,
    /// The picture: PNG or JPEG, at most 5 MiB.
    #[schema(value_type = Option<String>, format = Binary)]
    icon: Option<Vec<u8>>,
}

/// A picture as it is served.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(
    dead_code,
    reason = "describes the answer in the OpenAPI document; the bytes go out as they are"
)]
pub struct Picture(Vec<u8>);

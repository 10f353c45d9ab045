//! The JSON as it travels, in both directions.
//!
//! Every member of every model is optional and nullable (contract notes, section 3). Enums are objects of `value` and
//! `source_value`; a null or absent member of theirs is told apart only in updates.

use std::{fmt, marker::PhantomData};

use patchbay_core::{patch::Patch, text::Text};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// What must be a JSON object. A derived structure alone would also decode from an array, member by member in order of
/// declaration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members)).map(Object)
            }
        }

        deserializer.deserialize_map(Members(PhantomData))
    }
}

/// A boolean that may also be written as the text `true` or `false` (seed, `is_bot_user`). Written as a boolean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(super) struct Flag(pub(super) bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Through a value of any kind: a number of any precision reads as a map, and would be refused as one.
        match Value::deserialize(deserializer)? {
            Value::Bool(value) => Ok(Self(value)),
            Value::String(text) if text == "true" => Ok(Self(true)),
            Value::String(text) if text == "false" => Ok(Self(false)),
            _ => Err(de::Error::custom(r#"expected true, false, "true" or "false""#)),
        }
    }
}

/// A value of an open enum: StackOne's word for it, and the provider's own (seed, `UserStatusEnum`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub(super) struct EnumValue {
    /// StackOne's word; `unmapped_value` where it has none.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<String>, example = "enabled")]
    pub(super) value: Patch<Text>,
    /// The provider's own value, of any type.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<Value>)]
    pub(super) source_value: Patch<Value>,
}

impl EnumValue {
    /// Both words.
    pub(super) fn of(value: &str, source: impl Into<Value>) -> Self {
        Self {
            value: Patch::Value(value.into()),
            source_value: Patch::Value(source.into()),
        }
    }
}

/// The body of an update: all members optional and nullable (seed, `IamUpdateUserRequestDto`). Unknown members are ignored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = IamUpdateUserRequestDto)]
pub(super) struct UserUpdate {
    /// Primary email address of the user.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<String>, example = "han@stackone.com")]
    pub(super) primary_email_address: Patch<String>,
    /// Given name.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<String>, example = "Han")]
    pub(super) first_name: Patch<String>,
    /// Family name.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<String>, example = "Solo")]
    pub(super) last_name: Patch<String>,
    /// The name to show; null goes back to "first last".
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<String>, example = "Han Solo")]
    pub(super) name: Patch<String>,
    /// What he signs in with; unique.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<String>, example = "hansolo1977")]
    pub(super) username: Patch<String>,
    /// Whether it is a bot or service user; the texts `true` and `false` are taken too.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<bool>, example = true)]
    pub(super) is_bot_user: Patch<Flag>,
    /// Status: enabled, disabled or pending.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<EnumValue>)]
    pub(super) status: Patch<Object<EnumValue>>,
    /// Members for the provider itself.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<std::collections::HashMap<String, Value>>)]
    pub(super) passthrough: Patch<Map<String, Value>>,
}

/// The answer to an update (seed, `UpdateResult`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct UpdateResult {
    /// Status, once more.
    #[schema(example = 200)]
    pub(super) status_code: u16,
    /// A sentence.
    #[schema(value_type = String, example = "Record updated successfully.")]
    pub(super) message: Text,
    /// When it was done: RFC 3339 with milliseconds, UTC.
    #[schema(value_type = String, example = "2021-01-01T01:01:01.000Z")]
    pub(super) timestamp: Text,
}

impl UpdateResult {
    /// The one message of a successful update.
    pub(super) const UPDATED: &str = "Record updated successfully.";
}

/// A user (contract notes, section 3, `IamUser`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = IamUser)]
#[expect(clippy::struct_field_names, reason = "the vendor's own names")]
pub(super) struct User {
    #[schema(value_type = Option<String>)]
    pub(super) id: Option<Text>,
    #[schema(value_type = Option<String>)]
    pub(super) remote_id: Option<Text>,
    #[schema(value_type = Option<std::collections::HashMap<String, Value>>)]
    pub(super) unified_custom_fields: Option<Map<String, Value>>,
    #[schema(value_type = Option<String>)]
    pub(super) primary_email_address: Option<Text>,
    #[schema(value_type = Option<String>)]
    pub(super) first_name: Option<Text>,
    #[schema(value_type = Option<String>)]
    pub(super) last_name: Option<Text>,
    #[schema(value_type = Option<String>)]
    pub(super) name: Option<Text>,
    #[schema(value_type = Option<String>)]
    pub(super) username: Option<Text>,
    #[schema(value_type = Option<bool>)]
    pub(super) is_bot_user: Option<Flag>,
    pub(super) roles: Option<Vec<Role>>,
    pub(super) groups: Option<Vec<Group>>,
    pub(super) status: Option<EnumValue>,
    pub(super) last_active_at: Option<String>,
    #[schema(value_type = Option<String>)]
    pub(super) last_login_at: Option<Text>,
    #[schema(value_type = Option<String>)]
    pub(super) created_at: Option<Text>,
    #[schema(value_type = Option<String>)]
    pub(super) updated_at: Option<Text>,
    pub(super) multi_factor_enabled: Option<Vec<EnumValue>>,
    pub(super) avatar: Option<File>,
}

impl User {
    /// The names that the query parameter `fields` knows (vendor spec 1.0.0, `iam_get_user`).
    pub(super) const MEMBERS: [&str; 18] = [
        "id",
        "remote_id",
        "first_name",
        "last_name",
        "name",
        "primary_email_address",
        "username",
        "roles",
        "groups",
        "status",
        "avatar",
        "is_bot_user",
        "last_active_at",
        "last_login_at",
        "created_at",
        "updated_at",
        "multi_factor_enabled",
        "unified_custom_fields",
    ];
}

/// A role (contract notes, section 3, `IamRole`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = IamRole)]
pub(super) struct Role {
    pub(super) id: Option<String>,
    pub(super) remote_id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    #[serde(rename = "type")]
    pub(super) kind: Option<EnumValue>,
    #[schema(value_type = Option<Vec<Value>>)]
    pub(super) policies: Option<Vec<Value>>,
    pub(super) created_at: Option<String>,
    pub(super) updated_at: Option<String>,
}

/// A group (contract notes, section 3, `IamGroup`, with the newer pages' `organization_id`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = IamGroup)]
pub(super) struct Group {
    pub(super) id: Option<String>,
    pub(super) remote_id: Option<String>,
    pub(super) organization_id: Option<String>,
    pub(super) parent_id: Option<String>,
    pub(super) remote_parent_id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) roles: Option<Vec<Role>>,
    #[serde(rename = "type")]
    pub(super) kind: Option<EnumValue>,
    pub(super) created_at: Option<String>,
    pub(super) updated_at: Option<String>,
}

/// A picture (contract notes, section 3, `File`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[expect(clippy::struct_field_names, reason = "the vendor's own names")]
pub(super) struct File {
    pub(super) id: Option<String>,
    pub(super) remote_id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) category: Option<EnumValue>,
    #[schema(value_type = Option<Vec<Value>>)]
    pub(super) contents: Option<Vec<Value>>,
    pub(super) category_id: Option<String>,
    pub(super) created_at: Option<String>,
    pub(super) updated_at: Option<String>,
    pub(super) remote_url: Option<String>,
    pub(super) file_format: Option<EnumValue>,
}

/// The answer to a read (vendor spec 1.0.0, `IamUserResult`). `data` is the [`User`], whole or cut down to the asked fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = IamUserResult)]
pub(super) struct UserResult<T> {
    /// The user.
    pub(super) data: T,
    /// Requests made to the provider; null unless asked for.
    #[serde(default)]
    #[schema(value_type = Option<Vec<Value>>)]
    pub(super) raw: Option<Vec<Value>>,
}

/// The answer to every refusal and failure (seed, `BadRequestResponse` and its siblings).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ErrorResponse {
    /// Status, once more.
    #[schema(example = 400)]
    pub(super) status_code: u16,
    /// What is wrong, naming the member if it is about one.
    #[schema(example = "Bad Request")]
    pub(super) message: String,
    /// When it happened: RFC 3339 with milliseconds, UTC.
    #[schema(example = "2023-05-30T00:00:00.000Z")]
    pub(super) timestamp: String,
    /// What the provider answered, if one was asked.
    #[serde(rename = "provider_errors", default, skip_serializing_if = "Option::is_none")]
    pub(super) provider_errors: Option<Vec<ProviderError>>,
}

/// A provider's own answer (seed, `ProviderError`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(super) struct ProviderError {
    /// Status; null if the provider did not answer.
    pub(super) status: Option<u16>,
    /// The URL called, without credentials.
    pub(super) url: Option<String>,
    /// The answer; what is not an object is wrapped as `{"body": ...}`.
    #[schema(value_type = Option<std::collections::HashMap<String, Value>>)]
    pub(super) raw: Option<Map<String, Value>>,
    /// Headers that help to explain it.
    #[schema(value_type = Option<std::collections::HashMap<String, String>>)]
    pub(super) headers: Option<Map<String, Value>>,
}

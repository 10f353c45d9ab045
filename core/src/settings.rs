//! How a user likes dates, numbers and language to look, and how he is reached by telephone: small nested values.

use serde::{Deserialize, Serialize};

use crate::{patch::Patch, text::Text};

/// Locale settings; every member may be unset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// BCP 47 tag that decides formats, for example `en-US`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub culture_code: Option<String>,
    /// BCP 47 tag of the language of texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language_code: Option<String>,
    /// Date pattern, free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date_format: Option<String>,
    /// Time pattern, free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_format: Option<String>,
    /// Time zone name, free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Separators of numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number_format: Option<NumberFormat>,
}

/// Separators of numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NumberFormat {
    /// Between whole and fraction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decimal_separator: Option<String>,
    /// Between groups of digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_separator: Option<String>,
}

/// A telephone number in two parts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Phone {
    /// Country prefix, for example `+34`; at most 10 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<Text>,
    /// The number; at most 15 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<Text>,
}

/// Delta of [`Settings`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "one member per member of Settings")]
pub struct SettingsPatch {
    pub culture_code: Patch<String>,
    pub language_code: Patch<String>,
    pub date_format: Patch<String>,
    pub time_format: Patch<String>,
    pub time_zone: Patch<String>,
    pub number_format: Patch<NumberFormatPatch>,
}

/// Delta of [`NumberFormat`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "one member per member of NumberFormat")]
pub struct NumberFormatPatch {
    pub decimal_separator: Patch<String>,
    pub group_separator: Patch<String>,
}

/// Delta of [`Phone`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "one member per member of Phone")]
pub struct PhonePatch {
    pub prefix: Patch<String>,
    pub number: Patch<String>,
}

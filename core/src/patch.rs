//! The three states of a member in a partial update: leave it, clear it, set it.
//!
//! Used instead of a nested `Option`, which readers get wrong. With `#[serde(default)]` an absent member decodes as
//! [`Patch::Absent`] and a JSON `null` as [`Patch::Null`]; with `skip_serializing_if = "Patch::is_absent"` the same holds
//! on the way out.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a partial update says about one member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// The member was not sent: leave it as it is.
    #[default]
    Absent,
    /// The member was sent as null: clear it.
    Null,
    /// The member was sent with a value: set it.
    Value(T),
}

impl<T> Patch<T> {
    /// True if the member is to be left as it is.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// The value to set, if there is one.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }

    /// The same statement about a converted value.
    pub fn map<U>(self, convert: impl FnOnce(T) -> U) -> Patch<U> {
        match self {
            Self::Absent => Patch::Absent,
            Self::Null => Patch::Null,
            Self::Value(value) => Patch::Value(convert(value)),
        }
    }

    /// The same statement about a value whose conversion may fail.
    pub fn try_map<U, E>(self, convert: impl FnOnce(T) -> Result<U, E>) -> Result<Patch<U>, E> {
        Ok(match self {
            Self::Absent => Patch::Absent,
            Self::Null => Patch::Null,
            Self::Value(value) => Patch::Value(convert(value)?),
        })
    }

    /// The same statement, borrowed.
    pub fn as_ref(&self) -> Patch<&T> {
        match self {
            Self::Absent => Patch::Absent,
            Self::Null => Patch::Null,
            Self::Value(value) => Patch::Value(value),
        }
    }
}

impl<T: Clone> Patch<T> {
    /// What `current` becomes: itself, nothing, or the value.
    #[must_use]
    pub fn over(&self, current: &Option<T>) -> Option<T> {
        match self {
            Self::Absent => current.clone(),
            Self::Null => None,
            Self::Value(value) => Some(value.clone()),
        }
    }
}

impl<T> From<Option<T>> for Patch<T> {
    /// `None` clears, `Some` sets. There is no absent in an `Option`.
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Self::Value)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<T>::deserialize(deserializer).map(Self::from)
    }
}

impl<T: Serialize> Serialize for Patch<T> {
    /// Writes null for both absent and null: pair it with `skip_serializing_if = "Patch::is_absent"`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value().serialize(serializer)
    }
}

//! Large values that are seldom looked at: kept as the JSON that is stored of them, and read when somebody asks.
//!
//! What is written reads back: the one exception, keys that the JSON reader gives a meaning of its own, is refused where
//! texts come in, from callers and from remote systems.

use std::{fmt, marker::PhantomData, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned, de::Error as _};
use serde_json::value::{RawValue, to_raw_value};

use crate::user::limits::READERS_OWN;

/// A value as its JSON text.
///
/// Copies share the text, and writing it again is copying it: a record whose other members change pays nothing for
/// this one. Two are equal if their texts are; the text of a value is always the same, as maps are sorted.
pub struct Packed<T> {
    text: Arc<RawValue>,
    kind: PhantomData<fn() -> T>,
}

impl<T: Serialize> Packed<T> {
    /// Packs a value.
    ///
    /// # Panics
    ///
    /// If the value cannot be said in JSON, such as a map whose keys are not texts.
    #[expect(
        clippy::expect_used,
        reason = "a value that cannot be JSON is a fault of the program, not of its input"
    )]
    pub fn new(value: &T) -> Self {
        let text = to_raw_value(value).expect("the value can be said in JSON");
        Self {
            text: text.into(),
            kind: PhantomData,
        }
    }
}

impl<T: DeserializeOwned> Packed<T> {
    /// The value, read anew from its text.
    ///
    /// # Panics
    ///
    /// If the type does not read what it wrote.
    #[expect(clippy::expect_used, reason = "the text was written by `new` from such a value")]
    pub fn read(&self) -> T {
        serde_json::from_str(self.text.get()).expect("a packed value can be read")
    }
}

impl<T> Packed<T> {
    /// Its JSON text.
    pub fn as_str(&self) -> &str {
        self.text.get()
    }
}

impl<T: Serialize> From<T> for Packed<T> {
    fn from(value: T) -> Self {
        Self::new(&value)
    }
}

impl<T> Clone for Packed<T> {
    fn clone(&self) -> Self {
        Self {
            text: self.text.clone(),
            kind: PhantomData,
        }
    }
}

impl<T> PartialEq for Packed<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.text, &other.text) || self.as_str() == other.as_str()
    }
}

impl<T> Eq for Packed<T> {}

impl<T> fmt::Debug for Packed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<T> Serialize for Packed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.text.serialize(serializer)
    }
}

impl<'de, T: DeserializeOwned + Serialize> Deserialize<'de> for Packed<T> {
    /// Fails as reading the value itself does; the text is written anew if it is not what [`Packed::new`] would write. Fails
    /// too if that has keys of the reader's own by which it would not read back.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <Box<RawValue>>::deserialize(deserializer)?;
        let value: T = serde_json::from_str(text.get()).map_err(D::Error::custom)?;
        let packed = Self::new(&value);
        if packed.as_str().contains(READERS_OWN) {
            serde_json::from_str::<T>(packed.as_str()).map_err(D::Error::custom)?;
        }
        Ok(packed)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;

    type Object = Map<String, Value>;

    fn object(value: &Value) -> Object {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn what_is_packed_is_read_and_stored_as_it_was() {
        let value = object(&json!({ "b": [1.50, null, { "deep": "\u{1}\"" }], "a": "ä" }));
        let packed = Packed::new(&value);
        assert_eq!(packed.read(), value);
        let stored = serde_json::to_string(&packed).unwrap();
        assert_eq!(stored, serde_json::to_string(&value).unwrap());
        assert_eq!(serde_json::from_str::<Packed<Object>>(&stored).unwrap(), packed);
        assert_eq!(serde_json::to_value(&packed).unwrap(), json!(value));
    }

    #[test]
    fn the_same_value_is_equal_however_it_was_written() {
        let read = |text: &str| serde_json::from_str::<Packed<Object>>(text).unwrap();
        assert_eq!(read(r#"{"a":1,"b":2}"#), read("{ \"b\": 2, \"a\":1 }"));
        assert_ne!(read(r#"{"a":1}"#), read(r#"{"a":1.0}"#));
    }

    #[test]
    fn what_is_no_such_value_is_refused_when_it_is_read() {
        let refused = serde_json::from_str::<Packed<Object>>("[1]").unwrap_err();
        assert!(refused.to_string().contains("expected a map"), "{refused}");
        let token = r#"{"a":{"b":1,"$serde_json::private::Number":"x"}}"#;
        assert!(serde_json::from_str::<Packed<Object>>(token).is_err());
    }
}

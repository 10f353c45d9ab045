//! JSON bodies: what is JSON at all, and where it has another shape than expected.

use std::{borrow::Cow, collections::BTreeSet, fmt};

use memchr::memchr2;
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned, MapAccess, SeqAccess, Visitor},
};
use serde_json::error::Category;

use patchbay_core::user::limits::READERS_OWN;

use crate::failure::{Failure, Kind};

/// Decodes a JSON body.
///
/// Fails with [`Kind::BadEncoding`] if it is not UTF-8, [`Kind::NotJson`] if it is not JSON, wherever it breaks, and
/// [`Kind::Schema`], naming the member by its path, if it is JSON of another shape or an object in it has a name twice:
/// readers differ in which of the two they take (RFC 8259, section 4).
pub fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    let text = std::str::from_utf8(body)
        .map_err(|_| Failure::new(Kind::BadEncoding, "the request body contains invalid characters"))?;
    if has_readers_keys(text) {
        whole(text)?;
        let reason = format!("the request body must not have keys that begin with {READERS_OWN}");
        return Err(Failure::new(Kind::Schema, reason));
    }
    let value = serde_json::from_str(text).map_err(|error| misread::<T>(text, &error))?;
    serde_json::from_str::<Distinct>(text).map_err(|error| misread::<Distinct>(text, &error))?;
    Ok(value)
}

/// Why a text could not be decoded. Only here, where time does not matter, is the member's path kept track of.
fn misread<T: DeserializeOwned>(text: &str, error: &serde_json::Error) -> Failure {
    if error.classify() != Category::Data {
        return not_json(error);
    }
    // The wrong shape was met first, but the text may break off later.
    if let Err(failure) = whole(text) {
        return failure;
    }
    let again = serde_path_to_error::deserialize::<_, T>(&mut serde_json::Deserializer::from_str(text));
    let path = again.err().map(|error| error.path().to_string());
    schema(path.as_deref().unwrap_or_default(), error)
}

/// Fails with [`Kind::NotJson`] if a text is not JSON from its beginning to its end, in members that nobody reads too.
fn whole(text: &str) -> Result<(), Failure> {
    serde_json::from_str(text)
        .map(|Any::<false>| ())
        .map_err(|error| not_json(&error))
}

/// The most characters of a caller's own word that a message repeats.
pub const MAX_QUOTED: usize = 80;

/// Any JSON; if `DISTINCT`, such whose objects have no name twice. Unlike what serde skips, every text in it is read and its nesting is
/// counted.
struct Any<const DISTINCT: bool>;

/// Any JSON whose objects have no name twice.
type Distinct = Any<true>;

impl<'de, const DISTINCT: bool> Deserialize<'de> for Any<DISTINCT> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Names::<DISTINCT>)
    }
}

/// A member's name, where it stands in the text if it is not escaped there.
#[derive(PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

struct Names<const DISTINCT: bool>;

impl<'de, const DISTINCT: bool> Visitor<'de> for Names<DISTINCT> {
    type Value = Any<DISTINCT>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Any)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Any)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Any)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Any)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Any)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<Self::Value>()?.is_some() {}
        Ok(Any)
    }

    /// Numbers that no integer holds come as maps too, since they are read with every digit.
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut names = BTreeSet::new();
        while let Some((name, Any)) = members.next_entry::<Name<'de>, Self::Value>()? {
            if DISTINCT && let Some(twice) = names.replace(name) {
                let shown: String = twice.0.chars().take(MAX_QUOTED).collect();
                return Err(de::Error::custom(format_args!("duplicate field `{shown}`")));
            }
        }
        Ok(Any)
    }
}

/// True if a JSON text from outside has a key that begins like [`READERS_OWN`], however it is escaped.
///
/// Such a key makes the reader parse the text that it names as JSON of its own, whose nesting counts anew, so that the bound
/// on depth does not hold: 69 kB ended an unoptimised process by stack overflow. Most texts have neither a dollar nor a
/// backslash, without which no such key can be spelt.
pub fn has_readers_keys(text: &str) -> bool {
    if memchr2(b'$', b'\\', text.as_bytes()).is_none() {
        return false;
    }
    let mut rest = text;
    while let Some((_, begun)) = rest.split_once('"') {
        let (inner, after) = begun.split_at(string_end(begun));
        rest = after.strip_prefix('"').unwrap_or_default();
        if begins_as_readers(inner) && rest.trim_ascii_start().starts_with(':') {
            return true;
        }
    }
    false
}

/// Where the JSON string ends whose inside a text begins with.
fn string_end(text: &str) -> usize {
    let mut at = 0;
    while let Some(found) = text.as_bytes().get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += found;
        if text.as_bytes().get(at) == Some(&b'"') {
            return at;
        }
        at += 2;
    }
    text.len()
}

/// True if the inside of a JSON string begins like [`READERS_OWN`]. Only `\u` escapes can spell these characters.
fn begins_as_readers(mut inner: &str) -> bool {
    READERS_OWN.chars().all(|wanted| {
        let rest = match inner.strip_prefix("\\u").and_then(|rest| rest.split_at_checked(4)) {
            Some((digits, rest)) => (u32::from_str_radix(digits, 16) == Ok(wanted.into())).then_some(rest),
            None => inner.strip_prefix(wanted),
        };
        inner = rest.unwrap_or_default();
        rest.is_some()
    })
}

/// The refusal of a body that is not JSON, or is nested deeper than JSON is read: 127 objects and arrays in one another.
pub fn not_json(error: &serde_json::Error) -> Failure {
    Failure::new(Kind::NotJson, format!("the request body is not valid JSON: {error}"))
}

/// The reader's words for a name that an object has twice, before that name.
const TWICE: &str = "duplicate field `";

/// The most characters of a path, or of the reader's words, that a refusal repeats: both hold names as long as the caller makes them.
const MAX_WORDS: usize = 400;

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}...", text.split_at(end).0),
        None => text.to_owned(),
    }
}

/// The refusal of a member whose JSON has the wrong shape. A member that is given twice is named, not the object that it is
/// in.
pub fn schema(path: &str, error: &serde_json::Error) -> Failure {
    let text = error.to_string();
    let what = cut(text.split(" at line ").next().unwrap_or(&text), MAX_WORDS);
    let path = cut(if path == "." { "" } else { path }, MAX_WORDS);
    let twice = what.strip_prefix(TWICE).and_then(|name| name.strip_suffix('`'));
    if let Some(name) = twice {
        let dot = if path.is_empty() { "" } else { "." };
        return Failure::about(Kind::Schema, format!("{path}{dot}{name}"), "is given more than once");
    }
    if path.is_empty() {
        Failure::new(Kind::Schema, format!("the request body is not as expected: {what}"))
    } else {
        Failure::about(Kind::Schema, path, format!("is not as expected: {what}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Result<serde_json::Value, Failure> {
        json(text.as_bytes())
    }

    #[test]
    fn a_refusal_repeats_no_more_than_a_piece_of_a_name() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Known {
            #[expect(dead_code, reason = "it is there to be read")]
            member: std::collections::BTreeMap<String, u8>,
        }
        let long = "x".repeat(60_000);
        for text in [
            format!(r#"{{"{long}": 1}}"#),
            format!(r#"{{"member": {{"{long}": "text"}}}}"#),
            format!(r#"{{"member": {{"{long}": 1, "{long}": 1}}}}"#),
        ] {
            let failure = json::<Known>(text.as_bytes()).unwrap_err();
            let told = failure.message(str::to_owned);
            assert!(told.len() < 1_000 && told.contains("xxx"), "{told}");
        }
    }

    #[test]
    fn keys_of_the_readers_own_are_refused_however_spelt() {
        for text in [
            r#"{"$serde_json::private::Number": "1"}"#,
            r#"{"a": [{"$serde_json::private::RawValue" : "[[]]"}]}"#,
            r#"{"a": "\u00e9", "\u0024serde_json\u003a:private::RawValue": "1"}"#,
            r#"{"\u0024\u0073erde_json::private::RawValue": "1"}"#,
            r#"{"a\"": "\\", "$serde_json::private::\"": "1"}"#,
        ] {
            assert_eq!(value(text).unwrap_err().kind, Kind::Schema, "{text}");
        }
    }

    #[test]
    fn values_like_keys_of_the_readers_own_are_texts() {
        for text in [
            r#"{"a": "see $serde_json::private::Number", "b": "\u0024 \ud83d\ude00", "c": 1.50}"#,
            r#"{"\\u0024serde_json::private::Number": "\\u"}"#,
            r#"{"a": "$serde_json::private::Number", "b": ["\u0024serde_json::private::RawValue"]}"#,
            r#""$serde_json::private::Number""#,
            r#"{"a\"$serde_json::private::Number": ":"}"#,
        ] {
            let plain: serde_json::Value = serde_json::from_str(text).unwrap();
            assert_eq!(value(text).unwrap(), plain, "{text}");
        }
    }

    #[test]
    fn what_breaks_off_after_a_wrong_shape_is_not_json() {
        #[derive(Debug, serde::Deserialize)]
        #[expect(dead_code, reason = "only decoded")]
        struct Named {
            name: String,
        }
        let kind = |text: &str| json::<Named>(text.as_bytes()).unwrap_err().kind;
        for text in [
            r#"{"name":1"#,
            "[1",
            "5x",
            "null x",
            r#"{"name":1,}"#,
            r#"{"$serde_json::private::Number":1"#,
            r#"{"\u+024serde_json::private::Number":1}"#,
        ] {
            assert_eq!(kind(text), Kind::NotJson, "{text}");
        }
        for text in [r#"{"name":1}"#, "[1]", "5", " null ", "{}"] {
            assert_eq!(kind(text), Kind::Schema, "{text}");
        }
        let failure = json::<Named>(br#"{"name":1}"#).unwrap_err();
        assert_eq!(
            failure.message(str::to_owned),
            "name is not as expected: invalid type: integer `1`, expected a string"
        );
    }

    /// Sent as it is, this ended a process of the debug build.
    #[test]
    fn nesting_cannot_be_hidden_in_texts() {
        let mut text = "1".to_owned();
        for _ in 0..14 {
            let inner = format!("{}{text}{}", "[".repeat(100), "]".repeat(100));
            text = format!(r#"{{"$serde_json::private::RawValue":{}}}"#, serde_json::json!(inner));
        }
        assert!(text.len() < 100_000);
        assert_eq!(
            json::<serde_json::Value>(text.as_bytes()).unwrap_err().kind,
            Kind::Schema
        );
    }
}

//! What handlers read from a request besides the caller: bounded bodies, preconditions, idempotency keys.

use std::{collections::BTreeSet, fmt};

use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    http::request::Parts,
    response::{IntoResponse, Response},
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::{HeaderMap, HeaderName, StatusCode, header};
use patchbay_core::{
    changeset::{Idempotency, IdempotencyRecord},
    principal::Context,
    revision::{Expect, Revision},
};
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned, MapAccess, SeqAccess, Visitor},
};
use sha2::{Digest, Sha256};

use crate::{
    app::App,
    dialects::Dialect,
    failure::{Failure, Kind},
};

/// The whole body, no larger than the called dialect's bound. An empty body is empty bytes.
pub struct Body(pub Bytes);

impl FromRequest<App> for Body {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        let dialect = request.extensions().get::<&'static dyn Dialect>().copied();
        let limit = dialect.map_or(app.config.max_body_bytes, |dialect| dialect.body_limit(app));
        let announced = content_length(request.headers()).unwrap_or_default();
        if announced > limit as u64 {
            return Err(too_large(limit));
        }
        let mut stream = request.into_body().into_data_stream();
        let mut body = BytesMut::new();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|error| broken_body(&error))?;
            if body.len() + chunk.len() > limit {
                return Err(too_large(limit));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Self(body.freeze()))
    }
}

/// The refusal of a body over a bound.
pub fn too_large(limit: usize) -> Failure {
    Failure::new(Kind::TooLarge, format!("the request body is larger than {limit} bytes"))
}

/// The refusal of a body that ended early or was badly framed.
pub fn broken_body(error: &dyn std::error::Error) -> Failure {
    Failure {
        log: Some(error.to_string()),
        ..Failure::new(Kind::NotJson, "the request body did not arrive whole")
    }
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Decodes a JSON body.
///
/// Fails with [`Kind::BadEncoding`] if it is not UTF-8, [`Kind::NotJson`] if it is not JSON, and [`Kind::Schema`], naming
/// the member by its path, if it is JSON of another shape or an object in it has a name twice: readers differ in which of
/// the two they take (RFC 8259, section 4).
pub fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    let text = std::str::from_utf8(body)
        .map_err(|_| Failure::new(Kind::BadEncoding, "the request body contains invalid characters"))?;
    if has_readers_keys(text) {
        let reason = format!("the request body must not have keys that begin with {READERS_KEYS}");
        return Err(Failure::new(Kind::Schema, reason));
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        match error.inner().classify() {
            serde_json::error::Category::Data => schema(&path, error.inner()),
            _ => not_json(error.inner()),
        }
    })?;
    deserializer.end().map_err(|error| not_json(&error))?;
    // Read once more for the path, which takes time, only where there is something to tell.
    if serde_json::from_str::<Distinct>(text).is_err() {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let Distinct = serde_path_to_error::deserialize(&mut deserializer)
            .map_err(|error| schema(&error.path().to_string(), error.inner()))?;
    }
    Ok(value)
}

/// The most characters of a caller's own word that a message repeats.
pub const MAX_QUOTED: usize = 80;

/// Any JSON whose objects have no name twice.
struct Distinct;

impl<'de> Deserialize<'de> for Distinct {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DistinctNames)
    }
}

struct DistinctNames;

impl<'de> Visitor<'de> for DistinctNames {
    type Value = Distinct;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Distinct, E> {
        Ok(Distinct)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Distinct, E> {
        Ok(Distinct)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Distinct, E> {
        Ok(Distinct)
    }

    fn visit_str<E>(self, _: &str) -> Result<Distinct, E> {
        Ok(Distinct)
    }

    fn visit_unit<E>(self) -> Result<Distinct, E> {
        Ok(Distinct)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Distinct, A::Error> {
        while items.next_element::<Distinct>()?.is_some() {}
        Ok(Distinct)
    }

    /// Numbers that no integer holds come as maps too, since they are read with every digit.
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Distinct, A::Error> {
        let mut names = BTreeSet::new();
        while let Some((name, Distinct)) = members.next_entry::<String, Distinct>()? {
            if let Some(twice) = names.replace(name) {
                let shown: String = twice.chars().take(MAX_QUOTED).collect();
                return Err(de::Error::custom(format_args!("duplicate field `{shown}`")));
            }
        }
        Ok(Distinct)
    }
}

/// How the keys begin by which `serde_json` tells its own values from those of a document.
const READERS_KEYS: &str = "$serde_json::private::";

/// True if a JSON text from outside has a string that begins like one of [`READERS_KEYS`], however it is escaped.
///
/// Such a key makes the reader parse the text that it names as JSON of its own, whose nesting counts anew, so that the bound
/// on depth does not hold: 69 kB ended an unoptimised process by stack overflow. Only `\u` escapes can spell these
/// characters.
pub fn has_readers_keys(text: &str) -> bool {
    let begins = |text: &str| {
        text.match_indices(READERS_KEYS)
            .any(|(at, _)| text[..at].ends_with('"'))
    };
    if !text.contains("\\u") {
        return begins(text);
    }
    let mut parts = text.split("\\u");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.get(..4).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code.filter(u8::is_ascii) {
            Some(code) => plain.push(char::from(code)),
            None => plain.push('\u{fffd}'),
        }
        plain.push_str(if code.is_some() { &part[4..] } else { part });
    }
    begins(&plain)
}

/// The refusal of a body that is not JSON.
pub fn not_json(error: &serde_json::Error) -> Failure {
    Failure::new(Kind::NotJson, format!("the request body is not valid JSON: {error}"))
}

/// The refusal of a member whose JSON has the wrong shape.
pub fn schema(path: &str, error: &serde_json::Error) -> Failure {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or(&text).to_owned();
    if path.is_empty() || path == "." {
        Failure::new(Kind::Schema, format!("the request body is not as expected: {what}"))
    } else {
        Failure::about(Kind::Schema, path, format!("is not as expected: {what}"))
    }
}

/// The conditions and the idempotency key that a write carries.
pub struct Conditions {
    /// What must hold of the record (`If-Match`, `If-None-Match`).
    pub expect: Expect,
    key: Option<String>,
    target: String,
}

static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const MAX_KEY: usize = 255;

impl FromRequestParts<App> for Conditions {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Failure> {
        let key = single(&parts.headers, &IDEMPOTENCY_KEY)?;
        if key.as_ref().is_some_and(|key| key.is_empty() || key.len() > MAX_KEY) {
            let reason = format!("must have 1 to {MAX_KEY} characters");
            return Err(Failure::about(Kind::BadParameter, "Idempotency-Key", reason));
        }
        let expect = expect(&parts.headers)?;
        let target = format!("{} {} {expect:?}", parts.method, parts.uri.path());
        Ok(Self { expect, key, target })
    }
}

impl Conditions {
    /// What makes a repeat of this request recognisable, if the caller sent a key. `body` is what the caller said,
    /// free of incidentals such as a multipart boundary.
    pub fn idempotency(&self, context: &Context, body: &[&[u8]]) -> Option<Idempotency> {
        let key = self.key.as_ref()?;
        let mut digest = Sha256::new_with_prefix(self.target.as_bytes());
        for part in body {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        Some(Idempotency {
            key: format!("{}/{key}", context.principal.credential.id),
            fingerprint: digest.finalize().into(),
            record: IdempotencyRecord::Finish,
        })
    }
}

/// The one value of a header that may be sent at most once; `None` if it was not sent.
pub fn single(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, Failure> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Failure::about(
            Kind::BadParameter,
            name.as_str(),
            "must be sent only once",
        ));
    }
    let text = value
        .to_str()
        .map_err(|_| Failure::about(Kind::BadParameter, name.as_str(), "must be printable ASCII"))?;
    Ok(Some(text.trim().to_owned()))
}

/// What `If-Match` and `If-None-Match` require of a write.
///
/// Weak tags never match a write (RFC 9110, 13.1.1). Fails with [`Kind::BadParameter`] if a header is malformed or both are
/// sent.
fn expect(headers: &HeaderMap) -> Result<Expect, Failure> {
    let required = tags(headers, &header::IF_MATCH)?;
    let excluded = tags(headers, &header::IF_NONE_MATCH)?;
    match (required, excluded) {
        (None, None) => Ok(Expect::Any),
        (Some(Tags::Star), None) => Ok(Expect::Present),
        (Some(Tags::List(tags)), None) => Ok(match strong(&tags).as_slice() {
            [one] => Expect::Exactly(*one),
            many => Expect::OneOf(many.to_vec()),
        }),
        (None, Some(Tags::Star)) => Ok(Expect::Missing),
        (None, Some(Tags::List(tags))) => Ok(Expect::NoneOf(tags.iter().filter_map(Tag::revision).collect())),
        (Some(_), Some(_)) => Err(Failure::about(
            Kind::BadParameter,
            "If-Match",
            "and If-None-Match must not be sent together",
        )),
    }
}

/// True if `If-None-Match` of a read names this revision, so that "not modified" is the answer. Weak comparison.
pub fn not_modified(headers: &HeaderMap, revision: Revision) -> Result<bool, Failure> {
    let own = revision.to_string();
    not_modified_by(headers, |tag| tag == own)
}

/// The same for what has an entity tag of its own; `same` is asked with each tag, without quotes.
pub fn not_modified_by(headers: &HeaderMap, same: impl Fn(&str) -> bool) -> Result<bool, Failure> {
    Ok(match tags(headers, &header::IF_NONE_MATCH)? {
        None => false,
        Some(Tags::Star) => true,
        Some(Tags::List(tags)) => tags.iter().any(|tag| same(&tag.text)),
    })
}

/// "Not modified", if the caller has this revision already. Fails as [`not_modified`] does.
pub fn unchanged(headers: &HeaderMap, revision: Revision) -> Result<Option<Response>, Failure> {
    let same = not_modified(headers, revision)?;
    Ok(same.then(|| (StatusCode::NOT_MODIFIED, [(header::ETAG, etag(revision))]).into_response()))
}

/// A revision as a strong entity tag.
pub fn etag(revision: Revision) -> String {
    format!("\"{revision}\"")
}

enum Tags {
    Star,
    List(Vec<Tag>),
}

struct Tag {
    weak: bool,
    text: String,
}

impl Tag {
    /// The revision whose entity tag this is, to the letter: `"+7"` and `"07"` are other tags than `"7"` (RFC 9110, 8.8.3.2).
    fn revision(&self) -> Option<Revision> {
        let revision = Revision(self.text.parse().ok()?);
        (revision.to_string() == self.text).then_some(revision)
    }
}

fn strong(tags: &[Tag]) -> Vec<Revision> {
    tags.iter().filter(|tag| !tag.weak).filter_map(Tag::revision).collect()
}

fn tags(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Tags>, Failure> {
    let values: Vec<&str> = headers
        .get_all(name)
        .iter()
        .map(|value| value.to_str().unwrap_or("\u{0}"))
        .collect();
    if values.is_empty() {
        return Ok(None);
    }
    let text = values.join(",");
    if text.trim() == "*" {
        return Ok(Some(Tags::Star));
    }
    let list: Option<Vec<Tag>> = text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(tag)
        .collect();
    match list {
        Some(list) if !list.is_empty() => Ok(Some(Tags::List(list))),
        _ => Err(Failure::about(
            Kind::BadParameter,
            name.as_str(),
            "must be * or a list of quoted entity tags",
        )),
    }
}

fn tag(text: &str) -> Option<Tag> {
    let (weak, quoted) = text.strip_prefix("W/").map_or((false, text), |rest| (true, rest));
    let inner = quoted.strip_prefix('"')?.strip_suffix('"')?;
    (!inner.contains('"') && !inner.contains('\u{0}')).then(|| Tag {
        weak,
        text: inner.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_the_readers_own_are_refused_however_spelt() {
        let value = |text: &str| json::<serde_json::Value>(text.as_bytes());
        for text in [
            r#"{"$serde_json::private::Number": "1"}"#,
            r#"{"a": [{"$serde_json::private::RawValue": "[[]]"}]}"#,
            r#"{"a": "\u00e9", "\u0024serde_json\u003a:private::RawValue": "1"}"#,
            r#"{"\u0024\u0073erde_json::private::RawValue": "1"}"#,
        ] {
            assert_eq!(value(text).unwrap_err().kind, Kind::Schema, "{text}");
        }
        for text in [
            r#"{"a": "see $serde_json::private::Number", "b": "\u0024 \ud83d\ude00", "c": 1.50}"#,
            r#"{"\\u0024serde_json::private::Number": "\\u"}"#,
        ] {
            assert!(value(text).is_ok(), "{text}");
        }
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

    #[test]
    fn an_entity_tag_is_compared_to_the_letter() {
        let tag = |text: &str| Tag {
            weak: false,
            text: text.to_owned(),
        };
        assert_eq!(tag("7").revision(), Some(Revision(7)));
        for other in ["07", "+7", " 7", "", "x", "99999999999999999999999"] {
            assert_eq!(tag(other).revision(), None, "{other}");
        }
    }
}

//! What handlers read from a request besides the caller: bounded bodies, preconditions, idempotency keys.

use std::{borrow::Cow, collections::BTreeSet, fmt};

use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    http::request::Parts,
    response::{IntoResponse, Response},
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::{HeaderMap, HeaderName, StatusCode, header};
use memchr::memchr2;
use patchbay_core::{
    changeset::{Idempotency, IdempotencyRecord},
    error::Error,
    principal::Context,
    revision::{Expect, Revision},
};
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::error::Category;
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
        unencoded(request.headers())?;
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

/// Refuses a body that is compressed or otherwise encoded: it would be read as what it is not.
pub fn unencoded(headers: &HeaderMap) -> Result<(), Failure> {
    let codings = headers.get_all(header::CONTENT_ENCODING).iter();
    let mut codings = codings.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    if codings.all(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"identity")) {
        return Ok(());
    }
    let reason = "the request body must not have a Content-Encoding";
    Err(Failure::new(Kind::UnsupportedMedia, reason))
}

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
        let reason = format!("the request body must not have keys that begin with {READERS_KEYS}");
        return Err(Failure::new(Kind::Schema, reason));
    }
    let value = serde_json::from_str(text).map_err(|error| misread::<T>(text, &error))?;
    if serde_json::from_str::<Distinct>(text).is_err() {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let Distinct = serde_path_to_error::deserialize(&mut deserializer)
            .map_err(|error| schema(&error.path().to_string(), error.inner()))?;
    }
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

/// Fails with [`Kind::NotJson`] if a text is not JSON from its beginning to its end.
fn whole(text: &str) -> Result<(), Failure> {
    serde_json::from_str(text)
        .map(|IgnoredAny| ())
        .map_err(|error| not_json(&error))
}

/// The most characters of a caller's own word that a message repeats.
const MAX_QUOTED: usize = 80;

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

/// True if a JSON text from outside has a key that begins like [`READERS_KEYS`], however it is escaped.
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

/// True if the inside of a JSON string begins like [`READERS_KEYS`]. Only `\u` escapes can spell these characters.
fn begins_as_readers(mut inner: &str) -> bool {
    READERS_KEYS.chars().all(|wanted| {
        let rest = match inner.strip_prefix("\\u").and_then(|rest| rest.split_at_checked(4)) {
            Some((digits, rest)) => (u32::from_str_radix(digits, 16) == Ok(wanted.into())).then_some(rest),
            None => inner.strip_prefix(wanted),
        };
        inner = rest.unwrap_or_default();
        rest.is_some()
    })
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
            return Err(Failure::about(Kind::BadParameter, IDEMPOTENCY_KEY.as_str(), reason));
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
            header::IF_MATCH.as_str(),
            "and if-none-match must not be sent together",
        )),
    }
}

/// True if `If-None-Match` of a read names this revision, so that "not modified" is the answer. Weak comparison.
///
/// Fails with [`Kind::Precondition`] if `If-Match` is sent and does not name it, which is looked at first (RFC 9110, 13.2.2).
pub fn not_modified(headers: &HeaderMap, revision: Revision) -> Result<bool, Failure> {
    let own = revision.to_string();
    not_modified_by(headers, |tag| tag == own)
}

/// The same for what has an entity tag of its own; `same` is asked with each tag, without quotes.
pub fn not_modified_by(headers: &HeaderMap, same: impl Fn(&str) -> bool) -> Result<bool, Failure> {
    if let Some(Tags::List(tags)) = tags(headers, &header::IF_MATCH)?
        && !tags.iter().any(|tag| !tag.weak && same(&tag.text))
    {
        return Err(Error::Precondition { current: None }.into());
    }
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
    let values: Vec<Cow<str>> = headers
        .get_all(name)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .collect();
    if values.is_empty() {
        return Ok(None);
    }
    let text = values.join(",");
    if text.trim() == "*" {
        return Ok(Some(Tags::Star));
    }
    match list(&text) {
        Some(list) if !list.is_empty() => Ok(Some(Tags::List(list))),
        _ => Err(Failure::about(
            Kind::BadParameter,
            name.as_str(),
            "must be * or a list of quoted entity tags",
        )),
    }
}

/// Reads entity tags between commas; the quoted text of one may hold commas itself.
fn list(text: &str) -> Option<Vec<Tag>> {
    let mut tags = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return Some(tags);
        }
        let (weak, quoted) = rest.strip_prefix("W/").map_or((false, rest), |rest| (true, rest));
        let (inner, after) = quoted.strip_prefix('"')?.split_once('"')?;
        tags.push(Tag {
            weak,
            text: inner.to_owned(),
        });
        rest = after.trim_start_matches([' ', '\t']);
        if !rest.is_empty() && !rest.starts_with(',') {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Result<serde_json::Value, Failure> {
        json(text.as_bytes())
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

    #[test]
    fn commas_within_quotes_belong_to_the_tag() {
        let texts = |text: &str| {
            Some(
                list(text)?
                    .into_iter()
                    .map(|tag| (tag.weak, tag.text))
                    .collect::<Vec<_>>(),
            )
        };
        let tag = |weak, text: &str| (weak, text.to_owned());
        assert_eq!(
            texts(r#""a,b", W/"c" ,, "","#),
            Some(vec![tag(false, "a,b"), tag(true, "c"), tag(false, "")])
        );
        for wrong in [r#""a" "b""#, r#""a"#, "a", r#"w/"a""#, r#"*, "a""#, r#""a"b, "c""#] {
            assert_eq!(texts(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_read_is_refused_where_if_match_does_not_hold() {
        let read = |required: &str, known: Option<&str>| {
            let mut headers = HeaderMap::from_iter([(header::IF_MATCH, required.parse().unwrap())]);
            headers.extend(known.map(|known| (header::IF_NONE_MATCH, known.parse().unwrap())));
            not_modified(&headers, Revision(7)).map_err(|failure| failure.kind)
        };
        assert_eq!(read("\"7\"", None), Ok(false));
        assert_eq!(read("\"6,7\", \"7\"", Some("\"7\"")), Ok(true));
        assert_eq!(read("*", None), Ok(false));
        for stale in ["\"6\"", "W/\"7\"", "\"07\"", "\"6,7\""] {
            assert_eq!(read(stale, Some("\"7\"")), Err(Kind::Precondition), "{stale}");
        }
        assert_eq!(read("7", None), Err(Kind::BadParameter));
    }
}

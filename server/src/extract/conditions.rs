//! What a request requires of a record's version, and what makes a repeat of it recognisable.

use std::borrow::Cow;

use axum::{
    extract::FromRequestParts,
    http::request::Parts,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use patchbay_core::{
    changeset::{Idempotency, IdempotencyRecord},
    error::Error,
    principal::Context,
    revision::{Expect, Revision},
};
use sha2::{Digest, Sha256};

use super::single;
use crate::{
    app::App,
    failure::{Failure, Kind},
};

/// The conditions and the idempotency key that a write carries.
pub struct Conditions {
    /// What must hold of the record (`If-Match`, `If-None-Match`).
    pub expect: Expect,
    key: Option<Key>,
}

/// An idempotency key, and the request that it came with.
struct Key {
    key: String,
    target: (Method, String),
}

static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const MAX_KEY: usize = 255;

impl FromRequestParts<App> for Conditions {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Failure> {
        let key = single(&parts.headers, &IDEMPOTENCY_KEY)?;
        if key.is_some_and(|key| key.is_empty() || key.len() > MAX_KEY) {
            let reason = format!("must have 1 to {MAX_KEY} characters");
            return Err(Failure::about(Kind::BadParameter, IDEMPOTENCY_KEY.as_str(), reason));
        }
        let expect = expect(&parts.headers)?;
        let key = key.map(|key| Key {
            key: key.to_owned(),
            target: (parts.method.clone(), parts.uri.path().to_owned()),
        });
        Ok(Self { expect, key })
    }
}

impl Conditions {
    /// What makes a repeat of this request recognisable, if the caller sent a key. `body` is what the caller said,
    /// free of incidentals such as a multipart boundary.
    pub fn idempotency(&self, context: &Context, body: &[&[u8]]) -> Option<Idempotency> {
        let Key {
            key,
            target: (method, path),
        } = self.key.as_ref()?;
        let target = format!("{method} {path} {:?}", self.expect);
        let mut digest = Sha256::new_with_prefix(target.as_bytes());
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

/// The entity tags that a read carries: what it requires of the record, and what the caller has already.
pub struct ReadConditions {
    required: Option<Tags>,
    known: Option<Tags>,
}

impl FromRequestParts<App> for ReadConditions {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Failure> {
        Self::of(&parts.headers)
    }
}

impl ReadConditions {
    fn of(headers: &HeaderMap) -> Result<Self, Failure> {
        Ok(Self {
            required: tags(headers, &header::IF_MATCH)?,
            known: tags(headers, &header::IF_NONE_MATCH)?,
        })
    }

    /// True if `If-None-Match` names this revision, so that "not modified" is the answer. Weak comparison.
    ///
    /// Fails with [`Kind::Precondition`] if `If-Match` is sent and does not name it, which is looked at first (RFC 9110,
    /// 13.2.2).
    pub fn not_modified(&self, revision: Revision) -> Result<bool, Failure> {
        self.not_modified_by(|tag| tag == revision.to_string())
    }

    /// The same for what has an entity tag of its own; `same` is asked with each tag, without quotes.
    pub fn not_modified_by(&self, same: impl Fn(&str) -> bool) -> Result<bool, Failure> {
        if let Some(Tags::List(tags)) = &self.required
            && !tags.iter().any(|tag| !tag.weak && same(&tag.text))
        {
            return Err(Error::Precondition { current: None }.into());
        }
        Ok(match &self.known {
            None => false,
            Some(Tags::Star) => true,
            Some(Tags::List(tags)) => tags.iter().any(|tag| same(&tag.text)),
        })
    }

    /// "Not modified", if the caller has this revision already. Fails as [`ReadConditions::not_modified`] does.
    pub fn unchanged(&self, revision: Revision) -> Result<Option<Response>, Failure> {
        let same = self.not_modified(revision)?;
        Ok(same.then(|| (StatusCode::NOT_MODIFIED, [(header::ETAG, etag(revision))]).into_response()))
    }
}

/// A revision as a strong entity tag.
#[expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "digits in quotes are a header's value"
)]
pub fn etag(revision: Revision) -> HeaderValue {
    HeaderValue::try_from(format!("\"{revision}\"")).expect("digits in quotes")
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
            let conditions = ReadConditions::of(&headers).map_err(|failure| failure.kind)?;
            conditions.not_modified(Revision(7)).map_err(|failure| failure.kind)
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

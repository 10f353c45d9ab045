//! The one client that calls remote systems: bounded in time and size, no redirects, no addresses it may not call.
//!
//! Failures are classified here, where they are seen. No write is sent twice: whether a repeat is safe is for the ledger
//! to know. A read is sent once more if its connection turns out to be closed.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use patchbay_core::{
    connector::{RemoteFailure, RemoteKind},
    error::Error,
};
use reqwest::{
    RequestBuilder, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect,
};
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use super::redact::Redaction;
use crate::extract;

/// Bounds of outward calls.
#[derive(Clone, Copy, Debug)]
pub struct OutboundConfig {
    /// The longest that one call may take, answer included.
    pub timeout: Duration,
    /// Whether loopback, private and link-local addresses may be called.
    pub allow_private: bool,
}

/// The most bytes of an answer that are read.
const MAX_ANSWER: usize = 4 * 1024 * 1024;
/// The most characters of an answer that are shown on as text.
const MAX_SHOWN: usize = 2_000;
/// The most bytes of an answer that is shown on as the JSON that it is; of a longer one only the beginning is, as text.
const MAX_SHOWN_JSON: usize = 64 * 1024;

/// How long a connection may be idle and be used again. Servers close idle ones after 5 s and more; a write on one that is just being
/// closed is lost, and nobody knows whether it was done.
const IDLE: Duration = Duration::from_secs(4);
/// A connection that had been closed before shows it by then.
const AT_ONCE: Duration = Duration::from_secs(1);

/// An answer is read as it comes; who says nothing of codings may be sent any (RFC 9110, section 12.5.3).
const AS_IT_IS: (HeaderName, HeaderValue) = (header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));

/// The client. Cheap to clone; connections are kept and shared.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    allow_private: bool,
}

/// Where and as whom to call.
#[derive(Clone, Debug)]
pub struct Target {
    /// Scheme, host and path prefix, without a trailing slash.
    pub base_url: String,
    /// What the remote system knows us by.
    pub secret: SecretString,
    /// What else the dialect needs.
    pub settings: BTreeMap<String, String>,
    /// The client to call with.
    pub client: Client,
}

/// A remote system's answer with a status of 200 to 299.
#[derive(Debug)]
pub struct Answer {
    /// The URL called.
    pub url: String,
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body, whole.
    pub body: Vec<u8>,
    redaction: Redaction,
}

impl Client {
    /// A client with these bounds.
    ///
    /// Fails if the TLS roots of the system cannot be loaded.
    pub fn new(config: OutboundConfig) -> Result<Self, Error> {
        let mut builder = reqwest::Client::builder()
            .timeout(config.timeout)
            .connect_timeout(config.timeout.min(Duration::from_secs(10)))
            .pool_idle_timeout(IDLE)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .default_headers(HeaderMap::from_iter([AS_IT_IS]))
            .user_agent(concat!("patchbay/", env!("CARGO_PKG_VERSION")));
        if !config.allow_private {
            builder = builder.dns_resolver(Arc::new(PublicOnly));
        }
        let http = builder.build().map_err(|error| {
            let why = chain(&error);
            Error::internal(format!(
                "there are no TLS roots: {why}; install the package ca-certificates"
            ))
        })?;
        Ok(Self {
            http,
            allow_private: config.allow_private,
        })
    }

    /// A request to build on. Fails with [`RemoteKind::Blocked`] if the URL names an address that may not be called.
    pub fn request(&self, method: http::Method, url: &str) -> Result<RequestBuilder, Error> {
        let parsed = Url::parse(url).map_err(|error| failure(RemoteKind::Blocked, url, &error.to_string()))?;
        if !self.allow_private && !public_host(&parsed) {
            return Err(failure(
                RemoteKind::Blocked,
                url,
                "the address is private; see outbound.allow_private",
            ));
        }
        Ok(self.http.request(method, parsed))
    }

    /// Sends a request and reads the answer.
    ///
    /// Fails with [`Error::Remote`] if there is none, or its status is not 200 to 299.
    pub async fn send(&self, request: RequestBuilder) -> Result<Answer, Error> {
        let (client, request) = request.build_split();
        let request = request.map_err(|error| failure(RemoteKind::Blocked, "", &error.to_string()))?;
        let url = request.url().to_string();
        let redaction = Redaction::of(request.headers());
        let response = execute(&client, request).await;
        let response = response.map_err(|error| unanswered(&url, &error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let (body, read) = read(response).await;
        let mut answer = Answer {
            url,
            status,
            headers,
            body,
            redaction,
        };
        if !status.is_success() {
            // The status alone tells. What there is of a body that was cut off may end within the credential, which is not known there.
            if read.is_err() {
                answer.body.clear();
            }
            return Err(answer.refused());
        }
        read.map_err(|error| unanswered(&answer.url, &error))?;
        Ok(answer)
    }
}

/// Sends a request; a read once more if its connection was closed before there was an answer, as one that was kept may be at any time.
async fn execute(client: &reqwest::Client, request: reqwest::Request) -> Result<reqwest::Response, reqwest::Error> {
    let again = Some(&request).filter(|request| request.method() == Method::GET);
    let again = again.and_then(reqwest::Request::try_clone);
    let begun = Instant::now();
    match (client.execute(request).await, again) {
        (Err(error), Some(again)) if is_lost(&error) && begun.elapsed() < AT_ONCE => client.execute(again).await,
        (answer, _) => answer,
    }
}

/// True if there was a connection, and then there was none.
fn is_lost(error: &reqwest::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let ended = |cause: Cause<'_>| {
        let closed = cause.downcast_ref::<hyper::Error>();
        let broken = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        closed.is_some_and(|error| error.is_incomplete_message() || error.is_closed() || error.is_canceled())
            || matches!(
                broken,
                Some(BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
            )
    };
    error.is_request() && !error.is_connect() && !error.is_timeout() && causes(error).any(ended)
}

/// What there is of the body, and whether it is whole, as far as it is read.
async fn read(response: reqwest::Response) -> (Vec<u8>, Result<(), reqwest::Error>) {
    let mut body = Vec::new();
    let mut stream = response.bytes_stream();
    while let Some(chunk) = stream.next().await {
        let chunk = match chunk {
            Ok(chunk) => chunk,
            Err(error) => return (body, Err(error)),
        };
        let room = MAX_ANSWER.saturating_sub(body.len()).min(chunk.len());
        body.extend_from_slice(chunk.get(..room).unwrap_or_default());
        if room < chunk.len() {
            break;
        }
    }
    (body, Ok(()))
}

impl Answer {
    /// Decodes the body. Fails with [`RemoteKind::Unreadable`] if it is not JSON of the documented shape.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        self.parsed().map_err(|why| self.unreadable(&why))
    }

    fn parsed<T: DeserializeOwned>(&self) -> Result<T, String> {
        let text = std::str::from_utf8(&self.body).map_err(|error| error.to_string())?;
        if extract::has_readers_keys(text) {
            return Err("it has keys that this reader keeps for itself".to_owned());
        }
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    /// A failure because the answer is not what the vendor documents.
    pub fn unreadable(&self, why: &str) -> Error {
        let mut failure = self.failure(RemoteKind::Unreadable);
        let why = self.redaction.mask_text(why.to_owned());
        failure.raw = serde_json::json!({ "error": why, "body": failure.raw });
        Error::Remote(Box::new(failure))
    }

    /// Fails as [`Answer::unreadable`] if an id that the vendor tells of the user is not the one that was asked for, letter case and a
    /// UUID's hyphens aside: what is told of another user is not this one's, and shows nothing of a write. No id told proves nothing.
    pub fn check_user(&self, asked: &str, told: &str) -> Result<(), Error> {
        let uuid = |text: &str| Uuid::try_parse(text).ok();
        let same = told.eq_ignore_ascii_case(asked) || uuid(told).is_some_and(|told| uuid(asked) == Some(told));
        if same || told.is_empty() {
            return Ok(());
        }
        Err(self.unreadable("the answer is about another user"))
    }

    /// A failure because the vendor refuses or fails, by the answer's status.
    pub fn refused(&self) -> Error {
        let kind = match self.status.as_u16() {
            401 => RemoteKind::Unauthorized,
            403 => RemoteKind::Forbidden,
            404 => RemoteKind::NotFound,
            405 | 501 => RemoteKind::Unsupported,
            408 | 504 => RemoteKind::Timeout,
            409 => RemoteKind::Conflict,
            412 => RemoteKind::Precondition,
            429 => RemoteKind::RateLimited,
            400..=499 => RemoteKind::Rejected,
            // A gateway in front of the vendor could not read the vendor's answer; what the vendor did is not known.
            502 => RemoteKind::Unreadable,
            500..=599 => RemoteKind::Fault,
            _ => RemoteKind::Unreadable,
        };
        let mut failure = self.failure(kind);
        // Who is sent elsewhere with the same request has had nothing done here. After 302 and 303 it may have been.
        failure.undone = matches!(self.status.as_u16(), 301 | 307 | 308);
        Error::Remote(Box::new(failure))
    }

    /// What there is to tell of the answer as a failure, without what the request proved itself with.
    pub fn failure(&self, kind: RemoteKind) -> RemoteFailure {
        let beginning = |text: String| Value::String(text.chars().take(MAX_SHOWN).collect());
        let raw = if let Ok(json) = self.parsed() {
            let json = self.redaction.mask(json);
            if self.body.len() > MAX_SHOWN_JSON {
                beginning(json.to_string())
            } else {
                json
            }
        } else {
            let text = String::from_utf8_lossy(&self.body).into_owned();
            beginning(self.redaction.mask_text(text))
        };
        RemoteFailure {
            kind,
            url: self.url.clone(),
            status: Some(self.status.as_u16()),
            raw,
            headers: self.telling(),
            retry_after: seconds(&self.headers),
            undone: false,
        }
    }

    /// The headers that help to explain an answer, without what the request proved itself with.
    fn telling(&self) -> Vec<(String, String)> {
        let told = |name: &&str| {
            let value = self.headers.get(*name)?.to_str().ok()?;
            Some(((*name).to_owned(), self.redaction.mask_text(value.to_owned())))
        };
        let names = ["content-type", "retry-after", "x-request-id", "etag"];
        names.iter().filter_map(told).collect()
    }
}

/// The seconds of `Retry-After`; a date counts from the answer's own `Date`, so the clocks need not agree (RFC 9110,
/// 10.2.3), and says nothing without it.
fn seconds(headers: &HeaderMap) -> Option<u32> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim);
    let after = text(header::RETRY_AFTER)?;
    if let Ok(seconds) = after.parse() {
        return Some(seconds);
    }
    let date = |text| httpdate::parse_http_date(text).ok();
    let (until, now) = (date(after)?, date(text(header::DATE)?)?);
    let wait = until.duration_since(now).unwrap_or_default();
    wait.as_secs().try_into().ok()
}

fn unanswered(url: &str, error: &reqwest::Error) -> Error {
    let kind = if blocked(error) {
        RemoteKind::Blocked
    } else if error.is_connect() {
        RemoteKind::Unreachable
    } else if error.is_timeout() {
        RemoteKind::Timeout
    } else {
        // Something came back, or the connection was lost: whether the vendor did it is not known either.
        RemoteKind::Unreadable
    };
    // The URL in reqwest's text is cut: it stands in the failure already.
    failure(kind, url, &chain(error))
}

type Cause<'e> = &'e (dyn std::error::Error + 'static);

/// An error and its causes, outermost first.
fn causes(error: Cause<'_>) -> impl Iterator<Item = Cause<'_>> {
    std::iter::successors(Some(error), |cause| cause.source())
}

/// The causes of an error, outermost first, as one line.
fn chain(error: Cause<'_>) -> String {
    let text: Vec<String> = causes(error).skip(1).map(ToString::to_string).collect();
    if text.is_empty() {
        error.to_string()
    } else {
        text.join(": ")
    }
}

fn blocked(error: &reqwest::Error) -> bool {
    causes(error).any(<dyn std::error::Error + 'static>::is::<PrivateAddress>)
}

fn failure(kind: RemoteKind, url: &str, why: &str) -> Error {
    Error::Remote(Box::new(RemoteFailure {
        kind,
        url: url.to_owned(),
        status: None,
        raw: serde_json::json!({ "error": why }),
        headers: Vec::new(),
        retry_after: None,
        undone: false,
    }))
}

/// A name that resolves to private addresses only.
#[derive(Debug, thiserror::Error)]
#[error("the address is private; see outbound.allow_private")]
struct PrivateAddress;

/// Resolves names to public addresses only, so that a name cannot lead where a literal address may not.
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| public(address.ip())).collect();
            if public.is_empty() {
                return Err(PrivateAddress.into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

fn public_host(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host.parse::<IpAddr>().map_or(host != "localhost", public)
}

/// True for addresses of the public internet.
fn public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            let shared = a == 100 && (64..128).contains(&b);
            let relays = matches!((a, b, c), (192, 0, 0) | (192, 88, 99));
            let reserved = a == 0 || a >= 240 || (a == 198 && (b == 18 || b == 19)) || relays;
            let local = v4.is_loopback() || v4.is_private() || v4.is_link_local();
            !(local || v4.is_multicast() || v4.is_documentation() || shared || reserved)
        }
        // Only the global unicast block, without the ranges that stand for IPv4 addresses (6to4) and those of protocols, benchmarks and
        // documents (RFC 2928 with Teredo and RFC 5180, RFC 3849, RFC 9637).
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => public(IpAddr::V4(v4)),
            None => match v6.segments() {
                [0x2002, ..] | [0x2001, 0x0000..=0x01ff | 0x0db8, ..] | [0x3fff, 0x0000..=0x0fff, ..] => false,
                [first, ..] => first & 0xe000 == 0x2000,
            },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_public_internet_are_public() {
        let is_public = |text: &str| public(text.parse().unwrap());
        for text in [
            "8.8.8.8",
            "192.0.66.2",
            "198.51.99.1",
            "2606:4700::1111",
            "2001:4860::8888",
            "3fff:1000::1",
        ] {
            assert!(is_public(text), "{text}");
        }
        for text in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.1.1",
            "172.16.0.1",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::ffff:127.0.0.1",
            "fc00::1",
            "fe80::1",
            "2002:7f00:1::",
            "192.88.99.1",
            "2001:2::1",
            "2001:db8::1",
            "3fff::1",
        ] {
            assert!(!is_public(text), "{text}");
        }
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let wait = |after: &str, date: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, after.parse().unwrap());
            if let Some(date) = date {
                headers.insert(header::DATE, date.parse().unwrap());
            }
            seconds(&headers)
        };
        let now = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(wait("7", None), Some(7));
        assert_eq!(wait("Sun, 06 Nov 1994 08:50:07 GMT", now), Some(30));
        assert_eq!(wait("Sunday, 06-Nov-94 08:50:07 GMT", now), Some(30));
        assert_eq!(wait("Sun, 06 Nov 1994 08:00:00 GMT", now), Some(0), "past");
        assert_eq!(wait("Sun, 06 Nov 1994 08:50:07 GMT", None), None);
        assert_eq!(wait("soon", now), None);
    }
}

//! Requests built once and changed in place: a hole for the user, a hole for the value that must differ.

use std::ops::Range;

use anyhow::{Context, Result, ensure};

const TARGET: u8 = b'@';
const STAMP: &str = "##########";

/// The ten characters of a template that every request overwrites with a number not sent before.
pub const STAMP_HOLE: &str = STAMP;

/// The ids that requests pick from: all of one width, so that a request's length never changes.
#[derive(Debug)]
pub struct Targets {
    ids: Vec<u8>,
    width: usize,
}

impl Targets {
    /// Takes the ids; refuses none at all and ids of different lengths.
    pub fn new<T: AsRef<str>>(ids: impl IntoIterator<Item = T>) -> Result<Self> {
        let (mut bytes, mut width) = (Vec::new(), 0);
        for id in ids {
            let id = id.as_ref().as_bytes();
            ensure!(width == 0 || width == id.len(), "ids differ in length");
            width = id.len();
            bytes.extend_from_slice(id);
        }
        ensure!(width > 0, "no ids to send requests for");
        Ok(Self { ids: bytes, width })
    }

    /// How many ids there are.
    pub fn count(&self) -> usize {
        self.ids.len() / self.width
    }

    /// The text that marks the place of an id in a template.
    pub fn hole(&self) -> String {
        char::from(TARGET).to_string().repeat(self.width)
    }

    /// The id at `index`.
    pub fn get(&self, index: usize) -> &[u8] {
        &self.ids[index * self.width..(index + 1) * self.width]
    }
}

/// One request with its holes found.
#[derive(Debug)]
pub struct Template {
    bytes: Vec<u8>,
    target: Option<Range<usize>>,
    stamp: Option<Range<usize>>,
}

impl Template {
    /// Finds the holes of `bytes`; a request without one keeps that part fixed.
    pub fn new(bytes: Vec<u8>, targets: &Targets) -> Self {
        let target = locate(&bytes, targets.hole().as_bytes());
        let stamp = locate(&bytes, STAMP.as_bytes());
        Self { bytes, target, stamp }
    }

    /// An HTTP/1.1 keep-alive request; `headers` are whole lines without their ends.
    pub fn http(method: &str, path: &str, headers: &[String], body: Option<&str>, targets: &Targets) -> Self {
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: patchbay-bench\r\n");
        for header in headers {
            text.push_str(header);
            text.push_str("\r\n");
        }
        if let Some(body) = body {
            text.push_str(&format!(
                "Content-Type: application/json\r\nContent-Length: {}\r\n",
                body.len()
            ));
        }
        text.push_str("\r\n");
        text.push_str(body.unwrap_or_default());
        Self::new(text.into_bytes(), targets)
    }

    /// The request as first written, holes still marked.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Refuses a template that lacks a hole it needs, so that a typing error cannot hide as a good result.
    pub fn with_both_holes(self) -> Result<Self> {
        self.target.as_ref().context("the request names no user")?;
        self.stamp.as_ref().context("the request changes nothing")?;
        Ok(self)
    }
}

fn locate(bytes: &[u8], hole: &[u8]) -> Option<Range<usize>> {
    let start = bytes.windows(hole.len()).position(|window| window == hole)?;
    Some(start..start + hole.len())
}

/// Chooses user and value of each request: a fixed seed for the user, a plain count for the value.
#[derive(Debug)]
pub struct Source {
    random: fastrand::Rng,
    stamp: u64,
}

impl Source {
    /// Starts the same sequence of users at every run.
    pub fn new() -> Self {
        Self {
            random: fastrand::Rng::with_seed(0x5eed_0fba_7c4b_a115),
            stamp: 0,
        }
    }

    /// Fills the holes of `request`, a copy of `template`'s bytes.
    pub fn fill(&mut self, template: &Template, targets: &Targets, request: &mut [u8]) {
        if let Some(place) = &template.target {
            request[place.clone()].copy_from_slice(targets.get(self.random.usize(..targets.count())));
        }
        if let Some(place) = &template.stamp {
            self.stamp += 1;
            write_digits(&mut request[place.clone()], self.stamp);
        }
    }
}

fn write_digits(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        // A remainder of ten fits a byte.
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_gets_a_known_id_and_a_new_number_and_keeps_its_length() {
        let targets = Targets::new(["aaaa-1", "bbbb-2"]).unwrap();
        let body = format!("{{\"name\":\"{STAMP_HOLE}\"}}");
        let template = Template::http("PATCH", &format!("/u/{}", targets.hole()), &[], Some(&body), &targets)
            .with_both_holes()
            .unwrap();
        let mut request = template.bytes().to_vec();
        let mut source = Source::new();
        source.fill(&template, &targets, &mut request);
        source.fill(&template, &targets, &mut request);
        let text = String::from_utf8(request).unwrap();
        assert!(text.contains("/u/aaaa-1") || text.contains("/u/bbbb-2"), "{text}");
        assert!(text.ends_with("\r\n\r\n{\"name\":\"0000000002\"}"), "{text}");
        assert_eq!(text.len(), template.bytes().len());
    }

    #[test]
    fn ids_of_different_lengths_and_missing_holes_are_refused() {
        assert!(Targets::new(["a", "bb"]).is_err());
        assert!(Targets::new(Vec::<String>::new()).is_err());
        let targets = Targets::new(["aaaa"]).unwrap();
        assert!(
            Template::new(b"GET / HTTP/1.1".to_vec(), &targets)
                .with_both_holes()
                .is_err()
        );
    }
}

//! Where a reply ends, and whether the server accepted the request.

use anyhow::{Result, bail, ensure};

/// The protocol of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// HTTP/1.1, with a length, chunks or no body.
    Http,
    /// LDAPv3 messages of fewer than 64 KiB.
    Ldap,
}

/// One whole reply at the start of the bytes read.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    /// Bytes it takes.
    pub length: usize,
    /// The server did what was asked.
    pub accepted: bool,
}

impl Framing {
    /// The first whole reply in `bytes`, or nothing while it is still arriving.
    pub fn inspect(self, bytes: &[u8]) -> Result<Option<Reply>> {
        match self {
            Self::Http => http(bytes),
            Self::Ldap => ldap(bytes),
        }
    }
}

fn http(bytes: &[u8]) -> Result<Option<Reply>> {
    let mut headers = [httparse::EMPTY_HEADER; 48];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = response.parse(bytes)? else {
        return Ok(None);
    };
    let status = response.code.unwrap_or_default();
    let header = |name: &str| {
        response
            .headers
            .iter()
            .find(|h| h.name.eq_ignore_ascii_case(name))
            .map(|h| h.value)
    };
    let body = if let Some(value) = header("content-length") {
        Some(std::str::from_utf8(value)?.trim().parse()?)
    } else if header("transfer-encoding").is_some() {
        chunks(&bytes[head..])?
    } else if status == 204 || status == 304 {
        Some(0)
    } else {
        bail!("an HTTP reply states neither length nor chunks");
    };
    Ok(body
        .map(|body: usize| head + body)
        .filter(|length| *length <= bytes.len())
        .map(|length| Reply {
            length,
            accepted: (200..300).contains(&status),
        }))
}

fn chunks(body: &[u8]) -> Result<Option<usize>> {
    let mut at = 0;
    loop {
        match httparse::parse_chunk_size(body.get(at..).unwrap_or_default()) {
            Ok(httparse::Status::Complete((line, 0))) => return Ok(Some(at + line + 2)),
            Ok(httparse::Status::Complete((line, size))) => at += line + usize::try_from(size)? + 2,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => bail!("an HTTP reply has a broken chunk"),
        }
    }
}

/// `SEQUENCE { INTEGER id, [APPLICATION n] { ENUMERATED resultCode, ... } }`
fn ldap(bytes: &[u8]) -> Result<Option<Reply>> {
    let Some((0x30, start, length)) = element(bytes)? else {
        ensure!(bytes.first().is_none_or(|tag| *tag == 0x30), "not an LDAP message");
        return Ok(None);
    };
    let Some(message) = bytes.get(start..start + length) else {
        return Ok(None);
    };
    let code = result_code(message)?;
    Ok(Some(Reply {
        length: start + length,
        accepted: code == Some(0),
    }))
}

fn result_code(message: &[u8]) -> Result<Option<u8>> {
    let Some((_, id_start, id_length)) = element(message)? else {
        return Ok(None);
    };
    let operation = message.get(id_start + id_length..).unwrap_or_default();
    let Some((_, start, _)) = element(operation)? else {
        return Ok(None);
    };
    let result = operation.get(start..).unwrap_or_default();
    let Some((0x0a, at, 1)) = element(result)? else {
        return Ok(None);
    };
    Ok(result.get(at).copied())
}

/// Tag, start of the content and its length, once the head of a BER element is there.
fn element(bytes: &[u8]) -> Result<Option<(u8, usize, usize)>> {
    Ok(match bytes {
        [tag, short, ..] if *short < 0x80 => Some((*tag, 2, usize::from(*short))),
        [tag, 0x81, a, ..] => Some((*tag, 3, usize::from(*a))),
        [tag, 0x82, a, b, ..] => Some((*tag, 4, usize::from(u16::from_be_bytes([*a, *b])))),
        [tag, 0x84, 0, 0, a, b, ..] => Some((*tag, 6, usize::from(u16::from_be_bytes([*a, *b])))),
        [_, long, ..] if !matches!(*long, 0x81 | 0x82 | 0x84) => bail!("an LDAP length of an unexpected form"),
        [_, 0x84, a, b, _, _, ..] if (*a, *b) != (0, 0) => bail!("an LDAP message beyond 64 KiB"),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(length: usize, accepted: bool) -> Option<Reply> {
        Some(Reply { length, accepted })
    }

    #[test]
    fn http_replies_end_by_length_by_chunks_or_without_body() {
        let fixed = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(Framing::Http.inspect(fixed).unwrap(), whole(fixed.len(), true));
        let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
        assert_eq!(Framing::Http.inspect(chunked).unwrap(), whole(chunked.len(), true));
        let empty = b"HTTP/1.1 204 No Content\r\n\r\n";
        assert_eq!(Framing::Http.inspect(empty).unwrap(), whole(empty.len(), true));
        for reply in [&fixed[..], chunked, empty] {
            for end in 0..reply.len() {
                assert_eq!(Framing::Http.inspect(&reply[..end]).unwrap(), None, "cut at {end}");
            }
        }
    }

    #[test]
    fn http_refusals_are_seen_and_endless_replies_are_errors() {
        let refused = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(Framing::Http.inspect(refused).unwrap(), whole(refused.len(), false));
        assert!(Framing::Http.inspect(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }

    #[test]
    fn ldap_results_are_read_and_cut_messages_wait() {
        let success = [0x30, 0x0c, 2, 1, 2, 0x67, 7, 0x0a, 1, 0, 4, 0, 4, 0];
        assert_eq!(Framing::Ldap.inspect(&success).unwrap(), whole(14, true));
        let mut no_such_object = success;
        no_such_object[9] = 32;
        assert_eq!(Framing::Ldap.inspect(&no_such_object).unwrap(), whole(14, false));
        for end in 0..success.len() {
            assert_eq!(Framing::Ldap.inspect(&success[..end]).unwrap(), None, "cut at {end}");
        }
        assert!(Framing::Ldap.inspect(b"HTTP/1.1 400").is_err());
    }
}

//! The two LDAPv3 requests that are sent, written as BER (RFC 4511).

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const ENUMERATED: u8 = 0x0a;
const BIND: u8 = 0x60;
const SIMPLE: u8 = 0x80;
const MODIFY: u8 = 0x66;
const REPLACE: u8 = 2;

/// A simple bind.
pub fn bind(name: &str, password: &str) -> Vec<u8> {
    let operation = [
        element(INTEGER, &[3]),
        element(OCTETS, name.as_bytes()),
        element(SIMPLE, password.as_bytes()),
    ];
    message(1, &element(BIND, &operation.concat()))
}

/// Replaces all values of `attribute` by `value`. The message id is the same each time, which the protocol allows once
/// the former request is answered.
pub fn replace(name: &str, attribute: &str, value: &str) -> Vec<u8> {
    let values = element(SET, &element(OCTETS, value.as_bytes()));
    let attribute = element(SEQUENCE, &[element(OCTETS, attribute.as_bytes()), values].concat());
    let change = element(SEQUENCE, &[element(ENUMERATED, &[REPLACE]), attribute].concat());
    let operation = [element(OCTETS, name.as_bytes()), element(SEQUENCE, &change)];
    message(2, &element(MODIFY, &operation.concat()))
}

fn message(id: u8, operation: &[u8]) -> Vec<u8> {
    element(SEQUENCE, &[&element(INTEGER, &[id]), operation].concat())
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    match u16::try_from(content.len()) {
        Ok(short @ 0..0x80) => bytes.push(short as u8),
        Ok(length) => {
            bytes.push(0x82);
            bytes.extend(length.to_be_bytes());
        }
        Err(_) => unreachable!("requests are a few hundred bytes"),
    }
    bytes.extend_from_slice(content);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bind_is_encoded_as_the_rfc_says() {
        let expected = b"\x30\x10\x02\x01\x01\x60\x0b\x02\x01\x03\x04\x02cn\x80\x02pw";
        assert_eq!(bind("cn", "pw"), expected);
    }

    #[test]
    fn a_replacement_is_encoded_as_the_rfc_says() {
        let expected =
            b"\x30\x19\x02\x01\x02\x66\x14\x04\x01u\x30\x0f\x30\x0d\x0a\x01\x02\x30\x08\x04\x01a\x31\x03\x04\x01v";
        assert_eq!(replace("u", "a", "v"), expected);
        let long = replace("u", "a", &"v".repeat(300));
        assert_eq!(long[..2], [SEQUENCE, 0x82]);
        assert_eq!(usize::from(u16::from_be_bytes([long[2], long[3]])), long.len() - 4);
    }
}

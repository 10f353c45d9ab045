//! Audit entries as lines of text, as they stand together in one row: the hash in hexadecimal, a space, the entry's JSON.
//!
//! JSON that is written without indentation has no line feed of its own, so a line feed ends a line. A row is known by the
//! position of its last entry; the first one follows the last of the row before.

use patchbay_core::{
    audit::{AuditEvent, ChainHash},
    error::Error,
};

use crate::store::row::decode;

/// Digits of a hash.
const DIGITS: usize = 2 * size_of::<ChainHash>();

/// Adds a line.
#[expect(clippy::expect_used, reason = "the lengths are constants that fit")]
pub(super) fn push(lines: &mut Vec<u8>, hash: ChainHash, entry: &[u8]) {
    let mut digits = [0; DIGITS];
    hex::encode_to_slice(hash.0, &mut digits).expect("it is twice as long as the hash");
    lines.reserve(DIGITS + entry.len() + 2);
    lines.extend_from_slice(&digits);
    lines.push(b' ');
    lines.extend_from_slice(entry);
    lines.push(b'\n');
}

/// The entries of a row, whose first follows the position `before`, each with its position.
pub(super) fn read(before: u64, lines: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let lines = lines.strip_suffix(b"\n").unwrap_or(lines);
    (before + 1..).zip(lines.split(|byte| *byte == b'\n'))
}

/// The entry of a line.
pub(super) fn event(position: u64, line: &[u8]) -> Result<AuditEvent, Error> {
    let (digits, rest) = line.split_at_checked(DIGITS).ok_or_else(altered)?;
    let mut hash = ChainHash::default();
    hex::decode_to_slice(digits, &mut hash.0).map_err(|_| altered())?;
    let bytes = rest.strip_prefix(b" ").ok_or_else(altered)?;
    Ok(AuditEvent {
        position,
        entry: decode(bytes)?,
        bytes: bytes.to_vec(),
        hash,
    })
}

/// What a row is that is not as it was written.
pub(super) fn altered() -> Error {
    Error::internal("a row of the audit log is not what was written")
}

#[cfg(test)]
mod tests {
    use patchbay_core::audit::{Actor, AuditEntry, Outcome};

    use super::*;

    fn row() -> (Vec<u8>, Vec<Vec<u8>>) {
        let mut lines = Vec::new();
        let entries = ["line\nfeed", "plain", "ä\u{2028}"].map(|resource| {
            let entry = AuditEntry {
                at: patchbay_core::clock::Timestamp::from_millis(0),
                actor: Actor::operator(),
                action: "update_user".into(),
                dialect: "console".into(),
                request_id: "r".into(),
                resource: resource.to_owned(),
                account: None,
                outcome: Outcome::Done,
                revision: None,
                changes: Vec::new(),
            };
            entry.encode().unwrap()
        });
        for (number, entry) in (1..).zip(&entries) {
            push(&mut lines, ChainHash([number; 32]), entry);
        }
        (lines, entries.to_vec())
    }

    #[test]
    fn what_was_written_is_read_with_its_positions() {
        let (lines, entries) = row();
        let events: Vec<AuditEvent> = read(6, &lines)
            .map(|(place, line)| event(place, line).unwrap())
            .collect();
        assert_eq!(events.iter().map(|event| event.position).collect::<Vec<_>>(), [7, 8, 9]);
        assert!(events.iter().map(|event| &event.bytes).eq(&entries));
        let hashes = [1, 2, 3].map(|number| ChainHash([number; 32]));
        assert!(events.iter().map(|event| &event.hash).eq(&hashes));
    }

    #[test]
    fn a_line_that_was_altered_fails_for_itself() {
        let (mut lines, _) = row();
        let second = lines.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        lines[second] = b'g';
        let read: Vec<bool> = read(0, &lines)
            .map(|(place, line)| event(place, line).is_ok())
            .collect();
        assert_eq!(read, [true, false, true]);
        assert!(event(1, b"").is_err());
    }
}

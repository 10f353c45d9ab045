//! Audit entries as lines of text, as they stand together in one row: the hash in hexadecimal, a space, the entry's JSON.
//!
//! JSON that is written without indentation has no line feed of its own, so a line feed ends a line. A row is known by the
//! position of its last entry; the others count back from there.

use patchbay_core::{
    audit::{AuditEvent, ChainHash},
    error::Error,
};

use crate::store::row::decode;

/// Digits of a hash.
const DIGITS: usize = 2 * size_of::<ChainHash>();

/// Adds a line.
pub(super) fn push(lines: &mut Vec<u8>, hash: ChainHash, entry: &[u8]) {
    lines.reserve(DIGITS + entry.len() + 2);
    lines.extend_from_slice(hex::encode(hash.0).as_bytes());
    lines.push(b' ');
    lines.extend_from_slice(entry);
    lines.push(b'\n');
}

/// The entries of a row behind the position `after`. A line that was tampered with fails for itself.
pub(super) fn read(last: u64, lines: &[u8], after: u64) -> impl Iterator<Item = Result<AuditEvent, Error>> {
    let lines = lines.strip_suffix(b"\n").unwrap_or(lines);
    let lines: Vec<&[u8]> = lines.split(|byte| *byte == b'\n').collect();
    let count = u64::try_from(lines.len()).unwrap_or(u64::MAX);
    let places = (0..count).map(move |place| (last + 1 + place).checked_sub(count));
    places
        .zip(lines)
        .filter(move |(position, _)| position.is_none_or(|position| position > after || after == 0))
        .map(|(position, line)| event(position.ok_or_else(altered)?, line))
}

fn event(position: u64, line: &[u8]) -> Result<AuditEvent, Error> {
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

fn altered() -> Error {
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
        let events: Vec<AuditEvent> = read(9, &lines, 0).map(Result::unwrap).collect();
        assert_eq!(events.iter().map(|event| event.position).collect::<Vec<_>>(), [7, 8, 9]);
        assert!(events.iter().map(|event| &event.bytes).eq(&entries));
        let hashes = [1, 2, 3].map(|number| ChainHash([number; 32]));
        assert!(events.iter().map(|event| &event.hash).eq(&hashes));
        let behind: Vec<u64> = read(9, &lines, 8).map(|event| event.unwrap().position).collect();
        assert_eq!(behind, [9]);
        assert_eq!(read(9, &lines, 9).count(), 0);
    }

    #[test]
    fn a_line_that_was_altered_fails_for_itself() {
        let (mut lines, _) = row();
        let second = lines.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        lines[second] = b'g';
        let read: Vec<bool> = read(3, &lines, 0).map(|event| event.is_ok()).collect();
        assert_eq!(read, [true, false, true]);
    }

    #[test]
    fn more_lines_than_the_position_of_the_last_are_no_row() {
        let (lines, _) = row();
        let read: Vec<Option<u64>> = read(1, &lines, 0).map(|event| Some(event.ok()?.position)).collect();
        assert_eq!(read, [None, Some(0), Some(1)]);
        assert!(super::read(1, b"", 0).all(|event| event.is_err()));
    }
}

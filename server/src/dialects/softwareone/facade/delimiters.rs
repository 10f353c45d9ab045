//! Whether a form's parts are where their delimiters are (RFC 2046, section 5.1.1).
//!
//! The form's reader looks for the end of a part's headers in all that follows. Where that end is malformed or missing it takes the next
//! part for the headers or the content of this one, and a change would be lost, or written from a part of another name. So every line is
//! looked at before the reader has it.

use memchr::memchr;

/// What is wrong with a form.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Misplaced(&'static str);

/// Where in a form one is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the first delimiter.
    Start,
    /// In a part's headers: whether there were any, and those that may not be there twice.
    Headers { any: bool, disposition: bool, media: bool },
    /// At the first line of a part's content.
    Content,
    /// Behind it.
    Rest,
    /// Behind the last delimiter, where nothing counts.
    End,
}

/// Looks at a form piece by piece.
pub(super) struct Delimiters {
    delimiter: Vec<u8>,
    place: Place,
    /// The beginning of the line in hand: as much as tells what it is.
    line: Vec<u8>,
    /// How much that is.
    room: usize,
    /// The last byte before what comes next.
    last: u8,
    /// Whether the line before ended as lines must.
    ended: bool,
}

impl Delimiters {
    /// Those of a form with this boundary.
    pub(super) fn new(boundary: &str) -> Self {
        let delimiter = format!("--{boundary}").into_bytes();
        Self {
            // The delimiter, two hyphens, some blanks and the line's end; or the name of a header.
            room: delimiter.len() + 32,
            delimiter,
            place: Place::Start,
            line: Vec::new(),
            last: 0,
            ended: true,
        }
    }

    /// Looks at the next piece of the body.
    pub(super) fn look(&mut self, mut piece: &[u8]) -> Result<(), Misplaced> {
        while self.place != Place::End {
            let Some(end) = memchr(b'\n', piece) else {
                self.take(piece);
                break;
            };
            let (line, rest) = piece.split_at(end);
            self.take(line);
            self.end_line()?;
            piece = rest.get(1..).unwrap_or_default();
        }
        Ok(())
    }

    fn take(&mut self, part: &[u8]) {
        let room = self.room.saturating_sub(self.line.len());
        self.line.extend_from_slice(&part[..part.len().min(room)]);
        self.last = part.last().copied().unwrap_or(self.last);
    }

    fn end_line(&mut self) -> Result<(), Misplaced> {
        let ended = self.last == b'\r';
        let empty = self.line == b"\r";
        let behind = self.line.strip_prefix(&self.delimiter[..]);
        let blank = |rest: &[u8]| rest.trim_ascii().is_empty();
        let delimits = behind.is_some_and(blank);
        let closes = behind.and_then(|rest| rest.strip_prefix(b"--")).is_some_and(blank);
        let before_content = !matches!(self.place, Place::Start | Place::Rest);
        self.place = match self.place {
            Place::End => Place::End,
            // How the last one ends makes no difference to what was before it.
            _ if (delimits && !ended) || ((delimits || closes) && !self.ended) => {
                return Err(Misplaced("a line at a delimiter does not end with CR and LF"));
            }
            _ if (delimits || closes) && before_content => return Err(Misplaced("a part ends within its headers")),
            _ if closes => Place::End,
            _ if delimits => Place::Headers {
                any: false,
                disposition: false,
                media: false,
            },
            _ if behind.is_some_and(|rest| rest.starts_with(b"--")) => {
                return Err(Misplaced("something stands behind the last delimiter"));
            }
            Place::Start if empty => Place::Start,
            Place::Start => return Err(Misplaced("something stands before the first part")),
            Place::Headers { .. } if !ended => return Err(Misplaced("a header does not end with CR and LF")),
            Place::Headers { any: false, .. } if empty => return Err(Misplaced("a part has no headers")),
            Place::Headers { .. } if empty => Place::Content,
            Place::Headers { disposition, media, .. } => self.header(disposition, media)?,
            Place::Content | Place::Rest => Place::Rest,
        };
        self.ended = ended;
        self.line.clear();
        self.last = 0;
        Ok(())
    }

    /// Where one is after a header, of which the form's reader would have the last alone.
    fn header(&self, disposition: bool, media: bool) -> Result<Place, Misplaced> {
        let name = self
            .line
            .split(|byte| *byte == b':')
            .next()
            .unwrap_or_default()
            .trim_ascii();
        let (disposes, types) = (
            name.eq_ignore_ascii_case(b"content-disposition"),
            name.eq_ignore_ascii_case(b"content-type"),
        );
        if (disposition && disposes) || (media && types) {
            return Err(Misplaced("a part has a header twice"));
        }
        Ok(Place::Headers {
            any: true,
            disposition: disposition || disposes,
            media: media || types,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks at a form as a whole, and cut into pieces of every length.
    fn look(form: &str) -> Result<(), Misplaced> {
        let in_pieces = |length: usize| {
            let mut delimiters = Delimiters::new("b");
            form.as_bytes()
                .chunks(length)
                .try_for_each(|piece| delimiters.look(piece))
        };
        let whole = in_pieces(form.len());
        for length in 1..form.len() {
            assert_eq!(in_pieces(length), whole, "{form:?} by {length}");
        }
        whole
    }

    #[test]
    fn well_formed_parts_are_let_pass() {
        for form in [
            "--b\r\nA: x\r\n\r\ntext\r\n--b--\r\n",
            "\r\n--b\r\nA: x\r\nB: y\r\n\r\n\r\n--b\r\nA: x\r\n\r\nlines\n--bmore\n --b\nmore\n\r\n--b--\r\nepilogue\n",
            "--b\r\nA: x\r\n\r\nnot --b\r\n --b\r\n-b\r\n--b--",
            "--b--\r\nwhatever\n\n",
            "--b\r\nA: x\r\n\r\ntext\r\n--b--\n",
        ] {
            look(form).unwrap();
        }
    }

    #[test]
    fn parts_that_would_hide_others_are_refused() {
        for form in [
            "preamble\r\n--b\r\nA: x\r\n\r\ntext\r\n--b--\r\n",
            "pre--b\r\nA: x\r\n\r\ntext\r\n--b--\r\n",
            "--b\r\n\r\nx\r\n--b\r\nA: x\r\n\r\ntext\r\n--b--\r\n",
            "--b\r\nA: x\n\nx\r\n--b\r\nA: x\r\n\r\ntext\r\n--b--\r\n",
            "--b\r\nA: x\nB: y\r\n\r\ntext\r\n--b--\r\n",
            "--b\r\nA: x\r\n\r\n--b\r\nA: x\r\n\r\ntext\r\n--b--\r\n",
            "--b\r\nA: x\r\n\r\ntext\n--b\r\nA: x\r\n\r\ntext\r\n--b--\r\n",
            "--b\r\nA: x\r\n\r\ntext\r\n--b--b\r\nA: x\r\n\r\ntext\r\n--b--\r\n",
            "--b\r\nContent-Type: x\r\ncontent-type : y\r\n\r\ntext\r\n--b--\r\n",
            "--b\r\nContent-Disposition: x\r\nA: x\r\ncontent-disposition: y\r\n\r\ntext\r\n--b--\r\n",
            "--b\r\nA: x\r\n--b\r\nA: x\r\n\r\ntext\r\n--b--\r\n",
        ] {
            look(form).unwrap_err();
        }
    }
}

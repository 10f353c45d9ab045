//! Time as a parameter.
//!
//! Patchbay keeps time in whole milliseconds, the finest unit that every dialect can say.

use std::fmt;

use jiff::fmt::{StdFmtWrite, temporal::DateTimePrinter};
use serde::{Deserialize, Serialize};

use crate::text::Text;

static PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));

/// A moment: milliseconds since the Unix epoch, UTC. Displays as RFC 3339 with milliseconds and `Z`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment that many milliseconds after the Unix epoch, held within the years -9999 to 9999.
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(
            jiff::Timestamp::MIN.as_millisecond(),
            jiff::Timestamp::MAX.as_millisecond(),
        ))
    }

    /// Milliseconds since the Unix epoch.
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// This moment moved by a number of seconds.
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self::from_millis(self.0.saturating_add(seconds.saturating_mul(1000)))
    }

    /// Reads an RFC 3339 moment with any offset; `None` if the text is not one. Finer digits are cut off.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>()
            .ok()
            .map(|moment| Self(moment.as_millisecond()))
    }

    /// As it is displayed, in 24 bytes for the years 0 to 9999: as many as a [`Text`] holds without a piece of memory of its own.
    pub fn text(self) -> Text {
        let mut text = Text::default();
        // A text takes whatever is written to it.
        drop(PRINTER.print_timestamp(&self.moment(), StdFmtWrite(&mut text)));
        text
    }

    fn moment(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0).unwrap_or_default()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        PRINTER
            .print_timestamp(&self.moment(), StdFmtWrite(f))
            .map_err(|_| fmt::Error)
    }
}

/// Where the current time comes from.
pub trait Clock: Send + Sync {
    /// The current moment.
    fn now(&self) -> Timestamp;
}

/// A clock that stands still: for tests and for replaying history.
#[derive(Clone, Copy, Debug)]
pub struct FixedClock(pub Timestamp);

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_three_decimals_and_z() {
        assert_eq!(
            Timestamp::from_millis(1_646_307_775_089).to_string(),
            "2022-03-03T11:42:55.089Z"
        );
        assert_eq!(Timestamp::from_millis(0).to_string(), "1970-01-01T00:00:00.000Z");
        for millis in [0, 1_646_307_775_089, i64::MIN, i64::MAX] {
            let moment = Timestamp::from_millis(millis);
            assert_eq!(moment.text(), moment.to_string());
        }
        assert_eq!(
            Timestamp::from_millis(-62_198_755_200_001).to_string(),
            "-000002-12-31T23:59:59.999Z"
        );
    }

    #[test]
    fn parses_offsets() {
        assert_eq!(
            Timestamp::parse("2021-04-05T13:30:22.000-04:00"),
            Timestamp::parse("2021-04-05T17:30:22Z")
        );
        assert_eq!(Timestamp::parse("yesterday"), None);
    }
}

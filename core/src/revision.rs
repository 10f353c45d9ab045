//! A record's version, and what a caller may require of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// A record's version: 1 when made, one more at each real change. It is the strong entity tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl Revision {
    /// The revision of a new record.
    pub const FIRST: Self = Self(1);

    /// The revision after one more change.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a caller requires of a record before it is written; checked inside the transaction that writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
    #[default]
    Any,
    /// That it does not exist yet (`If-None-Match: *`).
    Missing,
    /// That it exists (`If-Match: *`).
    Present,
    /// That it is at exactly this revision (`If-Match: "7"`).
    Exactly(Revision),
    /// That it is at one of these (`If-Match: "7", "9"`); an empty list never holds.
    OneOf(Vec<Revision>),
    /// That it is at none of these (`If-None-Match: "7"`).
    NoneOf(Vec<Revision>),
}

impl Expect {
    /// Compares with the record as it stands: `None` if there is none.
    ///
    /// Fails with [`Error::Precondition`], which carries the present revision.
    pub fn check(&self, current: Option<Revision>) -> Result<(), Error> {
        let holds = match self {
            Self::Any => true,
            Self::Missing => current.is_none(),
            Self::Present => current.is_some(),
            Self::Exactly(revision) => current == Some(*revision),
            Self::OneOf(revisions) => current.is_some_and(|now| revisions.contains(&now)),
            Self::NoneOf(revisions) => !current.is_some_and(|now| revisions.contains(&now)),
        };
        if holds {
            Ok(())
        } else {
            Err(Error::Precondition { current })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expectations_are_compared_with_the_record_as_it_stands() {
        let (one, two) = (Revision(1), Revision(2));
        let cases = [
            (Expect::Any, true, true),
            (Expect::Missing, true, false),
            (Expect::Present, false, true),
            (Expect::Exactly(one), false, true),
            (Expect::Exactly(two), false, false),
            (Expect::OneOf(vec![two, one]), false, true),
            (Expect::OneOf(vec![]), false, false),
            (Expect::NoneOf(vec![two]), true, true),
            (Expect::NoneOf(vec![two, one]), true, false),
        ];
        for (expect, without, at_one) in cases {
            assert_eq!(expect.check(None).is_ok(), without, "{expect:?} of nothing");
            assert_eq!(expect.check(Some(one)).is_ok(), at_one, "{expect:?} of revision 1");
        }
    }

    #[test]
    fn a_refusal_carries_the_present_revision() {
        let refusal = Expect::Exactly(Revision(1)).check(Some(Revision(7)));
        assert!(matches!(
            refusal,
            Err(Error::Precondition {
                current: Some(Revision(7))
            })
        ));
    }

    #[test]
    fn the_last_revision_does_not_wrap() {
        assert_eq!(Revision(u64::MAX).next(), Revision(u64::MAX));
        assert_eq!(Revision::FIRST.next().to_string(), "2");
    }
}

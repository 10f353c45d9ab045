//! What is wrong with a change, member by member: the vendor's `errors` is a map, so the caller is told all of it at once.

use patchbay_core::error::Error;

use super::map;
use crate::failure::{Failure, Field, Kind};

/// The most members that a refusal names.
const MOST: usize = 100;

/// Texts of a change that break a bound, by the domain's path, each with what follows its name in a sentence.
pub(super) type Faults = Vec<(String, String)>;

/// The members that are wrong, by the caller's names, each with what follows its name in a sentence.
#[derive(Debug, Default)]
pub(super) struct Wrong(Vec<(String, String)>);

impl Wrong {
    /// Notes one, unless there are [`MOST`] already.
    pub(super) fn add(&mut self, member: impl Into<String>, reason: impl Into<String>) {
        if self.0.len() < MOST {
            self.0.push((member.into(), reason.into()));
        }
    }

    /// Notes what a failure says, unless something within that member is noted; one about no member fails at once.
    pub(super) fn note(&mut self, failure: Failure) -> Result<(), Failure> {
        let Some(member) = failure.field(map::wire_name) else {
            return Err(failure);
        };
        let within =
            |(noted, _): &(String, String)| noted.strip_prefix(&member).is_some_and(|rest| rest.starts_with('.'));
        if !self.0.iter().any(within) {
            self.add(member, failure.reason);
        }
        Ok(())
    }

    /// Fails with [`Kind::Invalid`] naming every member if anything is wrong, the `faults` among them. These alone are the
    /// use case's to refuse, see [`refused`].
    pub(super) fn none(self, faults: &Faults) -> Result<(), Failure> {
        let mut members = self.0.into_iter();
        let Some((member, reason)) = members.next() else {
            return Ok(());
        };
        let mut failure = Failure::about(Kind::Invalid, member, reason);
        failure.also = members.map(|(member, reason)| (Field::Wire(member), reason)).collect();
        Err(with_faults(failure, faults))
    }
}

/// A refusal of the use case; if it is about one member, with all the faults of the change.
pub(super) fn refused(error: Error, faults: &Faults) -> Failure {
    let failure = Failure::from(error);
    match failure.kind {
        Kind::Invalid => with_faults(failure, faults),
        _ => failure,
    }
}

fn with_faults(mut failure: Failure, faults: &Faults) -> Failure {
    let mut also = failure.also.into_vec();
    let mut named: Vec<String> = failure
        .field
        .iter()
        .chain(also.iter().map(|(field, _)| field))
        .map(name)
        .collect();
    for (field, reason) in faults {
        let field = Field::Domain(field.clone());
        let member = name(&field);
        if !named.contains(&member) {
            named.push(member);
            also.push((field, reason.clone()));
        }
    }
    failure.also = also.into();
    failure
}

/// The caller's name of a member.
pub(super) fn name(field: &Field) -> String {
    match field {
        Field::Domain(path) => map::wire_name(path),
        Field::Wire(path) => path.clone(),
    }
}

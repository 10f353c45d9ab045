//! What is wrong with a change, member by member: the vendor's `errors` is a map, so the caller is told all of it at once.

use patchbay_core::{
    clock::Timestamp,
    error::Error,
    id::{Serial, UserId},
    user::{Unfit, User, UserPatch},
};
use uuid::Uuid;

use super::map;
use crate::failure::{Failure, Field, Kind};

/// The most members that a refusal names.
const MOST: usize = 100;

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

    /// Whether one of this name is noted.
    pub(super) fn tells(&self, member: &str) -> bool {
        self.0.iter().any(|(noted, _)| noted == member)
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

    /// Fails with [`Kind::Invalid`] naming every member if anything is wrong, those among them that the use case would refuse
    /// of `patch`. Alone these are the use case's to refuse: it knows what would change.
    pub(super) fn none(mut self, patch: &UserPatch) -> Result<(), Failure> {
        if self.0.is_empty() {
            return Ok(());
        }
        for Unfit { field, reason } in patch.unfit.iter().cloned().chain(out_of_bounds(patch)) {
            let member = map::wire_name(&field);
            if !self.tells(&member) {
                self.add(member, reason);
            }
        }
        let mut members = self.0.into_iter();
        let (member, reason) = members.next().unwrap_or_default();
        let mut failure = Failure::about(Kind::Invalid, member, reason);
        failure.also = members.map(|(member, reason)| (Field::Wire(member), reason)).collect();
        Err(failure)
    }
}

/// The texts of a change that break a bound, whatever the record holds.
fn out_of_bounds(patch: &UserPatch) -> Vec<Unfit> {
    let anybody = User::new(UserId(Uuid::nil()), Serial(0), Timestamp::default());
    let patch = UserPatch {
        unfit: Vec::new(),
        ..patch.clone()
    };
    match anybody.apply(&patch) {
        Err(Error::Unfit(all)) => all,
        Err(Error::Invalid { field, reason }) => vec![Unfit { field, reason }],
        _ => Vec::new(),
    }
}

/// The caller's name of a member.
pub(super) fn name(field: &Field) -> String {
    match field {
        Field::Domain(path) => map::wire_name(path),
        Field::Wire(path) => path.clone(),
    }
}

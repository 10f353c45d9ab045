//! Who may do what: default deny, one pure function.
//!
//! A role carries one [`Statement`] and a [`Reach`]. [`decide`] is asked inside the use case, on the loaded user. "May
//! not see it" and "may see but not do" are two verdicts, because callers are told different things.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{principal::Principal, user::User};

/// An operation on users, by the name that role statements use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Read one user.
    GetUser,
    /// Change any user within reach, oneself too.
    UpdateUser,
    /// Change one's own profile, and nothing else of oneself. Everybody's, in a dialect that has the rule "or the user
    /// himself" (see [`decide_update`]); a statement can only take it away.
    UpdateOwnUser,
}

impl Action {
    /// Every action, for matrices and tests.
    pub const ALL: [Self; 3] = [Self::GetUser, Self::UpdateUser, Self::UpdateOwnUser];

    /// The name in statements and audit events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GetUser => "get_user",
            Self::UpdateUser => "update_user",
            Self::UpdateOwnUser => "update_own_user",
        }
    }
}

/// Whether a statement's list permits or forbids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Only the listed actions are permitted; no list permits nothing.
    Allow,
    /// All but the listed actions are permitted; no list permits everything.
    Deny,
}

/// What a role permits. Unknown action names are kept: vendors' lists move between versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// How to read the list.
    pub effect: Effect,
    /// Action names, or none.
    pub actions: Option<BTreeSet<String>>,
}

impl Statement {
    /// Permits everything.
    pub fn everything() -> Self {
        Self {
            effect: Effect::Deny,
            actions: None,
        }
    }

    /// Permits just these.
    pub fn only(actions: &[Action]) -> Self {
        let names = actions.iter().map(|action| action.as_str().to_owned()).collect();
        Self {
            effect: Effect::Allow,
            actions: Some(names),
        }
    }

    /// True if the statement permits the action on what is within reach.
    pub fn permits(&self, action: Action) -> bool {
        let listed = self.lists(action.as_str());
        match self.effect {
            Effect::Allow => listed,
            Effect::Deny => !listed,
        }
    }

    /// True unless the statement takes a user's own profile from him, by denying `update_own_user`. What it allows does not
    /// matter: the rule needs no permission.
    pub fn leaves_own_profile(&self) -> bool {
        self.effect == Effect::Allow || self.permits(Action::UpdateOwnUser)
    }

    /// True if everything that `other` permits is permitted here: nobody may grant more than they hold. Names are compared as they stand,
    /// so that a denied own profile is not given back by a role that does not deny it.
    pub fn covers(&self, other: &Self) -> bool {
        let (mine, theirs) = (self.names(), other.names());
        match (self.effect, other.effect) {
            (Effect::Allow, Effect::Allow) => theirs.is_subset(&mine),
            (Effect::Deny, Effect::Allow) => theirs.is_disjoint(&mine),
            (Effect::Deny, Effect::Deny) => mine.is_subset(&theirs),
            (Effect::Allow, Effect::Deny) => false,
        }
    }

    fn lists(&self, name: &str) -> bool {
        self.actions.as_ref().is_some_and(|names| names.contains(name))
    }

    fn names(&self) -> BTreeSet<&str> {
        self.actions.iter().flatten().map(String::as_str).collect()
    }
}

/// How far a role's permissions go. Ordered: the wider is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// Users who share an organization with the caller, and himself.
    Organization,
    /// Every user of the tenant.
    Tenant,
}

/// The answer to "may this principal do this to that user?".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Yes.
    Allow,
    /// Yes, but only to his own profile: not status, role, groups or other standing.
    AllowProfile,
    /// No, though he may know that the user exists.
    Deny,
    /// No, and he may not know that the user exists.
    Hide,
}

/// True if the principal may do the action to at least somebody; asked before anything is loaded, so that a caller
/// without the right learns nothing of what exists.
pub fn may_ever(principal: &Principal, action: Action) -> bool {
    let statement = &principal.role.statement;
    match action {
        Action::UpdateOwnUser => principal.user().is_some() && statement.leaves_own_profile(),
        Action::GetUser | Action::UpdateUser => statement.permits(action),
    }
}

/// The same for an update; see [`decide_update`].
pub fn may_ever_update(principal: &Principal, own_profile: bool) -> bool {
    may_ever(principal, Action::UpdateUser) || (own_profile && may_ever(principal, Action::UpdateOwnUser))
}

/// Decides on one loaded user. Default deny.
pub fn decide(principal: &Principal, action: Action, target: &User) -> Verdict {
    let statement = &principal.role.statement;
    let himself = principal.user() == Some(target.id);
    let in_reach = himself
        || match principal.role.reach {
            Reach::Tenant => true,
            Reach::Organization => target
                .memberships
                .iter()
                .any(|membership| principal.organizations.contains(&membership.organization)),
        };
    if !in_reach {
        return Verdict::Hide;
    }
    let permitted = match action {
        Action::UpdateOwnUser => himself && statement.leaves_own_profile(),
        Action::GetUser | Action::UpdateUser => statement.permits(action),
    };
    if permitted {
        return Verdict::Allow;
    }
    if himself || statement.permits(Action::GetUser) {
        Verdict::Deny
    } else {
        Verdict::Hide
    }
}

/// Decides on an update of one loaded user. With `own_profile`, which is the caller's dialect's to say, the user himself
/// may change his profile without a permission.
pub fn decide_update(principal: &Principal, own_profile: bool, target: &User) -> Verdict {
    match decide(principal, Action::UpdateUser, target) {
        Verdict::Allow => Verdict::Allow,
        _ if own_profile && decide(principal, Action::UpdateOwnUser, target) == Verdict::Allow => Verdict::AllowProfile,
        refused => refused,
    }
}

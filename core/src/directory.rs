//! The embedded directory: the provider that every tenant has.
//!
//! A use case is: load, decide on the loaded user, check what the delta refers to, commit. The delta itself is applied by
//! the store, inside its transaction. A request that was done before is decided on the user whom it changed then, and
//! nothing more is checked: what its path and body name may be another by now, because of that very request.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    audit::AuditEntry,
    changeset::{Changeset, Committed, Delta},
    error::Error,
    icon::Icon,
    id::{GroupId, OrganizationId, RoleId},
    membership::{Membership, MembershipChange, MembershipPatch},
    patch::Patch,
    policy::{self, Action, Reach, Verdict},
    principal::{Context, Principal},
    provider::{GetUser, Include, Provider, UpdateUser, Updated, UserView},
    store::{Key, Store, UserKey},
    user::{self, User, UserPatch},
};

/// The most groups that one change of a membership may name.
const MAX_GROUPS: usize = 200;

/// The embedded directory of the tenant that the context names.
#[derive(Clone)]
pub struct Directory {
    store: Arc<dyn Store>,
}

impl Directory {
    /// The directory in a store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// The picture of a user whom the caller may see.
    ///
    /// Fails with [`Error::NotFound`] if he may not see him, or there is no picture.
    pub async fn icon(&self, context: &Context, key: &UserKey) -> Result<Icon, Error> {
        let query = GetUser {
            key: key.clone(),
            member_of: None,
            include: Include::default(),
        };
        let user = self.get_user(context, &query).await?.user;
        let icon = self.store.icon(context.principal.tenant, user.id).await?;
        icon.ok_or(Error::NotFound { what: "icon" })
    }

    /// Changes a user together with his membership in `organization`, which he must have.
    ///
    /// Fails as [`Provider::update_user`] does, with [`Error::Invalid`] naming `groups[i]` for a group that the organization
    /// does not have, and with [`Error::Forbidden`] where the caller may change only his own profile and the membership
    /// would change, or the notes of the invitation would and his role does not reach the whole tenant.
    pub async fn update_member(
        &self,
        context: &Context,
        organization: Key<OrganizationId>,
        key: &UserKey,
        change: MembershipChange,
        mut update: UpdateUser,
    ) -> Result<Updated, Error> {
        update.member_of = Some(organization);
        let begun = self.begin(context, key, &update).await?;
        if !change.is_empty() && begun.done.is_none() {
            let organization = self.store.organization(context.principal.tenant, organization).await?;
            let organization = organization.ok_or(Error::NotFound { what: "user" })?.id;
            let patch = self.membership_patch(context, organization, change).await;
            // Of a place that he is only asked into a user may not decide himself, whatever his role permits elsewhere.
            if begun.verdict == Verdict::AllowProfile || !reaches(&context.principal, organization) {
                check_membership_kept(
                    &begun.user,
                    patch,
                    "you may not change your own groups or invitation notes",
                )?;
            } else {
                let mut patch = patch?;
                if context.principal.role.reach != Reach::Tenant {
                    leave_present_notes(&mut patch, &begun.user)?;
                }
                update.patch.memberships.push(patch);
            }
        }
        self.finish(context, begun, update).await
    }

    /// Changes a user together with the organization that he works in from now on.
    ///
    /// Fails as [`Provider::update_user`] does, and with [`Error::Invalid`] naming `current_organization` if there is no
    /// such organization, the caller does not see him there, or his membership there is not active.
    pub async fn move_user(
        &self,
        context: &Context,
        organization: Key<OrganizationId>,
        key: &UserKey,
        mut update: UpdateUser,
    ) -> Result<Updated, Error> {
        let begun = self.begin(context, key, &update).await?;
        if begun.done.is_none() {
            let organization = self.store.organization(context.principal.tenant, organization).await?;
            let seen = organization.filter(|place| sees(&context.principal, &begun.user, place.id));
            update.patch.current_organization = Patch::Value(seen.ok_or_else(user::not_a_member)?.id);
        }
        self.finish(context, begun, update).await
    }

    async fn membership_patch(
        &self,
        context: &Context,
        organization: OrganizationId,
        change: MembershipChange,
    ) -> Result<MembershipPatch, Error> {
        let groups = match change.groups {
            Patch::Absent => Patch::Absent,
            Patch::Null => Patch::Null,
            Patch::Value(keys) => Patch::Value(self.group_ids(context, organization, &keys).await?),
        };
        Ok(MembershipPatch {
            organization,
            groups,
            invitation_notes: change.invitation_notes,
        })
    }

    async fn group_ids(
        &self,
        context: &Context,
        organization: OrganizationId,
        keys: &[Key<GroupId>],
    ) -> Result<Vec<GroupId>, Error> {
        if keys.len() > MAX_GROUPS {
            return Err(Error::invalid(
                "groups",
                format!("must name at most {MAX_GROUPS} groups"),
            ));
        }
        let mut ids = Vec::with_capacity(keys.len());
        for (place, key) in keys.iter().enumerate() {
            let group = self.store.group(context.principal.tenant, *key).await?;
            let group = group.filter(|group| group.organization == organization);
            let missing = || {
                Error::invalid(
                    format!("groups[{place}]"),
                    "must name an existing group of the organization",
                )
            };
            ids.push(group.ok_or_else(missing)?.id);
        }
        Ok(ids)
    }

    /// Loads the user whom an update is about and decides. "May never" comes before the look, "may not see" is told as "not
    /// found".
    ///
    /// If the request was done before, it is about the user whom it changed then. He is looked up before the record is: as
    /// long as there is none, the request cannot have changed what names him.
    async fn begin(&self, context: &Context, key: &UserKey, update: &UpdateUser) -> Result<Begun, Error> {
        let principal = &context.principal;
        if !policy::may_ever_update(principal, update.own_profile) {
            return Err(forbidden(Action::UpdateUser));
        }
        let mut user = self.store.user(principal.tenant, key).await?;
        let done = match &update.idempotency {
            Some(asked) => self.store.replay(principal.tenant, asked, context.now).await?,
            None => None,
        };
        if let Some(left) = done.as_ref().and_then(|done| done.user.as_ref()) {
            user = self.store.user(principal.tenant, &UserKey::Id(left.id)).await?;
        }
        let decide = |user: &User| policy::decide_update(principal, update.own_profile, user);
        let (user, verdict) = self
            .permitted(context, user, update.member_of, (Action::UpdateUser, decide))
            .await?;
        Ok(Begun { user, verdict, done })
    }

    /// Decides on a user who was looked up.
    async fn permitted(
        &self,
        context: &Context,
        user: Option<Arc<User>>,
        member_of: Option<Key<OrganizationId>>,
        (action, decide): (Action, impl Fn(&User) -> Verdict),
    ) -> Result<(Arc<User>, Verdict), Error> {
        let user = user.ok_or(Error::NotFound { what: "user" })?;
        let verdict = decide(&user);
        if verdict == Verdict::Hide {
            return Err(Error::NotFound { what: "user" });
        }
        self.check_member(context, &user, member_of).await?;
        if verdict == Verdict::Deny {
            return Err(forbidden(action));
        }
        Ok((user, verdict))
    }

    /// Does what is permitted, or tells again what was done.
    async fn finish(&self, context: &Context, begun: Begun, update: UpdateUser) -> Result<Updated, Error> {
        let include = update.include;
        let committed = match begun.done {
            Some(done) => done,
            None => self.commit(context, begun.user, begun.verdict, update).await?,
        };
        let user = committed
            .user
            .ok_or_else(|| Error::internal("a user update committed without a user"))?;
        let view = Some(self.view(context, user, include).await?);
        Ok(Updated {
            view,
            changed: committed.changed,
            at: committed.at,
            replayed: committed.replayed,
        })
    }

    async fn commit(
        &self,
        context: &Context,
        user: Arc<User>,
        verdict: Verdict,
        mut update: UpdateUser,
    ) -> Result<Committed, Error> {
        if verdict == Verdict::AllowProfile {
            check_profile_only(&update.patch)?;
        }
        leave_present_role(&mut update.patch, &user);
        self.check_references(context, &user, &update.patch).await?;
        let mut changeset = Changeset::new(context.principal.tenant, context.now);
        changeset.audit = Some(AuditEntry::of(
            context,
            Action::UpdateUser.as_str(),
            user.id.to_string(),
        ));
        changeset.deltas = vec![Delta::UpdateUser {
            id: user.id,
            expect: update.expect,
            patch: update.patch,
        }];
        changeset.idempotency = update.idempotency;
        changeset.unique_email = update.unique_email;
        changeset.by = Some(context.principal.author.clone());
        changeset.seen = Some(user);
        self.store.commit(changeset).await
    }

    async fn check_member(
        &self,
        context: &Context,
        user: &User,
        member_of: Option<Key<OrganizationId>>,
    ) -> Result<(), Error> {
        let Some(key) = member_of else { return Ok(()) };
        let principal = &context.principal;
        let organization = self.store.organization(principal.tenant, key).await?;
        // Whoever does not see him there is told the same as where he is not, and where there is nothing.
        let there = organization.is_some_and(|organization| {
            let mut places = user.memberships.iter();
            places.any(|place| place.organization == organization.id) && sees(principal, user, organization.id)
        });
        if there {
            Ok(())
        } else {
            Err(Error::NotFound { what: "user" })
        }
    }

    /// Checks what the delta points at: the role must exist and be no more than the caller's own, groups must exist in
    /// their organization.
    async fn check_references(&self, context: &Context, user: &User, patch: &UserPatch) -> Result<(), Error> {
        if let Patch::Value(role) = patch.role {
            self.check_role(context, user, role).await?;
        }
        for membership in &patch.memberships {
            self.check_groups(context, membership).await?;
        }
        Ok(())
    }

    /// Nobody may grant more than they hold: neither more rights, nor in an organization that theirs do not reach. A role that permits
    /// no more than the user's own one grants nothing there.
    async fn check_role(&self, context: &Context, user: &User, id: RoleId) -> Result<(), Error> {
        let principal = &context.principal;
        let role = self.store.role(principal.tenant, id).await?;
        let role = role.ok_or_else(|| Error::invalid("role", "must be an existing role"))?;
        let refused = |reason: &str| Error::Forbidden {
            reason: reason.to_owned(),
        };
        if !principal.role.covers(&role) {
            return Err(refused("the role permits more than your own role does"));
        }
        let mut places = user.memberships.iter();
        if places.all(|place| reaches(principal, place.organization)) {
            return Ok(());
        }
        let held = match user.role {
            Some(held) => self.store.role(principal.tenant, held).await?,
            None => None,
        };
        if held.is_some_and(|held| held.covers(&role)) {
            return Ok(());
        }
        Err(refused(
            "the user belongs to organizations in which you have no rights to give",
        ))
    }

    async fn check_groups(&self, context: &Context, membership: &MembershipPatch) -> Result<(), Error> {
        for id in membership.groups.value().into_iter().flatten() {
            let group = self.store.group(context.principal.tenant, Key::Id(*id)).await?;
            if group.is_none_or(|group| group.organization != membership.organization) {
                return Err(Error::invalid(
                    "groups",
                    "must name existing groups of the organization",
                ));
            }
        }
        Ok(())
    }

    async fn view(&self, context: &Context, user: Arc<User>, include: Include) -> Result<UserView, Error> {
        let tenant = context.principal.tenant;
        let mut view = UserView::bare(user);
        view.unrestricted = context.principal.role.reach == Reach::Tenant;
        if let Some(role) = view.user.role.filter(|_| include.role) {
            view.role = self.store.role(tenant, role).await?;
        }
        if include.memberships {
            let user = view.user.clone();
            let shown = |place: &&Membership| sees(&context.principal, &user, place.organization);
            for membership in user.memberships.iter().filter(shown) {
                view.organizations.extend(
                    self.store
                        .organization(tenant, Key::Id(membership.organization))
                        .await?,
                );
                for group in &membership.groups {
                    view.groups.extend(self.store.group(tenant, Key::Id(*group)).await?);
                }
            }
        }
        Ok(view)
    }
}

#[async_trait]
impl Provider for Directory {
    async fn get_user(&self, context: &Context, query: &GetUser) -> Result<UserView, Error> {
        let (principal, action) = (&context.principal, Action::GetUser);
        if !policy::may_ever(principal, action) {
            return Err(forbidden(action));
        }
        let user = self.store.user(principal.tenant, &query.key).await?;
        let decide = |user: &User| policy::decide(principal, action, user);
        let (user, _) = self.permitted(context, user, query.member_of, (action, decide)).await?;
        self.view(context, user, query.include).await
    }

    async fn update_user(&self, context: &Context, key: &UserKey, update: UpdateUser) -> Result<Updated, Error> {
        let begun = self.begin(context, key, &update).await?;
        self.finish(context, begun, update).await
    }
}

/// An update that is permitted.
struct Begun {
    /// Whom it is about, as he was a moment ago.
    user: Arc<User>,
    /// How far he may be changed.
    verdict: Verdict,
    /// The outcome to tell again, if the request was done before.
    done: Option<Committed>,
}

/// True if a caller may see whether the user is a member there: he reaches everybody, is there too, or is the user.
fn sees(principal: &Principal, user: &User, organization: OrganizationId) -> bool {
    principal.user() == Some(user.id) || reaches(principal, organization)
}

/// True if what a caller's role permits holds for the members of an organization.
fn reaches(principal: &Principal, organization: OrganizationId) -> bool {
    principal.role.reach == Reach::Tenant || principal.organizations.contains(&organization)
}

/// Says nothing of a role that the user has already, so that nobody needs the right to give away what stays. Should the
/// role be changed meanwhile, that change stands.
fn leave_present_role(patch: &mut UserPatch, user: &User) {
    if patch.role.value().is_some_and(|role| user.role == Some(*role)) {
        patch.role = Patch::Absent;
    }
}

/// The refusal of what a caller's role does not permit.
pub(crate) fn forbidden(action: Action) -> Error {
    Error::Forbidden {
        reason: format!("your role does not permit {}", action.as_str()),
    }
}

/// Says nothing of the notes that a membership has already. They are for those whose role reaches the whole tenant; others
/// who may change the membership may repeat them, as one does who sends back the whole record that he read. Should the
/// notes be changed meanwhile, that change stands.
fn leave_present_notes(patch: &mut MembershipPatch, user: &User) -> Result<(), Error> {
    let notes = MembershipPatch {
        organization: patch.organization,
        groups: Patch::Absent,
        invitation_notes: std::mem::take(&mut patch.invitation_notes),
    };
    let refusal = "only a role that reaches the whole tenant may change the invitation notes";
    check_membership_kept(user, Ok(notes), refusal)
}

/// Who may not change a membership may repeat what it is, as one does who sends back the whole record that he read. He is not told
/// which groups exist. `refusal` is what he is told if it would change.
fn check_membership_kept(user: &User, patch: Result<MembershipPatch, Error>, refusal: &str) -> Result<(), Error> {
    let kept = match patch {
        Ok(patch) => {
            let memberships = vec![patch];
            let patch = UserPatch {
                memberships,
                ..UserPatch::default()
            };
            user.apply(&patch).is_ok_and(|applied| applied.changes.is_empty())
        }
        Err(Error::Invalid { .. }) => false,
        Err(error) => return Err(error),
    };
    if kept {
        Ok(())
    } else {
        Err(Error::Forbidden {
            reason: refusal.to_owned(),
        })
    }
}

/// What a user may not change of himself unless his role permits `update_user`: his standing, as opposed to his profile.
fn check_profile_only(patch: &UserPatch) -> Result<(), Error> {
    // Taken apart, so that whoever adds a member decides which it is.
    let UserPatch {
        username,
        status,
        is_bot,
        role,
        description,
        attributes,
        passthrough,
        memberships,
        email: _,
        first_name: _,
        last_name: _,
        display_name: _,
        title: _,
        phone: _,
        settings: _,
        icon: _,
        current_organization: _,
        status_kept: _,
        unset_kept: _,
        unfit: _,
    } = patch;
    let standing = [
        ("username", username.is_absent()),
        ("status", status.is_absent()),
        ("is_bot", is_bot.is_absent()),
        ("role", role.is_absent()),
        ("description", description.is_absent()),
        ("attributes", attributes.is_empty()),
        ("passthrough", passthrough.is_empty()),
        ("groups", memberships.is_empty()),
    ];
    match standing.iter().find(|(_, untouched)| !untouched) {
        Some((field, _)) => Err(Error::Forbidden {
            reason: format!("you may not change your own {field}"),
        }),
        None => Ok(()),
    }
}

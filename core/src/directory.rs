//! The embedded directory: the provider that every tenant has.
//!
//! A use case is: load, decide on the loaded user, check what the delta refers to, commit. The delta itself is applied by
//! the store, inside its transaction.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    audit::AuditEntry,
    changeset::{Changeset, Delta},
    error::Error,
    icon::Icon,
    id::{GroupId, OrganizationId, RoleId},
    membership::{Membership, MembershipChange, MembershipPatch},
    patch::Patch,
    policy::{self, Action, Reach, Verdict},
    principal::Context,
    provider::{Capability, GetUser, Include, Provider, UpdateUser, Updated, UserView},
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
    /// would change.
    pub async fn update_member(
        &self,
        context: &Context,
        organization: Key<OrganizationId>,
        key: &UserKey,
        change: MembershipChange,
        mut update: UpdateUser,
    ) -> Result<Updated, Error> {
        update.member_of = Some(organization);
        if !change.is_empty() {
            let (user, verdict) = self
                .permitted(context, key, Some(organization), Action::UpdateUser)
                .await?;
            let patch = self.membership_patch(context, organization, change).await;
            if verdict == Verdict::AllowProfile {
                check_membership_kept(&user, patch)?;
            } else {
                update.patch.memberships.push(patch?);
            }
        }
        self.update_user(context, key, update).await
    }

    /// Changes a user together with the organization that he works in from now on.
    ///
    /// Fails as [`Provider::update_user`] does, and with [`Error::Invalid`] naming `current_organization` if there is no
    /// such organization or his membership there is not active.
    pub async fn move_user(
        &self,
        context: &Context,
        organization: Key<OrganizationId>,
        key: &UserKey,
        mut update: UpdateUser,
    ) -> Result<Updated, Error> {
        self.permitted(context, key, update.member_of, Action::UpdateUser)
            .await?;
        let organization = self.store.organization(context.principal.tenant, organization).await?;
        update.patch.current_organization = Patch::Value(organization.ok_or_else(user::not_a_member)?.id);
        self.update_user(context, key, update).await
    }

    async fn membership_patch(
        &self,
        context: &Context,
        organization: Key<OrganizationId>,
        change: MembershipChange,
    ) -> Result<MembershipPatch, Error> {
        let tenant = context.principal.tenant;
        let organization = self.store.organization(tenant, organization).await?;
        let organization = organization.ok_or(Error::NotFound { what: "organization" })?.id;
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

    /// Loads a user and decides. "May never" comes before the look, "may not see" is told as "not found".
    async fn permitted(
        &self,
        context: &Context,
        key: &UserKey,
        member_of: Option<Key<OrganizationId>>,
        action: Action,
    ) -> Result<(Arc<User>, Verdict), Error> {
        let principal = &context.principal;
        if !policy::may_ever(principal, action) {
            return Err(forbidden(action));
        }
        let user = self
            .store
            .user(principal.tenant, key)
            .await?
            .ok_or(Error::NotFound { what: "user" })?;
        let verdict = policy::decide(principal, action, &user);
        if verdict == Verdict::Hide {
            return Err(Error::NotFound { what: "user" });
        }
        self.check_member(context, &user, member_of).await?;
        if verdict == Verdict::Deny {
            return Err(forbidden(action));
        }
        Ok((user, verdict))
    }

    async fn check_member(
        &self,
        context: &Context,
        user: &User,
        member_of: Option<Key<OrganizationId>>,
    ) -> Result<(), Error> {
        let Some(key) = member_of else { return Ok(()) };
        let organization = self.store.organization(context.principal.tenant, key).await?;
        let organization = organization.ok_or(Error::NotFound { what: "organization" })?;
        if user
            .memberships
            .iter()
            .any(|membership| membership.organization == organization.id)
        {
            Ok(())
        } else {
            Err(Error::NotFound { what: "user" })
        }
    }

    /// Checks what the delta points at: the role must exist and be no more than the caller's own, groups must exist in
    /// their organization.
    async fn check_references(&self, context: &Context, patch: &UserPatch) -> Result<(), Error> {
        if let Patch::Value(role) = patch.role {
            self.check_role(context, role).await?;
        }
        for membership in &patch.memberships {
            self.check_groups(context, membership).await?;
        }
        Ok(())
    }

    async fn check_role(&self, context: &Context, id: RoleId) -> Result<(), Error> {
        let role = self.store.role(context.principal.tenant, id).await?;
        let role = role.ok_or_else(|| Error::invalid("role", "must be an existing role"))?;
        if context.principal.role.covers(&role) {
            Ok(())
        } else {
            Err(Error::Forbidden {
                reason: "the role permits more than your own role does".to_owned(),
            })
        }
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
        if let Some(role) = view.user.role.filter(|_| include.role) {
            view.role = self.store.role(tenant, role).await?;
        }
        if include.memberships {
            let user = view.user.clone();
            for membership in user.memberships.iter().filter(|place| shows(context, &user, place)) {
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
    fn capability(&self) -> Capability {
        Capability {
            conditional_update: true,
            icons: true,
        }
    }

    async fn get_user(&self, context: &Context, query: &GetUser) -> Result<UserView, Error> {
        let (user, _) = self
            .permitted(context, &query.key, query.member_of, Action::GetUser)
            .await?;
        self.view(context, user, query.include).await
    }

    async fn update_user(&self, context: &Context, key: &UserKey, update: UpdateUser) -> Result<Updated, Error> {
        let (user, verdict) = self
            .permitted(context, key, update.member_of, Action::UpdateUser)
            .await?;
        if verdict == Verdict::AllowProfile {
            check_profile_only(&update.patch)?;
        }
        self.check_references(context, &update.patch).await?;
        let patch = Box::new(update.patch);
        let mut changeset = Changeset::new(context.principal.tenant, context.now);
        changeset.audit = Some(AuditEntry::of(
            context,
            Action::UpdateUser.as_str(),
            user.id.to_string(),
        ));
        changeset.deltas.push(Delta::UpdateUser {
            id: user.id,
            expect: update.expect,
            patch,
        });
        changeset.idempotency = update.idempotency;
        changeset.by = Some(context.principal.author.clone());
        changeset.seen = Some(user);
        let committed = self.store.commit(changeset).await?;
        let user = committed
            .user
            .ok_or_else(|| Error::internal("a user update committed without a user"))?;
        let view = Some(self.view(context, user, update.include).await?);
        Ok(Updated {
            view,
            changed: committed.changed,
            at: committed.at,
            replayed: committed.replayed,
        })
    }
}

/// True if the caller may see that the user is a member there: he reaches everybody, is there himself, or is the user.
fn shows(context: &Context, user: &User, place: &Membership) -> bool {
    let principal = &context.principal;
    principal.role.reach == Reach::Tenant
        || principal.user() == Some(user.id)
        || principal.organizations.contains(&place.organization)
}

fn forbidden(action: Action) -> Error {
    Error::Forbidden {
        reason: format!("your role does not permit {}", action.as_str()),
    }
}

/// A user who may change only his own profile may repeat what his membership is, as one does who sends back the whole
/// record that he read, but not change it. He is not told which groups exist.
fn check_membership_kept(user: &User, patch: Result<MembershipPatch, Error>) -> Result<(), Error> {
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
            reason: "you may not change your own groups or invitation notes".to_owned(),
        })
    }
}

/// What a user may not change of himself unless his role permits `update_user`: his standing, as opposed to his profile.
fn check_profile_only(patch: &UserPatch) -> Result<(), Error> {
    let standing = [
        ("username", patch.username.is_absent()),
        ("status", patch.status.is_absent()),
        ("is_bot", patch.is_bot.is_absent()),
        ("role", patch.role.is_absent()),
        ("description", patch.description.is_absent()),
        ("attributes", patch.attributes.is_empty()),
        ("passthrough", patch.passthrough.is_empty()),
        ("groups", patch.memberships.is_empty()),
    ];
    match standing.iter().find(|(_, untouched)| !untouched) {
        Some((field, _)) => Err(Error::Forbidden {
            reason: format!("you may not change your own {field}"),
        }),
        None => Ok(()),
    }
}

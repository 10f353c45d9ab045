//! Objects: encoded for callers, decoded from the vendor.

use std::sync::Arc;

use patchbay_core::{
    author::Author,
    clock::Timestamp,
    group::Group,
    id::OrganizationId,
    membership::{Membership, MembershipStatus},
    organization::{Organization, OrganizationKind},
    packed::Packed,
    provider::UserView,
    revision::Revision,
    settings::{NumberFormat, Phone, Settings},
    text::Text,
    user::{Status, User},
};

use super::{super::wire, ATTRIBUTES, icon_path, id, status};

/// Encodes a user. An unrestricted view shows all his accounts; another only the account he works in, if that is in view
/// (contract notes, section 12, field suppression).
pub(in super::super) fn user(view: &UserView) -> wire::User {
    let user = &*view.user;
    let account_of = |membership: &Membership| organization(view, membership.organization).map(account_ref);
    let current = user.current_membership();
    wire::User {
        audit: Some(wire::UserAudit {
            created: Some(event_by(user.created_at, user.created_by.as_deref())),
            updated: Some(event_by(user.updated_at, user.updated_by.as_deref())),
            invitation_accepted_at: accepted_at(user),
        }),
        name: name(user),
        icon: icon(user),
        revision: Some(user.revision.0),
        phone: user.phone.as_ref().map(phone),
        first_name: user.first_name.clone().map(String::from),
        last_name: user.last_name.clone().map(String::from),
        last_login_at: user.last_login_at.map(|at| at.to_string()),
        settings: user.settings.as_ref().map(Packed::read).map(settings),
        accounts: view
            .unrestricted
            .then(|| user.memberships.iter().filter_map(account_of).collect()),
        current_account: current.and_then(account_of),
        ..minimal(user)
    }
}

/// Encodes what is shown of a user who was asked for by mail address (published v5 page, "get user").
pub(in super::super) fn minimal(user: &User) -> wire::User {
    let accepted = accepted_at(user);
    wire::User {
        id: id("USR", user.serial),
        audit: accepted.map(|at| wire::UserAudit {
            invitation_accepted_at: Some(at),
            ..wire::UserAudit::default()
        }),
        name: None,
        icon: None,
        revision: None,
        email: user.email.clone().map(String::from),
        status: user.status.map(|now| status(now).to_owned()),
        phone: None,
        first_name: None,
        last_name: None,
        last_login_at: None,
        settings: None,
        accounts: None,
        current_account: None,
    }
}

/// Encodes a user as a member of `account`; `None` if he is none.
pub(in super::super) fn account_user(view: &UserView, account: &Organization) -> Option<wire::AccountUser> {
    let user = &*view.user;
    let is_here = |membership: &&Membership| membership.organization == account.id;
    let membership = user.memberships.iter().find(is_here)?;
    let id = id("USR", user.serial);
    Some(wire::AccountUser {
        audit: Some(wire::AccountUserAudit {
            created: Some(event_by(user.created_at, user.created_by.as_deref())),
            updated: Some(event_by(user.updated_at, user.updated_by.as_deref())),
            invited: membership.invited_at.map(event),
            joined: membership.joined_at.map(event),
            access: membership.last_access_at.map(|at| wire::DateEvent {
                at: Some(at.to_string()),
            }),
        }),
        name: name(user),
        icon: icon(user),
        revision: user.revision.0,
        user: wire::UserRef {
            id: id.clone(),
            name: name(user),
            icon: icon(user),
            revision: Some(user.revision.0),
        },
        email: user.email.clone().map(String::from),
        status: Some(membership_status(membership.status).to_owned()),
        phone: user.phone.as_ref().map(phone),
        first_name: user.first_name.clone().map(String::from),
        last_name: user.last_name.clone().map(String::from),
        settings: user.settings.as_ref().map(Packed::read).map(settings),
        groups: groups(view, membership),
        modules: Vec::new(),
        account: account_ref(account),
        invitation: wire::Invitation {
            notes: membership.invitation_notes.clone(),
            status: membership_status(membership.status).to_owned(),
        },
        id,
    })
}

/// "first last", which the vendor derives; the display name of other dialects only where both are unset.
fn name(user: &User) -> Option<String> {
    user.full_name().or_else(|| user.name()).map(String::from)
}

fn icon(user: &User) -> Option<String> {
    user.icon.as_ref().map(|_| icon_path(&id("USR", user.serial)))
}

fn accepted_at(user: &User) -> Option<String> {
    let first = user
        .memberships
        .iter()
        .filter_map(|membership| membership.joined_at)
        .min();
    first.map(|at| at.to_string())
}

fn event(at: Timestamp) -> wire::Event {
    wire::Event {
        at: Some(at.to_string()),
        by: None,
    }
}

fn event_by(at: Timestamp, author: Option<&Author>) -> wire::Event {
    let by = author.map(|author| {
        let (prefix, number, name) = match author {
            Author::User(number, name) => ("USR", number, name),
            Author::Token(number, name) => ("TKN", number, name),
        };
        wire::UserRef {
            id: id(prefix, *number),
            name: Some(name.to_string()),
            ..wire::UserRef::default()
        }
    });
    wire::Event { by, ..event(at) }
}

fn organization(view: &UserView, id: OrganizationId) -> Option<&Organization> {
    let mut organizations = view.organizations.iter().map(|organization| &**organization);
    organizations.find(|organization| organization.id == id)
}

fn account_ref(organization: &Organization) -> wire::AccountRef {
    let kind = match organization.kind {
        OrganizationKind::Client => "Client",
        OrganizationKind::Vendor => "Vendor",
        OrganizationKind::Operations => "Operations",
    };
    wire::AccountRef {
        id: id("ACC", organization.serial),
        name: Some(organization.name.clone()),
        icon: None,
        revision: Some(organization.revision.0),
        kind: Some(kind.to_owned()),
        status: Some(if organization.enabled { "Active" } else { "Disabled" }.to_owned()),
    }
}

fn groups(view: &UserView, membership: &Membership) -> Vec<wire::UserGroupRef> {
    let mut groups: Vec<&Group> = membership
        .groups
        .iter()
        .filter_map(|id| view.groups.iter().find(|group| group.id == *id))
        .map(|group| &**group)
        .collect();
    groups.sort_by_key(|group| group.serial);
    groups.into_iter().map(group_ref).collect()
}

fn group_ref(group: &Group) -> wire::UserGroupRef {
    wire::UserGroupRef {
        id: id("UGR", group.serial),
        name: group.name.clone(),
        revision: group.revision.0,
        description: group.description.clone(),
        is_default: group.is_default,
    }
}

fn membership_status(status: MembershipStatus) -> &'static str {
    match status {
        MembershipStatus::Invited => "Invited",
        MembershipStatus::InvitationExpired => "InvitationExpired",
        MembershipStatus::Active => "Active",
    }
}

fn phone(phone: &Phone) -> wire::PhoneNumber {
    wire::PhoneNumber {
        prefix: phone.prefix.clone().map(String::from),
        number: phone.number.clone().map(String::from),
    }
}

fn settings(settings: Settings) -> wire::UserSettings {
    wire::UserSettings {
        culture_code: settings.culture_code,
        date_format: settings.date_format,
        language_code: settings.language_code,
        number_format: settings.number_format.map(|format| wire::NumberFormat {
            decimal_separator: format.decimal_separator,
            group_separator: format.group_separator,
        }),
        time_format: settings.time_format,
        time_zone: settings.time_zone,
    }
}

/// Decodes a user of the vendor. What the vendor does not tell stays unset. A status that the domain does not have, or
/// not as finely, is kept as the attribute `softwareone:status`.
pub(in super::super) fn decode(wire: wire::User) -> User {
    let mut user = User::remote(&wire.id);
    let audit = wire.audit.unwrap_or_default();
    let created = moment(audit.created.and_then(|event| event.at));
    let updated = moment(audit.updated.and_then(|event| event.at));
    user.created_at = created.or(updated).unwrap_or_default();
    user.updated_at = updated.or(created).unwrap_or_default();
    user.revision = wire.revision.map_or(Revision::FIRST, Revision);
    user.email = wire.email.map(Text::from);
    user.first_name = wire.first_name.map(Text::from);
    user.last_name = wire.last_name.map(Text::from);
    user.status = wire.status.as_deref().and_then(decode_status);
    let told = wire.status.filter(|told| user.status.map(status) != Some(told));
    if let Some(told) = told {
        Arc::make_mut(&mut user.attributes).insert(format!("{ATTRIBUTES}status"), told.into());
    }
    user.phone = wire.phone.map(|phone| Phone {
        prefix: phone.prefix.map(Text::from),
        number: phone.number.map(Text::from),
    });
    user.settings = wire.settings.map(decode_settings).map(Into::into);
    user.last_login_at = moment(wire.last_login_at);
    user
}

fn moment(text: Option<String>) -> Option<Timestamp> {
    Timestamp::parse(&text?)
}

/// The vendor's status (contract notes, section 5), in which an expired invitation is still one not accepted.
fn decode_status(text: &str) -> Option<Status> {
    match text {
        "Active" => Some(Status::Enabled),
        "New" | "Invited" | "InvitationExpired" => Some(Status::Pending),
        "Disabled" | "Deleted" => Some(Status::Disabled),
        "Blocked" => Some(Status::Blocked),
        _ => None,
    }
}

fn decode_settings(wire: wire::UserSettings) -> Settings {
    Settings {
        culture_code: wire.culture_code,
        language_code: wire.language_code,
        date_format: wire.date_format,
        time_format: wire.time_format,
        time_zone: wire.time_zone,
        number_format: wire.number_format.map(|format| NumberFormat {
            decimal_separator: format.decimal_separator,
            group_separator: format.group_separator,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_example_decodes() {
        let example: wire::User = serde_json::from_str(include_str!("../fixtures/user.json")).unwrap();
        let user = decode(example);
        assert_eq!(user.remote_id.as_deref(), Some("USR-3758-7092"));
        assert_eq!(user.status, Some(Status::Enabled));
        assert_eq!(user.full_name().as_deref(), Some("Ada Lovelace"));
        assert_eq!(user.last_login_at, Timestamp::parse("2026-02-02T10:00:00Z"));
        assert_eq!(user.revision, Revision(3));
    }

    #[test]
    fn every_status_survives_both_ways() {
        for now in Status::ALL {
            assert_eq!(decode_status(status(now)), Some(now));
        }
        assert_eq!(decode_status("text"), None);
    }
}

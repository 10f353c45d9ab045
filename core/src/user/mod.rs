//! The canonical user, and the delta that changes one.
//!
//! Every member may be unset: what a vendor requires is that vendor's rule, checked in its dialect. Fields mean the same
//! in every dialect; `docs/dialects.md` says which wire member is which field.

mod apply;
pub mod limits;
mod said;

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

pub(crate) use self::apply::not_a_member;
pub use self::{
    apply::Applied,
    limits::{MAX_ATTRIBUTES, MAX_DESCRIPTION_BYTES, MAX_FREE_BYTES, MAX_TEXT, is_mail_address},
};
use crate::{
    author::Author,
    clock::Timestamp,
    icon::{Icon, IconRef},
    id::{OrganizationId, RoleId, Serial, UserId},
    membership::{Membership, MembershipPatch, MembershipStatus},
    packed::Packed,
    patch::Patch,
    revision::Revision,
    settings::{Phone, PhonePatch, Settings, SettingsPatch},
    text::Text,
};

/// Whether a user may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// He may.
    Enabled,
    /// Not yet: invited, or waiting for approval.
    Pending,
    /// No longer.
    Disabled,
    /// Locked out on purpose.
    Blocked,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Enabled, Self::Pending, Self::Disabled, Self::Blocked];

    /// The name for people and for attribute values.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "Enabled",
            Self::Pending => "Pending",
            Self::Disabled => "Disabled",
            Self::Blocked => "Blocked",
        }
    }
}

/// A user as Patchbay knows him, of the embedded directory or of a remote system.
///
/// What is large and seldom changes is shared between his revisions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Identity. For a user of a remote system it is derived from `remote_id`.
    pub id: UserId,
    /// The id that a remote system gave him; `None` in the embedded directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_id: Option<String>,
    /// Number within the tenant.
    pub serial: Serial,
    /// Version.
    pub revision: Revision,
    /// What he signs in with; unique in the tenant, letter case aside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<Text>,
    /// Where mail reaches him; not unique.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Text>,
    /// Given name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_name: Option<Text>,
    /// Family name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_name: Option<Text>,
    /// The name to show, where it is not simply "first last"; see [`User::name`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<Text>,
    /// Job title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Text>,
    /// Whether he may come in; `None` if nobody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// True for a program's account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_bot: Option<bool>,
    /// Telephone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<Phone>,
    /// Locale settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Packed<Settings>>,
    /// His picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icon: Option<IconRef>,
    /// When he last signed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_login_at: Option<Timestamp>,
    /// His role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<RoleId>,
    /// A map of attributes of any JSON value. Unset, empty and filled are three states.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Packed<Map<String, Value>>>,
    /// What only one dialect knows, keyed `dialect:name`.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub attributes: Arc<BTreeMap<String, Value>>,
    /// His places in organizations.
    #[serde(default, skip_serializing_if = "is_nowhere")]
    pub memberships: Arc<[Membership]>,
    /// The organization he chose to work in; see [`User::current_membership`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_organization: Option<OrganizationId>,
    /// When he was made.
    pub created_at: Timestamp,
    /// Who made him; `None` if it is not known, or was the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<Arc<Author>>,
    /// When he was last changed.
    pub updated_at: Timestamp,
    /// Who last changed him; `None` if it is not known, or was the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_by: Option<Arc<Author>>,
}

fn is_empty(attributes: &BTreeMap<String, Value>) -> bool {
    attributes.is_empty()
}

fn is_nowhere(memberships: &[Membership]) -> bool {
    memberships.is_empty()
}

impl User {
    /// A user with nothing but an identity, at the first revision.
    pub fn new(id: UserId, serial: Serial, at: Timestamp) -> Self {
        Self {
            id,
            remote_id: None,
            serial,
            revision: Revision::FIRST,
            username: None,
            email: None,
            first_name: None,
            last_name: None,
            display_name: None,
            title: None,
            status: None,
            is_bot: None,
            phone: None,
            settings: None,
            icon: None,
            last_login_at: None,
            role: None,
            description: None,
            attributes: Arc::default(),
            memberships: Arc::default(),
            current_organization: None,
            created_at: at,
            created_by: None,
            updated_at: at,
            updated_by: None,
        }
    }

    /// A user of a remote system, known there as `remote_id`. His identity here is that id if it is a UUID, else a UUID
    /// made from it.
    pub fn remote(remote_id: &str) -> Self {
        let id =
            Uuid::parse_str(remote_id).unwrap_or_else(|_| Uuid::new_v5(&Uuid::NAMESPACE_OID, remote_id.as_bytes()));
        let mut user = Self::new(UserId(id), Serial(0), Timestamp::default());
        user.remote_id = Some(remote_id.to_owned());
        user
    }

    /// The id by which callers name him: the remote system's, or his UUID.
    pub fn public_id(&self) -> Text {
        let own = || Text::from(&*self.id.0.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
        self.remote_id.as_deref().map_or_else(own, Text::from)
    }

    /// The name to show: the display name, else "first last" of what is there; `None` if there is nothing.
    pub fn name(&self) -> Option<Text> {
        self.display_name.clone().or_else(|| self.full_name())
    }

    /// "first last" of what is there; `None` if there is nothing.
    pub fn full_name(&self) -> Option<Text> {
        let part = |name: &Option<Text>| name.clone().filter(|name| !name.is_empty());
        match (part(&self.first_name), part(&self.last_name)) {
            (Some(mut name), Some(last)) => {
                name.push(' ');
                name.push_str(&last);
                Some(name)
            }
            (first, last) => first.or(last),
        }
    }

    /// Where he works now: his membership in the organization that he chose while that is active, else his first active
    /// one.
    pub fn current_membership(&self) -> Option<&Membership> {
        let chosen = self.active(|organization| Some(organization) == self.current_organization);
        chosen.or_else(|| self.active(|_| true))
    }

    fn active(&self, wanted: impl Fn(OrganizationId) -> bool) -> Option<&Membership> {
        self.memberships
            .iter()
            .find(|membership| membership.status == MembershipStatus::Active && wanted(membership.organization))
    }

    /// The key by which user names are unique: lower case.
    pub fn username_key(&self) -> Option<String> {
        self.username.as_deref().map(str::to_lowercase)
    }

    /// The key by which mail addresses are found: lower case.
    pub fn email_key(&self) -> Option<String> {
        self.email.as_deref().map(str::to_lowercase)
    }
}

/// A delta of a user: what to leave, clear and set. The empty patch changes nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UserPatch {
    /// See [`User::username`].
    pub username: Patch<String>,
    /// See [`User::email`].
    pub email: Patch<String>,
    /// See [`User::first_name`].
    pub first_name: Patch<String>,
    /// See [`User::last_name`].
    pub last_name: Patch<String>,
    /// See [`User::display_name`].
    pub display_name: Patch<String>,
    /// See [`User::title`].
    pub title: Patch<String>,
    /// See [`User::status`].
    pub status: Patch<Status>,
    /// See [`User::is_bot`].
    pub is_bot: Patch<bool>,
    /// A delta of its own.
    pub phone: Patch<PhonePatch>,
    /// A delta of its own.
    pub settings: Patch<SettingsPatch>,
    /// The picture with its bytes, replaced as a whole.
    pub icon: Patch<Icon>,
    /// See [`User::role`].
    pub role: Patch<RoleId>,
    /// Replaced as a whole.
    pub description: Patch<Map<String, Value>>,
    /// Per attribute, keyed `dialect:name`.
    pub attributes: BTreeMap<String, Patch<Value>>,
    /// Handed to the provider as it is. The directory keeps each member as an attribute [`PASSTHROUGH`]`name`; null
    /// removes it. A connector merges it into the vendor's request.
    pub passthrough: Map<String, Value>,
    /// Deltas of memberships that exist, one per organization at most.
    pub memberships: Vec<MembershipPatch>,
    /// The organization to work in from now on, where his membership must be active; null withdraws the choice.
    pub current_organization: Patch<OrganizationId>,
    /// A status that stays where `status` says another: the caller's dialect has one word for both, so that what it
    /// shows is as asked for already.
    pub status_kept: Option<Status>,
    /// Members that a user without them stays without, though they are said above: the caller's dialect shows of him what is
    /// said already. Paths of attributes; `display_name`, which counts where it is what the other names make, before and after; and
    /// `name`, which counts where he has none at all: what is said is how the dialect shows such a user.
    pub unset_kept: Vec<&'static str>,
    /// What the caller's dialect would refuse of what is said above. It counts only where the record would change: what
    /// another dialect set can be sent back as it was read.
    pub unfit: Vec<Unfit>,
}

/// A member that a dialect does not take as it was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {reason}")]
pub struct Unfit {
    /// Domain path of the member.
    pub field: String,
    /// What is wrong with it, to follow the member's name in a sentence.
    pub reason: String,
}

/// Prefix of the attributes in which the directory keeps passed-through members.
pub const PASSTHROUGH: &str = "passthrough:";

//! The sample tenant: a small company with a platform operator, to try every dialect on.
//!
//! Everything about it is fixed but its ids and keys, which are new each time.

use std::{collections::BTreeMap, sync::Arc};

use patchbay_core::{
    author::Author,
    changeset::{Changeset, Delta, Tenant},
    clock::Timestamp,
    credential::{Credential, CredentialHash, Subject},
    gateway::Entropy,
    group::Group,
    id::{CredentialId, GroupId, LinkedAccountId, OrganizationId, RoleId, Serial, TenantId, UserId},
    linked_account::{AccountStatus, LinkedAccount},
    membership::{Membership, MembershipStatus},
    organization::{Organization, OrganizationKind},
    policy::{Action, Reach, Statement},
    revision::Revision,
    role::Role,
    settings::{Phone, Settings},
    user::{Status, User},
};
use serde_json::{Map, Value};

use crate::{
    dialects::{Dialect, REGISTRY},
    walkthrough::{Purpose, Sample, SampleKeys, SampleUser},
};

/// First names, family names, titles of the sample users; the first four are members of the sample
/// organization, the last is the administrator, who made everybody.
const PEOPLE: [(&str, &str, &str); 5] = [
    ("Han", "Solo", "Captain"),
    ("Leia", "Organa", "Ambassador"),
    ("Luke", "Skywalker", "Pilot"),
    ("Lando", "Calrissian", "Administrator"),
    ("Mon", "Mothma", "Chancellor"),
];

/// Makes the sample tenant: what to commit, and what callers need to know of it. The keys are in the second only.
pub fn tenant(entropy: &dyn Entropy, at: Timestamp) -> (Changeset, Sample) {
    let mut maker = Maker::new(entropy, at);
    let rebels = maker.organization("Rebel Alliance", OrganizationKind::Client);
    let operator = maker.organization("Patchbay Operations", OrganizationKind::Operations);
    let crew = maker.group(rebels, "Administrators");
    let operators = maker.group(operator, "Operators");
    let roles = Roles::new(&mut maker);
    let users: Vec<SampleUser> = PEOPLE
        .iter()
        .enumerate()
        .map(|(at, person)| {
            let role = [
                roles.member,
                roles.member,
                roles.observer,
                roles.member,
                roles.administrator,
            ][at];
            let place = if at < 4 { (rebels, crew) } else { (operator, operators) };
            maker.user(*person, role, place)
        })
        .collect();
    let keys = maker.keys(&roles, operator, &users);
    let account = maker.account();
    let sample = Sample {
        tenant: maker.changeset.tenant,
        account,
        organization: Serial(1),
        group: Serial(1),
        role: roles.administrator,
        keys,
        users,
    };
    (maker.changeset, sample)
}

/// The sample tenant's roles.
struct Roles {
    administrator: RoleId,
    member: RoleId,
    observer: RoleId,
    full: RoleId,
    read_only: RoleId,
}

impl Roles {
    fn new(maker: &mut Maker<'_>) -> Self {
        let read = Statement::only(&[Action::GetUser]);
        Self {
            administrator: maker.role("Administrator", Statement::everything(), Reach::Tenant),
            member: maker.role("Member", Statement::only(&[Action::GetUser]), Reach::Organization),
            observer: maker.role("Observer", read.clone(), Reach::Tenant),
            full: maker.role(
                "Full access",
                Statement::only(&[Action::GetUser, Action::UpdateUser]),
                Reach::Tenant,
            ),
            read_only: maker.role("Read only", read, Reach::Tenant),
        }
    }
}

/// Collects the deltas of a new tenant.
struct Maker<'a> {
    entropy: &'a dyn Entropy,
    at: Timestamp,
    founder: Arc<Author>,
    changeset: Changeset,
    serials: BTreeMap<&'static str, u32>,
}

impl<'a> Maker<'a> {
    fn new(entropy: &'a dyn Entropy, at: Timestamp) -> Self {
        let id = TenantId(entropy.uuid());
        let mut changeset = Changeset::new(id, at);
        changeset.deltas.push(Delta::PutTenant(Tenant {
            id,
            name: "sample".to_owned(),
            created_at: at,
        }));
        let (first, last, _) = PEOPLE[4];
        Self {
            entropy,
            at,
            founder: Arc::new(Author::User(Serial(5), format!("{first} {last}").into())),
            changeset,
            serials: BTreeMap::new(),
        }
    }

    fn serial(&mut self, kind: &'static str) -> Serial {
        let serial = self.serials.entry(kind).or_default();
        *serial += 1;
        Serial(*serial)
    }

    fn organization(&mut self, name: &str, kind: OrganizationKind) -> OrganizationId {
        let id = OrganizationId(self.entropy.uuid());
        let record = Organization {
            id,
            tenant: self.changeset.tenant,
            serial: self.serial("organization"),
            name: name.to_owned(),
            kind,
            enabled: true,
            revision: Revision::FIRST,
            created_at: self.at,
        };
        self.changeset.deltas.push(Delta::PutOrganization(record));
        id
    }

    fn group(&mut self, organization: OrganizationId, name: &str) -> GroupId {
        let id = GroupId(self.entropy.uuid());
        let record = Group {
            id,
            tenant: self.changeset.tenant,
            serial: self.serial("group"),
            organization,
            name: name.to_owned(),
            description: Some(format!("{name} of the sample")),
            is_default: true,
            revision: Revision::FIRST,
            created_at: self.at,
        };
        self.changeset.deltas.push(Delta::PutGroup(record));
        id
    }

    fn role(&mut self, name: &str, statement: Statement, reach: Reach) -> RoleId {
        let id = RoleId(self.entropy.uuid());
        let (tenant, name, at) = (self.changeset.tenant, name.to_owned(), self.at);
        let record = Role {
            id,
            tenant,
            name,
            statement,
            reach,
            created_at: at,
            updated_at: at,
        };
        self.changeset.deltas.push(Delta::PutRole(record));
        id
    }

    fn user(
        &mut self,
        (first, last, title): (&str, &str, &str),
        role: RoleId,
        (organization, group): (OrganizationId, GroupId),
    ) -> SampleUser {
        let id = UserId(self.entropy.uuid());
        let serial = self.serial("user");
        let username = format!("{}.{}", first.to_lowercase(), last.to_lowercase());
        let email = format!("{username}@example.com");
        let mut user = User::new(id, serial, self.at);
        user.created_by = Some(self.founder.clone());
        user.updated_by = Some(self.founder.clone());
        user.username = Some(username.as_str().into());
        user.email = Some(email.as_str().into());
        user.first_name = Some(first.into());
        user.last_name = Some(last.into());
        user.title = Some(title.into());
        user.status = Some(Status::Enabled);
        user.is_bot = Some(false);
        user.phone = Some(Phone {
            prefix: Some("+34".into()),
            number: Some("660707172".into()),
        });
        user.settings = Some(settings().into());
        user.role = Some(role);
        user.description = Some(Map::from_iter([("callsign".to_owned(), Value::from(first))]).into());
        user.memberships = [Membership {
            organization,
            status: MembershipStatus::Active,
            groups: vec![group],
            invitation_notes: None,
            invited_at: Some(self.at),
            joined_at: Some(self.at),
            last_access_at: None,
        }]
        .into();
        self.changeset.deltas.push(Delta::CreateUser(Box::new(user)));
        let vendor = REGISTRY
            .iter()
            .find(|dialect| dialect.sample_purposes().contains(&Purpose::User));
        let secret = self.credential(vendor.copied(), Subject::User(id));
        SampleUser {
            id,
            serial,
            email,
            username,
            name: format!("{first} {last}"),
            secret,
        }
    }

    /// Makes a key in the form of a vendor's keys, if there is one for it, and keeps its hash.
    fn credential(&mut self, vendor: Option<&dyn Dialect>, subject: Subject) -> String {
        let serial = self.serial("credential");
        let mut random = [0; 48];
        for chunk in random.chunks_mut(16) {
            chunk.copy_from_slice(self.entropy.uuid().as_bytes());
        }
        let secret = vendor.map_or_else(|| hex::encode(random), |dialect| dialect.mint(serial, &random));
        self.changeset.deltas.push(Delta::PutCredential(Credential {
            id: CredentialId(self.entropy.uuid()),
            tenant: self.changeset.tenant,
            serial,
            hash: CredentialHash::of(&secret),
            fingerprint: Credential::fingerprint_of(&secret),
            subject,
            expires_at: None,
            created_at: self.at,
        }));
        secret
    }

    /// Makes the keys that the dialects name, and one of each purpose that none does.
    fn keys(&mut self, roles: &Roles, operator: OrganizationId, users: &[SampleUser]) -> SampleKeys {
        let service = |name: &str, role, organization| Subject::Service {
            name: name.to_owned(),
            role,
            organization,
        };
        let holder = |purpose| match purpose {
            Purpose::Full => service("Integration", roles.full, None),
            Purpose::ReadOnly => service("Reporting", roles.read_only, None),
            Purpose::Operations => service("Operations", roles.administrator, Some(operator)),
            Purpose::Client => Subject::User(users[1].id),
            Purpose::User => Subject::User(users[4].id),
        };
        let (mut of_dialect, mut first) = (BTreeMap::new(), BTreeMap::new());
        for dialect in REGISTRY {
            let purposes = dialect.sample_purposes().iter().copied();
            for purpose in purposes.filter(|purpose| *purpose != Purpose::User) {
                let secret = self.credential(Some(dialect), holder(purpose));
                first.entry(purpose).or_insert_with(|| secret.clone());
                of_dialect.insert((dialect.name(), purpose), secret);
            }
        }
        let mut take = |purpose| {
            first
                .remove(&purpose)
                .unwrap_or_else(|| self.credential(None, holder(purpose)))
        };
        SampleKeys {
            full: take(Purpose::Full),
            read_only: take(Purpose::ReadOnly),
            operations: take(Purpose::Operations),
            client: take(Purpose::Client),
            administrator: users[4].secret.clone(),
            of_dialect,
        }
    }

    fn account(&mut self) -> LinkedAccountId {
        let number = u128::from_be_bytes(*self.entropy.uuid().as_bytes()) % 10_u128.pow(20);
        let id = LinkedAccountId(format!("{number:020}").into());
        self.changeset.deltas.push(Delta::PutLinkedAccount(LinkedAccount {
            id: id.clone(),
            tenant: self.changeset.tenant,
            status: AccountStatus::Active,
            remote: None,
            created_at: self.at,
            updated_at: self.at,
        }));
        id
    }
}

fn settings() -> Settings {
    let english = Some("en-US".to_owned());
    Settings {
        culture_code: english.clone(),
        language_code: english,
        ..Settings::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::SystemEntropy;

    #[test]
    fn every_dialect_has_a_key_of_its_own_for_each_purpose_that_it_names() {
        let (changeset, sample) = tenant(&SystemEntropy, Timestamp::default());
        let known = |secret: &str| {
            let hash = CredentialHash::of(secret);
            let is_it = |delta: &Delta| matches!(delta, Delta::PutCredential(record) if record.hash == hash);
            changeset.deltas.iter().any(is_it)
        };
        let mut keys = Vec::new();
        for dialect in REGISTRY {
            let named = dialect.sample_purposes().iter();
            keys.extend(named.map(|purpose| sample.keys.of(dialect.name(), *purpose)));
        }
        assert!(keys.iter().all(|key| known(key)));
        let different: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(different.len(), keys.len());
        let unnamed = sample.keys.of("another", Purpose::ReadOnly);
        assert_eq!(unnamed, sample.keys.read_only, "one who names none is shown another's");
    }
}

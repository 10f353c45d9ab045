//! Who may do what to whom, all of it in one text file that is reviewed as a diff; and what holds of every statement.
//!
//! `PATCHBAY_BLESS=1` rewrites `policy_matrix.txt`; otherwise the test compares it.

#![expect(clippy::unwrap_used, reason = "what a test stands on fails by panicking")]

use std::{collections::BTreeSet, fmt::Write, sync::Arc};

use patchbay_core::{
    author::Author,
    clock::Timestamp,
    credential::{Credential, CredentialHash, Subject},
    id::{CredentialId, GroupId, OrganizationId, RoleId, Serial, TenantId, UserId},
    membership::{Membership, MembershipStatus},
    policy::{Action, Effect, Reach, Statement, Verdict, decide, decide_update, may_ever, may_ever_update},
    principal::Principal,
    role::Role,
    text::Text,
    user::User,
};
use proptest::prelude::*;
use uuid::Uuid;

const OURS: OrganizationId = OrganizationId(Uuid::from_u128(1));
const THEIRS: OrganizationId = OrganizationId(Uuid::from_u128(2));
const HIMSELF: UserId = UserId(Uuid::from_u128(10));

fn list(effect: Effect, actions: &[&str]) -> Statement {
    Statement {
        effect,
        actions: Some(actions.iter().map(|action| (*action).to_owned()).collect()),
    }
}

/// Every shape of statement that a role can have.
fn statements() -> Vec<(&'static str, Statement)> {
    use Effect::{Allow, Deny};
    vec![
        ("everything (deny, no list)", Statement::everything()),
        ("deny []", list(Deny, &[])),
        ("deny [update_user]", list(Deny, &["update_user"])),
        ("deny [update_own_user]", list(Deny, &["update_own_user"])),
        (
            "deny [update_own_user, update_user]",
            list(Deny, &["update_own_user", "update_user"]),
        ),
        ("deny [get_user]", list(Deny, &["get_user"])),
        ("deny [delete_user]", list(Deny, &["delete_user"])),
        (
            "nothing (allow, no list)",
            Statement {
                effect: Allow,
                actions: None,
            },
        ),
        ("allow []", list(Allow, &[])),
        ("read only (allow [get_user])", list(Allow, &["get_user"])),
        (
            "member (allow [get_user, update_own_user])",
            list(Allow, &["get_user", "update_own_user"]),
        ),
        ("allow [update_own_user]", list(Allow, &["update_own_user"])),
        ("allow [update_user]", list(Allow, &["update_user"])),
        (
            "allow [get_user, update_user]",
            list(Allow, &["get_user", "update_user"]),
        ),
        ("allow [delete_user]", list(Allow, &["delete_user"])),
    ]
}

fn principal(subject: Subject, statement: Statement, reach: Reach) -> Principal {
    let (tenant, at) = (TenantId(Uuid::from_u128(100)), Timestamp::from_millis(0));
    Principal {
        tenant,
        credential: Credential {
            id: CredentialId(Uuid::from_u128(101)),
            tenant,
            serial: Serial(1),
            hash: CredentialHash::of("x"),
            fingerprint: Text::default(),
            subject,
            expires_at: None,
            created_at: at,
        }
        .into(),
        name: Text::default(),
        author: Arc::new(Author::Token(Serial(1), Text::default())),
        role: Role {
            id: RoleId(Uuid::from_u128(102)),
            tenant,
            name: String::new(),
            statement,
            reach,
            created_at: at,
            updated_at: at,
        }
        .into(),
        organizations: vec![OURS],
    }
}

fn service() -> Subject {
    Subject::Service {
        name: String::new(),
        role: RoleId(Uuid::from_u128(102)),
        organization: Some(OURS),
    }
}

fn target(id: UserId, organizations: &[OrganizationId]) -> User {
    let place = |organization: &OrganizationId| Membership {
        organization: *organization,
        status: MembershipStatus::Active,
        groups: vec![GroupId(Uuid::nil())],
        invitation_notes: None,
        invited_at: None,
        joined_at: None,
        last_access_at: None,
    };
    let mut user = User::new(id, Serial(1), Timestamp::from_millis(0));
    user.memberships = organizations.iter().map(place).collect();
    user
}

/// Whom it may be about.
fn targets() -> [(&'static str, User); 4] {
    let other = |number| UserId(Uuid::from_u128(number));
    [
        ("himself", target(HIMSELF, &[OURS])),
        ("same org", target(other(11), &[THEIRS, OURS])),
        ("other org", target(other(12), &[THEIRS])),
        ("no org", target(other(13), &[])),
    ]
}

/// What is asked of a caller: the name of the row, "may ever", the verdict.
type Question = (&'static str, fn(&Principal) -> bool, fn(&Principal, &User) -> Verdict);

/// What use cases ask: to read, to update, and to update where the dialect lets the user himself change his profile.
const QUESTIONS: [Question; 3] = [
    (
        "get_user",
        |who| may_ever(who, Action::GetUser),
        |who, user| decide(who, Action::GetUser, user),
    ),
    (
        "update_user",
        |who| may_ever_update(who, false),
        |who, user| decide_update(who, false, user),
    ),
    (
        "or himself",
        |who| may_ever_update(who, true),
        |who, user| decide_update(who, true, user),
    ),
];

/// Every row: role, reach, caller, question → "may ever", then the verdict per target.
fn matrix() -> String {
    let mut text = String::from(
        "# Who may do what to whom. Made by policy_matrix.rs; PATCHBAY_BLESS=1 rewrites it. Review it as a diff.\n\
         # ever: asked before anything is loaded. Then the verdict per target.\n\
         # or himself: update_user in a dialect that lets the user himself change his profile.\n\n",
    );
    for (name, statement) in statements() {
        for reach in [Reach::Tenant, Reach::Organization] {
            for (caller, subject) in [("user", Subject::User(HIMSELF)), ("service", service())] {
                let principal = principal(subject, statement.clone(), reach);
                writeln!(text, "{name}, reach {reach:?}, a {caller}").unwrap();
                for (question, ever, verdict) in QUESTIONS {
                    let ever = if ever(&principal) { "yes" } else { "no" };
                    write!(text, "  {question:<12} ever {ever:<4}").unwrap();
                    for (whom, user) in targets() {
                        if caller == "service" && whom == "himself" {
                            continue;
                        }
                        let verdict = format!("{:?}", verdict(&principal, &user));
                        write!(text, "  {whom}: {verdict:<12}").unwrap();
                    }
                    text.truncate(text.trim_end().len());
                    text.push('\n');
                }
            }
        }
        text.push('\n');
    }
    text
}

#[test]
fn the_policy_matrix_is_as_reviewed() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/policy_matrix.txt");
    let now = matrix();
    if std::env::var_os("PATCHBAY_BLESS").is_some() {
        std::fs::write(file, &now).unwrap();
    }
    let reviewed = std::fs::read_to_string(file).unwrap();
    let differs = now
        .lines()
        .zip(reviewed.lines())
        .find(|(now, reviewed)| now != reviewed);
    assert_eq!(differs, None, "(now, reviewed): PATCHBAY_BLESS=1 rewrites {file}");
    assert_eq!(now.len(), reviewed.len());
}

/// Known and unknown action names.
const NAMES: [&str; 5] = ["get_user", "update_user", "update_own_user", "delete_user", "trace"];

fn any_statement() -> impl Strategy<Value = Statement> {
    let names = prop::sample::subsequence(NAMES.to_vec(), 0..=NAMES.len());
    (any::<bool>(), prop::option::of(names)).prop_map(|(allow, names)| Statement {
        effect: if allow { Effect::Allow } else { Effect::Deny },
        actions: names.map(|names| names.into_iter().map(str::to_owned).collect::<BTreeSet<_>>()),
    })
}

fn any_reach() -> impl Strategy<Value = Reach> {
    prop::sample::select(vec![Reach::Organization, Reach::Tenant])
}

fn any_action() -> impl Strategy<Value = Action> {
    prop::sample::select(Action::ALL.to_vec())
}

fn permitted(statement: &Statement) -> Vec<Action> {
    Action::ALL
        .into_iter()
        .filter(|action| statement.permits(*action))
        .collect()
}

proptest! {
    #[test]
    fn a_denied_action_is_denied_to_everybody_in_any_reach(
        (statement, action, reach) in (any_statement(), any_action(), any_reach())
    ) {
        let mut statement = Statement { effect: Effect::Deny, ..statement };
        statement.actions.get_or_insert_default().insert(action.as_str().to_owned());
        prop_assert!(!statement.permits(action));
        let principal = principal(Subject::User(HIMSELF), statement, reach);
        for (_, user) in targets() {
            let verdict = decide(&principal, action, &user);
            prop_assert!(matches!(verdict, Verdict::Deny | Verdict::Hide), "{verdict:?}");
        }
    }

    #[test]
    fn a_statement_covers_itself_and_everything_covers_all(statement in any_statement()) {
        prop_assert!(statement.covers(&statement));
        prop_assert!(Statement::everything().covers(&statement));
        prop_assert!(statement.covers(&Statement::only(&[])));
    }

    #[test]
    fn covering_is_transitive((a, b, c) in (any_statement(), any_statement(), any_statement())) {
        if a.covers(&b) && b.covers(&c) {
            prop_assert!(a.covers(&c));
        }
    }

    #[test]
    fn statements_that_cover_each_other_permit_the_same((a, b) in (any_statement(), any_statement())) {
        if a.covers(&b) && b.covers(&a) {
            prop_assert_eq!(permitted(&a), permitted(&b));
        }
    }

    #[test]
    fn what_a_covered_statement_permits_its_cover_permits(
        (a, b, action) in (any_statement(), any_statement(), any_action())
    ) {
        if a.covers(&b) && b.permits(action) {
            prop_assert!(a.permits(action));
        }
    }

    /// The rule "or the user himself" gives a user his own profile whatever his role allows, and a denial takes it away.
    #[test]
    fn the_user_himself_is_let_or_denied_and_nobody_else(
        (statement, reach) in (any_statement(), any_reach())
    ) {
        let principal = principal(Subject::User(HIMSELF), statement.clone(), reach);
        for (whom, user) in targets() {
            let (plain, own) = (decide_update(&principal, false, &user), decide_update(&principal, true, &user));
            prop_assert_eq!(plain, decide(&principal, Action::UpdateUser, &user));
            let himself = whom == "himself" && plain != Verdict::Allow && statement.leaves_own_profile();
            prop_assert_eq!(own, if himself { Verdict::AllowProfile } else { plain });
        }
        let mut denied = Statement { effect: Effect::Deny, ..statement };
        denied.actions.get_or_insert_default().insert("update_own_user".to_owned());
        prop_assert!(!denied.leaves_own_profile());
    }

    #[test]
    fn a_role_that_covers_reaches_as_far(
        (a, b, here, there) in (any_statement(), any_statement(), any_reach(), any_reach())
    ) {
        let holder = principal(service(), a, here).role;
        let given = principal(service(), b, there).role;
        if holder.covers(&given) {
            prop_assert!(holder.reach >= given.reach);
            prop_assert!(holder.statement.covers(&given.statement));
        }
    }

    #[test]
    fn nothing_is_allowed_that_may_never_be(
        (statement, reach, action, user) in (any_statement(), any_reach(), any_action(), any::<bool>())
    ) {
        let subject = if user { Subject::User(HIMSELF) } else { service() };
        let principal = principal(subject, statement, reach);
        for (_, target) in targets() {
            if decide(&principal, action, &target) == Verdict::Allow {
                prop_assert!(may_ever(&principal, action));
            }
            for own in [false, true] {
                let verdict = decide_update(&principal, own, &target);
                if matches!(verdict, Verdict::Allow | Verdict::AllowProfile) {
                    prop_assert!(may_ever_update(&principal, own));
                }
            }
        }
    }

    #[test]
    fn a_wider_reach_never_takes_anything_away((statement, action) in (any_statement(), any_action())) {
        let near = principal(Subject::User(HIMSELF), statement.clone(), Reach::Organization);
        let far = principal(Subject::User(HIMSELF), statement, Reach::Tenant);
        for (whom, target) in targets() {
            let (near, far) = (decide(&near, action, &target), decide(&far, action, &target));
            prop_assert!(near == far || near == Verdict::Hide, "{}: {:?}, {:?}", whom, near, far);
        }
    }
}

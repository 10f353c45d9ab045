//! What holds of every delta and every user: absent is identity, applying twice is applying once, what does not overlap
//! commutes, and the list of changes tells the whole difference.

#![expect(clippy::unwrap_used, reason = "what a test stands on fails by panicking")]

mod deltas;

use std::sync::Arc;

use deltas::{ORGANIZATIONS, moment, patch_of, patches, split, users};
use patchbay_core::{
    audit::FieldChange,
    author::Author,
    changeset::update,
    clock::Timestamp,
    error::Error,
    id::{OrganizationId, Serial, UserId},
    membership::{MembershipPatch, MembershipStatus},
    patch::Patch,
    revision::{Expect, Revision},
    settings::{NumberFormatPatch, PhonePatch, SettingsPatch},
    user::{MAX_ATTRIBUTES, MAX_FREE_BYTES, MAX_TEXT, Status, Unfit, User, UserPatch},
};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Wire {
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    member: Patch<String>,
}

proptest! {
    #[test]
    fn the_absent_patch_is_identity(user in users()) {
        let applied = user.apply(&UserPatch::default()).unwrap();
        prop_assert_eq!(applied.changes, vec![]);
        prop_assert_eq!(applied.user, user);
    }

    #[test]
    fn applying_twice_is_applying_once((user, patch) in (users(), patches())) {
        let once = user.apply(&patch).unwrap();
        let twice = once.user.apply(&patch).unwrap();
        prop_assert_eq!(twice.changes, vec![]);
        prop_assert_eq!(twice.user, once.user);
    }

    #[test]
    fn disjoint_patches_commute((user, patch, mask) in (users(), patches(), any::<u32>())) {
        let (left, right) = split(patch.clone(), mask);
        let left_first = user.apply(&left).unwrap().user.apply(&right).unwrap().user;
        let right_first = user.apply(&right).unwrap().user.apply(&left).unwrap().user;
        let together = user.apply(&patch).unwrap().user;
        prop_assert_eq!(&left_first, &right_first);
        prop_assert_eq!(left_first, together);
    }

    #[test]
    fn a_patch_lists_changes_if_and_only_if_it_changes((user, patch) in (users(), patches())) {
        let applied = user.apply(&patch).unwrap();
        prop_assert_eq!(applied.changes.is_empty(), applied.user == user);
        for change in &applied.changes {
            prop_assert_ne!(&change.before, &change.after);
        }
    }

    #[test]
    fn the_changes_are_the_whole_difference((user, patch) in (users(), patches())) {
        let applied = user.apply(&patch).unwrap();
        let (mut record, after) = (keyed(&user), keyed(&applied.user));
        for change in &applied.changes {
            let path = path(&change.field);
            prop_assert_eq!(at(&record, &path), &change.before, "{}", change.field);
            prop_assert_eq!(at(&after, &path), &change.after, "{}", change.field);
            put(&mut record, &path, &change.after);
        }
        prop_assert_eq!(record, after);
    }

    #[test]
    fn identity_and_version_are_not_a_patchs_to_change((user, patch) in (users(), patches())) {
        let after = user.apply(&patch).unwrap().user;
        prop_assert_eq!((after.id, after.serial, after.revision), (user.id, user.serial, user.revision));
        prop_assert_eq!((after.created_at, after.updated_at), (user.created_at, user.updated_at));
        prop_assert_eq!((after.remote_id, after.last_login_at), (user.remote_id, user.last_login_at));
    }

    #[test]
    fn what_is_kept_reads_again((user, patch) in (users(), patches())) {
        let after = user.apply(&patch).unwrap();
        let text = serde_json::to_string(&after.user).unwrap();
        prop_assert_eq!(serde_json::from_str::<User>(&text).unwrap(), after.user);
        for change in after.changes {
            let text = serde_json::to_string(&change).unwrap();
            prop_assert_eq!(serde_json::from_str::<FieldChange>(&text).unwrap(), change);
        }
    }

    #[test]
    fn null_clears_whatever_was_there(user in users()) {
        let attributes = user.attributes.keys().map(|name| (name.clone(), Patch::Null)).collect();
        let patch = UserPatch { attributes, ..cleared() };
        let after = user.apply(&patch).unwrap().user;
        let mut empty = User::new(user.id, user.serial, user.created_at);
        empty.revision = user.revision;
        empty.updated_at = user.updated_at;
        empty.remote_id = user.remote_id;
        empty.last_login_at = user.last_login_at;
        empty.memberships = user.memberships;
        prop_assert_eq!(after, empty);
    }

    #[test]
    fn a_value_is_what_the_member_becomes((user, patch) in (users(), patches())) {
        let after = user.apply(&patch).unwrap().user;
        prop_assert_eq!(&after.username, &patch.username.over(&user.username));
        prop_assert_eq!(&after.email, &patch.email.over(&user.email));
        prop_assert_eq!(&after.first_name, &patch.first_name.over(&user.first_name));
        prop_assert_eq!(&after.last_name, &patch.last_name.over(&user.last_name));
        prop_assert_eq!(&after.display_name, &patch.display_name.over(&user.display_name));
        prop_assert_eq!(&after.title, &patch.title.over(&user.title));
        prop_assert_eq!(after.status, patch.status.over(&user.status));
        prop_assert_eq!(after.is_bot, patch.is_bot.over(&user.is_bot));
        prop_assert_eq!(after.role, patch.role.over(&user.role));
        let description = |user: &User| user.description.as_deref().cloned();
        prop_assert_eq!(description(&after), patch.description.over(&description(&user)));
        for (name, value) in &patch.attributes {
            prop_assert_eq!(after.attributes.get(name).cloned(), value.over(&user.attributes.get(name).cloned()));
        }
        for (name, value) in &patch.passthrough {
            let kept = after.attributes.get(&format!("passthrough:{name}"));
            prop_assert_eq!(kept, Some(value).filter(|value| !value.is_null()));
        }
    }

    #[test]
    fn a_refused_patch_is_refused_whatever_else_it_says((user, patch) in (users(), patches())) {
        let wrong = UserPatch { title: Patch::Value("two\nlines".to_owned()), ..patch };
        prop_assert_eq!(refused(&user, &wrong), "title");
    }

    #[test]
    fn all_texts_that_are_refused_alone_are_refused_together(
        (user, at) in (users(), prop::collection::btree_set(0_usize..WRONG_TEXTS.len(), 0..WRONG_TEXTS.len()))
    ) {
        let mut all = UserPatch::default();
        for place in &at {
            let (field, spoil) = WRONG_TEXTS[*place];
            let mut one = UserPatch::default();
            spoil(&mut one);
            prop_assert_eq!(refused(&user, &one), field);
            spoil(&mut all);
        }
        let together: Vec<String> = match user.apply(&all) {
            Ok(_) => Vec::new(),
            Err(Error::Unfit(members)) => members.into_iter().map(|member| member.field).collect(),
            Err(_) => vec![refused(&user, &all)],
        };
        prop_assert_eq!(together, at.iter().map(|place| WRONG_TEXTS[*place].0).collect::<Vec<_>>());
    }

    #[test]
    fn texts_are_bounded_in_characters((user, extra) in (users(), "[a-zé界]{1,40}")) {
        let longest: String = extra.chars().cycle().take(MAX_TEXT).collect();
        let patch = |text: String| UserPatch { first_name: Patch::Value(text), ..UserPatch::default() };
        prop_assert!(user.apply(&patch(longest.clone())).is_ok());
        prop_assert_eq!(refused(&user, &patch(longest + "x")), "first_name");
    }

    #[test]
    fn the_three_states_survive_json(member in patch_of(any::<String>())) {
        let wire = Wire { member };
        let text = serde_json::to_string(&wire).unwrap();
        prop_assert_eq!(serde_json::from_str::<Wire>(&text).unwrap(), wire);
    }

    #[test]
    fn a_change_raises_the_revision_by_one_and_no_change_not_at_all(
        (user, patch, at) in (users(), patches(), moment())
    ) {
        let author = Arc::new(Author::Token(Serial(9), "x".to_owned()));
        let done = update(Some(&user), &Expect::Any, &patch, at, Some(&author)).unwrap();
        let raised = u64::from(!done.changes.is_empty());
        prop_assert_eq!(done.user.revision.0, user.revision.0 + raised);
        prop_assert!(done.user.updated_at >= user.updated_at);
        if done.changes.is_empty() {
            prop_assert_eq!(done.user, user);
        } else {
            prop_assert_eq!(done.user.updated_by, Some(author));
            prop_assert_eq!(done.user.created_by, user.created_by);
        }
    }

    #[test]
    fn an_expectation_that_does_not_hold_refuses_before_anything_else((user, patch) in (users(), patches())) {
        let wrong = UserPatch { title: Patch::Value("two\nlines".to_owned()), ..patch };
        let stale = Expect::Exactly(user.revision.next());
        let refusal = update(Some(&user), &stale, &wrong, user.updated_at, None);
        let carries = matches!(refusal, Err(Error::Precondition { current }) if current == Some(user.revision));
        prop_assert!(carries);
        let nobody = update(None, &Expect::Any, &wrong, user.updated_at, None);
        let unknown = matches!(nobody, Err(Error::NotFound { what: "user" }));
        prop_assert!(unknown);
    }

    #[test]
    fn expectations_mean_what_they_say(
        (current, listed) in (prop::option::of(1_u64..6), prop::collection::vec(1_u64..6, 0..4))
    ) {
        let current = current.map(Revision);
        let listed: Vec<Revision> = listed.into_iter().map(Revision).collect();
        let holds = |expect: Expect| expect.check(current).is_ok();
        prop_assert!(holds(Expect::Any));
        prop_assert_eq!(holds(Expect::Missing), current.is_none());
        prop_assert_eq!(holds(Expect::Present), current.is_some());
        let among = current.is_some_and(|now| listed.contains(&now));
        prop_assert_eq!(holds(Expect::OneOf(listed.clone())), among);
        prop_assert_eq!(holds(Expect::NoneOf(listed.clone())), !among);
        for one in &listed {
            prop_assert_eq!(holds(Expect::Exactly(*one)), holds(Expect::OneOf(vec![*one])));
        }
    }
}

/// Gives a member a text that breaks its bound.
type Spoil = fn(&mut UserPatch);

const WRONG_TEXTS: [(&str, Spoil); 6] = [
    ("username", |patch| patch.username = Patch::Value(" ".to_owned())),
    ("email", |patch| patch.email = Patch::Value("a b".to_owned())),
    ("first_name", |patch| {
        patch.first_name = Patch::Value("x".repeat(MAX_TEXT + 1));
    }),
    ("phone.prefix", |patch| {
        phone(patch).prefix = Patch::Value("12345678901".to_owned());
    }),
    ("phone.number", |patch| {
        phone(patch).number = Patch::Value("1234567890123456".to_owned());
    }),
    ("settings.time_zone", |patch| {
        patch.settings = Patch::Value(SettingsPatch {
            time_zone: Patch::Value("\0".to_owned()),
            ..SettingsPatch::default()
        });
    }),
];

fn phone(patch: &mut UserPatch) -> &mut PhonePatch {
    if patch.phone.is_absent() {
        patch.phone = Patch::Value(PhonePatch::default());
    }
    match &mut patch.phone {
        Patch::Value(phone) => phone,
        other => panic!("{other:?}"),
    }
}

/// A patch that clears everything that can be cleared, attributes aside.
fn cleared() -> UserPatch {
    UserPatch {
        username: Patch::Null,
        email: Patch::Null,
        first_name: Patch::Null,
        last_name: Patch::Null,
        display_name: Patch::Null,
        title: Patch::Null,
        status: Patch::Null,
        is_bot: Patch::Null,
        phone: Patch::Null,
        settings: Patch::Null,
        icon: Patch::Null,
        role: Patch::Null,
        description: Patch::Null,
        current_organization: Patch::Null,
        ..UserPatch::default()
    }
}

/// The member that a patch is refused for.
fn refused(user: &User, patch: &UserPatch) -> String {
    match user.apply(patch) {
        Err(Error::Invalid { field, .. }) => field,
        other => panic!("{other:?}"),
    }
}

/// A user as JSON, with his memberships by organization.
fn keyed(user: &User) -> Value {
    let mut record = serde_json::to_value(user).unwrap();
    let place = |place| serde_json::to_value(place).unwrap();
    let places = user.memberships.iter();
    record["memberships"] = places.map(|it| (it.organization.to_string(), place(it))).collect();
    record
}

/// The steps of a domain path. An attribute's name may itself have dots.
fn path(field: &str) -> Vec<&str> {
    match field.strip_prefix("attributes.") {
        Some(name) => vec!["attributes", name],
        None => field.split('.').collect(),
    }
}

fn at<'a>(record: &'a Value, path: &[&str]) -> &'a Value {
    path.iter()
        .try_fold(record, |value, step| value.get(step))
        .unwrap_or(&Value::Null)
}

/// Sets one member; null takes it out, and what is left empty around it too.
fn put(record: &mut Value, path: &[&str], after: &Value) {
    let Some((step, rest)) = path.split_first() else { return };
    if record.is_null() {
        *record = json!({});
    }
    let members = record.as_object_mut().unwrap();
    let slot = members.entry(*step).or_insert(Value::Null);
    if rest.is_empty() {
        *slot = after.clone();
    } else {
        put(slot, rest, after);
    }
    let emptied = slot.is_null() || (!rest.is_empty() && slot.as_object().is_some_and(Map::is_empty));
    if emptied {
        members.remove(*step);
    }
}

fn nobody() -> User {
    User::new(UserId(Uuid::nil()), Serial(1), Timestamp::from_millis(0))
}

fn text(text: &str) -> Patch<String> {
    Patch::Value(text.to_owned())
}

fn long() -> Patch<String> {
    text(&"x".repeat(MAX_TEXT + 1))
}

#[test]
fn bounds_of_names_are_refused_by_name() {
    type Member = fn(&mut UserPatch) -> &mut Patch<String>;
    let (long, long_mail) = ("x".repeat(MAX_TEXT + 1), format!("{}@example.com", "x".repeat(320)));
    let cases: [(&str, Member, &[&str]); 6] = [
        (
            "username",
            |patch| &mut patch.username,
            &["", " han", "han\u{a0}", &long],
        ),
        (
            "email",
            |patch| &mut patch.email,
            &["", "han solo@example.com", &long_mail],
        ),
        ("first_name", |patch| &mut patch.first_name, &["\u{0}", &long]),
        ("last_name", |patch| &mut patch.last_name, &["\n", &long]),
        ("display_name", |patch| &mut patch.display_name, &["\u{85}", &long]),
        ("title", |patch| &mut patch.title, &["\u{7f}", &long]),
    ];
    for (field, member, values) in cases {
        for value in values {
            let mut patch = UserPatch::default();
            *member(&mut patch) = text(value);
            assert_eq!(refused(&nobody(), &patch), field, "{value:?}");
        }
    }
}

#[test]
fn bounds_of_nested_members_are_refused_by_path() {
    let none = UserPatch::default;
    let settings = |settings| UserPatch {
        settings: Patch::Value(settings),
        ..none()
    };
    let phone = |prefix, number| UserPatch {
        phone: Patch::Value(PhonePatch { prefix, number }),
        ..none()
    };
    let numbers = NumberFormatPatch {
        group_separator: long(),
        ..NumberFormatPatch::default()
    };
    let cases = [
        ("phone.prefix", phone(text("+1234567890"), Patch::Absent)),
        ("phone.number", phone(Patch::Absent, text("1234567890123456"))),
        (
            "settings.culture_code",
            settings(SettingsPatch {
                culture_code: long(),
                ..SettingsPatch::default()
            }),
        ),
        (
            "settings.time_zone",
            settings(SettingsPatch {
                time_zone: text("\t"),
                ..SettingsPatch::default()
            }),
        ),
        (
            "settings.number_format.group_separator",
            settings(SettingsPatch {
                number_format: Patch::Value(numbers),
                ..SettingsPatch::default()
            }),
        ),
        (
            "attributes.",
            UserPatch {
                attributes: [(String::new(), Patch::Value(json!(1)))].into(),
                ..none()
            },
        ),
    ];
    for (field, patch) in cases {
        assert_eq!(refused(&nobody(), &patch), field);
    }
}

#[test]
fn free_values_are_bounded_in_size_number_depth_and_keys() {
    let described = |value: Value| UserPatch {
        description: Patch::Value(Map::from_iter([("k".to_owned(), value)])),
        ..UserPatch::default()
    };
    let nested = |depth| (0..depth).fold(json!(1), |inner, _| json!([inner]));
    assert!(nobody().apply(&described(nested(64))).is_ok());
    let overhead = 8;
    assert!(
        nobody()
            .apply(&described(json!("x".repeat(MAX_FREE_BYTES - overhead))))
            .is_ok()
    );
    let wrong = [
        nested(65),
        json!("x".repeat(MAX_FREE_BYTES - overhead + 1)),
        json!({ "a": 1, "$serde_json::private::Number": "x" }),
        json!([{ "$serde_json::private::RawValue": "x" }]),
    ];
    for value in wrong {
        assert_eq!(refused(&nobody(), &described(value)), "description");
    }
    let many = |count| UserPatch {
        attributes: (0..count).map(|n| (format!("a:{n}"), Patch::Value(json!(n)))).collect(),
        ..UserPatch::default()
    };
    assert!(nobody().apply(&many(MAX_ATTRIBUTES)).is_ok());
    assert_eq!(refused(&nobody(), &many(MAX_ATTRIBUTES + 1)), "attributes.a:99");
}

fn attribute(name: &str, value: Value) -> UserPatch {
    UserPatch {
        attributes: [(name.to_owned(), Patch::Value(value))].into(),
        ..UserPatch::default()
    }
}

#[test]
fn a_dialects_attributes_take_no_room_from_anothers() {
    let passed = (0..MAX_ATTRIBUTES).map(|n| (n.to_string(), json!("x".repeat(200))));
    let passed = UserPatch {
        passthrough: passed.collect(),
        ..UserPatch::default()
    };
    let full = nobody().apply(&passed).unwrap().user;
    let other = full.apply(&attribute("a:b", json!("x".repeat(60_000)))).unwrap().user;
    assert_eq!(other.attributes.len(), MAX_ATTRIBUTES + 1);
    let own = |name: &str, value| UserPatch {
        passthrough: Map::from_iter([(name.to_owned(), value)]),
        ..UserPatch::default()
    };
    assert_eq!(refused(&other, &own("new", json!(1))), "attributes.passthrough:new");
    let large = own("7", json!("x".repeat(30_000)));
    assert_eq!(
        refused(&other, &large),
        "attributes.passthrough:7",
        "the bytes, not the number"
    );
    assert!(other.apply(&own("7", Value::Null)).is_ok());
    assert!(
        other.apply(&passed).unwrap().changes.is_empty(),
        "what is there already is not judged"
    );
}

#[test]
fn an_attributes_name_has_all_the_characters_that_the_refusal_names() {
    let named = |length: usize| attribute(&format!("passthrough:{}", "é".repeat(length)), json!(1));
    assert!(nobody().apply(&named(200)).is_ok());
    let refusal = nobody().apply(&named(201)).unwrap_err().to_string();
    assert!(refusal.ends_with("must have at most 200 characters"), "{refusal}");
}

#[test]
fn a_value_that_is_there_already_is_not_judged() {
    let unfit = |field: &str| Unfit {
        field: field.to_owned(),
        reason: "is not fit".to_owned(),
    };
    let sent = UserPatch {
        email: text("no.address"),
        username: Patch::Null,
        status: Patch::Null,
        display_name: text("Han Solo"),
        unfit: ["email", "username", "status", "display_name"].map(unfit).to_vec(),
        ..UserPatch::default()
    };
    let mut user = nobody();
    user.email = Some("no.address".to_owned());
    (user.first_name, user.last_name) = (Some("Han".to_owned()), Some("Solo".to_owned()));
    assert_eq!(user.apply(&sent).unwrap().changes, [], "shown as it was sent");
    let nameless = UserPatch {
        display_name: Patch::Null,
        unfit: vec![unfit("display_name")],
        ..UserPatch::default()
    };
    assert!(matches!(user.apply(&nameless), Err(Error::Unfit(_))), "a name is shown");
    assert_eq!(nobody().apply(&nameless).unwrap().changes, [], "no name is shown");
    user.username = Some("han".to_owned());
    user.first_name = None;
    user.status = Some(Status::Enabled);
    match user.apply(&sent) {
        Err(Error::Unfit(refused)) => assert_eq!(refused, ["username", "display_name", "status"].map(unfit)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_kept_status_stays_and_others_follow() {
    let sent = UserPatch {
        status: Patch::Value(Status::Disabled),
        status_kept: Some(Status::Blocked),
        ..UserPatch::default()
    };
    for (before, after) in [
        (Some(Status::Blocked), Status::Blocked),
        (Some(Status::Enabled), Status::Disabled),
        (Some(Status::Disabled), Status::Disabled),
        (None, Status::Disabled),
    ] {
        let mut user = nobody();
        user.status = before;
        assert_eq!(user.apply(&sent).unwrap().user.status, Some(after), "{before:?}");
    }
}

#[test]
fn a_membership_patch_needs_the_membership_and_at_least_one_group() {
    let place = |organization, groups| UserPatch {
        memberships: vec![MembershipPatch {
            organization,
            groups,
            invitation_notes: Patch::Absent,
        }],
        ..UserPatch::default()
    };
    let stranger = place(OrganizationId(Uuid::from_u128(99)), Patch::Absent);
    assert!(matches!(
        nobody().apply(&stranger),
        Err(Error::NotFound { what: "membership" })
    ));
    let mut member = nobody();
    member.memberships.push(deltas::membership(ORGANIZATIONS[0]));
    for groups in [Patch::Null, Patch::Value(vec![])] {
        assert_eq!(refused(&member, &place(ORGANIZATIONS[0], groups)), "groups");
    }
}

#[test]
fn one_works_where_one_chose_to_while_the_membership_is_active() {
    let [first, second] = ORGANIZATIONS;
    let mut user = nobody();
    user.memberships = ORGANIZATIONS.map(deltas::membership).to_vec();
    let moved = |user: &User, organization| {
        let patch = UserPatch {
            current_organization: organization,
            ..UserPatch::default()
        };
        user.apply(&patch)
    };
    let now = |user: &User| user.current_membership().map(|membership| membership.organization);
    assert_eq!(now(&user), Some(first));
    assert!(
        moved(&user, Patch::Value(first)).unwrap().changes.is_empty(),
        "he is there"
    );
    let mut away = moved(&user, Patch::Value(second)).unwrap().user;
    assert_eq!(now(&away), Some(second));
    assert_eq!(now(&moved(&away, Patch::Null).unwrap().user), Some(first));
    away.memberships[1].status = MembershipStatus::InvitationExpired;
    assert_eq!(now(&away), Some(first));
    for nowhere in [second, OrganizationId(Uuid::from_u128(99))] {
        let refusal = moved(&away, Patch::Value(nowhere));
        assert!(matches!(refusal, Err(Error::Invalid { field, .. }) if field == "current_organization"));
    }
}

#[test]
fn documents_without_authors_read_on_and_stay_as_they_are() {
    let text = serde_json::to_string(&nobody()).unwrap();
    assert!(
        !text.contains("_by") && !text.contains("current_organization"),
        "{text}"
    );
    assert_eq!(serde_json::from_str::<User>(&text).unwrap(), nobody());
    let mut user = nobody();
    user.created_by = Some(Arc::new(Author::User(Serial(7), "Han".to_owned())));
    let value = serde_json::to_value(&user).unwrap();
    assert_eq!(value["created_by"], json!({"user": [7, "Han"]}));
    assert_eq!(serde_json::from_value::<User>(value).unwrap(), user);
}

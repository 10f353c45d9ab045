//! What holds of every delta and every user: absent is identity, applying twice is applying once, what does not overlap
//! commutes, and the list of changes tells the whole difference.

#![expect(clippy::unwrap_used, reason = "what a test stands on fails by panicking")]

mod deltas;
mod places;

use std::sync::Arc;

use deltas::{moment, patch_of, patches, split, users};
use patchbay_core::{
    audit::FieldChange,
    author::Author,
    changeset::update,
    error::Error,
    id::Serial,
    packed::Packed,
    patch::Patch,
    revision::{Expect, Revision},
    settings::{PhonePatch, SettingsPatch},
    text::Text,
    user::{MAX_TEXT, User, UserPatch},
};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

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
        let text = |member: &Option<Text>| member.clone().map(String::from);
        prop_assert_eq!(text(&after.username), patch.username.over(&text(&user.username)));
        prop_assert_eq!(text(&after.email), patch.email.over(&text(&user.email)));
        prop_assert_eq!(text(&after.first_name), patch.first_name.over(&text(&user.first_name)));
        prop_assert_eq!(text(&after.last_name), patch.last_name.over(&text(&user.last_name)));
        prop_assert_eq!(text(&after.display_name), patch.display_name.over(&text(&user.display_name)));
        prop_assert_eq!(text(&after.title), patch.title.over(&text(&user.title)));
        prop_assert_eq!(after.status, patch.status.over(&user.status));
        prop_assert_eq!(after.is_bot, patch.is_bot.over(&user.is_bot));
        prop_assert_eq!(after.role, patch.role.over(&user.role));
        let description = |user: &User| user.description.as_ref().map(Packed::read);
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
        let author = Arc::new(Author::Token(Serial(9), "x".into()));
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

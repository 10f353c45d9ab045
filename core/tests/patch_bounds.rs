//! Where a delta is refused, member by member, and what is kept where it is not.

mod places;

use std::sync::Arc;

use patchbay_core::{
    author::Author,
    clock::Timestamp,
    error::Error,
    id::{OrganizationId, Serial, UserId},
    membership::{MembershipPatch, MembershipStatus},
    patch::Patch,
    settings::{NumberFormatPatch, PhonePatch, SettingsPatch},
    user::{MAX_ATTRIBUTES, MAX_DESCRIPTION_BYTES, MAX_TEXT, Status, Unfit, User, UserPatch, is_mail_address},
};
use places::{ORGANIZATIONS, membership};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// The member that a patch is refused for.
fn refused(user: &User, patch: &UserPatch) -> String {
    match user.apply(patch) {
        Err(Error::Invalid { field, .. }) => field,
        other => panic!("{other:?}"),
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
            .apply(&described(json!("x".repeat(MAX_DESCRIPTION_BYTES - overhead))))
            .is_ok()
    );
    // What fits in a body of 64 KiB fits in the record, though it is kept with more characters.
    let sent = format!("[{}1]", "1E5,".repeat(16_000));
    assert!(nobody().apply(&described(serde_json::from_str(&sent).unwrap())).is_ok());
    let wrong = [
        nested(65),
        json!("x".repeat(MAX_DESCRIPTION_BYTES - overhead + 1)),
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

#[test]
fn what_cannot_be_seen_names_nobody() {
    let named = |username: &str, email: &str| UserPatch {
        username: Patch::Value(username.to_owned()),
        email: Patch::Value(email.to_owned()),
        ..UserPatch::default()
    };
    for unseen in [
        "\u{200b}",
        "ad\u{200b}min",
        "\u{feff}han",
        "\u{202e}nah",
        "han\u{2066}",
        "\u{3164}",
        "ha\u{e0041}n",
    ] {
        assert_eq!(refused(&nobody(), &named(unseen, "han@example.com")), "username");
    }
    for blank in ["\u{200b}", "\u{feff}\u{ad}", "\u{3164}"] {
        assert_eq!(refused(&nobody(), &named("han", blank)), "email");
    }
    assert!(nobody().apply(&named("hän-ż 汉", "han@example.com")).is_ok());
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
    assert_eq!(refused(&nobody(), &named(0)), "attributes.passthrough:");
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
    user.email = Some("no.address".into());
    (user.first_name, user.last_name) = (Some("Han".into()), Some("Solo".into()));
    assert_eq!(user.apply(&sent).unwrap().changes, [], "shown as it was sent");
    let nameless = UserPatch {
        display_name: Patch::Null,
        unfit: vec![unfit("display_name")],
        ..UserPatch::default()
    };
    assert!(matches!(user.apply(&nameless), Err(Error::Unfit(_))), "a name is shown");
    assert_eq!(nobody().apply(&nameless).unwrap().changes, [], "no name is shown");
    user.username = Some("han".into());
    user.first_name = None;
    user.status = Some(Status::Enabled);
    match user.apply(&sent) {
        Err(Error::Unfit(refused)) => assert_eq!(refused, ["username", "display_name", "status"].map(unfit)),
        other => panic!("{other:?}"),
    }
}

/// Whoever sends back what he was shown has said nothing new, and the name goes on being made of the others.
#[test]
fn what_is_shown_of_a_user_without_it_is_not_set() {
    let sent = |name: &str, kind: &str| UserPatch {
        display_name: Patch::Value(name.to_owned()),
        attributes: [("vendor:kind".to_owned(), Patch::Value(json!(kind)))].into(),
        unset_kept: vec!["display_name", "attributes.vendor:kind"],
        ..UserPatch::default()
    };
    let mut user = nobody();
    user.first_name = Some("Leia".into());
    user.last_name = Some("Organa".into());
    assert_eq!(user.apply(&sent("Leia Organa", "shown")).unwrap().changes, []);
    let mut renamed = sent("Leila Organa", "shown");
    renamed.first_name = Patch::Value("Leila".to_owned());
    let applied = user.apply(&renamed).unwrap();
    assert_eq!(
        applied.user.display_name.as_deref(),
        Some("Leila Organa"),
        "it was not shown"
    );
    renamed.display_name = Patch::Value("Leia Organa".to_owned());
    let old = user.apply(&renamed).unwrap().user;
    assert_eq!(old.name().as_deref(), Some("Leia Organa"), "what is said is shown");
    user.display_name = Some("Leia".into());
    user.attributes = Arc::new([("vendor:kind".to_owned(), json!("other"))].into());
    let applied = user.apply(&sent("Leia Organa", "shown")).unwrap();
    assert_eq!(applied.user.display_name.as_deref(), Some("Leia Organa"));
    assert_eq!(applied.user.attributes["vendor:kind"], "shown");
}

#[test]
fn mail_addresses_have_the_form_of_one() {
    for text in [
        "a@b",
        "han.solo+x@mail.example.com",
        "o'neil@b",
        "\u{fc}@ex\u{e4}mple.de",
    ] {
        assert!(is_mail_address(text), "{text}");
    }
    for text in [
        "",
        "@",
        "a@",
        "@b",
        "a",
        "a@@b",
        "a@b@c",
        "<a@b>",
        "a@b,c@d",
        "a@.b",
        "a@b.",
        "a@b..c",
        "a @b",
        "a@b\u{200b}",
        "a;b@c",
        "\"a\"@b",
        "a\\@b",
    ] {
        assert!(!is_mail_address(text), "{text}");
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
    member.memberships = member
        .memberships
        .iter()
        .cloned()
        .chain([membership(ORGANIZATIONS[0])])
        .collect();
    for groups in [Patch::Null, Patch::Value(vec![])] {
        assert_eq!(refused(&member, &place(ORGANIZATIONS[0], groups)), "groups");
    }
}

#[test]
fn one_works_where_one_chose_to_while_the_membership_is_active() {
    let [first, second] = ORGANIZATIONS;
    let mut user = nobody();
    user.memberships = ORGANIZATIONS.map(membership).to_vec().into();
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
    Arc::make_mut(&mut away.memberships)[1].status = MembershipStatus::InvitationExpired;
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
    user.created_by = Some(Arc::new(Author::User(Serial(7), "Han".into())));
    let value = serde_json::to_value(&user).unwrap();
    assert_eq!(value["created_by"], json!({"user": [7, "Han"]}));
    assert_eq!(serde_json::from_value::<User>(value).unwrap(), user);
}

//! Generators of users and deltas: any text that is no control character, empty texts, nested deltas, and descriptions in
//! all three states.

use std::{collections::BTreeMap, sync::Arc};

use crate::places::{ORGANIZATIONS, membership};
use patchbay_core::{
    clock::Timestamp,
    icon::Icon,
    id::{GroupId, RoleId, Serial, UserId},
    membership::MembershipPatch,
    patch::Patch,
    revision::Revision,
    settings::{NumberFormat, NumberFormatPatch, Phone, PhonePatch, Settings, SettingsPatch},
    user::{Status, User, UserPatch},
};
use proptest::prelude::*;
use serde_json::{Map, Value};
use uuid::Uuid;

/// Absent, null or a value.
pub(crate) fn patch_of<T: std::fmt::Debug + Clone>(value: impl Strategy<Value = T>) -> impl Strategy<Value = Patch<T>> {
    prop_oneof![1 => Just(Patch::Absent), 1 => Just(Patch::Null), 2 => value.prop_map(Patch::Value)]
}

/// A moment of this century or the last.
pub(crate) fn moment() -> impl Strategy<Value = Timestamp> {
    (-1_000_000_000_000_i64..4_000_000_000_000).prop_map(Timestamp::from_millis)
}

/// A one-line text of any script, often from a few so that patches meet their own values.
fn text() -> BoxedStrategy<String> {
    prop_oneof![
        Just(String::new()),
        Just("Han".to_owned()),
        Just("Złoty 界 🚀 e\u{301}".to_owned()),
        "\\PC{0,20}",
    ]
    .boxed()
}

fn short() -> BoxedStrategy<String> {
    "\\PC{0,10}".boxed()
}

fn username() -> BoxedStrategy<String> {
    prop_oneof![Just("han.solo".to_owned()), "[a-zA-Zé界._-]{1,12}"].boxed()
}

fn email() -> BoxedStrategy<String> {
    "[a-zé.]{1,8}@[a-z]{1,8}\\.org".boxed()
}

fn status() -> impl Strategy<Value = Status> {
    prop::sample::select(Status::ALL.to_vec())
}

fn role() -> impl Strategy<Value = RoleId> {
    (0_u128..4).prop_map(|number| RoleId(Uuid::from_u128(number)))
}

/// Any JSON, numbers beyond every machine type included.
fn json() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        "-?[1-9][0-9]{20,40}",
        "[1-9]\\.[0-9]{1,30}e[1-9][0-9]{2}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        number.prop_map(|text| serde_json::from_str(&text).unwrap()),
        any::<String>().prop_map(Value::String),
    ];
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::btree_map(any::<String>(), inner, 0..4).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

fn description() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::btree_map("[a-z_][0-9a-z_]{0,8}", json(), 0..4).prop_map(|members| members.into_iter().collect())
}

fn attribute() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["vendor:uid", "vendor:x.y", "other:activity", "a:é 界"]).prop_map(str::to_owned)
}

/// A value that an attribute can have: null is not one.
fn attribute_value() -> impl Strategy<Value = Value> {
    json().prop_filter("null clears", |value| !value.is_null())
}

fn icon() -> impl Strategy<Value = Icon> {
    prop::collection::vec(any::<u8>(), 0..4).prop_map(|tail| {
        let bytes: Vec<u8> = b"\x89PNG\r\n\x1a\n".iter().copied().chain(tail).collect();
        Icon::new(Arc::from(bytes)).unwrap()
    })
}

fn phone_patch() -> impl Strategy<Value = PhonePatch> {
    (patch_of(short()), patch_of(short())).prop_map(|(prefix, number)| PhonePatch { prefix, number })
}

fn number_patch() -> impl Strategy<Value = NumberFormatPatch> {
    (patch_of(text()), patch_of(text())).prop_map(|(decimal_separator, group_separator)| NumberFormatPatch {
        decimal_separator,
        group_separator,
    })
}

fn settings_patch() -> impl Strategy<Value = SettingsPatch> {
    let texts = || patch_of(text());
    (texts(), texts(), texts(), texts(), texts(), patch_of(number_patch())).prop_map(
        |(culture_code, language_code, date_format, time_format, time_zone, number_format)| SettingsPatch {
            culture_code,
            language_code,
            date_format,
            time_format,
            time_zone,
            number_format,
        },
    )
}

fn groups() -> impl Strategy<Value = Vec<GroupId>> {
    prop::collection::vec((0_u128..5).prop_map(|number| GroupId(Uuid::from_u128(number))), 1..5)
}

fn membership_patches() -> impl Strategy<Value = Vec<MembershipPatch>> {
    let groups = prop_oneof![Just(Patch::Absent), groups().prop_map(Patch::Value)];
    let one = prop::option::of((groups, patch_of(text())));
    prop::collection::vec(one, 2).prop_map(|places| {
        let both = ORGANIZATIONS.into_iter().zip(places);
        both.filter_map(|(organization, place)| {
            place.map(|(groups, invitation_notes)| MembershipPatch {
                organization,
                groups,
                invitation_notes,
            })
        })
        .collect()
    })
}

/// Any delta that breaks no bound.
pub(crate) fn patches() -> impl Strategy<Value = UserPatch> {
    let names = (
        patch_of(username()),
        patch_of(email()),
        patch_of(text()),
        patch_of(text()),
        patch_of(text()),
        patch_of(text()),
    );
    let standing = (
        patch_of(status()),
        patch_of(any::<bool>()),
        patch_of(role()),
        patch_of(icon()),
    );
    let nested = (
        patch_of(phone_patch()),
        patch_of(settings_patch()),
        membership_patches(),
        patch_of(prop::sample::select(ORGANIZATIONS.to_vec())),
    );
    let free = (
        patch_of(description()),
        prop::collection::btree_map(attribute(), patch_of(attribute_value()), 0..4),
        prop::collection::btree_map("[a-z.]{1,6}", json(), 0..3),
    );
    (names, standing, nested, free).prop_map(|(names, standing, nested, free)| {
        let (username, email, first_name, last_name, display_name, title) = names;
        let (status, is_bot, role, icon) = standing;
        let (phone, settings, memberships, current_organization) = nested;
        let (description, attributes, passthrough) = free;
        UserPatch {
            username,
            email,
            first_name,
            last_name,
            display_name,
            title,
            status,
            is_bot,
            phone,
            settings,
            icon,
            role,
            description,
            attributes,
            passthrough: passthrough.into_iter().collect(),
            memberships,
            current_organization,
            ..UserPatch::default()
        }
    })
}

fn phone() -> impl Strategy<Value = Option<Phone>> {
    let parts = (prop::option::of(short()), prop::option::of(short()));
    parts.prop_map(|(prefix, number)| {
        Some(Phone {
            prefix: prefix.map(Into::into),
            number: number.map(Into::into),
        })
        .filter(|phone| *phone != Phone::default())
    })
}

fn settings() -> impl Strategy<Value = Option<Settings>> {
    let texts = || prop::option::of(text());
    (texts(), texts(), texts(), texts()).prop_map(|(culture_code, time_zone, decimal_separator, group_separator)| {
        let format = NumberFormat {
            decimal_separator,
            group_separator,
        };
        let settings = Settings {
            culture_code,
            time_zone,
            number_format: Some(format).filter(|format| *format != NumberFormat::default()),
            ..Settings::default()
        };
        Some(settings).filter(|settings| *settings != Settings::default())
    })
}

/// Any user as the directory may hold one.
pub(crate) fn users() -> impl Strategy<Value = User> {
    let names = (
        prop::option::of(username()),
        prop::option::of(email()),
        prop::option::of(text()),
        prop::option::of(text()),
        prop::option::of(text()),
    );
    let standing = (
        prop::option::of(status()),
        prop::option::of(any::<bool>()),
        prop::option::of(role()),
        prop::option::of(icon()),
        prop::option::of(prop::sample::select(ORGANIZATIONS.to_vec())),
    );
    let free = (
        prop::option::of(description()),
        prop::collection::btree_map(attribute(), attribute_value(), 0..3),
        prop::option::of(text()),
    );
    let stamps = (
        1_u64..9,
        moment(),
        0_i64..100_000,
        prop::option::of(moment()),
        any::<u128>(),
    );
    (names, standing, phone(), settings(), free, stamps).prop_map(|(names, standing, phone, settings, free, stamps)| {
        let (revision, created_at, age, last_login_at, id) = stamps;
        let (username, email, first_name, last_name, display_name) = names;
        let (status, is_bot, role, icon, current_organization) = standing;
        let (description, attributes, title): (_, BTreeMap<String, Value>, _) = free;
        User {
            revision: Revision(revision),
            updated_at: created_at.plus_seconds(age),
            username: username.map(Into::into),
            email: email.map(Into::into),
            first_name: first_name.map(Into::into),
            last_name: last_name.map(Into::into),
            display_name: display_name.map(Into::into),
            title: title.map(Into::into),
            status,
            is_bot,
            role,
            icon: icon.map(|icon| icon.reference()),
            phone,
            settings: settings.map(Into::into),
            description: description.map(Into::into),
            attributes: attributes.into(),
            last_login_at,
            memberships: ORGANIZATIONS.map(membership).to_vec().into(),
            current_organization,
            ..User::new(UserId(Uuid::from_u128(id)), Serial(7), created_at)
        }
    })
}

/// Deals the members of a patch out to two, by the bits of a mask.
pub(crate) fn split(patch: UserPatch, mask: u32) -> (UserPatch, UserPatch) {
    let (mut left, mut right) = (UserPatch::default(), UserPatch::default());
    macro_rules! deal {
        ($($bit:literal $member:ident),* $(,)?) => {$(
            if mask & (1 << $bit) == 0 { left.$member = patch.$member } else { right.$member = patch.$member }
        )*};
    }
    deal!(
        0 username, 1 email, 2 first_name, 3 last_name, 4 display_name, 5 title, 6 status, 7 is_bot, 8 phone, 9 settings,
        10 icon, 11 role, 12 description, 13 passthrough, 14 memberships,
        15 current_organization,
    );
    for (at, (name, value)) in patch.attributes.into_iter().enumerate() {
        let side = if mask & (1 << (16 + at)) == 0 {
            &mut left
        } else {
            &mut right
        };
        side.attributes.insert(name, value);
    }
    (left, right)
}

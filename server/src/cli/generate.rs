//! Generated users, to load a data folder for measuring: realistic records of about 1 KB, the same ones every time.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::PathBuf,
};

use patchbay_core::{
    changeset::{Changeset, Delta},
    clock::Timestamp,
    error::Error,
    id::{GroupId, OrganizationId, RoleId, Serial, UserId},
    membership::{Membership, MembershipStatus},
    settings::{NumberFormat, Phone, Settings},
    store::Key,
    user::{Status, User},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Complaint, folder::Folder, operator};
use crate::walkthrough::Sample;

/// The most users that can be generated: what the eight digits of a serial have room for, and a little less.
pub(super) const MOST: u32 = 10_000_000;
/// Users per commit: large enough that the commit's own cost does not count, small enough to hold in memory.
const CHUNK: u32 = 2_000;
/// The name of the file with the ids, in the data folder.
const ID_FILE: &str = "generated-users.txt";
/// The space of the generated ids. Changing it changes them all.
const SPACE: Uuid = Uuid::from_u128(0x7061_7463_6862_6179_2067_656e_6572_6174);

const FIRST: [&str; 16] = [
    "Ada",
    "Alan",
    "Barbara",
    "Claude",
    "Dorothy",
    "Edsger",
    "Frances",
    "Grace",
    "Hedy",
    "Ivan",
    "Joan",
    "Katherine",
    "Leslie",
    "Margaret",
    "Niklaus",
    "Radia",
];
const LAST: [&str; 16] = [
    "Allen",
    "Clarke",
    "Dijkstra",
    "Hamilton",
    "Hopper",
    "Johnson",
    "Kay",
    "Lamarr",
    "Lamport",
    "Liskov",
    "Lovelace",
    "Perlman",
    "Shannon",
    "Sutherland",
    "Turing",
    "Wirth",
];
const TITLES: [&str; 8] = [
    "Accountant",
    "Analyst",
    "Buyer",
    "Designer",
    "Engineer",
    "Manager",
    "Researcher",
    "Technician",
];
const PLACES: [&str; 8] = [
    "Barcelona",
    "Gothenburg",
    "Leipzig",
    "Lyon",
    "Milan",
    "Porto",
    "Utrecht",
    "Vienna",
];

/// What a generated user refers to.
struct Place {
    organization: OrganizationId,
    group: GroupId,
    role: RoleId,
    first_serial: u32,
    at: Timestamp,
}

/// Writes `count` users into the sample tenant, and their ids into a file of the data folder, whose path it answers.
pub(super) async fn users(folder: &Folder, sample: &Sample, count: u32, at: Timestamp) -> Result<PathBuf, Complaint> {
    let home = place(folder, sample, at).await?;
    let path = folder.path.join(ID_FILE);
    let unwritable = |error: std::io::Error| Complaint(format!("cannot write {}: {error}", path.display()));
    let mut ids = BufWriter::new(File::create(&path).map_err(unwritable)?);
    for start in (0..count).step_by(CHUNK as usize) {
        let chunk = start..count.min(start + CHUNK);
        let mut changeset = Changeset::new(sample.tenant, at);
        let named = format!("generated users {} to {}", start + 1, chunk.end);
        changeset.audit = Some(operator("create_user", named));
        for number in chunk {
            let user = user(number, &home);
            writeln!(ids, "{}", user.id).map_err(unwritable)?;
            changeset.deltas.push(Delta::CreateUser(Box::new(user)));
        }
        folder.commit(changeset).await?;
    }
    ids.into_inner()
        .map_err(std::io::IntoInnerError::into_error)
        .and_then(|file| file.sync_all())
        .map_err(unwritable)?;
    Ok(path)
}

async fn place(folder: &Folder, sample: &Sample, at: Timestamp) -> Result<Place, Complaint> {
    let unread = |error: &Error| Complaint::while_doing("read the sample tenant", error);
    let organization = folder
        .store
        .organization(sample.tenant, Key::Serial(sample.organization))
        .await;
    let organization = organization.map_err(|error| unread(&error))?;
    let group = folder.store.group(sample.tenant, Key::Serial(sample.group)).await;
    let group = group.map_err(|error| unread(&error))?;
    let (Some(organization), Some(group)) = (organization, group) else {
        return Err(unread(&Error::NotFound {
            what: "the sample's organization or group",
        }));
    };
    let last = sample.users.iter().map(|user| user.serial.0).max().unwrap_or_default();
    Ok(Place {
        organization: organization.id,
        group: group.id,
        role: sample.role,
        first_serial: last + 1,
        at,
    })
}

/// The user with this number, from 0; the number decides everything but where he belongs.
fn user(number: u32, place: &Place) -> User {
    let id = Uuid::new_v5(&SPACE, &number.to_be_bytes());
    let mut user = User::new(UserId(id), Serial(place.first_serial + number), place.at);
    let [first, last] = [pick(&FIRST, number), pick(&LAST, number / 16)];
    let username = format!("{}.{}.{number}", first.to_lowercase(), last.to_lowercase());
    user.email = Some(format!("{username}@example.com").into());
    user.username = Some(username.into());
    user.first_name = Some(first.into());
    user.last_name = Some(last.into());
    user.title = Some(pick(&TITLES, number / 3).into());
    user.status = Some(Status::Enabled);
    user.is_bot = Some(false);
    user.phone = Some(Phone {
        prefix: Some("+34".into()),
        number: Some(format!("6{number:08}").into()),
    });
    user.settings = Some(settings().into());
    user.role = Some(place.role);
    user.description = description(number).as_object().cloned().map(Into::into);
    user.memberships = [Membership {
        organization: place.organization,
        status: MembershipStatus::Active,
        groups: vec![place.group],
        invitation_notes: None,
        invited_at: Some(place.at),
        joined_at: Some(place.at),
        last_access_at: None,
    }]
    .into();
    user
}

fn description(number: u32) -> Value {
    let digits = Uuid::new_v5(&SPACE, &(u64::from(number) << 32).to_be_bytes());
    json!({
        "badge": digits.simple().to_string(),
        "cost_center": format!("CC-{:04}", number % 500),
        "department": format!("{} {}", pick(&PLACES, number / 5), pick(&TITLES, number / 7)),
        "employee_number": number + 100_000,
        "location": { "city": pick(&PLACES, number), "floor": number % 12, "desk": format!("D{}", number % 400) },
        "remote": number.is_multiple_of(3),
    })
}

fn settings() -> Settings {
    Settings {
        culture_code: Some("es-ES".to_owned()),
        language_code: Some("es-ES".to_owned()),
        date_format: Some("dd/MM/yyyy".to_owned()),
        time_format: Some("HH:mm".to_owned()),
        time_zone: Some("Europe/Madrid".to_owned()),
        number_format: Some(NumberFormat {
            decimal_separator: Some(",".to_owned()),
            group_separator: Some(".".to_owned()),
        }),
    }
}

fn pick<const N: usize>(from: &[&'static str; N], number: u32) -> &'static str {
    from[number as usize % N]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn somewhere() -> Place {
        Place {
            organization: OrganizationId(Uuid::from_u128(1)),
            group: GroupId(Uuid::from_u128(2)),
            role: RoleId(Uuid::from_u128(3)),
            first_serial: 6,
            at: Timestamp::from_millis(1_749_988_800_000),
        }
    }

    #[test]
    fn records_take_about_a_kilobyte() {
        for number in [0, 1, 99_999, MOST - 1] {
            let size = serde_json::to_vec(&user(number, &somewhere())).unwrap().len();
            assert!((900..=1_300).contains(&size), "{size} bytes");
        }
    }

    #[test]
    fn users_are_distinct_and_the_same_every_time() {
        let users: Vec<User> = (0..5_000).map(|number| user(number, &somewhere())).collect();
        let ids: HashSet<UserId> = users.iter().map(|user| user.id).collect();
        let names: HashSet<_> = users.iter().filter_map(|user| user.username.as_ref()).collect();
        assert_eq!((ids.len(), names.len()), (5_000, 5_000));
        assert_eq!(users[4_321], user(4_321, &somewhere()));
        assert_eq!(users[0].serial, Serial(6));
    }

    #[test]
    fn users_keep_the_bounds_of_the_domain() {
        use patchbay_core::{packed::Packed, patch::Patch, settings::PhonePatch, user::UserPatch};
        let user = user(MOST - 1, &somewhere());
        let patch = UserPatch {
            username: Patch::from(user.username.clone()).map(String::from),
            email: Patch::from(user.email.clone()).map(String::from),
            description: Patch::from(user.description.as_ref().map(Packed::read)),
            phone: Patch::Value(PhonePatch {
                number: Patch::from(user.phone.clone().and_then(|phone| phone.number)).map(String::from),
                ..PhonePatch::default()
            }),
            ..UserPatch::default()
        };
        assert!(user.apply(&patch).unwrap().changes.is_empty());
    }
}

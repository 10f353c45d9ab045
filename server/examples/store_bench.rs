//! How fast the store is without HTTP: `cargo run --example store_bench -- [users] [callers] [seconds] [data folder]`.
//!
//! Loads users, then lets callers update random ones as the directory does (read, then commit what was seen), and prints
//! updates per second, latencies and the process's CPU time. The folder should be on a real disk.

use std::collections::BTreeMap;
use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use patchbay::store::sqlite::{Options, SqliteStore};
use patchbay_core::{
    audit::{Actor, AuditEntry, Outcome},
    changeset::{Changeset, Delta},
    clock::Timestamp,
    id::{Serial, TenantId, UserId},
    patch::Patch,
    revision::Expect,
    store::{Store, UserKey},
    user::{Status, User, UserPatch},
};
use serde_json::json;
use tokio::task::JoinSet;
use uuid::Uuid;

// As in the server.
use mimalloc as _;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const T: TenantId = TenantId(Uuid::from_u128(0xA));

fn uid(n: u32) -> UserId {
    UserId(Uuid::new_v5(&Uuid::NAMESPACE_OID, &n.to_be_bytes()))
}

fn user(n: u32) -> User {
    let mut user = User::new(uid(n), Serial(n + 1), Timestamp::default());
    user.username = Some(format!("user{n}").into());
    user.email = Some(format!("user{n}@example.com").into());
    user.first_name = Some("Han".into());
    user.last_name = Some("Solo".into());
    user.title = Some("Captain".into());
    user.status = Some(Status::Enabled);
    user.attributes = (0..8)
        .map(|n| (format!("test:attribute{n}"), json!("x".repeat(40))))
        .collect::<BTreeMap<_, _>>()
        .into();
    user
}

fn entry(resource: &UserId) -> AuditEntry {
    AuditEntry {
        at: Timestamp::default(),
        actor: Actor::operator(),
        action: "update_user".into(),
        dialect: "bench".into(),
        request_id: "00000000-0000-0000-0000-000000000000".into(),
        resource: resource.to_string(),
        account: None,
        outcome: Outcome::Done,
        revision: None,
        changes: Vec::new(),
    }
}

async fn load(store: &SqliteStore, users: u32) -> Result<(), Failure> {
    let begin = Instant::now();
    for from in (0..users).step_by(5_000) {
        let mut changeset = Changeset::new(T, Timestamp::default());
        changeset.deltas = (from..users.min(from + 5_000))
            .map(|n| Delta::CreateUser(Box::new(user(n))))
            .collect();
        store.commit(changeset).await?;
    }
    println!("loaded {users} users in {:.2?}", begin.elapsed());
    Ok(())
}

async fn update(store: &SqliteStore, n: u32, round: u64) -> Result<(), Failure> {
    let seen = store.user(T, &UserKey::Id(uid(n))).await?.ok_or("no such user")?;
    let mut changeset = Changeset::new(T, Timestamp::from_millis(i64::try_from(round)?));
    changeset.audit = Some(entry(&seen.id));
    changeset.deltas.push(Delta::UpdateUser {
        id: seen.id,
        expect: Expect::Any,
        patch: Box::new(UserPatch {
            title: Patch::Value(format!("Captain {round}")),
            first_name: Patch::Value(format!("Han {round}")),
            ..UserPatch::default()
        }),
    });
    changeset.seen = Some(seen);
    store.commit(changeset).await?;
    Ok(())
}

/// CPU time of this process so far, from the kernel's count of ticks, 100 a second.
fn cpu() -> Result<Duration, Failure> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    Ok(Duration::from_millis(ticks * 10))
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u32| arguments.next().map_or(Ok(default), |text| text.parse());
    let (users, callers, seconds) = (number(100_000)?, number(64)?, number(5)?);
    let temporary = tempfile::tempdir()?;
    let folder = arguments.next().map_or(temporary.path().to_owned(), PathBuf::from);
    let store = Arc::new(SqliteStore::open(&folder, &Options::default())?);
    load(&store, users).await?;
    let (begin, before) = (Instant::now(), cpu()?);
    let mut tasks = JoinSet::new();
    for caller in 0..callers {
        let store = store.clone();
        tasks.spawn(async move {
            let (mut times, mut n) = (Vec::new(), u64::from(caller) * 7919);
            while begin.elapsed().as_secs() < u64::from(seconds) {
                n = n
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let sent = Instant::now();
                update(&store, u32::try_from((n >> 33) % u64::from(users))?, n >> 40).await?;
                times.push(sent.elapsed());
            }
            Ok::<_, Failure>(times)
        });
    }
    let mut times = Vec::new();
    while let Some(outcome) = tasks.join_next().await {
        times.extend(outcome??);
    }
    let (took, used) = (begin.elapsed(), cpu()?.saturating_sub(before));
    times.sort_unstable();
    let at = |part: usize| times.get(times.len() * part / 1000).copied().unwrap_or_default();
    let count = u32::try_from(times.len())?.max(1);
    println!(
        "{callers} callers: {:.0} updates/s, p50 {:.2?}, p99 {:.2?}, p99.9 {:.2?}, {:.1?} of CPU each, {:.2} cores",
        f64::from(count) / took.as_secs_f64(),
        at(500),
        at(990),
        at(999),
        used / count,
        used.as_secs_f64() / took.as_secs_f64(),
    );
    Ok(())
}

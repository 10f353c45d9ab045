//! kill -9 under load: what was acknowledged is there, and the audit chain verifies.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use patchbay::store::sqlite::{Options, SqliteStore};
use patchbay_core::{
    audit::{Actor, AuditEntry, ChainHash, Outcome, verify},
    changeset::{Changeset, Delta},
    clock::Timestamp,
    id::{Serial, TenantId, UserId},
    patch::Patch,
    revision::Expect,
    store::{Store, UserKey},
    user::{PASSTHROUGH, User, UserPatch},
};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

const T: TenantId = TenantId(Uuid::from_u128(0xA));
/// Where the child of the store's test finds its folder.
const FOLDER: &str = "PATCHBAY_CRASH_FOLDER";
/// How many callers write at once, each its own counter.
const CALLERS: u32 = 32;

/// A child that does not outlive its test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It is dead already, unless the test failed.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn counter(caller: u32) -> String {
    format!("test:counter{caller}")
}

fn uid(caller: u32) -> UserId {
    UserId(Uuid::from_u128(u128::from(caller % 8 + 1)))
}

/// What the other process of [`a_killed_store_keeps_what_it_acknowledged`] does: counts up, and says so after each commit.
async fn count_until_killed(folder: &Path) {
    let options = Options {
        checkpoint_every: Duration::from_millis(20),
        log_pages: 500,
        ..Options::default()
    };
    let store = Arc::new(SqliteStore::open(folder, &options).unwrap());
    let mut users = Changeset::new(T, Timestamp::default());
    users.deltas = (1..=8)
        .map(|n| Delta::CreateUser(Box::new(User::new(uid(n), Serial(n), Timestamp::default()))))
        .collect();
    // Those of a process that was killed before are there already.
    drop(store.commit(users).await);
    let mut tasks = JoinSet::new();
    for caller in 0..CALLERS {
        let store = store.clone();
        tasks.spawn(async move {
            for count in 1_u64.. {
                store.commit(counted(caller, count)).await.unwrap();
                println!("ack {caller} {count}");
            }
        });
    }
    tasks.join_all().await;
}

fn counted(caller: u32, count: u64) -> Changeset {
    let mut changeset = Changeset::new(T, Timestamp::default());
    changeset.deltas.push(Delta::UpdateUser {
        id: uid(caller),
        expect: Expect::Any,
        patch: Box::new(UserPatch {
            attributes: BTreeMap::from([(counter(caller), Patch::Value(json!(count)))]),
            ..UserPatch::default()
        }),
    });
    changeset.audit = Some(AuditEntry {
        at: Timestamp::default(),
        actor: Actor::operator(),
        action: "update_user".into(),
        dialect: "test".into(),
        request_id: "r".into(),
        resource: uid(caller).to_string(),
        account: None,
        outcome: Outcome::Done,
        revision: None,
        changes: Vec::new(),
    });
    changeset
}

/// The acknowledgement in a line of output. The runner's own "test ... " may stand before the first one.
fn acknowledged(line: &str) -> Option<(u32, u64)> {
    let (_, rest) = line.split_once("ack ")?;
    let (caller, count) = rest.split_once(' ')?;
    Some((caller.parse().ok()?, count.parse().ok()?))
}

/// The process that is killed is this very test, run once more with a folder to write in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_store_keeps_what_it_acknowledged() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return count_until_killed(Path::new(&folder)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    for life in 1..=3_u32 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "crash::a_killed_store_keeps_what_it_acknowledged",
                "--nocapture",
            ])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map(Killed)
            .unwrap();
        let lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
        let mut last = BTreeMap::<u32, u64>::new();
        let mut seen = 0;
        for line in lines.map_while(Result::ok) {
            if let Some((caller, count)) = acknowledged(&line) {
                last.insert(caller, count);
                seen += 1;
                // Lines that were written before the kill are still read, and count.
                if seen == 400 * life {
                    child.0.kill().unwrap();
                }
            }
        }
        child.0.wait().unwrap();
        assert!(seen >= 400 * life, "{seen}");
        let store = SqliteStore::open(folder.path(), &Options::default()).unwrap();
        for (caller, count) in last {
            let user = store.user(T, &UserKey::Id(uid(caller))).await.unwrap().unwrap();
            let kept = user.attributes[&counter(caller)].as_u64().unwrap();
            // Written but not yet acknowledged is one more at most: each caller waits for its answer.
            assert!(
                kept == count || kept == count + 1,
                "caller {caller}: {count} acknowledged, {kept} kept"
            );
        }
        check_log(&store, T).await;
    }
}

/// The chain verifies, and the log's revisions of each user are gapless and end at the user's own.
async fn check_log(store: &dyn Store, tenant: TenantId) -> u64 {
    let mut end = (0, ChainHash::default());
    let mut revisions = BTreeMap::<String, u64>::new();
    loop {
        let events = store.audit(tenant, end.0, 1000).await.unwrap();
        if events.is_empty() {
            break;
        }
        end = verify(end, &events).expect("the chain verifies");
        for event in events.into_iter().filter(|event| event.entry.action == "update_user") {
            let Some(revision) = event.entry.revision else { continue };
            let before = revisions.insert(event.entry.resource.clone(), revision.0);
            assert!(before.is_none_or(|before| before + 1 == revision.0), "{event:?}");
        }
    }
    for (id, revision) in revisions {
        let user = store.user(tenant, &UserKey::Opaque(id)).await.unwrap().unwrap();
        assert_eq!(user.revision.0, revision, "the log and the record agree");
    }
    end.0
}

fn patchbay(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_patchbay"));
    command.args(arguments);
    command
}

fn output(arguments: &[&str]) -> String {
    let output = patchbay(arguments).output().unwrap();
    let (out, err) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "patchbay {arguments:?}: {err}{out}");
    out
}

/// A port that is free now.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

async fn until_it_listens(address: &str) {
    let patience = Instant::now() + Duration::from_secs(20);
    while tokio::net::TcpStream::connect(address).await.is_err() {
        assert!(Instant::now() < patience, "the server does not listen on {address}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_keeps_what_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data").to_str().unwrap().to_owned();
    let sample: Value = serde_json::from_str(&output(&["init", "--data", &data, "--sample", "--json"])).unwrap();
    let ids: Vec<String> = sample["users"]
        .as_array()
        .unwrap()
        .iter()
        .map(|user| user["id"].as_str().unwrap().to_owned())
        .collect();
    let address = format!("127.0.0.1:{}", free_port());
    let mut server = patchbay(&["serve", "--data", &data, "--listen", &address])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map(Killed)
        .unwrap();
    until_it_listens(&address).await;
    let acknowledged = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for caller in 0..CALLERS {
        let target = Target::new(&address, &sample, &ids[caller as usize % ids.len()]);
        let acknowledged = acknowledged.clone();
        tasks.spawn(async move { (caller, target.count(caller, &acknowledged).await) });
    }
    let patience = Instant::now() + Duration::from_secs(30);
    while acknowledged.load(Ordering::SeqCst) < 600 {
        assert!(Instant::now() < patience, "600 updates take too long");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.0.kill().unwrap();
    server.0.wait().unwrap();
    let last = tasks.join_all().await;
    let store = SqliteStore::open(Path::new(&data), &Options::default()).unwrap();
    let tenant = TenantId(sample["tenant"].as_str().unwrap().parse().unwrap());
    for (caller, count) in last {
        let id = ids[caller as usize % ids.len()].parse().unwrap();
        let user = store.user(tenant, &UserKey::Id(id)).await.unwrap().unwrap();
        let kept = user.attributes.get(&format!("{PASSTHROUGH}counter{caller}"));
        let kept = kept.map_or(0, |kept| kept.as_u64().unwrap());
        assert!(
            kept == count || kept == count + 1,
            "caller {caller}: {count} acknowledged, {kept} kept"
        );
    }
    assert!(check_log(&store, tenant).await >= 600);
    drop(store);
    output(&["audit", "--verify", "--data", &data]);
}

/// Where one caller sends its updates.
struct Target {
    client: reqwest::Client,
    url: String,
    authorization: String,
    account: String,
}

impl Target {
    fn new(address: &str, sample: &Value, user: &str) -> Self {
        let key = sample["stackone"]["api_key"].as_str().unwrap();
        Self {
            client: reqwest::Client::new(),
            url: format!("http://{address}/unified/iam/users/{user}"),
            authorization: format!("Basic {}", BASE64_STANDARD.encode(format!("{key}:"))),
            account: sample["stackone"]["account_id"].as_str().unwrap().to_owned(),
        }
    }

    /// Counts up until the server is gone; the last count that was acknowledged.
    async fn count(&self, caller: u32, acknowledged: &AtomicU64) -> u64 {
        for count in 1_u64.. {
            let sent = self
                .client
                .patch(&self.url)
                .header("authorization", &self.authorization)
                .header("x-account-id", &self.account)
                .json(&json!({ "passthrough": { format!("counter{caller}"): count } }))
                .send()
                .await;
            let Ok(answer) = sent else { return count - 1 };
            assert_eq!(answer.status(), 200);
            acknowledged.fetch_add(1, Ordering::SeqCst);
        }
        unreachable!("a counter that ends")
    }
}

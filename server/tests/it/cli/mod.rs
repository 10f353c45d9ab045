//! The commands, as a stranger runs them: the real binary, real folders, real ports.

mod account;
mod folder;
mod quickstart;
mod serve;

use std::{
    collections::HashSet,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Output, Stdio},
    time::{Duration, Instant},
};

use patchbay::dialects::REGISTRY;
use serde_json::Value;
use tempfile::TempDir;

use crate::config::patchbay;

/// What a command wrote and how it ended.
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).expect("text"),
            err: String::from_utf8(output.stderr).expect("text"),
        }
    }

    /// The standard output of a command that must succeed.
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}\n{}", self.out, self.err);
        self.out
    }

    /// The one sentence of a command that must fail.
    pub fn refused(self) -> String {
        assert_eq!(self.code, Some(1), "{}\n{}", self.out, self.err);
        assert_eq!(self.err.trim_end().lines().count(), 1, "{}", self.err);
        assert!(self.err.starts_with("patchbay: "), "{}", self.err);
        self.err
    }
}

/// Runs a command to its end. `DATA` among the arguments stands for the folder.
pub fn run(data: &Path, arguments: &[&str]) -> Ran {
    let arguments = arguments.iter().map(|argument| {
        if *argument == "DATA" {
            data.as_os_str()
        } else {
            argument.as_ref()
        }
    });
    Ran::of(patchbay().args(arguments).stdin(Stdio::null()).output().unwrap())
}

/// A data folder with the sample tenant, and what `init` printed.
pub fn sample() -> (TempDir, PathBuf, Value) {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let printed = run(&data, &["init", "--data", "DATA", "--sample", "--json"]).ok();
    (folder, data, serde_json::from_str(&printed).unwrap())
}

/// Links a NERM at this URL, with the secret in a file; prints the account's id.
fn link(data: &Path, url: &str, secret: &Path) -> Ran {
    link_with(data, url, &["--secret-file", secret.to_str().unwrap()])
}

/// The same, with these arguments besides.
fn link_with(data: &Path, url: &str, more: &[&str]) -> Ran {
    let nerm = [
        "account",
        "add",
        "--data",
        "DATA",
        "--dialect",
        "nerm",
        "--base-url",
        url,
    ];
    run(data, &[&nerm[..], more].concat())
}

/// A command that stays up, stopped when dropped.
pub struct Running {
    pub child: Child,
    pub address: String,
}

impl Running {
    pub fn serve(data: &Path, environment: &[(&str, &str)]) -> Self {
        let mut command = patchbay();
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data);
        let mut child = command
            .envs(environment.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        log.read_line(&mut line).unwrap();
        // The rest of the log must have a reader, or the server would wait for one.
        std::thread::spawn(move || drop(std::io::copy(&mut log, &mut std::io::sink())));
        let address = line.trim_end().strip_prefix("listening on http://");
        let address = address.unwrap_or_else(|| panic!("{line}")).to_owned();
        Self { child, address }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Waits until no connection is accepted, as is so once a signal to stop has been taken.
    fn accepts_nothing(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(&self.address).is_ok() {
            assert!(Instant::now() < deadline, "still accepting");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The exit status, if it comes within a bounded time.
    fn ended(mut self) -> Option<i32> {
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the command does not end");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Sends a request and reads the answer's head and body as they come, up to this many bytes of body.
fn exchange(stream: &mut TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).unwrap();
    read_head(stream)
}

fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            ended => panic!("no answer: {ended:?} after {:?}", String::from_utf8_lossy(&head)),
        }
    }
    String::from_utf8(head).unwrap()
}

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
#[test]
fn every_command_has_help_with_an_example() {
    let commands: [&[&str]; 12] = [
        &[],
        &["quickstart"],
        &["serve"],
        &["init"],
        &["audit"],
        &["config"],
        &["account"],
        &["account", "add"],
        &["account", "list"],
        &["account", "enable"],
        &["account", "disable"],
        &["account", "remove"],
    ];
    for command in commands {
        let help = run(Path::new("x"), &[command, &["--help"]].concat()).ok();
        let (_, example) = help
            .split_once("Example")
            .unwrap_or_else(|| panic!("{command:?} has no example: {help}"));
        let wanted = ["patchbay", command.first().unwrap_or(&"quickstart")].join(" ");
        assert!(example.contains(&wanted), "{command:?}: {example}");
    }
}

#[test]
fn an_unknown_command_is_a_usage_error() {
    let ran = run(Path::new("x"), &["frobnicate"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("frobnicate"));
}

#[test]
fn init_prints_all_that_a_script_needs() {
    let (_folder, _, sample) = sample();
    for (dialect, members) in [
        ("stackone", ["api_key", "read_only_key", "account_id", ""]),
        ("nerm", ["token", "", "", ""]),
        (
            "softwareone",
            ["operations_token", "client_token", "account_id", "group_id"],
        ),
        ("trusted_twin", ["secret", "account", "role", ""]),
    ] {
        for member in members.into_iter().filter(|member| !member.is_empty()) {
            let value = &sample[dialect][member];
            assert!(
                value.as_str().is_some_and(|text| !text.is_empty()),
                "{dialect}.{member}: {value}"
            );
        }
    }
    assert!(sample["tenant"].is_string());
    let users = sample["users"].as_array().unwrap();
    assert!(users.len() >= 3);
    for user in users {
        for member in ["id", "softwareone_id", "email", "username", "trusted_twin_secret"] {
            assert!(
                user[member].as_str().is_some_and(|text| !text.is_empty()),
                "{member}: {user}"
            );
        }
    }
    let ids: HashSet<String> = users.iter().map(|user| user["id"].to_string()).collect();
    assert_eq!(ids.len(), users.len());
    assert_eq!(sample.as_object().unwrap().len(), REGISTRY.len() + 2);
}

#[test]
fn init_does_not_touch_a_tenant_that_is_there() {
    let (_folder, data, _) = sample();
    for arguments in [&["init", "--data", "DATA", "--sample"][..], &["init", "--data", "DATA"]] {
        let complaint = run(&data, arguments).refused();
        assert!(complaint.contains("already holds the tenant"), "{complaint}");
    }
}

#[test]
fn init_without_json_prints_a_table() {
    let folder = TempDir::new().unwrap();
    let shown = run(folder.path(), &["init", "--data", "DATA", "--sample"]).ok();
    assert!(
        shown.contains("users.0.email") && shown.contains("han.solo@example.com"),
        "{shown}"
    );
}

#[test]
fn init_without_a_sample_makes_an_administrator() {
    let folder = TempDir::new().unwrap();
    let printed = run(folder.path(), &["init", "--data", "DATA", "--name", "acme", "--json"]).ok();
    let made: Value = serde_json::from_str(&printed).unwrap();
    let key = made["administrator"]["key"].as_str().unwrap();
    assert!(key.len() >= 32);
    assert_eq!(made["account_id"].as_str().unwrap().len(), 20);
    // The key opens the tenant: an unknown user is not found, rather than the caller unknown.
    let server = Running::serve(folder.path(), &[]);
    let path = "/users/00000000-0000-0000-0000-000000000000";
    let ask = |key: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: {key}\r\n\r\n");
        exchange(&mut server.connect(), &request)
    };
    assert!(ask(key).starts_with("HTTP/1.1 404"), "{}", ask(key));
    assert!(ask("wrong").starts_with("HTTP/1.1 401"), "{}", ask("wrong"));
}

#[test]
fn an_init_that_is_stopped_tells_of_keys_that_nobody_saw() {
    let folder = TempDir::new().unwrap();
    let mut command = patchbay();
    command.args(["init", "--sample", "--users", "10000000", "--json", "--data"]);
    command.arg(folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let address = String::new();
    let init = Running { child, address };
    let deadline = Instant::now() + Duration::from_secs(20);
    while !folder.path().join("generated-users.txt").exists() {
        assert!(Instant::now() < deadline, "no users are made");
        std::thread::sleep(Duration::from_millis(20));
    }
    init.signal("-INT");
    assert_eq!(init.ended(), Some(1));
    let (mut shown, mut told) = (String::new(), String::new());
    out.read_to_string(&mut shown).unwrap();
    err.read_to_string(&mut told).unwrap();
    assert_eq!(shown, "");
    assert!(
        told.contains("stopped") && told.contains("keys were not shown"),
        "{told}"
    );
}

#[test]
fn the_help_tells_what_generated_users_need() {
    let help = run(Path::new("x"), &["init", "--help"]).ok();
    assert!(help.contains("With --sample: also generate"), "{help}");
}

#[test]
fn the_help_names_a_user_that_both_samples_have() {
    let help = run(Path::new("x"), &["audit", "--help"]).ok();
    let (_, example) = help.rsplit_once("--user ").unwrap();
    let user = example.split_whitespace().next().unwrap();
    let (_folder, data, _) = sample();
    run(&data, &["audit", "--data", "DATA", "--user", user]).ok();
    let quick = TempDir::new().unwrap();
    let quickstart = ["quickstart", "--data", "DATA", "--listen", "127.0.0.1:0", "--once"];
    run(quick.path(), &quickstart).ok();
    run(quick.path(), &["audit", "--data", "DATA", "--user", user]).ok();
}

#[test]
fn generated_users_are_there_and_the_same_every_time() {
    let mut lists = Vec::new();
    for _ in 0..2 {
        let folder = TempDir::new().unwrap();
        let printed = run(
            folder.path(),
            &["init", "--data", "DATA", "--sample", "--users", "2500", "--json"],
        )
        .ok();
        let made: Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(made["generated"]["count"], 2500);
        let list = fs::read_to_string(made["generated"]["id_file"].as_str().unwrap()).unwrap();
        let ids: HashSet<&str> = list.lines().collect();
        assert_eq!((list.lines().count(), ids.len()), (2500, 2500));
        let server = Running::serve(folder.path(), &[]);
        for id in [list.lines().next().unwrap(), list.lines().last().unwrap()] {
            let token = made["nerm"]["token"].as_str().unwrap();
            let request = format!("GET /api/users/{id} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n");
            let head = exchange(&mut server.connect(), &request);
            assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        }
        run(folder.path(), &["audit", "--data", "DATA", "--verify"]).ok();
        lists.push(list);
    }
    assert_eq!(lists[0], lists[1]);
}

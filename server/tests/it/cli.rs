//! The commands, as a stranger runs them: the real binary, real folders, real ports.

use std::{
    collections::HashSet,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
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

/// A command that stays up, stopped when dropped.
struct Running {
    child: Child,
    address: String,
}

impl Running {
    fn serve(data: &Path, environment: &[(&str, &str)]) -> Self {
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

#[test]
fn quickstart_performs_the_five_calls_and_again_on_a_second_run() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("new/folder");
    for _ in 0..2 {
        let shown = run(
            &data,
            &["quickstart", "--data", "DATA", "--listen", "127.0.0.1:0", "--once"],
        )
        .ok();
        assert_eq!(shown.matches("-> 200 OK, revision ").count(), 5, "{shown}");
        for call in [
            "   PATCH /unified/iam/users/",
            "   PATCH /api/users/",
            "   PUT /public/v1/accounts/accounts/ACC-",
            "   PUT /public/v1/accounts/users/",
            "   PATCH /users/",
        ] {
            assert_eq!(shown.matches(call).count(), 1, "{call} in {shown}");
        }
        assert!(shown.matches(" → ").count() >= 5, "{shown}");
        assert_eq!(shown.matches("curl -i -X ").count(), 5, "{shown}");
        for dialect in REGISTRY {
            assert!(shown.contains(&format!("({}, ", dialect.name())), "{shown}");
        }
    }
    run(&data, &["audit", "--data", "DATA", "--verify"]).ok();
}

#[test]
fn the_printed_curl_lines_work() {
    let folder = TempDir::new().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = patchbay();
    command.args(["quickstart", "--listen", &format!("127.0.0.1:{port}"), "--data"]);
    let mut child = command.arg(folder.path()).stdout(Stdio::piped()).spawn().unwrap();
    let mut shown = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    while !shown.contains("Ctrl-C stops the server.") {
        assert_ne!(out.read_line(&mut shown).unwrap(), 0, "{shown}");
    }
    let running = Running {
        child,
        address: format!("127.0.0.1:{port}"),
    };
    let (_, by_hand) = shown.split_once("The same calls by hand").unwrap();
    let (script, _) = by_hand.split_once("Ctrl-C").unwrap();
    let output = Ran::of(Command::new("sh").args(["-c", script]).output().unwrap());
    assert_eq!(
        output.out.matches("HTTP/1.1 200 OK").count(),
        5,
        "{script}\n{}\n{}",
        output.out,
        output.err
    );
    running.signal("-INT");
    assert_eq!(running.ended(), Some(0));
}

#[test]
fn quickstart_keeps_out_of_a_tenant_that_is_no_sample() {
    let folder = TempDir::new().unwrap();
    run(folder.path(), &["init", "--data", "DATA"]).ok();
    let complaint = run(
        folder.path(),
        &["quickstart", "--data", "DATA", "--listen", "127.0.0.1:0", "--once"],
    )
    .refused();
    assert!(
        complaint.contains("not a sample") && complaint.contains("--data"),
        "{complaint}"
    );
}

#[test]
fn a_port_that_is_taken_is_said_in_one_sentence() {
    let (folder, data, _) = sample();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (command, data) in [("serve", data.as_path()), ("quickstart", &folder.path().join("unmade"))] {
        let complaint = run(data, &[command, "--data", "DATA", "--listen", &address]).refused();
        assert!(
            complaint.contains(&address) && complaint.contains("--listen"),
            "{complaint}"
        );
    }
    assert!(!folder.path().join("unmade").exists());
}

#[test]
fn a_folder_that_cannot_be_written_is_said_in_one_sentence() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    for data in [file.join("below"), file, PathBuf::from("/proc/patchbay")] {
        for arguments in [
            &["quickstart", "--data", "DATA", "--listen", "127.0.0.1:0", "--once"][..],
            &["init", "--data", "DATA", "--sample"],
        ] {
            let complaint = run(&data, arguments).refused();
            assert!(complaint.contains(&*data.to_string_lossy()), "{complaint}");
            assert!(complaint.contains("--data"), "{complaint}");
        }
    }
}

#[test]
fn a_folder_of_a_newer_version_is_left_alone() {
    let (_folder, data, _) = sample();
    let database = rusqlite::Connection::open(data.join("patchbay.db")).unwrap();
    database.pragma_update(None, "user_version", 9_999).unwrap();
    for arguments in [
        &["serve", "--data", "DATA", "--listen", "127.0.0.1:0"][..],
        &["quickstart", "--data", "DATA", "--listen", "127.0.0.1:0", "--once"],
        &["audit", "--data", "DATA"],
        &["account", "list", "--data", "DATA"],
    ] {
        let complaint = run(&data, arguments).refused();
        assert!(complaint.contains("newer version"), "{complaint}");
    }
}

#[test]
fn a_folder_without_data_is_not_served() {
    let folder = TempDir::new().unwrap();
    for arguments in [
        &["serve", "--data", "DATA"][..],
        &["audit", "--data", "DATA"],
        &["account", "list", "--data", "DATA"],
    ] {
        let complaint = run(folder.path(), arguments).refused();
        assert!(complaint.contains("patchbay init"), "{complaint}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn accounts_are_added_listed_switched_and_removed() {
    let (folder, data, _) = sample();
    let secret = folder.path().join("secret");
    fs::write(&secret, "s3cr3t-of-the-remote\n").unwrap();
    let secret = secret.to_str().unwrap();
    let add = [
        "account",
        "add",
        "--data",
        "DATA",
        "--dialect",
        "nerm",
        "--base-url",
        "https://a.example.com/x/",
    ];
    let printed = run(&data, &[&add[..], &["--secret-file", secret, "--json"]].concat()).ok();
    let made: Value = serde_json::from_str(&printed).unwrap();
    let id = made["id"].as_str().unwrap();
    assert!(id.len() == 20 && id.bytes().all(|byte| byte.is_ascii_digit()), "{id}");
    let status = || {
        let listed = run(&data, &["account", "list", "--data", "DATA", "--json"]).ok();
        let listed: Vec<Value> = serde_json::from_str(&listed).unwrap();
        let found = listed.into_iter().find(|account| account["id"] == id)?;
        assert_eq!(found["base_url"], "https://a.example.com/x");
        assert_eq!(found["dialect"], "nerm");
        Some(found["status"].as_str().unwrap().to_owned())
    };
    assert_eq!(status().as_deref(), Some("active"));
    let table = run(&data, &["account", "list", "--data", "DATA"]).ok();
    assert!(table.contains(id) && table.contains("embedded directory"), "{table}");
    run(&data, &["account", "disable", "--data", "DATA", id]).ok();
    assert_eq!(status().as_deref(), Some("disabled"));
    run(&data, &["account", "enable", "--data", "DATA", id]).ok();
    assert_eq!(status().as_deref(), Some("active"));
    run(&data, &["account", "remove", "--data", "DATA", id]).ok();
    assert_eq!(status(), None);
    let complaint = run(&data, &["account", "remove", "--data", "DATA", id]).refused();
    assert!(complaint.contains(id), "{complaint}");
    let told = run(&data, &["audit", "--data", "DATA", "--user", id, "--json"]).ok();
    let actions: Vec<Value> = told
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .collect();
    let names: Vec<&str> = actions.iter().map(|event| event["action"].as_str().unwrap()).collect();
    let expected = [
        "add_linked_account",
        "update_linked_account",
        "update_linked_account",
        "remove_linked_account",
    ];
    assert_eq!(names, expected);
    assert!(
        actions
            .iter()
            .all(|event| event["actor"]["name"] == "operator" && event["dialect"] == "console")
    );
    assert!(!told.contains("s3cr3t"));
    assert_eq!(actions[1]["changes"][0]["before"], "active");
    assert_eq!(actions[1]["changes"][0]["after"], "disabled");
}

#[test]
fn an_account_s_secret_is_sealed_at_rest() {
    let (_folder, data, _) = sample();
    let arguments = [
        "account",
        "add",
        "--dialect",
        "nerm",
        "--base-url",
        "https://a.example.com",
        "--data",
    ];
    let mut command = patchbay();
    command
        .args(arguments)
        .arg(&data)
        .env("PATCHBAY_ACCOUNT_SECRET", "s3cr3t-in-the-environment");
    Ran::of(command.output().unwrap()).ok();
    let mut command = patchbay();
    command.args(arguments).arg(&data).args(["--secret-file", "-"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"s3cr3t-on-the-input").unwrap();
    Ran::of(child.wait_with_output().unwrap()).ok();
    for entry in fs::read_dir(&data).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        for needle in [&b"s3cr3t"[..], b"733363723374"] {
            assert!(!bytes.windows(needle.len()).any(|window| window == needle));
        }
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&data.join("seal.key")), 0o600);
        assert_eq!(mode(&data), 0o700);
        // From then on the server refuses to work with a key that others may read.
        fs::set_permissions(data.join("seal.key"), fs::Permissions::from_mode(0o644)).unwrap();
        let complaint = run(&data, &["serve", "--data", "DATA", "--listen", "127.0.0.1:0"]).refused();
        assert!(complaint.contains("chmod 600"), "{complaint}");
    }
}

#[test]
fn accounts_that_cannot_work_are_refused() {
    let (folder, data, sample) = sample();
    let secret = folder.path().join("secret");
    fs::write(&secret, "key").unwrap();
    let empty = folder.path().join("empty");
    fs::write(&empty, "\n").unwrap();
    let (secret, empty) = (secret.to_str().unwrap(), empty.to_str().unwrap());
    let url = "https://a.example.com";
    for (dialect, base_url, secret, expected) in [
        ("nosuch", url, secret, "no dialect nosuch"),
        ("nerm", "ftp://a.example.com", secret, "--base-url"),
        ("nerm", "a.example.com", secret, "--base-url"),
        ("nerm", "https://u:p@a.example.com", secret, "--base-url"),
        ("nerm", url, "/nonexistent", "/nonexistent"),
        ("nerm", url, empty, "secret"),
    ] {
        let arguments = ["--dialect", dialect, "--base-url", base_url, "--secret-file", secret];
        let complaint = run(&data, &[&["account", "add", "--data", "DATA"][..], &arguments].concat()).refused();
        assert!(complaint.contains(expected), "{complaint}");
    }
    let complaint = run(
        &data,
        &[
            "account",
            "add",
            "--data",
            "DATA",
            "--dialect",
            "nerm",
            "--base-url",
            url,
        ],
    )
    .refused();
    assert!(complaint.contains("PATCHBAY_ACCOUNT_SECRET"), "{complaint}");
    let embedded = sample["stackone"]["account_id"].as_str().unwrap();
    let complaint = run(&data, &["account", "remove", "--data", "DATA", embedded]).refused();
    assert!(complaint.contains("disable"), "{complaint}");
    let listed = run(&data, &["account", "list", "--data", "DATA", "--json"]).ok();
    assert_eq!(serde_json::from_str::<Vec<Value>>(&listed).unwrap().len(), 1);
}

#[test]
fn several_tenants_make_account_commands_ask_which() {
    let folder = TempDir::new().unwrap();
    let quickstart = ["quickstart", "--data", "DATA", "--listen", "127.0.0.1:0", "--once"];
    run(folder.path(), &quickstart).ok();
    run(folder.path(), &quickstart).ok();
    let complaint = run(folder.path(), &["account", "list", "--data", "DATA"]).refused();
    let (_, ids) = complaint.trim_end().split_once("--tenant: ").unwrap();
    for id in ids.split(", ") {
        let listed = run(
            folder.path(),
            &["account", "list", "--data", "DATA", "--tenant", id, "--json"],
        )
        .ok();
        assert_eq!(serde_json::from_str::<Vec<Value>>(&listed).unwrap().len(), 1);
    }
    let unknown = [
        "account",
        "list",
        "--data",
        "DATA",
        "--tenant",
        "00000000-0000-0000-0000-000000000000",
    ];
    assert!(run(folder.path(), &unknown).refused().contains("holds no tenant"));
}

#[test]
fn the_server_stops_cleanly_and_finishes_what_it_began() {
    let (_folder, data, _) = sample();
    for signal in ["-TERM", "-INT"] {
        let server = Running::serve(&data, &[("PATCHBAY_BENCH__ROUTES", "true")]);
        let mut idle = server.connect();
        assert!(exchange(&mut idle, HEALTH).starts_with("HTTP/1.1 200"));
        let mut busy = server.connect();
        busy.write_all(b"PATCH /bench/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\ntr")
            .unwrap();
        // Once another request is answered, the server has surely seen the head of that one.
        assert!(exchange(&mut idle, HEALTH).starts_with("HTTP/1.1 200"));
        std::thread::sleep(Duration::from_millis(200));
        server.signal(signal);
        std::thread::sleep(Duration::from_millis(200));
        assert!(TcpStream::connect(&server.address).is_err(), "still accepting");
        busy.write_all(b"ue").unwrap();
        assert!(read_head(&mut busy).starts_with("HTTP/1.1 200"));
        assert_eq!(server.ended(), Some(0));
    }
}

#[test]
fn a_request_that_does_not_end_does_not_hold_the_server_up() {
    let (_folder, data, _) = sample();
    let server = Running::serve(
        &data,
        &[("PATCHBAY_BENCH__ROUTES", "true"), ("PATCHBAY_HTTP__DRAIN_MS", "200")],
    );
    let mut busy = server.connect();
    busy.write_all(b"PATCH /bench/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\ntr")
        .unwrap();
    std::thread::sleep(Duration::from_millis(200));
    server.signal("-TERM");
    assert_eq!(server.ended(), Some(0));
}

#[test]
fn a_client_that_does_not_finish_its_head_is_dropped() {
    let (_folder, data, _) = sample();
    let server = Running::serve(&data, &[("PATCHBAY_HTTP__HEADER_TIMEOUT_MS", "150")]);
    let mut slow = server.connect();
    slow.write_all(b"GET /healthz HTTP/1.1\r\nhost: ").unwrap();
    let began = Instant::now();
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).unwrap();
    assert!(began.elapsed() < Duration::from_secs(10));
    assert!(!String::from_utf8_lossy(&rest).starts_with("HTTP/1.1 200"));
}

#[test]
fn connections_are_bounded_and_the_next_one_waits() {
    let (_folder, data, _) = sample();
    let server = Running::serve(&data, &[("PATCHBAY_HTTP__MAX_CONNECTIONS", "1")]);
    let mut first = server.connect();
    assert!(exchange(&mut first, HEALTH).starts_with("HTTP/1.1 200"));
    let mut second = server.connect();
    second.write_all(HEALTH.as_bytes()).unwrap();
    second.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert!(second.read(&mut [0]).is_err(), "served beyond the bound");
    drop(first);
    second.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert!(read_head(&mut second).starts_with("HTTP/1.1 200"));
}

#[test]
fn logs_are_json_on_demand_and_hold_no_personal_data() {
    let (_folder, data, sample) = sample();
    let mut command = patchbay();
    command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(&data);
    command
        .env("PATCHBAY_LOG__FORMAT", "json")
        .env("PATCHBAY_LOG__LEVEL", "trace");
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    log.read_line(&mut line).unwrap();
    while !line.contains("listening on") {
        line.clear();
        log.read_line(&mut line).unwrap();
    }
    let (_, address) = line.trim_end().split_once("http://").unwrap();
    let server = Running {
        child,
        address: address.to_owned(),
    };
    let token = sample["nerm"]["token"].as_str().unwrap();
    let id = sample["users"][0]["id"].as_str().unwrap();
    for body in [
        "{\"user\":{\"email\":\"leak@example.org\"}}",
        "{\"user\":{\"email\":\"leak\"}}",
    ] {
        let length = body.len();
        let request = format!(
            "PATCH /api/users/{id} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        );
        let head = exchange(&mut server.connect(), &request);
        assert!(
            head.starts_with("HTTP/1.1 200") || head.starts_with("HTTP/1.1 400"),
            "{head}"
        );
    }
    server.signal("-TERM");
    assert_eq!(server.ended(), Some(0));
    let mut text = String::new();
    log.read_to_string(&mut text).unwrap();
    for line in text.lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
    assert!(text.contains("request refused"), "{text}");
    for needle in ["leak", token, "han.solo", "Solo"] {
        assert!(!text.contains(needle), "{needle} is in the log");
    }
}

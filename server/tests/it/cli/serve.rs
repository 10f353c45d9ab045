//! `patchbay serve`: a clean end, bounds, logs.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::*;

#[test]
fn the_server_stops_cleanly_and_finishes_what_it_began() {
    let (_folder, data, _) = sample();
    for signal in ["-TERM", "-INT", "-HUP"] {
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
        server.accepts_nothing();
        // A terminal may tell of its end twice.
        if signal == "-HUP" {
            server.signal(signal);
        }
        busy.write_all(b"ue").unwrap();
        assert!(read_head(&mut busy).starts_with("HTTP/1.1 200"));
        assert_eq!(server.ended(), Some(0));
    }
}

#[test]
fn a_server_that_is_to_outlive_its_terminal_does() {
    let (_folder, data, _) = sample();
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "trap '' HUP; exec \"$0\" serve --listen 127.0.0.1:0 --data \"$1\"",
    ]);
    let plain = patchbay();
    command.arg(plain.get_program()).arg(&data);
    for (name, _) in plain.get_envs() {
        command.env_remove(name);
    }
    let (server, _log) = started(command.env("PATCHBAY_BENCH__ROUTES", "true"));
    let mut busy = server.connect();
    busy.write_all(b"PATCH /bench/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\ntr")
        .unwrap();
    server.signal("-HUP");
    assert!(exchange(&mut server.connect(), HEALTH).starts_with("HTTP/1.1 200"));
    // Were the first one taken as told to stop, this one would end it at once.
    server.signal("-TERM");
    server.accepts_nothing();
    busy.write_all(b"ue").unwrap();
    assert!(read_head(&mut busy).starts_with("HTTP/1.1 200"));
    assert_eq!(server.ended(), Some(0));
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
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).unwrap();
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

/// A server that listens, and the rest of its log.
fn logging(data: &Path, environment: &[(&str, &str)]) -> (Running, BufReader<ChildStderr>) {
    let mut command = patchbay();
    command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data);
    started(command.envs(environment.iter().copied()))
}

/// The same of a command that serves.
fn started(command: &mut Command) -> (Running, BufReader<ChildStderr>) {
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    log.read_line(&mut line).unwrap();
    while !line.contains("listening on") {
        line.clear();
        log.read_line(&mut line).unwrap();
    }
    let (_, rest) = line.trim_end().split_once("http://").unwrap();
    let address = rest.split('"').next().unwrap().to_owned();
    (Running { child, address }, log)
}

#[test]
fn a_log_that_cannot_be_written_keeps_nobody_from_his_answer() {
    let (_folder, data, _) = sample();
    let full = || fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = patchbay();
    let missing = command.args(["audit", "--data", "nosuch"]).stderr(full()).status();
    assert_eq!(missing.unwrap().code(), Some(1));
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let mut command = patchbay();
    command.args(["serve", "--listen", &address, "--data"]).arg(&data);
    command
        .env("PATCHBAY_BENCH__ROUTES", "true")
        .env("PATCHBAY_HTTP__REQUEST_TIMEOUT_MS", "300");
    let child = command.stderr(full()).spawn().unwrap();
    let server = Running { child, address };
    let deadline = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(&server.address).is_err() {
        assert!(Instant::now() < deadline, "it does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    let unfinished = "PATCH /bench/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\ntr";
    assert!(exchange(&mut server.connect(), unfinished).starts_with("HTTP/1.1 408"));
    server.signal("-TERM");
    assert_eq!(server.ended(), Some(0));
}

#[test]
fn of_several_that_make_a_tenant_in_a_folder_at_once_one_does() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let begin = || {
        let mut command = patchbay();
        command.args(["init", "--sample", "--data"]).arg(&data);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let begun: Vec<Child> = (0..4).map(|_| begin()).collect();
    let ended = begun.into_iter().map(|child| child.wait_with_output().unwrap());
    let (made, refused): (Vec<_>, Vec<_>) = ended.partition(|ended| ended.status.success());
    assert_eq!((made.len(), refused.len()), (1, 3));
    for ended in refused {
        let told = String::from_utf8(ended.stderr).unwrap();
        assert!(told.contains("already holds the tenant"), "{told}");
    }
}

#[test]
fn keys_that_nobody_saw_are_told_of() {
    let folder = TempDir::new().unwrap();
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = patchbay();
    command
        .args(["init", "--sample", "--json", "--data"])
        .arg(folder.path().join("data"));
    let ended = command.stdout(full).output().unwrap();
    let told = String::from_utf8(ended.stderr).unwrap();
    assert!(
        ended.status.code() == Some(1) && told.contains("keys were not shown"),
        "{told}"
    );
}

#[test]
fn a_server_tells_at_once_of_accounts_whose_secret_does_not_open() {
    let (folder, data, _) = sample();
    let secret = folder.path().join("secret");
    fs::write(&secret, "s3cr3t").unwrap();
    let add = |url| link(&data, url, &secret).ok().trim().to_owned();
    let lost = add("https://a.example.com");
    fs::remove_file(data.join("seal.key")).unwrap();
    let added = link(&data, "https://b.example.com", &secret);
    assert!(
        added.err.contains(&format!("secrets of {lost} is not here")),
        "{}",
        added.err
    );
    let kept = added.ok().trim().to_owned();
    let (server, log) = logging(&data, &[]);
    let mut lines = log.lines().map(Result::unwrap);
    let told = lines
        .find(|line| line.contains("a linked account cannot be called"))
        .unwrap();
    assert!(told.contains(&lost) && told.contains("was sealed with key"), "{told}");
    assert!(exchange(&mut server.connect(), HEALTH).starts_with("HTTP/1.1 200"));
    server.signal("-TERM");
    assert_eq!(server.ended(), Some(0));
    let rest: String = lines.collect();
    assert!(!rest.contains(&kept) && !rest.contains(&lost), "{rest}");
}

#[test]
fn a_server_without_a_tenant_says_so() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("patchbay.db"), "").unwrap();
    let (server, log) = logging(folder.path(), &[]);
    let told = log.lines().map(Result::unwrap).find(|line| line.contains("no tenant"));
    assert!(told.unwrap().contains("patchbay init"));
    server.signal("-TERM");
    assert_eq!(server.ended(), Some(0));
}

#[test]
fn a_folder_that_is_moved_away_takes_no_more_writes() {
    let (folder, data, sample) = sample();
    let server = Running::serve(&data, &[]);
    let ready = "GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    while !exchange(&mut server.connect(), ready).starts_with("HTTP/1.1 200") {}
    fs::rename(&data, folder.path().join("elsewhere")).unwrap();
    let (id, token) = (&sample["users"][0]["id"], &sample["nerm"]["token"]);
    let (id, token) = (id.as_str().unwrap(), token.as_str().unwrap());
    let body = r#"{"user":{"name":"Lost"}}"#;
    let length = body.len();
    let update = format!(
        "PATCH /api/users/{id} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    // Noticed within a second. Before that either may be so for another reason: what is opened at the first use is not found.
    let refused = |request: &str, status: &str| exchange(&mut server.connect(), request).starts_with(status);
    while !(refused(ready, "HTTP/1.1 503") && refused(&update, "HTTP/1.1 500")) {
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn who_says_that_he_has_said_all_is_answered() {
    let (_folder, data, sample) = sample();
    let server = Running::serve(&data, &[]);
    let (id, token) = (&sample["users"][0]["id"], &sample["nerm"]["token"]);
    let (id, token) = (id.as_str().unwrap(), token.as_str().unwrap());
    for name in ["One", "Two", "Three", "Four", "Five"] {
        let body = format!(r#"{{"user":{{"name":"{name}"}}}}"#);
        let length = body.len();
        let update = format!(
            "PATCH /api/users/{id} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        let mut stream = server.connect();
        stream.write_all(update.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let head = read_head(&mut stream);
        assert!(head.starts_with("HTTP/1.1 200"), "{name}: {head}");
    }
}

#[test]
fn faults_of_remote_systems_and_overload_are_logged_as_warnings() {
    let (folder, data, sample) = sample();
    let secret = folder.path().join("secret");
    fs::write(&secret, "key").unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{closed}");
    let account = link(&data, &url, &secret).ok();
    let environment = [
        ("PATCHBAY_LOG__FORMAT", "json"),
        ("PATCHBAY_OUTBOUND__ALLOW_PRIVATE", "true"),
        ("PATCHBAY_BENCH__ROUTES", "true"),
        ("PATCHBAY_HTTP__REQUEST_TIMEOUT_MS", "1000"),
    ];
    let (server, mut log) = logging(&data, &environment);
    let key = STANDARD.encode(format!("{}:", sample["stackone"]["api_key"].as_str().unwrap()));
    let request = format!(
        "GET /unified/iam/users/secret-id HTTP/1.1\r\nhost: x\r\nauthorization: Basic {key}\r\nx-account-id: {}\r\n\r\n",
        account.trim()
    );
    assert!(exchange(&mut server.connect(), &request).starts_with("HTTP/1.1 502"));
    let unfinished = "PATCH /bench/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\ntr";
    assert!(exchange(&mut server.connect(), unfinished).starts_with("HTTP/1.1 408"));
    server.signal("-TERM");
    assert_eq!(server.ended(), Some(0));
    let mut text = String::new();
    log.read_to_string(&mut text).unwrap();
    for kind in ["BadGateway", "Timeout"] {
        let told = text
            .lines()
            .find(|line| line.contains(kind))
            .unwrap_or_else(|| panic!("no {kind} in {text}"));
        assert_eq!(serde_json::from_str::<Value>(told).unwrap()["level"], "WARN", "{told}");
    }
    assert!(!text.contains("secret-id"), "{text}");
}

#[test]
fn logs_are_json_on_demand_and_hold_no_personal_data() {
    let (_folder, data, sample) = sample();
    let environment = [("PATCHBAY_LOG__FORMAT", "json"), ("PATCHBAY_LOG__LEVEL", "trace")];
    let (server, mut log) = logging(&data, &environment);
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

/// A request to a dialect with more of a body than it takes.
fn large(method: &str, path: &str, headers: &[(&str, &str)], size: usize) -> Vec<u8> {
    let headers: String = headers
        .iter()
        .flat_map(|(name, value)| [name, ": ", value, "\r\n"])
        .collect();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\n{headers}content-length: {size}\r\n\r\n");
    let mut bytes = head.into_bytes();
    bytes.resize(bytes.len() + size, b'x');
    bytes
}

#[test]
fn a_client_that_writes_all_of_a_large_body_first_reads_the_refusal() {
    const SIZE: usize = 6 * 1024 * 1024;
    let (_folder, data, sample) = sample();
    let server = Running::serve(&data, &[]);
    let text = |path: &str| sample.pointer(path).and_then(Value::as_str).unwrap().to_owned();
    let (secret, token) = (text("/trusted_twin/secret"), text("/softwareone/operations_token"));
    let bearer = format!("Bearer {token}");
    let twin = format!("/users/{}", text("/users/0/id"));
    let one = format!("/public/v1/accounts/users/{}", text("/users/0/softwareone_id"));
    let form = [
        ("authorization", bearer.as_str()),
        ("content-type", "multipart/form-data; boundary=cut"),
    ];
    for (request, status) in [
        (large("PATCH", &twin, &[("authorization", &secret)], SIZE), "400"),
        (large("PUT", &one, &form, SIZE + SIZE / 4), "413"),
        (large("PATCH", "/api/users/x", &[], SIZE), "401"),
        (large("PATCH", "/nowhere", &[], SIZE), "404"),
    ] {
        let mut stream = server.connect();
        stream
            .write_all(&request)
            .unwrap_or_else(|error| panic!("{status}: {error}"));
        let head = read_head(&mut stream);
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
    }
}

#[test]
fn a_client_that_waits_to_be_asked_for_a_large_body_is_not_asked() {
    let (_folder, data, sample) = sample();
    let server = Running::serve(&data, &[]);
    let secret = sample["trusted_twin"]["secret"].as_str().unwrap();
    let path = format!("/users/{}", sample["users"][0]["id"].as_str().unwrap());
    let request = format!(
        "PATCH {path} HTTP/1.1\r\nhost: x\r\nauthorization: {secret}\r\nexpect: 100-continue\r\ncontent-length: 6000000\r\n\r\n"
    );
    let head = exchange(&mut server.connect(), &request);
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
}

#[test]
fn a_client_that_does_not_take_its_answers_is_cut() {
    let (_folder, data, _) = sample();
    let environment = [
        ("PATCHBAY_HTTP__WRITE_TIMEOUT_MS", "200"),
        ("PATCHBAY_HTTP__MAX_CONNECTIONS", "1"),
        ("PATCHBAY_BENCH__ROUTES", "true"),
    ];
    let server = Running::serve(&data, &environment);
    let mut slow = server.connect();
    slow.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let body = format!("\"{}\"", "x".repeat(500_000));
    let length = body.len();
    let echo = format!("PATCH /bench/echo HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}");
    // Answers that are not taken fill every buffer on their way, until the server takes no more requests.
    while slow.write_all(echo.as_bytes()).is_ok() {}
    // The only slot is free again, though the slow client is still there.
    let mut next = server.connect();
    assert!(exchange(&mut next, HEALTH).starts_with("HTTP/1.1 200"));
}

#[test]
fn a_second_signal_ends_the_server_at_once() {
    let (_folder, data, _) = sample();
    for format in ["text", "json"] {
        let environment = [
            ("PATCHBAY_BENCH__ROUTES", "true"),
            ("PATCHBAY_HTTP__DRAIN_MS", "3600000"),
            ("PATCHBAY_LOG__FORMAT", format),
        ];
        let (server, mut log) = logging(&data, &environment);
        let mut busy = server.connect();
        busy.write_all(b"PATCH /bench/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\ntr")
            .unwrap();
        std::thread::sleep(Duration::from_millis(200));
        server.signal("-INT");
        server.accepts_nothing();
        server.signal("-INT");
        assert_eq!(server.ended(), Some(1));
        let mut text = String::new();
        log.read_to_string(&mut text).unwrap();
        let told = text.lines().last().unwrap();
        if format == "json" {
            let told: Value = serde_json::from_str(told).unwrap();
            assert_eq!(told["message"], "stopped before all requests had finished");
        } else {
            assert_eq!(told, "patchbay: stopped before all requests had finished");
        }
    }
}

#[test]
fn the_first_line_of_a_json_log_is_as_the_others() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("patchbay.db"), "").unwrap();
    let mut command = patchbay();
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(folder.path());
    let command = command.env("PATCHBAY_LOG__FORMAT", "json").stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let address = String::new();
    let _server = Running { child, address };
    // The second one tells that there is no tenant.
    let lines = [log.next().unwrap(), log.next().unwrap()];
    let [first, second] = lines.map(|line| serde_json::from_str::<Value>(&line).unwrap());
    assert!(
        first["message"].as_str().unwrap().starts_with("listening on http://"),
        "{first}"
    );
    let members = |line: &Value| line.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(members(&first), members(&second));
}

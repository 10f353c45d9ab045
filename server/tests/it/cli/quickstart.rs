//! `patchbay quickstart`: the five calls, and what it prints to paste.

use super::*;

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

/// A machine without certificate authorities.
fn without_roots() -> Command {
    let mut command = patchbay();
    command
        .env("SSL_CERT_FILE", "/dev/null")
        .env("SSL_CERT_DIR", "/nonexistent");
    command
}

#[test]
fn quickstart_needs_no_tls_roots_and_account_add_names_the_package() {
    let folder = TempDir::new().unwrap();
    let mut command = without_roots();
    command.args(["quickstart", "--listen", "127.0.0.1:0", "--once", "--data"]);
    Ran::of(command.arg(folder.path()).output().unwrap()).ok();
    let mut command = without_roots();
    command.args([
        "account",
        "add",
        "--dialect",
        "nerm",
        "--base-url",
        "https://a.example.com",
        "--data",
    ]);
    command.arg(folder.path()).env("PATCHBAY_ACCOUNT_SECRET", "key");
    let complaint = Ran::of(command.output().unwrap()).refused();
    assert!(complaint.contains("install the package ca-certificates"), "{complaint}");
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
fn quickstart_stops_cleanly_from_its_first_line_on() {
    for signal in ["-INT", "-TERM", "-HUP"] {
        let folder = TempDir::new().unwrap();
        let mut command = patchbay();
        command.args(["quickstart", "--listen", "127.0.0.1:0", "--data"]);
        let mut child = command.arg(folder.path()).stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        assert!(line.starts_with("Patchbay listens on "), "{line}");
        let address = String::new();
        let running = Running { child, address };
        running.signal(signal);
        assert_eq!(running.ended(), Some(0), "{signal}");
    }
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

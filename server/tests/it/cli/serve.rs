//! `patchbay serve`: a clean end, bounds, logs.

use super::*;

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

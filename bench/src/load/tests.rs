use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::rc::Rc;
use std::thread;

use super::*;

/// A server that answers every tenth request with 503 and, if asked, closes after `limit` requests.
fn serve(limit: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream, limit));
        }
    });
    address
}

fn answer(mut stream: std::net::TcpStream, limit: usize) {
    let mut lines = BufReader::new(stream.try_clone().unwrap());
    for number in 1..=limit {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if lines.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some(value) = line.strip_prefix("Content-Length: ") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        lines.read_exact(&mut vec![0; length]).unwrap();
        let status = if number % 10 == 0 { "503 Busy" } else { "200 OK" };
        // One write: pieces would wait for each other's acknowledgement.
        let reply = format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\n{{}}");
        if stream.write_all(reply.as_bytes()).is_err() {
            return;
        }
    }
}

fn workload(address: SocketAddr) -> Workload {
    let targets = Rc::new(Targets::new(["aaaa", "bbbb"]).unwrap());
    let body = format!("{{\"n\":\"{STAMP_HOLE}\"}}");
    let template = Template::http("PATCH", &format!("/{}", targets.hole()), &[], Some(&body), &targets);
    Workload {
        address,
        framing: Framing::Http,
        greeting: None,
        template,
        targets,
    }
}

#[test]
fn replies_are_counted_and_refusals_are_kept_apart() {
    let (workload, mut source, stop) = (workload(serve(usize::MAX)), Source::new(), AtomicBool::new(false));
    let mut driver = Driver::start(&workload, 4, &mut source, &stop).unwrap();
    let tally = driver.drive(Duration::from_millis(200)).unwrap();
    driver.finish().unwrap();
    assert!(tally.latency.len() > 100);
    let share = tally.refused as f64 / (tally.latency.len() + tally.refused) as f64;
    assert!((0.05..0.15).contains(&share), "{share}");
    assert!(tally.first_refusal.unwrap().starts_with("HTTP/1.1 503 Busy"));
}

#[test]
fn a_closed_connection_is_counted_and_opened_again() {
    let (workload, mut source, stop) = (workload(serve(5)), Source::new(), AtomicBool::new(false));
    let mut driver = Driver::start(&workload, 2, &mut source, &stop).unwrap();
    let tally = driver.drive(Duration::from_millis(200)).unwrap();
    assert!(tally.latency.len() > 10);
    assert!(tally.refused > 1);
}

#[test]
fn an_interrupt_ends_the_load() {
    let (workload, mut source, stop) = (workload(serve(usize::MAX)), Source::new(), AtomicBool::new(true));
    let mut driver = Driver::start(&workload, 1, &mut source, &stop).unwrap();
    assert_eq!(
        driver.drive(Duration::from_secs(30)).unwrap_err().to_string(),
        "interrupted"
    );
}

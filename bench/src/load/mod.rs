//! The load generator: one thread, one event loop, a closed loop of one request per connection.
//!
//! HTTP and LDAP go through the same loop with requests built beforehand, so every system pays the same for its
//! client: on a small machine client and server share the cores, and a client library that decodes more would take its
//! time from the server it drives.

mod connection;
mod framing;
mod template;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use hdrhistogram::Histogram;
use mio::{Events, Interest, Poll, Token};

use connection::{Connection, Received};
pub use framing::Framing;
pub use template::{STAMP_HOLE, Source, Targets, Template};

const TICK: Duration = Duration::from_millis(50);
const DRAIN: Duration = Duration::from_secs(5);

/// What to send to one system.
#[derive(Debug)]
pub struct Workload {
    /// Where the server listens.
    pub address: SocketAddr,
    /// How replies are told apart.
    pub framing: Framing,
    /// Sent once when a connection opens.
    pub greeting: Option<Vec<u8>>,
    /// The request.
    pub template: Template,
    /// The users it is sent for.
    pub targets: std::rc::Rc<Targets>,
}

/// What came back in one stretch of load.
#[derive(Debug)]
pub struct Tally {
    /// Length of the stretch.
    pub span: Duration,
    /// Latencies of accepted requests, in microseconds.
    pub latency: Histogram<u64>,
    /// Requests refused or lost.
    pub refused: u64,
    /// Text of the first refusal.
    pub first_refusal: Option<String>,
}

impl Tally {
    fn new() -> Result<Self> {
        let latency = Histogram::new_with_bounds(1, 60_000_000, 3).context("latency bounds")?;
        Ok(Self {
            span: Duration::ZERO,
            latency,
            refused: 0,
            first_refusal: None,
        })
    }

    fn record(&mut self, took: Duration, refusal: Option<String>) {
        match refusal {
            None => self
                .latency
                .saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1)),
            Some(text) => self.refuse(text),
        }
    }

    fn refuse(&mut self, text: String) {
        self.refused += 1;
        self.first_refusal.get_or_insert(text);
    }

    /// Accepted requests per second.
    pub fn per_second(&self) -> f64 {
        self.latency.len() as f64 / self.span.as_secs_f64()
    }

    /// A latency quantile in milliseconds.
    pub fn quantile_ms(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1000.0
    }
}

/// Open connections under load.
pub struct Driver<'a> {
    workload: &'a Workload,
    source: &'a mut Source,
    stop: &'a AtomicBool,
    poll: Poll,
    connections: Vec<Connection>,
    sending: bool,
}

impl<'a> Driver<'a> {
    /// Opens `count` connections and sends the first request on each.
    pub fn start(workload: &'a Workload, count: usize, source: &'a mut Source, stop: &'a AtomicBool) -> Result<Self> {
        let poll = Poll::new()?;
        let mut driver = Self {
            workload,
            source,
            stop,
            poll,
            connections: Vec::new(),
            sending: true,
        };
        for index in 0..count {
            let connection = driver.open(index)?;
            driver.connections.push(connection);
        }
        (0..count).try_for_each(|index| driver.send(index))?;
        Ok(driver)
    }

    fn open(&self, index: usize) -> Result<Connection> {
        let Workload {
            address,
            framing,
            greeting,
            template,
            ..
        } = self.workload;
        let mut connection = Connection::open(*address, *framing, greeting.as_deref(), template.bytes().to_vec())?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(connection.stream(), Token(index), interest)?;
        Ok(connection)
    }

    fn send(&mut self, index: usize) -> Result<()> {
        let connection = &mut self.connections[index];
        self.source
            .fill(&self.workload.template, &self.workload.targets, connection.request());
        connection.send()
    }

    /// Keeps the load up for `span` and tells what came back in it.
    pub fn drive(&mut self, span: Duration) -> Result<Tally> {
        let mut tally = Tally::new()?;
        let begin = Instant::now();
        while begin.elapsed() < span {
            self.turn(&mut tally)?;
        }
        tally.span = begin.elapsed();
        ensure!(!tally.latency.is_empty(), "no request succeeded: {}", why(&tally));
        Ok(tally)
    }

    /// Sends nothing new and waits for what is in flight, so that the server is idle for the next measurement.
    pub fn finish(mut self) -> Result<()> {
        self.sending = false;
        let (mut tally, begin) = (Tally::new()?, Instant::now());
        while self.connections.iter().any(Connection::busy) && begin.elapsed() < DRAIN {
            self.turn(&mut tally)?;
        }
        Ok(())
    }

    fn turn(&mut self, tally: &mut Tally) -> Result<()> {
        let mut events = Events::with_capacity(256);
        match self.poll.poll(&mut events, Some(TICK)) {
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        if self.stop.load(Ordering::Relaxed) {
            bail!("interrupted");
        }
        events.iter().try_for_each(|event| self.attend(event.token().0, tally))
    }

    fn attend(&mut self, index: usize, tally: &mut Tally) -> Result<()> {
        let connection = &mut self.connections[index];
        connection.flush()?;
        match connection.receive()? {
            Received::Waiting => return Ok(()),
            Received::Whole { took, refusal } => tally.record(took, refusal),
            Received::Closed => {
                tally.refuse("the server closed the connection".to_owned());
                self.connections[index] = self.open(index)?;
            }
        }
        if self.sending { self.send(index) } else { Ok(()) }
    }
}

fn why(tally: &Tally) -> &str {
    tally.first_refusal.as_deref().unwrap_or("the server gave no reply")
}

#[cfg(test)]
mod tests;

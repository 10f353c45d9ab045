//! One kept connection with at most one request in flight.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use mio::net::TcpStream;

use super::framing::{Framing, Reply};

const READ_SIZE: usize = 16 * 1024;
const PATIENCE: Duration = Duration::from_secs(10);

/// What a look at the socket brought.
#[derive(Debug)]
pub enum Received {
    /// No whole reply yet.
    Waiting,
    /// The server closed the connection.
    Closed,
    /// A whole reply; `refusal` holds the start of one that was not a success.
    Whole {
        /// From the first byte sent to the last byte received.
        took: Duration,
        /// Text of a refusal.
        refusal: Option<String>,
    },
}

/// One connection, its request buffer and its reply buffer.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    framing: Framing,
    request: Vec<u8>,
    written: usize,
    reply: Vec<u8>,
    filled: usize,
    sent_at: Option<Instant>,
}

impl Connection {
    /// Connects, says `greeting` (an LDAP bind) if there is one, and waits for its answer.
    pub fn open(address: SocketAddr, framing: Framing, greeting: Option<&[u8]>, request: Vec<u8>) -> Result<Self> {
        let mut stream = std::net::TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        if let Some(greeting) = greeting {
            greet(&mut stream, framing, greeting)?;
        }
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream: TcpStream::from_std(stream),
            framing,
            written: request.len(),
            request,
            reply: vec![0; READ_SIZE],
            filled: 0,
            sent_at: None,
        })
    }

    /// The socket, for registration.
    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// The request buffer, to fill its holes before `send`.
    pub fn request(&mut self) -> &mut [u8] {
        &mut self.request
    }

    /// Whether a request waits for its reply.
    pub fn busy(&self) -> bool {
        self.sent_at.is_some()
    }

    /// Starts the request that now stands in the buffer.
    pub fn send(&mut self) -> Result<()> {
        self.sent_at = Some(Instant::now());
        self.written = 0;
        self.flush()
    }

    /// Goes on writing a request that the socket did not take at once.
    pub fn flush(&mut self) -> Result<()> {
        while self.written < self.request.len() {
            match self.stream.write(&self.request[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // The read side reports the lost connection.
                Err(error) if is_loss(error.kind()) => return Ok(()),
                Err(error) => return Err(error).context("sending a request"),
            }
        }
        Ok(())
    }

    /// Reads what is there. Stops at a whole reply: the next one raises a new edge.
    pub fn receive(&mut self) -> Result<Received> {
        loop {
            if self.filled == self.reply.len() {
                self.reply.resize(self.filled * 2, 0);
            }
            match self.stream.read(&mut self.reply[self.filled..]) {
                Ok(0) => return Ok(Received::Closed),
                Ok(count) => self.filled += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Received::Waiting),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if is_loss(error.kind()) => return Ok(Received::Closed),
                Err(error) => return Err(error).context("reading a reply"),
            }
            if let Some(reply) = self.framing.inspect(&self.reply[..self.filled])? {
                return self.finish(&reply);
            }
        }
    }

    fn finish(&mut self, reply: &Reply) -> Result<Received> {
        let sent_at = self.sent_at.take().context("a reply came without a request")?;
        ensure!(
            reply.length == self.filled,
            "the server sent more than one reply to one request"
        );
        let took = sent_at.elapsed();
        let refusal = (!reply.accepted).then(|| excerpt(&self.reply[..self.filled]));
        self.filled = 0;
        Ok(Received::Whole { took, refusal })
    }
}

fn greet(stream: &mut std::net::TcpStream, framing: Framing, greeting: &[u8]) -> Result<()> {
    stream.write_all(greeting)?;
    let (mut bytes, mut part) = (Vec::new(), [0; 1024]);
    loop {
        let count = stream.read(&mut part).context("waiting for the answer to the bind")?;
        ensure!(count > 0, "the server closed the connection during the bind");
        bytes.extend_from_slice(&part[..count]);
        if let Some(reply) = framing.inspect(&bytes)? {
            ensure!(reply.accepted, "the bind was refused: {}", excerpt(&bytes));
            return Ok(());
        }
    }
}

fn is_loss(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted
    )
}

fn excerpt(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(600)]).into_owned()
}

//! What a refused request still sends.
//!
//! Many clients write a whole request before they look for an answer. Were the connection closed on them while they
//! write, they would see a broken pipe in place of the refusal. So what nobody reads of a body is read and thrown away
//! while the answer goes out, within bounds; beyond them the connection is closed.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, header};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::runtime::Handle;

/// The most bytes that are thrown away of one body.
const MOST_BYTES: usize = 8 * 1024 * 1024;
/// The longest that this goes on.
const LONGEST: Duration = Duration::from_secs(2);

/// A request's body; when it is dropped before its end, the rest is thrown away.
pub(super) struct Whole {
    /// Nothing once the body has ended or failed.
    body: Option<Incoming>,
    /// True while the client waits to be told whether to send the body at all (RFC 9110, 10.1.1).
    unasked: bool,
}

impl Whole {
    pub(super) fn new(headers: &HeaderMap, body: Incoming) -> Self {
        Self {
            unasked: headers.contains_key(header::EXPECT),
            body: (!body.is_end_stream()).then_some(body),
        }
    }
}

impl Body for Whole {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        self.unasked = false;
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(body).poll_frame(context);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint)
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        let rest = self.body.take().filter(|body| !self.unasked && !body.is_end_stream());
        // Without a runtime the server is gone.
        if let Some((rest, runtime)) = rest.zip(Handle::try_current().ok()) {
            runtime.spawn(tokio::time::timeout(LONGEST, discard(rest)));
        }
    }
}

async fn discard(mut rest: Incoming) {
    let mut left = MOST_BYTES;
    while let Some(Ok(frame)) = std::future::poll_fn(|context| Pin::new(&mut rest).poll_frame(context)).await {
        let length = frame.data_ref().map_or(0, Bytes::len);
        match left.checked_sub(length) {
            Some(now) => left = now,
            None => return,
        }
    }
}

//! Serving connections: a bounded number of them, a bounded time for each request's head and for an answer that the client
//! does not take, and a clean end.

mod rest;

use std::{convert::Infallible, future::Future, io, pin::pin, sync::Arc, time::Duration};

use axum::{body::Body, extract::Request, response::Response};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};
use tokio_io_timeout::TimeoutStream;
use tower::{ServiceExt, util::BoxCloneSyncService};

use self::rest::Whole;
use crate::config::HttpSection;

/// What answers requests.
pub(super) type Service = BoxCloneSyncService<Request, Response, Infallible>;

/// Serves until `stop` comes; then accepts nothing more, lets requests finish for a bounded time, and returns.
pub(super) async fn serve(
    listener: TcpListener,
    service: Service,
    config: &HttpSection,
    stop: impl Future<Output = ()>,
) {
    let slots = Arc::new(Semaphore::new(usize::try_from(config.max_connections).unwrap_or(1)));
    let bounds = Bounds {
        head: Duration::from_millis(config.header_timeout_ms),
        write: Duration::from_millis(config.write_timeout_ms),
    };
    let (tell, told) = watch::channel(false);
    let mut stop = pin!(stop);
    loop {
        let (stream, slot) = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        tokio::spawn(connection(stream, slot, service.clone(), bounds, told.clone()));
    }
    drop((listener, told, service));
    tell.send_replace(true);
    let drain = Duration::from_millis(config.drain_ms);
    if tokio::time::timeout(drain, tell.closed()).await.is_err() {
        tracing::warn!(
            connections = tell.receiver_count(),
            "the time for requests to finish is over; what they write is still waited for"
        );
    }
}

/// The next connection, once there is room for it. Waits a little where the system has run out of something.
async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed, so a slot always comes.
    let slot = slots.clone().acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, slot),
            Err(error) if transient(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn transient(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

/// How long a client may keep a connection waiting.
#[derive(Clone, Copy)]
struct Bounds {
    /// For a request's head.
    head: Duration,
    /// For it to take a piece of an answer.
    write: Duration,
}

/// Serves one connection to its end, which comes after the request in hand once the server stops.
async fn connection(
    stream: TcpStream,
    slot: Option<OwnedSemaphorePermit>,
    service: Service,
    bounds: Bounds,
    mut told: watch::Receiver<bool>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps its delay");
    }
    let answer = service_fn(move |request: hyper::Request<_>| {
        let (parts, body) = request.into_parts();
        let body = Body::new(Whole::new(&parts.headers, body));
        service.clone().oneshot(Request::from_parts(parts, body))
    });
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(bounds.write));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // Who has sent all that he has to say may say so, and still waits for the answer.
        .half_close(true)
        .header_read_timeout(bounds.head)
        .serve_connection(TokioIo::new(Box::pin(stream)), answer);
    let mut connection = pin!(connection);
    // This receiver lives until the connection has ended; that is how the server knows.
    let _alive = told.clone();
    let stopping = async move { drop(told.wait_for(|stop| *stop).await) };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopping => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
    drop(slot);
}

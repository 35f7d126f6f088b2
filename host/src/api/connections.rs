//! Connections of the API: bounded in number and time, so that nobody who opens many or sends
//! halves of requests keeps others from calling.
//!
//! At the bound, the connection that has kept us waiting longest makes room for a new one. One whose
//! call is being carried out never does.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::Request;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// The most connections that are open at once.
const MAX_CONNECTIONS: usize = 256;

/// How long the head of a request may take, also on a connection that is kept alive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// The most memory for the head of a request.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// The pause after a connection that could not be taken, and while none can make room.
const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// How long calls that are being answered may take once the host has to stop.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// Serves `router` until `stop` is cancelled and the calls under way are answered, or their
/// grace is over.
pub(super) async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let (open, graceful) = (ConnectionTable::default(), GracefulShutdown::new());
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = open.accept(&listener) => accepted,
        };
        match accepted {
            Ok(stream) => serve_connection(stream, router.clone(), &open, &graceful),
            Err(error) => {
                tracing::warn!(error = %error, "the API cannot take a connection");
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        }
    }
    drop(listener);
    // What is not answered by then is told to its caller by the connection's end.
    let _ = tokio::time::timeout(STOP_GRACE, graceful.shutdown()).await;
}

fn serve_connection(
    stream: TcpStream,
    router: Router,
    open: &ConnectionTable,
    graceful: &GracefulShutdown,
) {
    // Answers are small: none waits for another packet.
    let _ = stream.set_nodelay(true);
    let is_idle = Arc::new(AtomicBool::new(true));
    let idle_flag = is_idle.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let (router, is_idle) = (router.clone(), idle_flag.clone());
        async move {
            let request = request.map(|body| Body::new(RequestBody::new(body, is_idle.clone())));
            let answer = router.oneshot(request).await;
            is_idle.store(true, Relaxed);
            answer
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let connection = graceful.watch(connection);
    let entry = open.register(is_idle);
    tokio::spawn(async move {
        tokio::select! {
            // A broken connection is its caller's concern.
            _ = connection => {}
            () = entry.closed.cancelled() => {}
        }
        drop(entry);
    });
}

/// The connections that are open, oldest first.
#[derive(Clone, Default)]
struct ConnectionTable(Arc<Mutex<ConnectionEntries>>);

#[derive(Default)]
struct ConnectionEntries {
    next: u64,
    open: BTreeMap<u64, ConnectionEntry>,
}

struct ConnectionEntry {
    /// No call of it is being carried out: we wait for a request, or for an answer to be read.
    is_idle: Arc<AtomicBool>,
    closed: CancellationToken,
}

/// An open connection; dropped with it.
struct Registration {
    id: u64,
    closed: CancellationToken,
    open: ConnectionTable,
}

impl ConnectionTable {
    /// Takes the next connection once there is room for it.
    async fn accept(&self, listener: &TcpListener) -> io::Result<TcpStream> {
        let (stream, _) = listener.accept().await?;
        while !self.has_room() {
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        Ok(stream)
    }

    /// True if there is room, made by closing the oldest connection that waits if need be.
    fn has_room(&self) -> bool {
        let mut connections = self.0.lock();
        if connections.open.len() < MAX_CONNECTIONS {
            return true;
        }
        let oldest = connections
            .open
            .iter()
            .find(|(_, connection)| connection.is_idle.load(Relaxed))
            .map(|(id, _)| *id);
        match oldest.and_then(|id| connections.open.remove(&id)) {
            Some(connection) => {
                connection.closed.cancel();
                true
            }
            None => false,
        }
    }

    fn register(&self, is_idle: Arc<AtomicBool>) -> Registration {
        let closed = CancellationToken::new();
        let mut connections = self.0.lock();
        let id = connections.next;
        connections.next += 1;
        let connection = ConnectionEntry {
            is_idle,
            closed: closed.clone(),
        };
        connections.open.insert(id, connection);
        Registration {
            id,
            closed,
            open: self.clone(),
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut connections = self.open.0.lock();
        connections.open.remove(&self.id);
    }
}

/// The body of a request, which notes when it has come in full.
struct RequestBody {
    body: Incoming,
    is_idle: Arc<AtomicBool>,
}

impl RequestBody {
    fn new(body: Incoming, is_idle: Arc<AtomicBool>) -> Self {
        is_idle.store(!body.is_end_stream(), Relaxed);
        Self { body, is_idle }
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        let has_ended = matches!(frame, Poll::Ready(None)) || self.body.is_end_stream();
        self.is_idle.store(!has_ended, Relaxed);
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

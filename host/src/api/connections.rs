//! Connections of the API, bounded in number and time: a client that opens many connections, or sends incomplete
//! requests, cannot keep other clients from calling.
//!
//! At the bound, the connection that has been idle longest is closed in favour of a new connection. A connection whose
//! call is in progress is never closed for this.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
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
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::protection::{ClientCertificate, Peer, Protection, subject};

/// Most connections that are open at the same time.
const MAX_CONNECTIONS: usize = 256;

/// Longest time for the head of a request, also on a kept-alive connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Most memory for the head of a request.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Longest time for the handshake of TLS.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// Pause after an error of `accept`, and between looks for an idle connection at the bound.
const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// Longest time for calls in progress after the host has been asked to stop.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// The parts that all connections share.
#[derive(Clone)]
struct Service {
    router: Router,
    protection: Arc<Protection>,
}

/// Serves `router` until `stop` is cancelled, then for at most `STOP_GRACE`, in which calls in progress are answered.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    protection: Arc<Protection>,
    stop: CancellationToken,
) {
    let service = Service { router, protection };
    let (open, graceful) = (ConnectionTable::default(), GracefulShutdown::new());
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = open.accept(&listener) => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                let is_idle = Arc::new(AtomicBool::new(true));
                let entry = open.register(is_idle.clone());
                let connection =
                    service
                        .clone()
                        .converse(stream, address, is_idle, graceful.watcher());
                tokio::spawn(async move {
                    tokio::select! {
                        () = connection => {}
                        () = entry.closed.cancelled() => {}
                    }
                    drop(entry);
                });
            }
            Err(error) => {
                tracing::warn!(error = %error, "the API cannot take a connection");
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        }
    }
    drop(listener);
    // The callers of unanswered calls see a closed connection.
    let _ = tokio::time::timeout(STOP_GRACE, graceful.shutdown()).await;
}

impl Service {
    /// Serves a connection to its end: the handshake, where TLS is in effect, and the requests.
    async fn converse(
        self,
        stream: TcpStream,
        address: SocketAddr,
        is_idle: Arc<AtomicBool>,
        watcher: Watcher,
    ) {
        // Answers are small: none has to wait for a full packet.
        let _ = stream.set_nodelay(true);
        let mut peer = Peer {
            address,
            certificate: None,
        };
        let Some((tls, authorities)) = self.protection.tls() else {
            return self.answer(stream, peer, is_idle, watcher).await;
        };
        let handshake = TlsAcceptor::from(tls).accept(stream);
        match tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await {
            Ok(Ok(stream)) => {
                let certificates = stream.get_ref().1.peer_certificates();
                let certificate = certificates.and_then(|chain| chain.first());
                peer.certificate = certificate
                    .and_then(subject)
                    .map(|subject| ClientCertificate {
                        subject,
                        authorities,
                    });
                self.answer(stream, peer, is_idle, watcher).await;
            }
            // An error of a connection concerns its caller only.
            Ok(Err(error)) => tracing::debug!(from = %address, error = %error, "no TLS handshake"),
            Err(_elapsed) => tracing::debug!(from = %address, "no TLS handshake in time"),
        }
    }

    async fn answer(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: Peer,
        is_idle: Arc<AtomicBool>,
        watcher: Watcher,
    ) {
        let service = service_fn(move |request: Request<Incoming>| {
            let (router, is_idle) = (self.router.clone(), is_idle.clone());
            let peer = peer.clone();
            async move {
                let mut request =
                    request.map(|body| Body::new(RequestBody::new(body, is_idle.clone())));
                request.extensions_mut().insert(peer);
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
        // An error of a connection concerns its caller only.
        _ = watcher.watch(connection).await;
    }
}

/// Open connections, oldest first.
#[derive(Clone, Default)]
struct ConnectionTable(Arc<Mutex<ConnectionEntries>>);

#[derive(Default)]
struct ConnectionEntries {
    next: u64,
    open: BTreeMap<u64, ConnectionEntry>,
}

struct ConnectionEntry {
    /// Whether no call of the connection is in progress: tidegate waits for a request, or for the client to read an
    /// answer.
    is_idle: Arc<AtomicBool>,
    closed: CancellationToken,
}

/// The entry of an open connection in the table. Dropped with the connection, which removes the entry.
struct Registration {
    id: u64,
    closed: CancellationToken,
    open: ConnectionTable,
}

impl ConnectionTable {
    /// Accepts the next connection, and waits until there is room for it.
    ///
    /// Cancellation: a dropped future closes a connection that was accepted and still waited for room.
    async fn accept(&self, listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
        let accepted = listener.accept().await?;
        while !self.has_room() {
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        Ok(accepted)
    }

    /// Whether there is room for a new connection. At the bound, closes the oldest idle connection to make room.
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

    /// Adds a connection.
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

/// The body of a request. Clears the idle flag of its connection when it has been received in full.
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

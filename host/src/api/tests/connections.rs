//! Finding 36, over real sockets: a client that sends incomplete requests does not keep other clients from calling.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::*;

/// Serves a scripted sync, and returns its port.
async fn served(stop: &CancellationToken) -> u16 {
    let listener = bind(Ipv4Addr::LOCALHOST.into(), 0).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(serve(
        listener,
        ScriptedSession::new(State::Running),
        open(),
        stop.clone(),
    ));
    port
}

async fn send(port: u16, text: &str) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.write_all(text.as_bytes()).await?;
    Ok(stream)
}

/// The status line of the answer to a complete request.
async fn answered(port: u16, head: &str, body: &str) -> String {
    let length = body.len();
    let text = format!(
        "{head} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    let mut stream = send(port, &text).await.expect("connected");
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    timeout(Duration::from_secs(10), read)
        .await
        .expect("in time")
        .expect("read");
    answer.lines().next().unwrap_or_default().to_owned()
}

async fn is_alive(port: u16) {
    let begun = Instant::now();
    assert_eq!(answered(port, "GET /healthz", "").await, "HTTP/1.1 200 OK");
    let progress = answered(port, "GET /api/v1/progress", "").await;
    assert_eq!(progress, "HTTP/1.1 200 OK");
    let pause = answered(port, "POST /api/v1/pause", "{ }").await;
    assert_eq!(pause, "HTTP/1.1 200 OK");
    assert!(begun.elapsed() < Duration::from_secs(5), "{begun:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn f36_a_thousand_half_requests_stop_nobody() {
    let stop = CancellationToken::new();
    let port = served(&stop).await;
    for half in [
        // An incomplete head, an incomplete body of known and of unknown length, and an empty request.
        "POST /api/v1/start HTTP/1.1\r\nHost: localhost\r\n",
        "POST /api/v1/start HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n{",
        "POST /api/v1/plugins HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx",
        "",
    ] {
        let mut open = Vec::new();
        for _ in 0..1_000 {
            // A connection that was closed to make room for others may refuse.
            open.extend(send(port, half).await);
        }
        assert!(open.len() > 900, "{}", open.len());
        is_alive(port).await;
    }
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn f36_a_body_that_is_too_large_is_refused_before_it_comes() {
    let stop = CancellationToken::new();
    let port = served(&stop).await;
    for (path, bytes) in [("start", 2 << 20), ("plugins", (64 << 20) + 1)] {
        let text = format!(
            "POST /api/v1/{path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {bytes}\r\n\r\n"
        );
        let mut stream = send(port, &text).await.expect("connected");
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.expect("answered");
        assert_eq!(&answer, b"HTTP/1.1 413");
    }
    stop.cancel();
}

#[tokio::test]
async fn f36_a_body_that_stops_is_given_up() {
    let control = ScriptedSession::new(State::Running);
    let parts = futures::stream::iter([Ok::<_, std::io::Error>("{")]);
    let body = Body::from_stream(futures::StreamExt::chain(parts, futures::stream::pending()));
    let (status, answer) = call(&control, "POST", "/api/v1/start", body).await;
    assert_eq!(status, StatusCode::REQUEST_TIMEOUT);
    assert_eq!(answer["error"], "BodyIncomplete");
    assert!(control.heard().is_empty());
}

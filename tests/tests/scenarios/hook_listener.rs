//! A web server that receives what hooks send.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use support::{process::free_port, wait::Look, wait_until};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::Mutex,
    task::JoinHandle,
};

const RECEIVED_WITHIN: Duration = Duration::from_secs(60);

/// A request.
#[derive(Clone)]
pub(crate) struct Received {
    pub(crate) signature: Option<String>,
    pub(crate) body: Vec<u8>,
    pub(crate) json: Value,
}

impl Received {
    fn field(&self, name: &str) -> &str {
        self.json[name].as_str().unwrap_or_default()
    }

    pub(crate) fn event(&self) -> &str {
        self.field("event")
    }

    pub(crate) fn id(&self) -> &str {
        self.field("id")
    }
}

/// The answer to every request.
#[derive(Clone)]
pub(crate) struct HttpAnswer {
    pub(crate) status: u16,
    pub(crate) body: &'static str,
    pub(crate) after: Duration,
}

impl Default for HttpAnswer {
    fn default() -> Self {
        Self {
            status: 200,
            body: "",
            after: Duration::ZERO,
        }
    }
}

#[derive(Default)]
struct Shared {
    received: Vec<Received>,
    answer: HttpAnswer,
}

/// A server on 127.0.0.1. It ends when it is dropped.
pub(crate) struct HookListener {
    pub(crate) port: u16,
    shared: Arc<Mutex<Shared>>,
    task: JoinHandle<()>,
}

impl Drop for HookListener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl HookListener {
    pub(crate) async fn start() -> Result<Self> {
        Self::at(free_port()?).await
    }

    pub(crate) async fn at(port: u16) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port))
            .await
            .context("listen")?;
        let shared = Arc::new(Mutex::new(Shared::default()));
        let task = tokio::spawn(serve(listener, shared.clone()));
        Ok(Self { port, shared, task })
    }

    pub(crate) async fn answer(&self, answer: HttpAnswer) {
        self.shared.lock().await.answer = answer;
    }

    /// All requests so far.
    pub(crate) async fn received(&self) -> Vec<Received> {
        self.shared.lock().await.received.clone()
    }

    /// Events in the order of their first request, each once; requests with one id are one occurrence.
    pub(crate) async fn events(&self) -> Vec<String> {
        let mut seen: Vec<Received> = Vec::new();
        for request in self.received().await {
            if !seen.iter().any(|known| known.id() == request.id()) {
                seen.push(request);
            }
        }
        seen.iter()
            .map(|request| request.event().to_owned())
            .collect()
    }

    /// Waits until these events have occurred, in this order, and no others.
    pub(crate) async fn wait_for(&self, events: &[&str]) -> Result<()> {
        wait_until("the hook's events", RECEIVED_WITHIN, async || {
            let received = self.events().await;
            ensure!(received.len() <= events.len(), "received {received:?}");
            Ok(match received == events {
                true => Look::Done(()),
                false => Look::NotYet(format!("received {received:?}")),
            })
        })
        .await
    }
}

async fn serve(listener: TcpListener, shared: Arc<Mutex<Shared>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = shared.clone();
        // A host that is killed ends its connection.
        tokio::spawn(async move { exchange(stream, &shared).await.ok() });
    }
}

async fn exchange(stream: TcpStream, shared: &Mutex<Shared>) -> Result<()> {
    let mut stream = BufReader::new(stream);
    let (mut length, mut signature) = (0, None);
    loop {
        let mut line = String::new();
        ensure!(
            stream.read_line(&mut line).await? > 0,
            "a closed connection"
        );
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        match name.to_lowercase().as_str() {
            "content-length" => length = value.trim().parse()?,
            "x-tidegate-signature-256" => signature = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let HttpAnswer {
        status,
        body: text,
        after,
    } = {
        let mut shared = shared.lock().await;
        shared.received.push(Received {
            signature,
            body,
            json,
        });
        shared.answer.clone()
    };
    tokio::time::sleep(after).await;
    let answer = format!(
        "HTTP/1.1 {status} Answer\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
        text.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    Ok(())
}

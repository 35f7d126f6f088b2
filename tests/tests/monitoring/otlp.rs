//! `--otlpEndpoint`: traces and metrics at a collector, and a collector that does not take them.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use bson::doc;
use serde_json::{Value, json};
use support::{Rig, host::DEADLINE, rig::Options, wait::Look, wait_until};

/// The text of a document, which must not leave the clusters by this way.
const CONTENT: &str = "content-of-a-document";

/// A collector: every request that it has received, by path.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<(String, Value)>>>);

impl Collector {
    /// Listens until the test's process ends. Returns the endpoint, too.
    fn start() -> Result<(Self, String)> {
        let (listener, collector) = (TcpListener::bind("127.0.0.1:0")?, Self::default());
        let endpoint = format!("http://{}", listener.local_addr()?);
        let received = collector.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let received = received.clone();
                std::thread::spawn(move || received.serve(&connection));
            }
        });
        Ok((collector, endpoint))
    }

    fn serve(&self, connection: &TcpStream) -> Result<()> {
        let mut reader = BufReader::new(connection);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let path = line.split(' ').nth(1).context("a path")?.to_owned();
            let mut length = 0;
            loop {
                let mut header = String::new();
                reader.read_line(&mut header)?;
                let header = header.trim().to_ascii_lowercase();
                if let Some(value) = header.strip_prefix("content-length:") {
                    length = value.trim().parse()?;
                }
                if header.is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body)?;
            let body = serde_json::from_slice(&body)?;
            if let Ok(mut received) = self.0.lock() {
                received.push((path, body));
            }
            let mut connection = connection;
            connection.write_all(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
            )?;
        }
    }

    fn received(&self) -> Vec<(String, Value)> {
        self.0
            .lock()
            .map(|received| received.clone())
            .unwrap_or_default()
    }

    /// The arrays at the end of `/resource…/…/`, of all requests to this path, joined.
    fn items(&self, path: &str, pointer: &str) -> Vec<Value> {
        let received = self.received();
        let bodies = received.iter().filter(|(its, _)| its == path);
        let arrays = bodies.filter_map(|(_, body)| body.pointer(pointer)?.as_array());
        arrays.flatten().cloned().collect()
    }

    fn spans(&self) -> Vec<Value> {
        self.items("/v1/traces", "/resourceSpans/0/scopeSpans/0/spans")
    }

    fn metrics(&self) -> Vec<Value> {
        self.items("/v1/metrics", "/resourceMetrics/0/scopeMetrics/0/metrics")
    }
}

fn exporting(endpoint: &str) -> Options {
    Options {
        host_arguments: vec!["--otlpEndpoint".to_owned(), endpoint.to_owned()],
        host_environment: vec![("TIDEGATE_OTLP_SECONDS".to_owned(), "1".to_owned())],
        ..Options::default()
    }
}

fn attribute<'a>(span: &'a Value, key: &str) -> Option<&'a Value> {
    let attributes = span["attributes"].as_array()?;
    let found = attributes
        .iter()
        .find(|attribute| attribute["key"] == key)?;
    found["value"].as_object()?.values().next()
}

async fn committed(rig: &Rig) -> Result<()> {
    let document = doc! { "_id": 1, "text": CONTENT };
    rig.source_db("app")
        .collection("c")
        .insert_one(document)
        .await?;
    rig.host.start(json!({})).await?;
    rig.host.wait_can_commit().await?;
    let refused = rig.host.call("POST", "/api/v1/resume", "{}").await?;
    ensure!(refused.status == 409, "{refused:?}");
    rig.host.commit().await?;
    rig.host.wait_for_state("COMMITTED").await.map(drop)
}

#[tokio::test]
async fn traces_and_metrics_reach_a_collector() -> Result<()> {
    let (collector, endpoint) = Collector::start()?;
    let mut rig = Rig::with(exporting(&endpoint)).await?;
    committed(&rig).await?;
    wait_until("the metrics of the commit arrive", DEADLINE, async || {
        let metrics = collector.metrics();
        let value = |name: &str, kind: &str| {
            let of_name = metrics.iter().rev().find(|metric| metric["name"] == name)?;
            of_name[kind]["dataPoints"][0]["asDouble"].as_f64()
        };
        let arrived = value("tidegate_can_write", "gauge") == Some(1.0)
            && value("tidegate_copied_documents", "sum") == Some(1.0);
        Ok(match arrived {
            true => Look::Done(()),
            false => Look::NotYet(format!("{} metrics", metrics.len())),
        })
    })
    .await?;
    rig.host.terminate().await?;
    let spans = collector.spans();
    let find = |name: &str| {
        spans
            .iter()
            .find(|span| span["name"] == name)
            .with_context(|| format!("{name} in {spans:#?}"))
    };
    let (sync, copier) = (find("sync")?, find("copier")?);
    ensure!(
        copier["parentSpanId"] == sync["spanId"] && copier["traceId"] == sync["traceId"],
        "{sync} {copier}"
    );
    ensure!(attribute(sync, "sync_id").is_some(), "{sync}");
    let calls = spans.iter().filter(|span| span["name"] == "call");
    let refused = calls
        .clone()
        .find(|span| span["status"]["code"] == 2)
        .context("the refused call")?;
    ensure!(
        attribute(refused, "path") == Some(&json!("/api/v1/resume"))
            && attribute(refused, "error_code") == Some(&json!("InvalidStateTransition")),
        "{refused}"
    );
    ensure!(calls.count() == 3, "{spans:#?}");
    for (path, body) in collector.received() {
        ensure!(!body.to_string().contains(CONTENT), "{path}: {body}");
        let resource = body
            .pointer("/resourceSpans/0/resource")
            .or(body.pointer("/resourceMetrics/0/resource"));
        let resource = resource.context("a resource")?;
        ensure!(
            attribute(resource, "service.name") == Some(&json!("tidegate")),
            "{resource}"
        );
    }
    rig.close().await.map(drop)
}

/// Connections are taken, and nothing is answered. The sync and the end of the process do not wait.
#[tokio::test]
async fn a_silent_collector_holds_up_nothing_and_is_told_once() -> Result<()> {
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let mut rig = Rig::with(exporting(&format!("http://{}", silent.local_addr()?))).await?;
    let begun = Instant::now();
    committed(&rig).await?;
    let log = support::LogCheck::new(rig.host.log_path());
    const WARNING: &str = "the OpenTelemetry collector takes no data";
    wait_until("the collector is told", DEADLINE, async || {
        Ok(match log.has(WARNING)? {
            true => Look::Done(()),
            false => Look::NotYet(format!("{:?}", begun.elapsed())),
        })
    })
    .await?;
    let stopped = Instant::now();
    rig.host.terminate().await?;
    ensure!(
        stopped.elapsed() < Duration::from_secs(8),
        "the end took {:?}",
        stopped.elapsed()
    );
    let told = log
        .lines()?
        .iter()
        .filter(|line| line.contains(WARNING))
        .count();
    ensure!(told == 1, "told {told} times");
    rig.allow_log(WARNING);
    rig.close().await.map(drop)
}

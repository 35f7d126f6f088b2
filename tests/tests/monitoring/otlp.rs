//! `--otlpEndpoint`: traces and metrics at a collector, and a collector that does not take them.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use bson::doc;
use serde_json::{Value, json};
use support::{
    Rig,
    host::DEADLINE,
    mongod::{target_directory, workspace},
    rig::Options,
    test_dir::TestDir,
    wait::Look,
    wait_until,
};

/// The text of a document, which must not leave the clusters by this way.
const CONTENT: &str = "content-of-a-document";

/// OpenTelemetry's protocol files, compiled for Python.
const WHEELS: [&str; 2] = ["opentelemetry-proto==1.45.2", "protobuf==6.33.6"];

/// A request that a collector has received.
#[derive(Clone)]
struct Request {
    path: String,
    /// Names in lower case.
    headers: BTreeMap<String, String>,
    body: Value,
}

/// A collector: every request that it has received.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Request>>>);

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
            let mut headers = BTreeMap::new();
            loop {
                let mut header = String::new();
                reader.read_line(&mut header)?;
                let Some((name, value)) = header.trim().split_once(':') else {
                    break;
                };
                headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
            }
            let length = headers.get("content-length").context("a length")?;
            let mut body = vec![0; length.parse()?];
            reader.read_exact(&mut body)?;
            let body = serde_json::from_slice(&body)?;
            if let Ok(mut received) = self.0.lock() {
                received.push(Request {
                    path,
                    headers,
                    body,
                });
            }
            let mut connection = connection;
            connection.write_all(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
            )?;
        }
    }

    fn received(&self) -> Vec<Request> {
        self.0
            .lock()
            .map(|received| received.clone())
            .unwrap_or_default()
    }

    /// The arrays at the end of `/resource…/…/`, of all requests to this path, joined.
    fn items(&self, path: &str, pointer: &str) -> Vec<Value> {
        let received = self.received();
        let requests = received.iter().filter(|request| request.path == path);
        let arrays = requests.filter_map(|request| request.body.pointer(pointer)?.as_array());
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
    check_shape(&collector)?;
    for Request { path, body, .. } in collector.received() {
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

/// The requests are read by protobuf's own parser of JSON, as messages of OpenTelemetry's own protocol files.
fn check_shape(collector: &Collector) -> Result<()> {
    let wheels = std::path::absolute(target_directory().join("otlp"))?;
    if !wheels.join("opentelemetry/proto").exists() {
        // Two tests may install at once: the folder appears complete.
        let new = wheels.with_extension(std::process::id().to_string());
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--target"]);
        let installed = pip.arg(&new).args(WHEELS).status()?;
        ensure!(installed.success(), "pip: {installed}");
        if fs::rename(&new, &wheels).is_err() {
            fs::remove_dir_all(&new)?;
        }
    }
    let mut python = Command::new("python3");
    python.env("PYTHONPATH", wheels);
    python.arg(workspace().join("tests/tests/monitoring/otlp_shape.py"));
    python
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = python.spawn().context("run python3")?;
    let mut input = child.stdin.take().context("standard input")?;
    let requests = collector.received();
    for Request { path, body, .. } in &requests {
        writeln!(input, "{}", json!([path, body]))?;
    }
    drop(input);
    let output = child.wait_with_output()?;
    let printed = String::from_utf8_lossy(&output.stdout);
    ensure!(
        printed.starts_with(&format!("{} requests are messages", requests.len())),
        "{output:?}"
    );
    Ok(())
}

/// Each batch is a trace of its own, which names the span of its worker; a copy of many batches sends few of them.
#[tokio::test]
async fn some_batches_of_copy_and_stream_are_spans_with_a_link_to_their_worker() -> Result<()> {
    let (collector, endpoint) = Collector::start()?;
    let mut rig = Rig::with(exporting(&endpoint)).await?;
    let documents = rig.source_db("app").collection("c");
    let filler = "x".repeat(20_000);
    for first in (0..2_000).step_by(500) {
        let batch = (first..first + 500).map(|number| doc! { "_id": number, "text": &filler });
        documents.insert_many(batch).await?;
    }
    rig.host.start(json!({})).await?;
    rig.host.wait_can_commit().await?;
    for number in 0..200 {
        let change = doc! { "$set": { "text": number } };
        documents.update_one(doc! { "_id": number }, change).await?;
    }
    rig.commit().await?;
    rig.host.wait_for_state("COMMITTED").await?;
    rig.host.terminate().await?;
    let spans = collector.spans();
    for (name, worker, counted) in [
        ("copy_batch", "copier", "documents"),
        ("apply_batch", "applier", "events"),
    ] {
        let batches: Vec<_> = spans.iter().filter(|span| span["name"] == name).collect();
        ensure!(
            !batches.is_empty() && batches.len() < 100,
            "{name}: {}",
            batches.len()
        );
        for batch in batches {
            ensure!(batch["parentSpanId"].is_null(), "{batch}");
            let linked = spans
                .iter()
                .find(|span| span["spanId"] == batch["links"][0]["spanId"]);
            let linked = linked.with_context(|| format!("the worker of {batch}"))?;
            ensure!(
                linked["name"] == worker && linked["traceId"] != batch["traceId"],
                "{linked} {batch}"
            );
            ensure!(
                linked["traceId"] == batch["links"][0]["traceId"],
                "{linked} {batch}"
            );
            let count = attribute(batch, counted).and_then(Value::as_str);
            ensure!(count.is_some_and(|count| count != "0"), "{batch}");
            ensure!(attribute(batch, "passed_over").is_some(), "{batch}");
        }
    }
    check_shape(&collector)?;
    let log = support::LogCheck::new(rig.host.log_path())
        .lines()?
        .join("\n");
    ensure!(
        !log.contains("copy_batch") && !log.contains("apply_batch"),
        "batches are in the log"
    );
    rig.close().await.map(drop)
}

fn write_headers(file: &Path, text: &str, mode: u32) -> Result<()> {
    // A new file in place of the old, as secrets are replaced.
    let new = file.with_extension("new");
    fs::write(&new, text)?;
    fs::set_permissions(&new, fs::Permissions::from_mode(mode))?;
    Ok(fs::rename(new, file)?)
}

/// A changed file counts from the next request on; one that others can read does not count.
#[tokio::test]
async fn headers_of_a_file_go_with_each_request_and_nowhere_else() -> Result<()> {
    const FIRST: &str = "Bearer first-s3cret";
    const SECOND: &str = "Bearer second-s3cret";
    let dir = TestDir::new()?;
    let file: PathBuf = dir.path().join("headers");
    write_headers(
        &file,
        &format!("Authorization: {FIRST}\nX-Tenant: orders\n"),
        0o600,
    )?;
    let (collector, endpoint) = Collector::start()?;
    let mut options = exporting(&endpoint);
    let path = file.to_string_lossy().into_owned();
    options
        .host_arguments
        .extend(["--otlpHeadersFile".to_owned(), path]);
    let mut rig = Rig::with(options).await?;
    let arrives = async |secret: &str| {
        wait_until("the header arrives", DEADLINE, async || {
            let received = collector.received();
            let last = received.last().map(|request| &request.headers);
            Ok(
                match last.and_then(|headers| headers.get("authorization")) {
                    Some(value) if value == secret => Look::Done(()),
                    _ => Look::NotYet(format!("{last:?}")),
                },
            )
        })
        .await
    };
    arrives(FIRST).await?;
    const WARNING: &str = "the headers of the OpenTelemetry collector cannot be read";
    write_headers(&file, &format!("Authorization: {SECOND}\n"), 0o644)?;
    let log = support::LogCheck::new(rig.host.log_path());
    wait_until("the file is refused", DEADLINE, async || {
        Ok(match log.has(WARNING)? {
            true => Look::Done(()),
            false => Look::NotYet("no warning".to_owned()),
        })
    })
    .await?;
    let before = collector.received().len();
    wait_until("a request follows", DEADLINE, async || {
        let now = collector.received().len();
        Ok(match now > before + 1 {
            true => Look::Done(()),
            false => Look::NotYet(format!("{now} requests")),
        })
    })
    .await?;
    arrives(FIRST).await?;
    write_headers(&file, &format!("Authorization: {SECOND}\n"), 0o600)?;
    arrives(SECOND).await?;
    committed(&rig).await?;
    rig.host.terminate().await?;
    let log = support::LogCheck::new(rig.host.log_path())
        .lines()?
        .join("\n");
    ensure!(!log.contains("s3cret"), "a header is in the log");
    ensure!(log.matches(WARNING).count() == 1, "{log}");
    for request in collector.received() {
        ensure!(
            !request.body.to_string().contains("s3cret"),
            "{}",
            request.body
        );
    }
    rig.allow_log(WARNING);
    dir.remove();
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

//! The thread that sends to the collector.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::{VERSION, field, shortened};
use super::HeaderSource;

/// Longest time for which a span waits for others.
const BATCH_FOR: Duration = Duration::from_secs(5);
/// Spans of one request.
const BATCH: usize = 512;
/// Time for the collector's answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Data for the collector.
pub(super) enum Telemetry {
    /// A span that has ended.
    Span(Value),
    /// The metrics of a moment.
    Metrics(Vec<Value>),
    /// Asks for an answer when everything before it is sent.
    Flush(SyncSender<()>),
}

/// Sends what it receives, and drops what the collector does not take.
pub(super) struct Sender {
    agent: ureq::Agent,
    endpoint: String,
    resource: Value,
    headers: Headers,
    dropped: Arc<AtomicU64>,
    is_failing: bool,
}

/// The headers of a request, as they were last read.
struct Headers {
    source: HeaderSource,
    read: Vec<(String, String)>,
    is_failing: bool,
}

impl Headers {
    /// The headers now. Headers that cannot be read stay as they were, with one warning.
    fn now(&mut self) -> &[(String, String)] {
        match (self.source)() {
            Ok(headers) => {
                self.read = headers;
                self.is_failing = false;
            }
            Err(error) if !std::mem::replace(&mut self.is_failing, true) => {
                tracing::warn!({ field::ERROR } = %error,
                    "the headers of the OpenTelemetry collector cannot be read: the previous headers stay in effect");
            }
            Err(_told) => {}
        }
        &self.read
    }
}

impl Sender {
    pub(super) fn new(
        endpoint: &str,
        resource: Value,
        headers: HeaderSource,
        dropped: Arc<AtomicU64>,
    ) -> Self {
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .max_redirects(0)
            .user_agent(format!("tidegate/{VERSION}"))
            .build()
            .into();
        Self {
            agent,
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            resource,
            headers: Headers {
                source: headers,
                read: Vec::new(),
                is_failing: false,
            },
            dropped,
            is_failing: false,
        }
    }

    /// Runs until the last exporter is gone.
    pub(super) fn run(mut self, received: &Receiver<Telemetry>) {
        let batch_for = shortened("TIDEGATE_OTLP_SECONDS", BATCH_FOR);
        let mut spans = Vec::new();
        let mut due = Instant::now() + batch_for;
        loop {
            let wait = due.saturating_duration_since(Instant::now());
            match received.recv_timeout(wait) {
                Ok(Telemetry::Span(span)) => spans.push(span),
                Ok(Telemetry::Metrics(metrics)) => self.send_metrics(&metrics),
                Ok(Telemetry::Flush(done)) => {
                    self.send_spans(&mut spans);
                    // A caller that no longer waits misses nothing.
                    let _ = done.try_send(());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.send_spans(&mut spans),
            }
            if spans.len() >= BATCH || Instant::now() >= due {
                self.send_spans(&mut spans);
                due = Instant::now() + batch_for;
            }
        }
    }

    fn send_spans(&mut self, spans: &mut Vec<Value>) {
        let spans = std::mem::take(spans);
        if !spans.is_empty() {
            let scoped = json!([{ "scope": scope(), "spans": spans }]);
            let body =
                json!({ "resourceSpans": [{ "resource": self.resource, "scopeSpans": scoped }] });
            self.post("/v1/traces", &body);
        }
    }

    fn send_metrics(&mut self, metrics: &[Value]) {
        let scoped = json!([{ "scope": scope(), "metrics": metrics }]);
        let body =
            json!({ "resourceMetrics": [{ "resource": self.resource, "scopeMetrics": scoped }] });
        self.post("/v1/metrics", &body);
    }

    fn post(&mut self, path: &str, body: &Value) {
        let request = self.agent.post(format!("{}{path}", self.endpoint));
        let request = request.content_type("application/json");
        let headers = self.headers.now().iter();
        let request = headers.fold(request, |request, (name, value)| {
            request.header(name, value)
        });
        match request.send(body.to_string()) {
            Ok(_) if self.is_failing => {
                let dropped = self.dropped.swap(0, Relaxed);
                tracing::info!(dropped, "the OpenTelemetry collector answers again");
                self.is_failing = false;
            }
            Ok(_) => {}
            Err(error) => {
                self.dropped.fetch_add(1, Relaxed);
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::warn!({ field::ERROR } = %error, endpoint = self.endpoint,
                        "the OpenTelemetry collector takes no data, which is dropped; the sync is not affected");
                }
            }
        }
    }
}

fn scope() -> Value {
    json!({ "name": "tidegate", "version": VERSION })
}

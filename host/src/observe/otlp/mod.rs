//! Traces and metrics for an OpenTelemetry collector: OTLP over HTTP in its JSON encoding.
//!
//! Invariant: no caller waits. Data that a collector does not take is dropped, with one warning for each outage.

mod batches;
mod sender;
mod spans;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::VERSION;
use crate::model::OperatorError;
pub(super) use batches::BATCHES;
pub use batches::{apply_batch_span, copy_batch_span};
use sender::{Sender, Telemetry};
pub(super) use spans::SpanLayer;

/// Spans and sets of metrics that wait for the collector. About 10 MiB at most.
const QUEUE: usize = 4_096;

/// Time in which the last data is sent at the end of the process.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Reads the headers of a request, as names and values.
pub type HeaderSource = Box<dyn FnMut() -> Result<Vec<(String, String)>, OperatorError> + Send>;

/// The way to a collector. Clones share it.
#[derive(Clone, Debug)]
pub struct OtlpExporter {
    queue: SyncSender<Telemetry>,
    dropped: Arc<AtomicU64>,
}

impl OtlpExporter {
    /// Starts the thread that sends to the collector at `endpoint`, such as `http://localhost:4318`. `headers` is asked before
    /// each request.
    ///
    /// # Errors
    ///
    /// The system starts no thread.
    pub fn start(endpoint: &str, instance: &str, headers: HeaderSource) -> std::io::Result<Self> {
        let (queue, received) = sync_channel(QUEUE);
        let dropped = Arc::<AtomicU64>::default();
        let sender = Sender::new(endpoint, resource(instance), headers, dropped.clone());
        std::thread::Builder::new()
            .name("otlp".to_owned())
            .spawn(move || sender.run(&received))?;
        batches::begin();
        Ok(Self { queue, dropped })
    }

    /// Sends the metrics of a moment, in the form of OTLP.
    pub fn metrics(&self, metrics: Vec<Value>) {
        self.put(Telemetry::Metrics(metrics));
    }

    /// Waits until everything is sent, for at most two seconds. Blocks the thread.
    pub fn finish(&self) {
        let (done, finished) = sync_channel(1);
        // A full queue belongs to a collector that takes nothing.
        if self.queue.try_send(Telemetry::Flush(done)).is_ok() {
            let _ = finished.recv_timeout(LAST_WORDS);
        }
    }

    fn put(&self, telemetry: Telemetry) {
        if self.queue.try_send(telemetry).is_err() {
            self.dropped.fetch_add(1, Relaxed);
        }
    }
}

/// The attributes of this process.
fn resource(instance: &str) -> Value {
    let text = |key, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    let pid = std::process::id().to_string();
    json!({ "attributes": [
        text("service.name", "tidegate"),
        text("service.version", VERSION),
        text("service.instance.id", instance),
        { "key": "process.pid", "value": { "intValue": pid } },
    ] })
}

/// The time of this machine, as the log's lines have it. Nothing is decided by it.
#[expect(
    clippy::disallowed_methods,
    reason = "a collector orders spans and metrics by the time of their machine"
)]
pub fn telemetry_time() -> SystemTime {
    SystemTime::now()
}

/// Nanoseconds since the Unix epoch, as OTLP's JSON has 64-bit integers.
pub fn unix_nanos(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_nanos().to_string()
}

//! `tidegate plugin bench`: measures the speed of a plugin, called as a sync calls it.

use std::time::{Duration, Instant};

use anyhow::Result;
use bson::RawDocumentBuf;
use serde_json::{Value, json};

use crate::model::Namespace;
use crate::model::options::OnError;
use crate::plugin::NamespaceChain;

use super::super::status::CommandStatus;
use super::console::{Console, size};
use super::documents::joined;
use super::subject::{self, Subject};
use super::{command, documents, samples};

/// Documents per batch. The host splits a batch that exceeds the bytes of a call.
const BATCHES: [usize; 4] = [1, 16, 128, 1024];

/// Duration of a measurement per batch size, at least a whole pass over the documents.
const MEASURED: Duration = Duration::from_millis(300);

/// Instances that are created for the measurement.
const INSTANCES: u32 = 20;

/// The results of a benchmark.
struct Measurements {
    plugin: String,
    documents: usize,
    document_bytes: usize,
    instantiate: Duration,
    memory_bytes: usize,
    /// Nanoseconds per document, by batch size.
    batches: Vec<(usize, f64)>,
}

pub(super) fn execute(
    arguments: &command::BenchArgs,
    console: &mut Console,
) -> Result<CommandStatus> {
    let subject = Subject::open(&arguments.subject.file)?;
    let config = subject::config_or_empty(&arguments.subject)?;
    let count = usize::try_from(arguments.documents)?;
    let (namespace, documents) = match &arguments.input {
        Some(input) => {
            let read = documents::read(input, count)?;
            (read.namespace, read.documents)
        }
        None => (
            Namespace::new("test", "documents"),
            samples::generated(&config, count)?,
        ),
    };
    let measurements = measure(&subject, &config, &namespace, &documents)?;
    if arguments.json {
        console.line(format!("{:#}", measurements.to_json()))?;
    } else {
        measurements.print(console)?;
    }
    Ok(CommandStatus::Success)
}

fn measure(
    subject: &Subject,
    config: &Value,
    namespace: &Namespace,
    documents: &[RawDocumentBuf],
) -> Result<Measurements> {
    let mut instantiate = Duration::MAX;
    for _ in 0..INSTANCES {
        let begun = Instant::now();
        subject.chain(config, OnError::Stop, namespace)?;
        instantiate = instantiate.min(begun.elapsed());
    }
    let chain = subject.chain(config, OnError::Stop, namespace)?;
    let mut batches = Vec::new();
    for batch in BATCHES {
        let per_document = fastest_pass(&chain, documents, batch)? / documents.len() as f64;
        batches.push((batch, per_document));
    }
    let bytes: usize = documents
        .iter()
        .map(|document| document.as_bytes().len())
        .sum();
    Ok(Measurements {
        plugin: format!(
            "{} {}",
            subject.plugin.info.name, subject.plugin.info.version
        ),
        documents: documents.len(),
        document_bytes: bytes / documents.len(),
        instantiate,
        memory_bytes: chain.memory_bytes(),
        batches,
    })
}

/// Nanoseconds for all documents. The fastest of several passes, because other processes use the machine too.
fn fastest_pass(chain: &NamespaceChain, documents: &[RawDocumentBuf], batch: usize) -> Result<f64> {
    let batches: Vec<Vec<u8>> = documents.chunks(batch).map(joined).collect();
    let begun = Instant::now();
    let mut fastest = Duration::MAX;
    while fastest == Duration::MAX || begun.elapsed() < MEASURED {
        let pass = Instant::now();
        for documents in &batches {
            chain.transform(documents)?;
        }
        fastest = fastest.min(pass.elapsed());
    }
    Ok(fastest.as_secs_f64() * 1e9)
}

impl Measurements {
    fn to_json(&self) -> Value {
        let batch = |(batch, ns): &(usize, f64)| json!({ "batch": batch, "nsPerDocument": ns });
        json!({
            "plugin": self.plugin,
            "documents": self.documents,
            "documentBytes": self.document_bytes,
            "instantiateMicros": self.instantiate.as_secs_f64() * 1e6,
            "memoryBytes": self.memory_bytes,
            "batches": self.batches.iter().map(batch).collect::<Vec<_>>(),
        })
    }

    fn print(&self, console: &mut Console) -> Result<()> {
        console.line(format!(
            "{}, {} documents of {} bytes on average",
            self.plugin, self.documents, self.document_bytes
        ))?;
        console.line(format!(
            "an instance is created and configured in {:.0} µs, and takes {} of memory",
            self.instantiate.as_secs_f64() * 1e6,
            size(self.memory_bytes)
        ))?;
        console.line(format!(
            "{:>6}  {:>12}  {:>8}",
            "batch", "ns/document", "MB/s"
        ))?;
        for (batch, ns) in &self.batches {
            let megabytes = self.document_bytes as f64 * 1e3 / ns;
            console.line(format!("{batch:>6}  {ns:>12.0}  {megabytes:>8.0}"))?;
        }
        Ok(())
    }
}

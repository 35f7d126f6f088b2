//! A shadow: another build of a component, which is given the same documents, and whose answers are compared and never
//! written.
//!
//! Invariant: a sync never waits for a shadow. A batch is copied and put into a queue; where the queue is full, the
//! shadow does not see the batch. So a shadow costs the sync a copy of each batch, and one thread.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};

use bson::{Bson, RawDocument};
use parking_lot::Mutex;
use serde_json::Value;

use crate::model::plugins::PluginLogs;
use crate::model::shadow::{ShadowAnswer, ShadowEnd, ShadowProgress, ShadowReport, ShadowSample};

use super::super::batch::documents;
use super::super::error::{Error, Result};
use super::super::usage::{GatedUsage, Usage};
use super::batch_output::{BatchOutput, Outcome};
use super::difference::paths;
use super::stage::{Addressee, NamespaceArg, Stage};

/// Most batches that wait. A batch has about 120 KiB, or one larger document.
const QUEUE: usize = 64;
/// Most bytes of documents and answers that wait. The largest document and its replacement have 32 MiB.
const QUEUE_BYTES: usize = 40 << 20;
/// Traps after which a shadow ends: each is logged, and can take the deadline of a call.
const MOST_TRAPS: u64 = 20;
/// Most documents with different answers that are kept.
const SAMPLES: usize = 20;
/// Most paths that are counted.
const PATHS: usize = 50;
/// The largest document whose content is kept.
const CONTENT_BYTES: usize = 64 << 10;

/// A shadow, and the queue of batches to it. Its thread ends with it.
pub(in super::super) struct Shadow {
    queue: SyncSender<Batch>,
    comparison: Arc<Comparison>,
}

/// Documents, and the answers of the component in use.
struct Batch {
    namespace: NamespaceArg,
    documents: Vec<u8>,
    answers: BatchOutput,
    bytes: usize,
}

/// The comparison of a shadow's answers. Shared with its thread.
struct Comparison {
    stage: Stage,
    against: String,
    /// Whether samples keep both answers.
    contents: bool,
    waiting_bytes: AtomicUsize,
    compared: AtomicU64,
    different: AtomicU64,
    skipped: AtomicU64,
    failed: AtomicU64,
    end: OnceLock<ShadowEnd>,
    /// The shadow is gone, and its queue is not worked off.
    dropped: AtomicBool,
    findings: Mutex<Findings>,
}

/// The differences that were found.
#[derive(Default)]
struct Findings {
    paths: BTreeMap<String, u64>,
    samples: Vec<ShadowSample>,
    failure: Option<String>,
}

impl Shadow {
    /// Begins a shadow of the component in use.
    pub(super) fn begin(current: &Usage, shadow: Usage, contents: bool) -> Result<Self> {
        let comparison = Arc::new(Comparison {
            stage: Stage::new(GatedUsage::ungated(shadow), PluginLogs::Off)?,
            against: current.pool().component().info().digest.clone(),
            contents,
            waiting_bytes: AtomicUsize::default(),
            compared: AtomicU64::default(),
            different: AtomicU64::default(),
            skipped: AtomicU64::default(),
            failed: AtomicU64::default(),
            end: OnceLock::new(),
            dropped: AtomicBool::default(),
            findings: Mutex::default(),
        });
        let (queue, batches) = sync_channel(QUEUE);
        let worker = Arc::clone(&comparison);
        std::thread::Builder::new()
            .name("plugin-shadow".to_owned())
            .spawn(move || worker.work(&batches))
            .map_err(|error| Error::Internal(format!("no thread for a shadow: {error}")))?;
        Ok(Self { queue, comparison })
    }

    /// Gives the shadow a batch, if it keeps up.
    pub(super) fn offer(&self, to: Addressee<'_>, documents: &[u8], answers: &BatchOutput) {
        let comparison = &self.comparison;
        if to.pool.component().info().digest != comparison.against {
            _ = comparison.end.set(ShadowEnd::Swapped);
        }
        if comparison.end.get().is_some() {
            return;
        }
        let bytes = documents.len() + answers.bytes();
        let waiting = comparison.waiting_bytes.fetch_add(bytes, Relaxed);
        let fits = waiting.saturating_add(bytes) <= QUEUE_BYTES;
        let taken = fits && {
            let batch = Batch {
                namespace: to.namespace.clone(),
                documents: documents.to_vec(),
                answers: answers.clone(),
                bytes,
            };
            self.queue.try_send(batch).is_ok()
        };
        if !taken {
            comparison.waiting_bytes.fetch_sub(bytes, Relaxed);
            comparison.skipped.fetch_add(answers.len() as u64, Relaxed);
        }
    }

    pub(super) fn report(&self) -> ShadowReport {
        let findings = self.comparison.findings.lock();
        ShadowReport {
            progress: self.comparison.progress(&findings),
            paths: findings.paths.clone(),
            samples: findings.samples.clone(),
        }
    }

    pub(super) fn progress(&self) -> ShadowProgress {
        let findings = self.comparison.findings.lock();
        self.comparison.progress(&findings)
    }
}

impl Drop for Shadow {
    fn drop(&mut self) {
        self.comparison.dropped.store(true, Relaxed);
    }
}

impl Comparison {
    fn work(&self, batches: &Receiver<Batch>) {
        while let Ok(batch) = batches.recv() {
            if self.dropped.load(Relaxed) {
                return;
            }
            if self.end.get().is_none() {
                self.compare(&batch);
            }
            self.waiting_bytes.fetch_sub(batch.bytes, Relaxed);
        }
    }

    fn compare(&self, batch: &Batch) {
        let pool = self.stage.usage().pool();
        let to = Addressee {
            pool: &pool,
            namespace: &batch.namespace,
            counted: false,
        };
        match self.stage.run(to, &batch.documents) {
            Ok(answers) => self.compare_answers(batch, &answers),
            Err(error) => {
                self.failed.fetch_add(batch.answers.len() as u64, Relaxed);
                self.findings.lock().failure = Some(error.to_string());
            }
        }
        if self.stage.metrics().traps >= MOST_TRAPS {
            _ = self.end.set(ShadowEnd::Traps);
        }
    }

    fn compare_answers(&self, batch: &Batch, answers: &BatchOutput) {
        let pairs = batch.answers.outcomes().zip(answers.outcomes());
        for (document, (current, shadow)) in documents(&batch.documents).zip(pairs) {
            let answers = [current, shadow].map(|outcome| Answer::of(document, outcome));
            let [current, shadow] = &answers;
            if current.differs_from(shadow) {
                self.different.fetch_add(1, Relaxed);
                self.note(batch, document, current, shadow);
            }
            self.compared.fetch_add(1, Relaxed);
        }
    }

    /// Notes a document with different answers.
    fn note(&self, batch: &Batch, document: &[u8], current: &Answer<'_>, shadow: &Answer<'_>) {
        let paths = match (current.stands_for, shadow.stands_for) {
            (Some(current), Some(shadow)) => paths(current, shadow),
            _ => Vec::new(),
        };
        let mut findings = self.findings.lock();
        for path in &paths {
            if let Some(count) = findings.paths.get_mut(path) {
                *count += 1;
            } else if findings.paths.len() < PATHS {
                findings.paths.insert(path.clone(), 1);
            }
        }
        if findings.samples.len() < SAMPLES {
            findings.samples.push(ShadowSample {
                namespace: batch.namespace.name().clone(),
                document_id: id_of(document),
                current: current.shown(self.contents),
                shadow: shadow.shown(self.contents),
                paths,
            });
        }
    }

    fn progress(&self, findings: &Findings) -> ShadowProgress {
        let pool = self.stage.usage().pool();
        let (info, metrics) = (pool.component().info(), self.stage.metrics());
        ShadowProgress {
            slot: self.stage.usage().slot.to_string(),
            name: info.name.clone(),
            version: info.version.clone(),
            digest: info.digest.clone(),
            against: self.against.clone(),
            documents: self.compared.load(Relaxed),
            different: self.different.load(Relaxed),
            skipped: self.skipped.load(Relaxed),
            failed: self.failed.load(Relaxed),
            traps: metrics.traps,
            p50_us: metrics.p50_us,
            p99_us: metrics.p99_us,
            failure: findings.failure.clone(),
            end: self.end.get().copied(),
        }
    }
}

/// An answer: its outcome, and the document that it stands for.
struct Answer<'a> {
    outcome: &'static str,
    /// `None` where nothing is written. An answer without a document is dropped or quarantined.
    stands_for: Option<&'a [u8]>,
}

impl<'a> Answer<'a> {
    fn of(document: &'a [u8], outcome: Outcome<'a>) -> Self {
        let (outcome, stands_for) = match outcome {
            Outcome::Keep => ("kept", Some(document)),
            Outcome::Replaced(replacement) => ("replaced", Some(replacement)),
            Outcome::Drop => ("dropped", None),
            Outcome::Quarantined(_) => ("quarantined", None),
        };
        Self {
            outcome,
            stands_for,
        }
    }

    /// Byte for byte. A document that is kept and one that is replaced by itself are the same.
    fn differs_from(&self, other: &Self) -> bool {
        match (self.stands_for, other.stands_for) {
            (None, None) => self.outcome != other.outcome,
            (one, other) => one != other,
        }
    }

    fn shown(&self, contents: bool) -> ShadowAnswer {
        let content = self.stands_for.filter(|_| contents);
        ShadowAnswer {
            outcome: self.outcome,
            content: content
                .filter(|document| document.len() <= CONTENT_BYTES)
                .and_then(extended),
        }
    }
}

fn extended(document: &[u8]) -> Option<Value> {
    let document = RawDocument::from_bytes(document).ok()?;
    let document = bson::Document::try_from(document).ok()?;
    Some(Bson::Document(document).into_relaxed_extjson())
}

fn id_of(document: &[u8]) -> Value {
    let id = RawDocument::from_bytes(document).ok();
    let id = id.and_then(|document| Bson::try_from(document.get("_id").ok()??).ok());
    id.map_or(Value::Null, Bson::into_relaxed_extjson)
}

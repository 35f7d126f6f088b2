//! The results of a verification: the state of each partition, and the findings.
//!
//! Findings of a partition are held until it is done, and then given out together with the state that has it as done.
//! So a report and a state that are written together agree, whenever the process ends.

use std::{collections::BTreeMap, sync::Arc};

use bson::RawDocumentBuf;
use parking_lot::Mutex;

use super::{
    figures::PairProgress,
    report::{Certainty, ReportEntry},
    state::{CollectionState, PairState, bound_of, bound_text},
};

/// Bytes of documents in findings that are held at most. Beyond it the verification ends as at its bound of
/// mismatches.
const MAX_DOCUMENT_BYTES: usize = 256 << 20;

/// A partition: the id of its collection, and its position.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PartitionId {
    pub(super) collection: Arc<str>,
    pub(super) number: usize,
}

/// A partition that is to be compared, with its bounds.
#[derive(Clone, Debug)]
pub(super) struct OpenPartition {
    pub(super) id: PartitionId,
    pub(super) lower: Option<RawDocumentBuf>,
    pub(super) upper: Option<RawDocumentBuf>,
}

/// Findings and the state that belongs to them.
pub struct Checkpoint {
    /// Findings that were not given out before.
    pub findings: Vec<ReportEntry>,
    /// The state with which these findings are in the report.
    pub state: PairState,
}

/// The results, shared by all tasks of a verification and its reporter.
pub struct Ledger(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    collections: BTreeMap<Arc<str>, CollectionLedger>,
    /// Of an earlier run, until their collections are planned.
    earlier: BTreeMap<String, CollectionState>,
    /// Findings of partitions that are done.
    ready: Vec<ReportEntry>,
    /// Findings about names, options, indexes and order.
    of_catalog: Vec<ReportEntry>,
    max_mismatches: Option<u64>,
    document_bytes: usize,
    figures: PairProgress,
}

struct CollectionLedger {
    bounds: Vec<RawDocumentBuf>,
    partitions: Vec<PartitionLedger>,
    bytes: u64,
    /// Settled findings of its done partitions.
    mismatches: u64,
    /// Quarantined documents of its done partitions.
    quarantined: u64,
}

#[derive(Default)]
struct PartitionLedger {
    is_done: bool,
    /// Whether the range was read to its end.
    is_read: bool,
    /// Keys that are looked at again.
    pending: usize,
    /// By the key of the document.
    held: BTreeMap<Vec<u8>, ReportEntry>,
    documents: u64,
    bytes: u64,
}

impl Ledger {
    /// The results of a verification that goes on from `state`.
    pub fn new(state: PairState, max_mismatches: Option<u64>) -> Self {
        let mut figures = PairProgress::default();
        for collection in &state.collections {
            figures.mismatches += collection.mismatches;
            figures.quarantined += collection.quarantined;
        }
        let earlier = state
            .collections
            .into_iter()
            .map(|state| (state.id.clone(), state));
        let earlier = earlier.collect();
        Self(Mutex::new(Inner {
            earlier,
            max_mismatches,
            figures,
            ..Inner::default()
        }))
    }

    /// The figures by now.
    pub fn progress(&self) -> PairProgress {
        self.0.lock().figures.clone()
    }

    /// The findings since the last call, and the state to be written with them.
    pub fn checkpoint(&self) -> Checkpoint {
        let mut inner = self.0.lock();
        let findings = std::mem::take(&mut inner.ready);
        let given: usize = findings.iter().map(ReportEntry::document_bytes).sum();
        inner.document_bytes = inner.document_bytes.saturating_sub(given);
        Checkpoint {
            findings,
            state: inner.state(),
        }
    }

    /// The findings that no state holds: those of partitions that are not done, and those about catalogs.
    pub fn remainder(&self) -> Vec<ReportEntry> {
        let mut inner = self.0.lock();
        let mut findings = Vec::new();
        for collection in inner.collections.values_mut() {
            for partition in &mut collection.partitions {
                findings.extend(std::mem::take(&mut partition.held).into_values());
            }
        }
        findings.append(&mut inner.of_catalog);
        findings
    }

    /// Whether the verification is to end at its bound of mismatches.
    pub(super) fn is_cut_short(&self) -> bool {
        self.0.lock().figures.is_cut_short
    }

    /// Whether a collection has its partitions.
    pub(super) fn is_planned(&self, collection: &str) -> bool {
        self.0.lock().collections.contains_key(collection)
    }

    /// The bounds that an earlier run has used for a collection.
    pub(super) fn earlier_bounds(&self, collection: &str) -> Option<Vec<RawDocumentBuf>> {
        let inner = self.0.lock();
        let bounds = inner.earlier.get(collection)?.bounds.iter();
        bounds.map(|text| bound_of(text)).collect()
    }

    /// Adds a collection of `bytes` in partitions between `bounds`. Returns those that are to be compared.
    pub(super) fn plan(
        &self,
        collection: &Arc<str>,
        bounds: Vec<RawDocumentBuf>,
        bytes: u64,
    ) -> Vec<OpenPartition> {
        let mut inner = self.0.lock();
        let mut partitions: Vec<PartitionLedger> = Vec::new();
        partitions.resize_with(bounds.len() + 1, PartitionLedger::default);
        let (mut mismatches, mut quarantined) = (0, 0);
        if let Some(earlier) = inner.earlier.remove(&**collection) {
            (mismatches, quarantined) = (earlier.mismatches, earlier.quarantined);
            for number in earlier.done {
                if let Some(partition) = partitions.get_mut(number) {
                    partition.is_done = true;
                }
            }
            // The figures of its partitions are kept as those of the first of them.
            if let Some(first) = partitions.iter_mut().find(|partition| partition.is_done) {
                (first.documents, first.bytes) = (earlier.documents, earlier.bytes);
            }
            inner.figures.documents += earlier.documents;
            inner.figures.bytes += earlier.bytes;
        }
        let collection_ledger = CollectionLedger {
            bounds,
            partitions,
            bytes,
            mismatches,
            quarantined,
        };
        let open = collection_ledger.open(collection);
        inner.figures.collections += 1;
        inner.figures.collections_done += usize::from(open.is_empty());
        inner.figures.total_bytes += bytes;
        inner
            .collections
            .insert(collection.clone(), collection_ledger);
        open
    }

    /// Removes a collection that a cluster no longer has.
    pub(super) fn forget(&self, collection: &str) {
        let mut inner = self.0.lock();
        let Some(gone) = inner.collections.remove(collection) else {
            return;
        };
        let figures = &mut inner.figures;
        figures.collections -= 1;
        figures.collections_done -= usize::from(gone.is_done());
        figures.total_bytes = figures.total_bytes.saturating_sub(gone.bytes);
        for partition in &gone.partitions {
            figures.documents = figures.documents.saturating_sub(partition.documents);
            figures.bytes = figures.bytes.saturating_sub(partition.bytes);
            for finding in partition.held.values() {
                figures.count(finding.certainty, false);
            }
        }
    }

    /// Adds compared documents of a partition.
    pub(super) fn compared(&self, id: &PartitionId, documents: u64, bytes: u64) {
        let mut inner = self.0.lock();
        if let Some(partition) = inner.partition(id) {
            partition.documents += documents;
            partition.bytes += bytes;
            inner.figures.documents += documents;
            inner.figures.bytes += bytes;
        }
    }

    /// Takes back the figures of a partition that is compared from its beginning again.
    pub(super) fn begin_again(&self, id: &PartitionId) {
        let mut inner = self.0.lock();
        if let Some(partition) = inner.partition(id) {
            let (documents, bytes) = (partition.documents, partition.bytes);
            (partition.documents, partition.bytes) = (0, 0);
            inner.figures.documents -= documents;
            inner.figures.bytes -= bytes;
        }
    }

    /// Notes that a key of the partition is looked at again.
    pub(super) fn pend(&self, id: &PartitionId) {
        let mut inner = self.0.lock();
        inner.figures.pending += 1;
        if let Some(partition) = inner.partition(id) {
            partition.pending += 1;
        }
    }

    /// Notes the outcome for a key that was looked at again: a finding under the bytes of its key, or none.
    pub(super) fn resolve(&self, id: &PartitionId, finding: Option<(Vec<u8>, ReportEntry)>) {
        let mut inner = self.0.lock();
        inner.figures.pending = inner.figures.pending.saturating_sub(1);
        let Some(partition) = inner.partition(id) else {
            return;
        };
        partition.pending = partition.pending.saturating_sub(1);
        if let Some((key, finding)) = finding {
            let (certainty, bytes) = (finding.certainty, finding.document_bytes());
            if partition.held.insert(key, finding).is_none() {
                inner.figures.count(certainty, true);
                inner.document_bytes += bytes;
            }
        }
        inner.check_bound();
        inner.close(id);
    }

    /// Notes that a partition was read to its end.
    pub(super) fn read(&self, id: &PartitionId) {
        let mut inner = self.0.lock();
        if let Some(partition) = inner.partition(id) {
            partition.is_read = true;
        }
        inner.close(id);
    }

    /// Whether settled differences of a collection's documents are known.
    pub(super) fn has_mismatches(&self, collection: &str) -> bool {
        let inner = self.0.lock();
        inner.collections.get(collection).is_some_and(|collection| {
            let mut partitions = collection.partitions.iter();
            collection.mismatches > 0 || partitions.any(|partition| !partition.held.is_empty())
        })
    }

    /// Replaces the findings about the catalogs, which have this number of namespaces in scope.
    pub(super) fn set_catalog(&self, findings: Vec<ReportEntry>, namespaces: usize) {
        let mut inner = self.0.lock();
        inner.figures.namespaces = namespaces;
        for finding in std::mem::take(&mut inner.of_catalog) {
            inner.figures.count(finding.certainty, false);
        }
        for finding in &findings {
            inner.figures.count(finding.certainty, true);
        }
        inner.of_catalog = findings;
    }
}

impl Inner {
    fn partition(&mut self, id: &PartitionId) -> Option<&mut PartitionLedger> {
        self.collections
            .get_mut(&id.collection)?
            .partitions
            .get_mut(id.number)
    }

    /// Closes a partition that was read and has no pending keys. A partition with unsettled keys stays open, so that
    /// a later run compares it again.
    fn close(&mut self, id: &PartitionId) {
        let Some(partition) = self.partition(id) else {
            return;
        };
        let is_unsettled = |finding: &ReportEntry| finding.certainty == Certainty::Unsettled;
        let is_closed = partition.is_done || !partition.is_read || partition.pending > 0;
        if is_closed || partition.held.values().any(is_unsettled) {
            return;
        }
        partition.is_done = true;
        let held = std::mem::take(&mut partition.held);
        if let Some(collection) = self.collections.get_mut(&id.collection) {
            let settled = held
                .values()
                .filter(|it| it.certainty == Certainty::Settled)
                .count();
            collection.mismatches += settled as u64;
            collection.quarantined += (held.len() - settled) as u64;
            self.figures.collections_done += usize::from(collection.is_done());
        }
        self.ready.extend(held.into_values());
    }

    fn check_bound(&mut self) {
        let is_reached = self
            .max_mismatches
            .is_some_and(|max| self.figures.mismatches >= max);
        self.figures.is_cut_short |= is_reached || self.document_bytes > MAX_DOCUMENT_BYTES;
    }

    fn state(&self) -> PairState {
        let planned = self
            .collections
            .iter()
            .map(|(id, collection)| collection.state(id));
        PairState {
            collections: planned.chain(self.earlier.values().cloned()).collect(),
        }
    }
}

impl CollectionLedger {
    fn is_done(&self) -> bool {
        self.partitions.iter().all(|partition| partition.is_done)
    }

    fn open(&self, collection: &Arc<str>) -> Vec<OpenPartition> {
        let open = self
            .partitions
            .iter()
            .enumerate()
            .filter(|(_, partition)| !partition.is_done);
        open.map(|(number, _)| OpenPartition {
            id: PartitionId {
                collection: collection.clone(),
                number,
            },
            lower: number
                .checked_sub(1)
                .and_then(|before| self.bounds.get(before).cloned()),
            upper: self.bounds.get(number).cloned(),
        })
        .collect()
    }

    fn state(&self, id: &str) -> CollectionState {
        let done = || {
            self.partitions
                .iter()
                .enumerate()
                .filter(|(_, partition)| partition.is_done)
        };
        CollectionState {
            id: id.to_owned(),
            bounds: self.bounds.iter().map(bound_text).collect(),
            done: done().map(|(number, _)| number).collect(),
            documents: done().map(|(_, partition)| partition.documents).sum(),
            bytes: done().map(|(_, partition)| partition.bytes).sum(),
            mismatches: self.mismatches,
            quarantined: self.quarantined,
        }
    }
}

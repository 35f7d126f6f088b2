//! The partitions of one collection.

use std::{cmp::Ordering, collections::HashMap};

use bson::RawDocumentBuf;

use super::{CopyJob, ParkedKey, Partition, PartitionState};
use crate::{
    metadata::{NamespaceDocument, PartitionDocument},
    model::{ClusterTime, document_key::DocumentKey, key_order, raw},
    sync::catalog::options,
};

/// What is done with an event of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Nothing: the document is read later.
    PassedOver,
    /// Its key waits for the partition.
    Parked,
    /// The event is applied. Up to the time, the document may be newer than the event.
    Applied(ClusterTime),
    /// The server has to say which partition the document belongs to.
    PlaceUnknown,
}

/// A collection that is being copied or compared.
pub(super) struct CollectionPartitions {
    /// The namespace as of the last decided event.
    pub(super) namespace: NamespaceDocument,
    /// In the order of their bounds; empty before they are planned.
    pub(super) partitions: Vec<Partition>,
    /// The workers that are in it.
    pub(super) stays: usize,
    /// Workers have to leave, and none may enter.
    pub(super) withdrawn: bool,
    /// Every partition is done, and its indexes are not built.
    pub(super) wants_indexes: bool,
    /// Its indexes are built, or need no build.
    pub(super) ready: bool,
    /// The priority of its jobs.
    pub(super) priority: u64,
    /// Jobs that came up while it was withdrawn.
    pub(super) deferred: Vec<CopyJob>,
    /// Distinguishes the collection from its earlier plans, whose workers may still report.
    pub(super) generation: u64,
    /// The average size of a document in bytes, at least 1.
    pub(super) average_bytes: u64,
    /// Place of the next parked key, for a capped collection.
    next_order: i64,
    /// Places that the server gave, by the key's bytes. Invariant: cleared when bounds change.
    places: HashMap<Vec<u8>, usize>,
}

impl CollectionPartitions {
    pub(super) fn new(namespace: NamespaceDocument, generation: u64) -> Self {
        Self {
            namespace,
            partitions: Vec::new(),
            stays: 0,
            withdrawn: false,
            wants_indexes: false,
            ready: false,
            priority: 0,
            deferred: Vec::new(),
            generation,
            average_bytes: 1,
            next_order: 0,
            places: HashMap::new(),
        }
    }

    /// Sets the partitions, in the order of their bounds.
    pub(super) fn plan(&mut self, documents: Vec<PartitionDocument>, start_time: ClusterTime) {
        let partitions = in_order(documents).into_iter();
        self.partitions = partitions
            .map(|document| Partition::new(document, start_time))
            .collect();
        self.places.clear();
    }

    pub(super) fn is_capped(&self) -> bool {
        options::is_capped(&self.namespace.options)
    }

    /// The partition with this id.
    pub(super) fn partition(&mut self, id: &str) -> Option<&mut Partition> {
        self.partitions
            .iter_mut()
            .find(|partition| partition.document.id == id)
    }

    pub(super) fn is_done(&self) -> bool {
        let done = |partition: &Partition| matches!(partition.state, PartitionState::Done(_));
        !self.partitions.is_empty() && self.partitions.iter().all(done)
    }

    /// The newest time of any document, if every partition is done and no key waits.
    pub(super) fn settled_at(&self) -> Option<ClusterTime> {
        let times = self
            .partitions
            .iter()
            .map(|partition| match partition.state {
                PartitionState::Done(at)
                    if partition.parked_count() == 0 && !partition.has_stored_keys =>
                {
                    Some(at)
                }
                _ => None,
            });
        let times: Option<Vec<_>> = times.collect();
        times?.into_iter().max()
    }

    /// Decides on an event of the document with this `_id`, and parks its key if it has to wait.
    pub(super) fn decide(&mut self, id_kind: u8, id: &[u8], time: ClusterTime) -> Decision {
        if self.partitions.is_empty() {
            return Decision::PassedOver;
        }
        let Some(place) = self.place(id_kind, id) else {
            return Decision::PlaceUnknown;
        };
        let order = self.is_capped().then_some(self.next_order);
        let Some(partition) = self.partitions.get_mut(place) else {
            return Decision::PlaceUnknown;
        };
        match partition.state {
            PartitionState::Unseen => Decision::PassedOver,
            PartitionState::Done(at) => Decision::Applied(at),
            PartitionState::InWork(_) => {
                partition.park(ParkedKey {
                    id_kind,
                    id: id.into(),
                    time,
                    order,
                });
                self.next_order += i64::from(order.is_some());
                Decision::Parked
            }
        }
    }

    /// Puts a persisted key back to its partition. False if the server has to say which.
    pub(super) fn park_again(&mut self, key: ParkedKey) -> bool {
        let Some(place) = self.place(key.id_kind, &key.id) else {
            return self.partitions.is_empty();
        };
        self.next_order = self.next_order.max(key.order.map_or(0, |order| order + 1));
        if let Some(partition) = self.partitions.get_mut(place)
            && partition.state != PartitionState::Unseen
        {
            partition.park_persisted(key);
        }
        true
    }

    /// The index of the document's partition; `None` where the host does not know the order.
    pub(super) fn place(&self, id_kind: u8, id: &[u8]) -> Option<usize> {
        if self.partitions.len() == 1 {
            return Some(0);
        }
        if key_order::is_known(id_kind, options::is_collated(&self.namespace.options))
            && let Some(place) = self.compared_place(id_kind, id)
        {
            return Some(place);
        }
        let known = self.places.get(&DocumentKey::new(id_kind, id).to_bytes());
        known.copied()
    }

    /// The number of bounds that are at or below the key.
    fn compared_place(&self, id_kind: u8, id: &[u8]) -> Option<usize> {
        let (mut low, mut high) = (0, self.partitions.len());
        while high - low > 1 {
            let middle = usize::midpoint(low, high);
            let lower = self.partitions.get(middle)?.document.lower.as_ref()?;
            let bound = raw::find(lower.as_bytes(), "_id").ok()??;
            match key_order::compare((bound.kind, bound.value), (id_kind, id))? {
                Ordering::Greater => high = middle,
                Ordering::Less | Ordering::Equal => low = middle,
            }
        }
        Some(low)
    }

    /// Splits a partition in work at the lower bound of `upper`, which is in work too. Parked keys
    /// go to their side. `greatest` is the key at the bound, and is persisted.
    pub(super) fn split(
        &mut self,
        lower: &PartitionDocument,
        upper: PartitionDocument,
        greatest: ParkedKey,
    ) {
        let mut partitions = self.partitions.iter();
        let place = partitions.position(|partition| partition.document.id == lower.id);
        let Some(place) = place else {
            return;
        };
        let mut above = Partition::in_work(upper, lower.begun_at.unwrap_or_default());
        above.park_persisted(greatest);
        self.partitions.insert(place + 1, above);
        self.places.clear();
        let Some(partition) = self.partitions.get_mut(place) else {
            return;
        };
        partition.document.upper.clone_from(&lower.upper);
        for key in partition.take_keys() {
            // A look-up is right from either side.
            let to = self.place(key.id_kind, &key.id).unwrap_or(place);
            if let Some(partition) = self.partitions.get_mut(to) {
                partition.park(key);
            }
        }
    }

    /// The bounds between the partitions, for the server.
    pub(super) fn bounds(&self) -> Vec<RawDocumentBuf> {
        let lowers = self.partitions.iter().skip(1);
        lowers
            .filter_map(|partition| partition.document.lower.clone())
            .collect()
    }

    /// Keeps a place that the server gave.
    pub(super) fn learn(&mut self, id_kind: u8, id: &[u8], place: usize) {
        self.places
            .insert(DocumentKey::new(id_kind, id).to_bytes(), place);
    }

    /// Forgets the places that the server gave.
    pub(super) fn forget_places(&mut self) {
        self.places.clear();
    }
}

/// Partitions in the order of their bounds, each of which is the upper bound of one and the lower
/// bound of the next. The order of numbers ends where a partition has been split.
fn in_order(documents: Vec<PartitionDocument>) -> Vec<PartitionDocument> {
    let bytes = |bound: &Option<RawDocumentBuf>| bound.as_ref().map(|it| it.as_bytes().to_vec());
    let mut by_lower: HashMap<_, _> = documents
        .into_iter()
        .map(|document| (bytes(&document.lower), document))
        .collect();
    let mut ordered = Vec::with_capacity(by_lower.len());
    let mut next = by_lower.remove(&None);
    while let Some(document) = next {
        next = match bytes(&document.upper) {
            Some(upper) => by_lower.remove(&Some(upper)),
            None => None,
        };
        ordered.push(document);
    }
    ordered
}

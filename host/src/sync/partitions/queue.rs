//! The jobs of the copy's workers, the most urgent first.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

use crate::model::event::CollectionUuid;

/// A piece of work of a copy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CopyJob {
    /// Collections whose partitions are planned, and which are created, together.
    Plan(Vec<CollectionUuid>),
    /// A partition by its id.
    Copy(CollectionUuid, String),
}

/// Waiting jobs.
#[derive(Default)]
pub(super) struct Queue {
    copies: BinaryHeap<(u64, Reverse<u64>, CopyJob)>,
    /// Collections whose indexes are to be built.
    pub(super) builds: VecDeque<CollectionUuid>,
    pushed: u64,
}

/// Plans come first, since they make the other jobs.
const PLAN: u64 = u64::MAX;

/// Capped collections come before others: all of their keys wait until they are done.
pub(super) const CAPPED: u64 = u64::MAX - 1;

impl Queue {
    /// Adds a plan.
    pub(super) fn plan(&mut self, uuids: Vec<CollectionUuid>) {
        self.push(PLAN, CopyJob::Plan(uuids));
    }

    /// Adds a partition. Larger priorities come first, and equal priorities in their order.
    pub(super) fn copy(&mut self, priority: u64, uuid: CollectionUuid, partition: String) {
        self.push(priority, CopyJob::Copy(uuid, partition));
    }

    fn push(&mut self, priority: u64, job: CopyJob) {
        self.pushed += 1;
        self.copies.push((priority, Reverse(self.pushed), job));
    }

    /// The most urgent job.
    pub(super) fn pop(&mut self) -> Option<CopyJob> {
        Some(self.copies.pop()?.2)
    }
}

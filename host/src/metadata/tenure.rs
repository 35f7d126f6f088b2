//! The right to write of the lease's holder: the key of its term, its guards, and the fence.

use bson::{Document, doc};

use super::{collections::LEASE, documents::LeaseDocument};
use crate::mongo::{Fence, Guard};

pub(super) const LEASE_ID: &str = "lease";
const TERM_ID: &str = "term";

/// Guard documents of the appliers. Invariant: the list of guard documents is closed. A new holder raises the
/// term of each, and a writer never creates a guard document, so none of an older term appears later.
const APPLIERS: [&str; 8] = [
    "applier:0",
    "applier:1",
    "applier:2",
    "applier:3",
    "applier:4",
    "applier:5",
    "applier:6",
    "applier:7",
];
const BETWEEN_ROUNDS: &str = "betweenRounds";

/// Ids of all guard documents.
pub(super) fn writers() -> Vec<&'static str> {
    let mut writers = vec![TERM_ID, BETWEEN_ROUNDS];
    writers.extend(APPLIERS);
    writers
}

/// Proof of a term of the lease, for writers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseKey {
    /// Id of the host process that holds the lease.
    pub holder: String,
    /// Term in which the process holds the lease, from 1.
    pub term: i64,
}

/// The lease of this host, for work on the destination: the key for guarded statements, the fence for other
/// commands.
#[derive(Clone, Debug)]
pub struct Tenure {
    /// Proof of the term, for guarded statements. The server checks it.
    pub key: LeaseKey,
    /// Local check for commands without a guard: they are sent until its deadline only.
    pub fence: Fence,
}

impl LeaseKey {
    /// The guard of the metadata, and of DDL in its transactions.
    pub fn guard(&self) -> Guard {
        self.guard_of(TERM_ID)
    }

    /// The guard of the applier with this number. Invariant: there are no more appliers than guards.
    pub fn applier_guard(&self, number: usize) -> Guard {
        debug_assert!(
            number < APPLIERS.len(),
            "each applier has a guard of its own"
        );
        self.guard_of(APPLIERS.get(number).copied().unwrap_or(APPLIERS[0]))
    }

    /// The guard of writers of documents between rounds, when no applier writes.
    pub fn between_rounds_guard(&self) -> Guard {
        self.guard_of(BETWEEN_ROUNDS)
    }

    fn guard_of(&self, writer: &str) -> Guard {
        Guard {
            collection: LEASE,
            writer: writer.to_owned(),
            term: self.term,
        }
    }

    pub(super) fn filter(&self) -> Document {
        doc! { "_id": LEASE_ID, "holder": &self.holder, "term": self.term, "released": false }
    }
}

impl LeaseDocument {
    /// The key of the lease's holder.
    pub fn key(&self) -> LeaseKey {
        LeaseKey {
            holder: self.holder.clone(),
            term: self.term,
        }
    }
}

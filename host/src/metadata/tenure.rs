//! The right to write, of the host that holds the lease: the key of its term, and the fence.

use bson::{Document, doc};

use super::{collections::LEASE, documents::LeaseDocument};
use crate::mongo::{Fence, Guard};

pub(super) const LEASE_ID: &str = "lease";
const TERM_ID: &str = "term";

/// The guard documents of all writers of documents. The list is closed: a new holder raises the
/// term of each, and a writer never makes one, so that none of an older term appears later.
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

/// The guard documents of all writers.
pub(super) fn writers() -> Vec<&'static str> {
    let mut writers = vec![TERM_ID, BETWEEN_ROUNDS];
    writers.extend(APPLIERS);
    writers
}

/// What a writer of metadata shows: the lease in its own term.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseKey {
    /// The id of the host process that holds it.
    pub holder: String,
    pub term: i64,
}

/// The lease of this host, as work on the destination needs it: the key for statements that the server
/// guards, the fence for commands that it does not.
#[derive(Clone, Debug)]
pub struct Tenure {
    pub key: LeaseKey,
    pub fence: Fence,
}

impl LeaseKey {
    /// The guard of metadata, and of DDL that takes part in its transactions.
    pub fn guard(&self) -> Guard {
        self.guard_of(TERM_ID)
    }

    /// The guard of the applier with this number.
    pub fn applier_guard(&self, number: usize) -> Guard {
        debug_assert!(
            number < APPLIERS.len(),
            "each applier has a guard of its own"
        );
        self.guard_of(APPLIERS.get(number).copied().unwrap_or(APPLIERS[0]))
    }

    /// The guard of whoever writes documents between rounds, when no applier does.
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
    pub fn key(&self) -> LeaseKey {
        LeaseKey {
            holder: self.holder.clone(),
            term: self.term,
        }
    }
}

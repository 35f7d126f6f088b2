//! What a sync persists on the destination, and in which order.
//!
//! The host keeps nothing on disk: whatever must survive a crash is one of the
//! documents here, in [`crate::model::namespace::METADATA_DATABASE`], written
//! with majority write concern. Invariants kept by every writer:
//!
//! - whatever is written is written by the holder of the lease, in its term;
//! - the safe position is written only after everything at or before it is
//!   durable on the destination;
//! - a partition's `lastId` is written only after every document up to it is;
//! - a namespace's document is written after the DDL that it tells of, whose intent is written
//!   before it.

mod collections;
mod components;
mod copies;
mod documents;
mod intents;
mod lease;
mod legacy;
mod quarantine;
mod store;
mod tenure;

pub use copies::NewCopy;
pub use documents::{
    ComponentChunkDocument, ComponentDocument, CopyState, CopyTotals, IntentDocument, IntentKind,
    IntentState, LeaseDocument, METADATA_VERSION, NamespaceDocument, NamespaceKind,
    PartitionDocument, Phase, PinnedComponent, PositionDocument, Predecessor, QuarantineDocument,
    SessionDocument, SessionHeader, SessionSummary, SwapDocument, UpgradeDocument,
};
pub use lease::Claim;
pub use legacy::{RENAMED, newest_release_of};
pub use quarantine::QuarantinedId;
pub use store::{Reader, Store};
pub use tenure::{LeaseKey, Tenure};

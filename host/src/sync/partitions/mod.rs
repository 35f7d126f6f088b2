//! The partitions of the collections that are being copied, while the change stream is applied.
//!
//! ```text
//! unseen -> in work (since T0) -> done (at F)
//! ```
//!
//! An event of a document is decided by the state of the document's partition. *Unseen*: passed
//! over, since the partition is read later. *In work*: parked, which keeps the key alone, and
//! looked up when the partition is done. *Done*: applied; up to F documents may be newer than the
//! event.
//!
//! Invariants:
//!
//! - Deciding on events and beginning a partition are one critical section. T0 is the time of the
//!   newest decided event, and the partition is read at or after it.
//! - A partition is persisted as begun before its first insert, so a restart never finds it unseen.
//! - Places of keys that the server gave are forgotten when a split changes bounds.
//! - A collection that is withdrawn has no worker, and gets none until it is returned.

mod collection;
mod map;
mod parked_key;
mod partition;
mod persistence;
mod places;
mod queue;
pub(crate) mod server_order;
mod stay;
mod workers;

pub(crate) use collection::Decision;
pub(crate) use map::{FinishedPartition, PartitionMap};
pub(crate) use parked_key::ParkedKey;
pub(crate) use partition::{Partition, PartitionState};
pub(crate) use places::UnplacedKey;
pub(crate) use queue::CopyJob;
pub use server_order::places;
pub(crate) use stay::Stay;
pub(crate) use workers::{PartitionJob, TakenJob};

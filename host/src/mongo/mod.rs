//! The only room that talks to the driver.

mod clocks;
mod cluster;
mod destination;
mod errors;
mod fence;
pub mod preflight;
mod raw_reader;
mod reply;
mod transaction;
pub mod write;

pub use clocks::Moment;
pub use cluster::{
    AppliedOps, At, Client, Cluster, Database, Failures, Repeat, Sent, applied_ops, connect,
    end_transactions, end_writes, is_connected, last_write, last_written, listing, once, outage,
    ping_ms, retry, sample,
};
pub use destination::{Destination, DestinationDatabase};
pub use errors::{DriverError, Error, ServerError, Whereabouts, code, unreadable};
pub use fence::{Fence, FenceKeeper};
pub use raw_reader::{RawCursor, RawReader, RawReply};
pub use transaction::{
    Change, Documents, Guard, GuardCounts, GuardedWriter, Transacted, Transaction, raise_term,
};

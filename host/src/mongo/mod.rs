//! The only room that talks to the driver.

use crate::model::options::ClusterName;

mod change;
mod client;
pub mod code;
pub mod connect;
mod destination;
mod documents;
mod driver_error;
mod error;
pub mod faithful;
mod fence;
mod guarded;
mod guards;
pub mod listing;
mod moment;
mod operations;
mod operator;
pub mod preflight;
mod raw_reader;
mod reply;
mod retry;
pub mod sample;
mod selection;
mod server_error;
mod uri;
pub mod write;

pub use change::Change;
pub use client::{At, Client, Database};
pub use destination::{Destination, DestinationDatabase};
pub use documents::{Documents, Transaction};
pub use driver_error::{DriverError, unreadable};
pub use error::{Error, Whereabouts};
pub use fence::{Fence, FenceKeeper};
pub use guarded::{GuardedWriter, Transacted};
pub use guards::{Guard, GuardCounts, raise_term};
pub use moment::Moment;
pub use operations::{
    AppliedOps, applied_ops, end_transactions, end_writes, is_connected, last_written,
};
pub use raw_reader::{RawCursor, RawReader, RawReply};
pub use retry::{Failures, Repeat, Sent, once, outage, retry};
pub use server_error::ServerError;

/// One of the two clusters, connected.
#[derive(Clone)]
pub struct Cluster {
    pub name: ClusterName,
    pub client: Client,
}

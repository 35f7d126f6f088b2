//! Clusters: connections, reads, guarded writes, errors. The only room that names the driver.

mod authorization;
mod clocks;
mod cluster;
mod destination;
mod errors;
mod feature_probe;
mod fence;
mod id_filter;
pub mod preflight;
mod raw_cursor;
mod raw_reader;
mod read_transaction;
mod reply;
mod transaction;
pub mod write;
mod write_block;

pub use authorization::{
    OwnPrincipals, Principal, PrincipalKind, drop_principal, drop_temporary_principals,
    merge_principals, own_principals, principals, update_role,
};
pub use clocks::Moment;
pub use cluster::{
    ApplyOpsCounter, Client, Cluster, ClusterLoad, Contact, Database, Delivery, FailureRun, Retry,
    SecondaryProgress, ServerFeatures, StoragePressure, append_oplog_note, apply_ops_counter,
    client_writes, cluster_load, connect, delayed_members, end_transactions, end_writes,
    is_connected, last_write, last_written, listing, outage, ping_ms, retry, sample, send_once,
};
pub use destination::{Destination, DestinationDatabase};
pub use errors::{CollectionLocation, DriverError, Error, ServerError, code, unreadable};
pub use fence::{Fence, FenceKeeper};
pub use id_filter::with_id_filter;
pub use raw_cursor::{RawCursor, RawReply};
pub use raw_reader::RawReader;
pub use transaction::{
    Change, Documents, Guard, GuardCounts, GuardedWriter, Transaction, TransactionOutcome,
    raise_term,
};
pub use write_block::{OpenTransaction, is_write_blocked, open_transactions, set_write_block};

//! A cluster: connections to it, the policy for commands that fail, and the reads that any part of a sync needs.

mod client;
mod connection;
mod features;
pub mod listing;
mod load;
mod operations;
mod replica_set;
mod retry;
pub mod sample;
mod uri;

pub use client::{Client, Cluster, Contact, Database};
pub(super) use connection::{PATIENCE, admin, cluster_refusal};
pub use connection::{client_writes, connect, last_write, ping_ms};
pub use features::ServerFeatures;
pub use load::{ClusterLoad, SecondaryProgress, StoragePressure, cluster_load, delayed_members};
pub use operations::{
    ApplyOpsCounter, append_oplog_note, apply_ops_counter, end_transactions, end_writes,
    is_connected, last_written,
};
pub(super) use retry::bounded;
pub use retry::{Delivery, FailureRun, Retry, outage, retry, send_once};

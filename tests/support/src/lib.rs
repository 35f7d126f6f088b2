//! The test harness: real replica sets, the real host process, a workload and a comparison of both clusters byte
//! for byte.
//!
//! A scenario is a [`Rig`]: two clusters and a host between them.
//!
//! ```no_run
//! # async fn scenario() -> anyhow::Result<()> {
//! use serde_json::json;
//! use support::{Rig, doc};
//!
//! let rig = Rig::start().await?;
//! rig.source_db("app").collection("users").insert_one(doc! { "_id": 1 }).await?;
//! rig.host.start(json!({})).await?;
//! rig.finish().await?; // waits for canCommit, commits, compares, checks the log
//! # Ok(())
//! # }
//! ```
//!
//! No wait has a fixed time: every wait is for a condition, with a deadline and a message that shows the last
//! state.

mod api;
pub mod chain;
pub mod clock;
pub mod compare;
pub mod failovers;
pub mod faults;
pub mod guide;
pub mod hidden_ddl;
pub mod host;
pub mod log_check;
pub mod metadata;
pub mod mongod;
pub mod package;
pub mod process;
pub mod proxy;
pub mod registry;
pub mod release;
pub mod replica_set;
pub mod rig;
pub mod socks;
pub mod test_dir;
pub mod tls;
pub mod upgrade;
pub mod wait;
pub mod workload;

pub use bson::{Document, doc};
pub use compare::Comparison;
pub use host::Host;
pub use log_check::LogCheck;
pub use replica_set::ReplicaSet;
pub use rig::Rig;
pub use test_dir::TestDir;
pub use wait::wait_until;
pub use workload::Writer;

//! WebAssembly components: which there are, the box that each runs in, and the
//! two lines that a sync puts them in: the router for namespaces, the chain for
//! documents.
//!
//! A component is pure and boxed in: it has nothing to ask, each call has a deadline
//! and each instance a memory cap, and an instance that trapped is thrown away.
//! Nothing here is async: loading compiles and belongs off the async threads
//! (`spawn_blocking`), and so do calls (`block_in_place`), which take microseconds
//! but may take as long as their deadline.

mod abi;
mod bounds;
mod chain;
mod component;
mod config;
mod engine;
mod error;
mod featureset;
mod metrics;
mod migrator;
mod pins;
mod pool;
mod registry;
mod router;
mod secrets;
mod succession;
mod swap;
mod trap;
mod usage;
mod wasi;

pub use crate::model::succession::Succession;
pub use chain::{Chain, Fault, FaultKind, NamespaceChain, Outcome, Transformed};
pub use featureset::{ComponentInfo, FeatureSet, digest};
pub use migrator::{Direction, Migrator, Step};
pub use pins::{Pins, Slot};
pub use registry::{Installed, Registry, Scope};
pub use router::Router;
pub use secrets::in_clear;
pub use succession::succession;
pub use swap::{Answers, Change, Successors, self_check};
pub use trap::TrapKind;
pub use wasi::WasiPolicy;

#[cfg(test)]
mod tests;

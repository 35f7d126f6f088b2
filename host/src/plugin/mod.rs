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
mod adoption;
mod batch;
mod bounds;
mod chain;
mod component;
mod component_info;
mod config;
mod document_name;
mod engine;
mod error;
mod featureset;
mod guest;
mod migration;
mod migrator;
mod pins;
mod pool;
mod registry;
mod router;
mod secrets;
mod swap;
mod trap;
mod usage;
mod wasi;
mod wasi_linker;

pub use adoption::{Adoption, adoption};
pub use chain::{Chain, Fault, FaultKind, NamespaceChain, Outcome, Transformed};
pub use component_info::{ComponentInfo, Installed, InstalledPlugin, Scope, digest};
pub use featureset::FeatureSet;
pub use migration::{Direction, Step};
pub use migrator::Migrator;
pub use pins::{Pins, Slot};
pub use registry::Registry;
pub use router::Router;
pub use secrets::in_clear;
pub use swap::{Answers, Change, Successors, self_check};
pub use trap::TrapKind;
pub use wasi::WasiPolicy;

#[cfg(test)]
mod tests;

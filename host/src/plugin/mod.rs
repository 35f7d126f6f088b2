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
mod chain;
mod component_info;
mod document_name;
mod error;
mod feature_set;
mod migration;
mod migrator;
mod pins;
mod registry;
mod router;
mod runtime;
mod sandbox;
mod secrets;
mod swap;
mod usage;

pub use adoption::{Adoption, adoption};
pub use chain::{BatchOutput, Chain, Fault, FaultKind, NamespaceChain, Outcome};
pub use component_info::{ComponentInfo, InstalledComponent, InstalledPlugin, Scope, digest};
pub use feature_set::FeatureSet;
pub use migration::{Direction, MigrationStep};
pub use migrator::Migrator;
pub use pins::{Pins, Slot};
pub use registry::Registry;
pub use router::Router;
pub use sandbox::{TrapKind, WasiPolicy};
pub use secrets::plaintext_secrets;
pub use swap::{PreparedSwap, SlotSwap, SwapPolicy, self_check};

#[cfg(test)]
mod tests;

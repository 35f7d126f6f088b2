//! Plugins as WebAssembly components: the registry of components, their sandbox, and the two pipelines of a sync, the
//! router for namespaces and the chain for documents.
//!
//! A component is a pure function: it has no access to the host, each call has a deadline and each instance a memory
//! cap. An instance that trapped is discarded.
//!
//! Nothing here is async. Loading compiles, which belongs in `spawn_blocking`. Calls belong in `block_in_place`: they
//! take microseconds, and at most their deadline.

mod abi;
mod adoption;
mod batch;
mod chain;
mod document_name;
mod error;
mod feature_set;
mod installed_component;
mod migration;
mod migrator;
mod pins;
mod registry;
mod router;
mod runtime;
mod sandbox;
mod secrets;
mod shadow;
mod swap;
mod usage;

pub use crate::model::ComponentInfo;
pub use adoption::{Adoption, adoption};
pub use chain::{BatchOutput, Chain, Fault, FaultKind, NamespaceChain, Outcome};
pub use feature_set::FeatureSet;
pub use installed_component::{InstalledComponent, InstalledPlugin, Scope, digest};
pub use migration::{Direction, MigrationStep};
pub use migrator::Migrator;
pub use pins::{Pins, Slot};
pub use registry::Registry;
pub use router::Router;
pub use sandbox::{TrapKind, WasiPolicy};
pub use secrets::plaintext_secrets;
pub use shadow::begin_shadow;
pub use swap::{PreparedSwap, SlotSwap, SwapPolicy, self_check};

#[cfg(test)]
mod tests;

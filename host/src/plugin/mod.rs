//! WebAssembly components: loading, limits, and calls into them.
//!
//! A component is pure and boxed in: it imports nothing, each call has a deadline
//! and each instance a memory cap, and an instance that trapped is thrown away.
//! Nothing here is async: loading compiles and belongs off the async threads
//! (`spawn_blocking`); a call takes microseconds and may be made anywhere.

mod abi;
mod component;
mod engine;
mod error;
mod featureset;
mod pool;
mod router;

pub use featureset::{ComponentInfo, FeatureSet};
pub use router::Router;

#[cfg(test)]
mod tests;

//! The sandbox of components: engines with limits, the data of a guest, traps, and a WASI that grants nothing.

pub(super) mod bounds;
mod engine;
mod guest;
mod observe_linker;
mod observer;
mod trap;
mod wasi;
mod wasi_linker;

pub(super) use engine::{Engine, Engines, Limits};
pub(super) use guest::Guest;
pub(super) use observer::Observer;
pub(super) use trap::Trap;
pub use trap::TrapKind;
pub use wasi::WasiPolicy;
pub(super) use wasi::is_wasi;

//! Links `tidegate:plugin/observe@1.1.0` to guests. Without an observer the functions do nothing.
//!
//! Invariant: no function answers, so no guest learns from it what the host does with a line or a count.

use wasmtime::component::{HasSelf, Linker};

use crate::model::plugins::LogLevel;

use super::guest::Guest;

mod bindings {
    wasmtime::component::bindgen!({
        path: "../wit/since-v1.1.0",
        inline: "package tidegate:host-observe;
            world observing {
                import tidegate:plugin/observe@1.1.0;
            }",
        world: "tidegate:host-observe/observing",
    });
}

use bindings::tidegate::plugin::observe;

/// Adds the interface to the linker.
pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    observe::add_to_linker::<Guest, HasSelf<Guest>>(linker, |guest| guest)
}

impl observe::Host for Guest {
    fn log(&mut self, level: observe::Level, message: String) {
        if let Some(observer) = self.observer() {
            observer.log(level.into(), &message);
        }
    }

    fn count(&mut self, name: String, delta: u64) {
        if let Some(observer) = self.observer() {
            observer.count(&name, delta);
        }
    }
}

impl From<observe::Level> for LogLevel {
    fn from(level: observe::Level) -> Self {
        match level {
            observe::Level::Info => Self::Info,
            observe::Level::Warn => Self::Warn,
        }
    }
}

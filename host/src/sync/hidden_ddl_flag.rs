//! Whether hidden DDL was found: what the watch of the source's catalog tells the stream.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Set from a comparison that finds hidden DDL until a resync begins.
#[derive(Default)]
pub(crate) struct HiddenDdlFlag {
    is_found: AtomicBool,
}

impl HiddenDdlFlag {
    /// Whether hidden DDL was found, and no resync has begun since.
    pub(super) fn has_found(&self) -> bool {
        self.is_found.load(Relaxed)
    }

    /// Notes hidden DDL.
    pub(super) fn note(&self) {
        self.is_found.store(true, Relaxed);
    }

    /// Forgets what was found, before a resync.
    pub(super) fn forget(&self) {
        self.is_found.store(false, Relaxed);
    }
}

//! The data that the host keeps for one guest, and the caps on its memory.

use std::sync::Arc;

use wasmtime::ResourceLimiter;

use super::observer::Observer;
use super::wasi::{Wasi, WasiPolicy};

/// The caps of an instance.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caps {
    /// Total size of its memories.
    memory_bytes: usize,
    /// Total size of its tables.
    table_elements: usize,
    /// Most core instances, memories and tables, each.
    parts: usize,
}

impl Caps {
    pub(super) fn small(memory_bytes: usize) -> Self {
        Self {
            memory_bytes,
            table_elements: 20_000,
            parts: 16,
        }
    }

    /// Python has a core instance for each of its extension modules.
    pub(super) fn large(memory_bytes: usize) -> Self {
        Self {
            memory_bytes,
            table_elements: 1_000_000,
            parts: 1_000,
        }
    }
}

/// The host's data of a guest.
pub(in super::super) struct Guest {
    caps: Caps,
    wanted_more: bool,
    /// Current size of all memories.
    memory_bytes: usize,
    /// Current size of all tables.
    table_elements: usize,
    wasi: Option<Box<Wasi>>,
    policy: WasiPolicy,
    /// `None` while nothing is observed.
    observer: Option<Arc<dyn Observer>>,
}

impl Guest {
    pub(super) fn new(caps: Caps, policy: WasiPolicy) -> Self {
        Self {
            caps,
            wanted_more: false,
            memory_bytes: 0,
            table_elements: 0,
            wasi: None,
            policy,
            observer: None,
        }
    }

    /// Whether the guest has requested more memory than its cap.
    pub(in super::super) fn wanted_more(&self) -> bool {
        self.wanted_more
    }

    /// Current size of all its memories in bytes.
    pub(in super::super) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// Sets the observer of the next call.
    pub(in super::super) fn set_observer(&mut self, observer: Option<Arc<dyn Observer>>) {
        self.observer = observer;
    }

    pub(super) fn observer(&self) -> Option<&dyn Observer> {
        self.observer.as_deref()
    }

    /// The WASI context, created on first use.
    pub(super) fn wasi(&mut self) -> &mut Wasi {
        let policy = self.policy;
        self.wasi
            .get_or_insert_with(|| Box::new(Wasi::granting_nothing(policy)))
    }
}

impl ResourceLimiter for Guest {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let together = self
            .memory_bytes
            .saturating_add(desired.saturating_sub(current));
        let allowed = together <= self.caps.memory_bytes;
        if allowed {
            self.memory_bytes = together;
        }
        self.wanted_more |= !allowed;
        Ok(allowed)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let together = self
            .table_elements
            .saturating_add(desired.saturating_sub(current));
        let allowed = together <= self.caps.table_elements;
        if allowed {
            self.table_elements = together;
        }
        Ok(allowed)
    }

    fn instances(&self) -> usize {
        self.caps.parts
    }

    fn tables(&self) -> usize {
        self.caps.parts
    }

    fn memories(&self) -> usize {
        self.caps.parts
    }
}

//! The lock between batches and swaps.

use std::sync::Arc;

use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Shared while a batch takes its components, exclusive while components are switched.
///
/// Invariant: a batch takes either the components before a swap or those after it, never a mixture.
#[derive(Clone, Default)]
pub(in super::super) struct SwapLock(Arc<RwLock<()>>);

impl SwapLock {
    pub(super) fn shared(&self) -> RwLockReadGuard<'_, ()> {
        self.0.read()
    }

    pub(in super::super) fn exclusive(&self) -> RwLockWriteGuard<'_, ()> {
        self.0.write()
    }
}

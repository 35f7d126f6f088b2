//! The memory budget for documents. A read of the source takes a share before it starts and keeps
//! it until its documents are written.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// KiB of documents in memory, over all workers and look-ups.
const KIB: usize = 96 * 1024;

/// The server's largest reply, in KiB.
const REPLY_KIB: u32 = 16 * 1024 + 64;

/// The budget of one sync, shared by all its readers.
#[derive(Clone)]
pub(crate) struct Budget(Arc<Semaphore>);

/// A share of the budget, given back when it is dropped.
pub(crate) struct Share(Option<OwnedSemaphorePermit>);

impl Budget {
    /// A budget of 96 MiB.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(KIB)))
    }

    /// Takes a share for a reply of any size, after waiting for it.
    ///
    /// Cancel safe: a dropped call takes no share.
    pub(crate) async fn reserve(&self) -> Share {
        // The budget is never closed, so a permit always comes.
        Share(self.0.clone().acquire_many_owned(REPLY_KIB).await.ok())
    }
}

impl Share {
    /// Gives back the part of the share that a reply of `bytes` bytes does not need.
    pub(crate) fn keep(&mut self, bytes: usize) {
        if let Some(share) = &mut self.0 {
            let kib = bytes / 1024 + 1;
            drop(share.split(share.num_permits().saturating_sub(kib)));
        }
    }
}

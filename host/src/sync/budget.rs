//! The bytes of documents that are in memory at once: what is read of the source takes a share before it is
//! read, and keeps it until it is written.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// KiB of documents in memory at once, over all workers and look-ups.
const KIB: usize = 96 * 1024;

/// The server's largest reply, in KiB.
const REPLY_KIB: u32 = 16 * 1024 + 64;

/// Shared by all that read documents for one sync.
#[derive(Clone)]
pub(crate) struct Budget(Arc<Semaphore>);

/// A part of the budget, given back when it is dropped.
pub(crate) struct Share(Option<OwnedSemaphorePermit>);

impl Budget {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(KIB)))
    }

    /// A share for one reply of any size. Waits until there is one.
    pub(crate) async fn reserve(&self) -> Share {
        // The budget is never closed, so a permit always comes.
        Share(self.0.clone().acquire_many_owned(REPLY_KIB).await.ok())
    }
}

impl Share {
    /// Gives back what a reply of `bytes` did not take.
    pub(crate) fn keep(&mut self, bytes: usize) {
        if let Some(share) = &mut self.0 {
            let kib = bytes / 1024 + 1;
            drop(share.split(share.num_permits().saturating_sub(kib)));
        }
    }
}

//! The memory budgets for documents. A read of the source takes a share before it starts and keeps
//! it until its documents are written.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// KiB of documents in memory over all workers of the copy.
const COPY_KIB: usize = 96 * 1024;

/// KiB of documents that are looked up for the stream, which never waits for the copy.
const LOOK_UP_KIB: usize = 48 * 1024;

/// The server's largest reply, in KiB.
const REPLY_KIB: u32 = 16 * 1024 + 64;

/// A budget, shared by all its readers.
#[derive(Clone)]
pub(crate) struct Budget(Arc<Semaphore>);

/// A share of the budget, given back when it is dropped.
pub(crate) struct Share(Option<OwnedSemaphorePermit>);

impl Budget {
    /// The budget of the workers of the copy, 96 MiB.
    pub(crate) fn of_copy() -> Self {
        Self(Arc::new(Semaphore::new(COPY_KIB)))
    }

    /// The budget of the look-ups of the stream, 48 MiB.
    pub(crate) fn of_look_ups() -> Self {
        Self(Arc::new(Semaphore::new(LOOK_UP_KIB)))
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

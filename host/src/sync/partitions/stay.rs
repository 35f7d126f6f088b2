//! The presence of a worker in a collection.

use std::sync::Arc;

use super::PartitionMap;
use crate::model::event::CollectionUuid;

/// A worker is in a collection until this is dropped. It leaves at the next batch boundary after
/// [`Self::must_leave`] says so.
pub(crate) struct Stay {
    pub(super) map: Arc<PartitionMap>,
    pub(super) uuid: CollectionUuid,
}

impl Stay {
    /// The collection.
    pub(crate) fn uuid(&self) -> CollectionUuid {
        self.uuid
    }

    /// Whether the collection is withdrawn.
    pub(crate) fn must_leave(&self) -> bool {
        self.map.is_withdrawn(self.uuid)
    }

    /// Completes when the collection is withdrawn.
    ///
    /// Cancel safe.
    pub(crate) async fn withdrawn(&self) {
        loop {
            let changed = self.map.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.must_leave() {
                return;
            }
            changed.await;
        }
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.map.leave(self.uuid);
    }
}

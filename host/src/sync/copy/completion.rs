//! Copied partitions on their way to the metadata.

use super::{plan::CollectionCopy, progress::show_copied_state};
use crate::{
    metadata::{CopyState, NamespaceDocument, PartitionDocument},
    observe::failpoint,
    sync::{Context, Error},
};

/// Partitions that are copied, and the collections of which they were the last ones: not yet persisted.
/// Those without documents wait for others, since persisting costs more than copying them again.
#[derive(Default)]
pub(super) struct Completion {
    partitions: Vec<PartitionDocument>,
    namespaces: Vec<NamespaceDocument>,
}

impl Completion {
    /// Partitions that are persisted together.
    const TOGETHER: usize = 100;

    pub(super) async fn take(&mut self, collection: &CollectionCopy, partition: PartitionDocument) {
        let mut namespace = collection.namespace.lock().await;
        namespace.documents += partition.documents;
        namespace.bytes += partition.bytes;
        let mut unfinished = collection.unfinished.lock().await;
        debug_assert!(*unfinished > 0, "a partition is copied once");
        *unfinished -= 1;
        if *unfinished == 0 {
            namespace.copy_state = namespace.copy_state.max(CopyState::Copied);
            self.namespaces.push(namespace.clone());
        }
        self.partitions.push(partition);
    }

    pub(super) fn is_worth_it(&self) -> bool {
        self.partitions.len() >= Self::TOGETHER
            || self.partitions.iter().any(|done| done.documents > 0)
    }

    pub(super) async fn persist(&mut self, context: &Context) -> Result<(), Error> {
        let Self {
            partitions,
            namespaces,
        } = std::mem::take(self);
        context.store.put_done(&partitions, &namespaces).await?;
        show_copied_state(context, &namespaces);
        if !partitions.is_empty() {
            failpoint("copy_partition_done");
        }
        Ok(())
    }
}

//! Copied partitions that are not persisted yet.

use super::{plan::CollectionCopy, progress::show_copied_state};
use crate::{
    metadata::{CopyState, NamespaceDocument, PartitionDocument},
    observe::failpoint,
    sync::{Context, Error},
};

/// Copied partitions, and the collections that they complete, until they are persisted together.
/// Partitions without documents wait for others, since persisting such a partition costs more than
/// copying it again.
#[derive(Default)]
pub(super) struct Completion {
    partitions: Vec<PartitionDocument>,
    namespaces: Vec<NamespaceDocument>,
}

impl Completion {
    /// Partitions that are persisted together.
    const TOGETHER: usize = 100;

    /// Adds a copied partition, and its collection if that was the last.
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

    /// Whether the completed partitions are worth a transaction.
    pub(super) fn is_worth_it(&self) -> bool {
        self.partitions.len() >= Self::TOGETHER
            || self.partitions.iter().any(|done| done.documents > 0)
    }

    /// Persists the completed partitions and collections together.
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

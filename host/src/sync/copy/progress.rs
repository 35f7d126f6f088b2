//! The shown progress of the copy.

use crate::{
    metadata::{CopyState, NamespaceDocument, PartitionDocument},
    sync::Context,
};

/// Shows the collections, with nothing copied yet.
pub(in crate::sync) fn show(context: &Context, namespaces: &[NamespaceDocument]) {
    for namespace in namespaces {
        let state = state_name(namespace.copy_state);
        let collections = &context.status.collections;
        collections.begin(&namespace.source, &namespace.destination, state);
    }
}

/// The name of a collection's state in `/progress`.
pub(in crate::sync) fn state_name(state: CopyState) -> &'static str {
    match state {
        CopyState::Pending => "pending",
        CopyState::Copying => "copying",
        CopyState::Copied => "copied",
        CopyState::Ready => "ready",
    }
}

/// Shows the documents that an earlier run has copied: those of the collection's partitions, or of
/// its record if it has no partitions any more.
pub(in crate::sync) fn show_counts(
    context: &Context,
    namespace: &NamespaceDocument,
    partitions: &[PartitionDocument],
) {
    let to_u64 = |n: i64| u64::try_from(n).unwrap_or_default();
    let mut counts = (namespace.documents, namespace.bytes);
    if namespace.copy_state == CopyState::Copying {
        let copied = partitions.iter();
        counts = copied.fold((0, 0), |(documents, bytes), it| {
            (documents + it.documents, bytes + it.bytes)
        });
    }
    let (documents, bytes) = (to_u64(counts.0), to_u64(counts.1));
    context.status.copied(&namespace.source, documents, bytes);
}

//! Collections that are compared again, since a swapped component gives other answers for their
//! documents, an operator asked for it, or the stream's position was lost.
//!
//! A swap lists them in the session, in the write that persists the new pins, so a crash leaves
//! both or neither. Then their namespaces and partitions are marked, and the list is cleared. Every
//! step can be repeated.
//!
//! Invariant: no round is being applied and no worker is in the collections while they are marked.
//! Their documents are read later than every event up to then, so such events are passed over.

use crate::{
    metadata::{CopyState, NamespaceDocument, PartitionDocument},
    sync::{Context, Error, catalog::options},
};

/// Collections that are marked in one transaction.
const TOGETHER: usize = 100;

/// A namespace, and its partitions where they stay, as they are to be persisted.
pub(in crate::sync) type ComparisonMark = (NamespaceDocument, Vec<PartitionDocument>);

/// Marks the collections with these ids. Returns their namespaces.
pub(in crate::sync) async fn mark(
    context: &Context,
    ids: &[String],
) -> Result<Vec<NamespaceDocument>, Error> {
    let mut all = Vec::with_capacity(ids.len());
    for ids in ids.chunks(TOGETHER) {
        let mut namespaces = Vec::with_capacity(ids.len());
        for id in ids {
            namespaces.extend(context.store.namespace(id).await?);
        }
        let marked = marked(context, namespaces).await?;
        let (namespaces, partitions): (Vec<_>, Vec<_>) = marked.into_iter().unzip();
        context
            .store
            .put_marked(&namespaces, &partitions.concat())
            .await?;
        show(context, &namespaces);
        all.extend(namespaces);
    }
    Ok(all)
}

/// The marked form of namespaces. A collection whose copy is unfinished keeps its partitions, since
/// those that are unseen are copied as before.
pub(in crate::sync) async fn marked(
    context: &Context,
    namespaces: Vec<NamespaceDocument>,
) -> Result<Vec<ComparisonMark>, Error> {
    let unfinished = namespaces
        .iter()
        .filter(|namespace| namespace.copy_state == CopyState::Copying);
    let ids: Vec<&str> = unfinished.map(|namespace| namespace.id.as_str()).collect();
    let mut partitions = context.store.partitions_of(&ids).await?;
    let marked = namespaces.into_iter().map(|mut namespace| {
        let is_capped = options::is_capped(&namespace.options);
        let kept = partitions.remove(&namespace.id).unwrap_or_default();
        (namespace.documents, namespace.bytes) = (0, 0);
        if kept.is_empty() || is_capped {
            // A collection that does not exist on the destination is not compared.
            namespace.compare =
                !is_capped && (namespace.copy_state > CopyState::Pending || namespace.compare);
            namespace.copy_state = CopyState::Pending;
            return (namespace, Vec::new());
        }
        (namespace, kept.into_iter().map(compared).collect())
    });
    Ok(marked.collect())
}

/// A partition that is compared, if any document of it was copied.
fn compared(partition: PartitionDocument) -> PartitionDocument {
    let is_unseen = !partition.done && !partition.begun;
    PartitionDocument {
        compare: partition.compare || !is_unseen,
        // Its inserts may still arrive.
        suspect: partition.suspect || partition.begun,
        done: false,
        begun: false,
        begun_at: None,
        done_at: None,
        last_id: None,
        documents: 0,
        bytes: 0,
        ..partition
    }
}

/// Shows marked collections as pending, and forgets their quarantined documents.
pub(in crate::sync) fn show(context: &Context, namespaces: &[NamespaceDocument]) {
    for namespace in namespaces {
        context.quarantine.forget(&context.status, &namespace.id);
        context.status.count_again(&namespace.source);
        let collections = &context.status.collections;
        collections.begin(&namespace.source, &namespace.destination, "pending");
    }
}

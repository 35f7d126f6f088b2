//! Collections that have to be copied again, because a swapped component gives other answers for
//! their documents.
//!
//! The swap lists them in the session, in the write that persists the new pins, so a crash leaves
//! both or neither. Then each collection is marked as pending, the list is cleared, and pending
//! collections are copied before the next change event is applied. Every step can be repeated:
//! while the list exists nothing has been copied, and afterwards the copy state of each namespace
//! says how far it is.
//!
//! The position stays where the swap found it, and the copy reads at or after it. Later events
//! repeat the changes since, as they do after the first copy.

use crate::{
    metadata::{CopyState, NamespaceDocument},
    model::progress::CollectionProgress,
    observe::failpoint,
    sync::{Context, Error, Record},
};

/// Marks the collections that the session lists as pending, removes their quarantine entries, and
/// clears the list.
pub(crate) async fn mark_pending(record: &Record) -> Result<Vec<NamespaceDocument>, Error> {
    let listed = record.get().recopy;
    let mut marked = Vec::new();
    if listed.is_empty() {
        return Ok(marked);
    }
    let store = record.store();
    for id in listed {
        let Some(mut namespace) = store.namespace(&id).await? else {
            continue;
        };
        store.remove_quarantined_of(&id).await?;
        namespace.copy_state = CopyState::Pending;
        (namespace.documents, namespace.bytes) = (0, 0);
        store.put_namespace(&namespace).await?;
        marked.push(namespace);
    }
    failpoint("recopy_marked");
    record.update(|session| session.recopy.clear()).await?;
    Ok(marked)
}

/// Like [`mark_pending`], while the work runs: also updates its quarantine and the shown progress.
pub(crate) async fn mark_pending_in(context: &Context) -> Result<(), Error> {
    for namespace in mark_pending(&context.record).await? {
        context.quarantine.forget(&context.status, &namespace.id);
        context.status.set_collection(CollectionProgress {
            namespace: namespace.source,
            destination: namespace.destination,
            state: "pending",
            documents: 0,
            bytes: 0,
        });
    }
    Ok(())
}

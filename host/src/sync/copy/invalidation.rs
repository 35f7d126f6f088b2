//! Copies collections again whose documents a swapped component would answer otherwise.
//!
//! The swap lists them in the session, in the same write as the new pins: a crash
//! leaves both or neither. Then each is marked as pending, the list is cleared, and
//! whatever is pending is copied before another change event is applied. All of this
//! can be repeated from any point: as long as the list is there nothing has been
//! copied, and from then on a namespace's own copy state says how far it is.
//!
//! The position stays where the swap found it, and the copy reads at or after it.
//! So the events behind it repeat what has happened since, as they do behind the
//! first copy.

use crate::{
    metadata::{CopyState, NamespaceDocument},
    model::progress::CollectionProgress,
    observe::failpoint,
    sync::{Context, Error, Record},
};

/// Marks what the session lists as pending. What was put aside of it is judged anew, too.
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

/// The same while a sync's work runs: what it knows and shows is brought up to date, too.
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

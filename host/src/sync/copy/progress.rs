//! The shown progress of the copy.

use crate::{
    metadata::{CopyState, NamespaceDocument},
    model::progress::CollectionProgress,
    sync::{Context, Error, index_build},
};

/// Shows the copy of an earlier run.
pub(in crate::sync) async fn show_copied(context: &Context) -> Result<(), Error> {
    let namespaces = context.store.namespaces().await?;
    show(context, &namespaces);
    for namespace in &namespaces {
        context.status.copied(
            &namespace.source,
            to_u64(namespace.documents),
            to_u64(namespace.bytes),
        );
    }
    index_build::plan(context, &namespaces);
    Ok(())
}

/// Shows the collections, with nothing copied yet.
pub(super) fn show(context: &Context, namespaces: &[NamespaceDocument]) {
    for namespace in namespaces {
        context.status.set_collection(CollectionProgress {
            namespace: namespace.source.clone(),
            destination: namespace.destination.clone(),
            state: state_name(namespace.copy_state),
            documents: 0,
            bytes: 0,
        });
    }
}

fn state_name(state: CopyState) -> &'static str {
    match state {
        CopyState::Pending => "pending",
        CopyState::Copying => "copying",
        CopyState::Copied => "copied",
        CopyState::Ready => "ready",
    }
}

/// Shows the collections as copied.
pub(super) fn show_copied_state(context: &Context, namespaces: &[NamespaceDocument]) {
    for namespace in namespaces {
        context
            .status
            .with_collection(&namespace.source, |collection| collection.state = "copied");
    }
}

/// A count of the metadata; 0 if it is negative.
pub(super) fn to_u64(n: i64) -> u64 {
    u64::try_from(n).unwrap_or_default()
}

//! Restores on the destination what was relaxed while the sync ran.
//!
//! The source's catalog is read again and the destination's is brought to it:
//! missing indexes are built, those that the source no longer has are dropped,
//! then unique, TTL and hidden settings, capped sizes and views are restored.
//! Nothing here stops at a failure: what cannot be restored is named. At the end all options and
//! indexes are compared with the source's, and what differs for whatever cause is named too. Every
//! step can be repeated, so a crash in between only means doing it again.

mod collection;
mod difference;
mod view;

use std::collections::HashMap;

use futures::{StreamExt, stream};

use super::{
    Context, Error,
    catalog::{self, destination},
};
use crate::metadata::NamespaceKind;
use collection::CollectionRestoration;

/// Collections that are restored at the same time. Each waits for majorities most of the time.
const PARALLEL: usize = 16;

/// Restores everything and gives what could not be restored, by name, in one sentence each without a final stop.
pub(super) async fn restore(context: &Context) -> Result<Vec<String>, Error> {
    let catalog = catalog::capture(&context.source, &context.scope).await?;
    let known = context.store.namespaces().await?;
    let known: HashMap<_, _> = known
        .iter()
        .map(|namespace| (namespace.id.as_str(), namespace))
        .collect();
    let (views, collections): (Vec<_>, Vec<_>) = catalog
        .entries
        .into_iter()
        .partition(|entry| entry.kind == NamespaceKind::View);
    let mut not_restored = stream::iter(collections)
        .map(|entry| {
            let synced = known
                .get(entry.document().id.as_str())
                .map(|namespace| destination::on_destination(namespace));
            async move {
                match synced {
                    Some(collection) if collection.namespace == entry.destination => {
                        CollectionRestoration::new(context, entry, collection)
                            .restore()
                            .await
                    }
                    _ => Ok(vec![format!(
                        "{} has changed on the source after commit",
                        entry.source
                    )]),
                }
            }
        })
        .buffer_unordered(PARALLEL)
        .collect::<Vec<_>>()
        .await
        .into_iter()
        .collect::<Result<Vec<_>, Error>>()?
        .concat();
    for view in views {
        if let Err(error) = view::create_view(context, &view.document()).await {
            let error = error.unless_fatal()?;
            not_restored.push(format!("view {}: {error}", view.source));
        }
    }
    not_restored.sort();
    for what in &not_restored {
        tracing::warn!(what, "not restored");
    }
    Ok(not_restored)
}

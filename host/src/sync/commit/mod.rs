//! The restoration of relaxed settings on the destination.
//!
//! The source's catalog is read again and the destination is brought to it: missing indexes are
//! built, indexes that the source no longer has are dropped, then unique, TTL and hidden settings,
//! capped sizes and views are restored. A failure stops nothing: each subject that cannot be
//! restored is named. At the end all options and indexes are compared with the source's, and every
//! difference is named, whatever its cause. Each step can be repeated, so a crash only means doing
//! it again.

mod collection;
mod functions;
mod late_writes;
mod principals;
mod undo;
mod view;

use std::collections::HashMap;

use futures::{StreamExt, stream};

use super::{
    Context, Error,
    catalog::{self, CatalogEntry, destination},
};
use crate::{metadata::NamespaceKind, mongo::write::CollectionRef};
use collection::CollectionRestoration;
pub(super) use late_writes::find as late_writes;
pub(super) use principals::drop_left_copies;
pub use principals::survey_principals;
pub(super) use undo::relax_again;

/// Collections that are restored in parallel. Each mostly waits for majorities.
const PARALLEL: usize = 16;

/// Restores everything. Returns a sentence, without a full stop, for each subject that could not be
/// restored.
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
            restore_collection(context, entry, synced)
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
    if let Some(options) = context.options.users_and_roles {
        match principals::merge(context, options).await {
            Ok(complaint) => not_restored.extend(complaint),
            Err(error) => not_restored.push(format!("users and roles: {}", error.unless_fatal()?)),
        }
    }
    not_restored.extend(functions::restore(context).await?);
    not_restored.sort();
    for what in &not_restored {
        tracing::warn!(what, "not restored");
    }
    Ok(not_restored)
}

/// Restores a collection, unless it was created or renamed after the commit's time.
async fn restore_collection(
    context: &Context,
    entry: CatalogEntry,
    synced: Option<CollectionRef>,
) -> Result<Vec<String>, Error> {
    match synced {
        Some(collection) if collection.namespace == entry.destination => {
            CollectionRestoration::new(context, entry, collection)
                .restore()
                .await
        }
        _ => Ok(vec![format!(
            "{} has changed on the source after commit",
            entry.source.shown()
        )]),
    }
}

//! The collections in scope, and the destination of their events.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{Context, Error};
use crate::{
    metadata::{CopyState, NamespaceDocument, NamespaceKind},
    model::{Namespace, event::CollectionUuid, raw::kind},
    mongo::write::CollectionRef,
    plugin::NamespaceChain,
    sync::catalog::{destination, options, time_series::refuse_transformed},
};

/// A collection in scope, as of the event that is being read.
pub(super) struct TrackedCollection {
    /// Its UUID on the source.
    pub(super) uuid: CollectionUuid,
    /// Its name on the source.
    pub(super) source: Namespace,
    /// The collection on the destination.
    pub(super) collection: CollectionRef,
    /// Takes no transactions.
    pub(super) capped: bool,
    /// Different strings in `_id`s are equal under the collection's collation.
    pub(super) collated: bool,
    /// See [`options::is_clustered`].
    pub(super) clustered: bool,
    /// The plugins that see its documents. They get whole documents, so updates of the collection
    /// are never deltas.
    pub(super) chain: Option<NamespaceChain>,
}

/// Types of `_id`s that are compared under a collation: strings, and types that can hold strings.
const COLLATED: [u8; 4] = [kind::STRING, kind::SYMBOL, kind::DOCUMENT, kind::ARRAY];

/// Every collection in scope, by its UUID on the source. Events of other collections are ignored.
#[derive(Default)]
pub(super) struct TrackedCollections {
    by_uuid: HashMap<CollectionUuid, Arc<TrackedCollection>>,
    /// Collections that a DDL event has created, whose UUID on the destination is not known.
    created: HashSet<CollectionUuid>,
}

impl TrackedCollection {
    /// Whether the order of the document's events matters beyond the document itself: natural order
    /// is data, and different `_id`s can be equal under a collation.
    pub(super) fn is_strict(&self, id_kind: u8) -> bool {
        self.capped || self.collated && COLLATED.contains(&id_kind)
    }

    /// The id of its namespace's document.
    pub(super) fn namespace_id(&self) -> String {
        NamespaceDocument::id_of_uuid(self.uuid)
    }
}

impl TrackedCollections {
    /// Takes the collections of the metadata.
    pub(super) async fn load(
        &mut self,
        context: &Context,
        namespaces: &[NamespaceDocument],
    ) -> Result<(), Error> {
        for namespace in namespaces {
            self.insert(context, namespace)?;
        }
        self.fill_uuids(context).await
    }

    /// Looks up and records the UUIDs of collections that were just created on the destination.
    pub(super) async fn fill_uuids(&mut self, context: &Context) -> Result<(), Error> {
        for uuid in std::mem::take(&mut self.created) {
            let id = NamespaceDocument::id_of_uuid(uuid);
            let Some(mut namespace) = context.store.namespace(&id).await? else {
                continue;
            };
            let name = &namespace.destination;
            namespace.destination_uuid = destination::destination_uuid(
                &context.destination,
                &name.database,
                &name.collection,
            )
            .await?;
            context.store.put_namespace(&namespace).await?;
            self.insert(context, &namespace)?;
        }
        Ok(())
    }

    /// The collection with this UUID; `None` if it is out of scope.
    pub(super) fn get(&self, uuid: Option<CollectionUuid>) -> Option<&Arc<TrackedCollection>> {
        self.by_uuid.get(&uuid?)
    }

    /// All collections.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<TrackedCollection>> {
        self.by_uuid.values()
    }

    /// Adds a collection, or changes its name. A collection that is being copied is added too: its
    /// DDL is applied, and its partitions decide on the other events.
    pub(super) fn insert(
        &mut self,
        context: &Context,
        namespace: &NamespaceDocument,
    ) -> Result<(), Error> {
        if namespace.kind != NamespaceKind::Collection {
            return Ok(());
        }
        if let Some(series) = namespace.source.time_series() {
            refuse_transformed(&context.chain, &[series])?;
        }
        if let Some(uuid) = namespace.uuid() {
            let tracked = TrackedCollection {
                uuid,
                source: namespace.source.clone(),
                collection: destination::on_destination(namespace),
                capped: options::is_capped(&namespace.options),
                collated: options::is_collated(&namespace.options),
                clustered: options::is_clustered(&namespace.options),
                chain: context.chain.of(&namespace.source)?,
            };
            let is_created = namespace.copy_state == CopyState::Ready;
            if is_created && tracked.collection.uuid.is_none() {
                self.created.insert(uuid);
            }
            self.by_uuid.insert(uuid, Arc::new(tracked));
        }
        Ok(())
    }

    /// Looks up the plugins of each collection again.
    pub(super) fn refresh(&mut self, context: &Context) -> Result<(), Error> {
        for tracked in self.by_uuid.values_mut() {
            if let Some(series) = tracked.source.time_series() {
                refuse_transformed(&context.chain, &[series])?;
            }
            *tracked = Arc::new(TrackedCollection {
                chain: context.chain.of(&tracked.source)?,
                source: tracked.source.clone(),
                collection: tracked.collection.clone(),
                ..**tracked
            });
        }
        Ok(())
    }

    /// Whether any collection has another name on the destination.
    pub(super) fn has_renamed(&self) -> bool {
        self.by_uuid
            .values()
            .any(|tracked| tracked.source != tracked.collection.namespace)
    }

    /// Forgets a collection that was dropped.
    pub(super) fn remove(&mut self, uuid: CollectionUuid) -> Option<Arc<TrackedCollection>> {
        self.created.remove(&uuid);
        self.by_uuid.remove(&uuid)
    }
}

//! Created collections.

use bson::{RawDocument, RawDocumentBuf};

use super::{operation::DdlOperation, view::is_view};
use crate::{
    metadata::{CopyState, IntentKind, NamespaceDocument, NamespaceKind, SessionDocument},
    model::Namespace,
    mongo::{Change, code, listing},
    observe::failpoint,
    sync::{
        Error,
        catalog::{self, database_names, destination, options, time_series},
        restore::relaxation,
    },
};

impl DdlOperation<'_, '_> {
    /// Applies a create event. Returns whether it was in scope, as all kinds of events do.
    pub(super) async fn create(&mut self) -> Result<bool, Error> {
        let source = self.namespace();
        let Some(destination) = self.context.scope.destination(&source)? else {
            return Ok(false);
        };
        if self.tracked_collections.get(self.event.uuid).is_some() {
            return Ok(false);
        }
        self.refuse_collision(&source, &destination).await?;
        let options = self.description()?;
        if !self.is_faithful(&source, options).await? {
            return Ok(false);
        }
        if self.event.uuid.is_none() {
            return self.create_view(source, destination, options).await;
        }
        if let Some(series) = source.time_series()
            && !self.is_taken(&series).await?
        {
            return Ok(false);
        }
        if options::is_capped(options) {
            // convertToCapped and cloneCollectionAsCapped fill the collection with documents that
            // no event reports.
            return self.copy_beside(source, destination).await;
        }
        let listed = self.listed_on_source(&source).await?;
        let id_index = listed
            .as_deref()
            .and_then(|listed| listing::subdocument(listed, "idIndex"));
        let entry = catalog::CatalogEntry {
            kind: NamespaceKind::Collection,
            destination,
            uuid: self.event.uuid,
            // The event has no index of `_id`.
            options: options::of_listing(options, id_index)?,
            source,
            indexes: Vec::new(),
        };
        let mut namespace = entry.document();
        namespace.copy_state = CopyState::Ready;
        self.create_collection(&mut namespace).await?;
        self.put(&namespace)?;
        Ok(true)
    }

    /// Whether the collection can be copied faithfully. One that cannot, and that the source no longer has under this name,
    /// is passed over: its drop follows, so dropping it lets the sync go on. A later rename is refused by itself.
    ///
    /// # Errors
    /// The refusal of one that the source has.
    async fn is_faithful(&self, source: &Namespace, options: &RawDocument) -> Result<bool, Error> {
        let Err(refusal) = catalog::refuse_unfaithful(source, options) else {
            return Ok(true);
        };
        match self.listed_on_source(source).await? {
            Some(_) => Err(refusal.into()),
            None => Ok(false),
        }
    }

    /// Records a view, with the buckets of a time-series collection.
    async fn create_view(
        &mut self,
        source: Namespace,
        destination: Namespace,
        options: &RawDocument,
    ) -> Result<bool, Error> {
        if time_series::is_view_of_buckets(options) {
            self.take_buckets(&source, &destination).await?;
        }
        self.put_view(source, destination, options)
    }

    /// The source's listing of the event's collection, if it still has this name.
    async fn listed_on_source(&self, name: &Namespace) -> Result<Option<RawDocumentBuf>, Error> {
        let database = self.context.source.database(&name.database);
        let found = listing::collection(&database, &name.collection).await?;
        let uuid = self.event.uuid.map(NamespaceDocument::id_of_uuid);
        Ok(found.filter(|found| destination::uuid_of(found) == uuid))
    }

    /// Creates the collection in the transaction that records it. Its UUID is known afterwards. An
    /// existing collection was created by an earlier release, which recorded it later.
    async fn create_collection(&mut self, namespace: &mut NamespaceDocument) -> Result<(), Error> {
        let Namespace {
            database,
            collection,
        } = &namespace.destination;
        let on_destination = self.destination(&namespace.destination);
        let existing = listing::collection(on_destination.reads(), collection).await?;
        match existing {
            Some(found) if !is_view(&found) => {
                let uuid = destination::uuid_of(&found);
                destination::refuse_another(&self.context.store, &namespace.id, uuid.as_ref())
                    .await?;
                namespace.destination_uuid = uuid;
                return Ok(());
            }
            Some(_view) => self.drop_view_of(&namespace.destination).await?,
            None => {}
        }
        self.intend(IntentKind::Create, &namespace.destination)
            .write()
            .await?;
        let body = relaxation::create_command(collection, &namespace.options)?;
        if time_series::holds_buckets(&namespace.options) {
            return self.create_buckets(namespace, body).await;
        }
        self.changes.push(Change::Command {
            database: database.clone(),
            body,
        });
        Ok(())
    }

    /// Creates a collection of buckets, which the server refuses in a transaction (263). A replay finds it by its name.
    async fn create_buckets(
        &mut self,
        namespace: &mut NamespaceDocument,
        body: RawDocumentBuf,
    ) -> Result<(), Error> {
        let name = &namespace.destination;
        match self.run(&self.destination(name), body.clone()).await {
            Err(Error::Mongo(error)) if error.has_code(code::NAMESPACE_EXISTS) => {}
            Err(Error::Mongo(error))
                if database_names::free_database_name(
                    &self.context.destination,
                    &name.database,
                    &error,
                )
                .await? =>
            {
                self.run(&self.destination(name), body).await?;
            }
            other => other?,
        }
        failpoint("buckets_created");
        let on = &self.context.destination;
        namespace.destination_uuid =
            destination::destination_uuid(on, &name.database, &name.collection).await?;
        Ok(())
    }

    /// Whether a time-series collection is taken. One that plugins would see, and that the source no longer has, is
    /// passed over: its drop follows, so dropping it lets the sync go on.
    ///
    /// # Errors
    /// `TimeSeriesNotSupported` for one that the source has.
    async fn is_taken(&self, series: &Namespace) -> Result<bool, Error> {
        let refused =
            time_series::refuse_transformed(&self.context.chain, std::slice::from_ref(series));
        let Err(refusal) = refused else {
            return Ok(true);
        };
        let database = self.context.source.database(&series.database);
        let buckets = series.buckets().collection;
        match listing::collection(&database, &buckets).await? {
            Some(_) => Err(refusal.into()),
            None => Ok(false),
        }
    }

    /// Takes the buckets of a time-series collection whose view the event has created. Their own event comes before
    /// it, and only a stream with events of system collections carries it: a stream without begins again with them, and
    /// finds buckets that it does not know. They are copied beside it.
    async fn take_buckets(
        &mut self,
        source: &Namespace,
        destination: &Namespace,
    ) -> Result<(), Error> {
        let context = self.context;
        let session = context.record.get();
        if !session.has_time_series() {
            // As the release that has begun the sync: commit refuses it by name.
            return Ok(());
        }
        if !self.is_taken(source).await? {
            return Ok(());
        }
        if !session.system_events {
            let switch = context.record.update(SessionDocument::show_system_events);
            switch.await?;
            failpoint("system_events_shown");
            return Err(Error::StreamOptions);
        }
        let buckets = source.buckets();
        let is_known = self
            .tracked_collections
            .all()
            .any(|collection| collection.source == buckets);
        if is_known {
            // Their own event came. The source may have later buckets of this name, whose events follow.
            return Ok(());
        }
        let database = context.source.database(&buckets.database);
        let listed = listing::collection(&database, &buckets.collection).await?;
        let uuid = listed.as_deref().and_then(destination::uuid_of);
        let uuid = uuid.and_then(|uuid| NamespaceDocument::uuid_of_id(&uuid));
        if uuid.is_some() && self.tracked_collections.get(uuid).is_none() {
            self.copy_beside_by(uuid, buckets, destination.buckets())
                .await?;
        }
        Ok(())
    }
}

//! Reads and writes the metadata documents.

use std::ops::Deref;

use bson::{Document, RawDocumentBuf, doc};
use serde::Serialize;

use super::{
    collections::{INTENTS, NAMESPACES, PARTITIONS, POSITION, QUARANTINE, SESSION},
    documents::{
        CopyTotals, NamespaceDocument, PartitionDocument, PositionDocument, SessionDocument,
        SessionHeader, SessionSummary,
    },
    tenure::LeaseKey,
};
use crate::{
    model::namespace::METADATA_DATABASE,
    mongo::{Change, Client, Documents, Error},
};

/// The metadata database of one destination, for reading.
#[derive(Clone)]
pub struct Reader {
    pub(super) documents: Documents,
}

/// The metadata database, for the host that works on the sync: every write is a transaction
/// that finds the lease in its own term, and puts the term into what it writes.
#[derive(Clone)]
pub struct Store {
    reader: Reader,
    key: LeaseKey,
}

impl Deref for Store {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        &self.reader
    }
}

impl Reader {
    /// The metadata on this destination.
    pub fn new(destination: &Client) -> Self {
        Self {
            documents: Documents::new(destination, METADATA_DATABASE),
        }
    }

    /// For the holder of the lease.
    pub fn with_lease(self, key: LeaseKey) -> Store {
        Store { reader: self, key }
    }

    /// Looks at nothing but the heading: everything else may have another shape.
    pub async fn header(&self) -> Result<Option<SessionHeader>, Error> {
        let found = self
            .documents
            .find(SESSION, doc! { "_id": SessionDocument::ID });
        Ok(found.await?.pop())
    }

    pub async fn session(&self) -> Result<Option<SessionDocument>, Error> {
        Ok(self
            .documents
            .find(SESSION, doc! { "_id": SessionDocument::ID })
            .await?
            .pop())
    }

    /// How a sync stands that another host works on.
    pub async fn summary(&self) -> Result<Option<SessionSummary>, Error> {
        let found = self
            .documents
            .find(SESSION, doc! { "_id": SessionDocument::ID });
        Ok(found.await?.pop())
    }

    /// What all partitions together have copied.
    pub async fn copied(&self) -> Result<CopyTotals, Error> {
        self.copied_in(PARTITIONS).await
    }

    pub(super) async fn copied_in(&self, collection: &'static str) -> Result<CopyTotals, Error> {
        let counts = doc! { "documents": 1, "bytes": 1 };
        let partitions = self
            .documents
            .page(collection, doc! {}, counts, None)
            .await?;
        Ok(partitions
            .iter()
            .fold(CopyTotals::default(), |sum, one: &CopyTotals| CopyTotals {
                documents: sum.documents + one.documents,
                bytes: sum.bytes + one.bytes,
            }))
    }

    pub async fn namespaces(&self) -> Result<Vec<NamespaceDocument>, Error> {
        self.documents.find(NAMESPACES, doc! {}).await
    }

    pub async fn namespace(&self, id: &str) -> Result<Option<NamespaceDocument>, Error> {
        Ok(self
            .documents
            .find(NAMESPACES, doc! { "_id": id })
            .await?
            .pop())
    }

    pub async fn partitions(&self, namespace_id: &str) -> Result<Vec<PartitionDocument>, Error> {
        self.documents
            .find(PARTITIONS, doc! { "namespaceId": namespace_id })
            .await
    }

    pub(super) async fn partitions_where(
        &self,
        filter: Document,
    ) -> Result<Vec<PartitionDocument>, Error> {
        self.documents.find(PARTITIONS, filter).await
    }

    pub async fn position(&self) -> Result<Option<PositionDocument>, Error> {
        self.position_in(POSITION).await
    }

    pub(super) async fn position_in(
        &self,
        collection: &'static str,
    ) -> Result<Option<PositionDocument>, Error> {
        Ok(self
            .documents
            .find(collection, doc! { "_id": PositionDocument::ID })
            .await?
            .pop())
    }
}

impl Store {
    pub fn key(&self) -> &LeaseKey {
        &self.key
    }

    /// Makes sure that none of this host's earlier writes is still under way: work that begins
    /// does so before it reads anything.
    pub async fn settle(&self) -> Result<(), Error> {
        self.documents.settle(&self.key.guard()).await
    }

    /// Begins a sync: takes away what a start that was cut short has left, and writes everything
    /// that a sync begins with.
    pub async fn begin(
        &self,
        session: &SessionDocument,
        namespaces: &[NamespaceDocument],
    ) -> Result<(), Error> {
        let mut changes: Vec<_> = [NAMESPACES, PARTITIONS, POSITION, QUARANTINE, INTENTS]
            .map(|collection| remove(collection, doc! {}))
            .into();
        changes.push(self.insert(NAMESPACES, namespaces)?);
        changes.push(self.put(SESSION, &session.id, session)?);
        self.commit(changes).await
    }

    pub async fn put_session(&self, session: &SessionDocument) -> Result<(), Error> {
        self.commit(vec![self.put(SESSION, &session.id, session)?])
            .await
    }

    pub async fn put_namespace(&self, namespace: &NamespaceDocument) -> Result<(), Error> {
        self.commit(vec![self.namespace_change(namespace)?]).await
    }

    /// Forgets a namespace, its partitions and its quarantined documents.
    pub async fn remove_namespace(&self, id: &str) -> Result<(), Error> {
        self.commit(self.namespace_removal(id)).await
    }

    pub async fn put_partition(&self, partition: &PartitionDocument) -> Result<(), Error> {
        self.commit(vec![self.partition_change(partition)?]).await
    }

    pub async fn put_position(&self, position: &PositionDocument) -> Result<(), Error> {
        self.commit(vec![self.position_change(position)?]).await
    }

    /// The change that writes the position.
    pub fn position_change(&self, position: &PositionDocument) -> Result<Change, Error> {
        self.put(POSITION, &position.id, position)
    }

    /// The change that writes a namespace.
    pub fn namespace_change(&self, namespace: &NamespaceDocument) -> Result<Change, Error> {
        self.put(NAMESPACES, &namespace.id, namespace)
    }

    /// The change that writes a partition.
    pub fn partition_change(&self, partition: &PartitionDocument) -> Result<Change, Error> {
        self.put(PARTITIONS, &partition.id, partition)
    }

    /// The changes that remove a namespace, its partitions and its quarantined documents.
    pub fn namespace_removal(&self, id: &str) -> Vec<Change> {
        let of_namespace = [PARTITIONS, QUARANTINE]
            .map(|collection| remove(collection, doc! { "namespaceId": id }));
        let itself = remove(NAMESPACES, doc! { "_id": id });
        of_namespace.into_iter().chain([itself]).collect()
    }

    pub(super) async fn commit(&self, changes: Vec<Change>) -> Result<(), Error> {
        self.documents.commit(&self.key.guard(), &changes).await
    }

    pub(super) fn put<T: Serialize>(
        &self,
        collection: &'static str,
        id: &str,
        document: &T,
    ) -> Result<Change, Error> {
        Ok(Change::Put {
            collection,
            id: id.to_owned(),
            document: self.stamped(document)?,
        })
    }

    pub(super) fn insert<T: Serialize>(
        &self,
        collection: &str,
        documents: &[T],
    ) -> Result<Change, Error> {
        let documents = documents.iter().map(|document| self.stamped(document));
        Ok(Change::Insert {
            collection: collection.to_owned(),
            documents: documents.collect::<Result<_, _>>()?,
        })
    }

    /// The document with the term that it is written in.
    fn stamped<T: Serialize>(&self, document: &T) -> Result<RawDocumentBuf, Error> {
        let mut stamped = bson::serialize_to_raw_document_buf(document)?;
        debug_assert!(
            matches!(stamped.get("term"), Ok(None)),
            "only the store gives documents a term"
        );
        stamped.append(bson::cstr!("term"), self.key.term);
        Ok(stamped)
    }
}

pub(super) fn remove(collection: &str, filter: Document) -> Change {
    Change::Remove {
        collection: collection.to_owned(),
        filter,
    }
}

//! Reads and writes of the metadata's documents.

use std::{collections::HashMap, ops::Deref};

use bson::{Document, RawDocumentBuf, doc};
use serde::Serialize;

use super::{
    collections::{
        HISTORY, HOOKS, INTENTS, ITEMS, MISMATCHES, NAMESPACES, PARKED_KEYS, PARTITIONS, POSITION,
        QUARANTINE, SESSION, VERIFIED_COLLECTIONS,
    },
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

/// Most ids in the filter of a find: about 1 MB of the 16 MB that a command may have.
const IDS_OF_A_FIND: usize = 10_000;

/// The metadata of a destination, for reading and for taking its lease.
#[derive(Clone)]
pub struct Reader {
    pub(super) documents: Documents,
}

/// The metadata of a destination, for the holder of its lease. Each write is a transaction guarded by the
/// holder's term, and adds the term to the documents.
///
/// # Errors
/// Methods that write fail with [`Error::Fenced`] if another host holds the lease; nothing was written then.
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

    /// The store of the lease's holder.
    pub fn with_lease(self, key: LeaseKey) -> Store {
        Store { reader: self, key }
    }

    /// The fields of the session that all metadata versions share; the others may have another shape.
    pub async fn header(&self) -> Result<Option<SessionHeader>, Error> {
        let found = self
            .documents
            .find(SESSION, doc! { "_id": SessionDocument::ID });
        Ok(found.await?.pop())
    }

    /// The session, in this release's metadata version.
    pub async fn session(&self) -> Result<Option<SessionDocument>, Error> {
        Ok(self
            .documents
            .find(SESSION, doc! { "_id": SessionDocument::ID })
            .await?
            .pop())
    }

    /// The state of the sync, for a standby.
    pub async fn summary(&self) -> Result<Option<SessionSummary>, Error> {
        let found = self
            .documents
            .find(SESSION, doc! { "_id": SessionDocument::ID });
        Ok(found.await?.pop())
    }

    /// Documents and bytes that all partitions have copied.
    pub async fn copy_totals(&self) -> Result<CopyTotals, Error> {
        self.copy_totals_in(PARTITIONS).await
    }

    pub(super) async fn copy_totals_in(
        &self,
        collection: &'static str,
    ) -> Result<CopyTotals, Error> {
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

    /// All namespaces in scope.
    pub async fn namespaces(&self) -> Result<Vec<NamespaceDocument>, Error> {
        self.documents.find(NAMESPACES, doc! {}).await
    }

    /// The namespace with this id.
    pub async fn namespace(&self, id: &str) -> Result<Option<NamespaceDocument>, Error> {
        Ok(self
            .documents
            .find(NAMESPACES, doc! { "_id": id })
            .await?
            .pop())
    }

    /// The partitions of these namespaces, by the namespaces' ids. A namespace without partitions has no entry.
    ///
    /// A find for each namespace would read all partitions each time: no index has `namespaceId`.
    pub async fn partitions_of(
        &self,
        namespace_ids: &[&str],
    ) -> Result<HashMap<String, Vec<PartitionDocument>>, Error> {
        let mut partitions: HashMap<String, Vec<_>> = HashMap::new();
        for ids in namespace_ids.chunks(IDS_OF_A_FIND) {
            let filter = doc! { "namespaceId": { "$in": ids } };
            for partition in self.partitions_where(filter).await? {
                partitions
                    .entry(partition.namespace_id.clone())
                    .or_default()
                    .push(partition);
            }
        }
        Ok(partitions)
    }

    /// The partitions in work: begun and not done.
    pub async fn partitions_in_work(&self) -> Result<Vec<PartitionDocument>, Error> {
        self.partitions_where(doc! { "begun": true, "done": false })
            .await
    }

    pub(super) async fn partitions_where(
        &self,
        filter: Document,
    ) -> Result<Vec<PartitionDocument>, Error> {
        self.documents.find(PARTITIONS, filter).await
    }

    /// The safe position; `None` before the stream has begun.
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
    /// The key of the lease in this host's term.
    pub fn key(&self) -> &LeaseKey {
        &self.key
    }

    /// Makes sure that no previous write of this host is in flight. Work settles the store before its first
    /// read.
    pub async fn settle(&self) -> Result<(), Error> {
        self.documents.settle(&self.key.guard()).await
    }

    /// Begins a sync: removes documents of an interrupted start, and writes the session and the namespaces.
    pub async fn begin(
        &self,
        session: &SessionDocument,
        namespaces: &[NamespaceDocument],
    ) -> Result<(), Error> {
        self.begin_with(session, namespaces, Vec::new()).await
    }

    /// Like [`Self::begin`], in one transaction with other changes.
    pub(super) async fn begin_with(
        &self,
        session: &SessionDocument,
        namespaces: &[NamespaceDocument],
        more: Vec<Change>,
    ) -> Result<(), Error> {
        let mut changes: Vec<_> = [
            NAMESPACES,
            PARTITIONS,
            PARKED_KEYS,
            POSITION,
            QUARANTINE,
            INTENTS,
            HOOKS,
            HISTORY,
            ITEMS,
        ]
        .map(|collection| remove(collection, doc! {}))
        .into();
        changes.append(&mut self.verification_removal());
        changes.push(remove(MISMATCHES, doc! {}));
        changes.push(self.insert(NAMESPACES, namespaces)?);
        changes.extend(more);
        changes.push(self.put(SESSION, &session.id, session)?);
        self.commit(changes).await
    }

    /// Writes the session, in one transaction with other changes.
    pub async fn put_session(
        &self,
        session: &SessionDocument,
        mut more: Vec<Change>,
    ) -> Result<(), Error> {
        more.push(self.put(SESSION, &session.id, session)?);
        self.commit(more).await
    }

    /// Writes a namespace.
    pub async fn put_namespace(&self, namespace: &NamespaceDocument) -> Result<(), Error> {
        self.commit(vec![self.namespace_change(namespace)?]).await
    }

    /// Removes a namespace, its partitions, parked keys and quarantined documents.
    pub async fn remove_namespace(&self, id: &str) -> Result<(), Error> {
        self.commit(self.namespace_removal(id)).await
    }

    /// Writes a partition.
    pub async fn put_partition(&self, partition: &PartitionDocument) -> Result<(), Error> {
        self.commit(vec![self.partition_change(partition)?]).await
    }

    /// Writes the safe position, in one transaction with other changes. Invariant: all events at or before it are
    /// durable, or their keys parked.
    pub async fn put_position(
        &self,
        position: &PositionDocument,
        mut more: Vec<Change>,
    ) -> Result<(), Error> {
        more.push(self.position_change(position)?);
        self.commit(more).await
    }

    /// The change that writes the position.
    pub fn position_change(&self, position: &PositionDocument) -> Result<Change, Error> {
        self.put(POSITION, &position.id, position)
    }

    /// The change that writes a namespace.
    pub fn namespace_change(&self, namespace: &NamespaceDocument) -> Result<Change, Error> {
        self.put(NAMESPACES, &namespace.id, namespace)
    }

    /// The change that writes namespaces.
    pub fn namespaces_change(&self, namespaces: &[NamespaceDocument]) -> Result<Change, Error> {
        let documents = namespaces
            .iter()
            .map(|namespace| Ok((namespace.id.clone(), self.stamped(namespace)?)));
        Ok(Change::PutMany {
            collection: NAMESPACES,
            documents: documents.collect::<Result<_, Error>>()?,
        })
    }

    /// The change that writes a partition.
    pub fn partition_change(&self, partition: &PartitionDocument) -> Result<Change, Error> {
        self.put(PARTITIONS, &partition.id, partition)
    }

    /// The changes that remove a namespace, its partitions, parked keys and quarantined documents.
    pub fn namespace_removal(&self, id: &str) -> Vec<Change> {
        let of_namespace = [PARTITIONS, QUARANTINE]
            .map(|collection| remove(collection, doc! { "namespaceId": id }));
        let parked = remove(PARKED_KEYS, parked_keys_of(id));
        let itself = remove(NAMESPACES, doc! { "_id": id });
        let unverified = unverified(id);
        of_namespace
            .into_iter()
            .chain([parked, unverified, itself])
            .collect()
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

    /// The document with this host's term.
    pub(super) fn stamped<T: Serialize>(&self, document: &T) -> Result<RawDocumentBuf, Error> {
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

/// The change that makes the verification of a collection begin again.
pub(super) fn unverified(namespace_id: &str) -> Change {
    remove(VERIFIED_COLLECTIONS, doc! { "_id": namespace_id })
}

/// The filter of the parked keys of a partition, or of all partitions of a namespace. Ids of both begin the ids
/// of their parked keys, before a `:`.
pub(super) fn parked_keys_of(owner_id: &str) -> Document {
    // `;` follows `:`.
    doc! { "_id": { "$gte": format!("{owner_id}:"), "$lt": format!("{owner_id};") } }
}

//! Writes of the copy. A transaction holds many collections, since each transaction waits for a majority.

use bson::{RawDocumentBuf, doc};

use super::{
    collections::{NAMESPACES, PARKED_KEYS, PARTITIONS, QUARANTINE, VERIFIED_COLLECTIONS},
    documents::{NamespaceDocument, ParkedKeyDocument, PartitionDocument},
    store::{Reader, Store, parked_keys_of, remove, unverified},
};
use crate::mongo::{Change, Error};

/// A collection whose copy begins.
#[derive(Clone, Debug)]
pub struct NewCopy {
    /// The namespace in the state `Copying`. Its UUID on the destination is not known yet.
    pub namespace: NamespaceDocument,
    /// All partitions of the collection. They replace the persisted partitions of an earlier copy.
    pub partitions: Vec<PartitionDocument>,
    /// The command that creates the collection on the destination; `None` if it exists.
    pub create: Option<RawDocumentBuf>,
}

impl Reader {
    /// Whether an unfinished copy has partitions that are done since an unknown time. Releases before 0.4.0 persist
    /// no such time, and a clean position that is older than the reads.
    pub async fn has_undated_copies(&self) -> Result<bool, Error> {
        let unfinished = doc! { "kind": "collection", "copyState": { "$ne": "ready" } };
        let unfinished: Vec<NamespaceDocument> =
            self.documents.find(NAMESPACES, unfinished).await?;
        let ids: Vec<&str> = unfinished.iter().map(|one| one.id.as_str()).collect();
        let partitions = self.partitions_of(&ids).await?;
        let mut partitions = partitions.values().flatten();
        Ok(partitions.any(|partition| partition.done && partition.done_at.is_none()))
    }
}

impl Store {
    /// Writes namespaces, in one transaction.
    pub async fn put_namespaces(&self, namespaces: &[NamespaceDocument]) -> Result<(), Error> {
        let changes = namespaces
            .iter()
            .map(|namespace| self.put(NAMESPACES, &namespace.id, namespace));
        self.commit(changes.collect::<Result<_, _>>()?).await
    }

    /// Writes finished partitions and the namespaces that they complete, in one transaction.
    pub async fn put_done(
        &self,
        partitions: &[PartitionDocument],
        namespaces: &[NamespaceDocument],
    ) -> Result<(), Error> {
        let mut changes = Vec::with_capacity(partitions.len() + namespaces.len());
        for partition in partitions {
            changes.push(self.partition_change(partition)?);
        }
        for namespace in namespaces {
            changes.push(self.put(NAMESPACES, &namespace.id, namespace)?);
        }
        self.commit(changes).await
    }

    /// Creates collections on the destination and writes their namespaces and partitions, in one transaction.
    pub async fn begin_copies(&self, copies: &[NewCopy]) -> Result<(), Error> {
        let mut changes = Vec::with_capacity(2 * copies.len() + 3);
        changes.extend(copies.iter().filter_map(|copy| {
            Some(Change::Command {
                database: copy.namespace.destination.database.clone(),
                body: copy.create.clone()?,
            })
        }));
        let ids: Vec<_> = copies.iter().map(|copy| &copy.namespace.id).collect();
        changes.push(remove(
            VERIFIED_COLLECTIONS,
            doc! { "_id": { "$in": &ids } },
        ));
        changes.push(remove(PARTITIONS, doc! { "namespaceId": { "$in": ids } }));
        let partitions = copies.iter().flat_map(|copy| &copy.partitions);
        let partitions: Vec<_> = partitions.cloned().collect();
        changes.push(self.insert(PARTITIONS, &partitions)?);
        for copy in copies {
            changes.push(self.put(NAMESPACES, &copy.namespace.id, &copy.namespace)?);
        }
        self.commit(changes).await
    }

    /// Writes the parts of a split partition and the parked key at their bound, in one transaction.
    pub async fn put_split(
        &self,
        parts: &[PartitionDocument; 2],
        parked: ParkedKeyDocument,
    ) -> Result<(), Error> {
        let mut changes = self.parked_changes(&[parked])?;
        for part in parts {
            changes.push(self.partition_change(part)?);
        }
        self.commit(changes).await
    }

    /// Writes parked keys. Invariant: no position that passes their events is persisted before.
    pub async fn put_parked(&self, keys: &[ParkedKeyDocument]) -> Result<(), Error> {
        self.commit(self.parked_changes(keys)?).await
    }

    /// Marks collections to be compared, or to be copied again, in one transaction: their namespaces
    /// and partitions are written, and their parked keys and quarantined documents removed.
    pub async fn put_marked(
        &self,
        namespaces: &[NamespaceDocument],
        partitions: &[PartitionDocument],
    ) -> Result<(), Error> {
        self.commit(self.marks(namespaces, partitions)?).await
    }

    /// The changes of [`Self::put_marked`].
    pub fn marks(
        &self,
        namespaces: &[NamespaceDocument],
        partitions: &[PartitionDocument],
    ) -> Result<Vec<Change>, Error> {
        let mut changes = Vec::with_capacity(4 * namespaces.len() + partitions.len());
        for namespace in namespaces {
            changes.push(self.put(NAMESPACES, &namespace.id, namespace)?);
            changes.push(remove(PARKED_KEYS, parked_keys_of(&namespace.id)));
            changes.push(remove(QUARANTINE, doc! { "namespaceId": &namespace.id }));
            changes.push(unverified(&namespace.id));
        }
        for partition in partitions {
            changes.push(self.partition_change(partition)?);
        }
        Ok(changes)
    }

    /// Partitions whose range may hold documents that the source has deleted.
    pub async fn suspect_partitions(&self) -> Result<Vec<PartitionDocument>, Error> {
        self.partitions_where(doc! { "suspect": true }).await
    }
}

//! Writes of the copy. A transaction holds many collections, since each transaction waits for a majority.

use bson::{RawDocumentBuf, doc};

use super::{
    collections::{NAMESPACES, PARTITIONS},
    documents::{NamespaceDocument, PartitionDocument},
    store::{Store, remove},
};
use crate::mongo::{Change, Error};

/// A collection whose copy begins.
#[derive(Clone, Debug)]
pub struct NewCopy {
    /// The namespace in the state `Copying`. Its UUID on the destination is not known yet.
    pub namespace: NamespaceDocument,
    /// All partitions of the collection. They replace the persisted partitions of an earlier copy.
    pub partitions: Vec<PartitionDocument>,
    /// The command that creates the collection on the destination.
    pub create: RawDocumentBuf,
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
        let mut changes = Vec::with_capacity(2 * copies.len() + 2);
        changes.extend(copies.iter().map(|copy| Change::Command {
            database: copy.namespace.destination.database.clone(),
            body: copy.create.clone(),
        }));
        let ids: Vec<_> = copies.iter().map(|copy| &copy.namespace.id).collect();
        changes.push(remove(PARTITIONS, doc! { "namespaceId": { "$in": ids } }));
        let partitions = copies.iter().flat_map(|copy| &copy.partitions);
        let partitions: Vec<_> = partitions.cloned().collect();
        changes.push(self.insert(PARTITIONS, &partitions)?);
        for copy in copies {
            changes.push(self.put(NAMESPACES, &copy.namespace.id, &copy.namespace)?);
        }
        self.commit(changes).await
    }

    /// Partitions whose range may hold documents that the source has deleted.
    pub async fn suspect_partitions(&self) -> Result<Vec<PartitionDocument>, Error> {
        self.partitions_where(doc! { "suspect": true }).await
    }
}

//! A collection that both clusters have, and its documents as a sync would write them.

use std::sync::Arc;

use super::{clusters::ClusterPair, ledger::OpenPartition};
use crate::{
    metadata::NamespaceDocument,
    model::event::CollectionUuid,
    mongo::{Client, RawReader, write::CollectionRef},
    plugin::{NamespaceChain, Outcome},
    sync::{Error, comparison::Side, transformation},
};

/// A collection on both clusters.
pub(super) struct CollectionPair {
    /// Names it in the ledger: a rename leaves it unchanged.
    pub(super) id: Arc<str>,
    pub(super) source: CollectionRef,
    pub(super) destination: CollectionRef,
    /// The plugins that see its documents; `None` without plugins.
    pub(super) chain: Option<NamespaceChain>,
    pub(super) is_capped: bool,
    pub(super) is_collated: bool,
    /// Bytes of an average document, at least 1.
    pub(super) average_bytes: u64,
}

/// A partition of a collection that is to be compared.
pub(super) struct CollectionPartition {
    pub(super) collection: Arc<CollectionPair>,
    pub(super) partition: OpenPartition,
}

/// A document of the source after the plugins.
pub(super) enum Expectation<'a> {
    /// The destination is to have this document.
    Document(&'a [u8]),
    /// The destination is to have no document.
    Absent,
    /// A plugin cannot handle the document.
    Quarantined,
}

impl CollectionPair {
    /// The id of a collection with these UUIDs on source and destination.
    pub(super) fn id(source: CollectionUuid, destination: CollectionUuid) -> Arc<str> {
        let hex = NamespaceDocument::id_of_uuid;
        format!("{}:{}", hex(source), hex(destination)).into()
    }

    /// The cluster and the collection of one side.
    pub(super) fn on<'a>(
        &'a self,
        pair: &'a ClusterPair,
        side: Side,
    ) -> (&'a Client, &'a CollectionRef) {
        match side {
            Side::Source => (&pair.source, &self.source),
            Side::Destination => (&pair.destination, &self.destination),
        }
    }

    /// A reader of one side.
    pub(super) fn reader(&self, pair: &ClusterPair, side: Side) -> RawReader {
        let (client, collection) = self.on(pair, side);
        let database = client.database(&collection.namespace.database);
        RawReader::new(database, collection.clone())
    }

    /// Calls `take` with each of the source's `documents`, as the destination is to have it.
    pub(super) fn expect(
        &self,
        documents: &[&[u8]],
        mut take: impl FnMut(&[u8], Expectation<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let Some(chain) = &self.chain else {
            return documents
                .iter()
                .try_for_each(|document| take(document, Expectation::Document(document)));
        };
        let transformed = transformation::transform(chain, documents)?;
        for (document, outcome) in documents.iter().zip(transformed.outcomes()) {
            let expectation = match outcome {
                Outcome::Keep => Expectation::Document(document),
                Outcome::Replaced(replacement) => Expectation::Document(replacement),
                Outcome::Drop => Expectation::Absent,
                Outcome::Quarantined(_) => Expectation::Quarantined,
            };
            take(document, expectation)?;
        }
        Ok(())
    }
}

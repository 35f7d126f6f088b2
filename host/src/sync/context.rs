//! What every part of one sync's work shares.

use std::sync::Arc;

use bson::{Document, RawDocumentBuf};
use serde::{Serialize, de::DeserializeOwned};
use tokio_util::sync::CancellationToken;

use super::{Error, Record, budget::Budget, quarantine::Quarantine, scope::Scope, status::Status};
use crate::{
    metadata::{Reader, Storage, Store},
    model::{Change, Guard, StartOptions, namespace::METADATA_DATABASE},
    mongo::{self, Client, Destination, Documents, GuardCounts},
    plugin::Chain,
};

/// The metadata storage: a database of the destination.
#[derive(Clone)]
pub struct DestinationStorage {
    documents: Documents,
}

/// The metadata of a destination, for reading and for taking its lease.
pub type MetadataReader = Reader<DestinationStorage>;

/// The metadata of a destination, for the holder of its lease.
pub type MetadataStore = Store<DestinationStorage>;

/// Opens the metadata on a destination.
pub fn metadata_reader(destination: &Client) -> MetadataReader {
    Reader::new(DestinationStorage {
        documents: Documents::new(destination, METADATA_DATABASE),
    })
}

impl Storage for DestinationStorage {
    type Error = mongo::Error;
    type Counts = GuardCounts;

    async fn find<T: DeserializeOwned + Send + Sync>(
        &self,
        collection: &'static str,
        filter: Document,
    ) -> Result<Vec<T>, Self::Error> {
        self.documents.find(collection, filter).await
    }

    async fn page<T: DeserializeOwned + Send + Sync>(
        &self,
        collection: &'static str,
        filter: Document,
        projection: Document,
        limit: Option<u32>,
    ) -> Result<Vec<T>, Self::Error> {
        self.documents
            .page(collection, filter, projection, limit)
            .await
    }

    async fn commit(&self, guard: Guard, changes: Vec<Change>) -> Result<(), Self::Error> {
        self.documents.commit(&guard, &changes).await
    }

    async fn update<T: DeserializeOwned + Send + Sync>(
        &self,
        collection: &'static str,
        filter: Document,
        pipeline: Vec<Document>,
    ) -> Result<Option<T>, Self::Error> {
        self.documents.update(collection, filter, pipeline).await
    }

    async fn insert_if_absent(
        &self,
        collection: &'static str,
        id: &str,
        document: Document,
    ) -> Result<(), Self::Error> {
        self.documents
            .insert_if_absent(collection, id, document)
            .await
    }

    async fn settle(&self, guard: Guard) -> Result<(), Self::Error> {
        self.documents.settle(&guard).await
    }

    async fn raise_term(
        &self,
        collection: &'static str,
        writers: &[&str],
        term: i64,
    ) -> Result<GuardCounts, Self::Error> {
        self.documents.raise_term(collection, writers, term).await
    }

    fn raw<T: Serialize>(document: &T) -> Result<RawDocumentBuf, Self::Error> {
        Ok(bson::serialize_to_raw_document_buf(document)?)
    }
}

/// How many tasks work at once, from mongosync's `loadLevel`.
#[derive(Clone, Copy, Debug)]
pub struct Workers(usize);

impl Workers {
    /// `load_level` 1 to 4; 3 is the default. Four writers saturate two cores
    /// of a destination (docs/performance.md).
    pub fn of_load_level(load_level: u8) -> Self {
        Self(match load_level {
            0 | 1 => 1,
            2 => 2,
            3 => 4,
            _ => 8,
        })
    }

    pub fn count(self) -> usize {
        self.0
    }
}

pub(crate) struct Context {
    pub(crate) source: Client,
    pub(crate) destination: Destination,
    pub(crate) store: MetadataStore,
    pub(crate) scope: Scope,
    pub(crate) chain: Arc<Chain>,
    pub(crate) quarantine: Quarantine,
    pub(crate) options: StartOptions,
    pub(crate) record: Arc<Record>,
    pub(crate) workers: Workers,
    pub(crate) budget: Budget,
    pub(crate) status: Arc<Status>,
    /// Asks all work to stop at the next safe place.
    pub(crate) cancel: CancellationToken,
}

impl Context {
    pub(crate) fn check_cancelled(&self) -> Result<(), Error> {
        if self.cancel.is_cancelled() {
            Err(Error::Cancelled)
        } else {
            Ok(())
        }
    }
}

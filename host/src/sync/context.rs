//! What every part of one sync's work shares.

use std::sync::Arc;

use bson::Document;
use mongodb::Client;
use serde::{Serialize, de::DeserializeOwned};
use tokio_util::sync::CancellationToken;

use super::{Error, Record, quarantine::Quarantine, scope::Scope, status::Status};
use crate::{
    metadata::{Storage, Store},
    model::{StartOptions, namespace::METADATA_DATABASE},
    mongo::{self, Documents},
    plugin::Chain,
};

/// The metadata storage: a database of the destination.
#[derive(Clone)]
pub struct DestinationStorage(Documents);

/// The metadata store of a destination.
pub type MetadataStore = Store<DestinationStorage>;

/// Opens the metadata store on a destination.
pub fn metadata_store(destination: &Client) -> MetadataStore {
    Store::new(DestinationStorage(Documents::new(
        destination,
        METADATA_DATABASE,
    )))
}

impl Storage for DestinationStorage {
    type Error = mongo::Error;

    async fn find<T: DeserializeOwned + Send + Sync>(
        &self,
        collection: &'static str,
        filter: Document,
    ) -> Result<Vec<T>, Self::Error> {
        self.0.find(collection, filter).await
    }

    async fn page<T: DeserializeOwned + Send + Sync>(
        &self,
        collection: &'static str,
        filter: Document,
        projection: Document,
        limit: Option<u32>,
    ) -> Result<Vec<T>, Self::Error> {
        self.0.page(collection, filter, projection, limit).await
    }

    async fn replace<T: Serialize + Send + Sync>(
        &self,
        collection: &'static str,
        id: &str,
        document: &T,
    ) -> Result<(), Self::Error> {
        self.0.replace(collection, id, document).await
    }

    async fn insert_all<T: Serialize + Send + Sync>(
        &self,
        collection: &'static str,
        documents: &[T],
    ) -> Result<(), Self::Error> {
        self.0.insert_all(collection, documents).await
    }

    async fn remove(&self, collection: &'static str, filter: Document) -> Result<(), Self::Error> {
        self.0.remove(collection, filter).await
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
    pub(crate) destination: Client,
    pub(crate) store: MetadataStore,
    pub(crate) scope: Scope,
    pub(crate) chain: Arc<Chain>,
    pub(crate) quarantine: Quarantine,
    pub(crate) options: StartOptions,
    pub(crate) record: Arc<Record>,
    pub(crate) workers: Workers,
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

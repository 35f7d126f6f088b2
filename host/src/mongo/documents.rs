//! A database of small documents keyed by string ids: typed, majority, retried.

use bson::{Document, doc};
use futures::TryStreamExt;
use mongodb::{
    Client, Database,
    options::{
        Acknowledgment, DatabaseOptions, ReadConcern, ReadPreference, SelectionCriteria,
        WriteConcern,
    },
};
use serde::{Serialize, de::DeserializeOwned};

use super::{Error, retry};

#[derive(Clone)]
pub struct Documents {
    database: Database,
}

impl Documents {
    /// Reads from the primary with read concern majority, so that a read after a
    /// failover sees what was written before it.
    pub fn new(client: &Client, database: &str) -> Self {
        let options = DatabaseOptions::builder()
            .write_concern(
                WriteConcern::builder()
                    .w(Acknowledgment::Majority)
                    .journal(true)
                    .build(),
            )
            .read_concern(ReadConcern::majority())
            .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
            .build();
        Self {
            database: client.database_with_options(database, options),
        }
    }

    pub async fn find<T: DeserializeOwned + Send + Sync>(
        &self,
        collection: &str,
        filter: Document,
    ) -> Result<Vec<T>, Error> {
        retry("read metadata", || async {
            let cursor = self
                .database
                .collection::<T>(collection)
                .find(filter.clone())
                .await?;
            Ok(cursor.try_collect().await?)
        })
        .await
    }

    /// Documents by ascending `_id`, with the fields that `projection` lets through.
    pub async fn page<T: DeserializeOwned + Send + Sync>(
        &self,
        collection: &str,
        filter: Document,
        projection: Document,
        limit: Option<u32>,
    ) -> Result<Vec<T>, Error> {
        retry("read metadata", || async {
            let cursor = self
                .database
                .collection::<T>(collection)
                .find(filter.clone())
                .projection(projection.clone())
                .sort(doc! { "_id": 1 })
                .limit(limit.map_or(0, i64::from))
                .await?;
            Ok(cursor.try_collect().await?)
        })
        .await
    }

    pub async fn replace<T: Serialize + Send + Sync>(
        &self,
        collection: &str,
        id: &str,
        document: &T,
    ) -> Result<(), Error> {
        retry("write metadata", || async {
            let collection = self.database.collection::<T>(collection);
            collection
                .replace_one(doc! { "_id": id }, document)
                .upsert(true)
                .await?;
            Ok(())
        })
        .await
    }

    /// Inserts documents that are not there yet.
    pub async fn insert_all<T: Serialize + Send + Sync>(
        &self,
        collection: &str,
        documents: &[T],
    ) -> Result<(), Error> {
        if documents.is_empty() {
            return Ok(());
        }
        self.database
            .collection::<T>(collection)
            .insert_many(documents)
            .await?;
        Ok(())
    }

    pub async fn remove(&self, collection: &str, filter: Document) -> Result<(), Error> {
        retry("remove metadata", || async {
            self.database
                .collection::<Document>(collection)
                .delete_many(filter.clone())
                .await?;
            Ok(())
        })
        .await
    }
}

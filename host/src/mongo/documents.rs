//! A database of small documents keyed by string ids: typed reads, and writes in
//! transactions that a guard lets pass; majority, retried.

use std::sync::Arc;

use bson::{Document, RawDocumentBuf, doc};
use futures::TryStreamExt;
use mongodb::{
    Client, ClientSession, Database,
    error::UNKNOWN_TRANSACTION_COMMIT_RESULT,
    options::{
        Acknowledgment, DatabaseOptions, ReadConcern, ReadPreference, ReturnDocument,
        SelectionCriteria, WriteConcern,
    },
};
use serde::de::DeserializeOwned;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{Error, retry};
use crate::model::{Change, Guard};

#[derive(Clone)]
pub struct Documents {
    database: Database,
    /// Every transaction touches the guard's document: two at a time would only undo one another.
    transactions: Arc<Mutex<()>>,
}

/// One transaction; dropped without a commit, it has done nothing.
pub struct Transaction {
    database: Database,
    session: ClientSession,
    _alone: OwnedMutexGuard<()>,
}

impl Documents {
    /// Reads from the primary with read concern majority, so that a read after a
    /// failover sees what was written before it.
    pub fn new(client: &Client, database: &str) -> Self {
        let options = DatabaseOptions::builder()
            .write_concern(majority())
            .read_concern(ReadConcern::majority())
            .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
            .build();
        Self {
            database: client.database_with_options(database, options),
            transactions: Arc::default(),
        }
    }

    /// The names of its collections, in order; no views, and not the collection that defines them.
    pub async fn collections(&self) -> Result<Vec<String>, Error> {
        let collections =
            doc! { "type": "collection", "name": { "$not": { "$regex": "^system\\." } } };
        let mut names = retry("list metadata", || async {
            let listed = self.database.list_collection_names();
            Ok(listed.filter(collections.clone()).await?)
        })
        .await?;
        names.sort();
        Ok(names)
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

    /// Commits `changes` in one transaction, if a document of `guard` is there then; it is
    /// touched, so that of two such transactions that overlap one gives way. False if none is:
    /// nothing was written. Tried once, and can be repeated.
    pub async fn commit(&self, guard: &Guard, changes: &[Change]) -> Result<bool, Error> {
        let mut transaction = self.begin().await?;
        if !transaction.touch(guard).await? {
            return Ok(false);
        }
        transaction.apply(changes).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Begins a transaction. Those of one host wait for one another.
    pub async fn begin(&self) -> Result<Transaction, Error> {
        let alone = self.transactions.clone().lock_owned().await;
        let mut session = self.database.client().start_session().await?;
        session
            .start_transaction()
            .read_concern(ReadConcern::snapshot())
            .write_concern(majority())
            .await?;
        Ok(Transaction {
            database: self.database.clone(),
            session,
            _alone: alone,
        })
    }

    /// Changes one document with a pipeline, and gives it as it is then; `None` if no
    /// document matches.
    pub async fn update<T: DeserializeOwned + Send + Sync>(
        &self,
        collection: &str,
        filter: Document,
        pipeline: Vec<Document>,
    ) -> Result<Option<T>, Error> {
        let updated = self
            .database
            .collection::<T>(collection)
            .find_one_and_update(filter, pipeline)
            .return_document(ReturnDocument::After)
            .await?;
        Ok(updated)
    }

    /// Inserts a document unless one with its `_id` is there.
    pub async fn insert_if_absent(
        &self,
        collection: &str,
        id: &str,
        document: Document,
    ) -> Result<(), Error> {
        retry("write metadata", || async {
            self.database
                .collection::<Document>(collection)
                .update_one(
                    doc! { "_id": id },
                    doc! { "$setOnInsert": document.clone() },
                )
                .upsert(true)
                .await?;
            Ok(())
        })
        .await
    }
}

fn majority() -> WriteConcern {
    WriteConcern::builder()
        .w(Acknowledgment::Majority)
        .journal(true)
        .build()
}

impl Transaction {
    /// Changes a document of `guard`; false if there is none.
    pub async fn touch(&mut self, guard: &Guard) -> Result<bool, Error> {
        let touched = self
            .database
            .collection::<Document>(guard.collection)
            .update_one(guard.filter.clone(), doc! { "$inc": { "writes": 1_i64 } })
            .session(&mut self.session)
            .await?;
        Ok(touched.matched_count == 1)
    }

    /// Every document of a collection, as it is when the transaction began.
    pub async fn find_all(&mut self, collection: &str) -> Result<Vec<RawDocumentBuf>, Error> {
        let mut cursor = self
            .database
            .collection::<RawDocumentBuf>(collection)
            .find(doc! {})
            .session(&mut self.session)
            .await?;
        Ok(cursor.stream(&mut self.session).try_collect().await?)
    }

    /// Changes the document with this id.
    pub async fn update(
        &mut self,
        collection: &str,
        id: &str,
        update: Document,
    ) -> Result<(), Error> {
        self.database
            .collection::<Document>(collection)
            .update_one(doc! { "_id": id }, update)
            .session(&mut self.session)
            .await?;
        Ok(())
    }

    pub async fn apply(&mut self, changes: &[Change]) -> Result<(), Error> {
        for change in changes {
            self.apply_one(change).await?;
        }
        Ok(())
    }

    async fn apply_one(&mut self, change: &Change) -> Result<(), Error> {
        let collection = self
            .database
            .collection::<RawDocumentBuf>(change.collection());
        match change {
            Change::Put { id, document, .. } => {
                collection
                    .replace_one(doc! { "_id": id }, document)
                    .upsert(true)
                    .session(&mut self.session)
                    .await?;
            }
            Change::Insert { documents, .. } if documents.is_empty() => {}
            Change::Insert { documents, .. } => {
                collection
                    .insert_many(documents)
                    .session(&mut self.session)
                    .await?;
            }
            Change::Remove { filter, .. } => {
                collection
                    .delete_many(filter.clone())
                    .session(&mut self.session)
                    .await?;
            }
        }
        Ok(())
    }

    /// Commits. Whether a commit whose answer was lost has been done is found out by asking again.
    pub async fn commit(mut self) -> Result<(), Error> {
        const ATTEMPTS: usize = 10;
        for _ in 1..ATTEMPTS {
            match self.session.commit_transaction().await {
                Err(error) if error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT) => {}
                done => return Ok(done?),
            }
        }
        Ok(self.session.commit_transaction().await?)
    }
}

//! A database of documents with string `_id`s: typed reads at read concern majority, and writes in
//! transactions of a guarded writer. Both are repeated after transient failures.

use std::sync::Arc;

use bson::{Document, RawDocumentBuf, doc};
use futures::TryStreamExt;
use mongodb::{
    ClientSession, Database,
    error::UNKNOWN_TRANSACTION_COMMIT_RESULT,
    options::{DatabaseOptions, ReadConcern, ReadPreference, ReturnDocument, SelectionCriteria},
};
use serde::de::DeserializeOwned;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{
    super::{Client, Error, Moment, retry, write::majority},
    change::Change,
    guarded_writer::GuardedWriter,
    guards::{Guard, GuardCounts, raise_term},
};

/// A database of documents. Clones share the writer.
#[derive(Clone)]
pub struct Documents {
    database: Database,
    /// Serializes transactions: each changes the guard document, so parallel transactions would abort each
    /// other.
    writer: Arc<Mutex<Option<GuardedWriter>>>,
}

/// A transaction. It does nothing if it is dropped before the commit.
pub struct Transaction {
    database: Database,
    session: ClientSession,
    _alone: OwnedMutexGuard<Option<GuardedWriter>>,
}

impl Documents {
    /// Reads from the primary with read concern majority, so that a read after a failover sees all previous
    /// writes.
    pub fn new(client: &Client, database: &str) -> Self {
        let options = DatabaseOptions::builder()
            .write_concern(majority())
            .read_concern(ReadConcern::majority())
            .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
            .build();
        Self {
            database: client.driver().database_with_options(database, options),
            writer: Arc::default(),
        }
    }

    /// Names of the collections, sorted, without views and `system.` collections.
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

    /// Deletes the documents that match, once and without a guard.
    pub async fn delete(&self, collection: &str, filter: Document) -> Result<(), Error> {
        let collection = self.database.collection::<Document>(collection);
        collection.delete_many(filter).await?;
        Ok(())
    }

    /// All documents that match, in no particular order.
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

    /// Documents by ascending `_id`, with the fields of `projection`.
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

    /// Up to `limit` documents by descending `_id`.
    pub async fn newest<T: DeserializeOwned + Send + Sync>(
        &self,
        collection: &str,
        filter: Document,
        limit: u32,
    ) -> Result<Vec<T>, Error> {
        retry("read metadata", || async {
            let cursor = self
                .database
                .collection::<T>(collection)
                .find(filter.clone())
                .sort(doc! { "_id": -1 })
                .limit(i64::from(limit))
                .await?;
            Ok(cursor.try_collect().await?)
        })
        .await
    }

    /// See [`GuardedWriter::settle`].
    pub async fn settle(&self, guard: &Guard) -> Result<(), Error> {
        self.of(&mut *self.writer.lock().await, guard)
            .settle()
            .await
    }

    fn of<'w>(
        &self,
        writer: &'w mut Option<GuardedWriter>,
        guard: &Guard,
    ) -> &'w mut GuardedWriter {
        if writer.as_ref().is_none_or(|known| known.guard() != guard) {
            *writer = None;
        }
        writer.get_or_insert_with(|| GuardedWriter::new(self.database.client(), guard.clone()))
    }

    /// Commits changes in one transaction of the guard's writer, exactly once.
    ///
    /// # Errors
    /// Errors of [`GuardedWriter::commit`]. [`Error::Fenced`] means that another host holds the lease, and
    /// that nothing was written.
    pub async fn commit(&self, guard: &Guard, changes: &[Change]) -> Result<(), Error> {
        if changes.is_empty() {
            return Ok(());
        }
        // Writes that wait for their predecessors meet the same outage: it counts once.
        let since = Moment::now();
        let mut writer = self.writer.lock().await;
        let writer = self.of(&mut writer, guard);
        let build = || {
            let mut commands = Vec::with_capacity(changes.len());
            for change in changes {
                change.append_commands(self.database.name(), &mut commands)?;
            }
            Ok(commands)
        };
        writer.commit(since, build).await
    }

    /// Begins a transaction, after the previous transaction of this host.
    pub async fn begin(&self) -> Result<Transaction, Error> {
        let alone = self.writer.clone().lock_owned().await;
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

    /// Changes a document with a pipeline, once, and returns the changed document; `None` if no document
    /// matches.
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

    /// Changes the document with this id by a pipeline, and creates it if it is missing. Idempotent pipelines only: it is
    /// repeated after transient failures.
    pub async fn put_computed(
        &self,
        collection: &str,
        id: &str,
        pipeline: Vec<Document>,
    ) -> Result<(), Error> {
        retry("write metadata", || async {
            let collection = self.database.collection::<Document>(collection);
            let put = collection.update_one(doc! { "_id": id }, pipeline.clone());
            put.upsert(true).await?;
            Ok(())
        })
        .await
    }

    /// See [`raise_term`].
    pub async fn raise_term(
        &self,
        collection: &str,
        writers: &[&str],
        term: i64,
    ) -> Result<GuardCounts, Error> {
        raise_term(self.database.client(), collection, writers, term).await
    }

    /// Inserts a document, unless its `_id` exists.
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

impl Transaction {
    /// Changes the guard document; false if it is of another term.
    pub async fn touch(&mut self, guard: &Guard) -> Result<bool, Error> {
        let mine = doc! { "_id": &guard.writer, "term": guard.term };
        let touched = self
            .database
            .collection::<Document>(guard.collection)
            .update_one(mine, doc! { "$inc": { "writes": 1_i64 } })
            .session(&mut self.session)
            .await?;
        Ok(touched.matched_count == 1)
    }

    /// All documents of a collection, at the time of the transaction's snapshot.
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

    /// Makes changes in the transaction.
    pub async fn apply(&mut self, changes: &[Change]) -> Result<(), Error> {
        for change in changes {
            self.apply_one(change).await?;
        }
        Ok(())
    }

    async fn apply_one(&mut self, change: &Change) -> Result<(), Error> {
        let named = |name: &str| self.database.collection::<RawDocumentBuf>(name);
        match change {
            Change::Put {
                collection,
                id,
                document,
            } => {
                named(collection)
                    .replace_one(doc! { "_id": id }, document)
                    .upsert(true)
                    .session(&mut self.session)
                    .await?;
            }
            Change::PutMany {
                collection,
                documents,
            } => {
                for (id, document) in documents {
                    named(collection)
                        .replace_one(doc! { "_id": id }, document)
                        .upsert(true)
                        .session(&mut self.session)
                        .await?;
                }
            }
            Change::Insert { documents, .. } if documents.is_empty() => {}
            Change::Insert {
                collection,
                documents,
            } => {
                named(collection)
                    .insert_many(documents)
                    .session(&mut self.session)
                    .await?;
            }
            Change::Remove { collection, filter } => {
                named(collection)
                    .delete_many(filter.clone())
                    .session(&mut self.session)
                    .await?;
            }
            Change::Command { database, body } => {
                let database = self.database.client().database(database);
                let command = database.run_raw_command(body.clone());
                command.session(&mut self.session).await?;
            }
        }
        Ok(())
    }

    /// Commits. A commit with a lost answer is sent again: the server answers with the result of the first.
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

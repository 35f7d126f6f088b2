//! Inserts of a batch of documents.

use bson::{RawDocumentBuf, rawdoc};

use super::{Error, worker::PartitionCopier};
use crate::{
    model::raw::{self, Malformed},
    mongo::{
        self, RawReader, Retry,
        write::{
            self, CollectionRef, MAX_COMMAND_BYTES, StatementError, WriteCommand, empty_timestamps,
        },
    },
    sync::{
        catalog::{destination::on_destination, options::is_clustered},
        quarantine::id_document,
        restore::index_refusal::{drop_refusing_index, is_index_refusal},
    },
};

impl PartitionCopier<'_> {
    /// Inserts documents. `array` is the BSON array of exactly these documents, if the caller has
    /// it. `attempts`: the number of earlier refusals by an index.
    pub(super) async fn insert(
        &self,
        documents: &[&[u8]],
        array: Option<&[u8]>,
        attempts: usize,
    ) -> Result<(), Error> {
        for (command, sent) in commands(&on_destination(&self.namespace), documents, array)? {
            let outcome = self.database().send_unguarded(command).await?;
            self.settle(&outcome, sent, attempts).await?;
        }
        Ok(())
    }

    /// Ignores duplicates, which a repeated range finds on the destination.
    async fn settle(
        &self,
        outcome: &write::Outcome,
        sent: &[&[u8]],
        attempts: usize,
    ) -> Result<(), Error> {
        let destination = &self.namespace.destination;
        if let Some(error) = outcome.errors.iter().find(|error| error.is_transient()) {
            return Err(error.clone().into_error().into());
        }
        if let Some(error) = outcome
            .errors
            .iter()
            .find(|one| is_index_refusal(one.code()))
        {
            return self.insert_again(outcome, sent, error, attempts).await;
        }
        if !is_clustered(&self.namespace.options) {
            return Ok(outcome.refuse_but_duplicates(destination)?);
        }
        for error in &outcome.errors {
            let document = sent.get(error.index).ok_or(raw::Malformed)?;
            let id = raw::find(document, "_id")?.ok_or(raw::Malformed)?;
            let collection = on_destination(&self.namespace);
            let id = id_document(id.kind, id.value)?;
            if !has_document(self.database().reads(), &collection, id).await? {
                return Err(error.clone().refusal(destination).into());
            }
        }
        Ok(())
    }

    /// Inserts documents that an index has refused, after dropping the index.
    async fn insert_again(
        &self,
        outcome: &write::Outcome,
        sent: &[&[u8]],
        refusal: &StatementError,
        attempts: usize,
    ) -> Result<(), Error> {
        let collection = on_destination(&self.namespace);
        if !drop_refusing_index(
            &self.context.destination,
            &collection,
            refusal.code(),
            attempts,
        )
        .await?
        {
            return Err(refusal.clone().refusal(&collection.namespace).into());
        }
        let refused = outcome.errors.iter().filter(|one| !one.is_duplicate());
        let refused: Vec<&[u8]> = refused
            .filter_map(|one| sent.get(one.index).copied())
            .collect();
        Box::pin(self.insert(&refused, None, attempts + 1)).await
    }
}

/// Whether the collection has a document with this `_id`.
async fn has_document(
    database: &mongo::Database,
    collection: &CollectionRef,
    id: RawDocumentBuf,
) -> Result<bool, mongo::Error> {
    let reader = RawReader::new(database.clone(), collection.clone());
    let find = rawdoc! { "filter": id, "limit": 1 };
    let found = Retry::quick(database.contact(), "look a duplicate up").run(|| async {
        match reader.open(&find).await?.next().await? {
            Some(reply) => Ok(reply.documents()?.next().is_some()),
            None => Ok(false),
        }
    });
    found.await
}

/// A command, and the documents of its statements in order.
type InsertCommand<'d> = (WriteCommand, &'d [&'d [u8]]);

/// The commands that insert `documents` in order, mostly a single command, made by one copy of
/// `array`. `array` is the BSON array of exactly these documents.
fn commands<'d>(
    collection: &CollectionRef,
    documents: &'d [&'d [u8]],
    array: Option<&[u8]>,
) -> Result<Vec<InsertCommand<'d>>, Malformed> {
    let is_preserved = |document: &&[u8]| empty_timestamps::is_preserved(document);
    if documents.iter().all(is_preserved) {
        return Ok(whole(collection, documents, array)
            .map_or_else(|| inserts(collection, documents), |sent| vec![sent]));
    }
    let mut commands = Vec::new();
    for run in documents.chunk_by(|a, b| is_preserved(a) == is_preserved(b)) {
        if run.iter().all(is_preserved) {
            commands.extend(inserts(collection, run));
        } else {
            commands.extend(insertions(collection, run)?);
        }
    }
    Ok(commands)
}

fn whole<'d>(
    collection: &CollectionRef,
    documents: &'d [&'d [u8]],
    array: Option<&[u8]>,
) -> Option<InsertCommand<'d>> {
    const FRAME: usize = 1024;
    let count = documents.len();
    let array = array.filter(|array| count == 1 || array.len() + FRAME < MAX_COMMAND_BYTES)?;
    let mut command = WriteCommand::insert(collection).expecting(array.len() + FRAME);
    command.push_array(array, count);
    Some((command, documents))
}

fn inserts<'d>(collection: &CollectionRef, documents: &'d [&'d [u8]]) -> Vec<InsertCommand<'d>> {
    let bytes = documents.iter().map(|document| document.len() + 16).sum();
    let mut command = WriteCommand::insert(collection).expecting(bytes);
    let (mut commands, mut rest) = (Vec::new(), documents);
    for document in documents {
        if !command.has_room_for(document.len()) {
            let (sent, unsent) = rest.split_at(command.statements());
            let full = std::mem::replace(&mut command, WriteCommand::insert(collection));
            commands.push((full, sent));
            rest = unsent;
        }
        command.push(document);
    }
    commands.push((command, rest));
    commands
}

/// The commands for documents that an insert would change: see [`empty_timestamps`].
fn insertions<'d>(
    collection: &CollectionRef,
    documents: &'d [&'d [u8]],
) -> Result<Vec<InsertCommand<'d>>, Malformed> {
    let mut commands = Vec::new();
    let mut command = WriteCommand::update(collection);
    let mut rest = documents;
    for document in documents {
        let id = raw::find(document, "_id")?.ok_or(Malformed)?;
        if !command.has_room_for(document.len() + id.value.len()) {
            let (sent, unsent) = rest.split_at(command.statements());
            let full = std::mem::replace(&mut command, WriteCommand::update(collection));
            commands.push((full, sent));
            rest = unsent;
        }
        command.push_insertion(id.kind, id.value, document);
    }
    commands.push((command, rest));
    Ok(commands)
}

//! Compares, last thing before commit, what the server could not guard: the `_id`s of suspect
//! partitions, and capped collections, which take no transactions. What differs is set right.
//!
//! The stream is drained and nothing is applied meanwhile, so the destination stands still. The
//! source is read as of the drained position, where the server still can.

use std::{collections::HashSet, sync::Arc, time::Duration};

use bson::{RawDocumentBuf, rawdoc};
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use mongodb::raw_batch_cursor::RawBatch;
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use super::{Context, Error, copy_one, find::append_bounds};
use crate::{
    metadata::{CopyState, NamespaceDocument, NamespaceKind, PartitionDocument},
    model::{
        ClusterTime,
        document_key::{DocumentKey, OwnedDocumentKey},
        raw,
    },
    mongo::{
        self, Client, Repeat, code,
        write::{CollectionRef, Command, WriteCommand},
    },
    plugin::{NamespaceChain, Outcome},
    sync::{indexes, pipeline, quarantine::id_document, relaxed},
};

/// Answers of a server that does not have the collection.
const GONE: [i32; 2] = [code::NAMESPACE_NOT_FOUND, code::COLLECTION_UUID_MISMATCH];

/// The time for a batch of a comparison that takes as long as it takes.
const ANSWER: Duration = Duration::from_secs(120);

/// Statements of one transaction that sets documents right.
const STATEMENTS: usize = 500;

/// One side's collection, and how it is read.
struct Side {
    client: Client,
    collection: CollectionRef,
    read_concern: RawDocumentBuf,
}

/// Compares what is suspect; `at` is the position that the destination stands at.
pub(in crate::sync) async fn compare(context: &Arc<Context>, at: ClusterTime) -> Result<(), Error> {
    for partition in context.store.suspect_partitions().await? {
        context.check_cancelled()?;
        let namespace = context.store.namespace(&partition.namespace_id).await?;
        // Capped collections are compared whole.
        let namespace = namespace.filter(|namespace| !relaxed::is_capped(&namespace.options));
        if let Some(namespace) = namespace {
            compare_ids(context, &namespace, &partition, at).await?;
        }
    }
    for namespace in context.store.namespaces().await? {
        context.check_cancelled()?;
        if namespace.kind == NamespaceKind::Collection && relaxed::is_capped(&namespace.options) {
            compare_capped(context, namespace, at).await?;
        }
    }
    Ok(())
}

async fn compare_ids(
    context: &Context,
    namespace: &NamespaceDocument,
    partition: &PartitionDocument,
    at: ClusterTime,
) -> Result<(), Error> {
    let mut range = rawdoc! { "hint": { "_id": 1 } };
    append_bounds(
        &mut range,
        partition.lower.as_ref(),
        partition.upper.as_ref(),
    );
    let (mut source, mut destination) = (
        source(context, namespace, at)?,
        destination(context, namespace),
    );
    let chain = context.chain.of(&namespace.source)?;
    let on_source = source.ids(&range, chain.as_ref()).await?;
    let on_destination = destination.ids(&range, None).await?;
    let extra = difference(&on_destination, &on_source)?;
    let missing = match chain {
        None => difference(&on_source, &on_destination)?,
        // A late insert adds documents only.
        Some(_) => Vec::new(),
    };
    let mut statements = Vec::new();
    let to = &destination.collection;
    for id in &extra {
        let document = source.document(id).await?;
        let document: Vec<&[u8]> = document.iter().map(|found| found.as_bytes()).collect();
        // A document that the plugins keep is there under an equal `_id` of another type.
        if kept(chain.as_ref(), &document)?.is_empty() {
            statements.push(removal(to, id)?);
        }
    }
    for id in &missing {
        if let Some(document) = source.document(id).await? {
            statements.push(replacement(to, id, &document)?);
        }
    }
    tracing::info!(
        namespace = %namespace.destination, partition = partition.id,
        documents = on_source.len(), differing = statements.len(), "suspect partition compared"
    );
    write(context, statements).await
}

fn removal(collection: &CollectionRef, id: &RawDocumentBuf) -> Result<Command, Error> {
    let id = raw::find(id.as_bytes(), "_id")?.ok_or(raw::Malformed)?;
    let mut command = WriteCommand::delete(collection);
    command.push_delete(id.kind, id.value);
    Ok(command.into_command()?)
}

fn replacement(
    collection: &CollectionRef,
    id: &RawDocumentBuf,
    document: &RawDocumentBuf,
) -> Result<Command, Error> {
    let id = raw::find(id.as_bytes(), "_id")?.ok_or(raw::Malformed)?;
    let mut command = WriteCommand::update(collection);
    command.push_replacement(id.kind, id.value, document.as_bytes());
    Ok(command.into_command()?)
}

async fn write(context: &Context, statements: Vec<Command>) -> Result<(), Error> {
    let guard = context.store.key().between_rounds_guard();
    let mut writer = context.destination.writer(guard);
    for statements in statements.chunks(STATEMENTS) {
        writer.commit(|| Ok(statements.to_vec())).await?;
    }
    Ok(())
}

/// The `_id`s of `a` that `b` does not have.
fn difference(a: &[RawDocumentBuf], b: &[RawDocumentBuf]) -> Result<Vec<RawDocumentBuf>, Error> {
    let known: HashSet<OwnedDocumentKey> = b.iter().map(key).collect::<Result<_, _>>()?;
    let mut different = Vec::new();
    for id in a {
        if !known.contains(&key(id)?) {
            different.push(id.clone());
        }
    }
    Ok(different)
}

fn key(id: &RawDocumentBuf) -> Result<OwnedDocumentKey, raw::Malformed> {
    let id = raw::find(id.as_bytes(), "_id")?.ok_or(raw::Malformed)?;
    Ok(DocumentKey::new(id.kind, id.value).into_owned())
}

/// Compares a capped collection, in natural order, and copies it again where it differs.
async fn compare_capped(
    context: &Arc<Context>,
    mut namespace: NamespaceDocument,
    at: ClusterTime,
) -> Result<(), Error> {
    let chain = context.chain.of(&namespace.source)?;
    let source = Side {
        read_concern: majority_after(at),
        ..source(context, &namespace, at)?
    };
    let wanted = match source.digest(chain.as_ref()).await {
        // Dropped after the commit's time: the restoration names it.
        Err(Error::Mongo(error)) if is_any(&error, &GONE) => return Ok(()),
        wanted => wanted?,
    };
    let found = destination(context, &namespace).digest(None).await?;
    if wanted == found {
        return Ok(());
    }
    tracing::info!(
        namespace = %namespace.destination,
        "a capped collection differs before commit; it is copied again"
    );
    namespace.copy_state = CopyState::Pending;
    (namespace.documents, namespace.bytes) = (0, 0);
    context.store.put_namespace(&namespace).await?;
    let id = namespace.id.clone();
    copy_one(context, namespace, at).await?;
    let copied = context.store.namespace(&id).await?;
    let mut copied = copied.ok_or(mongo::Error::Reply("the namespace's record"))?;
    indexes::build_namespace(context, &copied).await?;
    copied.copy_state = CopyState::Ready;
    Ok(context.store.put_namespace(&copied).await?)
}

fn source(
    context: &Context,
    namespace: &NamespaceDocument,
    at: ClusterTime,
) -> Result<Side, Error> {
    let time = bson::Timestamp::from(at);
    Ok(Side {
        client: context.source.clone(),
        collection: CollectionRef {
            namespace: namespace.source.clone(),
            uuid: Some(namespace.uuid().ok_or(mongo::Error::Reply("info.uuid"))?),
        },
        read_concern: rawdoc! { "level": "snapshot", "atClusterTime": time },
    })
}

fn destination(context: &Context, namespace: &NamespaceDocument) -> Side {
    Side {
        client: context.destination.reads(),
        collection: indexes::on_destination(namespace),
        read_concern: rawdoc! { "level": "majority" },
    }
}

fn majority_after(at: ClusterTime) -> RawDocumentBuf {
    rawdoc! { "level": "majority", "afterClusterTime": bson::Timestamp::from(at) }
}

fn is_any(error: &mongo::Error, codes: &[i32]) -> bool {
    codes.iter().any(|code| error.has_code(*code))
}

impl Side {
    async fn document(&mut self, id: &RawDocumentBuf) -> Result<Option<RawDocumentBuf>, Error> {
        Ok(self
            .documents(&rawdoc! { "filter": id.clone() })
            .await?
            .pop())
    }

    /// The `_id`s in a range, of the documents that plugins keep.
    async fn ids(
        &mut self,
        range: &RawDocumentBuf,
        chain: Option<&NamespaceChain>,
    ) -> Result<Vec<RawDocumentBuf>, Error> {
        let mut find = range.clone();
        if chain.is_none() {
            find.append(bson::cstr!("projection"), rawdoc! { "_id": 1 });
        }
        self.read(&find, |documents| {
            let kept = kept(chain, documents)?;
            kept.iter().map(|document| id_of(document)).collect()
        })
        .await
    }

    async fn documents(&mut self, find: &RawDocumentBuf) -> Result<Vec<RawDocumentBuf>, Error> {
        self.read(find, |documents| {
            let owned = documents.iter().map(|document| owned(document));
            owned.collect()
        })
        .await
    }

    /// What `take` makes of the documents of a find with these fields; nothing where the collection is
    /// gone. Where the time can be read no longer, the newest state is read from then on.
    async fn read(
        &mut self,
        find: &RawDocumentBuf,
        take: impl Fn(&[&[u8]]) -> Result<Vec<RawDocumentBuf>, Error>,
    ) -> Result<Vec<RawDocumentBuf>, Error> {
        loop {
            let read = Repeat::open(self.client.at(), "compare").run(|| async {
                let mut taken = Vec::new();
                let all = self.each(find, |documents| {
                    taken.extend(take(documents)?);
                    Ok(())
                });
                match all.await {
                    Err(Error::Mongo(error)) if is_any(&error, &code::NOT_AT_TIME) => Ok(Ok(None)),
                    Err(Error::Mongo(error)) if is_any(&error, &GONE) => Ok(Ok(Some(Vec::new()))),
                    Err(Error::Mongo(error)) => Err(error),
                    other => Ok(other.map(|()| Some(taken))),
                }
            });
            if let Some(taken) = read.await?? {
                return Ok(taken);
            }
            self.read_concern = rawdoc! { "level": "majority" };
        }
    }

    /// Calls `take` with the documents of each batch of a find with these fields.
    async fn each(
        &self,
        find: &RawDocumentBuf,
        mut take: impl FnMut(&[&[u8]]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let no_answer = |_elapsed| mongo::Error::NoAnswer(ANSWER);
        let opened = timeout(ANSWER, self.batches(find)).await;
        let mut batches = opened.map_err(no_answer)??;
        loop {
            let next = timeout(ANSWER, batches.next()).await.map_err(no_answer)?;
            let Some(batch) = next.transpose()? else {
                return Ok(());
            };
            let array = batch.doc_slices().map_err(mongo::Error::from)?.as_bytes();
            let documents: Vec<&[u8]> = raw::documents(array)?.collect::<Result<_, _>>()?;
            take(&documents)?;
        }
    }

    async fn batches(
        &self,
        find: &RawDocumentBuf,
    ) -> Result<BoxStream<'static, Result<RawBatch, mongo::Error>>, mongo::Error> {
        let mut command = rawdoc! { "find": self.collection.namespace.collection.as_str() };
        for field in find.iter() {
            let (name, value) = field?;
            command.append(name, value);
        }
        self.collection.append_uuid(&mut command);
        command.append(bson::cstr!("readConcern"), self.read_concern.clone());
        let database = self.client.database(&self.collection.namespace.database);
        let batches = database.run_raw_cursor_command(command).batch().await?;
        Ok(batches.map_err(mongo::Error::from).boxed())
    }

    /// The number of documents in natural order, and a digest over them, as the plugins make them.
    async fn digest(&self, chain: Option<&NamespaceChain>) -> Result<(u64, [u8; 32]), Error> {
        let read = Repeat::open(self.client.at(), "compare").run(|| async {
            match self.digest_once(chain).await {
                Err(Error::Mongo(error)) => Err(error),
                other => Ok(other),
            }
        });
        read.await?
    }

    async fn digest_once(&self, chain: Option<&NamespaceChain>) -> Result<(u64, [u8; 32]), Error> {
        let natural = rawdoc! { "hint": { "$natural": 1 } };
        let (mut count, mut digest) = (0, Sha256::new());
        self.each(&natural, |documents| {
            for document in kept(chain, documents)? {
                count += 1;
                digest.update(&document);
            }
            Ok(())
        })
        .await?;
        Ok((count, digest.finalize().into()))
    }
}

/// What plugins make of documents.
fn kept(chain: Option<&NamespaceChain>, documents: &[&[u8]]) -> Result<Vec<Vec<u8>>, Error> {
    let owned = |document: &&[u8]| document.to_vec();
    let Some(chain) = chain else {
        return Ok(documents.iter().map(owned).collect());
    };
    let transformed = pipeline::transform(chain, documents)?;
    let outcomes = documents.iter().zip(transformed.outcomes());
    let kept = outcomes.filter_map(|(document, outcome)| match outcome {
        Outcome::Keep => Some(document.to_vec()),
        Outcome::Replaced(replacement) => Some(replacement.to_vec()),
        Outcome::Drop | Outcome::Quarantined(_) => None,
    });
    Ok(kept.collect())
}

fn owned(document: &[u8]) -> Result<RawDocumentBuf, Error> {
    let owned = RawDocumentBuf::from_bytes(document.to_vec());
    Ok(owned.map_err(mongo::Error::Bson)?)
}

fn id_of(document: &[u8]) -> Result<RawDocumentBuf, Error> {
    let id = raw::find(document, "_id")?.ok_or(raw::Malformed)?;
    id_document(id.kind, id.value)
}

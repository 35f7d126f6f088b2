//! The comparison before commit: the `_id`s of suspect partitions, and capped collections, which
//! take no transactions. The server could not guard their writes, so differences are corrected.
//!
//! The stream is drained and nothing is applied meanwhile, so the destination does not change. The
//! source is read at the drained position where the server still can.

use std::{collections::HashSet, sync::Arc};

use bson::{RawDocumentBuf, rawdoc};

use super::{
    Context, Error,
    alone::copy_alone,
    collection_reader::{CollectionReader, GONE, has_any, kept},
    find::append_bounds,
};
use crate::{
    metadata::{CopyState, NamespaceDocument, NamespaceKind, PartitionDocument},
    model::{
        ClusterTime, Namespace,
        document_key::{DocumentKey, OwnedDocumentKey},
        raw,
    },
    mongo::{
        self,
        write::{CollectionRef, Command, WriteCommand},
    },
    plugin::NamespaceChain,
    sync::{
        catalog::{destination, options},
        index_build,
    },
};

/// Statements in one correcting transaction.
const STATEMENTS: usize = 500;
/// Bytes of them. A larger statement goes alone.
const STATEMENT_BYTES: usize = 8 << 20;

/// Compares and corrects suspect partitions and capped collections. `at` is the drained position. Returns the capped
/// collections of the destination that differed.
pub(in crate::sync) async fn compare(
    context: &Arc<Context>,
    at: ClusterTime,
) -> Result<Vec<Namespace>, Error> {
    for partition in context.store.suspect_partitions().await? {
        context.check_cancelled()?;
        let namespace = context.store.namespace(&partition.namespace_id).await?;
        // Capped collections are compared as a whole.
        let namespace = namespace.filter(|namespace| !options::is_capped(&namespace.options));
        if let Some(namespace) = namespace {
            compare_ids(context, &namespace, &partition, at).await?;
        }
    }
    let mut differing = Vec::new();
    for namespace in context.store.namespaces().await? {
        context.check_cancelled()?;
        if namespace.kind == NamespaceKind::Collection && options::is_capped(&namespace.options) {
            let name = namespace.destination.clone();
            if compare_capped(context, namespace, at).await? {
                differing.push(name);
            }
        }
    }
    Ok(differing)
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
        // A late insert only adds documents.
        Some(_) => Vec::new(),
    };
    let to = &destination.collection;
    let mut statements = removals(&mut source, to, chain.as_ref(), &extra).await?;
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

/// Removes the `extra` documents that plugins do not keep.
async fn removals(
    source: &mut CollectionReader,
    to: &CollectionRef,
    chain: Option<&NamespaceChain>,
    extra: &[RawDocumentBuf],
) -> Result<Vec<Command>, Error> {
    let mut statements = Vec::new();
    for id in extra {
        let document = source.document(id).await?;
        let document: Vec<&[u8]> = document.iter().map(|found| found.as_bytes()).collect();
        // A document that the plugins keep is on the destination under an equal `_id` of another
        // type.
        if kept(chain, &document)?.is_empty() {
            statements.push(removal(to, id)?);
        }
    }
    Ok(statements)
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
    let mut rest = statements.as_slice();
    while !rest.is_empty() {
        let mut bytes = 0;
        let fitting = rest.iter().take(STATEMENTS).take_while(|statement| {
            bytes += statement.bytes();
            bytes <= STATEMENT_BYTES
        });
        let (portion, later) = rest.split_at(fitting.count().max(1));
        let build = || Ok(portion.to_vec());
        writer.commit(mongo::Moment::now(), build).await?;
        rest = later;
    }
    Ok(())
}

/// The `_id`s of `a` that are missing in `b`.
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

/// Compares a capped collection in natural order, and copies it again if it differs. Returns whether it did.
async fn compare_capped(
    context: &Arc<Context>,
    mut namespace: NamespaceDocument,
    at: ClusterTime,
) -> Result<bool, Error> {
    let chain = context.chain.of(&namespace.source)?;
    let source = CollectionReader {
        read_concern: majority_after(at),
        ..source(context, &namespace, at)?
    };
    let wanted = match source.digest(chain.as_ref()).await {
        // Dropped after the commit's time: the restoration names it.
        Err(Error::Mongo(error)) if has_any(&error, &GONE) => return Ok(false),
        wanted => wanted?,
    };
    let found = destination(context, &namespace).digest(None).await?;
    if wanted == found {
        return Ok(false);
    }
    tracing::info!(
        namespace = %namespace.destination,
        "capped collection differs before commit; copying it again"
    );
    namespace.copy_state = CopyState::Pending;
    (namespace.documents, namespace.bytes) = (0, 0);
    context.store.put_namespace(&namespace).await?;
    let id = namespace.id.clone();
    copy_alone(context, namespace, at).await?;
    let copied = context.store.namespace(&id).await?;
    let mut copied = copied.ok_or(mongo::Error::Reply("the namespace's record"))?;
    index_build::build_namespace(context, &copied).await?;
    copied.copy_state = CopyState::Ready;
    context.store.put_namespace(&copied).await?;
    Ok(true)
}

fn source(
    context: &Context,
    namespace: &NamespaceDocument,
    at: ClusterTime,
) -> Result<CollectionReader, Error> {
    let time = bson::Timestamp::from(at);
    Ok(CollectionReader {
        client: context.source.clone(),
        collection: CollectionRef {
            namespace: namespace.source.clone(),
            uuid: Some(namespace.uuid().ok_or(mongo::Error::Reply("info.uuid"))?),
        },
        read_concern: rawdoc! { "level": "snapshot", "atClusterTime": time },
    })
}

fn destination(context: &Context, namespace: &NamespaceDocument) -> CollectionReader {
    CollectionReader {
        client: context.destination.reads(),
        collection: destination::on_destination(namespace),
        read_concern: rawdoc! { "level": "majority" },
    }
}

fn majority_after(at: ClusterTime) -> RawDocumentBuf {
    rawdoc! { "level": "majority", "afterClusterTime": bson::Timestamp::from(at) }
}

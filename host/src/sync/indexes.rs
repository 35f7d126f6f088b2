//! Collections and indexes as they are while the sync runs, and as they are after commit.
//!
//! Documents are applied out of order and late, so nothing on the destination
//! may refuse, expire or evict them before commit: unique indexes are not
//! unique, TTL indexes expire far away, hidden ones are visible (so that they
//! can be made unique), capped collections are large. [`super::commit`] restores all.

use bson::{RawBsonRef, RawDocument, RawDocumentBuf, rawdoc};
use futures::{StreamExt, TryStreamExt, stream};

use super::{Context, Error};
use crate::{
    metadata::{CopyState, NamespaceDocument, NamespaceKind},
    model::{ErrorKind, options::BuildIndexes},
    mongo::{self, DestinationDatabase, code, listing, write::CollectionRef},
    observe::failpoint,
};

/// Collections whose indexes are built at the same time.
const PARALLEL_BUILDS: usize = 2;

/// The largest size that the server takes for a capped collection: 2^50 bytes.
const LARGE_CAPPED_BYTES: i64 = 1 << 50;

/// True if a collection's options make it a capped one: its natural order is data.
pub(super) fn is_capped(options: &RawDocument) -> bool {
    matches!(options.get("capped"), Ok(Some(RawBsonRef::Boolean(true))))
}

/// True for a collection that is stored by its `_id`, without an index of it. Server 6.0.5 answers
/// a duplicate `_id` there with any of several errors when it fails to print the key, so no code
/// tells a duplicate from another refusal: writing the document as a replacement does.
pub(super) fn is_clustered(options: &RawDocument) -> bool {
    matches!(options.get("clusteredIndex"), Ok(Some(_)))
}

/// The options of a `create` command for a collection or view while the sync runs.
pub(super) fn create_command(name: &str, options: &RawDocument) -> Result<RawDocumentBuf, Error> {
    let capped = is_capped(options);
    let mut command = rawdoc! { "create": name };
    for option in options {
        let (key, value) = option.map_err(mongo::Error::Bson)?;
        match key.as_str() {
            "size" if capped => command.append(key, LARGE_CAPPED_BYTES),
            "max" if capped => {}
            "uuid" | "idIndex" | "autoIndexId" => {}
            _ => command.append(key, value),
        }
    }
    Ok(command)
}

/// A collection as it is on the destination.
pub(super) fn on_destination(namespace: &NamespaceDocument) -> CollectionRef {
    CollectionRef {
        namespace: namespace.destination.clone(),
        uuid: namespace.destination_uuid(),
    }
}

/// An index specification as it is built while the sync runs.
pub(super) fn relaxed(index: &RawDocument) -> Result<RawDocumentBuf, Error> {
    let mut spec = RawDocumentBuf::new();
    for option in index {
        let (key, value) = option.map_err(mongo::Error::Bson)?;
        match key.as_str() {
            "expireAfterSeconds" => spec.append(key, i32::MAX),
            "unique" | "prepareUnique" | "hidden" | "ns" => {}
            _ => spec.append(key, value),
        }
    }
    Ok(spec)
}

/// The command that builds `indexes` in their relaxed form. Building what is there already is
/// harmless; a build that is under way is joined.
pub(super) fn build_command(
    collection: &CollectionRef,
    indexes: &[RawDocumentBuf],
) -> Result<RawDocumentBuf, Error> {
    let mut specs = bson::RawArrayBuf::new();
    for index in indexes {
        specs.push(relaxed(index)?);
    }
    let name = collection.namespace.collection.as_str();
    let mut command = rawdoc! { "createIndexes": name, "indexes": specs };
    collection.append_uuid(&mut command);
    Ok(command)
}

/// Builds `indexes` in their relaxed form.
pub(super) async fn build(
    database: &DestinationDatabase,
    collection: &CollectionRef,
    indexes: &[RawDocumentBuf],
) -> Result<(), Error> {
    if indexes.is_empty() {
        return Ok(());
    }
    let mut command = build_command(collection, indexes)?;
    command.append(bson::cstr!("writeConcern"), rawdoc! { "w": "majority" });
    run(database, command).await
}

/// Appends to a `collMod` what a modify event's description changes of a collection's options, and
/// gives it. Index settings and capped sizes are not among it: they wait for commit.
pub(super) fn modified(
    command: &mut RawDocumentBuf,
    description: &RawDocument,
) -> Result<RawDocumentBuf, Error> {
    let mut changed = RawDocumentBuf::new();
    for option in description {
        let (name, value) = option.map_err(mongo::Error::Bson)?;
        if !["index", "cappedSize", "cappedMax"].contains(&name.as_str()) {
            command.append(name, value);
            changed.append(name, value);
        }
    }
    Ok(changed)
}

/// A collection's options after those in `changed` were set by `collMod`.
pub(super) fn with_options(
    options: &RawDocument,
    changed: &RawDocument,
) -> Result<RawDocumentBuf, Error> {
    let mut merged = RawDocumentBuf::new();
    for option in options {
        let (name, value) = option.map_err(mongo::Error::Bson)?;
        if matches!(changed.get(name.as_str()), Ok(None)) {
            merged.append(name, value);
        }
    }
    for option in changed {
        let (name, value) = option.map_err(mongo::Error::Bson)?;
        // As `listCollections` shows it: what is turned off is absent.
        let is_off = match value {
            RawBsonRef::Document(document) => {
                document.is_empty() || document.get_bool("enabled").is_ok_and(|enabled| !enabled)
            }
            _ => false,
        };
        if !is_off {
            merged.append(name, value);
        }
    }
    Ok(merged)
}

/// Runs a DDL command that may be repeated.
pub(super) async fn run(
    database: &DestinationDatabase,
    command: RawDocumentBuf,
) -> Result<(), Error> {
    Ok(database.run(command).await?)
}

/// Phase "index building": indexes of every copied collection, then views.
/// A build that fails is tried again at commit, and reported there.
pub(super) async fn build_all(context: &Context) -> Result<(), Error> {
    let namespaces = context.store.namespaces().await?;
    let after_copy = context.options.build_indexes == BuildIndexes::AfterDataCopy;
    plan(context, &namespaces);
    let pending: Vec<_> = namespaces
        .into_iter()
        .filter(|n| n.copy_state == CopyState::Copied)
        .collect();
    let (views, collections): (Vec<_>, Vec<_>) = pending
        .into_iter()
        .partition(|n| n.kind == NamespaceKind::View);
    stream::iter(collections)
        .map(|namespace| async move {
            context.check_cancelled()?;
            if after_copy {
                build_namespace(context, &namespace).await?;
            }
            finish(context, namespace).await
        })
        .buffer_unordered(PARALLEL_BUILDS)
        .try_collect::<Vec<()>>()
        .await?;
    // Made at commit, so that their names stand in nobody's way until then.
    for view in views {
        finish(context, view).await?;
    }
    failpoint("indexes_built");
    Ok(())
}

/// Shows how many indexes there are to build, and those of finished collections as built.
pub(super) fn plan(context: &Context, namespaces: &[NamespaceDocument]) {
    let collections = || {
        namespaces
            .iter()
            .filter(|namespace| namespace.kind == NamespaceKind::Collection)
    };
    let indexes = collections()
        .map(|namespace| wanted(context, namespace))
        .sum();
    context
        .status
        .plan_indexes(collections().count() as u64, indexes);
    for namespace in collections().filter(|namespace| namespace.copy_state == CopyState::Ready) {
        context.status.indexes_built(wanted(context, namespace));
    }
}

/// Indexes that are built for a collection before change events are applied.
fn wanted(context: &Context, namespace: &NamespaceDocument) -> u64 {
    match context.options.build_indexes {
        BuildIndexes::Never => 0,
        BuildIndexes::AfterDataCopy | BuildIndexes::BeforeDataCopy => {
            namespace.indexes.len() as u64
        }
    }
}

async fn finish(context: &Context, mut namespace: NamespaceDocument) -> Result<(), Error> {
    namespace.copy_state = CopyState::Ready;
    context.store.put_namespace(&namespace).await?;
    if namespace.kind == NamespaceKind::Collection {
        context.status.indexes_built(wanted(context, &namespace));
    }
    context
        .status
        .with_collection(&namespace.source, |collection| collection.state = "ready");
    Ok(())
}

/// Builds a collection's indexes together, or one by one where one of them fails.
pub(super) async fn build_namespace(
    context: &Context,
    namespace: &NamespaceDocument,
) -> Result<(), Error> {
    let database = context
        .destination
        .database(&namespace.destination.database);
    let collection = on_destination(namespace);
    if let Err(error) = build(&database, &collection, &namespace.indexes).await {
        unless_fenced(error)?;
        for index in &namespace.indexes {
            if let Err(error) = build(&database, &collection, std::slice::from_ref(index)).await {
                let error = unless_fenced(error)?;
                let index = index.get_str("name").unwrap_or_default();
                tracing::warn!(namespace = %namespace.source, index, error = %error, "index not built; commit tries again");
            }
        }
    }
    Ok(())
}

/// What is left for commit to try again. Another host's sync is not ours to go on with, and an
/// outage ends the work.
pub(super) fn unless_fenced(error: Error) -> Result<Error, Error> {
    match error {
        Error::Mongo(ref failed)
            if matches!(failed, mongo::Error::Fenced) || failed.kind() == ErrorKind::Outage =>
        {
            Err(error)
        }
        other => Ok(other),
    }
}

/// Creates a view; one that exists already is brought to the same definition.
pub(super) async fn create_view(context: &Context, view: &NamespaceDocument) -> Result<(), Error> {
    let database = context.destination.database(&view.destination.database);
    let mut create = create_command(&view.destination.collection, &view.options)?;
    create.append(bson::cstr!("writeConcern"), rawdoc! { "w": "majority" });
    match run(&database, create).await {
        Err(Error::Mongo(error)) if error.has_code(code::NAMESPACE_EXISTS) => {
            let mut command = rawdoc! { "collMod": view.destination.collection.as_str() };
            for name in ["viewOn", "pipeline"] {
                if let Ok(Some(value)) = view.options.get(name) {
                    command.append(
                        if name == "viewOn" {
                            bson::cstr!("viewOn")
                        } else {
                            bson::cstr!("pipeline")
                        },
                        value,
                    );
                }
            }
            run(&database, command).await
        }
        other => other,
    }
}

/// The UUID of a collection on the destination, in hex; `None` if it does not exist.
pub(super) async fn destination_uuid(
    context: &Context,
    database: &str,
    collection: &str,
) -> Result<Option<String>, Error> {
    let database = context.destination.database(database);
    let found = listing::collection(database.reads(), collection).await?;
    Ok(found.and_then(|found| uuid_of(&found)))
}

/// Refuses the collection of this UUID where it is that of another namespace than `id`: a rename that
/// arrived late has given it the name. Told as the server would tell it, so that work begins
/// again and sets the name right.
pub(super) async fn refuse_another(
    context: &Context,
    id: &str,
    uuid: Option<&String>,
) -> Result<(), Error> {
    let known = context.store.namespaces().await?;
    let is_another = |known: &NamespaceDocument| {
        known.id != id && uuid.is_some() && known.destination_uuid.as_ref() == uuid
    };
    match known.into_iter().find(is_another) {
        None => Ok(()),
        Some(another) => Err(mongo::Error::Statement {
            code: code::COLLECTION_UUID_MISMATCH,
            message: format!("the collection of {} has another name", another.destination),
        }
        .into()),
    }
}

/// The UUID in a `listCollections` entry, in hex.
pub(super) fn uuid_of(entry: &RawDocument) -> Option<String> {
    let uuid = listing::subdocument(entry, "info")?
        .get_binary("uuid")
        .ok()?
        .bytes
        .try_into()
        .ok()?;
    Some(NamespaceDocument::id_of_uuid(uuid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relaxed_indexes_neither_refuse_nor_expire_nor_hide() {
        let index = rawdoc! {
            "v": 2, "key": { "b": 1, "a": -1 }, "name": "x", "unique": true, "hidden": true,
            "expireAfterSeconds": 10, "partialFilterExpression": { "z": 1, "a": 1 },
        };
        let expected = rawdoc! {
            "v": 2, "key": { "b": 1, "a": -1 }, "name": "x", "expireAfterSeconds": i32::MAX,
            "partialFilterExpression": { "z": 1, "a": 1 },
        };
        assert_eq!(relaxed(&index).unwrap(), expected);
    }

    #[test]
    fn capped_collections_are_created_large() {
        let options = rawdoc! { "capped": true, "size": 4096, "max": 10, "validator": { "a": 1 } };
        let command = create_command("c", &options).unwrap();
        assert_eq!(command.get_i64("size").unwrap(), LARGE_CAPPED_BYTES);
        assert!(command.get("max").unwrap().is_none() && command.get_document("validator").is_ok());
    }
}

//! Stored functions: the documents of `system.js`, which commit makes equal to the source's.
//!
//! The server takes no write to them in a transaction (50791), and no drop of their collection (20). No application calls
//! them on the destination before COMMITTED, so they are brought over at once, like views. Each step can be repeated.

use std::collections::BTreeMap;

use bson::rawdoc;

use crate::{
    metadata::NamespaceDocument,
    model::{Namespace, namespace::FUNCTIONS, raw},
    mongo::{
        self, Database, RawReader, Retry, code, listing,
        write::{CollectionRef, WriteCommand},
    },
    observe::failpoint,
    sync::{
        Context, Error,
        catalog::{self, destination},
        restore::relaxation,
    },
};

/// Functions by type and bytes of their `_id`s.
type Functions = BTreeMap<(u8, Vec<u8>), Vec<u8>>;

/// Brings the functions of all databases in scope over. Returns a sentence, without a full stop, for each database whose
/// functions could not be.
pub(super) async fn restore(context: &Context) -> Result<Vec<String>, Error> {
    if !context.record.get().has_stored_functions() {
        return Ok(Vec::new());
    }
    let mut not_restored = Vec::new();
    for database in listing::user_databases(&context.source).await? {
        if let Some(to) = context.scope.functions_of(&database)?
            && let Err(error) = restore_database(context, &database, &to).await
        {
            let error = error.unless_fatal()?;
            not_restored.push(format!("stored functions of {database}: {error}"));
        }
    }
    Ok(not_restored)
}

async fn restore_database(context: &Context, from: &str, to: &str) -> Result<(), Error> {
    let source = context.source.database(from);
    let on = context.destination.database(to);
    let theirs = collection(&source).await?;
    let mut ours = collection(on.reads()).await?;
    if let (Some((_, options)), None) = (&theirs, &ours) {
        let create = relaxation::create_command(FUNCTIONS, options)?;
        match destination::run(&on, create).await {
            Err(Error::Mongo(error)) if error.has_code(code::NAMESPACE_EXISTS) => {}
            other => other?,
        }
        ours = collection(on.reads()).await?;
    }
    let Some((ours, _)) = ours else {
        return Ok(());
    };
    let wanted = match &theirs {
        Some((theirs, _)) => read(&source, theirs).await?,
        None => Functions::new(),
    };
    let found = read(on.reads(), &ours).await?;
    for ((id_kind, id), function) in &wanted {
        if found.get(&(*id_kind, id.clone())) != Some(function) {
            let mut command = WriteCommand::update(&ours);
            command.push_replacement(*id_kind, id, function);
            let outcome = on.send_unguarded(command).await?;
            outcome.refuse_any(&ours.namespace)?;
            failpoint("function_written");
        }
    }
    for (id_kind, id) in found.keys() {
        if !wanted.contains_key(&(*id_kind, id.clone())) {
            let mut command = WriteCommand::delete(&ours);
            command.push_delete(*id_kind, id);
            on.send_unguarded(command)
                .await?
                .refuse_any(&ours.namespace)?;
        }
    }
    match read(on.reads(), &ours).await? == wanted {
        true => Ok(()),
        false => Err(mongo::Error::Reply("the functions that were written").into()),
    }
}

/// The collection of functions with its options; `None` if the database has none.
async fn collection(
    database: &Database,
) -> Result<Option<(CollectionRef, bson::RawDocumentBuf)>, Error> {
    let Some(found) = listing::collection(database, FUNCTIONS).await? else {
        return Ok(None);
    };
    let uuid = destination::uuid_of(&found);
    let collection = CollectionRef {
        namespace: Namespace::new(database.name(), FUNCTIONS),
        uuid: uuid.and_then(|uuid| NamespaceDocument::uuid_of_id(&uuid)),
    };
    Ok(Some((collection, catalog::options_of(&found)?)))
}

/// All functions of a collection.
async fn read(database: &Database, collection: &CollectionRef) -> Result<Functions, Error> {
    let reader = RawReader::new(database.clone(), collection.clone());
    let find = rawdoc! { "readConcern": { "level": "majority" } };
    let read = Retry::quick(database.contact(), "read stored functions").run(|| async {
        let mut functions = Functions::new();
        let mut cursor = reader.open(&find).await?;
        while let Some(reply) = cursor.next().await? {
            for document in reply.documents()? {
                let document = document?;
                let id = raw::find(document, "_id")?.ok_or(raw::Malformed)?;
                functions.insert((id.kind, id.value.to_vec()), document.to_vec());
            }
        }
        Ok(functions)
    });
    Ok(read.await?)
}

//! The settlement of names after DDL that may still arrive: commands whose answer was lost, and
//! commands of earlier work.
//!
//! The server accepts a late rename by UUID if the collection has its old name again by then. So
//! the names of collections with intents in flight are compared with the record before each DDL
//! event, when work begins and at commit, and are corrected. Options and indexes are compared at
//! commit, for all collections.
//!
//! The mark stays until commit, because the correction itself can be late.

use std::collections::HashSet;

use bson::rawdoc;

use crate::{
    metadata::{IntentDocument, NamespaceDocument, NamespaceKind},
    model::Namespace,
    mongo::{self, listing},
    sync::{Context, Error, catalog::destination},
};

/// Gives each collection in `intents` its recorded name.
pub(in crate::sync) async fn settle(
    context: &Context,
    intents: &[IntentDocument],
) -> Result<(), Error> {
    let named: HashSet<&str> = intents
        .iter()
        .filter_map(|intent| intent.namespace_id.as_deref())
        .collect();
    let mut wrong = Vec::new();
    for id in named {
        let Some(namespace) = context.store.namespace(id).await? else {
            continue;
        };
        if namespace.kind == NamespaceKind::Collection
            && let Some(actual) = name_of(context, &namespace).await?
            && actual != namespace.destination.collection
        {
            wrong.push((namespace, actual));
        }
    }
    // Names may have been exchanged, so each collection gets a temporary name first.
    for (namespace, actual) in &mut wrong {
        let temporary = format!("tidegate.settling.{}", namespace.id);
        if *actual == temporary {
            continue;
        }
        tracing::info!(
            namespace = %namespace.destination, actual,
            "correcting the name of a collection after an unrecorded rename"
        );
        rename(context, namespace, actual, &temporary).await?;
        *actual = temporary;
    }
    for (namespace, temporary) in &wrong {
        rename(
            context,
            namespace,
            temporary,
            &namespace.destination.collection,
        )
        .await?;
    }
    Ok(())
}

/// The collection's name on the destination; `None` if it is gone.
async fn name_of(
    context: &Context,
    namespace: &NamespaceDocument,
) -> Result<Option<String>, Error> {
    let Namespace { database, .. } = &namespace.destination;
    let database = context.destination.database(database);
    let listed = listing::collections(database.reads()).await?;
    let entry = listed
        .iter()
        .find(|entry| destination::uuid_of(entry) == namespace.destination_uuid);
    let name = entry.and_then(|entry| entry.get_str("name").ok());
    Ok(name.map(str::to_owned))
}

async fn rename(
    context: &Context,
    namespace: &NamespaceDocument,
    from: &str,
    to: &str,
) -> Result<(), Error> {
    let Namespace { database, .. } = &namespace.destination;
    let command = rawdoc! {
        "renameCollection": format!("{database}.{from}"),
        "to": format!("{database}.{to}"),
    };
    let admin = context.destination.database("admin");
    match destination::run_on(&admin, &destination::on_destination(namespace), command).await {
        // Done by an attempt whose answer was lost.
        Err(Error::Mongo(error)) if is_named(&error, from, to) => Ok(()),
        other => other,
    }
}

fn is_named(error: &mongo::Error, from: &str, to: &str) -> bool {
    error.location(from) == Some(mongo::CollectionLocation::Renamed(to.to_owned()))
}

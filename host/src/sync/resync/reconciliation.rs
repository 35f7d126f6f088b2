//! The destination's catalog is brought to the source's, by UUID.
//!
//! Intents of all effects are persisted before the first: late commands are found by them
//! (`stream::ddl::settlement`). The effects are those of DDL events: drops, renames, `collMod` and
//! `dropIndexes`. Collections are created by the copy, and indexes built after it. Everything is
//! decided by what the destination has, so a resync that was killed is repeated from any point.

use std::collections::{BTreeSet, HashMap};

use bson::{RawDocument, RawDocumentBuf};
use futures::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream};

use super::{
    catalog_plan::{CatalogPlan, KeptCollection, ListedCollection},
    effects::Effects,
};
use crate::{
    metadata::{
        IntentDocument, IntentKind, IntentState, NamespaceDocument, NamespaceKind, PositionDocument,
    },
    model::{Namespace, options::BuildIndexes},
    mongo::{Change, listing},
    observe::failpoint,
    sync::{
        Context, Error,
        catalog::{self, Catalog, destination, indexes, names::DestinationNames},
        restore::difference,
    },
};

/// Requests to the destination that are sent in parallel.
const PARALLEL: usize = 16;

/// Intents of a transaction.
const INTENTS_TOGETHER: usize = 1_000;

/// The record of a reconciled catalog, to be persisted together with the new position.
pub(super) struct Reconciliation {
    /// All namespaces. Collections are pending, and those that the destination has are compared.
    pub(super) namespaces: Vec<NamespaceDocument>,
    /// Removals of records, and the end of the intents.
    pub(super) changes: Vec<Change>,
    /// Namespaces that the source no longer has.
    pub(super) gone: Vec<NamespaceDocument>,
}

/// The effects on a kept collection.
struct CollectionChanges<'p> {
    kept: &'p KeptCollection,
    options: RawDocumentBuf,
    dropped_indexes: Vec<String>,
}

/// Brings the destination's catalog to `catalog`. `lost` is the persisted position.
///
/// # Errors
/// `NamespaceCollision` where two namespaces have one name by now.
pub(super) async fn reconcile(
    context: &Context,
    catalog: &Catalog,
    lost: Option<&PositionDocument>,
) -> Result<Reconciliation, Error> {
    let names = catalog.entries.iter();
    names
        .map(|entry| (&entry.source, &entry.destination))
        .try_fold(DestinationNames::default(), DestinationNames::take)?;
    let recorded = context.store.namespaces().await?;
    let listed = listed(context, &recorded, catalog).await?;
    let plan = CatalogPlan::new(recorded, &catalog.entries, &listed);
    let changes = changes(context, &plan).await?;
    let intents = intents(context, &plan, &changes, lost).await?;
    for together in intents.chunks(INTENTS_TOGETHER) {
        let written = together.iter().map(|it| context.store.intent_change(it));
        let written = written.collect::<Result<_, _>>()?;
        context.store.record_ddl(written, None).await?;
    }
    failpoint("resync_intended");
    let effects = Effects::new(context);
    apply(&effects, &plan, &changes).await?;
    drop(changes);
    record(context, plan, intents, effects.may_arrive())
}

/// The collections of all databases that the sync writes to.
async fn listed(
    context: &Context,
    recorded: &[NamespaceDocument],
    catalog: &Catalog,
) -> Result<Vec<ListedCollection>, Error> {
    let recorded = recorded.iter().map(|known| &known.destination.database);
    let wanted = catalog.entries.iter();
    let databases: BTreeSet<&String> = recorded
        .chain(wanted.map(|entry| &entry.destination.database))
        .collect();
    let mut found = Vec::new();
    for name in databases {
        let database = context.destination.database(name);
        for entry in listing::collections(database.reads()).await? {
            found.push(ListedCollection {
                name: Namespace::new(name, entry.get_str("name").unwrap_or_default()),
                uuid: destination::uuid_of(&entry),
                options: catalog::options_of(&entry)?,
            });
        }
    }
    Ok(found)
}

/// The changes of kept collections, each with an effect or a new name.
async fn changes<'p>(
    context: &Context,
    plan: &'p CatalogPlan,
) -> Result<Vec<CollectionChanges<'p>>, Error> {
    let changes: Vec<_> = plan
        .kept
        .iter()
        .map(|kept| changes_of(context, kept).boxed())
        .collect();
    let changes: Vec<_> = in_parallel(changes).await?;
    Ok(changes.into_iter().filter(|it| !it.is_empty()).collect())
}

async fn changes_of<'p>(
    context: &Context,
    kept: &'p KeptCollection,
) -> Result<CollectionChanges<'p>, Error> {
    let mut dropped_indexes = Vec::new();
    if context.options.build_indexes != BuildIndexes::Never {
        let name = &kept.listed.name;
        let database = context.destination.database(&name.database);
        let wanted = &kept.namespace.indexes;
        for index in indexes::secondary_indexes(database.reads(), &name.collection).await? {
            let is_wanted = |wanted| difference::is_same_but_relaxed(wanted, &index);
            if !wanted.iter().any(|wanted| is_wanted(wanted)) {
                dropped_indexes.push(index.get_str("name").unwrap_or_default().to_owned());
            }
        }
    }
    let wanted = unexpiring(&kept.namespace.options)?;
    Ok(CollectionChanges {
        kept,
        options: difference::changes(&wanted, &kept.listed.options)?,
        dropped_indexes,
    })
}

/// The options without the expiry of a clustered collection, which commit restores.
fn unexpiring(options: &RawDocument) -> Result<RawDocumentBuf, Error> {
    let mut kept = RawDocumentBuf::new();
    for option in options {
        let (name, value) = option.map_err(crate::mongo::Error::Bson)?;
        if name != "expireAfterSeconds" {
            kept.append(name, value);
        }
    }
    Ok(kept)
}

impl CollectionChanges<'_> {
    fn is_empty(&self) -> bool {
        self.options.is_empty() && self.dropped_indexes.is_empty() && !self.kept.is_renamed()
    }

    fn kind(&self) -> IntentKind {
        if self.kept.is_renamed() {
            IntentKind::Rename
        } else if self.options.is_empty() {
            IntentKind::DropIndexes
        } else {
            IntentKind::Modify
        }
    }
}

/// An intent for each collection that an effect is about.
async fn intents(
    context: &Context,
    plan: &CatalogPlan,
    changes: &[CollectionChanges<'_>],
    lost: Option<&PositionDocument>,
) -> Result<Vec<IntentDocument>, Error> {
    let term = context.store.key().term;
    let known = context.store.intents().await?;
    let number = |intent: &IntentDocument| intent.id.rsplit_once(':')?.1.parse().ok();
    let last: u64 = known.iter().filter_map(number).max().unwrap_or_default();
    let start_time = context.record.get().start_time;
    let intent = |what, destination: &Namespace| IntentDocument {
        id: String::new(),
        what,
        token: lost.map_or_else(RawDocumentBuf::new, |lost| lost.safe.resume_token.clone()),
        cluster_time: lost.map_or(start_time, |lost| lost.safe.cluster_time),
        namespace_id: None,
        source: destination.clone(),
        destination: destination.clone(),
        destination_to: None,
        destination_uuid: None,
        replaced_uuid: None,
        state: IntentState::Pending,
    };
    let drops = plan.drops.iter().map(|drop| IntentDocument {
        namespace_id: drop.recorded.as_ref().map(|it| it.id.clone()),
        destination_uuid: drop.collection.uuid.map(NamespaceDocument::id_of_uuid),
        ..intent(IntentKind::Drop, &drop.collection.namespace)
    });
    let changes = changes.iter().map(|it| {
        let namespace = &it.kept.namespace;
        IntentDocument {
            namespace_id: Some(namespace.id.clone()),
            source: namespace.source.clone(),
            destination_to: it.kept.is_renamed().then(|| namespace.destination.clone()),
            destination_uuid: namespace.destination_uuid.clone(),
            ..intent(it.kind(), &it.kept.listed.name)
        }
    });
    let mut intents: Vec<_> = drops.chain(changes).collect();
    for (number, intent) in (last + 1..).zip(&mut intents) {
        intent.id = IntentDocument::id_of(term, number);
    }
    Ok(intents)
}

/// The results of `requests`, in their order.
async fn in_parallel<T: Send>(
    requests: Vec<BoxFuture<'_, Result<T, Error>>>,
) -> Result<Vec<T>, Error> {
    let requests = stream::iter(requests).buffered(PARALLEL);
    requests.try_collect().await
}

async fn apply(
    effects: &Effects<'_>,
    plan: &CatalogPlan,
    changes: &[CollectionChanges<'_>],
) -> Result<(), Error> {
    let drops = plan.drops.iter();
    let drops = drops.map(|drop| effects.drop(&drop.collection).boxed());
    in_parallel(drops.collect()).await?;
    failpoint("resync_dropped");
    let changed = changes.iter().map(|it| change(effects, it).boxed());
    in_parallel(changed.collect()).await?;
    rename(effects, plan).await
}

/// Changes a collection under its present name.
async fn change(effects: &Effects<'_>, changes: &CollectionChanges<'_>) -> Result<(), Error> {
    let collection = changes.kept.reference();
    effects.abort_builds(&collection).await?;
    for index in &changes.dropped_indexes {
        effects.drop_index(&collection, index).await?;
    }
    if !changes.options.is_empty() {
        effects.modify(&collection, &changes.options).await?;
    }
    Ok(())
}

/// Gives kept collections their names. A collection with a name that another is to get has a
/// temporary name meanwhile, since names may have been exchanged.
async fn rename(effects: &Effects<'_>, plan: &CatalogPlan) -> Result<(), Error> {
    let mut aside = HashMap::new();
    for kept in plan.in_the_way() {
        let temporary = format!("tidegate.settling.{}", kept.namespace.id);
        let from = &kept.listed.name.collection;
        effects.rename(&kept.reference(), from, &temporary).await?;
        aside.insert(&kept.namespace.id, temporary);
        failpoint("resync_aside");
    }
    for kept in plan.kept.iter().filter(|kept| kept.is_renamed()) {
        let from = aside.get(&kept.namespace.id);
        let from = from.unwrap_or(&kept.listed.name.collection);
        let to = &kept.namespace.destination;
        effects
            .rename(&kept.reference(), from, &to.collection)
            .await?;
        tracing::info!(from = %kept.listed.name, to = %to, "resync: a collection is renamed");
        failpoint("resync_renamed");
    }
    Ok(())
}

/// The record of the reconciled catalog.
fn record(
    context: &Context,
    plan: CatalogPlan,
    intents: Vec<IntentDocument>,
    may_arrive: bool,
) -> Result<Reconciliation, Error> {
    let store = &context.store;
    let mut changes = Vec::new();
    for record in plan.gone.iter().chain(&plan.replaced) {
        changes.extend(store.namespace_removal(&record.id));
    }
    for mut intent in intents {
        changes.push(if may_arrive {
            intent.state = IntentState::InFlight;
            store.intent_change(&intent)?
        } else {
            store.intent_removal(&intent.id)
        });
    }
    let kept = plan.kept.into_iter().map(|kept| kept.namespace);
    let namespaces: Vec<_> = kept.chain(plan.others).collect();
    debug_assert!(
        namespaces
            .iter()
            .all(|it| it.kind == NamespaceKind::Collection || !it.compare),
        "views have no documents"
    );
    Ok(Reconciliation {
        namespaces,
        changes,
        gone: plan.gone,
    })
}

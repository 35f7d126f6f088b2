//! DDL of a source whose change stream carries no events of it (before 6.0): collections that are created, indexes, options
//! and views. Renames and drops are events there too.
//!
//! The source's catalog is compared with the record again and again. A difference that outlasts all events up to its time
//! is hidden DDL, and leads to a resync, which brings the destination's catalog to the source's and copies what is new.
//! Commit compares once more, after the last event, and is undone by a difference.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    time::Duration,
};

use bson::RawDocumentBuf;

use super::{Context, Error, catalog};
use crate::{
    metadata::{NamespaceDocument, Phase},
    model::{ClusterTime, ErrorName, Namespace, OperatorError},
    mongo::{Moment, listing},
};

/// The pause between two comparisons, at least.
const EVERY: Duration = Duration::from_secs(5);

/// The pause in relation to the time that a comparison takes: the source spends at most a twentieth of it on lists.
const PAUSE_FOR_READING: u32 = 20;

/// How often the applied position is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// The time for the comparison at the end of a commit.
const WITHIN: Duration = Duration::from_secs(5);

/// Namespaces that a message names.
const NAMED: usize = 5;

/// A namespace that the source and the record have otherwise, with both forms.
#[derive(PartialEq, Eq, Hash)]
struct Difference {
    namespace: Namespace,
    source: Option<Form>,
    record: Option<Form>,
}

/// All of a namespace that DDL changes.
#[derive(PartialEq, Eq, Hash)]
struct Form {
    name: Namespace,
    options: Vec<u8>,
    /// Sorted: the order of the list is none of the data.
    indexes: Vec<Vec<u8>>,
}

/// The namespaces with hidden DDL, as a message names them.
pub(super) struct HiddenDdl(Vec<Namespace>);

/// Compares at every interval, where the source's stream does not carry DDL. Returns at an error alone.
///
/// # Errors
/// A failure of a cluster; the refusal of a collection that cannot be synced.
pub(super) async fn watch(context: &Context) -> Result<(), Error> {
    if !is_needed(context).await? {
        return std::future::pending().await;
    }
    let mut pause = EVERY;
    loop {
        tokio::time::sleep(pause).await;
        if context.hidden_ddl.has_found() || context.record.get().phase >= Phase::Restore {
            continue;
        }
        let begun = Moment::now();
        let first = differences(context).await?;
        pause = EVERY.max(Moment::now().since(begun) * PAUSE_FOR_READING);
        if first.is_empty() {
            continue;
        }
        // Renames and drops among them are events, which are applied by then.
        wait_for(context, listing::operation_time(&context.source).await?).await;
        let second = differences(context).await?;
        let hidden = HiddenDdl::of(first.intersection(&second));
        if let Some(hidden) = hidden {
            tracing::info!(%hidden, "DDL of the source that no event has shown");
            context.hidden_ddl.note();
        }
    }
}

/// Whether DDL of the source can be hidden.
async fn is_needed(context: &Context) -> Result<bool, Error> {
    let session = context.record.get();
    Ok(session.phase < Phase::Restore && !context.source.features().await?.expanded_events)
}

/// The namespaces that differ after the last event; `None` where DDL is never hidden.
///
/// # Errors
/// A failure of a cluster; the refusal of a collection that cannot be synced.
pub(super) async fn find(context: &Context) -> Result<Option<HiddenDdl>, Error> {
    if context.source.features().await?.expanded_events {
        return Ok(None);
    }
    Ok(HiddenDdl::of(differences(context).await?.iter()))
}

/// Refuses a commit after hidden DDL.
///
/// # Errors
/// `SourceCatalogChanged`; as [`find`].
pub(super) async fn refuse(context: &Context) -> Result<(), Error> {
    let Some(hidden) = find(context).await? else {
        return Ok(());
    };
    Err(OperatorError::new(
        ErrorName::SourceCatalogChanged,
        format!(
            "{hidden} The source is older than MongoDB 6.0, and its change stream carries no such changes. The commit is undone, \
             and the sync brings them over by comparing all collections. Stop DDL on the source, wait for canCommit, and call \
             commit again."
        ),
    )
    .into())
}

/// A sentence about DDL that came after the last event of a commit. A source that does not answer ends no commit.
pub(super) async fn after_the_commit(context: &Context) -> Option<String> {
    let found = tokio::time::timeout(WITHIN, find(context)).await;
    let hidden = found.ok()?.ok()??;
    Some(format!("{hidden} They are missing on the destination."))
}

/// Waits until the events up to `time` are applied and recorded.
async fn wait_for(context: &Context, time: ClusterTime) {
    while context.status.safe().is_none_or(|safe| safe <= time) {
        tokio::time::sleep(LOOK).await;
    }
}

async fn differences(context: &Context) -> Result<HashSet<Difference>, Error> {
    let read = catalog::read(&context.source, &context.scope).await?;
    let read: Vec<_> = read.iter().map(catalog::CatalogEntry::document).collect();
    Ok(differences_of(&context.store.namespaces().await?, &read))
}

fn differences_of(
    recorded: &[NamespaceDocument],
    read: &[NamespaceDocument],
) -> HashSet<Difference> {
    let by_id = |all: &[NamespaceDocument]| -> HashMap<String, Form> {
        all.iter().map(|it| (it.id.clone(), Form::of(it))).collect()
    };
    let (mut sources, mut records) = (by_id(read), by_id(recorded));
    let ids: HashSet<String> = sources.keys().chain(records.keys()).cloned().collect();
    let differences = ids
        .iter()
        .map(|id| (sources.remove(id), records.remove(id)));
    differences
        .filter(|(source, record)| source != record)
        .filter_map(|(source, record)| {
            let namespace = source.as_ref().or(record.as_ref())?.name.clone();
            Some(Difference {
                namespace,
                source,
                record,
            })
        })
        .collect()
}

impl Form {
    fn of(document: &NamespaceDocument) -> Self {
        let bytes = |raw: &RawDocumentBuf| raw.as_bytes().to_vec();
        let mut indexes: Vec<_> = document.indexes.iter().map(bytes).collect();
        indexes.sort();
        Self {
            name: document.source.clone(),
            options: bytes(&document.options),
            indexes,
        }
    }
}

impl HiddenDdl {
    fn of<'d>(differences: impl Iterator<Item = &'d Difference>) -> Option<Self> {
        let mut names: Vec<_> = differences.map(|it| it.namespace.shown()).collect();
        names.sort();
        names.dedup();
        (!names.is_empty()).then_some(Self(names))
    }
}

impl fmt::Display for HiddenDdl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named: Vec<_> = self.0.iter().take(NAMED).map(ToString::to_string).collect();
        write!(
            f,
            "Collections, views, options or indexes of the source have changed: {}",
            named.join(", ")
        )?;
        match self.0.len().saturating_sub(NAMED) {
            0 => write!(f, "."),
            more => write!(f, " and {more} more."),
        }
    }
}

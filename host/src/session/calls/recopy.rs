//! The call that compares collections with the source again.

use std::collections::BTreeSet;

use crate::{
    metadata::{NamespaceDocument, NamespaceKind, SessionDocument},
    model::{ErrorName, OperatorError, State, plugins::NamespaceSelection},
    session::{
        active::ActiveSync,
        progress::deadline::{ClusterLabel, while_answering},
        role::host::Host,
    },
};

/// The consequences of a failed call, for error messages.
const UNCHANGED: &str =
    "See warnings of GET /api/v1/progress, and call recopy again when the cluster answers.";

/// Lists the selected collections for a comparison. Returns their number when the list is persisted.
pub(crate) async fn recopy(
    host: &Host,
    selections: &[NamespaceSelection],
) -> Result<u64, OperatorError> {
    let _turn = host.active_turn().await?;
    let Some(active) = host.active() else {
        return Err(impossible(State::Idle));
    };
    let state = active.state().public();
    if !matches!(state, State::Running | State::Paused) {
        return Err(impossible(state));
    }
    if active.record.get().has_commit() {
        return Err(OperatorError::new(
            ErrorName::InvalidStateTransition,
            "The commit has started, and no collection can be copied again.",
        ));
    }
    let monitor = &host.context.monitor;
    let clusters = ClusterLabel::both(active.source.name, active.destination.name);
    let ids = while_answering(monitor, clusters, "Nothing was changed.", async {
        selected(&active.record.store().namespaces().await?, selections)
    })
    .await?;
    let collections = ids.len() as u64;
    if state == State::Paused {
        let list = active.update(|session| list(session, ids));
        while_answering(monitor, clusters, UNCHANGED, list).await?;
    } else {
        running(&active, host, ids).await?;
    }
    tracing::info!(
        sync_id = active.sync_id(),
        collections,
        "collections are copied again"
    );
    Ok(collections)
}

async fn running(
    active: &ActiveSync,
    host: &Host,
    ids: BTreeSet<String>,
) -> Result<(), OperatorError> {
    let clusters = ClusterLabel::both(active.source.name, active.destination.name);
    let boundary = while_answering(&host.context.monitor, clusters, UNCHANGED, async {
        active.boundary().await.ok_or_else(stopped)?
    })
    .await?;
    active.update(|session| list(session, ids)).await?;
    boundary.swapped(true);
    Ok(())
}

fn list(session: &mut SessionDocument, mut ids: BTreeSet<String>) {
    ids.extend(session.recopy.drain(..));
    session.recopy.extend(ids);
}

/// The ids of the selected collections.
///
/// # Errors
///
/// `NamespaceNotFound` for the first selection without a collection.
fn selected(
    known: &[NamespaceDocument],
    selections: &[NamespaceSelection],
) -> Result<BTreeSet<String>, OperatorError> {
    let mut ids = BTreeSet::new();
    for selection in selections {
        let named = known.iter().filter(|known| {
            let name = known.source.shown();
            let wanted = selection.collection.as_ref();
            name.database == selection.database
                && wanted.is_none_or(|collection| *collection == name.collection)
        });
        let (collections, views): (Vec<_>, Vec<_>) =
            named.partition(|known| known.kind == NamespaceKind::Collection);
        if collections.is_empty() {
            return Err(not_found(selection, !views.is_empty()));
        }
        ids.extend(collections.into_iter().map(|known| known.id.clone()));
    }
    Ok(ids)
}

fn not_found(selection: &NamespaceSelection, is_view: bool) -> OperatorError {
    let NamespaceSelection {
        database,
        collection,
    } = selection;
    let what = match collection {
        Some(collection) if is_view => {
            format!("{database}.{collection} is a view, which has no documents.")
        }
        Some(collection) => format!(
            "The sync has no collection {database}.{collection}: the source has none of that name, or it is out of \
             scope."
        ),
        None => format!("The sync has no collection in the database {database}."),
    };
    OperatorError::new(
        ErrorName::NamespaceNotFound,
        format!("{what} Nothing was changed. GET /api/v1/progress?collections=true lists all."),
    )
}

fn impossible(state: State) -> OperatorError {
    OperatorError::new(
        ErrorName::InvalidStateTransition,
        format!("recopy is possible in the states RUNNING and PAUSED, and the state is {state}."),
    )
}

fn stopped() -> OperatorError {
    OperatorError::new(
        ErrorName::InvalidStateTransition,
        "The sync has stopped meanwhile, and nothing was changed. See GET /api/v1/progress, and call recopy again.",
    )
}

//! DDL events. All rounds before the event are applied when it gets here, and it is applied in
//! three steps:
//!
//! 1. The *intent* is persisted, with the exact position before the event.
//! 2. The *effect* is done by commands that name the collection's UUID on the destination, so that the
//!    server tells whether it has been done already.
//! 3. The changes are recorded in one transaction, with the position after the event and the end of the
//!    intent.
//!
//! A replay after a crash begins at the DDL event itself, never before it, and finds by UUID
//! whether the effect was done. `create` has no second step: it is part of the transaction.
//!
//! The server does not guard an effect against delay. So an intent stays *in flight* until commit
//! if an answer of its commands was lost, or if it was pending when work began; the collections
//! that it names are compared and corrected (`settlement`).
//!
//! Invariant: no worker of the copy is in the event's collections, so nobody else writes their
//! records.
//!
//! A collection is identified by its UUID on the source, so an event never hits another collection
//! that has its name by now. Views have no UUID, and are created at commit.

mod create;
mod drop;
mod index;
mod intent;
mod late_copy;
mod modify;
mod operation;
mod rename;
mod settlement;
mod view;

use std::sync::Arc;

use super::{Context, Error, tracked_collections::TrackedCollections};
use crate::{
    metadata::{NamespaceDocument, PositionDocument},
    model::{
        ErrorName, OperatorError,
        event::{ChangeEvent, OpType},
    },
    mongo::Change,
};
pub(super) use intent::IntentNumbers;
use intent::Intents;
use operation::DdlOperation;
pub(super) use settlement::settle;

/// Events that require no change.
const PASSED_OVER: [&str; 4] = [
    "endOfTransaction",
    "startIndexBuild",
    "commitIndexBuild",
    "abortIndexBuild",
];

/// The changes of a DDL event, to be recorded together with the position after it.
pub(super) struct DdlResult {
    /// Whether the event was in scope, and counts.
    pub(super) in_scope: bool,
    /// Empty if there is nothing to record.
    pub(super) changes: Vec<Change>,
    /// Recorded collections that are to be copied.
    pub(super) pending: Vec<NamespaceDocument>,
}

/// Applies one DDL event. `before` is the exact position before it, if there is one.
///
/// Cancel safe as a kill is: a replay begins at the event and finds finished effects by UUID.
///
/// # Errors
/// `ChangeEventNotSupported` for an event that this release does not know.
pub(super) async fn apply(
    context: &Arc<Context>,
    tracked_collections: &mut TrackedCollections,
    event: &ChangeEvent<'_>,
    before: Option<PositionDocument>,
    numbers: &mut IntentNumbers,
) -> Result<DdlResult, Error> {
    let mut ddl = DdlOperation {
        context,
        tracked_collections,
        event,
        intents: Intents::new(numbers, before),
        changes: Vec::new(),
        pending: Vec::new(),
    };
    let in_scope = match event.op_type {
        OpType::Create => ddl.create().await?,
        OpType::Drop => ddl.drop().await?,
        OpType::Rename => ddl.rename().await?,
        OpType::DropDatabase => ddl.drop_database().await?,
        OpType::CreateIndexes => ddl.create_indexes().await?,
        OpType::DropIndexes => ddl.drop_indexes().await?,
        OpType::Modify => ddl.modify().await?,
        OpType::Other if PASSED_OVER.contains(&event.op_name) => false,
        OpType::Other | OpType::Insert | OpType::Update | OpType::Replace | OpType::Delete => {
            return Err(unknown(event));
        }
    };
    if in_scope {
        tracing::info!(op_type = event.op_name, namespace = %ddl.namespace(), cluster_time = %event.cluster_time, "DDL applied");
    }
    let DdlOperation {
        intents,
        changes,
        pending,
        ..
    } = ddl;
    Ok(DdlResult {
        in_scope,
        changes: intents.end(&context.store, changes)?,
        pending,
    })
}

fn unknown(event: &ChangeEvent<'_>) -> Error {
    OperatorError::new(
        ErrorName::ChangeEventNotSupported,
        format!(
            "The source reports a `{}` on {}.{}, which this release cannot apply. Exclude the collection and start again.",
            event.op_name, event.database, event.collection
        ),
    )
    .into()
}

//! Begins a sync: checks first, then one write that makes it so.

use std::sync::Arc;

use super::{ActiveSync, Session, pins};
use crate::{
    metadata::{METADATA_VERSION, Phase, SessionDocument},
    model::{ErrorName, OperatorError, StartOptions, State, feature},
    mongo::preflight::{self, oplog_warning, oplog_window_seconds},
    sync::{self, Record, metadata_store},
};

/// Checks everything, then persists the new sync. Until the last write nothing has changed.
pub(super) async fn start(
    session: &Session,
    options: StartOptions,
) -> Result<Arc<ActiveSync>, OperatorError> {
    if options.source == options.destination {
        return Err(OperatorError::new(
            ErrorName::InvalidField,
            "source and destination name the same cluster: one must be cluster0 and the other cluster1.",
        ));
    }
    let (source, destination) = (
        session.cluster(options.source),
        session.cluster(options.destination),
    );
    let (configured, pinned) = pins::begin(&session.registry, options.clone()).await?;
    let checked = preflight::check(source, destination).await?;
    let plan = sync::plan(source, configured.router.clone())
        .await
        .map_err(sync::Error::into_operator)?;
    let mut warnings = checked.warnings;
    if let Some(window) = oplog_window_seconds(source).await {
        warnings.extend(oplog_warning(window, plan.total_bytes));
    }
    for warning in &warnings {
        tracing::info!(warning, "preflight");
    }
    let document = SessionDocument {
        id: SessionDocument::ID.to_owned(),
        metadata_version: METADATA_VERSION,
        written_by: env!("CARGO_PKG_VERSION").to_owned(),
        state: State::Running,
        phase: Phase::CollectionCopy,
        options,
        source_id: checked.source.replica_set_id.to_hex(),
        destination_id: checked.destination.replica_set_id.to_hex(),
        start_time: plan.start_time(),
        total_bytes: i64::try_from(plan.total_bytes).unwrap_or(i64::MAX),
        commit_time: None,
        pinned,
        features: feature::names(),
        swaps: Vec::new(),
        recopy: Vec::new(),
        not_restored: Vec::new(),
        warnings,
    };
    let store = metadata_store(&destination.client);
    session.uploads.store(&store).await?;
    pins::store(&session.registry, &store, &document.pinned).await?;
    sync::begin(&store, &plan, &document)
        .await
        .map_err(|error| sync::Error::from(error).into_operator())?;
    tracing::info!(cluster_time = %document.start_time, total_bytes = document.total_bytes, "sync begun");
    let record = Record::new(store, document);
    let active = ActiveSync::new(source.clone(), destination.clone(), record, None);
    active.set_configured(Arc::new(configured));
    Ok(Arc::new(active))
}

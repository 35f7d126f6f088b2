//! Starts a sync: all checks first, then one write that begins it.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;

use super::write_blocks::{self, BlockPlan};
use super::{
    active::{ActiveSync, RunningComponents},
    components::pins,
    context::HostContext,
    lease::{self, Lease},
};
use crate::{
    metadata::{
        self, METADATA_VERSION, Phase, PinnedComponent, SessionDocument, WriteBlocksDocument,
    },
    model::{ErrorName, OperatorError, StartOptions, State, feature, options::VerificationOptions},
    mongo::{
        Cluster, Moment,
        preflight::{self, oplog_warning, oplog_window_seconds},
    },
    observe,
    sync::{self, Record, Status},
};

/// Time for the first block of the destination.
const FIRST_BLOCK: Duration = Duration::from_secs(2);

/// Checks the options, both clusters and the catalog of the source, then persists the new sync. Before the last
/// write no sync exists; the next start replaces the documents of an interrupted start.
pub(super) async fn start(
    context: &HostContext,
    mut options: StartOptions,
) -> Result<Arc<ActiveSync>, OperatorError> {
    options.verification.get_or_insert(VerificationOptions::ON);
    refuse_one_cluster(&options)?;
    let (source, destination) = (
        context.cluster(options.source),
        context.cluster(options.destination),
    );
    let (configured, pinned) = pins::begin(&context.registry, options.clone()).await?;
    let checked = preflight::check(source, destination).await?;
    if options.reversible {
        preflight::check_way_back(source, destination, &checked).await?;
    }
    if options.users_and_roles.is_some() {
        preflight::check_users_and_roles(source, destination).await?;
    }
    let BlockPlan {
        blocks,
        warnings: block_warnings,
    } = write_blocks::plan(source, destination, &options).await?;
    let series_warning = check_time_series((source, destination), &options, &configured).await?;
    let plan = sync::plan(source, configured.router.clone()).await?;
    let mut warnings = checked.warnings.clone();
    warnings.extend(block_warnings);
    warnings.extend(series_warning);
    if let Some(window) = oplog_window_seconds(source).await {
        warnings.extend(oplog_warning(window, plan.total_bytes));
    }
    for warning in &warnings {
        tracing::info!(warning, "preflight");
    }
    let document = session(options, &checked, &plan, (pinned, blocks, warnings));
    let status = Arc::new(Status::default());
    let lease = lease(context, (source, destination), &status).await?;
    if let Err(error) = begin(context, &lease, destination, &plan, &document).await {
        lease.abandon().await;
        return Err(error);
    }
    log_begun(&document);
    let record = Record::new(lease.store(), document);
    let clusters = (source.clone(), destination.clone());
    let begun = Moment::now();
    let active = ActiveSync::new(context.runtime(), clusters, lease, record, status);
    active.set_configured(Arc::new(configured));
    wait_for_block(&active, begun).await;
    Ok(Arc::new(active))
}

/// The session of a sync that begins with these parts.
fn session(
    options: StartOptions,
    checked: &preflight::Preflight,
    plan: &sync::Plan,
    (pinned, blocks, warnings): (Vec<PinnedComponent>, WriteBlocksDocument, Vec<String>),
) -> SessionDocument {
    let mut document = SessionDocument {
        id: SessionDocument::ID.to_owned(),
        metadata_version: METADATA_VERSION,
        written_by: observe::VERSION.to_owned(),
        begun_by: observe::VERSION.to_owned(),
        state: State::Running,
        phase: Phase::CollectionCopy,
        options,
        source_id: checked.source.replica_set_id.to_hex(),
        destination_id: checked.destination.replica_set_id.to_hex(),
        start_time: plan.start_time(),
        total_bytes: i64::try_from(plan.total_bytes).unwrap_or(i64::MAX),
        commit_time: None,
        commit: None,
        commit_warnings: Vec::new(),
        commit_undone_at: None,
        relax_again: false,
        reverse_position: None,
        reversals: 0,
        system_events: false,
        pinned,
        features: feature::names(),
        upgrades: Vec::new(),
        swaps: Vec::new(),
        recopy: Vec::new(),
        resyncs: Vec::new(),
        write_blocks: Some(blocks),
        merged_principals: Vec::new(),
        not_restored: Vec::new(),
        warnings,
    };
    if checked.source.is_before_6_0() {
        document.features.retain(|own| own != feature::TIME_SERIES);
    }
    if plan.needs_system_events() {
        document.show_system_events();
    }
    document
}

/// Checks whether the time-series collections in scope can be synced. Returns a warning.
async fn check_time_series(
    (source, destination): (&Cluster, &Cluster),
    options: &StartOptions,
    configured: &RunningComponents,
) -> Result<Option<String>, OperatorError> {
    let series = sync::time_series_in_scope(source, configured.router.clone()).await?;
    let warning = preflight::require_time_series((source, destination), &series).await?;
    sync::refuse_transformed_series(&configured.chain, &series)?;
    if options.reversible && !series.is_empty() {
        preflight::require_time_series((destination, source), &series).await?;
    }
    Ok(warning)
}

fn refuse_one_cluster(options: &StartOptions) -> Result<(), OperatorError> {
    if options.source != options.destination {
        return Ok(());
    }
    Err(OperatorError::new(
        ErrorName::InvalidField,
        "source and destination name the same cluster: one must be cluster0 and the other cluster1.",
    ))
}

/// Waits a moment for the destination's block: no transaction or index build of the sync is under way yet.
async fn wait_for_block(active: &ActiveSync, begun: Moment) {
    let blocks = active.record.get().write_blocks;
    if blocks.is_some_and(|blocks| blocks.destination.is_some()) {
        let settled = active.status.write_blocks.destination_settled(begun);
        // After that the work begins, and the block is tried again beside it.
        _ = timeout(FIRST_BLOCK, settled).await;
    }
}

/// Logs the options of the sync, without the configurations of plugins and filters: these can hold secrets and
/// values of documents.
fn log_begun(session: &SessionDocument) {
    let options = &session.options;
    let json = |value: serde_json::Result<String>| value.unwrap_or_default();
    let plugins: Vec<&str> = options
        .plugins
        .iter()
        .map(|plugin| plugin.component.as_str())
        .collect();
    tracing::info!(
        sync_id = session.sync_id(),
        cluster_time = %session.start_time,
        total_bytes = session.total_bytes,
        source = options.source.as_str(),
        destination = options.destination.as_str(),
        build_indexes = ?options.build_indexes,
        include_namespaces = json(serde_json::to_string(&options.include_namespaces)),
        exclude_namespaces = json(serde_json::to_string(&options.exclude_namespaces)),
        namespace_remap = json(serde_json::to_string(&options.namespace_remap)),
        document_filter = options.document_filter.is_some(),
        plugins = plugins.join(", "),
        "sync begun"
    );
}

/// Takes the lease for a new sync. Refuses if another host has started a sync meanwhile.
async fn lease(
    context: &HostContext,
    (source, destination): (&Cluster, &Cluster),
    status: &Arc<Status>,
) -> Result<Lease, OperatorError> {
    let reader = metadata::Reader::new(&destination.client);
    let claim = context.claim();
    let taken = lease::take(&destination.client, &reader, &claim, None)
        .await?
        .ok_or_else(begun_elsewhere)?;
    let lease = Lease::hold(reader.clone(), taken, claim.duration, status.clone());
    let alone = alone(&reader, &metadata::Reader::new(&source.client)).await;
    if alone.is_err() {
        lease.abandon().await;
    }
    alone.map(|()| lease)
}

/// Refuses to start a sync if another host has started a sync into this destination, or is starting a sync in
/// the opposite direction. Two hosts that start in opposite directions share no document. Each takes the lease
/// on its destination first and reads the lease on its source after that, so at least one of them sees the
/// other.
async fn alone(
    destination: &metadata::Reader,
    source: &metadata::Reader,
) -> Result<(), OperatorError> {
    if destination.header().await?.is_some() {
        return Err(begun_elsewhere());
    }
    let other = source.lease().await?;
    let is_free = match other {
        Some(lease) => lease.released || source.is_lease_expired().await?,
        None => true,
    };
    if is_free && source.header().await?.is_none() {
        return Ok(());
    }
    Err(OperatorError::new(
        ErrorName::StandbyInstance,
        "Another host is starting a sync between these clusters in the opposite direction. Nothing was started \
         here: see GET /api/v1/progress, and call start again if it shows IDLE.",
    ))
}

/// Persists everything that a sync needs from its start. The last write begins the sync.
async fn begin(
    context: &HostContext,
    lease: &Lease,
    destination: &Cluster,
    plan: &sync::Plan,
    document: &SessionDocument,
) -> Result<(), OperatorError> {
    let store = lease.store();
    context.uploads.store(&store).await?;
    pins::store(&context.registry, &store, &document.pinned).await?;
    sync::lock_out_legacy_hosts(&lease.destination(&destination.client)).await?;
    Ok(sync::begin(&store, plan, document).await?)
}

fn begun_elsewhere() -> OperatorError {
    OperatorError::new(
        ErrorName::StandbyInstance,
        "Another host has just started a sync into this destination. This host is its standby now: see GET \
         /api/v1/progress.",
    )
}

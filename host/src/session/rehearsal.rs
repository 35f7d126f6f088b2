//! The rehearsal of a start: the steps of a start that read, without the steps that write.
//!
//! Invariant: nothing is written, on neither cluster. A rehearsal takes no lease, and its refusals and warnings are those
//! of the functions that a start calls.

use std::sync::Arc;

use super::{
    active::RunningComponents,
    components::pins,
    context::Settings,
    role::{open::load_registry, persisted_sync::find},
    write_blocks::{self, BlockPlan},
};
use crate::{
    distribution::fetch_components,
    metadata::PinnedComponent,
    model::{ErrorKind, ErrorName, Namespace, OperatorError, StartOptions, options::ClusterName},
    mongo::{
        Cluster, connect,
        preflight::{
            self, COPY_BYTES_PER_SECOND, Identity, PrivilegeGap, copy_seconds, oplog_warning,
            oplog_window_seconds, privilege_gaps,
        },
    },
    observe,
    plugin::Router,
    sync::{self, NamespacePlan, NamespaceSurvey},
};

/// The rehearsal of a start.
#[derive(Default)]
pub struct Rehearsal {
    /// Every reason against the start that was found; none if the sync could start.
    pub refusals: Vec<OperatorError>,
    /// The warnings that the sync would begin with.
    pub warnings: Vec<String>,
    /// Source and destination; `None` if a cluster is refused before its identity is known.
    pub identities: Option<(Identity, Identity)>,
    /// Namespaces in scope; `None` if the source's catalog could not be read.
    pub namespaces: Option<Vec<NamespacePlan>>,
    /// Namespaces of the source that are not in scope.
    pub left_out: Vec<Namespace>,
    /// Clusters whose user writes the sync would block.
    pub write_blocks: Vec<ClusterName>,
    /// Components that the sync would be pinned to.
    pub components: Vec<PinnedComponent>,
    /// Privileges that the users lack.
    pub privileges: Vec<PrivilegeGap>,
    /// Seconds of changes that the source's oplog holds; `None` if it cannot be read.
    pub oplog_window_seconds: Option<u64>,
}

impl Rehearsal {
    /// Uncompressed bytes of the documents in scope, before document filters.
    pub fn total_bytes(&self) -> u64 {
        let namespaces = self.namespaces.iter().flatten();
        namespaces.map(|namespace| namespace.size.bytes).sum()
    }

    /// The estimated time of the copy in seconds, at [`Self::BYTES_PER_SECOND`].
    pub fn copy_seconds(&self) -> u64 {
        copy_seconds(self.total_bytes())
    }

    /// The speed of the estimate: the cautious speed of the preflight.
    pub const BYTES_PER_SECOND: u64 = COPY_BYTES_PER_SECOND;

    /// The value of a step; `None` for a refusal, which is kept once.
    fn note<T>(&mut self, step: Result<T, OperatorError>) -> Result<Option<T>, OperatorError> {
        match step {
            Ok(value) => Ok(Some(value)),
            Err(refusal) if refusal.kind() == ErrorKind::Operator => {
                self.refuse(refusal);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Keeps a refusal. Commands of later steps are refused for a missing privilege again, which is known then.
    fn refuse(&mut self, refusal: OperatorError) {
        let is_known = |known: &OperatorError| {
            known.name == refusal.name
                && (known.message == refusal.message
                    || refusal.name == ErrorName::MissingPrivileges)
        };
        if !self.refusals.iter().any(is_known) {
            self.refusals.push(refusal);
        }
    }
}

/// Rehearses a start with these options, between the clusters of these settings.
///
/// # Errors
///
/// Failures without a result: a cluster that does not answer or refuses the credentials, a feature set that does not
/// load. Each reason against the start is among the refusals of the result instead.
pub async fn rehearse(
    settings: Settings,
    options: StartOptions,
) -> Result<Rehearsal, OperatorError> {
    let registry = Arc::new(load_registry(&settings).await?);
    let app_name = format!("tidegate {} plan", observe::VERSION);
    let (cluster0, cluster1) = tokio::try_join!(
        connect(ClusterName::Cluster0, settings.cluster0.reveal(), &app_name),
        connect(ClusterName::Cluster1, settings.cluster1.reveal(), &app_name),
    )?;
    let mut rehearsal = Rehearsal::default();
    let begun = begun_already(&[cluster0.clone(), cluster1.clone()]).await;
    let is_free = rehearsal.note(begun)?.is_some();
    let (source, destination) = match options.source {
        ClusterName::Cluster0 => (cluster0, cluster1),
        ClusterName::Cluster1 => (cluster1, cluster0),
    };
    let wanted = options.named_components();
    let fetched = fetch_components(&registry, &settings.registry, &wanted).await;
    rehearsal.note(fetched)?;
    let components = pins::begin(&registry, options.clone()).await;
    // The destination of a sync that has begun holds data, which is no further reason.
    if is_free {
        let found = preflight::survey(&source, &destination).await?;
        rehearsal.identities = found.identities;
        rehearsal.warnings = found.warnings;
        found
            .refusals
            .into_iter()
            .for_each(|refusal| rehearsal.refuse(refusal));
        if options.users_and_roles.is_some() {
            let may = preflight::check_users_and_roles(&source, &destination).await;
            rehearsal.note(may)?;
        }
        let blocks = write_blocks::plan(&source, &destination, &options).await;
        if let Some(BlockPlan { blocks, warnings }) = rehearsal.note(blocks)? {
            rehearsal.warnings.extend(blocks.lacking);
            rehearsal.warnings.extend(warnings);
            let planned = [(&source, blocks.source), (&destination, blocks.destination)];
            let planned = planned.into_iter().filter(|(_, block)| block.is_some());
            rehearsal.write_blocks = planned.map(|(cluster, _)| cluster.name).collect();
        }
    }
    let gaps = privilege_gaps(&source, &destination).await;
    rehearsal.privileges = rehearsal.note(gaps)?.unwrap_or_default();
    if let Some((configured, pinned)) = rehearsal.note(components)? {
        rehearsal.components = pinned;
        let clusters = (&source, &destination);
        check_time_series(&mut rehearsal, clusters, &configured).await?;
        read_catalog(&mut rehearsal, &source, configured.router).await?;
    }
    Ok(rehearsal)
}

/// Checks whether the time-series collections in scope can be synced.
async fn check_time_series(
    rehearsal: &mut Rehearsal,
    clusters: (&Cluster, &Cluster),
    configured: &RunningComponents,
) -> Result<(), OperatorError> {
    let series = sync::time_series_in_scope(clusters.0, configured.router.clone());
    let Some(series) = rehearsal.note(series.await.map_err(Into::into))? else {
        return Ok(());
    };
    let warning = preflight::require_time_series(clusters, &series).await;
    let warning = rehearsal.note(warning)?.flatten();
    rehearsal.warnings.extend(warning);
    let refused = sync::refuse_transformed_series(&configured.chain, &series);
    rehearsal.note(refused).map(drop)
}

/// Reads the namespaces in scope, and compares their size with the oplog's window.
async fn read_catalog(
    rehearsal: &mut Rehearsal,
    source: &Cluster,
    router: Arc<Router>,
) -> Result<(), OperatorError> {
    let catalog = sync::survey(source, router).await.map_err(Into::into);
    if let Some(NamespaceSurvey {
        namespaces,
        left_out,
        refusals,
    }) = rehearsal.note(catalog)?
    {
        rehearsal.namespaces = Some(namespaces);
        rehearsal.left_out = left_out;
        refusals
            .into_iter()
            .for_each(|refusal| rehearsal.refuse(refusal));
    }
    rehearsal.oplog_window_seconds = oplog_window_seconds(source).await;
    if let Some(window) = rehearsal.oplog_window_seconds {
        let warning = oplog_warning(window, rehearsal.total_bytes());
        rehearsal.warnings.extend(warning);
    }
    Ok(())
}

/// Refuses to start where a sync has begun. Only reads.
async fn begun_already(clusters: &[Cluster; 2]) -> Result<(), OperatorError> {
    let Some(persisted) = find(clusters).await? else {
        return Ok(());
    };
    Err(OperatorError::new(
        ErrorName::InvalidStateTransition,
        format!(
            "{} holds the metadata of a sync that release {} has worked on. A host with these connection strings \
             continues that sync, and starts no other. docs/next-sync.md has the steps to the next sync.",
            persisted.destination.name.as_str(),
            persisted.header.written_by
        ),
    ))
}

//! Opens a session: connects both clusters and looks for a sync that has begun.
//!
//! The cluster that holds the metadata is the destination. A sync between other
//! clusters, or with the two swapped, is refused, and nothing is written.

use std::sync::Arc;

use super::{ActiveSync, Calls, Monitor, Session, Settings, pins};
use crate::{
    metadata::{METADATA_VERSION, SessionDocument, VersionGate},
    model::{ErrorName, OperatorError, State, options::ClusterName},
    mongo::{
        Cluster,
        connect::connect,
        preflight::{Identity, identify},
    },
    plugin::{Registry, WasiPolicy},
    sync::{self, Record, metadata_store},
};

pub(super) async fn open(settings: Settings) -> Result<Session, OperatorError> {
    let app_name = format!("tidegate {}", env!("CARGO_PKG_VERSION"));
    let (cluster0, cluster1) = tokio::try_join!(
        connect(ClusterName::Cluster0, settings.cluster0.reveal(), &app_name),
        connect(ClusterName::Cluster1, settings.cluster1.reveal(), &app_name),
    )?;
    let directory = settings.feature_set.clone();
    let wasi = if settings.refuse_wasi {
        WasiPolicy::Refuse
    } else {
        WasiPolicy::GrantNothing
    };
    let registry = tokio::task::spawn_blocking(move || Registry::load(directory.as_deref(), wasi))
        .await
        .map_err(|error| sync::Error::from(error).into_operator())??;
    let clusters = [cluster0, cluster1];
    let identities = [identify(&clusters[0]).await?, identify(&clusters[1]).await?];
    let found = find(&clusters, &identities).await?;
    let session = Session {
        monitor: Monitor::start(clusters.clone(), identities),
        settings,
        clusters,
        registry: Arc::new(registry),
        uploads: Default::default(),
        active: Default::default(),
        calls: Default::default(),
    };
    if let Some(active) = found {
        go_on(&session, Arc::new(active)).await?;
    }
    Ok(session)
}

/// Continues a sync as it was: what ran runs, what was paused stays so. One whose components
/// are not to be had waits for them, as one whose work has failed.
async fn go_on(session: &Session, active: Arc<ActiveSync>) -> Result<(), OperatorError> {
    let state = active.record.get().await.state;
    tracing::info!(state = %state, "found a sync");
    let taken_over = match state {
        State::Running | State::Committing => active.spawn(session).await,
        State::Committed => {
            active.status.set_step(sync::Step::Committed);
            pins::load(session, active.record.store()).await
        }
        _ => active.configured(session).await.map(|_| ()),
    };
    if let Err(error) = taken_over {
        active.fail(error);
    }
    session.set_active(active);
    *session.calls.lock().await = Calls { continues: true };
    Ok(())
}

async fn find(
    clusters: &[Cluster; 2],
    identities: &[Identity; 2],
) -> Result<Option<ActiveSync>, OperatorError> {
    for (cluster, identity) in clusters.iter().zip(identities) {
        let store = metadata_store(&cluster.client);
        let failed = |error| sync::Error::Mongo(error).into_operator();
        match store.version().await.map_err(failed)? {
            VersionGate::Empty => continue,
            VersionGate::Other {
                version,
                written_by,
            } => return Err(other_version(version, &written_by)),
            VersionGate::Ours => {}
        }
        let Some(document) = store.session().await.map_err(failed)? else {
            continue;
        };
        let [cluster0, cluster1] = clusters;
        let source = if cluster.name == ClusterName::Cluster0 {
            cluster1
        } else {
            cluster0
        };
        let [identity0, identity1] = identities;
        let source_identity = if cluster.name == ClusterName::Cluster0 {
            identity1
        } else {
            identity0
        };
        refuse_other_clusters(&document, cluster.name, source_identity, identity)?;
        let commit_time = document.commit_time;
        let record = Record::new(store, document);
        return Ok(Some(ActiveSync::new(
            source.clone(),
            cluster.clone(),
            record,
            commit_time,
        )));
    }
    Ok(None)
}

fn other_version(version: i32, written_by: &str) -> OperatorError {
    OperatorError::new(
        ErrorName::MetadataVersionNotSupported,
        format!(
            "The destination's metadata has version {version}, written by {written_by}; this release knows version \
             {METADATA_VERSION}. Nothing was changed. Use release {written_by} or a later one."
        ),
    )
}

fn refuse_other_clusters(
    document: &SessionDocument,
    destination_name: ClusterName,
    source: &Identity,
    destination: &Identity,
) -> Result<(), OperatorError> {
    let swapped = document.options.destination != destination_name;
    let other_source = document.source_id != source.replica_set_id.to_hex();
    let other_destination = document.destination_id != destination.replica_set_id.to_hex();
    if !swapped && !other_source && !other_destination {
        return Ok(());
    }
    let what = match (swapped, other_source) {
        (true, _) => "cluster0 and cluster1 are swapped",
        (_, true) => "the source is another cluster",
        _ => "the destination is another cluster, and holds a copy of the metadata",
    };
    Err(OperatorError::new(
        ErrorName::ClustersMismatch,
        format!(
            "{destination_name} holds the metadata of a sync between other clusters: {what}. Start with the connection \
             strings that the sync was begun with, or drop the database mongosync_internal_tidegate to give it up.",
            destination_name = destination_name.as_str()
        ),
    ))
}

//! Opens a session: connects both clusters, and takes a persisted sync over or waits for it.

use std::sync::Arc;

use super::{
    Monitor, Session, Settings,
    opening::{Part, Waiting},
    standby,
};
use crate::{
    config::ConnectionString,
    model::{OperatorError, options::ClusterName},
    mongo::{
        Cluster, connect,
        preflight::{Identity, identify},
    },
    plugin::{Registry, WasiPolicy},
    session::process::this_process,
    sync,
};

pub(super) async fn open(
    settings: Settings,
    waiting: &Waiting,
) -> Result<Arc<Session>, OperatorError> {
    let session = Arc::new(connect_both(settings, waiting).await?);
    let first_look = async || standby::first_look(&session).await;
    waiting.until(Part::Sync, first_look).await?;
    tokio::spawn(standby::watch(session.clone()));
    Ok(session)
}

/// A host that has looked at nothing yet.
pub(super) async fn connect_both(
    settings: Settings,
    waiting: &Waiting,
) -> Result<Session, OperatorError> {
    let holder = uuid::Uuid::new_v4().to_string();
    let app_name = super::app_name(crate::observe::VERSION, &holder);
    let registry = load_registry(&settings).await?;
    let (cluster0, cluster1) = (ClusterName::Cluster0, ClusterName::Cluster1);
    let ((cluster0, identity0), (cluster1, identity1)) = tokio::try_join!(
        identified(cluster0, &settings.cluster0, &app_name, waiting),
        identified(cluster1, &settings.cluster1, &app_name, waiting),
    )?;
    let clusters = [cluster0, cluster1];
    let identities = [identity0, identity1];
    Ok(Session {
        monitor: Monitor::start(clusters.clone(), identities.clone()),
        settings,
        holder,
        process: this_process(),
        clusters,
        identities,
        registry: Arc::new(registry),
        uploads: Default::default(),
        role: Default::default(),
        calls: Default::default(),
        continues: Default::default(),
        fitness: Default::default(),
        view: Default::default(),
        leaving: Default::default(),
        handed_over: Default::default(),
    })
}

/// A cluster that has answered, and which one it is.
async fn identified(
    name: ClusterName,
    uri: &ConnectionString,
    app_name: &str,
    waiting: &Waiting,
) -> Result<(Cluster, Identity), OperatorError> {
    waiting
        .until(Part::Cluster(name), async || {
            let cluster = connect(name, uri.reveal(), app_name).await?;
            let identity = identify(&cluster).await?;
            Ok((cluster, identity))
        })
        .await
}

async fn load_registry(settings: &Settings) -> Result<Registry, OperatorError> {
    let (directory, secrets) = (settings.feature_set.clone(), settings.secrets_dir.clone());
    let wasi = if settings.refuse_wasi {
        WasiPolicy::Refuse
    } else {
        WasiPolicy::GrantNothing
    };
    let loaded = tokio::task::spawn_blocking(move || Registry::load(directory.as_deref(), wasi))
        .await
        .map_err(sync::Error::from)??;
    Ok(loaded.with_secrets(secrets))
}

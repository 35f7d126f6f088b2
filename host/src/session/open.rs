//! Opens a session: connects both clusters, and takes a persisted sync over or waits for it.

use std::sync::Arc;

use super::{Monitor, Session, Settings, standby};
use crate::{
    model::{OperatorError, options::ClusterName},
    mongo::{connect::connect, preflight::identify},
    plugin::{Registry, WasiPolicy},
    session::process::this_process,
    sync,
};

pub(super) async fn open(settings: Settings) -> Result<Arc<Session>, OperatorError> {
    let session = Arc::new(connect_both(settings).await?);
    standby::first_look(&session).await?;
    tokio::spawn(standby::watch(session.clone()));
    Ok(session)
}

/// A host that has looked at nothing yet.
pub(super) async fn connect_both(settings: Settings) -> Result<Session, OperatorError> {
    let holder = uuid::Uuid::new_v4().to_string();
    let app_name = super::app_name(crate::observe::VERSION, &holder);
    let (cluster0, cluster1) = tokio::try_join!(
        connect(ClusterName::Cluster0, settings.cluster0.reveal(), &app_name),
        connect(ClusterName::Cluster1, settings.cluster1.reveal(), &app_name),
    )?;
    let (directory, secrets) = (settings.feature_set.clone(), settings.secrets_dir.clone());
    let wasi = if settings.refuse_wasi {
        WasiPolicy::Refuse
    } else {
        WasiPolicy::GrantNothing
    };
    let registry = tokio::task::spawn_blocking(move || Registry::load(directory.as_deref(), wasi))
        .await
        .map_err(|error| sync::Error::from(error).into_operator())??
        .with_secrets(secrets);
    let clusters = [cluster0, cluster1];
    let identities = [identify(&clusters[0]).await?, identify(&clusters[1]).await?];
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

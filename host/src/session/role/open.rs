//! Opens a session: connects both clusters, then takes a persisted sync over or becomes its standby.

use std::sync::Arc;

use super::{
    connection::{ConnectionWait, WaitTarget},
    host::Host,
    watch::{first_discovery, watch},
};
use crate::{
    config::ConnectionString,
    model::{OperatorError, options::ClusterName},
    mongo::{
        Cluster, connect,
        preflight::{Identity, identify},
    },
    observe,
    plugin::{Registry, WasiPolicy},
    session::{
        audit::AuditTrail,
        components::pins::blocking,
        context::{HostContext, Settings},
        history::HistoryKeeper,
        hooks::Hooks,
        lease::process::{app_name, this_process},
        progress::{monitor::Monitor, sync_watch::SyncWatch},
    },
};

/// Opens the session of this process. Returns after both clusters have answered and the first look is done; then
/// starts the task that watches the role.
pub(crate) async fn open(
    settings: Settings,
    waiting: &ConnectionWait,
    audit: Arc<AuditTrail>,
) -> Result<Arc<Host>, OperatorError> {
    let context = connect_both(settings, waiting, audit).await?;
    let host = Arc::new(Host::new(context));
    let first_discovery = async || first_discovery(&host).await;
    waiting.until(WaitTarget::Sync, first_discovery).await?;
    tokio::spawn(watch(host.clone()));
    Ok(host)
}

/// Connects both clusters and reads their identities. Does not look for a sync.
pub(crate) async fn connect_both(
    settings: Settings,
    waiting: &ConnectionWait,
    audit: Arc<AuditTrail>,
) -> Result<HostContext, OperatorError> {
    let holder = uuid::Uuid::new_v4().to_string();
    let app_name = app_name(observe::VERSION, &holder);
    let registry = load_registry(&settings).await?;
    let (cluster0, cluster1) = (ClusterName::Cluster0, ClusterName::Cluster1);
    let ((cluster0, identity0), (cluster1, identity1)) = tokio::try_join!(
        identified(cluster0, &settings.cluster0, &app_name, waiting),
        identified(cluster1, &settings.cluster1, &app_name, waiting),
    )?;
    let clusters = [cluster0, cluster1];
    let identities = [identity0, identity1];
    let monitor = Monitor::start(clusters.clone(), identities.clone());
    Ok(HostContext {
        watch: SyncWatch::start(monitor.clone()),
        history: HistoryKeeper::new(monitor.clone()),
        hooks: Hooks::new(settings.hooks.clone(), settings.id.clone(), monitor.clone()),
        monitor,
        settings,
        holder,
        process: this_process(),
        clusters,
        identities,
        registry: Arc::new(registry),
        uploads: Default::default(),
        hosts: Default::default(),
        holders: Default::default(),
        audit,
    })
}

/// Connects a cluster and reads its identity.
async fn identified(
    name: ClusterName,
    uri: &ConnectionString,
    app_name: &str,
    waiting: &ConnectionWait,
) -> Result<(Cluster, Identity), OperatorError> {
    waiting
        .until(WaitTarget::Cluster(name), async || {
            let cluster = connect(name, uri.reveal(), app_name).await?;
            let identity = identify(&cluster).await?;
            Ok((cluster, identity))
        })
        .await
}

/// Loads the components that this host can run.
pub(crate) async fn load_registry(settings: &Settings) -> Result<Registry, OperatorError> {
    let (directory, secrets) = (settings.feature_set.clone(), settings.secrets_dir.clone());
    let wasi = if settings.refuse_wasi {
        WasiPolicy::Refuse
    } else {
        WasiPolicy::GrantNothing
    };
    let loaded = blocking(move || Registry::load(directory.as_deref(), wasi)).await?;
    Ok(loaded.with_secrets(secrets))
}

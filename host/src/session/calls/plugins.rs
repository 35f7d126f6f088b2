//! The calls about components: list, upload and delete.

use std::sync::Arc;

use crate::{
    distribution::admit_unsigned,
    metadata::PinnedComponent,
    model::{ErrorName, OperatorError},
    plugin::{ComponentInfo, InstalledPlugin, digest},
    session::{
        components::{
            pins::blocking,
            uploads::{installed_plugin, put},
        },
        progress::deadline::{ClusterLabel, within_deadline},
        role::host::Host,
    },
};

/// Every component that this host can run.
pub(crate) async fn list(host: &Host) -> Result<Vec<InstalledPlugin>, OperatorError> {
    let registry = host.context.registry.clone();
    let installed = blocking(move || registry.list()).await?;
    let pinned = pinned(host);
    let plugins = installed
        .into_iter()
        .map(|plugin| installed_plugin(plugin, &pinned));
    Ok(plugins.collect())
}

fn pinned(host: &Host) -> Vec<PinnedComponent> {
    match host.active() {
        Some(active) => active.record.get().pinned,
        None => Vec::new(),
    }
}

/// Checks, compiles and stores a component. Before the start of a sync the destination is unknown, so the
/// component stays in memory until then.
pub(crate) async fn add(host: &Host, bytes: Vec<u8>) -> Result<InstalledPlugin, OperatorError> {
    host.refuse_working_elsewhere()?;
    admit_unsigned(&host.context.settings.registry, "An upload")?;
    let bytes: Arc<[u8]> = bytes.into();
    let registry = &host.context.registry;
    let known = registry.has(&digest(&bytes));
    // Compiled before the turn, so that no other call waits for the compiler.
    let compiled = host
        .context
        .uploads
        .compile(registry.clone(), bytes.clone());
    let plugin = compiled.await?;
    if let Err(error) = keep(host, &plugin.info, bytes).await {
        if !known {
            registry.remove(&plugin.info.digest);
        }
        return Err(error);
    }
    tracing::info!(
        plugin = plugin.info.name,
        plugin_digest = plugin.info.digest,
        "component added"
    );
    Ok(installed_plugin(plugin, &pinned(host)))
}

/// Stores a component on the destination, or keeps it in memory until the start of a sync.
async fn keep(host: &Host, info: &ComponentInfo, bytes: Arc<[u8]>) -> Result<(), OperatorError> {
    let _turn = host.turn().await?;
    host.refuse_working_elsewhere()?;
    // A delete call may have removed the component since it was compiled.
    let (registry, given) = (host.context.registry.clone(), bytes.clone());
    blocking(move || registry.add(&given)).await?;
    match host.active() {
        Some(active) => put(active.record.store(), info, &bytes).await,
        None => {
            host.context.uploads.hold(info, bytes)?;
            // The component may be the missing one of a standby.
            host.eligibility.reset();
            Ok(())
        }
    }
}

/// Deletes an uploaded component that the sync does not use.
pub(crate) async fn remove(host: &Host, digest: &str) -> Result<(), OperatorError> {
    host.refuse_working_elsewhere()?;
    let _turn = host.turn().await?;
    host.refuse_working_elsewhere()?;
    refuse_in_use(host, digest)?;
    let registry = &host.context.registry;
    let known = registry.has(digest);
    if let Some(active) = host.active() {
        let unchanged = "The component may still be stored. Call again when the cluster answers.";
        let destination = ClusterLabel::destination(active.destination.name);
        within_deadline(&host.context.monitor, destination, unchanged, async {
            // Also removes chunks that an interrupted call has left.
            Ok(active.record.store().remove_component(digest).await?)
        })
        .await?;
    }
    host.context.uploads.forget(digest);
    registry.remove(digest);
    if !known {
        return Err(OperatorError::new(
            ErrorName::PluginNotFound,
            "No component has this digest. GET /api/v1/plugins lists all components.",
        ));
    }
    tracing::info!(plugin_digest = digest, "component deleted");
    Ok(())
}

fn refuse_in_use(host: &Host, digest: &str) -> Result<(), OperatorError> {
    let shipped = host.context.registry.feature_set().components();
    let why = if shipped.iter().any(|info| info.digest == digest) {
        "comes with this release"
    } else if pinned(host).iter().any(|pinned| pinned.digest == digest) {
        "is used by the sync"
    } else {
        return Ok(());
    };
    Err(OperatorError::new(
        ErrorName::PluginInUse,
        format!("The component {digest} {why}, and cannot be deleted."),
    ))
}

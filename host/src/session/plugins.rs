//! Components that are installed: those that came with this release, and uploads.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Session, pins::blocking};
use crate::{
    metadata::PinnedComponent,
    model::{OperatorError, plugins::InstalledPlugin},
    plugin::{ComponentInfo, Installed},
    sync::{self, MetadataStore},
};

/// Components that were uploaded before a sync has made one of the clusters the destination.
#[derive(Default)]
pub(super) struct Uploads(Mutex<Vec<(ComponentInfo, Arc<[u8]>)>>);

impl Uploads {
    fn add(&self, info: ComponentInfo, bytes: Arc<[u8]>) {
        self.all().push((info, bytes));
    }

    /// Stores them on the destination.
    pub(super) async fn store(&self, store: &MetadataStore) -> Result<(), OperatorError> {
        let uploads = self.all().clone();
        for (info, bytes) in uploads {
            put(store, &info, &bytes).await?;
        }
        self.all().clear();
        Ok(())
    }

    fn all(&self) -> std::sync::MutexGuard<'_, Vec<(ComponentInfo, Arc<[u8]>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn put(
    store: &MetadataStore,
    info: &ComponentInfo,
    bytes: &[u8],
) -> Result<(), OperatorError> {
    store
        .put_component(&info.name, &info.version, &info.digest, bytes)
        .await
        .map_err(|error| sync::Error::from(error).into_operator())
}

fn shown(installed: Installed, pinned: &[PinnedComponent]) -> InstalledPlugin {
    let digest = &installed.info.digest;
    let in_use = pinned.iter().any(|pinned| pinned.digest == *digest);
    InstalledPlugin {
        in_use,
        ..installed.into()
    }
}

impl Session {
    /// Every component that this host can run.
    pub async fn plugins(&self) -> Result<Vec<InstalledPlugin>, OperatorError> {
        let registry = self.registry.clone();
        let installed = blocking(move || registry.list()).await?;
        let pinned = self.pinned();
        let plugins = installed.into_iter().map(|plugin| shown(plugin, &pinned));
        Ok(plugins.collect())
    }

    fn pinned(&self) -> Vec<PinnedComponent> {
        match self.active() {
            Some(active) => active.record.get().pinned,
            None => Vec::new(),
        }
    }

    /// Checks and stores a component. Before a sync has begun, nobody knows which
    /// cluster is the destination: it is then held in memory until the start.
    pub async fn add_plugin(&self, bytes: Vec<u8>) -> Result<InstalledPlugin, OperatorError> {
        self.refuse_working_elsewhere()?;
        let _turn = self.turn().await?;
        self.refuse_working_elsewhere()?;
        let bytes: Arc<[u8]> = bytes.into();
        let (registry, given) = (self.registry.clone(), bytes.clone());
        let plugin = blocking(move || registry.add(&given)).await?;
        match self.active() {
            Some(active) => put(active.record.store(), &plugin.info, &bytes).await?,
            None => {
                self.uploads.add(plugin.info.clone(), bytes);
                // It may be what a standby lacked.
                self.fitness.forget();
            }
        }
        tracing::info!(
            plugin = plugin.info.name,
            plugin_digest = plugin.info.digest,
            "component added"
        );
        Ok(shown(plugin, &self.pinned()))
    }
}

//! Components that are installed: those that came with this release, and uploads.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::Semaphore, time::timeout};

use super::{Session, patience::patiently, pins::blocking};
use crate::{
    metadata::{self, PinnedComponent},
    model::{ErrorName, OperatorError},
    plugin::{ComponentInfo, InstalledComponent, InstalledPlugin, digest},
};

/// How long an upload waits to be compiled. One with a language's runtime takes 12 s on a quiet machine.
const COMPILE_WITHIN: Duration = Duration::from_secs(120);

/// What is held in memory of uploads before a sync begins: two of the largest.
const HELD_BYTES: usize = 128 << 20;

/// Components that were uploaded before a sync has made one of the clusters the destination.
pub(super) struct Uploads {
    held: Mutex<Vec<Upload>>,
    /// One is compiled at a time: that bounds the memory that it takes.
    compiling: Arc<Semaphore>,
}

#[derive(Clone)]
struct Upload {
    info: ComponentInfo,
    bytes: Arc<[u8]>,
}

impl Default for Uploads {
    fn default() -> Self {
        Self {
            held: Mutex::default(),
            compiling: Arc::new(Semaphore::new(1)),
        }
    }
}

impl Uploads {
    /// Holds a component, once however often it is uploaded.
    fn hold(&self, info: &ComponentInfo, bytes: Arc<[u8]>) -> Result<(), OperatorError> {
        let mut held = self.all();
        if held.iter().any(|upload| upload.info.digest == info.digest) {
            return Ok(());
        }
        let together: usize = held.iter().map(|upload| upload.bytes.len()).sum();
        if together + bytes.len() > HELD_BYTES {
            return Err(OperatorError::new(
                ErrorName::BodyTooLarge,
                format!(
                    "Until the sync begins, uploads are held in memory, {HELD_BYTES} bytes together; with this one \
                     they would have {}. Delete one of them, or upload this one once the sync has begun.",
                    together + bytes.len()
                ),
            ));
        }
        let info = info.clone();
        held.push(Upload { info, bytes });
        Ok(())
    }

    fn forget(&self, digest: &str) {
        self.all().retain(|upload| upload.info.digest != digest);
    }

    /// Stores them on the destination.
    pub(super) async fn store(&self, store: &metadata::Store) -> Result<(), OperatorError> {
        let uploads = self.all().clone();
        for Upload { info, bytes } in uploads {
            put(store, &info, &bytes).await?;
        }
        self.all().clear();
        Ok(())
    }

    fn all(&self) -> std::sync::MutexGuard<'_, Vec<Upload>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stores a component, unless it is stored.
async fn put(
    store: &metadata::Store,
    info: &ComponentInfo,
    bytes: &[u8],
) -> Result<(), OperatorError> {
    let stored = store.component_digests().await?;
    if stored.contains(&info.digest) {
        return Ok(());
    }
    let put = store.put_component(&info.name, &info.version, &info.digest, bytes);
    Ok(put.await?)
}

fn shown(component: InstalledComponent, pinned: &[PinnedComponent]) -> InstalledPlugin {
    let digest = &component.info.digest;
    let in_use = pinned.iter().any(|pinned| pinned.digest == *digest);
    InstalledPlugin { component, in_use }
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
        let bytes: Arc<[u8]> = bytes.into();
        let known = self.registry.has(&digest(&bytes));
        // No call waits for the compiler.
        let plugin = self.compile(bytes.clone()).await?;
        if let Err(error) = self.keep(&plugin.info, bytes).await {
            if !known {
                self.registry.remove(&plugin.info.digest);
            }
            return Err(error);
        }
        tracing::info!(
            plugin = plugin.info.name,
            plugin_digest = plugin.info.digest,
            "component added"
        );
        Ok(shown(plugin, &self.pinned()))
    }

    /// Stores a component, or holds it until the sync begins.
    async fn keep(&self, info: &ComponentInfo, bytes: Arc<[u8]>) -> Result<(), OperatorError> {
        let _turn = self.turn().await?;
        self.refuse_working_elsewhere()?;
        // A call that deletes it may have come between.
        let (registry, given) = (self.registry.clone(), bytes.clone());
        blocking(move || registry.add(&given)).await?;
        match self.active() {
            Some(active) => put(active.record.store(), info, &bytes).await,
            None => {
                self.uploads.hold(info, bytes)?;
                // It may be what a standby lacked.
                self.fitness.forget();
                Ok(())
            }
        }
    }

    /// Takes a component into the registry, after all checks. A compilation that takes too long
    /// goes on, and the next upload of the component finds it done.
    async fn compile(&self, bytes: Arc<[u8]>) -> Result<InstalledComponent, OperatorError> {
        let compiling = self.uploads.compiling.clone();
        let registry = self.registry.clone();
        let compiled = timeout(COMPILE_WITHIN, async move {
            let permit = compiling
                .acquire_owned()
                .await
                .map_err(|error| OperatorError::new(ErrorName::InternalError, error.to_string()))?;
            blocking(move || {
                let _permit = permit;
                registry.add(&bytes)
            })
            .await
        });
        compiled.await.unwrap_or_else(|_elapsed| {
            Err(OperatorError::new(
                ErrorName::PluginNotSupported,
                format!(
                    "The component was not compiled within {} seconds, and nothing is stored. The compilation goes \
                     on: upload the component again in a while.",
                    COMPILE_WITHIN.as_secs()
                ),
            ))
        })
    }

    /// Deletes a component that was uploaded and that the sync does not run on.
    pub async fn remove_plugin(&self, digest: &str) -> Result<(), OperatorError> {
        self.refuse_working_elsewhere()?;
        let _turn = self.turn().await?;
        self.refuse_working_elsewhere()?;
        self.refuse_in_use(digest)?;
        let known = self.registry.has(digest);
        if let Some(active) = self.active() {
            let unchanged =
                "The component may be stored still. Call again once the cluster answers.";
            patiently(
                &self.monitor,
                active.destination_named(),
                unchanged,
                async {
                    // Also what an earlier call that was cut short has left.
                    let removed = active.record.store().remove_component(digest).await;
                    removed.map_err(OperatorError::from)
                },
            )
            .await?;
        }
        self.uploads.forget(digest);
        self.registry.remove(digest);
        if !known {
            return Err(OperatorError::new(
                ErrorName::PluginNotFound,
                "No component has this digest. GET /api/v1/plugins lists those that there are.",
            ));
        }
        tracing::info!(plugin_digest = digest, "component deleted");
        Ok(())
    }

    fn refuse_in_use(&self, digest: &str) -> Result<(), OperatorError> {
        let shipped = self.registry.feature_set().components();
        let why = if shipped.iter().any(|info| info.digest == digest) {
            "comes with this release"
        } else if self.pinned().iter().any(|pinned| pinned.digest == digest) {
            "is one that the sync runs on"
        } else {
            return Ok(());
        };
        Err(OperatorError::new(
            ErrorName::PluginInUse,
            format!("The component {digest} {why}, and cannot be deleted."),
        ))
    }
}

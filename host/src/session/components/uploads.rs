//! Uploaded components: compiled, and stored on the destination.

use std::{sync::Arc, time::Duration};

use parking_lot::{Mutex, MutexGuard};
use tokio::{sync::Semaphore, time::timeout};

use super::pins::blocking;
use crate::{
    metadata::{self, PinnedComponent},
    model::{ErrorName, OperatorError},
    plugin::{ComponentInfo, InstalledComponent, InstalledPlugin, Registry},
};

/// Time limit of a compilation. A component with a language runtime takes 12 s on a quiet machine.
const COMPILE_WITHIN: Duration = Duration::from_secs(120);

/// Limit of uploads in memory before the start of a sync: two components of the largest size.
const HELD_BYTES: usize = 128 << 20;

/// Components that were uploaded before the start of a sync, when the destination was still unknown.
pub(crate) struct Uploads {
    held: Mutex<Vec<Upload>>,
    /// One compilation at a time, which bounds its memory.
    compiling: Arc<Semaphore>,
}

/// An upload in memory.
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
    /// Keeps a component in memory. Idempotent.
    ///
    /// # Errors
    ///
    /// `BodyTooLarge` when all uploads together exceed [`HELD_BYTES`].
    pub(crate) fn hold(&self, info: &ComponentInfo, bytes: Arc<[u8]>) -> Result<(), OperatorError> {
        let mut held = self.all();
        if held.iter().any(|upload| upload.info.digest == info.digest) {
            return Ok(());
        }
        let together: usize = held.iter().map(|upload| upload.bytes.len()).sum();
        if together + bytes.len() > HELD_BYTES {
            return Err(OperatorError::new(
                ErrorName::BodyTooLarge,
                format!(
                    "Until a sync starts, uploads are kept in memory, at most {HELD_BYTES} bytes together; with \
                     this upload they would have {}. Delete another upload, or repeat this upload after the start \
                     of the sync.",
                    together + bytes.len()
                ),
            ));
        }
        let info = info.clone();
        held.push(Upload { info, bytes });
        Ok(())
    }

    /// Removes an upload from memory.
    pub(crate) fn forget(&self, digest: &str) {
        self.all().retain(|upload| upload.info.digest != digest);
    }

    /// Stores the uploads on the destination and removes them from memory.
    pub(crate) async fn store(&self, store: &metadata::Store) -> Result<(), OperatorError> {
        let uploads = self.all().clone();
        for Upload { info, bytes } in uploads {
            put(store, &info, &bytes).await?;
        }
        self.all().clear();
        Ok(())
    }

    /// Checks and compiles a component and adds it to the registry. A compilation beyond the time limit
    /// continues in the background, and a repeated upload finds its result.
    pub(crate) async fn compile(
        &self,
        registry: Arc<Registry>,
        bytes: Arc<[u8]>,
    ) -> Result<InstalledComponent, OperatorError> {
        let compiling = self.compiling.clone();
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
                    "The component was not compiled within {} seconds, and nothing is stored. The compilation \
                     continues: upload the component again later.",
                    COMPILE_WITHIN.as_secs()
                ),
            ))
        })
    }

    fn all(&self) -> MutexGuard<'_, Vec<Upload>> {
        self.held.lock()
    }
}

/// Stores a component on the destination, unless it is already stored.
pub(crate) async fn put(
    store: &metadata::Store,
    info: &ComponentInfo,
    bytes: &[u8],
) -> Result<(), OperatorError> {
    let stored = store.component_digests().await?;
    if stored.contains(&info.digest) {
        return Ok(());
    }
    Ok(store
        .put_component(&info.name, &info.version, &info.digest, bytes)
        .await?)
}

/// The answer of the API for a component.
pub(crate) fn installed_plugin(
    component: InstalledComponent,
    pinned: &[PinnedComponent],
) -> InstalledPlugin {
    let digest = &component.info.digest;
    let in_use = pinned.iter().any(|pinned| pinned.digest == *digest);
    InstalledPlugin { component, in_use }
}

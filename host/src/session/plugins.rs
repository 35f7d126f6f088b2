//! Components of a sync: what was uploaded, and what the sync is pinned to.
//!
//! The sync goes on with the components that it is pinned to, by digest. One
//! whose bytes are not here any more is succeeded by the installed component of
//! the same name and semantics, which differs by bug fixes alone; where there is
//! none, the sync does not go on, and nothing has changed.

use std::sync::{Arc, Mutex, PoisonError};

use super::Session;
use crate::{
    metadata::PinnedComponent,
    model::{
        ErrorName, OperatorError, StartOptions, State,
        plugins::{InstalledPlugin, Swap},
    },
    plugin::{Chain, ComponentInfo, Installed, Registry, Router},
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

/// What routes and transforms for one sync.
pub(super) struct Configured {
    pub(super) router: Router,
    pub(super) chain: Chain,
    pub(super) pinned: Vec<PinnedComponent>,
}

/// Configures the components of `options`, those of `pinned` where it names any.
/// Compiles: done off the async threads.
pub(super) async fn configure(
    registry: &Arc<Registry>,
    mut options: StartOptions,
    pinned: Vec<PinnedComponent>,
) -> Result<Configured, OperatorError> {
    let registry = registry.clone();
    blocking(move || {
        let mut in_force = Vec::new();
        for (at, plugin) in options.plugins.iter_mut().enumerate() {
            let slot = format!("plugins[{at}]");
            let component = match pinned.iter().find(|pinned| pinned.slot == slot) {
                Some(pinned) => succeed(&registry, pinned)?,
                None => pin(&slot, &registry.find(&plugin.component)?.info),
            };
            plugin.component.clone_from(&component.digest);
            in_force.push(component);
        }
        Ok(Configured {
            router: registry.router(&options)?,
            chain: registry.chain(&options)?,
            pinned: in_force,
        })
    })
    .await
}

/// The pinned component, or the installed one that is its bug fix.
fn succeed(
    registry: &Registry,
    pinned: &PinnedComponent,
) -> Result<PinnedComponent, OperatorError> {
    if registry.find(&pinned.digest).is_ok() {
        return Ok(pinned.clone());
    }
    let installed = pin(&pinned.slot, &registry.find(&pinned.name)?.info);
    if installed.semantics == pinned.semantics {
        tracing::info!(
            plugin = pinned.name,
            plugin_digest = installed.digest,
            "an installed component succeeds one that is not here any more"
        );
        return Ok(installed);
    }
    Err(OperatorError::new(
        ErrorName::IncompatiblePlugin,
        format!(
            "The sync runs on {} {} ({}), which is not here any more, and the installed {} gives other answers. \
             Upload the component that the sync runs on and resume.",
            pinned.name, pinned.version, pinned.digest, installed.version
        ),
    ))
}

fn pin(slot: &str, info: &ComponentInfo) -> PinnedComponent {
    PinnedComponent {
        slot: slot.to_owned(),
        role: info.role.clone(),
        abi: info.abi.clone(),
        since: None,
        name: info.name.clone(),
        version: info.version.clone(),
        digest: info.digest.clone(),
        semantics: i64::from(info.semantics),
    }
}

fn shown(installed: Installed, pinned: &[PinnedComponent]) -> InstalledPlugin {
    let digest = &installed.info.digest;
    let in_use = pinned.iter().any(|pinned| pinned.digest == *digest);
    InstalledPlugin {
        in_use,
        ..installed.into()
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, OperatorError> + Send + 'static,
) -> Result<T, OperatorError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| sync::Error::from(error).into_operator())?
}

impl Session {
    /// Every component that this host can run.
    pub async fn plugins(&self) -> Result<Vec<InstalledPlugin>, OperatorError> {
        let registry = self.registry.clone();
        let installed = blocking(move || registry.list()).await?;
        let pinned = self.pinned().await;
        let plugins = installed.into_iter().map(|plugin| shown(plugin, &pinned));
        Ok(plugins.collect())
    }

    async fn pinned(&self) -> Vec<PinnedComponent> {
        match self.active() {
            Some(active) => active.record.get().await.pinned,
            None => Vec::new(),
        }
    }

    /// Checks and stores a component. Before a sync has begun, nobody knows which
    /// cluster is the destination: it is then held in memory until the start.
    pub async fn add_plugin(&self, bytes: Vec<u8>) -> Result<InstalledPlugin, OperatorError> {
        let _calls = self.calls.lock().await;
        let bytes: Arc<[u8]> = bytes.into();
        let (registry, given) = (self.registry.clone(), bytes.clone());
        let plugin = blocking(move || registry.add(&given)).await?;
        match self.active() {
            Some(active) => put(active.record.store(), &plugin.info, &bytes).await?,
            None => self.uploads.add(plugin.info.clone(), bytes),
        }
        tracing::info!(
            plugin = plugin.info.name,
            plugin_digest = plugin.info.digest,
            "component added"
        );
        Ok(shown(plugin, &self.pinned().await))
    }

    /// Swaps components of the sync, between two batches of a running one.
    pub async fn upgrade(&self, components: Vec<Swap>) -> Result<(), OperatorError> {
        let _calls = self.calls.lock().await;
        let Some(active) = self.active() else {
            return Err(nothing_to_upgrade(State::Idle));
        };
        let state = active.state().await;
        if !matches!(state, State::Running | State::Paused) {
            return Err(nothing_to_upgrade(state));
        }
        let mut pinned = active.record.get().await.pinned;
        for swap in &components {
            let installed = self.checked(swap, &pinned).await?;
            if let Some(chain) = active.chain() {
                let (registry, swap) = (self.registry.clone(), swap.clone());
                blocking(move || chain.swap(&swap.name, &registry, &swap.digest)).await?;
            }
            for own in pinned.iter_mut().filter(|own| own.name == swap.name) {
                *own = pin(&own.slot, &installed);
            }
        }
        active.update(|session| session.pinned = pinned).await
    }

    /// The component of a swap, if it can take the place of the one that the sync runs on.
    async fn checked(
        &self,
        swap: &Swap,
        pinned: &[PinnedComponent],
    ) -> Result<ComponentInfo, OperatorError> {
        let Some(old) = pinned.iter().find(|old| old.name == swap.name) else {
            return Err(OperatorError::new(
                ErrorName::PluginNotFound,
                format!(
                    "The sync runs on no plugin called {}. GET /api/v1/plugins shows which are in use.",
                    swap.name
                ),
            ));
        };
        let (registry, digest) = (self.registry.clone(), swap.digest.clone());
        let new = blocking(move || registry.find(&digest)).await?.info;
        if new.name == old.name && i64::from(new.semantics) == old.semantics {
            return Ok(new);
        }
        Err(OperatorError::new(
            ErrorName::IncompatiblePlugin,
            format!(
                "{} {} (semantics {}) cannot take the place of {} {} (semantics {}): documents that are copied already \
                 would be other ones. Give a build with the same name and semantics.",
                new.name, new.version, new.semantics, old.name, old.version, old.semantics
            ),
        ))
    }
}

fn nothing_to_upgrade(state: State) -> OperatorError {
    OperatorError::new(
        ErrorName::InvalidStateTransition,
        format!("upgrade is possible in the states RUNNING and PAUSED, and the state is {state}."),
    )
}

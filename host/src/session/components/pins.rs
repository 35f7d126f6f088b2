//! The pins of a sync.
//!
//! Names are resolved when the sync starts; from then on a component is identified by its digest. Invariant: the
//! bytes of a component are on the destination before the session document names its digest. So every host can
//! continue the sync with any set of installed components.

use std::sync::Arc;

use crate::{
    metadata::{self, PinnedComponent},
    model::{ErrorName, OperatorError, StartOptions},
    plugin::{Chain, ComponentInfo, InstalledComponent, Pins, Registry, Router, Slot},
    session::active::RunningComponents,
    sync,
};

/// Configures the pinned components. Compiles: call it in [`blocking`].
pub(crate) fn configure(
    registry: &Registry,
    options: &StartOptions,
    pinned: &[PinnedComponent],
) -> Result<RunningComponents, OperatorError> {
    let pins = digests(options, pinned);
    Ok(RunningComponents {
        router: Arc::new(Router::new(registry, options, &pins)?),
        chain: Arc::new(Chain::new(registry, options, &pins)?),
    })
}

/// Pins and configures the components of a new sync.
pub(crate) async fn begin(
    registry: &Arc<Registry>,
    options: StartOptions,
) -> Result<(RunningComponents, Vec<PinnedComponent>), OperatorError> {
    let registry = registry.clone();
    blocking(move || {
        let pinned = complete(&registry, &options, &[])?;
        let configured = configure(&registry, &options, &pinned)?;
        Ok((configured, pinned))
    })
    .await
}

/// A pin for every slot: the existing pin if its bytes are available, else the installed component of the same
/// name and semantics; for a slot without a pin, the component that the options name.
pub(crate) fn complete(
    registry: &Registry,
    options: &StartOptions,
    pinned: &[PinnedComponent],
) -> Result<Vec<PinnedComponent>, OperatorError> {
    let pin_of = |(slot, wanted): (Slot, &str)| match in_slot(pinned, slot) {
        Some(own) if registry.has(&own.digest) => Ok(own.clone()),
        Some(own) => succeed(registry, slot, own),
        None => Ok(pin(slot, &registry.find(wanted)?)),
    };
    Slot::all(options).into_iter().map(pin_of).collect()
}

/// The newest installed component with the name and semantics of a pin whose bytes are lost.
fn succeed(
    registry: &Registry,
    slot: Slot,
    lost: &PinnedComponent,
) -> Result<PinnedComponent, OperatorError> {
    let named = |installed: &InstalledComponent| installed.info.name == lost.name;
    let installed: Vec<_> = registry.list()?.into_iter().filter(named).collect();
    let same = installed
        .iter()
        .filter(|installed| i64::from(installed.info.semantics) == lost.semantics);
    if let Some(successor) = same.max_by_key(|installed| installed.version()) {
        tracing::info!(
            plugin = lost.name,
            plugin_digest = successor.info.digest,
            "an installed component replaces a pinned build whose bytes are missing"
        );
        return Ok(pin(slot, successor));
    }
    let instead = match installed.first() {
        Some(other) => format!(
            "the installed {} (semantics {}) gives other answers",
            other.info.version, other.info.semantics
        ),
        None => "no other build is installed".to_owned(),
    };
    Err(OperatorError::new(
        ErrorName::IncompatiblePlugin,
        format!(
            "The sync is pinned to {} {} (semantics {}, {}), whose bytes are missing, and {instead}. Upload the \
             pinned component and resume.",
            lost.name, lost.version, lost.semantics, lost.digest
        ),
    ))
}

/// The pin of a component in a slot.
pub(crate) fn pin(slot: Slot, installed: &InstalledComponent) -> PinnedComponent {
    let ComponentInfo {
        name,
        version,
        digest,
        abi,
        semantics,
        ..
    } = installed.info.clone();
    PinnedComponent {
        slot: slot.to_string(),
        role: role(slot, installed).to_owned(),
        name,
        version,
        digest,
        abi,
        semantics: semantics.into(),
        since: None,
        signed_by: installed.signed_by.clone(),
    }
}

/// The interface that a component is used for in a slot.
fn role(slot: Slot, installed: &InstalledComponent) -> &'static str {
    let transforms = match slot {
        Slot::NamespaceFilter | Slot::NamespaceRemap => false,
        Slot::DocumentFilter => true,
        Slot::Plugin(_) => installed.exports("transform"),
    };
    if transforms { "transform" } else { "route" }
}

/// The pin of a slot.
pub(crate) fn in_slot(pinned: &[PinnedComponent], slot: Slot) -> Option<&PinnedComponent> {
    let slot = slot.to_string();
    pinned.iter().find(|pinned| pinned.slot == slot)
}

fn digests(options: &StartOptions, pinned: &[PinnedComponent]) -> Pins {
    let digest = |(slot, _): (Slot, &str)| Some((slot, in_slot(pinned, slot)?.digest.clone()));
    Slot::all(options).into_iter().filter_map(digest).collect()
}

/// Stores the bytes of pinned components that are missing on the destination.
pub(crate) async fn store(
    registry: &Registry,
    store: &metadata::Store,
    pinned: &[PinnedComponent],
) -> Result<(), OperatorError> {
    let mut stored = store.component_digests().await?;
    for PinnedComponent {
        name,
        version,
        digest,
        ..
    } in pinned
    {
        if stored.contains(digest) {
            continue;
        }
        if let Some(bytes) = registry.bytes(digest) {
            store.put_component(name, version, digest, &bytes).await?;
            stored.push(digest.clone());
        }
    }
    Ok(())
}

/// Loads the components that are stored on the destination into the registry, without compiling them.
pub(crate) async fn load(
    registry: &Registry,
    store: &metadata::Reader,
) -> Result<(), OperatorError> {
    for digest in store.component_digests().await? {
        if registry.has(&digest) {
            continue;
        }
        let bytes = store.component(&digest).await?;
        if let Err(error) = registry.hold(&digest, bytes) {
            // Reported as an error when the component is used.
            tracing::info!(plugin_digest = digest, error = %error, "a stored component cannot be used");
        }
    }
    Ok(())
}

/// Runs work that compiles or calls components outside the async threads. The work runs to its end although the
/// future is dropped.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, OperatorError> + Send + 'static,
) -> Result<T, OperatorError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(sync::Error::from)?
}

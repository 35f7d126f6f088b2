//! Compares pinned components with installed components.

use crate::{
    metadata::PinnedComponent,
    plugin::{ComponentInfo, Registry},
};

/// The [`ComponentInfo`] of a pinned component.
pub(super) fn info(pinned: &PinnedComponent) -> ComponentInfo {
    ComponentInfo {
        role: pinned.role.clone(),
        name: pinned.name.clone(),
        version: pinned.version.clone(),
        digest: pinned.digest.clone(),
        abi: pinned.abi.clone(),
        semantics: u32::try_from(pinned.semantics).unwrap_or_default(),
    }
}

/// The component of the feature set that has the name of `pinned`.
pub(super) fn installed<'r>(
    registry: &'r Registry,
    pinned: &PinnedComponent,
) -> Option<&'r ComponentInfo> {
    let mut shipped = registry.feature_set().components().iter();
    shipped.find(|installed| installed.name == pinned.name)
}

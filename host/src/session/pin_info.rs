//! A pinned component, compared with what is installed.

use crate::{
    metadata::PinnedComponent,
    plugin::{ComponentInfo, Registry},
};

/// A pinned component as a feature set would name it.
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

/// The installed component of the same name, if it came with this release.
pub(super) fn installed<'r>(
    registry: &'r Registry,
    pinned: &PinnedComponent,
) -> Option<&'r ComponentInfo> {
    let mut shipped = registry.feature_set().components().iter();
    shipped.find(|installed| installed.name == pinned.name)
}

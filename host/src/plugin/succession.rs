//! What becomes of a pinned component on a host that has others: the table, for components.

use super::featureset::ComponentInfo;
use crate::model::succession::{Build, Succession};

/// Compares the component that a sync is pinned to with the installed one of the same name.
pub fn succession(pinned: &ComponentInfo, installed: Option<&ComponentInfo>) -> Succession {
    crate::model::succession::succession(build(pinned), installed.map(build))
}

fn build(info: &ComponentInfo) -> Build<'_> {
    Build {
        version: &info.version,
        digest: &info.digest,
        semantics: info.semantics.into(),
    }
}

//! The identity of a component.

use serde::{Deserialize, Serialize};

/// The role of a migration step: it migrates the metadata, and no sync is pinned to it.
pub const MIGRATE: &str = "migrate";

/// Identity of a component: its entry in the manifest of a feature set, and in the pins of a sync.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentInfo {
    /// The interface that the component is used for: `route`, `transform` or `migrate`.
    pub role: String,
    /// Name by which options of a sync and swaps refer to the component.
    pub name: String,
    /// A semantic version.
    pub version: String,
    /// `sha256:` and the lower-case hex digest of the bytes.
    pub digest: String,
    /// The version of the plugin contract that the component was built for.
    pub abi: String,
    /// Version of the output contract: builds with the same number give the same answers.
    pub semantics: u32,
}

impl ComponentInfo {
    /// Whether a sync can be pinned to the component. A host uses its own migration steps.
    pub fn is_pinned(&self) -> bool {
        self.role != MIGRATE
    }
}

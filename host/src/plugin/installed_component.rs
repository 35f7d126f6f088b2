//! The properties of an installed component.

use std::fmt::Write as _;

use semver::Version;
use sha2::{Digest, Sha256};

use crate::model::ComponentInfo;

/// The part of a document that a plugin has to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The whole document: an update is looked up first.
    Document,
    /// Top-level fields, independently of each other: an update can be passed on as a delta.
    Delta,
}

impl Scope {
    /// The name of the scope in the plugin contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Document => "document",
            Self::Delta => "delta",
        }
    }
}

/// A component that this host can run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledComponent {
    /// Name, version, digest, contract version and semantics.
    pub info: ComponentInfo,
    /// Exported interfaces of the contract: `describe` and `route`, `transform` or `migrate`.
    pub exports: Vec<String>,
    /// The part of a document that the component has to see.
    pub scope: Scope,
    /// A JSON Schema, as text.
    pub config_schema: String,
    /// Whether the component imports WASI, of which it is granted nothing.
    pub wasi: bool,
    /// Whether the component imports `observe`: it may log and count.
    pub observes: bool,
    /// Whether the component belongs to the feature set.
    pub shipped: bool,
    /// The key that has signed the component in the registry that it was fetched from.
    pub signed_by: Option<String>,
    /// Size of the component in bytes.
    pub bytes: usize,
}

impl InstalledComponent {
    /// The semantic version of the component. `None` for a version that does not parse.
    pub fn version(&self) -> Option<Version> {
        Version::parse(&self.info.version).ok()
    }

    /// Whether the component exports an interface of the contract.
    pub fn exports(&self, interface: &str) -> bool {
        self.exports.iter().any(|name| name == interface)
    }
}

/// An installed component, and whether the sync uses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledPlugin {
    /// The component.
    pub component: InstalledComponent,
    /// Whether a pin of the sync has its digest.
    pub in_use: bool,
}

/// The digest that identifies a component: `sha256:` and lower-case hex.
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .fold("sha256:".to_owned(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

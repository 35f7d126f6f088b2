//! A feature set: the components that a release ships, and their manifest `featureset.toml`.
//!
//! Invariant: every component has the digest of its manifest entry. Otherwise the whole feature set is refused.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::model::component::MIGRATE;
use crate::model::{ComponentInfo, OperatorError};

use super::error::{Error, Result};
use super::installed_component::digest;

include!(concat!(env!("OUT_DIR"), "/featureset.rs"));

/// The interfaces for which a host uses shipped components.
const ROLES: [&str; 3] = ["route", "transform", MIGRATE];

/// The manifest of a release, as read from `featureset.toml`. Fields of later releases are ignored.
#[derive(Clone, Debug, Deserialize)]
pub struct FeatureSet {
    name: String,
    version: String,
    metadata_version: u32,
    /// May be empty: a sync that has begun brings its own components.
    #[serde(default)]
    components: Vec<ComponentInfo>,
}

/// The bytes of a component: embedded, or read from a file.
pub(super) type Bytes = Cow<'static, [u8]>;

impl FeatureSet {
    /// The name of the release.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version of the release.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The version of the metadata that its host writes.
    pub fn metadata_version(&self) -> u32 {
        self.metadata_version
    }

    /// The components of the manifest, migration steps included. A sync that begins now is pinned to the others.
    pub fn components(&self) -> &[ComponentInfo] {
        &self.components
    }

    /// Reads the embedded feature set, or the feature set in `dir`, and checks every digest. Compiles nothing.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` for a missing or changed file, `PluginNotSupported` for an unknown role.
    pub fn load(dir: Option<&Path>) -> std::result::Result<Self, OperatorError> {
        Ok(Self::read(dir)?.0)
    }

    /// Like [`FeatureSet::load`], with the bytes of each component.
    pub(super) fn read(dir: Option<&Path>) -> Result<(Self, Vec<Bytes>)> {
        let source = dir.map_or(Source::Embedded, |dir| Source::Folder(dir.to_owned()));
        let set: Self = toml::from_str(&source.manifest()?)
            .map_err(|error| Error::FeatureSet(format!("featureset.toml: {}", error.message())))?;
        if let Some(info) = set
            .components
            .iter()
            .find(|info| !ROLES.contains(&info.role.as_str()))
        {
            let reason = format!("this host has no use for the role `{}`", info.role);
            return Err(Error::NotSupported {
                component: info.name.clone(),
                reason,
            });
        }
        let bytes = set.components.iter().map(|info| source.component(info));
        let bytes = bytes.collect::<Result<_>>()?;
        Ok((set, bytes))
    }

    /// The embedded migration steps, with their bytes.
    pub(super) fn embedded_steps() -> Result<Vec<(ComponentInfo, Bytes)>> {
        let (set, bytes) = Self::read(None)?;
        let components = set.components.into_iter().zip(bytes);
        Ok(components.filter(|(info, _)| !info.is_pinned()).collect())
    }
}

/// The place of the files of a feature set.
enum Source {
    Embedded,
    Folder(PathBuf),
}

impl Source {
    fn manifest(&self) -> Result<Cow<'static, str>> {
        match self {
            Self::Embedded => Ok(Cow::Borrowed(MANIFEST)),
            Self::Folder(folder) => {
                let path = folder.join("featureset.toml");
                std::fs::read_to_string(&path)
                    .map(Cow::Owned)
                    .map_err(|e| unreadable(&path, &e))
            }
        }
    }

    /// The bytes of a component, checked against the digest of its manifest entry.
    fn component(&self, info: &ComponentInfo) -> Result<Bytes> {
        let bytes = match self {
            Self::Embedded => COMPONENTS
                .iter()
                .find(|(name, _)| *name == info.name)
                .map(|(_, bytes)| Cow::Borrowed(*bytes))
                .ok_or_else(|| Error::FeatureSet(format!("{} is not embedded", info.name)))?,
            Self::Folder(folder) => {
                let path = folder.join(format!("{}.wasm", info.name));
                std::fs::read(&path)
                    .map(Cow::Owned)
                    .map_err(|error| unreadable(&path, &error))?
            }
        };
        let found = digest(&bytes);
        if found == info.digest {
            return Ok(bytes);
        }
        Err(Error::FeatureSet(format!(
            "{}.wasm has the digest {found}, and featureset.toml says {}",
            info.name, info.digest
        )))
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    Error::FeatureSet(format!("{} cannot be read ({error})", path.display()))
}

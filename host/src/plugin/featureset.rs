//! A feature set: what a release ships, as its manifest names it.
//!
//! Every component has the digest that the manifest gives it, or nothing of the
//! feature set is used.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::model::{OperatorError, StartOptions};

use super::component::Component;
use super::engine::{Engine, Limits};
use super::error::{Error, Result};
use super::router::Router;

include!(concat!(env!("OUT_DIR"), "/featureset.rs"));

/// `featureset.toml`; fields of later releases are passed over.
#[derive(Clone, Debug, Deserialize)]
struct Manifest {
    name: String,
    version: String,
    components: Vec<ComponentInfo>,
}

/// What a manifest says of one component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentInfo {
    /// What the release uses it for.
    pub role: String,
    pub name: String,
    pub version: String,
    /// `sha256:` and the digest of its bytes.
    pub digest: String,
    /// The version of the plugin contract that it was built for.
    pub abi: String,
    /// Its output contract.
    pub semantics: u32,
}

/// The components of a feature set, compiled.
pub struct FeatureSet {
    manifest: Manifest,
    route: Arc<Component>,
}

/// Where the files of a feature set are.
enum Source {
    Embedded,
    Folder(PathBuf),
}

impl FeatureSet {
    /// Loads the embedded feature set, or the one in `dir`. Compiles, which may
    /// take a second: call it off the async threads.
    pub fn load(dir: Option<&Path>) -> std::result::Result<Self, OperatorError> {
        let source = dir.map_or(Source::Embedded, |dir| Source::Folder(dir.to_owned()));
        Ok(Self::load_within(&source, Limits::default())?)
    }

    /// Configures the route component with the filters of `options`; refuses bad
    /// regular expressions.
    pub fn router(&self, options: &StartOptions) -> std::result::Result<Router, OperatorError> {
        Ok(Router::new(Arc::clone(&self.route), options)?)
    }

    pub fn name(&self) -> &str {
        &self.manifest.name
    }

    pub fn version(&self) -> &str {
        &self.manifest.version
    }

    /// What a sync that begins now is pinned to.
    pub fn components(&self) -> &[ComponentInfo] {
        &self.manifest.components
    }

    fn load_within(source: &Source, limits: Limits) -> Result<Self> {
        let manifest: Manifest = toml::from_str(&source.manifest()?)
            .map_err(|error| Error::FeatureSet(format!("featureset.toml: {}", error.message())))?;
        let [info] = manifest.components.as_slice() else {
            let reason = "it needs one component, of the role `route`".to_owned();
            return Err(Error::FeatureSet(reason));
        };
        if info.role != "route" {
            let reason = format!("this host has no use for the role `{}`", info.role);
            return Err(Error::NotSupported {
                component: info.name.clone(),
                reason,
            });
        }
        let bytes = source.component(info)?;
        let route = Component::load(&Engine::new(limits)?, info.clone(), &bytes)?;
        Ok(Self {
            manifest,
            route: Arc::new(route),
        })
    }
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

    /// The bytes of a component, which have the digest that they should have.
    fn component(&self, info: &ComponentInfo) -> Result<Cow<'static, [u8]>> {
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

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .fold("sha256:".to_owned(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

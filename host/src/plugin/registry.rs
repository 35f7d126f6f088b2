//! Every component that this host can run: those of its feature set, and those
//! that users have added. Nothing here is used by a sync before its options name it.
//!
//! A component is compiled when it is first needed, once a digest.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use crate::model::{OperatorError, StartOptions};
use crate::observe::field;

use super::component_info::{ComponentInfo, InstalledComponent, digest};
use super::error::{Error, Result};
use super::feature_set::{Bytes, FeatureSet};
use super::pins::{Pins, Slot};
use super::runtime::{self, Component};
use super::sandbox::{Engines, Limits, WasiPolicy, bounds};
use super::secrets::Secrets;

/// Every component that this host can run. Shared by all tasks.
pub struct Registry {
    engines: Engines,
    wasi: WasiPolicy,
    features: FeatureSet,
    secrets: Secrets,
    entries: RwLock<Vec<Arc<Entry>>>,
}

/// One component, compiled or not yet.
struct Entry {
    digest: String,
    /// What the feature set says of it, if it is from there.
    manifest: Option<ComponentInfo>,
    bytes: Bytes,
    compiled: Mutex<Option<Arc<Component>>>,
}

impl Registry {
    /// Reads the embedded feature set, or the one in `dir`: the steps of the metadata that one
    /// lacks are the embedded ones, which go with the version that this host writes. Compiles
    /// nothing yet.
    pub fn load(dir: Option<&Path>, wasi: WasiPolicy) -> std::result::Result<Self, OperatorError> {
        Ok(Self::load_within(dir, wasi, Limits::default())?)
    }

    pub(super) fn load_within(
        dir: Option<&Path>,
        wasi: WasiPolicy,
        limits: Limits,
    ) -> Result<Self> {
        let (features, bytes) = FeatureSet::read(dir)?;
        let mut own_steps = match dir {
            Some(_) => FeatureSet::embedded_steps()?,
            None => Vec::new(),
        };
        own_steps.retain(|(step, _)| !features.components().contains(step));
        let entry = |(info, bytes): (ComponentInfo, Bytes)| {
            Arc::new(Entry {
                digest: info.digest.clone(),
                manifest: Some(info),
                bytes,
                compiled: Mutex::new(None),
            })
        };
        let components = features.components().iter().cloned().zip(bytes);
        let entries = components.chain(own_steps).map(entry).collect();
        Ok(Self {
            engines: Engines::new(limits, wasi).map_err(Error::Engine)?,
            wasi,
            features,
            secrets: Secrets::default(),
            entries: RwLock::new(entries),
        })
    }

    /// The same, with a directory of secrets that configurations of plugins may refer to.
    #[must_use]
    pub fn with_secrets(mut self, directory: Option<PathBuf>) -> Self {
        self.secrets = Secrets::within(directory);
        self
    }

    pub(super) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Refuses options that refer to a secret that is not here.
    pub fn check_secrets(&self, options: &StartOptions) -> std::result::Result<(), OperatorError> {
        for (position, plugin) in options.plugins.iter().enumerate() {
            let revealed = self.secrets.reveal(&plugin.config.0).map(drop);
            let path = format!("{}.config", Slot::Plugin(position));
            revealed.map_err(|error| error.within(&path))?;
        }
        Ok(())
    }

    /// What this release ships.
    pub fn feature_set(&self) -> &FeatureSet {
        &self.features
    }

    /// Takes a component in, after all checks; again is fine. Compiles, which takes
    /// some seconds for one with a language's runtime. The bounds are for a new component alone:
    /// what a sync is pinned to goes on.
    pub fn add(&self, bytes: &[u8]) -> std::result::Result<InstalledComponent, OperatorError> {
        let digest = digest(bytes);
        let known = self
            .entries()
            .into_iter()
            .find(|entry| entry.digest == digest);
        let entry = match known {
            Some(entry) => entry,
            None => {
                runtime::admit(bytes, self.wasi)
                    .and_then(|_stamp| bounds::check(bytes))
                    .map_err(|reason| Error::NotSupported {
                        component: digest.clone(),
                        reason,
                    })?;
                Arc::new(Entry {
                    digest,
                    manifest: None,
                    bytes: bytes.to_vec().into(),
                    compiled: Mutex::new(None),
                })
            }
        };
        let component = self.compiled(&entry)?;
        let mut entries = self.entries.write();
        if !entries.iter().any(|known| known.digest == entry.digest) {
            entries.push(entry);
        }
        Ok(component.installed().clone())
    }

    /// All of them, the feature set's first. Compiles what is not compiled yet; what another
    /// host has stored and this one cannot run is left out.
    pub fn list(&self) -> std::result::Result<Vec<InstalledComponent>, OperatorError> {
        let entries = self.entries();
        let shipped = entries.iter().filter(|entry| entry.manifest.is_some());
        let mut components = shipped
            .map(|entry| self.compiled(entry))
            .collect::<Result<Vec<_>>>()?;
        components.extend(self.added(&entries));
        let installed = components.iter().map(|component| component.installed());
        Ok(installed.cloned().collect())
    }

    /// The component of that name or digest. Of one name the feature set's goes
    /// before those that were added, and among these the newest version.
    pub fn find(
        &self,
        name_or_digest: &str,
    ) -> std::result::Result<InstalledComponent, OperatorError> {
        Ok(self.component(name_or_digest)?.installed().clone())
    }

    /// Takes in the bytes of a component that was checked by whoever stored them. Compiles
    /// nothing yet; bytes with another digest are refused.
    pub fn hold(&self, stored: &str, bytes: Vec<u8>) -> std::result::Result<(), OperatorError> {
        let found = digest(&bytes);
        if found != stored {
            let component = stored.to_owned();
            let reason = format!("its bytes have the digest {found}");
            return Err(Error::NotSupported { component, reason }.reported());
        }
        let mut entries = self.entries.write();
        if !entries.iter().any(|known| known.digest == found) {
            entries.push(Arc::new(Entry {
                digest: found,
                manifest: None,
                bytes: bytes.into(),
                compiled: Mutex::new(None),
            }));
        }
        Ok(())
    }

    /// Forgets a component that was added. Whoever runs it goes on.
    pub fn remove(&self, digest: &str) {
        let mut entries = self.entries.write();
        entries.retain(|entry| entry.digest != digest || entry.manifest.is_some());
    }

    /// The bytes of a component, if they are here.
    pub fn bytes(&self, digest: &str) -> Option<Cow<'static, [u8]>> {
        let entries = self.entries();
        let entry = entries.iter().find(|entry| entry.digest == digest)?;
        Some(entry.bytes.clone())
    }

    /// True if the component's bytes are here.
    pub fn has(&self, digest: &str) -> bool {
        self.entries().iter().any(|entry| entry.digest == digest)
    }

    /// What a sync with these options that begins now runs on: each use's component by the name
    /// or digest that the options have for it.
    pub fn pins(&self, options: &StartOptions) -> std::result::Result<Pins, OperatorError> {
        let digest = |(slot, wanted)| Ok((slot, self.find(wanted)?.info.digest));
        Slot::all(options).into_iter().map(digest).collect()
    }

    /// The component in a slot.
    pub(super) fn pinned(&self, pins: &Pins, slot: Slot) -> Result<Arc<Component>> {
        match pins.digest(slot) {
            Some(digest) => self.of_digest(digest),
            None => Err(Error::Internal(format!(
                "no component is pinned for {slot}"
            ))),
        }
    }

    pub(super) fn of_digest(&self, digest: &str) -> Result<Arc<Component>> {
        let entries = self.entries();
        match entries.iter().find(|entry| entry.digest == digest) {
            Some(entry) => self.compiled(entry),
            None => Err(not_found(digest, &entries, &[])),
        }
    }

    /// The migration steps of the feature set, each compiled when the iterator reaches it.
    pub(super) fn migration_steps(&self) -> impl Iterator<Item = Result<Arc<Component>>> {
        let is_step = |info: &ComponentInfo| !info.is_pinned();
        let entries = self.entries().into_iter();
        entries
            .filter(move |entry| entry.manifest.as_ref().is_some_and(is_step))
            .map(|entry| self.compiled(&entry))
    }

    pub(super) fn component(&self, name_or_digest: &str) -> Result<Arc<Component>> {
        let entries = self.entries();
        let exact = entries.iter().find(|entry| {
            entry.digest == name_or_digest
                || entry
                    .manifest
                    .as_ref()
                    .is_some_and(|info| info.name == name_or_digest)
        });
        if let Some(entry) = exact {
            return self.compiled(entry);
        }
        let added = self.added(&entries);
        added
            .iter()
            .filter(|component| component.info().name == name_or_digest)
            .max_by_key(|component| component.installed().version())
            .cloned()
            .ok_or_else(|| not_found(name_or_digest, &entries, &added))
    }

    /// Those that did not come with this release, as far as this host can run them.
    fn added(&self, entries: &[Arc<Entry>]) -> Vec<Arc<Component>> {
        let added = entries.iter().filter(|entry| entry.manifest.is_none());
        let usable = added.filter_map(|entry| match self.compiled(entry) {
            Ok(component) => Some(component),
            Err(error) => {
                tracing::info!({ field::PLUGIN_DIGEST } = entry.digest, error = %error, "a stored component cannot be used");
                None
            }
        });
        usable.collect()
    }

    fn entries(&self) -> Vec<Arc<Entry>> {
        self.entries.read().clone()
    }

    fn compiled(&self, entry: &Entry) -> Result<Arc<Component>> {
        let mut compiled = entry.compiled.lock();
        if let Some(component) = &*compiled {
            return Ok(Arc::clone(component));
        }
        let component = Component::load(
            &self.engines,
            self.wasi,
            &entry.digest,
            &entry.bytes,
            entry.manifest.as_ref(),
        )?;
        Ok(Arc::clone(compiled.insert(Arc::new(component))))
    }
}

fn not_found(wanted: &str, entries: &[Arc<Entry>], added: &[Arc<Component>]) -> Error {
    let shipped = entries.iter().filter_map(|entry| entry.manifest.as_ref());
    let added = added.iter().map(|component| component.info());
    let mut names: Vec<&str> = shipped
        .chain(added)
        .map(|info| info.name.as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    let closest = names
        .iter()
        .map(|name| (strsim::damerau_levenshtein(wanted, name), name))
        .min()
        .filter(|(distance, name)| distance * 3 <= name.len());
    let hint = match closest {
        Some((_, name)) => format!("did you mean {name}? "),
        None => String::new(),
    };
    let names = if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    };
    Error::NotFound {
        wanted: wanted.to_owned(),
        hint: format!(
            "{hint}this host has {names}; others have to be added first, with `tidegate plugin add`"
        ),
    }
}

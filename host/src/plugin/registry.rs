//! The registry: every component that this host can run, those of its feature set and uploads. It finds and compiles
//! components; routers, chains and migrators are built from it.
//!
//! A component is compiled when it is first needed, once per digest.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use crate::model::plugins::PluginLogs;
use crate::model::{ComponentInfo, OperatorError, StartOptions};
use crate::observe::field;

use super::error::{Error, Result};
use super::feature_set::{Bytes, FeatureSet};
use super::installed_component::{InstalledComponent, digest};
use super::pins::{Pins, Slot};
use super::runtime::{self, Component};
use super::sandbox::{Engines, Limits, WasiPolicy, bounds};
use super::secrets::Secrets;

/// The components that this host can run. Shared by all tasks.
pub struct Registry {
    engines: Engines,
    wasi: WasiPolicy,
    features: FeatureSet,
    secrets: Secrets,
    logs: PluginLogs,
    entries: RwLock<Vec<Arc<Entry>>>,
    origins: RwLock<Origins>,
}

/// Where components of registries come from.
#[derive(Default)]
struct Origins {
    /// Digests of components by the references from which they were fetched.
    digests: HashMap<String, String>,
    /// Names of the keys that have signed components, by their digests.
    signers: HashMap<String, String>,
}

/// A component, compiled on demand.
struct Entry {
    digest: String,
    /// The manifest entry of a component of the feature set.
    manifest: Option<ComponentInfo>,
    bytes: Bytes,
    compiled: Mutex<Option<Arc<Component>>>,
}

impl Registry {
    /// Reads the embedded feature set, or the feature set in `dir`. Migration steps that `dir` lacks are taken from
    /// the embedded feature set, because they belong to the metadata version that this host writes. Compiles nothing.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` for an incomplete feature set, `InternalError` if the WebAssembly engine fails.
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
            logs: PluginLogs::default(),
            entries: RwLock::new(entries),
            origins: RwLock::default(),
        })
    }

    /// Sets the directory of the secrets that plugin configurations refer to.
    #[must_use]
    pub fn with_secrets(mut self, directory: Option<PathBuf>) -> Self {
        self.secrets = Secrets::within(directory);
        self
    }

    /// Sets the lines that plugins may write to the log.
    #[must_use]
    pub fn with_logs(mut self, logs: PluginLogs) -> Self {
        self.logs = logs;
        self
    }

    pub(super) fn logs(&self) -> PluginLogs {
        self.logs
    }

    pub(super) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Refuses options that refer to a missing secret.
    ///
    /// # Errors
    ///
    /// `SecretNotFound`, with the path of the reference.
    pub fn check_secrets(&self, options: &StartOptions) -> std::result::Result<(), OperatorError> {
        for (position, plugin) in options.plugins.iter().enumerate() {
            let revealed = self.secrets.reveal(&plugin.config.0).map(drop);
            let path = format!("{}.config", Slot::Plugin(position));
            revealed.map_err(|error| error.within(&path))?;
        }
        Ok(())
    }

    /// The feature set of this host.
    pub fn feature_set(&self) -> &FeatureSet {
        &self.features
    }

    /// Checks, compiles and adds a component. Idempotent. Compiling takes seconds for a component with a language
    /// runtime. The bounds on code apply to new components only: a pinned component keeps running.
    ///
    /// # Errors
    ///
    /// `PluginNotSupported` for a component that this host cannot run.
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

    /// All components, those of the feature set first. Compiles on demand. Leaves out components that another host
    /// has stored and this host cannot run.
    ///
    /// # Errors
    ///
    /// `PluginNotSupported` or `InvalidConfig` if a component of the feature set does not load.
    pub fn list(&self) -> std::result::Result<Vec<InstalledComponent>, OperatorError> {
        let entries = self.entries();
        let shipped = entries.iter().filter(|entry| entry.manifest.is_some());
        let mut components = shipped
            .map(|entry| self.compiled(entry))
            .collect::<Result<Vec<_>>>()?;
        components.extend(self.added(&entries));
        let installed = components.iter().map(|component| component.installed());
        Ok(installed.map(|component| self.signed(component)).collect())
    }

    /// Finds a component by name or digest. A name prefers the feature set, then the newest version among uploads.
    ///
    /// # Errors
    ///
    /// `PluginNotFound`, with the closest name; `PluginNotSupported` if the component does not load.
    pub fn find(
        &self,
        name_or_digest: &str,
    ) -> std::result::Result<InstalledComponent, OperatorError> {
        Ok(self.signed(self.component(name_or_digest)?.installed()))
    }

    /// Adds the bytes of a stored component, which were checked before they were stored. Compiles nothing.
    ///
    /// # Errors
    ///
    /// `PluginNotSupported` for bytes with another digest.
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

    /// Removes an uploaded component. A sync that uses it keeps its instances.
    pub fn remove(&self, digest: &str) {
        let mut entries = self.entries.write();
        entries.retain(|entry| entry.digest != digest || entry.manifest.is_some());
    }

    /// The bytes of a component of the registry.
    pub fn bytes(&self, digest: &str) -> Option<Cow<'static, [u8]>> {
        let entries = self.entries();
        let entry = entries.iter().find(|entry| entry.digest == digest)?;
        Some(entry.bytes.clone())
    }

    /// Finds the component with this digest under the reference from which it was fetched, too, and keeps who has
    /// signed it there.
    pub fn set_origin(&self, reference: String, digest: &str, signer: Option<String>) {
        let mut origins = self.origins.write();
        origins.digests.insert(reference, digest.to_owned());
        match signer {
            Some(signer) => origins.signers.insert(digest.to_owned(), signer),
            None => origins.signers.remove(digest),
        };
    }

    /// Whether a component was fetched from this reference.
    pub fn has_fetched(&self, reference: &str) -> bool {
        let digest = self.origins.read().digests.get(reference).cloned();
        digest.is_some_and(|digest| self.has(&digest))
    }

    /// Whether the registry has the component.
    pub fn has(&self, digest: &str) -> bool {
        self.entries().iter().any(|entry| entry.digest == digest)
    }

    /// The pins of a sync that begins now: the options' names and digests, resolved.
    ///
    /// # Errors
    ///
    /// Those of [`Registry::find`].
    pub fn pins(&self, options: &StartOptions) -> std::result::Result<Pins, OperatorError> {
        let digest = |(slot, wanted)| Ok((slot, self.find(wanted)?.info.digest));
        Slot::all(options).into_iter().map(digest).collect()
    }

    /// The pinned component of a slot.
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
        let fetched = self.origins.read().digests.get(name_or_digest).cloned();
        let name_or_digest = fetched.as_deref().unwrap_or(name_or_digest);
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

    /// The uploaded components that this host can run.
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

    fn signed(&self, component: &InstalledComponent) -> InstalledComponent {
        InstalledComponent {
            signed_by: self
                .origins
                .read()
                .signers
                .get(&component.info.digest)
                .cloned(),
            ..component.clone()
        }
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
        hint: format!("{hint}this host has {names}; add others with `tidegate plugin add`"),
    }
}

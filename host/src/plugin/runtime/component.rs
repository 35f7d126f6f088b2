//! A component, compiled once, and its instances.

use std::sync::Arc;

use wasmtime::Store;
use wasmtime::component::InstancePre;

use crate::model::{ComponentInfo, Namespace, Route, namespace::is_internal_database};

use super::super::abi::Stamp;
use super::super::abi::v1_0_0::{ConfigError, Description, Exports, Indices, migrate, transform};
use super::super::error::{Call, Error, Result};
use super::super::installed_component::InstalledComponent;
use super::super::migration::{Direction, MigrationStep};
use super::super::sandbox::{Engine, Engines, Guest, Observer, Trap, WasiPolicy};
use super::schema::Schema;

/// Most bytes of a component. Python components have 18 MB.
const COMPONENT_BYTES: usize = 64 << 20;

/// A checked and compiled component.
pub(in super::super) struct Component {
    installed: InstalledComponent,
    schema: Schema,
    engine: Engine,
    blueprint: InstancePre<Guest>,
    indices: Indices,
}

impl Component {
    /// Compiles `bytes` and reads the description of the component. A component of the feature set has to match its
    /// manifest entry.
    pub(in super::super) fn load(
        engines: &Engines,
        wasi: WasiPolicy,
        digest: &str,
        bytes: &[u8],
        manifest: Option<&ComponentInfo>,
    ) -> Result<Self> {
        let refuse = |reason| Error::NotSupported {
            component: manifest.map_or(digest, |info| &info.name).to_owned(),
            reason,
        };
        let stamp = admit(bytes, wasi).map_err(refuse)?;
        let engine = engines.of(bytes, stamp.wasi);
        let (blueprint, indices) = compile(engine, &stamp, bytes).map_err(refuse)?;
        let description = describe(engine, &blueprint, &indices).map_err(refuse)?;
        let schema = Schema::new(&description.config_schema).map_err(refuse)?;
        let installed = InstalledComponent {
            info: info(digest, &stamp, &description, manifest)?,
            exports: stamp.interfaces.into_iter().collect(),
            scope: description.scope.into(),
            config_schema: description.config_schema,
            wasi: stamp.wasi,
            observes: stamp.observes,
            shipped: manifest.is_some(),
            signed_by: None,
            bytes: bytes.len(),
        };
        Ok(Self {
            installed,
            schema,
            engine: engine.clone(),
            blueprint,
            indices,
        })
    }

    pub(in super::super) fn info(&self) -> &ComponentInfo {
        &self.installed.info
    }

    /// The properties of the component.
    pub(in super::super) fn installed(&self) -> &InstalledComponent {
        &self.installed
    }

    pub(in super::super) fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Whether the component exports the interface.
    pub(in super::super) fn exports(&self, interface: &str) -> bool {
        self.installed.exports(interface)
    }

    /// A new instance, not configured.
    pub(in super::super) fn instantiate(&self) -> Result<Instance> {
        let mut store = self.engine.store();
        let exports = self
            .blueprint
            .instantiate(&mut store)
            .and_then(|instance| self.indices.load(&mut store, &instance));
        match exports {
            Ok(exports) => Ok(Instance { store, exports }),
            Err(error) => Err(self.trapped("instantiate", &error, &mut store)),
        }
    }

    /// Configures an instance. Has to be its first call.
    pub(in super::super) fn configure(&self, instance: &mut Instance, config: &str) -> Result<()> {
        let answer = self.call(instance, "configure", |exports, store| {
            exports.describe.call_configure(store, config)
        })?;
        answer.map_err(|error| {
            let name = error.name();
            let ConfigError { path, reason, .. } = error;
            Error::Refused { name, path, reason }
        })
    }

    /// Routes a namespace with a configured instance.
    pub(in super::super) fn route(
        &self,
        instance: &mut Instance,
        namespace: &Namespace,
    ) -> Result<Route> {
        let answer = self.call(instance, "route", |exports, store| {
            let route = exports.route.as_ref().ok_or_else(missing_export)?;
            route.call_route(store, &namespace.into())
        })?;
        let failed = |reason| Error::Failed {
            call: Call::new(self.info(), "route"),
            reason,
        };
        match answer.map_err(failed)?.into() {
            Route::Rename(to) if !is_usable(namespace, &to) => Err(failed(format!(
                "it renames {namespace} to {to}, which cannot be written to"
            ))),
            route => Ok(route),
        }
    }

    /// Transforms a batch of raw BSON with a configured instance. `observer` receives the log lines and counts of the
    /// call.
    pub(in super::super) fn transform(
        &self,
        instance: &mut Instance,
        namespace: &transform::Namespace,
        documents: &[u8],
        observer: Option<Arc<dyn Observer>>,
    ) -> Result<std::result::Result<transform::Outcome, transform::Error>> {
        instance.store.data_mut().set_observer(observer);
        let answer = self.call(instance, "transform", |exports, store| {
            let transform = exports.transform.as_ref().ok_or_else(missing_export)?;
            transform.call_transform(store, namespace, documents)
        });
        instance.store.data_mut().set_observer(None);
        answer
    }

    /// Reads the migration step of a configured instance.
    pub(in super::super) fn which_step(&self, instance: &mut Instance) -> Result<MigrationStep> {
        let step = self.call(instance, "which-step", |exports, store| {
            let migrate = exports.migrate.as_ref().ok_or_else(missing_export)?;
            migrate.call_which_step(store)
        })?;
        Ok(step.into())
    }

    /// Migrates a batch of metadata with a configured instance.
    pub(in super::super) fn migrate(
        &self,
        instance: &mut Instance,
        direction: Direction,
        session: &[u8],
        batch: &migrate::Documents,
    ) -> Result<std::result::Result<Vec<migrate::Documents>, migrate::Error>> {
        self.call(instance, "migrate", |exports, store| {
            let migrate = exports.migrate.as_ref().ok_or_else(missing_export)?;
            migrate.call_migrate(store, direction.into(), session, batch)
        })
    }

    fn call<T>(
        &self,
        instance: &mut Instance,
        export: &'static str,
        function: impl FnOnce(&Exports, &mut Store<Guest>) -> wasmtime::Result<T>,
    ) -> Result<T> {
        self.engine.begin_call(&mut instance.store);
        function(&instance.exports, &mut instance.store)
            .map_err(|error| self.trapped(export, &error, &mut instance.store))
    }

    fn trapped(
        &self,
        export: &'static str,
        error: &wasmtime::Error,
        store: &mut Store<Guest>,
    ) -> Error {
        Error::Trapped {
            call: Call::new(self.info(), export),
            trap: Box::new(Trap::read(error, store)),
        }
    }
}

/// Checks a component without compiling it. Errors here and below are clauses for the operator.
pub(in super::super) fn admit(
    bytes: &[u8],
    wasi: WasiPolicy,
) -> std::result::Result<Stamp, String> {
    if bytes.len() > COMPONENT_BYTES {
        return Err(format!(
            "it has {} bytes, and {COMPONENT_BYTES} are allowed",
            bytes.len()
        ));
    }
    let stamp = Stamp::read(bytes)?;
    if stamp.wasi && wasi == WasiPolicy::Refuse {
        return Err(
            "it imports WASI, which this host refuses (--plugin-wasi); build it without WASI"
                .to_owned(),
        );
    }
    Ok(stamp)
}

fn compile(
    engine: &Engine,
    stamp: &Stamp,
    bytes: &[u8],
) -> std::result::Result<(InstancePre<Guest>, Indices), String> {
    let component = wasmtime::component::Component::from_binary(engine.wasmtime(), bytes)
        .map_err(|error| format!("it does not compile: {error:#}"))?;
    let blueprint = engine.linker().instantiate_pre(&component).map_err(unfit)?;
    let indices = Indices::new(stamp, &blueprint).map_err(unfit)?;
    Ok((blueprint, indices))
}

fn describe(
    engine: &Engine,
    blueprint: &InstancePre<Guest>,
    indices: &Indices,
) -> std::result::Result<Description, String> {
    let mut store = engine.store();
    let exports = blueprint
        .instantiate(&mut store)
        .and_then(|instance| indices.load(&mut store, &instance));
    let exports = match exports {
        Err(error) if store.data().wanted_more() => {
            return Err(format!(
                "its memories begin with more than their common limit: {error:#}"
            ));
        }
        exports => exports.map_err(unfit)?,
    };
    let description = exports.describe.call_describe(&mut store);
    description.map_err(|error| format!("describe trapped: {}", Trap::read(&error, &mut store)))
}

fn unfit(error: wasmtime::Error) -> String {
    format!("it does not fit the contract: {error:#}")
}

/// The identity of a component by its own description, which has to match the manifest entry.
fn info(
    digest: &str,
    stamp: &Stamp,
    description: &Description,
    manifest: Option<&ComponentInfo>,
) -> Result<ComponentInfo> {
    let role = stamp
        .interfaces
        .iter()
        .find(|interface| *interface != "describe");
    let described = check(ComponentInfo {
        role: manifest.map_or_else(
            || role.cloned().unwrap_or_default(),
            |info| info.role.clone(),
        ),
        name: description.name.clone(),
        version: description.version.clone(),
        digest: digest.to_owned(),
        abi: stamp.version.to_string(),
        semantics: description.semantics,
    })?;
    match manifest {
        Some(manifest) if *manifest != described => Err(Error::FeatureSet(format!(
            "featureset.toml has {manifest:?}, and the component describes itself as {described:?}"
        ))),
        Some(manifest) if !stamp.interfaces.contains(&manifest.role) => {
            Err(Error::FeatureSet(format!(
                "{} does not export its role, {}",
                described.name, manifest.role
            )))
        }
        _ => Ok(described),
    }
}

/// Checks name, version and semantics: the name goes into errors, metrics and commands, and versions are compared.
fn check(info: ComponentInfo) -> Result<ComponentInfo> {
    let refuse = |reason| Error::NotSupported {
        component: info.digest.clone(),
        reason,
    };
    let is_word = |word: &str| {
        let mut letters = word.bytes();
        !word.is_empty() && letters.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    if info.name.len() > 64 || !info.name.split('-').all(is_word) {
        let name = info.name.chars().take(64).collect::<String>();
        return Err(refuse(format!(
            "its name {name:?} is not lower-case words joined by hyphens, of 64 characters at most"
        )));
    }
    if let Err(error) = semver::Version::parse(&info.version) {
        return Err(refuse(format!(
            "its version {:?} is not a semantic version: {error}",
            info.version
        )));
    }
    if info.semantics == 0 {
        return Err(refuse("its semantics is 0, and counts from 1".to_owned()));
    }
    Ok(info)
}

fn missing_export() -> wasmtime::Error {
    wasmtime::Error::msg("the component does not export it")
}

/// Whether a namespace can be written on the destination. Stored functions, a system collection, keep that name.
fn is_usable(from: &Namespace, to: &Namespace) -> bool {
    let is_named = !to.database.is_empty() && !to.collection.is_empty();
    let is_kept = from.collection == to.collection && !is_internal_database(&to.database);
    is_named && (is_kept || !to.is_internal())
}

/// An instance of a component, with a store of its own. Not usable after a trap.
pub(in super::super) struct Instance {
    store: Store<Guest>,
    exports: Exports,
}

impl Instance {
    /// Current size of its memories in bytes.
    pub(in super::super) fn memory_bytes(&self) -> usize {
        self.store.data().memory_bytes()
    }
}

//! One component: compiled once, and its instances.

use wasmtime::component::Linker;
use wasmtime::{Store, Trap};

use crate::model::{Namespace, Route};
use crate::observe::field;

use super::abi::Stamp;
use super::abi::v1_0_0::{ConfigError, Description, RoutePlugin, RoutePluginPre};
use super::engine::{Engine, Guest};
use super::error::{Call, Error, Result, TrapKind};
use super::featureset::ComponentInfo;

/// A route component, checked against its manifest entry and compiled.
pub(super) struct Component {
    info: ComponentInfo,
    engine: Engine,
    blueprint: RoutePluginPre<Guest>,
}

impl Component {
    /// Compiles `bytes` and asks the component what it is.
    pub(super) fn load(engine: &Engine, info: ComponentInfo, bytes: &[u8]) -> Result<Self> {
        let refuse = |reason| Error::NotSupported {
            component: info.name.clone(),
            reason,
        };
        let stamp = Stamp::read(bytes).map_err(refuse)?;
        for interface in ["describe", "route"] {
            if !stamp.interfaces.contains(interface) {
                return Err(refuse(format!("it does not export {interface}")));
            }
        }
        let component = wasmtime::component::Component::from_binary(engine.wasmtime(), bytes)
            .map_err(|error| refuse(format!("it does not compile: {error:#}")))?;
        let blueprint = Linker::new(engine.wasmtime())
            .instantiate_pre(&component)
            .and_then(RoutePluginPre::new)
            .map_err(|error| refuse(format!("it does not fit the contract: {error:#}")))?;
        let component = Self {
            info,
            engine: engine.clone(),
            blueprint,
        };
        component.check(&stamp)?;
        Ok(component)
    }

    pub(super) fn instantiate(&self) -> Result<Instance> {
        let mut store = self.engine.store();
        match self.blueprint.instantiate(&mut store) {
            Ok(plugin) => Ok(Instance { store, plugin }),
            Err(error) => Err(self.trapped("instantiate", &store, &error)),
        }
    }

    /// What the component says of itself is what the manifest says of it.
    fn check(&self, stamp: &Stamp) -> Result<()> {
        let said = self.describe()?;
        let manifest = (
            &self.info.name,
            &self.info.version,
            &self.info.abi,
            self.info.semantics,
        );
        let abi = stamp.version.to_string();
        let component = (&said.name, &said.version, &abi, said.semantics);
        if manifest == component {
            return Ok(());
        }
        Err(Error::FeatureSet(format!(
            "featureset.toml says (name, version, abi, semantics) {manifest:?}, and the component {component:?}"
        )))
    }

    fn describe(&self) -> Result<Description> {
        let mut instance = self.instantiate()?;
        self.call(&mut instance, "describe", |plugin, store| {
            plugin.tidegate_plugin_describe().call_describe(store)
        })
    }

    /// Sets an instance up; nothing else may be called before.
    pub(super) fn configure(&self, instance: &mut Instance, config: &str) -> Result<()> {
        let answer = self.call(instance, "configure", |plugin, store| {
            plugin
                .tidegate_plugin_describe()
                .call_configure(store, config)
        })?;
        answer.map_err(|error| {
            let name = error.name();
            let ConfigError { path, reason, .. } = error;
            Error::Refused { name, path, reason }
        })
    }

    /// Asks a configured instance about one namespace.
    pub(super) fn route(&self, instance: &mut Instance, namespace: &Namespace) -> Result<Route> {
        let answer = self.call(instance, "route", |plugin, store| {
            plugin
                .tidegate_plugin_route()
                .call_route(store, &namespace.into())
        })?;
        let failed = |reason| Error::Failed {
            call: Call::new(&self.info, "route"),
            reason,
        };
        match answer.map_err(failed)?.into() {
            Route::Rename(to) if !is_usable(&to) => Err(failed(format!(
                "it renames {namespace} to {to}, which cannot be written to"
            ))),
            route => Ok(route),
        }
    }

    fn call<T>(
        &self,
        instance: &mut Instance,
        export: &'static str,
        function: impl FnOnce(&RoutePlugin, &mut Store<Guest>) -> wasmtime::Result<T>,
    ) -> Result<T> {
        self.engine.begin_call(&mut instance.store);
        function(&instance.plugin, &mut instance.store)
            .map_err(|error| self.trapped(export, &instance.store, &error))
    }

    /// The report of a trap.
    fn trapped(
        &self,
        export: &'static str,
        store: &Store<Guest>,
        error: &wasmtime::Error,
    ) -> Error {
        let trap = kind_of(error, store.data());
        let backtrace = format!("{error:?}");
        tracing::warn!(
            { field::PLUGIN } = self.info.name,
            { field::PLUGIN_DIGEST } = self.info.digest,
            { field::ABI } = self.info.abi,
            { field::ERROR } = backtrace,
            export,
            "a plugin trapped; its instance is thrown away"
        );
        Error::Trapped {
            call: Call::new(&self.info, export),
            trap,
            backtrace,
        }
    }
}

/// A name that a namespace can have on the destination.
fn is_usable(namespace: &Namespace) -> bool {
    !namespace.database.is_empty() && !namespace.collection.is_empty() && !namespace.is_internal()
}

/// Rust guests end an allocation that fails with a panic, so the limiter is asked
/// before the trap.
fn kind_of(error: &wasmtime::Error, guest: &Guest) -> TrapKind {
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => TrapKind::Deadline,
        Some(Trap::StackOverflow) => TrapKind::Stack,
        _ if guest.wanted_more() => TrapKind::Memory,
        Some(Trap::UnreachableCodeReached) => TrapKind::Panic,
        _ => TrapKind::Other,
    }
}

/// A running component with a store of its own. After a trap it is of no use.
pub(super) struct Instance {
    store: Store<Guest>,
    plugin: RoutePlugin,
}

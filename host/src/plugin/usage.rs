//! Usages: the components of a sync with their configurations and namespaces. A swap replaces the component of a usage;
//! its configuration never changes.

use std::sync::Arc;

use parking_lot::RwLock;
use serde_json::{Value, json};

use crate::model::options::{NamespaceFilter, OnError};
use crate::model::{Namespace, Route, StartOptions};

use super::error::{Error, Result};
use super::pins::{Pins, Slot};
use super::registry::Registry;
use super::runtime::{Component, Pool};
use super::secrets::{RevealedConfig, Secrets};

/// A configured component in a slot. Shared by all tasks.
pub(super) struct Usage {
    pub(super) slot: Slot,
    pub(super) on_error: OnError,
    /// With references to secrets, not their values.
    config: Value,
    /// `None` except for plugins: other configurations have no references to secrets.
    secrets: Option<Secrets>,
    /// The path of the configuration in the options. `None` for lists of namespaces: the request has checked their
    /// types, and the component reports the rest with paths of its own.
    path: Option<String>,
    pool: RwLock<Arc<Pool>>,
}

impl Usage {
    /// A usage that has an option of its own.
    pub(super) fn of_option(
        registry: &Registry,
        pins: &Pins,
        slot: Slot,
        path: &str,
        config: Value,
    ) -> Result<Self> {
        let component = registry.pinned(pins, slot)?;
        Self::new(
            component,
            slot,
            Some(path.to_owned()),
            (config, None),
            OnError::Stop,
        )
    }

    /// Checks the configuration against the schema and configures the component. Errors have the path of the field
    /// in the options.
    fn new(
        component: Arc<Component>,
        slot: Slot,
        path: Option<String>,
        (config, secrets): (Value, Option<Secrets>),
        on_error: OnError,
    ) -> Result<Self> {
        let pool = configure(component, path.as_deref(), &config, secrets.as_ref())?;
        Ok(Self {
            slot,
            on_error,
            config,
            secrets,
            path,
            pool: RwLock::new(Arc::new(pool)),
        })
    }

    /// The instances of the current component. Calls in flight keep the component that they began with.
    pub(super) fn pool(&self) -> Arc<Pool> {
        Arc::clone(&self.pool.read())
    }

    /// Configures another component like the current component.
    pub(super) fn successor(&self, component: Arc<Component>) -> Result<Pool> {
        configure(
            component,
            self.path.as_deref(),
            &self.config,
            self.secrets.as_ref(),
        )
    }

    /// The same use of another component, whose faulty documents are no fault of the sync.
    pub(super) fn shadow(&self, component: Arc<Component>) -> Result<Self> {
        Ok(Self {
            slot: self.slot,
            on_error: OnError::Quarantine,
            config: self.config.clone(),
            secrets: self.secrets.clone(),
            path: self.path.clone(),
            pool: RwLock::new(Arc::new(self.successor(component)?)),
        })
    }

    /// Replaces the component: new calls go to `pool`.
    pub(super) fn switch(&self, pool: Arc<Pool>) {
        *self.pool.write() = pool;
    }

    /// The route of a namespace.
    pub(super) fn route(&self, namespace: &Namespace) -> Result<Route> {
        route(&self.pool(), namespace)
    }
}

fn configure(
    component: Arc<Component>,
    path: Option<&str>,
    config: &Value,
    secrets: Option<&Secrets>,
) -> Result<Pool> {
    let Some(path) = path else {
        return Pool::new(component, RevealedConfig::plain(config));
    };
    let configured = || {
        let (config, revealed) = match secrets {
            Some(secrets) => secrets.reveal(config)?,
            None => (config.clone(), RevealedConfig::plain(config)),
        };
        // The error names the field and quotes no value: a value may be a secret.
        component.schema().check(&config)?;
        Pool::new(component, revealed)
    };
    configured().map_err(|error| error.within(path))
}

pub(super) fn route(pool: &Pool, namespace: &Namespace) -> Result<Route> {
    pool.call(|component, instance| component.route(instance, namespace))
}

/// A usage for some source namespaces.
pub(super) struct GatedUsage {
    usage: Arc<Usage>,
    /// `None` admits all namespaces.
    gate: Option<NamespaceGate>,
}

impl GatedUsage {
    /// A usage for all namespaces.
    pub(super) fn ungated(usage: Usage) -> Self {
        Self {
            usage: Arc::new(usage),
            gate: None,
        }
    }

    pub(super) fn usage(&self) -> &Arc<Usage> {
        &self.usage
    }

    /// The usage of the namespace filter that gates this usage.
    pub(super) fn gate_usage(&self) -> Option<&Arc<Usage>> {
        self.gate.as_ref().map(|NamespaceGate(usage)| usage)
    }

    /// Both usages, the gate first.
    pub(super) fn usages(&self) -> impl Iterator<Item = &Arc<Usage>> {
        self.gate_usage().into_iter().chain([&self.usage])
    }

    /// Whether the component sees the source namespace.
    pub(super) fn admits(&self, source: &Namespace) -> Result<bool> {
        match &self.gate {
            Some(gate) => gate.admits(source),
            None => Ok(true),
        }
    }
}

/// Configures the plugins that export `interface`, in their order.
pub(super) fn plugin_usages(
    registry: &Registry,
    options: &StartOptions,
    pins: &Pins,
    interface: &str,
) -> Result<Vec<GatedUsage>> {
    let mut usages = Vec::new();
    for (position, options) in options.plugins.iter().enumerate() {
        let slot = Slot::Plugin(position);
        let component = registry.pinned(pins, slot)?;
        if !component.exports("route") && !component.exports("transform") {
            return Err(Error::NotSupported {
                component: component.info().name.clone(),
                reason: "it exports neither route nor transform, so plugins has no use for it"
                    .to_owned(),
            });
        }
        if component.exports(interface) {
            let path = format!("{slot}.config");
            let config = (options.config.0.clone(), Some(registry.secrets().clone()));
            let usage = Usage::new(component, slot, Some(path), config, options.on_error)?;
            usages.push(GatedUsage {
                usage: Arc::new(usage),
                gate: NamespaceGate::new(registry, pins, position, &options.namespaces)?,
            });
        }
    }
    Ok(usages)
}

/// Configures the namespace filter with include and exclude lists.
pub(super) fn filter(
    registry: &Registry,
    pins: &Pins,
    include: &[NamespaceFilter],
    exclude: &[NamespaceFilter],
) -> Result<Usage> {
    let slot = Slot::NamespaceFilter;
    let config = json!({ "includeNamespaces": include, "excludeNamespaces": exclude });
    Usage::new(
        registry.pinned(pins, slot)?,
        slot,
        None,
        (config, None),
        OnError::Stop,
    )
}

/// A usage of the namespace filter that selects the source namespaces of a plugin.
struct NamespaceGate(Arc<Usage>);

impl NamespaceGate {
    fn new(
        registry: &Registry,
        pins: &Pins,
        position: usize,
        namespaces: &[NamespaceFilter],
    ) -> Result<Option<Self>> {
        if namespaces.is_empty() {
            return Ok(None);
        }
        let filter = filter(registry, pins, namespaces, &[]).map_err(|mut error| {
            if let Error::Refused { path, .. } = &mut error {
                let within = path.trim_start_matches("includeNamespaces");
                *path = format!("plugins[{position}].namespaces{within}");
            }
            error
        })?;
        Ok(Some(Self(Arc::new(filter))))
    }

    fn admits(&self, source: &Namespace) -> Result<bool> {
        Ok(self.0.route(source)? != Route::Skip)
    }
}

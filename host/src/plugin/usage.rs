//! The uses that a sync makes of components: which one, with what configuration,
//! for which namespaces. The component of a use can be swapped; its configuration
//! never changes.

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

/// One use of a component. Shared by all tasks.
pub(super) struct Usage {
    pub(super) slot: Slot,
    pub(super) on_error: OnError,
    /// Refers to secrets, and does not hold them.
    config: Value,
    /// Of plugins alone: elsewhere nothing refers to a secret.
    secrets: Option<Secrets>,
    /// Where the configuration stands in the options. `None` for lists of namespaces: their types
    /// were checked with the request, and what is left, the component says best.
    path: Option<String>,
    pool: RwLock<Arc<Pool>>,
}

impl Usage {
    /// A use that an option of its own stands for.
    pub(super) fn short(
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

    /// Sets the component up, after a look at its schema. Errors have the field's
    /// path in the options.
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

    /// The component as it is now: calls in flight stay with the one they began with.
    pub(super) fn pool(&self) -> Arc<Pool> {
        Arc::clone(&self.pool.read())
    }

    /// Another component, configured as this one is.
    pub(super) fn successor(&self, component: Arc<Component>) -> Result<Pool> {
        configure(
            component,
            self.path.as_deref(),
            &self.config,
            self.secrets.as_ref(),
        )
    }

    /// From now on, `pool` is called.
    pub(super) fn switch(&self, pool: Arc<Pool>) {
        *self.pool.write() = pool;
    }

    /// What the component has to say of a namespace.
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
        // Of what does not fit the schema, no value is quoted.
        component.schema().check(&config)?;
        Pool::new(component, revealed)
    };
    configured().map_err(|error| error.within(path))
}

pub(super) fn route(pool: &Pool, namespace: &Namespace) -> Result<Route> {
    pool.call(|component, instance| component.route(instance, namespace))
}

/// A use of a component for some source namespaces.
pub(super) struct GatedUsage {
    usage: Arc<Usage>,
    /// `None` admits all namespaces.
    gate: Option<NamespaceGate>,
}

impl GatedUsage {
    /// A use for all namespaces.
    pub(super) fn ungated(usage: Usage) -> Self {
        Self {
            usage: Arc::new(usage),
            gate: None,
        }
    }

    pub(super) fn usage(&self) -> &Arc<Usage> {
        &self.usage
    }

    /// The use of the namespace filter that gates this one.
    pub(super) fn gate_usage(&self) -> Option<&Arc<Usage>> {
        self.gate.as_ref().map(|NamespaceGate(usage)| usage)
    }

    /// Both uses, the gate first.
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

/// The include and exclude filters of a sync, configured.
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

/// A use of the namespace filter that selects the source namespaces of a plugin.
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

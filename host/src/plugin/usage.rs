//! What the options of a sync say of its plugins: which component, with what
//! configuration, for which namespaces.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::model::options::{NamespaceFilter, OnError, PluginOptions};
use crate::model::{Namespace, Route, StartOptions};

use super::component::Component;
use super::error::{Error, Result};
use super::pool::Pool;
use super::registry::Registry;

/// The component that decides about every list of namespaces.
const NAMESPACE_FILTER: &str = "namespace-filter";

/// One use of a component.
pub(super) struct Usage {
    /// Where its configuration stands in the options.
    path: String,
    config: Value,
    pub(super) on_error: OnError,
}

impl Usage {
    /// A use that an option of its own stands for.
    pub(super) fn short(path: &str, config: Value) -> Self {
        Self {
            path: path.to_owned(),
            config,
            on_error: OnError::Stop,
        }
    }

    fn plugin(position: usize, options: &PluginOptions) -> Self {
        Self {
            path: format!("plugins[{position}].config"),
            config: options.config.0.clone(),
            on_error: options.on_error,
        }
    }

    /// Sets the component up, after a look at its schema. Errors have the field's
    /// path in the options.
    pub(super) fn configure(&self, component: Arc<Component>) -> Result<Pool> {
        component
            .schema()
            .check(&self.config)
            .and_then(|()| Pool::new(component, self.config.to_string()))
            .map_err(|error| error.within(&self.path))
    }
}

/// One of `plugins`.
pub(super) struct Plugin {
    pub(super) usage: Usage,
    pub(super) component: Arc<Component>,
    /// Which source namespaces it sees; all, if there is no filter.
    pub(super) sees: Option<Seen>,
}

/// Those of `plugins` that export `interface`, in their order.
pub(super) fn plugins(
    registry: &Registry,
    options: &StartOptions,
    interface: &str,
) -> Result<Vec<Plugin>> {
    let mut plugins = Vec::new();
    for (position, options) in options.plugins.iter().enumerate() {
        let component = registry.component(&options.component)?;
        if !component.exports("route") && !component.exports("transform") {
            return Err(Error::NotSupported {
                component: component.info().name.clone(),
                reason: "it exports neither route nor transform, so plugins has no use for it"
                    .to_owned(),
            });
        }
        if component.exports(interface) {
            plugins.push(Plugin {
                usage: Usage::plugin(position, options),
                component,
                sees: Seen::new(registry, position, &options.namespaces)?,
            });
        }
    }
    Ok(plugins)
}

/// The include and exclude filters of a sync, configured.
pub(super) fn filter(
    registry: &Registry,
    include: &[NamespaceFilter],
    exclude: &[NamespaceFilter],
) -> Result<Pool> {
    // Their types were checked with the request; what is left, the component says best.
    let config = json!({ "includeNamespaces": include, "excludeNamespaces": exclude });
    Pool::new(registry.component(NAMESPACE_FILTER)?, config.to_string())
}

/// The source namespaces that a plugin sees.
pub(super) struct Seen(Pool);

impl Seen {
    fn new(
        registry: &Registry,
        position: usize,
        namespaces: &[NamespaceFilter],
    ) -> Result<Option<Self>> {
        if namespaces.is_empty() {
            return Ok(None);
        }
        let filter = filter(registry, namespaces, &[]).map_err(|mut error| {
            if let Error::Refused { path, .. } = &mut error {
                let within = path.trim_start_matches("includeNamespaces");
                *path = format!("plugins[{position}].namespaces{within}");
            }
            error
        })?;
        Ok(Some(Self(filter)))
    }

    pub(super) fn sees(&self, source: &Namespace) -> Result<bool> {
        let route = self
            .0
            .call(|component, instance| component.route(instance, source))?;
        Ok(route != Route::Skip)
    }
}

/// True if a plugin sees the namespace.
pub(super) fn is_seen(seen: Option<&Seen>, source: &Namespace) -> Result<bool> {
    seen.map_or(Ok(true), |seen| seen.sees(source))
}

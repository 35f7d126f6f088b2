//! The router: all namespace decisions of a sync, made by its route components in order.

use std::sync::Arc;

use serde_json::json;

use crate::model::{Namespace, OperatorError, Route, StartOptions};

use super::error::{Error, Result};
use super::pins::{Pins, Slot};
use super::registry::Registry;
use super::runtime::Pool;
use super::usage::{GatedUsage, Usage, filter, plugin_usages, route};

/// The configured route components of a sync. Shared by all tasks; each call has an instance of its own.
pub struct Router {
    usages: Vec<GatedUsage>,
}

impl Router {
    /// Configures the filter, the remap, and then the plugins that route, in their order.
    ///
    /// # Errors
    ///
    /// A refused configuration, with its path in the options.
    pub fn new(
        registry: &Registry,
        options: &StartOptions,
        pins: &Pins,
    ) -> std::result::Result<Self, OperatorError> {
        Self::configure(registry, options, pins).map_err(Error::reported)
    }

    fn configure(registry: &Registry, options: &StartOptions, pins: &Pins) -> Result<Self> {
        let (include, exclude) = (&options.include_namespaces, &options.exclude_namespaces);
        let filter = filter(registry, pins, include, exclude)?;
        let mut usages = vec![GatedUsage::ungated(filter)];
        if let Some(remap) = &options.namespace_remap {
            let config = json!({ "namespaceRemap": remap.0 });
            let remap = Usage::of_option(registry, pins, Slot::NamespaceRemap, "", config)?;
            usages.push(GatedUsage::ungated(remap));
        }
        usages.extend(plugin_usages(registry, options, pins, "route")?);
        Ok(Self { usages })
    }

    /// The destination of `namespace`. Blocks for microseconds, and at most for the deadline of each call. Callers cache
    /// the answer: only a swap changes it.
    ///
    /// # Errors
    ///
    /// `PluginFailed` or `PluginTrapped`.
    pub fn route(&self, namespace: &Namespace) -> std::result::Result<Route, OperatorError> {
        self.ask(namespace).map_err(Error::reported)
    }

    /// Each component is given the name that the previous component returned.
    fn ask(&self, source: &Namespace) -> Result<Route> {
        let mut renamed = None;
        for usage in &self.usages {
            if !usage.admits(source)? {
                continue;
            }
            let name = renamed.as_ref().unwrap_or(source);
            match usage.usage().route(name)? {
                Route::Skip => return Ok(Route::Skip),
                Route::Keep => {}
                Route::Rename(to) => renamed = Some(to),
            }
        }
        Ok(match renamed {
            Some(name) if name != *source => Route::Rename(name),
            _ => Route::Keep,
        })
    }

    pub(super) fn usages(&self) -> impl Iterator<Item = &Arc<Usage>> {
        self.usages.iter().flat_map(GatedUsage::usages)
    }

    /// Tries a new pool of `usage`, if the usage belongs to the router.
    pub(super) fn try_out(&self, usage: &Arc<Usage>, pool: &Pool) -> Result<()> {
        if self.usages().any(|own| Arc::ptr_eq(own, usage)) {
            route(pool, &Namespace::new("tidegate", "self-check"))?;
        }
        Ok(())
    }

    /// Tries the components in these slots, before a sync relies on them.
    pub(super) fn self_check(&self, slots: &[Slot]) -> Result<()> {
        for usage in self.usages().filter(|usage| slots.contains(&usage.slot)) {
            self.try_out(usage, &usage.pool())?;
        }
        Ok(())
    }
}

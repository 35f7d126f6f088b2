//! Every namespace decision of a sync: the route components, one behind the other,
//! configured with what the sync was started with.

use serde_json::json;

use crate::model::{Namespace, OperatorError, Route, StartOptions};

use super::error::{Error, Result};
use super::pool::Pool;
use super::registry::Registry;
use super::usage::{Seen, Usage, filter, is_seen, plugins};

/// The component that reads `namespaceRemap`.
const NAMESPACE_REMAP: &str = "namespace-remap";

/// The route components of one sync. Shared by all tasks; each call has an
/// instance to itself.
pub struct Router {
    steps: Vec<Step>,
}

/// One route component, and the source namespaces it sees.
struct Step {
    pool: Pool,
    sees: Option<Seen>,
}

impl Router {
    /// The filter first, then the remap, then the plugins in their order.
    pub(super) fn new(registry: &Registry, options: &StartOptions) -> Result<Self> {
        let mut steps = vec![Step {
            pool: filter(
                registry,
                &options.include_namespaces,
                &options.exclude_namespaces,
            )?,
            sees: None,
        }];
        if let Some(remap) = &options.namespace_remap {
            let usage = Usage::short("", json!({ "namespaceRemap": remap.0 }));
            let component = registry.component(NAMESPACE_REMAP)?;
            steps.push(Step {
                pool: usage.configure(component)?,
                sees: None,
            });
        }
        for plugin in plugins(registry, options, "route")? {
            steps.push(Step {
                pool: plugin.usage.configure(plugin.component)?,
                sees: plugin.sees,
            });
        }
        Ok(Self { steps })
    }

    /// Where documents of `namespace` go. Synchronous: microseconds. The answer for
    /// a namespace never changes, so remember it rather than ask again.
    pub fn route(&self, namespace: &Namespace) -> std::result::Result<Route, OperatorError> {
        self.ask(namespace).map_err(Error::reported)
    }

    /// Each component is asked with the name that the one before has given.
    fn ask(&self, source: &Namespace) -> Result<Route> {
        let mut renamed = None;
        for step in &self.steps {
            if !is_seen(step.sees.as_ref(), source)? {
                continue;
            }
            let name = renamed.as_ref().unwrap_or(source);
            match step
                .pool
                .call(|component, instance| component.route(instance, name))?
            {
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
}

//! Every namespace decision of a sync: the route component, configured with the
//! filters that the sync was started with.

use std::sync::Arc;

use serde_json::json;

use crate::model::{Namespace, OperatorError, Route, StartOptions};

use super::component::Component;
use super::error::Result;
use super::pool::Pool;

/// The route component of one sync. Shared by all tasks; each call has an
/// instance to itself.
pub struct Router {
    pool: Pool,
}

impl Router {
    pub(super) fn new(component: Arc<Component>, options: &StartOptions) -> Result<Self> {
        let config = json!({
            "includeNamespaces": options.include_namespaces,
            "excludeNamespaces": options.exclude_namespaces,
        });
        Ok(Self {
            pool: Pool::new(component, config.to_string())?,
        })
    }

    /// Where documents of `namespace` go. Synchronous: microseconds. The answer for
    /// a namespace never changes, so remember it rather than ask again.
    pub fn route(&self, namespace: &Namespace) -> std::result::Result<Route, OperatorError> {
        Ok(self.pool.route(namespace)?)
    }
}

//! A pool of instances of a configured component. It grows to the most instances in use at once.
//!
//! Invariant: an instance is either with one caller or in the pool. An instance whose call trapped is discarded, and
//! the next call gets a new instance.

use std::sync::Arc;

use parking_lot::Mutex;

use super::super::error::{Error, Result};
use super::super::secrets::RevealedConfig;
use super::component::{Component, Instance};

/// Instances of a component with one configuration. Shared by all tasks.
pub(in super::super) struct Pool {
    component: Arc<Component>,
    config: Arc<RevealedConfig>,
    warm: Mutex<Vec<Instance>>,
}

impl Pool {
    /// Configures the first instance, so that an invalid configuration is refused here.
    pub(in super::super) fn new(component: Arc<Component>, config: RevealedConfig) -> Result<Self> {
        let pool = Self {
            component,
            config: Arc::new(config),
            warm: Mutex::new(Vec::new()),
        };
        let instance = pool.fresh()?;
        pool.put_back(instance);
        Ok(pool)
    }

    pub(in super::super) fn component(&self) -> &Arc<Component> {
        &self.component
    }

    pub(in super::super) fn config(&self) -> &Arc<RevealedConfig> {
        &self.config
    }

    /// Calls a pooled instance, or a new instance if all are in use.
    pub(in super::super) fn call<T>(
        &self,
        function: impl FnOnce(&Component, &mut Instance) -> Result<T>,
    ) -> Result<T> {
        let mut instance = match self.take() {
            Some(instance) => instance,
            None => self.fresh()?,
        };
        let answer = function(&self.component, &mut instance).map_err(|error| self.masked(error));
        if !matches!(answer, Err(Error::Trapped { .. })) {
            self.put_back(instance);
        }
        answer
    }

    /// Calls a new instance, and discards it.
    pub(in super::super) fn call_fresh<T>(
        &self,
        function: impl FnOnce(&Component, &mut Instance) -> Result<T>,
    ) -> Result<T> {
        function(&self.component, &mut self.fresh()?).map_err(|error| self.masked(error))
    }

    /// The error with the secrets of the configuration masked.
    pub(in super::super) fn masked(&self, error: Error) -> Error {
        self.config.masked(error)
    }

    /// Memory in bytes of the largest pooled instance.
    pub(in super::super) fn memory_bytes(&self) -> usize {
        let warm = self.warm.lock();
        warm.iter()
            .map(Instance::memory_bytes)
            .max()
            .unwrap_or_default()
    }

    fn fresh(&self) -> Result<Instance> {
        let mut instance = self.component.instantiate()?;
        self.component
            .configure(&mut instance, self.config.config())
            .map_err(|error| self.masked(error))?;
        Ok(instance)
    }

    fn take(&self) -> Option<Instance> {
        self.warm.lock().pop()
    }

    fn put_back(&self, instance: Instance) {
        self.warm.lock().push(instance);
    }
}

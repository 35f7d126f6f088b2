//! Warm instances of one configured component, as many as were ever needed at once.
//!
//! An instance is with one caller or in the pool; one whose call trapped is in
//! neither, and the next call gets a fresh one.

use std::sync::Arc;

use parking_lot::Mutex;

use super::super::error::{Error, Result};
use super::super::secrets::RevealedConfig;
use super::component::{Component, Instance};

pub(in super::super) struct Pool {
    component: Arc<Component>,
    config: RevealedConfig,
    warm: Mutex<Vec<Instance>>,
}

impl Pool {
    /// Configures the first instance, so that a bad configuration is refused here.
    pub(in super::super) fn new(component: Arc<Component>, config: RevealedConfig) -> Result<Self> {
        let pool = Self {
            component,
            config,
            warm: Mutex::new(Vec::new()),
        };
        let instance = pool.fresh()?;
        pool.put_back(instance);
        Ok(pool)
    }

    pub(in super::super) fn component(&self) -> &Component {
        &self.component
    }

    /// Calls a warm instance, or a fresh one if all are busy.
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

    /// Calls an instance that has never been called, and never is again.
    pub(in super::super) fn call_fresh<T>(
        &self,
        function: impl FnOnce(&Component, &mut Instance) -> Result<T>,
    ) -> Result<T> {
        function(&self.component, &mut self.fresh()?).map_err(|error| self.masked(error))
    }

    /// An error without the secrets that the component was configured with.
    pub(in super::super) fn masked(&self, error: Error) -> Error {
        self.config.masked(error)
    }

    /// The memory of the largest warm instance.
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

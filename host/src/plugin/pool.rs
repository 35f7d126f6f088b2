//! Warm instances of one configured component, as many as were ever needed at once.
//!
//! An instance is with one caller or in the pool; one whose call trapped is in
//! neither, and the next call gets a fresh one.

use std::sync::{Arc, Mutex, PoisonError};

use crate::model::{Namespace, Route};

use super::component::{Component, Instance};
use super::error::{Error, Result};

pub(super) struct Pool {
    component: Arc<Component>,
    config: String,
    warm: Mutex<Vec<Instance>>,
}

impl Pool {
    /// Configures the first instance, so that a bad configuration is refused here.
    pub(super) fn new(component: Arc<Component>, config: String) -> Result<Self> {
        let pool = Self {
            component,
            config,
            warm: Mutex::new(Vec::new()),
        };
        let instance = pool.fresh()?;
        pool.put_back(instance);
        Ok(pool)
    }

    pub(super) fn route(&self, namespace: &Namespace) -> Result<Route> {
        let mut instance = match self.take() {
            Some(instance) => instance,
            None => self.fresh()?,
        };
        let answer = self.component.route(&mut instance, namespace);
        if !matches!(answer, Err(Error::Trapped { .. })) {
            self.put_back(instance);
        }
        answer
    }

    fn fresh(&self) -> Result<Instance> {
        let mut instance = self.component.instantiate()?;
        self.component.configure(&mut instance, &self.config)?;
        Ok(instance)
    }

    fn take(&self) -> Option<Instance> {
        self.warm
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop()
    }

    fn put_back(&self, instance: Instance) {
        self.warm
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(instance);
    }
}

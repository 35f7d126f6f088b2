//! The namespaces that a sync works on, and their names on the destination: the answers of the
//! route components, asked once for each namespace.

use std::{collections::HashMap, sync::Arc};

use parking_lot::RwLock;

use crate::{
    model::{Namespace, OperatorError, Route, namespace::FUNCTIONS},
    plugin::Router,
};

/// Cached answers before the cache is cleared. Bounds the memory for a source that keeps creating
/// collections.
const MAX_ANSWERS: usize = 100_000;

/// The namespace decisions of a running sync.
pub(crate) struct Scope {
    router: Arc<Router>,
    /// Whether time-series collections are taken: see `SessionDocument::has_time_series`.
    pub(crate) has_time_series: bool,
    answers: RwLock<HashMap<Namespace, Option<Namespace>>>,
}

impl Scope {
    /// The decisions of `router`.
    pub(crate) fn new(router: Arc<Router>, has_time_series: bool) -> Self {
        Self {
            router,
            has_time_series,
            answers: RwLock::default(),
        }
    }

    /// Clears the cache after components of the router have been swapped.
    pub(crate) fn forget(&self) {
        self.answers.write().clear();
    }

    /// The database on the destination of this database's stored functions; `None` if they are not synced. The filters are
    /// asked about `system.js`, so functions go with a database, and with no list of its collections.
    pub(crate) fn functions_of(&self, database: &str) -> Result<Option<String>, OperatorError> {
        let functions = Namespace::new(database, FUNCTIONS);
        let route = tokio::task::block_in_place(|| self.router.route(&functions))?;
        Ok(match route {
            Route::Skip => None,
            Route::Keep => Some(functions.database),
            Route::Rename(renamed) => Some(renamed.database),
        })
    }

    /// The name of `source` on the destination; `None` if it is not synced. Buckets go with their time-series
    /// collection.
    pub(crate) fn destination(
        &self,
        source: &Namespace,
    ) -> Result<Option<Namespace>, OperatorError> {
        if self.has_time_series
            && let Some(series) = source.time_series()
        {
            let destination = self.destination(&series)?;
            return Ok(destination.map(|destination| destination.buckets()));
        }
        if source.is_internal() {
            return Ok(None);
        }
        if let Some(answer) = self.answers.read().get(source) {
            return Ok(answer.clone());
        }
        let answer = match tokio::task::block_in_place(|| self.router.route(source))? {
            Route::Skip => None,
            Route::Keep => Some(source.clone()),
            Route::Rename(destination) => Some(destination),
        };
        let mut answers = self.answers.write();
        if answers.len() >= MAX_ANSWERS {
            answers.clear();
        }
        answers.insert(source.clone(), answer.clone());
        Ok(answer)
    }
}

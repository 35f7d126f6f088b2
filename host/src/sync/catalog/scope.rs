//! Which namespaces a sync works on, and under what name: the route component's
//! answer, asked once a namespace.

use std::{collections::HashMap, sync::Arc};

use parking_lot::RwLock;

use crate::{
    model::{Namespace, OperatorError, Route},
    plugin::Router,
};

/// Answers kept before they are forgotten and asked again: bounds the memory
/// that a source with ever new collection names can take.
const MAX_ANSWERS: usize = 100_000;

/// Every namespace decision of a running sync.
pub(crate) struct Scope {
    router: Arc<Router>,
    answers: RwLock<HashMap<Namespace, Option<Namespace>>>,
}

impl Scope {
    pub(crate) fn new(router: Arc<Router>) -> Self {
        Self {
            router,
            answers: RwLock::default(),
        }
    }

    /// Forgets all answers: the router's components have been swapped.
    pub(crate) fn forget(&self) {
        self.answers.write().clear();
    }

    /// The name that `source` has on the destination; `None` if it is not synced.
    pub(crate) fn destination(
        &self,
        source: &Namespace,
    ) -> Result<Option<Namespace>, OperatorError> {
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

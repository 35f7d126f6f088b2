//! The state that all parts of a sync's work share.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{
    Error, Record, budget::Budget, catalog::scope::Scope, quarantine::Quarantine, status::Status,
};
use crate::{
    metadata,
    model::StartOptions,
    mongo::{Client, Destination},
    plugin::Chain,
};

/// The name of the source in error messages.
pub(super) const SOURCE: &str = "the source";

/// The number of parallel tasks, from mongosync's `loadLevel`.
#[derive(Clone, Copy, Debug)]
pub struct Workers(usize);

impl Workers {
    /// The number for a `load_level` of 1 to 4; 3 is the default. Four writers saturate two cores
    /// of a destination (docs/performance.md).
    pub fn of_load_level(load_level: u8) -> Self {
        Self(match load_level {
            0 | 1 => 1,
            2 => 2,
            3 => 4,
            _ => 8,
        })
    }

    /// The number of tasks, at least 1.
    pub fn count(self) -> usize {
        self.0
    }
}

/// The clusters, the metadata and the shared state of a sync's work.
pub(crate) struct Context {
    pub(crate) source: Client,
    pub(crate) destination: Destination,
    pub(crate) store: metadata::Store,
    pub(crate) scope: Scope,
    pub(crate) chain: Arc<Chain>,
    pub(crate) quarantine: Quarantine,
    pub(crate) options: StartOptions,
    pub(crate) record: Arc<Record>,
    pub(crate) workers: Workers,
    pub(crate) budget: Budget,
    pub(crate) status: Arc<Status>,
    /// Asks all work to stop at the next safe place.
    pub(crate) cancel: CancellationToken,
}

impl Context {
    /// Ends work that was asked to stop.
    ///
    /// # Errors
    /// `Cancelled`.
    pub(crate) fn check_cancelled(&self) -> Result<(), Error> {
        if self.cancel.is_cancelled() {
            Err(Error::Cancelled)
        } else {
            Ok(())
        }
    }
}

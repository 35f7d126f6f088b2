//! Whether this host could run the sync that it stands by for.
//!
//! A standby tries out beforehand what the sync is pinned to, and again every few seconds. One
//! that could not run it leaves the lease alone: another host may be healthy. One whose takeover
//! has failed gives the lease back and waits, longer each time, before it tries again.

use std::{sync::Arc, time::Duration};

use parking_lot::{Mutex, MutexGuard};

use super::persisted::Found;
use crate::{
    metadata::METADATA_VERSION,
    model::{ErrorKind, OperatorError},
    mongo::Moment,
    plugin::Registry,
    session::components::pins::{self, blocking, configure},
};

/// The time between two checks.
const CHECK_EVERY: Duration = Duration::from_secs(5);

/// The wait after a first failed takeover, and the longest.
const FIRST_WAIT: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

#[derive(Default)]
pub(crate) struct Fitness(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// Why the last check failed.
    unfit: Option<OperatorError>,
    /// Why the last takeover failed.
    failed: Option<Failed>,
    checked: Option<Moment>,
    checking: bool,
}

struct Failed {
    error: OperatorError,
    times: u32,
    again: Moment,
}

impl Fitness {
    /// Why this host does not take the sync over though nobody works on it; `None` if it does.
    pub(crate) fn hindrance(&self) -> Option<OperatorError> {
        let known = self.known();
        let waiting = known.failed.as_ref();
        let failed = waiting.filter(|failed| failed.again.left().is_some());
        known
            .unfit
            .clone()
            .or_else(|| failed.map(|failed| failed.error.clone()))
    }

    /// Why this host could not run the sync, as far as it has tried.
    pub(crate) fn unfit(&self) -> Option<OperatorError> {
        self.known().unfit.clone()
    }

    /// What an operator is to know although this host may yet try: why the last takeover failed.
    pub(crate) fn reason(&self) -> Option<OperatorError> {
        let known = self.known();
        let failed = known.failed.as_ref().map(|failed| failed.error.clone());
        known.unfit.clone().or(failed)
    }

    /// A takeover has failed. A failure that repeats is logged once.
    pub(crate) fn failed(&self, error: OperatorError) {
        let mut known = self.known();
        let before = known.failed.as_ref();
        let times = before.map_or(0, |failed| failed.times) + 1;
        if before.map(|failed| failed.error.name) != Some(error.name) {
            tracing::warn!(error = %error, error_code = error.name.as_str(), "the sync cannot be taken over yet");
        }
        known.failed = Some(Failed {
            error,
            times,
            again: Moment::now() + wait(times),
        });
    }

    /// The sync was taken over, or another host works on it.
    pub(crate) fn forget_failures(&self) {
        self.known().failed = None;
    }

    /// Begins with nothing known: an operator has asked for a try.
    pub(crate) fn forget(&self) {
        let mut known = self.known();
        known.unfit = None;
        known.failed = None;
        known.checked = None;
    }

    /// Whether a check is due; the caller makes it.
    pub(crate) fn begin_check(&self) -> bool {
        let mut known = self.known();
        let is_due = known.checked.is_none_or(|at| at.elapsed() >= CHECK_EVERY);
        let begins = is_due && !known.checking;
        known.checking |= begins;
        begins
    }

    /// A check has ended. What a cluster does not answer says nothing of this host.
    pub(crate) fn end_check(&self, outcome: Result<(), OperatorError>) {
        let mut known = self.known();
        known.checking = false;
        known.checked = Some(Moment::now());
        match outcome {
            Ok(()) => known.unfit = None,
            Err(error) if error.kind() == ErrorKind::Transient => {}
            Err(error) => {
                if known.unfit.as_ref().map(|unfit| unfit.name) != Some(error.name) {
                    tracing::warn!(error = %error, error_code = error.name.as_str(), "this host could not run the sync");
                }
                known.unfit = Some(error);
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock()
    }
}

/// The wait after so many failed takeovers in a row.
fn wait(times: u32) -> Duration {
    let doublings = times.saturating_sub(1).min(8);
    (FIRST_WAIT * 2_u32.pow(doublings)).min(LONGEST_WAIT)
}

/// Checks in the background, if a check is due.
pub(crate) fn check_if_due(fitness: &Arc<Fitness>, registry: &Arc<Registry>, found: &Found) {
    if !fitness.begin_check() {
        return;
    }
    let (fitness, registry, found) = (fitness.clone(), registry.clone(), found.clone());
    tokio::spawn(async move {
        let outcome = check(&registry, &found).await;
        fitness.end_check(outcome);
    });
}

/// Compiles what is installed, and loads, compiles and configures what the sync is pinned to.
pub(crate) async fn check(registry: &Arc<Registry>, found: &Found) -> Result<(), OperatorError> {
    let installed = registry.clone();
    // What cannot be compiled is told where it is needed.
    let compile = move || {
        drop(installed.list());
        Ok(())
    };
    blocking(compile).await?;
    if found.heading.metadata_version != METADATA_VERSION {
        // The session of an older version has another shape: a takeover tells then.
        return Ok(());
    }
    let Some(document) = found.reader.session().await? else {
        return Ok(());
    };
    pins::load(registry, &found.reader).await?;
    let registry = registry.clone();
    blocking(move || {
        let pinned = pins::complete(&registry, &document.options, &document.pinned)?;
        configure(&registry, &document.options, &pinned).map(drop)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ErrorName;

    fn error(name: ErrorName) -> OperatorError {
        OperatorError::new(name, "why")
    }

    #[test]
    fn a_host_that_is_unfit_waits_until_a_check_passes() {
        let fitness = Fitness::default();
        assert!(fitness.hindrance().is_none() && fitness.begin_check() && !fitness.begin_check());
        fitness.end_check(Err(error(ErrorName::PluginNotSupported)));
        assert_eq!(
            fitness.hindrance().map(|error| error.name),
            Some(ErrorName::PluginNotSupported)
        );
        // A silent cluster says nothing of this host.
        fitness.end_check(Err(error(ErrorName::ConnectionFailed)));
        assert!(fitness.hindrance().is_some());
        fitness.end_check(Ok(()));
        assert!(fitness.hindrance().is_none() && !fitness.begin_check());
    }

    #[test]
    fn takeovers_that_fail_are_tried_again_ever_less_often() {
        let waits: Vec<_> = (1..8).map(|times| wait(times).as_secs()).collect();
        assert_eq!(waits, [2, 4, 8, 16, 30, 30, 30]);
        let fitness = Fitness::default();
        fitness.failed(error(ErrorName::MigrationFailed));
        assert!(fitness.hindrance().is_some() && fitness.reason().is_some());
        fitness.forget_failures();
        assert!(fitness.hindrance().is_none() && fitness.reason().is_none());
    }
}

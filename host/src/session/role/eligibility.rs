//! The eligibility of a standby: whether this host could run the sync.
//!
//! A standby checks in advance whether it can run the pinned components, and repeats the check every few
//! seconds. A standby that fails the check leaves the lease to other hosts. A host whose takeover has failed
//! releases the lease and waits before the next attempt, longer after each failure.

use std::{sync::Arc, time::Duration};

use parking_lot::{Mutex, MutexGuard};

use super::persisted_sync::PersistedSync;
use crate::{
    metadata::METADATA_VERSION,
    model::{ErrorKind, OperatorError},
    mongo::Moment,
    plugin::Registry,
    session::components::pins::{self, blocking, configure},
};

/// Interval between two checks.
const CHECK_EVERY: Duration = Duration::from_secs(5);

/// The wait after the first failed takeover, and the longest wait.
const FIRST_WAIT: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The last check and the last failed takeover of this host.
#[derive(Default)]
pub(crate) struct Eligibility(Mutex<EligibilityState>);

/// The record of an [`Eligibility`].
#[derive(Default)]
struct EligibilityState {
    /// Error of the last check.
    check_error: Option<OperatorError>,
    /// The last failed takeover.
    failure: Option<TakeoverFailure>,
    checked_at: Option<Moment>,
    checking: bool,
}

/// A failed takeover, with the number of failures in a row.
struct TakeoverFailure {
    error: OperatorError,
    times: u32,
    retry_at: Moment,
}

impl Eligibility {
    /// The reason why this host does not take over a free sync. `None` if it does.
    pub(crate) fn obstacle(&self) -> Option<OperatorError> {
        let state = self.state();
        let waiting = state.failure.as_ref();
        let failure = waiting.filter(|failure| failure.retry_at.remaining().is_some());
        state
            .check_error
            .clone()
            .or_else(|| failure.map(|failure| failure.error.clone()))
    }

    /// The error for which this host could not run the sync, as of the last check.
    pub(crate) fn check_error(&self) -> Option<OperatorError> {
        self.state().check_error.clone()
    }

    /// The last error, for operators: of the check, or of the last takeover, even when the next attempt is due.
    pub(crate) fn reason(&self) -> Option<OperatorError> {
        let state = self.state();
        let failure = state.failure.as_ref().map(|failure| failure.error.clone());
        state.check_error.clone().or(failure)
    }

    /// Records a failed takeover. A repeated failure is logged once.
    pub(crate) fn takeover_failed(&self, error: OperatorError) {
        let mut state = self.state();
        let before = state.failure.as_ref();
        let times = before.map_or(0, |failure| failure.times) + 1;
        if before.map(|failure| failure.error.name) != Some(error.name) {
            tracing::warn!(error = %error, error_code = error.name.as_str(), "the sync cannot be taken over yet");
        }
        state.failure = Some(TakeoverFailure {
            error,
            times,
            retry_at: Moment::now() + wait(times),
        });
    }

    /// Removes the failure: the sync was taken over.
    pub(crate) fn clear_failure(&self) {
        self.state().failure = None;
    }

    /// Removes all records: an operator has requested an attempt, or has uploaded a component.
    pub(crate) fn reset(&self) {
        let mut state = self.state();
        state.check_error = None;
        state.failure = None;
        state.checked_at = None;
    }

    /// Whether a check is due. If so, the caller runs it and calls [`Self::end_check`].
    pub(crate) fn begin_check(&self) -> bool {
        let mut state = self.state();
        let is_due = state
            .checked_at
            .is_none_or(|at| at.elapsed() >= CHECK_EVERY);
        let begins = is_due && !state.checking;
        state.checking |= begins;
        begins
    }

    /// Records the result of a check. A transient error is not evidence against this host.
    pub(crate) fn end_check(&self, outcome: Result<(), OperatorError>) {
        let mut state = self.state();
        state.checking = false;
        state.checked_at = Some(Moment::now());
        match outcome {
            Ok(()) => state.check_error = None,
            Err(error) if error.kind() == ErrorKind::Transient => {}
            Err(error) => {
                if state.check_error.as_ref().map(|error| error.name) != Some(error.name) {
                    tracing::warn!(error = %error, error_code = error.name.as_str(), "this host could not run the sync");
                }
                state.check_error = Some(error);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, EligibilityState> {
        self.0.lock()
    }
}

/// The wait after `times` failed takeovers in a row.
fn wait(times: u32) -> Duration {
    let doublings = times.saturating_sub(1).min(8);
    (FIRST_WAIT * 2_u32.pow(doublings)).min(LONGEST_WAIT)
}

/// Runs a check in the background if one is due.
pub(crate) fn check_if_due(
    eligibility: &Arc<Eligibility>,
    registry: &Arc<Registry>,
    persisted: &PersistedSync,
) {
    if !eligibility.begin_check() {
        return;
    }
    let (eligibility, registry, persisted) =
        (eligibility.clone(), registry.clone(), persisted.clone());
    tokio::spawn(async move {
        let outcome = check(&registry, &persisted).await;
        eligibility.end_check(outcome);
    });
}

/// Compiles the installed components, then loads, compiles and configures the pinned components. Writes nothing.
pub(crate) async fn check(
    registry: &Arc<Registry>,
    persisted: &PersistedSync,
) -> Result<(), OperatorError> {
    let installed = registry.clone();
    // Components that do not compile are reported when they are needed.
    let compile = move || {
        drop(installed.list());
        Ok(())
    };
    blocking(compile).await?;
    if persisted.header.metadata_version < METADATA_VERSION {
        // The session of an older metadata version has another shape; the takeover checks it.
        return Ok(());
    }
    let Some(document) = persisted.reader.session().await? else {
        return Ok(());
    };
    pins::load(registry, &persisted.reader).await?;
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
        let eligibility = Eligibility::default();
        assert!(
            eligibility.obstacle().is_none()
                && eligibility.begin_check()
                && !eligibility.begin_check()
        );
        eligibility.end_check(Err(error(ErrorName::PluginNotSupported)));
        assert_eq!(
            eligibility.obstacle().map(|error| error.name),
            Some(ErrorName::PluginNotSupported)
        );
        // A silent cluster is not evidence against this host.
        eligibility.end_check(Err(error(ErrorName::ConnectionFailed)));
        assert!(eligibility.obstacle().is_some());
        eligibility.end_check(Ok(()));
        assert!(eligibility.obstacle().is_none() && !eligibility.begin_check());
    }

    #[test]
    fn takeovers_that_fail_are_tried_again_ever_less_often() {
        let waits: Vec<_> = (1..8).map(|times| wait(times).as_secs()).collect();
        assert_eq!(waits, [2, 4, 8, 16, 30, 30, 30]);
        let eligibility = Eligibility::default();
        eligibility.takeover_failed(error(ErrorName::MigrationFailed));
        assert!(eligibility.obstacle().is_some() && eligibility.reason().is_some());
        eligibility.clear_failure();
        assert!(eligibility.obstacle().is_none() && eligibility.reason().is_none());
    }
}

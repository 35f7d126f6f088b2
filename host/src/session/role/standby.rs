//! A standby: another host is active, or no host can be.

use std::time::Duration;

use super::persisted_sync::PersistedSync;
use crate::{
    metadata::{self, LeaseDocument, SessionHeader},
    model::{ErrorName, OperatorError},
    session::active::ActiveSync,
};

/// Interval at which a standby reads the lease. A handover takes half of it on average.
const LOOK_EVERY: Duration = Duration::from_millis(40);
/// Interval at which a standby reads everything, for reasons that the lease does not show.
const FULL_LOOK_EVERY: Duration = Duration::from_millis(100);

/// A standby: the sync it waits for, and why it waits.
pub(crate) struct Standby {
    pub(crate) sync: PersistedSync,
    pub(crate) reason: StandbyReason,
    /// The reason why this host does not or could not take the sync over.
    pub(crate) obstacle: Option<OperatorError>,
}

/// The reason for being a standby.
#[derive(Clone)]
pub(crate) enum StandbyReason {
    LeaseHeld(Box<LeaseDocument>),
    /// A host of a release without a lease is connected to the destination.
    HostWithoutLease,
    /// This host has lost the lease, and has not read its new holder yet.
    LeaseLost,
    /// No host is active, and this one cannot be.
    NoHost,
}

impl StandbyReason {
    /// Interval between two looks.
    pub(crate) fn look_every(&self) -> Duration {
        match self {
            Self::LeaseHeld(_) => LOOK_EVERY,
            _ => FULL_LOOK_EVERY,
        }
    }

    /// A sentence for operators.
    pub(crate) fn sentence(&self) -> String {
        match self {
            Self::LeaseHeld(lease) => format!(
                "This host is a standby: {} (release {}) works on the sync, in term {}.",
                lease.instance, lease.release, lease.term
            ),
            Self::HostWithoutLease => {
                "This host is a standby: a host of a release before 0.2.0 works on the sync. Stop it, and this \
                 host continues the sync."
                    .to_owned()
            }
            Self::LeaseLost => {
                "This host is a standby: another host has taken the sync over.".to_owned()
            }
            Self::NoHost => "No host works on the sync, and this one cannot.".to_owned(),
        }
    }
}

impl Standby {
    /// The refusal of a call at a standby.
    pub(crate) fn refusal(&self) -> OperatorError {
        let advice = match (&self.reason, &self.obstacle) {
            (StandbyReason::NoHost, Some(error)) => {
                format!("{error} It tries again every few seconds.")
            }
            _ => "Call that host, or hand its sync over.".to_owned(),
        };
        OperatorError::new(
            ErrorName::StandbyInstance,
            format!("{} {advice}", self.reason.sentence()),
        )
    }

    /// Whether no host is active.
    pub(crate) fn is_free(&self) -> bool {
        matches!(self.reason, StandbyReason::NoHost)
    }

    /// The standby that follows the loss of the lease.
    pub(crate) fn after(active: &ActiveSync) -> Self {
        Self {
            sync: PersistedSync {
                source: active.source.clone(),
                destination: active.destination.clone(),
                reader: metadata::Reader::new(&active.destination.client),
                header: SessionHeader::from(&active.record.get()),
            },
            reason: StandbyReason::LeaseLost,
            obstacle: None,
        }
    }

    /// The warnings in `/progress`.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = vec![self.reason.sentence()];
        let obstacle = self.obstacle.as_ref();
        warnings.extend(obstacle.map(|error| match self.reason {
            StandbyReason::NoHost => format!("{error} This host tries again every few seconds."),
            _ => format!("This host could not run the sync: {error}"),
        }));
        if self.is_free() {
            // The error comes first, as in the warnings of failed work.
            warnings.reverse();
        }
        warnings
    }
}

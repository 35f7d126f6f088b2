//! A host that waits: another one works on the sync, or no host can.

use std::time::Duration;

use super::persisted_sync::PersistedSync;
use crate::{
    metadata::{self, Heading, LeaseDocument},
    model::{ErrorName, OperatorError},
    session::active::ActiveSync,
};

/// How often a standby looks whether the lease was given back. A handover waits for half of it.
const LOOK_EVERY: Duration = Duration::from_millis(40);
/// The same where the lease alone does not tell.
const FULL_LOOK_EVERY: Duration = Duration::from_millis(100);

/// A host that does not work on a sync that has begun.
pub(crate) struct Standby {
    pub(crate) sync: PersistedSync,
    pub(crate) reason: StandbyReason,
    /// Why this host does not take the sync over, or could not.
    pub(crate) obstacle: Option<OperatorError>,
}

/// Why a host does not work on a sync that has begun.
#[derive(Clone)]
pub(crate) enum StandbyReason {
    LeaseHeld(Box<LeaseDocument>),
    /// A host of a release without a lease is connected.
    HostWithoutLease,
    /// The lease was lost; whose it is has not been read yet.
    LeaseLost,
    /// No host works on the sync, and this one cannot.
    NoHost,
}

impl StandbyReason {
    pub(crate) fn look_every(&self) -> Duration {
        match self {
            Self::LeaseHeld(_) => LOOK_EVERY,
            _ => FULL_LOOK_EVERY,
        }
    }

    /// One sentence for the operator.
    pub(crate) fn sentence(&self) -> String {
        match self {
            Self::LeaseHeld(lease) => format!(
                "This host is a standby: {} (release {}) works on the sync, in term {}.",
                lease.instance, lease.release, lease.term
            ),
            Self::HostWithoutLease => {
                "This host is a standby: a host of a release before 0.2.0 works on the sync. Stop \
                                   it, and this one goes on by itself."
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
    pub(crate) fn refusal(&self) -> OperatorError {
        let advice = match (&self.reason, &self.obstacle) {
            (StandbyReason::NoHost, Some(error)) => {
                format!("{error} It tries again every few seconds.")
            }
            _ => "Call that one, or hand its sync over.".to_owned(),
        };
        OperatorError::new(
            ErrorName::StandbyInstance,
            format!("{} {advice}", self.reason.sentence()),
        )
    }

    /// No host works on the sync.
    pub(crate) fn is_free(&self) -> bool {
        matches!(self.reason, StandbyReason::NoHost)
    }

    /// A host that has just lost the lease.
    pub(crate) fn after(active: &ActiveSync) -> Self {
        Self {
            sync: PersistedSync {
                source: active.source.clone(),
                destination: active.destination.clone(),
                reader: metadata::Reader::new(&active.destination.client),
                heading: Heading::from(&active.record.get()),
            },
            reason: StandbyReason::LeaseLost,
            obstacle: None,
        }
    }

    /// What keeps this host from working, as `/progress` says it.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = vec![self.reason.sentence()];
        let obstacle = self.obstacle.as_ref();
        warnings.extend(obstacle.map(|error| match self.reason {
            StandbyReason::NoHost => format!("{error} This host tries again every few seconds."),
            _ => format!("This host could not run the sync: {error}"),
        }));
        if self.is_free() {
            // The reason comes first, as where work has failed.
            warnings.reverse();
        }
        warnings
    }
}

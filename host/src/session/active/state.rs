//! The state of a sync: the single value from which `/progress`, `/readyz` and the calls are answered.
//!
//! It is derived from the persisted state and from the state of the work in this process. Invariant: RUNNING and
//! COMMITTING are shown only while a task works, or while a call that has stopped the task is executed.

use crate::model::{ErrorName, OperatorError, State, state::Call};

/// The state of the work in this process.
#[derive(Clone, Debug, Default)]
pub(crate) enum WorkState {
    /// No task is running.
    #[default]
    Resting,
    Working,
    /// A call has stopped the work and is still executed.
    Stopping,
    Failed(OperatorError),
}

/// The state of a sync.
#[derive(Clone, Debug)]
pub(crate) enum SyncState {
    Running,
    Committing,
    /// Paused by an operator.
    Paused,
    /// The work should run and does not: it has failed, or was stopped by a call that failed.
    Stopped(OperatorError),
    Committed,
}

impl SyncState {
    /// The state that follows from the persisted state and from the state of the work.
    pub(crate) fn of(persisted: State, work: &WorkState) -> Self {
        let wanted = match persisted {
            State::Running => Self::Running,
            State::Committing => Self::Committing,
            State::Paused => return Self::Paused,
            State::Committed => return Self::Committed,
            State::Idle | State::Reversing => return Self::Stopped(unknown(persisted)),
        };
        match work {
            WorkState::Working | WorkState::Stopping => wanted,
            WorkState::Resting => Self::Stopped(resting()),
            WorkState::Failed(error) => Self::Stopped(error.clone()),
        }
    }

    /// The state in mongosync's terms.
    pub(crate) fn public(&self) -> State {
        match self {
            Self::Running => State::Running,
            Self::Committing => State::Committing,
            Self::Paused | Self::Stopped(_) => State::Paused,
            Self::Committed => State::Committed,
        }
    }

    /// The reason why no work runs although it should.
    pub(crate) fn reason(&self) -> Option<&OperatorError> {
        match self {
            Self::Stopped(reason) => Some(reason),
            _ => None,
        }
    }

    /// Refuses a call that the state does not allow.
    pub(crate) fn allow(&self, call: Call) -> Result<(), OperatorError> {
        let state = self.public();
        if state.allows(call) {
            return Ok(());
        }
        let mut refusal = refuse(state, call);
        if let Some(reason) = self.reason() {
            refusal.message += &format!(" The work has stopped: {reason}");
        }
        Err(refusal)
    }
}

/// The refusal of a call that the state does not allow.
pub(crate) fn refuse(state: State, call: Call) -> OperatorError {
    if state == State::Committed {
        return OperatorError::new(
            ErrorName::InvalidStateTransition,
            format!(
                "{call} is not possible in state {state}: the sync is done, and the destination is in use. \
                 docs/next-sync.md describes how to start the next sync."
            ),
        );
    }
    let allowed: Vec<_> = state
        .allowed_calls()
        .iter()
        .map(ToString::to_string)
        .collect();
    let allowed = if allowed.is_empty() {
        "none".to_owned()
    } else {
        allowed.join(", ")
    };
    OperatorError::new(
        ErrorName::InvalidStateTransition,
        format!(
            "{call} is not possible in state {state}. Possible calls: {allowed}. See GET /api/v1/progress."
        ),
    )
}

fn resting() -> OperatorError {
    OperatorError::new(
        ErrorName::InvalidStateTransition,
        "The work was stopped by a call that failed. Call resume to continue it.",
    )
}

fn unknown(persisted: State) -> OperatorError {
    OperatorError::new(
        ErrorName::InternalError,
        format!("The metadata holds the state {persisted}, which no release writes."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed() -> WorkState {
        WorkState::Failed(OperatorError::new(
            ErrorName::DestinationRefused,
            "disk full",
        ))
    }

    #[test]
    fn work_that_is_shown_is_work_that_is_done() {
        use State::{Committed, Committing, Idle, Paused, Running};
        use WorkState::{Resting, Stopping, Working};
        for (persisted, work, shown, has_reason) in [
            (Running, Working, Running, false),
            (Running, Stopping, Running, false),
            (Running, Resting, Paused, true),
            (Running, failed(), Paused, true),
            (Committing, Working, Committing, false),
            (Committing, Resting, Paused, true),
            (Committing, failed(), Paused, true),
            (Paused, Resting, Paused, false),
            (Paused, Working, Paused, false),
            (Committed, Resting, Committed, false),
            (Committed, Working, Committed, false),
            (Idle, Working, Paused, true),
        ] {
            let state = SyncState::of(persisted, &work);
            assert_eq!(state.public(), shown, "{persisted} {work:?}");
            assert_eq!(state.reason().is_some(), has_reason, "{persisted} {work:?}");
        }
    }

    #[test]
    fn stopped_work_can_be_resumed_and_neither_paused_nor_committed() {
        let state = SyncState::of(State::Running, &failed());
        assert!(state.allow(Call::Resume).is_ok());
        for call in [Call::Pause, Call::Commit, Call::Start, Call::Reverse] {
            let refusal = state.allow(call).expect_err("refused");
            assert_eq!(refusal.name, ErrorName::InvalidStateTransition);
            assert!(refusal.message.contains("disk full"), "{refusal}");
        }
    }
}

//! The current activity, as `/progress` shows it.

use crate::{
    metadata::{Phase, SessionDocument},
    model::{State, progress::CopyProgress},
    sync::{Activity, Status},
};

/// The description of the activity of a sync in this state.
pub(crate) fn info(
    state: State,
    document: &SessionDocument,
    status: &Status,
) -> Option<&'static str> {
    if state == State::Running && document.is_resyncing() {
        Activity::Resync.info()
    } else if state == State::Committing && document.commit_time.is_none() {
        Activity::BlockingSource.info()
    } else {
        shown(state, status.activity(), document.phase, status.copy())
    }
}

/// The description of an activity. Restarted work is shown with the activity that it had reached.
fn shown(state: State, step: Activity, phase: Phase, copied: CopyProgress) -> Option<&'static str> {
    let begins = matches!(step, Activity::Waiting | Activity::Initializing);
    let step = match phase {
        Phase::CollectionCopy if begins && copied.copied_documents > 0 => Activity::CollectionCopy,
        Phase::IndexBuild if begins => Activity::IndexBuild,
        Phase::ChangeEventApplication if begins => Activity::ChangeEventApplication,
        Phase::Restore if begins => Activity::Restoring,
        Phase::Unblock if begins => Activity::Unblocking,
        _ => step,
    };
    match state {
        State::Paused => Some("paused"),
        State::Committed => Activity::Committed.info(),
        State::Committing if step == Activity::ChangeEventApplication => {
            Activity::WaitingForCommit.info()
        }
        _ => step.info(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f60_info_never_goes_back_to_initializing() {
        let copied = |copied_documents| CopyProgress {
            copied_documents,
            ..CopyProgress::default()
        };
        for (phase, documents, activity) in [
            (Phase::CollectionCopy, 0, Activity::Initializing),
            (Phase::CollectionCopy, 1, Activity::CollectionCopy),
            (Phase::IndexBuild, 1, Activity::IndexBuild),
            (
                Phase::ChangeEventApplication,
                1,
                Activity::ChangeEventApplication,
            ),
            (Phase::Restore, 1, Activity::Restoring),
        ] {
            let info = shown(
                State::Running,
                Activity::Initializing,
                phase,
                copied(documents),
            );
            assert_eq!(info, activity.info(), "{phase:?}");
        }
    }
}

//! The calls of the verification: its mismatches, their repair, and a new beginning.

use crate::{
    metadata::{MismatchDocument, MismatchState},
    model::{
        ErrorName, OperatorError, State,
        mismatch::{ListedMismatch, Mismatch, MismatchKind, MismatchSubject},
    },
    session::{
        active::ActiveSync,
        progress::deadline::{ClusterLabel, within_deadline},
        role::host::Host,
    },
    sync::WorkRequest,
};

/// Up to `limit` mismatches with ids after `after`; an empty `after` begins the list.
pub(crate) async fn mismatches(
    host: &Host,
    after: &str,
    limit: u32,
) -> Result<Vec<ListedMismatch>, OperatorError> {
    let Some(active) = host.active() else {
        return Ok(Vec::new());
    };
    let destination = ClusterLabel::destination(active.destination.name);
    let listed = within_deadline(
        &host.context.monitor,
        destination,
        "Nothing was read.",
        async { Ok(active.record.store().mismatches(after, limit).await?) },
    );
    Ok(listed.await?.into_iter().map(listed_mismatch).collect())
}

/// Asks the running work to write all documents that differ again from the source.
pub(crate) async fn repair(host: &Host) -> Result<(), OperatorError> {
    ask(host, WorkRequest::RepairMismatches).await
}

/// Asks the running work to verify all documents again.
pub(crate) async fn restart(host: &Host) -> Result<(), OperatorError> {
    ask(host, WorkRequest::VerifyAgain).await
}

async fn ask(host: &Host, request: WorkRequest) -> Result<(), OperatorError> {
    let _turn = host.active_turn().await?;
    let active = host.active().ok_or_else(|| refusal(State::Idle))?;
    let state = active.state().public();
    if !matches!(state, State::Running | State::Committing) {
        return Err(refusal(state));
    }
    refuse_disabled(&active)?;
    active.request(request).await;
    Ok(())
}

fn refuse_disabled(active: &ActiveSync) -> Result<(), OperatorError> {
    if active.record.get().options.verification().enabled {
        return Ok(());
    }
    Err(OperatorError::new(
        ErrorName::InvalidStateTransition,
        "The sync was started with verification.enabled false, and nothing is verified.",
    ))
}

fn refusal(state: State) -> OperatorError {
    OperatorError::new(
        ErrorName::InvalidStateTransition,
        format!(
            "The verification can be repaired and restarted in the states RUNNING and COMMITTING, and the state is \
             {state}."
        ),
    )
}

fn listed_mismatch(document: MismatchDocument) -> ListedMismatch {
    let kind = match document.kind.as_str() {
        "missing" => MismatchKind::Missing,
        "extra" => MismatchKind::Extra,
        _ => MismatchKind::Differs,
    };
    let subject = document
        .document_id
        .map_or(MismatchSubject::Collection, MismatchSubject::Document);
    ListedMismatch {
        id: document.id,
        state: match document.state {
            MismatchState::Open => "open",
            MismatchState::Repairing => "repairing",
            MismatchState::Repaired => "repaired",
            MismatchState::Gone => "gone",
        },
        mismatch: Mismatch {
            source: document.source,
            destination: document.destination,
            subject,
            kind,
            path: document.path,
        },
    }
}

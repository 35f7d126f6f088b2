//! The calls that change the state of a sync. Each persists the new state before it returns.

pub(super) mod audit;
pub(super) mod commit;
pub(super) mod handover;
pub(super) mod plugins;
pub(super) mod recopy;
pub(super) mod reverse;
pub(super) mod verification;

use futures::FutureExt;

use crate::{
    distribution::fetch_components,
    metadata::SessionDocument,
    model::{ErrorName, OperatorError, StartOptions, State, state::Call},
    session::{
        active::{
            ActiveSync,
            state::{SyncState, refuse},
        },
        components::{adoption::configured, pins::blocking},
        progress::{
            deadline::{ClusterLabel, while_answering, within_deadline},
            monitor::Monitor,
        },
        role::host::{Host, Role},
        start,
    },
};

/// Starts a sync. For a sync that was continued after a restart, a start with equal options succeeds.
pub(crate) async fn start(host: &Host, options: StartOptions) -> Result<(), OperatorError> {
    let _turn = host.active_turn().await?;
    let Some(active) = host.active() else {
        let wanted = options.named_components();
        let (registry, access) = (&host.context.registry, &host.context.settings.registry);
        fetch_components(registry, access, &wanted).await?;
        let clusters = ClusterLabel::both(options.source, options.destination);
        let left_undone = "See GET /api/v1/progress when the cluster answers, and call start again if it shows IDLE.";
        let begin = Box::pin(start::start(&host.context, options));
        let monitor = &host.context.monitor;
        let active = while_answering(monitor, clusters, left_undone, begin).await?;
        let configured = configured(&active).await?;
        active.spawn(&configured).await;
        host.set_role(Role::Active(active));
        return Ok(());
    };
    if matches!(active.state(), SyncState::Committed) {
        return Err(refuse(State::Committed, Call::Start));
    }
    let differing = active.record.get().options.differing_fields(&options);
    // Scripts of mongosync call each process.
    let is_repeated = is_several(host);
    let continues = host.continues() || is_repeated;
    if !differing.is_empty() && continues {
        return Err(OperatorError::new(
            ErrorName::OptionsMismatch,
            format!(
                "The sync was started with other options, which cannot change: {} differ. Start with the same \
                 options, or abandon this sync as docs/abort.md describes.",
                differing.join(", ")
            ),
        ));
    }
    let state = active.state();
    if is_repeated && matches!(state, SyncState::Paused) {
        return Ok(());
    }
    if continues && matches!(state, SyncState::Running | SyncState::Committing) {
        host.set_continues(false);
        return Ok(());
    }
    state.allow(Call::Start)
}

/// Stops the work. Returns when the work has stopped and PAUSED is persisted. After an error the work has
/// stopped as well; the state carries the error.
pub(crate) async fn pause(host: &Host) -> Result<(), OperatorError> {
    let _turn = host.active_turn().await?;
    if is_done_already(host, |state| matches!(state, SyncState::Paused)) {
        return Ok(());
    }
    let active = host.active_for(Call::Pause)?;
    active.stop_for_call().await?;
    persist(
        &active,
        &host.context.monitor,
        "The work has stopped, but PAUSED is not persisted: resume or a restart continues the sync.",
        |session| session.state = State::Paused,
    )
    .await
    .inspect_err(|error| active.fail(error.clone()))?;
    active.rest();
    tracing::info!(
        sync_id = active.sync_id(),
        "PAUSED: the position and the state are persisted"
    );
    Ok(())
}

/// Continues the work of a paused or failed sync. At a standby without an active host, tries the takeover at
/// once.
pub(crate) async fn resume(host: &Host) -> Result<(), OperatorError> {
    if host.standby().is_some() {
        host.resume_standby().await?;
        if host.works() {
            return Ok(());
        }
    }
    let _turn = host.turn().await?;
    if is_done_already(host, |state| {
        matches!(state, SyncState::Running | SyncState::Committing)
    }) {
        return Ok(());
    }
    let active = host.active_for(Call::Resume)?;
    // The running components already hold their secrets, but a restart would need them again.
    let options = active.record.get().options;
    let registry = active.runtime.registry.clone();
    blocking(move || registry.check_secrets(&options)).await?;
    let configured = configured(&active).await?;
    let unchanged = "Nothing was changed, and the work stays stopped.";
    let monitor = &host.context.monitor;
    let destination = ClusterLabel::destination(active.destination.name);
    let ended = active.end_transactions().map(Ok);
    within_deadline(monitor, destination, unchanged, ended).await?;
    persist(&active, monitor, unchanged, |session| {
        session.state = if session.has_commit() {
            State::Committing
        } else {
            State::Running
        };
    })
    .await?;
    active.spawn(&configured).await;
    tracing::info!(sync_id = active.sync_id(), "resumed: the work continues");
    Ok(())
}

/// Whether other hosts are registered. Scripts of mongosync call each process, so a call that an earlier call has carried
/// out for all hosts succeeds then. A host alone refuses it, as mongosync does.
fn is_several(host: &Host) -> bool {
    let lease = host.context.settings.lease;
    host.context.hosts.is_several(lease)
}

/// Whether an earlier call, at this host or another, has brought the sync into this state.
pub(super) fn is_done_already(host: &Host, has: impl Fn(&SyncState) -> bool) -> bool {
    let active = host.active();
    is_several(host) && active.is_some_and(|active| has(&active.state()))
}

/// Changes the load level from now on: of the running work, and of later work on any host. Returns when it is
/// persisted.
pub(crate) async fn load_level(host: &Host, level: u8) -> Result<(), OperatorError> {
    let _turn = host.active_turn().await?;
    let active = host.active().ok_or_else(|| no_load(State::Idle))?;
    let state = active.state().public();
    if !matches!(state, State::Running | State::Paused) {
        return Err(no_load(state));
    }
    let unchanged = "The load level is unchanged. Call again when the cluster answers.";
    persist(&active, &host.context.monitor, unchanged, |session| {
        session.options.load_level = Some(level);
    })
    .await?;
    active.runtime.workers.set_load_level(level);
    tracing::info!(
        sync_id = active.sync_id(),
        level,
        "the load level is changed"
    );
    Ok(())
}

fn no_load(state: State) -> OperatorError {
    OperatorError::new(
        ErrorName::InvalidStateTransition,
        format!(
            "loadLevel is possible in the states RUNNING and PAUSED, and the state is {state}. Before a start, give \
             the host's option loadLevel."
        ),
    )
}

/// Persists a change for a call, with a bounded wait for the destination. `left_undone` is a sentence for the
/// error message: the consequences of a failure.
async fn persist(
    active: &ActiveSync,
    monitor: &Monitor,
    left_undone: &str,
    change: impl FnOnce(&mut SessionDocument),
) -> Result<(), OperatorError> {
    let destination = ClusterLabel::destination(active.destination.name);
    let persisted = within_deadline(monitor, destination, left_undone, active.update(change));
    persisted.await.inspect_err(|error| {
        if error.name == ErrorName::ConnectionFailed {
            active.persist_again();
        }
    })
}

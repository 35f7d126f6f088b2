//! A host and its role: idle, active or standby.
//!
//! Invariant: the role changes only in a turn, and calls take turns.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use parking_lot::RwLock;
use tokio::{
    sync::{Mutex, MutexGuard, TryLockError},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{eligibility::Eligibility, standby::Standby, view::StandbyView};
use crate::{
    model::{ErrorName, OperatorError, State, state::Call},
    session::{
        active::{
            ActiveSync,
            state::{SyncState, refuse},
        },
        context::HostContext,
        progress::deadline::seconds,
    },
};

/// The longest wait of a call for the previous call.
const QUEUE: Duration = Duration::from_secs(3);

/// The role of a host.
#[derive(Clone, Default)]
pub(crate) enum Role {
    /// No sync has been started.
    #[default]
    Idle,
    Active(Arc<ActiveSync>),
    Standby(Arc<Standby>),
}

/// A host in any role.
pub(crate) struct Host {
    pub(crate) context: HostContext,
    role: RwLock<Role>,
    /// Held by the call that has the turn.
    calls: Mutex<()>,
    /// Whether the sync was continued from its metadata, and `start` has not been called since.
    continues: AtomicBool,
    /// Whether this host could run the sync of its standby.
    pub(crate) eligibility: Arc<Eligibility>,
    /// The last reading of the sync at a standby.
    pub(crate) view: StandbyView,
    /// Cancelled when this host no longer takes a sync over.
    pub(crate) leaving: CancellationToken,
    /// Cancelled after a handover.
    pub(crate) handed_over: CancellationToken,
}

impl Role {
    /// Name of the role and state of the sync, for `/readyz`. A standby does not know the state.
    pub(crate) fn shown(&self) -> (&'static str, Option<State>) {
        match self {
            Self::Idle => ("idle", Some(State::Idle)),
            Self::Active(active) => ("active", Some(active.state().public())),
            Self::Standby(_) => ("standby", None),
        }
    }
}

impl Host {
    /// An idle host that has not looked for a sync yet.
    pub(crate) fn new(context: HostContext) -> Self {
        Self {
            context,
            role: Default::default(),
            calls: Default::default(),
            continues: Default::default(),
            eligibility: Default::default(),
            view: Default::default(),
            leaving: Default::default(),
            handed_over: Default::default(),
        }
    }

    /// The current role.
    pub(crate) fn role(&self) -> Role {
        self.role.read().clone()
    }

    /// Sets the role. The caller has the turn.
    pub(crate) fn set_role(&self, role: Role) {
        match &role {
            Role::Active(active) => {
                self.context.watch.follow(active);
                self.context.hooks.follow(active);
                self.context.history.follow(active);
            }
            Role::Idle | Role::Standby(_) => {
                self.context.hooks.leave();
                self.context.history.leave();
            }
        }
        *self.role.write() = role;
    }

    /// The active sync.
    pub(crate) fn active(&self) -> Option<Arc<ActiveSync>> {
        match self.role() {
            Role::Active(active) => Some(active),
            Role::Idle | Role::Standby(_) => None,
        }
    }

    /// The active sync, if its state allows `call`.
    pub(crate) fn active_for(&self, call: Call) -> Result<Arc<ActiveSync>, OperatorError> {
        match self.role() {
            Role::Idle => Err(refuse(State::Idle, call)),
            Role::Standby(standby) => Err(standby.refusal()),
            Role::Active(active) => active.state().allow(call).map(|()| active),
        }
    }

    /// The standby.
    pub(crate) fn standby(&self) -> Option<Arc<Standby>> {
        match self.role() {
            Role::Standby(standby) => Some(standby),
            Role::Idle | Role::Active(_) => None,
        }
    }

    /// Whether the work of a sync runs on this host.
    pub(crate) fn works(&self) -> bool {
        let state = self.active().map(|active| active.state());
        matches!(state, Some(SyncState::Running | SyncState::Committing))
    }

    /// Refuses a call at a standby.
    pub(crate) fn refuse_standby(&self) -> Result<(), OperatorError> {
        match self.standby() {
            Some(standby) => Err(standby.refusal()),
            None => Ok(()),
        }
    }

    /// Like [`Self::refuse_standby`], but allows a standby while no host is active.
    pub(crate) fn refuse_working_elsewhere(&self) -> Result<(), OperatorError> {
        match self.standby() {
            Some(standby) if !standby.is_free() => Err(standby.refusal()),
            _ => Ok(()),
        }
    }

    /// The turn of a call. Waits up to [`QUEUE`] for the previous call. Cancel safe.
    ///
    /// # Errors
    ///
    /// `InvalidStateTransition` if the previous call takes longer.
    pub(crate) async fn turn(&self) -> Result<MutexGuard<'_, ()>, OperatorError> {
        timeout(QUEUE, self.calls.lock()).await.map_err(|_elapsed| {
            OperatorError::new(
                ErrorName::InvalidStateTransition,
                format!(
                    "Another call has been running for more than {}. Nothing was changed. Repeat the call when the \
                     other call has returned.",
                    seconds(QUEUE)
                ),
            )
        })
    }

    /// Like [`Self::turn`], for a call that a standby refuses. Checked again after the wait, because the role
    /// may have changed.
    pub(crate) async fn active_turn(&self) -> Result<MutexGuard<'_, ()>, OperatorError> {
        self.refuse_standby()?;
        let turn = self.turn().await?;
        self.refuse_standby()?;
        Ok(turn)
    }

    /// Like [`Self::turn`], for changes by this host itself. Waits without a limit. Cancel safe.
    pub(crate) async fn queued_turn(&self) -> MutexGuard<'_, ()> {
        self.calls.lock().await
    }

    /// The turn, if no call has it.
    pub(crate) fn try_turn(&self) -> Result<MutexGuard<'_, ()>, TryLockError> {
        self.calls.try_lock()
    }

    /// Whether the sync was continued from its metadata, and `start` has not been called since.
    pub(crate) fn continues(&self) -> bool {
        self.continues.load(Relaxed)
    }

    /// Sets [`Self::continues`].
    pub(crate) fn set_continues(&self, continues: bool) {
        self.continues.store(continues, Relaxed);
    }
}

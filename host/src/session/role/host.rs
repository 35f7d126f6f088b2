//! A host and its role: it is idle, works on the sync, or is a standby.
//!
//! The role changes in a turn alone: calls are taken one at a time.

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

/// The longest wait of a call for the one before it.
const QUEUE: Duration = Duration::from_secs(3);

/// What this host is to the sync.
#[derive(Clone, Default)]
pub(crate) enum Role {
    /// No sync has begun.
    #[default]
    Idle,
    Active(Arc<ActiveSync>),
    Standby(Arc<Standby>),
}

/// A host, whatever its role is.
pub(crate) struct Host {
    pub(crate) context: HostContext,
    role: RwLock<Role>,
    /// Held by the call that is being carried out.
    calls: Mutex<()>,
    /// The sync was found persisted and goes on; `start` has not been called since.
    continues: AtomicBool,
    /// Whether this host could run the sync that it stands by for.
    pub(crate) eligibility: Arc<Eligibility>,
    /// What a standby has read of the sync last.
    pub(crate) view: StandbyView,
    /// This host takes nothing over any more.
    pub(crate) leaving: CancellationToken,
    pub(crate) handed_over: CancellationToken,
}

impl Role {
    /// The name and the state that `/readyz` shows.
    pub(crate) fn shown(&self) -> (&'static str, Option<State>) {
        match self {
            Self::Idle => ("idle", Some(State::Idle)),
            Self::Active(active) => ("active", Some(active.state().public())),
            Self::Standby(_) => ("standby", None),
        }
    }
}

impl Host {
    /// A host that has looked at nothing yet.
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

    pub(crate) fn role(&self) -> Role {
        self.role.read().clone()
    }

    pub(crate) fn set_role(&self, role: Role) {
        if let Role::Active(active) = &role {
            self.context.watch.follow(active);
        }
        *self.role.write() = role;
    }

    pub(crate) fn active(&self) -> Option<Arc<ActiveSync>> {
        match self.role() {
            Role::Active(active) => Some(active),
            Role::Idle | Role::Standby(_) => None,
        }
    }

    /// The sync that this host works on, if its state allows the call.
    pub(crate) fn active_for(&self, call: Call) -> Result<Arc<ActiveSync>, OperatorError> {
        match self.role() {
            Role::Idle => Err(refuse(State::Idle, call)),
            Role::Standby(standby) => Err(standby.refusal()),
            Role::Active(active) => active.state().allow(call).map(|()| active),
        }
    }

    pub(crate) fn standby(&self) -> Option<Arc<Standby>> {
        match self.role() {
            Role::Standby(standby) => Some(standby),
            Role::Idle | Role::Active(_) => None,
        }
    }

    /// The work of a sync is being done here.
    pub(crate) fn works(&self) -> bool {
        let state = self.active().map(|active| active.state());
        matches!(state, Some(SyncState::Running | SyncState::Committing))
    }

    pub(crate) fn refuse_standby(&self) -> Result<(), OperatorError> {
        match self.standby() {
            Some(standby) => Err(standby.refusal()),
            None => Ok(()),
        }
    }

    /// Like [`Self::refuse_standby`], for what a standby may do while no host works on the sync.
    pub(crate) fn refuse_working_elsewhere(&self) -> Result<(), OperatorError> {
        match self.standby() {
            Some(standby) if !standby.is_free() => Err(standby.refusal()),
            _ => Ok(()),
        }
    }

    /// The right to carry out a call. Calls are taken one at a time.
    pub(crate) async fn turn(&self) -> Result<MutexGuard<'_, ()>, OperatorError> {
        timeout(QUEUE, self.calls.lock()).await.map_err(|_elapsed| {
            OperatorError::new(
                ErrorName::InvalidStateTransition,
                format!(
                    "Another call is being carried out, for more than {}. Nothing was changed. Repeat \
                     the call when that one has been answered.",
                    seconds(QUEUE)
                ),
            )
        })
    }

    /// Like [`Self::turn`], for a call that a standby refuses.
    pub(crate) async fn active_turn(&self) -> Result<MutexGuard<'_, ()>, OperatorError> {
        self.refuse_standby()?;
        let turn = self.turn().await?;
        self.refuse_standby()?;
        Ok(turn)
    }

    /// Like [`Self::turn`], for this host's own changes: waits for the call, however long it takes.
    pub(crate) async fn queued_turn(&self) -> MutexGuard<'_, ()> {
        self.calls.lock().await
    }

    /// The turn, if no call is being carried out.
    pub(crate) fn try_turn(&self) -> Result<MutexGuard<'_, ()>, TryLockError> {
        self.calls.try_lock()
    }

    /// Whether the sync was found persisted, and `start` has not been called since.
    pub(crate) fn continues(&self) -> bool {
        self.continues.load(Relaxed)
    }

    pub(crate) fn set_continues(&self, continues: bool) {
        self.continues.store(continues, Relaxed);
    }
}

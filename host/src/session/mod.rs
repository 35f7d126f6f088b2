//! The state machine of one sync, and the task that does its work.
//!
//! Calls are taken one at a time. A call that is refused has changed nothing;
//! one that succeeds has persisted the new state before it answers. A sync whose
//! work has failed is shown as PAUSED, with the reason among its warnings: its
//! position is safe, and `resume`, or a restart, tries again.

mod active;
mod feature_set;
mod monitor;
mod open;
mod pins;
mod plugins;
mod progress;
mod quarantine;
mod start;
mod succession;
mod swap;

use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::Mutex;

use crate::{
    config::ConnectionString,
    model::{
        ErrorName, OperatorError, Progress, StartOptions, State, options::ClusterName, state::Call,
    },
    mongo::Cluster,
    plugin::Registry,
    sync,
};
use active::ActiveSync;
use monitor::Monitor;
use plugins::Uploads;

/// What the session needs of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Instance id (`--id`), reported as `mongosyncID`.
    pub id: String,
    pub cluster0: ConnectionString,
    pub cluster1: ConnectionString,
    /// 1 to 4: how hard the sync works both clusters (mongosync's `loadLevel`).
    pub load_level: u8,
    /// A folder to read the feature set from, in place of the embedded one.
    pub feature_set: Option<std::path::PathBuf>,
    /// Plugins that import WASI are refused.
    pub refuse_wasi: bool,
}

/// One sync: the handle that `api` calls.
pub struct Session {
    settings: Settings,
    clusters: [Cluster; 2],
    registry: Arc<Registry>,
    uploads: Uploads,
    monitor: Arc<Monitor>,
    active: RwLock<Option<Arc<ActiveSync>>>,
    /// Held by the call that is being carried out.
    calls: Mutex<Calls>,
}

#[derive(Default)]
struct Calls {
    /// The sync was found persisted and goes on; `start` has not been called since.
    continues: bool,
}

impl Session {
    /// Connects both clusters and picks up a persisted sync, if there is one.
    pub async fn open(settings: Settings) -> Result<Self, OperatorError> {
        open::open(settings).await
    }

    /// Begins a sync. For one that this host has picked up after a restart, the
    /// same options succeed and others are refused.
    pub async fn start(&self, options: StartOptions) -> Result<(), OperatorError> {
        let mut calls = self.calls.lock().await;
        let Some(active) = self.active() else {
            let active = start::start(self, options).await?;
            active.spawn(self).await?;
            self.set_active(active);
            return Ok(());
        };
        let record = active.record.get().await;
        let differing = record.options.differing_fields(&options);
        if !differing.is_empty() && calls.continues {
            return Err(OperatorError::new(
                ErrorName::OptionsMismatch,
                format!(
                    "The sync was begun with other options and they cannot change: {} differ. \
                     Start with the same options, or drop the destination's data and begin anew.",
                    differing.join(", ")
                ),
            ));
        }
        if calls.continues && matches!(active.state().await, State::Running | State::Committing) {
            calls.continues = false;
            return Ok(());
        }
        self.allow(&active, Call::Start).await
    }

    /// Stops the work; answers when it has stopped and the position is persisted.
    pub async fn pause(&self) -> Result<(), OperatorError> {
        let _calls = self.calls.lock().await;
        let active = self.active_for(Call::Pause).await?;
        active.stop().await;
        active.update(|session| session.state = State::Paused).await
    }

    pub async fn resume(&self) -> Result<(), OperatorError> {
        let _calls = self.calls.lock().await;
        let active = self.active_for(Call::Resume).await?;
        active
            .update(|session| {
                session.state = if session.commit_time.is_some() {
                    State::Committing
                } else {
                    State::Running
                };
            })
            .await?;
        active.spawn(self).await
    }

    /// Ends the sync at the source's present cluster time. Answers when that is persisted.
    pub async fn commit(&self) -> Result<(), OperatorError> {
        let _calls = self.calls.lock().await;
        let active = self.active_for(Call::Commit).await?;
        if let Some(reason) = progress::cannot_commit(&active, &self.monitor).await {
            return Err(OperatorError::new(
                ErrorName::CannotCommit,
                format!(
                    "Commit is not possible yet. {reason} Wait until /progress shows canCommit true."
                ),
            ));
        }
        let time = sync::take_commit_time(&active.source)
            .await
            .map_err(sync::Error::into_operator)?;
        active
            .update(|session| {
                session.state = State::Committing;
                session.commit_time = Some(time);
            })
            .await?;
        active.status.set_step(sync::Step::WaitingForCommit);
        active.commit_time.send_replace(Some(time));
        Ok(())
    }

    /// Refused in this release: the direction of a sync cannot be swapped yet.
    pub async fn reverse(&self) -> Result<(), OperatorError> {
        let _calls = self.calls.lock().await;
        self.active_for(Call::Reverse).await?;
        Err(OperatorError::new(
            ErrorName::NotSupported,
            "Reversing is not in this release. Start a new sync in the other direction, into an empty cluster.",
        ))
    }

    pub async fn progress(&self) -> Progress {
        progress::snapshot(self).await
    }

    /// True when both clusters answered last time.
    pub fn is_ready(&self) -> bool {
        self.monitor.is_ready()
    }

    /// Stops the work, persists the position, and returns when all is safe.
    pub async fn shutdown(&self) {
        let _calls = self.calls.lock().await;
        if let Some(active) = self.active() {
            active.stop().await;
        }
        self.monitor.stop();
        for cluster in &self.clusters {
            cluster.client.clone().shutdown().await;
        }
    }

    fn cluster(&self, name: ClusterName) -> &Cluster {
        let [cluster0, cluster1] = &self.clusters;
        match name {
            ClusterName::Cluster0 => cluster0,
            ClusterName::Cluster1 => cluster1,
        }
    }

    fn active(&self) -> Option<Arc<ActiveSync>> {
        self.active
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set_active(&self, active: Arc<ActiveSync>) {
        self.monitor.watch(&active);
        *self.active.write().unwrap_or_else(PoisonError::into_inner) = Some(active);
    }

    async fn active_for(&self, call: Call) -> Result<Arc<ActiveSync>, OperatorError> {
        match self.active() {
            None => Err(refuse(State::Idle, call)),
            Some(active) => self.allow(&active, call).await.map(|()| active),
        }
    }

    async fn allow(&self, active: &ActiveSync, call: Call) -> Result<(), OperatorError> {
        let state = active.state().await;
        if state.allows(call) {
            Ok(())
        } else {
            Err(refuse(state, call))
        }
    }
}

fn refuse(state: State, call: Call) -> OperatorError {
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
            "{call} is not possible in state {state}. Calls that are: {allowed}. See GET /api/v1/progress."
        ),
    )
}

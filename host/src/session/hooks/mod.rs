//! Hooks: occurrences in a sync, sent to programs and web servers of the operator.
//!
//! Invariant: an occurrence is persisted, under the guard of the lease, together with the hooks that have to receive it,
//! before it is sent; and a hook is taken off that list after its answer. So each occurrence is sent at least once, by this
//! host or by the next, and its id tells a receiver of a repetition. A hook that does not answer delays nothing but a
//! commit that it may refuse.

mod before_commit;
mod message;
mod outbox;
mod program;
mod receiver;
mod recorder;
mod reply;
mod sender;
mod webhook;

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::{active::ActiveSync, progress::monitor::Monitor};
use crate::{
    config::HookOptions,
    metadata::{HookDocument, SessionDocument, UpgradeDocument},
    model::hook::HookEvent,
    mongo::Moment,
};
use outbox::Outbox;
use recorder::Recorder;
use sender::Sender;

/// Interval between two looks at occurrences that are still to be sent, at the end of the process.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The hooks of this host.
pub(crate) struct Hooks {
    hooks: Arc<[Arc<HookOptions>]>,
    /// `--id` of this host.
    instance: String,
    monitor: Arc<Monitor>,
    followed: Mutex<Option<FollowedSync>>,
}

/// The active sync whose occurrences are sent. Dropping it ends the tasks.
struct FollowedSync {
    outbox: Arc<Outbox>,
    recorder: Arc<Recorder>,
    cancel: CancellationToken,
}

impl Drop for FollowedSync {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl Hooks {
    /// Hooks without a sync.
    pub(crate) fn new(hooks: Vec<HookOptions>, instance: String, monitor: Arc<Monitor>) -> Self {
        Self {
            hooks: hooks.into_iter().map(Arc::new).collect(),
            instance,
            monitor,
            followed: Mutex::default(),
        }
    }

    /// Records and sends the occurrences of `active` from now on, and those that an earlier host has left.
    pub(crate) fn follow(&self, active: &Arc<ActiveSync>) {
        if self.hooks.is_empty() {
            return;
        }
        let outbox = Outbox::open(active);
        let cancel = CancellationToken::new();
        let recorder = Arc::new(Recorder {
            hooks: self.hooks.clone(),
            active: Arc::downgrade(active),
            monitor: self.monitor.clone(),
            outbox: outbox.clone(),
        });
        let recording = recorder.clone();
        tokio::spawn(until(cancel.clone(), async move { recording.run().await }));
        for hook in self.hooks.iter() {
            let sender = Sender {
                hook: hook.clone(),
                instance: self.instance.clone(),
                outbox: outbox.clone(),
                active: Arc::downgrade(active),
            };
            tokio::spawn(until(cancel.clone(), sender.run()));
        }
        *self.followed.lock() = Some(FollowedSync {
            outbox,
            recorder,
            cancel,
        });
    }

    /// Ends recording and sending: this host has no active sync any more. The next host sends what is left.
    pub(crate) fn leave(&self) {
        *self.followed.lock() = None;
    }

    /// Waits until every occurrence so far is recorded and received, for at most `limit`. Cancel safe.
    pub(crate) async fn settle(&self, limit: Duration) {
        let until = Moment::now() + limit;
        while until.remaining().is_some() && !self.is_settled() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn is_settled(&self) -> bool {
        let followed = self.followed.lock();
        followed.as_ref().is_none_or(|sync| {
            sync.recorder.is_up_to_date() && sync.outbox.is_received(&self.hooks)
        })
    }

    /// The occurrence of a live upgrade, to be persisted in one transaction with the history entry. `None` if no hook
    /// receives it.
    pub(crate) fn upgraded(
        &self,
        session: &SessionDocument,
        upgrade: &UpgradeDocument,
    ) -> Option<HookDocument> {
        let event = HookEvent::Upgraded;
        let pending = receivers(&self.hooks, event);
        (!pending.is_empty()).then(|| HookDocument {
            id: format!(
                "{}:{event}:{}",
                session.sync_id(),
                upgrade.at.timestamp_millis()
            ),
            event,
            at: Some(upgrade.at),
            message: format!(
                "Release {} has taken the sync over from release {}.",
                upgrade.to_binary, upgrade.from_binary
            ),
            details: bson::doc! { "from": &upgrade.from_binary, "to": &upgrade.to_binary },
            fact: true,
            pending,
        })
    }
}

/// Names of the hooks that receive an event.
fn receivers(hooks: &[Arc<HookOptions>], event: HookEvent) -> Vec<String> {
    let receiving = hooks.iter().filter(|hook| hook.events.contains(&event));
    receiving.map(|hook| hook.name.clone()).collect()
}

/// Runs a task until it ends or is cancelled.
async fn until(cancel: CancellationToken, task: impl Future<Output = ()>) {
    tokio::select! {
        () = task => {}
        () = cancel.cancelled() => {}
    }
}

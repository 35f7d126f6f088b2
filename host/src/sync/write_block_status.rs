//! The write blocks of a sync as they were last seen, for `/progress` and for the steps of commit.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tokio::sync::{Notify, watch};

use super::throttle_status::Side;
use crate::mongo::Moment;

/// The blocks of both clusters.
#[derive(Debug, Default)]
pub struct WriteBlockStatus {
    source: SideStatus,
    destination: SideStatus,
    open_source: AtomicBool,
}

#[derive(Debug, Default)]
struct SideStatus {
    view: watch::Sender<BlockView>,
    /// Asks the keeper for a look at once.
    look: Notify,
}

/// The block of a cluster, as it was last seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockView {
    /// Whether the cluster is blocked; `None` before the first look, and where the sync sets no block.
    pub is_blocked: Option<bool>,
    /// True if the cluster is in the state that the sync wants.
    pub is_settled: bool,
    /// The beginning of that look.
    pub seen_at: Option<Moment>,
    /// True if the cluster was blocked before the sync asked for it.
    pub is_foreign: bool,
    /// A sentence for the operator: the reason for which the cluster is not in the state that the sync wants.
    pub obstacle: Option<String>,
}

impl WriteBlockStatus {
    fn of(&self, side: Side) -> &SideStatus {
        match side {
            Side::Source => &self.source,
            Side::Destination => &self.destination,
        }
    }

    /// The block of the source.
    pub fn source(&self) -> BlockView {
        self.source.view.borrow().clone()
    }

    /// The block of the destination.
    pub fn destination(&self) -> BlockView {
        self.destination.view.borrow().clone()
    }

    /// Shows a look. An obstacle is kept until the cluster is settled.
    pub(super) fn show(&self, side: Side, mut view: BlockView) {
        self.of(side).view.send_modify(|shown| {
            if !view.is_settled {
                view.obstacle = shown.obstacle.take();
            }
            *shown = view;
        });
    }

    /// Shows an obstacle, and keeps the rest.
    pub(super) fn hold_up(&self, side: Side, obstacle: String) {
        self.of(side).view.send_modify(|shown| {
            if shown.obstacle.is_none() {
                tracing::warn!(cluster = side.name(), obstacle, "write block");
            }
            shown.obstacle = Some(obstacle);
        });
    }

    /// Waits until a look that began after `since` has found the cluster in the wanted state. Cancel safe.
    pub(super) async fn settled(&self, side: Side, since: Moment) {
        let of_side = self.of(side);
        of_side.look.notify_one();
        let mut seen = of_side.view.subscribe();
        // The sender lives as long as `self`.
        _ = seen
            .wait_for(|view| view.is_settled && view.seen_at.is_some_and(|at| at >= since))
            .await;
    }

    /// Asks for the end of the source's block before that is persisted: the destination does not answer, and
    /// applications wait. Invariant: no work of this host runs, and work that begins again takes another commit time.
    pub fn open_source(&self) {
        self.open_source.store(true, Relaxed);
        self.source.look.notify_one();
    }

    /// Takes [`Self::open_source`] back, when work begins.
    pub(super) fn work_begins(&self) {
        self.open_source.store(false, Relaxed);
    }

    /// Whether the source is to be opened although the session wants its block.
    pub(super) fn opens_source(&self) -> bool {
        self.open_source.load(Relaxed)
    }

    /// Waits until a look is asked for. Cancel safe.
    pub(super) async fn look_asked(&self, side: Side) {
        self.of(side).look.notified().await;
    }

    /// Like `settled`, for the source.
    pub async fn source_settled(&self, since: Moment) {
        self.settled(Side::Source, since).await;
    }

    /// Like `settled`, for the destination at the start.
    pub async fn destination_settled(&self, since: Moment) {
        self.settled(Side::Destination, since).await;
    }
}

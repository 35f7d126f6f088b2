//! A fault at one command of a run: the rule of the proxy, and the actions of an operator meanwhile.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use bson::doc;
use futures::future::LocalBoxFuture;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};

use super::{
    crew::{Crew, DEADLINE},
    kind::{Kind, Side, is_write},
    name::Name,
    stage::Clusters,
    writes::Writes,
};
use crate::{
    proxy::{AsyncCall, Command, Held, Then, any},
    replica_set::Isolated,
};

/// For how long a late command waits for newer writes to be applied.
const NEWER: Duration = Duration::from_millis(2500);

/// A fault that waits for its command.
pub(super) struct Injection {
    seen: watch::Receiver<Vec<Command>>,
    /// The result of the fault's work; `None` for a fault that ends at once.
    over: Option<oneshot::Receiver<Result<()>>>,
}

/// Why a command is late.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Late {
    /// The host has sent it again by then.
    Repeated,
    /// The host is dead.
    Killed,
    /// The host cannot be heard.
    CutOff,
    /// The host has given the sync away.
    HandedOver,
    /// The host has paused, and gone on.
    Paused,
}

/// Whether a pause that a fault has asked for waits for the command that is kept.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pause {
    Done,
    HeldUp,
}

/// Actions of a fault in addition to its rule, driven concurrently with the script.
pub(super) type Work = LocalBoxFuture<'static, ()>;

/// Tools for the work of a fault.
#[derive(Clone)]
struct Scene {
    clusters: Arc<Clusters>,
    crew: Arc<Crew>,
    side: Side,
}

impl Injection {
    /// `worker`: the place of the host that works on the sync when the phase begins.
    pub(super) fn install(
        name: &Name,
        clusters: &Arc<Clusters>,
        crew: &Arc<Crew>,
        worker: usize,
    ) -> (Self, Work) {
        let ordinal = name.place.ordinal(worker);
        let scene = Scene {
            clusters: clusters.clone(),
            crew: crew.clone(),
            side: name.place.side(),
        };
        let on = clusters.proxy(scene.side).on(name.place.pattern(ordinal));
        let faulted = match name.kind {
            Kind::HeldPastTakeover => return Self::held(on.hold(), scene, Late::Killed),
            Kind::HeldPastHandover => return Self::held(on.hold(), scene, Late::HandedOver),
            Kind::HeldPastPause => return Self::held(on.hold(), scene, Late::Paused),
            Kind::HeldAcrossCut => return Self::held(on.hold_and_cut(), scene, Late::Repeated),
            Kind::CutOff => return Self::held(on.hold(), scene, Late::CutOff),
            Kind::Stopped => {
                let stopped = on.before(scene.stops());
                let seen = stopped.receiver();
                return Self::with(seen.clone(), scene.go_on_late(seen));
            }
            Kind::RolledBack => {
                let (tell, isolated) = mpsc::unbounded_channel();
                let rolled_back = on.before(scene.isolates(tell));
                return Self::with(rolled_back.receiver(), roll_back(isolated));
            }
            Kind::CutBefore => on.cut_before(),
            Kind::CutAfter => on.cut_after(),
            Kind::Answered(failure) => on.answer_as_server(failure),
            Kind::NotDurable(error) => on.write_concern_error(error),
            Kind::KilledBefore => on.before(scene.kills()),
            Kind::KilledTwice => {
                scene.kills_the_next(name, ordinal);
                on.after(scene.kills())
            }
            Kind::KilledAfter => on.after(scene.kills()),
            Kind::StepDownBefore => on.before(scene.steps_down()),
            Kind::StepDownAfter => on.after(scene.steps_down()),
        };
        let seen = faulted.receiver();
        let over = None;
        (Self { seen, over }, Box::pin(std::future::pending()))
    }

    fn held(held: Held, scene: Scene, late: Late) -> (Self, Work) {
        Self::with(held.receiver(), scene.release_late(held, late))
    }

    fn with(
        seen: watch::Receiver<Vec<Command>>,
        work: impl Future<Output = Result<()>> + 'static,
    ) -> (Self, Work) {
        let (tell, over) = oneshot::channel();
        let work = async move {
            // The receiver is gone if the script has failed.
            let _ = tell.send(work.await);
            std::future::pending().await
        };
        let over = Some(over);
        (Self { seen, over }, Box::pin(work))
    }

    /// True if the command has come.
    pub(super) fn is_met(&self) -> bool {
        !self.seen.borrow().is_empty()
    }

    /// Waits until the fault is over, if its command has come.
    pub(super) async fn settle(&mut self) -> Result<()> {
        if !self.is_met() {
            return Ok(());
        }
        let Some(over) = self.over.take() else {
            return Ok(());
        };
        let done = timeout(DEADLINE, over).await;
        done.context("the fault is not over in time")??
            .context("what the fault does")
    }
}

/// Rolls back the writes of an isolated primary.
async fn roll_back(mut isolated: mpsc::UnboundedReceiver<Result<Isolated>>) -> Result<()> {
    let isolated = isolated.recv().await.context("the rule is gone")??;
    isolated.wait_for_write().await?;
    isolated.replace().await
}

impl Scene {
    fn kills(&self) -> impl AsyncCall {
        let crew = self.crew.clone();
        move |command: Command| {
            // A host that has gone already is as dead.
            let _ = crew.kill(command.ordinal);
            std::future::ready(Then::Cut)
        }
    }

    fn steps_down(&self) -> impl AsyncCall {
        let (clusters, side) = (self.clusters.clone(), self.side);
        move |_| {
            let clusters = clusters.clone();
            async move {
                // Refused if there is no primary any more, which is as good as a step-down.
                let step_down =
                    doc! { "replSetStepDown": 1, "secondaryCatchUpPeriodSecs": 0, "force": true };
                let _ = clusters.set(side).admin(step_down).await;
                Then::GoOn
            }
        }
    }

    /// Kills the next host at one of its first writes. The name of the run selects the write.
    fn kills_the_next(&self, name: &Name, ordinal: usize) {
        const WRITES: usize = 16;
        let turn: usize = name.to_string().bytes().map(usize::from).sum();
        let nth = u64::try_from(turn % WRITES).unwrap_or(0) + 1;
        let phase = name.place.phase.clone();
        let is_next = move |command: &Command| {
            command.ordinal > ordinal && is_write(command) && command.phase == phase
        };
        let proxy = self.clusters.proxy(Side::Destination);
        proxy.on(any().when(is_next).nth(nth)).before(self.kills());
    }

    /// Forwards a command to a primary that no member follows.
    fn isolates(&self, tell: mpsc::UnboundedSender<Result<Isolated>>) -> impl AsyncCall {
        let (clusters, side) = (self.clusters.clone(), self.side);
        move |_| {
            let (clusters, tell) = (clusters.clone(), tell.clone());
            async move {
                let isolated = clusters.set(side).isolate_primary().await;
                // The receiver is gone if the script has failed.
                let _ = tell.send(isolated);
                Then::GoOn
            }
        }
    }

    fn stops(&self) -> impl AsyncCall {
        let crew = self.crew.clone();
        move |command: Command| {
            let stopped = crew.freeze(command.ordinal);
            std::future::ready(if stopped.is_ok() {
                Then::GoOn
            } else {
                Then::Cut
            })
        }
    }

    /// Keeps a command until the sync has gone on without it.
    async fn release_late(self, held: Held, late: Late) -> Result<()> {
        let command = held.wait().await?;
        let proxy = self.clusters.proxy(self.side);
        let pauses = matches!(late, Late::Paused).then(|| self.crew.allow_pause());
        let gone_on = self.go_on_without(&command, late).await;
        // An answer that never comes, as of a build that waits, is none of a late command's.
        let released = timeout(NEWER, held.release()).await;
        drop(released);
        proxy.mend(&command.client);
        self.crew.ignore(None);
        if gone_on? == Pause::HeldUp {
            // The command arrives now. The next command follows it, and is resumed.
            self.crew.pause_and_resume().await?;
        }
        drop(pauses);
        Ok(())
    }

    /// Brings the sync on while a command is kept.
    async fn go_on_without(&self, command: &Command, late: Late) -> Result<Pause> {
        let mut pause = Pause::Done;
        match late {
            Late::Repeated => {}
            // A host that is taking the sync over cannot pause before it has its answer.
            Late::Paused => {
                if timeout(NEWER, self.crew.pause_and_resume()).await.is_err() {
                    pause = Pause::HeldUp;
                }
            }
            Late::Killed => {
                self.crew.kill(command.ordinal)?;
                self.crew.hire().await?;
            }
            Late::CutOff => {
                self.clusters.proxy(self.side).stall(&command.client);
                self.crew.ignore(Some(command.ordinal));
                self.crew.hire().await?;
            }
            Late::HandedOver => {
                self.crew.hire().await?;
                let handed_over = self.crew.hand_over(command.ordinal);
                if timeout(NEWER, handed_over).await.is_err() {
                    self.crew.kill(command.ordinal)?;
                }
            }
        }
        if matches!(late, Late::Killed | Late::CutOff | Late::HandedOver) {
            self.taken_over(command).await?;
        }
        self.write_newer(command).await?;
        Ok(pause)
    }

    /// Stops a host until the next host has written.
    async fn go_on_late(self, seen: watch::Receiver<Vec<Command>>) -> Result<()> {
        let mut seen = seen;
        let seen = seen.wait_for(|seen| !seen.is_empty()).await;
        let command = seen.ok().and_then(|seen| seen.first().cloned());
        let command = command.context("the rule is gone")?;
        let gone_on = async {
            self.crew.hire().await?;
            self.taken_over(&command).await?;
            self.write_newer(&command).await
        };
        let gone_on: Result<()> = gone_on.await;
        self.crew.thaw(command.ordinal)?;
        gone_on
    }

    /// Waits until another host works on the sync.
    async fn taken_over(&self, command: &Command) -> Result<()> {
        let before = command.ordinal;
        self.crew
            .wait("another host works on the sync", |worker| {
                worker.place != before
            })
            .await?;
        Ok(())
    }

    /// Writes on the source, and waits for a while until that is applied.
    async fn write_newer(&self, command: &Command) -> Result<()> {
        if command.phase == super::COMMIT {
            // Writes after the commit are not synced.
            return self.wait_for_commit().await;
        }
        Writes::new(self.clusters.source.client())
            .newer(command)
            .await?;
        let time = self.clusters.source_time().await?;
        let begun = Instant::now();
        while begun.elapsed() < NEWER {
            let worker = self.crew.worker().await;
            if worker.is_some_and(|worker| worker.has_applied(time)) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Waits for a while until the sync has ended without the command.
    async fn wait_for_commit(&self) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < NEWER {
            let worker = self.crew.worker().await;
            if worker.is_some_and(|worker| worker.state() == "COMMITTED") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

//! The course of a sync, with the failures of its plan.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bson::Timestamp;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    failure::Timed,
    host::Keeper,
    plan::{Course, Plan},
    rig::Cluster,
    stage::Clusters,
};
use crate::{
    Writer,
    host::{can_commit, number, text},
    workload::{Pace, dataset},
};

/// Documents of a run.
pub(super) const DOCUMENTS: u64 = 600;

/// For how long each message of the host travels while collections are copied, so that failures meet the copy.
const IN_COPY: Duration = Duration::from_millis(15);
/// The clients that this delay concerns. Another name than that of failures, which end theirs.
const COPIER: &str = "tidegate ";

/// For how long a sync stays paused.
const PAUSED: Duration = Duration::from_millis(1_500);

/// For how long the source is written to before a commit with failures.
const BEFORE_COMMIT: Duration = Duration::from_secs(2);

/// The clusters that a sync with a way back blocks.
const BLOCKS: &str = "sourceAndDestination";

/// The sync of a run.
pub(super) struct Migration<'a> {
    pub(super) clusters: &'a Clusters,
    pub(super) keeper: &'a Keeper,
    pub(super) plan: &'a Plan,
}

impl Migration<'_> {
    /// Plays the sync to COMMITTED.
    pub(super) async fn play(&self) -> Result<()> {
        match self.plan.course {
            Course::Copy => {
                self.delay_copy();
                self.beside_failures(self.start()).await?;
                self.clusters.source.proxy.mend(COPIER);
                self.clusters.destination.proxy.mend(COPIER);
            }
            Course::Changes => {
                self.start_and_copy().await?;
                self.beside_failures(async { Ok(()) }).await?;
            }
            Course::Pause => {
                self.start_and_copy().await?;
                self.beside_failures(self.pause()).await?;
            }
            Course::Commit => {
                self.start_and_copy().await?;
                let writer = self.writer().await?;
                sleep(BEFORE_COMMIT).await;
                self.end_writes(writer).await?;
                // A primary that is parted for a short time is elected again, with its writes.
                self.clusters.source.set_quiet(true);
                let ended = tokio::try_join!(self.commit(), self.failures());
                self.clusters.source.set_quiet(false);
                return ended.map(drop);
            }
            Course::Reverse => {
                self.start_and_copy().await?;
                self.commit().await?;
                // Applications write to the destination from now on.
                self.clusters.source.set_quiet(true);
                self.clusters.destination.set_quiet(false);
                self.beside_failures(self.reverse()).await?;
            }
        }
        self.commit().await
    }

    /// The cluster that applications write to while the failures happen.
    fn written_to(&self) -> &Cluster {
        match self.plan.course {
            Course::Reverse => &self.clusters.destination,
            _ => &self.clusters.source,
        }
    }

    async fn start_and_copy(&self) -> Result<()> {
        self.start().await?;
        self.keeper.wait("canCommit", can_commit).await?;
        Ok(())
    }

    async fn writer(&self) -> Result<Writer> {
        // A cluster that is away for long leaves time for few writes a second.
        let pace = match self.plan.away() > Duration::from_secs(60) {
            true => Pace {
                operations_per_second: 20,
                ddl_every: Some(Duration::from_secs(5)),
            },
            false => Pace {
                operations_per_second: 60,
                ddl_every: self.plan.ddl.then(|| Duration::from_millis(1_000)),
            },
        };
        let client = self.written_to().hasty_client().await?;
        Ok(Writer::through_failures(
            &client,
            DOCUMENTS,
            self.plan.seed,
            pace,
        ))
    }

    fn delay_copy(&self) {
        for cluster in self.clusters.both() {
            cluster.proxy.delay(COPIER, IN_COPY);
        }
    }

    /// Drives a part of the course while the failures happen, beside writes. Returns when all have ended and the
    /// writes are applied.
    async fn beside_failures(&self, part: impl Future<Output = Result<()>>) -> Result<()> {
        let writer = self.writer().await?;
        tokio::try_join!(part, self.failures())?;
        self.end_writes(writer).await
    }

    async fn failures(&self) -> Result<()> {
        let mut begins = Duration::ZERO;
        let failures = self.plan.failures.iter().map(|timed| {
            begins += timed.after;
            self.failure(timed, begins)
        });
        futures::future::try_join_all(failures.collect::<Vec<_>>())
            .await
            .map(drop)
    }

    async fn failure(&self, timed: &Timed, begins: Duration) -> Result<()> {
        sleep(begins).await;
        let at = self.clusters.of(timed.side);
        timed.failure.happen(at, self.keeper).await
    }

    async fn start(&self) -> Result<()> {
        let mut body = json!({ "source": "cluster0", "destination": "cluster1" });
        if let (Some(body), Some(filters)) = (body.as_object_mut(), dataset::filters().as_object())
        {
            body.extend(filters.clone());
            if self.plan.course == Course::Reverse {
                body.insert("reversible".to_owned(), json!(true));
                body.insert("enableUserWriteBlocking".to_owned(), json!(BLOCKS));
            }
        }
        let begun = |progress: &Value| !["", "IDLE"].contains(&text(progress, "state"));
        let start = async |_: &Value| self.keeper.post("/api/v1/start", &body).await;
        self.keeper.until("the sync begins", begun, start).await?;
        Ok(())
    }

    /// Turns the committed sync round.
    async fn reverse(&self) -> Result<()> {
        let turned = |progress: &Value| text(progress, "state") == "RUNNING";
        let ask = async |_: &Value| self.keeper.post("/api/v1/reverse", &json!({})).await;
        self.keeper.until("the sync runs back", turned, ask).await?;
        Ok(())
    }

    async fn pause(&self) -> Result<()> {
        sleep(Duration::from_secs(1)).await;
        self.keeper.reach("PAUSED", "/api/v1/pause").await?;
        sleep(PAUSED).await;
        self.keeper.reach("RUNNING", "/api/v1/resume").await
    }

    /// Ends the writes, and waits until they are applied.
    async fn end_writes(&self, writer: Writer) -> Result<()> {
        let counts = writer.stop().await.context("the writer")?;
        ensure!(counts.total() > 20, "little was written: {counts:?}");
        let time = self.written_to().time().await?;
        self.keeper
            .wait("all writes are applied", |progress| {
                can_commit(progress) && has_applied(progress, time)
            })
            .await?;
        Ok(())
    }

    async fn commit(&self) -> Result<()> {
        let committed = |progress: &Value| text(progress, "state") == "COMMITTED";
        let ask = async |progress: &Value| {
            if text(progress, "state") == "RUNNING" && can_commit(progress) {
                self.keeper.post("/api/v1/commit", &json!({})).await?;
            }
            Ok(())
        };
        let ended = self.keeper.until("COMMITTED", committed, ask).await?;
        let mismatches = number(&ended, "/verification/mismatches");
        ensure!(
            mismatches == 0,
            "the verification has found {mismatches} differences"
        );
        Ok(())
    }
}

/// Whether everything up to this time of the source is applied.
fn has_applied(progress: &Value, time: Timestamp) -> bool {
    let shown = progress.pointer("/positions/reported/clusterTime");
    let number = |name: &str| u32::try_from(shown?.get(name)?.as_u64()?).ok();
    let (Some(seconds), Some(increment)) = (number("T"), number("I")) else {
        return false;
    };
    (seconds, increment) >= (time.time, time.increment)
}

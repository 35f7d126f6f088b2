//! The workers of a copy: copiers, which plan collections and copy or compare partitions, and
//! builders of indexes. They report to the event loop.

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, task::JoinSet};
use tracing::Instrument;

use super::{
    plan,
    range_comparison::compare_range,
    report::{CopyReport, Reports},
    split::split,
    worker::{PartitionCopier, PartitionEnd},
};
use crate::{
    metadata::PartitionDocument,
    model::event::CollectionUuid,
    mongo::listing,
    observe::failpoint,
    sync::{
        Context, Error, Workers, index_build,
        partitions::{PartitionJob, TakenJob},
    },
};

/// The time that workers have to leave their partitions.
const GRACE: Duration = Duration::from_millis(500);

/// Collections whose indexes are built in parallel.
const PARALLEL_BUILDS: usize = 2;

/// The workers of a copy. Dropping it ends them at once.
pub(in crate::sync) struct CopyPool {
    context: Arc<Context>,
    reports: mpsc::UnboundedReceiver<CopyReport>,
    workers: JoinSet<()>,
}

impl CopyPool {
    /// Starts the workers, which wait for jobs.
    pub(in crate::sync) fn start(context: &Arc<Context>) -> Self {
        let (sender, reports) = mpsc::unbounded_channel();
        let mut workers = JoinSet::new();
        for number in 0..Workers::MOST {
            let span = tracing::info_span!("copier", number);
            workers.spawn(copier(context.clone(), sender.clone()).instrument(span));
        }
        for number in 0..PARALLEL_BUILDS {
            let span = tracing::info_span!("index_builder", number);
            workers.spawn(builder(context.clone(), sender.clone()).instrument(span));
        }
        Self {
            context: context.clone(),
            reports,
            workers,
        }
    }

    /// The next report. A worker that panics is reported as failed: its partition would wait for ever.
    ///
    /// Cancel safe.
    pub(in crate::sync) async fn next(&mut self) -> CopyReport {
        loop {
            tokio::select! {
                biased;
                Some(report) = self.reports.recv() => return report,
                Some(ended) = self.workers.join_next() => {
                    if let Err(error) = ended {
                        return CopyReport::Failed(error.into());
                    }
                }
                // Workers end when the work is cancelled, which the event loop hears itself.
                else => std::future::pending().await,
            }
        }
    }

    /// Waits until all workers have left their partitions at a batch boundary. A worker that waits for
    /// a cluster is dropped, which leaves its partition as a kill does.
    pub(in crate::sync) async fn stop(&mut self) {
        self.context.partitions.close();
        let left = async { while self.workers.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, left).await.is_err() {
            self.workers.shutdown().await;
        }
    }
}

/// Takes jobs until the map is closed, or a job fails.
async fn copier(context: Arc<Context>, reports: Reports) {
    let mut turn = context.workers.turn().await;
    loop {
        if turn.is_excess() {
            drop(turn);
            turn = context.workers.turn().await;
        }
        let Some(job) = context.partitions.next_job().await else {
            return;
        };
        let done = match job {
            TakenJob::Plan(taken) => plan::plan(&context, taken, &reports).await,
            TakenJob::Copy(job) => copy(&context, *job, &reports).await,
        };
        if !report_failure(&reports, done) {
            return;
        }
    }
}

/// Builds indexes until the map is closed, or a build fails.
async fn builder(context: Arc<Context>, reports: Reports) {
    while let Some((namespace, stay)) = context.partitions.next_build().await {
        failpoint("indexes_begun");
        let built = tokio::select! {
            built = index_build::build_recorded(&context, &namespace) => built,
            // The server goes on with a build, and the next `createIndexes` waits for it.
            () = stay.withdrawn() => continue,
            () = context.cancel.cancelled() => return,
        };
        let uuid = stay.uuid();
        let done = built.map(|()| {
            let report = CopyReport::IndexesBuilt { uuid, namespace };
            // The receiver is gone when the work has ended.
            let _ = reports.send(report);
        });
        drop(stay);
        if !report_failure(&reports, done) {
            return;
        }
    }
}

fn report_failure(reports: &Reports, done: Result<(), Error>) -> bool {
    match done {
        Ok(()) => true,
        Err(Error::Cancelled) => false,
        Err(error) => {
            let _ = reports.send(CopyReport::Failed(error));
            false
        }
    }
}

/// Copies or compares a partition, and reports it as done.
async fn copy(context: &Context, job: PartitionJob, reports: &Reports) -> Result<(), Error> {
    let (uuid, generation) = (job.stay.uuid(), job.generation);
    let copier = PartitionCopier {
        context,
        chain: context.chain.of(&job.namespace.source)?,
        namespace: job.namespace,
        average_bytes: job.average_bytes,
        after: job.after,
        stay: Some(&job.stay),
    };
    let mut partition = job.partition;
    if job.may_be_split {
        partition = split(&copier, partition, generation, reports).await?;
    }
    let mut end = PartitionEnd::Left(partition.clone());
    let is_compared = partition.compare && !partition.begun;
    if !is_compared || !compare_range(&copier, &partition, generation, &mut end).await? {
        end = copier.run(partition).await?;
    }
    match end {
        PartitionEnd::Done(partition) => {
            finish(context, (uuid, generation), partition, reports).await
        }
        PartitionEnd::Left(partition) => {
            context.partitions.put_back((uuid, generation), partition);
            Ok(())
        }
    }
}

async fn finish(
    context: &Context,
    plan: (CollectionUuid, u64),
    partition: PartitionDocument,
    reports: &Reports,
) -> Result<(), Error> {
    failpoint("copy_partition_done");
    let at = listing::operation_time(&context.source).await?;
    let report = CopyReport::Done {
        plan,
        partition,
        at,
    };
    let _ = reports.send(report);
    Ok(())
}

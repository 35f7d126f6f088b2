//! The workers of a verification: each compares one partition at a time.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::task::JoinSet;

use super::{
    clusters::ClusterPair,
    collection::CollectionPartition,
    ledger::Ledger,
    range::{RangeComparison, RangeEnd},
    settling::Settlement,
};
use crate::sync::Error;

/// The partitions that are left, and what the workers share.
struct Jobs {
    pair: Arc<ClusterPair>,
    ledger: Arc<Ledger>,
    settlement: Settlement,
    left: Mutex<VecDeque<CollectionPartition>>,
    busy: AtomicUsize,
}

/// Compares `partitions`, and waits until each key that differed is decided. The first failure ends all work.
pub(super) async fn compare(
    pair: &Arc<ClusterPair>,
    ledger: &Arc<Ledger>,
    partitions: Vec<CollectionPartition>,
) -> Result<(), Error> {
    if partitions.is_empty() {
        return Ok(());
    }
    let workers = pair.options.workers.max(1);
    let jobs = Arc::new(Jobs {
        pair: pair.clone(),
        ledger: ledger.clone(),
        settlement: Settlement::new(),
        left: Mutex::new(partitions.into()),
        busy: AtomicUsize::new(workers),
    });
    let mut tasks = JoinSet::new();
    let settled = jobs.clone();
    tasks.spawn(async move { settled.settlement.run(&settled.pair, &settled.ledger).await });
    for _ in 0..workers {
        tasks.spawn(work(jobs.clone()));
    }
    while let Some(ended) = tasks.join_next().await {
        // The other tasks are aborted when the set is dropped.
        ended??;
    }
    Ok(())
}

async fn work(jobs: Arc<Jobs>) -> Result<(), Error> {
    loop {
        let next = jobs.left.lock().pop_front();
        let Some(job) = next.filter(|_| !jobs.ledger.is_cut_short()) else {
            break;
        };
        let id = job.partition.id.clone();
        let shared = (&*jobs.ledger, &jobs.settlement);
        match RangeComparison::new(&jobs.pair, shared, job).run().await {
            Ok(RangeEnd::Complete) => jobs.ledger.read(&id),
            Ok(RangeEnd::Gone) => jobs.ledger.forget(&id.collection),
            Ok(RangeEnd::CutShort) => break,
            // The settlement has closed its room, since the verification is cut short.
            Err(Error::Cancelled) if jobs.ledger.is_cut_short() => break,
            Err(error) => return Err(error),
        }
    }
    if jobs.busy.fetch_sub(1, Ordering::AcqRel) == 1 {
        jobs.settlement.close();
    }
    Ok(())
}

//! Holds the lease on a sync: renews it, and closes the fence when it is lost.
//!
//! Invariant: the fence is open only while this host holds the lease. The time for writing begins when a renewal
//! is *sent*, by the monotonic clock of this machine, and is shorter than the lease by a margin. The lease
//! itself begins later, when the server has received the renewal. So writing ends before the lease does, and no
//! clock of a host has to be right.

pub(super) mod pause;
pub(super) mod process;

use std::{convert::Infallible, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    metadata::{self, Claim, LeaseDocument, Tenure},
    mongo::{
        self, Client, Destination, Fence, FenceKeeper, GuardCounts, Moment, end_transactions,
        end_writes,
    },
    observe::failpoint,
    sync::Status,
};
use process::app_name;

/// Writing ends 1/`MARGIN` of the lease's duration before the lease.
const MARGIN: u32 = 5;
/// Renewals within the lease's duration.
const RENEWALS: u32 = 5;
/// A renewal is slow from 1/`SLOW` of the lease's duration on.
const SLOW: u32 = 3;
/// Time after which transactions of the previous holder are in the way of a new term.
const LATE_TRANSACTIONS_AFTER: Duration = Duration::from_secs(1);
/// Time that the end of the process waits for the release of the lease.
const ABANDON_WITHIN: Duration = Duration::from_secs(1);

/// The lease on a sync while this host holds it. Dropping it ends the renewals; the lease then expires by
/// itself.
pub(crate) struct Lease {
    document: LeaseDocument,
    counts: GuardCounts,
    reader: metadata::Reader,
    keeper: Arc<FenceKeeper>,
    status: Arc<Status>,
    slowness: RenewalDelay,
    lost: CancellationToken,
    renewal: JoinHandle<()>,
}

/// Duration of the last renewal, if it left little or no time for writing.
#[derive(Clone, Default)]
struct RenewalDelay(Arc<Mutex<Option<Duration>>>);

impl RenewalDelay {
    fn note(&self, took: Duration, duration: Duration) {
        let mut slow = self.0.lock();
        let is_slow = took > duration / SLOW;
        if is_slow && slow.is_none() {
            tracing::info!(took = ?took, lease = ?duration, "the renewal of the lease is slow");
        }
        *slow = is_slow.then_some(took);
    }
}

/// The lease as it was granted: the document, the guard counts of the new term, and the time of the request.
pub(crate) struct LeaseGrant {
    /// The granted lease.
    pub(crate) document: LeaseDocument,
    /// Counts of the guard documents at the start of the term.
    counts: GuardCounts,
    /// The time at which the lease was requested.
    pub(crate) at: Moment,
}

/// Takes the lease if it is free, expired, or held by the dead holder `dead`, and begins a new term. `None` if
/// another host holds it. If the previous holder has not released the lease, its pending writes are ended first.
///
/// Not cancel safe: dropped after the lease was taken, it leaves a lease that expires by itself.
pub(crate) async fn take(
    destination: &Client,
    reader: &metadata::Reader,
    claim: &Claim,
    dead: Option<&str>,
) -> Result<Option<LeaseGrant>, mongo::Error> {
    failpoint("lease_taking");
    let at = Moment::now();
    let Some(document) = reader.take_lease(claim, dead).await? else {
        return Ok(None);
    };
    failpoint("lease_taken");
    if let Some(before) = document.predecessor.as_ref().filter(|one| !one.released) {
        end_writes(destination, &app_name(&before.release, &before.holder)).await?;
    }
    let counts = tokio::select! {
        counts = reader.begin_term(document.term) => counts?,
        never = abort_late_transactions(destination, &document) => match never {},
    };
    failpoint("term_begun");
    Ok(Some(LeaseGrant {
        document,
        counts,
        at,
    }))
}

/// Aborts transactions of the previous holder for as long as the new term is being begun, which waits for them. A
/// command that the server reads after the holder has released its lease, or has been ended, begins a transaction
/// that no host finishes: it would block the guards for a minute (`transactionLifetimeLimitSeconds`).
///
/// Cancel safe.
async fn abort_late_transactions(destination: &Client, lease: &LeaseDocument) -> Infallible {
    loop {
        tokio::time::sleep(LATE_TRANSACTIONS_AFTER).await;
        let Some(before) = &lease.predecessor else {
            continue;
        };
        tracing::info!(
            holder = before.holder,
            "the new term is slow to begin; aborting transactions that the previous holder may have left open"
        );
        let name = app_name(&before.release, &before.holder);
        if let Err(error) = end_transactions(destination, &name).await {
            tracing::info!(error = %error, "transactions of the previous holder were not aborted");
        }
    }
}

impl Lease {
    /// Keeps the granted lease: renews it in the background until it is released or lost. The fence is open from
    /// now on.
    pub(crate) fn hold(
        reader: metadata::Reader,
        taken: LeaseGrant,
        duration: Duration,
        status: Arc<Status>,
    ) -> Self {
        let LeaseGrant {
            document,
            counts,
            at,
        } = taken;
        tracing::info!(
            term = document.term,
            holder = document.holder,
            "lease taken"
        );
        let keeper = Arc::new(FenceKeeper::new(at + writing(duration)));
        let lost = CancellationToken::new();
        let slowness = RenewalDelay::default();
        let renewal = Renewal {
            reader: reader.clone(),
            document: document.clone(),
            duration,
            keeper: keeper.clone(),
            status: status.clone(),
            slowness: slowness.clone(),
        };
        let ended = lost.clone();
        let renewal = tokio::spawn(async move {
            renewal.run().await;
            ended.cancel();
        });
        Self {
            document,
            counts,
            reader,
            keeper,
            status,
            slowness,
            lost,
            renewal,
        }
    }

    /// A warning for operators while majority writes of the destination are too slow for the lease.
    pub(crate) fn warning(&self) -> Option<String> {
        let slow = *self.slowness.0.lock();
        slow.map(|took| {
            format!(
                "The destination took {:.1} seconds to make the last renewal of the lease durable on a majority. Nothing is written \
                 while the lease waits. Raise leaseSeconds on every host to more than three times that, and restart them one by one; \
                 or find out why the destination's secondaries lag.",
                took.as_secs_f32()
            )
        })
    }

    /// The lease as it was granted.
    pub(crate) fn document(&self) -> &LeaseDocument {
        &self.document
    }

    /// The fence: open while writing is allowed.
    pub(crate) fn fence(&self) -> Fence {
        self.keeper.fence()
    }

    /// The right to write of this host: the key of the lease, and the fence.
    pub(crate) fn tenure(&self) -> Tenure {
        Tenure {
            key: self.document.key(),
            fence: self.fence(),
        }
    }

    /// Metadata for writing, in the term of this lease.
    pub(crate) fn store(&self) -> metadata::Store {
        self.reader.clone().with_lease(self.document.key())
    }

    /// The destination for writing documents, in the term of this lease.
    pub(crate) fn destination(&self, client: &Client) -> Destination {
        Destination::new(client.clone(), self.fence(), self.counts.clone())
    }

    /// Cancelled when another host has taken the lease.
    pub(crate) fn lost(&self) -> &CancellationToken {
        &self.lost
    }

    /// Releases the lease and closes the fence. Call it after the work has stopped: nothing can be written any
    /// more.
    ///
    /// # Errors
    ///
    /// After an error this host still holds the lease, and renews it.
    pub(crate) async fn release(&self) -> Result<(), mongo::Error> {
        let (key, idle) = (self.document.key(), idle(&self.status));
        let was_ours = self.reader.release_lease(&key, idle).await?;
        self.renewal.abort();
        self.keeper.close();
        tracing::info!(term = key.term, was_ours, "lease released");
        failpoint("lease_released");
        Ok(())
    }

    /// Releases the lease if the destination answers within [`ABANDON_WITHIN`]; otherwise the lease expires by
    /// itself. Closes the fence in both cases.
    pub(crate) async fn abandon(&self) {
        let released = timeout(ABANDON_WITHIN, self.release()).await;
        self.renewal.abort();
        self.keeper.close();
        match released {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::info!(error = %error, "lease not released"),
            Err(_elapsed) => tracing::info!("lease not released in time"),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

/// The task that renews a lease.
struct Renewal {
    reader: metadata::Reader,
    document: LeaseDocument,
    duration: Duration,
    keeper: Arc<FenceKeeper>,
    status: Arc<Status>,
    slowness: RenewalDelay,
}

impl Renewal {
    /// Renews the lease until another host has taken it.
    async fn run(self) {
        let key = self.document.key();
        let every = self.duration / RENEWALS;
        loop {
            tokio::time::sleep(every).await;
            let sent = Moment::now();
            let renewed = self
                .reader
                .renew_lease(&key, self.duration, idle(&self.status));
            match timeout(self.duration, renewed).await {
                Ok(Ok(true)) => {
                    self.keeper.open_until(sent + writing(self.duration));
                    self.slowness.note(sent.elapsed(), self.duration);
                }
                Ok(Ok(false)) => break,
                Ok(Err(error)) => tracing::info!(error = %error, "lease not renewed; trying again"),
                Err(_elapsed) => tracing::info!("lease not renewed in its time; trying again"),
            }
        }
        self.keeper.close();
        tracing::info!(term = key.term, "another host has taken the sync over");
    }
}

/// The part of the lease's duration in which writing is allowed.
fn writing(duration: Duration) -> Duration {
    duration - duration / MARGIN
}

/// Time since this host has last applied or copied anything.
fn idle(status: &Status) -> Option<Duration> {
    status.moved().borrow().map(Moment::elapsed)
}

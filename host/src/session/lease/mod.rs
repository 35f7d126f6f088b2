//! Holds the lease on a sync: renews it, and closes the fence when it is lost.
//!
//! Invariant: the fence is open only while the lease is ours. The time for writing
//! begins when a renewal is *sent*, by this machine's monotonic clock, and is shorter
//! than the lease by a margin; the lease's own time begins later, when the server
//! has the renewal. So writing ends before the lease does, whatever any clock says.

pub(super) mod pause;
pub(super) mod process;

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    metadata::{self, Claim, LeaseDocument, Tenure},
    mongo::{self, Client, Destination, Fence, FenceKeeper, GuardCounts, Moment, end_writes},
    observe::failpoint,
    sync::Status,
};
use process::app_name;

/// The part of the lease's time by which writing ends before it does.
const MARGIN: u32 = 5;
/// How often the lease is renewed within its time.
const RENEWALS: u32 = 5;
/// The part of the lease's time from which on a renewal is slow.
const SLOW: u32 = 3;
/// How long a host that leaves waits for the lease to be given back.
const ABANDON_WITHIN: Duration = Duration::from_secs(1);

/// The lease on a sync, while this host holds it.
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

/// How long the last renewal took, where that leaves little time for writing, or none.
#[derive(Clone, Default)]
struct RenewalDelay(Arc<Mutex<Option<Duration>>>);

impl RenewalDelay {
    fn note(&self, took: Duration, duration: Duration) {
        let mut slow = self.0.lock();
        let is_slow = took > duration / SLOW;
        if is_slow && slow.is_none() {
            tracing::info!(took = ?took, lease = ?duration, "renewing the lease takes long");
        }
        *slow = is_slow.then_some(took);
    }
}

/// When this host took the lease, for how long nothing had been applied by then, and how.
pub(crate) struct LeaseGrant {
    pub(crate) document: LeaseDocument,
    /// What the guards of its term count.
    counts: GuardCounts,
    pub(crate) at: Moment,
}

/// Takes the lease, if it is free or held by `dead`, and begins its term. A holder that has not
/// given it back may have left writes behind: they end first.
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
    let counts = reader.begin_term(document.term).await?;
    failpoint("term_begun");
    Ok(Some(LeaseGrant {
        document,
        counts,
        at,
    }))
}

impl Lease {
    /// Renews the lease from now on, until it is released or lost.
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

    /// What to tell an operator of a destination whose majorities are too slow for the lease.
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

    pub(crate) fn document(&self) -> &LeaseDocument {
        &self.document
    }

    pub(crate) fn fence(&self) -> Fence {
        self.keeper.fence()
    }

    /// The right to write of this host, for work that needs its key and its fence.
    pub(crate) fn tenure(&self) -> Tenure {
        Tenure {
            key: self.document.key(),
            fence: self.fence(),
        }
    }

    /// What the holder writes metadata with.
    pub(crate) fn store(&self) -> metadata::Store {
        self.reader.clone().with_lease(self.document.key())
    }

    /// What the holder writes documents with.
    pub(crate) fn destination(&self, client: &Client) -> Destination {
        Destination::new(client.clone(), self.fence(), self.counts.clone())
    }

    /// Cancelled when the lease is lost to another host.
    pub(crate) fn lost(&self) -> &CancellationToken {
        &self.lost
    }

    /// Gives the lease back. Nothing may be written any more: call it when the work has stopped.
    /// After an error the lease is ours still, and is renewed.
    pub(crate) async fn release(&self) -> Result<(), mongo::Error> {
        let (key, idle) = (self.document.key(), idle(&self.status));
        let was_ours = self.reader.release_lease(&key, idle).await?;
        self.renewal.abort();
        self.keeper.close();
        tracing::info!(term = key.term, was_ours, "lease released");
        failpoint("lease_released");
        Ok(())
    }

    /// Gives the lease back if the destination answers soon; else it runs out by itself. This host
    /// does not use it any more.
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

struct Renewal {
    reader: metadata::Reader,
    document: LeaseDocument,
    duration: Duration,
    keeper: Arc<FenceKeeper>,
    status: Arc<Status>,
    slowness: RenewalDelay,
}

impl Renewal {
    /// Returns when the lease is somebody else's.
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

/// The time in which may be written.
fn writing(duration: Duration) -> Duration {
    duration - duration / MARGIN
}

/// The time since this host has applied or copied anything.
fn idle(status: &Status) -> Option<Duration> {
    status.moved().borrow().map(Moment::elapsed)
}

//! The fence: a local check that stops unguarded writes of a host without a valid lease.
//!
//! A host may write until a deadline, which each renewal of the lease extends. Invariants:
//!
//! - A write begins, and any further byte of it is sent, only before the deadline. The deadline is
//!   checked before every step of the driver: a process can be stopped between two steps and go on
//!   an hour later.
//! - The server ends a write by the deadline, too: `maxTimeMS` is the remaining time. Index builds and
//!   conversions have none: they may take hours, and a repetition is harmless.
//!
//! After the deadline, writes wait for a renewal; they fail for good when another host has the lease.

use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

use tokio::sync::watch;

use super::{Error, Moment, outage};

/// End of the time for writing; `None` after the lease is lost.
type Deadline = Option<Moment>;

/// The fence, as writers hold it.
#[derive(Clone, Debug)]
pub struct Fence(watch::Receiver<Deadline>);

/// Opens and closes a fence. A dropped keeper leaves the fence closed.
#[derive(Debug)]
pub struct FenceKeeper(watch::Sender<Deadline>);

impl FenceKeeper {
    /// A fence that is open until `until`.
    pub fn new(until: Moment) -> Self {
        Self(watch::Sender::new(Some(until)))
    }

    /// The fence, for writers.
    pub fn fence(&self) -> Fence {
        Fence(self.0.subscribe())
    }

    /// Sets the deadline, after a renewal of the lease.
    pub fn open_until(&self, until: Moment) {
        self.0.send_replace(Some(until));
    }

    /// Closes the fence for good.
    pub fn close(&self) {
        self.0.send_replace(None);
    }
}

impl Fence {
    /// Runs a write, which receives the remaining time. Waits first while the fence is not open.
    ///
    /// # Errors
    /// [`Error::LeaseExpired`] if the deadline passes before the write ends: whether it was done is
    /// unknown. [`Error::Fenced`] if the lease is lost.
    ///
    /// Cancellation safety: a dropped write may have been done.
    pub async fn pass<T, W>(&self, write: impl FnOnce(Duration) -> W) -> Result<T, Error>
    where
        W: Future<Output = Result<T, Error>>,
    {
        let mut write = pin!(write(self.wait_until_open().await?));
        loop {
            let left = self.remaining()?;
            let step = poll_fn(|context| match self.remaining() {
                Ok(_) => write.as_mut().poll(context),
                Err(error) => Poll::Ready(Err(error)),
            });
            // A renewal may have extended the deadline meanwhile.
            if let Ok(done) = tokio::time::timeout(left, step).await {
                return done;
            }
        }
    }

    /// Whether a write may begin now.
    pub fn is_open(&self) -> bool {
        self.remaining().is_ok()
    }

    /// Waits until the fence is open, for at most the time of an outage. Returns the remaining time.
    async fn wait_until_open(&self) -> Result<Duration, Error> {
        let mut until = self.0.clone();
        loop {
            match self.remaining() {
                Err(Error::LeaseExpired) => {
                    tracing::debug!("a write waits until the lease is renewed");
                }
                other => return other,
            }
            match tokio::time::timeout(outage(), until.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_gone)) => return Err(Error::Fenced),
                Err(_elapsed) => return Err(Error::LeaseExpired),
            }
        }
    }

    fn remaining(&self) -> Result<Duration, Error> {
        if self.0.has_changed().is_err() {
            return Err(Error::Fenced);
        }
        let until = (*self.0.borrow()).ok_or(Error::Fenced)?;
        until.remaining().ok_or(Error::LeaseExpired)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn open() -> (FenceKeeper, Fence) {
        let keeper = FenceKeeper::new(Moment::now() + LONG);
        let fence = keeper.fence();
        (keeper, fence)
    }

    #[tokio::test]
    async fn an_open_fence_lets_writes_pass_and_says_how_long_they_may_take() {
        let (_keeper, fence) = open();
        assert!(fence.is_open());
        let left = fence.pass(async |left| Ok(left)).await.expect("open");
        assert!(left <= LONG && left > LONG / 2, "{left:?}");
    }

    #[tokio::test]
    async fn a_write_is_not_taken_a_step_further_when_its_time_is_over() {
        let (keeper, fence) = open();
        let (go_on, goes_on) = tokio::sync::oneshot::channel::<()>();
        let write = async |_| {
            goes_on.await.ok();
            panic!("goes on");
        };
        let expire = async {
            keeper.open_until(Moment::now());
            go_on.send(()).expect("waits");
        };
        let (written, ()) = tokio::join!(fence.pass::<(), _>(write), expire);
        assert!(matches!(written, Err(Error::LeaseExpired)));
        assert!(!keeper.fence().is_open());
    }

    #[tokio::test]
    async fn writes_wait_for_a_renewal_and_end_with_the_lease() {
        let keeper = FenceKeeper::new(Moment::now());
        let fence = keeper.fence();
        let renew = async { keeper.open_until(Moment::now() + LONG) };
        let (written, ()) = tokio::join!(fence.pass(async |_| Ok(1)), renew);
        assert!(matches!(written, Ok(1)));
        keeper.open_until(Moment::now());
        let close = async { keeper.close() };
        let (written, ()) = tokio::join!(fence.pass(async |_| Ok(1)), close);
        assert!(matches!(written, Err(Error::Fenced)));
        drop(keeper);
        assert!(matches!(
            fence.pass(async |_| Ok(1)).await,
            Err(Error::Fenced)
        ));
    }
}

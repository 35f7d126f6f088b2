//! The fence before the destination: who may not write any more does not.
//!
//! A host may write until a moment that whoever renews its lease moves on. Invariants:
//!
//! - a write is begun, and any further byte of it sent, only before that moment;
//!   it is looked at before every step of the driver, since a process can be
//!   stopped between any two and go on an hour later;
//! - a server gives up a write by then, too: `maxTimeMS` is what is left. Index
//!   builds and conversions have none: they may take hours, and repeating one is harmless.
//!
//! When the moment has passed, writes wait until it is moved on, or fail for good
//! when the lease is somebody else's.

use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

use tokio::sync::watch;

use super::{Error, Moment, outage};

/// Deadline when writes are allowed; `None` when they never are again.
type Deadline = Option<Moment>;

/// What every writer holds.
#[derive(Clone, Debug)]
pub struct Fence(watch::Receiver<Deadline>);

/// Opens and closes a fence. A fence whose keeper is gone is closed.
#[derive(Debug)]
pub struct FenceKeeper(watch::Sender<Deadline>);

impl FenceKeeper {
    /// A fence that is open until `until`.
    pub fn new(until: Moment) -> Self {
        Self(watch::Sender::new(Some(until)))
    }

    pub fn fence(&self) -> Fence {
        Fence(self.0.subscribe())
    }

    pub fn open_until(&self, until: Moment) {
        self.0.send_replace(Some(until));
    }

    /// Nothing is written any more.
    pub fn close(&self) {
        self.0.send_replace(None);
    }
}

impl Fence {
    /// Runs one write, which is told how long it may take. Waits first while
    /// writing is not allowed.
    ///
    /// # Errors
    /// [`Error::LeaseExpired`] when the time is over before the write has ended:
    /// whether it was done is not known. [`Error::Fenced`] when the lease is lost.
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
            // The moment may have been moved on meanwhile: look again.
            if let Ok(done) = tokio::time::timeout(left, step).await {
                return done;
            }
        }
    }

    /// Whether a write may begin now.
    pub fn is_open(&self) -> bool {
        self.remaining().is_ok()
    }

    /// Waits until writing is allowed, for as long as an outage may take; the time that is left then.
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

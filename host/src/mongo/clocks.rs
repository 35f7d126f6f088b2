//! A monotonic clock for deadlines. Persisted and shown times come from servers.

use std::{ops::Add, time::Duration};

use rustix::time::{ClockId, clock_gettime};

/// A moment on `CLOCK_BOOTTIME`: the clock is never set, and continues while the machine is suspended,
/// so a host that was stopped for a while knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(Duration);

impl Moment {
    /// The present moment.
    pub fn now() -> Self {
        let time = clock_gettime(ClockId::Boottime);
        let seconds = Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or_default());
        Self(seconds + Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or_default()))
    }

    /// Time from now until this moment; `None` if it has passed.
    pub fn remaining(self) -> Option<Duration> {
        self.0
            .checked_sub(Self::now().0)
            .filter(|remaining| !remaining.is_zero())
    }

    /// Time from `earlier` until this moment.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// Time from this moment until now.
    pub fn elapsed(self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0 + duration)
    }
}

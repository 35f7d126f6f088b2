//! Time that passes: for deadlines, never for what is persisted or shown.

use std::{ops::Add, time::Duration};

use rustix::time::{ClockId, clock_gettime};

/// A moment on a clock that nobody sets, and that goes on while the machine is
/// suspended (`CLOCK_BOOTTIME`): a host that was stopped for a while knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(Duration);

impl Moment {
    pub fn now() -> Self {
        let time = clock_gettime(ClockId::Boottime);
        let seconds = Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or_default());
        Self(seconds + Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or_default()))
    }

    /// The time from now until then; none if it has passed.
    pub fn remaining(self) -> Option<Duration> {
        self.0
            .checked_sub(Self::now().0)
            .filter(|remaining| !remaining.is_zero())
    }

    /// The time from `earlier` until then.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// The time from then until now.
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

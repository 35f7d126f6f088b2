//! The delay, from one reading to the next.

use std::time::Duration;

use super::excess::Excess;

/// The longest delay.
pub(super) const MAX_DELAY: Duration = Duration::from_secs(10);

/// The first delay, for a load of twice the target.
const FIRST_DELAY: Duration = Duration::from_millis(100);

/// A delay that is not worth its timer.
const MIN_DELAY: Duration = Duration::from_millis(1);

/// The largest excess that counts.
const MAX_EXCESS: f64 = 2.0;

/// Factor of the delay from one reading without excess to the next: half of it after 3.5 s.
const DECREASE: f64 = 0.9;

/// The present delay of one cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Delay(Duration);

impl Delay {
    /// The delay after the next reading. It grows faster than it shrinks, so that it is found
    /// before the lag reaches the bound, and so that the load does not swing. While an excess
    /// shrinks the delay is long enough, and stays.
    pub(super) fn after(self, excess: Option<&Excess>) -> Self {
        let Some(excess) = excess else {
            return self.decreased();
        };
        if self.0 > excess.most {
            return self.decreased();
        }
        if !excess.grows && !self.is_zero() {
            return self;
        }
        let share = excess.share.clamp(0.0, MAX_EXCESS);
        let delay = self.0.mul_f64(1.0 + share / 2.0) + FIRST_DELAY.mul_f64(share);
        Self(delay.min(excess.most))
    }

    /// The length of the delay.
    pub(super) fn length(self) -> Duration {
        self.0
    }

    /// Whether nothing is slowed.
    pub(super) fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    fn decreased(self) -> Self {
        Self(
            Some(self.0.mul_f64(DECREASE))
                .filter(|delay| *delay >= MIN_DELAY)
                .unwrap_or_default(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excess(share: f64, grows: bool) -> Excess {
        Excess {
            share,
            grows,
            most: MAX_DELAY,
            reason: String::new(),
        }
    }

    fn after(readings: usize, delay: Delay, excess: Option<&Excess>) -> Delay {
        (0..readings).fold(delay, |delay, _| delay.after(excess))
    }

    #[test]
    fn the_delay_grows_with_the_excess_up_to_its_bound() {
        let slight = after(4, Delay::default(), Some(&excess(0.2, true)));
        let great = after(4, Delay::default(), Some(&excess(2.0, true)));
        assert!(slight.length() < Duration::from_millis(100), "{slight:?}");
        assert!(great.length() > Duration::from_secs(2), "{great:?}");
        let endless = after(1_000, Delay::default(), Some(&excess(1e9, true)));
        assert_eq!(endless.length(), MAX_DELAY);
        // An excess with a bound of its own.
        let bounded = Excess {
            most: Duration::from_secs(1),
            ..excess(2.0, true)
        };
        let short = after(1_000, Delay::default(), Some(&bounded));
        assert_eq!(short.length(), Duration::from_secs(1));
        assert!(after(1_000, endless, Some(&bounded)).length() <= Duration::from_secs(1));
    }

    #[test]
    fn the_delay_stays_while_the_excess_shrinks_and_goes_when_it_is_gone() {
        let full = Delay(MAX_DELAY);
        assert_eq!(after(100, full, Some(&excess(2.0, false))), full);
        let halved = after(7, full, None);
        assert!(halved.length() < MAX_DELAY / 2, "{halved:?}");
        assert!(halved.length() > MAX_DELAY / 3, "{halved:?}");
        assert!(after(100, full, None).is_zero());
        // The first reading of an excess counts although it may shrink already.
        assert!(!Delay::default().after(Some(&excess(1.0, false))).is_zero());
    }
}

//! The lag of a sync, and the rate at which it catches up.
//!
//! The position moves in steps, at the end of each round. Between two steps the source's time goes on, so a
//! plain difference would rise and fall with each round. Therefore the lag is the value of the last step, and
//! increases only while the next step takes longer than the previous step did.

use std::{collections::VecDeque, time::Duration};

use crate::model::ClusterTime;

/// The time over which the rate is measured.
const WINDOW: Duration = Duration::from_secs(60);

/// The longest interval between two steps that counts as regular.
const LONGEST_STEP: Duration = Duration::from_secs(10);

/// Samples of the position at its steps. Times are relative to an arbitrary start.
#[derive(Clone, Debug, Default)]
pub(crate) struct LagTracker {
    /// Oldest first, covering one window.
    samples: VecDeque<PositionSample>,
}

/// The applied position at the end of a round.
#[derive(Clone, Copy, Debug)]
struct PositionSample {
    at: Duration,
    applied: ClusterTime,
    lag_seconds: u32,
}

impl LagTracker {
    /// Records the applied position and the newest write of the source at a moment. Equal positions are one
    /// step.
    pub(crate) fn note(&mut self, at: Duration, applied: ClusterTime, newest: ClusterTime) {
        let last = self.samples.back().map(|step| step.applied);
        if last == Some(applied) {
            return;
        }
        if last.is_some_and(|last| last > applied) {
            // Dropped work continues from an earlier position.
            self.samples.clear();
        }
        self.samples.push_back(PositionSample {
            at,
            applied,
            lag_seconds: applied.seconds_behind(newest),
        });
        // Keeps one sample from before the window as the base of the rate.
        while self
            .samples
            .get(1)
            .is_some_and(|second| at.saturating_sub(second.at) > WINDOW)
        {
            self.samples.pop_front();
        }
    }

    /// The lag in seconds at `now`, with `newest` as the newest write of the source. `None` without a position.
    /// Never more than the plain difference.
    pub(crate) fn lag_seconds(&self, now: Duration, newest: ClusterTime) -> Option<u32> {
        let last = self.samples.back()?;
        let before = self.samples.iter().rev().nth(1);
        let step = before.map_or(Duration::ZERO, |before| last.at.saturating_sub(before.at));
        let overdue = now
            .saturating_sub(last.at)
            .saturating_sub(step.min(LONGEST_STEP));
        let overdue = u32::try_from(overdue.as_secs()).unwrap_or(u32::MAX);
        let steady = last.lag_seconds.saturating_add(overdue);
        Some(steady.min(last.applied.seconds_behind(newest)))
    }

    /// Seconds of source time applied per second. `None` while it is unknown.
    pub(crate) fn rate(&self, now: Duration) -> Option<f64> {
        let (first, last) = (self.samples.front()?, self.samples.back()?);
        let passed = now.saturating_sub(first.at);
        (passed >= Duration::from_secs(1))
            .then(|| f64::from(first.applied.seconds_behind(last.applied)) / passed.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(seconds: u32) -> ClusterTime {
        ClusterTime {
            seconds,
            increment: 1,
        }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Rounds of four seconds each, at a lag of 20: the plain difference would go from 20 to 24 and back.
    #[test]
    fn f60_the_lag_is_steady_within_a_round() {
        let mut lag = LagTracker::default();
        let mut seen = Vec::new();
        for second in 0..20_u32 {
            let round = second / 4 * 4;
            lag.note(at(second.into()), time(100 + round), time(120 + second));
            seen.push(lag.lag_seconds(at(second.into()), time(120 + second)));
        }
        assert!(seen[4..].iter().all(|lag| *lag == Some(20)), "{seen:?}");
        // A position that does not move.
        assert_eq!(lag.lag_seconds(at(26), time(146)), Some(26));
        // A source without writes has no lag.
        assert_eq!(lag.lag_seconds(at(90), time(116)), Some(0));
    }

    #[test]
    fn f60_the_rate_is_known_within_a_round() {
        let mut lag = LagTracker::default();
        assert_eq!(
            (lag.lag_seconds(at(9), time(9)), lag.rate(at(9))),
            (None, None)
        );
        for second in 0..=100_u32 {
            lag.note(at(second.into()), time(second / 5 * 15), time(1_000));
        }
        for now in 100..104 {
            let rate = lag.rate(at(now)).expect("known");
            assert!((2.5..3.5).contains(&rate), "{rate}");
        }
        // The position has gone back: earlier samples do not count.
        lag.note(at(104), time(10), time(1_000));
        assert_eq!(lag.lag_seconds(at(104), time(1_000)), Some(990));
        assert_eq!(lag.rate(at(104)), None);
    }
}
